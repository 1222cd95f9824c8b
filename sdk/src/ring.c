/* ring.c - a single-producer, single-consumer ring in a shared file; see ring.h and wire/layout.h.
 *
 * Place on the route: between one host thread (write side) and the shipper (read side). Owns the mapping.
 * Files are allocated and touched when the ring is made, so that recording never faults and a full tmpfs is
 * an error here, not a SIGBUS in the host. Never blocks after it is made. */
#include "ring.h"

#include "clock.h"
#include "process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES 4096u

static size_t ring_file_bytes(uint64_t capacity)
{
    return LAYOUT_RING_HEADER_BYTES + (size_t)capacity * AILIVE_SLOT_BYTES;
}

static void ring_fill_header(struct ring *ring, uint32_t number, uint64_t capacity, uint64_t start)
{
    struct layout_ring *header = ring->header;
    uint64_t magic;

    /* Populate may have been refused (locked-memory limits): touch every page, so that no record faults. */
    for (size_t at = 0; at < ring->map_bytes; at += PAGE_BYTES)
        *((volatile unsigned char *)header + at) = 0;
    header->slot_bytes = AILIVE_SLOT_BYTES;
    header->number = number;
    header->capacity = capacity;
    __atomic_store_n(&header->head, start, __ATOMIC_RELAXED);
    __atomic_store_n(&header->tail, start, __ATOMIC_RELAXED);
    /* Last: where its thread is killed before this, the file is no ring yet, and is passed over. */
    memcpy(&magic, LAYOUT_RING_MAGIC, sizeof(magic));
    __atomic_store_n((uint64_t *)(void *)header->magic, magic, __ATOMIC_RELEASE);
    ring->slots = (unsigned char *)header + LAYOUT_RING_HEADER_BYTES;
    ring->start = start;
    ring->holder = NULL;
    memset(ring->door_known, 0, sizeof(ring->door_known));
}

static int ring_map(struct ring *ring, size_t len_bytes, int flags, int fd)
{
    void *pages = mmap(NULL, len_bytes, PROT_READ | PROT_WRITE, flags | MAP_POPULATE, fd, 0);

    if (pages == MAP_FAILED)
        return errno;
    /* A child has no business in its parent's rings; without this its mapping would keep 8 MiB a thread. */
    (void)madvise(pages, len_bytes, MADV_DONTFORK);
    ring->header = pages;
    ring->map_bytes = len_bytes;
    return 0;
}

int ring_open_file(struct ring *ring, const char *path, mode_t mode, uint32_t number, uint64_t capacity,
                   uint64_t start)
{
    size_t len_bytes = ring_file_bytes(capacity);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int error;

    if (fd < 0)
        return errno;
    error = process_allocate(fd, len_bytes);
    if (error == 0 && fchmod(fd, mode) != 0)
        error = errno;
    if (error == 0)
        error = ring_map(ring, len_bytes, MAP_SHARED, fd);
    close(fd); /* the mapping keeps the file */
    if (error != 0) {
        unlink(path);
        return error;
    }
    ring_fill_header(ring, number, capacity, start);
    return 0;
}

int ring_open_memory(struct ring *ring, uint32_t number, uint64_t capacity, uint64_t start)
{
    int error = ring_map(ring, ring_file_bytes(capacity), MAP_PRIVATE | MAP_ANONYMOUS, -1);

    if (error == 0)
        ring_fill_header(ring, number, capacity, start);
    return error;
}

void ring_close(struct ring *ring)
{
    if (ring->header)
        munmap(ring->header, ring->map_bytes);
    ring->header = NULL;
}

/* ---- write side ---- */

static struct layout_ring *writer_header(const struct ailive_writer *writer)
{
    return (struct layout_ring *)(void *)(writer->slots - LAYOUT_RING_HEADER_BYTES);
}

enum ring_room ring_room(struct ailive_writer *writer)
{
    uint64_t capacity = writer->mask + 1;
    /* Pairs with the release in ring_release(): the shipper has read what it gave back before we write over
     * it. Without it a slot could change under its reader. */
    uint64_t tail = __atomic_load_n(&writer_header(writer)->tail, __ATOMIC_ACQUIRE);
    uint64_t used = writer->head - tail;

    if (used >= capacity) {
        writer->limit = writer->head;
        return RING_FULL;
    }
    /* Where there is no counter that inlined code can read, no record takes the fast path. */
    if (writer->clock != AILIVE_CLOCK_COUNTER)
        writer->limit = writer->head;
    else
        writer->limit = tail + (used >= capacity / 2 ? capacity : capacity / 2);
    return used >= capacity / 2 ? RING_HALF : RING_ROOM;
}

void ring_attach(struct ailive_writer *writer, const struct ring *ring, const struct ailive *owner,
                 uint64_t clock)
{
    assert(ring->header->capacity != 0);
    writer->slots = ring->slots;
    writer->mask = ring->header->capacity - 1;
    /* Relaxed: the lock under which rings change hands orders it. */
    writer->head = __atomic_load_n(&ring->header->head, __ATOMIC_RELAXED);
    writer->limit = writer->head;
    writer->shared_head = &ring->header->head;
    writer->clock = clock;
    __atomic_store_n(&writer->owner, owner, __ATOMIC_RELAXED);
}

void ring_put(struct ailive_writer *writer, int64_t utc_ns, int64_t latency_ns, uint64_t what, uint64_t scope)
{
    uint64_t *slot = (uint64_t *)(void *)(writer->slots + (writer->head & writer->mask) * AILIVE_SLOT_BYTES);

    slot[0] = utc_ns == AILIVE_NOW ? clock_ticks(writer->clock) : (uint64_t)utc_ns;
    slot[1] = (uint64_t)latency_ns;
    slot[2] = what | (utc_ns == AILIVE_NOW ? 0u : (uint64_t)AILIVE_SLOT_UTC << 24);
    slot[3] = scope;
    writer->head++;
    /* As in ailive_put(): pairs with the acquire load in ring_readable(). */
    __atomic_store_n(writer->shared_head, writer->head, __ATOMIC_RELEASE);
}

void ring_door_drop(struct ailive_writer *writer)
{
    uint64_t *word = &writer_header(writer)->door[EVENT_DROP_RING_FULL];

    /* Only this thread writes it: no read-modify-write needed. Relaxed: a count, it publishes nothing. */
    __atomic_store_n(word, __atomic_load_n(word, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

/* ---- read side ---- */

uint64_t ring_readable(const struct ring *ring)
{
    /* Pairs with the release store of the head in ailive_put() and ring_put(): the four words of every record
     * below it are there. Without it the shipper would send half-written slots. */
    return __atomic_load_n(&ring->header->head, __ATOMIC_ACQUIRE);
}

uint64_t ring_tail(const struct ring *ring)
{
    /* Relaxed: the shipper reads its own store; everyone else only counts with it. */
    return __atomic_load_n(&ring->header->tail, __ATOMIC_RELAXED);
}

void ring_release(struct ring *ring, uint64_t tail)
{
    /* Pairs with the acquire in ring_room(): our reads of the slots come before the writer's next stores. It
     * also publishes a range drop written just before (salvage reads both). */
    __atomic_store_n(&ring->header->tail, tail, __ATOMIC_RELEASE);
}

static bool drop_stands(const struct layout_range_drop *drop)
{
    return drop->first != drop->end;
}

/* An entry that ends where the tail stands, for the same reason; else an empty one; NULL when all are taken.
 */
static struct layout_range_drop *drop_entry(struct layout_ring *header, uint64_t tail, uint64_t reason)
{
    struct layout_range_drop *empty = NULL;

    for (size_t i = 0; i < LAYOUT_RANGE_DROPS; i++) {
        struct layout_range_drop *drop = &header->drops[i];
        if (!drop_stands(drop))
            empty = empty ? empty : drop;
        else if (drop->end == tail && drop->reason == reason)
            return drop;
    }
    return empty;
}

bool ring_drop_range(struct ring *ring, uint64_t end, enum event_drop reason)
{
    struct layout_ring *header = ring->header;
    uint64_t tail = ring_tail(ring);
    struct layout_range_drop *drop = drop_entry(header, tail, (uint64_t)reason);

    if (end == tail)
        return true;
    if (!drop)
        return false;
    if (!drop_stands(drop)) {
        drop->reason = (uint64_t)reason;
        drop->zero = 0;
        /* first before end: an old end below a new first stands for nothing, a new end above an old first
         * would stand for numbers long since counted. Released, so that neither compiler nor CPU swaps them.
         */
        __atomic_store_n(&drop->first, tail, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&drop->end, end, __ATOMIC_RELEASE);
    ring_release(ring, end);
    return true;
}

bool ring_drop_next(const struct ring *ring, uint32_t *index, struct layout_range_drop *out)
{
    for (; *index < LAYOUT_RANGE_DROPS; (*index)++) {
        *out = ring->header->drops[*index];
        if (drop_stands(out))
            return true;
    }
    return false;
}

void ring_drop_settle(struct ring *ring, uint32_t index, uint64_t count)
{
    struct layout_range_drop *drop = &ring->header->drops[index];

    assert(count <= drop->end - drop->first);
    if (count == drop->end - drop->first)
        __atomic_store_n(&drop->end, drop->first, __ATOMIC_RELEASE);
    else
        __atomic_store_n(&drop->first, drop->first + count, __ATOMIC_RELEASE);
}

bool ring_door_changed(const struct ring *ring)
{
    for (unsigned reason = 0; reason < EVENT_DROP_DOORS; reason++)
        if (__atomic_load_n(&ring->header->door[reason], __ATOMIC_RELAXED) != ring->door_known[reason])
            return true;
    return false;
}

void ring_door_read(const struct ring *ring, uint64_t out[LAYOUT_DOOR_WORDS])
{
    for (unsigned reason = 0; reason < LAYOUT_DOOR_WORDS; reason++)
        out[reason] = __atomic_load_n(&ring->header->door[reason], __ATOMIC_RELAXED);
}

bool ring_at_rest(const struct ring *ring)
{
    struct layout_range_drop drop;
    uint32_t index = 0;

    return ring_readable(ring) == ring_tail(ring) && !ring_drop_next(ring, &index, &drop) &&
           !ring_door_changed(ring);
}
