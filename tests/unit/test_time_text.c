/* test_time_text.c - the one form of a time, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "text.h"
#include "time_text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define S (__int128)1000000000

static void assert_time(const char *text, __int128 wanted)
{
    __int128 got = -1;

    if (!time_text_parse(text_of(text), &got))
        fail_msg("%s is a time", text);
    if (got != wanted)
        fail_msg("%s: %lld s %lld ns", text, (long long)(got / S), (long long)(got % S));
}

static void assert_no_time(const char *text)
{
    __int128 got = 77;

    if (time_text_parse(text_of(text), &got))
        fail_msg("'%s' is no time", text);
    assert_true(got == 77);
}

static void every_zone_form_is_read(void **state)
{
    (void)state;
    assert_time("2026-01-25T01:09:48.123Z", 1769303388 * S + 123000000);
    assert_time("2026-01-25T01:09:48.123", 1769303388 * S + 123000000);
    assert_time("2026-01-25T01:09:48+00:00", 1769303388 * S);
    assert_time("2026-01-25T01:09:48-00:00", 1769303388 * S);
    assert_time("2026-01-25T03:09:48+02:00", 1769303388 * S);
    assert_time("2026-01-24T19:39:48-05:30", 1769303388 * S);
    assert_time("2026-01-25T03:09:48+02", 1769303388 * S);
    assert_time("2026-01-24T19:39:48-0530", 1769303388 * S);
    assert_time("2026-01-25T03:09:58+02:00:10", 1769303388 * S);
}

static void date_and_clock_may_be_parted_by_a_space_and_seconds_left_out(void **state)
{
    (void)state;
    assert_time("2026-01-25 01:09:48Z", 1769303388 * S);
    assert_time("2026-01-25T01:09Z", 1769303340 * S);
    assert_time("2026-01-25 01:09", 1769303340 * S);
    assert_time("2026-01-25T03:09+02:00", 1769303340 * S);
}

static void digits_beyond_six_are_cut(void **state)
{
    (void)state;
    assert_time("1970-01-01T00:00:00.1Z", 100000000);
    assert_time("1970-01-01T00:00:00.123456Z", 123456000);
    assert_time("1970-01-01T00:00:00.123456999Z", 123456000);
    assert_time("1970-01-01T00:00:00.00000099999999999999999999999Z", 0);
}

static void the_calendar_is_right_from_year_1_to_9999(void **state)
{
    (void)state;
    assert_time("1970-01-01T00:00:00Z", 0);
    assert_time("1969-12-31T23:59:59.5Z", -S / 2);
    assert_time("0001-01-01T00:00:00Z", -62135596800 * S);
    assert_time("9999-12-31T23:59:59Z", 253402300799 * S);
    assert_time("2000-02-29T00:00:00Z", 951782400 * S);
    assert_time("2024-02-29T00:00:00Z", 1709164800 * S);
    assert_no_time("1900-02-29T00:00:00Z");
    assert_no_time("2026-02-29T00:00:00Z");
    assert_no_time("2026-04-31T00:00:00Z");
}

static void every_day_agrees_with_the_c_library(void **state)
{
    (void)state;
    for (long day = -719162; day <= 2932896; day += 13) { /* 0001-01-01 to 9999-12-31 */
        time_t seconds = (time_t)day * 86400 + 12345;
        char text[64];
        struct tm tm;

        assert_non_null(gmtime_r(&seconds, &tm));
        snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        assert_time(text, (__int128)seconds * S);
    }
}

static void every_other_form_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "not a time",
        "2026-13-45T99:00:00Z",
        "2026-01-25",
        "2026-01-25T",
        "2026-01-25T01",
        "2026-01-25T01:0",
        "2026-01-25t01:09:48Z",
        "2026-01-25T01:09:48z",
        "2026-01-25_01:09:48Z",
        "2026-01-25  01:09:48Z",
        " 2026-01-25T01:09:48Z",
        "2026-01-25T01:09:48Z ",
        "2026-01-25T01:09:48ZZ",
        "2026-01-25T01:09:48 Z",
        "2026-01-25T01:09:48.Z",
        "2026-01-25T01:09:48,5Z",
        "2026-01-25T01:09.5Z",
        "2026-01-25T01:09:48.5.5Z",
        "2026-01-25T24:00:00Z",
        "2026-01-25T23:60:00Z",
        "2026-01-25T23:59:60Z",
        "2026-00-25T01:09:48Z",
        "2026-01-00T01:09:48Z",
        "0000-01-25T01:09:48Z",
        "+2026-01-25T01:09:48Z",
        "-026-01-25T01:09:48Z",
        "20260125T010948Z",
        "2026-W04-7T01:09:48Z",
        "2026-025T01:09:48Z",
        "1769303388",
        "1769303388.5",
        "2026-01-25T01:09:48+",
        "2026-01-25T01:09:48+2",
        "2026-01-25T01:09:48+02:",
        "2026-01-25T01:09:48+02:0",
        "2026-01-25T01:09:48+24:00",
        "2026-01-25T01:09:48+02:60",
        "2026-01-25T01:09:48+02:00Z",
        "2026-01-25T01:09:48+02:00:",
        "2026-01-25T01:09:48+0200:00",
        ("2026-01-25T01:09:48\xe2\x88\x92"
         "02:00"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_no_time(texts[i]);
}

static void a_time_cut_short_anywhere_reads_nothing_behind_its_end(void **state)
{
    static const char text[] = "2026-01-25T01:09:48.123456-05:30";
    __int128 got;

    (void)state;
    for (size_t len = 0; len < 16; len++)
        assert_false(time_text_parse((struct text){text, len}, &got));
    assert_true(time_text_parse((struct text){text, 16}, &got));
    assert_false(time_text_parse((struct text){NULL, 0}, &got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_zone_form_is_read),
        cmocka_unit_test(date_and_clock_may_be_parted_by_a_space_and_seconds_left_out),
        cmocka_unit_test(digits_beyond_six_are_cut),
        cmocka_unit_test(the_calendar_is_right_from_year_1_to_9999),
        cmocka_unit_test(every_day_agrees_with_the_c_library),
        cmocka_unit_test(every_other_form_is_refused),
        cmocka_unit_test(a_time_cut_short_anywhere_reads_nothing_behind_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
