/* rows.c - SDK records in numbers, tallied by what chooses their series.
 *
 * Place on the route: nng source and salvage -> [rows] -> ingest -> aggregate. Owns the storage of one run of
 * rows. Never judges a label's text: contract and aggregate do.
 */
#include "rows.h"

#include "contract.h"
#include "tally.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Kinds counted in one pass over the rows. A run has fewer, unless somebody wants it slow. */
#define ROWS_TALLIES 256u

#define TABLE_BITS 6u /* at least */

/* Rows that are equal in all that chooses series. */
struct rows_kind {
    bool valid;
    bool timed;    /* its latencies count */
    uint32_t slot; /* of the table; 0, which does no harm, when in none */
    struct labels labels;
};

int rows_init(struct rows *rows)
{
    *rows = (struct rows){0};
    rows->by_id = calloc(BATCH_IDS, sizeof(const struct layout_name *));
    rows->tallies = calloc(ROWS_TALLIES, sizeof(*rows->tallies));
    for (size_t k = 0; rows->tallies != NULL && k < ROWS_TALLIES; k++)
        tally_clear(&rows->tallies[k]);
    if (rows->by_id != NULL && rows->tallies != NULL)
        return 0;
    rows_fini(rows);
    return -1;
}

void rows_fini(struct rows *rows)
{
    free(rows->which);
    free(rows->own_time);
    free(rows->own_latency);
    free(rows->kinds);
    free(rows->tallies);
    free(rows->table);
    free(rows->by_id);
    *rows = (struct rows){0};
}

static void *grown(void *old, size_t count, size_t size, bool *fine)
{
    void *bigger = realloc(old, count * size);

    if (bigger == NULL)
        *fine = false;
    return bigger != NULL ? bigger : old;
}

/* Everything at once, so that adding a row never allocates. */
static int rows_reserve(struct rows *rows, size_t count)
{
    bool fine = true;
    unsigned bits = TABLE_BITS;

    if (count <= rows->reserved)
        return 0;
    while ((size_t)1 << bits < count * 2)
        bits++;
    rows->which = grown(rows->which, count, sizeof(*rows->which), &fine);
    rows->own_time = grown(rows->own_time, count, sizeof(*rows->own_time), &fine);
    rows->own_latency = grown(rows->own_latency, count, sizeof(*rows->own_latency), &fine);
    rows->kinds = grown(rows->kinds, count + 1, sizeof(*rows->kinds), &fine);
    rows->table = grown(rows->table, (size_t)1 << bits, sizeof(*rows->table), &fine);
    if (!fine)
        return -1;
    memset(rows->table, 0, sizeof(*rows->table) << bits);
    rows->table_bits = bits;
    rows->reserved = count;
    return 0;
}

int rows_begin(struct rows *rows, const struct batch *names, size_t count)
{
    /* Only what the run before filled: a run of few rows must not pay for a large table. */
    for (size_t i = 0; i < rows->kind_count; i++)
        rows->table[rows->kinds[i].slot].number = 0;
    rows->count = rows->kind_count = 0;
    if (rows_reserve(rows, count > 0 ? count : 1) != 0)
        return -1;
    rows->time = (const unsigned char *)rows->own_time;
    rows->latency = (const unsigned char *)rows->own_latency;
    batch_index_names(names, rows->by_id);
    return 0;
}

void rows_end(struct rows *rows, const struct batch *names)
{
    batch_unindex_names(names, rows->by_id);
}

static struct text name_text(const struct rows *rows, ailive_name id)
{
    const struct layout_name *name = rows->by_id[id];

    return name != NULL ? (struct text){name->text, name->len_bytes} : (struct text){NULL, 0};
}

/* Names of other kinds mean nothing to a row that does not use them. */
static void labels_make(const struct rows *rows, const struct event_row *row, struct labels *out)
{
    struct text none = {NULL, 0};

    contract_sdk_labels(row, row->kind == AILIVE_KIND_DECISION ? name_text(rows, row->reason) : none,
                        row->kind == AILIVE_KIND_STAGE ? name_text(rows, row->stage) : none,
                        name_text(rows, row->component), name_text(rows, row->run_id), out);
}

/* A kind of its own, as yet in no slot of the table. */
static struct rows_kind *kind_make(struct rows *rows, const struct event_row *row)
{
    struct rows_kind *kind = &rows->kinds[rows->kind_count];

    assert(rows->kind_count <= rows->reserved);
    *kind = (struct rows_kind){.valid = batch_row_valid(row, rows->by_id)};
    kind->timed = kind->valid && contract_sdk_timed(row);
    if (kind->valid)
        labels_make(rows, row, &kind->labels);
    rows->kind_count++;
    return kind;
}

/* The number of a row's kind. The table is at most half full; its numbers are the kinds' + 1. */
static uint32_t kind_of(struct rows *rows, const struct event_row *row)
{
    struct event_shape *shape;
    uint64_t words[4];

    event_row_pack_utc(row, words);
    shape = event_shape_find(rows->table, rows->table_bits, words);
    if (shape->number == 0) {
        kind_make(rows, row)->slot = (uint32_t)(shape - rows->table);
        *shape = (struct event_shape){words[2], (uint32_t)words[3], (uint32_t)rows->kind_count};
    }
    return shape->number - 1;
}

void rows_add(struct rows *rows, const struct event_row *row)
{
    size_t i = rows->count++;

    assert(i < rows->reserved);
    rows->which[i] = kind_of(rows, row);
    rows->own_time[i] = row->time_ns;
    rows->own_latency[i] = row->latency_ns;
}

/* Rows of the same shape are of the same kind; shapes that are not there are of the last one. */
static void shapes_to_kinds(const unsigned char *column, size_t count, uint32_t shapes, uint32_t *which)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t shape;

        memcpy(&shape, column + 2 * i, sizeof(shape));
        which[i] = shape < shapes ? shape : shapes;
    }
}

/* As batch_row() and rows_add() for every row. A batch names its shapes itself: no row is looked up. */
int rows_add_batch(struct rows *rows, const struct batch *batch)
{
    uint32_t shapes = batch->shape_count;

    if (rows_begin(rows, batch, batch->count) != 0)
        return -1;
    for (uint32_t shape = 0; shape <= shapes; shape++) { /* one more: that of rows whose shape is not there */
        struct event_row row = {0};

        batch_shape(batch, shape, &row);
        kind_make(rows, &row);
    }
    shapes_to_kinds(batch->columns[BATCH_SHAPE], batch->count, shapes, rows->which);
    rows->time = batch->columns[BATCH_TIME];
    rows->latency = batch->columns[BATCH_LATENCY];
    rows->count = batch->count;
    rows_end(rows, batch);
    return 0;
}

/* Columns may begin at any address. */
static inline int64_t cell64(const unsigned char *column, size_t i)
{
    int64_t value;

    memcpy(&value, column + 8 * i, sizeof(value));
    return value;
}

/* What of a kind's tally counts. */
static void tally_apply(const struct rows *rows, struct aggregate *aggregate, struct rows_kind *kind,
                        const struct tally *tally, struct tally_sums *sums)
{
    struct exemplar_origin slowest = rows->origin;

    slowest.seq += tally->slowest_row;
    if (!kind->timed)
        *sums = (struct tally_sums){.records = sums->records};
    aggregate_apply_tally(aggregate, &kind->labels, tally, sums, rows->has_origin ? &slowest : NULL);
}

/* The rows of ROWS_TALLIES kinds from number `base` on. */
static void apply_kinds(struct rows *rows, struct aggregate *aggregate, size_t first, size_t end,
                        uint32_t base, uint64_t *counted, uint64_t *invalid)
{
    const struct tally_place *places = tally_places();
    const unsigned char *time = rows->time, *latency = rows->latency;
    struct tally *tallies = rows->tallies;
    const uint32_t *which = rows->which;

    for (size_t i = first; i < end; i++)
        if (which[i] - base < ROWS_TALLIES) /* wraps for those before */
            tally_record(&tallies[which[i] - base], places, i, cell64(time, i), cell64(latency, i));
    for (size_t k = base; k < rows->kind_count && k - base < ROWS_TALLIES; k++) {
        struct tally *tally = &tallies[k - base];
        struct tally_sums sums;

        if (tally_empty(tally))
            continue;
        tally_sum(tally, &sums);
        *(rows->kinds[k].valid ? counted : invalid) += sums.records;
        if (rows->kinds[k].valid)
            tally_apply(rows, aggregate, &rows->kinds[k], tally, &sums);
        tally_clear(tally);
    }
}

void rows_from(struct rows *rows, const struct event_producer *producer, uint32_t ring, uint64_t first)
{
    rows->origin = (struct exemplar_origin){*producer, ring, first};
    rows->has_origin = true;
}

void rows_apply(struct rows *rows, struct aggregate *aggregate, size_t first, size_t end, uint64_t *counted,
                uint64_t *invalid)
{
    assert(end - first <= TALLY_ROWS_MAX);
    for (size_t base = 0; base < rows->kind_count; base += ROWS_TALLIES)
        apply_kinds(rows, aggregate, first, end, (uint32_t)base, counted, invalid);
}

uint32_t rows_invalid(const struct rows *rows)
{
    uint32_t invalid = 0;
    bool all_valid = true;

    for (size_t k = 0; k < rows->kind_count; k++)
        all_valid = all_valid && rows->kinds[k].valid;
    for (size_t i = 0; !all_valid && i < rows->count; i++)
        invalid += !rows->kinds[rows->which[i]].valid;
    return invalid;
}
