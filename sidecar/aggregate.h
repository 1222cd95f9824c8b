/* aggregate.h - observations become series.
 *
 * Place on the route: behind ingest, before state and exposition. Does no I/O, starts no thread, reads no
 * clock. One mutex inside, taken once per batch (aggregate_begin .. aggregate_end), by aggregate_committed(),
 * and while a snapshot copies.
 *
 * Each series has two values: the one being counted and the one committed. Only committed values are shown: a
 * scrape that showed more would, after a kill, look like a counter reset.
 *
 * Limit: max_series a family (default 10,000); a further label set goes to one overflow series whose labels
 * are all "overflow", and counts in ailive_series_overflow_total{family}.
 */
#ifndef AILIVE_SIDECAR_AGGREGATE_H
#define AILIVE_SIDECAR_AGGREGATE_H

#include "change.h"
#include "exemplar.h"
#include "histogram.h"
#include "observation.h"
#include "tally.h"

#define AGGREGATE_MAX_SERIES_DEFAULT 10000u

struct aggregate;

struct aggregate_options {
    const char *component; /* the exporter's own, for the heartbeat and events that name none; NULL:
                              "execution_watch" */
    const char *run_id;    /* likewise; NULL: "na" */
    size_t max_series;     /* 0: the default */
    const char *const
        *reasons; /* --reason NAME: SDK reasons besides the contract's eight that keep their name */
    size_t reason_count;
};

/* NULL: out of memory. The strings are copied. */
struct aggregate *aggregate_new(const struct aggregate_options *options);
void aggregate_free(struct aggregate *aggregate);

/* Around every run of aggregate_apply() and aggregate_count(): takes and releases the mutex. Those two are
 * called between them; aggregate_changes() may be, by the same thread; every other function takes the mutex
 * itself and is not. */
void aggregate_begin(struct aggregate *aggregate);
void aggregate_end(struct aggregate *aggregate);

void aggregate_apply(struct aggregate *aggregate, const struct observation *observation);

/* The same as aggregate_apply() for each of some records of the SDK that are equal in all that chooses
 * series. sums: what of the tally counts; origin: of the slowest record, NULL: no exemplar. */
void aggregate_apply_tally(struct aggregate *aggregate, struct labels *labels, const struct tally *tally,
                           const struct tally_sums *sums, const struct exemplar_origin *origin);

/* Families of our own that are counted exactly and committed with the rest. */
enum aggregate_own {
    OWN_EVENTS,     /* ailive_events_total{road}: taken in, by road: nng, spool, salvage, file, replay */
    OWN_DUPLICATES, /* ailive_events_duplicate_total{road}: skipped, already accounted for */
    OWN_DROPPED,    /* ailive_events_dropped_total{reason}: enum event_drop */
    OWN_LATENCY_UNOBSERVED, /* ailive_latency_unobserved_total{source,reason} */
    OWN_OVERFLOW            /* ailive_series_overflow_total{family} */
};

/* Adds n to the series of an own family; b is NULL where it has one label. */
void aggregate_count(struct aggregate *aggregate, enum aggregate_own family, const char *a, const char *b,
                     uint64_t n);

/* Appends key and value of every series touched since the last aggregate_committed() ('s' keys). false: out
 * of memory, now or in an aggregate_apply() or aggregate_count() before: commit nothing and call
 * aggregate_reset(). */
bool aggregate_changes(struct aggregate *aggregate, struct change_list *out);

/* What aggregate_changes() gave out is durable now: show it. */
void aggregate_committed(struct aggregate *aggregate);

/* Throws every value away and starts empty, keeping what is shown until the next aggregate_committed(): after
 * a failed commit, before aggregate_restore() of the reloaded state. */
void aggregate_reset(struct aggregate *aggregate);

/* Takes back one pair that aggregate_changes() once gave out; shown at once. false: not a series' key or
 * value. */
bool aggregate_restore(struct aggregate *aggregate, const void *key, size_t key_len, const void *value,
                       size_t value_len);

/* ---- parts of a whole ---- */

/* From here on, gauges that are set count as set later than those that were set under a lower number. */
void aggregate_order(struct aggregate *aggregate, uint64_t order);

/* Whether a family has ever been full and sent a label set to its overflow series. */
bool aggregate_overflowed(struct aggregate *aggregate);

enum aggregate_merged {
    AGGREGATE_MERGED = 0,
    AGGREGATE_FULL = -1, /* a family would be full, or was in from: which of the label sets still got a series
                            depends on the order of events, which is not known here. into is unchanged */
    AGGREGATE_MEMORY = -2 /* out of memory: into is of no use any more */
};

/* Adds what from counts to into, as if into had been given from's observations itself: sums add up, a gauge
 * keeps the value of the highest order, from's where both are equal. into shows it at once. */
enum aggregate_merged aggregate_merge(struct aggregate *into, struct aggregate *from);

/* ---- exposition ---- */

enum family_type {
    FAMILY_COUNTER,
    FAMILY_GAUGE,
    FAMILY_HISTOGRAM
};

struct snapshot_series {
    const char *labels; /* `name="value",...` sorted by name, escaped for the text format; "" when none */
    union {
        double value;   /* gauge */
        uint64_t count; /* counter */
        const struct histogram *histogram;
    };
    const struct snapshot_native *native; /* of histograms, when asked for; NULL: none */
    const struct exemplar *exemplars;     /* likewise: one a bucket, those without a latency are none */
};

/* Buckets from slot `first` on; both limits of what native.h says. */
struct snapshot_native {
    __int128 sum_picoseconds;
    uint16_t first, count;
    uint64_t counts[];
};

struct snapshot_family {
    const char *name;
    const char *help;
    enum family_type type;
    enum histogram_unit unit;
    const struct snapshot_series *series; /* sorted by labels */
    size_t series_count;
    const char *native_name; /* under which its native buckets are shown; NULL: it has none */
};

struct snapshot {
    struct snapshot_family *families; /* every family, even without a series; fixed order */
    size_t family_count;
    struct snapshot_layout *layout; /* holds the labels; shared with later snapshots */
    void *memory;
};

/* Copies what is shown, under the mutex; the caller renders outside it. 0, or -1: out of memory. */
int aggregate_snapshot(struct aggregate *aggregate, struct snapshot *out);

/* The same, with what only some forms show. */
enum snapshot_extra {
    SNAPSHOT_NATIVE = 1,
    SNAPSHOT_EXEMPLARS = 2
};
int aggregate_snapshot_with(struct aggregate *aggregate, unsigned extras, struct snapshot *out);
void snapshot_free(struct snapshot *snapshot);

#endif
