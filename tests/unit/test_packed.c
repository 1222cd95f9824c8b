/* test_packed.c - rotated files that are compressed, at whatever moment: no line lost, none twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "follow_check.h"
#include "pack_check.h"
#include "siblings.h"
#include "tail.h"

static void clock_ticks(void)
{
    usleep(10000); /* the file system's, as between any two rotations */
}

/* ---- names ---- */

static void names_of_rotated_and_compressed_files_are_known(void **context)
{
    static const struct {
        const char *name;
        bool rotated, packed;
    } names[] = {
        {"e.jsonl.1", true, false},          {"e.jsonl.1.gz", true, true},
        {"e.jsonl-20261124.gz", true, true}, {"e-20261124.jsonl.zst", true, true},
        {"e-20261124.jsonl", true, false},   {"e.jsonl.gz", false, true},
        {"other.jsonl.1.gz", false, true},   {"e.jsonl.1.bak", false, false},
        {"e.jsonl.1.gz.tmp", false, false},  {"e.jsonl.1.xz", false, false},
    };

    (void)context;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        bool packed, rotated = sibling_rotated_name("e.jsonl", names[i].name, &packed);

        assert_int_equal(rotated, names[i].rotated);
        if (rotated)
            assert_int_equal(packed, names[i].packed);
    }
}

static void a_file_compressed_since_it_was_listed_is_opened_packed(void **context)
{
    int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
    struct sibling *siblings;
    size_t count;

    (void)context;
    lines_put("e.jsonl.1", 1);
    file_append("e.jsonl.1.gz", ""); /* the compressor has just begun */
    siblings = siblings_list(folder_fd, "e.jsonl", false, &count);
    assert_int_equal(count, 1);
    assert_false(siblings[0].packed);
    compressed("e.jsonl.1", "e.jsonl.1.gz");
    fd = sibling_open(folder_fd, &siblings[0]);
    assert_true(fd >= 0 && siblings[0].packed);
    close(fd);
    free(siblings);
    close(folder_fd);
}

/* ---- compressed while away ---- */

static void a_file_compressed_while_away_is_read_from_its_position(void **context)
{
    static const char *const names[] = {"e.jsonl.1.gz", "e.jsonl-20261124.gz", "e-20261124.jsonl.zst"};

    (void)context;
    for (size_t i = 0; i < 3; i++) {
        uint64_t before = counted();

        follow_up(false);
        unique_put("e.jsonl", 200);
        tick();
        follow_away();
        unique_put("e.jsonl", 30);
        clock_ticks();
        compressed("e.jsonl", names[i]);
        unique_put("e.jsonl", 4);
        follow_up(false);
        tick();
        assert_int_equal(counted(), before + 234);
        assert_int_equal(follow_lag_bytes(follow), 0);
        restart();
        unique_put("e.jsonl", 1);
        tick();
        assert_int_equal(counted(), before + 235);
        follow_away();
        clock_ticks();
    }
    assert_int_equal(bad(), 0);
}

/* Its packed copy then seems to be older than the file was made. */
static void a_compressor_that_keeps_whole_seconds_only_hides_no_file(void **context)
{
    struct timespec times[2];
    struct stat status;

    (void)context;
    follow_up(false);
    clock_ticks();
    lines_put("e.jsonl", 3);
    tick();
    follow_away();
    lines_put("e.jsonl", 2);
    compressed("e.jsonl", "e.jsonl.1.gz");
    assert_int_equal(stat(in_folder("e.jsonl.1.gz"), &status), 0);
    times[0] = times[1] = (struct timespec){.tv_sec = status.st_mtim.tv_sec};
    assert_int_equal(utimensat(AT_FDCWD, in_folder("e.jsonl.1.gz"), times, 0), 0);
    restart();
    tick();
    assert_int_equal(counted(), 5);
}

static void a_file_compressed_before_its_first_line_was_read_is_read_whole(void **context)
{
    (void)context;
    file_append("e.jsonl", "");
    follow_up(false);
    tick();
    follow_away();
    clock_ticks();
    unique_put("e.jsonl", 9);
    compressed("e.jsonl", "e.jsonl.1.gz");
    follow_up(false);
    tick();
    assert_int_equal(counted(), 9); /* nothing is at the path */
    clock_ticks();
    unique_put("e.jsonl", 1);
    restart();
    tick();
    assert_int_equal(counted(), 10);
}

/* Compressing frees the inode; the next file at the path gets it. */
static void an_inode_that_went_to_another_file_is_told_by_its_birth(void **context)
{
    (void)context;
    file_append("e.jsonl", "");
    follow_up(false);
    tick();
    follow_away();
    clock_ticks();
    unique_put("e.jsonl", 6);
    compressed("e.jsonl", "e.jsonl.2.gz");
    clock_ticks();
    unique_put("e.jsonl", 20);
    clock_ticks();
    renamed("e.jsonl", "e.jsonl.1");
    unique_put("e.jsonl", 3);
    follow_up(false);
    tick();
    assert_int_equal(counted(), 29);
}

static ino_t inode_of(const char *name)
{
    struct stat status;

    assert_int_equal(stat(in_folder(name), &status), 0);
    return status.st_ino;
}

/* Makes an empty file that has the inode. false: this file system does not give it again. */
static bool inode_taken(ino_t inode, const char *name)
{
    char other[32];

    for (int i = 0; i < 200; i++) {
        snprintf(other, sizeof(other), "taken%d", i);
        file_append(other, "");
        if (inode_of(other) == inode) {
            renamed(other, name);
            return true;
        }
    }
    return false;
}

/* As above, and the file that gets it is the compressed one of the generation after. */
static void an_inode_that_went_to_a_compressed_file_is_told_by_its_birth(void **context)
{
    ino_t inode;

    (void)context;
    file_append("e.jsonl", "");
    follow_up(false);
    tick();
    follow_away();
    clock_ticks();
    unique_put("e.jsonl", 6);
    inode = inode_of("e.jsonl");
    compressed("e.jsonl", "e.jsonl.1.gz");
    if (!inode_taken(inode, "e.jsonl.2.gz"))
        skip();
    clock_ticks();
    unique_put("e.jsonl", 3);
    clock_ticks();
    compressed("e.jsonl", "e.jsonl.2.gz");
    follow_up(false);
    tick();
    assert_int_equal(counted(), 9);
    restart();
    tick();
    assert_int_equal(counted(), 9);
}

/* With and without delaycompress. */
static void several_rotations_while_away_are_read_in_order(void **context)
{
    (void)context;
    for (int delayed = 0; delayed < 2; delayed++) {
        uint64_t before = counted();

        follow_up(false);
        unique_put("e.jsonl", 5);
        tick();
        follow_away();
        unique_put("e.jsonl", 1);
        clock_ticks();
        compressed("e.jsonl", delayed ? "e.jsonl.6.gz" : "e.jsonl.3.gz");
        unique_put("e.jsonl", 20);
        clock_ticks();
        compressed("e.jsonl", delayed ? "e.jsonl.5.gz" : "e.jsonl.2.gz");
        unique_put("e.jsonl", 300);
        clock_ticks();
        if (delayed)
            renamed("e.jsonl", "e.jsonl.4");
        else
            compressed("e.jsonl", "e.jsonl.1.gz");
        unique_put("e.jsonl", 7000);
        follow_up(false);
        tick();
        assert_int_equal(counted(), before + 7326);
        restart();
        tick();
        assert_int_equal(counted(), before + 7326);
        follow_away();
        clock_ticks();
    }
}

static void compressed_files_from_before_the_first_look_are_left_alone(void **context)
{
    (void)context;
    unique_put("e.jsonl", 50);
    clock_ticks();
    compressed("e.jsonl", "e.jsonl.1.gz");
    clock_ticks();
    unique_put("e.jsonl", 5);
    follow_up(false);
    tick();
    follow_away();
    renamed("e.jsonl.1.gz", "e.jsonl.2.gz");
    compressed("e.jsonl", "e.jsonl.1.gz");
    clock_ticks();
    unique_put("e.jsonl", 1);
    follow_up(false);
    tick();
    assert_int_equal(counted(), 6);
}

/* Compressing makes a file that is younger than what was rotated after it. */
static void a_file_compressed_after_the_next_rotation_is_still_the_older_one(void **context)
{
    (void)context;
    follow_up(false);
    unique_put("e.jsonl", 5);
    tick();
    follow_away();
    unique_put("e.jsonl", 1);
    clock_ticks();
    renamed("e.jsonl", "e.jsonl.2");
    unique_put("e.jsonl", 20);
    clock_ticks();
    renamed("e.jsonl", "e.jsonl.1");
    unique_put("e.jsonl", 3);
    clock_ticks();
    compressed("e.jsonl.2", "e.jsonl.2.gz");
    follow_up(false);
    tick();
    assert_int_equal(counted(), 29);
}

static void what_was_written_before_an_unread_file_was_made_is_not_it(void **context)
{
    struct timespec old[2] = {{.tv_sec = 1769303388}, {.tv_sec = 1769303388}};

    (void)context;
    unique_put("e.jsonl", 50);
    compressed("e.jsonl", "e.jsonl.2.gz");
    assert_int_equal(utimensat(AT_FDCWD, in_folder("e.jsonl.2.gz"), old, 0), 0);
    file_append("e.jsonl", "");
    follow_up(false);
    tick();
    follow_away();
    unique_put("e.jsonl", 9);
    compressed("e.jsonl", "e.jsonl.1.gz");
    clock_ticks();
    unique_put("e.jsonl", 1);
    follow_up(false);
    tick();
    assert_int_equal(counted(), 10);
}

static void what_another_file_became_is_not_taken_for_an_unread_one(void **context)
{
    (void)context;
    file_append("e.jsonl", "");
    follow_up(false);
    tick();
    assert_int_equal(unlink(in_folder("e.jsonl")), 0);
    clock_ticks();
    unique_put("e.jsonl", 5);
    tick();
    follow_away();
    unique_put("e.jsonl", 2);
    clock_ticks();
    compressed("e.jsonl", "e.jsonl.1.gz");
    unique_put("e.jsonl", 1);
    follow_up(false);
    tick();
    assert_int_equal(counted(), 8);
}

/* Found rotated, or at the path, noted while the one before it was read, and compressed before its own turn
 * came; between the looks there is a kill. */
static void a_file_that_was_seen_but_not_read_is_found_compressed(void **context)
{
    (void)context;
    follow_up(false);
    unique_put("e.jsonl", 1);
    tick();
    follow_away();
    unique_put("e.jsonl", TAIL_PASS_BYTES / 30); /* more than one pass reads */
    renamed("e.jsonl", "e.jsonl.3");
    unique_put("e.jsonl", 3);
    renamed("e.jsonl", "e.jsonl.2");
    unique_put("e.jsonl", 5);
    renamed("e.jsonl", "e.jsonl.1");
    unique_put("e.jsonl", 7);
    last_written_before("e.jsonl.3", 40);
    last_written_before("e.jsonl.2", 30);
    last_written_before("e.jsonl.1", 20);
    last_written_before("e.jsonl", 10);
    follow_up(false);
    now_ms += 10;
    (void)follow_tick(follow, now_ms); /* finds all of them, reads a part of the first */
    assert_true(counted() < 1 + TAIL_PASS_BYTES / 30);
    follow_away();
    compressed("e.jsonl.2", "e.jsonl.3.gz");
    compressed("e.jsonl.1", "e.jsonl.2.zst");
    compressed("e.jsonl", "e.jsonl.1.gz");
    renamed("e.jsonl.3", "e.jsonl.4");
    unique_put("e.jsonl", 9);
    core_restart();
    follow_up(false);
    tick();
    assert_int_equal(counted(), 1 + TAIL_PASS_BYTES / 30 + 3 + 5 + 7 + 9);
}

static void the_last_line_of_a_compressed_file_needs_no_newline(void **context)
{
    (void)context;
    follow_up(false);
    unique_put("e.jsonl", 1);
    tick();
    follow_away();
    file_append("e.jsonl", "{\"v\":1,\"decision\":\"accept\"}");
    compressed("e.jsonl", "e.jsonl.1.gz");
    clock_ticks();
    unique_put("e.jsonl", 1);
    follow_up(false);
    tick();
    now_ms += FOLLOW_LAST_LINE_MS;
    tick();
    restart();
    tick();
    assert_int_equal(counted(), 3);
    assert_int_equal(bad(), 0);
}

static void a_line_over_the_limit_in_a_compressed_file_is_skipped_over_a_restart_too(void **context)
{
    size_t len_bytes = 6 * LINES_MAX_BYTES;
    char *bytes = malloc(len_bytes);

    (void)context;
    assert_non_null(bytes);
    memset(bytes, 'x', len_bytes);
    follow_up(false);
    unique_put("e.jsonl", 1);
    tick();
    follow_away();
    file_put("e.jsonl", O_APPEND, bytes, len_bytes);
    file_append("e.jsonl", "\n");
    unique_put("e.jsonl", 2);
    free(bytes);
    compressed("e.jsonl", "e.jsonl.1.gz");
    follow_up(false);
    now_ms += 10;
    assert_true(follow_tick(follow, now_ms)); /* ends within the line */
    restart();
    tick();
    assert_int_equal(counted(), 3);
    assert_int_equal(bad(), 1);
}

/* ---- long ones ---- */

static unsigned put_many(unsigned passes)
{
    static char bytes[5 * TAIL_PASS_BYTES];
    size_t len_bytes = 0;
    unsigned n = 0;

    for (; len_bytes < passes * TAIL_PASS_BYTES - 128; n++)
        len_bytes += (size_t)snprintf(bytes + len_bytes, 128, "{\"v\":1,\"n\":%u,\"decision\":\"accept\"}\n",
                                      unique++);
    file_put("e.jsonl", O_CREAT | O_APPEND, bytes, len_bytes);
    return n;
}

static void a_compressed_file_longer_than_a_pass_survives_kills_and_failed_commits(void **context)
{
    unsigned n;

    (void)context;
    follow_up(false);
    unique_put("e.jsonl", 1);
    tick();
    follow_away();
    n = 1 + put_many(5);
    compressed("e.jsonl", "e.jsonl.1.gz");
    follow_up(false);
    for (int i = 0; i < 3; i++) {
        now_ms += 10;
        if (i == 1) {
            failure = FAILS_BEFORE;
            follow_tick(follow, now_ms);
            failure = FINE;
            assert_true(ingest_maintain(ingest));
        }
        assert_true(follow_tick(follow, now_ms)); /* says that there is more */
        assert_true(counted() > 1 && counted() < n);
        if (i == 0)
            restart();
    }
    tick();
    assert_int_equal(counted(), n);
    assert_int_equal(bad(), 0);
}

/* Its copy was there when it was last looked for, and held what the file did then. */
static void a_file_not_read_yet_that_is_truncated_after_its_copy_was_seen_is_read_from_it(void **context)
{
    for (int away = 0; away < 2; away++) {
        uint64_t before = counted();
        unsigned n;

        (void)context;
        follow_up(false);
        unique_put("e.jsonl", 1);
        tick();
        renamed("e.jsonl", away ? "e.jsonl.3" : "e.jsonl.6");
        n = 1 + put_many(4);
        renamed("e.jsonl", away ? "e.jsonl.2" : "e.jsonl.5");
        unique_put("e.jsonl", 7);
        now_ms += 10;
        assert_true(follow_tick(follow, now_ms));
        clock_ticks();
        copied("e.jsonl", away ? "e.jsonl.1" : "e.jsonl.4");
        assert_true(follow_tick(follow, now_ms));
        assert_true(counted() < before + n);
        assert_int_equal(truncate(in_folder("e.jsonl"), 0), 0);
        unique_put("e.jsonl", 20);
        if (away)
            restart();
        tick();
        assert_int_equal(counted(), before + n + 27);
        follow_away();
    }
}

/* ---- compressed while running ---- */

static void a_file_compressed_before_it_was_read_is_read_from_its_descriptor(void **context)
{
    (void)context;
    follow_up(false);
    unique_put("e.jsonl", 5);
    tick();
    unique_put("e.jsonl", 6);
    clock_ticks();
    compressed("e.jsonl", "e.jsonl.1.gz");
    tick(); /* nothing at the path: the packed one is newer than nothing else */
    clock_ticks();
    unique_put("e.jsonl", 7);
    tick();
    assert_int_equal(counted(), 18);
    restart();
    tick();
    assert_int_equal(counted(), 18);
}

static void rotation_with_compression_for_days_counts_once(void **context)
{
    unsigned written = 0;

    (void)context;
    file_append("e.jsonl", "");
    follow_up(false);
    tick();
    for (int day = 0; day < 5; day++) {
        unique_put("e.jsonl", 10);
        written += 10;
        if (day % 2)
            tick();
        for (int i = 6; i > 0; i--) {
            char from[32], to[32];

            snprintf(from, sizeof(from), "e.jsonl.%d.gz", i);
            snprintf(to, sizeof(to), "e.jsonl.%d.gz", i + 1);
            if (file_there(from))
                renamed(from, to);
        }
        clock_ticks();
        if (file_there("e.jsonl.1"))
            compressed("e.jsonl.1", "e.jsonl.2.gz"); /* delaycompress */
        renamed("e.jsonl", "e.jsonl.1");
        tick();
        clock_ticks();
        now_ms += FOLLOW_DRAIN_MS;
        tick();
    }
    tick();
    assert_int_equal(counted(), written);
    restart();
    tick();
    assert_int_equal(counted(), written);
}

/* A writer in Python that compresses its own log: the file's time is that of compressing. */
static void a_compressor_that_keeps_no_time_at_the_rotation_doubles_nothing(void **context)
{
    (void)context;
    follow_up(false);
    unique_put("e.jsonl", 5);
    tick();
    clock_ticks();
    file_pack("e.jsonl", "e.jsonl.1.gz", false); /* the file is still at the path */
    tick();
    assert_int_equal(unlink(in_folder("e.jsonl")), 0);
    tick();
    clock_ticks();
    unique_put("e.jsonl", 5);
    tick();
    assert_int_equal(counted(), 10);
    restart();
    tick();
    assert_int_equal(counted(), 10);
}

static void copy_and_truncate(const char *to)
{
    clock_ticks();
    copied("e.jsonl", to);
    assert_int_equal(truncate(in_folder("e.jsonl"), 0), 0);
}

static void copytruncate_reads_the_rest_from_a_compressed_copy(void **context)
{
    (void)context;
    for (int away = 0; away < 2; away++) {
        uint64_t before = counted();

        follow_up(false);
        unique_put("e.jsonl", 50);
        tick();
        if (away)
            follow_away();
        unique_put("e.jsonl", 4); /* not read yet when it is cut */
        copy_and_truncate("e.jsonl.1");
        compressed("e.jsonl.1", away ? "e.jsonl.1.gz" : "e.jsonl.2.gz");
        unique_put("e.jsonl", 2);
        if (away)
            follow_up(false);
        tick();
        assert_int_equal(counted(), before + 56);
        restart();
        tick();
        assert_int_equal(counted(), before + 56);
        follow_away();
        clock_ticks();
    }
}

/* copytruncate with delaycompress: the packed file is new, what it holds was counted a day ago. */
static void a_copy_compressed_a_day_later_is_not_read_again(void **context)
{
    (void)context;
    follow_up(false);
    unique_put("e.jsonl", 5);
    tick();
    copy_and_truncate("e.jsonl.1");
    tick();
    unique_put("e.jsonl", 6);
    tick();
    now_ms += FOLLOW_DRAIN_MS;
    tick();
    renamed("e.jsonl.1", "e.jsonl.2");
    copy_and_truncate("e.jsonl.1");
    tick();
    clock_ticks();
    compressed("e.jsonl.2", "e.jsonl.2.gz");
    tick();
    assert_int_equal(counted(), 11);
}

/* ---- not whole yet, or never ---- */

/* Puts the first part of what packing e.jsonl.1 gives to e.jsonl.1.gz; the rest is to be freed. */
static unsigned char *half_packed(size_t *at, size_t *len_bytes)
{
    size_t plain_len;
    unsigned char *plain = file_read("e.jsonl.1", &plain_len),
                  *packed = pack(false, plain, plain_len, len_bytes);

    *at = *len_bytes / 2;
    file_put("e.jsonl.1.gz", O_CREAT, (const char *)packed, *at);
    free(plain);
    return packed;
}

static void while_the_plain_file_is_there_it_is_read(void **context)
{
    size_t at, len_bytes;

    (void)context;
    follow_up(false);
    unique_put("e.jsonl", 500);
    tick();
    follow_away();
    unique_put("e.jsonl", 500);
    renamed("e.jsonl", "e.jsonl.1");
    free(half_packed(&at, &len_bytes)); /* gzip is at work */
    clock_ticks();
    unique_put("e.jsonl", 1);
    follow_up(false);
    tick();
    assert_int_equal(counted(), 1001);
    assert_int_equal(follow_damaged_total(follow), 0);
}

static void a_file_that_is_still_being_compressed_is_waited_for(void **context)
{
    size_t at, len_bytes;
    unsigned char *packed;

    (void)context;
    follow_up(false);
    unique_put("e.jsonl", 500);
    tick();
    follow_away();
    unique_put("e.jsonl", 500);
    renamed("e.jsonl", "e.jsonl.1");
    packed = half_packed(&at, &len_bytes);
    assert_int_equal(unlink(in_folder("e.jsonl.1")), 0); /* a copy from elsewhere, say */
    clock_ticks();
    unique_put("e.jsonl", 1);
    follow_up(false);
    tick();
    now_ms += FOLLOW_LAST_LINE_MS - 100;
    tick();
    assert_true(counted() >= 500 && counted() < 1000);
    assert_int_equal(follow_damaged_total(follow), 0);
    file_put("e.jsonl.1.gz", O_APPEND, (const char *)packed + at, len_bytes - at);
    tick();
    assert_int_equal(counted(), 1001);
    assert_int_equal(follow_damaged_total(follow), 0);
    free(packed);
}

static void a_file_of_which_nothing_is_there_yet_is_waited_for(void **context)
{
    size_t at, len_bytes;
    unsigned char *packed;

    (void)context;
    follow_up(false);
    unique_put("e.jsonl", 5);
    tick();
    follow_away();
    unique_put("e.jsonl", 5);
    renamed("e.jsonl", "e.jsonl.1");
    packed = half_packed(&at, &len_bytes);
    assert_int_equal(unlink(in_folder("e.jsonl.1")), 0);
    assert_int_equal(truncate(in_folder("e.jsonl.1.gz"), 1), 0);
    clock_ticks();
    unique_put("e.jsonl", 1);
    follow_up(false);
    tick();
    assert_int_equal(counted(), 5);
    file_put("e.jsonl.1.gz", O_APPEND, (const char *)packed + 1, len_bytes - 1);
    tick();
    assert_int_equal(counted(), 11);
    free(packed);
}

static void what_can_be_read_of_a_damaged_file_counts_and_the_next_one_goes_on(void **context)
{
    (void)context;
    for (int cut = 0; cut < 2; cut++) {
        uint64_t before = counted(), bad_before = bad(), got;
        size_t at, len_bytes;
        unsigned char *packed;

        follow_up(false);
        unique_put("e.jsonl", 500);
        tick();
        follow_away();
        put_many(3);
        renamed("e.jsonl", "e.jsonl.1");
        packed = half_packed(&at, &len_bytes);
        if (!cut) {
            memset(packed + at, 0xff, 64);
            file_put("e.jsonl.1.gz", O_APPEND, (const char *)packed + at, len_bytes - at);
        }
        free(packed);
        assert_int_equal(unlink(in_folder("e.jsonl.1")), 0);
        clock_ticks();
        unique_put("e.jsonl", 1);
        follow_up(false);
        tick();
        now_ms += FOLLOW_LAST_LINE_MS;
        tick();
        tick();
        got = counted();
        assert_true(got > before + 100000);
        assert_int_equal(follow_damaged_total(follow), 1); /* once */
        now_ms += FOLLOW_LAST_LINE_MS;
        tick();
        unique_put("e.jsonl", 1);
        tick();
        assert_int_equal(counted(), got + 1);
        assert_int_equal(follow_damaged_total(follow), 1);
        if (cut) /* damaged bits may give a line of garbage before they are noticed */
            assert_int_equal(bad(), bad_before); /* the line that was cut is no line */
        restart();
        tick();
        assert_int_equal(counted(), got + 1);
        assert_int_equal(follow_damaged_total(follow), 0); /* it was let go */
        follow_away();
        assert_int_equal(unlink(in_folder("e.jsonl.1.gz")), 0);
        clock_ticks();
    }
}

/* Equal first KiB, but not what was read: neither read from the middle nor counted twice. */
static void a_file_that_does_not_hold_what_was_read_is_told_not_counted(void **context)
{
    (void)context;
    follow_up(false);
    lines_put("e.jsonl", 100);
    unique_put("e.jsonl", 100);
    tick();
    follow_away();
    assert_int_equal(unlink(in_folder("e.jsonl")), 0);
    lines_put("e.jsonl", 100);
    unique_put("e.jsonl", 200);
    compressed("e.jsonl", "e.jsonl.1.gz");
    clock_ticks();
    unique_put("e.jsonl", 1);
    follow_up(false);
    tick();
    assert_int_equal(counted(), 201);
    assert_int_equal(follow_damaged_total(follow), 1);
}

/* ---- everything at random ---- */

static void turn(unsigned *seed, unsigned *rotations)
{
    static const char *const endings[] = {"", ".gz", ".zst"};
    const char *ending = endings[random_below(seed, 3)];
    char name[32], packed[40];

    if (!file_there("e.jsonl"))
        return;
    clock_ticks();
    snprintf(name, sizeof(name), "e.jsonl.%u", ++*rotations);
    renamed("e.jsonl", name);
    if (random_below(seed, 4) == 0)
        tick();
    snprintf(packed, sizeof(packed), "%s%s", name, ending);
    if (*ending != '\0')
        compressed(name, packed);
    clock_ticks();
}

static void a_random_history_with_compression_is_exact(void **context)
{
    unsigned seed = seed_take(), rotations = 0, written = 1;

    (void)context;
    follow_up(false);
    unique_put("e.jsonl", 1);
    tick();
    for (unsigned step = 0; step < 200; step++) {
        unsigned dice = random_below(&seed, 12), n = random_below(&seed, 20);

        if (dice < 5) {
            unique_put("e.jsonl", n);
            written += n;
        } else if (dice < 8) {
            turn(&seed, &rotations);
        } else if (dice == 8) {
            restart();
        } else if (dice == 9) {
            tick_that_fails(&seed);
        } else {
            tick();
        }
    }
    tick();
    tick();
    assert_int_equal(counted(), written);
    assert_int_equal(bad(), 0);
    assert_int_equal(follow_damaged_total(follow), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_rotated_and_compressed_files_are_known),
        TEST(a_file_compressed_since_it_was_listed_is_opened_packed),
        TEST(a_file_compressed_while_away_is_read_from_its_position),
        TEST(a_compressor_that_keeps_whole_seconds_only_hides_no_file),
        TEST(a_file_compressed_before_its_first_line_was_read_is_read_whole),
        TEST(an_inode_that_went_to_another_file_is_told_by_its_birth),
        TEST(an_inode_that_went_to_a_compressed_file_is_told_by_its_birth),
        TEST(several_rotations_while_away_are_read_in_order),
        TEST(compressed_files_from_before_the_first_look_are_left_alone),
        TEST(a_file_compressed_after_the_next_rotation_is_still_the_older_one),
        TEST(what_was_written_before_an_unread_file_was_made_is_not_it),
        TEST(what_another_file_became_is_not_taken_for_an_unread_one),
        TEST(a_file_that_was_seen_but_not_read_is_found_compressed),
        TEST(the_last_line_of_a_compressed_file_needs_no_newline),
        TEST(a_line_over_the_limit_in_a_compressed_file_is_skipped_over_a_restart_too),
        TEST(a_compressed_file_longer_than_a_pass_survives_kills_and_failed_commits),
        TEST(a_file_not_read_yet_that_is_truncated_after_its_copy_was_seen_is_read_from_it),
        TEST(a_file_compressed_before_it_was_read_is_read_from_its_descriptor),
        TEST(rotation_with_compression_for_days_counts_once),
        TEST(a_compressor_that_keeps_no_time_at_the_rotation_doubles_nothing),
        TEST(copytruncate_reads_the_rest_from_a_compressed_copy),
        TEST(a_copy_compressed_a_day_later_is_not_read_again),
        TEST(while_the_plain_file_is_there_it_is_read),
        TEST(a_file_that_is_still_being_compressed_is_waited_for),
        TEST(a_file_of_which_nothing_is_there_yet_is_waited_for),
        TEST(what_can_be_read_of_a_damaged_file_counts_and_the_next_one_goes_on),
        TEST(a_file_that_does_not_hold_what_was_read_is_told_not_counted),
        TEST(a_random_history_with_compression_is_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
