/* reference_ring.h - what recording is measured against: a time stamp and one store into a private ring.
 *
 * Place: bench_record alone. The same slot of 32 bytes, the same publication, and a consumer thread of its
 * own on the other core; no names, no process boundary, no owner to check, nothing rare. One writer.
 */
#ifndef AILIVE_BENCH_REFERENCE_RING_H
#define AILIVE_BENCH_REFERENCE_RING_H

#include <ailive/ailive.h>

#include <pthread.h>
#include <stdbool.h>

struct reference_ring {
    _Alignas(128) unsigned char *slots;
    uint64_t mask, head, limit;
    _Alignas(128) uint64_t shared_head; /* written by the producer alone */
    _Alignas(128) uint64_t tail;        /* written by the consumer alone */
    uint64_t sum;                       /* what the consumer read, so that it does read */
    pthread_t consumer;
    bool stop;
};

/* Makes a ring of that many slots (a power of two), its pages touched, and starts the consumer on the other
 * core. */
void reference_ring_open(struct reference_ring *ring, uint64_t capacity);
void reference_ring_close(struct reference_ring *ring);

/* Waits until the consumer has everything. */
void reference_ring_drain(struct reference_ring *ring);

static inline bool reference_ring_put(struct reference_ring *ring, uint64_t latency, uint64_t what,
                                      uint64_t scope)
{
    uint64_t head = ring->head;
    uint64_t *slot;

    if (__builtin_expect(head >= ring->limit, 0)) {
        /* Pairs with the consumer's release of the tail: its reads of the slot are done. */
        ring->limit = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) + ring->mask + 1;
        if (head >= ring->limit)
            return false;
    }
    slot = (uint64_t *)(void *)(ring->slots + (head & ring->mask) * AILIVE_SLOT_BYTES);
    slot[0] = ailive_counter();
    slot[1] = latency;
    slot[2] = what;
    slot[3] = scope;
    ring->head = head + 1;
    /* Pairs with the consumer's acquire load: it sees the slot whole. */
    __atomic_store_n(&ring->shared_head, head + 1, __ATOMIC_RELEASE);
    return true;
}

#endif
