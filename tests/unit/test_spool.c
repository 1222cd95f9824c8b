/* test_spool.c - claims about sdk/wire/spool: every kind of line to the byte, and names read back. */
#include "wire/spool.h"

#include "wire/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define HEX "188dd40eacfe65150102030405060708"

static const struct event_producer producer = {
    {0x18, 0x8d, 0xd4, 0x0e, 0xac, 0xfe, 0x65, 0x15, 1, 2, 3, 4, 5, 6, 7, 8}};

static struct spool_text text_of(const char *text)
{
    return (struct spool_text){text, strlen(text)};
}

static struct spool_record decision_of(int64_t time_ns, int64_t latency_ns)
{
    struct spool_record record = {.producer = producer, .ring = 3, .seq = 7};

    record.row.kind = AILIVE_KIND_DECISION;
    record.row.decision = AILIVE_ACCEPT;
    record.row.action = AILIVE_SUBMIT;
    record.row.time_ns = time_ns;
    record.row.latency_ns = latency_ns;
    record.reason = text_of("none");
    record.component = text_of("execution_watch");
    record.run_id = text_of("demo");
    return record;
}

/* The line in memory of exactly the stated limit, so that a byte beyond it is seen by the sanitizer. */
static char *line_of(const struct spool_record *record)
{
    char *line = malloc(SPOOL_LINE_MAX_BYTES);
    size_t len;

    assert_non_null(line);
    len = spool_format_record(record, line);
    assert_in_range(len, 1, SPOOL_LINE_MAX_BYTES);
    assert_int_equal(line[len - 1], '\n');
    assert_ptr_equal(memchr(line, '\n', len), line + len - 1);
    line[len - 1] = '\0';
    return line;
}

static void assert_line(const struct spool_record *record, const char *expected)
{
    char *line = line_of(record);

    assert_string_equal(line, expected);
    free(line);
}

static void assert_line_has(const struct spool_record *record, const char *part)
{
    char *line = line_of(record);

    if (!strstr(line, part))
        fail_msg("%s is not in %s", part, line);
    free(line);
}

static void decision_line_is_a_line_of_the_contract(void **state)
{
    struct spool_record record = decision_of(1769303388123456789, 85000000);

    (void)state;
    assert_line(&record,
                "{\"v\":1,\"ts_utc\":\"2026-01-25T01:09:48.123456Z\",\"component\":\"execution_watch\","
                "\"run_id\":\"demo\",\"event\":\"decision\",\"decision\":\"accept\",\"reason\":\"none\","
                "\"latency_ms\":85.0,\"action\":\"submit\",\"sid\":\"" HEX ".3\",\"seq\":7,"
                "\"ts_ns\":1769303388123456789,\"latency_ns\":85000000}");
    record.row.latency_ns = AILIVE_NO_LATENCY;
    record.row.action = AILIVE_ACTION_NONE;
    assert_line(&record,
                "{\"v\":1,\"ts_utc\":\"2026-01-25T01:09:48.123456Z\",\"component\":\"execution_watch\","
                "\"run_id\":\"demo\",\"event\":\"decision\",\"decision\":\"accept\",\"reason\":\"none\","
                "\"action\":\"none\",\"sid\":\"" HEX ".3\",\"seq\":7,\"ts_ns\":1769303388123456789}");
}

static void action_and_stage_lines_have_their_own_fields(void **state)
{
    struct spool_record record = decision_of(1769303388000000000, AILIVE_NO_LATENCY);

    (void)state;
    record.row.kind = AILIVE_KIND_ACTION;
    record.row.action = AILIVE_FILL;
    assert_line(&record,
                "{\"v\":1,\"ts_utc\":\"2026-01-25T01:09:48.000000Z\",\"component\":\"execution_watch\","
                "\"run_id\":\"demo\",\"event\":\"action\",\"action\":\"fill\",\"sid\":\"" HEX
                ".3\",\"seq\":7,\"ts_ns\":1769303388000000000}");
    record.row.kind = AILIVE_KIND_STAGE;
    record.row.latency_ns = 1234;
    record.stage = text_of("risk_check");
    assert_line(&record,
                "{\"v\":1,\"ts_utc\":\"2026-01-25T01:09:48.000000Z\",\"component\":\"execution_watch\","
                "\"run_id\":\"demo\",\"event\":\"stage\",\"stage\":\"risk_check\",\"sid\":\"" HEX
                ".3\",\"seq\":7,\"ts_ns\":1769303388000000000,\"latency_ns\":1234}");
}

static void lines_without_a_record_are_as_documented(void **state)
{
    const uint64_t door[LAYOUT_DOOR_WORDS] = {3, 0};
    char line[SPOOL_LINE_MAX_BYTES + 1];

    (void)state;
    line[spool_format_invalid(&producer, 1, 18446744073709551615u, INT64_MIN, line)] = '\0';
    assert_string_equal(line, "{\"v\":1,\"event\":\"invalid\",\"sid\":\"" HEX
                              ".1\",\"seq\":18446744073709551615,\"ts_ns\":-9223372036854775808}\n");
    line[spool_format_drop(&producer, 1, 40, 9, EVENT_DROP_SPOOL_FULL, line)] = '\0';
    assert_string_equal(line,
                        "{\"v\":1,\"event\":\"drop\",\"reason\":\"spool_full\",\"count\":9,\"sid\":\"" HEX
                        ".1\",\"seq\":40}\n");
    line[spool_format_door(&producer, 0, door, line)] = '\0';
    assert_string_equal(line,
                        "{\"v\":1,\"event\":\"door\",\"ring_full\":3,\"no_ring\":0,\"sid\":\"" HEX ".0\"}\n");
}

static void record_that_has_no_text_becomes_an_invalid_line(void **state)
{
    struct spool_record record = decision_of(5, 1);
    const char *invalid = "{\"v\":1,\"event\":\"invalid\",\"sid\":\"" HEX ".3\",\"seq\":7,\"ts_ns\":5}";

    (void)state;
    record.row.decision = 4;
    assert_line(&record, invalid);
    record = decision_of(5, 1);
    record.row.action = 6;
    assert_line(&record, invalid);
    record = decision_of(5, 1);
    record.row.kind = 0;
    assert_line(&record, invalid);
    record.row.kind = AILIVE_KIND_ACTION;
    record.row.action = AILIVE_ACTION_NONE;
    assert_line(&record, invalid);
}

static void milliseconds_are_exact_decimals(void **state)
{
    const struct {
        int64_t ns;
        const char *field;
    } cases[] = {{0, "\"latency_ms\":0.0,"},
                 {1, "\"latency_ms\":0.000001,"},
                 {1500000, "\"latency_ms\":1.5,"},
                 {100000000, "\"latency_ms\":100.0,"},
                 {-2500, "\"latency_ms\":-0.0025,"},
                 {INT64_MAX, "\"latency_ms\":9223372036854.775807,"},
                 {INT64_MIN + 1, "\"latency_ms\":-9223372036854.775807,"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct spool_record record = decision_of(0, cases[i].ns);
        assert_line_has(&record, cases[i].field);
    }
}

static void check_utc(int64_t time_ns)
{
    struct spool_record record = decision_of(time_ns, 0);
    time_t seconds = (time_t)(time_ns / 1000000000 - (time_ns % 1000000000 < 0));
    long long micros = (long long)(time_ns - (int64_t)seconds * 1000000000) / 1000;
    char whole[40], expected[80];
    struct tm tm;

    assert_non_null(gmtime_r(&seconds, &tm));
    assert_true(strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &tm) > 0);
    snprintf(expected, sizeof(expected), "\"ts_utc\":\"%s.%06lldZ\"", whole, micros);
    assert_line_has(&record, expected);
}

static void utc_agrees_with_libc_over_all_of_its_range(void **state)
{
    const int64_t day_ns = 86400000000000;
    struct spool_record record;

    (void)state;
    for (int64_t day = -106751; day <= 106751; day++) {
        check_utc(day * day_ns);
        if (day % 97 == 0)
            check_utc(day * day_ns - 1);
    }
    check_utc(INT64_MAX);
    check_utc(-9223372036000000000);
    record = decision_of(INT64_MIN, 0);
    assert_line_has(&record, "\"ts_utc\":\"1677-09-21T00:12:43.145224Z\"");
}

static void hostile_names_stay_inside_their_string(void **state)
{
    struct spool_record record = decision_of(0, 0);

    (void)state;
    record.reason = text_of("a\"b\\c\nd\x01\x7f");
    assert_line_has(&record, "\"reason\":\"a\\\"b\\\\c\\u000ad\\u0001\x7f\",");
    record.reason = text_of("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"); /* two, three and four bytes */
    assert_line_has(&record, "\"reason\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\",");
    record.reason = (struct spool_text){"a\0b", 3};
    assert_line_has(&record, "\"reason\":\"a\\u0000b\",");
}

static void bytes_that_are_not_utf8_become_replacement_characters(void **state)
{
    static const char *const one_each[] = {"\xff", "\x80", "\xc3", "\xbf", "\xf5"};
    static const char *const two_bad[] = {"\xc0\x80", "\xe2\x82", "\xc3\xc3"};
    static const char *const three_bad[] = {"\xed\xa0\x80", "\xe0\x80\x80", "\xf0\x9f\x98"};
    struct spool_record record = decision_of(0, 0);

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        record.reason = text_of(one_each[i]);
        assert_line_has(&record, "\"reason\":\"\xef\xbf\xbd\",");
    }
    for (size_t i = 0; i < 3; i++) {
        record.reason = text_of(two_bad[i]);
        assert_line_has(&record, "\"reason\":\"\xef\xbf\xbd\xef\xbf\xbd\",");
        record.reason = text_of(three_bad[i]);
        assert_line_has(&record, "\"reason\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\",");
    }
    record.reason = (struct spool_text){"\xc3\xa4", 1}; /* the length ends the text, not its bytes */
    assert_line_has(&record, "\"reason\":\"\xef\xbf\xbd\",");
}

static void longest_line_fits_its_limit(void **state)
{
    char worst[AILIVE_NAME_MAX_BYTES];
    struct spool_record record = decision_of(INT64_MIN, INT64_MIN + 1);
    size_t len;
    char *line;

    (void)state;
    memset(worst, 1, sizeof(worst));
    record.ring = UINT32_MAX;
    record.seq = UINT64_MAX;
    record.row.decision = AILIVE_ACCEPT;
    record.row.action = AILIVE_ORDER_REQUEST;
    record.reason = record.component = record.run_id = (struct spool_text){worst, sizeof(worst)};
    line = line_of(&record);
    len = strlen(line);
    assert_in_range(len, 2000, SPOOL_LINE_MAX_BYTES - 1);
    free(line);
}

static void file_name_is_read_back(void **state)
{
    const uint64_t numbers[] = {1, 42, 999999, 1000000, UINT64_MAX};
    struct event_producer again;
    char name[SPOOL_NAME_BYTES];
    uint64_t n;

    (void)state;
    spool_file_name(&producer, 42, name);
    assert_string_equal(name, HEX "-000042.jsonl");
    for (size_t i = 0; i < 5; i++) {
        spool_file_name(&producer, numbers[i], name);
        memset(&again, 0, sizeof(again));
        assert_true(spool_file_name_parse(name, &again, &n));
        assert_true(n == numbers[i]);
        assert_memory_equal(&again, &producer, sizeof(producer));
    }
}

static void name_of_another_file_is_refused(void **state)
{
    static const char *const wrong[] = {"",
                                        "events.jsonl",
                                        HEX "-.jsonl",
                                        HEX "-000000.jsonl",
                                        HEX "-00042.jsonl",
                                        HEX "-0000042.jsonl",
                                        HEX "_000042.jsonl",
                                        HEX "-000042.json",
                                        HEX "-000042.jsonl.gz",
                                        HEX "-00004x.jsonl",
                                        HEX "-+00042.jsonl",
                                        HEX "-18446744073709551616.jsonl",
                                        HEX "-99999999999999999999999999999999999999.jsonl",
                                        "X88dd40eacfe65150102030405060708-000042.jsonl"};
    struct event_producer out = {{0}}, before = {{0}};
    uint64_t n = 5;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(spool_file_name_parse(wrong[i], &out, &n));
    assert_int_equal(n, 5);
    assert_memory_equal(&out, &before, sizeof(out));
}

static void sid_is_a_producer_and_a_ring(void **state)
{
    static const char *const wrong[] = {"",          HEX,         HEX ".",   HEX ".x",  HEX ".1024",
                                        HEX ".01",   HEX ":1",    HEX ".1 ", HEX ".-1", HEX ".4294967297",
                                        HEX "a.100", "A" HEX ".1"};
    struct event_producer out;
    uint32_t ring = 0;

    (void)state;
    assert_true(spool_sid_parse(HEX ".0", 34, &out, &ring));
    assert_int_equal(ring, 0);
    assert_true(spool_sid_parse(HEX ".1023", 37, &out, &ring));
    assert_int_equal(ring, 1023);
    assert_memory_equal(&out, &producer, sizeof(producer));
    assert_true(spool_sid_parse(HEX ".1023", 36, &out, &ring)); /* the length decides */
    assert_int_equal(ring, 102);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(spool_sid_parse(wrong[i], strlen(wrong[i]), &out, &ring));
    assert_int_equal(ring, 102);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decision_line_is_a_line_of_the_contract),
        cmocka_unit_test(action_and_stage_lines_have_their_own_fields),
        cmocka_unit_test(lines_without_a_record_are_as_documented),
        cmocka_unit_test(record_that_has_no_text_becomes_an_invalid_line),
        cmocka_unit_test(milliseconds_are_exact_decimals),
        cmocka_unit_test(utc_agrees_with_libc_over_all_of_its_range),
        cmocka_unit_test(hostile_names_stay_inside_their_string),
        cmocka_unit_test(bytes_that_are_not_utf8_become_replacement_characters),
        cmocka_unit_test(longest_line_fits_its_limit),
        cmocka_unit_test(file_name_is_read_back),
        cmocka_unit_test(name_of_another_file_is_refused),
        cmocka_unit_test(sid_is_a_producer_and_a_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
