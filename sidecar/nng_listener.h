/* nng_listener.h - one URL at which producers connect.
 *
 * Place on the route: before source_nng, which gets each connection from it. Knows what differs between the
 * roads of wire/url.h: the socket's file and its lock, certificates, websocket messages.
 */
#ifndef AILIVE_SIDECAR_NNG_LISTENER_H
#define AILIVE_SIDECAR_NNG_LISTENER_H

#include <wire/url.h>

#include <nng/nng.h>

struct nng_listener;

struct nng_listener_options {
    const char *url;
    bool remote_plaintext; /* see url_read() */
    const char *tls_cert;  /* tls+tcp: PEM file with certificate and private key */
    const char *tls_ca;    /* tls+tcp: PEM file; a producer's certificate must be signed by one of these */
    size_t message_max_bytes;
};

/* Called by nng's threads with each connection, which is the callee's from then on. For URL_WS the stream
 * moves whole messages, each one a payload without greeting or frame; otherwise bytes. */
typedef void (*nng_listener_fn)(void *context, enum url_road road, nng_stream *stream);

/* Listens; connections wait until nng_listener_accept(). An ipc socket is 0600, in a folder that its group
 * shares (setgid, group may write) 0660; `<path>.lock` is taken first: a second sidecar on one socket is
 * refused with its pid; a stale socket is replaced; anything else at the path is refused and left alone. -1:
 * error holds one line. The caller has all signals blocked: nng's first call starts its threads, and they
 * block only SIGPIPE by themselves. */
int nng_listener_open(const struct nng_listener_options *options, nng_listener_fn connected, void *context,
                      struct nng_listener **out, char *error, size_t error_cap);

void nng_listener_accept(struct nng_listener *listener);

/* Whether producers still find it; once a second, on the thread that opened it. An ipc socket that was
 * removed, with its folder or alone, is made again as at the opening, its lock first; connections that are
 * open stay. 0: it was in place. 1: made again. -1: error says why not; the next call tries again. */
int nng_listener_keep(struct nng_listener *listener, char *error, size_t error_cap);

/* Accepts no more; returns when connected() is not running and will not. */
void nng_listener_stop(struct nng_listener *listener);

/* After nng_listener_stop(), or when it was never begun. NULL is harmless. */
void nng_listener_free(struct nng_listener *listener);

#endif
