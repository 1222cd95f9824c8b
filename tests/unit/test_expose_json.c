/* test_expose_json.c - a snapshot as one JSON object. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "expose_json.h"
#include "json.h"

#include <string.h>

static void assert_rendered(const struct snapshot_family *families, size_t count, const char *wanted)
{
    struct snapshot_family copy[4];
    struct snapshot snapshot = {.families = copy, .family_count = count};
    struct json_reader *reader = json_reader_new();
    struct json_view view = {0};
    struct buffer out;

    memcpy(copy, families, count * sizeof(*copy));
    buffer_init(&out);
    assert_true(expose_json(&snapshot, &out));
    assert_non_null(reader);
    assert_int_equal(json_read(reader, out.bytes, out.used, &view), JSON_IS_OBJECT);
    json_reader_free(reader);
    assert_true(buffer_add(&out, "", 1));
    assert_string_equal(out.bytes, wanted);
    buffer_fini(&out);
}

static void families_hold_lists_of_series(void **state)
{
    const struct snapshot_series counters[] = {{.labels = "a=\"x\",b=\"y\"", .count = 18446744073709551615u},
                                               {.labels = "", .count = 2}};
    const struct snapshot_series gauge = {.labels = "a=\"x\"", .value = 1.5};
    const struct snapshot_family families[] = {{"c", "", FAMILY_COUNTER, 0, counters, 2, NULL},
                                               {"g", "", FAMILY_GAUGE, 0, &gauge, 1, NULL},
                                               {"e", "", FAMILY_GAUGE, 0, NULL, 0, NULL}};

    (void)state;
    assert_rendered(families, 3,
                    "{\"c\":[{\"labels\":{\"a\":\"x\",\"b\":\"y\"},\"value\":18446744073709551615},"
                    "{\"labels\":{},\"value\":2}],\n"
                    "\"g\":[{\"labels\":{\"a\":\"x\"},\"value\":1.5}],\n\"e\":[]}\n");
}

static void histograms_have_cumulative_buckets_sum_and_count(void **state)
{
    const struct histogram histogram = {.buckets = {1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4},
                                        .sum_picoseconds = 85500000000};
    const struct snapshot_series series = {.labels = "a=\"x\"", .histogram = &histogram};
    const struct snapshot_family family = {"h", "", FAMILY_HISTOGRAM, HISTOGRAM_MS, &series, 1, NULL};

    (void)state;
    assert_rendered(&family, 1,
                    "{\"h\":[{\"labels\":{\"a\":\"x\"},\"buckets\":{\"1.0\":1,\"2.0\":1,\"5.0\":3,\"10.0\":3,"
                    "\"20.0\":3,\"50.0\":3,\"100.0\":3,\"200.0\":3,\"500.0\":3,\"1000.0\":3,\"2000.0\":3,"
                    "\"5000.0\":3,\"+Inf\":7},\"sum\":85.5,\"count\":7}]}\n");
}

static void label_values_keep_every_character(void **state)
{
    /* As the aggregate escapes them for the text format: a quote, a backslash, a newline; a tab stands bare.
     */
    const struct snapshot_series series = {.labels = "a=\"x\\\"=,\\\\\\n\t\x01\xc3\xa9\"", .value = 1};
    const struct snapshot_family family = {"g", "", FAMILY_GAUGE, 0, &series, 1, NULL};

    (void)state;
    assert_rendered(
        &family, 1,
        "{\"g\":[{\"labels\":{\"a\":\"x\\\"=,\\\\\\n\\u0009\\u0001\xc3\xa9\"},\"value\":1.0}]}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_hold_lists_of_series),
        cmocka_unit_test(histograms_have_cumulative_buckets_sum_and_count),
        cmocka_unit_test(label_values_keep_every_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
