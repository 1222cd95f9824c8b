/* road_ipc.h - the nng road: one connection to the sidecar, one request outstanding.
 *
 * Place on the route: shipper -> [road_ipc] -> sidecar. SP over a unix socket, REQ on our side: see
 * wire/sp.h. Only the shipper's thread calls it. Nothing here waits longer than the timeout it is given. */
#ifndef AILIVE_SRC_ROAD_IPC_H
#define AILIVE_SRC_ROAD_IPC_H

#include "process.h"
#include "wire/batch.h"
#include "wire/sp.h"

#define ROAD_IPC_IN_BYTES 512u /* the longest frame with a reply: 9 + 4 * 16 + 128 bytes */
#define ROAD_IPC_HEAD     (SP_FRAME_BYTES + SP_REQUEST_ID_BYTES)

struct road_ipc {
    struct process_fd *socket;
    bool greeted;     /* the peer's greeting was read: requests may go out */
    uint32_t request; /* number of the request in out */
    size_t out_len, out_sent;
    size_t in_len;
    unsigned char in[ROAD_IPC_IN_BYTES];
    unsigned char out[ROAD_IPC_HEAD + BATCH_MAX_BYTES];
};

/* Connects and sends our greeting. 0 or errno. Does not wait. path: at most 107 bytes. */
int road_ipc_connect(struct road_ipc *road, const char *path);

/* The same on a connected socket (of a bridge: road_nng.h), which is the road's from then on. */
int road_ipc_adopt(struct road_ipc *road, int fd);
bool road_ipc_connected(const struct road_ipc *road);

/* Closes the connection. The request stays in memory, for road_ipc_again(). */
void road_ipc_close(struct road_ipc *road);

/* Where to write the next request's body (BATCH_MAX_BYTES), and: it is written, send it under a new number.
 * Only while road_ipc_sent_whole(): a frame half way out must be finished first. */
unsigned char *road_ipc_body(struct road_ipc *road);
void road_ipc_request(struct road_ipc *road, size_t body_bytes);

/* Sends the same request once more, byte for byte, number included: a late reply to either answers it. */
void road_ipc_again(struct road_ipc *road);

/* The request is given up: it is not sent again. A frame half way out is still finished. */
void road_ipc_forget(struct road_ipc *road);

/* Nothing of a frame is half way out. */
bool road_ipc_sent_whole(const struct road_ipc *road);

enum road_ipc_event {
    ROAD_IPC_REPLY = 1,   /* body and *body_bytes hold the reply to the request */
    ROAD_IPC_WAITING = 2, /* nothing within timeout_ms, or only something stale */
    ROAD_IPC_LOST = 3     /* the peer is gone or does not speak SP: the connection is closed */
};

/* Sends what is left to send and reads. Waits at most timeout_ms, once. body: ROAD_IPC_IN_BYTES. */
enum road_ipc_event road_ipc_step(struct road_ipc *road, int timeout_ms, unsigned char *body,
                                  size_t *body_bytes);

#endif
