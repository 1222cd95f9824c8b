/* ingest.h - the one door: every road's observations, their accounting and their file positions, counted and
 * committed together.
 *
 * Place on the route: nng source, file source, salvage and replay all end here; behind it lie aggregate and
 * state. ingest_take() may be called from any thread; it serialises (one lock per unit, never per event) and
 * returns after the commit. Callers pass the time of processing inside their observations; the one clock read
 * here times the commit.
 */
#ifndef AILIVE_SIDECAR_INGEST_H
#define AILIVE_SIDECAR_INGEST_H

#include "aggregate.h"
#include "rows.h"
#include "state.h"

#include <wire/layout.h>

struct ingest;

enum road {
    ROAD_NNG,
    ROAD_SPOOL,
    ROAD_SALVAGE,
    ROAD_FILE, /* other programs' event files */
    ROAD_REPLAY,
    ROADS
};
const char *road_name(enum road road);

/* One contiguous run of one ring's sequence numbers. Exactly one of: observations (drop < 0), a range drop.
 * EVENT_DROP_LOST gives up what of the range is not accounted for, by an earlier run of the unit either. */
struct ingest_run { /* NOLINT(clang-analyzer-optin.performance.Padding): in the order it is read */
    struct event_producer producer;
    uint32_t ring;
    uint64_t first;
    uint64_t count;
    int drop;           /* enum event_drop, or -1 */
    size_t observation; /* index of the first observation or row; one per sequence number. An observation that
                           is not valid has an entry in `invalid` instead of meaning anything */
};

/* A ring's cumulative door-drop words: max(0, new - stored) of each is added. */
struct ingest_door {
    struct event_producer producer;
    uint32_t ring;
    uint64_t words[LAYOUT_DOOR_WORDS];
};

struct ingest_unit {
    enum road road;
    struct rows *rows; /* SDK records of runs with numbers, in place of observations */
    const struct observation *observations;
    size_t observation_count;
    const bool *invalid;           /* NULL, or one per observation: counts as dropped{reason="invalid"} */
    const struct ingest_run *runs; /* NULL on roads without sequence numbers: every observation counts */
    size_t run_count;
    const struct observation *loose; /* counted besides, without a sequence number (bad lines of a spool) */
    size_t loose_count;
    const struct ingest_door *doors;
    size_t door_count;
    const struct change_list *positions; /* NULL, or 'f' keys written in the same transaction */
};

enum ingest_status {
    INGEST_COMMITTED = 0,
    INGEST_UNCOMMITTED = -1, /* state cannot be written now: nothing counted, nothing to be acknowledged. File
                                sources rewind to what ingest_position() says */
    INGEST_RANGE_LIMIT =
        -2, /* the ring has INGEST_RANGES_MAX ranges: nothing counted, withhold the acknowledgement */
    INGEST_REFUSED = -3 /* never countable: first + count wraps, a ring that none can be */
};

struct ingest_result {
    uint64_t counted, duplicates, invalid, dropped;
};

#define INGEST_RANGES_MAX 4096u /* ranges remembered per ring */

/* Loads the state into the aggregate and the ring table. state may be one in memory. error as in
 * state_open(). */
int ingest_open(struct aggregate *aggregate, struct state *state, struct ingest **out, char *error,
                size_t error_cap);
void ingest_close(struct ingest *ingest);

/* Who can say that a producer was never forgotten (its folder is there): asked about unknown ones that are so
 * old that they might have been. Those it does not vouch for are refused: their records count as
 * dropped{reason="refused"}, once. present may be NULL; called with ingest's lock held. Before the first
 * ingest_take(). */
void ingest_vouch(struct ingest *ingest,
                  bool (*present)(void *context, const struct event_producer *producer), void *context);

/* Counts and commits one unit. result may be NULL. */
enum ingest_status ingest_take(struct ingest *ingest, const struct ingest_unit *unit,
                               struct ingest_result *result);

/* The stored value of an 'f' key. Copies at most cap bytes; returns the full length, 0 when there is none. */
size_t ingest_position(struct ingest *ingest, const void *key, size_t key_len, void *value, size_t cap);
/* Every 'f' pair. The callback must not call ingest. */
void ingest_positions(struct ingest *ingest, state_each_fn each, void *context);

/* Whether every sequence number below seq of a ring is accounted for (records or range drops). While commits
 * fail nothing is. */
bool ingest_accounted(struct ingest *ingest, const struct event_producer *producer, uint32_t ring,
                      uint64_t seq);

/* Counts what is missing below seq of a ring as dropped{reason="lost"}: called when nothing can fill these
 * gaps any more. */
enum ingest_status ingest_give_up(struct ingest *ingest, const struct event_producer *producer, uint32_t ring,
                                  uint64_t seq);

/* Calls each once for every producer that is accounted for. The callback must not call ingest. */
void ingest_producers(struct ingest *ingest,
                      void (*each)(void *context, const struct event_producer *producer), void *context);

/* Forgets a producer whose folder, connection and spool are gone (its rings leave the state). */
enum ingest_status ingest_forget(struct ingest *ingest, const struct event_producer *producer);

/* From a timer, one thread: syncs the state, sees that it is there; after a failed commit tries to reopen it,
 * and when nothing has failed in INGEST_PROVING_TICKS more calls, says so. Returns whether commits work. */
#define INGEST_PROVING_TICKS 3u
bool ingest_maintain(struct ingest *ingest);

/* Whether commits work. After INGEST_UNCOMMITTED a file source waits for this before it asks for its
 * position: only then does ingest_position() know what the failed commit left behind. */
bool ingest_committing(struct ingest *ingest);

struct ingest_health {
    bool committing; /* false: readiness is red; true again INGEST_PROVING_TICKS after commits are */
    uint64_t commits, commit_errors;
    uint64_t last_commit_ns; /* duration of the last one */
    uint64_t state_bytes;
    char error[256];
};
void ingest_health(struct ingest *ingest, struct ingest_health *out);
void ingest_epoch(struct ingest *ingest, unsigned char epoch[STATE_EPOCH_BYTES]); /* state_epoch() */
int64_t ingest_since_ns(struct ingest *ingest);                                   /* state_since_ns() */

/* How often the state was read back, 1 after the opening. Another number: it may be older than what was
 * acknowledged before. */
uint64_t ingest_loads(struct ingest *ingest);

#endif
