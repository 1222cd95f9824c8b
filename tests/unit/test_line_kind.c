/* test_line_kind.c - which lines are one kind, and which are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "line_kind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct line_kinds *kinds;
static struct json_reader *reader;
static struct json_view view;

static int begin(void **state)
{
    (void)state;
    kinds = line_kinds_new();
    reader = json_reader_new();
    return kinds && reader ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    line_kinds_free(kinds);
    json_reader_free(reader);
    return 0;
}

/* The number that add() gave the line's kind; 0: not known. */
static int find(const char *line)
{
    const struct line_kind *kind;

    assert_int_equal(json_read(reader, line, strlen(line), &view), JSON_IS_OBJECT);
    kind = line_kinds_find(kinds, &view);
    return kind ? (int)(intptr_t)kind->labels : 0;
}

static void add(const char *line, int number)
{
    const struct line_kind kind = {.labels = (struct labels *)(intptr_t)number}; /* never looked into here */

    assert_int_equal(find(line), 0);
    line_kinds_add(kinds, &view, &kind);
    assert_int_equal(find(line), number);
}

static void what_chooses_no_label_does_not_matter(void **state)
{
    (void)state;
    add("{\"v\":1,\"decision\":\"accept\",\"run_id\":\"r\",\"latency_ms\":1,\"ts_utc\":\"x\",\"event\":"
        "\"a\"}",
        1);
    assert_int_equal(
        find("{\"run_id\" : \"r\", \"v\":1.0,\"latency_s\":2,\"decision\":\"\\u0061ccept\",\"z\":[]}"), 1);
}

/* Each is a kind of its own: none is taken for another, whichever came first. */
static void values_that_a_rule_tells_apart_are_two_kinds(void **state)
{
    static const char *const lines[] = {
        "{}",
        "{\"v\":1}",
        "{\"v\":2}",
        "{\"v\":\"1\"}",
        "{\"v\":null}",
        "{\"v\":true}",
        "{\"v\":1,\"decision\":\"accept\"}",
        "{\"v\":1,\"decision\":\"accepted\"}",
        "{\"v\":1,\"decision\":\"Accept\"}",
        "{\"v\":1,\"reason\":\"accept\"}",
        "{\"v\":1,\"decision\":\"acc\",\"reason\":\"ept\"}",
        "{\"v\":1,\"decision\":\"ac\",\"reason\":\"cept\"}",
        "{\"v\":1,\"reason\":\"\"}",
        "{\"v\":1,\"reason\":null}",
        "{\"v\":1,\"reason\":0}",
        "{\"v\":1,\"reason\":7}",
        "{\"v\":1,\"reason\":false}",
        "{\"v\":1,\"reason\":true}",
        "{\"v\":1,\"reason\":[]}",
        "{\"v\":1,\"reason\":[0]}",
        "{\"v\":1,\"reason\":{}}",
        "{\"schema_version\":\"a\"}",
        "{\"schema\":\"a\"}",
        "{\"component\":\"a\"}",
        "{\"run_id\":\"a\"}",
        "{\"event_type\":\"a\"}",
        "{\"decision\":\"a\"}",
        "{\"reason\":\"a\"}",
        "{\"reason_code\":\"a\"}",
        "{\"action\":\"a\"}",
        "{\"type\":\"a\"}",
        "{\"block_reason\":\"a\"}",
        "{\"gate_reason\":\"a\"}",
        "{\"policy_reason\":\"a\"}",
        "{\"action_type\":\"a\"}",
    };
    const int count = (int)(sizeof(lines) / sizeof(lines[0]));

    (void)state;
    for (int i = 0; i < count; i++)
        add(lines[i], i + 1);
    for (int i = 0; i < count; i++)
        assert_int_equal(find(lines[i]), i + 1);
}

static void many_kinds_are_told_apart_and_forgotten_together(void **state)
{
    char line[64];

    (void)state;
    for (int i = 1; i <= (int)LINE_KINDS_KEEP + 1; i++) {
        snprintf(line, sizeof(line), "{\"run_id\":\"%d\"}", i);
        add(line, i);
        if (i == 3) {
            line_kinds_clear(kinds, false); /* within the limits: kept */
            assert_int_equal(find("{\"run_id\":\"1\"}"), 1);
        }
    }
    assert_int_equal(find("{\"run_id\":\"1\"}"), 1);
    line_kinds_clear(kinds, false); /* beyond */
    assert_int_equal(find("{\"run_id\":\"1\"}"), 0);
}

static void kinds_whose_labels_are_gone_are_forgotten(void **state)
{
    (void)state;
    add("{\"v\":1}", 1);
    line_kinds_clear(kinds, true);
    assert_int_equal(find("{\"v\":1}"), 0);
}

static void a_line_with_very_long_values_is_not_remembered(void **state)
{
    char line[LINE_KIND_MAX_BYTES + 64];
    const struct line_kind kind = {0};

    (void)state;
    memset(line, 'x', sizeof(line));
    memcpy(line, "{\"run_id\":\"", 11);
    memcpy(line + sizeof(line) - 3, "\"}", 3);
    assert_int_equal(find(line), 0);
    line_kinds_add(kinds, &view, &kind);
    assert_null(line_kinds_find(kinds, &view));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_chooses_no_label_does_not_matter),
        TEST(values_that_a_rule_tells_apart_are_two_kinds),
        TEST(many_kinds_are_told_apart_and_forgotten_together),
        TEST(kinds_whose_labels_are_gone_are_forgotten),
        TEST(a_line_with_very_long_values_is_not_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
