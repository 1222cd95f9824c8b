/* source_nng.c - the nng road: batches in, replies out after the commit.
 *
 * Place on the route: producers' shippers -> nng_listener -> [nng source] -> ingest. Owns the connections of
 * all listeners. nng's threads run connection_moved() and connection_welcome(): they move bytes and change
 * hands under the source's lock, and never call ingest. The one ingest thread decodes, counts and replies.
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
#include "log.h"
#include "nng_listener.h"
#include "rows.h"

#include <wire/batch.h>
#include <wire/sp.h>

#include <assert.h>
#include <nng/nng.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLOSE_GRACE_MS  300 /* for replies under way when the source closes */
#define CLOSE_LIMIT_MS  300
#define CLOSE_STEP_MS   10
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
    enum url_road road;
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
    struct nng_listener *listeners[SOURCE_NNG_URLS_MAX];
    size_t listener_count;
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

    struct log_condition unreachable; /* the ticking thread's */
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

/* A websocket moves whole messages: the bytes to be sent as one, or whatever comes. */
static void connection_go_on_message(struct connection *connection)
{
    nng_msg *message = NULL;

    if (connection->step != STEP_REPLY) {
        nng_stream_recv(connection->stream, connection->aio);
        return;
    }
    if (nng_msg_alloc(&message, 0) != 0 || nng_msg_append(message, connection->at, connection->wanted) != 0) {
        nng_msg_free(message);
        replying_add(connection->source, -1);
        connection_fail(connection, IPC_ERROR_MEMORY);
        return;
    }
    nng_aio_set_msg(connection->aio, message);
    nng_stream_send(connection->stream, connection->aio);
}

static void connection_go_on(struct connection *connection)
{
    nng_iov iov = {connection->at + connection->moved, connection->wanted - connection->moved};

    nng_aio_set_timeout(connection->aio, step_timeout_ms(connection));
    if (connection->road == URL_WS) {
        connection_go_on_message(connection);
        return;
    }
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

/* Room for a payload; false: the connection was closed. */
static bool connection_reserve(struct connection *connection, uint64_t len_bytes)
{
    if (len_bytes < SP_REQUEST_ID_BYTES) {
        connection_fail(connection, IPC_ERROR_BACKTRACE);
        return false;
    }
    if (len_bytes > connection->payload_reserved) {
        free(connection->payload);
        connection->payload = malloc((size_t)len_bytes);
        connection->payload_reserved = connection->payload != NULL ? (size_t)len_bytes : 0;
    }
    if (connection->payload == NULL) {
        connection_fail(connection, IPC_ERROR_MEMORY);
        return false;
    }
    connection->payload_len = (size_t)len_bytes;
    return true;
}

/* The head is whole: make room for what it announces. */
static void connection_read_payload(struct connection *connection)
{
    uint64_t len_bytes;

    if (!sp_frame_read(connection->head, SOURCE_NNG_MESSAGE_MAX_BYTES, &len_bytes))
        connection_fail(connection, IPC_ERROR_FRAME);
    else if (connection_reserve(connection, len_bytes))
        connection_begin(connection, STEP_PAYLOAD, connection->payload, (size_t)len_bytes);
}

/* Bytes of a frame's head that do not travel on this road. */
static size_t head_absent_bytes(const struct connection *connection)
{
    return connection->road == URL_IPC ? 0 : connection->road == URL_WS ? SP_FRAME_BYTES : SP_TYPE_BYTES;
}

static void connection_read_head(struct connection *connection)
{
    size_t absent = head_absent_bytes(connection);

    sp_frame(0, connection->head); /* for what does not travel */
    connection_begin(connection, STEP_HEAD, connection->head + absent, SP_FRAME_BYTES - absent);
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

/* A websocket's message has gone out or come in. */
static void connection_moved_message(struct connection *connection, nng_msg *message)
{
    if (connection->step == STEP_REPLY) {
        connection_advance(connection);
        return;
    }
    if (nng_msg_len(message) > SOURCE_NNG_MESSAGE_MAX_BYTES) {
        connection_fail(connection, IPC_ERROR_FRAME);
    } else if (connection_reserve(connection, nng_msg_len(message))) {
        memcpy(connection->payload, nng_msg_body(message), connection->payload_len);
        connection_queue(connection);
    }
    nng_msg_free(message);
}

/* nng's callback: some bytes, or a message, have moved. */
static void connection_moved(void *argument)
{
    struct connection *connection = argument;
    int rc = nng_aio_result(connection->aio);
    size_t n = nng_aio_count(connection->aio);

    if (connection->road == URL_WS && rc == 0) {
        connection_moved_message(connection, nng_aio_get_msg(connection->aio));
        return;
    }
    if (connection->road == URL_WS && connection->step == STEP_REPLY)
        nng_msg_free(nng_aio_get_msg(connection->aio)); /* what could not be sent is still ours */
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

static struct connection *connection_new(struct source_nng *source, enum url_road road, nng_stream *stream)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL)
        return NULL;
    connection->source = source;
    connection->road = road;
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

/* A peer has connected. A websocket's handshake has named the protocols, and so stands for the greetings. */
static void connection_welcome(void *context, enum url_road road, nng_stream *stream)
{
    struct source_nng *source = context;
    struct connection *connection;

    if (!connection_admit(source)) {
        count_error(source, IPC_ERROR_LIMIT, NULL);
        nng_stream_free(stream);
        return;
    }
    connection = connection_new(source, road, stream);
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
    if (road == URL_WS) {
        connection_read_head(connection);
        return;
    }
    sp_greeting(SP_PROTO_REP, connection->head);
    connection_begin(connection, STEP_GREETING_OUT, connection->head, SP_GREETING_BYTES);
}

/* ---- messages become units (the ingest thread) ---- */

static void connection_reply(struct connection *connection, size_t backtrace_bytes, const struct batch *batch,
                             enum batch_status status, uint64_t bad)
{
    unsigned char *body = connection->reply + SP_FRAME_BYTES + backtrace_bytes;
    size_t absent = head_absent_bytes(connection);
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
    connection_begin(connection, STEP_REPLY, connection->reply + absent,
                     SP_FRAME_BYTES - absent + backtrace_bytes + body_bytes);
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
        count_error(source, IPC_ERROR_REFUSED, "its numbers wrap");
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

static void source_free(struct source_nng *source)
{
    for (size_t i = 0; i < source->listener_count; i++)
        nng_listener_free(source->listeners[i]);
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

static int source_listen(struct source_nng *source, const struct source_nng_options *options, char *error,
                         size_t cap)
{
    struct nng_listener_options wanted = {.remote_plaintext = options->remote_plaintext,
                                          .tls_cert = options->tls_cert,
                                          .tls_ca = options->tls_ca,
                                          .message_max_bytes = SOURCE_NNG_MESSAGE_MAX_BYTES};

    assert(options->url_count > 0 && options->url_count <= SOURCE_NNG_URLS_MAX);
    for (size_t i = 0; i < options->url_count; i++) {
        wanted.url = options->urls[i];
        if (nng_listener_open(&wanted, connection_welcome, source, &source->listeners[i], error, cap) != 0)
            return -1;
        source->listener_count = i + 1;
    }
    return 0;
}

static int source_start(struct source_nng *source, const struct source_nng_options *options, char *error,
                        size_t cap)
{
    int rc;

    if (source_listen(source, options, error, cap) != 0)
        return -1;
    rc = pthread_create(&source->thread, NULL, source_run, source);
    if (rc != 0)
        return failure_say(error, cap, "cannot start the ingest thread: %s", strerror(rc));
    for (size_t i = 0; i < source->listener_count; i++)
        nng_listener_accept(source->listeners[i]);
    return 0;
}

int source_nng_open(const struct source_nng_options *options, struct ingest *ingest, struct source_nng **out,
                    char *error, size_t error_cap)
{
    struct source_nng *source = source_new(options, ingest);
    sigset_t all, before;
    int status;

    *out = NULL;
    if (source == NULL)
        return failure_say(error, error_cap, "out of memory");
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    status = source_start(source, options, error, error_cap);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
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
    for (size_t i = 0; i < source->listener_count; i++)
        nng_listener_stop(source->listeners[i]);
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

/* Its folder may be removed while it is in use, and the socket with it. */
static void source_keep_listening(struct source_nng *source)
{
    char error[PATHS_MAX_BYTES + 160];

    for (size_t i = 0; i < source->listener_count; i++)
        switch (nng_listener_keep(source->listeners[i], error, sizeof(error))) {
        case 0:
            break;
        case 1:
            log_warning("ipc: a socket was removed while in use; it is made again");
            log_clear(&source->unreachable, "ipc: producers can connect again");
            break;
        default:
            log_raise(
                &source->unreachable, LOG_LEVEL_ERROR,
                "ipc: a socket was removed while in use: %s; producers use the spool until it can be made",
                error);
        }
}

void source_nng_tick(struct source_nng *source)
{
    source_keep_listening(source);
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
