/* rows.h - SDK records in numbers, tallied by what chooses their series.
 *
 * Place on the route: nng source (batch rows) and salvage (ring slots) -> [rows] -> ingest -> aggregate. No
 * I/O, no clock; one thread's storage. Few different (what, scope) occur in a run of records: each is judged
 * and labelled once, its records are counted by plain additions, and the aggregate hears of it once a run.
 */
#ifndef AILIVE_SIDECAR_ROWS_H
#define AILIVE_SIDECAR_ROWS_H

#include "aggregate.h"

#include <wire/batch.h>

struct rows_kind;

struct rows {
    size_t count; /* rows added */
    /* inside */
    size_t reserved;
    uint32_t *which;                     /* for each row, the number of its kind */
    const unsigned char *time, *latency; /* columns of int64_t, nanoseconds: the batch's, or those below */
    int64_t *own_time, *own_latency;
    struct rows_kind *kinds;
    struct exemplar_origin origin; /* of row 0 */
    bool has_origin;
    struct tally *tallies; /* of some kinds at a time; empty between two rows_apply() */
    size_t kind_count;
    struct event_shape *table; /* of kinds */
    unsigned table_bits;
    const struct layout_name **by_id;
};

/* 0, or -1: out of memory. */
int rows_init(struct rows *rows);
void rows_fini(struct rows *rows);

/* Begins a run of at most count rows whose names are the batch's (its columns are not looked at). The names'
 * texts must live until the last rows_apply(). -1: out of memory. */
int rows_begin(struct rows *rows, const struct batch *names, size_t count);
void rows_add(struct rows *rows, const struct event_row *row);
/* After the last row: forgets the names. */
void rows_end(struct rows *rows, const struct batch *names);

/* All of the above for the rows of a decoded batch, whose bytes must live until the last rows_apply(). -1:
 * out of memory. */
int rows_add_batch(struct rows *rows, const struct batch *batch);

/* Where the rows that are applied from now on come from: `first` is the sequence number of row 0 (or what it
 * would be, modulo 2^64). Without it there are no exemplars. */
void rows_from(struct rows *rows, const struct event_producer *producer, uint32_t ring, uint64_t first);

/* Counts rows [first, end) of the run; between aggregate_begin() and aggregate_end(). Adds how many were
 * counted, and how many batch_row_valid() does not let in. */
void rows_apply(struct rows *rows, struct aggregate *aggregate, size_t first, size_t end, uint64_t *counted,
                uint64_t *invalid);

/* How many rows of the run batch_row_valid() does not let in. */
uint32_t rows_invalid(const struct rows *rows);

#endif
