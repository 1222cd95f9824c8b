/* log.h - one line on stderr for whoever runs the program: "ailive: level: text".
 *
 * Place on the route: beside it; every part of the sidecar that decides upon an error reports it here, once.
 * Any thread. One write(2) a line, so that lines of different threads never mix. Lines longer than 1 KiB are
 * cut. Control characters become '?': file names and peers' bytes cannot forge a line. The last
 * LOG_RECENT_MAX errors and warnings are kept, for the live page.
 */
#ifndef AILIVE_SIDECAR_LOG_H
#define AILIVE_SIDECAR_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LINE_MAX_BYTES   1024u
#define LOG_RECENT_MAX       32u
#define LOG_RECENT_MAX_BYTES 320u

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_INFO
};

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)

/* An error or warning of before; its text is cut to LOG_RECENT_MAX_BYTES. */
struct log_recent {
    int64_t time_ns; /* UTC */
    enum log_level level;
    char text[LOG_RECENT_MAX_BYTES];
};

/* The newest first. Returns how many out has; total: of all since the start. */
size_t log_recent(struct log_recent out[LOG_RECENT_MAX], uint64_t *total);

/* Something that is either wrong or not: told once when it begins and once when it is over. The owner's
 * storage, all zero at first; one thread at a time. */
struct log_condition {
    bool raised;
};

/* Reports when the condition was not raised before. Returns whether it did. */
bool log_raise(struct log_condition *condition, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Reports (as information) when the condition was raised before. Returns whether it did. */
bool log_clear(struct log_condition *condition, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
