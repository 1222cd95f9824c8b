/* test_memory_sink.c - what a host's own unit tests rely on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ailive/ailive.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct ailive *open_sink(uint32_t ring_records)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT;
    struct ailive *instance;

    options.memory_sink = 1;
    options.component = "router";
    options.run_id = "run-7";
    options.ring_records = ring_records;
    assert_int_equal(ailive_open(&options, &instance), AILIVE_OK);
    return instance;
}

static int64_t utc_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void a_decision_reads_back_as_recorded(void **state)
{
    struct ailive *instance = open_sink(0);
    struct ailive_record record;
    int64_t before = utc_now(), after;

    (void)state;
    assert_int_equal(
        ailive_record_decision(instance, AILIVE_ACCEPT, AILIVE_REASON_NONE, AILIVE_SUBMIT, 85000000),
        AILIVE_OK);
    after = utc_now();
    assert_int_equal(ailive_memory_read(instance, &record), 1);
    assert_int_equal(record.kind, AILIVE_KIND_DECISION);
    assert_int_equal(record.decision, AILIVE_ACCEPT);
    assert_int_equal(record.action, AILIVE_SUBMIT);
    assert_string_equal(record.reason, "none");
    assert_null(record.stage);
    assert_string_equal(record.component, "router");
    assert_string_equal(record.run_id, "run-7");
    assert_int_equal(record.latency_ns, 85000000);
    assert_true(record.time_ns >= before - 1000 && record.time_ns <= after + 1000);
    assert_int_equal(ailive_memory_read(instance, &record), 0);
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
}

static void scope_and_time_given_are_kept_exactly(void **state)
{
    struct ailive *instance = open_sink(0);
    struct ailive_scope scope;
    struct ailive_record record;
    ailive_name stage;

    (void)state;
    assert_int_equal(ailive_register(instance, AILIVE_NAME_COMPONENT, "watch", &scope.component), AILIVE_OK);
    assert_int_equal(ailive_register(instance, AILIVE_NAME_RUN_ID, "r9", &scope.run_id), AILIVE_OK);
    assert_int_equal(ailive_register(instance, AILIVE_NAME_STAGE, "risk", &stage), AILIVE_OK);
    assert_int_equal(ailive_record_action_for(instance, scope, 1769303388123456789, AILIVE_FILL), AILIVE_OK);
    assert_int_equal(ailive_record_stage_for(instance, scope, -5, stage, -1), AILIVE_OK);
    assert_int_equal(ailive_record_decision_for(instance, scope, AILIVE_NOW, AILIVE_NOOP, AILIVE_REASON_OTHER,
                                                AILIVE_ACTION_NONE, AILIVE_NO_LATENCY),
                     AILIVE_OK);
    assert_int_equal(ailive_memory_read(instance, &record), 1);
    assert_int_equal(record.kind, AILIVE_KIND_ACTION);
    assert_int_equal(record.action, AILIVE_FILL);
    assert_int_equal(record.time_ns, 1769303388123456789);
    assert_int_equal(record.latency_ns, AILIVE_NO_LATENCY);
    assert_string_equal(record.component, "watch");
    assert_string_equal(record.run_id, "r9");
    assert_int_equal(ailive_memory_read(instance, &record), 1);
    assert_string_equal(record.stage, "risk");
    assert_int_equal(record.time_ns, -5);
    assert_int_equal(record.latency_ns, -1);
    assert_int_equal(ailive_memory_read(instance, &record), 1);
    assert_string_equal(record.reason, "other");
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
}

static void an_unknown_handle_is_skipped_and_counted(void **state)
{
    struct ailive *instance = open_sink(0);
    struct ailive_record record;
    struct ailive_stats stats;

    (void)state;
    ailive_record_decision(instance, AILIVE_ACCEPT, 4321, AILIVE_SUBMIT, 1);
    ailive_record_stage(instance, 65535, 1);
    ailive_record_decision(instance, (enum ailive_decision)9, 0, AILIVE_SUBMIT, 1);
    ailive_record_action(instance, AILIVE_ACTION_NONE);
    ailive_record_action(instance, AILIVE_CANCEL);
    assert_int_equal(ailive_memory_read(instance, &record), 1);
    assert_int_equal(record.action, AILIVE_CANCEL);
    assert_int_equal(ailive_memory_read(instance, &record), 0);
    assert_int_equal(ailive_stats(instance, &stats), AILIVE_OK);
    assert_int_equal(stats.ignored, 4);
    assert_int_equal(stats.recorded, 5);
    assert_int_equal(stats.pending, 0);
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
}

static void a_full_ring_drops_says_so_and_counts(void **state)
{
    struct ailive *instance = open_sink(64);
    struct ailive_record record;
    struct ailive_stats stats;

    (void)state;
    for (int i = 0; i < 64; i++)
        assert_int_equal(ailive_record_action(instance, AILIVE_FILL), AILIVE_OK);
    for (int i = 0; i < 10; i++)
        assert_int_equal(ailive_record_action(instance, AILIVE_FILL), AILIVE_EFULL);
    assert_int_equal(ailive_memory_read(instance, &record), 1);
    assert_int_equal(ailive_record_action(instance, AILIVE_FILL), AILIVE_OK);
    assert_int_equal(ailive_record_action(instance, AILIVE_FILL), AILIVE_EFULL);
    ailive_stats(instance, &stats);
    assert_int_equal(stats.recorded, 65);
    assert_int_equal(stats.dropped_full, 11);
    assert_int_equal(stats.pending, 64);
    assert_int_equal(stats.rings, 1);
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
}

#define THREADS 8
#define EACH    5000

static void *record_numbers(void *context)
{
    struct ailive *instance = context;

    for (int i = 0; i < EACH; i++)
        while (ailive_record_decision_for(instance, (struct ailive_scope){8, 9}, i, AILIVE_ACCEPT, 0,
                                          AILIVE_SUBMIT, i) != AILIVE_OK)
            ;
    return NULL;
}

static void eight_threads_lose_nothing_and_each_stays_in_order(void **state)
{
    struct ailive *instance = open_sink(256);
    struct ailive_record record;
    pthread_t threads[THREADS];
    unsigned seen[EACH] = {0};
    int got = 0;

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, record_numbers, instance), 0);
    while (got < THREADS * EACH)
        if (ailive_memory_read(instance, &record) == 1) {
            assert_int_equal(record.time_ns, record.latency_ns);
            /* In order within a thread: number i cannot come more often than number i - 1 has. */
            if (record.latency_ns > 0)
                assert_true(seen[record.latency_ns] < seen[record.latency_ns - 1]);
            seen[record.latency_ns]++;
            got++;
        }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(ailive_memory_read(instance, &record), 0);
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
}

static void other_instances_have_no_memory_to_read(void **state)
{
    struct ailive_record record;

    (void)state;
    assert_int_equal(ailive_memory_read(NULL, &record), AILIVE_EINVAL);
    assert_int_equal(ailive_memory_read(NULL, NULL), AILIVE_EINVAL);
}

static void flush_has_nothing_to_wait_for(void **state)
{
    struct ailive *instance = open_sink(0);

    (void)state;
    ailive_record_action(instance, AILIVE_FILL);
    assert_int_equal(ailive_flush(instance, 0), AILIVE_OK);
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_decision_reads_back_as_recorded),
        cmocka_unit_test(scope_and_time_given_are_kept_exactly),
        cmocka_unit_test(an_unknown_handle_is_skipped_and_counted),
        cmocka_unit_test(a_full_ring_drops_says_so_and_counts),
        cmocka_unit_test(eight_threads_lose_nothing_and_each_stays_in_order),
        cmocka_unit_test(other_instances_have_no_memory_to_read),
        cmocka_unit_test(flush_has_nothing_to_wait_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
