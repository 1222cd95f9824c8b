/* test_layout.c - claims about sdk/wire/layout: what a valid folder is, and that nothing else passes. */
#include "wire/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- ring ---- */

static struct layout_ring ring_of(uint32_t number, uint64_t capacity)
{
    struct layout_ring ring;

    memset(&ring, 0, sizeof(ring));
    memcpy(ring.magic, LAYOUT_RING_MAGIC, 8);
    ring.slot_bytes = AILIVE_SLOT_BYTES;
    ring.number = number;
    ring.capacity = capacity;
    return ring;
}

static uint64_t size_of(const struct layout_ring *ring)
{
    return LAYOUT_RING_HEADER_BYTES + ring->capacity * AILIVE_SLOT_BYTES;
}

static void assert_valid(const struct layout_ring *ring)
{
    const char *why = layout_ring_check(ring, size_of(ring));

    if (why)
        fail_msg("a valid ring is refused: %s", why);
}

static void assert_refused(const struct layout_ring *ring, const char *word)
{
    const char *why = layout_ring_check(ring, size_of(ring));

    assert_non_null(why);
    if (!strstr(why, word))
        fail_msg("expected a complaint about %s, not: %s", word, why);
}

static void ring_header_has_the_documented_offsets(void **state)
{
    (void)state;
    assert_int_equal(offsetof(struct layout_ring, slot_bytes), 8);
    assert_int_equal(offsetof(struct layout_ring, number), 12);
    assert_int_equal(offsetof(struct layout_ring, capacity), 16);
    assert_int_equal(sizeof(struct layout_range_drop), 32);
    assert_int_equal(offsetof(struct layout_names, used), 8);
    assert_int_equal(offsetof(struct layout_names, entries), 64);
    assert_int_equal(offsetof(struct layout_clock, count), 16);
    assert_int_equal(offsetof(struct layout_clock, pairs), 64);
}

static void rings_within_the_rules_are_valid(void **state)
{
    struct layout_ring ring = ring_of(0, 0);

    (void)state;
    assert_valid(&ring);
    ring = ring_of(1, LAYOUT_RING_MIN_RECORDS);
    assert_valid(&ring);
    ring = ring_of(LAYOUT_RINGS_MAX - 1, LAYOUT_RING_MAX_RECORDS);
    assert_valid(&ring);
    ring = ring_of(1, 64);
    ring.head = UINT64_MAX; /* positions just before they would wrap */
    ring.tail = UINT64_MAX - 64;
    assert_valid(&ring);
}

static void ring_with_a_broken_header_is_refused(void **state)
{
    struct layout_ring ring;

    (void)state;
    ring = ring_of(1, 64);
    ring.magic[7] = '2';
    assert_refused(&ring, "magic");
    ring = ring_of(1, 64);
    ring.slot_bytes = 31;
    assert_refused(&ring, "slot_bytes");
    ring = ring_of(LAYOUT_RINGS_MAX, 64);
    assert_refused(&ring, "number");
    ring = ring_of(0, 64);
    assert_refused(&ring, "ring 0");
    ring = ring_of(1, 0);
    assert_refused(&ring, "capacity");
    ring = ring_of(1, 32);
    assert_refused(&ring, "capacity");
    ring = ring_of(1, 96);
    assert_refused(&ring, "power of two");
    ring = ring_of(1, 2 * (uint64_t)LAYOUT_RING_MAX_RECORDS);
    assert_refused(&ring, "capacity");
    ring = ring_of(1, UINT64_MAX);
    assert_string_equal(layout_ring_check(&ring, 1 << 20), "capacity is not between 64 and 16777216");
}

static void ring_file_of_another_size_is_refused(void **state)
{
    struct layout_ring ring = ring_of(1, 64);

    (void)state;
    assert_non_null(layout_ring_check(&ring, 0));
    assert_non_null(layout_ring_check(&ring, LAYOUT_RING_HEADER_BYTES - 1));
    assert_non_null(layout_ring_check(&ring, size_of(&ring) - 1));
    assert_non_null(layout_ring_check(&ring, size_of(&ring) + 1));
}

static void ring_with_impossible_positions_is_refused(void **state)
{
    struct layout_ring ring = ring_of(1, 64);

    (void)state;
    ring.head = 5;
    ring.tail = 6;
    assert_refused(&ring, "ahead");
    ring.tail = 0;
    ring.head = 64;
    assert_valid(&ring);
    ring.head = 65;
    assert_refused(&ring, "more records");
    ring = ring_of(0, 0);
    ring.head = 1;
    assert_refused(&ring, "more records");
}

static void range_drops_are_checked_unless_they_stand_for_nothing(void **state)
{
    struct layout_ring ring = ring_of(1, 64);
    struct layout_range_drop *last = &ring.drops[LAYOUT_RANGE_DROPS - 1];

    (void)state;
    ring.head = 200;
    ring.tail = 180;
    *last = (struct layout_range_drop){170, 190, EVENT_DROP_SPOOL_FULL, 0};
    assert_valid(&ring); /* ends behind the tail: written, not yet published */
    last->reason = EVENT_DROP_RING_FULL;
    assert_refused(&ring, "reason");
    last->reason = EVENT_DROP_REASONS;
    assert_refused(&ring, "reason");
    last->reason = EVENT_DROP_REFUSED;
    last->zero = 1;
    assert_refused(&ring, "last word");
    last->zero = 0;
    last->end = 201;
    assert_refused(&ring, "head");
    *last = (struct layout_range_drop){300, 300, 99, 99};
    assert_valid(&ring); /* emptied */
    *last = (struct layout_range_drop){300, 10, 0, 0};
    assert_valid(&ring); /* killed between the stores of first and end */
}

/* ---- names ---- */

static void names_written_are_read_back(void **state)
{
    char text[AILIVE_NAME_MAX_BYTES];
    unsigned char entries[8192];
    size_t used = 0, offset = 0;
    struct layout_name name;

    (void)state;
    memset(text, 't', sizeof(text));
    memset(entries, 0xee, sizeof(entries));
    for (uint8_t len = 1; len <= AILIVE_NAME_MAX_BYTES; len++) {
        name = (struct layout_name){(ailive_name)(len * 600), (uint8_t)(1 + len % 4), len, text};
        layout_name_write(entries + used, &name);
        assert_int_equal(layout_name_bytes(len), (4u + len + 3) / 4 * 4);
        used += layout_name_bytes(len);
    }
    for (uint8_t len = 1; len <= AILIVE_NAME_MAX_BYTES; len++) {
        assert_int_equal(layout_name_read(entries, used, &offset, &name), 1);
        assert_int_equal(name.id, (ailive_name)(len * 600));
        assert_int_equal(name.kind, 1 + len % 4);
        assert_int_equal(name.len_bytes, len);
        assert_memory_equal(name.text, text, len);
    }
    assert_int_equal(layout_name_read(entries, used, &offset, &name), 0);
    assert_int_equal(offset, used);
}

static void name_entry_has_the_documented_bytes(void **state)
{
    const struct layout_name name = {0x0102, AILIVE_NAME_STAGE, 5, "stage"};
    const unsigned char expected[] = {0x02, 0x01, 2, 5, 's', 't', 'a', 'g', 'e', 0, 0, 0};
    unsigned char out[sizeof(expected) + 1];

    (void)state;
    memset(out, 0xee, sizeof(out));
    layout_name_write(out, &name);
    assert_memory_equal(out, expected, sizeof(expected));
    assert_int_equal(out[sizeof(expected)], 0xee);
}

/* The registered names, and the instance's own component and run id. */
static void every_name_of_the_limit_fits_the_file(void **state)
{
    (void)state;
    assert_true(LAYOUT_NAMES_HEADER_BYTES +
                    (AILIVE_NAMES_MAX + 2) * layout_name_bytes(AILIVE_NAME_MAX_BYTES) <=
                LAYOUT_NAMES_FILE_BYTES);
}

/* The entry in memory of exactly its size, so that a read beyond it is seen by the sanitizer. */
static int read_entry(const unsigned char *bytes, size_t len)
{
    unsigned char *exact = malloc(len ? len : 1);
    struct layout_name name;
    size_t offset = 0;
    int result;

    assert_non_null(exact);
    memcpy(exact, bytes, len);
    result = layout_name_read(exact, len, &offset, &name);
    if (result != 1)
        assert_int_equal(offset, 0);
    free(exact);
    return result;
}

static void name_entry_that_is_cut_or_wrong_is_refused(void **state)
{
    unsigned char entry[] = {10, 0, AILIVE_NAME_REASON, 5, 's', 't', 'a', 'g', 'e', 0, 0, 0};
    unsigned char big[4 + 100] = {10, 0, AILIVE_NAME_REASON, 97};
    struct layout_name name;
    size_t offset = 13;

    (void)state;
    assert_int_equal(read_entry(entry, sizeof(entry)), 1);
    assert_int_equal(read_entry(entry, 0), 0);
    for (size_t len = 1; len < sizeof(entry); len++)
        assert_int_equal(read_entry(entry, len), -1);
    assert_int_equal(layout_name_read(entry, sizeof(entry), &offset, &name), -1); /* begins behind the end */
    entry[0] = 0;
    assert_int_equal(read_entry(entry, sizeof(entry)), -1); /* id 0 */
    entry[0] = 10;
    entry[2] = 0;
    assert_int_equal(read_entry(entry, sizeof(entry)), -1); /* kind */
    entry[2] = AILIVE_NAME_RUN_ID + 1;
    assert_int_equal(read_entry(entry, sizeof(entry)), -1);
    entry[2] = AILIVE_NAME_REASON;
    entry[3] = 0;
    assert_int_equal(read_entry(entry, sizeof(entry)), -1); /* empty text */
    assert_int_equal(read_entry(big, sizeof(big)), -1);     /* text of 97 bytes */
    big[3] = 96;
    assert_int_equal(read_entry(big, sizeof(big)), 1);
}

/* ---- clock ---- */

#define GHZ_NUMERATOR 3 /* three ticks a nanosecond */

static void fill_pairs(struct layout_clock_pair *pairs, size_t n, uint64_t ticks, int64_t utc_ns)
{
    for (size_t i = 0; i < n; i++) {
        pairs[i].ticks = ticks + i * 100000000u * GHZ_NUMERATOR;
        pairs[i].utc_ns = utc_ns + (int64_t)i * 100000000;
    }
}

static void utc_is_interpolated_and_extrapolated_exactly(void **state)
{
    const uint64_t ticks = (uint64_t)1 << 62; /* far beyond what 64-bit products could carry */
    const int64_t utc_ns = 1769303388123456789;
    struct layout_clock_pair pairs[5];

    (void)state;
    fill_pairs(pairs, 5, ticks, utc_ns);
    assert_true(layout_clock_utc(pairs, 5, ticks) == utc_ns);
    assert_true(layout_clock_utc(pairs, 5, pairs[4].ticks) == pairs[4].utc_ns);
    for (int64_t ns = -3600000000000; ns <= 3600000000000; ns += 7777777777)
        assert_true(layout_clock_utc(pairs, 5, ticks + (uint64_t)(ns * GHZ_NUMERATOR)) == utc_ns + ns);
}

static void one_pair_takes_ticks_for_nanoseconds(void **state)
{
    const struct layout_clock_pair pair = {1000, 50000};

    (void)state;
    assert_int_equal(layout_clock_utc(&pair, 1, 1000), 50000);
    assert_int_equal(layout_clock_utc(&pair, 1, 1700), 50700);
    assert_int_equal(layout_clock_utc(&pair, 1, 300), 49300);
    assert_int_equal(layout_clock_utc(&pair, 0, 300), 0);
}

static void slew_is_followed_between_its_pairs(void **state)
{
    const struct layout_clock_pair pairs[4] = {
        {0, 0}, {1000000, 1000000}, {2000000, 2000000}, {3000000, 3000500}}; /* 500 ppm faster at last */

    (void)state;
    assert_int_equal(layout_clock_utc(pairs, 4, 500000), 500000);
    assert_int_equal(layout_clock_utc(pairs, 4, 2500000), 2500250);
}

/* A step of the clock between pairs 3 and 4: what was recorded in that interval takes the time after the
 * step, everything else is untouched by it. */
static void check_step(int64_t step_ns)
{
    struct layout_clock_pair pairs[10];
    uint64_t middle;

    fill_pairs(pairs, 10, 5000, 1769303388000000000);
    for (size_t i = 4; i < 10; i++)
        pairs[i].utc_ns += step_ns;
    for (size_t i = 0; i + 1 < 10; i++) {
        middle = (pairs[i].ticks + pairs[i + 1].ticks) / 2;
        assert_true(layout_clock_utc(pairs, 10, middle) == pairs[i + 1].utc_ns - 50000000);
    }
    assert_true(layout_clock_utc(pairs, 10, pairs[9].ticks + 3000000) == pairs[9].utc_ns + 1000000);
    assert_true(layout_clock_utc(pairs, 10, 5000 - 3000) == pairs[0].utc_ns - 1000);
}

static void step_of_the_clock_spoils_no_other_interval(void **state)
{
    (void)state;
    check_step(3600000000000);  /* an hour forward: the rate from first to last pair is nonsense */
    check_step(-3600000000000); /* an hour back */
    check_step(50000000);
    check_step(-1000000);
}

static void time_between_two_pairs_stays_between_them_without_a_majority(void **state)
{
    struct layout_clock_pair pairs[3] = {{0, 0}, {1000, 1000}, {2000, 900000}};

    (void)state;
    for (uint64_t ticks = 0; ticks <= 1000; ticks += 100)
        assert_in_range(layout_clock_utc(pairs, 3, ticks), 0, 1000);
    for (uint64_t ticks = 1000; ticks <= 2000; ticks += 100)
        assert_in_range(layout_clock_utc(pairs, 3, ticks), 1000, 900000);
}

static void hostile_pairs_give_some_time_and_no_overflow(void **state)
{
    const struct layout_clock_pair worst[] = {
        {0, INT64_MIN}, {UINT64_MAX, INT64_MAX}, {0, INT64_MAX}, {UINT64_MAX, INT64_MIN}, {7, 0}, {7, 0}};
    const uint64_t ticks[] = {0, 1, 7, UINT64_MAX / 2, UINT64_MAX};
    struct layout_clock_pair pairs[3];

    (void)state;
    for (size_t a = 0; a < 6; a++)
        for (size_t b = 0; b < 6; b++)
            for (size_t c = 0; c < 6; c++)
                for (size_t t = 0; t < 5; t++)
                    for (size_t n = 1; n <= 3; n++) {
                        pairs[0] = worst[a];
                        pairs[1] = worst[b];
                        pairs[2] = worst[c];
                        (void)layout_clock_utc(pairs, n, ticks[t]); /* the sanitizer is the judge */
                    }
}

static void clock_file_of(struct layout_clock *file, uint64_t count)
{
    memset(file, 0, sizeof(*file));
    memcpy(file->magic, LAYOUT_CLOCK_MAGIC, 8);
    file->count = count;
    for (uint64_t k = count > LAYOUT_CLOCK_PAIRS ? count - LAYOUT_CLOCK_PAIRS : 0; k < count; k++)
        file->pairs[k % LAYOUT_CLOCK_PAIRS] = (struct layout_clock_pair){k + 1, (int64_t)(10 * k)};
}

static void check_clock_file(uint64_t count, size_t expected)
{
    static struct layout_clock file;
    struct layout_clock_pair out[LAYOUT_CLOCK_PAIRS];

    clock_file_of(&file, count);
    /* the one that may have been under the pen when its owner was killed */
    file.pairs[count % LAYOUT_CLOCK_PAIRS] = (struct layout_clock_pair){UINT64_MAX, INT64_MIN};
    assert_int_equal(layout_clock_read(&file, out), expected);
    for (size_t i = 0; i < expected; i++) {
        assert_int_equal(out[i].ticks, count - expected + i + 1);
        assert_int_equal(out[i].utc_ns, 10 * (count - expected + i));
    }
}

static void clock_file_gives_its_pairs_oldest_first_without_the_torn_one(void **state)
{
    (void)state;
    check_clock_file(0, 0);
    check_clock_file(1, 1);
    check_clock_file(LAYOUT_CLOCK_PAIRS - 1, LAYOUT_CLOCK_PAIRS - 1);
    check_clock_file(LAYOUT_CLOCK_PAIRS, LAYOUT_CLOCK_PAIRS - 1);
    check_clock_file(1000, LAYOUT_CLOCK_PAIRS - 1);
}

static void what_is_no_clock_file_gives_no_pairs(void **state)
{
    static struct layout_clock file;
    struct layout_clock_pair out[LAYOUT_CLOCK_PAIRS];

    (void)state;
    clock_file_of(&file, 5);
    file.magic[0] = 'X';
    assert_int_equal(layout_clock_read(&file, out), 0);
    clock_file_of(&file, 5);
    file.count = UINT64_MAX; /* any count stays within the file */
    assert_true(layout_clock_read(&file, out) <= LAYOUT_CLOCK_PAIRS);
    clock_file_of(&file, 5);
    file.pairs[2].ticks = 1; /* going back: left out */
    assert_int_equal(layout_clock_read(&file, out), 4);
}

/* ---- file names ---- */

static void folders_and_rings_are_named_as_documented(void **state)
{
    struct event_producer producer;
    char out[LAYOUT_NAME_BYTES];

    (void)state;
    memset(&producer, 0xab, sizeof(producer));
    layout_folder_name(&producer, out);
    assert_string_equal(out, "abababababababababababababababab");
    layout_folder_new_name(&producer, out);
    assert_string_equal(out, ".abababababababababababababababab.new");
    layout_ring_name(0, out);
    assert_string_equal(out, "ring-0");
    layout_ring_name(1023, out);
    assert_string_equal(out, "ring-1023");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring_header_has_the_documented_offsets),
        cmocka_unit_test(rings_within_the_rules_are_valid),
        cmocka_unit_test(ring_with_a_broken_header_is_refused),
        cmocka_unit_test(ring_file_of_another_size_is_refused),
        cmocka_unit_test(ring_with_impossible_positions_is_refused),
        cmocka_unit_test(range_drops_are_checked_unless_they_stand_for_nothing),
        cmocka_unit_test(names_written_are_read_back),
        cmocka_unit_test(name_entry_has_the_documented_bytes),
        cmocka_unit_test(every_name_of_the_limit_fits_the_file),
        cmocka_unit_test(name_entry_that_is_cut_or_wrong_is_refused),
        cmocka_unit_test(utc_is_interpolated_and_extrapolated_exactly),
        cmocka_unit_test(one_pair_takes_ticks_for_nanoseconds),
        cmocka_unit_test(slew_is_followed_between_its_pairs),
        cmocka_unit_test(step_of_the_clock_spoils_no_other_interval),
        cmocka_unit_test(time_between_two_pairs_stays_between_them_without_a_majority),
        cmocka_unit_test(hostile_pairs_give_some_time_and_no_overflow),
        cmocka_unit_test(clock_file_gives_its_pairs_oldest_first_without_the_torn_one),
        cmocka_unit_test(what_is_no_clock_file_gives_no_pairs),
        cmocka_unit_test(folders_and_rings_are_named_as_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
