/* test_native.c - exponential buckets: where a latency belongs, how they add up, and their state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "native.h"
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Upper end of a slot in nanoseconds, by the definition. */
static long double upper_ns(unsigned slot)
{
    return 1e9L * exp2l((long double)(NATIVE_FIRST_BUCKET + (int)slot - 1) / 16);
}

static void assert_slot(int64_t ns)
{
    unsigned slot = native_slot(ns);

    assert_true(slot < NATIVE_SLOTS);
    if (slot < NATIVE_SLOTS - 1 && !((long double)ns <= upper_ns(slot)))
        fail_msg("%lld ns is beyond slot %u", (long long)ns, slot);
    if (slot > 0 && !((long double)ns > upper_ns(slot - 1)))
        fail_msg("%lld ns is before slot %u", (long long)ns, slot);
}

static void every_latency_lies_in_its_bucket(void **state)
{
    (void)state;
    random_seed();
    for (int64_t ns = 0; ns < 100000; ns++)
        assert_slot(ns);
    for (unsigned slot = 1; slot < NATIVE_SLOTS; slot++) {
        int64_t bound = (int64_t)floorl(upper_ns(slot));

        for (int64_t ns = bound - 2; ns <= bound + 2; ns++)
            if (ns != bound || upper_ns(slot) - floorl(upper_ns(slot)) > 1e-6L) /* exact ones are below */
                assert_slot(ns);
    }
    for (unsigned i = 0; i < 1000000; i++)
        assert_slot((int64_t)(random_u64() >> (1 + random_u64() % 63)));
}

static void bounds_belong_to_the_bucket_they_end(void **state)
{
    (void)state;
    assert_int_equal(native_slot(1000000000), 1 - NATIVE_FIRST_BUCKET); /* 2^0 s: bucket 0 */
    assert_int_equal(native_slot(1000000001), 2 - NATIVE_FIRST_BUCKET);
    assert_int_equal(native_slot(500000000), 1 - NATIVE_FIRST_BUCKET - 16);
    assert_int_equal(native_slot(512000000000), NATIVE_SLOTS - 1);
    assert_int_equal(native_slot(0), 0);
    assert_int_equal(native_slot(119), 0); /* 2^-23 s is 119.2 ns */
    assert_int_equal(native_slot(120), 1);
    assert_int_equal(native_slot(INT64_MAX), NATIVE_SLOTS - 1);
}

static void what_counts_is_committed_when_told(void **state)
{
    struct native *native = NULL;

    (void)state;
    assert_true(native_observe(&native, 1000000000000)); /* 1 s */
    native_commit(native);
    assert_true(native_observe(&native, 1000000)); /* 1 us: another group, so that both values move */
    assert_true(native_observe(&native, 1000000000000));
    assert_int_equal(native->counts[native->count + 1 - NATIVE_FIRST_BUCKET - native->first], 1);
    assert_int_equal(native->counts[1 - NATIVE_FIRST_BUCKET - native->first], 2);
    assert_true(native->sum_picoseconds[1] == 1000000000000);
    native_clear(native);
    assert_true(native->sum_picoseconds[0] == 0 && native->sum_picoseconds[1] == 1000000000000);
    native_commit(native);
    assert_true(native->sum_picoseconds[1] == 0);
    free(native);
}

static void state_reads_back(void **state)
{
    struct native *native = NULL, *back;
    unsigned char bytes[NATIVE_STATE_BYTES], again[NATIVE_STATE_BYTES];
    uint64_t total;
    size_t len;

    (void)state;
    random_seed();
    assert_int_equal(native_encode(NULL, bytes), 0);
    for (unsigned i = 0; i < 500; i++)
        assert_true(native_observe(&native, (__int128)(random_u64() >> (random_u64() % 50)) * 7));
    assert_true(native_observe(&native, 0));
    assert_true(native_observe(&native, (__int128)1 << 90));
    native->counts[0] += UINT64_MAX / 2; /* a long number */
    len = native_encode(native, bytes);
    assert_true(native_decode(bytes, len, &back, &total));
    assert_true(total == 502 + UINT64_MAX / 2);
    assert_int_equal(len, native_encode(back, again));
    assert_memory_equal(bytes, again, len);
    assert_true(back->sum_picoseconds[1] == native->sum_picoseconds[0]);
    free(native);
    free(back);
}

static void buckets_without_a_count_read_back(void **state)
{
    struct native *native = NULL, *back;
    unsigned char bytes[NATIVE_STATE_BYTES];
    uint64_t total;

    (void)state;
    assert_non_null(native_reserve(&native, NATIVE_SLOTS - 1, NATIVE_SLOTS - 1)); /* and room beyond */
    assert_true(native_decode(bytes, native_encode(native, bytes), &back, &total));
    assert_int_equal(total, 0);
    free(native);
    free(back);
}

static void damaged_state_is_refused(void **state)
{
    struct native *native = NULL, *back;
    unsigned char bytes[NATIVE_STATE_BYTES + 1], copy[NATIVE_STATE_BYTES + 1];
    uint64_t total;
    size_t len;

    (void)state;
    random_seed();
    for (unsigned i = 0; i < 50; i++)
        assert_true(native_observe(&native, (__int128)(random_u64() >> (random_u64() % 50)) * 7));
    len = native_encode(native, bytes);
    for (size_t cut = 0; cut < len; cut++)
        assert_false(native_decode(bytes, cut, &back, &total));
    bytes[len] = 0;
    assert_false(native_decode(bytes, len + 1, &back, &total));
    for (unsigned i = 0; i < 20000; i++) { /* whatever they say, no read or write beyond */
        memcpy(copy, bytes, len);
        for (unsigned flips = 0; flips < 1 + i % 4; flips++)
            copy[random_u64() % len] = (unsigned char)random_u64();
        if (native_decode(copy, len, &back, &total))
            free(back);
        else
            assert_null(back);
    }
    free(native);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_latency_lies_in_its_bucket),
        cmocka_unit_test(bounds_belong_to_the_bucket_they_end),
        cmocka_unit_test(what_counts_is_committed_when_told),
        cmocka_unit_test(state_reads_back),
        cmocka_unit_test(buckets_without_a_count_read_back),
        cmocka_unit_test(damaged_state_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
