/* road_ipc.c - one SP connection over a unix socket; see road_ipc.h.
 *
 * Place on the route: shipper -> [road_ipc] -> sidecar. Owns the socket (its descriptor lies in the handle,
 * where a forked child finds it to close) and the bytes in flight. Shipper's thread only; never raises
 * SIGPIPE, never waits longer than told. */
#include "road_ipc.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int road_ipc_connect(struct road_ipc *road, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, error;

    if (strlen(path) >= sizeof(address.sun_path))
        return ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return road_ipc_adopt(road, fd);
    error = errno;
    close(fd);
    return error;
}

int road_ipc_adopt(struct road_ipc *road, int fd)
{
    unsigned char greeting[SP_GREETING_BYTES];
    int error = process_fd_set(road->socket, fd);

    if (error != 0)
        return error;
    road->greeted = false;
    road->in_len = 0;
    road->out_sent = 0;
    sp_greeting(SP_PROTO_REQ, greeting);
    errno = 0;
    if (send(fd, greeting, sizeof(greeting), MSG_NOSIGNAL) == (ssize_t)sizeof(greeting))
        return 0;
    error = errno ? errno : EPIPE;
    road_ipc_close(road);
    return error;
}

bool road_ipc_connected(const struct road_ipc *road)
{
    return road->socket->fd >= 0;
}

void road_ipc_close(struct road_ipc *road)
{
    process_fd_close(road->socket);
    road->greeted = false;
    road->in_len = 0;
    road->out_sent = 0;
}

unsigned char *road_ipc_body(struct road_ipc *road)
{
    assert(road_ipc_sent_whole(road));
    return road->out + ROAD_IPC_HEAD;
}

void road_ipc_request(struct road_ipc *road, size_t body_bytes)
{
    assert(body_bytes <= BATCH_MAX_BYTES);
    road->request++;
    sp_frame(SP_REQUEST_ID_BYTES + body_bytes, road->out);
    sp_request_id(road->request, road->out + SP_FRAME_BYTES);
    road->out_len = ROAD_IPC_HEAD + body_bytes;
    road->out_sent = 0;
}

void road_ipc_again(struct road_ipc *road)
{
    road->out_sent = 0;
}

void road_ipc_forget(struct road_ipc *road)
{
    if (road_ipc_sent_whole(road))
        road->out_len = road->out_sent = 0;
}

bool road_ipc_sent_whole(const struct road_ipc *road)
{
    return road->out_sent == 0 || road->out_sent == road->out_len;
}

/* false: the connection is broken. */
static bool road_ipc_push(struct road_ipc *road)
{
    while (road->greeted && road->out_sent < road->out_len) {
        ssize_t n;
        if (!process_fd_ours(road->socket)) /* the host's bytes go where the host sends them */
            return false;
        n = send(road->socket->fd, road->out + road->out_sent, road->out_len - road->out_sent,
                 MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        road->out_sent += (size_t)n;
    }
    return true;
}

/* Reads what is there. false: the connection is broken or at its end. */
static bool road_ipc_pull(struct road_ipc *road)
{
    size_t room = sizeof(road->in) - road->in_len;
    ssize_t n;

    if (room == 0)
        return true;
    if (!process_fd_ours(road->socket))
        return false;
    n = recv(road->socket->fd, road->in + road->in_len, room, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    road->in_len += (size_t)n;
    return n > 0;
}

static void road_ipc_consume(struct road_ipc *road, size_t len_bytes)
{
    road->in_len -= len_bytes;
    memmove(road->in, road->in + len_bytes, road->in_len);
}

/* Takes the greeting off the input once it is there. false: the peer is no REP socket. */
static bool road_ipc_greet(struct road_ipc *road)
{
    if (road->greeted || road->in_len < SP_GREETING_BYTES)
        return true;
    if (!sp_greeting_is(road->in, SP_PROTO_REP))
        return false;
    road_ipc_consume(road, SP_GREETING_BYTES);
    road->greeted = true;
    return true;
}

/* Whether a frame's payload answers our request: a backtrace of our number alone. */
static bool road_ipc_answers(const struct road_ipc *road, const unsigned char *payload, size_t len_bytes)
{
    unsigned char id[SP_REQUEST_ID_BYTES];

    sp_request_id(road->request, id);
    return sp_backtrace_bytes(payload, len_bytes) == sizeof(id) && memcmp(payload, id, sizeof(id)) == 0;
}

/* The next whole frame: 1 it answers the request (its body is moved to body), 0 none is whole, -1 the peer
 * talks nonsense. Stale replies are skipped: the request they answer was given up. */
static int road_ipc_frame(struct road_ipc *road, unsigned char *body, size_t *body_bytes)
{
    uint64_t len_bytes;

    while (road->greeted && road->in_len >= SP_FRAME_BYTES) {
        unsigned char *payload = road->in + SP_FRAME_BYTES;
        bool answers;
        if (!sp_frame_read(road->in, ROAD_IPC_IN_BYTES - SP_FRAME_BYTES, &len_bytes))
            return -1;
        if (road->in_len - SP_FRAME_BYTES < len_bytes)
            return 0;
        answers = road_ipc_answers(road, payload, (size_t)len_bytes);
        if (answers) {
            *body_bytes = (size_t)len_bytes - SP_REQUEST_ID_BYTES;
            memcpy(body, payload + SP_REQUEST_ID_BYTES, *body_bytes);
        }
        road_ipc_consume(road, SP_FRAME_BYTES + (size_t)len_bytes);
        if (answers)
            return 1;
    }
    return 0;
}

/* One pass without waiting. */
static enum road_ipc_event road_ipc_pass(struct road_ipc *road, unsigned char *body, size_t *body_bytes)
{
    bool alive = road_ipc_push(road) && road_ipc_pull(road) && road_ipc_greet(road);
    int found = road_ipc_frame(road, body, body_bytes);

    if (found > 0) { /* even when the connection ended right behind it */
        road_ipc_forget(road);
        return ROAD_IPC_REPLY;
    }
    if (!alive || found < 0 || !road_ipc_push(road)) {
        road_ipc_close(road);
        return ROAD_IPC_LOST;
    }
    return ROAD_IPC_WAITING;
}

enum road_ipc_event road_ipc_step(struct road_ipc *road, int timeout_ms, unsigned char *body,
                                  size_t *body_bytes)
{
    enum road_ipc_event event = road_ipc_pass(road, body, body_bytes);
    struct pollfd wait = {.fd = road->socket->fd, .events = POLLIN};

    if (event != ROAD_IPC_WAITING || timeout_ms == 0)
        return event;
    if (road->greeted && road->out_sent < road->out_len)
        wait.events |= POLLOUT;
    if (poll(&wait, 1, timeout_ms) <= 0)
        return ROAD_IPC_WAITING;
    return road_ipc_pass(road, body, body_bytes);
}
