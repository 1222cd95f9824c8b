/* Rows: tallied or one by one, the same series. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "contract.h"
#include "random.h"
#include "rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROWS 3000u

static const struct layout_name names[] = {
    {.id = 8, .kind = AILIVE_NAME_COMPONENT, .text = "watch", .len_bytes = 5},
    {.id = 9, .kind = AILIVE_NAME_COMPONENT, .text = "Router", .len_bytes = 6},
    {.id = 10, .kind = AILIVE_NAME_RUN_ID, .text = "r 1", .len_bytes = 3},
    {.id = 11, .kind = AILIVE_NAME_RUN_ID, .text = "r2", .len_bytes = 2},
    {.id = 12, .kind = AILIVE_NAME_REASON, .text = "my_reason", .len_bytes = 9},
    {.id = 13, .kind = AILIVE_NAME_STAGE, .text = "order_router", .len_bytes = 12},
};

/* Mostly valid; some name what was never declared, or an enumerator that is none. */
static struct event_row random_row(void)
{
    static const int64_t latencies[] = {0,        1,         999999, 1000000,      1000001,
                                        25000000, INT64_MAX, -1,     INT64_MIN + 1};
    struct event_row row = {.time_ns = (int64_t)random_below(1000000) - 1000,
                            .latency_ns = AILIVE_NO_LATENCY,
                            .kind = (uint8_t)(1 + random_below(3)),
                            .component = (ailive_name)(8 + random_below(2)),
                            .run_id = (ailive_name)(10 + random_below(2))};

    if (row.kind != AILIVE_KIND_STAGE)
        row.action = (uint8_t)random_below(7);
    if (row.kind == AILIVE_KIND_DECISION) {
        row.decision = (uint8_t)random_below(5);
        row.reason = (ailive_name)random_below(13);
    }
    if (row.kind == AILIVE_KIND_STAGE)
        row.stage = (ailive_name)(12 + random_below(2));
    if (random_below(3) == 0)
        row.latency_ns = latencies[random_below(sizeof(latencies) / sizeof(latencies[0]))];
    else if (random_below(3) > 0)
        row.latency_ns = (int64_t)(random_u64() >> (1 + random_below(63)));
    return row;
}

static const struct layout_name *name_of(ailive_name id)
{
    return id >= 8 && id < 14 ? &names[id - 8] : NULL;
}

static struct text text_of_name(ailive_name id)
{
    const struct layout_name *name = name_of(id);

    if (event_reason_name(id) != NULL) /* the fixed ones need no declaration */
        return (struct text){event_reason_name(id), strlen(event_reason_name(id))};
    return name != NULL ? (struct text){name->text, name->len_bytes} : (struct text){NULL, 0};
}

/* As a spool line would count it. */
static void apply_alone(struct aggregate *aggregate, const struct event_row *row)
{
    struct text none = {NULL, 0};
    struct observation observation;
    struct labels labels;

    contract_sdk_labels(row, row->kind == AILIVE_KIND_DECISION ? text_of_name(row->reason) : none,
                        row->kind == AILIVE_KIND_STAGE ? text_of_name(row->stage) : none,
                        text_of_name(row->component), text_of_name(row->run_id), &labels);
    contract_sdk_record(row, &labels, &observation);
    aggregate_apply(aggregate, &observation);
}

static uint64_t native_at(const struct snapshot_native *native, unsigned slot)
{
    unsigned at = slot - native->first; /* wraps before the first */

    return at < native->count ? native->counts[at] : 0;
}

static void check_series_equal(enum family_type type, const struct snapshot_series *a,
                               const struct snapshot_series *b)
{
    assert_string_equal(a->labels, b->labels);
    if (type == FAMILY_COUNTER)
        assert_true(a->count == b->count);
    if (type == FAMILY_GAUGE)
        assert_true(a->value <= b->value && a->value >= b->value);
    if (type != FAMILY_HISTOGRAM)
        return;
    assert_memory_equal(a->histogram, b->histogram, sizeof(*a->histogram));
    assert_int_equal(a->native != NULL, b->native != NULL);
    for (unsigned slot = 0; a->native != NULL && slot < NATIVE_SLOTS; slot++)
        assert_int_equal(native_at(a->native, slot), native_at(b->native, slot));
}

static void check_aggregates_equal(struct aggregate *a, struct aggregate *b)
{
    struct snapshot one, other;

    aggregate_committed(a);
    aggregate_committed(b);
    assert_int_equal(aggregate_snapshot_with(a, SNAPSHOT_NATIVE, &one), 0);
    assert_int_equal(aggregate_snapshot_with(b, SNAPSHOT_NATIVE, &other), 0);
    for (size_t f = 0; f < one.family_count; f++) {
        assert_int_equal(one.families[f].series_count, other.families[f].series_count);
        for (size_t i = 0; i < one.families[f].series_count; i++)
            check_series_equal(one.families[f].type, &one.families[f].series[i],
                               &other.families[f].series[i]);
    }
    snapshot_free(&one);
    snapshot_free(&other);
}

/* Rows in any number of portions against the same rows one by one. */
static void tallied_rows_give_the_same_series_as_rows_one_by_one(void **state)
{
    const struct layout_name *by_id[14] = {NULL};
    struct batch batch = {.names = names, .name_count = sizeof(names) / sizeof(names[0])};

    (void)state;
    random_seed();
    for (size_t id = 8; id < 14; id++)
        by_id[id] = name_of((ailive_name)id);
    for (size_t max_series = 3; max_series < 300; max_series += 150) {
        struct aggregate_options options = {.max_series = max_series};
        struct aggregate *tallied = aggregate_new(&options), *alone = aggregate_new(&options);
        uint64_t counted = 0, invalid = 0, wrong = 0;
        struct rows rows;

        assert_int_equal(rows_init(&rows), 0);
        assert_int_equal(rows_begin(&rows, &batch, ROWS), 0);
        aggregate_begin(alone);
        for (size_t i = 0; i < ROWS; i++) {
            struct event_row row = random_row();

            rows_add(&rows, &row);
            if (batch_row_valid(&row, by_id))
                apply_alone(alone, &row);
            else
                wrong++;
        }
        aggregate_end(alone);
        rows_end(&rows, &batch);
        assert_int_equal(rows_invalid(&rows), wrong);
        aggregate_begin(tallied);
        for (size_t first = 0, end; first < ROWS; first = end) {
            end = first + 1 + random_below(ROWS);
            end = end < ROWS ? end : ROWS;
            rows_apply(&rows, tallied, first, end, &counted, &invalid);
        }
        aggregate_end(tallied);
        assert_true(wrong > 0);
        assert_int_equal(invalid, wrong);
        assert_int_equal(counted + invalid, ROWS);
        if (max_series > 100) /* below it, which series come first decides what overflows */
            check_aggregates_equal(tallied, alone);
        rows_fini(&rows);
        aggregate_free(tallied);
        aggregate_free(alone);
    }
}

static void a_run_reuses_its_storage_and_forgets_the_run_before(void **state)
{
    struct batch batch = {.names = names, .name_count = sizeof(names) / sizeof(names[0])};
    struct batch nameless = {.name_count = 0};
    struct event_row row = {
        .kind = AILIVE_KIND_STAGE, .stage = 13, .component = 8, .run_id = 10, .latency_ns = 5};
    struct rows rows;

    (void)state;
    assert_int_equal(rows_init(&rows), 0);
    assert_int_equal(rows_begin(&rows, &batch, 10), 0);
    rows_add(&rows, &row);
    rows_end(&rows, &batch);
    assert_int_equal(rows_invalid(&rows), 0);
    /* The same numbers without their names mean nothing. */
    assert_int_equal(rows_begin(&rows, &nameless, 10), 0);
    rows_add(&rows, &row);
    rows_end(&rows, &nameless);
    assert_int_equal(rows_invalid(&rows), 1);
    rows_fini(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tallied_rows_give_the_same_series_as_rows_one_by_one),
        cmocka_unit_test(a_run_reuses_its_storage_and_forgets_the_run_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
