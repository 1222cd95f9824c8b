/* test_history.c - seconds and quarters of an hour: each step holds what was committed in it, a ranking its
 * rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "history.h"
#include "label_text.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct aggregate *aggregate;
static struct history *history;

static int begin(void **context)
{
    (void)context;
    aggregate = aggregate_new(NULL);
    history = history_new();
    assert_non_null(aggregate);
    assert_non_null(history);
    return 0;
}

static int end(void **context)
{
    (void)context;
    aggregate_free(aggregate);
    history_free(history);
    return 0;
}

static void decide(const char *component, const char *decision, const char *reason, double latency_ms)
{
    struct labels labels = {.source = SOURCE_SAMPLE_V1,
                            .decision = text_of(decision),
                            .reason = text_of(reason),
                            .component = text_of(component)};
    struct observation observation = {.labels = &labels};

    observation.ms = histogram_latency(HISTOGRAM_MS, latency_ms, &observation.fault);
    aggregate_begin(aggregate);
    aggregate_apply(aggregate, &observation);
    aggregate_count(aggregate, OWN_EVENTS, "file", NULL, 1);
    aggregate_end(aggregate);
    aggregate_committed(aggregate);
}

static void tick(int64_t now_s)
{
    struct snapshot snapshot;

    assert_int_equal(aggregate_snapshot(aggregate, &snapshot), 0);
    history_tick(history, now_s, &snapshot);
    snapshot_free(&snapshot);
}

static struct history_step *steps;
static size_t step_count;
static int64_t end_s;

static const struct history_step *step(size_t from_the_end)
{
    free(steps);
    steps = history_steps(history, HISTORY_STEPS, &step_count, &end_s);
    assert_non_null(steps);
    assert_true(step_count > from_the_end);
    return &steps[step_count - 1 - from_the_end];
}

static void a_step_holds_what_was_committed_in_its_second(void **context)
{
    (void)context;
    tick(100);
    decide("a", "accept", "none", 3);
    decide("a", "reject", "risk_limit", 3);
    tick(101);
    decide("b", "noop", "none", 3);
    decide("b", "approve_of_another_kind", "none", 3);
    tick(102);
    assert_int_equal(step(0)->decisions[HISTORY_NOOP], 1);
    assert_int_equal(step(0)->decisions[HISTORY_OTHER], 1);
    assert_int_equal(step(0)->decisions[HISTORY_ACCEPT], 0);
    assert_int_equal(step(1)->decisions[HISTORY_ACCEPT], 1);
    assert_int_equal(step(1)->decisions[HISTORY_REJECT], 1);
    assert_int_equal(step(1)->events[ROAD_FILE], 2);
    assert_int_equal(step(1)->latency[2], 2); /* over 2, up to 5 ms */
    assert_int_equal(end_s, 102);
}

static void what_was_there_before_is_in_no_step(void **context)
{
    (void)context;
    decide("a", "accept", "none", 3);
    tick(100);
    history_tick(history, 101, NULL);
    assert_int_equal(step(0)->decisions[HISTORY_ACCEPT], 0);
    assert_int_equal(step(1)->decisions[HISTORY_ACCEPT], 0);
}

static void a_late_timer_leaves_empty_steps_and_loses_nothing(void **context)
{
    (void)context;
    tick(100);
    decide("a", "accept", "none", 3);
    tick(103);
    decide("a", "accept", "none", 3);
    tick(103);
    assert_int_equal(step(0)->decisions[HISTORY_ACCEPT], 2);
    assert_int_equal(step(1)->decisions[HISTORY_ACCEPT], 0);
    assert_int_equal(step_count, 4);
}

static void counts_that_fell_are_no_step_back(void **context)
{
    (void)context;
    decide("a", "accept", "none", 3);
    decide("a", "accept", "none", 3);
    tick(100);
    aggregate_reset(aggregate); /* as when an older state is read back */
    decide("a", "accept", "none", 3);
    tick(101);
    assert_int_equal(step(0)->decisions[HISTORY_ACCEPT], 0);
    decide("a", "accept", "none", 3);
    tick(102);
    assert_int_equal(step(0)->decisions[HISTORY_ACCEPT], 1);
}

static void the_oldest_step_makes_room(void **context)
{
    (void)context;
    tick(0);
    decide("a", "accept", "none", 3);
    tick(1);
    for (int64_t s = 2; s <= (int64_t)HISTORY_STEPS; s++)
        history_tick(history, s, NULL);
    assert_int_equal(step(HISTORY_STEPS - 1)->decisions[HISTORY_ACCEPT], 1);
    history_tick(history, HISTORY_STEPS + 1, NULL);
    assert_int_equal(step(HISTORY_STEPS - 1)->decisions[HISTORY_ACCEPT], 0);
    assert_int_equal(step_count, HISTORY_STEPS);
    history_tick(history, 1000000, NULL);
    assert_int_equal(step_count, HISTORY_STEPS);
}

/* Rejects of component a for risk_limit: in all, lately. */
static void rejects(uint64_t *all, uint64_t *lately)
{
    const char *const names[RANKING_NAMES] = {"a", "risk_limit", ""};
    const struct ranking_row *row;
    struct snapshot snapshot;
    struct ranking ranking;

    ranking_init(&ranking);
    assert_int_equal(aggregate_snapshot(aggregate, &snapshot), 0);
    assert_true(history_rejects(history, &snapshot, &ranking));
    row = ranking_find(&ranking, names);
    *all = row != NULL ? row->sums[0] : 0;
    *lately = row != NULL ? row->sums[1] : 0;
    ranking_fini(&ranking);
    snapshot_free(&snapshot);
}

/* The timer's rule: a snapshot when something was committed, or when the history wants one. */
static void pass(int64_t from_s, int64_t to_s)
{
    for (int64_t s = from_s; s <= to_s; s++)
        if (history_wants(history, s))
            tick(s);
        else
            history_tick(history, s, NULL);
}

static void rejects_are_recent_for_a_quarter_of_an_hour(void **context)
{
    uint64_t all, lately;

    (void)context;
    decide("a", "reject", "risk_limit", 3);
    tick(0); /* before the beginning */
    pass(1, 4);
    decide("a", "reject", "risk_limit", 3);
    decide("a", "accept", "none", 3);
    tick(5); /* too soon for a mark: one is made although nothing comes any more */
    rejects(&all, &lately);
    assert_int_equal(all, 2);
    assert_int_equal(lately, 1);
    pass(6, 900);
    rejects(&all, &lately);
    assert_int_equal(lately, 1);
    pass(901, 1100);
    rejects(&all, &lately);
    assert_int_equal(all, 2);
    assert_int_equal(lately, 0);
    decide("a", "reject", "risk_limit", 3);
    tick(1101);
    rejects(&all, &lately);
    assert_int_equal(lately, 1);
}

/* As after a restart: the counts are there, and nothing has been rejected since. */
static void what_a_mark_has_no_room_for_is_not_taken_for_recent(void **context)
{
    uint64_t all, lately;
    char name[16];

    (void)context;
    for (unsigned i = 0; i < HISTORY_MARK_ROWS; i++) {
        snprintf(name, sizeof(name), "c%u", i);
        decide(name, "reject", "other", 1);
        decide(name, "reject", "other", 1);
    }
    decide("a", "reject", "risk_limit", 1);
    tick(1000);
    rejects(&all, &lately);
    assert_int_equal(all, 1);
    assert_int_equal(lately, 0);
    for (unsigned i = 0; i < 5; i++)
        decide("a", "reject", "risk_limit", 1);
    tick(1001);
    rejects(&all, &lately);
    assert_in_range(lately, 4, 5);
}

static void a_reject_a_second_for_an_hour_is_a_quarter_of_an_hours_worth(void **context)
{
    uint64_t all, lately;

    (void)context;
    tick(0);
    for (int64_t s = 1; s <= 3600; s++) {
        decide("a", "reject", "risk_limit", 3);
        tick(s);
    }
    rejects(&all, &lately);
    assert_int_equal(all, 3600);
    assert_in_range(lately, HISTORY_STEPS, HISTORY_STEPS + HISTORY_MARK_S);
}

static void a_quantile_is_prometheus_s(void **context)
{
    const uint64_t none[HISTOGRAM_BOUNDS + 1] = {0}, one[HISTOGRAM_BOUNDS + 1] = {[4] = 10},
                                           two[HISTOGRAM_BOUNDS + 1] = {[0] = 50, [7] = 50},
                                           beyond[HISTOGRAM_BOUNDS + 1] = {[HISTOGRAM_BOUNDS] = 1};

    (void)context;
    assert_true(isnan(history_quantile_ms(none, 0.5)));
    assert_true(fabs(history_quantile_ms(one, 0.5) - 15) < 1e-9); /* between 10 and 20 */
    assert_true(fabs(history_quantile_ms(two, 0.5) - 1) < 1e-9);
    assert_true(fabs(history_quantile_ms(two, 0.75) - 150) < 1e-9);
    assert_true(fabs(history_quantile_ms(beyond, 0.99) - 5000) < 1e-9);
}

static void a_label_is_read_back_as_it_was(void **context)
{
    char out[16];

    (void)context;
    assert_true(label_text("a=\"x\",bb=\"q\\\"\\\\\\nz\",c=\"\"", "bb", out, sizeof(out)));
    assert_string_equal(out, "q\"\\\nz");
    assert_true(label_text("a=\"x=,\",c=\"\"", "c", out, sizeof(out)));
    assert_string_equal(out, "");
    assert_false(label_text("a=\"b=\\\"x\\\"\"", "b", out, sizeof(out)));
    assert_false(label_text("", "b", out, sizeof(out)));
    assert_true(label_text("a=\"0123456789abcdefXYZ\"", "a", out, sizeof(out)));
    assert_string_equal(out, "0123456789abcde");
}

static void a_ranking_adds_sorts_and_cuts(void **context)
{
    struct ranking ranking;
    char name[8];
    const char *const names[RANKING_NAMES] = {name, "", "x"};

    (void)context;
    ranking_init(&ranking);
    assert_null(ranking_find(&ranking, names));
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 1000; i++) {
            struct ranking_row *row;

            snprintf(name, sizeof(name), "n%u", i);
            row = ranking_row(&ranking, names);
            assert_non_null(row);
            row->value += i;
        }
    assert_int_equal(ranking.count, 1000);
    ranking_cut(&ranking, 10);
    assert_int_equal(ranking.count, 10);
    assert_string_equal(ranking.rows[0].names[0], "n999");
    assert_true(ranking.rows[9].value == 2 * 990);
    assert_ptr_equal(ranking_find(&ranking, (const char *const[]){"n999", "", "x"}), &ranking.rows[0]);
    assert_null(ranking_find(&ranking, (const char *const[]){"n5", "", "x"}));
    ranking_fini(&ranking);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_step_holds_what_was_committed_in_its_second),
        TEST(what_was_there_before_is_in_no_step),
        TEST(a_late_timer_leaves_empty_steps_and_loses_nothing),
        TEST(counts_that_fell_are_no_step_back),
        TEST(the_oldest_step_makes_room),
        TEST(rejects_are_recent_for_a_quarter_of_an_hour),
        TEST(what_a_mark_has_no_room_for_is_not_taken_for_recent),
        TEST(a_reject_a_second_for_an_hour_is_a_quarter_of_an_hours_worth),
        TEST(a_quantile_is_prometheus_s),
        TEST(a_label_is_read_back_as_it_was),
        TEST(a_ranking_adds_sorts_and_cuts),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    free(steps);
    return failed;
}
