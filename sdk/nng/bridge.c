/* bridge.c - SP over a socket pair on one side, over one of libnng's streams on the other; see bridge.h.
 *
 * Place on the route: road_ipc -> [bridge] -> sidecar. All of libailive-nng. A connection has a thread of its
 * own, which dials and then carries requests; replies are carried by nng's callback. Whichever side ends
 * first ends the other: the callback by shutting the pair down, the thread by closing the stream. The thread
 * alone frees. Never prints, never unloads libnng.
 */
#include "bridge.h"

#include "wire/batch.h"
#include "wire/sp.h"
#include "wire/url.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_MAX_BYTES (SP_REQUEST_ID_BYTES + BATCH_MAX_BYTES)
#define REPLY_MAX_BYTES   (4 * SP_BACKTRACE_WORDS + BATCH_REPLY_MAX_BYTES)

struct bridge {
    pid_t owner; /* who may call libnng */
    enum url_road road;
    char *url, *tls_cert, *tls_ca;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct connection *connections; /* under the lock */
    bool closed;                    /* likewise: the last connection to end frees the bridge */
};

struct connection {
    struct bridge *bridge;
    struct connection *next;
    int fd; /* our end of the pair */
    nng_stream_dialer *dialer;
    nng_tls_config *tls;
    nng_stream *stream;
    nng_aio *up;   /* the thread's: dialling, greetings, requests */
    nng_aio *down; /* replies; its callback moves them on */
    size_t reply_moved, reply_wanted;
    unsigned char reply[SP_FRAME_BYTES + REPLY_MAX_BYTES];
    unsigned char request[SP_FRAME_BYTES + REQUEST_MAX_BYTES];
};

/* ---- what differs between the roads ---- */

static int told(char *error, size_t cap, const char *what, int rc)
{
    snprintf(error, cap, "%s: %s", what, nng_strerror(rc));
    return rc == NNG_ENOTSUP ? ENOTSUP : rc == NNG_ENOMEM ? ENOMEM : EINVAL;
}

static int tls_prepare(const struct bridge *bridge, struct connection *connection, char *error, size_t cap)
{
    int rc = nng_tls_config_alloc(&connection->tls, NNG_TLS_MODE_CLIENT);

    if (rc == NNG_ENOTSUP)
        return told(error, cap, "this libnng was built without TLS", rc);
    if (rc == 0)
        rc = nng_tls_config_auth_mode(connection->tls, NNG_TLS_AUTH_MODE_REQUIRED);
    if (rc != 0)
        return told(error, cap, "TLS", rc);
    if (bridge->tls_cert == NULL || bridge->tls_ca == NULL) {
        snprintf(error, cap, "tls+tcp needs tls_cert and tls_ca (AILIVE_TLS_CERT, AILIVE_TLS_CA)");
        return EINVAL;
    }
    rc = nng_tls_config_cert_key_file(connection->tls, bridge->tls_cert, NULL);
    if (rc != 0)
        return told(error, cap, bridge->tls_cert, rc);
    rc = nng_tls_config_ca_file(connection->tls, bridge->tls_ca);
    if (rc != 0)
        return told(error, cap, bridge->tls_ca, rc);
    return 0;
}

/* The name that the sidecar's certificate must bear: the URL's host. */
static int tls_name(const struct bridge *bridge, struct connection *connection)
{
    nng_url *url;
    int rc = nng_url_parse(&url, bridge->url);

    if (rc != 0)
        return rc;
    rc = nng_tls_config_server_name(connection->tls, url->u_hostname);
    nng_url_free(url);
    return rc != 0 ? rc : nng_stream_dialer_set_ptr(connection->dialer, NNG_OPT_TLS_CONFIG, connection->tls);
}

/* Whole messages, and the name of the peer's protocol. "ws:msgmode" is what nng's SP transport sets; nng.h
 * does not name it. */
static int ws_prepare(struct connection *connection)
{
    int rc = nng_stream_dialer_set_bool(connection->dialer, "ws:msgmode", true);

    if (rc == 0)
        rc = nng_stream_dialer_set_string(connection->dialer, NNG_OPT_WS_PROTOCOL, "rep.sp.nanomsg.org");
    if (rc == 0)
        rc = nng_stream_dialer_set_size(connection->dialer, NNG_OPT_RECVMAXSZ, REPLY_MAX_BYTES);
    return rc;
}

/* A dialer with everything it needs. 0, or errno and a line. */
static int connection_prepare(const struct bridge *bridge, struct connection *connection, char *error,
                              size_t cap)
{
    int rc, status;

    if (bridge->road == URL_TLS && (status = tls_prepare(bridge, connection, error, cap)) != 0)
        return status;
    rc = nng_stream_dialer_alloc(&connection->dialer, bridge->url);
    if (rc == 0 && bridge->road == URL_TLS)
        rc = tls_name(bridge, connection);
    if (rc == 0 && bridge->road == URL_WS)
        rc = ws_prepare(connection);
    return rc == 0 ? 0 : told(error, cap, bridge->url, rc);
}

static void connection_unprepare(struct connection *connection)
{
    if (connection->dialer != NULL)
        nng_stream_dialer_free(connection->dialer);
    if (connection->tls != NULL)
        nng_tls_config_free(connection->tls);
}

/* ---- the far side: the thread's ---- */

/* Waits for what was begun with `up`. */
static bool up_done(struct connection *connection)
{
    nng_aio_wait(connection->up);
    return nng_aio_result(connection->up) == 0;
}

static bool far_send(struct connection *connection, unsigned char *bytes, size_t len_bytes)
{
    nng_aio_set_timeout(connection->up, BRIDGE_SEND_MS);
    while (len_bytes > 0) {
        nng_iov iov = {bytes, len_bytes};
        nng_aio_set_iov(connection->up, 1, &iov);
        nng_stream_send(connection->stream, connection->up);
        if (!up_done(connection))
            return false;
        bytes += nng_aio_count(connection->up);
        len_bytes -= nng_aio_count(connection->up);
    }
    return true;
}

static bool far_receive(struct connection *connection, unsigned char *bytes, size_t len_bytes)
{
    nng_aio_set_timeout(connection->up, BRIDGE_DIAL_MS);
    while (len_bytes > 0) {
        nng_iov iov = {bytes, len_bytes};
        nng_aio_set_iov(connection->up, 1, &iov);
        nng_stream_recv(connection->stream, connection->up);
        if (!up_done(connection) || nng_aio_count(connection->up) == 0)
            return false;
        bytes += nng_aio_count(connection->up);
        len_bytes -= nng_aio_count(connection->up);
    }
    return true;
}

static bool far_send_message(struct connection *connection, const unsigned char *bytes, size_t len_bytes)
{
    nng_msg *message = NULL;

    if (nng_msg_alloc(&message, 0) != 0 || nng_msg_append(message, bytes, len_bytes) != 0) {
        nng_msg_free(message);
        return false;
    }
    nng_aio_set_timeout(connection->up, BRIDGE_SEND_MS);
    nng_aio_set_msg(connection->up, message);
    nng_stream_send(connection->stream, connection->up);
    if (up_done(connection))
        return true;
    nng_msg_free(nng_aio_get_msg(connection->up)); /* what could not be sent is still ours */
    return false;
}

static bool far_dial(struct connection *connection)
{
    char error[64]; /* told when the bridge was opened; a file that has gone since shows as no connection */

    if (connection_prepare(connection->bridge, connection, error, sizeof(error)) != 0)
        return false;
    nng_aio_set_timeout(connection->up, BRIDGE_DIAL_MS);
    nng_stream_dialer_dial(connection->dialer, connection->up);
    if (!up_done(connection))
        return false;
    connection->stream = nng_aio_get_output(connection->up, 0);
    return true;
}

/* Both greetings over the far side; a websocket's handshake stands for them. */
static bool far_greet(struct connection *connection)
{
    unsigned char greeting[SP_GREETING_BYTES];

    if (connection->bridge->road == URL_WS)
        return true;
    sp_greeting(SP_PROTO_REQ, greeting);
    return far_send(connection, greeting, sizeof(greeting)) &&
           far_receive(connection, greeting, sizeof(greeting)) && sp_greeting_is(greeting, SP_PROTO_REP);
}

/* ---- the near side ---- */

/* Replies are few and short, and the shipper reads: a pair that takes no more is broken. */
static bool near_send(struct connection *connection, const unsigned char *bytes, size_t len_bytes)
{
    return send(connection->fd, bytes, len_bytes, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len_bytes;
}

static bool near_receive(struct connection *connection, unsigned char *bytes, size_t len_bytes)
{
    return recv(connection->fd, bytes, len_bytes, MSG_WAITALL) == (ssize_t)len_bytes;
}

static bool near_greet(struct connection *connection)
{
    unsigned char greeting[SP_GREETING_BYTES];

    sp_greeting(SP_PROTO_REP, greeting);
    return near_send(connection, greeting, sizeof(greeting)) &&
           near_receive(connection, greeting, sizeof(greeting)) && sp_greeting_is(greeting, SP_PROTO_REQ);
}

/* Takes one request over. false: the shipper has closed its end, or the far side is broken. */
static bool request_pass(struct connection *connection)
{
    unsigned char *frame = connection->request;
    uint64_t len_bytes;

    if (!near_receive(connection, frame, SP_FRAME_BYTES) ||
        !sp_frame_read(frame, REQUEST_MAX_BYTES, &len_bytes) ||
        !near_receive(connection, frame + SP_FRAME_BYTES, (size_t)len_bytes))
        return false;
    return connection->bridge->road == URL_WS
               ? far_send_message(connection, frame + SP_FRAME_BYTES, (size_t)len_bytes)
               : far_send(connection, frame + SP_TYPE_BYTES,
                          SP_FRAME_BYTES - SP_TYPE_BYTES + (size_t)len_bytes);
}

/* ---- replies (nng's callback) ---- */

static void reply_go_on(struct connection *connection)
{
    nng_iov iov = {connection->reply + connection->reply_moved,
                   connection->reply_wanted - connection->reply_moved};

    nng_aio_set_timeout(connection->down, NNG_DURATION_INFINITE);
    if (connection->bridge->road != URL_WS)
        nng_aio_set_iov(connection->down, 1, &iov);
    nng_stream_recv(connection->stream, connection->down);
}

static void reply_begin(struct connection *connection)
{
    sp_frame(0, connection->reply); /* for the byte that does not travel */
    connection->reply_moved = SP_TYPE_BYTES;
    connection->reply_wanted = SP_FRAME_BYTES;
    reply_go_on(connection);
}

static bool reply_message(struct connection *connection, nng_msg *message)
{
    size_t len_bytes = nng_msg_len(message);
    bool fits = len_bytes <= REPLY_MAX_BYTES;

    if (fits) {
        sp_frame(len_bytes, connection->reply);
        memcpy(connection->reply + SP_FRAME_BYTES, nng_msg_body(message), len_bytes);
    }
    nng_msg_free(message);
    return fits && near_send(connection, connection->reply, SP_FRAME_BYTES + len_bytes);
}

/* Some bytes have come. *whole: a reply was taken over. false: the connection is broken. */
static bool reply_bytes(struct connection *connection, size_t n, bool *whole)
{
    uint64_t len_bytes;

    *whole = false;
    connection->reply_moved += n;
    if (n == 0 || connection->reply_moved < connection->reply_wanted)
        return n > 0;
    if (!sp_frame_read(connection->reply, REPLY_MAX_BYTES, &len_bytes))
        return false;
    if (connection->reply_moved == SP_FRAME_BYTES + len_bytes) {
        *whole = true;
        return near_send(connection, connection->reply, connection->reply_moved);
    }
    connection->reply_wanted = SP_FRAME_BYTES + (size_t)len_bytes;
    return true;
}

static void reply_moved(void *argument)
{
    struct connection *connection = argument;
    bool whole = true, fine = nng_aio_result(connection->down) == 0;

    if (fine && connection->bridge->road == URL_WS)
        fine = reply_message(connection, nng_aio_get_msg(connection->down));
    else if (fine)
        fine = reply_bytes(connection, nng_aio_count(connection->down), &whole);
    if (!fine)
        shutdown(connection->fd, SHUT_RDWR); /* the thread waits in its receive: this ends it */
    else if (whole)
        reply_begin(connection);
    else
        reply_go_on(connection);
}

/* ---- a connection's life ---- */

static void bridge_free(struct bridge *bridge)
{
    pthread_cond_destroy(&bridge->changed);
    pthread_mutex_destroy(&bridge->lock);
    free(bridge->url);
    free(bridge->tls_cert);
    free(bridge->tls_ca);
    free(bridge);
}

static void connection_free(struct connection *connection)
{
    if (connection->stream != NULL)
        nng_stream_close(connection->stream);
    if (connection->down != NULL) {
        nng_aio_stop(connection->down); /* its callback runs no more */
        nng_aio_free(connection->down);
    }
    if (connection->up != NULL)
        nng_aio_free(connection->up);
    if (connection->stream != NULL)
        nng_stream_free(connection->stream);
    connection_unprepare(connection);
    shutdown(connection->fd, SHUT_RDWR); /* a forked child may hold a copy: closing alone would tell nobody */
    close(connection->fd);
    free(connection);
}

/* Takes the connection off the bridge's list; the last one of a closed bridge frees that too. */
static void connection_end(struct connection *connection)
{
    struct bridge *bridge = connection->bridge;
    struct connection **at;
    bool last;

    pthread_mutex_lock(&bridge->lock);
    for (at = &bridge->connections; *at != connection; at = &(*at)->next)
        continue;
    *at = connection->next;
    pthread_mutex_unlock(&bridge->lock);
    connection_free(connection);
    pthread_mutex_lock(&bridge->lock);
    last = bridge->closed && bridge->connections == NULL;
    pthread_cond_broadcast(&bridge->changed);
    pthread_mutex_unlock(&bridge->lock);
    if (last)
        bridge_free(bridge);
}

static void *connection_run(void *argument)
{
    struct connection *connection = argument;

    pthread_setname_np(pthread_self(), "ailive-nng");
    if (far_dial(connection) && far_greet(connection) && near_greet(connection)) {
        reply_begin(connection);
        while (request_pass(connection))
            continue;
    }
    connection_end(connection);
    return NULL;
}

static struct connection *connection_new(struct bridge *bridge, int fd)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL)
        return NULL;
    connection->bridge = bridge;
    connection->fd = fd;
    if (nng_aio_alloc(&connection->up, NULL, NULL) == 0 &&
        nng_aio_alloc(&connection->down, reply_moved, connection) == 0)
        return connection;
    if (connection->up != NULL)
        nng_aio_free(connection->up);
    free(connection);
    return NULL;
}

/* A detached thread with all signals blocked. */
static int connection_start(struct connection *connection)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    int error;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attributes, connection_run, connection);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

static int bridge_connect(struct bridge *bridge, int *fd)
{
    struct connection *connection;
    int pair[2];

    if (bridge->owner != getpid())
        return EPERM;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return errno;
    connection = connection_new(bridge, pair[1]);
    if (connection == NULL) {
        close(pair[0]);
        close(pair[1]);
        return ENOMEM;
    }
    pthread_mutex_lock(&bridge->lock);
    connection->next = bridge->connections;
    bridge->connections = connection;
    pthread_mutex_unlock(&bridge->lock);
    if (connection_start(connection) != 0) {
        connection_end(connection);
        close(pair[0]);
        return EAGAIN;
    }
    *fd = pair[0];
    return 0;
}

/* ---- opening and closing ---- */

static bool bridge_copy(struct bridge *bridge, const struct bridge_options *options)
{
    bridge->url = strdup(options->url);
    bridge->tls_cert = options->tls_cert != NULL ? strdup(options->tls_cert) : NULL;
    bridge->tls_ca = options->tls_ca != NULL ? strdup(options->tls_ca) : NULL;
    return bridge->url != NULL && (options->tls_cert == NULL || bridge->tls_cert != NULL) &&
           (options->tls_ca == NULL || bridge->tls_ca != NULL);
}

/* Whether a connection could be prepared. nng's first call starts its threads: all signals are blocked in
 * them. */
static int bridge_check(const struct bridge *bridge, char *error, size_t cap)
{
    struct connection tried = {.fd = -1};
    sigset_t all, before;
    int status;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    status = connection_prepare(bridge, &tried, error, cap);
    connection_unprepare(&tried);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

static int bridge_open(const struct bridge_options *options, struct bridge **out, char *error,
                       size_t error_cap)
{
    struct bridge *bridge = calloc(1, sizeof(*bridge));
    pthread_condattr_t attributes;
    struct url url;
    int status = 0;

    *out = NULL;
    if (bridge == NULL)
        return ENOMEM;
    pthread_mutex_init(&bridge->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&bridge->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    bridge->owner = getpid();
    if (url_read(options->url, true, &url) != NULL || !bridge_copy(bridge, options)) {
        snprintf(error, error_cap, "%s: not a URL of libailive-nng, or out of memory", options->url);
        status = EINVAL;
    }
    bridge->road = url.road;
    if (status == 0)
        status = bridge_check(bridge, error, error_cap);
    if (status != 0) {
        bridge_free(bridge);
        return status;
    }
    *out = bridge;
    return 0;
}

static void bridge_close(struct bridge *bridge)
{
    struct timespec until;
    bool last;

    if (bridge == NULL || bridge->owner != getpid())
        return; /* in a child: its copy of the locks and threads is nobody's */
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += BRIDGE_CLOSE_MS / 1000;
    pthread_mutex_lock(&bridge->lock);
    for (struct connection *c = bridge->connections; c != NULL; c = c->next)
        nng_aio_cancel(c->up); /* one that still dials */
    while (bridge->connections != NULL &&
           pthread_cond_timedwait(&bridge->changed, &bridge->lock, &until) == 0)
        continue;
    bridge->closed = true;
    last = bridge->connections == NULL;
    pthread_mutex_unlock(&bridge->lock);
    if (last)
        bridge_free(bridge);
}

const struct bridge_calls ailive_nng_bridge = {BRIDGE_ABI, bridge_open, bridge_connect, bridge_close};
