/* rows.c - SDK records in numbers become observations.
 *
 * Place on the route: nng source and salvage -> [rows] -> ingest. Owns the storage of one run of rows. Never
 * judges a latency or a label's text: contract does.
 */
#include "rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int rows_init(struct rows *rows)
{
    *rows = (struct rows){0};
    rows->by_id = calloc(BATCH_IDS, sizeof(const struct layout_name *));
    return rows->by_id != NULL ? 0 : -1;
}

void rows_fini(struct rows *rows)
{
    free(rows->observations);
    free(rows->invalid);
    free(rows->labels);
    free(rows->kinds);
    free(rows->table);
    free(rows->used_slots);
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

/* Everything at once, so that pointers into labels stay valid while rows are added. */
static int rows_reserve(struct rows *rows, size_t count)
{
    bool fine = true;
    size_t slots = 64;

    if (count <= rows->reserved)
        return 0;
    while (slots < count * 2)
        slots *= 2;
    rows->observations = grown(rows->observations, count, sizeof(struct observation), &fine);
    rows->invalid = grown(rows->invalid, count, sizeof(bool), &fine);
    rows->labels = grown(rows->labels, count, sizeof(struct labels), &fine);
    rows->kinds = grown(rows->kinds, count, sizeof(struct event_row), &fine);
    rows->used_slots = grown(rows->used_slots, count, sizeof(uint32_t), &fine);
    rows->table = grown(rows->table, slots, sizeof(uint32_t), &fine);
    if (!fine)
        return -1;
    memset(rows->table, 0, slots * sizeof(uint32_t));
    rows->table_slots = slots;
    rows->reserved = count;
    return 0;
}

static uint64_t what_hash(const struct event_row *row)
{
    uint64_t what = (uint64_t)row->kind | (uint64_t)row->decision << 8 | (uint64_t)row->action << 16 |
                    (uint64_t)row->reason << 32 | (uint64_t)row->stage << 48;
    uint64_t scope = (uint64_t)row->component | (uint64_t)row->run_id << 16;
    uint64_t hash = (what ^ scope * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;

    return hash ^ hash >> 32;
}

static bool same_what(const struct event_row *a, const struct event_row *b)
{
    return a->kind == b->kind && a->decision == b->decision && a->action == b->action &&
           a->reason == b->reason && a->stage == b->stage && a->component == b->component &&
           a->run_id == b->run_id;
}

/* The slot where a row's labels are found or belong. The table is at most half full. */
static uint32_t *table_slot(const struct rows *rows, const struct event_row *row)
{
    size_t mask = rows->table_slots - 1, at = what_hash(row) & mask;

    while (rows->table[at] != 0 && !same_what(&rows->kinds[rows->table[at] - 1], row))
        at = (at + 1) & mask;
    return &rows->table[at];
}

int rows_begin(struct rows *rows, const struct batch *names, size_t count)
{
    /* Only what the run before filled: a run of few rows must not pay for a large table. */
    for (size_t i = 0; i < rows->label_count; i++)
        rows->table[rows->used_slots[i]] = 0;
    rows->count = rows->invalid_count = rows->label_count = 0;
    if (rows_reserve(rows, count) != 0)
        return -1;
    batch_index_names(names, rows->by_id);
    return 0;
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

void rows_add_invalid(struct rows *rows)
{
    assert(rows->count < rows->reserved);
    rows->invalid[rows->count++] = true;
    rows->invalid_count++;
}

void rows_add(struct rows *rows, const struct event_row *row)
{
    uint32_t *slot;

    assert(rows->count < rows->reserved);
    if (!batch_row_valid(row, rows->by_id)) {
        rows_add_invalid(rows);
        return;
    }
    slot = table_slot(rows, row);
    if (*slot == 0) {
        rows->kinds[rows->label_count] = *row;
        labels_make(rows, row, &rows->labels[rows->label_count]);
        rows->used_slots[rows->label_count] = (uint32_t)(slot - rows->table);
        *slot = (uint32_t)++rows->label_count;
    }
    rows->invalid[rows->count] = false;
    contract_sdk_record(row, &rows->labels[*slot - 1], &rows->observations[rows->count++]);
}

void rows_end(struct rows *rows, const struct batch *names)
{
    batch_unindex_names(names, rows->by_id);
}
