/* test_ring.c - the ring's claims: whole records, exact drops, any wrap of its counters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWNER ((const struct ailive *)(uintptr_t)64)

static void open_pair(struct ring *ring, struct ailive_writer *writer, uint64_t capacity, uint64_t start)
{
    memset(ring, 0, sizeof(*ring));
    assert_int_equal(ring_open_memory(ring, 1, capacity, start), 0);
    ring_attach(writer, ring, OWNER, AILIVE_CLOCK_COUNTER);
}

/* What the recording calls do, with the value in the latency. */
static bool put(struct ailive_writer *writer, uint64_t value)
{
    if (writer->head >= writer->limit && ring_room(writer) == RING_FULL)
        return false;
    ring_put(writer, 1, (int64_t)value, 2, 3);
    return true;
}

static void without_a_counter_every_record_takes_the_slow_path(void **state)
{
    struct ailive_writer writer = {0};
    struct ring ring;

    (void)state;
    memset(&ring, 0, sizeof(ring));
    assert_int_equal(ring_open_memory(&ring, 1, 64, 0), 0);
    ring_attach(&writer, &ring, OWNER, AILIVE_CLOCK_GETTIME);
    for (uint64_t i = 0; i < 64; i++) {
        assert_true(writer.head >= writer.limit);
        assert_true(put(&writer, i));
    }
    assert_false(put(&writer, 64));
    ring_close(&ring);
}

static uint64_t value_at(const struct ring *ring, uint64_t seq)
{
    const uint64_t *words = ring_slot(ring, seq);

    assert_int_equal(words[0], 1);
    assert_int_equal(words[2], 2 | (uint64_t)AILIVE_SLOT_UTC << 24);
    assert_int_equal(words[3], 3);
    return words[1];
}

static void run_three_times_around(uint64_t start)
{
    struct ring ring;
    struct ailive_writer writer;
    uint64_t tail = start;

    open_pair(&ring, &writer, 64, start);
    for (uint64_t i = 0; i < 192; i++) {
        assert_true(put(&writer, i));
        if (i % 3 == 2) {
            uint64_t head = ring_readable(&ring);
            assert_int_equal(head - tail, 3);
            for (; tail != head; tail++)
                assert_int_equal(value_at(&ring, tail), tail - start);
            ring_release(&ring, tail);
        }
    }
    assert_int_equal(ring_readable(&ring), start + 192);
    ring_close(&ring);
}

static void records_come_out_as_they_went_in_around_any_wrap(void **state)
{
    (void)state;
    run_three_times_around(0);
    run_three_times_around(((uint64_t)1 << 32) - 70); /* of the low half of the counter */
    run_three_times_around(UINT64_MAX - 70);          /* and of all of it */
}

static void a_full_ring_takes_nothing_and_one_released_slot_takes_one(void **state)
{
    const uint64_t starts[] = {0, ((uint64_t)1 << 32) - 10, UINT64_MAX - 10};

    (void)state;
    for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
        struct ring ring;
        struct ailive_writer writer;
        open_pair(&ring, &writer, 64, starts[s]);
        for (uint64_t i = 0; i < 64; i++)
            assert_true(put(&writer, i));
        assert_false(put(&writer, 64));
        assert_false(put(&writer, 64));
        assert_int_equal(ring_readable(&ring), starts[s] + 64);
        ring_release(&ring, starts[s] + 1);
        assert_true(put(&writer, 64));
        assert_false(put(&writer, 65));
        assert_int_equal(value_at(&ring, starts[s] + 64), 64);
        ring_close(&ring);
    }
}

static void the_slow_path_is_taken_at_half_full_and_at_full_only(void **state)
{
    struct ring ring;
    struct ailive_writer writer;
    unsigned rooms[3] = {0, 0, 0};

    (void)state;
    open_pair(&ring, &writer, 64, 0);
    for (uint64_t i = 0; i < 65; i++) {
        if (writer.head >= writer.limit) {
            enum ring_room room = ring_room(&writer);
            rooms[room]++;
            if (room == RING_HALF)
                assert_int_equal(writer.head, 32);
            if (room == RING_FULL)
                break;
        }
        ring_put(&writer, 1, 0, 2, 3);
    }
    assert_int_equal(rooms[RING_ROOM], 1);
    assert_int_equal(rooms[RING_HALF], 1);
    assert_int_equal(rooms[RING_FULL], 1);
    ring_close(&ring);
}

static void door_drops_add_up_and_are_seen(void **state)
{
    struct ring ring;
    struct ailive_writer writer;
    uint64_t door[LAYOUT_DOOR_WORDS];

    (void)state;
    open_pair(&ring, &writer, 64, 0);
    assert_false(ring_door_changed(&ring));
    ring_door_drop(&writer);
    ring_door_drop(&writer);
    assert_true(ring_door_changed(&ring));
    ring_door_read(&ring, door);
    assert_int_equal(door[EVENT_DROP_RING_FULL], 2);
    assert_int_equal(door[EVENT_DROP_NO_RING], 0);
    assert_false(ring_at_rest(&ring));
    ring.door_known[EVENT_DROP_RING_FULL] = 2;
    assert_true(ring_at_rest(&ring));
    ring_close(&ring);
}

static void fill(struct ailive_writer *writer, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        assert_true(put(writer, i));
}

static void a_range_drop_stands_for_exactly_its_numbers(void **state)
{
    struct ring ring;
    struct ailive_writer writer;
    struct layout_range_drop drop;
    uint32_t entry = 0;

    (void)state;
    open_pair(&ring, &writer, 64, 1000);
    fill(&writer, 50);
    ring_release(&ring, 1010);
    assert_true(ring_drop_range(&ring, 1030, EVENT_DROP_SPOOL_FULL));
    assert_int_equal(ring_tail(&ring), 1030);
    assert_true(ring_drop_next(&ring, &entry, &drop));
    assert_int_equal(drop.first, 1010);
    assert_int_equal(drop.end, 1030);
    assert_int_equal(drop.reason, EVENT_DROP_SPOOL_FULL);
    assert_null(layout_ring_check(ring.header, ring.map_bytes));
    ring_drop_settle(&ring, entry, 5); /* in two acknowledgements */
    assert_true(ring_drop_next(&ring, &entry, &drop));
    assert_int_equal(drop.first, 1015);
    ring_drop_settle(&ring, entry, 15);
    entry = 0;
    assert_false(ring_drop_next(&ring, &entry, &drop));
    ring_close(&ring);
}

static void adjacent_drops_of_one_reason_share_an_entry(void **state)
{
    struct ring ring;
    struct ailive_writer writer;
    struct layout_range_drop drop;
    uint32_t entry = 0;

    (void)state;
    open_pair(&ring, &writer, 64, 0);
    fill(&writer, 40);
    assert_true(ring_drop_range(&ring, 10, EVENT_DROP_SPOOL_FULL));
    assert_true(ring_drop_range(&ring, 20, EVENT_DROP_SPOOL_FULL));
    assert_true(ring_drop_range(&ring, 30, EVENT_DROP_REFUSED));
    assert_true(ring_drop_range(&ring, 30, EVENT_DROP_REFUSED)); /* nothing more to drop */
    assert_true(ring_drop_next(&ring, &entry, &drop));
    assert_int_equal(drop.end - drop.first, 20);
    entry++;
    assert_true(ring_drop_next(&ring, &entry, &drop));
    assert_int_equal(drop.end - drop.first, 10);
    assert_int_equal(drop.reason, EVENT_DROP_REFUSED);
    entry++;
    assert_false(ring_drop_next(&ring, &entry, &drop));
    ring_close(&ring);
}

static void with_all_entries_taken_the_tail_does_not_move(void **state)
{
    struct ring ring;
    struct ailive_writer writer;

    (void)state;
    open_pair(&ring, &writer, 256, 0);
    fill(&writer, 200);
    for (uint64_t i = 0; i < LAYOUT_RANGE_DROPS; i++) { /* with a shipped record between them */
        assert_true(ring_drop_range(&ring, 2 * i + 1, EVENT_DROP_SPOOL_FULL));
        ring_release(&ring, 2 * i + 2);
    }
    assert_false(ring_drop_range(&ring, 150, EVENT_DROP_SPOOL_FULL));
    assert_int_equal(ring_tail(&ring), 2 * LAYOUT_RANGE_DROPS);
    ring_drop_settle(&ring, 7, 1);
    assert_true(ring_drop_range(&ring, 150, EVENT_DROP_SPOOL_FULL));
    ring_close(&ring);
}

/* At every store of a reused entry a kill must leave nothing that stands for numbers long since counted. */
static void an_entry_is_reused_without_a_moment_of_false_drops(void **state)
{
    struct ring ring;
    struct ailive_writer writer;
    struct layout_range_drop *entry;

    (void)state;
    open_pair(&ring, &writer, 64, 0);
    fill(&writer, 60);
    assert_true(ring_drop_range(&ring, 10, EVENT_DROP_SPOOL_FULL));
    ring_drop_settle(&ring, 0, 10);
    ring_release(&ring, 40);
    entry = &ring.header->drops[0];
    assert_int_equal(entry->end, entry->first); /* the next first goes above it, before the next end */
    assert_true(ring_drop_range(&ring, 50, EVENT_DROP_REFUSED));
    assert_int_equal(entry->first, 40);
    assert_int_equal(entry->end, 50);
    assert_null(layout_ring_check(ring.header, ring.map_bytes));
    ring_close(&ring);
}

static void a_ring_file_is_whole_allocated_and_passes_its_own_check(void **state)
{
    char folder[] = "/tmp/ailive-ring-XXXXXX", path[64];
    struct ring ring = {0};
    struct ailive_writer writer;
    struct layout_ring header;
    struct stat st;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/ring-3", folder);
    assert_int_equal(ring_open_file(&ring, path, 0600, 3, 128, 77), 0);
    ring_attach(&writer, &ring, OWNER, AILIVE_CLOCK_COUNTER);
    fill(&writer, 5);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 4096 + 128 * 32);
    assert_true(st.st_blocks * 512 >= st.st_size); /* no hole that could be a SIGBUS later */
    fd = open(path, O_RDONLY);
    assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
    close(fd);
    assert_null(layout_ring_check(&header, (uint64_t)st.st_size));
    assert_int_equal(header.head, 82);
    assert_int_equal(header.tail, 77);
    assert_int_equal(header.number, 3);
    assert_int_equal(ring_open_file(&ring, path, 0600, 3, 128, 0), EEXIST); /* never over another's */
    ring_close(&ring);
    unlink(path);
    rmdir(folder);
}

#define STREAM 200000u

static void *write_stream(void *context)
{
    struct ailive_writer *writer = context;

    for (uint64_t i = 0; i < STREAM;)
        i += put(writer, i);
    return NULL;
}

static void a_reader_beside_the_writer_sees_every_record_whole_and_once(void **state)
{
    struct ring ring;
    struct ailive_writer writer;
    pthread_t thread;
    uint64_t tail = UINT64_MAX - 1000, start = tail, head;

    (void)state;
    open_pair(&ring, &writer, 64, start);
    assert_int_equal(pthread_create(&thread, NULL, write_stream, &writer), 0);
    while (tail - start != STREAM) {
        for (head = ring_readable(&ring); tail != head; tail++)
            assert_int_equal(value_at(&ring, tail), tail - start);
        ring_release(&ring, tail);
    }
    pthread_join(thread, NULL);
    assert_int_equal(ring_readable(&ring), start + STREAM);
    ring_close(&ring);
}

/* ---- a maker that is stopped behind each of its instructions ---- */

#define MADE_NUMBER   3
#define MADE_CAPACITY 64
#define MADE_START    ((uint64_t)77)
#define STEPS_MAX     1000000

static void make_ring_and_wait(const char *path)
{
    struct ring ring;

    memset(&ring, 0, sizeof(ring));
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(1);
    raise(SIGSTOP);
    (void)ring_open_file(&ring, path, 0600, MADE_NUMBER, MADE_CAPACITY, MADE_START);
    _exit(2);
}

enum on_disk {
    NOTHING_YET, /* as remains.c has it: no magic, no ring */
    WHOLE,
    BROKEN
};

static enum on_disk look(const char *path, bool *header_begun)
{
    struct layout_ring header;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool read_whole =
        fd >= 0 && fstat(fd, &st) == 0 && pread(fd, &header, sizeof(header), 0) == sizeof(header);

    if (fd >= 0)
        close(fd);
    if (!read_whole)
        return NOTHING_YET;
    *header_begun = *header_begun || header.slot_bytes != 0 || header.capacity != 0;
    if (memcmp(header.magic, "\0\0\0\0\0\0\0", sizeof(header.magic)) == 0)
        return NOTHING_YET;
    return layout_ring_check(&header, (uint64_t)st.st_size) == NULL && header.number == MADE_NUMBER &&
                   header.capacity == MADE_CAPACITY && header.head == MADE_START && header.tail == MADE_START
               ? WHOLE
               : BROKEN;
}

/* false: its maker ended first. */
static bool step(pid_t maker)
{
    int status;

    return ptrace(PTRACE_SINGLESTEP, maker, NULL, NULL) == 0 && waitpid(maker, &status, 0) == maker &&
           WIFSTOPPED(status);
}

/* What a kill at that instruction leaves behind is what lies there now. */
static void a_maker_killed_at_any_instruction_leaves_no_ring_or_a_whole_one(void **state)
{
    char folder[] = "/tmp/ailive-ring-XXXXXX", path[64];
    enum on_disk there = NOTHING_YET;
    bool header_begun = false;
    unsigned steps = 0;
    int status;
    pid_t maker;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/ring-%d", folder, MADE_NUMBER);
    maker = fork();
    if (maker == 0)
        make_ring_and_wait(path);
    assert_int_equal(waitpid(maker, &status, 0), maker);
    if (WIFEXITED(status))
        skip(); /* this machine lets nobody trace its children */
    while (there == NOTHING_YET && steps < STEPS_MAX && step(maker)) {
        there = look(path, &header_begun);
        steps++;
    }
    kill(maker, SIGKILL);
    (void)waitpid(maker, &status, 0);
    unlink(path);
    rmdir(folder);
    assert_int_equal(there, WHOLE);
    assert_true(header_begun); /* it was looked at in the middle too */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_counter_every_record_takes_the_slow_path),
        cmocka_unit_test(records_come_out_as_they_went_in_around_any_wrap),
        cmocka_unit_test(a_full_ring_takes_nothing_and_one_released_slot_takes_one),
        cmocka_unit_test(the_slow_path_is_taken_at_half_full_and_at_full_only),
        cmocka_unit_test(door_drops_add_up_and_are_seen),
        cmocka_unit_test(a_range_drop_stands_for_exactly_its_numbers),
        cmocka_unit_test(adjacent_drops_of_one_reason_share_an_entry),
        cmocka_unit_test(with_all_entries_taken_the_tail_does_not_move),
        cmocka_unit_test(an_entry_is_reused_without_a_moment_of_false_drops),
        cmocka_unit_test(a_ring_file_is_whole_allocated_and_passes_its_own_check),
        cmocka_unit_test(a_maker_killed_at_any_instruction_leaves_no_ring_or_a_whole_one),
        cmocka_unit_test(a_reader_beside_the_writer_sees_every_record_whole_and_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
