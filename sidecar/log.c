/* log.c - one line on stderr for whoever runs the program.
 *
 * Place on the route: beside it. Owns nothing. Any thread. Never allocates, never ends the process.
 */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
