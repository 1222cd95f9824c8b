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

#define S(value, text)                                                                                       \
    {                                                                                                        \
        value, (int64_t)(value * 1e9 + 0.5), text                                                            \
    }
#define MS(value, text)                                                                                      \
    {                                                                                                        \
        value, (int64_t)value * 1000000, text                                                                \
    }
static const struct bound bounds[2][HISTOGRAM_BOUNDS] = {
    [HISTOGRAM_SECONDS] = {S(0.001, "0.001"), S(0.005, "0.005"), S(0.01, "0.01"), S(0.025, "0.025"),
                           S(0.05, "0.05"), S(0.1, "0.1"), S(0.25, "0.25"), S(0.5, "0.5"), S(1.0, "1.0"),
                           S(2.5, "2.5"), S(5.0, "5.0"), S(10.0, "10.0")},
    [HISTOGRAM_MS] = {MS(1, "1.0"), MS(2, "2.0"), MS(5, "5.0"), MS(10, "10.0"), MS(20, "20.0"),
                      MS(50, "50.0"), MS(100, "100.0"), MS(200, "200.0"), MS(500, "500.0"),
                      MS(1000, "1000.0"), MS(2000, "2000.0"), MS(5000, "5000.0")},
};
#undef S
#undef MS

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
