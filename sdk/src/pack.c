/* pack.c - records of a ring become one batch; see pack.h.
 *
 * Place on the route: ring -> [pack] -> exchange. Owns nothing: names and columns lie in the shipper's
 * storage. Shipper's thread only. Never moves a tail, never does I/O. */
#include "pack.h"

#include <assert.h>
#include <string.h>

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
    uint64_t words[4];

    ring_slot(ring, seq, words);
    if (!event_row_unpack(words, row))
        row->time_ns = clock_track_utc(&shipper->clock, words[0]);
}

/* Where the next row's cells go. Pointers of their own, not the batch's array: a store through a byte pointer
 * may change anything whose address is known, and all of them would be read again for each cell. */
struct pack_columns {
    unsigned char *time, *latency, *shape;
};

/* Columns lie one after the other, each with room for as many rows as a batch can have. */
static struct pack_columns pack_begin(struct shipper *shipper, struct batch *batch)
{
    unsigned char *columns[BATCH_COLUMNS], *at = shipper->columns;

    shipper->name_stamp++;
    shipper->name_count = 0;
    shipper->name_bytes = 0;
    for (uint32_t i = 0; i < shipper->shape_count; i++)
        shipper->shape_table[shipper->shape_slot[i]].number = 0;
    shipper->shape_count = 0;
    for (unsigned c = 0; c < BATCH_COLUMNS; c++) {
        columns[c] = at;
        batch->columns[c] = at;
        at += (size_t)batch_rows_max(0, 0, 0) * batch_column_bytes[c];
    }
    assert(at <= shipper->columns + sizeof(shipper->columns));
    return (struct pack_columns){columns[BATCH_TIME], columns[BATCH_LATENCY], columns[BATCH_SHAPE]};
}

/* The table's slot where a record's shape is, or belongs. The table is at most half full. */
static inline struct shipper_shape *pack_shape(struct shipper *shipper, const uint64_t words[4])
{
    size_t mask = 2 * SHIPPER_SHAPES - 1, at = event_shape_hash(words) & mask;

    while (shipper->shape_table[at].number != 0 &&
           (shipper->shape_table[at].what != words[2] || shipper->shape_table[at].scope != words[3]))
        at = (at + 1) & mask;
    return &shipper->shape_table[at];
}

/* Puts a new shape and its names into the batch; returns how many rows fit beside them, 0 when the shape has
 * no room itself. */
static uint32_t pack_new(struct ailive *instance, const uint64_t words[4], struct shipper_shape *slot)
{
    struct shipper *shipper = &instance->live->shipper;
    struct event_row row;

    if (shipper->name_count + 4 > SHIPPER_BATCH_NAMES || shipper->shape_count == SHIPPER_SHAPES)
        return 0;
    (void)event_row_unpack(words, &row);
    pack_names_of(shipper, &instance->kept->names, &row);
    batch_shape_put(words, shipper->shapes + (size_t)shipper->shape_count * BATCH_SHAPE_BYTES);
    shipper->shape_slot[shipper->shape_count] = (uint16_t)(slot - shipper->shape_table);
    *slot = (struct shipper_shape){words[2], words[3], ++shipper->shape_count};
    return batch_rows_max(shipper->name_count, shipper->name_bytes, shipper->shape_count);
}

/* Little-endian, as every supported host. */
static inline void pack_row(struct pack_columns to, size_t i, int64_t time_ns, uint64_t latency_ns,
                            uint32_t shape)
{
    uint16_t shape16 = (uint16_t)shape;

    memcpy(to.time + i * 8, &time_ns, 8);
    memcpy(to.latency + i * 8, &latency_ns, 8);
    memcpy(to.shape + i * 2, &shape16, 2);
}

/* Packs rows of [first, head) until head, or until no more fit. Returns how many. A row that its own shape
 * leaves no room for stays out, and its shape and names stand there for nothing, which is harmless. */
static uint32_t pack_rows(struct ailive *instance, const struct ring *ring, uint64_t first, uint64_t head,
                          struct batch *batch)
{
    struct shipper *shipper = &instance->live->shipper;
    struct pack_columns columns = pack_begin(shipper, batch);
    uint32_t most = batch_rows_max(0, 0, 0), rows = 0;
    uint64_t words[4];

    for (; first + rows != head && rows < most; rows++) {
        struct shipper_shape *shape;

        ring_slot(ring, first + rows, words);
        shape = pack_shape(shipper, words);
        if (shape->number == 0) {
            most = pack_new(instance, words, shape);
            if (rows >= most)
                break;
        }
        pack_row(columns, rows,
                 event_slot_is_utc(words) ? (int64_t)words[0] : clock_track_utc(&shipper->clock, words[0]),
                 words[1], shape->number - 1);
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
    batch->count = pack_rows(instance, ring, batch->first, head, batch);
    batch->shapes = shipper->shapes;
    batch->shape_count = batch->count < shipper->shape_count ? batch->count : shipper->shape_count;
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
