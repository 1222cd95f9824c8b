/* test_json.c - what is JSON, what is not, and what the flat view says of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json_reader *reader;
static struct json_view view;

static int open_reader(void **state)
{
    (void)state;
    reader = json_reader_new();
    return reader ? 0 : -1;
}

static int close_reader(void **state)
{
    (void)state;
    json_reader_free(reader);
    return 0;
}

/* In memory of exactly the line's size, so that a sanitizer sees reading past it. */
static enum json_verdict read_bytes(const char *bytes, size_t len)
{
    static char *exact;

    free(exact);
    exact = malloc(len ? len : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, len);
    return json_read(reader, exact, len, &view);
}

static enum json_verdict read_line(const char *line)
{
    return read_bytes(line, strlen(line));
}

static void assert_verdict(const char *line, enum json_verdict wanted)
{
    enum json_verdict got = read_line(line);

    if (got != wanted)
        fail_msg("verdict %d, wanted %d: %s", (int)got, (int)wanted, line);
}

static void assert_string(enum json_key key, const char *wanted)
{
    assert_int_equal(view.values[key].type, JSON_STRING);
    assert_int_equal(view.values[key].text.len_bytes, strlen(wanted));
    assert_memory_equal(view.values[key].text.bytes, wanted, strlen(wanted));
}

static void every_key_is_found_by_its_name(void **state)
{
    static const char *const names[JSON_KEYS] = {
        [JSON_V] = "v",
        [JSON_SCHEMA_VERSION] = "schema_version",
        [JSON_SCHEMA] = "schema",
        [JSON_TS_UTC] = "ts_utc",
        [JSON_TS] = "ts",
        [JSON_COMPONENT] = "component",
        [JSON_RUN_ID] = "run_id",
        [JSON_EVENT_TYPE] = "event_type",
        [JSON_DECISION] = "decision",
        [JSON_REASON] = "reason",
        [JSON_REASON_CODE] = "reason_code",
        [JSON_ACTION] = "action",
        [JSON_LATENCY_S] = "latency_s",
        [JSON_LATENCY_MS] = "latency_ms",
        [JSON_TYPE] = "type",
        [JSON_BLOCK_REASON] = "block_reason",
        [JSON_GATE_REASON] = "gate_reason",
        [JSON_POLICY_REASON] = "policy_reason",
        [JSON_ACTION_TYPE] = "action_type",
        [JSON_EVENT] = "event",
        [JSON_SID] = "sid",
        [JSON_SEQ] = "seq",
        [JSON_TS_NS] = "ts_ns",
        [JSON_LATENCY_NS] = "latency_ns",
        [JSON_STAGE] = "stage",
        [JSON_COUNT] = "count",
        [JSON_RING_FULL] = "ring_full",
        [JSON_NO_RING] = "no_ring",
    };
    char line[64];

    (void)state;
    for (int key = 0; key < JSON_KEYS; key++) {
        snprintf(line, sizeof(line), "{\"%s\":\"x\"}", names[key]);
        assert_verdict(line, JSON_IS_OBJECT);
        for (int other = 0; other < JSON_KEYS; other++)
            assert_int_equal(view.values[other].type, other == key ? JSON_STRING : JSON_ABSENT);
    }
}

static void other_keys_are_passed_over(void **state)
{
    (void)state;
    assert_verdict(
        "{\"V\":1,\"vv\":1,\"\":1,\"a_very_long_key_that_nobody_knows\":1,\"reasons\":1,\"x\":{\"v\":1}}",
        JSON_IS_OBJECT);
    for (int key = 0; key < JSON_KEYS; key++)
        assert_int_equal(view.values[key].type, JSON_ABSENT);
}

static void the_last_duplicate_counts(void **state)
{
    (void)state;
    assert_verdict("{\"reason\":\"a\",\"v\":1,\"reason\":\"b\",\"v\":null}", JSON_IS_OBJECT);
    assert_string(JSON_REASON, "b");
    assert_int_equal(view.values[JSON_V].type, JSON_NULL);
    assert_false(view.values[JSON_V].is_int);
}

static void keys_and_strings_are_unescaped_before_they_are_looked_at(void **state)
{
    (void)state;
    assert_verdict("{\"\\u0076\":1,\"re\\u0061son\":\"a\\n\\u00e9\\ud83d\\ude00\\\\\\\"\\/\\u0000z\"}",
                   JSON_IS_OBJECT);
    assert_int_equal(view.values[JSON_V].type, JSON_NUMBER);
    assert_int_equal(view.values[JSON_REASON].text.len_bytes, 13);
    assert_memory_equal(view.values[JSON_REASON].text.bytes, "a\n\xc3\xa9\xf0\x9f\x98\x80\\\"/\0z", 13);
}

static void a_key_of_one_line_is_gone_in_the_next(void **state)
{
    (void)state;
    assert_verdict("{\"v\":1,\"reason\":\"x\"}", JSON_IS_OBJECT);
    assert_verdict("{\"action\":\"y\"}", JSON_IS_OBJECT);
    assert_int_equal(view.values[JSON_V].type, JSON_ABSENT);
    assert_false(view.values[JSON_V].truthy);
    assert_false(view.values[JSON_V].is_int);
    assert_int_equal(view.values[JSON_REASON].text.len_bytes, 0);
}

static void numbers_keep_their_own_form(void **state)
{
    const struct json_value *v = &view.values[JSON_V];

    (void)state;
    assert_verdict("{\"v\":-9223372036854775808}", JSON_IS_OBJECT);
    assert_true(v->is_int && !v->is_uint && v->integer == INT64_MIN);
    assert_verdict("{\"v\":9223372036854775807}", JSON_IS_OBJECT);
    assert_true(v->is_int && v->is_uint && v->integer == INT64_MAX);
    assert_verdict("{\"v\":18446744073709551615}", JSON_IS_OBJECT);
    assert_true(!v->is_int && v->is_uint && v->uinteger == UINT64_MAX);
    assert_verdict("{\"v\":1.0}", JSON_IS_OBJECT);
    assert_true(!v->is_int && !v->is_uint && v->number == 1.0);
    assert_verdict("{\"v\":1e0}", JSON_IS_OBJECT);
    assert_true(!v->is_int && v->number == 1.0);
    assert_verdict("{\"v\":123456.75}", JSON_IS_OBJECT);
    assert_true(v->number == 123456.75);
    assert_verdict("{\"v\":5e-324}", JSON_IS_OBJECT);
    assert_true(v->number > 0);
}

static void truthiness_is_pythons(void **state)
{
    static const char *const truthy[] = {"1",    "-1",  "0.5",       "\"a\"", "\" \"",
                                         "true", "[0]", "{\"a\":0}", "1e-300"};
    static const char *const falsy[] = {"0", "-0", "0.0", "-0.0", "\"\"", "false", "null", "[]", "{}", "0e9"};
    char line[64];

    (void)state;
    for (size_t i = 0; i < sizeof(truthy) / sizeof(truthy[0]); i++) {
        snprintf(line, sizeof(line), "{\"v\":%s}", truthy[i]);
        assert_verdict(line, JSON_IS_OBJECT);
        if (!view.values[JSON_V].truthy)
            fail_msg("%s is truthy", truthy[i]);
    }
    for (size_t i = 0; i < sizeof(falsy) / sizeof(falsy[0]); i++) {
        snprintf(line, sizeof(line), "{\"v\":%s}", falsy[i]);
        assert_verdict(line, JSON_IS_OBJECT);
        if (view.values[JSON_V].truthy)
            fail_msg("%s is falsy", falsy[i]);
    }
}

static void json_that_is_no_object_is_told_apart(void **state)
{
    static const char *const lines[] = {"42",         "-1.5",    "null", "true", "false",
                                        "\"accept\"", "[1,2,3]", "[]",   " 7 "};

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_verdict(lines[i], JSON_NO_OBJECT);
}

static void what_rfc_8259_forbids_is_bad(void **state)
{
    static const char *const lines[] = {
        "",
        "not json",
        "{",
        "}",
        "{\"v\":1",
        "{\"v\":1,}",
        "{\"v\":1}}",
        "{\"v\":1}x",
        "{\"v\":1} {\"v\":1}",
        "{\"v\":1 \"a\":2}",
        "{'v':1}",
        "{v:1}",
        "{\"v\":01}",
        "{\"v\":+1}",
        "{\"v\":.5}",
        "{\"v\":1.}",
        "{\"v\":1e}",
        "{\"v\":0x1}",
        "{\"v\":NaN}",
        "{\"v\":Infinity}",
        "{\"v\":-Infinity}",
        "NaN",
        "{\"v\":tru}",
        "{\"v\":truex}",
        "{\"v\":nul}",
        "{\"v\":\"\\q\"}",
        "{\"v\":\"\\x41\"}",
        "{\"v\":\"\\u12\"}",
        "{\"v\":\"\\u12g4\"}",
        "{\"v\":\"a\tb\"}",
        "{\"v\":\"a",
        "{\"v\":[1,]}",
        "{\"v\":[1}",
        "{\"v\":[}]",
        "{\"v\":1,,\"a\":2}",
        "{\"v\"}",
        "{1:2}",
        "[1,2",
        "\xef\xbb\xbf{\"v\":1}",
        "{\"v\":1}\x0c",
        "{\"a\":{\"x\":tru}}",
        "{\"zz\":01}",
        "{\"zz\":\"\\q\"}",
        "//c\n{}",
        "{\"v\":1}/**/",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_verdict(lines[i], JSON_BAD);
}

static void a_nul_byte_is_bad(void **state)
{
    (void)state;
    assert_int_equal(read_bytes("{\"v\":1}\0", 8), JSON_BAD);
    assert_int_equal(read_bytes("\0{\"v\":1}", 8), JSON_BAD);
    assert_int_equal(read_bytes("{\"v\":\"\0\"}", 9), JSON_BAD);
}

static void bytes_that_are_not_utf8_are_bad(void **state)
{
    static const char *const lines[] = {
        "{\"v\":\"\xff\"}",
        "{\"v\":\"\xc3\"}",
        "{\"v\":\"\xc0\xaf\"}",
        "{\"v\":\"\xed\xa0\x80\"}",
        "{\"v\":\"\xe2\x80\"}",
        "{\"v\":\"\x80\"}",
        "{\"v\":\"\xf4\x90\x80\x80\"}",
        "{\"zz\xff\":1}",
        "{\"v\":\"\xf8\x88\x80\x80\x80\"}",
        "{\"v\":1}\xc2",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_verdict(lines[i], JSON_BAD);
}

static void half_a_surrogate_pair_is_bad_wherever_it_stands(void **state)
{
    static const char *const lines[] = {
        "{\"v\":\"\\ud83d\"}",          "{\"v\":\"\\ude00\"}",    "{\"v\":\"\\ude00\\ud83d\"}",
        "{\"v\":\"\\ud83dx\"}",         "{\"v\":\"\\ud83d\\n\"}", "{\"v\":\"\\ud83d\\u0041\"}",
        "{\"v\":\"\\ud83d\\ud83d\"}",   "{\"\\ud800\":1}",        "{\"x\":[{\"y\":\"\\uDFFF\"}]}",
        "{\"v\":\"\\uD83D\\\\ude00\"}", "[\"\\udc00\"]",          "\"\\ud800\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_verdict(lines[i], JSON_BAD);
    assert_verdict("{\"v\":\"\\uD83D\\uDE00\"}", JSON_IS_OBJECT);
    assert_string(JSON_V, "\xf0\x9f\x98\x80");
    assert_verdict("{\"v\":\"\\\\ud83d\"}", JSON_IS_OBJECT); /* an escaped backslash, then letters */
    assert_string(JSON_V, "\\ud83d");
    assert_verdict("{\"v\":\"\\ud7ff\\ue000\"}", JSON_IS_OBJECT);
}

static void numbers_beyond_64_bits_or_a_double_are_bad(void **state)
{
    static const char *const lines[] = {
        "{\"v\":18446744073709551616}",
        "{\"v\":-9223372036854775809}",
        "{\"zz\":100000000000000000000000}",
        "{\"zz\":[-99999999999999999999]}",
        "{\"v\":1e400}",
        "{\"v\":-1e400}",
        "{\"zz\":[1e309]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_verdict(lines[i], JSON_BAD);
    assert_verdict("{\"v\":1e308}", JSON_IS_OBJECT);
    assert_verdict("{\"v\":100000000000000000000000.0}", JSON_IS_OBJECT);
}

static void nesting_has_a_limit(void **state)
{
    static char line[2 * JSON_DEPTH_MAX + 64];

    (void)state;
    for (size_t depth = 30; depth < JSON_DEPTH_MAX + 8; depth += JSON_DEPTH_MAX - 64) {
        memset(line, 0, sizeof(line));
        memcpy(line, "{\"v\":", 5);
        memset(line + 5, '[', depth);
        memset(line + 5 + depth, ']', depth);
        line[5 + 2 * depth] = '}';
        assert_verdict(line, JSON_IS_OBJECT);
    }
    memset(line, 0, sizeof(line));
    memset(line, '[', JSON_DEPTH_MAX + 1);
    memset(line + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_verdict(line, JSON_BAD);
}

static void a_long_line_leaves_no_trace_in_the_next_short_one(void **state)
{
    size_t len = 1 << 20;
    char *line = malloc(len);

    (void)state;
    assert_non_null(line);
    memset(line, 'x', len);
    memcpy(line, "{\"reason\":\"", 11);
    memcpy(line + len - 2, "\"}", 2);
    assert_int_equal(read_bytes(line, len), JSON_IS_OBJECT);
    assert_int_equal(view.values[JSON_REASON].text.len_bytes, len - 13);
    free(line);
    assert_verdict("{\"v\":1", JSON_BAD);
    assert_verdict("{\"v\":1}", JSON_IS_OBJECT);
}

static void what_lies_behind_the_line_is_not_read(void **state)
{
    (void)state;
    /* Bounded at its newline: a truncated line must not swallow the next one. */
    assert_int_equal(json_read(reader, "{\"v\":1,\n\"reason\":\"x\"}", 7, &view), JSON_BAD);
    assert_int_equal(json_read(reader, "{\"v\":1}}}}}", 7, &view), JSON_IS_OBJECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_found_by_its_name),
        cmocka_unit_test(other_keys_are_passed_over),
        cmocka_unit_test(the_last_duplicate_counts),
        cmocka_unit_test(keys_and_strings_are_unescaped_before_they_are_looked_at),
        cmocka_unit_test(a_key_of_one_line_is_gone_in_the_next),
        cmocka_unit_test(numbers_keep_their_own_form),
        cmocka_unit_test(truthiness_is_pythons),
        cmocka_unit_test(json_that_is_no_object_is_told_apart),
        cmocka_unit_test(what_rfc_8259_forbids_is_bad),
        cmocka_unit_test(a_nul_byte_is_bad),
        cmocka_unit_test(bytes_that_are_not_utf8_are_bad),
        cmocka_unit_test(half_a_surrogate_pair_is_bad_wherever_it_stands),
        cmocka_unit_test(numbers_beyond_64_bits_or_a_double_are_bad),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(a_long_line_leaves_no_trace_in_the_next_short_one),
        cmocka_unit_test(what_lies_behind_the_line_is_not_read),
    };

    return cmocka_run_group_tests(tests, open_reader, close_reader);
}
