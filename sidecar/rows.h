/* rows.h - SDK records in numbers become observations.
 *
 * Place on the route: nng source (batch rows) and salvage (ring slots) -> [rows] -> ingest. No I/O, no clock;
 * one thread's storage. Few different (what, scope) occur in a run of records: each gets one struct labels,
 * shared by all rows that are equal in it, so that the aggregate looks it up once.
 */
#ifndef AILIVE_SIDECAR_ROWS_H
#define AILIVE_SIDECAR_ROWS_H

#include "contract.h"

#include <wire/batch.h>

struct rows {
    struct observation *observations; /* one per row added; meaningless where invalid */
    bool *invalid;
    size_t count;
    size_t invalid_count;
    /* inside */
    size_t reserved;
    struct labels *labels;
    struct event_row *kinds; /* the row each labels was made from */
    size_t label_count;
    uint32_t *table; /* hash of what and scope -> index of labels + 1, 0 when empty */
    size_t table_slots;
    uint32_t *used_slots; /* of the table, one per labels */
    const struct layout_name **by_id;
};

/* 0, or -1: out of memory. */
int rows_init(struct rows *rows);
void rows_fini(struct rows *rows);

/* Begins a run of at most count rows whose names are the batch's (its columns are not looked at). The names'
 * texts must live until the observations have been used. -1: out of memory. */
int rows_begin(struct rows *rows, const struct batch *names, size_t count);
void rows_add(struct rows *rows, const struct event_row *row);
/* A record that is known to be worthless: keeps its place in the sequence. */
void rows_add_invalid(struct rows *rows);
/* After the last row: forgets the names. The observations stay valid until the next rows_begin(). */
void rows_end(struct rows *rows, const struct batch *names);

#endif
