/* snapshot.c - see snapshot.h. */
#include "snapshot.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Where a series stands. The pointer is followed under the mutex only, and only while the store still has the
 * layout's shape: a series is freed only in a change of shape. */
struct place {
    const struct series *series; /* NULL: the heartbeat */
    const char *labels;
};

struct snapshot_layout {
    _Atomic unsigned users;
    uint64_t shape;
    bool sorted;
    size_t series[SERIES_FAMILIES];
    size_t total, histograms;
    struct place places[]; /* family by family, sorted by labels; the texts behind them */
};

/* One block of memory: families, series; behind them the histograms, then the extras. */
struct snapshot_block {
    struct snapshot_family families[SERIES_FAMILIES];
    struct snapshot_series series[];
};

/* ---- layout ---- */

static struct snapshot_layout *layout_use(struct snapshot_layout *layout)
{
    /* Relaxed: who takes a share has one already, or holds the mutex under which another has. */
    atomic_fetch_add_explicit(&layout->users, 1, memory_order_relaxed);
    return layout;
}

void snapshot_layout_release(struct snapshot_layout *layout)
{
    /* Acquire and release pair with each other: what other users read happens before the last one's free. */
    if (layout && atomic_fetch_sub_explicit(&layout->users, 1, memory_order_acq_rel) == 1)
        free(layout);
}

static struct snapshot_layout *layout_measure(const struct series_store *store, const char *heartbeat)
{
    size_t text_bytes = strlen(heartbeat) + 1;
    struct snapshot_layout size = {.series[SERIES_HEARTBEAT] = 1, .total = 1}, *layout;

    for (size_t i = 0; i < store->slot_count; i++) {
        const struct series *series = store->slots[i];

        if (!series || !series->shown)
            continue;
        size.series[series->family]++;
        size.total++;
        size.histograms += series_families[series->family].type == FAMILY_HISTOGRAM;
        text_bytes += series->labels_len + 1;
    }
    layout = malloc(sizeof(*layout) + size.total * sizeof(layout->places[0]) + text_bytes);
    if (!layout)
        return NULL;
    atomic_init(&layout->users, 1);
    layout->shape = store->shape;
    layout->sorted = false;
    memcpy(layout->series, size.series, sizeof(size.series));
    layout->total = size.total;
    layout->histograms = size.histograms;
    return layout;
}

static void place_put(struct place *place, const struct series *series, const char *labels, size_t len,
                      char **text)
{
    *place = (struct place){series, *text};
    memcpy(*text, labels, len + 1);
    *text += len + 1;
}

/* Every shown series, in no order within its family. */
static struct snapshot_layout *layout_make(const struct series_store *store, const char *heartbeat)
{
    struct snapshot_layout *layout = layout_measure(store, heartbeat);
    struct place *next[SERIES_FAMILIES], *at;
    char *text;

    if (!layout)
        return NULL;
    at = layout->places;
    for (size_t f = 0; f < SERIES_FAMILIES; f++) {
        next[f] = at;
        at += layout->series[f];
    }
    text = (char *)at;
    place_put(next[SERIES_HEARTBEAT], NULL, heartbeat, strlen(heartbeat), &text);
    for (size_t i = 0; i < store->slot_count; i++) {
        const struct series *series = store->slots[i];

        if (series && series->shown)
            place_put(next[series->family]++, series, series->labels, series->labels_len, &text);
    }
    return layout;
}

/* ---- values ---- */

static void copy_value(struct snapshot_series *out, const struct series *series, struct histogram **histogram)
{
    switch (series_families[series->family].type) {
    case FAMILY_COUNTER:
        out->count = series->committed.count;
        break;
    case FAMILY_GAUGE:
        out->value = series->committed.gauge;
        break;
    case FAMILY_HISTOGRAM:
        **histogram = series->committed.histogram;
        out->histogram = (*histogram)++;
        break;
    }
}

/* Series lie all over the heap: the one a few steps ahead is fetched meanwhile. */
#define AHEAD 8u

static void fill(const struct snapshot_layout *layout, struct snapshot_block *block,
                 struct histogram *histogram)
{
    struct snapshot_series *at = block->series;

    for (size_t f = 0; f < SERIES_FAMILIES; f++) {
        const struct series_family_spec *spec = &series_families[f];

        block->families[f] = (struct snapshot_family){
            spec->name, spec->help, spec->type, spec->unit, at, layout->series[f], spec->native_name};
        at += layout->series[f];
    }
    for (size_t i = 0; i < layout->total; i++) {
        const struct place *place = &layout->places[i];

        if (i + AHEAD < layout->total && layout->places[i + AHEAD].series)
            __builtin_prefetch(&layout->places[i + AHEAD].series->committed);
        block->series[i].labels = place->labels;
        block->series[i].native = NULL;
        block->series[i].exemplars = NULL;
        if (place->series)
            copy_value(&block->series[i], place->series, &histogram);
        else
            block->series[i].value = 1;
    }
}

/* ---- extras ---- */

#define EXEMPLARS_BYTES ((HISTOGRAM_BOUNDS + 1) * sizeof(struct exemplar))

static size_t aligned(size_t bytes)
{
    const size_t align = _Alignof(max_align_t);

    return (bytes + align - 1) / align * align;
}

static size_t native_bytes(const struct native *native)
{
    return aligned(sizeof(struct snapshot_native) + native->count * sizeof(native->counts[0]));
}

static size_t extras_measure(const struct snapshot_layout *layout, unsigned extras)
{
    size_t bytes = 0;

    for (size_t i = 0; extras != 0 && i < layout->total; i++) {
        const struct series *series = layout->places[i].series;

        if (series && series->native && (extras & SNAPSHOT_NATIVE))
            bytes += native_bytes(series->native);
        if (series && series->exemplars && (extras & SNAPSHOT_EXEMPLARS))
            bytes += aligned(EXEMPLARS_BYTES);
    }
    return bytes;
}

static char *native_put(struct snapshot_series *out, const struct native *native, char *at)
{
    struct snapshot_native *copy = (struct snapshot_native *)(void *)at;

    *copy = (struct snapshot_native){native->sum_picoseconds[1], native->first, native->count};
    memcpy(copy->counts, native->counts + native->count, native->count * sizeof(native->counts[0]));
    out->native = copy;
    return at + native_bytes(native);
}

static char *exemplars_put(struct snapshot_series *out, const struct exemplar *exemplars, char *at)
{
    memcpy(at, exemplars + HISTOGRAM_BOUNDS + 1, EXEMPLARS_BYTES);
    out->exemplars = (const struct exemplar *)(void *)at;
    return at + aligned(EXEMPLARS_BYTES);
}

static void extras_fill(const struct snapshot_layout *layout, struct snapshot_block *block, unsigned extras,
                        char *at)
{
    for (size_t i = 0; extras != 0 && i < layout->total; i++) {
        const struct series *series = layout->places[i].series;

        if (series && series->native && (extras & SNAPSHOT_NATIVE))
            at = native_put(&block->series[i], series->native, at);
        if (series && series->exemplars && (extras & SNAPSHOT_EXEMPLARS))
            at = exemplars_put(&block->series[i], series->exemplars, at);
    }
}

int snapshot_copy(const struct series_store *store, struct snapshot_layout *layout, const char *heartbeat,
                  unsigned extras, struct snapshot *out)
{
    struct snapshot_block *block;
    size_t bytes, histogram_bytes;

    layout = layout && layout->shape == store->shape ? layout_use(layout) : layout_make(store, heartbeat);
    if (!layout)
        return -1;
    bytes = aligned(sizeof(*block) + layout->total * sizeof(block->series[0]));
    histogram_bytes = layout->histograms * sizeof(struct histogram);
    block = malloc(bytes + histogram_bytes + extras_measure(layout, extras));
    if (!block) {
        snapshot_layout_release(layout);
        return -1;
    }
    fill(layout, block, (struct histogram *)(void *)((char *)block + bytes));
    extras_fill(layout, block, extras, (char *)block + bytes + histogram_bytes);
    *out = (struct snapshot){block->families, SERIES_FAMILIES, layout, block};
    return 0;
}

/* ---- order ---- */

/* A series and its place, sorted together. */
struct pair {
    struct snapshot_series series;
    struct place place;
};

static int compare_labels(const void *a, const void *b)
{
    return strcmp(((const struct pair *)a)->place.labels, ((const struct pair *)b)->place.labels);
}

int snapshot_sort(struct snapshot *snapshot, struct snapshot_layout **made)
{
    struct snapshot_layout *layout = snapshot->layout;
    struct snapshot_block *block = snapshot->memory;
    struct pair *pairs;
    size_t at = 0;

    *made = NULL;
    if (layout->sorted)
        return 0;
    pairs = malloc(layout->total * sizeof(*pairs));
    if (!pairs)
        return -1;
    for (size_t i = 0; i < layout->total; i++)
        pairs[i] = (struct pair){block->series[i], layout->places[i]};
    for (size_t f = 0; f < SERIES_FAMILIES; f++) {
        qsort(pairs + at, layout->series[f], sizeof(*pairs), compare_labels);
        at += layout->series[f];
    }
    for (size_t i = 0; i < layout->total; i++) {
        block->series[i] = pairs[i].series;
        layout->places[i] = pairs[i].place;
    }
    free(pairs);
    layout->sorted = true;
    *made = layout_use(layout);
    return 0;
}

void snapshot_free(struct snapshot *snapshot)
{
    free(snapshot->memory);
    if (snapshot->layout)
        snapshot_layout_release(snapshot->layout);
    *snapshot = (struct snapshot){0};
}
