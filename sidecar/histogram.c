/* histogram.c - see histogram.h. */
#include "histogram.h"

#include "ratio.h"

#include <assert.h>
#include <math.h>

struct bound {
    double value;
    int64_t nanoseconds; /* the same bound, exact */
    const char *text;
};

static const struct bound bounds[2][HISTOGRAM_BOUNDS] = {
    [HISTOGRAM_SECONDS] = {{0.001, 1000000, "0.001"},
                           {0.005, 5000000, "0.005"},
                           {0.01, 10000000, "0.01"},
                           {0.025, 25000000, "0.025"},
                           {0.05, 50000000, "0.05"},
                           {0.1, 100000000, "0.1"},
                           {0.25, 250000000, "0.25"},
                           {0.5, 500000000, "0.5"},
                           {1.0, 1000000000, "1.0"},
                           {2.5, 2500000000, "2.5"},
                           {5.0, 5000000000, "5.0"},
                           {10.0, 10000000000, "10.0"}},
    [HISTOGRAM_MS] = {{1.0, 1000000, "1.0"},
                      {2.0, 2000000, "2.0"},
                      {5.0, 5000000, "5.0"},
                      {10.0, 10000000, "10.0"},
                      {20.0, 20000000, "20.0"},
                      {50.0, 50000000, "50.0"},
                      {100.0, 100000000, "100.0"},
                      {200.0, 200000000, "200.0"},
                      {500.0, 500000000, "500.0"},
                      {1000.0, 1000000000, "1000.0"},
                      {2000.0, 2000000000, "2000.0"},
                      {5000.0, 5000000000, "5000.0"}},
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
    return i == HISTOGRAM_BOUNDS ? "+Inf" : bounds[unit][i].text;
}

struct latency histogram_latency(enum histogram_unit unit, double value, enum latency_fault *fault)
{
    struct latency latency = {0};
    double limit = unit == HISTOGRAM_SECONDS ? LIMIT_SECONDS : LIMIT_SECONDS * 1000;

    *fault = LATENCY_FINE;
    if (!(value >= 0)) /* NaN too */
        *fault = LATENCY_NEGATIVE;
    else if (value > limit)
        *fault = LATENCY_TOO_LARGE;
    if (*fault != LATENCY_FINE)
        return latency;
    while (latency.bucket < HISTOGRAM_BOUNDS && value > bounds[unit][latency.bucket].value)
        latency.bucket++;
    /* Rounded to the picosecond, so that sums are integers and their order cannot matter. */
    latency.picoseconds = (__int128)rintl((long double)value * (long double)unit_picoseconds(unit));
    latency.present = true;
    return latency;
}

struct latency histogram_latency_ns(enum histogram_unit unit, int64_t nanoseconds, enum latency_fault *fault)
{
    struct latency latency = {0};

    *fault = nanoseconds < 0 ? LATENCY_NEGATIVE : LATENCY_FINE;
    if (*fault != LATENCY_FINE)
        return latency;
    while (latency.bucket < HISTOGRAM_BOUNDS && nanoseconds > bounds[unit][latency.bucket].nanoseconds)
        latency.bucket++;
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

double histogram_sum(const struct histogram *histogram, enum histogram_unit unit)
{
    return ratio_double(histogram->sum_picoseconds, unit_picoseconds(unit));
}
