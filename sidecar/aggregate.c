/* aggregate.c - see aggregate.h. Series and their values: series.c. Here: which series an observation's
 * labels choose (routes), what it adds to them, and the mutex. */
#include "aggregate.h"

#include "expose_text.h"
#include "hash.h"
#include "intern.h"
#include "ratio.h"
#include "series.h"
#include "snapshot.h"
#include "text.h"

#include <wire/event.h>

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Routes are a cache: beyond either limit all are forgotten and made anew as they are needed. */
#define ROUTES_MAX       16384u
#define ROUTES_MAX_BYTES (16u << 20)
#define ROUTE_SLOTS      256u /* at first */

#define RUN_ID_MAX_BYTES 32u /* of the raw label */

/* The series that one set of labels chooses. Each is looked up when an event first needs it: a series must
 * not come to be before. */
struct route {
    struct labels labels;
    uint64_t hash;
    struct series *series[SERIES_FAMILIES];
    char texts[];
};

struct aggregate {
    pthread_mutex_t mutex;
    struct series_store store;
    struct route **routes; /* open addressing, linear probing, at most half full */
    size_t route_slots;    /* a power of two */
    size_t route_count, route_bytes;
    uint64_t generation; /* labels->route is valid while labels->generation is this */
    bool failed;         /* out of memory since the last reset: what is counted is not whole */

    struct snapshot_layout *layout; /* of the last snapshot; NULL before */

    char *component, *run_id; /* for events that name none */
    char *heartbeat;          /* labels of the heartbeat */
    char **reasons;           /* --reason, normalised */
    size_t reason_count;
};

/* Unique over all aggregates of the process: labels carry it from one to another. Relaxed: only the number
 * itself matters, it publishes nothing. */
static uint64_t new_generation(void)
{
    static _Atomic uint64_t last;

    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

/* ---- making and freeing ---- */

static char *copy_string(struct text text)
{
    return strndup(text.bytes, text.len_bytes);
}

static char *normalised_string(struct text text, size_t max_bytes)
{
    char made[SERIES_VALUE_MAX_BYTES];

    assert(max_bytes <= sizeof(made));
    return strndup(made, text_normalise(text, max_bytes, made));
}

/* The heartbeat's run id is normalised only: not cut to 32, no '_' for a run of characters. */
static char *heartbeat_labels(const char *component, const char *run_id)
{
    char *c = normalised_string(text_of(component), 48), *r = normalised_string(text_of(run_id), 96);
    struct buffer text;

    buffer_init(&text);
    if (!c || !r || !buffer_printf(&text, "component=\"%s\",run_id=\"%s\"", c, r) ||
        !buffer_add(&text, "", 1))
        buffer_fini(&text);
    free(c);
    free(r);
    return text.bytes;
}

static bool copy_options(struct aggregate *aggregate, const struct aggregate_options *options)
{
    struct text component = text_trim(text_of(options->component));
    struct text run_id = text_trim(text_of(options->run_id));

    aggregate->component = copy_string(component.len_bytes ? component : TEXT_OF("execution_watch"));
    aggregate->run_id = copy_string(run_id.len_bytes ? run_id : TEXT_OF("na"));
    if (!aggregate->component || !aggregate->run_id)
        return false;
    aggregate->heartbeat = heartbeat_labels(aggregate->component, aggregate->run_id);
    aggregate->reasons = calloc(options->reason_count + 1, sizeof(*aggregate->reasons));
    if (!aggregate->heartbeat || !aggregate->reasons)
        return false;
    for (; aggregate->reason_count < options->reason_count; aggregate->reason_count++) {
        struct text reason = text_of(options->reasons[aggregate->reason_count]);

        aggregate->reasons[aggregate->reason_count] = normalised_string(reason, 96);
        if (!aggregate->reasons[aggregate->reason_count])
            return false;
    }
    return true;
}

struct aggregate *aggregate_new(const struct aggregate_options *options)
{
    static const struct aggregate_options defaults;
    struct aggregate *aggregate = calloc(1, sizeof(*aggregate));

    if (!aggregate)
        return NULL;
    if (!options)
        options = &defaults;
    pthread_mutex_init(&aggregate->mutex, NULL);
    aggregate->generation = new_generation();
    aggregate->route_slots = ROUTE_SLOTS;
    aggregate->routes = calloc(aggregate->route_slots, sizeof(struct route *));
    if (aggregate->routes && copy_options(aggregate, options) &&
        series_store_init(&aggregate->store,
                          options->max_series ? options->max_series : AGGREGATE_MAX_SERIES_DEFAULT))
        return aggregate;
    aggregate_free(aggregate);
    return NULL;
}

static void forget_routes(struct aggregate *aggregate)
{
    for (size_t i = 0; i < aggregate->route_slots; i++) {
        free(aggregate->routes[i]);
        aggregate->routes[i] = NULL;
    }
    aggregate->route_count = 0;
    aggregate->route_bytes = 0;
    aggregate->generation = new_generation();
}

void aggregate_free(struct aggregate *aggregate)
{
    if (!aggregate)
        return;
    if (aggregate->routes)
        forget_routes(aggregate);
    free(aggregate->routes);
    snapshot_layout_release(aggregate->layout);
    series_store_fini(&aggregate->store);
    for (size_t i = 0; i < aggregate->reason_count; i++)
        free(aggregate->reasons[i]);
    free(aggregate->reasons);
    free(aggregate->heartbeat);
    free(aggregate->component);
    free(aggregate->run_id);
    pthread_mutex_destroy(&aggregate->mutex);
    free(aggregate);
}

void aggregate_begin(struct aggregate *aggregate)
{
    pthread_mutex_lock(&aggregate->mutex);
}

void aggregate_end(struct aggregate *aggregate)
{
    pthread_mutex_unlock(&aggregate->mutex);
}

/* ---- routes ---- */

static struct text copy_text(struct text text, char **at)
{
    struct text copy = {*at, text.len_bytes};

    if (text.len_bytes > 0)
        memcpy(*at, text.bytes, text.len_bytes);
    *at += text.len_bytes;
    return copy;
}

static struct route *route_new(struct aggregate *aggregate, const struct labels *labels, uint64_t hash)
{
    size_t texts = labels->decision.len_bytes + labels->reason.len_bytes + labels->action.len_bytes +
                   labels->stage.len_bytes + labels->component.len_bytes + labels->run_id.len_bytes;
    struct route *route = calloc(1, sizeof(*route) + texts);
    char *at;

    if (!route)
        return NULL;
    at = route->texts;
    route->hash = hash;
    route->labels = *labels;
    route->labels.decision = copy_text(labels->decision, &at);
    route->labels.reason = copy_text(labels->reason, &at);
    route->labels.action = copy_text(labels->action, &at);
    route->labels.stage = copy_text(labels->stage, &at);
    route->labels.component = copy_text(labels->component, &at);
    route->labels.run_id = copy_text(labels->run_id, &at);
    aggregate->route_count++;
    aggregate->route_bytes += sizeof(*route) + texts;
    return route;
}

static void place_route(struct route **routes, size_t slots, struct route *route)
{
    size_t i = route->hash & (slots - 1);

    while (routes[i])
        i = (i + 1) & (slots - 1);
    routes[i] = route;
}

/* Makes room for one more. false: out of memory. */
static bool make_route_room(struct aggregate *aggregate)
{
    size_t slots = aggregate->route_slots * 2;
    struct route **routes;

    if (aggregate->route_count >= ROUTES_MAX || aggregate->route_bytes > ROUTES_MAX_BYTES)
        forget_routes(aggregate);
    if (2 * (aggregate->route_count + 1) <= aggregate->route_slots)
        return true;
    routes = calloc(slots, sizeof(struct route *));
    if (!routes)
        return false;
    for (size_t i = 0; i < aggregate->route_slots; i++)
        if (aggregate->routes[i])
            place_route(routes, slots, aggregate->routes[i]);
    free(aggregate->routes);
    aggregate->routes = routes;
    aggregate->route_slots = slots;
    return true;
}

static struct route *add_route(struct aggregate *aggregate, const struct labels *labels, uint64_t hash)
{
    struct route *route = make_route_room(aggregate) ? route_new(aggregate, labels, hash) : NULL;

    if (route)
        place_route(aggregate->routes, aggregate->route_slots, route);
    return route;
}

/* NULL: out of memory. */
static struct route *find_route(struct aggregate *aggregate, struct labels *labels)
{
    uint64_t hash = labels_hash(labels);
    size_t mask = aggregate->route_slots - 1, i = hash & mask;
    struct route *route;

    while ((route = aggregate->routes[i]) != NULL &&
           (route->hash != hash || !labels_equal(&route->labels, labels)))
        i = (i + 1) & mask;
    if (!route)
        route = add_route(aggregate, labels, hash);
    labels->route = route;
    labels->generation = aggregate->generation;
    return route;
}

/* ---- label values ---- */

/* The component an event is counted under: its own, or ours where it names none. */
static struct text event_component(const struct aggregate *aggregate, const struct labels *labels)
{
    struct text component = text_trim(labels->component);

    return component.len_bytes > 0 ? component : text_of(aggregate->component);
}

/* Its run id as the raw label has it. Lines come with theirs in that form already; it does not change twice.
 */
static size_t raw_run_id(const struct aggregate *aggregate, const struct labels *labels,
                         char out[RUN_ID_MAX_BYTES])
{
    struct text run_id = text_trim(labels->run_id);

    return text_run_id(run_id.len_bytes > 0 ? run_id : text_of(aggregate->run_id), RUN_ID_MAX_BYTES, out);
}

static size_t put_string(const char *string, char *out)
{
    struct text text = text_of(string);

    memcpy(out, text.bytes, text.len_bytes); /* labels are counted, not terminated */
    return text.len_bytes;
}

/* Reasons of lines are the contract's already, or free text of an unknown schema. Those of the SDK are what
 * the host registered: kept if among the eight or told to us, else `other`. */
static size_t put_reason(const struct aggregate *aggregate, const struct labels *labels, char *out)
{
    size_t len = text_normalise(labels->reason, 96, out);

    if (labels->source != SOURCE_SDK_V1)
        return len;
    if (text_trim(labels->reason).len_bytes == 0)
        return put_string("none", out);
    for (unsigned i = AILIVE_REASON_NONE; i <= AILIVE_REASON_OTHER; i++)
        if (text_is_folded(text_trim(labels->reason), event_reason_name(i)))
            return put_string(event_reason_name(i), out);
    for (size_t i = 0; i < aggregate->reason_count; i++)
        if (text_is((struct text){out, len}, aggregate->reasons[i]))
            return len;
    return put_string("other", out);
}

static size_t put_label(const struct aggregate *aggregate, const struct labels *labels,
                        enum series_label_kind kind, char out[SERIES_VALUE_MAX_BYTES])
{
    char run_id[RUN_ID_MAX_BYTES];

    switch (kind) {
    case SERIES_LABEL_ACTION:
        return text_normalise(labels->action, 48, out);
    case SERIES_LABEL_COMPONENT:
        return text_normalise(event_component(aggregate, labels), 48, out);
    case SERIES_LABEL_DECISION:
        return text_normalise(labels->decision, 32, out);
    case SERIES_LABEL_DROP:
        return put_string(contract_drop_name(labels->drop), out);
    case SERIES_LABEL_REASON:
        return put_reason(aggregate, labels, out);
    case SERIES_LABEL_RUN_ID:
        return text_normalise((struct text){run_id, raw_run_id(aggregate, labels, run_id)}, 96, out);
    case SERIES_LABEL_SOURCE:
        return put_string(source_name(labels->source), out);
    case SERIES_LABEL_STAGE:
        return text_normalise(labels->stage, 48, out);
    case SERIES_LABEL_RAW_COMPONENT:
        return text_clean(event_component(aggregate, labels), SERIES_VALUE_MAX_BYTES, out);
    case SERIES_LABEL_RAW_RUN_ID:
        return raw_run_id(aggregate, labels, out);
    case SERIES_LABEL_GIVEN:
        break;
    }
    assert(kind != SERIES_LABEL_GIVEN); /* those families are aggregate_count()'s */
    return 0;
}

/* ---- counting ---- */

static void count_given(struct aggregate *aggregate, enum series_family family, const struct text *values,
                        uint64_t n)
{
    struct series *series = series_find(&aggregate->store, family, values);

    if (series)
        series_add(&aggregate->store, series, n);
    else
        aggregate->failed = true;
}

/* Looks the series up that a route leads to. NULL: out of memory, noted. */
static struct series *find_route_series(struct aggregate *aggregate, struct route *route,
                                        enum series_family family)
{
    const struct series_family_spec *spec = &series_families[family];
    char bytes[SERIES_LABELS_MAX][SERIES_VALUE_MAX_BYTES];
    struct text values[SERIES_LABELS_MAX] = {{NULL, 0}};

    for (size_t i = 0; i < SERIES_LABELS_MAX && spec->labels[i].name; i++)
        values[i] =
            (struct text){bytes[i], put_label(aggregate, &route->labels, spec->labels[i].kind, bytes[i])};
    route->series[family] = series_find(&aggregate->store, family, values);
    if (!route->series[family])
        aggregate->failed = true;
    return route->series[family];
}

static void count_overflow(struct aggregate *aggregate, enum series_family family, uint64_t n)
{
    struct text name = text_of(series_families[family].name);

    count_given(aggregate, SERIES_OWN_OVERFLOW, &name, n);
}

/* The series of a family that a route leads to, for n events. NULL: out of memory, noted. */
static inline struct series *route_series(struct aggregate *aggregate, struct route *route,
                                          enum series_family family, uint64_t n)
{
    struct series *series = route->series[family];

    if (!series)
        series = find_route_series(aggregate, route, family);
    if (series && series->overflow)
        count_overflow(aggregate, family, n);
    return series;
}

static void count_some(struct aggregate *aggregate, struct route *route, enum series_family family,
                       uint64_t n)
{
    struct series *series = route_series(aggregate, route, family, n);

    if (series)
        series_add(&aggregate->store, series, n);
}

static void count_one(struct aggregate *aggregate, struct route *route, enum series_family family)
{
    count_some(aggregate, route, family, 1);
}

static void observe(struct aggregate *aggregate, struct route *route, enum series_family family,
                    const struct latency *latency)
{
    struct series *series = latency->present ? route_series(aggregate, route, family, 1) : NULL;

    if (series && !series_observe(&aggregate->store, series, latency))
        aggregate->failed = true;
}

/* Files have an order, their last time stays. Records of the SDK come by several roads and rings: their
 * greatest time stays, so that the order of arrival cannot matter. */
static void note_time(struct aggregate *aggregate, struct route *route, enum series_family family,
                      double seconds, uint64_t n)
{
    struct series *series = route_series(aggregate, route, family, n);

    if (!series)
        return;
    if (route->labels.source == SOURCE_SDK_V1)
        series_raise(&aggregate->store, series, seconds);
    else
        series_set(&aggregate->store, series, seconds);
}

static void count_unobserved(struct aggregate *aggregate, enum source source, enum latency_fault fault,
                             uint64_t n)
{
    static const char *const reasons[LATENCY_FAULTS] = {
        [LATENCY_NEGATIVE] = "negative", [LATENCY_TOO_LARGE] = "too_large"};

    aggregate_count(aggregate, OWN_LATENCY_UNOBSERVED, source_name(source), reasons[fault], n);
}

static void apply_decision(struct aggregate *aggregate, struct route *route,
                           const struct observation *observation, double seconds)
{
    count_one(aggregate, route, SERIES_DECISIONS);
    note_time(aggregate, route, SERIES_LAST_DECISION, seconds, 1);
    observe(aggregate, route, SERIES_LATENCY_SECONDS, &observation->seconds);
    observe(aggregate, route, SERIES_LATENCY_MS, &observation->ms);
}

/* NULL: out of memory, noted. */
static struct route *labels_route(struct aggregate *aggregate, struct labels *labels)
{
    struct route *route =
        labels->generation == aggregate->generation ? labels->route : find_route(aggregate, labels);

    if (!route)
        aggregate->failed = true;
    return route;
}

void aggregate_apply(struct aggregate *aggregate, const struct observation *observation)
{
    struct labels *labels = observation->labels;
    double seconds = ratio_seconds(observation->time_ns);
    struct route *route = labels_route(aggregate, labels);

    if (!route)
        return;
    if (labels->drop != CONTRACT_KEPT)
        count_one(aggregate, route, SERIES_DROPPED);
    if (labels->drop == CONTRACT_BAD_JSON)
        count_one(aggregate, route, SERIES_PARSE_ERRORS);
    if (observation->has_time) {
        note_time(aggregate, route, SERIES_LAST_EVENT, seconds, 1);
        note_time(aggregate, route, SERIES_LAST_EVENT_BY_RUN_ID, seconds, 1);
    }
    if (labels->action.len_bytes > 0)
        count_one(aggregate, route, SERIES_ACTIONS);
    if (labels->decision.len_bytes > 0)
        apply_decision(aggregate, route, observation, seconds);
    if (labels->stage.len_bytes > 0)
        observe(aggregate, route, SERIES_STAGE_LATENCY, &observation->seconds);
    if (observation->fault != LATENCY_FINE)
        count_unobserved(aggregate, labels->source, observation->fault, 1);
}

/* A tally on its way to the series of its kind. */
struct tallied {
    const struct tally *tally;
    const struct tally_sums *sums;
    const struct exemplar_origin *origin;
};

/* The slowest record stands for its bucket. Without memory there is just no exemplar. */
static void show_slowest(const struct aggregate *aggregate, const struct labels *labels,
                         struct series *series, const struct tallied *tallied)
{
    const struct tally *tally = tallied->tally;
    enum histogram_unit unit = series_families[series->family].unit;
    enum latency_fault fault;
    struct exemplar exemplar;

    static_assert(EXEMPLAR_RUN_ID_BYTES == RUN_ID_MAX_BYTES, "the raw label fits");
    if (tallied->origin == NULL || tally->slowest_ns <= 0)
        return;
    exemplar = (struct exemplar){tally->slowest_ns, tally->slowest_time_ns, *tallied->origin, ""};
    exemplar.run_id[raw_run_id(aggregate, labels, exemplar.run_id)] = '\0';
    series_exemplify(series, histogram_latency_ns(unit, tally->slowest_ns, &fault).bucket, &exemplar);
}

static void observe_tallied(struct aggregate *aggregate, struct route *route, enum series_family family,
                            const struct tallied *tallied)
{
    uint64_t n = tallied->sums->observed;
    struct series *series = n > 0 ? route_series(aggregate, route, family, n) : NULL;

    if (!series)
        return;
    if (!series_observe_tally(&aggregate->store, series, tallied->tally, tallied->sums))
        aggregate->failed = true;
    show_slowest(aggregate, &route->labels, series, tallied);
}

void aggregate_apply_tally(struct aggregate *aggregate, struct labels *labels, const struct tally *tally,
                           const struct tally_sums *sums, const struct exemplar_origin *origin)
{
    struct tallied tallied = {tally, sums, origin};
    double seconds = ratio_seconds(tally->last_ns);
    struct route *route = labels_route(aggregate, labels);
    uint64_t n = sums->records;

    if (!route)
        return;
    note_time(aggregate, route, SERIES_LAST_EVENT, seconds, n);
    note_time(aggregate, route, SERIES_LAST_EVENT_BY_RUN_ID, seconds, n);
    if (labels->action.len_bytes > 0)
        count_some(aggregate, route, SERIES_ACTIONS, n);
    if (labels->decision.len_bytes > 0) {
        count_some(aggregate, route, SERIES_DECISIONS, n);
        note_time(aggregate, route, SERIES_LAST_DECISION, seconds, n);
        observe_tallied(aggregate, route, SERIES_LATENCY_SECONDS, &tallied);
        observe_tallied(aggregate, route, SERIES_LATENCY_MS, &tallied);
    }
    if (labels->stage.len_bytes > 0)
        observe_tallied(aggregate, route, SERIES_STAGE_LATENCY, &tallied);
    if (sums->negative > 0)
        count_unobserved(aggregate, labels->source, LATENCY_NEGATIVE, sums->negative);
}

/* Cut to what a label may have: names of ours are shorter by far. */
static struct text given(const char *value)
{
    struct text text = text_of(value);

    if (text.len_bytes > SERIES_VALUE_MAX_BYTES)
        text.len_bytes = SERIES_VALUE_MAX_BYTES;
    return text;
}

void aggregate_count(struct aggregate *aggregate, enum aggregate_own family, const char *a, const char *b,
                     uint64_t n)
{
    static const enum series_family families[] = {
        [OWN_EVENTS] = SERIES_OWN_EVENTS,     [OWN_DUPLICATES] = SERIES_OWN_DUPLICATES,
        [OWN_DROPPED] = SERIES_OWN_DROPPED,   [OWN_LATENCY_UNOBSERVED] = SERIES_OWN_UNOBSERVED,
        [OWN_OVERFLOW] = SERIES_OWN_OVERFLOW,
    };
    struct text one[] = {given(a)};
    struct text two[] = {given(b), given(a)}; /* reason, source: the order of their names */

    if (n > 0)
        count_given(aggregate, families[family], b ? two : one, n);
}

/* ---- commit and state ---- */

bool aggregate_changes(struct aggregate *aggregate, struct change_list *out)
{
    return !aggregate->failed && series_changes(&aggregate->store, out);
}

void aggregate_committed(struct aggregate *aggregate)
{
    pthread_mutex_lock(&aggregate->mutex);
    series_committed(&aggregate->store);
    pthread_mutex_unlock(&aggregate->mutex);
}

void aggregate_reset(struct aggregate *aggregate)
{
    pthread_mutex_lock(&aggregate->mutex);
    series_reset(&aggregate->store);
    forget_routes(aggregate);
    aggregate->failed = false;
    pthread_mutex_unlock(&aggregate->mutex);
}

bool aggregate_restore(struct aggregate *aggregate, const void *key, size_t key_len, const void *value,
                       size_t value_len)
{
    bool restored;

    pthread_mutex_lock(&aggregate->mutex);
    restored = series_restore(&aggregate->store, key, key_len, value, value_len);
    pthread_mutex_unlock(&aggregate->mutex);
    return restored;
}

/* ---- parts of a whole ---- */

void aggregate_order(struct aggregate *aggregate, uint64_t order)
{
    pthread_mutex_lock(&aggregate->mutex);
    aggregate->store.order = order;
    pthread_mutex_unlock(&aggregate->mutex);
}

bool aggregate_overflowed(struct aggregate *aggregate)
{
    bool overflowed;

    pthread_mutex_lock(&aggregate->mutex);
    overflowed = aggregate->store.overflowed;
    pthread_mutex_unlock(&aggregate->mutex);
    return overflowed;
}

enum aggregate_merged aggregate_merge(struct aggregate *into, struct aggregate *from)
{
    enum aggregate_merged merged;

    pthread_mutex_lock(&into->mutex);
    pthread_mutex_lock(&from->mutex); /* nobody else locks two */
    merged = series_merge(&into->store, &from->store);
    if (merged == AGGREGATE_MERGED)
        series_committed(&into->store);
    pthread_mutex_unlock(&from->mutex);
    pthread_mutex_unlock(&into->mutex);
    return merged;
}

/* ---- snapshot ---- */

int aggregate_snapshot_with(struct aggregate *aggregate, unsigned extras, struct snapshot *out)
{
    struct snapshot_layout *made;
    int status;

    pthread_mutex_lock(&aggregate->mutex);
    status = snapshot_copy(&aggregate->store, aggregate->layout, aggregate->heartbeat, extras, out);
    pthread_mutex_unlock(&aggregate->mutex);
    if (status != 0)
        return -1;
    if (snapshot_sort(out, &made) != 0) {
        snapshot_free(out);
        return -1;
    }
    if (!made)
        return 0;
    pthread_mutex_lock(&aggregate->mutex);
    snapshot_layout_release(aggregate->layout);
    aggregate->layout = made;
    pthread_mutex_unlock(&aggregate->mutex);
    return 0;
}

int aggregate_snapshot(struct aggregate *aggregate, struct snapshot *out)
{
    return aggregate_snapshot_with(aggregate, 0, out);
}
