/* spooling.c - records become lines of the spool; see spooling.h.
 *
 * Place on the route: ring -> [spooling] -> road_spool. Owns nothing. Shipper's thread only. A tail moves
 * here only when the records below it are whole lines of a file, or published as a range drop at the cap. */
#include "spooling.h"

#include "pack.h"

#include <errno.h>
#include <string.h>

static size_t spool_line(struct ailive *instance, const struct ring *ring, uint64_t seq, char *line)
{
    struct instance_live *live = instance->live;
    struct spool_record record = {.producer = live->producer, .ring = ring->header->number, .seq = seq};
    struct names_of_row names;

    pack_read_row(&live->shipper, ring, seq, &record.row);
    if (!names_resolve(&instance->kept->names, &record.row, &names))
        return spool_format_invalid(&live->producer, record.ring, seq, record.row.time_ns, line);
    record.reason = (struct spool_text){names.reason, names.reason ? strlen(names.reason) : 0};
    record.stage = (struct spool_text){names.stage, names.stage ? strlen(names.stage) : 0};
    record.component = (struct spool_text){names.component, strlen(names.component)};
    record.run_id = (struct spool_text){names.run_id, strlen(names.run_id)};
    return spool_format_record(&record, line);
}

static void spool_failure(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;
    int error = errno;

    shipper->spool_at_ns = shipper->now_ns + (int64_t)SHIPPER_IDLE_MS * NS_PER_MS;
    if (!shipper->spool_failed)
        instance_log(
            instance, AILIVE_LOG_ERROR,
            "%s in '%s' failed: %s; records stay in memory, and are dropped and counted once that is "
            "full; see that the folder is there, writable and has room",
            shipper->spool.failed, shipper->spool.folder, strerrordesc_np(error));
    shipper->spool_failed = true;
}

/* Writes the chunk: the first n records of the ring. */
static bool spool_flush(struct ailive *instance, struct ring *ring, uint64_t n)
{
    struct shipper *shipper = &instance->live->shipper;

    if (road_spool_flush(&shipper->spool) != ROAD_SPOOL_OK) {
        spool_failure(instance);
        return false;
    }
    shipper->spool_failed = false;
    __atomic_store_n(&shipper->spool_bytes, shipper->spool.total, __ATOMIC_RELAXED);
    if (n == 0)
        return true;
    ring_release(ring, ring_tail(ring) + n); /* only now: they are in the file as whole lines */
    shipper_count(&shipper->spooled, n);
    shipper_tell(shipper);
    return true;
}

/* The spool is at its cap: what the ring holds is given up as one range. */
static bool spool_drop(struct ailive *instance, struct ring *ring, uint64_t head)
{
    struct shipper *shipper = &instance->live->shipper;
    uint64_t n = head - ring_tail(ring);

    if (!shipper->spool_full)
        instance_log(instance, AILIVE_LOG_ERROR,
                     "the spool in %s holds %llu bytes, its limit: records are dropped and counted until the "
                     "sidecar has taken it in",
                     shipper->spool.folder, (unsigned long long)shipper->spool.max_bytes);
    shipper->spool_full = true;
    if (!ring_drop_range(ring, head, EVENT_DROP_SPOOL_FULL))
        return false;
    shipper_count(&shipper->dropped, n);
    shipper_tell(shipper);
    return true;
}

/* Fills one chunk with the oldest records and writes it. false: no more from this ring now. */
static bool spool_chunk(struct ailive *instance, struct ring *ring, uint64_t head)
{
    struct road_spool *spool = &instance->live->shipper.spool;
    enum road_spool_status status = ROAD_SPOOL_OK;
    uint64_t tail = ring_tail(ring), n = 0;
    char line[SPOOL_LINE_MAX_BYTES];

    while (tail + n != head && status == ROAD_SPOOL_OK) {
        status = road_spool_add(spool, line, spool_line(instance, ring, tail + n, line), false);
        n += status == ROAD_SPOOL_OK;
    }
    if (!spool_flush(instance, ring, n))
        return false;
    if (status == ROAD_SPOOL_FULL)
        return spool_drop(instance, ring, head) && false;
    return tail + n != head;
}

/* Door words that nobody has been told, as a line. */
static bool spool_door(struct ailive *instance, struct ring *ring)
{
    struct instance_live *live = instance->live;
    uint64_t door[LAYOUT_DOOR_WORDS];
    char line[SPOOL_LINE_MAX_BYTES];
    size_t len_bytes;

    if (!ring_door_changed(ring))
        return true;
    ring_door_read(ring, door);
    len_bytes = spool_format_door(&live->producer, ring->header->number, door, line);
    if (road_spool_add(&live->shipper.spool, line, len_bytes, shipper_stopping(&live->shipper)) !=
            ROAD_SPOOL_OK ||
        !spool_flush(instance, ring, 0))
        return false;
    memcpy(ring->door_known, door, sizeof(ring->door_known));
    return true;
}

/* Moves the oldest records of a ring, and its door words, to the spool. true: something moved. */
static bool spool_ring(struct ailive *instance, struct ring *ring, uint32_t chunks)
{
    struct shipper *shipper = &instance->live->shipper;
    uint64_t tail = ring_tail(ring), head = ring_readable(ring);

    if (head != tail)
        clock_track_take(&shipper->clock, shipper->now_ns);
    while (chunks > 0 && head != ring_tail(ring) && spool_chunk(instance, ring, head))
        chunks--;
    if (!shipper->spool_failed)
        (void)spool_door(instance, ring);
    return ring_tail(ring) != tail;
}

bool spooling_round(struct ailive *instance)
{
    struct instance_live *live = instance->live;
    struct shipper *shipper = &live->shipper;
    bool moved = false;

    if (shipper->now_ns < shipper->spool_at_ns)
        return false;
    for (uint32_t i = 0; i < instance_rings(live); i++) {
        if (shipper->spool_failed && shipper->now_ns < shipper->spool_at_ns)
            break;
        moved |= spool_ring(instance, &live->rings[i], SHIPPER_SPOOL_CHUNKS);
    }
    return moved;
}

/* Range drops that the sidecar was not told, as lines. */
static void spool_drops(struct ailive *instance, struct ring *ring)
{
    struct instance_live *live = instance->live;
    struct layout_range_drop drop;
    char line[SPOOL_LINE_MAX_BYTES];
    size_t len_bytes;

    for (uint32_t entry = 0; ring_drop_next(ring, &entry, &drop); entry++) {
        len_bytes = spool_format_drop(&live->producer, ring->header->number, drop.first,
                                      drop.end - drop.first, (enum event_drop)drop.reason, line);
        if (road_spool_add(&live->shipper.spool, line, len_bytes, true) != ROAD_SPOOL_OK ||
            !spool_flush(instance, ring, 0))
            return;
        ring_drop_settle(ring, entry, drop.end - drop.first);
    }
}

void spooling_review(struct shipper *shipper)
{
    road_spool_review(&shipper->spool);
    __atomic_store_n(&shipper->spool_bytes, shipper->spool.total, __ATOMIC_RELAXED);
}

void spooling_last(struct ailive *instance)
{
    struct instance_live *live = instance->live;

    for (uint32_t i = 0; i < instance_rings(live); i++) {
        struct ring *ring = &live->rings[i];
        (void)spool_ring(instance, ring, UINT32_MAX);
        spool_drops(instance, ring);
        (void)spool_door(instance, ring);
    }
    road_spool_rest(&live->shipper.spool);
}
