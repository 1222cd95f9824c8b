/* tally.h - the records of one kind in a run, counted together before they go to their series.
 *
 * Place on the route: rows -> [tally] -> aggregate. No threads, no I/O, no clock.
 *
 * A latency goes into a histogram in seconds, one in milliseconds and one of exponential buckets. It is
 * counted once, by step: what lies between two neighbours of all their bounds together. Steps are numbered so
 * that every group of 16 lies in one cell (histogram.h) and holds neighbouring slots (native.h): some numbers
 * are never used.
 */
#ifndef AILIVE_SIDECAR_TALLY_H
#define AILIVE_SIDECAR_TALLY_H

#include "histogram.h"
#include "native.h"

#include <string.h>

#define TALLY_GROUP 16u /* steps */
#define TALLY_STEPS ((NATIVE_SLOTS / TALLY_GROUP + HISTOGRAM_CELLS) * TALLY_GROUP)

/* Latencies from here on, 550 s, are all in the last step. Sums of smaller ones fit 64 bits in any run of
 * TALLY_ROWS_MAX records. */
#define TALLY_LARGE_NS (INT64_C(1) << 39)
#define TALLY_ROWS_MAX (UINT64_C(1) << 25)

struct tally {
    int64_t last_ns;    /* greatest time, UTC */
    int64_t slowest_ns; /* greatest latency; 0: none to show */
    int64_t slowest_time_ns;
    uint64_t slowest_row;
    uint64_t sum_ns;   /* of the latencies that are not large */
    uint64_t groups;   /* bit i: something in steps 16 i to 16 i + 15 */
    uint32_t negative; /* latencies that cannot be observed */
    uint32_t without;  /* records that have none */
    __int128 large_sum_ns;
    uint32_t steps[TALLY_STEPS];
};

/* What a tally adds up to. */
struct tally_sums {
    uint64_t records, observed; /* observed: those with a latency */
    uint32_t negative;
    uint32_t cells[HISTOGRAM_CELLS]; /* of the observed ones */
    __int128 sum_ns;                 /* likewise */
};

void tally_clear(struct tally *tally); /* before the first use, too */
bool tally_empty(const struct tally *tally);
void tally_sum(const struct tally *tally, struct tally_sums *out);
/* Adds its latencies, which there are, to exponential buckets. false: out of memory. */
bool tally_add_native(const struct tally *tally, struct native **native);

/* By the first six bits of a latency: the step of the smallest such number, and the greatest ones that are
 * still in its slot and in its cell. At most one bound of either kind lies among such numbers. */
struct tally_place {
    int64_t slot_last_ns, cell_last_ns;
    uint32_t step, cell_gap; /* cell_gap: to what the next cell's begin with */
};

/* Made at the first call; any thread. */
const struct tally_place *tally_places(void);

/* Anything but a latency from 0 to below TALLY_LARGE_NS. */
void tally_rare(struct tally *tally, int64_t latency_ns);

static inline unsigned tally_step(const struct tally_place *places, int64_t latency_ns)
{
    double number = (double)(latency_ns | 1); /* exact, and not 0 */
    const struct tally_place *place;
    uint64_t bits;

    memcpy(&bits, &number, sizeof(bits));
    place = &places[(bits >> 47) - (UINT64_C(1023) << 5)];
    return place->step + (latency_ns > place->slot_last_ns) +
           (latency_ns > place->cell_last_ns ? place->cell_gap : 0);
}

/* Counts record number `row` of a run. */
static inline void tally_record(struct tally *tally, const struct tally_place *places, size_t row,
                                int64_t time_ns, int64_t latency_ns)
{
    if (time_ns > tally->last_ns)
        tally->last_ns = time_ns;
    if ((uint64_t)latency_ns < (uint64_t)TALLY_LARGE_NS) {
        unsigned step = tally_step(places, latency_ns);

        tally->steps[step]++;
        tally->groups |= UINT64_C(1) << step / TALLY_GROUP;
        tally->sum_ns += (uint64_t)latency_ns;
    } else {
        tally_rare(tally, latency_ns);
    }
    if (latency_ns > tally->slowest_ns) {
        tally->slowest_ns = latency_ns;
        tally->slowest_time_ns = time_ns;
        tally->slowest_row = row;
    }
}

#endif
