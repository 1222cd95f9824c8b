/* test_health.c - what is wrong is said, the worst level wins, and nothing wrong is said to be nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "buffer.h"
#include "health.h"
#include "json_out.h"
#include "log.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct health_facts fine = {.committing = true,
                                         .commit_error = "",
                                         .producers = 1,
                                         .files = 2,
                                         .has_event = true,
                                         .newest_age_s = 1,
                                         .p95_ms = (double)NAN,
                                         .p99_ms = (double)NAN};

static void nothing_wrong_is_healthy(void **context)
{
    struct health health;

    (void)context;
    health_judge(&fine, &health);
    assert_int_equal(health.level, HEALTH_OK);
    assert_int_equal(health.problem_count, 0);
    assert_string_equal(health.text,
                        "Healthy: 1 connected producer, 2 followed files; nothing lost in the last "
                        "15 minutes.");
}

static void judged(struct health_facts facts, enum health_level level, const char *what)
{
    struct health health;

    health_judge(&facts, &health);
    assert_int_equal(health.level, level);
    assert_int_equal(health.problem_count, 1);
    assert_non_null(strstr(health.text, what));
    assert_true(strlen(health.problems[0].advice) > 0);
}

static void each_trouble_is_named(void **context)
{
    struct health_facts facts = fine;

    (void)context;
#define WITH(field, value, level, what)                                                                      \
    do {                                                                                                     \
        facts = fine;                                                                                        \
        facts.field = (value);                                                                               \
        judged(facts, level, what);                                                                          \
    } while (0)
    WITH(committing, false, HEALTH_ERROR, "cannot be committed");
    WITH(lost, 3, HEALTH_ERROR, "3 SDK records were lost");
    WITH(dropped, 4, HEALTH_WARNING, "4 event lines");
    WITH(overflowed, 5, HEALTH_WARNING, "overflow");
    WITH(has_event, false, HEALTH_WARNING, "No event with a time");
    WITH(newest_age_s, HEALTH_STALE_S + 1, HEALTH_WARNING, "No new event for 61 seconds");
    WITH(newest_age_s, -7200.0, HEALTH_WARNING, "2 hours in the future");
    WITH(p95_ms, 251, HEALTH_WARNING, "in twenty");
    WITH(p99_ms, 501, HEALTH_WARNING, "in a hundred");
    WITH(spool_lag_bytes, UINT64_C(5) << 20, HEALTH_WARNING, "5 MiB wait");
    facts = fine;
    facts.lag_path = "/var/log/events.jsonl";
    facts.lag_bytes = UINT64_C(3) << 20;
    judged(facts, HEALTH_WARNING, "/var/log/events.jsonl is 3 MiB behind");
}

static void the_bounds_themselves_are_fine(void **context)
{
    struct health_facts facts = fine;
    struct health health;

    (void)context;
    facts.newest_age_s = HEALTH_STALE_S;
    facts.p95_ms = HEALTH_P95_MS;
    facts.p99_ms = HEALTH_P99_MS;
    facts.lag_path = "x";
    facts.lag_bytes = facts.spool_lag_bytes = HEALTH_LAG_BYTES;
    health_judge(&facts, &health);
    assert_int_equal(health.level, HEALTH_OK);
}

static void everything_wrong_at_once_has_room(void **context)
{
    struct health_facts facts = {.commit_error = "the disk is full",
                                 .lost = 1,
                                 .dropped = 1,
                                 .overflowed = 1,
                                 .lag_path = "x",
                                 .lag_bytes = UINT64_MAX,
                                 .spool_lag_bytes = UINT64_MAX,
                                 .p95_ms = 1000,
                                 .p99_ms = 1000};
    struct health health;

    (void)context;
    health_judge(&facts, &health);
    assert_int_equal(health.level, HEALTH_ERROR);
    assert_int_equal(health.problem_count, 8);
    assert_non_null(strstr(health.text, "the disk is full"));
}

static void json_escapes_what_it_must(void **context)
{
    struct buffer buffer;
    struct json_out json = {.buffer = &buffer, .fine = true};

    (void)context;
    buffer_init(&buffer);
    json_out_open(&json, NULL, '{');
    json_out_text(&json, "a\"", "x\\\"\n\x01\xff\xc3\xa9");
    json_out_count(&json, "n", UINT64_MAX);
    json_out_open(&json, "l", '[');
    json_out_number(&json, NULL, (double)NAN, 2);
    json_out_number(&json, NULL, 1.25, 2);
    json_out_bool(&json, NULL, true);
    json_out_close(&json, ']');
    json_out_open(&json, "o", '{');
    json_out_close(&json, '}');
    json_out_close(&json, '}');
    assert_true(json.fine && buffer_add(&buffer, "", 1));
    assert_string_equal(buffer.bytes, "{\"a\\\"\":\"x\\\\\\\"\\u000a\\u0001\xef\xbf\xbd\xc3\xa9\","
                                      "\"n\":18446744073709551615,\"l\":[null,1.25,true],\"o\":{}}");
    buffer_fini(&buffer);
}

static void the_last_warnings_are_kept_and_information_is_not(void **context)
{
    struct log_recent recent[LOG_RECENT_MAX];
    uint64_t before, total;

    (void)context;
    log_recent(recent, &before);
    log_info("not this");
    for (unsigned i = 0; i < LOG_RECENT_MAX + 3; i++)
        log_warning("number %u\nand a forged line", i);
    log_error("the last");
    assert_int_equal(log_recent(recent, &total), LOG_RECENT_MAX);
    assert_int_equal(total - before, LOG_RECENT_MAX + 4);
    assert_string_equal(recent[0].text, "the last");
    assert_int_equal(recent[0].level, LOG_LEVEL_ERROR);
    assert_string_equal(recent[1].text, "number 34?and a forged line");
    assert_int_equal(recent[1].level, LOG_LEVEL_WARNING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_wrong_is_healthy),
        cmocka_unit_test(each_trouble_is_named),
        cmocka_unit_test(the_bounds_themselves_are_fine),
        cmocka_unit_test(everything_wrong_at_once_has_room),
        cmocka_unit_test(json_escapes_what_it_must),
        cmocka_unit_test(the_last_warnings_are_kept_and_information_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
