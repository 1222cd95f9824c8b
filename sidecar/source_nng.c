/* source_nng.c - the nng road: batches in over ipc://, replies out after the commit.
 *
 * Place on the route: producers' shippers -> [nng source] -> ingest. Owns the socket, its lock file and the
 * connections. nng's threads run connection_moved() and accepted(): they move bytes and change hands under
 * the source's lock, and never call ingest. The one ingest thread decodes, counts and replies.
 *
 * A connection always has exactly one owner: nng (its one aio is under way), the queue (a whole message waits
 * for the ingest thread), or the graveyard (to be freed by the ingest thread; nng_aio_free() waits for a
 * callback, so that a callback cannot do it). Nothing else changes a connection's fields.
 *
 * Why streams and not nng's REP socket: the 1.5.2 protocol listener stops for ever after a peer that connects
 * and closes before its greeting.
 */
#include "source_nng.h"

#include "failure.h"
#include "folder_lock.h"
#include "log.h"
#include "rows.h"

#include <wire/batch.h>
#include <wire/paths.h>
#include <wire/sp.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <nng/nng.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CLOSE_GRACE_MS  300 /* for replies under way when the source closes */
#define CLOSE_LIMIT_MS  300
#define CLOSE_STEP_MS   10
#define ACCEPT_PAUSE_MS 200 /* after a failed accept (no descriptors): no busy loop */
#define REPLY_MAX_BYTES (SP_FRAME_BYTES + 4 * SP_BACKTRACE_WORDS + BATCH_REPLY_MAX_BYTES)

enum step {
    STEP_GREETING_OUT,
    STEP_GREETING_IN,
    STEP_HEAD,
    STEP_PAYLOAD,
    STEP_QUEUED,
    STEP_REPLY
};

struct connection {
    struct source_nng *source;
    struct connection *next;  /* of all */
    struct connection *chain; /* of the queue or the graveyard */
    nng_stream *stream;
    nng_aio *aio;
    enum step step;
    unsigned char *at; /* the bytes being moved */
    size_t moved, wanted;
    unsigned char head[SP_FRAME_BYTES];
    unsigned char *payload;
    size_t payload_len, payload_reserved;
    unsigned char reply[REPLY_MAX_BYTES];
    bool known; /* has sent a batch; under the source's lock */
    struct event_producer producer;
    struct batch_totals totals; /* as of its last batch; under the source's lock */
    uint64_t backlog;
    uint64_t pid, uid;
    uint64_t marks[SOURCE_NNG_MARKS]; /* what had been recorded at the last ticks; under the source's lock */
    uint64_t mark_count;
};

struct source_nng {
    struct ingest *ingest;
    unsigned connections_max;
    int lock_fd;
    nng_stream_listener *listener;
    nng_aio *accepting;
    bool accept_paused; /* accepting sleeps after an error; touched by its callback alone */
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct connection *connections;
    struct connection *queue, **queue_end;
    struct connection *graveyard;
    unsigned connection_count, replying;
    bool closing;
    uint64_t errors[IPC_ERRORS];
    struct log_condition told[IPC_ERRORS];

    /* The ingest thread's. */
    struct batch_storage storage;
    struct rows rows;
    struct log_condition withheld;
};

static const char *const error_names[IPC_ERRORS] = {"greeting", "frame",     "backtrace", "truncated",
                                                    "stalled",  "malformed", "version",   "refused",
                                                    "limit",    "memory"};

const char *source_nng_error_name(enum source_nng_error error)
{
    return error_names[error];
}

static void count_error(struct source_nng *source, enum source_nng_error error, const char *detail)
{
    pthread_mutex_lock(&source->lock);
    source->errors[error]++;
    log_raise(&source->told[error], LOG_LEVEL_WARNING,
              "ipc: bad input (%s%s%s); further ones are only counted, in ailive_ipc_errors_total",
              error_names[error], detail != NULL ? ": " : "", detail != NULL ? detail : "");
    pthread_mutex_unlock(&source->lock);
}

/* ---- a connection moves bytes (nng's threads) ---- */

static void connection_bury(struct connection *connection)
{
    struct source_nng *source = connection->source;

    nng_stream_close(connection->stream);
    pthread_mutex_lock(&source->lock);
    connection->chain = source->graveyard;
    source->graveyard = connection;
    pthread_cond_broadcast(&source->changed);
    pthread_mutex_unlock(&source->lock);
}

/* A producer may be silent as long as it likes, but not in the middle of something. */
static nng_duration step_timeout_ms(const struct connection *connection)
{
    return connection->step == STEP_HEAD && connection->moved == 0 ? NNG_DURATION_INFINITE
                                                                   : SOURCE_NNG_STALL_MS;
}

static void connection_go_on(struct connection *connection)
{
    nng_iov iov = {connection->at + connection->moved, connection->wanted - connection->moved};

    nng_aio_set_timeout(connection->aio, step_timeout_ms(connection));
    nng_aio_set_iov(connection->aio, 1, &iov);
    if (connection->step == STEP_GREETING_OUT || connection->step == STEP_REPLY)
        nng_stream_send(connection->stream, connection->aio);
    else
        nng_stream_recv(connection->stream, connection->aio);
}

static void connection_begin(struct connection *connection, enum step step, unsigned char *bytes,
                             size_t len_bytes)
{
    connection->step = step;
    connection->at = bytes;
    connection->moved = 0;
    connection->wanted = len_bytes;
    connection_go_on(connection);
}

static void connection_fail(struct connection *connection, enum source_nng_error error)
{
    count_error(connection->source, error, NULL);
    connection_bury(connection);
}

static void replying_add(struct source_nng *source, int n)
{
    pthread_mutex_lock(&source->lock);
    source->replying += (unsigned)n;
    pthread_cond_broadcast(&source->changed);
    pthread_mutex_unlock(&source->lock);
}

static void connection_queue(struct connection *connection)
{
    struct source_nng *source = connection->source;

    pthread_mutex_lock(&source->lock);
    connection->step = STEP_QUEUED;
    connection->chain = NULL;
    *source->queue_end = connection;
    source->queue_end = &connection->chain;
    pthread_cond_broadcast(&source->changed);
    pthread_mutex_unlock(&source->lock);
}

/* The head is whole: make room for what it announces. */
static void connection_read_payload(struct connection *connection)
{
    uint64_t len_bytes;

    if (!sp_frame_read(connection->head, SOURCE_NNG_MESSAGE_MAX_BYTES, &len_bytes)) {
        connection_fail(connection, IPC_ERROR_FRAME);
        return;
    }
    if (len_bytes < SP_REQUEST_ID_BYTES) {
        connection_fail(connection, IPC_ERROR_BACKTRACE);
        return;
    }
    if (len_bytes > connection->payload_reserved) {
        free(connection->payload);
        connection->payload = malloc((size_t)len_bytes);
        connection->payload_reserved = connection->payload != NULL ? (size_t)len_bytes : 0;
    }
    if (connection->payload == NULL) {
        connection_fail(connection, IPC_ERROR_MEMORY);
        return;
    }
    connection->payload_len = (size_t)len_bytes;
    connection_begin(connection, STEP_PAYLOAD, connection->payload, (size_t)len_bytes);
}

static void connection_read_head(struct connection *connection)
{
    connection_begin(connection, STEP_HEAD, connection->head, SP_FRAME_BYTES);
}

static void connection_advance(struct connection *connection)
{
    switch (connection->step) {
    case STEP_GREETING_OUT:
        connection_begin(connection, STEP_GREETING_IN, connection->head, SP_GREETING_BYTES);
        break;
    case STEP_GREETING_IN:
        if (sp_greeting_is(connection->head, SP_PROTO_REQ))
            connection_read_head(connection);
        else
            connection_fail(connection, IPC_ERROR_GREETING);
        break;
    case STEP_HEAD:
        connection_read_payload(connection);
        break;
    case STEP_PAYLOAD:
        connection_queue(connection);
        break;
    case STEP_REPLY:
        replying_add(connection->source, -1);
        connection_read_head(connection);
        break;
    case STEP_QUEUED:
        assert(false && "a queued connection moves no bytes");
    }
}

/* The peer is gone or has stalled, or we are closing. */
static void connection_end(struct connection *connection, int rc)
{
    bool begun =
        connection->step == STEP_PAYLOAD ||
        (connection->moved > 0 && (connection->step == STEP_HEAD || connection->step == STEP_GREETING_IN));

    if (connection->step == STEP_REPLY)
        replying_add(connection->source, -1);
    if (rc == NNG_ETIMEDOUT)
        count_error(connection->source, IPC_ERROR_STALLED, NULL);
    else if (begun && rc != NNG_ECLOSED && rc != NNG_ECANCELED) /* those: by us */
        count_error(connection->source, IPC_ERROR_TRUNCATED, NULL);
    connection_bury(connection);
}

/* nng's callback: some bytes have moved. */
static void connection_moved(void *argument)
{
    struct connection *connection = argument;
    int rc = nng_aio_result(connection->aio);
    size_t n = nng_aio_count(connection->aio);

    if (rc != 0 || n == 0) {
        connection_end(connection, rc != 0 ? rc : NNG_ECONNSHUT);
        return;
    }
    connection->moved += n;
    if (connection->moved < connection->wanted)
        connection_go_on(connection);
    else
        connection_advance(connection);
}

/* ---- accepting (nng's threads) ---- */

static struct connection *connection_new(struct source_nng *source, nng_stream *stream)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL)
        return NULL;
    connection->source = source;
    connection->stream = stream;
    if (nng_aio_alloc(&connection->aio, connection_moved, connection) != 0) {
        free(connection);
        return NULL;
    }
    return connection;
}

/* Whether one more connection is within the limit; counts it in. */
static bool connection_admit(struct source_nng *source)
{
    bool admitted;

    pthread_mutex_lock(&source->lock);
    admitted = !source->closing && source->connection_count < source->connections_max;
    if (admitted)
        source->connection_count++;
    pthread_mutex_unlock(&source->lock);
    return admitted;
}

static void connection_list(struct source_nng *source, struct connection *connection)
{
    pthread_mutex_lock(&source->lock);
    connection->next = source->connections;
    source->connections = connection;
    pthread_mutex_unlock(&source->lock);
}

static void connection_welcome(struct source_nng *source, nng_stream *stream)
{
    struct connection *connection;

    if (!connection_admit(source)) {
        count_error(source, IPC_ERROR_LIMIT, NULL);
        nng_stream_free(stream);
        return;
    }
    connection = connection_new(source, stream);
    if (connection == NULL) {
        pthread_mutex_lock(&source->lock);
        source->connection_count--;
        pthread_mutex_unlock(&source->lock);
        count_error(source, IPC_ERROR_MEMORY, NULL);
        nng_stream_free(stream);
        return;
    }
    connection_list(source, connection);
    if (nng_stream_get_uint64(stream, NNG_OPT_IPC_PEER_PID, &connection->pid) != 0)
        connection->pid = 0;
    if (nng_stream_get_uint64(stream, NNG_OPT_IPC_PEER_UID, &connection->uid) != 0)
        connection->uid = 0;
    sp_greeting(SP_PROTO_REP, connection->head);
    connection_begin(connection, STEP_GREETING_OUT, connection->head, SP_GREETING_BYTES);
}

/* nng's callback: a peer has connected, accepting failed, or the pause after a failure is over. */
static void accepted(void *argument)
{
    struct source_nng *source = argument;
    int rc = nng_aio_result(source->accepting);

    if (rc == NNG_ECLOSED || rc == NNG_ECANCELED)
        return;
    if (rc == 0 && !source->accept_paused)
        connection_welcome(source, nng_aio_get_output(source->accepting, 0));
    source->accept_paused = rc != 0;
    if (rc != 0)
        nng_sleep_aio(ACCEPT_PAUSE_MS, source->accepting);
    else
        nng_stream_listener_accept(source->listener, source->accepting);
}

/* ---- messages become units (the ingest thread) ---- */

static void connection_reply(struct connection *connection, size_t backtrace_bytes, const struct batch *batch,
                             enum batch_status status, uint64_t bad)
{
    unsigned char *body = connection->reply + SP_FRAME_BYTES + backtrace_bytes;
    struct batch_reply reply = {.producer = batch->producer,
                                .ring = batch->ring,
                                .first = batch->first,
                                .count = batch->count,
                                .status = status,
                                .bad = (uint32_t)bad};
    size_t body_bytes;

    ingest_epoch(connection->source->ingest, reply.epoch);
    body_bytes = batch_reply_encode(&reply, body, BATCH_REPLY_MAX_BYTES);
    assert(body_bytes > 0);
    memcpy(connection->reply + SP_FRAME_BYTES, connection->payload, backtrace_bytes);
    sp_frame(backtrace_bytes + body_bytes, connection->reply);
    replying_add(connection->source, 1);
    connection_begin(connection, STEP_REPLY, connection->reply,
                     SP_FRAME_BYTES + backtrace_bytes + body_bytes);
}

static void connection_name(struct connection *connection, const struct batch *batch)
{
    uint64_t taken;

    pthread_mutex_lock(&connection->source->lock);
    connection->known = true;
    connection->producer = batch->producer;
    connection->totals = batch->totals;
    /* Its totals were taken before it counted this batch as shipped. */
    taken = batch->totals.shipped + batch->totals.spooled + batch->count;
    connection->backlog = batch->totals.recorded > taken ? batch->totals.recorded - taken : 0;
    pthread_mutex_unlock(&connection->source->lock);
}

static enum ingest_status batch_take(struct source_nng *source, const struct batch *batch)
{
    struct rows *rows = &source->rows;
    struct ingest_run run = {batch->producer, batch->ring, batch->first, batch->count, batch->drop, 0};
    struct ingest_door door = {.producer = batch->producer, .ring = batch->ring};
    struct ingest_unit unit = {.road = ROAD_NNG, .runs = &run, .doors = &door, .door_count = 1};
    bool records = batch->drop < 0 && batch->count > 0;

    rows->count = 0;
    if (records && rows_add_batch(rows, batch) != 0)
        return INGEST_UNCOMMITTED;
    memcpy(door.words, batch->door, sizeof(door.words));
    unit.run_count = batch->count > 0 ? 1 : 0;
    unit.rows = rows;
    return ingest_take(source->ingest, &unit, NULL);
}

/* What cannot be counted is not acknowledged: the producer keeps it and sends it again. */
static void connection_withhold(struct connection *connection, enum ingest_status status)
{
    if (status == INGEST_RANGE_LIMIT)
        log_raise(&connection->source->withheld, LOG_LEVEL_WARNING,
                  "ipc: a producer's batches are not acknowledged: it has too many gaps");
    connection_read_head(connection);
}

static void message_count(struct connection *connection, size_t backtrace_bytes, const struct batch *batch)
{
    struct source_nng *source = connection->source;
    enum ingest_status status;
    uint32_t bad;

    connection_name(connection, batch);
    status = batch_take(source, batch);
    switch (status) {
    case INGEST_COMMITTED:
        bad = rows_invalid(&source->rows);
        connection_reply(connection, backtrace_bytes, batch, bad > 0 ? BATCH_BAD_ROWS : BATCH_COUNTED, bad);
        break;
    case INGEST_REFUSED:
        count_error(source, IPC_ERROR_REFUSED, "its producer was forgotten, or its numbers wrap");
        /* A range drop that is refused must not come back as a range drop. */
        connection_reply(connection, backtrace_bytes, batch, batch->drop < 0 ? BATCH_REFUSED : BATCH_COUNTED,
                         0);
        break;
    case INGEST_UNCOMMITTED:
    case INGEST_RANGE_LIMIT:
        connection_withhold(connection, status);
        break;
    }
}

static void message_handle(struct connection *connection)
{
    struct source_nng *source = connection->source;
    size_t backtrace_bytes = sp_backtrace_bytes(connection->payload, connection->payload_len);
    const char *why = NULL;
    struct batch batch;

    if (backtrace_bytes == 0) {
        connection_fail(connection, IPC_ERROR_BACKTRACE);
        return;
    }
    switch (batch_decode(connection->payload + backtrace_bytes, connection->payload_len - backtrace_bytes,
                         &source->storage, &batch, &why)) {
    case BATCH_OK:
        message_count(connection, backtrace_bytes, &batch);
        break;
    case BATCH_MALFORMED:
        count_error(source, IPC_ERROR_MALFORMED, why);
        connection_reply(connection, backtrace_bytes, &batch, BATCH_REFUSED, 0);
        break;
    case BATCH_UNKNOWN_VERSION:
        count_error(source, IPC_ERROR_VERSION, why);
        connection_reply(connection, backtrace_bytes, &batch, BATCH_NO_VERSION, 0);
        break;
    case BATCH_UNADDRESSED:
        count_error(source, IPC_ERROR_MALFORMED, why);
        connection_bury(connection);
        break;
    }
}

/* ---- the ingest thread ---- */

static void connection_unlist(struct source_nng *source, struct connection *connection)
{
    struct connection **link = &source->connections;

    pthread_mutex_lock(&source->lock);
    while (*link != connection)
        link = &(*link)->next;
    *link = connection->next;
    source->connection_count--;
    pthread_mutex_unlock(&source->lock);
}

static void graveyard_empty(struct source_nng *source, struct connection *dead)
{
    while (dead != NULL) {
        struct connection *chain = dead->chain;

        connection_unlist(source, dead);
        nng_aio_free(dead->aio); /* waits for its callback */
        nng_stream_free(dead->stream);
        free(dead->payload);
        free(dead);
        dead = chain;
    }
}

static struct timespec deadline_in(long ms)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    now.tv_nsec += ms % 1000 * 1000000;
    now.tv_sec += ms / 1000 + now.tv_nsec / 1000000000;
    now.tv_nsec %= 1000000000;
    return now;
}

/* Takes the next message and the dead from the shared lists; waits for either. false: closing, and no message
 * is left. */
static bool source_next(struct source_nng *source, struct connection **message, struct connection **dead)
{
    pthread_mutex_lock(&source->lock);
    while (source->queue == NULL && source->graveyard == NULL && !source->closing)
        pthread_cond_wait(&source->changed, &source->lock);
    *message = source->queue;
    if (*message != NULL) {
        source->queue = (*message)->chain;
        if (source->queue == NULL)
            source->queue_end = &source->queue;
    }
    *dead = source->graveyard;
    source->graveyard = NULL;
    pthread_mutex_unlock(&source->lock);
    return *message != NULL || *dead != NULL;
}

static void source_wait_replies(struct source_nng *source)
{
    struct timespec deadline = deadline_in(CLOSE_GRACE_MS);

    pthread_mutex_lock(&source->lock);
    while (source->replying > 0)
        if (pthread_cond_timedwait(&source->changed, &source->lock, &deadline) != 0)
            break;
    pthread_mutex_unlock(&source->lock);
}

static bool deadline_passed(const struct timespec *deadline)
{
    struct timespec now = deadline_in(0);

    return now.tv_sec > deadline->tv_sec ||
           (now.tv_sec == deadline->tv_sec && now.tv_nsec >= deadline->tv_nsec);
}

/* Waits a little for a connection to come back from nng. */
static void source_wait_connection(struct source_nng *source)
{
    struct timespec until = deadline_in(CLOSE_STEP_MS);

    pthread_mutex_lock(&source->lock);
    if (source->queue == NULL && source->graveyard == NULL)
        pthread_cond_timedwait(&source->changed, &source->lock, &until);
    pthread_mutex_unlock(&source->lock);
}

/* Closing: nothing is accepted any more, so the list only shrinks, and only here. A callback may have begun a
 * receive just after the close of its stream, and nng 1.5.2 never ends that: hence the cancelling, again and
 * again. After the limit: better a leak at the end than a hang. */
static void source_drop_connections(struct source_nng *source)
{
    struct timespec deadline = deadline_in(CLOSE_LIMIT_MS);
    struct connection *message, *dead;

    for (struct connection *c = source->connections; c != NULL; c = c->next)
        nng_stream_close(c->stream);
    while (source->connections != NULL && !deadline_passed(&deadline)) {
        for (struct connection *c = source->connections; c != NULL; c = c->next)
            nng_aio_cancel(c->aio);
        source_wait_connection(source);
        if (!source_next(source, &message, &dead))
            continue;
        if (message != NULL)
            connection_bury(message);
        graveyard_empty(source, dead);
    }
}

static void *source_run(void *argument)
{
    struct source_nng *source = argument;
    struct connection *message, *dead;

    while (source_next(source, &message, &dead)) {
        graveyard_empty(source, dead);
        if (message != NULL)
            message_handle(message);
    }
    source_wait_replies(source);
    source_drop_connections(source);
    return NULL;
}

/* ---- opening and closing ---- */

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

/* The lock comes before everything: an old listener that closes removes its successor's socket. */
static int socket_claim(struct source_nng *source, const char *path, char *error, size_t cap)
{
    char lock_path[PATHS_SOCKET_BYTES + 8], owner[32];

    if (socket_folder(path, error, cap) != 0)
        return -1;
    snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
    source->lock_fd = folder_lock_take(AT_FDCWD, lock_path, owner, sizeof(owner));
    if (source->lock_fd < 0 && errno == EAGAIN)
        return failure_say(
            error, cap, "another sidecar (pid %s) listens on %s; end it, or name another socket with --ipc",
            owner, path);
    if (source->lock_fd < 0)
        return failure_say(error, cap, "socket %s: cannot make its lock file: %s", path, strerror(errno));
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

static int source_listen(struct source_nng *source, const char *url, const char *path, char *error,
                         size_t cap)
{
    int rc = nng_stream_listener_alloc(&source->listener, url);

    if (rc == 0)
        rc = nng_stream_listener_set_int(source->listener, NNG_OPT_IPC_PERMISSIONS, socket_mode(path));
    if (rc == 0)
        rc = nng_stream_listener_listen(source->listener);
    if (rc == 0)
        rc = nng_aio_alloc(&source->accepting, accepted, source);
    return rc == 0 ? 0 : failure_say(error, cap, "cannot listen on %s: %s", url, nng_strerror(rc));
}

static void source_free(struct source_nng *source)
{
    if (source->accepting != NULL)
        nng_aio_free(source->accepting);
    if (source->listener != NULL)
        nng_stream_listener_free(source->listener);
    if (source->lock_fd >= 0)
        close(source->lock_fd);
    rows_fini(&source->rows);
    pthread_cond_destroy(&source->changed);
    pthread_mutex_destroy(&source->lock);
    free(source);
}

static struct source_nng *source_new(const struct source_nng_options *options, struct ingest *ingest)
{
    struct source_nng *source = calloc(1, sizeof(*source));
    pthread_condattr_t attributes;

    if (source == NULL)
        return NULL;
    source->ingest = ingest;
    source->lock_fd = -1;
    source->connections_max =
        options->connections_max > 0 ? options->connections_max : SOURCE_NNG_CONNECTIONS_DEFAULT;
    source->queue_end = &source->queue;
    pthread_mutex_init(&source->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&source->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (rows_init(&source->rows) != 0) {
        source_free(source);
        return NULL;
    }
    return source;
}

static int source_start(struct source_nng *source, const char *url, const char *path, char *error, size_t cap)
{
    int rc;

    if (source_listen(source, url, path, error, cap) != 0)
        return -1;
    rc = pthread_create(&source->thread, NULL, source_run, source);
    if (rc != 0)
        return failure_say(error, cap, "cannot start the ingest thread: %s", strerror(rc));
    nng_stream_listener_accept(source->listener, source->accepting);
    return 0;
}

int source_nng_open(const struct source_nng_options *options, struct ingest *ingest, struct source_nng **out,
                    char *error, size_t error_cap)
{
    char path[PATHS_SOCKET_BYTES];
    const char *wrong = paths_socket(options->url, path);
    struct source_nng *source;
    sigset_t all, before;
    int status;

    *out = NULL;
    if (wrong != NULL)
        return failure_say(error, error_cap, "%s: %s", options->url, wrong);
    source = source_new(options, ingest);
    if (source == NULL)
        return failure_say(error, error_cap, "out of memory");
    status = socket_claim(source, path, error, error_cap);
    if (status == 0) {
        /* nng's first call starts its threads, and they block only SIGPIPE by themselves. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        status = source_start(source, options->url, path, error, error_cap);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (status != 0) {
        source_free(source);
        return -1;
    }
    *out = source;
    return 0;
}

void source_nng_close(struct source_nng *source)
{
    if (source == NULL)
        return;
    nng_stream_listener_close(source->listener);
    nng_aio_stop(source->accepting);
    pthread_mutex_lock(&source->lock);
    source->closing = true;
    pthread_cond_broadcast(&source->changed);
    pthread_mutex_unlock(&source->lock);
    pthread_join(source->thread, NULL);
    source_free(source);
}

/* ---- questions ---- */

void source_nng_counters(struct source_nng *source, struct source_nng_counters *out)
{
    pthread_mutex_lock(&source->lock);
    memcpy(out->errors, source->errors, sizeof(out->errors));
    out->connections = source->connection_count;
    out->producers = 0;
    out->recorded = 0;
    for (const struct connection *c = source->connections; c != NULL; c = c->next) {
        out->producers += c->known;
        out->recorded += c->totals.recorded;
    }
    pthread_mutex_unlock(&source->lock);
}

void source_nng_tick(struct source_nng *source)
{
    pthread_mutex_lock(&source->lock);
    for (struct connection *c = source->connections; c != NULL; c = c->next)
        if (c->known)
            c->marks[c->mark_count++ % SOURCE_NNG_MARKS] = c->totals.recorded;
    pthread_mutex_unlock(&source->lock);
}

/* From the oldest mark to the newest; both are whole seconds old. */
static double connection_rate(const struct connection *c)
{
    uint64_t kept = c->mark_count < SOURCE_NNG_MARKS ? c->mark_count : SOURCE_NNG_MARKS;
    uint64_t first, last;

    if (kept < 2)
        return 0;
    first = c->marks[(c->mark_count - kept) % SOURCE_NNG_MARKS];
    last = c->marks[(c->mark_count - 1) % SOURCE_NNG_MARKS];
    return last > first ? (double)(last - first) / (double)(kept - 1) : 0;
}

size_t source_nng_peers(struct source_nng *source, struct source_nng_peer *out, size_t cap)
{
    size_t count = 0;

    pthread_mutex_lock(&source->lock);
    for (const struct connection *c = source->connections; c != NULL; c = c->next) {
        if (!c->known)
            continue;
        if (count < cap)
            out[count] = (struct source_nng_peer){c->producer, c->pid,     c->uid,
                                                  c->totals,   c->backlog, connection_rate(c)};
        count++;
    }
    pthread_mutex_unlock(&source->lock);
    return count;
}

bool source_nng_connected(struct source_nng *source, const struct event_producer *producer)
{
    bool connected = false;

    pthread_mutex_lock(&source->lock);
    for (const struct connection *c = source->connections; c != NULL && !connected; c = c->next)
        connected = c->known && memcmp(&c->producer, producer, sizeof(*producer)) == 0;
    pthread_mutex_unlock(&source->lock);
    return connected;
}
