/* observation.h - what one event line or one SDK record contributes to the series.
 *
 * Place on the route: contract (lines) and the row reader (batches, rings) make observations; ingest takes
 * them to the aggregate. Plain data: no threads, no I/O, no clock. Strings point into the line or batch they
 * came from and live until ingest_take() returns.
 */
#ifndef AILIVE_SIDECAR_OBSERVATION_H
#define AILIVE_SIDECAR_OBSERVATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    const char *bytes; /* not terminated; NULL only with len_bytes 0 */
    size_t len_bytes;
};

/* Values of the label `source`. SOURCE_UNKNOWN is a line of no known schema, and bad JSON. */
enum source {
    SOURCE_SAMPLE_V1,
    SOURCE_BETA_EXEC_V1,
    SOURCE_EXEC_EVENT_V0,
    SOURCE_UNKNOWN,
    SOURCE_SDK_V1,
    SOURCES
};
const char *source_name(enum source source);

/* Values of the label `reason` of peaktrade_ai_events_dropped_total. */
enum contract_drop {
    CONTRACT_KEPT,
    CONTRACT_BAD_JSON,
    CONTRACT_UNKNOWN_SCHEMA,
    CONTRACT_MISSING_FIELDS,
    CONTRACT_OTHER,
    CONTRACT_DROPS
};
const char *contract_drop_name(enum contract_drop drop);

/* Why a latency was not observed: label `reason` of ailive_latency_unobserved_total. */
enum latency_fault {
    LATENCY_FINE,
    LATENCY_NEGATIVE,
    LATENCY_TOO_LARGE, /* over 1e15 seconds: no sum of picoseconds could hold it exactly */
    LATENCY_FAULTS
};

/* A latency ready for its histogram: the bucket is decided where the number's own form is known (a double of
 * the contract, integer nanoseconds of the SDK), the sum is exact. */
struct latency {
    bool present;
    uint8_t bucket; /* index of the first bound that is >= the value; the number of bounds for +Inf */
    __int128 picoseconds;
};

/* Everything of an event that chooses series. Few different ones occur, many times each: makers share one
 * struct between observations with equal labels (a batch does), so that the aggregate looks them up once. */
struct labels {
    enum source source;
    enum contract_drop drop; /* counted besides whatever else is set; BAD_JSON also counts a parse error */

    /* As the contract's line rules leave them; n(N) is the aggregate's. Empty: the event has none. */
    struct text decision; /* present: counts a decision and sets the last-decision gauge */
    struct text reason;
    struct text action; /* present: counts an action */
    struct text stage;  /* present: a stage latency in `seconds`, no decision */
    struct text component;
    struct text run_id; /* of lines: cut to 32 with '_' as the contract says */

    /* The aggregate's cache, both 0 at first: the series these labels choose, and for which generation. */
    void *route;
    uint64_t generation;
};

struct observation {
    struct labels *labels;
    bool has_time; /* sets the freshness gauges, and with a decision the last-decision gauge */
    enum latency_fault fault;
    __int128 time_ns;       /* UTC; without has_time: time of processing, for the last-decision gauge. Wide: a
                               line may name any day from year 1 to 9999, 64 bits end in 2262 */
    struct latency seconds; /* peaktrade_ai_decision_latency_seconds, or the stage's */
    struct latency ms;      /* peaktrade_ai_decision_latency_ms */
};

#endif
