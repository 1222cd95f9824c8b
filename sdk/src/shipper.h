/* shipper.h - the one background thread of an instance: takes records out of the rings and sees them home.
 *
 * Place on the route: rings -> [shipper: pack, exchange | spooling] -> road_ipc or road_spool. It owns the
 * read side of all rings, the socket, the spool and the clock's pairs. It never holds a lock that a host
 * thread can want, and never allocates from the heap. All signals are blocked in it. */
#ifndef AILIVE_SRC_SHIPPER_H
#define AILIVE_SRC_SHIPPER_H

#include "clock.h"
#include "names.h"
#include "rescue.h"
#include "ring.h"
#include "road_ipc.h"
#include "road_spool.h"

#include <pthread.h>

#define NS_PER_MS 1000000

#define SHIPPER_BUSY_MS      5    /* parks this long at first while records flow */
#define SHIPPER_SPOOL_MS     20   /* the same while they flow into the spool */
#define SHIPPER_IDLE_MS      500  /* and this long once nothing happens: two wake-ups a second */
#define SHIPPER_CONNECT_MS   100  /* between two attempts to connect, at least */
#define SHIPPER_SLICE_MS     20   /* longest single wait for a reply: how late a close is noticed */
#define SHIPPER_RESEND_MS    1000 /* no reply on a living connection: the same request again */
#define SHIPPER_PROBE_MS     400  /* while spooling: a greeting this often asks whether the sidecar is back */
#define SHIPPER_SPOOL_CHUNKS 16   /* chunks of one ring spooled in a row before the others get their turn */
#define SHIPPER_BATCH_NAMES  256  /* names of one batch, so that they never crowd out its rows */
#define SHIPPER_ROWS                                                                                         \
    ((BATCH_MAX_BYTES / BATCH_ROW_BYTES / 64 + 1) * 64) /* more than fit into one batch; whole lines */
#define SHIPPER_SHAPES     1024                         /* shapes of one batch, likewise; a power of two */
#define SHIPPER_SHAPE_BITS 11                           /* of a table twice as large */

enum shipper_kind {
    SHIPPER_GREETING = 0,
    SHIPPER_RECORDS = 1,
    SHIPPER_DROP = 2
};

enum shipper_parked {
    SHIPPER_AWAKE = 0,
    SHIPPER_PARKED = 1, /* a ring that is half full wakes it */
    SHIPPER_STUCK =
        2 /* it has just failed to empty a ring: only its own time, or a call that waits, wakes it */
};

/* What the outstanding request stands for. */
struct shipper_request {
    bool active;
    enum shipper_kind kind;
    uint32_t ring;
    uint64_t first;
    uint32_t count;
    uint32_t entry; /* of a range drop */
    uint64_t door[EVENT_DROP_DOORS];
    int64_t sent_at_ns;
};

/* Two words shared with host threads, each on a line of its own; the rest belongs to the shipper. */
struct shipper {
    _Alignas(128) uint32_t parked;   /* futex: enum shipper_parked, set to 0 by whoever wakes it */
    _Alignas(128) uint32_t progress; /* futex: raised after each round that may end somebody's wait */
    uint32_t waiters;
    uint32_t hurry; /* raised by whoever wants a round now */
    uint32_t stop;  /* 1: see everything home or into the spool, then end */
    /* Counters, read by ailive_stats(). */
    uint64_t shipped, spooled, dropped, wakeups, spool_bytes;
    uint32_t connected;

    _Alignas(128) pthread_t thread;
    bool started;
    bool spooling;        /* the sidecar was silent for too long: until it answers, records go to the spool */
    bool version_refused; /* it answers, but does not speak our version: spool until the next connection */
    bool drops_refused;   /* it refuses our range drops: keep them until the next connection */
    bool greet;           /* a greeting is due on this connection */
    bool spool_full, spool_failed, refused_told, child_told; /* told the log already */
    uint32_t hurry_seen;
    uint32_t ring_next; /* whose turn it is */
    int park_ms;
    int64_t now_ns;
    int64_t silent_since_ns; /* last sign of life, or the last time nothing was waiting */
    int64_t connect_at_ns;
    int64_t spool_at_ns; /* after a failure: not before */
    struct shipper_request request;
    struct clock_track clock;
    struct road_ipc ipc;
    struct road_spool spool;
    struct rescue rescue;
    uint32_t name_count;
    size_t name_bytes;
    uint32_t name_stamp; /* batches packed: a name is in the list when its mark says so */
    uint32_t name_mark[NAMES_IDS];
    struct layout_name names[SHIPPER_BATCH_NAMES];
    /* columns of the batch; typed, so that the compiler knows what a store cannot change */
    int64_t times_ns[SHIPPER_ROWS], latencies_ns[SHIPPER_ROWS];
    uint16_t row_shapes[SHIPPER_ROWS];
    struct event_shape shape_table[1 << SHIPPER_SHAPE_BITS]; /* of the batch being packed */
    uint16_t shape_slot[SHIPPER_SHAPES];                     /* of the table, for each shape of the batch */
    uint32_t shape_count;
    unsigned char shapes[SHIPPER_SHAPES * BATCH_SHAPE_BYTES];
};

struct ailive;

/* Starts the thread of an instance whose rings, folder and names are there. 0 or errno. */
int shipper_start(struct ailive *instance);

/* Ends the thread: what is left goes to the spool first. Returns whether everything is out. */
bool shipper_finish(struct ailive *instance);

/* For a ring that is half full. Wakes the shipper if it is parked, and not stuck: true when it was and this
 * call woke it, at most once each time it parks. The store that the shipper should see must come before the
 * call. */
bool shipper_wake(struct shipper *shipper);

/* Asks for a round now, even of a stuck one. */
void shipper_hurry(struct shipper *shipper);

/* Waits until wanted(instance, context) or the deadline (clock_monotonic_ns()); returns what wanted() said
 * last. Any thread. */
bool shipper_wait(struct ailive *instance, int64_t deadline_ns,
                  bool (*wanted)(struct ailive *instance, void *context), void *context);

/* Ends every shipper_wait() whose wanted() has come true. */
void shipper_tell(struct shipper *shipper);

/* ---- for the shipper's own parts: pack, exchange, spooling ---- */

struct instance_live;

/* Whether records wait in a ring. */
bool shipper_records_wait(const struct instance_live *live);

static inline bool shipper_stopping(const struct shipper *shipper)
{
    /* Pairs with the release in shipper_finish(). */
    return __atomic_load_n(&shipper->stop, __ATOMIC_ACQUIRE) != 0;
}

/* Counters are read by ailive_stats() in any thread; each stands alone, so relaxed order suffices. */
static inline void shipper_count(uint64_t *counter, uint64_t n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static inline void shipper_set_connected(struct shipper *shipper, uint32_t connected)
{
    __atomic_store_n(&shipper->connected, connected, __ATOMIC_RELAXED);
}

#endif
