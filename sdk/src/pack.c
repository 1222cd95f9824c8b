/* pack.c - records of a ring become one batch; see pack.h.
 *
 * Place on the route: ring -> [pack] -> exchange. Owns nothing: names and columns lie in the shipper's
 * storage. Shipper's thread only. Never moves a tail, never does I/O. */
#include "pack.h"

#include <string.h>

#define PACK_ROW_NAMES 3u /* of one row, at most: see pack_names_of() */

/* Puts a number on the batch's list of names, once. Numbers nobody was given stay off it: their rows are
 * counted as invalid by the sidecar. */
static void pack_name(struct shipper *shipper, const struct names *names, ailive_name id)
{
    const struct names_entry *entry;
    struct layout_name *name;

    if (shipper->name_mark[id] == shipper->name_stamp)
        return;
    entry = names_get(names, id);
    if (!entry)
        return;
    shipper->name_mark[id] = shipper->name_stamp;
    name = &shipper->names[shipper->name_count++];
    name->id = id;
    name->kind = entry->kind;
    name->len_bytes = entry->len_bytes;
    name->text = entry->text;
    shipper->name_bytes += entry->len_bytes;
}

static void pack_names_of(struct shipper *shipper, const struct names *names, const struct event_row *row)
{
    pack_name(shipper, names, row->component);
    pack_name(shipper, names, row->run_id);
    if (row->kind == AILIVE_KIND_DECISION)
        pack_name(shipper, names, row->reason);
    if (row->kind == AILIVE_KIND_STAGE)
        pack_name(shipper, names, row->stage);
}

void pack_read_row(struct shipper *shipper, const struct ring *ring, uint64_t seq, struct event_row *row)
{
    const uint64_t *words = ring_slot(ring, seq);

    if (!event_row_unpack(words, row))
        row->time_ns = clock_track_utc(&shipper->clock, words[0]);
}

static void pack_begin(struct shipper *shipper, struct batch *batch)
{
    shipper->name_stamp++;
    shipper->name_count = 0;
    shipper->name_bytes = 0;
    for (uint32_t i = 0; i < shipper->shape_count; i++)
        shipper->shape_table[shipper->shape_slot[i]].number = 0;
    shipper->shape_count = 0;
    /* Little-endian, as every supported host. */
    batch->columns[BATCH_TIME] = (const unsigned char *)shipper->times_ns;
    batch->columns[BATCH_LATENCY] = (const unsigned char *)shipper->latencies_ns;
    batch->columns[BATCH_SHAPE] = (const unsigned char *)shipper->row_shapes;
}

/* Whether one more row with a shape and names of its own surely fits behind `rows` others. */
static bool pack_room(const struct shipper *shipper, uint32_t rows)
{
    return shipper->name_count + PACK_ROW_NAMES <= SHIPPER_BATCH_NAMES &&
           shipper->shape_count < SHIPPER_SHAPES &&
           batch_rows_max(shipper->name_count + PACK_ROW_NAMES,
                          shipper->name_bytes + (size_t)PACK_ROW_NAMES * AILIVE_NAME_MAX_BYTES,
                          shipper->shape_count + 1) > rows;
}

/* Puts a new shape and its names into the batch; returns how many rows fit beside them. */
static uint32_t pack_new(struct ailive *instance, const uint64_t words[4], struct event_shape *place)
{
    struct shipper *shipper = &instance->live->shipper;
    struct event_row row;

    (void)event_row_unpack(words, &row);
    pack_names_of(shipper, &instance->kept->names, &row);
    batch_shape_put(words, shipper->shapes + (size_t)shipper->shape_count * BATCH_SHAPE_BYTES);
    shipper->shape_slot[shipper->shape_count] = (uint16_t)(place - shipper->shape_table);
    *place = (struct event_shape){words[2], (uint32_t)words[3], ++shipper->shape_count};
    return batch_rows_max(shipper->name_count, shipper->name_bytes, shipper->shape_count);
}

/* Packs rows of [first, head) until head, or until no more fit. Returns how many. What is put in is never
 * taken out: a row whose shape might leave no room for it stays out with its shape. */
static uint32_t pack_rows(struct ailive *instance, const struct ring *ring, uint64_t first, uint64_t head)
{
    struct shipper *shipper = &instance->live->shipper;
    const uint64_t *slots = ring_slot(ring, 0);
    uint64_t mask = ring->header->capacity - 1;
    uint32_t most = batch_rows_max(0, 0, 0), rows = 0;

    if (most > head - first)
        most = (uint32_t)(head - first);
    for (; rows < most; rows++) {
        const uint64_t *words = slots + ((first + rows) & mask) * 4;
        struct event_shape *shape = event_shape_find(shipper->shape_table, SHIPPER_SHAPE_BITS, words);

        if (shape->number == 0) {
            uint32_t fit;

            if (!pack_room(shipper, rows))
                break;
            fit = pack_new(instance, words, shape);
            most = most < fit ? most : fit;
        }
        shipper->times_ns[rows] =
            event_slot_is_utc(words) ? (int64_t)words[0] : clock_track_utc(&shipper->clock, words[0]);
        shipper->latencies_ns[rows] = (int64_t)words[1];
        shipper->row_shapes[rows] = (uint16_t)(shape->number - 1);
    }
    return rows;
}

void pack_head(struct ailive *instance, const struct ring *ring, struct batch *batch)
{
    struct ailive_stats stats;

    memset(batch, 0, sizeof(*batch));
    batch->producer = instance->live->producer;
    batch->ring = ring->header->number;
    batch->first = batch->tail = ring_tail(ring);
    batch->drop = -1;
    ring_door_read(ring, batch->door);
    instance_count(instance, &stats);
    batch->totals.recorded = stats.recorded;
    batch->totals.shipped = stats.shipped;
    batch->totals.spooled = stats.spooled;
    batch->totals.dropped = stats.dropped_full + stats.dropped_ring + stats.dropped_spool;
}

void pack_records(struct ailive *instance, const struct ring *ring, struct batch *batch)
{
    struct shipper *shipper = &instance->live->shipper;
    uint64_t head = ring_readable(ring);

    /* A pair taken after the head was read: every record below it lies between two pairs. */
    clock_track_take(&shipper->clock, shipper->now_ns);
    pack_head(instance, ring, batch);
    if (batch->first > head) /* the counter wraps inside: first + count must not, on the wire */
        head = 0;
    pack_begin(shipper, batch);
    batch->count = pack_rows(instance, ring, batch->first, head);
    batch->shapes = shipper->shapes;
    batch->shape_count = shipper->shape_count;
    batch->names = shipper->names;
    batch->name_count = shipper->name_count;
}

void pack_drop(struct ailive *instance, const struct ring *ring, const struct layout_range_drop *drop,
               struct batch *batch)
{
    uint64_t count = drop->end - drop->first;

    pack_head(instance, ring, batch);
    batch->first = drop->first;
    batch->count = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
    batch->drop = (int)drop->reason;
}
