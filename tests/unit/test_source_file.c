/* test_source_file.c - no line lost, none twice: rotation, truncation, restarts, failures; and the spool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "follow_check.h"
#include "source_file.h"
#include "spool_reader.h"
#include "tail.h"

#include <wire/spool.h>

#include <sys/resource.h>
#include <time.h>

/* ---- one file ---- */

static void a_missing_file_is_waited_for_and_read_from_its_start(void **context)
{
    (void)context;
    follow_up(false);
    tick();
    tick();
    assert_int_equal(counted(), 0);
    lines_put("e.jsonl", 3);
    tick();
    assert_int_equal(counted(), 3);
    assert_int_equal(follow_lag_bytes(follow), 0);
}

/* Each way in which a folder that is missing at the first start could have another name at the second. */
static void a_folder_that_is_made_later_changes_nobodys_position(void **context)
{
    static const char *const given[] = {"later/e.jsonl", "dangling/e.jsonl", "link/sub/e.jsonl",
                                        ".//later/./deep/e.jsonl"};
    char before[256];

    (void)context;
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(folder), 0);
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        assert_int_equal(symlink("target", "dangling"), 0);
        assert_int_equal(mkdir("real", 0700), 0);
        assert_int_equal(symlink("real", "link"), 0);
        for (unsigned run = 0; run < 2; run++) {
            if (follow_open(&context_of_follow, given[i], false, &follow, error, sizeof(error)) != 0)
                fail_msg("%s", error);
            tick();
            if (run == 0)
                assert_int_equal(system("mkdir -p later/deep real/sub target"), 0);
            if (run == 0)
                unique_put(given[i], 5);
            tick();
            assert_int_equal(counted(), 5 * (i + 1));
            follow_away();
            core_restart();
        }
        assert_int_equal(system("rm -r dangling later link real target"), 0);
    }
    assert_int_equal(chdir(before), 0);
}

static void a_partial_line_waits_for_its_newline_over_a_restart_too(void **context)
{
    (void)context;
    follow_up(false);
    file_append("e.jsonl", "{\"v\":1,\"deci");
    tick();
    assert_int_equal(follow_lag_bytes(follow), 0); /* it waits for its writer, not for us */
    file_append("e.jsonl", "sion\":\"acc");
    tick();
    restart();
    tick();
    assert_int_equal(bad(), 0);
    file_append("e.jsonl", "ept\"}\n");
    tick();
    assert_int_equal(counted(), 1);
    assert_int_equal(bad(), 0);
}

static void a_restart_reads_nothing_twice(void **context)
{
    (void)context;
    follow_up(false);
    lines_put("e.jsonl", 100);
    tick();
    restart();
    tick();
    assert_int_equal(counted(), 100);
    lines_put("e.jsonl", 1);
    tick();
    assert_int_equal(counted(), 101);
}

static void from_end_begins_behind_the_last_whole_line(void **context)
{
    (void)context;
    lines_put("e.jsonl", 5);
    file_append("e.jsonl", "{\"v\":1,");
    follow_up(true);
    tick();
    file_append("e.jsonl", "\"decision\":\"accept\"}\n");
    tick();
    assert_int_equal(counted(), 1);
    assert_int_equal(bad(), 0);
}

static void from_end_means_nothing_to_a_file_with_a_position_and_to_later_files(void **context)
{
    (void)context;
    follow_up(true);
    tick(); /* missing */
    lines_put("e.jsonl", 5);
    tick();
    assert_int_equal(counted(), 5);
    follow_close(follow);
    lines_put("e.jsonl", 5);
    follow_up(true);
    tick();
    assert_int_equal(counted(), 10);
}

static void odd_bytes_cost_their_own_line_only(void **context)
{
    static const char odd[] = "\xef\xbb\xbf{\"v\":1,\"decision\":\"accept\"}\n"
                              "\0\0\n"
                              "\xff\xfe\n"
                              "{\"v\":1,\"decision\":\"accept\"}\r\n"
                              "\n"
                              "{\"v\":1,\"decision\":\"acc\n"
                              "{\"v\":1,\"decision\":\"accept\"}\n";

    (void)context;
    file_put("e.jsonl", O_CREAT, odd, sizeof(odd) - 1);
    follow_up(false);
    tick();
    assert_int_equal(counted(), 3);
    assert_int_equal(bad(), 3);
}

static void put_long(size_t len_bytes)
{
    char *bytes = malloc(len_bytes);

    assert_non_null(bytes);
    memset(bytes, 'x', len_bytes);
    file_put("e.jsonl", O_CREAT | O_APPEND, bytes, len_bytes);
    free(bytes);
}

static void a_line_over_the_limit_is_skipped_even_over_a_restart(void **context)
{
    (void)context;
    lines_put("e.jsonl", 1);
    put_long(3 * LINES_MAX_BYTES);
    follow_up(false);
    tick();
    assert_int_equal(follow_lag_bytes(follow), 0); /* it is not read again and again */
    restart();
    tick();
    lines_put("e.jsonl", 1); /* the rest of the long one, whole as it looks */
    lines_put("e.jsonl", 1);
    tick();
    assert_int_equal(counted(), 2);
    assert_int_equal(bad(), 1);
    put_long(3 * LINES_MAX_BYTES);
    tick();
    restart();
    tick();
    put_long(LINES_MAX_BYTES);
    tick();
    file_append("e.jsonl", "\n");
    lines_put("e.jsonl", 1);
    tick();
    assert_int_equal(counted(), 3);
    assert_int_equal(bad(), 2);
}

static void a_file_longer_than_a_pass_is_read_whole(void **context)
{
    struct tail_mark mark;
    size_t n = TAIL_PASS_BYTES / (sizeof(line) - 1) + 5000;
    char *bytes = malloc(n * (sizeof(line) - 1));

    (void)context;
    (void)mark;
    assert_non_null(bytes);
    for (size_t i = 0; i < n; i++)
        memcpy(bytes + i * (sizeof(line) - 1), line, sizeof(line) - 1);
    file_put("e.jsonl", O_CREAT, bytes, n * (sizeof(line) - 1));
    free(bytes);
    follow_up(false);
    now_ms += 10;
    assert_true(follow_tick(follow, now_ms)); /* says that there is more */
    restart();
    tick();
    assert_int_equal(counted(), n);
}

static void what_is_no_regular_file_is_a_clear_error(void **context)
{
    (void)context;
    assert_int_equal(mkdir(in_folder("folder"), 0700), 0);
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    assert_int_equal(
        follow_open(&context_of_follow, in_folder("folder"), false, &follow, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "is a folder"));
    assert_int_equal(follow_open(&context_of_follow, in_folder("fifo"), false, &follow, error, sizeof(error)),
                     -1);
    assert_non_null(strstr(error, "is a FIFO"));
    assert_null(follow);
}

static void a_folder_that_takes_the_files_place_later_is_waited_out(void **context)
{
    (void)context;
    lines_put("e.jsonl", 2);
    follow_up(false);
    tick();
    renamed("e.jsonl", "kept");
    assert_int_equal(mkdir(in_folder("e.jsonl"), 0700), 0);
    tick();
    assert_int_equal(rmdir(in_folder("e.jsonl")), 0);
    lines_put("e.jsonl", 2);
    tick();
    assert_int_equal(counted(), 4);
}

/* ---- rotation ---- */

static void a_renamed_file_is_read_to_its_end_then_the_new_one(void **context)
{
    (void)context;
    follow_up(false);
    lines_put("e.jsonl", 5);
    tick();
    lines_put("e.jsonl", 5);
    renamed("e.jsonl", "e.jsonl.1");
    tick();
    lines_put("e.jsonl.1", 3); /* a writer that has not noticed yet */
    lines_put("e.jsonl", 7);
    tick();
    lines_put("e.jsonl.1", 2);
    tick();
    assert_int_equal(counted(), 22);
    restart();
    lines_put("e.jsonl.1", 1);
    tick();
    assert_int_equal(counted(), 23);
}

static void rotations_while_away_lose_nothing(void **context)
{
    (void)context;
    follow_up(false);
    lines_put("e.jsonl", 5);
    tick();
    follow_close(follow);
    lines_put("e.jsonl", 1);
    renamed("e.jsonl", "e.jsonl.1");
    usleep(20000); /* the file system's clock ticks in between, as between any two rotations */
    lines_put("e.jsonl", 20);
    renamed("e.jsonl.1", "e.jsonl.2");
    renamed("e.jsonl", "e.jsonl.1");
    usleep(20000);
    lines_put("e.jsonl", 300);
    follow_up(false);
    tick();
    assert_int_equal(counted(), 326);
    restart();
    tick();
    assert_int_equal(counted(), 326);
}

static void rotated_files_from_before_the_first_look_are_left_alone(void **context)
{
    (void)context;
    lines_put("e.jsonl.1", 50);
    lines_put("e.jsonl", 5);
    follow_up(false);
    tick();
    renamed("e.jsonl", "e.jsonl.2");
    usleep(20000);
    lines_put("e.jsonl", 1);
    tick();
    assert_int_equal(counted(), 6);
}

static void a_file_renamed_to_any_name_while_away_is_read_to_its_end(void **context)
{
    (void)context;
    follow_up(false);
    lines_put("e.jsonl", 5);
    tick();
    follow_close(follow);
    lines_put("e.jsonl", 2);
    renamed("e.jsonl", "yesterday");
    lines_put("e.jsonl", 1);
    follow_up(false);
    tick();
    assert_int_equal(counted(), 8);
}

/* It may be another program's, and followed by itself. */
static void a_file_with_a_name_of_its_own_is_no_rotated_one(void **context)
{
    (void)context;
    follow_up(false);
    file_append("e.jsonl", "");
    tick();
    usleep(20000);
    lines_put("e-other.jsonl", 7);
    lines_put("e.jsonl.bak", 7);
    tick();
    lines_put("e.jsonl", 5);
    tick();
    renamed("e.jsonl", "e.jsonl.1");
    usleep(20000);
    lines_put("e-other2.jsonl", 7);
    lines_put("e.jsonl", 1);
    tick();
    assert_int_equal(counted(), 6);
}

static void two_renames_between_two_looks_lose_nothing(void **context)
{
    (void)context;
    follow_up(false);
    lines_put("e.jsonl", 5);
    tick();
    renamed("e.jsonl", "e.jsonl.2");
    usleep(20000);
    lines_put("e.jsonl", 6);
    renamed("e.jsonl", "e.jsonl.1");
    usleep(20000);
    lines_put("e.jsonl", 7);
    tick();
    assert_int_equal(counted(), 18);
}

static void a_deleted_and_made_again_file_is_read_from_both(void **context)
{
    (void)context;
    follow_up(false);
    lines_put("e.jsonl", 5);
    tick();
    lines_put("e.jsonl", 2);
    assert_int_equal(unlink(in_folder("e.jsonl")), 0);
    lines_put("e.jsonl", 9);
    tick();
    assert_int_equal(counted(), 16);
}

static void another_file_under_the_same_name_while_away_is_read_from_its_start(void **context)
{
    (void)context;
    follow_up(false);
    lines_put("e.jsonl", 5);
    tick();
    follow_close(follow);
    assert_int_equal(unlink(in_folder("e.jsonl")), 0);
    file_append("e.jsonl",
                "{\"v\":1,\"decision\":\"reject\",\"run_id\":\"other\"}\n"); /* may get the same inode */
    lines_put("e.jsonl", 8);
    follow_up(false);
    tick();
    assert_int_equal(counted(), 14);
}

static void alike_put(const char *name, unsigned own)
{
    lines_put(name, 40); /* the same first KiB, and more */
    unique_put(name, own);
}

/* Its first KiB alone would take the rotated file for the one that is gone, and read it a second time. */
static void an_older_file_that_begins_alike_is_not_taken_for_one_that_is_gone(void **context)
{
    (void)context;
    follow_up(false);
    alike_put("e.jsonl", 20);
    tick();
    renamed("e.jsonl", "e.jsonl.1");
    alike_put("e.jsonl", 5);
    tick();
    now_ms += FOLLOW_DRAIN_MS;
    tick(); /* the rotated one is let go */
    assert_int_equal(counted(), 105);
    follow_away();
    usleep(20000); /* the clock ticks: older than what comes now */
    assert_int_equal(unlink(in_folder("e.jsonl")), 0);
    file_append("e.jsonl", "{\"v\":1,\"decision\":\"accept\",\"run_id\":\"other\"}\n");
    follow_up(false);
    tick();
    assert_int_equal(counted(), 106);
}

/* A new machine, a restored backup: another inode, the same bytes. */
static void a_copy_with_another_inode_is_the_same_file(void **context)
{
    (void)context;
    follow_up(false);
    lines_put("e.jsonl", 5);
    tick();
    follow_close(follow);
    lines_put("copy", 6);
    assert_int_equal(unlink(in_folder("e.jsonl")), 0);
    renamed("copy", "e.jsonl");
    follow_up(false);
    tick();
    assert_int_equal(counted(), 6);
}

static void the_last_line_of_a_rotated_file_needs_no_newline(void **context)
{
    (void)context;
    follow_up(false);
    lines_put("e.jsonl", 1);
    file_append("e.jsonl", "{\"v\":1,\"decision\":\"accept\"}");
    tick();
    renamed("e.jsonl", "e.jsonl.1");
    lines_put("e.jsonl", 1);
    tick();
    assert_int_equal(counted(), 2); /* it may still be finished */
    now_ms += FOLLOW_LAST_LINE_MS;
    tick();
    assert_int_equal(counted(), 3);
    now_ms += FOLLOW_DRAIN_MS;
    tick();
    restart();
    tick();
    assert_int_equal(counted(), 3);
}

static void many_rotations_while_away_lose_nothing(void **context)
{
    char name[32];

    (void)context;
    follow_up(false);
    lines_put("e.jsonl", 3);
    tick();
    follow_close(follow);
    for (unsigned i = 0; i < 2 * FOLLOW_GENERATIONS_MAX + 7; i++) {
        lines_put("e.jsonl", 2);
        snprintf(name, sizeof(name), "e.jsonl.%u", i);
        renamed("e.jsonl", name);
        usleep(10000);
    }
    lines_put("e.jsonl", 1);
    follow_up(false);
    tick();
    tick();
    assert_int_equal(counted(), 3 + 2 * (2 * FOLLOW_GENERATIONS_MAX + 7) + 1);
    restart();
    tick();
    assert_int_equal(counted(), 3 + 2 * (2 * FOLLOW_GENERATIONS_MAX + 7) + 1);
}

static void more_rotations_than_generations_lose_nothing(void **context)
{
    char name[32];

    (void)context;
    follow_up(false);
    for (unsigned i = 0; i < 3 * FOLLOW_GENERATIONS_MAX; i++) {
        lines_put("e.jsonl", 3);
        tick();
        snprintf(name, sizeof(name), "e.jsonl.%u", i);
        renamed("e.jsonl", name);
        tick();
    }
    lines_put("e.jsonl", 1);
    tick();
    tick();
    assert_int_equal(counted(), 9 * FOLLOW_GENERATIONS_MAX + 1);
}

/* ---- truncation ---- */

static void copytruncate_reads_the_rest_from_the_copy(void **context)
{
    (void)context;
    follow_up(false);
    lines_put("e.jsonl", 50);
    tick();
    lines_put("e.jsonl", 4); /* not read yet when it is cut */
    copied("e.jsonl", "e.jsonl.1");
    assert_int_equal(truncate(in_folder("e.jsonl"), 0), 0);
    lines_put("e.jsonl", 2);
    tick();
    assert_int_equal(counted(), 56);
    lines_put("e.jsonl", 3);
    restart();
    tick();
    assert_int_equal(counted(), 59);
}

static void copytruncate_while_away_reads_the_rest_from_the_copy(void **context)
{
    (void)context;
    follow_up(false);
    lines_put("e.jsonl", 50);
    tick();
    follow_close(follow);
    lines_put("e.jsonl", 4);
    copied("e.jsonl", "e.jsonl.1");
    assert_int_equal(truncate(in_folder("e.jsonl"), 0), 0);
    lines_put("e.jsonl", 2);
    follow_up(false);
    tick();
    assert_int_equal(counted(), 56);
    restart();
    tick();
    assert_int_equal(counted(), 56);
}

/* Between the two steps of copytruncate both files hold the same lines. */
static void a_copy_of_what_is_still_there_is_not_read_beside_it(void **context)
{
    (void)context;
    file_append("e.jsonl", "");
    follow_up(false);
    tick();
    unique_put("e.jsonl", 5);
    usleep(10000);
    copied("e.jsonl", "e.jsonl.1");
    tick();
    assert_int_equal(counted(), 5);
    assert_int_equal(truncate(in_folder("e.jsonl"), 0), 0);
    unique_put("e.jsonl", 2);
    tick();
    assert_int_equal(counted(), 7);
}

static void many_copytruncates_between_two_looks_lose_nothing(void **context)
{
    char name[32], text[128];
    unsigned n = 0;

    (void)context;
    follow_up(false);
    for (unsigned i = 0; i < 2 * FOLLOW_GENERATIONS_MAX + 7; i++) {
        snprintf(text, sizeof(text), "{\"v\":1,\"n\":%u,\"decision\":\"accept\"}\n", n++);
        file_append("e.jsonl", text);
        if (i == 0 || i == 3)
            tick();
        usleep(10000);
        snprintf(name, sizeof(name), "e.jsonl.%u", i);
        copied("e.jsonl", name);
        assert_int_equal(truncate(in_folder("e.jsonl"), 0), 0);
    }
    tick();
    tick();
    assert_int_equal(counted(), n);
    restart();
    tick();
    assert_int_equal(counted(), n);
}

static void a_file_truncated_and_grown_past_the_position_is_read_anew(void **context)
{
    (void)context;
    follow_up(false);
    lines_put("e.jsonl", 5);
    tick();
    assert_int_equal(truncate(in_folder("e.jsonl"), 0), 0);
    file_append("e.jsonl", "{\"v\":1,\"decision\":\"reject\",\"run_id\":\"other\"}\n");
    lines_put("e.jsonl", 9);
    tick();
    assert_int_equal(counted(), 15);
}

/* Only what was a partial line has gone: the committed part stands. */
static void a_taken_back_partial_line_is_no_truncation(void **context)
{
    struct stat status;

    (void)context;
    follow_up(false);
    lines_put("e.jsonl", 5);
    assert_int_equal(stat(in_folder("e.jsonl"), &status), 0);
    file_append("e.jsonl", "{\"torn");
    tick();
    assert_int_equal(truncate(in_folder("e.jsonl"), status.st_size), 0);
    lines_put("e.jsonl", 1);
    tick();
    assert_int_equal(counted(), 6);
    assert_int_equal(bad(), 0);
}

/* ---- failing commits ---- */

static void a_failed_commit_loses_and_doubles_nothing(void **context)
{
    (void)context;
    follow_up(false);
    lines_put("e.jsonl", 10);
    tick();
    lines_put("e.jsonl", 10);
    failure = FAILS_BEFORE;
    tick();
    tick();
    assert_int_equal(counted(), 10);
    assert_int_equal(follow_lag_bytes(follow), 10 * (sizeof(line) - 1));
    assert_false(ingest_maintain(ingest));
    tick();
    failure = FINE;
    assert_true(ingest_maintain(ingest));
    tick();
    assert_int_equal(counted(), 20);
    lines_put("e.jsonl", 10);
    failure = FAILS_AFTER; /* it is in the state all the same */
    tick();
    assert_true(ingest_maintain(ingest));
    tick();
    assert_int_equal(counted(), 30);
}

/* ---- everything at random ---- */

static void rotate(unsigned *rotations)
{
    char name[32];

    if (!file_there("e.jsonl"))
        return;
    snprintf(name, sizeof(name), "e.jsonl.%u", ++*rotations);
    usleep(10000); /* the file system's clock ticks between two rotations, and between a look and one */
    renamed("e.jsonl", name);
    usleep(10000);
}

static void copytruncate(unsigned *rotations)
{
    char name[32];

    if (!file_there("e.jsonl"))
        return;
    usleep(10000);
    snprintf(name, sizeof(name), "e.jsonl.%u", ++*rotations);
    copied("e.jsonl", name);
    assert_int_equal(truncate(in_folder("e.jsonl"), 0), 0);
    usleep(10000);
}

/* Restored with their times: the rotated file was made after the last write of the one at the path. */
static void rotated_files_restored_before_the_first_look_are_no_copies(void **context)
{
    (void)context;
    unique_put("e.jsonl", 2);
    unique_put("e.jsonl.1", 3);
    last_written_before("e.jsonl", 1000);
    last_written_before("e.jsonl.1", 2000);
    usleep(20000); /* the clock of the files' times goes in steps */
    follow_up(false);
    tick();
    assert_int_equal(counted(), 2);
}

/* One way of rotating a history, as one machine's configuration has it. */
static void random_history(unsigned *seed, void (*turn)(unsigned *rotations))
{
    unsigned rotations = 0, written = 0;

    follow_up(false);
    unique_put("e.jsonl", 1);
    written++;
    tick();
    for (unsigned step = 0; step < 150; step++) {
        unsigned dice = random_below(seed, 12), n = random_below(seed, 20);

        if (dice < 5) {
            unique_put("e.jsonl", n);
            written += n;
        } else if (dice < 7) {
            turn(&rotations);
        } else if (dice == 7) {
            restart();
        } else if (dice == 8) {
            tick_that_fails(seed);
        } else {
            tick();
        }
    }
    tick();
    tick();
    assert_int_equal(counted(), written);
    assert_int_equal(bad(), 0);
}

static void a_random_history_of_renames_is_exact(void **context)
{
    unsigned seed = seed_take();

    (void)context;
    random_history(&seed, rotate);
}

/* Lines reach the copy before the cut, so that nothing is impossible to know. */
static void a_random_history_of_copytruncates_is_exact(void **context)
{
    unsigned seed = seed_take();

    (void)context;
    random_history(&seed, copytruncate);
}

/* ---- the spool ---- */

static struct spool_reader *spools;
static struct event_producer producer;
static int owner_fd = -1;

static int begin_spool(void **context)
{
    if (begin(context) != 0)
        return -1;
    assert_int_equal(mkdir(in_folder("spool"), 0700), 0);
    assert_int_equal(mkdir(in_folder("runtime"), 0700), 0);
    spools = spool_reader_new(ingest, contract, in_folder("runtime"));
    spool_reader_add(spools, in_folder("spool"));
    producer = (struct event_producer){{0x18, 1, 2, 3}};
    owner_fd = -1;
    return spools != NULL ? 0 : -1;
}

static int end_spool(void **context)
{
    spool_reader_free(spools);
    if (owner_fd >= 0)
        close(owner_fd);
    return end(context);
}

static void spool_restart(void)
{
    spool_reader_free(spools);
    core_restart();
    spools = spool_reader_new(ingest, contract, in_folder("runtime"));
    spool_reader_add(spools, in_folder("spool"));
}

static void spool_tick(void)
{
    while (spool_reader_tick(spools))
        ;
}

/* The producer's folder, with its lock held as by a living owner. */
static void owner_make(void)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char hex[EVENT_PRODUCER_HEX + 1], name[128];

    event_producer_format(&producer, hex);
    snprintf(name, sizeof(name), "runtime/%s", hex);
    assert_int_equal(mkdir(in_folder(name), 0700), 0);
    snprintf(name, sizeof(name), "runtime/%s/lock", hex);
    owner_fd = open(in_folder(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(fcntl(owner_fd, F_OFD_SETLK, &whole), 0);
}

static const char *spool_name(uint64_t number)
{
    static char path[2][128];
    static unsigned next;
    char name[SPOOL_NAME_BYTES];

    spool_file_name(&producer, number, name);
    snprintf(path[++next % 2], sizeof(path[0]), "spool/%s", name);
    return path[next % 2];
}

static void spool_records(uint64_t number, const struct event_producer *of, uint64_t first, uint64_t count)
{
    struct spool_record record = {
        .producer = *of,
        .ring = 1,
        .row = {.time_ns = 1769303388123456789,
                .latency_ns = 85000000,
                .kind = AILIVE_KIND_DECISION,
                .decision = AILIVE_ACCEPT,
                .action = AILIVE_SUBMIT,
                .component = AILIVE_COMPONENT_DEFAULT,
                .run_id = AILIVE_RUN_ID_DEFAULT},
        .reason = {"none", 4},
        .component = {"c", 1},
        .run_id = {"r", 1},
    };
    char text[SPOOL_LINE_MAX_BYTES];

    for (record.seq = first; record.seq < first + count; record.seq++)
        file_put(spool_name(number), O_CREAT | O_APPEND, text, spool_format_record(&record, text));
}

static void spooled_records_count_once_whatever_comes_over_the_other_road(void **context)
{
    struct ingest_run run = {producer, 1, 5, 10, EVENT_DROP_REFUSED, 0};
    struct ingest_unit unit = {.road = ROAD_NNG, .runs = &run, .run_count = 1};

    (void)context;
    owner_make();
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_COMMITTED); /* 5 to 14: by nng */
    spool_records(1, &producer, 0, 20);
    spool_tick();
    assert_int_equal(counted(), 10);
    assert_int_equal(series_total(aggregate, "ailive_events_duplicate_total", "road=\"spool\""), 10);
    spool_restart();
    spool_tick();
    assert_int_equal(counted(), 10);
    assert_int_equal(series_total(aggregate, "ailive_events_duplicate_total", "road=\"spool\""), 10);
}

/* What a later file gives up as lost may lie in an earlier one. */
static void a_producers_spool_files_wait_for_those_before_them(void **context)
{
    (void)context;
    assert_int_equal(mkdir(in_folder(spool_name(1)), 0700), 0); /* cannot be read */
    spool_records(2, &producer, 10, 5);
    spool_tick();
    assert_int_equal(counted(), 0);
    assert_int_equal(rmdir(in_folder(spool_name(1))), 0);
    spool_records(1, &producer, 0, 10);
    spool_tick();
    assert_int_equal(counted(), 15);
}

/* Its lines wait; those of the producers behind it do not wait with them. */
static void a_producer_at_the_range_limit_holds_up_nobody_else(void **context)
{
    static struct ingest_run runs[INGEST_RANGES_MAX];
    struct ingest_unit unit = {.road = ROAD_NNG, .runs = runs, .run_count = INGEST_RANGES_MAX};
    struct event_producer limited = producer;

    (void)context;
    for (size_t i = 0; i < INGEST_RANGES_MAX; i++)
        runs[i] = (struct ingest_run){limited, 1, 2 * i, 1, EVENT_DROP_REFUSED, 0};
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_COMMITTED);
    spool_records(1, &limited, 4 * INGEST_RANGES_MAX, 1); /* one gap more than can be kept */
    producer.bytes[0]++;                                  /* a younger one: its files come behind */
    spool_records(1, &producer, 0, 5);
    spool_tick();
    assert_int_equal(counted(), 5);
    runs[0] = (struct ingest_run){limited, 1, 1, 1, EVENT_DROP_REFUSED, 0}; /* a gap fills */
    unit.run_count = 1;
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_COMMITTED);
    spool_tick();
    producer = limited;
    assert_int_equal(counted(), 6);
}

/* One for each of many producers, and far fewer descriptors: none is kept from being read, nor is anything
 * else that needs one. */
static void more_spool_files_than_descriptors_are_read_all_the_same(void **context)
{
    struct event_producer first = producer;
    struct rlimit before, few;

    (void)context;
    for (unsigned i = 0; i < 300; i++) {
        producer.bytes[0] = (unsigned char)(first.bytes[0] + i / 256);
        producer.bytes[1] = (unsigned char)i;
        spool_records(1, &producer, 0, 2);
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){.rlim_cur = 120, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    spool_tick();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(counted(), 600);
    spool_records(1, &producer, 2, 3); /* the last one's file goes on */
    spool_tick();
    producer = first;
    assert_int_equal(counted(), 603);
    assert_int_equal(series_total(aggregate, "ailive_events_duplicate_total", "road=\"spool\""), 0);
}

/* Spooled because its reply was late, read, and only then does the batch arrive. */
static void a_batch_that_comes_after_its_spool_was_read_counts_only_what_is_new(void **context)
{
    struct ingest_run run = {producer, 1, 5, 20, EVENT_DROP_REFUSED, 0};
    struct ingest_unit unit = {.road = ROAD_NNG, .runs = &run, .run_count = 1};

    (void)context;
    owner_make();
    spool_records(1, &producer, 0, 20);
    spool_tick();
    assert_int_equal(counted(), 20);
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_COMMITTED);
    assert_int_equal(counted(), 20);
    assert_int_equal(series_total(aggregate, "ailive_events_dropped_total", "refused"), 5); /* 20 to 24 */
    assert_int_equal(series_total(aggregate, "ailive_events_duplicate_total", "road=\"nng\""), 15);
}

static void a_folder_named_twice_is_read_once(void **context)
{
    char other[128];

    (void)context;
    owner_make();
    snprintf(other, sizeof(other), "%s/./spool/", folder);
    spool_reader_add(spools, other);
    spool_records(1, &producer, 0, 5);
    spool_tick();
    assert_int_equal(counted(), 5);
    assert_int_equal(series_total(aggregate, "ailive_events_duplicate_total", ""), 0);
}

static void drops_and_doors_of_the_spool_count_as_such(void **context)
{
    const uint64_t words[LAYOUT_DOOR_WORDS] = {3, 1};
    char text[SPOOL_LINE_MAX_BYTES];

    (void)context;
    owner_make();
    spool_records(1, &producer, 0, 2);
    file_put(spool_name(1), O_APPEND, text,
             spool_format_drop(&producer, 1, 2, 9, EVENT_DROP_SPOOL_FULL, text));
    file_put(spool_name(1), O_APPEND, text, spool_format_door(&producer, 0, words, text));
    file_put(spool_name(1), O_APPEND, text, spool_format_invalid(&producer, 1, 11, 1, text));
    spool_tick();
    assert_int_equal(counted(), 2);
    assert_int_equal(series_total(aggregate, "ailive_events_dropped_total", "spool_full"), 9);
    assert_int_equal(series_total(aggregate, "ailive_events_dropped_total", "ring_full"), 3);
    assert_int_equal(series_total(aggregate, "ailive_events_dropped_total", "no_ring"), 1);
    assert_int_equal(series_total(aggregate, "ailive_events_dropped_total", "\"invalid\""), 1);
    assert_true(ingest_accounted(ingest, &producer, 1, 12));
}

/* Otherwise a forged line could stand for another producer's records and erase them. */
static void a_line_of_another_producer_is_bad_and_takes_no_number(void **context)
{
    struct event_producer other = {{0x18, 9}};

    (void)context;
    owner_make();
    spool_records(1, &producer, 0, 1);
    spool_records(1, &other, 0, 1);
    file_append(spool_name(1), "{\"v\":1,\"event\":\"decision\",\"sid\":\"nobody\",\"seq\":1}\nnonsense\n");
    spool_records(1, &producer, 1, 1);
    spool_tick();
    assert_int_equal(counted(), 2);
    assert_int_equal(series_total(aggregate, "peaktrade_ai_events_dropped_total", ""), 3);
    assert_false(ingest_accounted(ingest, &other, 1, 1));
}

static void a_closed_file_is_removed_and_the_open_one_of_a_living_owner_stays(void **context)
{
    (void)context;
    owner_make();
    spool_records(1, &producer, 0, 5);
    spool_records(2, &producer, 5, 5);
    spool_tick();
    assert_int_equal(counted(), 10);
    assert_false(file_there(spool_name(1)));
    assert_true(file_there(spool_name(2)));
    assert_true(spool_reader_has(spools, &producer));
    spool_records(2, &producer, 10, 5);
    spool_tick();
    assert_int_equal(counted(), 15);
}

static void a_dead_owners_last_file_is_removed_after_it_was_read(void **context)
{
    (void)context;
    owner_make();
    spool_records(1, &producer, 0, 5);
    file_append(spool_name(1), "{\"torn by a ki");
    close(owner_fd);
    owner_fd = -1;
    spool_tick();
    assert_int_equal(counted(), 5);
    assert_int_equal(bad(), 0);
    assert_false(file_there(spool_name(1)));
    spool_tick();
    assert_false(spool_reader_has(spools, &producer));
}

static void a_file_without_a_folder_is_removed_only_when_it_is_old(void **context)
{
    struct timespec old[2] = {{.tv_sec = time(NULL) - 60}, {.tv_sec = time(NULL) - 60}};

    (void)context;
    spool_records(1, &producer, 0, 5);
    spool_tick();
    assert_int_equal(counted(), 5);
    assert_true(file_there(spool_name(1)));
    assert_int_equal(utimensat(AT_FDCWD, in_folder(spool_name(1)), old, 0), 0);
    spool_tick();
    assert_false(file_there(spool_name(1)));
    assert_int_equal(counted(), 5);
}

static void the_spool_is_settled_only_after_a_look_that_began_later(void **context)
{
    uint64_t since;

    (void)context;
    owner_make();
    spool_tick();
    spool_records(1, &producer, 0, 5);
    since = spool_reader_now(spools);
    assert_false(spool_reader_settled(spools, &producer, since));
    failure = FAILS_BEFORE;
    spool_tick();
    assert_false(spool_reader_settled(spools, &producer, since));
    failure = FINE;
    assert_true(ingest_maintain(ingest));
    spool_tick();
    assert_true(spool_reader_settled(spools, &producer, since));
    assert_int_equal(counted(), 5);
}

static void count_spool_positions(void *context, const void *key, size_t key_len, const void *value,
                                  size_t value_len)
{
    (void)value;
    (void)value_len;
    if (key_len > 7 && memcmp(key, "fspool:", 7) == 0)
        ++*(unsigned *)context;
}

static void the_position_of_a_file_that_is_gone_goes_too(void **context)
{
    unsigned positions = 0;

    (void)context;
    owner_make();
    spool_records(1, &producer, 0, 5);
    spool_tick();
    ingest_positions(ingest, count_spool_positions, &positions);
    assert_int_equal(positions, 1);
    assert_int_equal(unlink(in_folder(spool_name(1))), 0); /* and then we were killed */
    spool_restart();
    for (unsigned i = 0; i < 25; i++)
        spool_tick();
    positions = 0;
    ingest_positions(ingest, count_spool_positions, &positions);
    assert_int_equal(positions, 0);
}

static void a_failed_commit_of_the_spool_loses_and_doubles_nothing(void **context)
{
    (void)context;
    owner_make();
    spool_records(1, &producer, 0, 5);
    failure = FAILS_AFTER;
    spool_tick();
    spool_tick();
    assert_true(ingest_maintain(ingest));
    spool_records(1, &producer, 5, 5);
    spool_tick();
    assert_int_equal(counted(), 10);
}

/* Each would count what the other then misses, and remove it. */
static void a_spool_folder_that_another_sidecar_reads_is_left_to_it(void **context)
{
    struct spool_reader *second = spool_reader_new(ingest, contract, in_folder("runtime"));
    uint64_t since;

    (void)context;
    spool_tick();
    spool_reader_add(second, in_folder("spool"));
    spool_records(1, &producer, 0, 5);
    since = spool_reader_now(second);
    assert_false(spool_reader_tick(second));
    assert_int_equal(counted(), 0);
    assert_false(spool_reader_settled(second, &producer, since)); /* nor does it know what is in there */
    spool_reader_free(spools);
    spools = second; /* the first one ends */
    spool_tick();
    assert_int_equal(counted(), 5);
    renamed("spool", "removed");
    assert_int_equal(mkdir(in_folder("spool"), 0700), 0);
    spool_records(2, &producer, 5, 5);
    spool_tick();
    assert_int_equal(counted(), 10);
    second = spool_reader_new(ingest, contract, in_folder("runtime"));
    spool_reader_add(second, in_folder("spool"));
    since = spool_reader_now(second);
    (void)spool_reader_tick(second);
    assert_false(spool_reader_settled(second, &producer, since)); /* the new one is locked too */
    spool_reader_free(second);
}

/* While nothing can be committed, and where one file waits for another: that is when somebody looks. */
static void what_waits_in_the_spool_shows_whatever_keeps_it_waiting(void **context)
{
    struct stat first, second;

    (void)context;
    owner_make();
    spool_records(1, &producer, 0, 5);
    spool_records(2, &producer, 5, 5);
    assert_int_equal(stat(in_folder(spool_name(1)), &first), 0);
    assert_int_equal(stat(in_folder(spool_name(2)), &second), 0);
    failure = FAILS_BEFORE;
    spool_tick();
    assert_int_equal(spool_reader_lag_bytes(spools), first.st_size + second.st_size);
    spool_records(2, &producer, 10, 5);
    spool_tick();
    assert_int_equal(stat(in_folder(spool_name(2)), &second), 0);
    assert_int_equal(spool_reader_lag_bytes(spools), first.st_size + second.st_size);
    failure = FINE;
    assert_true(ingest_maintain(ingest));
    spool_tick();
    assert_int_equal(counted(), 15);
    assert_int_equal(spool_reader_lag_bytes(spools), 0);
}

/* A tick in which another producer's lines could not be committed came to its file no more: nobody may
 * conclude from it that what is missing is lost. */
static void a_tick_that_could_not_commit_settles_no_spool(void **context)
{
    struct event_producer older = producer, younger = producer;
    uint64_t since;

    (void)context;
    younger.bytes[0]++;
    producer = younger;
    owner_make();
    spool_records(1, &younger, 0, 5);
    spool_tick();
    since = spool_reader_now(spools);
    spool_records(1, &younger, 5, 5); /* and it dies, and its rings are read */
    producer = older;
    spool_records(1, &older, 0, 5);
    failure = FAILS_BEFORE;
    spool_tick();
    failure = FINE;
    assert_true(ingest_maintain(ingest));
    assert_false(spool_reader_settled(spools, &younger, since));
    spool_tick();
    assert_true(spool_reader_settled(spools, &younger, since));
    assert_int_equal(counted(), 15);
}

/* ---- the thread ---- */

static bool within(bool (*condition)(void))
{
    for (unsigned i = 0; i < 6000; i++) {
        if (condition())
            return true;
        usleep(10000);
    }
    return false;
}

static bool three_counted(void)
{
    return counted() == 3;
}

static void the_thread_reads_what_comes_and_the_rest_at_its_close(void **context)
{
    const char *paths[] = {in_folder("e.jsonl"), in_folder("./e.jsonl"), in_folder("f.jsonl")};
    struct source_file_options options = {.paths = paths, .path_count = 3, .spool = in_folder("spool")};
    struct source_file *source;

    (void)context;
    assert_int_equal(source_file_open(&options, ingest, &source, error, sizeof(error)), 0);
    lines_put("e.jsonl", 2); /* named twice: read once */
    lines_put("f.jsonl", 1);
    assert_true(within(three_counted));
    lines_put("f.jsonl", 4);
    source_file_close(source);
    assert_int_equal(counted(), 7);
    paths[1] = folder;
    assert_int_equal(source_file_open(&options, ingest, &source, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "is a folder"));
}

/* Who sees that it is open may write at once: from_end must have found the end by then. */
static void what_is_there_has_been_looked_at_once_it_is_open(void **context)
{
    const char *paths[] = {in_folder("e.jsonl")};
    struct source_file_options options = {.paths = paths, .path_count = 1};
    struct source_file *source;

    (void)context;
    lines_put("e.jsonl", 3);
    assert_int_equal(source_file_open(&options, ingest, &source, error, sizeof(error)), 0);
    assert_int_equal(counted(), 3);
    source_file_close(source);
    paths[0] = in_folder("f.jsonl");
    options.from_end = true;
    lines_put("f.jsonl", 2);
    assert_int_equal(source_file_open(&options, ingest, &source, error, sizeof(error)), 0);
    lines_put("f.jsonl", 4);
    source_file_close(source);
    assert_int_equal(counted(), 7);
}

#define TEST(name)  cmocka_unit_test_setup_teardown(name, begin, end)
#define SPOOL(name) cmocka_unit_test_setup_teardown(name, begin_spool, end_spool)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_missing_file_is_waited_for_and_read_from_its_start),
        TEST(a_folder_that_is_made_later_changes_nobodys_position),
        TEST(a_partial_line_waits_for_its_newline_over_a_restart_too),
        TEST(a_restart_reads_nothing_twice),
        TEST(from_end_begins_behind_the_last_whole_line),
        TEST(from_end_means_nothing_to_a_file_with_a_position_and_to_later_files),
        TEST(odd_bytes_cost_their_own_line_only),
        TEST(a_line_over_the_limit_is_skipped_even_over_a_restart),
        TEST(a_file_longer_than_a_pass_is_read_whole),
        TEST(what_is_no_regular_file_is_a_clear_error),
        TEST(a_folder_that_takes_the_files_place_later_is_waited_out),
        TEST(a_renamed_file_is_read_to_its_end_then_the_new_one),
        TEST(rotations_while_away_lose_nothing),
        TEST(rotated_files_from_before_the_first_look_are_left_alone),
        TEST(a_file_renamed_to_any_name_while_away_is_read_to_its_end),
        TEST(a_file_with_a_name_of_its_own_is_no_rotated_one),
        TEST(two_renames_between_two_looks_lose_nothing),
        TEST(a_deleted_and_made_again_file_is_read_from_both),
        TEST(another_file_under_the_same_name_while_away_is_read_from_its_start),
        TEST(an_older_file_that_begins_alike_is_not_taken_for_one_that_is_gone),
        TEST(a_copy_with_another_inode_is_the_same_file),
        TEST(the_last_line_of_a_rotated_file_needs_no_newline),
        TEST(many_rotations_while_away_lose_nothing),
        TEST(a_copy_of_what_is_still_there_is_not_read_beside_it),
        TEST(many_copytruncates_between_two_looks_lose_nothing),
        TEST(more_rotations_than_generations_lose_nothing),
        TEST(copytruncate_reads_the_rest_from_the_copy),
        TEST(copytruncate_while_away_reads_the_rest_from_the_copy),
        TEST(a_file_truncated_and_grown_past_the_position_is_read_anew),
        TEST(a_taken_back_partial_line_is_no_truncation),
        TEST(a_failed_commit_loses_and_doubles_nothing),
        TEST(rotated_files_restored_before_the_first_look_are_no_copies),
        TEST(a_random_history_of_renames_is_exact),
        TEST(a_random_history_of_copytruncates_is_exact),
        SPOOL(spooled_records_count_once_whatever_comes_over_the_other_road),
        SPOOL(a_producers_spool_files_wait_for_those_before_them),
        SPOOL(a_producer_at_the_range_limit_holds_up_nobody_else),
        SPOOL(more_spool_files_than_descriptors_are_read_all_the_same),
        SPOOL(a_batch_that_comes_after_its_spool_was_read_counts_only_what_is_new),
        SPOOL(a_folder_named_twice_is_read_once),
        SPOOL(drops_and_doors_of_the_spool_count_as_such),
        SPOOL(a_line_of_another_producer_is_bad_and_takes_no_number),
        SPOOL(a_closed_file_is_removed_and_the_open_one_of_a_living_owner_stays),
        SPOOL(a_dead_owners_last_file_is_removed_after_it_was_read),
        SPOOL(a_file_without_a_folder_is_removed_only_when_it_is_old),
        SPOOL(the_spool_is_settled_only_after_a_look_that_began_later),
        SPOOL(the_position_of_a_file_that_is_gone_goes_too),
        SPOOL(a_failed_commit_of_the_spool_loses_and_doubles_nothing),
        SPOOL(a_spool_folder_that_another_sidecar_reads_is_left_to_it),
        SPOOL(what_waits_in_the_spool_shows_whatever_keeps_it_waiting),
        SPOOL(a_tick_that_could_not_commit_settles_no_spool),
        TEST(the_thread_reads_what_comes_and_the_rest_at_its_close),
        TEST(what_is_there_has_been_looked_at_once_it_is_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
