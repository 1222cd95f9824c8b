/* test_clock.c - the claims of clock.h: counter readings become UTC, through steps too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS 1000000

static void note(struct clock_track *track, uint64_t ticks, int64_t utc_ns, int64_t at_ns)
{
    struct layout_clock_pair pair = {ticks, utc_ns};

    clock_track_add(track, &pair, at_ns);
}

static void a_record_between_two_pairs_is_interpolated(void **state)
{
    struct clock_track track = {0};

    (void)state;
    note(&track, 1000, 5000000, 0);
    note(&track, 2000, 5000500, 100 * MS);
    note(&track, 4000, 5001500, 200 * MS);
    assert_int_equal(clock_track_utc(&track, 1000), 5000000);
    assert_int_equal(clock_track_utc(&track, 1500), 5000250);
    assert_int_equal(clock_track_utc(&track, 3000), 5001000);
    assert_int_equal(clock_track_utc(&track, 1500), 5000250); /* back in an earlier piece */
    assert_int_equal(clock_track_utc(&track, 800), 4999900);
    assert_int_equal(clock_track_utc(&track, 5000), 5002000);
}

/* The converted time of every record must be what layout_clock_utc() says, which salvage uses. */
static void conversion_agrees_with_the_layouts_own_rule_to_a_nanosecond(void **state)
{
    struct clock_track track = {0};
    uint64_t ticks = 123456789, seed = 1;
    int64_t utc = 1800000000000000000;
    const char *given = getenv("AILIVE_SEED");

    (void)state;
    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    print_message("AILIVE_SEED=%llu\n", (unsigned long long)seed);
    srand48((long)seed);
    for (int i = 0; i < 40; i++) {
        note(&track, ticks, utc + (i >= 20 ? 1000000000 : 0),
             (int64_t)i * 100 * MS); /* a step in the middle */
        ticks += 300000000;
        utc += 100000000 + lrand48() % 200 - 100;
    }
    for (int i = 0; i < 2000; i++) {
        uint64_t at = 123456789 + (uint64_t)lrand48() * 6 % (uint64_t)(41 * 300000000ll);
        int64_t want = layout_clock_utc(track.pairs, track.kept, at);
        int64_t got = clock_track_utc(&track, at);
        assert_true(llabs(want - got) <= 1);
    }
}

static void pairs_are_kept_ten_times_a_second_and_the_newest_always_counts(void **state)
{
    struct layout_clock file = {0};
    struct clock_track track = {.file = &file};

    (void)state;
    for (int i = 0; i < 1000; i++)
        note(&track, 1000 + (uint64_t)i * 10, 1000 + (int64_t)i * 10, (int64_t)i * MS);
    assert_int_equal(file.count, track.kept);
    assert_int_equal(track.kept, 11); /* two at once at the start, then 0.1 s apart */
    assert_true(track.fresh);
    assert_int_equal(track.pairs[track.kept].ticks, 1000 + 999 * 10);
}

static void the_oldest_pairs_make_room(void **state)
{
    struct layout_clock file = {0};
    struct clock_track track = {.file = &file};
    struct layout_clock_pair pairs[LAYOUT_CLOCK_PAIRS];

    (void)state;
    memcpy(file.magic, LAYOUT_CLOCK_MAGIC, 8);
    for (int i = 0; i < 300; i++)
        note(&track, 1000 + (uint64_t)i * 100, 7000 + (int64_t)i * 100, (int64_t)i * 100 * MS);
    assert_int_equal(track.kept, LAYOUT_CLOCK_PAIRS);
    assert_int_equal(track.pairs[LAYOUT_CLOCK_PAIRS - 1].ticks, 1000 + 299 * 100);
    assert_int_equal(track.pairs[0].ticks, 1000 + 172 * 100);
    assert_int_equal(file.count, 300);
    assert_int_equal(layout_clock_read(&file, pairs), LAYOUT_CLOCK_PAIRS - 1);
    assert_int_equal(pairs[LAYOUT_CLOCK_PAIRS - 2].ticks, 1000 + 299 * 100);
}

static void a_counter_that_stands_still_adds_no_pair(void **state)
{
    struct clock_track track = {0};

    (void)state;
    note(&track, 1000, 5000, 0);
    note(&track, 1000, 6000, 200 * MS);
    note(&track, 900, 7000, 400 * MS);
    assert_int_equal(track.kept, 1);
    note(&track, 2000, 6000, 600 * MS);
    assert_int_equal(clock_track_utc(&track, 1500), 5500);
}

static int64_t utc_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void a_reading_lies_between_two_looks_at_the_clock(void **state)
{
    struct layout_clock file = {0};
    struct clock_track track;
    uint64_t ticks;
    int64_t before, after, utc;

    (void)state;
    clock_track_start(&track, &file);
    assert_int_equal(file.count, 2); /* a rate is there from the start */
    assert_memory_equal(file.magic, LAYOUT_CLOCK_MAGIC, 8);
    before = utc_now();
    ticks = clock_ticks(clock_kind());
    after = utc_now();
    clock_track_take(&track, clock_monotonic_ns());
    utc = clock_track_utc(&track, ticks);
    /* The counter is read out of order by a little; a microsecond is what design.md promises. */
    assert_true(utc >= before - 1000 && utc <= after + 1000);
}

static void elapsed_time_lies_between_what_the_clock_says(void **state)
{
    const struct timespec pause = {0, 20 * MS};
    int64_t before = clock_monotonic_ns(), after, elapsed;
    uint64_t start = ailive_ticks();

    (void)state;
    nanosleep(&pause, NULL);
    elapsed = ailive_elapsed_ns(start);
    after = clock_monotonic_ns();
    assert_true(elapsed >= 20 * MS - 20 * MS / 1000);
    assert_true(elapsed <= (after - before) + (after - before) / 1000 + 1000);
    clock_rate_refine();
    assert_true(ailive_elapsed_ns(start) >= elapsed - elapsed / 1000);
}

static void elapsed_time_is_never_negative(void **state)
{
    (void)state;
    assert_int_equal(ailive_elapsed_ns(UINT64_MAX), 0);
    assert_int_equal(ailive_elapsed_ns(ailive_ticks() + 1000000000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_between_two_pairs_is_interpolated),
        cmocka_unit_test(conversion_agrees_with_the_layouts_own_rule_to_a_nanosecond),
        cmocka_unit_test(pairs_are_kept_ten_times_a_second_and_the_newest_always_counts),
        cmocka_unit_test(the_oldest_pairs_make_room),
        cmocka_unit_test(a_counter_that_stands_still_adds_no_pair),
        cmocka_unit_test(a_reading_lies_between_two_looks_at_the_clock),
        cmocka_unit_test(elapsed_time_lies_between_what_the_clock_says),
        cmocka_unit_test(elapsed_time_is_never_negative),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
