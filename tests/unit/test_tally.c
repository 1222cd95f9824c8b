/* test_tally.c - a run's latencies counted once, by step: every histogram gets what it would get from each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "random.h"
#include "tally.h"

#include <ailive/ailive.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct tally tally;

static int seed(void **state)
{
    (void)state;
    random_seed();
    tally_clear(&tally);
    return 0;
}

/* Steps and pairs of slot and cell are the same partition: one of each for each of the other. */
static unsigned pair_of_step[TALLY_STEPS]; /* + 1 */

static void assert_step(int64_t ns)
{
    unsigned step = tally_step(tally_places(), ns);
    unsigned pair = native_slot(ns) * HISTOGRAM_CELLS + histogram_cell(ns) + 1;

    assert_true(step < TALLY_STEPS);
    if (pair_of_step[step] == 0)
        pair_of_step[step] = pair;
    if (pair_of_step[step] != pair)
        fail_msg("%lld ns of slot %u and cell %u is in step %u with others", (long long)ns, native_slot(ns),
                 histogram_cell(ns), step);
}

static void a_step_has_one_slot_and_one_cell(void **state)
{
    (void)state;
    for (int64_t ns = 0; ns < 1000000; ns++)
        assert_step(ns);
    for (unsigned cell = 0; cell < HISTOGRAM_CELLS - 1; cell++)
        for (int64_t ns = histogram_cell_bounds[cell] - 2; ns <= histogram_cell_bounds[cell] + 2; ns++)
            assert_step(ns);
    for (unsigned power = 6; power < 39; power++)
        for (int64_t ns = ((int64_t)1 << power) - 2; ns <= ((int64_t)1 << power) + 2; ns++)
            assert_step(ns);
    assert_step(TALLY_LARGE_NS - 1);
    for (unsigned i = 0; i < 3000000; i++)
        assert_step((int64_t)(random_u64() >> (25 + random_u64() % 39)));
}

/* The bounds of the exponential buckets, where they lie. */
static void a_step_ends_where_its_slot_does(void **state)
{
    int64_t ns = 64;

    (void)state;
    while (native_slot(ns) < NATIVE_SLOTS - 1) {
        int64_t low = ns, high = TALLY_LARGE_NS - 1;

        while (high - low > 1) {
            int64_t middle = low + (high - low) / 2;

            if (native_slot(middle) > native_slot(ns))
                high = middle;
            else
                low = middle;
        }
        assert_step(low);
        assert_step(high);
        ns = high;
    }
}

static void tallies_and_single_latencies_give_the_same(void **state)
{
    struct native *one = NULL, *other = NULL;
    struct histogram seconds = {0}, from_tally = {0};
    unsigned char a[NATIVE_STATE_BYTES], b[NATIVE_STATE_BYTES];
    enum latency_fault fault;
    size_t len;

    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        struct tally_sums sums;

        for (unsigned i = 0; i < 100; i++) {
            int64_t ns = (int64_t)(random_u64() >> (1 + random_u64() % 62));
            struct latency latency = histogram_latency_ns(HISTOGRAM_SECONDS, ns, &fault);

            tally_record(&tally, tally_places(), i, 1, ns);
            histogram_observe(&seconds, &latency);
            assert_true(native_observe(&one, (__int128)ns * 1000));
        }
        tally_sum(&tally, &sums);
        assert_int_equal(sums.records, 100);
        assert_int_equal(sums.observed, 100);
        histogram_add(&from_tally, HISTOGRAM_SECONDS, sums.cells, sums.sum_ns);
        assert_true(tally_add_native(&tally, &other));
        tally_clear(&tally);
        assert_true(tally_empty(&tally));
        for (unsigned step = 0; step < TALLY_STEPS; step++)
            assert_int_equal(tally.steps[step], 0);
    }
    assert_memory_equal(seconds.buckets, from_tally.buckets, sizeof(seconds.buckets));
    assert_true(seconds.sum_picoseconds == from_tally.sum_picoseconds);
    len = native_encode(one, a);
    assert_int_equal(len, native_encode(other, b));
    assert_memory_equal(a, b, len);
    free(one);
    free(other);
}

static void records_without_or_with_a_negative_latency_are_records(void **state)
{
    struct tally_sums sums;

    (void)state;
    assert_true(tally_empty(&tally));
    tally_record(&tally, tally_places(), 0, -7, AILIVE_NO_LATENCY);
    assert_false(tally_empty(&tally));
    assert_int_equal(tally.last_ns, -7);
    tally_record(&tally, tally_places(), 1, -9, -1);
    tally_record(&tally, tally_places(), 2, -8, 5);
    tally_record(&tally, tally_places(), 3, -8, 4);
    tally_sum(&tally, &sums);
    assert_int_equal(sums.records, 4);
    assert_int_equal(sums.observed, 2);
    assert_int_equal(sums.negative, 1);
    assert_true(sums.sum_ns == 9);
    assert_int_equal(tally.last_ns, -7);
    assert_int_equal(tally.slowest_ns, 5);
    assert_int_equal(tally.slowest_row, 2);
}

/* As many as a run may have, each as large as fits the narrow sum. */
static void the_sum_of_the_longest_run_fits(void **state)
{
    struct tally_sums sums;

    (void)state;
    tally_record(&tally, tally_places(), 0, 1, TALLY_LARGE_NS - 1);
    tally.sum_ns *= TALLY_ROWS_MAX - 1;
    tally_record(&tally, tally_places(), 1, 1, TALLY_LARGE_NS - 1);
    tally_record(&tally, tally_places(), 2, 1, INT64_MAX);
    tally_sum(&tally, &sums);
    assert_true(sums.sum_ns == (__int128)(TALLY_LARGE_NS - 1) * (__int128)TALLY_ROWS_MAX + INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_step_has_one_slot_and_one_cell, seed),
        cmocka_unit_test_setup(a_step_ends_where_its_slot_does, seed),
        cmocka_unit_test_setup(tallies_and_single_latencies_give_the_same, seed),
        cmocka_unit_test_setup(records_without_or_with_a_negative_latency_are_records, seed),
        cmocka_unit_test_setup(the_sum_of_the_longest_run_fits, seed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
