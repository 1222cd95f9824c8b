/* test_ingest.c - recorded = counted + dropped-and-counted, through duplicates, gaps, failures and restarts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core_check.h"
#include "ledger.h"
#include "text.h"

#include <pthread.h>
#include <time.h>

#define OBSERVATIONS 16384u

static struct observation observations[OBSERVATIONS];
static bool invalid[OBSERVATIONS];
static struct labels labels;
static const struct event_producer one = {{0x18, 1}}, two = {{0x18, 2}};

static int begin(void **context)
{
    (void)context;
    labels = (struct labels){.source = SOURCE_SDK_V1,
                             .decision = TEXT_OF("accept"),
                             .reason = TEXT_OF("none"),
                             .component = TEXT_OF("c"),
                             .run_id = TEXT_OF("r")};
    for (size_t i = 0; i < OBSERVATIONS; i++)
        observations[i] = (struct observation){.labels = &labels, .time_ns = 1};
    memset(invalid, 0, sizeof(invalid));
    return core_begin();
}

static int end(void **context)
{
    (void)context;
    return core_end();
}

static enum ingest_status take(const struct event_producer *producer, uint64_t first, uint64_t count,
                               int drop, struct ingest_result *result)
{
    struct ingest_run run = {*producer, 1, first, count, drop, 0};
    struct ingest_unit unit = {.road = ROAD_NNG,
                               .observations = observations,
                               .observation_count = drop < 0 ? (size_t)count : 0,
                               .invalid = invalid,
                               .runs = &run,
                               .run_count = 1};

    return ingest_take(ingest, &unit, result);
}

static void take_records(uint64_t first, uint64_t count)
{
    assert_int_equal(take(&one, first, count, -1, NULL), INGEST_COMMITTED);
}

static uint64_t dropped(const char *reason)
{
    return series_total(aggregate, "ailive_events_dropped_total", reason);
}

static uint64_t duplicates(void)
{
    return series_total(aggregate, "ailive_events_duplicate_total", "road=\"nng\"");
}

static void the_same_batch_twice_counts_once(void **context)
{
    struct ingest_result result;

    (void)context;
    take_records(0, 10);
    assert_int_equal(take(&one, 0, 10, -1, &result), INGEST_COMMITTED);
    assert_int_equal(result.counted, 0);
    assert_int_equal(result.duplicates, 10);
    assert_int_equal(counted(), 10);
    assert_int_equal(duplicates(), 10);
}

static void overlaps_count_only_what_is_new(void **context)
{
    (void)context;
    take_records(10, 10);
    take_records(5, 10); /* 5 new */
    take_records(0, 30); /* 5 + 10 new */
    take_records(12, 3); /* none */
    assert_int_equal(counted(), 30);
    assert_int_equal(duplicates(), 5 + 15 + 3);
}

static void gaps_fill_in_any_order(void **context)
{
    static const uint64_t order[] = {7, 3, 9, 0, 5, 1, 8, 2, 6, 4};

    (void)context;
    for (size_t i = 0; i < 10; i++) {
        assert_false(ingest_accounted(ingest, &one, 1, 100));
        take_records(order[i] * 10, 10);
    }
    assert_int_equal(counted(), 100);
    assert_true(ingest_accounted(ingest, &one, 1, 100));
    assert_false(ingest_accounted(ingest, &one, 1, 101));
    assert_true(ingest_accounted(ingest, &one, 1, 0));
}

static void rings_and_producers_do_not_mix(void **context)
{
    (void)context;
    take_records(0, 10);
    assert_int_equal(take(&two, 0, 10, -1, NULL), INGEST_COMMITTED);
    assert_int_equal(counted(), 20);
}

static void a_range_drop_counts_only_what_was_not_accounted_for(void **context)
{
    (void)context;
    take_records(0, 10);
    assert_int_equal(take(&one, 5, 10, EVENT_DROP_SPOOL_FULL, NULL), INGEST_COMMITTED);
    assert_int_equal(dropped("reason=\"spool_full\""), 5);
    take_records(0, 20); /* 15 to 19 are new */
    assert_int_equal(counted(), 15);
}

static void an_invalid_row_takes_its_number_and_counts_as_dropped(void **context)
{
    struct ingest_result result;

    (void)context;
    invalid[2] = invalid[4] = true;
    assert_int_equal(take(&one, 0, 6, -1, &result), INGEST_COMMITTED);
    assert_int_equal(result.invalid, 2);
    assert_int_equal(counted(), 4);
    assert_int_equal(dropped("reason=\"invalid\""), 2);
    take_records(0, 6);
    assert_int_equal(dropped("reason=\"invalid\""), 2);
}

static void door_words_count_what_they_rose_by(void **context)
{
    struct ingest_door door = {.producer = one, .ring = 0, .words = {7, 1}};
    struct ingest_unit unit = {.road = ROAD_NNG, .doors = &door, .door_count = 1};

    (void)context;
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_COMMITTED);
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_COMMITTED);
    door.words[EVENT_DROP_RING_FULL] = 3; /* an older look at them: nothing */
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_COMMITTED);
    door.words[EVENT_DROP_RING_FULL] = 9;
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_COMMITTED);
    assert_int_equal(dropped("ring_full"), 9);
    assert_int_equal(dropped("no_ring"), 1);
}

static void numbers_that_wrap_and_rings_that_cannot_be_are_refused(void **context)
{
    struct ingest_run run = {one, LAYOUT_RINGS_MAX, 0, 1, -1, 0};
    struct ingest_unit unit = {
        .road = ROAD_NNG, .observations = observations, .observation_count = 1, .runs = &run, .run_count = 1};

    (void)context;
    assert_int_equal(take(&one, UINT64_MAX - 3, 10, -1, NULL), INGEST_REFUSED);
    assert_int_equal(take(&one, UINT64_MAX - 10, 10, EVENT_DROP_REFUSED, NULL), INGEST_COMMITTED);
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_REFUSED);
    run.ring = 1;
    run.count = 2; /* more numbers than observations */
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_REFUSED);
    assert_int_equal(counted(), 0);
}

static void at_the_range_limit_nothing_changes_until_a_gap_fills(void **context)
{
    struct ingest_run *runs = calloc(INGEST_RANGES_MAX, sizeof(*runs));
    struct ingest_unit unit = {.road = ROAD_NNG, .observations = observations, .runs = runs};

    (void)context;
    assert_non_null(runs);
    for (size_t i = 0; i < INGEST_RANGES_MAX; i++)
        runs[i] = (struct ingest_run){one, 1, 10 + 2 * i, 1, -1, i};
    unit.run_count = unit.observation_count = INGEST_RANGES_MAX;
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_COMMITTED);
    free(runs);
    assert_int_equal(take(&one, 0, 2, -1, NULL), INGEST_RANGE_LIMIT);
    assert_int_equal(take(&one, 0, 2, -1, NULL), INGEST_RANGE_LIMIT); /* the first try left nothing behind */
    assert_int_equal(counted(), INGEST_RANGES_MAX);
    take_records(11, 1); /* two ranges become one */
    take_records(0, 2);
    assert_int_equal(counted(), INGEST_RANGES_MAX + 3);
}

static void units_without_numbers_count_every_observation(void **context)
{
    struct ingest_unit unit = {.road = ROAD_FILE, .observations = observations, .observation_count = 3};

    (void)context;
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_COMMITTED);
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_COMMITTED);
    assert_int_equal(counted(), 6);
    assert_int_equal(series_total(aggregate, "ailive_events_total", "road=\"file\""), 6);
}

static void loose_observations_count_beside_runs(void **context)
{
    struct ingest_run run = {one, 1, 0, 2, -1, 0};
    struct ingest_unit unit = {.road = ROAD_SPOOL,
                               .observations = observations,
                               .observation_count = 2,
                               .runs = &run,
                               .run_count = 1,
                               .loose = observations,
                               .loose_count = 1};

    (void)context;
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_COMMITTED);
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_COMMITTED);
    assert_int_equal(counted(), 2 + 2);
}

static enum ingest_status take_at_position(const char *value)
{
    struct change_list positions;
    struct ingest_unit unit = {
        .road = ROAD_FILE, .observations = observations, .observation_count = 1, .positions = &positions};
    enum ingest_status status;

    change_list_init(&positions);
    assert_true(change_list_put(&positions, "f/a", 3, value, strlen(value)));
    status = ingest_take(ingest, &unit, NULL);
    change_list_fini(&positions);
    return status;
}

static const char *position(void)
{
    static char value[16];
    size_t len_bytes = ingest_position(ingest, "f/a", 3, value, sizeof(value) - 1);

    value[len_bytes] = '\0';
    return value;
}

static void a_restart_goes_on_where_the_last_commit_was(void **context)
{
    struct ingest_door door = {.producer = one, .ring = 1, .words = {5}};
    struct ingest_unit unit = {.road = ROAD_NNG, .doors = &door, .door_count = 1};

    (void)context;
    take_records(0, 10);
    take_records(20, 10);
    assert_int_equal(take_at_position("17"), INGEST_COMMITTED);
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_COMMITTED);
    core_down();
    core_up();
    assert_int_equal(counted(), 21);
    assert_string_equal(position(), "17");
    take_records(0, 30);
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_COMMITTED);
    assert_int_equal(counted(), 31);
    assert_int_equal(dropped("ring_full"), 5);
}

static void a_deleted_position_is_gone(void **context)
{
    (void)context;
    assert_int_equal(take_at_position("17"), INGEST_COMMITTED);
    assert_int_equal(take_at_position(""), INGEST_COMMITTED);
    assert_string_equal(position(), "");
    core_down();
    core_up();
    assert_string_equal(position(), "");
}

static void a_failed_commit_counts_nothing_and_shows_the_last_committed(void **context)
{
    struct ingest_health health;

    (void)context;
    take_records(0, 10);
    assert_int_equal(take_at_position("1"), INGEST_COMMITTED);
    failure = FAILS_BEFORE;
    assert_int_equal(take(&one, 10, 10, -1, NULL), INGEST_UNCOMMITTED);
    assert_int_equal(counted(), 11);
    assert_false(ingest_accounted(ingest, &one, 1, 20)); /* salvage would remove the rings */
    assert_false(ingest_committing(ingest));
    assert_false(ingest_maintain(ingest)); /* the disk still fails */
    ingest_health(ingest, &health);
    assert_false(health.committing);
    assert_true(health.commit_errors >= 2);
    assert_non_null(strstr(health.error, strerror(EIO)));
    assert_int_equal(counted(), 11);
    assert_string_equal(position(), "1");
    assert_int_equal(take(&one, 10, 10, -1, NULL), INGEST_UNCOMMITTED);
    failure = FINE;
    assert_true(ingest_maintain(ingest));
    assert_int_equal(counted(), 11);
    take_records(5, 15);
    assert_int_equal(counted(), 21);
    for (unsigned i = 0; i < INGEST_PROVING_TICKS; i++) {
        ingest_health(ingest, &health);
        assert_false(health.committing); /* not believed yet */
        assert_true(ingest_maintain(ingest));
    }
    ingest_health(ingest, &health);
    assert_true(health.committing);
    assert_string_equal(health.error, "");
}

/* The commit went through and the caller was told that it did not: what the state says decides. */
static void a_commit_that_only_seemed_to_fail_is_not_doubled(void **context)
{
    (void)context;
    take_records(0, 10);
    failure = FAILS_AFTER;
    assert_int_equal(take(&one, 10, 10, -1, NULL), INGEST_UNCOMMITTED);
    assert_true(ingest_maintain(ingest));
    take_records(10, 10); /* sent again, because nothing was acknowledged */
    assert_int_equal(counted(), 20);
    failure = FAILS_AFTER;
    assert_int_equal(take_at_position("8"), INGEST_UNCOMMITTED);
    assert_true(ingest_maintain(ingest));
    assert_string_equal(position(), "8"); /* a file source rewinds to here and reads nothing twice */
    assert_int_equal(counted(), 21);
}

static void state_removed(void)
{
    assert_int_equal(nftw(in_folder("state"), folder_remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* Nothing restarts: what is in memory and in the removed file goes on, the unit under way too. */
static void a_state_folder_removed_in_use_costs_nothing_and_doubles_nothing(void **context)
{
    (void)context;
    take_records(0, 10);
    state_removed();
    assert_true(ingest_maintain(ingest)); /* nothing had to be committed for it to be noticed */
    assert_int_equal(counted(), 10);
    state_removed();
    assert_int_equal(take(&one, 10, 10, -1, NULL), INGEST_UNCOMMITTED);
    assert_int_equal(counted(), 10);
    assert_true(ingest_maintain(ingest));
    take_records(10, 10); /* sent again, because nothing was acknowledged */
    assert_int_equal(counted(), 20);
    assert_int_equal(take_at_position("8"), INGEST_COMMITTED);
    core_down();
    core_up();
    assert_int_equal(counted(), 21);
    assert_string_equal(position(), "8");
    take_records(0, 20);
    assert_int_equal(counted(), 21);
}

static void a_gap_that_is_given_up_counts_as_lost_once(void **context)
{
    (void)context;
    take_records(0, 10);
    take_records(15, 5);
    assert_int_equal(ingest_give_up(ingest, &one, 1, 25), INGEST_COMMITTED);
    assert_int_equal(ingest_give_up(ingest, &one, 1, 25), INGEST_COMMITTED);
    assert_int_equal(dropped("lost"), 10);
    assert_int_equal(series_total(aggregate, "ailive_events_duplicate_total", "salvage"), 0); /* none came */
    take_records(0, 25);                                                                      /* too late */
    assert_int_equal(counted(), 15);
}

static void a_forgotten_producers_records_stay_counted_and_never_count_again(void **context)
{
    (void)context;
    take_records(0, 10);
    assert_int_equal(ingest_forget(ingest, &one), INGEST_COMMITTED);
    take_records(0, 10);
    core_down();
    core_up();
    take_records(0, 10);
    assert_int_equal(counted(), 10);
    assert_int_equal(duplicates(), 20);
    assert_int_equal(take(&two, 0, 10, -1, NULL), INGEST_COMMITTED);
    assert_int_equal(counted(), 20);
}

static void an_unknown_producer_older_than_an_expired_tombstone_is_refused(void **context)
{
    struct ledger *ledger = ledger_new();
    struct event_producer producer = {{0x18, 5}};
    const struct event_producer known = {{0x18, 4}};
    struct ledger_ring *ring;

    (void)context;
    assert_int_equal(ledger_ring(ledger, &known, 1, &ring), LEDGER_OK);
    for (unsigned i = 0; i < LEDGER_TOMBSTONES_MAX + 10; i++) {
        producer.bytes[2] = (unsigned char)(i >> 8);
        producer.bytes[3] = (unsigned char)i;
        assert_int_equal(ledger_ring(ledger, &producer, 1, &ring), LEDGER_OK);
        assert_int_equal(ledger_forget(ledger, &producer), LEDGER_OK);
        ledger_committed(ledger);
    }
    assert_int_equal(ledger_ring(ledger, &producer, 1, &ring), LEDGER_FORGOTTEN);
    producer.bytes[2] = 0;
    producer.bytes[3] = 3; /* one of the ten that expired */
    assert_int_equal(ledger_ring(ledger, &producer, 1, &ring), LEDGER_EXPIRED);
    producer.bytes[1] = 6; /* younger than all of them */
    assert_int_equal(ledger_ring(ledger, &producer, 1, &ring), LEDGER_OK);
    assert_int_equal(ledger_ring(ledger, &known, 2, &ring), LEDGER_OK); /* older, but no stranger */
    ledger_free(ledger);
}

/* So many that the table's seed hardly matters: where they collide, one that is forgotten stood before one
 * that stays. */
static void the_others_stay_known_when_some_are_forgotten(void **context)
{
    struct ledger *ledger = ledger_new();
    struct event_producer producer = {{0x18, 7}};
    struct range_list ranges = {0};
    struct ledger_ring *ring;

    (void)context;
    for (unsigned i = 0; i < 190; i++) {
        producer.bytes[3] = (unsigned char)i;
        assert_int_equal(ledger_ring(ledger, &producer, 1, &ring), LEDGER_OK);
        assert_int_equal(ledger_account(ledger, ring, 0, 10, &ranges), LEDGER_OK);
        ledger_committed(ledger);
    }
    ranges.count = 0;
    for (unsigned i = 0; i < 190; i += 2) {
        producer.bytes[3] = (unsigned char)i;
        assert_int_equal(ledger_forget(ledger, &producer), LEDGER_OK);
        ledger_committed(ledger);
    }
    for (unsigned i = 0; i < 190; i++) {
        producer.bytes[3] = (unsigned char)i;
        assert_int_equal(ledger_gaps(ledger, &producer, 1, 10, &ranges), LEDGER_OK);
        assert_int_equal(ranges.count, 0);
    }
    range_list_fini(&ranges);
    ledger_free(ledger);
}

static bool vouched; /* what the fake look at the folders says */

static bool folder_there(void *context, const struct event_producer *of)
{
    (void)context;
    (void)of;
    return vouched;
}

/* Forgets so many younger producers that one who never recorded may have been among the forgotten. */
static void horizon_make(void)
{
    struct event_producer other = {{0x18, 9}};

    for (unsigned i = 0; i < LEDGER_TOMBSTONES_MAX + 10; i++) {
        other.bytes[2] = (unsigned char)(i >> 8);
        other.bytes[3] = (unsigned char)i;
        assert_int_equal(take(&other, 0, 1, EVENT_DROP_SPOOL_FULL, NULL), INGEST_COMMITTED);
        assert_int_equal(ingest_forget(ingest, &other), INGEST_COMMITTED);
    }
}

static void what_may_have_been_forgotten_is_refused_and_counted_once(void **context)
{
    struct event_producer old = {{0x18, 5}};

    (void)context;
    horizon_make();
    for (int again = 0; again < 2; again++) { /* also after a restart, and whoever vouches for nobody */
        assert_int_equal(take(&old, 0, 10, -1, NULL), INGEST_COMMITTED);
        assert_int_equal(counted(), 0);
        assert_int_equal(series_total(aggregate, "ailive_events_dropped_total", "refused"), 10);
        core_down();
        core_up();
        ingest_vouch(ingest, NULL, NULL);
    }
    assert_int_equal(take(&old, 5, 10, -1, NULL), INGEST_COMMITTED); /* five of them are new */
    assert_int_equal(series_total(aggregate, "ailive_events_dropped_total", "refused"), 15);
    assert_int_equal(counted(), 0);
}

static void a_producer_whose_folder_is_there_was_never_forgotten(void **context)
{
    struct event_producer old = {{0x18, 5}};

    (void)context;
    horizon_make();
    ingest_vouch(ingest, folder_there, NULL);
    vouched = true;
    assert_int_equal(take(&old, 0, 10, -1, NULL), INGEST_COMMITTED);
    vouched = false; /* known by now: nobody is asked */
    assert_int_equal(take(&old, 5, 10, -1, NULL), INGEST_COMMITTED);
    assert_int_equal(counted(), 15);
    assert_int_equal(series_total(aggregate, "ailive_events_dropped_total", "refused"), 0);
}

static void ignore_pair(void *context, const void *key, size_t key_len, const void *value, size_t value_len)
{
    (void)key;
    (void)key_len;
    (void)value;
    (void)value_len;
    ++*(size_t *)context;
}

static void a_state_that_cannot_be_understood_is_refused(void **context)
{
    struct change_list list;
    struct ingest *second;
    struct aggregate *other = aggregate_new(NULL);
    size_t pairs = 0;

    (void)context;
    change_list_init(&list);
    assert_true(change_list_put(&list, "rnonsense", 9, "x", 1));
    assert_int_equal(state_commit(state, &list), 0);
    assert_int_equal(state_load(state, ignore_pair, &pairs), 0);
    assert_int_equal(pairs, 1);
    assert_int_equal(ingest_open(other, state, &second, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "move the state folder away"));
    change_list_fini(&list);
    aggregate_free(other);
}

/* A ring's pair with ranges that overlap, or in the wrong order, would double what it should not. */
static void damaged_ranges_are_not_restored(void **context)
{
    unsigned char key[21] = {'r', 1}, value[64 + 32] = {0};
    struct ledger *ledger = ledger_new();

    (void)context;
    value[64] = 5;     /* 5 to 9 */
    value[64 + 8] = 9; /* then 8 to 12: overlaps */
    value[64 + 16] = 8;
    value[64 + 24] = 12;
    assert_false(ledger_restore(ledger, key, sizeof(key), value, sizeof(value)));
    ledger_clear(ledger);
    value[64 + 16] = 10;
    assert_true(ledger_restore(ledger, key, sizeof(key), value, sizeof(value)));
    assert_false(ledger_restore(ledger, key, sizeof(key), value, sizeof(value))); /* twice the same ring */
    ledger_clear(ledger);
    assert_false(ledger_restore(ledger, key, sizeof(key), value, sizeof(value) - 1));
    assert_false(ledger_restore(ledger, key, 20, value, sizeof(value)));
    ledger_free(ledger);
}

static unsigned random_below(unsigned *seed, unsigned below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

/* Random runs, failures and restarts against a plain table of numbers. */
static void a_random_history_agrees_with_a_plain_table(void **context)
{
    static unsigned char seen[2000];
    const char *given = getenv("AILIVE_SEED");
    unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    uint64_t expected = 0, expected_dropped = 0;

    (void)context;
    print_message("AILIVE_SEED=%u\n", seed);
    memset(seen, 0, sizeof(seen));
    for (unsigned step = 0; step < 400; step++) {
        uint64_t first = random_below(&seed, 1900), count = random_below(&seed, 100);
        int drop = random_below(&seed, 5) == 0 ? EVENT_DROP_SPOOL_FULL : -1;
        unsigned dice = random_below(&seed, 20);
        enum ingest_status status;

        failure = dice == 0 ? FAILS_BEFORE : dice == 1 ? FAILS_AFTER : FINE;
        status = take(&one, first, count, drop, NULL);
        if (failure == FAILS_BEFORE || status == INGEST_UNCOMMITTED) {
            failure = FINE;
            assert_true(ingest_maintain(ingest));
            assert_int_equal(take(&one, first, count, drop, NULL), INGEST_COMMITTED);
        }
        failure = FINE;
        for (uint64_t i = first; i < first + count; i++) {
            if (seen[i] == 0)
                *(drop < 0 ? &expected : &expected_dropped) += 1;
            seen[i] = 1;
        }
        if (dice == 2) {
            core_down();
            core_up();
        }
        assert_int_equal(counted(), expected);
        assert_int_equal(dropped("spool_full"), expected_dropped);
    }
}

static void *take_many(void *argument)
{
    const struct event_producer *producer = argument;

    for (uint64_t i = 0; i < 200; i++)
        if (take(producer, i * 10, 15, -1, NULL) != INGEST_COMMITTED)
            return argument;
    return NULL;
}

static void units_of_several_threads_count_exactly(void **context)
{
    static struct event_producer producers[4];
    pthread_t threads[4];
    void *failed;

    (void)context;
    labels.route = NULL;
    for (unsigned char i = 0; i < 4; i++) {
        producers[i] = (struct event_producer){{0x18, 9, i}};
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &producers[i]), 0);
    }
    for (unsigned i = 0; i < 20; i++)
        ingest_maintain(ingest);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(counted(), 4 * (199 * 10 + 15));
}

static void a_state_in_memory_counts_as_well(void **context)
{
    struct aggregate *other = aggregate_new(NULL);
    struct state *memory;
    struct ingest *door;
    struct ingest_unit unit = {.road = ROAD_REPLAY, .observations = observations, .observation_count = 3};

    (void)context;
    assert_int_equal(state_open(NULL, &memory, error, sizeof(error)), 0);
    assert_int_equal(ingest_open(other, memory, &door, error, sizeof(error)), 0);
    labels.route = NULL;
    labels.generation = 0;
    assert_int_equal(ingest_take(door, &unit, NULL), INGEST_COMMITTED);
    assert_int_equal(series_total(other, "peaktrade_ai_decisions_total", ""), 3);
    ingest_close(door);
    state_close(memory);
    aggregate_free(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_batch_twice_counts_once),
        TEST(overlaps_count_only_what_is_new),
        TEST(gaps_fill_in_any_order),
        TEST(rings_and_producers_do_not_mix),
        TEST(a_range_drop_counts_only_what_was_not_accounted_for),
        TEST(an_invalid_row_takes_its_number_and_counts_as_dropped),
        TEST(door_words_count_what_they_rose_by),
        TEST(numbers_that_wrap_and_rings_that_cannot_be_are_refused),
        TEST(at_the_range_limit_nothing_changes_until_a_gap_fills),
        TEST(units_without_numbers_count_every_observation),
        TEST(loose_observations_count_beside_runs),
        TEST(a_restart_goes_on_where_the_last_commit_was),
        TEST(a_deleted_position_is_gone),
        TEST(a_failed_commit_counts_nothing_and_shows_the_last_committed),
        TEST(a_commit_that_only_seemed_to_fail_is_not_doubled),
        TEST(a_state_folder_removed_in_use_costs_nothing_and_doubles_nothing),
        TEST(a_gap_that_is_given_up_counts_as_lost_once),
        TEST(a_forgotten_producers_records_stay_counted_and_never_count_again),
        TEST(an_unknown_producer_older_than_an_expired_tombstone_is_refused),
        TEST(the_others_stay_known_when_some_are_forgotten),
        TEST(what_may_have_been_forgotten_is_refused_and_counted_once),
        TEST(a_producer_whose_folder_is_there_was_never_forgotten),
        TEST(a_state_that_cannot_be_understood_is_refused),
        TEST(damaged_ranges_are_not_restored),
        TEST(a_random_history_agrees_with_a_plain_table),
        TEST(units_of_several_threads_count_exactly),
        TEST(a_state_in_memory_counts_as_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
