/* rep_peer.c - see rep_peer.h. Blocking stream sockets, one poll loop, the codecs of sdk/wire. */
#include "rep_peer.h"

#include "wire/sp.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define IN_BYTES (SP_GREETING_BYTES + 2 * (SP_FRAME_BYTES + SP_REQUEST_ID_BYTES + BATCH_MAX_BYTES))

struct connection {
    int fd;
    bool greeted;
    size_t len;
    unsigned char in[IN_BYTES];
};

/* Of the peer's thread alone. */
struct loop {
    struct connection connections[REP_PEER_CONNECTIONS];
    struct batch_storage storage;
    const struct layout_name *by_id[BATCH_IDS];
};

static uint64_t hash_of(const unsigned char *data, size_t len)
{
    uint64_t hash = 14695981039346656037u;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ data[i]) * 1099511628211u;
    return hash;
}

static struct rep_peer_ring *ring_of(struct rep_peer *peer, const struct batch *batch)
{
    struct rep_peer_ring *ring;

    for (size_t i = 0; i < peer->ring_count; i++) {
        ring = &peer->rings[i];
        if (ring->ring == batch->ring &&
            memcmp(&ring->producer, &batch->producer, sizeof(ring->producer)) == 0)
            return ring;
    }
    assert(peer->ring_count < REP_PEER_RINGS);
    ring = &peer->rings[peer->ring_count++];
    memset(ring, 0, sizeof(*ring));
    ring->producer = batch->producer;
    ring->ring = batch->ring;
    ring->next = batch->first;
    return ring;
}

static void copy_text(char out[97], const struct layout_name *name)
{
    memset(out, 0, 97);
    if (name)
        memcpy(out, name->text, name->len_bytes);
}

static void remember_rows(struct rep_peer *peer, struct loop *loop, const struct batch *batch)
{
    batch_index_names(batch, loop->by_id);
    for (uint32_t i = 0; i < batch->count && peer->row_count < REP_PEER_ROWS; i++) {
        struct rep_peer_row *row = &peer->rows[peer->row_count++];
        row->seq = batch->first + i;
        row->ring = batch->ring;
        batch_row(batch, i, &row->row);
        row->valid = batch_row_valid(&row->row, loop->by_id);
        copy_text(row->reason, loop->by_id[row->row.reason]);
        copy_text(row->stage, loop->by_id[row->row.stage]);
        copy_text(row->component, loop->by_id[row->row.component]);
        copy_text(row->run_id, loop->by_id[row->row.run_id]);
    }
    batch_unindex_names(batch, loop->by_id);
}

static void take_in(struct rep_peer *peer, struct loop *loop, const struct batch *batch, bool keep)
{
    struct rep_peer_ring *ring = ring_of(peer, batch);

    memcpy(ring->door, batch->door, sizeof(ring->door));
    if (batch->count == 0 || !keep)
        return;
    if (batch->drop >= 0) {
        ring->dropped += batch->count;
        return;
    }
    if (batch->first > ring->next)
        ring->gaps++;
    if (batch->first < ring->next) {
        ring->again += batch->count;
        return;
    }
    ring->rows += batch->count;
    ring->next = batch->first + batch->count;
    remember_rows(peer, loop, batch);
}

static uint32_t status_for(const struct rep_peer *peer, const struct batch *batch)
{
    if (peer->any_status != 0)
        return peer->any_status;
    return batch->count > 0 && batch->drop < 0 ? peer->record_status : (uint32_t)BATCH_COUNTED;
}

static bool reply(int fd, const unsigned char *id, const struct batch *batch, uint32_t status)
{
    unsigned char out[SP_FRAME_BYTES + SP_REQUEST_ID_BYTES + BATCH_REPLY_MAX_BYTES];
    struct batch_reply answer = {.producer = batch->producer,
                                 .ring = batch->ring,
                                 .first = batch->first,
                                 .count = batch->count,
                                 .status = status};
    size_t len =
        batch_reply_encode(&answer, out + SP_FRAME_BYTES + SP_REQUEST_ID_BYTES, BATCH_REPLY_MAX_BYTES);

    sp_frame(SP_REQUEST_ID_BYTES + len, out);
    memcpy(out + SP_FRAME_BYTES, id, SP_REQUEST_ID_BYTES);
    len += SP_FRAME_BYTES + SP_REQUEST_ID_BYTES;
    return send(fd, out, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool is_overfull(const struct batch *batch)
{
    size_t names_bytes = 0;

    for (uint32_t i = 0; i < batch->name_count; i++)
        names_bytes += batch->names[i].len_bytes;
    return batch->drop < 0 &&
           batch->count > batch_rows_max(batch->name_count, names_bytes, batch->shape_count);
}

/* One request. false: close the connection. */
static bool serve(struct rep_peer *peer, struct loop *loop, int fd, const unsigned char *payload, size_t len)
{
    const unsigned char *body = payload + SP_REQUEST_ID_BYTES;
    struct rep_peer_request *request;
    struct batch batch;
    uint32_t status;
    bool lose, alive = true;

    pthread_mutex_lock(&peer->lock);
    if (sp_backtrace_bytes(payload, len) != SP_REQUEST_ID_BYTES ||
        batch_decode(body, len - SP_REQUEST_ID_BYTES, &loop->storage, &batch, NULL) != BATCH_OK) {
        peer->bad++;
        pthread_mutex_unlock(&peer->lock);
        return false;
    }
    peer->overfull += is_overfull(&batch);
    status = status_for(peer, &batch);
    lose = batch.count > 0 && peer->lose > 0;
    peer->lose -= lose;
    take_in(peer, loop, &batch, status == BATCH_COUNTED || status == BATCH_BAD_ROWS);
    request = &peer->requests[peer->request_count % REP_PEER_REQUESTS];
    *request = (struct rep_peer_request){batch.ring,
                                         batch.first,
                                         batch.count,
                                         batch.drop,
                                         hash_of(body, len - SP_REQUEST_ID_BYTES),
                                         !lose && !peer->silent};
    peer->request_count++;
    if (request->answered)
        alive = reply(fd, payload, &batch, status);
    if (!request->answered && !lose && batch.count > 0) {
        peer->late = batch;
        peer->late_fd = fd;
        memcpy(peer->late_id, payload, sizeof(peer->late_id));
    }
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->lock);
    return alive && !lose;
}

static void consume(struct connection *connection, size_t len)
{
    connection->len -= len;
    memmove(connection->in, connection->in + len, connection->len);
}

/* Everything whole in the input. false: close the connection. */
static bool serve_input(struct rep_peer *peer, struct loop *loop, struct connection *connection)
{
    uint64_t len;

    if (!connection->greeted) {
        if (connection->len < SP_GREETING_BYTES)
            return true;
        if (!sp_greeting_is(connection->in, SP_PROTO_REQ))
            return false;
        connection->greeted = true;
        consume(connection, SP_GREETING_BYTES);
    }
    while (connection->len >= SP_FRAME_BYTES) {
        if (!sp_frame_read(connection->in, SP_REQUEST_ID_BYTES + BATCH_MAX_BYTES, &len))
            return false;
        if (connection->len - SP_FRAME_BYTES < len)
            return true;
        if (!serve(peer, loop, connection->fd, connection->in + SP_FRAME_BYTES, (size_t)len))
            return false;
        consume(connection, SP_FRAME_BYTES + (size_t)len);
    }
    return true;
}

static void accept_one(struct rep_peer *peer, struct loop *loop)
{
    unsigned char greeting[SP_GREETING_BYTES];
    int fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    sp_greeting(SP_PROTO_REP, greeting);
    for (size_t i = 0; i < REP_PEER_CONNECTIONS; i++)
        if (loop->connections[i].fd < 0) {
            loop->connections[i].fd = fd;
            loop->connections[i].greeted = false;
            loop->connections[i].len = 0;
            (void)!send(fd, greeting, sizeof(greeting), MSG_NOSIGNAL);
            pthread_mutex_lock(&peer->lock);
            peer->connections++;
            pthread_mutex_unlock(&peer->lock);
            return;
        }
    close(fd);
}

static void read_one(struct rep_peer *peer, struct loop *loop, struct connection *connection)
{
    ssize_t n = recv(connection->fd, connection->in + connection->len,
                     sizeof(connection->in) - connection->len, MSG_DONTWAIT);

    if (n > 0) {
        connection->len += (size_t)n;
        if (serve_input(peer, loop, connection))
            return;
    }
    close(connection->fd);
    connection->fd = -1;
}

static bool stopping(struct rep_peer *peer)
{
    bool stop;

    pthread_mutex_lock(&peer->lock);
    stop = peer->stop;
    pthread_mutex_unlock(&peer->lock);
    return stop;
}

static void *peer_main(void *context)
{
    struct rep_peer *peer = context;
    struct loop *loop = calloc(1, sizeof(*loop));
    struct pollfd wait[REP_PEER_CONNECTIONS + 2];

    for (size_t i = 0; i < REP_PEER_CONNECTIONS; i++)
        loop->connections[i].fd = -1;
    while (!stopping(peer)) {
        for (size_t i = 0; i < REP_PEER_CONNECTIONS; i++)
            wait[i] = (struct pollfd){loop->connections[i].fd, POLLIN, 0};
        wait[REP_PEER_CONNECTIONS] = (struct pollfd){peer->listener, POLLIN, 0};
        wait[REP_PEER_CONNECTIONS + 1] = (struct pollfd){peer->wake[0], POLLIN, 0};
        poll(wait, REP_PEER_CONNECTIONS + 2, 1000);
        for (size_t i = 0; i < REP_PEER_CONNECTIONS; i++)
            if (wait[i].fd >= 0 && wait[i].revents)
                read_one(peer, loop, &loop->connections[i]);
        if (wait[REP_PEER_CONNECTIONS].revents)
            accept_one(peer, loop);
    }
    for (size_t i = 0; i < REP_PEER_CONNECTIONS; i++)
        if (loop->connections[i].fd >= 0)
            close(loop->connections[i].fd);
    free(loop);
    return NULL;
}

void rep_peer_open(struct rep_peer *peer, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memset(peer, 0, sizeof(*peer));
    peer->late_fd = -1;
    pthread_mutex_init(&peer->lock, NULL);
    pthread_cond_init(&peer->changed, NULL);
    strncpy(peer->path, path, sizeof(peer->path) - 1);
    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    unlink(path);
    peer->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pipe2(peer->wake, O_CLOEXEC) != 0 || peer->listener < 0 ||
        bind(peer->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(peer->listener, 16) != 0 || pthread_create(&peer->thread, NULL, peer_main, peer) != 0)
        abort();
}

void rep_peer_close(struct rep_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    peer->stop = true;
    pthread_mutex_unlock(&peer->lock);
    (void)!write(peer->wake[1], "x", 1);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    close(peer->wake[0]);
    close(peer->wake[1]);
    unlink(peer->path);
}

void rep_peer_lose(struct rep_peer *peer, unsigned n)
{
    pthread_mutex_lock(&peer->lock);
    peer->lose = n;
    pthread_mutex_unlock(&peer->lock);
}

void rep_peer_silence(struct rep_peer *peer, bool silent)
{
    pthread_mutex_lock(&peer->lock);
    peer->silent = silent;
    pthread_mutex_unlock(&peer->lock);
}

void rep_peer_answer_late(struct rep_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    if (peer->late_fd >= 0)
        (void)reply(peer->late_fd, peer->late_id, &peer->late, BATCH_COUNTED);
    peer->late_fd = -1;
    pthread_mutex_unlock(&peer->lock);
}

void rep_peer_answer(struct rep_peer *peer, uint32_t record_status, uint32_t any_status)
{
    pthread_mutex_lock(&peer->lock);
    peer->record_status = record_status;
    peer->any_status = any_status;
    pthread_mutex_unlock(&peer->lock);
}

/* ---- asking ---- */

enum question {
    ASK_ROWS,
    ASK_AGAIN,
    ASK_GAPS,
    ASK_DROPPED,
    ASK_REQUESTS,
    ASK_DOOR
};

static uint64_t ask(const struct rep_peer *peer, enum question question, unsigned reason)
{
    uint64_t sum = 0;

    if (question == ASK_REQUESTS)
        return peer->request_count;
    for (size_t i = 0; i < peer->ring_count; i++) {
        const struct rep_peer_ring *ring = &peer->rings[i];
        const uint64_t values[] = {ring->rows, ring->again, ring->gaps, ring->dropped, 0, ring->door[reason]};
        sum += values[question];
    }
    return sum;
}

static uint64_t ask_locked(struct rep_peer *peer, enum question question)
{
    uint64_t sum;

    pthread_mutex_lock(&peer->lock);
    sum = ask(peer, question, 0);
    pthread_mutex_unlock(&peer->lock);
    return sum;
}

static bool wait_for(struct rep_peer *peer, enum question question, unsigned reason, uint64_t n,
                     unsigned timeout_ms)
{
    struct timespec until;
    bool there;
    int error = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&peer->lock);
    while (!(there = ask(peer, question, reason) >= n) && error == 0)
        error = pthread_cond_timedwait(&peer->changed, &peer->lock, &until);
    pthread_mutex_unlock(&peer->lock);
    return there;
}

bool rep_peer_wait_rows(struct rep_peer *peer, uint64_t n, unsigned timeout_ms)
{
    return wait_for(peer, ASK_ROWS, 0, n, timeout_ms);
}

bool rep_peer_wait_dropped(struct rep_peer *peer, uint64_t n, unsigned timeout_ms)
{
    return wait_for(peer, ASK_DROPPED, 0, n, timeout_ms);
}

bool rep_peer_wait_requests(struct rep_peer *peer, size_t n, unsigned timeout_ms)
{
    return wait_for(peer, ASK_REQUESTS, 0, n, timeout_ms);
}

bool rep_peer_wait_door(struct rep_peer *peer, unsigned reason, uint64_t n, unsigned timeout_ms)
{
    return wait_for(peer, ASK_DOOR, reason, n, timeout_ms);
}

uint64_t rep_peer_rows(struct rep_peer *peer)
{
    return ask_locked(peer, ASK_ROWS);
}

uint64_t rep_peer_again(struct rep_peer *peer)
{
    return ask_locked(peer, ASK_AGAIN);
}

uint64_t rep_peer_gaps(struct rep_peer *peer)
{
    return ask_locked(peer, ASK_GAPS);
}
