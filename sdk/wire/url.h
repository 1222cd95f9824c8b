/* url.h - the URLs at which producers and sidecar meet, and which of them are refused.
 *
 * Place on the route: read by ailive_open() for the road to take, and by the sidecar for each --ipc. No
 * threads, no I/O: a name is not looked up.
 *
 *   ipc://PATH               a unix socket: hosts and sidecar share a file system
 *   tcp://HOST:PORT          plaintext: loopback alone, unless asked for by name
 *   ws://HOST:PORT[/PATH]    the same, in websocket messages
 *   tls+tcp://HOST:PORT      certificates on both sides
 *
 * HOST is a name, an IPv4 address, or an IPv6 address in brackets. Loopback is `localhost`, 127.x.x.x and
 * [::1], as they are written.
 */
#ifndef AILIVE_WIRE_URL_H
#define AILIVE_WIRE_URL_H

#include "paths.h"

#define URL_MAX_BYTES 256u /* with its NUL */

enum url_road {
    URL_IPC,
    URL_TCP,
    URL_TLS,
    URL_WS
};

struct url {
    enum url_road road;
    bool loopback;                 /* not for URL_IPC */
    char path[PATHS_SOCKET_BYTES]; /* URL_IPC: of the socket; else "" */
};

/* Reads a URL. NULL: *out holds it; otherwise a constant text that says what is wrong. remote_plaintext: tcp
 * and ws beyond loopback were asked for by name. */
const char *url_read(const char *text, bool remote_plaintext, struct url *out);

#endif
