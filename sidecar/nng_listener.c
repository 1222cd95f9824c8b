/* nng_listener.c - one URL at which producers connect; see nng_listener.h.
 *
 * Place on the route: producers -> [nng_listener] -> source_nng. Owns nng's listener, the pending accept and,
 * for ipc, the socket and its lock file. nng's threads run accepted(); nothing here blocks them. All else is
 * called by the thread that opened it.
 */
#include "nng_listener.h"

#include "failure.h"
#include "folder_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <nng/supplemental/tls/tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ACCEPT_PAUSE_MS 200 /* after a failed accept (no descriptors): no busy loop */

struct nng_listener {
    struct url url;
    char ipc_url[URL_MAX_BYTES]; /* URL_IPC: to listen at again */
    dev_t socket_dev;            /* URL_IPC: which socket is ours */
    ino_t socket_ino;
    nng_listener_fn connected;
    void *context;
    int lock_fd;
    nng_stream_listener *stream;
    nng_tls_config *tls;
    nng_aio *accepting;
    bool paused; /* accepting sleeps after an error; touched by its callback alone */
};

/* ---- accepting (nng's threads) ---- */

/* nng's callback: a peer has connected, accepting failed, or the pause after a failure is over. */
static void accepted(void *argument)
{
    struct nng_listener *listener = argument;
    int rc = nng_aio_result(listener->accepting);

    if (rc == NNG_ECLOSED || rc == NNG_ECANCELED)
        return;
    if (rc == 0 && !listener->paused)
        listener->connected(listener->context, listener->url.road,
                            nng_aio_get_output(listener->accepting, 0));
    listener->paused = rc != 0;
    if (rc != 0)
        nng_sleep_aio(ACCEPT_PAUSE_MS, listener->accepting);
    else
        nng_stream_listener_accept(listener->stream, listener->accepting);
}

/* ---- the socket of ipc:// ---- */

static bool socket_answers(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool answers;

    if (fd < 0)
        return false;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    answers = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN;
    close(fd);
    return answers;
}

/* nng would delete whatever lies at the path: only a socket that nobody listens on may go. */
static int socket_clear(const char *path, char *error, size_t cap)
{
    struct stat status;

    if (lstat(path, &status) != 0)
        return errno == ENOENT ? 0 : failure_say(error, cap, "socket %s: %s", path, strerror(errno));
    if (!S_ISSOCK(status.st_mode))
        return failure_say(
            error, cap,
            "%s is there and is no socket; it is left alone: remove it or name another with --ipc", path);
    if (socket_answers(path))
        return failure_say(error, cap, "another program listens on %s; end it, or name another with --ipc",
                           path);
    if (unlink(path) != 0)
        return failure_say(error, cap, "cannot replace the stale socket %s: %s", path, strerror(errno));
    return 0;
}

static int socket_folder(const char *path, char *error, size_t cap)
{
    char folder[PATHS_SOCKET_BYTES], *slash;
    int made;

    snprintf(folder, sizeof(folder), "%s", path);
    slash = strrchr(folder, '/');
    if (slash == NULL || slash == folder)
        return 0;
    *slash = '\0';
    made = paths_make(folder);
    return made == 0 ? 0 : failure_say(error, cap, "folder %s of the socket: %s", folder, strerror(made));
}

static void socket_lock_path(const char *path, char out[PATHS_SOCKET_BYTES + 8])
{
    snprintf(out, PATHS_SOCKET_BYTES + 8, "%s.lock", path);
}

/* The lock comes before everything: an old listener that closes removes its successor's socket. */
static int socket_lock(struct nng_listener *listener, const char *path, char *error, size_t cap)
{
    char lock_path[PATHS_SOCKET_BYTES + 8], owner[32];
    int lock_fd;

    if (socket_folder(path, error, cap) != 0)
        return -1;
    socket_lock_path(path, lock_path);
    lock_fd = folder_lock_take(AT_FDCWD, lock_path, owner, sizeof(owner));
    if (lock_fd < 0 && errno == EAGAIN)
        return failure_say(
            error, cap, "another sidecar (pid %s) listens on %s; end it, or name another socket with --ipc",
            owner, path);
    if (lock_fd < 0)
        return failure_say(error, cap, "socket %s: cannot make its lock file: %s", path, strerror(errno));
    if (listener->lock_fd >= 0)
        close(listener->lock_fd);
    listener->lock_fd = lock_fd;
    return 0;
}

static bool socket_lock_in_place(const struct nng_listener *listener)
{
    char lock_path[PATHS_SOCKET_BYTES + 8];

    socket_lock_path(listener->url.path, lock_path);
    return folder_lock_names(AT_FDCWD, lock_path, AT_SYMLINK_NOFOLLOW, listener->lock_fd);
}

static bool socket_in_place(const struct nng_listener *listener)
{
    struct stat there;

    return listener->stream != NULL && lstat(listener->url.path, &there) == 0 &&
           there.st_dev == listener->socket_dev && there.st_ino == listener->socket_ino;
}

/* Ours to make: the lock, then nothing living at the path. */
static int socket_claim(struct nng_listener *listener, const char *path, char *error, size_t cap)
{
    if (socket_lock(listener, path, error, cap) != 0)
        return -1;
    return socket_clear(path, error, cap);
}

/* A folder that its group shares (setgid, group may write: /run/ailive as the package makes it) is one trust
 * domain, and hosts of the group connect; anywhere else only our own user does. */
static int socket_mode(const char *path)
{
    char folder[PATHS_SOCKET_BYTES];
    const char *slash = strrchr(path, '/');
    struct stat status;

    snprintf(folder, sizeof(folder), "%.*s", slash != NULL ? (int)(slash - path) + 1 : 1,
             slash != NULL ? path : ".");
    return stat(folder, &status) == 0 && (status.st_mode & S_ISGID) != 0 && (status.st_mode & S_IWGRP) != 0
               ? 0660
               : 0600;
}

/* ---- what differs between the roads ---- */

static int ipc_prepare(struct nng_listener *listener)
{
    return nng_stream_listener_set_int(listener->stream, NNG_OPT_IPC_PERMISSIONS,
                                       socket_mode(listener->url.path));
}

/* nng reads certificate and key from one file. */
static int tls_prepare(struct nng_listener *listener, const struct nng_listener_options *options, char *error,
                       size_t cap)
{
    int rc;

    if (options->tls_cert == NULL || options->tls_ca == NULL)
        return failure_say(error, cap, "%s needs --ipc-cert and --ipc-ca", options->url);
    rc = nng_tls_config_alloc(&listener->tls, NNG_TLS_MODE_SERVER);
    if (rc == NNG_ENOTSUP)
        return failure_say(error, cap,
                           "%s: this libnng was built without TLS; use ipc:// or tcp:// on loopback",
                           options->url);
    if (rc == 0)
        rc = nng_tls_config_auth_mode(listener->tls, NNG_TLS_AUTH_MODE_REQUIRED);
    if (rc != 0)
        return failure_say(error, cap, "%s: %s", options->url, nng_strerror(rc));
    rc = nng_tls_config_cert_key_file(listener->tls, options->tls_cert, NULL);
    if (rc != 0)
        return failure_say(error, cap,
                           "--ipc-cert %s: %s; it must hold a certificate and its private key, as PEM",
                           options->tls_cert, nng_strerror(rc));
    rc = nng_tls_config_ca_file(listener->tls, options->tls_ca);
    if (rc != 0)
        return failure_say(error, cap, "--ipc-ca %s: %s; it must hold certificates, as PEM", options->tls_ca,
                           nng_strerror(rc));
    return 0;
}

/* Whole messages, and the name under which nng's own REP listens. "ws:msgmode" is what nng's SP transport
 * sets; nng.h does not name it. */
static int ws_prepare(struct nng_listener *listener, size_t message_max_bytes)
{
    int rc = nng_stream_listener_set_bool(listener->stream, "ws:msgmode", true);

    if (rc == 0)
        rc = nng_stream_listener_set_string(listener->stream, NNG_OPT_WS_PROTOCOL, "rep.sp.nanomsg.org");
    if (rc == 0)
        rc = nng_stream_listener_set_size(listener->stream, NNG_OPT_RECVMAXSZ, message_max_bytes);
    if (rc == 0)
        rc = nng_stream_listener_set_size(listener->stream, NNG_OPT_WS_RECVMAXFRAME, message_max_bytes);
    return rc;
}

static int listener_prepare(struct nng_listener *listener, const struct nng_listener_options *options)
{
    switch (listener->url.road) {
    case URL_IPC:
        return ipc_prepare(listener);
    case URL_TLS:
        return nng_stream_listener_set_ptr(listener->stream, NNG_OPT_TLS_CONFIG, listener->tls);
    case URL_WS:
        return ws_prepare(listener, options->message_max_bytes);
    default:
        return 0;
    }
}

/* ---- opening, keeping and closing ---- */

static void ipc_note(struct nng_listener *listener)
{
    struct stat made;

    if (listener->url.road != URL_IPC || lstat(listener->url.path, &made) != 0)
        return; /* removed already: the next look finds another one, or none, at the path */
    listener->socket_dev = made.st_dev;
    listener->socket_ino = made.st_ino;
}

static int listener_begin(struct nng_listener *listener, const struct nng_listener_options *options)
{
    int rc = nng_stream_listener_alloc(&listener->stream, options->url);

    if (rc == 0)
        rc = listener_prepare(listener, options);
    if (rc == 0)
        rc = nng_stream_listener_listen(listener->stream);
    if (rc == 0)
        rc = nng_aio_alloc(&listener->accepting, accepted, listener);
    if (rc == 0)
        ipc_note(listener);
    return rc;
}

static void listener_end(struct nng_listener *listener)
{
    if (listener->accepting != NULL)
        nng_aio_free(listener->accepting);
    if (listener->stream != NULL)
        nng_stream_listener_free(listener->stream);
    listener->accepting = NULL;
    listener->stream = NULL;
    listener->paused = false;
}

static int listener_listen(struct nng_listener *listener, const struct nng_listener_options *options,
                           char *error, size_t cap)
{
    int rc;

    if (listener->url.road == URL_IPC && socket_claim(listener, listener->url.path, error, cap) != 0)
        return -1;
    if (listener->url.road == URL_TLS && tls_prepare(listener, options, error, cap) != 0)
        return -1;
    rc = listener_begin(listener, options);
    return rc == 0 ? 0 : failure_say(error, cap, "cannot listen on %s: %s", options->url, nng_strerror(rc));
}

int nng_listener_open(const struct nng_listener_options *options, nng_listener_fn connected, void *context,
                      struct nng_listener **out, char *error, size_t error_cap)
{
    struct nng_listener *listener = calloc(1, sizeof(*listener));
    const char *wrong;

    *out = NULL;
    if (listener == NULL)
        return failure_say(error, error_cap, "out of memory");
    listener->lock_fd = -1;
    listener->connected = connected;
    listener->context = context;
    wrong = url_read(options->url, options->remote_plaintext, &listener->url);
    if (wrong != NULL)
        failure_say(error, error_cap, "%s: %s", options->url, wrong);
    if (wrong != NULL || listener_listen(listener, options, error, error_cap) != 0) {
        nng_listener_free(listener);
        return -1;
    }
    snprintf(listener->ipc_url, sizeof(listener->ipc_url), "%s", options->url);
    *out = listener;
    return 0;
}

void nng_listener_accept(struct nng_listener *listener)
{
    nng_stream_listener_accept(listener->stream, listener->accepting);
}

/* nng's close removes whatever lies at the path: so the lock and a look at the path come first. */
int nng_listener_keep(struct nng_listener *listener, char *error, size_t error_cap)
{
    const struct nng_listener_options options = {.url = listener->ipc_url};
    const char *path = listener->url.path;
    int rc;

    if (listener->url.road != URL_IPC || (socket_lock_in_place(listener) && socket_in_place(listener)))
        return 0;
    if (!socket_lock_in_place(listener) && socket_lock(listener, path, error, error_cap) != 0)
        return -1;
    if (!socket_in_place(listener) && socket_clear(path, error, error_cap) != 0)
        return -1;
    nng_listener_stop(listener);
    listener_end(listener);
    rc = listener_begin(listener, &options);
    if (rc != 0) {
        listener_end(listener);
        return failure_say(error, error_cap, "cannot listen on %s: %s", options.url, nng_strerror(rc));
    }
    nng_listener_accept(listener);
    return 1;
}

void nng_listener_stop(struct nng_listener *listener)
{
    if (listener->stream == NULL) /* it could not be made again */
        return;
    nng_stream_listener_close(listener->stream);
    nng_aio_stop(listener->accepting);
}

void nng_listener_free(struct nng_listener *listener)
{
    if (listener == NULL)
        return;
    listener_end(listener);
    if (listener->tls != NULL)
        nng_tls_config_free(listener->tls);
    if (listener->lock_fd >= 0)
        close(listener->lock_fd);
    free(listener);
}
