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

#define TABLE_SLOTS 64u /* at least; a power of two */

/* Rows that are equal in all that chooses series. */
struct rows_kind {
    uint64_t what; /* the key */
    uint32_t scope;
    bool valid;
    bool timed; /* its latencies count */
    uint32_t slot;
    struct labels labels;
    struct tally tally; /* all zero between two rows_apply() */
};

int rows_init(struct rows *rows)
{
    *rows = (struct rows){0};
    rows->by_id = calloc(BATCH_IDS, sizeof(const struct layout_name *));
    return rows->by_id != NULL ? 0 : -1;
}

void rows_fini(struct rows *rows)
{
    free(rows->which);
    free(rows->time_ns);
    free(rows->latency_ns);
    free(rows->kinds);
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
    rows->time_ns = grown(rows->time_ns, count, sizeof(*rows->time_ns), &fine);
    rows->latency_ns = grown(rows->latency_ns, count, sizeof(*rows->latency_ns), &fine);
    rows->kinds = grown(rows->kinds, count, sizeof(*rows->kinds), &fine);
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
        rows->table[rows->kinds[i].slot] = 0;
    rows->count = rows->kind_count = 0;
    if (rows_reserve(rows, count) != 0)
        return -1;
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

/* All that chooses a row's series, packed as in a ring's slot. */
struct key {
    uint64_t what;  /* kind, decision, action: 8 bits each; reason << 32, stage << 48 */
    uint32_t scope; /* component, run_id << 16 */
};

static struct event_row key_row(struct key key)
{
    const uint64_t words[4] = {0, 0, key.what, key.scope};
    struct event_row row;

    (void)event_row_unpack(words, &row);
    return row;
}

/* The first row of its kind in this run. Its number. */
static uint32_t kind_add(struct rows *rows, struct key key, size_t slot)
{
    struct rows_kind *kind = &rows->kinds[rows->kind_count];
    struct event_row row = key_row(key);

    *kind = (struct rows_kind){.what = key.what,
                               .scope = key.scope,
                               .valid = batch_row_valid(&row, rows->by_id),
                               .slot = (uint32_t)slot};
    kind->timed = kind->valid && contract_sdk_timed(&row);
    if (kind->valid)
        labels_make(rows, &row, &kind->labels);
    rows->table[slot] = (uint32_t)++rows->kind_count;
    return rows->table[slot] - 1;
}

/* The number of a row's kind. The table is at most half full. */
static inline uint32_t kind_of(struct rows *rows, struct key key)
{
    uint64_t hash = (key.what ^ key.scope * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
    size_t mask = rows->table_slots - 1, at = (hash ^ hash >> 32) & mask;

    for (; rows->table[at] != 0; at = (at + 1) & mask) {
        const struct rows_kind *kind = &rows->kinds[rows->table[at] - 1];

        if (kind->what == key.what && kind->scope == key.scope)
            return rows->table[at] - 1;
    }
    return kind_add(rows, key, at);
}

void rows_add(struct rows *rows, const struct event_row *row)
{
    struct key key = {(uint64_t)row->kind | (uint64_t)row->decision << 8 | (uint64_t)row->action << 16 |
                          (uint64_t)row->reason << 32 | (uint64_t)row->stage << 48,
                      (uint32_t)row->component | (uint32_t)row->run_id << 16};
    size_t i = rows->count++;

    assert(i < rows->reserved);
    rows->which[i] = kind_of(rows, key);
    rows->time_ns[i] = row->time_ns;
    rows->latency_ns[i] = row->latency_ns;
}

static uint16_t cell16(const unsigned char *column, size_t i)
{
    uint16_t value;

    memcpy(&value, column + 2 * i, sizeof(value));
    return value;
}

static inline struct key batch_key(const struct batch *batch, size_t i)
{
    const unsigned char *const *columns = batch->columns;
    struct key key = {
        (uint64_t)columns[BATCH_KIND][i] | (uint64_t)columns[BATCH_DECISION][i] << 8 |
            (uint64_t)columns[BATCH_ACTION][i] << 16 | (uint64_t)cell16(columns[BATCH_REASON], i) << 32 |
            (uint64_t)cell16(columns[BATCH_STAGE], i) << 48,
        (uint32_t)cell16(columns[BATCH_COMPONENT], i) | (uint32_t)cell16(columns[BATCH_RUN_ID], i) << 16};
    return key;
}

/* As batch_row() and rows_add() for every row, but no row is put together only to be taken apart. */
int rows_add_batch(struct rows *rows, const struct batch *batch)
{
    if (rows_begin(rows, batch, batch->count) != 0)
        return -1;
    for (uint32_t i = 0; i < batch->count; i++)
        rows->which[i] = kind_of(rows, batch_key(batch, i));
    if (batch->count > 0) {
        memcpy(rows->time_ns, batch->columns[BATCH_TIME], batch->count * sizeof(*rows->time_ns));
        memcpy(rows->latency_ns, batch->columns[BATCH_LATENCY], batch->count * sizeof(*rows->latency_ns));
    }
    rows->count = batch->count;
    rows_end(rows, batch);
    return 0;
}

static void tally_add(struct rows_kind *kind, int64_t time_ns, int64_t latency_ns)
{
    struct tally *tally = &kind->tally;

    if (tally->count++ == 0 || time_ns > tally->last_ns)
        tally->last_ns = time_ns;
    if (latency_ns == AILIVE_NO_LATENCY || !kind->timed)
        return;
    if (latency_ns < 0) {
        tally->negative++;
        return;
    }
    tally->cells[histogram_cell(latency_ns)]++;
    tally->sum_ns += latency_ns;
}

void rows_apply(struct rows *rows, struct aggregate *aggregate, size_t first, size_t end, uint64_t *counted,
                uint64_t *invalid)
{
    for (size_t i = first; i < end; i++)
        tally_add(&rows->kinds[rows->which[i]], rows->time_ns[i], rows->latency_ns[i]);
    for (size_t k = 0; k < rows->kind_count; k++) {
        struct rows_kind *kind = &rows->kinds[k];

        if (kind->tally.count == 0)
            continue;
        *(kind->valid ? counted : invalid) += kind->tally.count;
        if (kind->valid)
            aggregate_apply_tally(aggregate, &kind->labels, &kind->tally);
        kind->tally = (struct tally){0};
    }
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
