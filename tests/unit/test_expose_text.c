/* test_expose_text.c - the text exposition, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "expose_text.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void assert_number(double value, const char *wanted)
{
    char out[32];
    size_t len = expose_number(value, out);

    assert_string_equal(out, wanted);
    assert_int_equal(len, strlen(wanted));
}

static void numbers_print_as_the_contract_says(void **state)
{
    (void)state;
    assert_number(18, "18.0");
    assert_number(0, "0.0");
    assert_number(-1, "-1.0");
    assert_number(0.001, "0.001");
    assert_number(1769303391.2, "1769303391.2");
    assert_number(1767225780.123456, "1767225780.123456");
    assert_number(0.15300000000000008, "0.15300000000000008");
    assert_number(410681.25499999995, "410681.25499999995");
    assert_number(0.1 + 0.2, "0.30000000000000004");
    assert_number(1e15, "1000000000000000.0");
    assert_number(1e16, "1e+16");
    assert_number(1e-5, "1e-05");
    assert_number(0.0001, "0.0001");
    assert_number(5e-324, "4.94065645841247e-324");
    assert_number(253402300799.0, "253402300799.0");
    assert_number(INFINITY, "+Inf");
    assert_number(-INFINITY, "-Inf");
    assert_number(NAN, "NaN");
}

static void every_number_reads_back_as_itself_and_no_shorter_one_does(void **state)
{
    const char *seed = getenv("AILIVE_SEED");
    unsigned random = seed ? (unsigned)strtoul(seed, NULL, 0) : (unsigned)time(NULL);
    char out[32], shorter[32];

    (void)state;
    printf("AILIVE_SEED=%u\n", random);
    srand(random);
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
        double value;

        memcpy(&value, &bits, 8);
        if (i % 2)
            value = (rand() % 2000000000) / 1e6;
        if (!isfinite(value))
            continue;
        assert_true(expose_number(value, out) < 32);
        assert_true(strtod(out, NULL) == value);
        snprintf(shorter, sizeof(shorter), "%.15g", value);
        if (strtod(shorter, NULL) == value && value != floor(value))
            assert_string_equal(out, shorter);
    }
}

static void label_values_are_escaped(void **state)
{
    struct buffer out;

    (void)state;
    buffer_init(&out);
    assert_true(expose_text_escape(&out, TEXT_OF("a\\b\"c\nd\te\xc3\xa9\r")));
    assert_true(buffer_add(&out, "", 1));
    assert_string_equal(out.bytes, "a\\\\b\\\"c\\nd\te\xc3\xa9\r");
    out.used = 0;
    assert_true(expose_text_escape(&out, TEXT_OF("")));
    assert_int_equal(out.used, 0);
    buffer_fini(&out);
}

/* One family with one series, rendered. */
static char *render(enum family_type type, enum histogram_unit unit, const char *labels,
                    const struct snapshot_series *value)
{
    struct snapshot_series series = *value;
    struct snapshot_family family = {"f", "Help text.", type, unit, &series, 1, NULL};
    struct snapshot snapshot = {.families = &family, .family_count = 1};
    struct buffer out;

    series.labels = labels;
    buffer_init(&out);
    assert_true(expose_text(&snapshot, &out));
    assert_true(buffer_add(&out, "", 1));
    return out.bytes;
}

static void assert_rendered(enum family_type type, enum histogram_unit unit, const char *labels,
                            const struct snapshot_series *value, const char *wanted)
{
    char *got = render(type, unit, labels, value);

    assert_string_equal(got, wanted);
    free(got);
}

static void counters_and_gauges_print_their_value(void **state)
{
    const struct snapshot_series value = {.value = 1.5}, seven = {.count = 7}, many = {.count = UINT64_MAX};

    (void)state;
    assert_rendered(FAMILY_COUNTER, 0, "a=\"x\"", &seven,
                    "# HELP f Help text.\n# TYPE f counter\nf{a=\"x\"} 7.0\n");
    assert_rendered(FAMILY_GAUGE, 0, "a=\"x\",b=\"y\"", &value,
                    "# HELP f Help text.\n# TYPE f gauge\nf{a=\"x\",b=\"y\"} 1.5\n");
    assert_rendered(FAMILY_GAUGE, 0, "", &value, "# HELP f Help text.\n# TYPE f gauge\nf 1.5\n");
    assert_rendered(FAMILY_COUNTER, 0, "", &many,
                    "# HELP f Help text.\n# TYPE f counter\nf 18446744073709551615.0\n");
}

static void a_histogram_prints_cumulative_buckets_sum_and_count(void **state)
{
    const struct histogram histogram = {.buckets = {1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4},
                                        .sum_picoseconds = 85500000000};
    const struct snapshot_series value = {.histogram = &histogram};

    (void)state;
    assert_rendered(FAMILY_HISTOGRAM, HISTOGRAM_MS, "decision=\"x\",source=\"y\"", &value,
                    "# HELP f Help text.\n# TYPE f histogram\n"
                    "f_bucket{decision=\"x\",le=\"1.0\",source=\"y\"} 1.0\n"
                    "f_bucket{decision=\"x\",le=\"2.0\",source=\"y\"} 1.0\n"
                    "f_bucket{decision=\"x\",le=\"5.0\",source=\"y\"} 3.0\n"
                    "f_bucket{decision=\"x\",le=\"10.0\",source=\"y\"} 3.0\n"
                    "f_bucket{decision=\"x\",le=\"20.0\",source=\"y\"} 3.0\n"
                    "f_bucket{decision=\"x\",le=\"50.0\",source=\"y\"} 3.0\n"
                    "f_bucket{decision=\"x\",le=\"100.0\",source=\"y\"} 3.0\n"
                    "f_bucket{decision=\"x\",le=\"200.0\",source=\"y\"} 3.0\n"
                    "f_bucket{decision=\"x\",le=\"500.0\",source=\"y\"} 3.0\n"
                    "f_bucket{decision=\"x\",le=\"1000.0\",source=\"y\"} 3.0\n"
                    "f_bucket{decision=\"x\",le=\"2000.0\",source=\"y\"} 3.0\n"
                    "f_bucket{decision=\"x\",le=\"5000.0\",source=\"y\"} 3.0\n"
                    "f_bucket{decision=\"x\",le=\"+Inf\",source=\"y\"} 7.0\n"
                    "f_sum{decision=\"x\",source=\"y\"} 85.5\n"
                    "f_count{decision=\"x\",source=\"y\"} 7.0\n");
}

static void le_stands_in_the_order_of_the_label_names(void **state)
{
    static const char *const cases[][2] = {
        {"", "f_bucket{le=\"0.001\"} 0.0\n"},
        {"component=\"c\"", "f_bucket{component=\"c\",le=\"0.001\"} 0.0\n"},
        {"run_id=\"r\"", "f_bucket{le=\"0.001\",run_id=\"r\"} 0.0\n"},
        {"component=\"a,run_id=\\\"z\\\\\",run_id=\"r\"",
         "f_bucket{component=\"a,run_id=\\\"z\\\\\",le=\"0.001\",run_id=\"r\"} 0.0\n"},
    };
    const struct histogram histogram = {.sum_picoseconds = 0};
    const struct snapshot_series value = {.histogram = &histogram};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *got = render(FAMILY_HISTOGRAM, HISTOGRAM_SECONDS, cases[i][0], &value);

        assert_non_null(strstr(got, cases[i][1]));
        free(got);
    }
}

static void a_family_of_its_own_prints_the_same_form(void **state)
{
    struct expose expose;
    struct buffer out;

    (void)state;
    buffer_init(&out);
    expose_begin(&expose, EXPOSE_TEXT, &out);
    assert_true(expose_head(&expose, "ailive_up", FAMILY_GAUGE, "1 while it lives."));
    assert_true(expose_value(&expose, "ailive_up", "", 1));
    assert_true(expose_value(&expose, "ailive_up", "a=\"b\"", 0.5));
    assert_true(expose_end(&expose));
    assert_true(buffer_add(&out, "", 1));
    assert_string_equal(out.bytes,
                        "# HELP ailive_up 1 while it lives.\n# TYPE ailive_up gauge\nailive_up 1.0\n"
                        "ailive_up{a=\"b\"} 0.5\n");
    buffer_fini(&out);
}

static void openmetrics_names_counters_without_total_and_ends_with_eof(void **state)
{
    struct snapshot_series series = {.labels = "a=\"x\"", .count = 7};
    struct snapshot_family family = {"f_total", "Help.", FAMILY_COUNTER, 0, &series, 1, NULL};
    const struct snapshot snapshot = {.families = &family, .family_count = 1};
    struct expose expose;
    struct buffer out;

    (void)state;
    buffer_init(&out);
    expose_begin(&expose, EXPOSE_OPENMETRICS, &out);
    assert_true(expose_snapshot(&expose, &snapshot));
    assert_true(expose_head(&expose, "own_total", FAMILY_COUNTER, "Own."));
    assert_true(expose_value(&expose, "own_total", "", 1));
    assert_true(expose_end(&expose));
    assert_true(buffer_add(&out, "", 1));
    assert_string_equal(out.bytes, "# HELP f Help.\n# TYPE f counter\nf_total{a=\"x\"} 7.0\n"
                                   "# HELP own Own.\n# TYPE own counter\nown_total 1.0\n# EOF\n");
    buffer_fini(&out);
}

static void created_stands_only_when_asked_for(void **state)
{
    struct snapshot_series series = {.labels = "a=\"x\"", .count = 7};
    struct snapshot_family family = {"f_total", "Help.", FAMILY_COUNTER, 0, &series, 1, NULL};
    const struct snapshot snapshot = {.families = &family, .family_count = 1};
    struct expose expose;
    struct buffer out;

    (void)state;
    for (unsigned asked = 0; asked < 2; asked++) {
        buffer_init(&out);
        expose_begin(&expose, EXPOSE_OPENMETRICS, &out);
        expose.created_s = asked ? 1700000000.5 : 0;
        assert_true(expose_snapshot(&expose, &snapshot) && buffer_add(&out, "", 1));
        assert_int_equal(strstr(out.bytes, "\nf_created{a=\"x\"} 1700000000.5\n") != NULL, asked);
        buffer_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_print_as_the_contract_says),
        cmocka_unit_test(every_number_reads_back_as_itself_and_no_shorter_one_does),
        cmocka_unit_test(label_values_are_escaped),
        cmocka_unit_test(counters_and_gauges_print_their_value),
        cmocka_unit_test(a_histogram_prints_cumulative_buckets_sum_and_count),
        cmocka_unit_test(le_stands_in_the_order_of_the_label_names),
        cmocka_unit_test(a_family_of_its_own_prints_the_same_form),
        cmocka_unit_test(openmetrics_names_counters_without_total_and_ends_with_eof),
        cmocka_unit_test(created_stands_only_when_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
