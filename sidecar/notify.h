/* notify.h - what the service manager is told: ready, alive, stopping, and how it goes.
 *
 * Place on the route: beside it; the main thread's alone. systemd's protocol: datagrams of NAME=VALUE lines
 * to the socket that $NOTIFY_SOCKET names. Without one every call does nothing. Never blocks; a datagram that
 * cannot be sent is lost without a word: the manager's own time limits decide then.
 *
 * Limits: lines of NOTIFY_MAX_BYTES together; a watchdog below NOTIFY_WATCHDOG_MIN_S cannot be kept, because
 * notify_alive() is called once a second.
 */
#ifndef AILIVE_SIDECAR_NOTIFY_H
#define AILIVE_SIDECAR_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define NOTIFY_MAX_BYTES      1024u
#define NOTIFY_WATCHDOG_MIN_S 3

struct notify {
    int fd; /* -1: nobody is told */
    struct sockaddr_un address;
    socklen_t address_bytes;
    int64_t watchdog_ns; /* what the manager waits for a sign of life; 0: it asks for none */
    int64_t alive_ns;    /* of the last one */
};

/* Reads $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID and removes them, so that no child takes them for
 * its own. Warns of a socket or a watchdog that cannot be served. */
void notify_init(struct notify *notify);
void notify_fini(struct notify *notify);

/* Lines such as "READY=1\nSTATUS=serving". A line break inside a value is the caller's mistake. */
void notify_say(const struct notify *notify, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A sign of life, when a third of the watchdog's time has passed since the last one. now_ns: monotonic.
 * Called after whatever must not hang has been done. */
void notify_alive(struct notify *notify, int64_t now_ns);

#endif
