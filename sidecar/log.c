/* log.c - one line on stderr for whoever runs the program.
 *
 * Place on the route: beside it. Owns the last errors and warnings. Any thread. Never allocates, never ends
 * the process.
 */
#include "log.h"

#include "now.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What was said last; the process has one stderr, hence one of these. */
static struct {
    pthread_mutex_t lock;
    struct log_recent entries[LOG_RECENT_MAX];
    uint64_t total; /* the newest is at (total - 1) % LOG_RECENT_MAX */
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const char *const level_names[] = {"error", "warning", "info"};

/* A newline in a file's name must not look like a second line of ours. Bytes of UTF-8 stay. */
static void log_defuse(char *text, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = '?';
}

static void log_write(const char *line, size_t len_bytes)
{
    while (len_bytes > 0) {
        ssize_t n = write(STDERR_FILENO, line, len_bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nowhere left to say it */
        line += n;
        len_bytes -= (size_t)n;
    }
}

static void log_keep(enum log_level level, const char *text, size_t len_bytes)
{
    struct log_recent *entry;

    pthread_mutex_lock(&kept.lock);
    entry = &kept.entries[kept.total++ % LOG_RECENT_MAX];
    entry->time_ns = now_utc_ns();
    entry->level = level;
    if (len_bytes > sizeof(entry->text) - 1)
        len_bytes = sizeof(entry->text) - 1;
    memcpy(entry->text, text, len_bytes);
    entry->text[len_bytes] = '\0';
    pthread_mutex_unlock(&kept.lock);
}

size_t log_recent(struct log_recent out[LOG_RECENT_MAX], uint64_t *total)
{
    size_t count;

    pthread_mutex_lock(&kept.lock);
    *total = kept.total;
    count = kept.total < LOG_RECENT_MAX ? (size_t)kept.total : LOG_RECENT_MAX;
    for (size_t i = 0; i < count; i++)
        out[i] = kept.entries[(kept.total - 1 - i) % LOG_RECENT_MAX];
    pthread_mutex_unlock(&kept.lock);
    return count;
}

static void log_vline(enum log_level level, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
static void log_vline(enum log_level level, const char *format, va_list arguments)
{
    char line[LOG_LINE_MAX_BYTES];
    int head = snprintf(line, sizeof(line), "ailive: %s: ", level_names[level]);
    size_t used = (size_t)head;
    int body = vsnprintf(line + used, sizeof(line) - used - 1, format, arguments);

    if (body > 0)
        used += (size_t)body < sizeof(line) - used - 2 ? (size_t)body : sizeof(line) - used - 2;
    log_defuse(line, used);
    if (level != LOG_LEVEL_INFO)
        log_keep(level, line + head, used - (size_t)head);
    line[used++] = '\n';
    log_write(line, used);
}

void log_line(enum log_level level, const char *format, ...)
{
    int saved = errno;
    va_list arguments;

    va_start(arguments, format);
    log_vline(level, format, arguments);
    va_end(arguments);
    errno = saved;
}

bool log_raise(struct log_condition *condition, enum log_level level, const char *format, ...)
{
    va_list arguments;

    if (condition->raised)
        return false;
    condition->raised = true;
    va_start(arguments, format);
    log_vline(level, format, arguments);
    va_end(arguments);
    return true;
}

bool log_clear(struct log_condition *condition, const char *format, ...)
{
    va_list arguments;

    if (!condition->raised)
        return false;
    condition->raised = false;
    va_start(arguments, format);
    log_vline(LOG_LEVEL_INFO, format, arguments);
    va_end(arguments);
    return true;
}
