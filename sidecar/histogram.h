/* histogram.h - bucket bounds of the contract and the exact sums beside them.
 *
 * Place on the route: inside the aggregate; contract and the row reader ask it for bucket numbers. No
 * threads, no I/O, no clock.
 */
#ifndef AILIVE_SIDECAR_HISTOGRAM_H
#define AILIVE_SIDECAR_HISTOGRAM_H

#include "observation.h"

#define HISTOGRAM_BOUNDS 12u /* finite bounds; bucket 12 is +Inf */

enum histogram_unit {
    HISTOGRAM_SECONDS, /* le 0.001 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 */
    HISTOGRAM_MS       /* le 1 2 5 10 20 50 100 200 500 1000 2000 5000 */
};

/* The text of bound i as the contract prints it: "0.001", "1.0", "+Inf" for i == HISTOGRAM_BOUNDS. */
const char *histogram_bound_text(enum histogram_unit unit, unsigned i);

/* Bound i in its unit; infinity for i == HISTOGRAM_BOUNDS. */
double histogram_bound(enum histogram_unit unit, unsigned i);

struct histogram {
    uint64_t buckets[HISTOGRAM_BOUNDS + 1]; /* not cumulative; their sum is the count */
    __int128 sum_picoseconds;               /* of seconds; the ms family prints it / 1e9 */
};

/* A latency from a double in the histogram's unit, as the contract compares it (value <= le). Negative, NaN
 * or too large: *fault says so and the result is not present. */
void histogram_latency_to(enum histogram_unit unit, double value, struct latency *out,
                          enum latency_fault *fault);

static inline struct latency histogram_latency(enum histogram_unit unit, double value,
                                               enum latency_fault *fault)
{
    struct latency latency;

    histogram_latency_to(unit, value, &latency, fault);
    return latency;
}

/* A latency from integer nanoseconds, compared exactly. */
struct latency histogram_latency_ns(enum histogram_unit unit, int64_t nanoseconds, enum latency_fault *fault);

void histogram_observe(struct histogram *histogram, const struct latency *latency);

/* Cells are what lies between two neighbours of both units' bounds together: a run of latencies is counted
 * once, by cell, and then added to a histogram of either unit. */
#define HISTOGRAM_CELLS 17u
extern const int64_t histogram_cell_bounds[HISTOGRAM_CELLS + 1]; /* nanoseconds; two INT64_MAX at the end */
extern const uint8_t histogram_cell_at[64]; /* by the number's highest bit: bounds below that power of two */

/* The cell of a latency that is not negative. No loop: at most two bounds lie within one power of two. */
static inline unsigned histogram_cell(int64_t nanoseconds)
{
    unsigned cell = histogram_cell_at[63 - __builtin_clzll((unsigned long long)nanoseconds | 1)];

    return cell + (nanoseconds > histogram_cell_bounds[cell]) +
           (nanoseconds > histogram_cell_bounds[cell + 1]);
}

/* Adds what was counted by cell; sum_nanoseconds of all of them. */
void histogram_add(struct histogram *histogram, enum histogram_unit unit,
                   const uint32_t cells[HISTOGRAM_CELLS], __int128 sum_nanoseconds);

/* The sum in the unit, correctly rounded to a double. */
double histogram_sum(const struct histogram *histogram, enum histogram_unit unit);

#endif
