/* memory_sink.c - reading back what was recorded, for a host's own unit tests.
 *
 * Place on the route: rings -> [memory sink] -> the test that calls ailive_memory_read(). It takes the
 * shipper's place: the read side of all rings belongs to the one thread that reads. No thread, no I/O. */
#include "instance.h"

#include <string.h>

/* false: an unknown number or enumerator; nothing to hand out. */
static bool sink_translate(struct ailive *instance, const uint64_t words[4], struct ailive_record *out)
{
    struct clock_track *clock = &instance->live->shipper.clock;
    struct names_of_row names;
    struct event_row row;

    if (!event_row_unpack(words, &row))
        row.time_ns = clock_track_utc(clock, words[0]);
    if (!names_resolve(&instance->kept->names, &row, &names))
        return false;
    out->kind = (enum ailive_record_kind)row.kind;
    out->decision = (enum ailive_decision)row.decision;
    out->action = (enum ailive_action)row.action;
    out->reason = names.reason;
    out->stage = names.stage;
    out->component = names.component;
    out->run_id = names.run_id;
    out->time_ns = row.time_ns;
    out->latency_ns = row.latency_ns;
    return true;
}

/* Takes one record out of a ring. false: the ring is empty. */
static bool sink_take(struct ring *ring, uint64_t words[4])
{
    uint64_t tail = ring_tail(ring);

    if (ring_readable(ring) == tail)
        return false;
    memcpy(words, ring_slot(ring, tail), AILIVE_SLOT_BYTES);
    ring_release(ring, tail + 1);
    return true;
}

static int sink_read(struct ailive *instance, struct ailive_record *out)
{
    struct instance_live *live = instance->live;
    uint32_t rings = instance_rings(live), empty = 0;
    uint64_t words[4];

    clock_track_take(&live->shipper.clock, clock_monotonic_ns());
    /* Starts at the ring after the last one read; ring 0 has no slots. */
    while (empty < rings) {
        struct ring *ring = &live->rings[live->read_next % rings];
        live->read_next = (live->read_next + 1) % rings;
        if (ring->header->capacity == 0 || !sink_take(ring, words)) {
            empty++;
            continue;
        }
        empty = 0;
        __atomic_fetch_add(&live->shipper.shipped, 1, __ATOMIC_RELAXED);
        if (sink_translate(instance, words, out))
            return 1;
        instance_ignore(instance);
    }
    return 0;
}

int ailive_memory_read(struct ailive *instance, struct ailive_record *out)
{
    int status = out ? instance_enter(instance) : AILIVE_EINVAL;

    if (status == AILIVE_EDISABLED)
        return 0; /* nothing was recorded */
    if (status != AILIVE_OK)
        return status;
    if (!instance->kept->settings.memory_sink)
        status = AILIVE_ENOTSUP;
    else if (__atomic_load_n(&instance->live->started, __ATOMIC_ACQUIRE))
        status = sink_read(instance, out);
    instance_leave(instance);
    return status;
}
