/* http.c - the exporter's HTTP side.
 *
 * Place on the route: contents' callbacks -> [http] -> Prometheus, a person. Owns the listening socket and
 * the table of connections. microhttpd's thread runs everything but http_listen(), http_open(),
 * http_reload(), http_reap() and http_close(); auth's thread wakes connections whose password it has hashed.
 * Never writes: there is nothing to POST to.
 *
 * Why a table: microhttpd's own time limit counts inactivity only, so that a client that reads a byte now and
 * then stays for ever, and enough of them shut the exporter.
 */
#include "http.h"

#include "accept.h"
#include "auth.h"
#include "failure.h"
#include "gzip.h"
#include "log.h"
#include "now.h"
#include "port_holder.h"
#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LISTEN_BACKLOG 128

/* What a request's slot points to before a name and password have to be hashed; then to the question. */
static char seen;

static const char plain_type[] = "text/plain; charset=utf-8";
static const char json_type[] = "application/json; charset=utf-8";
static const char html_type[] = "text/html; charset=utf-8";
static const char index_page[] = "<!DOCTYPE html><html lang=\"en\"><title>ailive</title><h1>ailive</h1>"
                                 "<p><a href=\"/metrics\">/metrics</a> <a href=\"/-/healthy\">/-/healthy</a> "
                                 "<a href=\"/-/ready\">/-/ready</a></p></html>\n";

/* Closing takes microhttpd until its loop comes round: meanwhile there are more than the limit. */
#define CLIENTS_MAX (HTTP_CONNECTIONS_MAX + 32u)

struct client {
    int fd;           /* -1: free */
    bool answering;   /* has sent a whole head and does not have the whole answer yet */
    bool ending;      /* shut down by us */
    int64_t since_ms; /* connected, began to be answered, or finished its last answer */
};

/* What is rendered on demand: the forms of /metrics, and the two of the status. */
enum {
    PAGE_STATUS = EXPOSE_FORMATS,
    PAGE_STATUS_BRIEF,
    PAGES
};

/* The last page rendered in one form, shared by the answers that send it. */
struct page {
    struct MHD_Response *response; /* NULL: none yet; microhttpd counts who uses it */
    uint64_t generation;
    int64_t made_ms;
};

struct http {
    struct http_contents contents;
    const struct web_config *web; /* NULL: no TLS, no users */
    struct auth *auth;            /* NULL: nobody is asked who he is */
    int fd;                       /* listens; each daemon has a copy of its own */
    struct MHD_Daemon *daemon;    /* NULL: none could be started; tried again by http_reap() */
    struct log_condition stopped;
    pthread_mutex_t lock;
    struct client clients[CLIENTS_MAX];
    struct page pages[PAGES][2]; /* plain, gzip; microhttpd's thread only */
    _Atomic unsigned bodies;     /* rendered pages in memory; a number alone, hence relaxed */
};

/* ---- binding ---- */

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
        return failure_say(error, cap, "cannot listen on %s port %u: %s", listen->address, listen->port,
                           strerror(cause));
    port_holder(listen->port, holder, sizeof(holder));
    return failure_say(
        error, cap, "port %u on %s is in use by %s; end it, or choose another port with --listen ADDR:PORT",
        listen->port, listen->address, holder);
}

int http_address(int fd, struct config_listen *out)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t len = sizeof(address);
    bool v6;

    memset(&address, 0, sizeof(address));
    if (getsockname(fd, &address.any, &len) != 0)
        return -1;
    v6 = address.any.sa_family == AF_INET6;
    out->port = ntohs(v6 ? address.v6.sin6_port : address.v4.sin_port);
    return inet_ntop(address.any.sa_family,
                     v6 ? (const void *)&address.v6.sin6_addr : (const void *)&address.v4.sin_addr,
                     out->address, sizeof(out->address)) != NULL
               ? 0
               : -1;
}

int http_listen(const struct config_listen *where, int *fd, uint16_t *port, char *error, size_t error_cap)
{
    const int on = 1;
    struct sockaddr_storage address;
    socklen_t len = address_make(where, &address);
    struct config_listen bound;

    *fd = -1;
    if (len == 0)
        return failure_say(error, error_cap, "%s is no IP address", where->address);
    *fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0)
        return failure_say(error, error_cap, "cannot make a socket: %s", strerror(errno));
    /* Only for addresses that old connections still hold: Linux does not let two listeners share a port. */
    setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(*fd, (const struct sockaddr *)&address, len) != 0 || listen(*fd, LISTEN_BACKLOG) != 0) {
        int cause = errno;

        close(*fd);
        *fd = -1;
        return bind_fail(where, cause, error, error_cap);
    }
    *port = http_address(*fd, &bound) == 0 ? bound.port : 0;
    return 0;
}

/* ---- the table of connections ---- */

/* Shut down, not closed: the descriptor stays microhttpd's. It cannot be closed and reused meanwhile, because
 * client_ended() comes before the close and takes the same lock, which is held here. */
static void client_shut(struct client *client)
{
    client->ending = true;
    shutdown(client->fd, SHUT_RDWR);
}

/* Whether a rather than b is to go. */
static bool goes_first(const struct client *a, const struct client *b)
{
    return a->answering != b->answering ? !a->answering : a->since_ms < b->since_ms;
}

/* One more than the limit: the longest idle goes; if none is idle, the slowest reader. Lock held. */
static void make_place(struct http *http, const struct client *newest)
{
    struct client *first = NULL;
    unsigned open = 0;

    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        struct client *client = &http->clients[i];

        if (client->fd < 0 || client->ending)
            continue;
        open++;
        if (client != newest && (first == NULL || goes_first(client, first)))
            first = client;
    }
    if (open > HTTP_CONNECTIONS_MAX && first != NULL)
        client_shut(first);
}

static void client_began(struct http *http, int fd, void **slot)
{
    struct client *client = NULL;

    pthread_mutex_lock(&http->lock);
    for (size_t i = 0; i < CLIENTS_MAX && client == NULL; i++)
        if (http->clients[i].fd < 0)
            client = &http->clients[i];
    if (client != NULL) {
        *client = (struct client){.fd = fd, .since_ms = now_monotonic_ms()};
        make_place(http, client);
    }
    pthread_mutex_unlock(&http->lock);
    *slot = client;
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

static void client_turn(struct http *http, struct MHD_Connection *connection, bool answering)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct client *client = info != NULL ? info->socket_context : NULL;

    if (client == NULL)
        return;
    pthread_mutex_lock(&http->lock);
    client->answering = answering;
    client->since_ms = now_monotonic_ms();
    pthread_mutex_unlock(&http->lock);
}

/* microhttpd's: an answer has gone out, or never will. */
static void request_completed(void *context, struct MHD_Connection *connection, void **request,
                              enum MHD_RequestTerminationCode code)
{
    (void)code;
    if (*request != &seen)
        auth_question_free(*request);
    *request = NULL;
    client_turn(context, connection, false);
}

static void reap(struct http *http)
{
    int64_t now_ms = now_monotonic_ms();

    pthread_mutex_lock(&http->lock);
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        struct client *client = &http->clients[i];
        int64_t limit_ms = client->answering ? HTTP_ANSWER_MS : HTTP_HEAD_MS;

        if (client->fd >= 0 && !client->ending && now_ms - client->since_ms > limit_ms)
            client_shut(client);
    }
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
    if (status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Basic realm=\"ailive\"");
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

/* ---- the shared pages ---- */

struct body {
    struct http *http;
    char *bytes;
};

/* microhttpd's, when the last answer that sends it is through. */
static void body_free(void *context)
{
    struct body *body = context;

    atomic_fetch_sub_explicit(&body->http->bodies, 1, memory_order_relaxed);
    free(body->bytes);
    free(body);
}

/* Takes the buffer's memory over, whatever happens. NULL: out of memory. */
static struct MHD_Response *body_response(struct http *http, struct buffer *buffer)
{
    struct body *body = malloc(sizeof(*body));
    struct MHD_Response *response = NULL;

    if (body != NULL) {
        *body = (struct body){http, buffer->bytes};
        response = MHD_create_response_from_buffer_with_free_callback_cls(buffer->used, buffer->bytes,
                                                                          body_free, body);
    }
    if (response == NULL) {
        free(body);
        buffer_fini(buffer);
    } else {
        atomic_fetch_add_explicit(&http->bodies, 1, memory_order_relaxed);
    }
    return response;
}

static bool page_render_plain(struct http *http, unsigned kind, struct buffer *out)
{
    const struct http_contents *contents = &http->contents;

    if (kind < EXPOSE_FORMATS)
        return contents->metrics(contents->context, (enum expose_format)kind, out);
    return contents->status(contents->context, kind == PAGE_STATUS_BRIEF, out);
}

static bool page_render(struct http *http, unsigned kind, bool gzip, struct buffer *out)
{
    struct buffer plain;
    bool fine;

    buffer_init(&plain);
    fine = page_render_plain(http, kind, gzip ? &plain : out);
    if (fine && gzip)
        fine = gzip_compress(&plain, out);
    buffer_fini(&plain);
    return fine;
}

static const char *page_type(unsigned kind)
{
    return kind < EXPOSE_FORMATS ? expose_content_type((enum expose_format)kind) : json_type;
}

static bool page_make(struct http *http, unsigned kind, bool gzip, struct page *page)
{
    struct MHD_Response *response;
    struct buffer buffer;

    buffer_init(&buffer);
    if (!page_render(http, kind, gzip, &buffer)) {
        buffer_fini(&buffer);
        return false;
    }
    response = body_response(http, &buffer);
    if (response == NULL)
        return false;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, page_type(kind));
    MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
    if (gzip)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    if (page->response != NULL)
        MHD_destroy_response(page->response);
    page->response = response;
    return true;
}

/* Readers that do not read hold old pages: the slowest of them is closed, which frees its page when the loop
 * comes round. */
static void shut_slowest(struct http *http)
{
    struct client *slowest = NULL;

    pthread_mutex_lock(&http->lock);
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        struct client *client = &http->clients[i];

        if (client->fd >= 0 && !client->ending && client->answering &&
            (slowest == NULL || client->since_ms < slowest->since_ms))
            slowest = client;
    }
    if (slowest != NULL)
        client_shut(slowest);
    pthread_mutex_unlock(&http->lock);
}

unsigned http_bodies(const struct http *http)
{
    return atomic_load_explicit(&http->bodies, memory_order_relaxed);
}

/* A page that is new enough. NULL: there is none. */
static struct MHD_Response *page_get(struct http *http, unsigned kind, bool gzip)
{
    const struct http_contents *contents = &http->contents;
    struct page *page = &http->pages[kind][gzip];
    uint64_t generation =
        (kind < EXPOSE_FORMATS ? contents->generation : contents->status_generation)(contents->context);
    int64_t now_ms = now_monotonic_ms();
    int64_t fresh_ms = kind < EXPOSE_FORMATS ? HTTP_FRESH_MS : HTTP_STATUS_MS;

    if (page->response != NULL && page->generation == generation && now_ms - page->made_ms < fresh_ms)
        return page->response;
    if (http_bodies(http) >= HTTP_BODIES_MAX) {
        shut_slowest(http);
        return page->response; /* the last one, this once */
    }
    if (!page_make(http, kind, gzip, page))
        return NULL;
    page->generation = generation;
    page->made_ms = now_ms;
    return page->response;
}

static void pages_fini(struct http *http)
{
    for (unsigned kind = 0; kind < PAGES; kind++)
        for (unsigned gzip = 0; gzip < 2; gzip++)
            if (http->pages[kind][gzip].response != NULL)
                MHD_destroy_response(http->pages[kind][gzip].response);
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result answer_metrics(struct http *http, struct MHD_Connection *connection)
{
    enum expose_format format = accept_format(header(connection, MHD_HTTP_HEADER_ACCEPT));
    bool gzip = accept_gzip(header(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING));
    struct MHD_Response *response = page_get(http, format, gzip);

    if (response != NULL)
        return MHD_queue_response(connection, MHD_HTTP_OK, response);
    return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, plain_type,
                       "no metrics now: starting, or out of memory\n");
}

static enum MHD_Result answer_status(struct http *http, struct MHD_Connection *connection)
{
    const char *history = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "history");
    unsigned kind = history != NULL && strcmp(history, "brief") == 0 ? PAGE_STATUS_BRIEF : PAGE_STATUS;
    bool gzip = accept_gzip(header(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING));
    struct MHD_Response *response = page_get(http, kind, gzip);

    if (response != NULL)
        return MHD_queue_response(connection, MHD_HTTP_OK, response);
    return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, plain_type,
                       "no status now: starting, or out of memory\n");
}

/* A file of the page: nothing but what we serve ourselves may be run, shown or asked for by it. */
static struct MHD_Response *file_response(const struct http_file *file, bool gzip)
{
    struct MHD_Response *response;
    struct buffer plain;

    if (gzip) {
        response = MHD_create_response_from_buffer(file->gzip_bytes, (void *)(uintptr_t)file->gzip,
                                                   MHD_RESPMEM_PERSISTENT);
        if (response != NULL)
            MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
        return response;
    }
    buffer_init(&plain);
    if (!gzip_expand(file->gzip, file->gzip_bytes, file->plain_bytes, &plain)) {
        buffer_fini(&plain);
        return NULL;
    }
    response = MHD_create_response_from_buffer(plain.used, plain.bytes, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        buffer_fini(&plain);
    return response;
}

static enum MHD_Result answer_file(struct MHD_Connection *connection, const struct http_file *file)
{
    struct MHD_Response *response =
        file_response(file, accept_gzip(header(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING)));

    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    MHD_add_response_header(
        response, "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    return answer(connection, MHD_HTTP_OK, file->type, response);
}

static enum MHD_Result answer_ready(struct http *http, struct MHD_Connection *connection)
{
    struct buffer line;
    bool ready;

    buffer_init(&line);
    ready = http->contents.ready(http->contents.context, &line);
    return answer_buffer(connection, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, plain_type, &line);
}

/* The path of an absolute-form target (`GET http://host/metrics`), as a proxy's client sends it. */
static const char *target_path(const char *target)
{
    const char *scheme = strstr(target, "://"), *path;

    if (target[0] == '/' || scheme == NULL)
        return target;
    path = strchr(scheme + 3, '/');
    return path != NULL ? path : "/";
}

static enum MHD_Result answer_path(struct http *http, struct MHD_Connection *connection, const char *path)
{
    if (strcmp(path, "/metrics") == 0)
        return answer_metrics(http, connection);
    if (strcmp(path, "/-/healthy") == 0)
        return answer_text(connection, MHD_HTTP_OK, plain_type, "healthy\n");
    if (strcmp(path, "/-/ready") == 0)
        return answer_ready(http, connection);
    if (strcmp(path, "/api/v1/status") == 0 && http->contents.status != NULL)
        return answer_status(http, connection);
    for (const struct http_file *file = http->contents.files; file != NULL && file->path != NULL; file++)
        if (strcmp(path, file->path) == 0)
            return answer_file(connection, file);
    if (strcmp(path, "/") == 0)
        return answer_text(connection, MHD_HTTP_OK, html_type,
                           http->contents.page != NULL ? http->contents.page : index_page);
    return answer_text(connection, MHD_HTTP_NOT_FOUND, plain_type, "not found; see /metrics\n");
}

/* ---- who may ask ---- */

static bool certificate_is_fine(const struct http *http, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info;

    if (http->web == NULL || http->web->client_auth == WEB_CLIENT_NONE)
        return true;
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return tls_peer_is_fine(http->web, info != NULL ? info->tls_session : NULL);
}

/* On auth's thread: request_handle() is called again. */
static void question_told(void *connection)
{
    MHD_resume_connection(connection);
}

/* Not known yet: the connection sleeps until it is, and the thread goes on with the others. false: too many
 * sleep already. */
static bool user_ask(const struct http *http, struct MHD_Connection *connection, const char *name,
                     const char *password, void **request)
{
    struct auth_question *question = auth_question_new(http->auth, name, password, question_told, connection);

    if (question == NULL)
        return false;
    *request = question;
    MHD_suspend_connection(connection); /* before the verdict can wake it */
    auth_ask(http->auth, question);
    return true;
}

/* Whether the connection sleeps now; else verdict says what to answer. */
static bool user_is_waited_for(const struct http *http, struct MHD_Connection *connection, void **request,
                               enum auth_verdict *verdict)
{
    char *password = NULL, *name;
    bool asked;

    *verdict = AUTH_GRANTED;
    if (http->auth == NULL)
        return false;
    if (*request != &seen) {
        *verdict = auth_question_verdict(*request);
        return false;
    }
    name = MHD_basic_auth_get_username_password(connection, &password);
    *verdict = auth_check(http->auth, name, password);
    asked = *verdict == AUTH_UNKNOWN && user_ask(http, connection, name, password, request);
    MHD_free(name);
    MHD_free(password);
    return asked;
}

static enum MHD_Result answer_known(struct http *http, struct MHD_Connection *connection, const char *path,
                                    enum auth_verdict verdict)
{
    if (verdict == AUTH_REFUSED)
        return answer_text(connection, MHD_HTTP_UNAUTHORIZED, plain_type, "name and password are needed\n");
    if (verdict == AUTH_UNKNOWN)
        return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, plain_type,
                           "too many names and passwords wait to be checked: try again\n");
    return answer_path(http, connection, target_path(path));
}

/* microhttpd calls it with the headers, with each piece of a body, and at the end. A refusal at the first
 * call needs no body to be read. */
static enum MHD_Result request_handle(void *context, struct MHD_Connection *connection, const char *path,
                                      const char *method, const char *version, const char *body,
                                      size_t *body_bytes, void **request)
{
    enum auth_verdict verdict;

    (void)version;
    (void)body;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, plain_type,
                           "only GET and HEAD are answered\n");
    if (*request == NULL) {
        *request = &seen;
        client_turn(context, connection, true);
        return certificate_is_fine(context, connection) ? MHD_YES : MHD_NO;
    }
    if (*body_bytes > 0) {
        *body_bytes = 0; /* a body with GET means nothing */
        return MHD_YES;
    }
    if (user_is_waited_for(context, connection, request, &verdict))
        return MHD_YES;
    return answer_known(context, connection, path, verdict);
}

/* Bad requests are the client's affair: microhttpd's messages stay out of our log. */
static void message_ignore(void *context, const char *format, va_list arguments)
{
    (void)context;
    (void)format;
    (void)arguments;
}

/* ---- opening and closing ---- */

static void add_option(struct MHD_OptionItem *options, size_t *used, enum MHD_OPTION option, const char *text)
{
    options[(*used)++] = (struct MHD_OptionItem){option, 0, (void *)(uintptr_t)text};
}

/* options: room for five. Returns the flag that goes with them. */
static unsigned tls_options(const struct web_config *web, struct MHD_OptionItem *options)
{
    size_t used = 0;

    if (web != NULL && web->certificate != NULL) {
        add_option(options, &used, MHD_OPTION_HTTPS_MEM_CERT, web->certificate);
        add_option(options, &used, MHD_OPTION_HTTPS_MEM_KEY, web->key);
        add_option(options, &used, MHD_OPTION_HTTPS_PRIORITIES, tls_priorities(web));
        if (web->client_ca != NULL)
            add_option(options, &used, MHD_OPTION_HTTPS_MEM_TRUST, web->client_ca);
    }
    options[used] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    return used > 0 ? MHD_USE_TLS : 0;
}

static struct MHD_Daemon *daemon_start_on(struct http *http, int fd)
{
    struct MHD_OptionItem tls[5];
    const unsigned flags = MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ERROR_LOG |
                           MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | tls_options(http->web, tls);

    return MHD_start_daemon(flags, 0, NULL, NULL, request_handle, http,            /**/
                            MHD_OPTION_EXTERNAL_LOGGER, message_ignore, NULL,      /**/
                            MHD_OPTION_LISTEN_SOCKET, fd,                          /**/
                            MHD_OPTION_CONNECTION_LIMIT, CLIENTS_MAX,              /**/
                            MHD_OPTION_CONNECTION_TIMEOUT, HTTP_HEAD_MS / 1000,    /**/
                            MHD_OPTION_NOTIFY_CONNECTION, connection_notify, http, /**/
                            MHD_OPTION_NOTIFY_COMPLETED, request_completed, http,  /**/
                            MHD_OPTION_ARRAY, tls,                                 /**/
                            MHD_OPTION_END);
}

/* -1: errno says why. */
static int daemon_start(struct http *http)
{
    int fd = fcntl(http->fd, F_DUPFD_CLOEXEC, 0);
    sigset_t all, before;

    if (fd < 0)
        return -1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    http->daemon = daemon_start_on(http, fd); /* where it fails, it may have closed fd, or not */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return http->daemon != NULL ? 0 : -1;
}

static bool is_answering(struct http *http)
{
    bool answering = false;

    pthread_mutex_lock(&http->lock);
    for (size_t i = 0; i < CLIENTS_MAX && !answering; i++)
        answering = http->clients[i].fd >= 0 && !http->clients[i].ending && http->clients[i].answering;
    pthread_mutex_unlock(&http->lock);
    return answering;
}

/* The listening socket stays open: who connects meanwhile waits in its backlog. */
static void daemon_stop(struct http *http, int64_t grace_ms)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    int64_t end_ms = now_monotonic_ms() + grace_ms;
    int fd;

    if (http->daemon == NULL)
        return;
    fd = MHD_quiesce_daemon(http->daemon); /* a stop alone would shut the socket for all who share it */
    while (is_answering(http) && now_monotonic_ms() < end_ms)
        nanosleep(&pause, NULL);
    if (http->auth != NULL)
        auth_stop(http->auth); /* no connection may sleep when the daemon stops */
    MHD_stop_daemon(http->daemon);
    http->daemon = NULL;
    if (fd >= 0)
        close(fd);
}

void http_reap(struct http *http)
{
    reap(http);
    if (http->daemon != NULL || daemon_start(http) == 0)
        log_clear(&http->stopped, "the HTTP server runs again");
    else
        log_raise(&http->stopped, LOG_LEVEL_ERROR, "cannot start the HTTP server: %s; tried each second",
                  strerror(errno));
}

static void http_free(struct http *http)
{
    auth_free(http->auth);
    pthread_mutex_destroy(&http->lock);
    close(http->fd);
    free(http);
}

/* *out NULL: nobody is asked who he is. */
static bool auth_open(const struct web_config *web, struct auth **out)
{
    *out = web != NULL && web->user_count > 0 ? auth_new(web) : NULL;
    return *out != NULL || web == NULL || web->user_count == 0;
}

/* Takes fd over once it is made. */
static struct http *http_new(int fd, const struct http_contents *contents, const struct web_config *web)
{
    struct http *http = calloc(1, sizeof(*http));

    if (http == NULL || !auth_open(web, &http->auth)) {
        free(http);
        return NULL;
    }
    http->contents = *contents;
    http->web = web;
    http->fd = fd;
    pthread_mutex_init(&http->lock, NULL);
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        http->clients[i].fd = -1;
    return http;
}

int http_open(int fd, const struct http_contents *contents, const struct web_config *web, struct http **out,
              char *error, size_t error_cap)
{
    struct http *http = http_new(fd, contents, web);

    *out = NULL;
    if (http == NULL) {
        close(fd);
        return failure_say(error, error_cap, "out of memory");
    }
    if (daemon_start(http) != 0) {
        failure_say(error, error_cap, "cannot start the HTTP server: %s", strerror(errno));
        http_free(http);
        return -1;
    }
    *out = http;
    return 0;
}

int http_reload(struct http *http, const struct web_config *web)
{
    struct auth *auth;

    if (!auth_open(web, &auth))
        return -1;
    daemon_stop(http, HTTP_RELOAD_MS);
    auth_free(http->auth);
    http->auth = auth;
    http->web = web;
    http_reap(http); /* starts it again, now or later */
    return 0;
}

void http_close(struct http *http)
{
    if (http == NULL)
        return;
    daemon_stop(http, 0);
    pages_fini(http);
    http_free(http);
}
