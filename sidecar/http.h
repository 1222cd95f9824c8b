/* http.h - the exporter's HTTP side: GET and HEAD only.
 *
 * Place on the route: aggregate's snapshot -> rendering -> [http] -> Prometheus, a person. The only file that
 * names microhttpd. One thread of microhttpd's answers; contents come from callbacks, which copy under the
 * aggregate's lock and render outside it.
 *
 * A rendered page is shared: every answer of the same form and commit, within HTTP_FRESH_MS, sends the same
 * bytes, which live until the last of them is through.
 *
 * Limits: HTTP_CONNECTIONS_MAX connections: one more closes the one that has been idle longest. A request's
 * head must come within HTTP_HEAD_MS of the connection, or of the answer before it; its answer must be taken
 * within HTTP_ANSWER_MS. HTTP_BODIES_MAX pages in memory: beyond, the slowest reader is closed.
 */
#ifndef AILIVE_SIDECAR_HTTP_H
#define AILIVE_SIDECAR_HTTP_H

#include "config.h"
#include "expose.h"
#include "web_config.h"

#define HTTP_CONNECTIONS_MAX 128u
#define HTTP_HEAD_MS         10000
#define HTTP_ANSWER_MS       30000
#define HTTP_RELOAD_MS       1000
#define HTTP_FRESH_MS        100
#define HTTP_STATUS_MS       2000 /* at most; its generation changes once a second */
#define HTTP_BODIES_MAX      16u

struct http;

/* One that never changes, packed with gzip; unpacked for those who cannot read that. */
struct http_file {
    const char *path, *type; /* path NULL: behind the last */
    const unsigned char *gzip;
    size_t gzip_bytes, plain_bytes;
};

struct http_contents {
    void *context;
    /* A number that changes when a page made before is out of date. */
    uint64_t (*generation)(void *context);
    bool (*metrics)(void *context, enum expose_format format, struct buffer *out); /* false: 503 */
    bool (*ready)(void *context, struct buffer *out); /* out: one line; false: 503 */
    const char *page; /* of `/`, HTML, lives as long as http; NULL: a few links */
    /* /api/v1/status in JSON, brief with ?history=brief; both NULL: not found. false: 503 */
    uint64_t (*status_generation)(void *context);
    bool (*status)(void *context, bool brief, struct buffer *out);
    const struct http_file *files; /* before `page`; NULL: none */
};

/* Binds and listens; nothing is answered yet. port: the one that was bound. -1 with a line in error: busy
 * (names the port and who holds it), or not ours to bind. */
int http_listen(const struct config_listen *listen, int *fd, uint16_t *port, char *error, size_t error_cap);

/* Where a socket that was opened for us listens. -1: it cannot be told. */
int http_address(int fd, struct config_listen *out);

/* Begins to answer on fd, which it takes over. web: TLS and users, must live as long; NULL: neither. -1 with
 * a line in error. */
int http_open(int fd, const struct http_contents *contents, const struct web_config *web, struct http **out,
              char *error, size_t error_cap);

/* TLS and users for all connections from now on; whoever is being answered has HTTP_RELOAD_MS to the end of
 * it, then all connections are closed. New ones wait meanwhile, none is refused. web, which has passed
 * tls_check(): must live as long; the one before may go afterwards. -1: out of memory, nothing has changed.
 * The thread that calls http_reap(). */
int http_reload(struct http *http, const struct web_config *web);

/* From a timer: closes connections that are too old. */
void http_reap(struct http *http);

/* Rendered pages in memory now. Any thread. */
unsigned http_bodies(const struct http *http);

/* NULL is harmless. */
void http_close(struct http *http);

#endif
