/* test_ratio.c - integer quotients rounded once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ratio.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define E12 UINT64_C(1000000000000)

static void assert_ratio(__int128 numerator, uint64_t denominator, double wanted)
{
    double got = ratio_double(numerator, denominator);

    if (!(got == wanted))
        fail_msg("got %.17g, wanted %.17g", got, wanted);
}

static void quotients_are_the_doubles_that_literals_are(void **state)
{
    (void)state;
    assert_ratio(0, E12, 0);
    assert_ratio(1, 1, 1);
    assert_ratio(85000000000, E12, 0.085);
    assert_ratio(100000000000, E12, 0.1);
    assert_ratio(8508500000000, E12, 8.5085);
    assert_ratio(1769303388123456789, 1000000000, 1769303388.123456789);
    assert_ratio(-1769303388123456000, 1000000000, -1769303388.123456);
    assert_ratio(-62135596800 * (__int128)1000000000, 1000000000, -62135596800.0);
    assert_ratio(1, E12, 1e-12);
    assert_ratio((__int128)1 << 100, 1, 0x1p100);
    assert_ratio(-(((__int128)1 << 126) - 1) * 2 - 2, 1, -0x1p127);
}

static void ties_go_to_even_and_a_remainder_breaks_them(void **state)
{
    __int128 tie = ((__int128)1 << 54) + 2; /* halfway between two doubles, the lower one even */

    (void)state;
    assert_ratio(tie, 1, 0x1p54);
    assert_ratio(tie + 1, 1, 0x1.0000000000001p54);
    assert_ratio(tie + 4, 1, 0x1.0000000000002p54);
    /* The same with the excess in the remainder alone: rounding twice would lose it. */
    assert_ratio(tie * 1000, 1000, 0x1p54);
    assert_ratio(tie * 1000 + 1, 1000, 0x1.0000000000001p54);
    assert_ratio(tie * 1000 - 1, 1000, 0x1p54);
    assert_ratio((tie << 60) * 1000, 1000, 0x1p114);
    assert_ratio((tie << 60) * 1000 + 1, 1000, 0x1.0000000000001p114);
}

/* The result is nearest when neither neighbour is nearer: but for close to halfway, where the quotient we
 * compare with may err, and which the ties above cover. */
static void assert_nearest(__int128 numerator, uint64_t denominator)
{
    double got = ratio_double(numerator, denominator);
    long double exact = (long double)numerator / (long double)denominator; /* wrong by a few 2^-64 */

    assert_true(fabsl((long double)got - exact) <=
                fabsl((long double)nextafter(got, INFINITY) - exact) * (1 + 0x1p-7L));
    assert_true(fabsl((long double)got - exact) <=
                fabsl((long double)nextafter(got, -INFINITY) - exact) * (1 + 0x1p-7L));
}

static void random_quotients_are_the_nearest_doubles(void **state)
{
    const char *seed = getenv("AILIVE_SEED");
    unsigned random = seed ? (unsigned)strtoul(seed, NULL, 0) : (unsigned)time(NULL);

    (void)state;
    printf("AILIVE_SEED=%u\n", random);
    srand(random);
    for (int i = 0; i < 100000; i++) {
        __int128 numerator = 0;

        for (int part = 0; part < 4; part++)
            numerator = numerator << 31 | rand();
        numerator >>= rand() % 124;
        if (rand() % 2)
            numerator = -numerator;
        assert_nearest(numerator, rand() % 2 ? E12 : 1000000000);
    }
}

static void seconds_are_the_same_quotient_by_either_way(void **state)
{
    static const int64_t around[] = {0,         1000, 1769303388123456000, 1769303388123456789,
                                     INT64_MAX, 999,  INT64_MIN,           (INT64_C(1) << 53) * 1000};

    (void)state;
    for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++)
        for (int step = -2; step <= 2; step++)
            for (int sign = -1; sign <= 1; sign += 2) {
                __int128 ns = (around[i] + (__int128)step * 1000) * sign;

                assert_true(ratio_seconds(ns) == ratio_double(ns, 1000000000));
            }
    assert_true(ratio_seconds((__int128)253402300799 * 1000000000) == 253402300799.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotients_are_the_doubles_that_literals_are),
        cmocka_unit_test(ties_go_to_even_and_a_remainder_breaks_them),
        cmocka_unit_test(seconds_are_the_same_quotient_by_either_way),
        cmocka_unit_test(random_quotients_are_the_nearest_doubles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
