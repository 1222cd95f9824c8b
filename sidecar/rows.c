/* rows.c - SDK records in numbers, tallied by what chooses their series.
 *
 * Place on the route: nng source and salvage -> [rows] -> ingest -> aggregate. Owns the storage of one run of
 * rows. Never judges a label's text: contract and aggregate do.
 */
#include "rows.h"

#include "contract.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Kinds counted in one pass over the rows. A run has fewer, unless somebody wants it slow. */
#define ROWS_TALLIES 256u

#define TABLE_SLOTS 64u /* at least; a power of two */

/* Rows that are equal in all that chooses series. */
struct rows_kind {
    bool valid;
    bool timed;    /* its latencies count */
    uint32_t slot; /* of the table; 0, which does no harm, when in none */
    struct labels labels;
};

/* Where a kind is found: by what chooses a row's series. */
struct rows_slot {
    uint64_t what;
    uint32_t scope;
    uint32_t kind; /* its number + 1; 0: empty */
};

int rows_init(struct rows *rows)
{
    *rows = (struct rows){0};
    rows->by_id = calloc(BATCH_IDS, sizeof(const struct layout_name *));
    rows->tallies = calloc(ROWS_TALLIES, sizeof(*rows->tallies));
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
    size_t slots = TABLE_SLOTS;

    if (count <= rows->reserved)
        return 0;
    while (slots < count * 2)
        slots *= 2;
    rows->which = grown(rows->which, count, sizeof(*rows->which), &fine);
    rows->own_time = grown(rows->own_time, count, sizeof(*rows->own_time), &fine);
    rows->own_latency = grown(rows->own_latency, count, sizeof(*rows->own_latency), &fine);
    rows->kinds = grown(rows->kinds, count + 1, sizeof(*rows->kinds), &fine);
    rows->table = grown(rows->table, slots, sizeof(*rows->table), &fine);
    if (!fine)
        return -1;
    memset(rows->table, 0, slots * sizeof(*rows->table));
    rows->table_slots = slots;
    rows->reserved = count;
    return 0;
}

int rows_begin(struct rows *rows, const struct batch *names, size_t count)
{
    /* Only what the run before filled: a run of few rows must not pay for a large table. */
    for (size_t i = 0; i < rows->kind_count; i++)
        rows->table[rows->kinds[i].slot].kind = 0;
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

/* The number of a row's kind. The table is at most half full. */
static uint32_t kind_of(struct rows *rows, const struct event_row *row)
{
    size_t mask = rows->table_slots - 1, at;
    uint64_t words[4];

    event_row_pack_utc(row, words);
    at = event_shape_hash(words) & mask;
    for (; rows->table[at].kind != 0; at = (at + 1) & mask)
        if (rows->table[at].what == words[2] && rows->table[at].scope == words[3])
            return rows->table[at].kind - 1;
    kind_make(rows, row)->slot = (uint32_t)at;
    rows->table[at] = (struct rows_slot){words[2], (uint32_t)words[3], (uint32_t)rows->kind_count};
    return (uint32_t)rows->kind_count - 1;
}

void rows_add(struct rows *rows, const struct event_row *row)
{
    size_t i = rows->count++;

    assert(i < rows->reserved);
    rows->which[i] = kind_of(rows, row);
    rows->own_time[i] = row->time_ns;
    rows->own_latency[i] = row->latency_ns;
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
    for (uint32_t i = 0; i < batch->count; i++) {
        uint16_t shape;

        memcpy(&shape, batch->columns[BATCH_SHAPE] + 2 * (size_t)i, sizeof(shape));
        rows->which[i] = shape < shapes ? shape : shapes;
    }
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

static inline void tally_add(struct tally *tally, size_t row, int64_t time_ns, int64_t latency_ns)
{
    if (tally->count++ == 0 || time_ns > tally->last_ns)
        tally->last_ns = time_ns;
    if (latency_ns >= 0) {
        tally->cells[histogram_cell(latency_ns)]++;
        native_tally_add(&tally->native, latency_ns);
        tally->sum_ns += latency_ns;
        if (latency_ns > tally->slowest_ns) {
            tally->slowest_ns = latency_ns;
            tally->slowest_time_ns = time_ns;
            tally->slowest.seq = row;
        }
    } else if (latency_ns != AILIVE_NO_LATENCY) {
        tally->negative++;
    }
}

/* What of a kind's tally counts. */
static void tally_apply(const struct rows *rows, struct aggregate *aggregate, struct rows_kind *kind,
                        struct tally *tally)
{
    uint64_t row = tally->slowest.seq;

    tally->slowest = rows->origin;
    tally->slowest.seq += row;
    if (!kind->timed || !rows->has_origin)
        tally->slowest_ns = 0;
    if (!kind->timed) {
        memset(tally->cells, 0, sizeof(tally->cells));
        native_tally_clear(&tally->native);
        tally->negative = 0;
    }
    aggregate_apply_tally(aggregate, &kind->labels, tally);
}

/* Its native part knows what it holds; the rest is small. */
static void tally_clear(struct tally *tally)
{
    native_tally_clear(&tally->native);
    tally->sum_ns = 0;
    tally->last_ns = 0;
    tally->slowest_ns = 0;
    tally->count = tally->negative = 0;
    memset(tally->cells, 0, sizeof(tally->cells));
}

/* The rows of ROWS_TALLIES kinds from number `base` on. */
static void apply_kinds(struct rows *rows, struct aggregate *aggregate, size_t first, size_t end,
                        uint32_t base, uint64_t *counted, uint64_t *invalid)
{
    struct tally *tallies = rows->tallies;
    const uint32_t *which = rows->which;

    for (size_t i = first; i < end; i++)
        if (which[i] - base < ROWS_TALLIES) /* wraps for those before */
            tally_add(&tallies[which[i] - base], i, cell64(rows->time, i), cell64(rows->latency, i));
    for (size_t k = base; k < rows->kind_count && k - base < ROWS_TALLIES; k++) {
        struct tally *tally = &tallies[k - base];

        if (tally->count == 0)
            continue;
        *(rows->kinds[k].valid ? counted : invalid) += tally->count;
        if (rows->kinds[k].valid)
            tally_apply(rows, aggregate, &rows->kinds[k], tally);
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
