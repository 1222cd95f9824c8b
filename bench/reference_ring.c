/* reference_ring.c - the private ring's making and its consumer; see reference_ring.h. */
#include "reference_ring.h"

#include "measure.h"

#include <string.h>
#include <sys/mman.h>

#define NAP_NS                                                                                               \
    1000000 /* between two looks at an empty ring: a consumer that spins costs the producer more             \
             */

static void *consume(void *context)
{
    struct reference_ring *ring = context;
    uint64_t tail = 0, head;

    measure_pin(MEASURE_THERE);
    while (!__atomic_load_n(&ring->stop, __ATOMIC_RELAXED)) {
        head = __atomic_load_n(&ring->shared_head, __ATOMIC_ACQUIRE); /* pairs with reference_ring_put() */
        if (head == tail)
            measure_sleep_ns(NAP_NS);
        for (; tail != head; tail++) {
            uint64_t words[4];
            memcpy(words, ring->slots + (tail & ring->mask) * AILIVE_SLOT_BYTES, sizeof(words));
            ring->sum += words[0] + words[1] + words[2] + words[3];
            if (tail % 1024 == 0)
                __atomic_store_n(&ring->tail, tail, __ATOMIC_RELEASE); /* pairs with reference_ring_put() */
        }
        __atomic_store_n(&ring->tail, tail, __ATOMIC_RELEASE);
    }
    return NULL;
}

void reference_ring_open(struct reference_ring *ring, uint64_t capacity)
{
    memset(ring, 0, sizeof(*ring));
    ring->slots = mmap(NULL, capacity * AILIVE_SLOT_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (ring->slots == MAP_FAILED)
        measure_die("out of memory");
    ring->mask = capacity - 1;
    ring->limit = capacity;
    if (pthread_create(&ring->consumer, NULL, consume, ring) != 0)
        measure_die("cannot start a thread");
}

void reference_ring_close(struct reference_ring *ring)
{
    __atomic_store_n(&ring->stop, true, __ATOMIC_RELAXED);
    pthread_join(ring->consumer, NULL);
    munmap(ring->slots, (ring->mask + 1) * AILIVE_SLOT_BYTES);
}

void reference_ring_drain(struct reference_ring *ring)
{
    while (__atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) != ring->head)
        measure_sleep_ns(NAP_NS / 25);
}
