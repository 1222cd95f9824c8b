/* tally.c - see tally.h. */
#include "tally.h"

#include <wire/event.h>

#include <assert.h>
#include <pthread.h>

#define PLACES (39u * 32u) /* for the numbers below TALLY_LARGE_NS */

static struct tally_place places[PLACES];
static unsigned last_step;
static struct {
    unsigned cell, first_slot;
} groups[TALLY_STEPS / TALLY_GROUP];
static pthread_once_t places_once = PTHREAD_ONCE_INIT;

/* ---- steps ---- */

/* The greatest number from first to last of which `number_of` says the same as of first; without a greater
 * one there, INT64_MAX. */
static int64_t last_alike(unsigned (*number_of)(int64_t), int64_t first, int64_t last)
{
    if (number_of(first) == number_of(last))
        return INT64_MAX;
    assert(number_of(last) == number_of(first) + 1);
    while (last - first > 1) {
        int64_t middle = first + (last - first) / 2;

        if (number_of(middle) == number_of(last))
            last = middle;
        else
            first = middle;
    }
    return first;
}

/* Numbers with highest bit e differ in their first six bits every 2^(e - 5). */
static void place_make(unsigned i, const unsigned gaps[HISTOGRAM_CELLS])
{
    unsigned e = i / 32, digits = 32 + i % 32;
    int64_t first = e >= 5 ? (int64_t)digits << (e - 5) : (int64_t)(digits >> (5 - e));
    int64_t last = e > 5 ? (((int64_t)digits + 1) << (e - 5)) - 1 : first;
    unsigned cell = histogram_cell(first);

    places[i].slot_last_ns = last_alike(native_slot, first, last);
    places[i].cell_last_ns = last_alike(histogram_cell, first, last);
    places[i].step = native_slot(first) + gaps[cell];
    places[i].cell_gap = cell + 1 < HISTOGRAM_CELLS ? gaps[cell + 1] - gaps[cell] : 0;
}

static void places_make(void)
{
    unsigned gaps[HISTOGRAM_CELLS]; /* a step's number less its slot's */
    unsigned group = 0;

    for (unsigned cell = 0; cell < HISTOGRAM_CELLS; cell++) {
        unsigned slot = cell > 0 ? native_slot(histogram_cell_bounds[cell - 1] + 1) : 0;
        unsigned last_slot = native_slot(histogram_cell_bounds[cell]);

        gaps[cell] = group * TALLY_GROUP - slot;
        for (; slot <= last_slot; slot += TALLY_GROUP, group++) {
            assert(group < TALLY_STEPS / TALLY_GROUP);
            groups[group].cell = cell;
            groups[group].first_slot = slot;
        }
    }
    last_step = NATIVE_SLOTS - 1 + gaps[HISTOGRAM_CELLS - 1];
    for (unsigned i = 0; i < PLACES; i++)
        place_make(i, gaps);
}

const struct tally_place *tally_places(void)
{
    pthread_once(&places_once, places_make);
    return places;
}

/* ---- counting ---- */

/* The numbers of the groups in which something was counted, one after the other: `left` holds those to come.
 */
static size_t next_group(uint64_t *left)
{
    size_t group = (size_t)__builtin_ctzll(*left);

    *left &= *left - 1;
    return group;
}

void tally_clear(struct tally *tally)
{
    for (uint64_t left = tally->groups; left != 0;)
        memset(tally->steps + TALLY_GROUP * next_group(&left), 0, TALLY_GROUP * sizeof(tally->steps[0]));
    tally->last_ns = INT64_MIN;
    tally->slowest_ns = 0;
    tally->sum_ns = tally->groups = 0;
    tally->negative = tally->without = 0;
    tally->large_sum_ns = 0;
}

bool tally_empty(const struct tally *tally)
{
    return tally->groups == 0 && tally->negative == 0 && tally->without == 0;
}

void tally_rare(struct tally *tally, int64_t latency_ns)
{
    if (latency_ns == AILIVE_NO_LATENCY) {
        tally->without++;
    } else if (latency_ns < 0) {
        tally->negative++;
    } else {
        tally->steps[last_step]++;
        tally->groups |= UINT64_C(1) << last_step / TALLY_GROUP;
        tally->large_sum_ns += latency_ns;
    }
}

void tally_sum(const struct tally *tally, struct tally_sums *out)
{
    *out = (struct tally_sums){.negative = tally->negative, .sum_ns = tally->large_sum_ns + tally->sum_ns};
    for (uint64_t left = tally->groups; left != 0;) {
        size_t group = next_group(&left);
        const uint32_t *steps = tally->steps + TALLY_GROUP * group;
        uint32_t n = 0;

        for (unsigned i = 0; i < TALLY_GROUP; i++)
            n += steps[i];
        out->cells[groups[group].cell] += n;
        out->observed += n;
    }
    out->records = out->observed + tally->negative + tally->without;
}

/* Of a group all 16 are added: those that are no steps are 0. */
bool tally_add_native(const struct tally *tally, struct native **native)
{
    unsigned first = groups[__builtin_ctzll(tally->groups)].first_slot;
    unsigned last = groups[63 - __builtin_clzll(tally->groups)].first_slot + TALLY_GROUP - 1;
    uint64_t *counts = native_reserve(native, first, last);

    if (counts == NULL)
        return false;
    for (uint64_t left = tally->groups; left != 0;) {
        size_t group = next_group(&left);
        const uint32_t *steps = tally->steps + TALLY_GROUP * group;
        uint64_t *slots = counts + (groups[group].first_slot - first);

        for (unsigned i = 0; i < TALLY_GROUP; i++)
            slots[i] += steps[i];
    }
    (*native)->sum_picoseconds[0] += (tally->large_sum_ns + tally->sum_ns) * 1000;
    return true;
}
