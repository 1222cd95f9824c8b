/* series.h - the families and their series: found by labels, changed, committed, restored.
 *
 * Place on the route: the aggregate's inside. Owns every series and both of its values. No lock (the
 * aggregate has it), no I/O, no clock.
 *
 * State key:   's' '1' family code, then for each label, in the order of its name: length u8, value.
 * State value: counter u64 | gauge IEEE double | histogram 13 x u64 not cumulative, sum i128 picoseconds,
 *              then its native buckets (native.h) or nothing; little-endian. Another form gets another digit
 * in the key.
 */
#ifndef AILIVE_SIDECAR_SERIES_H
#define AILIVE_SIDECAR_SERIES_H

#include "aggregate.h"

enum series_family {
    SERIES_DECISIONS,
    SERIES_ACTIONS,
    SERIES_LATENCY_SECONDS,
    SERIES_LATENCY_MS,
    SERIES_LAST_DECISION,
    SERIES_LAST_EVENT,
    SERIES_LAST_EVENT_BY_RUN_ID,
    SERIES_PARSE_ERRORS,
    SERIES_DROPPED,
    SERIES_HEARTBEAT, /* has no series here: the aggregate adds its one */
    SERIES_STAGE_LATENCY,
    SERIES_OWN_EVENTS,
    SERIES_OWN_DUPLICATES,
    SERIES_OWN_DROPPED,
    SERIES_OWN_UNOBSERVED,
    SERIES_OWN_OVERFLOW,
    SERIES_FAMILIES
};

/* Where the value of a label comes from, and its limit. */
enum series_label_kind {
    SERIES_LABEL_ACTION,    /* n(48) */
    SERIES_LABEL_COMPONENT, /* n(48) */
    SERIES_LABEL_DECISION,  /* n(32) */
    SERIES_LABEL_DROP,      /* contract_drop_name() */
    SERIES_LABEL_REASON,    /* n(96) */
    SERIES_LABEL_RUN_ID,    /* n(96) */
    SERIES_LABEL_SOURCE,    /* source_name() */
    SERIES_LABEL_STAGE,     /* n(48) */
    SERIES_LABEL_RAW_COMPONENT,
    SERIES_LABEL_RAW_RUN_ID,
    SERIES_LABEL_GIVEN /* by aggregate_count() */
};

#define SERIES_LABELS_MAX      4u
#define SERIES_VALUE_MAX_BYTES 200u /* the raw component's limit, the longest */

struct series_family_spec {
    char code; /* in state keys: never changes */
    const char *name, *help;
    enum family_type type;
    enum histogram_unit unit;
    const char *native_name; /* as in snapshot_family */
    struct {
        const char *name; /* in alphabetical order; NULL behind the last */
        enum series_label_kind kind;
    } labels[SERIES_LABELS_MAX];
};
extern const struct series_family_spec series_families[SERIES_FAMILIES];

union series_value {
    uint64_t count;
    double gauge;
    struct histogram histogram;
};

struct series {
    enum series_family family;
    bool counted;   /* has a value to count on: since its first event, or restored */
    bool shown;     /* has a committed value */
    bool dirty;     /* touched since series_committed() */
    bool overflow;  /* the family's overflow series */
    bool is_set;    /* a gauge that has been set since it began to count */
    uint64_t order; /* of a gauge: the store's when it was last set */
    struct series *next_dirty;
    uint64_t hash;
    char *labels; /* as in snapshot_series */
    uint32_t labels_len;
    union series_value counting, committed;
    struct exemplar
        *exemplars; /* of histograms, one a bucket: those being counted, then those committed; NULL: none */
    struct native *native; /* of histograms of a family with a native name; has both values */
    size_t key_len;
    unsigned char key[];
};

struct series_store {
    struct series **slots; /* open addressing, linear probing, at most half full */
    size_t slot_count;     /* a power of two */
    size_t count;
    size_t counted[SERIES_FAMILIES]; /* without the overflow series */
    size_t max_series;
    struct series *dirty;
    uint64_t shape;     /* rises whenever the set of shown series changes: snapshot_layout is made for one */
    uint64_t order;     /* aggregate_order() */
    bool overflowed;    /* a family was full and a label set went to its overflow series */
    bool reset_pending; /* series_reset() has been called, series_committed() not yet */
};

/* false: out of memory. */
bool series_store_init(struct series_store *store, size_t max_series);
void series_store_fini(struct series_store *store);

/* The series of these label values (as many as the family has labels, each at most SERIES_VALUE_MAX_BYTES),
 * made when missing; the overflow series when the family is full. The caller changes it at once. NULL: out of
 * memory. */
struct series *series_find(struct series_store *store, enum series_family family, const struct text *values);

void series_add(struct series_store *store, struct series *series, uint64_t n);
bool series_observe(struct series_store *store, struct series *series, const struct latency *latency);
bool series_observe_tally(struct series_store *store, struct series *series, const struct tally *tally,
                          const struct tally_sums *sums);
/* Both false: out of memory. */

/* The exemplar of a bucket from the next commit on. Without memory it stays as it was. */
void series_exemplify(struct series *series, unsigned bucket, const struct exemplar *exemplar);
void series_set(struct series_store *store, struct series *series, double value);
void series_raise(struct series_store *store, struct series *series, double value); /* never lowers it */

enum aggregate_merged series_merge(struct series_store *into, const struct series_store *from);

/* As their namesakes in aggregate.h. After series_reset() pointers to series are to be forgotten: the next
 * series_committed() frees those that nobody has found again. */
bool series_changes(const struct series_store *store, struct change_list *out);
void series_committed(struct series_store *store);
void series_reset(struct series_store *store);
bool series_restore(struct series_store *store, const void *key, size_t key_len, const void *value,
                    size_t value_len);

#endif
