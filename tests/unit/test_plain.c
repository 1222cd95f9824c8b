/* test_plain.c - what a plain line is, and that simdjson says the same of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "random.h"
#include "unit/view_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048u

static struct json_reader *reader;
static int open_reader(void **state)
{
    (void)state;
    random_seed();
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
static enum view_verdict check(const char *bytes, size_t len)
{
    char *exact = malloc(len ? len : 1);
    enum view_verdict verdict;

    assert_non_null(exact);
    if (len > 0)
        memcpy(exact, bytes, len);
    verdict = view_check(reader, exact, len);
    if (verdict == VIEW_DIFFERS)
        fail_msg("plain_read() and simdjson differ on: %.*s", (int)len, exact);
    free(exact);
    return verdict;
}

static const char sample[] =
    "{\"v\":1,\"ts_utc\":\"2026-01-25T01:09:48.123Z\",\"component\":\"execution_watch\",\"run_id\":\"demo\","
    "\"event\":\"decision\",\"decision\":\"accept\",\"reason\":\"none\",\"latency_ms\":85.0,\"action\":"
    "\"submit\"}";

static void the_lines_that_producers_write_are_plain(void **state)
{
    static const char *const lines[] = {
        sample,
        "{}",
        " { } \r",
        "{\"v\": 1, \"decision\": \"accept\", \"latency_ms\": 0.125, \"x\": null, \"y\": true, \"z\": false}",
        "{\"schema_version\":\"BETA_EXEC_V1\",\"event_type\":\"INTENT\",\"qty\":-1.50,\"n\":0}\r",
        "{\"v\":1,\"event\":\"stage\",\"sid\":\"188dd40eacfe65150102030405060708.1\",\"seq\":7,"
        "\"ts_ns\":1769303388123456789,\"latency_ns\":5,\"stage\":\"a\"}",
        "{\"v\":9223372036854775807,\"reason\":\"\x7f'/\"}",
        "{\"v\":-0,\"ts\":-0.0}",
        "{\"v\":9007199254740.992}",
        "{\"v\":{},\"ts\":[ ],\"x\":{ \"v\" : [1, {\"v\":\"}\"}, [[\"]\", -1.5]], null] }, \"reason\":[0]}",
        "{\"schema\":\"execution_event_v0\",\"payload\":{\"qty\":1,\"price\":2.25,\"tags\":[\"a\",\"b\"]}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (check(lines[i], strlen(lines[i])) != VIEW_AGREES)
            fail_msg("not plain: %s", lines[i]);
}

static void what_is_not_plain_is_left_to_the_parser(void **state)
{
    static const char *const lines[] = {
        "",
        " ",
        "[]",
        "1",
        "{",
        "}",
        "{\"v\":1}}",
        "{\"v\":1}{}",
        "{\"v\":1,}",
        "{,\"v\":1}",
        "{\"v\":1 \"a\":2}",
        "{\"v\" 1}",
        "{\"v\":}",
        "{\"v\"}",
        "{v:1}",
        "{\"v\":01}",
        "{\"v\":-}",
        "{\"v\":1.}",
        "{\"v\":.5}",
        "{\"v\":+1}",
        "{\"v\":1e3}",
        "{\"v\":9223372036854775808}",
        "{\"v\":90071992547409.93}",
        "{\"v\":12345678901234567890}",
        "{\"v\":tru}",
        "{\"v\":nullx}",
        "{\"v\":\"a\\n\"}",
        "{\"v\":\"\xc3\xa9\"}",
        "{\"v\":\"a\tb\"}",
        "{\"v\":\t1}",
        "{\"v\":{}",
        "{\"v\":[1}",
        "{\"v\":[1]",
        "{\"v\":[1,]}",
        "{\"v\":[,1]}",
        "{\"v\":[1 2]}",
        "{\"v\":[\"a\":1]}",
        "{\"v\":{1}}",
        "{\"v\":{\"a\"}}",
        "{\"v\":{\"a\":1,}}",
        "{\"v\":{\"a\":1]}",
        "{\"v\":{\"a\":tru}}",
        "{\"v\":[[[[[[[[[[1]]]]]]]]]]}",
        "{\"v\":\"}",
        "{\"v\":1,\"a\":\"b}",
        "{\"v\":\"x\"y}",
        "\xef\xbb\xbf{\"v\":1}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (check(lines[i], strlen(lines[i])) != VIEW_NOT_PLAIN)
            fail_msg("plain: %s", lines[i]);
}

static void the_last_duplicate_counts_whole(void **state)
{
    static const char line[] = "{\"v\":1,\"v\":\"x\",\"v\":null}";
    static struct json_view view;

    (void)state;
    assert_true(plain_read(line, sizeof(line) - 1, &view));
    assert_int_equal(view.values[JSON_V].type, JSON_NULL);
    assert_false(view.values[JSON_V].is_int || view.values[JSON_V].truthy ||
                 view.values[JSON_V].text.len_bytes);
}

/* A line padded to each length up to the limit: every way the last block of 64 bytes can be cut. */
static void every_length_up_to_the_limit_is_read(void **state)
{
    char line[LINE_MAX_BYTES];

    (void)state;
    for (size_t len = 12; len <= PLAIN_LINE_MAX_BYTES + 1; len++) {
        memset(line, 'x', len);
        memcpy(line, "{\"reason\":\"", 11);
        memcpy(line + len - 2, "\"}", 2);
        if (len >= 13)
            assert_int_equal(check(line, len), len <= PLAIN_LINE_MAX_BYTES ? VIEW_AGREES : VIEW_NOT_PLAIN);
        memset(line, '"', len); /* as many quotes as fit */
        memcpy(line, "{", 1);
        memcpy(line + len - 1, "}", 1);
        assert_int_equal(check(line, len), VIEW_NOT_PLAIN);
    }
}

/* ---- random lines ---- */

static size_t put(char *line, size_t at, const char *text)
{
    size_t len = strlen(text);

    memcpy(line + at, text, len);
    return at + len;
}

static size_t put_value(char *line, size_t at)
{
    static const char *const values[] = {"null",
                                         "true",
                                         "false",
                                         "0",
                                         "-0",
                                         "1",
                                         "1.0",
                                         "-1",
                                         "0.5",
                                         "\"\"",
                                         "\"a\"",
                                         "\"accept\"",
                                         "\" \"",
                                         "[]",
                                         "{}",
                                         "\"\\n\"",
                                         "1e3",
                                         "01",
                                         "\"2026-01-25T01:09:48.123Z\"",
                                         "nul"};
    size_t choice = random_below(30);

    if (choice >= 26) { /* a value within a value */
        at = put(line, at, choice < 28 ? "[" : "{\"a\":");
        at = put_value(line, at);
        return put(line, at, choice < 28 ? "]" : "}");
    }
    if (choice < 20)
        return put(line, at, values[choice]);
    if (choice < 23) /* integers of every length */
        return at + (size_t)snprintf(line + at, 40, "%s%llu", choice == 20 ? "-" : "",
                                     (unsigned long long)random_state >> random_below(64));
    return at + (size_t)snprintf(line + at, 60, "%s%llu.%0*llu", choice == 23 ? "-" : "",
                                 (unsigned long long)random_state >> (34 + random_below(30)),
                                 (int)random_below(12) + 1, (unsigned long long)random_below(100000));
}

static size_t random_line(char *line)
{
    static const char *const names[] = {
        "v",         "ts_utc",    "decision", "reason", "component",        "run_id",         "latency_ms",
        "latency_s", "action",    "x",        "",       "a_name_of_no_key", "schema_version", "ts",
        "seq",       "event_type"};
    size_t at = put(line, 0, random_below(10) ? "{" : " { ");

    for (size_t n = random_below(9); n > 0; n--) {
        line[at++] = '"';
        at = put(line, at, names[random_below(16)]);
        at = put(line, at, random_below(4) ? "\":" : "\" : ");
        at = put_value(line, at);
        if (n > 1)
            at = put(line, at, random_below(4) ? "," : ", ");
    }
    return put(line, at, random_below(10) ? "}" : " } ");
}

static size_t mutate(char *line, size_t len)
{
    static const char bytes[] = "{}[]\",:\\ .-+eE019tfn\t\r\x1f\x7f\x80\xc3\xa9";
    size_t at = len ? random_below(len) : 0;

    switch (random_below(4)) {
    case 0: /* one byte becomes a telling one */
        if (len > 0)
            line[at] = bytes[random_below(sizeof(bytes))]; /* NUL too */
        return len;
    case 1: /* one byte less */
        if (len > 0)
            memmove(line + at, line + at + 1, len - at - 1);
        return len ? len - 1 : 0;
    case 2: /* one more */
        memmove(line + at + 1, line + at, len - at);
        line[at] = bytes[random_below(sizeof(bytes) - 1)];
        return len + 1;
    default:
        return random_below(8) ? len : at; /* cut */
    }
}

static void random_lines_are_read_as_simdjson_reads_them(void **state)
{
    char line[LINE_MAX_BYTES];
    size_t plain = 0;

    (void)state;
    for (int n = 0; n < 60000; n++) {
        size_t len = n % 4 ? random_line(line) : put(line, 0, sample);

        for (size_t changes = random_below(4); changes > 0; changes--)
            len = mutate(line, len);
        plain += check(line, len) == VIEW_AGREES;
    }
    assert_true(plain > 6000); /* else nothing was compared */
}

static void conformance_lines_are_read_as_simdjson_reads_them(void **state)
{
    static const char *const files[] = {"beta_exec_v1", "emitted", "execution_event_v0",
                                        "malformed",    "mixed",   "unknown_schema_untimed",
                                        "v1_matrix",    "v1_types"};
    char path[4096], *line = NULL;
    size_t capacity = 0, plain = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        FILE *file;
        ssize_t len;

        snprintf(path, sizeof(path), "%s/conformance/%s.jsonl", TESTS_DIR, files[i]);
        file = fopen(path, "r");
        assert_non_null(file);
        while ((len = getline(&line, &capacity, file)) > 0)
            plain += check(line, (size_t)len - (line[len - 1] == '\n')) == VIEW_AGREES;
        fclose(file);
    }
    free(line);
    assert_true(plain > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lines_that_producers_write_are_plain),
        cmocka_unit_test(what_is_not_plain_is_left_to_the_parser),
        cmocka_unit_test(the_last_duplicate_counts_whole),
        cmocka_unit_test(every_length_up_to_the_limit_is_read),
        cmocka_unit_test(random_lines_are_read_as_simdjson_reads_them),
        cmocka_unit_test(conformance_lines_are_read_as_simdjson_reads_them),
    };

    return cmocka_run_group_tests(tests, open_reader, close_reader);
}
