/* ledger.h - which sequence numbers are accounted for: why nothing is counted twice.
 *
 * Place on the route: inside ingest, under its lock. No threads, no I/O, no clock.
 *
 * Per (producer, ring): sorted, disjoint, non-adjacent ranges of sequence numbers that are counted or dropped
 * and counted, and the door-drop words last seen. Forgotten producers leave a tombstone; the newest
 * LEDGER_TOMBSTONES_MAX of them stay, and an unknown producer that is not younger than the youngest expired
 * one is refused: it may have been counted before.
 *
 * Changes belong to the unit under way until ledger_committed() or ledger_rollback().
 * Limits: INGEST_RANGES_MAX ranges a ring, LEDGER_RINGS_MAX rings.
 */
#ifndef AILIVE_SIDECAR_LEDGER_H
#define AILIVE_SIDECAR_LEDGER_H

#include "change.h"

#include <wire/layout.h>

#define LEDGER_RINGS_MAX      262144u
#define LEDGER_TOMBSTONES_MAX 4096u

struct range {
    uint64_t first, end; /* end is not part of it */
};

struct range_list {
    struct range *items;
    size_t count, reserved;
};
/* false: out of memory, list unchanged. */
bool range_list_add(struct range_list *list, uint64_t first, uint64_t end);
void range_list_fini(struct range_list *list);

struct ledger;
struct ledger_ring;

enum ledger_status {
    LEDGER_OK = 0,
    LEDGER_MEMORY = -1,
    LEDGER_LIMIT = -2,    /* too many ranges or rings */
    LEDGER_FORGOTTEN = 1, /* a tombstone: everything of this producer is accounted for */
    LEDGER_EXPIRED = 2    /* unknown, and old enough to have been forgotten without a trace; or admitted as
                             refused */
};

struct ledger *ledger_new(void);
void ledger_free(struct ledger *ledger);
void ledger_clear(struct ledger *ledger);

/* The ring, made when it is new. */
enum ledger_status ledger_ring(struct ledger *ledger, const struct event_producer *producer, uint32_t ring,
                               struct ledger_ring **out);

/* A ring of a producer that ledger_ring() calls expired. refused: it stays so for good, but its numbers are
 * accounted for from now on, so that what is refused is counted, once. */
enum ledger_status ledger_admit(struct ledger *ledger, const struct event_producer *producer, uint32_t ring,
                                bool refused, struct ledger_ring **out);

/* Accounts for [first, end). Appends the parts that were not accounted for before to fresh. */
enum ledger_status ledger_account(struct ledger *ledger, struct ledger_ring *ring, uint64_t first,
                                  uint64_t end, struct range_list *fresh);

/* Takes over door words; fresh[i] = max(0, new - stored). */
enum ledger_status ledger_door(struct ledger *ledger, struct ledger_ring *ring,
                               const uint64_t words[LAYOUT_DOOR_WORDS], uint64_t fresh[LAYOUT_DOOR_WORDS]);

/* Appends the parts of [0, end) that are not accounted for. */
enum ledger_status ledger_gaps(const struct ledger *ledger, const struct event_producer *producer,
                               uint32_t ring, uint64_t end, struct range_list *gaps);

/* Drops every ring of a producer and leaves a tombstone. */
enum ledger_status ledger_forget(struct ledger *ledger, const struct event_producer *producer);

/* Calls each once for every producer that has a ring. */
typedef void (*ledger_producer_fn)(void *context, const struct event_producer *producer);
void ledger_producers(const struct ledger *ledger, ledger_producer_fn each, void *context);

/* 'r' and 't' keys of everything changed since the last ledger_committed(). false: memory. */
bool ledger_changes(struct ledger *ledger, struct change_list *out);
void ledger_committed(struct ledger *ledger);
/* Takes back what ledger_account() and ledger_door() changed since. Not for ledger_forget(). */
void ledger_rollback(struct ledger *ledger);

/* Takes back one pair. false: not valid. */
bool ledger_restore(struct ledger *ledger, const void *key, size_t key_len, const void *value,
                    size_t value_len);

#endif
