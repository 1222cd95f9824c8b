/* notify.c - see notify.h for place, thread and limits. */
#include "notify.h"

#include "config.h"
#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A path, or an abstract name behind an '@'. */
static bool address_of(const char *name, struct notify *out)
{
    size_t len = strlen(name);

    if ((name[0] != '/' && name[0] != '@') || len >= sizeof(out->address.sun_path))
        return false;
    out->address.sun_family = AF_UNIX;
    memcpy(out->address.sun_path, name, len);
    if (name[0] == '@')
        out->address.sun_path[0] = '\0'; /* the length tells it from a path */
    out->address_bytes =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/' ? 1u : 0u));
    return true;
}

static bool number_of(const char *variable, uint64_t max, uint64_t *out)
{
    const char *text = getenv(variable);
    char error[128];

    return text != NULL && config_number(variable, text, 1, max, out, error, sizeof(error));
}

/* 0: none is kept over this process. */
static int64_t watchdog_of_environment(void)
{
    uint64_t usec = 0, pid = 0;

    if (!number_of("WATCHDOG_USEC", INT64_MAX / 1000, &usec))
        return 0;
    if (getenv("WATCHDOG_PID") != NULL &&
        (!number_of("WATCHDOG_PID", INT32_MAX, &pid) || pid != (uint64_t)getpid()))
        return 0;
    return (int64_t)usec * 1000;
}

void notify_init(struct notify *notify)
{
    const char *name = getenv("NOTIFY_SOCKET");

    *notify = (struct notify){.fd = -1, .watchdog_ns = watchdog_of_environment()};
    if (name != NULL && name[0] != '\0') {
        if (address_of(name, notify))
            notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (notify->fd < 0)
            log_warning("the service manager cannot be told anything: $NOTIFY_SOCKET is '%.120s'", name);
    }
    if (notify->fd >= 0 && notify->watchdog_ns > 0 &&
        notify->watchdog_ns < NOTIFY_WATCHDOG_MIN_S * INT64_C(1000000000))
        log_warning("a watchdog below %d s cannot be kept: raise WatchdogSec=", NOTIFY_WATCHDOG_MIN_S);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void notify_fini(struct notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

void notify_say(const struct notify *notify, const char *format, ...)
{
    char text[NOTIFY_MAX_BYTES];
    va_list arguments;
    int len;

    if (notify->fd < 0)
        return;
    va_start(arguments, format);
    len = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (len <= 0)
        return;
    (void)sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&notify->address,
                 notify->address_bytes);
}

void notify_alive(struct notify *notify, int64_t now_ns)
{
    if (notify->fd < 0 || notify->watchdog_ns == 0 || now_ns - notify->alive_ns < notify->watchdog_ns / 3)
        return;
    notify->alive_ns = now_ns;
    notify_say(notify, "WATCHDOG=1");
}
