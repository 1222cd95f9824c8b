/* rep_peer.h - a sidecar's side of the nng road, small enough for unit tests: decodes, remembers, answers.
 *
 * It misbehaves on request: loses replies, stays silent, refuses. One thread of its own; every function may
 * be called from the test's thread. It does not remove duplicates: it counts them, because the tests ask for
 * them.
 */
#ifndef AILIVE_TESTS_REP_PEER_H
#define AILIVE_TESTS_REP_PEER_H

#include "wire/batch.h"

#include <pthread.h>

#define REP_PEER_RINGS       2048
#define REP_PEER_ROWS        4096
#define REP_PEER_REQUESTS    4096
#define REP_PEER_CONNECTIONS 16

/* One (producer, ring) as the peer has seen it. */
struct rep_peer_ring {
    struct event_producer producer;
    uint32_t ring;
    uint64_t next;    /* the sequence number after the last row counted */
    uint64_t rows;    /* counted */
    uint64_t again;   /* rows that came once more */
    uint64_t gaps;    /* batches that began behind next */
    uint64_t dropped; /* in range drops */
    uint64_t door[LAYOUT_DOOR_WORDS];
};

/* The first rows, with their names looked up. Texts are "" when undeclared. */
struct rep_peer_row {
    uint64_t seq;
    uint32_t ring;
    bool valid;
    struct event_row row;
    char reason[97], stage[97], component[97], run_id[97];
};

struct rep_peer_request {
    uint32_t ring;
    uint64_t first;
    uint32_t count;
    int drop;
    uint64_t hash; /* of the whole body */
    bool answered;
};

struct rep_peer {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    int listener;
    int wake[2];
    char path[108];
    bool stop;
    /* Behaviour, see rep_peer_lose() and its neighbours. */
    unsigned lose;
    bool silent;
    uint32_t record_status, any_status;
    struct batch late; /* the last one with rows that silence left unanswered; late_fd -1: none */
    unsigned char late_id[4];
    int late_fd;
    /* Memory. */
    size_t ring_count, row_count, request_count, connections, bad;
    size_t overfull; /* batches with more rows than docs/wire.md lets them have */
    struct rep_peer_ring rings[REP_PEER_RINGS];
    struct rep_peer_row rows[REP_PEER_ROWS];
    struct rep_peer_request requests[REP_PEER_REQUESTS];
};

/* Listens at path. The struct is large: make it static or allocate it. */
void rep_peer_open(struct rep_peer *peer, const char *path);
void rep_peer_close(struct rep_peer *peer);

/* The next n requests with rows or drops are taken in, but not answered: the connection is closed instead. */
void rep_peer_lose(struct rep_peer *peer, unsigned n);
/* Nothing is answered while set. */
void rep_peer_silence(struct rep_peer *peer, bool silent);
/* Answers the last batch with rows that silence left unanswered. */
void rep_peer_answer_late(struct rep_peer *peer);
/* The status given to batches with rows (enum batch_status), and to everything (0: as usual). */
void rep_peer_answer(struct rep_peer *peer, uint32_t record_status, uint32_t any_status);

/* Waits until rows (of all producers) reach n; false after timeout_ms. */
bool rep_peer_wait_rows(struct rep_peer *peer, uint64_t n, unsigned timeout_ms);
bool rep_peer_wait_dropped(struct rep_peer *peer, uint64_t n, unsigned timeout_ms);
bool rep_peer_wait_requests(struct rep_peer *peer, size_t n, unsigned timeout_ms);
bool rep_peer_wait_door(struct rep_peer *peer, unsigned reason, uint64_t n, unsigned timeout_ms);

/* Sums over all rings. */
uint64_t rep_peer_rows(struct rep_peer *peer);
uint64_t rep_peer_again(struct rep_peer *peer);
uint64_t rep_peer_gaps(struct rep_peer *peer);

#endif
