/* test_aggregate.c - observations to series, what is shown when, and what state gives back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate.h"
#include "expose_text.h"
#include "series.h"
#include "text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S (__int128)1000000000

static struct aggregate *aggregate;
static struct change_list changes;
static struct buffer shown;

static int begin(void **state)
{
    (void)state;
    aggregate = aggregate_new(NULL);
    change_list_init(&changes);
    buffer_init(&shown);
    return aggregate ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    aggregate_free(aggregate);
    change_list_fini(&changes);
    buffer_fini(&shown);
    return 0;
}

static struct labels decision_of(const char *component, const char *run_id)
{
    return (struct labels){.source = SOURCE_SAMPLE_V1,
                           .decision = TEXT_OF("accept"),
                           .reason = TEXT_OF("none"),
                           .component = text_of(component),
                           .run_id = text_of(run_id)};
}

static void apply(struct labels *labels, const struct observation *observation)
{
    struct observation copy = *observation;

    copy.labels = labels;
    aggregate_begin(aggregate);
    aggregate_apply(aggregate, &copy);
    aggregate_end(aggregate);
}

static void apply_at(struct labels *labels, __int128 time_ns)
{
    struct observation observation = {.has_time = true, .time_ns = time_ns};

    apply(labels, &observation);
}

static void count_own(enum aggregate_own family, const char *a, const char *b, uint64_t n)
{
    aggregate_begin(aggregate);
    aggregate_count(aggregate, family, a, b, n);
    aggregate_end(aggregate);
}

/* Collects the changes as ingest does, then says they are durable. */
static void commit(void)
{
    change_list_clear(&changes);
    assert_true(aggregate_changes(aggregate, &changes));
    aggregate_committed(aggregate);
}

static void render(void)
{
    struct snapshot snapshot;

    assert_int_equal(aggregate_snapshot(aggregate, &snapshot), 0);
    shown.used = 0;
    assert_true(expose_text(&snapshot, &shown));
    assert_true(buffer_add(&shown, "", 1));
    snapshot_free(&snapshot);
}

static bool is_shown(const char *line)
{
    const char *at = shown.bytes;
    size_t len = strlen(line);

    for (; at && (at = strstr(at, line)) != NULL; at++)
        if ((at == shown.bytes || at[-1] == '\n') && at[len] == '\n')
            return true;
    return false;
}

static void expect(const char *line)
{
    render();
    if (!is_shown(line))
        fail_msg("'%s' is not in\n%s", line, shown.bytes);
}

static void expect_no(const char *text)
{
    render();
    if (strstr(shown.bytes, text))
        fail_msg("'%s' is in\n%s", text, shown.bytes);
}

static size_t count_lines(const char *start)
{
    size_t count = 0;

    render();
    for (const char *at = shown.bytes; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        count += strncmp(at, start, strlen(start)) == 0;
    return count;
}

/* ---- what an observation counts ---- */

static void a_decision_counts_and_sets_its_gauge(void **state)
{
    struct labels labels = decision_of("c", "r");

    (void)state;
    apply_at(&labels, 1769303388 * S + S / 4);
    commit();
    expect(
        "peaktrade_ai_decisions_total{component=\"c\",decision=\"accept\",reason=\"none\",run_id=\"r\"} 1.0");
    expect("peaktrade_ai_last_decision_timestamp_seconds{component=\"c\",run_id=\"r\"} 1769303388.25");
    expect("peaktrade_ai_last_event_timestamp_seconds{source=\"sample_v1\"} 1769303388.25");
    expect("peaktrade_ai_last_event_timestamp_seconds_by_run_id{component=\"c\",run_id=\"r\",source=\"sample_"
           "v1\"} "
           "1769303388.25");
    expect_no("peaktrade_ai_decision_latency_seconds_bucket{");
    expect_no("peaktrade_ai_actions_total{");
}

static void without_a_time_freshness_stays_and_the_decision_gauge_takes_processing(void **state)
{
    struct labels labels = decision_of("c", "r");
    struct observation observation = {.time_ns = 77 * S};

    (void)state;
    apply(&labels, &observation);
    commit();
    expect("peaktrade_ai_last_decision_timestamp_seconds{component=\"c\",run_id=\"r\"} 77.0");
    expect_no("peaktrade_ai_last_event_timestamp_seconds{");
    expect_no("peaktrade_ai_last_event_timestamp_seconds_by_run_id{");
}

static void an_action_counts_without_touching_the_decision_gauge(void **state)
{
    struct labels labels = {.source = SOURCE_BETA_EXEC_V1,
                            .action = TEXT_OF("fill"),
                            .component = TEXT_OF("c"),
                            .run_id = TEXT_OF("r")};

    (void)state;
    apply_at(&labels, 5 * S);
    commit();
    expect("peaktrade_ai_actions_total{action=\"fill\",component=\"c\",run_id=\"r\"} 1.0");
    expect("peaktrade_ai_last_event_timestamp_seconds{source=\"beta_exec_v1\"} 5.0");
    expect_no("peaktrade_ai_last_decision_timestamp_seconds{");
    expect_no("peaktrade_ai_decisions_total{");
}

static void a_drop_counts_and_bad_json_counts_a_parse_error_too(void **state)
{
    struct labels bad = {.source = SOURCE_UNKNOWN, .drop = CONTRACT_BAD_JSON};
    struct labels missing = {.source = SOURCE_SAMPLE_V1, .drop = CONTRACT_MISSING_FIELDS};
    struct observation observation = {.time_ns = S};

    (void)state;
    apply(&bad, &observation);
    apply(&missing, &observation);
    apply(&missing, &observation);
    commit();
    expect("peaktrade_ai_events_dropped_total{reason=\"bad_json\",source=\"unknown\"} 1.0");
    expect("peaktrade_ai_events_dropped_total{reason=\"missing_fields\",source=\"sample_v1\"} 2.0");
    expect("peaktrade_ai_events_parse_errors_total{source=\"unknown\"} 1.0");
    expect_no("peaktrade_ai_events_parse_errors_total{source=\"sample_v1\"}");
}

static void latencies_go_to_the_histograms_they_are_for(void **state)
{
    struct labels labels = decision_of("c", "r");
    struct observation observation = {.time_ns = S};
    enum latency_fault fault;

    (void)state;
    observation.seconds = histogram_latency(HISTOGRAM_SECONDS, 0.03, &fault);
    observation.ms = histogram_latency(HISTOGRAM_MS, 30, &fault);
    apply(&labels, &observation);
    observation.ms.present = false;
    apply(&labels, &observation);
    commit();
    expect("peaktrade_ai_decision_latency_seconds_bucket{component=\"c\",le=\"0.025\",run_id=\"r\"} 0.0");
    expect("peaktrade_ai_decision_latency_seconds_bucket{component=\"c\",le=\"0.05\",run_id=\"r\"} 2.0");
    expect("peaktrade_ai_decision_latency_seconds_sum{component=\"c\",run_id=\"r\"} 0.06");
    expect(
        "peaktrade_ai_decision_latency_ms_bucket{decision=\"accept\",le=\"50.0\",source=\"sample_v1\"} 1.0");
    expect("peaktrade_ai_decision_latency_ms_sum{decision=\"accept\",source=\"sample_v1\"} 30.0");
    expect("peaktrade_ai_decision_latency_ms_count{decision=\"accept\",source=\"sample_v1\"} 1.0");
}

static void a_stage_feeds_its_own_histogram_and_freshness(void **state)
{
    struct labels labels = {.source = SOURCE_SDK_V1,
                            .stage = TEXT_OF("Risk Check"),
                            .component = TEXT_OF("c"),
                            .run_id = TEXT_OF("r")};
    struct observation observation = {.has_time = true, .time_ns = 9 * S};
    enum latency_fault fault;

    (void)state;
    observation.seconds = histogram_latency_ns(HISTOGRAM_SECONDS, 3000000, &fault);
    apply(&labels, &observation);
    commit();
    expect("ailive_stage_latency_seconds_bucket{component=\"c\",le=\"0.005\",run_id=\"r\",stage=\"risk_"
           "check\"} 1.0");
    expect("ailive_stage_latency_seconds_sum{component=\"c\",run_id=\"r\",stage=\"risk_check\"} 0.003");
    expect("peaktrade_ai_last_event_timestamp_seconds{source=\"sdk_v1\"} 9.0");
    expect_no("peaktrade_ai_decisions_total{");
    expect_no("peaktrade_ai_decision_latency_seconds_count{");
}

static void an_unobserved_latency_is_counted_and_the_event_too(void **state)
{
    struct labels labels = decision_of("c", "r");
    struct observation observation = {.time_ns = S, .fault = LATENCY_NEGATIVE};

    (void)state;
    apply(&labels, &observation);
    observation.fault = LATENCY_TOO_LARGE;
    apply(&labels, &observation);
    commit();
    expect("ailive_latency_unobserved_total{reason=\"negative\",source=\"sample_v1\"} 1.0");
    expect("ailive_latency_unobserved_total{reason=\"too_large\",source=\"sample_v1\"} 1.0");
    expect(
        "peaktrade_ai_decisions_total{component=\"c\",decision=\"accept\",reason=\"none\",run_id=\"r\"} 2.0");
}

static void own_families_count_what_they_are_given(void **state)
{
    (void)state;
    count_own(OWN_EVENTS, "nng", NULL, 3);
    count_own(OWN_EVENTS, "nng", NULL, 4);
    count_own(OWN_DUPLICATES, "spool", NULL, 2);
    count_own(OWN_DROPPED, "ring_full", NULL, UINT64_C(1) << 60);
    count_own(OWN_EVENTS, "file", NULL, 0);
    commit();
    expect("ailive_events_total{road=\"nng\"} 7.0");
    expect("ailive_events_duplicate_total{road=\"spool\"} 2.0");
    expect("ailive_events_dropped_total{reason=\"ring_full\"} 1152921504606846976.0");
    expect_no("road=\"file\"");
}

/* ---- labels ---- */

static void labels_are_normalised_but_the_raw_ones_are_not(void **state)
{
    struct labels labels = decision_of(" Risk \"Gate\" ", "Run_7.b");

    (void)state;
    apply_at(&labels, S);
    commit();
    expect("peaktrade_ai_decisions_total{component=\"risk_gate\",decision=\"accept\",reason=\"none\",run_id="
           "\"run_7b\"} "
           "1.0");
    expect("peaktrade_ai_last_event_timestamp_seconds_by_run_id{component=\"Risk "
           "\\\"Gate\\\"\",run_id=\"Run_7.b\","
           "source=\"sample_v1\"} 1.0");
}

static void labels_are_cut_to_their_own_lengths(void **state)
{
    char text[301], line[1024];
    struct labels labels;

    (void)state;
    memset(text, 'x', 300);
    text[300] = '\0';
    labels = (struct labels){.source = SOURCE_UNKNOWN,
                             .decision = text_of(text),
                             .reason = text_of(text),
                             .action = text_of(text),
                             .component = text_of(text),
                             .run_id = text_of(text)};
    apply_at(&labels, S);
    commit();
    snprintf(line, sizeof(line),
             "peaktrade_ai_decisions_total{component=\"%.48s\",decision=\"%.32s\",reason=\"%.96s\",run_id=\"%"
             ".32s\"} "
             "1.0",
             text, text, text, text);
    expect(line);
    snprintf(line, sizeof(line),
             "peaktrade_ai_actions_total{action=\"%.48s\",component=\"%.48s\",run_id=\"%.32s\"} 1.0", text,
             text, text);
    expect(line);
    snprintf(line, sizeof(line),
             "peaktrade_ai_last_event_timestamp_seconds_by_run_id{component=\"%.200s\",run_id=\"%.32s\","
             "source=\"unknown\"} 1.0",
             text, text);
    expect(line);
}

static void raw_sets_of_labels_that_are_equal_when_normalised_are_one_series(void **state)
{
    struct labels a = decision_of("Risk Gate", "r"), b = decision_of("risk_gate", "r");

    (void)state;
    apply_at(&a, S);
    apply_at(&b, S);
    commit();
    expect("peaktrade_ai_decisions_total{component=\"risk_gate\",decision=\"accept\",reason=\"none\",run_id="
           "\"r\"} 2.0");
    assert_int_equal(count_lines("peaktrade_ai_last_event_timestamp_seconds_by_run_id{"), 2);
}

static void an_sdk_event_without_scope_takes_the_exporters(void **state)
{
    const struct aggregate_options options = {.component = "Watch Two", .run_id = "run 9"};
    struct labels labels = {.source = SOURCE_SDK_V1, .action = TEXT_OF("fill")};

    (void)state;
    aggregate_free(aggregate);
    aggregate = aggregate_new(&options);
    assert_non_null(aggregate);
    apply_at(&labels, S);
    commit();
    expect("peaktrade_ai_actions_total{action=\"fill\",component=\"watch_two\",run_id=\"run_9\"} 1.0");
    expect("peaktrade_ai_last_event_timestamp_seconds_by_run_id{component=\"Watch Two\",run_id=\"run_9\","
           "source=\"sdk_v1\"} 1.0");
}

static void an_sdk_run_id_is_cleaned_as_a_lines_is(void **state)
{
    struct labels labels = decision_of("c", "r/../etc and more than thirty-two bytes");

    (void)state;
    labels.source = SOURCE_SDK_V1;
    apply_at(&labels, S);
    commit();
    expect("peaktrade_ai_last_event_timestamp_seconds_by_run_id{component=\"c\","
           "run_id=\"r_.._etc_and_more_than_thirty-tw\",source=\"sdk_v1\"} 1.0");
    expect("peaktrade_ai_last_decision_timestamp_seconds{component=\"c\",run_id=\"r__etc_and_more_than_"
           "thirty-tw\"} 1.0");
}

static void an_sdk_reason_outside_the_eight_is_other_unless_known(void **state)
{
    const char *const reasons[] = {"My Reason"};
    const struct aggregate_options options = {.reasons = reasons, .reason_count = 1};
    static const char *const cases[][2] = {{"risk_limit", "risk_limit"},
                                           {" Cooldown ", "cooldown"},
                                           {"My Reason", "my_reason"},
                                           {"my_reason", "my_reason"},
                                           {"yours", "other"},
                                           {"", "none"},
                                           {"none", "none"},
                                           {"other", "other"}};
    char line[256];

    (void)state;
    aggregate_free(aggregate);
    aggregate = aggregate_new(&options);
    assert_non_null(aggregate);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct labels labels = decision_of("c", "r");
        char run_id[8];

        snprintf(run_id, sizeof(run_id), "r%zu", i);
        labels.source = SOURCE_SDK_V1;
        labels.reason = text_of(cases[i][0]);
        labels.run_id = text_of(run_id);
        apply_at(&labels, S);
        commit();
        snprintf(line, sizeof(line),
                 "peaktrade_ai_decisions_total{component=\"c\",decision=\"accept\",reason=\"%s\",run_id=\"%"
                 "s\"} 1.0",
                 cases[i][1], run_id);
        expect(line);
    }
}

static void a_lines_free_reason_is_only_normalised(void **state)
{
    struct labels labels = decision_of("c", "r");

    (void)state;
    labels.source = SOURCE_UNKNOWN;
    labels.reason = TEXT_OF("Max Loss!");
    apply_at(&labels, S);
    commit();
    expect("peaktrade_ai_decisions_total{component=\"c\",decision=\"accept\",reason=\"max_loss\",run_id="
           "\"r\"} 1.0");
}

/* ---- last-time gauges ---- */

static void foreign_gauges_take_the_last_in_order_and_sdk_gauges_the_greatest(void **state)
{
    struct labels file = decision_of("c", "file"), sdk = decision_of("c", "sdk");

    (void)state;
    sdk.source = SOURCE_SDK_V1;
    for (int i = 0; i < 3; i++) {
        static const int times[] = {20, 30, 10};

        apply_at(&file, times[i] * S);
        apply_at(&sdk, times[i] * S);
    }
    commit();
    expect("peaktrade_ai_last_event_timestamp_seconds{source=\"sample_v1\"} 10.0");
    expect("peaktrade_ai_last_event_timestamp_seconds{source=\"sdk_v1\"} 30.0");
    expect("peaktrade_ai_last_decision_timestamp_seconds{component=\"c\",run_id=\"file\"} 10.0");
    expect("peaktrade_ai_last_decision_timestamp_seconds{component=\"c\",run_id=\"sdk\"} 30.0");
    expect("peaktrade_ai_last_event_timestamp_seconds_by_run_id{component=\"c\",run_id=\"sdk\",source=\"sdk_"
           "v1\"} 30.0");
}

static void the_first_sdk_time_counts_even_before_1970(void **state)
{
    struct labels sdk = decision_of("c", "r");

    (void)state;
    sdk.source = SOURCE_SDK_V1;
    apply_at(&sdk, -5 * S);
    commit();
    expect("peaktrade_ai_last_event_timestamp_seconds{source=\"sdk_v1\"} -5.0");
}

/* ---- bounded families ---- */

static void the_excess_goes_to_one_overflow_series_and_is_counted(void **state)
{
    const struct aggregate_options options = {.max_series = 3};

    (void)state;
    aggregate_free(aggregate);
    aggregate = aggregate_new(&options);
    assert_non_null(aggregate);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < 8; i++) {
            char run_id[16];
            struct labels labels;

            snprintf(run_id, sizeof(run_id), "run-%d", i);
            labels = decision_of("c", run_id);
            apply_at(&labels, S);
        }
    commit();
    assert_int_equal(count_lines("peaktrade_ai_decisions_total{"), 4);
    expect("peaktrade_ai_decisions_total{component=\"c\",decision=\"accept\",reason=\"none\",run_id=\"run-"
           "2\"} 2.0");
    expect("peaktrade_ai_decisions_total{component=\"overflow\",decision=\"overflow\",reason=\"overflow\","
           "run_id=\"overflow\"} 10.0");
    expect("ailive_series_overflow_total{family=\"peaktrade_ai_decisions_total\"} 10.0");
    expect("ailive_series_overflow_total{family=\"peaktrade_ai_last_decision_timestamp_seconds\"} 10.0");
    expect(
        "peaktrade_ai_last_event_timestamp_seconds{source=\"sample_v1\"} 1.0"); /* the others are not full */
}

static void more_sets_of_labels_than_the_cache_holds_are_all_counted(void **state)
{
    const struct aggregate_options options = {.max_series = 40000};
    char run_id[16];

    (void)state;
    aggregate_free(aggregate);
    aggregate = aggregate_new(&options);
    assert_non_null(aggregate);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < 20000; i++) {
            struct labels labels = {
                .source = SOURCE_SDK_V1, .action = TEXT_OF("fill"), .component = TEXT_OF("c")};
            struct observation observation = {.time_ns = S};

            snprintf(run_id, sizeof(run_id), "run-%d", i);
            labels.run_id = text_of(run_id);
            apply(&labels, &observation);
        }
    commit();
    assert_int_equal(count_lines("peaktrade_ai_actions_total{"), 20000);
    expect("peaktrade_ai_actions_total{action=\"fill\",component=\"c\",run_id=\"run-19999\"} 2.0");
}

static void labels_of_one_aggregate_are_looked_up_afresh_in_another(void **state)
{
    struct labels labels = decision_of("c", "r");

    (void)state;
    apply_at(&labels, S);
    aggregate_free(aggregate);
    aggregate = aggregate_new(NULL);
    assert_non_null(aggregate);
    apply_at(&labels, S); /* its cached route belongs to freed memory */
    commit();
    expect(
        "peaktrade_ai_decisions_total{component=\"c\",decision=\"accept\",reason=\"none\",run_id=\"r\"} 1.0");
}

/* ---- committing ---- */

static void only_committed_values_are_shown(void **state)
{
    struct labels labels = decision_of("c", "r");

    (void)state;
    apply_at(&labels, S);
    expect_no("peaktrade_ai_decisions_total{");
    commit();
    apply_at(&labels, 2 * S);
    expect(
        "peaktrade_ai_decisions_total{component=\"c\",decision=\"accept\",reason=\"none\",run_id=\"r\"} 1.0");
    expect("peaktrade_ai_last_event_timestamp_seconds{source=\"sample_v1\"} 1.0");
    commit();
    expect(
        "peaktrade_ai_decisions_total{component=\"c\",decision=\"accept\",reason=\"none\",run_id=\"r\"} 2.0");
}

static void only_touched_series_are_changes(void **state)
{
    struct labels a = decision_of("c", "a"), b = {.source = SOURCE_SDK_V1, .action = TEXT_OF("fill")};
    struct observation observation = {.time_ns = S};

    (void)state;
    apply_at(&a, S);
    commit();
    assert_int_equal(changes.count, 4);
    apply(&b, &observation);
    apply(&b, &observation);
    commit();
    assert_int_equal(changes.count, 1);
    commit();
    assert_int_equal(changes.count, 0);
    for (size_t i = 0; i < changes.count; i++)
        assert_int_equal(changes.bytes[changes.items[i].key_offset], 's');
}

/* Gives every collected change to the aggregate. */
static void restore_all(void)
{
    for (size_t i = 0; i < changes.count; i++) {
        const struct change *item = &changes.items[i];

        assert_true(aggregate_restore(aggregate, changes.bytes + item->key_offset, item->key_len,
                                      changes.bytes + item->value_offset, item->value_len));
    }
}

/* One series of each family and type. */
static void apply_everything(void)
{
    struct labels labels = decision_of("C \"x\"\n\xc3\xa9", "r.1"),
                  bad = {.source = SOURCE_UNKNOWN, .drop = CONTRACT_BAD_JSON};
    struct labels stage = {.source = SOURCE_SDK_V1, .stage = TEXT_OF("s"), .component = TEXT_OF("c")};
    struct observation observation = {
        .has_time = true, .time_ns = 1769303388123456789, .fault = LATENCY_NEGATIVE};
    enum latency_fault fault;

    labels.action = TEXT_OF("submit");
    observation.seconds = histogram_latency(HISTOGRAM_SECONDS, 1234.000000000001, &fault);
    observation.ms = histogram_latency(HISTOGRAM_MS, 0.25, &fault);
    apply(&labels, &observation);
    apply(&stage, &observation);
    apply(&bad, &(struct observation){.time_ns = S});
    count_own(OWN_EVENTS, "nng", NULL, 1);
    count_own(OWN_DUPLICATES, "nng", NULL, 1);
    count_own(OWN_DROPPED, "lost", NULL, UINT64_MAX);
    count_own(OWN_OVERFLOW, "peaktrade_ai_decisions_total", NULL, 1);
}

static void what_is_restored_is_what_was_committed_in_every_family(void **state)
{
    char *before;

    (void)state;
    apply_everything();
    commit();
    render();
    before = strdup(shown.bytes);
    for (unsigned f = 0; f < SERIES_FAMILIES; f++) {
        char start[128];

        snprintf(start, sizeof(start), series_families[f].type == FAMILY_HISTOGRAM ? "%s_count{" : "%s{",
                 series_families[f].name);
        assert_true(count_lines(start) >= 1);
    }
    aggregate_free(aggregate);
    aggregate = aggregate_new(NULL);
    assert_non_null(aggregate);
    restore_all();
    render();
    assert_string_equal(shown.bytes, before);
    free(before);
}

static void counting_goes_on_from_what_was_restored(void **state)
{
    struct labels file = decision_of("c", "r"), sdk = decision_of("c", "r");

    (void)state;
    sdk.source = SOURCE_SDK_V1;
    apply_at(&file, 50 * S);
    apply_at(&sdk, 50 * S);
    commit();
    aggregate_free(aggregate);
    aggregate = aggregate_new(NULL);
    assert_non_null(aggregate);
    restore_all();
    commit();
    assert_int_equal(changes.count, 0); /* restoring is no change */
    apply_at(&file, 40 * S);
    apply_at(&sdk, 40 * S);
    commit();
    expect(
        "peaktrade_ai_decisions_total{component=\"c\",decision=\"accept\",reason=\"none\",run_id=\"r\"} 4.0");
    expect("peaktrade_ai_last_event_timestamp_seconds{source=\"sample_v1\"} 40.0");
    expect("peaktrade_ai_last_event_timestamp_seconds{source=\"sdk_v1\"} 50.0");
}

static void a_reset_keeps_what_is_shown_until_the_next_commit(void **state)
{
    struct labels kept = decision_of("c", "kept"), lost = decision_of("c", "lost");
    struct change_list kept_changes;

    (void)state;
    apply_at(&kept, S);
    commit();
    kept_changes = changes;
    change_list_init(&changes);
    apply_at(&lost, S);
    commit();
    apply_at(&kept, S); /* this was never committed */
    aggregate_reset(aggregate);
    expect("peaktrade_ai_decisions_total{component=\"c\",decision=\"accept\",reason=\"none\",run_id=\"kept\"}"
           " 1.0");
    expect("peaktrade_ai_decisions_total{component=\"c\",decision=\"accept\",reason=\"none\",run_id=\"lost\"}"
           " 1.0");
    change_list_fini(&changes);
    changes = kept_changes;
    restore_all();
    commit();
    assert_int_equal(changes.count, 0);
    expect("peaktrade_ai_decisions_total{component=\"c\",decision=\"accept\",reason=\"none\",run_id=\"kept\"}"
           " 1.0");
    expect_no("lost");
    apply_at(&kept, S);
    apply_at(&lost, S);
    commit();
    expect("peaktrade_ai_decisions_total{component=\"c\",decision=\"accept\",reason=\"none\",run_id=\"kept\"}"
           " 2.0");
    expect("peaktrade_ai_decisions_total{component=\"c\",decision=\"accept\",reason=\"none\",run_id=\"lost\"}"
           " 1.0");
}

static void a_reset_without_a_restore_counts_from_nothing(void **state)
{
    struct labels sdk = decision_of("c", "r");

    (void)state;
    sdk.source = SOURCE_SDK_V1;
    apply_at(&sdk, 50 * S);
    commit();
    aggregate_reset(aggregate);
    apply_at(&sdk, 40 * S);
    expect("peaktrade_ai_last_event_timestamp_seconds{source=\"sdk_v1\"} 50.0");
    commit();
    expect(
        "peaktrade_ai_decisions_total{component=\"c\",decision=\"accept\",reason=\"none\",run_id=\"r\"} 1.0");
    expect("peaktrade_ai_last_event_timestamp_seconds{source=\"sdk_v1\"} 40.0");
}

static void a_restore_beyond_the_limit_loses_no_series(void **state)
{
    const struct aggregate_options options = {.max_series = 2};
    char run_id[16];

    (void)state;
    for (int i = 0; i < 5; i++) {
        struct labels labels;

        snprintf(run_id, sizeof(run_id), "r%d", i);
        labels = decision_of("c", run_id);
        apply_at(&labels, S);
    }
    commit();
    aggregate_free(aggregate);
    aggregate = aggregate_new(&options);
    assert_non_null(aggregate);
    restore_all();
    assert_int_equal(count_lines("peaktrade_ai_decisions_total{"), 5);
}

static void a_restored_overflow_series_takes_no_place_of_another(void **state)
{
    const struct aggregate_options options = {.max_series = 2};
    static const char key[] = "s1a\10overflow\10overflow\10overflow";
    static const unsigned char count[8] = {5};

    (void)state;
    aggregate_free(aggregate);
    aggregate = aggregate_new(&options);
    assert_non_null(aggregate);
    assert_true(aggregate_restore(aggregate, key, sizeof(key) - 1, count, 8));
    for (int i = 0; i < 3; i++) {
        char run_id[16];
        struct labels labels = {
            .source = SOURCE_SDK_V1, .action = TEXT_OF("fill"), .component = TEXT_OF("c")};

        snprintf(run_id, sizeof(run_id), "r%d", i);
        labels.run_id = text_of(run_id);
        apply_at(&labels, S);
    }
    commit();
    expect("peaktrade_ai_actions_total{action=\"fill\",component=\"c\",run_id=\"r1\"} 1.0");
    expect("peaktrade_ai_actions_total{action=\"overflow\",component=\"overflow\",run_id=\"overflow\"} 6.0");
    assert_int_equal(count_lines("peaktrade_ai_actions_total{"), 3);
}

#define CLASSIC_BYTES (13u * 8u + 16u)

/* Histograms of before there were native buckets: nothing is lost, native ones begin at 0 and stay
 * consistent. */
static void state_without_native_buckets_is_read(void **state)
{
    const struct snapshot_family *family;
    struct snapshot snapshot;
    char *before;

    (void)state;
    apply_everything();
    commit();
    render();
    before = strdup(shown.bytes);
    aggregate_free(aggregate);
    aggregate = aggregate_new(NULL);
    assert_non_null(aggregate);
    for (size_t i = 0; i < changes.count; i++) {
        const struct change *item = &changes.items[i];
        size_t len = item->value_len > CLASSIC_BYTES ? CLASSIC_BYTES : item->value_len;

        assert_true(aggregate_restore(aggregate, changes.bytes + item->key_offset, item->key_len,
                                      changes.bytes + item->value_offset, len));
    }
    render();
    assert_string_equal(shown.bytes, before);
    free(before);
    assert_int_equal(aggregate_snapshot_with(aggregate, SNAPSHOT_NATIVE, &snapshot), 0);
    family = &snapshot.families[SERIES_LATENCY_SECONDS];
    for (size_t i = 0; i < family->series_count; i++)
        assert_null(family->series[i].native);
    snapshot_free(&snapshot);
    apply_everything();
    commit();
    assert_int_equal(aggregate_snapshot_with(aggregate, SNAPSHOT_NATIVE, &snapshot), 0);
    family = &snapshot.families[SERIES_LATENCY_SECONDS];
    assert_true(family->series_count > 0 && family->series[0].native != NULL);
    snapshot_free(&snapshot);
}

static uint64_t native_total(const struct snapshot_series *series)
{
    uint64_t total = 0;

    for (unsigned i = 0; series->native != NULL && i < series->native->count; i++)
        total += series->native->counts[i];
    return total;
}

/* What is committed is shown in both kinds of bucket, what is being counted in neither. */
static void native_buckets_are_committed_with_the_rest(void **state)
{
    struct snapshot snapshot;

    (void)state;
    apply_everything();
    commit();
    apply_everything();
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(aggregate_snapshot_with(aggregate, SNAPSHOT_NATIVE, &snapshot), 0);
        for (size_t f = 0; f < snapshot.family_count; f++)
            for (size_t i = 0; snapshot.families[f].native_name && i < snapshot.families[f].series_count;
                 i++) {
                const struct snapshot_series *series = &snapshot.families[f].series[i];
                uint64_t total = 0;

                for (unsigned b = 0; b <= HISTOGRAM_BOUNDS; b++)
                    total += series->histogram->buckets[b];
                assert_int_equal(native_total(series), total);
                assert_true(series->native->sum_picoseconds == series->histogram->sum_picoseconds);
            }
        snapshot_free(&snapshot);
        commit();
    }
}

static void every_truncated_key_or_value_is_rejected(void **state)
{
    (void)state;
    apply_everything();
    commit();
    aggregate_free(aggregate);
    aggregate = aggregate_new(NULL);
    assert_non_null(aggregate);
    for (size_t i = 0; i < changes.count; i++) {
        const struct change *item = &changes.items[i];
        const unsigned char *key = changes.bytes + item->key_offset,
                            *value = changes.bytes + item->value_offset;

        for (size_t len = 0; len < item->key_len; len++)
            assert_false(aggregate_restore(aggregate, key, len, value, item->value_len));
        for (size_t len = 0; len < item->value_len; len++)
            if (len != CLASSIC_BYTES) /* a value as it was before native buckets is a whole one */
                assert_false(aggregate_restore(aggregate, key, item->key_len, value, len));
        assert_false(aggregate_restore(aggregate, key, item->key_len, value, item->value_len + 1));
    }
    assert_int_equal(count_lines("peaktrade_ai_"), 1); /* the heartbeat */
}

static void a_hostile_key_or_value_is_rejected(void **state)
{
    static const unsigned char count[8] = {1}, nan[8] = {0, 0, 0, 0, 0, 0, 0xf8, 0x7f};
    unsigned char histogram[120] = {0};

    (void)state;
    assert_true(aggregate_restore(aggregate, "s1p\7unknown", 11, count, 8));
    assert_false(aggregate_restore(aggregate, "s2p\7unknown", 11, count, 8)); /* another version */
    assert_false(aggregate_restore(aggregate, "r1p\7unknown", 11, count, 8));
    assert_false(aggregate_restore(aggregate, "s1?\7unknown", 11, count, 8));
    assert_false(aggregate_restore(aggregate, "s1p\7unknownx", 12, count, 8));
    assert_false(aggregate_restore(aggregate, "s1p\0", 4, count, 8)); /* an empty label */
    assert_false(aggregate_restore(aggregate,
                                   "s1p\3a\xff"
                                   "b",
                                   7, count, 8)); /* no UTF-8 */
    assert_false(aggregate_restore(aggregate, "s1p\3a\0b", 7, count, 8));
    assert_false(aggregate_restore(aggregate, "s1h\1c\1r", 7, count, 8)); /* the heartbeat is never stored */
    assert_false(aggregate_restore(aggregate, "s1e\7unknown", 11, nan, 8));
    assert_true(aggregate_restore(aggregate, "s1s\1c\1r", 7, histogram, 120));
    histogram[119] = 0x80; /* a negative sum */
    assert_false(aggregate_restore(aggregate, "s1s\1c\1r", 7, histogram, 120));
    histogram[119] = 0;
    histogram[110] = 1; /* a sum of no events */
    assert_false(aggregate_restore(aggregate, "s1s\1c\1r", 7, histogram, 120));
    memset(histogram, 0xff, 16); /* two buckets whose count wraps */
    assert_false(aggregate_restore(aggregate, "s1s\1c\1r", 7, histogram, 120));
}

static void random_keys_and_values_are_taken_or_rejected_without_harm(void **state)
{
    const char *seed = getenv("AILIVE_SEED");
    unsigned random = seed ? (unsigned)strtoul(seed, NULL, 0) : (unsigned)(uintptr_t)&seed;

    (void)state;
    printf("AILIVE_SEED=%u\n", random);
    srand(random);
    apply_everything();
    commit();
    for (int i = 0; i < 20000; i++) {
        const struct change *item = &changes.items[(size_t)rand() % changes.count];
        unsigned char key[600], value[200];

        memcpy(key, changes.bytes + item->key_offset, item->key_len);
        memcpy(value, changes.bytes + item->value_offset, item->value_len);
        key[(size_t)rand() % item->key_len] = (unsigned char)rand();
        value[(size_t)rand() % item->value_len] = (unsigned char)rand();
        aggregate_restore(aggregate, key, item->key_len, value, item->value_len);
    }
    render();
}

/* ---- exposition ---- */

/* ---- parts of a whole ---- */

/* Applies everything twice over to one aggregate, and shared out to two that are merged: the same is shown.
 */
static void merged_parts_show_what_one_aggregate_would(void **state)
{
    struct aggregate *whole, *part;
    char *wanted;

    (void)state;
    apply_everything();
    apply_everything();
    commit();
    render();
    wanted = strndup(shown.bytes, shown.used);
    assert_non_null(wanted);
    whole = aggregate;
    part = aggregate_new(NULL);
    assert_non_null(part);
    aggregate = part;
    apply_everything();
    aggregate = aggregate_new(NULL);
    assert_non_null(aggregate);
    apply_everything();
    commit();
    assert_int_equal(aggregate_merge(aggregate, part), AGGREGATE_MERGED);
    render();
    assert_string_equal(shown.bytes, wanted);
    free(wanted);
    aggregate_free(part);
    aggregate_free(whole);
}

static void a_merged_gauge_is_that_of_the_highest_order(void **state)
{
    static const struct {
        uint64_t into, from;
        const char *wanted;
    } cases[] = {{1, 2, "20.0"}, {2, 1, "30.0"}, {2, 2, "20.0"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct labels a = decision_of("c", "r"), b = decision_of("c", "r");
        struct aggregate *from = aggregate;
        char line[160];

        aggregate_order(aggregate, cases[i].from);
        apply_at(&a, 10 * S);
        apply_at(&a, 20 * S);
        aggregate = aggregate_new(NULL);
        assert_non_null(aggregate);
        aggregate_order(aggregate, cases[i].into);
        apply_at(&b, 30 * S);
        assert_int_equal(aggregate_merge(aggregate, from), AGGREGATE_MERGED);
        snprintf(line, sizeof(line), "peaktrade_ai_last_event_timestamp_seconds{source=\"sample_v1\"} %s",
                 cases[i].wanted);
        expect(line);
        aggregate_free(from);
    }
}

static struct aggregate *limited_to_two(const char *const *run_ids)
{
    const struct aggregate_options options = {.max_series = 2};
    struct aggregate *made = aggregate_new(&options), *before = aggregate;

    assert_non_null(made);
    aggregate = made;
    for (; *run_ids; run_ids++) {
        struct labels labels = decision_of("c", *run_ids);

        apply_at(&labels, 10 * S);
    }
    commit();
    aggregate = before;
    return made;
}

/* Merging it would have to guess which label sets came first: it is refused, and nothing has changed. */
static void a_merge_that_would_fill_a_family_is_refused(void **state)
{
    static const char *const a[] = {"1", "2", NULL}, *const b[] = {"2", "3", NULL}, *const c[] = {"1", NULL},
                             *const full[] = {"1", "2", "3", NULL};
    static const struct {
        const char *const *into, *const *from;
        enum aggregate_merged wanted;
    } cases[] = {
        {a, b, AGGREGATE_FULL},    {a, c, AGGREGATE_MERGED},  {c, a, AGGREGATE_MERGED},
        {c, b, AGGREGATE_FULL},    {c, full, AGGREGATE_FULL}, {full, a, AGGREGATE_MERGED},
        {full, b, AGGREGATE_FULL}, {a, a, AGGREGATE_MERGED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct aggregate *from = limited_to_two(cases[i].from);
        char *before;

        aggregate_free(aggregate);
        aggregate = limited_to_two(cases[i].into);
        render();
        before = strndup(shown.bytes, shown.used);
        assert_non_null(before);
        assert_int_equal(aggregate_overflowed(aggregate), cases[i].into == full);
        assert_int_equal(aggregate_merge(aggregate, from), cases[i].wanted);
        render();
        assert_int_equal(strcmp(before, shown.bytes) == 0, cases[i].wanted == AGGREGATE_FULL);
        free(before);
        aggregate_free(from);
    }
}

static void there_is_always_one_heartbeat(void **state)
{
    const struct aggregate_options options = {.component = " My Watch ",
                                              .run_id = "A//B.0123456789012345678901234567890123456789"};

    (void)state;
    expect("peaktrade_ai_live_heartbeat{component=\"execution_watch\",run_id=\"na\"} 1.0");
    aggregate_free(aggregate);
    aggregate = aggregate_new(&options);
    assert_non_null(aggregate);
    /* Normalised only: not cut to 32, no underscore for a run of characters. */
    expect("peaktrade_ai_live_heartbeat{component=\"my_watch\",run_id="
           "\"ab0123456789012345678901234567890123456789\"} "
           "1.0");
    aggregate_reset(aggregate);
    commit();
    assert_int_equal(count_lines("peaktrade_ai_live_heartbeat{"), 1);
}

static void every_family_stands_even_without_a_series(void **state)
{
    static const char *const names[][2] = {
        {"peaktrade_ai_decisions_total", "counter"},
        {"peaktrade_ai_actions_total", "counter"},
        {"peaktrade_ai_decision_latency_seconds", "histogram"},
        {"peaktrade_ai_decision_latency_ms", "histogram"},
        {"peaktrade_ai_last_decision_timestamp_seconds", "gauge"},
        {"peaktrade_ai_last_event_timestamp_seconds", "gauge"},
        {"peaktrade_ai_last_event_timestamp_seconds_by_run_id", "gauge"},
        {"peaktrade_ai_events_parse_errors_total", "counter"},
        {"peaktrade_ai_events_dropped_total", "counter"},
        {"peaktrade_ai_live_heartbeat", "gauge"},
        {"ailive_stage_latency_seconds", "histogram"},
        {"ailive_events_total", "counter"},
        {"ailive_events_duplicate_total", "counter"},
        {"ailive_events_dropped_total", "counter"},
        {"ailive_latency_unobserved_total", "counter"},
        {"ailive_series_overflow_total", "counter"},
    };
    char line[128];

    (void)state;
    render();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(line, sizeof(line), "# TYPE %s %s", names[i][0], names[i][1]);
        assert_true(is_shown(line));
        snprintf(line, sizeof(line), "# HELP %s ", names[i][0]);
        assert_int_equal(count_lines(line), 1);
    }
    assert_int_equal(count_lines("# TYPE "), sizeof(names) / sizeof(names[0]));
}

static void series_are_sorted_by_their_labels_and_families_keep_their_order(void **state)
{
    struct snapshot snapshot;
    char run_id[16];

    (void)state;
    for (int i = 0; i < 200; i++) {
        struct labels labels;

        snprintf(run_id, sizeof(run_id), "r%d", (i * 37) % 200);
        labels = decision_of("c", run_id);
        apply_at(&labels, S);
    }
    commit();
    assert_int_equal(aggregate_snapshot(aggregate, &snapshot), 0);
    assert_int_equal(snapshot.family_count, SERIES_FAMILIES);
    for (size_t f = 0; f < snapshot.family_count; f++) {
        const struct snapshot_family *family = &snapshot.families[f];

        assert_string_equal(family->name, series_families[f].name);
        for (size_t i = 1; i < family->series_count; i++)
            assert_true(strcmp(family->series[i - 1].labels, family->series[i].labels) < 0);
    }
    snapshot_free(&snapshot);
}

static void family_codes_are_unique_and_names_of_labels_sorted(void **state)
{
    (void)state;
    for (unsigned f = 0; f < SERIES_FAMILIES; f++) {
        for (unsigned g = 0; g < f; g++)
            assert_int_not_equal(series_families[f].code, series_families[g].code);
        for (unsigned i = 1; i < SERIES_LABELS_MAX && series_families[f].labels[i].name; i++)
            assert_true(strcmp(series_families[f].labels[i - 1].name, series_families[f].labels[i].name) < 0);
    }
}

/* ---- threads ---- */

static _Atomic bool stop;

static void *scrape(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        struct snapshot snapshot;

        if (aggregate_snapshot(aggregate, &snapshot) != 0)
            return aggregate;
        /* Batches are whole: decisions of both runs are committed together. */
        if (snapshot.families[SERIES_DECISIONS].series_count == 2 &&
            snapshot.families[SERIES_DECISIONS].series[0].count !=
                snapshot.families[SERIES_DECISIONS].series[1].count) {
            snapshot_free(&snapshot);
            return aggregate;
        }
        snapshot_free(&snapshot);
    }
    return NULL;
}

static void a_scrape_sees_whole_commits_only(void **state)
{
    struct labels a = decision_of("c", "a"), b = decision_of("c", "b");
    struct observation observation = {.has_time = true, .time_ns = S};
    pthread_t thread;
    void *torn;

    (void)state;
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&thread, NULL, scrape, NULL), 0);
    for (int i = 0; i < 2000; i++) {
        aggregate_begin(aggregate);
        observation.labels = &a;
        aggregate_apply(aggregate, &observation);
        observation.labels = &b;
        aggregate_apply(aggregate, &observation);
        aggregate_end(aggregate);
        commit();
    }
    atomic_store(&stop, true);
    pthread_join(thread, &torn);
    assert_null(torn);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_decision_counts_and_sets_its_gauge),
        TEST(without_a_time_freshness_stays_and_the_decision_gauge_takes_processing),
        TEST(an_action_counts_without_touching_the_decision_gauge),
        TEST(a_drop_counts_and_bad_json_counts_a_parse_error_too),
        TEST(latencies_go_to_the_histograms_they_are_for),
        TEST(a_stage_feeds_its_own_histogram_and_freshness),
        TEST(an_unobserved_latency_is_counted_and_the_event_too),
        TEST(own_families_count_what_they_are_given),
        TEST(labels_are_normalised_but_the_raw_ones_are_not),
        TEST(labels_are_cut_to_their_own_lengths),
        TEST(raw_sets_of_labels_that_are_equal_when_normalised_are_one_series),
        TEST(an_sdk_event_without_scope_takes_the_exporters),
        TEST(an_sdk_run_id_is_cleaned_as_a_lines_is),
        TEST(an_sdk_reason_outside_the_eight_is_other_unless_known),
        TEST(a_lines_free_reason_is_only_normalised),
        TEST(foreign_gauges_take_the_last_in_order_and_sdk_gauges_the_greatest),
        TEST(the_first_sdk_time_counts_even_before_1970),
        TEST(the_excess_goes_to_one_overflow_series_and_is_counted),
        TEST(more_sets_of_labels_than_the_cache_holds_are_all_counted),
        TEST(labels_of_one_aggregate_are_looked_up_afresh_in_another),
        TEST(only_committed_values_are_shown),
        TEST(only_touched_series_are_changes),
        TEST(what_is_restored_is_what_was_committed_in_every_family),
        TEST(counting_goes_on_from_what_was_restored),
        TEST(a_reset_keeps_what_is_shown_until_the_next_commit),
        TEST(a_reset_without_a_restore_counts_from_nothing),
        TEST(a_restore_beyond_the_limit_loses_no_series),
        TEST(a_restored_overflow_series_takes_no_place_of_another),
        TEST(state_without_native_buckets_is_read),
        TEST(native_buckets_are_committed_with_the_rest),
        TEST(every_truncated_key_or_value_is_rejected),
        TEST(a_hostile_key_or_value_is_rejected),
        TEST(random_keys_and_values_are_taken_or_rejected_without_harm),
        TEST(merged_parts_show_what_one_aggregate_would),
        TEST(a_merged_gauge_is_that_of_the_highest_order),
        TEST(a_merge_that_would_fill_a_family_is_refused),
        TEST(there_is_always_one_heartbeat),
        TEST(every_family_stands_even_without_a_series),
        TEST(series_are_sorted_by_their_labels_and_families_keep_their_order),
        TEST(family_codes_are_unique_and_names_of_labels_sorted),
        TEST(a_scrape_sees_whole_commits_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
