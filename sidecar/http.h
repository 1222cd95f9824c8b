/* http.h - the exporter's HTTP side: GET and HEAD only.
 *
 * Place on the route: aggregate's snapshot -> rendering -> [http] -> Prometheus, a person. The only file that
 * names microhttpd. One thread of microhttpd's answers; contents come from callbacks, which copy under the
 * aggregate's lock and render outside it.
 *
 * Limits: HTTP_CONNECTIONS_MAX connections (more wait in the backlog); a connection that has been idle for
 * HTTP_IDLE_S, or without a finished answer for HTTP_AGE_MS, is closed.
 */
#ifndef AILIVE_SIDECAR_HTTP_H
#define AILIVE_SIDECAR_HTTP_H

#include "buffer.h"
#include "config.h"

#define HTTP_CONNECTIONS_MAX 128u
#define HTTP_IDLE_S          10u
#define HTTP_AGE_MS          30000

struct http;

struct http_contents {
    void *context;
    bool (*metrics)(void *context, struct buffer *out); /* false: out of memory, 503 */
    bool (*ready)(void *context, struct buffer *out);   /* out: one line; false: 503 */
};

/* Binds and listens; nothing is answered yet. port: the one that was bound. -1 with a line in error: busy
 * (names the port and who holds it), or not ours to bind. */
int http_listen(const struct config_listen *listen, int *fd, uint16_t *port, char *error, size_t error_cap);

/* Begins to answer on fd, which it takes over. -1 with a line in error. */
int http_open(int fd, const struct http_contents *contents, struct http **out, char *error, size_t error_cap);

/* From a timer: closes connections that are too old. */
void http_reap(struct http *http);

/* NULL is harmless. */
void http_close(struct http *http);

#endif
