/* contract.h - one event line becomes observations: every rule of the AI Live contract that concerns lines.
 *
 * Place on the route: file source and replay -> json -> [contract] -> ingest. Does no I/O, starts no thread,
 * reads no clock: the time of processing is an argument. Out of memory ends the process: a line that was read
 * can be neither counted nor passed over, and what is not committed is read again.
 */
#ifndef AILIVE_SIDECAR_CONTRACT_H
#define AILIVE_SIDECAR_CONTRACT_H

#include "observation.h"

#include <wire/layout.h>

struct contract; /* a JSON parser and text storage; one per thread that reads lines */

struct contract_options {
    const char *component; /* default component of lines; NULL: "execution_watch" */
    const char *run_id;    /* default run id; NULL: "na" */
};
struct contract *contract_new(const struct contract_options *options);
void contract_free(struct contract *contract);

/* Labels and texts of observations lie in the contract's storage until contract_clear(): once per unit given
 * to ingest. */
void contract_clear(struct contract *contract);

/* One line of another program's event file, without its newline. Writes up to 1 observation to out and
 * returns how many: 0 for a blank line. bytes need no padding behind them. Any bytes may be passed. */
size_t contract_line(struct contract *contract, const char *bytes, size_t len_bytes, int64_t now_ns,
                     struct observation *out);

/* A line over the length limit (lines.h): bad JSON, counted as such. */
void contract_long_line(struct contract *contract, int64_t now_ns, struct observation *out);

enum spool_line_kind {
    SPOOL_LINE_BAD, /* not a spool line: counted as bad JSON or unknown schema in *observation, without a
                       sequence */
    SPOOL_LINE_BLANK,
    SPOOL_LINE_RECORD,  /* *observation is the record; source sdk_v1 */
    SPOOL_LINE_INVALID, /* a record that counts as dropped{reason="invalid"} */
    SPOOL_LINE_DROP,    /* a range drop of `count` */
    SPOOL_LINE_DOOR
};

struct spool_line {
    enum spool_line_kind kind;
    struct event_producer producer;
    uint32_t ring;
    uint64_t seq, count;
    int drop;
    uint64_t door[LAYOUT_DOOR_WORDS];
    struct observation observation;
};

/* One line of a producer's spool file (wire/spool.h). */
void contract_spool_line(struct contract *contract, const char *bytes, size_t len_bytes, int64_t now_ns,
                         struct spool_line *out);

/* Labels of an SDK record (batch row or ring slot) with its names looked up. Registered reasons stay as they
 * are: the aggregate decides which keep their name. *out is written whole. */
void contract_sdk_labels(const struct event_row *row, struct text reason, struct text stage,
                         struct text component, struct text run_id, struct labels *out);

/* Whether a record's latency counts: an action has none. */
bool contract_sdk_timed(const struct event_row *row);

/* An SDK record: its numbers, with labels made by contract_sdk_labels(). */
void contract_sdk_record(const struct event_row *row, struct labels *labels, struct observation *out);

#endif
