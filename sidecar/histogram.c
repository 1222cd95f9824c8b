/* histogram.c - see histogram.h. */
#include "histogram.h"

#include "ratio.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const struct {
    double values[HISTOGRAM_BOUNDS];
    const char *texts[HISTOGRAM_BOUNDS];
} bounds[2] = {
    [HISTOGRAM_SECONDS] = {{0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0},
                           {"0.001", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5",
                            "5.0", "10.0"}},
    [HISTOGRAM_MS] = {{1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0},
                      {"1.0", "2.0", "5.0", "10.0", "20.0", "50.0", "100.0", "200.0", "500.0", "1000.0",
                       "2000.0", "5000.0"}},
};

const int64_t histogram_cell_bounds[HISTOGRAM_CELLS + 1] = {
    1000000,   2000000,   5000000,    10000000,   20000000,   25000000,   50000000,    100000000, 200000000,
    250000000, 500000000, 1000000000, 2000000000, 2500000000, 5000000000, 10000000000, INT64_MAX, INT64_MAX};

const uint8_t histogram_cell_at[64] = {
    [20] = 1,  [21] = 2,  [22] = 2,  [23] = 3,  [24] = 4,  [25] = 6,  [26] = 7,  [27] = 8,  [28] = 10,
    [29] = 11, [30] = 12, [31] = 13, [32] = 14, [33] = 15, [34] = 16, [35] = 16, [36] = 16, [37] = 16,
    [38] = 16, [39] = 16, [40] = 16, [41] = 16, [42] = 16, [43] = 16, [44] = 16, [45] = 16, [46] = 16,
    [47] = 16, [48] = 16, [49] = 16, [50] = 16, [51] = 16, [52] = 16, [53] = 16, [54] = 16, [55] = 16,
    [56] = 16, [57] = 16, [58] = 16, [59] = 16, [60] = 16, [61] = 16, [62] = 16, [63] = 16};

/* The bucket each cell lies in. */
static const uint8_t cell_buckets[2][HISTOGRAM_CELLS] = {
    [HISTOGRAM_SECONDS] = {0, 1, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9, 9, 10, 11, 12},
    [HISTOGRAM_MS] = {0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11, 12, 12},
};

/* Picoseconds in one of the unit. */
static uint64_t unit_picoseconds(enum histogram_unit unit)
{
    return unit == HISTOGRAM_SECONDS ? UINT64_C(1000000000000) : UINT64_C(1000000000);
}

#define LIMIT_SECONDS 1e15 /* enum latency_fault says why */

const char *histogram_bound_text(enum histogram_unit unit, unsigned i)
{
    assert(i <= HISTOGRAM_BOUNDS);
    return i == HISTOGRAM_BOUNDS ? "+Inf" : bounds[unit].texts[i];
}

double histogram_bound(enum histogram_unit unit, unsigned i)
{
    assert(i <= HISTOGRAM_BOUNDS);
    return i == HISTOGRAM_BOUNDS ? (double)INFINITY : bounds[unit].values[i];
}

/* value x factor, rounded half to even, so that sums are integers and their order cannot matter. In integers,
 * exact and the same everywhere. value is between 0 and 1e18, factor below 2^41. */
static __int128 rounded_product(double value, uint64_t factor)
{
    unsigned __int128 product, half;
    uint64_t bits;
    int shift;

    memcpy(&bits, &value, sizeof(bits));
    shift = 1075 - (int)(bits >> 52 & 0x7ff); /* value is mantissa / 2^shift */
    if (shift > 100)                          /* the product is below 2^94, and so rounds to 0 */
        return 0;
    product = (unsigned __int128)((bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52) * factor;
    if (shift <= 0)
        return (__int128)(product << -shift);
    half = (unsigned __int128)1 << (shift - 1);
    return (__int128)((product + half - 1 + (product >> shift & 1)) >> shift);
}

/* Written in place: a copy made right after would wait for its parts to reach the cache. */
void histogram_latency_to(enum histogram_unit unit, double value, struct latency *out,
                          enum latency_fault *fault)
{
    double limit = unit == HISTOGRAM_SECONDS ? LIMIT_SECONDS : LIMIT_SECONDS * 1000;
    unsigned bucket = 0;

    *fault = LATENCY_FINE;
    if (!(value >= 0)) /* NaN too */
        *fault = LATENCY_NEGATIVE;
    else if (value > limit)
        *fault = LATENCY_TOO_LARGE;
    *out = (struct latency){0};
    if (*fault != LATENCY_FINE)
        return;
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) /* all: a loop that ended early would be guessed wrong */
        bucket += value > bounds[unit].values[i];
    out->bucket = (uint8_t)bucket;
    out->picoseconds = rounded_product(value, unit_picoseconds(unit));
    out->present = true;
}

struct latency histogram_latency_ns(enum histogram_unit unit, int64_t nanoseconds, enum latency_fault *fault)
{
    struct latency latency = {0};

    *fault = nanoseconds < 0 ? LATENCY_NEGATIVE : LATENCY_FINE;
    if (*fault != LATENCY_FINE)
        return latency;
    latency.bucket = cell_buckets[unit][histogram_cell(nanoseconds)];
    latency.picoseconds = (__int128)nanoseconds * 1000;
    latency.present = true;
    return latency;
}

void histogram_observe(struct histogram *histogram, const struct latency *latency)
{
    assert(latency->present && latency->bucket <= HISTOGRAM_BOUNDS);
    histogram->buckets[latency->bucket]++;
    histogram->sum_picoseconds += latency->picoseconds;
}

void histogram_add(struct histogram *histogram, enum histogram_unit unit,
                   const uint32_t cells[HISTOGRAM_CELLS], __int128 sum_nanoseconds)
{
    for (unsigned cell = 0; cell < HISTOGRAM_CELLS; cell++)
        histogram->buckets[cell_buckets[unit][cell]] += cells[cell];
    histogram->sum_picoseconds += sum_nanoseconds * 1000;
}

double histogram_sum(const struct histogram *histogram, enum histogram_unit unit)
{
    return ratio_double(histogram->sum_picoseconds, unit_picoseconds(unit));
}
