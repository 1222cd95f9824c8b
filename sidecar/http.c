/* http.c - the exporter's HTTP side.
 *
 * Place on the route: contents' callbacks -> [http] -> Prometheus, a person. Owns the listening socket and
 * the table of connections. microhttpd's thread runs everything but http_listen(), http_open(), http_reap()
 * and http_close(). Never writes: there is nothing to POST to.
 *
 * Why a table: microhttpd's own time limit counts inactivity only, so that a client that reads a byte now and
 * then stays for ever, and enough of them shut the exporter.
 */
#include "http.h"

#include "log.h"
#include "now.h"
#include "port_holder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LISTEN_BACKLOG 128

static const char metrics_type[] = "text/plain; version=0.0.4; charset=utf-8";
static const char plain_type[] = "text/plain; charset=utf-8";
static const char html_type[] = "text/html; charset=utf-8";
static const char index_page[] = "<!DOCTYPE html><html lang=\"en\"><title>ailive</title><h1>ailive</h1>"
                                 "<p><a href=\"/metrics\">/metrics</a> <a href=\"/-/healthy\">/-/healthy</a> "
                                 "<a href=\"/-/ready\">/-/ready</a></p></html>\n";

struct client {
    int fd;           /* -1: free */
    int64_t since_ms; /* connected, or last finished an answer */
};

struct http {
    struct http_contents contents;
    struct MHD_Daemon *daemon;
    pthread_mutex_t lock;
    struct client clients[HTTP_CONNECTIONS_MAX];
};

/* ---- binding ---- */

static int fail(char *error, size_t cap, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int fail(char *error, size_t cap, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(error, cap, format, arguments);
    va_end(arguments);
    return -1;
}

static socklen_t address_make(const struct config_listen *listen, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, listen->address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(listen->port);
        return sizeof(*v4);
    }
    if (inet_pton(AF_INET6, listen->address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(listen->port);
        return sizeof(*v6);
    }
    return 0;
}

static int bind_fail(const struct config_listen *listen, int cause, char *error, size_t cap)
{
    char holder[128];

    if (cause != EADDRINUSE)
        return fail(error, cap, "cannot listen on %s port %u: %s", listen->address, listen->port,
                    strerror(cause));
    port_holder(listen->port, holder, sizeof(holder));
    return fail(error, cap,
                "port %u on %s is in use by %s; end it, or choose another port with --listen ADDR:PORT",
                listen->port, listen->address, holder);
}

static uint16_t bound_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t len = sizeof(address);

    memset(&address, 0, sizeof(address));
    if (getsockname(fd, &address.any, &len) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

int http_listen(const struct config_listen *where, int *fd, uint16_t *port, char *error, size_t error_cap)
{
    const int on = 1;
    struct sockaddr_storage address;
    socklen_t len = address_make(where, &address);

    *fd = -1;
    if (len == 0)
        return fail(error, error_cap, "%s is no IP address", where->address);
    *fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0)
        return fail(error, error_cap, "cannot make a socket: %s", strerror(errno));
    /* Only for addresses that old connections still hold: Linux does not let two listeners share a port. */
    setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(*fd, (const struct sockaddr *)&address, len) != 0 || listen(*fd, LISTEN_BACKLOG) != 0) {
        int cause = errno;

        close(*fd);
        *fd = -1;
        return bind_fail(where, cause, error, error_cap);
    }
    *port = bound_port(*fd);
    return 0;
}

/* ---- the table of connections ---- */

static void client_began(struct http *http, int fd, void **slot)
{
    pthread_mutex_lock(&http->lock);
    *slot = NULL;
    for (size_t i = 0; i < HTTP_CONNECTIONS_MAX && *slot == NULL; i++)
        if (http->clients[i].fd < 0) {
            http->clients[i] = (struct client){fd, now_monotonic_ms()};
            *slot = &http->clients[i];
        }
    pthread_mutex_unlock(&http->lock);
}

static void client_ended(struct http *http, struct client *client)
{
    if (client == NULL)
        return;
    pthread_mutex_lock(&http->lock);
    client->fd = -1;
    pthread_mutex_unlock(&http->lock);
}

/* microhttpd's: a connection begins, or has ended and its socket is about to be closed. */
static void connection_notify(void *context, struct MHD_Connection *connection, void **slot,
                              enum MHD_ConnectionNotificationCode code)
{
    const union MHD_ConnectionInfo *info;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        client_ended(context, *slot);
        return;
    }
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    client_began(context, info != NULL ? info->connect_fd : -1, slot);
}

/* microhttpd's: an answer has gone out. */
static void request_completed(void *context, struct MHD_Connection *connection, void **request,
                              enum MHD_RequestTerminationCode code)
{
    struct http *http = context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct client *client = info != NULL ? info->socket_context : NULL;

    (void)request;
    (void)code;
    if (client == NULL)
        return;
    pthread_mutex_lock(&http->lock);
    client->since_ms = now_monotonic_ms();
    pthread_mutex_unlock(&http->lock);
}

/* Shut down, not closed: the descriptor stays microhttpd's. It cannot be closed and reused meanwhile, because
 * client_ended() comes before the close and takes the same lock. */
void http_reap(struct http *http)
{
    int64_t now_ms = now_monotonic_ms();

    pthread_mutex_lock(&http->lock);
    for (size_t i = 0; i < HTTP_CONNECTIONS_MAX; i++)
        if (http->clients[i].fd >= 0 && now_ms - http->clients[i].since_ms > HTTP_AGE_MS)
            shutdown(http->clients[i].fd, SHUT_RDWR);
    pthread_mutex_unlock(&http->lock);
}

/* ---- answering (microhttpd's thread) ---- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
                              struct MHD_Response *response)
{
    enum MHD_Result result;

    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status, const char *type,
                                   const char *text)
{
    return answer(
        connection, status, type,
        MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT));
}

/* Gives the buffer's memory away. */
static enum MHD_Result answer_buffer(struct MHD_Connection *connection, unsigned status, const char *type,
                                     struct buffer *buffer)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(buffer->used, buffer->bytes, MHD_RESPMEM_MUST_FREE);

    if (response == NULL)
        buffer_fini(buffer);
    return answer(connection, status, type, response);
}

static enum MHD_Result answer_metrics(struct http *http, struct MHD_Connection *connection)
{
    struct buffer page;

    buffer_init(&page);
    if (http->contents.metrics(http->contents.context, &page))
        return answer_buffer(connection, MHD_HTTP_OK, metrics_type, &page);
    buffer_fini(&page);
    return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, plain_type, "out of memory\n");
}

static enum MHD_Result answer_ready(struct http *http, struct MHD_Connection *connection)
{
    struct buffer line;
    bool ready;

    buffer_init(&line);
    ready = http->contents.ready(http->contents.context, &line);
    return answer_buffer(connection, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, plain_type, &line);
}

static enum MHD_Result answer_path(struct http *http, struct MHD_Connection *connection, const char *path)
{
    if (strcmp(path, "/metrics") == 0)
        return answer_metrics(http, connection);
    if (strcmp(path, "/-/healthy") == 0)
        return answer_text(connection, MHD_HTTP_OK, plain_type, "healthy\n");
    if (strcmp(path, "/-/ready") == 0)
        return answer_ready(http, connection);
    if (strcmp(path, "/") == 0)
        return answer_text(connection, MHD_HTTP_OK, html_type, index_page);
    return answer_text(connection, MHD_HTTP_NOT_FOUND, plain_type, "not found; see /metrics\n");
}

/* microhttpd calls it with the headers, with each piece of a body, and at the end. A refusal at the first
 * call needs no body to be read. */
static enum MHD_Result request_handle(void *context, struct MHD_Connection *connection, const char *path,
                                      const char *method, const char *version, const char *body,
                                      size_t *body_bytes, void **request)
{
    static int seen;

    (void)version;
    (void)body;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, plain_type,
                           "only GET and HEAD are answered\n");
    if (*request == NULL) {
        *request = &seen;
        return MHD_YES;
    }
    if (*body_bytes > 0) {
        *body_bytes = 0; /* a body with GET means nothing */
        return MHD_YES;
    }
    return answer_path(context, connection, path);
}

/* Bad requests are the client's affair: microhttpd's messages stay out of our log. */
static void message_ignore(void *context, const char *format, va_list arguments)
{
    (void)context;
    (void)format;
    (void)arguments;
}

/* ---- opening and closing ---- */

static struct MHD_Daemon *daemon_start(struct http *http, int fd)
{
    const unsigned flags = MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ERROR_LOG;

    return MHD_start_daemon(flags, 0, NULL, NULL, request_handle, http,            /**/
                            MHD_OPTION_EXTERNAL_LOGGER, message_ignore, NULL,      /**/
                            MHD_OPTION_LISTEN_SOCKET, fd,                          /**/
                            MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTIONS_MAX,     /**/
                            MHD_OPTION_CONNECTION_TIMEOUT, HTTP_IDLE_S,            /**/
                            MHD_OPTION_NOTIFY_CONNECTION, connection_notify, http, /**/
                            MHD_OPTION_NOTIFY_COMPLETED, request_completed, http,  /**/
                            MHD_OPTION_END);
}

int http_open(int fd, const struct http_contents *contents, struct http **out, char *error, size_t error_cap)
{
    struct http *http = calloc(1, sizeof(*http));
    sigset_t all, before;

    *out = NULL;
    if (http == NULL) {
        close(fd);
        return fail(error, error_cap, "out of memory");
    }
    http->contents = *contents;
    pthread_mutex_init(&http->lock, NULL);
    for (size_t i = 0; i < HTTP_CONNECTIONS_MAX; i++)
        http->clients[i].fd = -1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    http->daemon = daemon_start(http, fd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (http->daemon == NULL) {
        pthread_mutex_destroy(&http->lock);
        free(http);
        close(fd);
        return fail(error, error_cap, "cannot start the HTTP server: %s", strerror(errno));
    }
    *out = http;
    return 0;
}

void http_close(struct http *http)
{
    if (http == NULL)
        return;
    MHD_stop_daemon(http->daemon);
    pthread_mutex_destroy(&http->lock);
    free(http);
}
