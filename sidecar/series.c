/* series.c - see series.h. */
#include "series.h"

#include "expose_text.h"
#include "hash.h"
#include "text.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ACTION                                                                                               \
    {                                                                                                        \
        "action", SERIES_LABEL_ACTION                                                                        \
    }
#define COMPONENT                                                                                            \
    {                                                                                                        \
        "component", SERIES_LABEL_COMPONENT                                                                  \
    }
#define DECISION                                                                                             \
    {                                                                                                        \
        "decision", SERIES_LABEL_DECISION                                                                    \
    }
#define DROP                                                                                                 \
    {                                                                                                        \
        "reason", SERIES_LABEL_DROP                                                                          \
    }
#define REASON                                                                                               \
    {                                                                                                        \
        "reason", SERIES_LABEL_REASON                                                                        \
    }
#define RUN_ID                                                                                               \
    {                                                                                                        \
        "run_id", SERIES_LABEL_RUN_ID                                                                        \
    }
#define SOURCE                                                                                               \
    {                                                                                                        \
        "source", SERIES_LABEL_SOURCE                                                                        \
    }
#define STAGE                                                                                                \
    {                                                                                                        \
        "stage", SERIES_LABEL_STAGE                                                                          \
    }
#define RAW_COMPONENT                                                                                        \
    {                                                                                                        \
        "component", SERIES_LABEL_RAW_COMPONENT                                                              \
    }
#define RAW_RUN_ID                                                                                           \
    {                                                                                                        \
        "run_id", SERIES_LABEL_RAW_RUN_ID                                                                    \
    }
#define GIVEN(name)                                                                                          \
    {                                                                                                        \
        name, SERIES_LABEL_GIVEN                                                                             \
    }

const struct series_family_spec series_families[SERIES_FAMILIES] = {
    [SERIES_DECISIONS] = {'d',
                          "peaktrade_ai_decisions_total",
                          "AI decisions.",
                          FAMILY_COUNTER,
                          0,
                          NULL,
                          {COMPONENT, DECISION, REASON, RUN_ID}},
    [SERIES_ACTIONS] = {'a',
                        "peaktrade_ai_actions_total",
                        "AI actions.",
                        FAMILY_COUNTER,
                        0,
                        NULL,
                        {ACTION, COMPONENT, RUN_ID}},
    [SERIES_LATENCY_SECONDS] = {'s',
                                "peaktrade_ai_decision_latency_seconds",
                                "Latency of AI decisions in seconds.",
                                FAMILY_HISTOGRAM,
                                HISTOGRAM_SECONDS,
                                "ailive_decision_latency_seconds",
                                {COMPONENT, RUN_ID}},
    [SERIES_LATENCY_MS] = {'m',
                           "peaktrade_ai_decision_latency_ms",
                           "Latency of AI decisions in milliseconds.",
                           FAMILY_HISTOGRAM,
                           HISTOGRAM_MS,
                           NULL,
                           {DECISION, SOURCE}},
    [SERIES_LAST_DECISION] = {'l',
                              "peaktrade_ai_last_decision_timestamp_seconds",
                              "Unix time of the last AI decision.",
                              FAMILY_GAUGE,
                              0,
                              NULL,
                              {COMPONENT, RUN_ID}},
    [SERIES_LAST_EVENT] = {'e',
                           "peaktrade_ai_last_event_timestamp_seconds",
                           "Unix time of the last processed event that had one.",
                           FAMILY_GAUGE,
                           0,
                           NULL,
                           {SOURCE}},
    [SERIES_LAST_EVENT_BY_RUN_ID] = {'r',
                                     "peaktrade_ai_last_event_timestamp_seconds_by_run_id",
                                     "Unix time of the last processed event that had one, by run.",
                                     FAMILY_GAUGE,
                                     0,
                                     NULL,
                                     {RAW_COMPONENT, RAW_RUN_ID, SOURCE}},
    [SERIES_PARSE_ERRORS] = {'p',
                             "peaktrade_ai_events_parse_errors_total",
                             "Event lines that are no JSON.",
                             FAMILY_COUNTER,
                             0,
                             NULL,
                             {SOURCE}},
    [SERIES_DROPPED] = {'x',
                        "peaktrade_ai_events_dropped_total",
                        "Event lines dropped, by reason.",
                        FAMILY_COUNTER,
                        0,
                        NULL,
                        {DROP, SOURCE}},
    [SERIES_HEARTBEAT] = {'h',
                          "peaktrade_ai_live_heartbeat",
                          "1 while the exporter lives.",
                          FAMILY_GAUGE,
                          0,
                          NULL,
                          {COMPONENT, RUN_ID}},
    [SERIES_STAGE_LATENCY] = {'S',
                              "ailive_stage_latency_seconds",
                              "Latency of a stage of the host's work in seconds.",
                              FAMILY_HISTOGRAM,
                              HISTOGRAM_SECONDS,
                              "ailive_stage_latency_seconds",
                              {COMPONENT, RUN_ID, STAGE}},
    [SERIES_OWN_EVENTS] =
        {'E', "ailive_events_total", "Events taken in, by road.", FAMILY_COUNTER, 0, NULL, {GIVEN("road")}},
    [SERIES_OWN_DUPLICATES] = {'D',
                               "ailive_events_duplicate_total",
                               "Records skipped because they were accounted for already, by road.",
                               FAMILY_COUNTER,
                               0,
                               NULL,
                               {GIVEN("road")}},
    [SERIES_OWN_DROPPED] = {'X',
                            "ailive_events_dropped_total",
                            "SDK records that never reached a count, by reason.",
                            FAMILY_COUNTER,
                            0,
                            NULL,
                            {GIVEN("reason")}},
    [SERIES_OWN_UNOBSERVED] = {'U',
                               "ailive_latency_unobserved_total",
                               "Events whose latency was not observed, by reason.",
                               FAMILY_COUNTER,
                               0,
                               NULL,
                               {GIVEN("reason"), GIVEN("source")}},
    [SERIES_OWN_OVERFLOW] = {'O',
                             "ailive_series_overflow_total",
                             "Events counted in a family's overflow series.",
                             FAMILY_COUNTER,
                             0,
                             NULL,
                             {GIVEN("family")}},
};

#define KEY_LETTER  's'
#define KEY_VERSION '1'
#define KEY_HEAD    3u
#define KEY_BYTES   (KEY_HEAD + SERIES_LABELS_MAX * (1 + SERIES_VALUE_MAX_BYTES))

#define HISTOGRAM_VALUE_BYTES ((HISTOGRAM_BOUNDS + 1) * 8 + 16)
#define VALUE_MAX_BYTES       (HISTOGRAM_VALUE_BYTES + NATIVE_STATE_BYTES)
#define EXEMPLARS_BYTES       ((HISTOGRAM_BOUNDS + 1) * sizeof(struct exemplar))
#define FIRST_SLOTS           256u

static size_t label_count(enum series_family family)
{
    size_t n = 0;

    while (n < SERIES_LABELS_MAX && series_families[family].labels[n].name)
        n++;
    return n;
}

bool series_store_init(struct series_store *store, size_t max_series)
{
    *store = (struct series_store){.slot_count = FIRST_SLOTS, .max_series = max_series};
    store->slots = calloc(store->slot_count, sizeof(struct series *));
    return store->slots != NULL;
}

static void series_free(struct series *series)
{
    free(series->labels);
    free(series->native);
    free(series->exemplars);
    free(series);
}

void series_store_fini(struct series_store *store)
{
    for (size_t i = 0; store->slots && i < store->slot_count; i++)
        if (store->slots[i])
            series_free(store->slots[i]);
    free(store->slots);
}

/* ---- finding and making ---- */

static size_t make_key(enum series_family family, const struct text *values, unsigned char key[KEY_BYTES])
{
    size_t used = KEY_HEAD;

    key[0] = KEY_LETTER;
    key[1] = KEY_VERSION;
    key[2] = (unsigned char)series_families[family].code;
    for (size_t i = 0; i < label_count(family); i++) {
        assert(values[i].len_bytes <= SERIES_VALUE_MAX_BYTES);
        key[used++] = (unsigned char)values[i].len_bytes;
        memcpy(key + used, values[i].bytes, values[i].len_bytes);
        used += values[i].len_bytes;
    }
    return used;
}

static struct series *look_up(const struct series_store *store, const unsigned char *key, size_t key_len,
                              uint64_t hash)
{
    for (size_t i = hash & (store->slot_count - 1); store->slots[i]; i = (i + 1) & (store->slot_count - 1)) {
        struct series *series = store->slots[i];

        if (series->hash == hash && series->key_len == key_len && memcmp(series->key, key, key_len) == 0)
            return series;
    }
    return NULL;
}

static void place(struct series **slots, size_t slot_count, struct series *series)
{
    size_t i = series->hash & (slot_count - 1);

    while (slots[i])
        i = (i + 1) & (slot_count - 1);
    slots[i] = series;
}

static bool make_room(struct series_store *store)
{
    size_t slot_count = store->slot_count * 2;
    struct series **slots;

    if (2 * (store->count + 1) <= store->slot_count)
        return true;
    slots = calloc(slot_count, sizeof(struct series *));
    if (!slots)
        return false;
    for (size_t i = 0; i < store->slot_count; i++)
        if (store->slots[i])
            place(slots, slot_count, store->slots[i]);
    free(store->slots);
    store->slots = slots;
    store->slot_count = slot_count;
    return true;
}

/* `name="value",...`; NULL: out of memory. */
static char *render_labels(enum series_family family, const struct text *values)
{
    const struct series_family_spec *spec = &series_families[family];
    struct buffer text;

    buffer_init(&text);
    for (size_t i = 0; i < label_count(family); i++)
        if (!buffer_printf(&text, "%s%s=\"", i ? "," : "", spec->labels[i].name) ||
            !expose_text_escape(&text, values[i]) || !buffer_add(&text, "\"", 1))
            goto failed;
    if (buffer_add(&text, "", 1))
        return text.bytes;
failed:
    buffer_fini(&text);
    return NULL;
}

static bool all_overflow(enum series_family family, const struct text *values)
{
    for (size_t i = 0; i < label_count(family); i++)
        if (!text_is(values[i], "overflow"))
            return false;
    return true;
}

/* Makes a series that neither counts nor shows yet. */
static struct series *make(struct series_store *store, enum series_family family, const struct text *values,
                           const unsigned char *key, size_t key_len, uint64_t hash)
{
    struct series *series;

    if (!make_room(store))
        return NULL;
    series = calloc(1, sizeof(*series) + key_len);
    if (!series)
        return NULL;
    series->labels = render_labels(family, values);
    if (!series->labels) {
        free(series);
        return NULL;
    }
    series->labels_len = (uint32_t)strlen(series->labels);
    series->family = family;
    series->hash = hash;
    series->overflow = all_overflow(family, values);
    series->key_len = key_len;
    memcpy(series->key, key, key_len);
    place(store->slots, store->slot_count, series);
    store->count++;
    return series;
}

static void start_counting(struct series_store *store, struct series *series)
{
    if (series->counted)
        return;
    series->counted = true;
    series->is_set = false;
    series->counting = (union series_value){.histogram = {.sum_picoseconds = 0}};
    native_clear(series->native);
    if (series->exemplars)
        memset(series->exemplars, 0, EXEMPLARS_BYTES);
    store->counted[series->family] += !series->overflow;
}

struct series *series_find(struct series_store *store, enum series_family family, const struct text *values)
{
    static const struct text overflow[SERIES_LABELS_MAX] = {
        {"overflow", 8}, {"overflow", 8}, {"overflow", 8}, {"overflow", 8}};
    unsigned char key[KEY_BYTES];
    size_t key_len = make_key(family, values, key);
    uint64_t hash = hash_bytes(0, key, key_len);
    struct series *series = look_up(store, key, key_len, hash);

    if (series && series->counted)
        return series;
    if (store->counted[family] >= store->max_series && !all_overflow(family, values)) {
        store->overflowed = true;
        return series_find(store, family, overflow);
    }
    if (!series)
        series = make(store, family, values, key, key_len, hash);
    if (series)
        start_counting(store, series);
    return series;
}

/* ---- changing ---- */

static void touch(struct series_store *store, struct series *series)
{
    assert(series->counted);
    if (series->dirty)
        return;
    series->dirty = true;
    series->next_dirty = store->dirty;
    store->dirty = series;
}

void series_add(struct series_store *store, struct series *series, uint64_t n)
{
    series->counting.count += n;
    touch(store, series);
}

bool series_observe(struct series_store *store, struct series *series, const struct latency *latency)
{
    histogram_observe(&series->counting.histogram, latency);
    touch(store, series);
    return series_families[series->family].native_name == NULL ||
           native_observe(&series->native, latency->picoseconds);
}

bool series_observe_tally(struct series_store *store, struct series *series, const struct tally *tally,
                          const struct tally_sums *sums)
{
    const struct series_family_spec *spec = &series_families[series->family];

    histogram_add(&series->counting.histogram, spec->unit, sums->cells, sums->sum_ns);
    touch(store, series);
    return spec->native_name == NULL || tally_add_native(tally, &series->native);
}

void series_exemplify(struct series *series, unsigned bucket, const struct exemplar *exemplar)
{
    assert(bucket <= HISTOGRAM_BOUNDS);
    if (!series->exemplars)
        series->exemplars = calloc(2, EXEMPLARS_BYTES);
    if (series->exemplars)
        series->exemplars[bucket] = *exemplar;
}

void series_set(struct series_store *store, struct series *series, double value)
{
    series->counting.gauge = value;
    series->is_set = true;
    series->order = store->order;
    touch(store, series);
}

void series_raise(struct series_store *store, struct series *series, double value)
{
    if (!series->is_set || value > series->counting.gauge)
        series_set(store, series, value);
}

/* ---- state ---- */

static void put_u64(unsigned char *out, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get_u64(const unsigned char *bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < 8; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static void encode_histogram(const struct histogram *histogram, unsigned char *out)
{
    unsigned __int128 sum = (unsigned __int128)histogram->sum_picoseconds;

    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++, out += 8)
        put_u64(out, histogram->buckets[i]);
    put_u64(out, (uint64_t)sum);
    put_u64(out + 8, (uint64_t)(sum >> 64));
}

static size_t encode_value(const struct series *series, unsigned char out[VALUE_MAX_BYTES])
{
    uint64_t bits;

    switch (series_families[series->family].type) {
    case FAMILY_COUNTER:
        put_u64(out, series->counting.count);
        return 8;
    case FAMILY_GAUGE:
        memcpy(&bits, &series->counting.gauge, 8);
        put_u64(out, bits);
        return 8;
    case FAMILY_HISTOGRAM:
        break;
    }
    encode_histogram(&series->counting.histogram, out);
    return HISTOGRAM_VALUE_BYTES + native_encode(series->native, out + HISTOGRAM_VALUE_BYTES);
}

static bool decode_histogram(const unsigned char *bytes, struct histogram *out, uint64_t *total)
{
    unsigned __int128 sum;
    uint64_t count = 0;

    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++, bytes += 8) {
        out->buckets[i] = get_u64(bytes);
        if (__builtin_add_overflow(count, out->buckets[i], &count))
            return false;
    }
    sum = (unsigned __int128)get_u64(bytes + 8) << 64 | get_u64(bytes);
    out->sum_picoseconds = (__int128)sum;
    *total = count;
    return out->sum_picoseconds >= 0 && (count > 0 || sum == 0);
}

/* State of before there were native buckets ends behind the classic ones: they then begin at 0. Never more in
 * them than in the classic ones. */
static bool decode_both(enum series_family family, const unsigned char *bytes, size_t len_bytes,
                        struct histogram *out, struct native **native)
{
    uint64_t total, native_total = 0;

    if (len_bytes < HISTOGRAM_VALUE_BYTES || !decode_histogram(bytes, out, &total))
        return false;
    if (len_bytes == HISTOGRAM_VALUE_BYTES)
        return true;
    if (series_families[family].native_name == NULL ||
        !native_decode(bytes + HISTOGRAM_VALUE_BYTES, len_bytes - HISTOGRAM_VALUE_BYTES, native,
                       &native_total))
        return false;
    if (native_total <= total)
        return true;
    free(*native);
    *native = NULL;
    return false;
}

/* false: not a value of this family; *native stays NULL. */
static bool decode_value(enum series_family family, const unsigned char *bytes, size_t len_bytes,
                         union series_value *out, struct native **native)
{
    enum family_type type = series_families[family].type;
    uint64_t bits;

    if (type == FAMILY_HISTOGRAM)
        return decode_both(family, bytes, len_bytes, &out->histogram, native);
    if (len_bytes != 8)
        return false;
    bits = get_u64(bytes);
    if (type == FAMILY_COUNTER) {
        out->count = bits;
        return true;
    }
    memcpy(&out->gauge, &bits, 8);
    return isfinite(out->gauge);
}

/* A label value as we write it: not empty, UTF-8, no NUL. */
static bool value_is_ours(struct text value)
{
    if (value.len_bytes == 0 || value.len_bytes > SERIES_VALUE_MAX_BYTES)
        return false;
    while (value.len_bytes > 0) {
        size_t n = text_character_bytes(value.bytes, value.len_bytes);

        if (n == 0 || value.bytes[0] == '\0')
            return false;
        value.bytes += n;
        value.len_bytes -= n;
    }
    return true;
}

/* Takes a key apart. values point into it. false: not a series' key. */
static bool parse_key(const unsigned char *key, size_t key_len, enum series_family *family,
                      struct text values[SERIES_LABELS_MAX])
{
    size_t at = KEY_HEAD;
    unsigned f = 0;

    if (key_len < KEY_HEAD || key_len > KEY_BYTES || key[0] != KEY_LETTER || key[1] != KEY_VERSION)
        return false;
    while (f < SERIES_FAMILIES && (unsigned char)series_families[f].code != key[2])
        f++;
    if (f == SERIES_FAMILIES || f == SERIES_HEARTBEAT)
        return false;
    *family = (enum series_family)f;
    for (size_t i = 0; i < label_count(*family); i++) {
        if (at == key_len || key_len - at - 1 < key[at])
            return false;
        values[i] = (struct text){(const char *)key + at + 1, key[at]};
        if (!value_is_ours(values[i]))
            return false;
        at += 1 + values[i].len_bytes;
    }
    return at == key_len;
}

bool series_changes(const struct series_store *store, struct change_list *out)
{
    unsigned char value[VALUE_MAX_BYTES];

    for (const struct series *series = store->dirty; series; series = series->next_dirty)
        if (!change_list_put(out, series->key, series->key_len, value, encode_value(series, value)))
            return false;
    return true;
}

/* After a reset: what does not count any more is shown no more. */
static void drop_uncounted(struct series_store *store)
{
    struct series **slots = calloc(store->slot_count, sizeof(struct series *));

    store->shape++;
    for (size_t i = 0; i < store->slot_count; i++) {
        struct series *series = store->slots[i];

        if (!series)
            continue;
        series->shown = series->counted;
        if (!slots) /* out of memory: they stay in the table, unseen; series_find() goes on with them */
            continue;
        if (series->counted) {
            place(slots, store->slot_count, series);
        } else {
            series_free(series);
            store->count--;
        }
    }
    if (!slots)
        return;
    free(store->slots);
    store->slots = slots;
}

void series_committed(struct series_store *store)
{
    for (struct series *series = store->dirty; series; series = series->next_dirty) {
        series->committed = series->counting;
        native_commit(series->native);
        if (series->exemplars)
            memcpy(series->exemplars + HISTOGRAM_BOUNDS + 1, series->exemplars, EXEMPLARS_BYTES);
        store->shape += !series->shown;
        series->shown = true;
        series->dirty = false;
    }
    store->dirty = NULL;
    if (store->reset_pending)
        drop_uncounted(store);
    store->reset_pending = false;
}

void series_reset(struct series_store *store)
{
    for (size_t i = 0; i < store->slot_count; i++)
        if (store->slots[i]) {
            store->slots[i]->counted = false;
            store->slots[i]->dirty = false;
        }
    memset(store->counted, 0, sizeof(store->counted));
    store->overflowed = false;
    store->dirty = NULL;
    store->reset_pending = true;
}

bool series_restore(struct series_store *store, const void *key, size_t key_len, const void *value,
                    size_t value_len)
{
    struct text values[SERIES_LABELS_MAX] = {{NULL, 0}};
    union series_value restored = {.histogram = {.sum_picoseconds = 0}};
    struct native *native = NULL;
    enum series_family family;
    struct series *series;
    uint64_t hash;

    if (!parse_key(key, key_len, &family, values) ||
        !decode_value(family, value, value_len, &restored, &native))
        return false;
    hash = hash_bytes(0, key, key_len);
    series = look_up(store, key, key_len, hash);
    if (!series)
        series = make(store, family, values, key, key_len, hash);
    if (!series) {
        free(native);
        return false;
    }
    /* Beyond max_series too: what was counted once stays counted when the limit has been lowered. */
    start_counting(store, series);
    series->counting = series->committed = restored;
    free(series->native);
    series->native = native;
    free(series->exemplars);
    series->exemplars = NULL;
    series->is_set = true;
    series->shown = true;
    store->shape++;
    return true;
}

/* ---- merging ---- */

/* Whether into has room for every series of from that it does not count yet. */
static bool merge_fits(const struct series_store *into, const struct series_store *from)
{
    size_t counted[SERIES_FAMILIES];

    if (from->overflowed)
        return false;
    memcpy(counted, into->counted, sizeof(counted));
    for (size_t i = 0; i < from->slot_count; i++) {
        const struct series *series = from->slots[i], *known;

        if (!series || !series->counted || series->overflow)
            continue;
        known = look_up(into, series->key, series->key_len, series->hash);
        if ((!known || !known->counted) && ++counted[series->family] > into->max_series)
            return false;
    }
    return true;
}

static void merge_histogram(struct histogram *into, const struct histogram *from)
{
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
        into->buckets[i] += from->buckets[i];
    into->sum_picoseconds += from->sum_picoseconds;
}

static void merge_value(struct series *into, const struct series *from)
{
    switch (series_families[from->family].type) {
    case FAMILY_COUNTER:
        into->counting.count += from->counting.count;
        break;
    case FAMILY_GAUGE:
        if (!from->is_set || (into->is_set && into->order > from->order))
            break;
        into->counting.gauge = from->counting.gauge;
        into->is_set = true;
        into->order = from->order;
        break;
    case FAMILY_HISTOGRAM:
        merge_histogram(&into->counting.histogram, &from->counting.histogram);
        break;
    }
}

/* false: out of memory. */
static bool merge_series(struct series_store *into, const struct series *from)
{
    struct text values[SERIES_LABELS_MAX] = {{NULL, 0}};
    struct series *series = look_up(into, from->key, from->key_len, from->hash);
    enum series_family family;

    if (!series) {
        bool ours = parse_key(from->key, from->key_len, &family, values);

        assert(ours);
        (void)ours;
        series = make(into, from->family, values, from->key, from->key_len, from->hash);
    }
    if (!series)
        return false;
    start_counting(into, series);
    merge_value(series, from);
    touch(into, series);
    return true;
}

enum aggregate_merged series_merge(struct series_store *into, const struct series_store *from)
{
    if (!merge_fits(into, from))
        return AGGREGATE_FULL;
    for (size_t i = 0; i < from->slot_count; i++)
        if (from->slots[i] && from->slots[i]->counted && !merge_series(into, from->slots[i]))
            return AGGREGATE_MEMORY;
    return AGGREGATE_MERGED;
}
