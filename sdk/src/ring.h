/* ring.h - one thread's ring: its file, and both of its sides.
 *
 * Place on the route: host thread (write side: struct ailive_writer) -> [ring] -> shipper (read side: struct
 * ring). One writer and one reader at a time; both are wait-free. Byte layout and the argument why a kill at
 * any instruction is safe: wire/layout.h.
 *
 * Counters are 64 bits and only ever grow. All arithmetic on them is modulo 2^64, so a test may start them
 * just before any wrap. */
#ifndef AILIVE_SRC_RING_H
#define AILIVE_SRC_RING_H

#include "wire/layout.h"

#include <sys/types.h>

struct record_entry;

/* The read side, and what keeps the ring in memory. */
struct ring {
    struct layout_ring *header; /* NULL: no ring */
    unsigned char *slots;
    size_t map_bytes;
    uint64_t start;                        /* its first sequence number */
    struct record_entry *holder;           /* whose thread writes it; NULL: free. Under process_lock() */
    uint64_t door_known[EVENT_DROP_DOORS]; /* door words that sidecar or spool have. Shipper only */
};

/* Makes a ring in a new file (mode as given, every page allocated and touched) or in private memory, with
 * number, capacity (0 for ring 0, else a power of two) and first sequence number. Neither is inherited by a
 * forked child. 0 or errno, and then nothing is left behind. */
int ring_open_file(struct ring *ring, const char *path, mode_t mode, uint32_t number, uint64_t capacity,
                   uint64_t start);
int ring_open_memory(struct ring *ring, uint32_t number, uint64_t capacity, uint64_t start);

/* Unmaps; the file stays. Harmless on a ring without header. */
void ring_close(struct ring *ring);

/* ---- write side: the thread that holds the ring ---- */

enum ring_room {
    RING_ROOM = 0, /* less than half full: limit is the half-full point */
    RING_HALF = 1, /* half full or more: limit is the full point, the shipper should wake */
    RING_FULL = 2  /* no slot free */
};

/* Looks at the shared tail and sets writer->limit. */
enum ring_room ring_room(struct ailive_writer *writer);

/* Points a writer at a ring. The caller hands the ring over: its last writer's stores happened before. */
void ring_attach(struct ailive_writer *writer, const struct ring *ring, const struct ailive *owner,
                 uint64_t clock);

/* Records into a ring that has room: what ailive_put() does, without looking at limit. */
void ring_put(struct ailive_writer *writer, int64_t utc_ns, int64_t latency_ns, uint64_t what,
              uint64_t scope);

/* Adds one drop at the door to the ring of this writer. */
void ring_door_drop(struct ailive_writer *writer);

/* ---- read side: the shipper ---- */

/* The head: records in [tail, head) are whole and may be read. */
uint64_t ring_readable(const struct ring *ring);
uint64_t ring_tail(const struct ring *ring);

/* The four words of a record in [tail, head), where they are until the tail moves beyond. */
static inline const uint64_t *ring_slot(const struct ring *ring, uint64_t seq)
{
    return (const uint64_t *)(const void *)ring->slots + (seq & (ring->header->capacity - 1)) * 4;
}

/* Gives the slots below tail back to the writer. */
void ring_release(struct ring *ring, uint64_t tail);

/* Gives [tail, end) up as a range drop: published by the very store that moves the tail. false: all
 * LAYOUT_RANGE_DROPS entries are taken, nothing changed. */
bool ring_drop_range(struct ring *ring, uint64_t end, enum event_drop reason);

/* The next standing range drop at or after entry *index; false when there is none. */
bool ring_drop_next(const struct ring *ring, uint32_t *index, struct layout_range_drop *out);

/* The first count numbers of an entry are accounted for elsewhere. */
void ring_drop_settle(struct ring *ring, uint32_t index, uint64_t count);

/* The door words, and whether they are more than door_known. */
bool ring_door_changed(const struct ring *ring);
void ring_door_read(const struct ring *ring, uint64_t out[LAYOUT_DOOR_WORDS]);

/* Nothing in it that is not accounted for elsewhere: no record, no range drop, no unknown door word. */
bool ring_at_rest(const struct ring *ring);

#endif
