/* test_histogram.c - bounds, exact sums, and latencies that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "histogram.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double seconds[] = {0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
static const double ms[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000};

static void assert_bucket(enum histogram_unit unit, double value, unsigned wanted)
{
    enum latency_fault fault;
    struct latency latency = histogram_latency(unit, value, &fault);

    assert_int_equal(fault, LATENCY_FINE);
    assert_true(latency.present);
    if (latency.bucket != wanted)
        fail_msg("%.17g is in bucket %u, wanted %u", value, latency.bucket, wanted);
}

static void bounds_print_as_the_contract_says(void **state)
{
    static const char *const texts[2][13] = {{"0.001", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5",
                                              "1.0", "2.5", "5.0", "10.0", "+Inf"},
                                             {"1.0", "2.0", "5.0", "10.0", "20.0", "50.0", "100.0", "200.0",
                                              "500.0", "1000.0", "2000.0", "5000.0", "+Inf"}};

    (void)state;
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        assert_string_equal(histogram_bound_text(HISTOGRAM_SECONDS, i), texts[0][i]);
        assert_string_equal(histogram_bound_text(HISTOGRAM_MS, i), texts[1][i]);
    }
}

static void a_value_on_a_bound_belongs_to_it_and_the_next_double_does_not(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
        assert_bucket(HISTOGRAM_SECONDS, seconds[i], i);
        assert_bucket(HISTOGRAM_SECONDS, nextafter(seconds[i], INFINITY), i + 1);
        assert_bucket(HISTOGRAM_MS, ms[i], i);
        assert_bucket(HISTOGRAM_MS, nextafter(ms[i], INFINITY), i + 1);
    }
    assert_bucket(HISTOGRAM_SECONDS, 0, 0);
    assert_bucket(HISTOGRAM_MS, -0.0, 0);
    assert_bucket(HISTOGRAM_MS, 1e18, HISTOGRAM_BOUNDS);
}

static void nanoseconds_are_compared_exactly(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
        int64_t s_ns = llround(seconds[i] * 1e9), ms_ns = llround(ms[i] * 1e6);
        enum latency_fault fault;

        assert_int_equal(histogram_latency_ns(HISTOGRAM_SECONDS, s_ns, &fault).bucket, i);
        assert_int_equal(histogram_latency_ns(HISTOGRAM_SECONDS, s_ns + 1, &fault).bucket, i + 1);
        assert_int_equal(histogram_latency_ns(HISTOGRAM_MS, ms_ns, &fault).bucket, i);
        assert_int_equal(histogram_latency_ns(HISTOGRAM_MS, ms_ns + 1, &fault).bucket, i + 1);
        assert_int_equal(fault, LATENCY_FINE);
    }
}

/* Around every bound of both units and every power of two, against the bounds one by one. */
static void cells_lie_in_the_bucket_of_each_of_their_latencies(void **state)
{
    (void)state;
    for (unsigned at = 0; at < 63 + HISTOGRAM_CELLS - 1; at++) {
        int64_t middle = at < 63 ? (int64_t)1 << at : histogram_cell_bounds[at - 63];

        for (int64_t ns = middle - 2; ns <= middle + 2; ns++) {
            uint32_t cells[HISTOGRAM_CELLS] = {0};
            unsigned cell = 0;

            if (ns < 0)
                continue;
            while (cell < HISTOGRAM_CELLS - 1 && ns > histogram_cell_bounds[cell])
                cell++;
            assert_int_equal(histogram_cell(ns), cell);
            cells[cell] = 1;
            for (int unit = HISTOGRAM_SECONDS; unit <= HISTOGRAM_MS; unit++) {
                struct histogram histogram = {0};
                enum latency_fault fault;

                histogram_add(&histogram, (enum histogram_unit)unit, cells, ns);
                assert_int_equal(
                    histogram.buckets[histogram_latency_ns((enum histogram_unit)unit, ns, &fault).bucket], 1);
                assert_true(histogram.sum_picoseconds == (__int128)ns * 1000);
            }
        }
    }
    assert_int_equal(histogram_cell(INT64_MAX), HISTOGRAM_CELLS - 1);
}

static void negative_nan_and_too_large_are_not_observed(void **state)
{
    static const struct {
        double value;
        enum latency_fault fault;
    } cases[] = {{-1e-300, LATENCY_NEGATIVE},   {-1, LATENCY_NEGATIVE},        {NAN, LATENCY_NEGATIVE},
                 {-INFINITY, LATENCY_NEGATIVE}, {INFINITY, LATENCY_TOO_LARGE}, {1e300, LATENCY_TOO_LARGE},
                 {1.1e18, LATENCY_TOO_LARGE}};
    enum latency_fault fault;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_false(histogram_latency(HISTOGRAM_MS, cases[i].value, &fault).present);
        assert_int_equal(fault, cases[i].fault);
        assert_false(histogram_latency(HISTOGRAM_SECONDS, cases[i].value, &fault).present);
        assert_int_equal(fault, cases[i].fault);
    }
    assert_true(histogram_latency(HISTOGRAM_SECONDS, 1e15, &fault).present);
    assert_false(histogram_latency(HISTOGRAM_SECONDS, 1.1e15, &fault).present);
    assert_false(histogram_latency_ns(HISTOGRAM_MS, -1, &fault).present);
    assert_int_equal(fault, LATENCY_NEGATIVE);
    assert_true(histogram_latency_ns(HISTOGRAM_SECONDS, INT64_MAX, &fault).present);
}

static void both_units_sum_the_same_picoseconds(void **state)
{
    enum latency_fault fault;

    (void)state;
    assert_true(histogram_latency(HISTOGRAM_SECONDS, 0.085, &fault).picoseconds == 85000000000);
    assert_true(histogram_latency(HISTOGRAM_MS, 85.0, &fault).picoseconds == 85000000000);
    assert_true(histogram_latency_ns(HISTOGRAM_MS, 85000000, &fault).picoseconds == 85000000000);
    assert_true(histogram_latency(HISTOGRAM_MS, 123456.75, &fault).picoseconds == 123456750000000);
    assert_true(histogram_latency(HISTOGRAM_SECONDS, 1e-13, &fault).picoseconds == 0);
}

static void sums_do_not_depend_on_the_order_and_come_out_exact(void **state)
{
    struct histogram up = {.sum_picoseconds = 0}, down = {.sum_picoseconds = 0};
    enum latency_fault fault;

    (void)state;
    for (int i = 1; i <= 1000; i++) {
        struct latency a = histogram_latency(HISTOGRAM_MS, i * 0.1, &fault);
        struct latency b = histogram_latency(HISTOGRAM_MS, (1001 - i) * 0.1, &fault);

        histogram_observe(&up, &a);
        histogram_observe(&down, &b);
    }
    assert_memory_equal(&up, &down, sizeof(up));
    assert_true(histogram_sum(&up, HISTOGRAM_MS) == 50050.0);
    assert_true(histogram_sum(&up, HISTOGRAM_SECONDS) == 50.05);
    assert_int_equal(up.buckets[0], 10);
    assert_int_equal(up.buckets[1], 10);
    assert_int_equal(up.buckets[2], 30);
    assert_int_equal(up.buckets[HISTOGRAM_BOUNDS], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_print_as_the_contract_says),
        cmocka_unit_test(a_value_on_a_bound_belongs_to_it_and_the_next_double_does_not),
        cmocka_unit_test(nanoseconds_are_compared_exactly),
        cmocka_unit_test(cells_lie_in_the_bucket_of_each_of_their_latencies),
        cmocka_unit_test(negative_nan_and_too_large_are_not_observed),
        cmocka_unit_test(both_units_sum_the_same_picoseconds),
        cmocka_unit_test(sums_do_not_depend_on_the_order_and_come_out_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
