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

/* Columns lie one after the other, each with room for rows_max rows. Little-endian, as every supported host.
 */
static void pack_row(unsigned char *const columns[BATCH_COLUMNS], uint32_t i, const struct event_row *row)
{
    memcpy(columns[BATCH_TIME] + (size_t)i * 8, &row->time_ns, 8);
    columns[BATCH_KIND][i] = row->kind;
    columns[BATCH_DECISION][i] = row->decision;
    columns[BATCH_ACTION][i] = row->action;
    memcpy(columns[BATCH_REASON] + (size_t)i * 2, &row->reason, 2);
    memcpy(columns[BATCH_LATENCY] + (size_t)i * 8, &row->latency_ns, 8);
    memcpy(columns[BATCH_STAGE] + (size_t)i * 2, &row->stage, 2);
    memcpy(columns[BATCH_COMPONENT] + (size_t)i * 2, &row->component, 2);
    memcpy(columns[BATCH_RUN_ID] + (size_t)i * 2, &row->run_id, 2);
}

void pack_read_row(struct shipper *shipper, const struct ring *ring, uint64_t seq, struct event_row *row)
{
    uint64_t words[4];

    ring_slot(ring, seq, words);
    if (!event_row_unpack(words, row))
        row->time_ns = clock_track_utc(&shipper->clock, words[0]);
}

/* Packs rows of [first, head) until head, or until no more fit beside their names. Returns how many. */
static uint32_t pack_rows(struct ailive *instance, const struct ring *ring, uint64_t first, uint64_t head,
                          struct batch *batch)
{
    struct shipper *shipper = &instance->live->shipper;
    unsigned char *columns[BATCH_COLUMNS], *at = shipper->columns;
    uint32_t most = batch_rows_max(0, 0), rows = 0, names_before = 0;
    struct event_row row;

    for (unsigned c = 0; c < BATCH_COLUMNS; c++) {
        columns[c] = at;
        batch->columns[c] = at;
        at += (size_t)most * batch_column_bytes[c];
    }
    assert(at <= shipper->columns + sizeof(shipper->columns));
    shipper->name_stamp++;
    shipper->name_count = 0;
    shipper->name_bytes = 0;
    while (first + rows != head && rows < most && shipper->name_count + 4 <= SHIPPER_BATCH_NAMES) {
        pack_read_row(shipper, ring, first + rows, &row);
        pack_names_of(shipper, &instance->kept->names, &row);
        if (shipper->name_count != names_before)
            most = batch_rows_max(shipper->name_count, shipper->name_bytes);
        names_before = shipper->name_count;
        if (rows == most)
            break; /* this row's names leave no room for it: declared for nothing, which is harmless */
        pack_row(columns, rows++, &row);
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
