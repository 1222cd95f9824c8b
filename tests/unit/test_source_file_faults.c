/* test_source_file_faults.c - every call of the file source that can fail, failing at its Nth time, N looped
 * over.
 *
 * One history of a rotated and compressed event file and of spool files is read while one kind of call fails,
 * once or until it is healed. Whatever fails: nothing crashes, and afterwards every line counts, once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "follow_check.h"
#include "owner.h"
#include "pack_check.h"
#include "source_file.h"
#include "spool_reader.h"
#include "tail.h"

#include <wire/spool.h>

#include <sys/inotify.h>

#define TRIES 200u

/* ---- calls that fail ---- */

enum fault {
    FAULT_READ,
    FAULT_OPEN,
    FAULT_STAT,
    FAULT_FOLDER,
    FAULT_ENTRY,
    FAULT_MEMORY,
    FAULTS
};

static enum fault fault;
static int fault_errno;
static unsigned countdown;     /* calls of that kind until one fails; 0: it has */
static bool lasting, happened; /* lasting: all that follow fail too, until healed */
static bool injecting;         /* in calls of the sidecar's code, not in the test's own */
static bool no_inotify, no_watch, never_quiet;

static bool fails(enum fault kind)
{
    if (!injecting || kind != fault || (countdown == 0 && !lasting))
        return false;
    if (countdown > 1) {
        countdown--;
        return false;
    }
    countdown = 0;
    happened = true;
    errno = fault_errno;
    return true;
}

/* A call that fails in the way of its kind. */
#define WRAP(condition, type, name, parameters, arguments, failed)                                           \
    type __real_##name parameters;                                                                           \
    type __wrap_##name parameters;                                                                           \
    type __wrap_##name parameters                                                                            \
    {                                                                                                        \
        return (condition) ? (failed) : __real_##name arguments;                                             \
    }

/* What another program does right behind a read of a chunk, before the source's next step. */
static void (*meanwhile)(void);
static unsigned reads_until;

ssize_t __real_pread(int fd, void *bytes, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *bytes, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *bytes, size_t n, off_t at)
{
    ssize_t got;

    if (fails(FAULT_READ))
        return -1;
    got = __real_pread(fd, bytes, n, at);
    if (n >= TAIL_CHUNK_BYTES && meanwhile != NULL && --reads_until == 0) {
        meanwhile();
        meanwhile = NULL;
    }
    return got;
}

/* What a producer does right before it is asked for, which finds it dead then. */
static void (*last_act)(void);

enum owner __real_owner_of(const char *runtime, const struct event_producer *producer);
enum owner __wrap_owner_of(const char *runtime, const struct event_producer *producer);
enum owner __wrap_owner_of(const char *runtime, const struct event_producer *producer)
{
    if (last_act == NULL)
        return __real_owner_of(runtime, producer);
    last_act();
    last_act = NULL;
    return OWNER_DEAD;
}

/* What happens right behind the end of a listing. */
static void (*listed)(void);

struct dirent *__real_readdir(DIR *listing);
struct dirent *__wrap_readdir(DIR *listing);
struct dirent *__wrap_readdir(DIR *listing)
{
    struct dirent *entry = fails(FAULT_ENTRY) ? NULL : __real_readdir(listing);

    if (entry == NULL && listed != NULL && errno == 0) {
        listed();
        listed = NULL;
        errno = 0;
    }
    return entry;
}

/* What another program does right before a file is looked at: between the look for copies of an untouched
 * event file and its first read. */
static void (*before_stat)(void);
static ino_t stat_inode;

int __real_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status)
{
    void (*run)(void) = before_stat;
    int rc;

    if (fails(FAULT_STAT))
        return -1;
    rc = __real_fstat(fd, status);
    if (rc != 0 || run == NULL || status->st_ino != stat_inode)
        return rc;
    before_stat = NULL;
    run();
    return __real_fstat(fd, status);
}

WRAP(fails(FAULT_OPEN), int, open, (const char *path, int flags, mode_t mode), (path, flags, mode), -1)
WRAP(fails(FAULT_OPEN), int, openat, (int folder_fd, const char *path, int flags, mode_t mode),
     (folder_fd, path, flags, mode), -1)
WRAP(fails(FAULT_FOLDER), DIR *, opendir, (const char *path), (path), NULL)
WRAP(fails(FAULT_FOLDER), DIR *, fdopendir, (int fd), (fd), NULL)
WRAP(fails(FAULT_MEMORY), void *, malloc, (size_t n), (n), NULL)
WRAP(fails(FAULT_MEMORY), void *, calloc, (size_t count, size_t n), (count, n), NULL)
WRAP(fails(FAULT_MEMORY), void *, realloc, (void *old, size_t n), (old, n), NULL)
WRAP((no_inotify && (errno = EMFILE, true)), int, inotify_init1, (int flags), (flags), -1)
WRAP((no_watch && (errno = ENOSPC, true)), int, inotify_add_watch,
     (int fd, const char *path, uint32_t events), (fd, path, events), -1)

WRAP(never_quiet, ssize_t, read, (int fd, void *bytes, size_t n), (fd, bytes, n), 32)

/* ---- one history ---- */

static char base[32]; /* the round's folder */
static struct spool_reader *spools;
static struct event_producer producer = {{0x18, 1}};

static const char *at(const char *name)
{
    static char names[8][512];
    static unsigned next;
    char *out = names[next++ % 8];

    snprintf(out, sizeof(names[0]), "%s/%s", base, name);
    return out;
}

static void come_up(void)
{
    if (follow == NULL) {
        injecting = true;
        follow_open(&context_of_follow, in_folder(at("e.jsonl")), false, &follow, error, sizeof(error));
        injecting = false;
    }
    if (spools == NULL) {
        spools = spool_reader_new(ingest, contract, NULL);
        spool_reader_add(spools, in_folder(at("spool")));
    }
}

static void look(void)
{
    come_up();
    now_ms += 10;
    injecting = true;
    for (int i = 0; i < 10 && follow != NULL && follow_tick(follow, now_ms); i++)
        ;
    for (int i = 0; i < 10 && spool_reader_tick(spools); i++)
        ;
    injecting = false;
    if (!ingest_committing(ingest))
        ingest_maintain(ingest);
}

static void spool_put(uint64_t number, uint64_t first, uint64_t count)
{
    struct spool_record record = {
        .producer = producer,
        .ring = 1,
        .row = {.time_ns = 1769303388123456789,
                .kind = AILIVE_KIND_DECISION,
                .decision = AILIVE_ACCEPT,
                .action = AILIVE_SUBMIT,
                .component = AILIVE_COMPONENT_DEFAULT,
                .run_id = AILIVE_RUN_ID_DEFAULT},
        .reason = {"none", 4},
        .component = {"c", 1},
        .run_id = {"r", 1},
    };
    char text[SPOOL_LINE_MAX_BYTES], name[SPOOL_NAME_BYTES], path[96];

    spool_file_name(&producer, number, name);
    snprintf(path, sizeof(path), "spool/%s", name);
    for (record.seq = first; record.seq < first + count; record.seq++)
        file_put(at(path), O_CREAT | O_APPEND, text, spool_format_record(&record, text));
}

static void go_away(void)
{
    follow_away();
    spool_reader_free(spools);
    spools = NULL;
}

/* From the second look on calls fail: what was rotated before any look is not read (docs/reliability.md).
 * Returns how many lines and records there were. */
static unsigned history(unsigned n, bool for_long)
{
    unique_put(at("e.jsonl"), 1);
    look();
    countdown = n;
    lasting = for_long;
    unique_put(at("e.jsonl"), 39);
    spool_put(1, 0, 5);
    look();
    unique_put(at("e.jsonl"), 3);
    usleep(5000); /* the file system's clock ticks, as between any two rotations */
    renamed(at("e.jsonl"), at("e.jsonl.1"));
    unique_put(at("e.jsonl"), 4);
    spool_put(1, 5, 5);
    look();
    look();
    go_away();
    unique_put(at("e.jsonl"), 2);
    usleep(5000);
    renamed(at("e.jsonl.1"), at("e.jsonl.3"));
    compressed(at("e.jsonl"), at("e.jsonl.2.gz"));
    unique_put(at("e.jsonl"), 20);
    usleep(5000);
    renamed(at("e.jsonl"), at("e.jsonl.1"));
    unique_put(at("e.jsonl"), 6);
    spool_put(2, 10, 5);
    look();
    look();
    return 40 + 3 + 4 + 2 + 20 + 6 + 15;
}

static void round_begin(unsigned number)
{
    snprintf(base, sizeof(base), "round%u", number);
    assert_int_equal(mkdir(in_folder(base), 0700), 0);
    assert_int_equal(mkdir(in_folder(at("spool")), 0700), 0);
    memcpy(producer.bytes + 4, &number, sizeof(number));
    happened = false;
}

static void every_call_fails_once(enum fault kind, int number, bool for_long)
{
    static unsigned rounds;
    unsigned n = 1;

    fault = kind;
    fault_errno = number;
    for (; n < TRIES; n += n < 40 ? 1 : 7) {
        uint64_t before = counted();
        unsigned total;

        round_begin(rounds++);
        total = history(n, for_long);
        lasting = false;
        countdown = 0;
        for (int i = 0; i < 3; i++)
            look();
        if (counted() - before != total || bad() != 0 || follow_damaged_total(follow) != 0)
            fail_msg("fault %d (%s, %s), call %u: %u written, %llu counted, %llu bad", (int)kind,
                     strerror(number), for_long ? "for long" : "once", n, total,
                     (unsigned long long)(counted() - before), (unsigned long long)bad());
        go_away();
        if (!happened)
            break;
    }
    assert_true(n > 1); /* there was such a call */
}

static void a_failing(enum fault kind, int number)
{
    every_call_fails_once(kind, number, false);
    every_call_fails_once(kind, number, true);
}

static void reads_that_fail_lose_and_double_nothing(void **context)
{
    (void)context;
    a_failing(FAULT_READ, EIO);
    every_call_fails_once(FAULT_READ, EINTR, false);
}

static void opens_that_fail_lose_and_double_nothing(void **context)
{
    (void)context;
    a_failing(FAULT_OPEN, EMFILE);
    every_call_fails_once(FAULT_OPEN, EIO, false);
    every_call_fails_once(FAULT_OPEN, EINTR, false);
}

static void looks_at_files_that_fail_lose_and_double_nothing(void **context)
{
    (void)context;
    a_failing(FAULT_STAT, EIO);
}

static void listings_that_fail_lose_and_double_nothing(void **context)
{
    (void)context;
    a_failing(FAULT_FOLDER, ENOMEM);
    a_failing(FAULT_ENTRY, EIO);
}

/* Salvage takes a gap for lost once the spool is settled. */
static void a_listing_that_fails_settles_no_spool(void **context)
{
    uint64_t since;

    (void)context;
    for (fault = FAULT_FOLDER; fault <= FAULT_ENTRY; fault++) {
        round_begin(1000 + (unsigned)fault);
        come_up();
        since = spool_reader_now(spools);
        spool_put(1, 0, 5);
        fault_errno = EIO;
        countdown = 1;
        lasting = true;
        look();
        assert_false(spool_reader_settled(spools, &producer, since));
        countdown = 0;
        lasting = false;
        look();
        assert_true(spool_reader_settled(spools, &producer, since));
        go_away();
    }
}

static uint64_t asked;

static void spooled_behind_the_listing(void)
{
    asked = spool_reader_now(spools);
    spool_put(1, 0, 5);
}

/* Its listing was made before the number was taken. */
static void a_look_under_way_settles_no_spool(void **context)
{
    (void)context;
    round_begin(1100);
    come_up();
    listed = spooled_behind_the_listing;
    for (int i = 0; i < 2; i++) {
        spool_reader_tick(spools);
        assert_null(listed);
        assert_true(spool_reader_settled(spools, &producer, asked) == (i == 1));
    }
    assert_int_equal(counted(), 5);
    go_away();
}

static void its_last_lines_and_death(void)
{
    spool_put(1, 5, 3);
}

/* Between the last read and the removal of its spool file. */
static void what_a_producer_spools_right_before_its_death_is_read_before_the_file_goes(void **context)
{
    char name[SPOOL_NAME_BYTES], path[96];

    (void)context;
    round_begin(1200);
    spool_put(1, 0, 5);
    last_act = its_last_lines_and_death;
    look();
    assert_null(last_act);
    last_act = come_up; /* dead, and does nothing more */
    look();
    assert_int_equal(counted(), 8);
    spool_file_name(&producer, 1, name);
    snprintf(path, sizeof(path), "spool/%s", name);
    assert_false(file_there(at(path)));
    go_away();
}

static void memory_that_is_out_loses_and_doubles_nothing(void **context)
{
    (void)context;
    a_failing(FAULT_MEMORY, ENOMEM);
}

static void a_file_that_cannot_be_read_at_a_start_is_not_taken_for_another(void **context)
{
    (void)context;
    unique_put("e.jsonl", 5);
    follow_up(false);
    tick();
    follow_away();
    unique_put("e.jsonl", 2);
    renamed("e.jsonl", "e.jsonl.1");
    unique_put("e.jsonl", 3);
    follow_up(false);
    fault = FAULT_READ;
    fault_errno = EIO;
    countdown = 1;
    lasting = injecting = true;
    tick();
    lasting = injecting = false;
    tick();
    assert_int_equal(counted(), 10);
}

/* The simplest start there is: one file, which has grown. */
static void a_start_at_which_any_call_fails_reads_nothing_twice(void **context)
{
    static const int numbers[FAULTS] = {EIO, EMFILE, EIO, ENOMEM, EIO, ENOMEM};
    unsigned rounds = 3000;

    (void)context;
    for (unsigned kind = 0; kind < FAULTS; kind++)
        for (unsigned n = 1; n == 1 || happened; n++) {
            uint64_t before = counted();

            round_begin(rounds++);
            unique_put(at("e.jsonl"), 5);
            look();
            go_away();
            unique_put(at("e.jsonl"), 2);
            fault = kind;
            fault_errno = numbers[kind];
            countdown = n;
            look();
            countdown = 0;
            for (int i = 0; i < 3; i++)
                look();
            assert_int_equal(counted() - before, 7);
            go_away();
        }
}

/* Once a line of it is read, nothing shows that it was filled, copied and cut before. */
static void an_untouched_file_is_not_begun_while_its_copies_are_in_doubt(void **context)
{
    (void)context;
    file_append("e.jsonl", "");
    follow_up(false);
    tick();
    usleep(10000);
    unique_put("e.jsonl.1", 5); /* as copytruncate leaves it */
    unique_put("e.jsonl", 3);
    fault = FAULT_FOLDER;
    fault_errno = ENOMEM;
    countdown = 1;
    lasting = injecting = true;
    tick();
    lasting = injecting = false;
    tick();
    assert_int_equal(counted(), 8);
}

/* ---- another program writes while we read ---- */

#define TEXT_LINES 20000u /* three chunks */

static char *text_before, *text_after; /* of the same length, and no two lines alike */
static size_t text_len;

static char *text_make(void)
{
    char *text = malloc((size_t)TEXT_LINES * 64);

    text_len = 0;
    for (unsigned i = 0; text != NULL && i < TEXT_LINES; i++)
        text_len +=
            (size_t)snprintf(text + text_len, 64, "{\"v\":1,\"n\":%8u,\"decision\":\"accept\"}\n", unique++);
    return text;
}

static void copied_and_truncated(void)
{
    file_put("e.jsonl.1", O_CREAT, text_before, text_len);
    file_put("e.jsonl", O_TRUNC, text_after, text_len);
}

static void appended(void)
{
    unique_put("e.jsonl", 1);
}

/* An event file that was seen empty, and of which nothing was read. */
static void seen_untouched(void)
{
    struct stat status;

    file_append("e.jsonl", "");
    usleep(20000);
    follow_up(false);
    tick();
    usleep(20000);
    assert_int_equal(stat(in_folder("e.jsonl"), &status), 0);
    stat_inode = status.st_ino;
}

static void filled_copied_and_truncated(void)
{
    unique_put("e.jsonl.1", 5); /* as copytruncate leaves them */
    unique_put("e.jsonl", 3);
}

static void a_copy_made_between_the_look_for_it_and_the_first_read_is_read(void **context)
{
    (void)context;
    seen_untouched();
    before_stat = filled_copied_and_truncated;
    tick();
    assert_null(before_stat);
    tick();
    assert_int_equal(counted(), 8);
}

static void truncated_after_its_copy_was_seen(void)
{
    assert_int_equal(truncate(in_folder("e.jsonl"), 0), 0);
    unique_put("e.jsonl", 3);
}

/* It was a copy of what was there when it was looked for. */
static void a_copy_seen_before_the_truncation_is_read_after_it(void **context)
{
    (void)context;
    seen_untouched();
    unique = 100;
    unique_put("e.jsonl", 5);
    unique = 100;
    unique_put("e.jsonl.1", 5);
    before_stat = truncated_after_its_copy_was_seen;
    tick();
    assert_null(before_stat);
    tick();
    assert_int_equal(counted(), 8);
}

static const char *copy_packed; /* NULL: it stays plain */

static void copied_and_truncated_behind_the_last_read(void)
{
    unique = 100;
    unique_put("e.jsonl.1", 5);
    if (copy_packed != NULL)
        compressed("e.jsonl.1", copy_packed);
    assert_int_equal(truncate(in_folder("e.jsonl"), 0), 0);
    unique_put("e.jsonl", 3);
}

/* Then what is in hand is let go, and read from the copy. */
static void a_copy_made_right_behind_the_first_read_is_not_read_again(void **context)
{
    (void)context;
    seen_untouched();
    unique = 100;
    unique_put("e.jsonl", 5);
    meanwhile = copied_and_truncated_behind_the_last_read;
    reads_until = 2; /* the second finds the end */
    tick();
    assert_null(meanwhile);
    tick();
    assert_int_equal(counted(), 8);
}

static void nor_is_one_that_was_compressed_too(void **context)
{
    copy_packed = "e.jsonl.1.gz";
    a_copy_made_right_behind_the_first_read_is_not_read_again(context);
    copy_packed = NULL;
}

static void copytruncate_between_two_reads_loses_and_doubles_nothing(void **context)
{
    (void)context;
    text_before = text_make();
    text_after = text_make();
    assert_true(text_before != NULL && text_after != NULL && text_len > (size_t)2 * TAIL_CHUNK_BYTES);
    file_put("e.jsonl", O_CREAT, text_before, text_len);
    follow_up(false);
    meanwhile = copied_and_truncated;
    reads_until = 2;
    tick();
    assert_null(meanwhile);
    tick();
    assert_int_equal(counted(), 2 * TEXT_LINES);
    assert_int_equal(bad(), 0);
    free(text_before);
    free(text_after);
}

static struct timespec seen_times[2];

static void appended_at_the_same_time(void)
{
    struct stat status;

    assert_int_equal(stat(in_folder("e.jsonl"), &status), 0);
    seen_times[0] = seen_times[1] = status.st_mtim;
    unique_put("e.jsonl", 3);
}

/* A file is as long as the source saw it, and longer than that when it was read: size and time do not tell
 * that it was truncated since, within one tick of the file system's clock. */
static void a_file_cut_to_the_length_it_was_seen_with_is_read_anew(void **context)
{
    (void)context;
    unique = 100; /* lines of one length */
    unique_put("e.jsonl", 2);
    follow_up(false);
    meanwhile = appended_at_the_same_time;
    reads_until = 1;
    tick();
    assert_null(meanwhile);
    assert_int_equal(counted(), 5);
    assert_int_equal(truncate(in_folder("e.jsonl"), 0), 0);
    unique_put("e.jsonl", 2);
    assert_int_equal(utimensat(AT_FDCWD, in_folder("e.jsonl"), seen_times, 0), 0);
    tick();
    assert_int_equal(counted(), 7);
}

/* Behind the last read of a look too, which finds the end: the next look must not take the file for seen. */
static void what_is_written_behind_any_read_is_seen_by_the_next_look(void **context)
{
    (void)context;
    follow_up(false);
    for (unsigned n = 1; n <= 2; n++) {
        unique_put("e.jsonl", 1);
        meanwhile = appended;
        reads_until = n;
        tick();
        assert_null(meanwhile);
        tick();
        assert_int_equal(counted(), 2 * n);
    }
}

/* A line that two chunks share is kept apart, and memory for it may be out when a decoder cannot go back. */
static void memory_that_is_out_amid_a_packed_file_loses_and_doubles_nothing(void **context)
{
    (void)context;
    text_before = text_make();
    assert_non_null(text_before);
    for (unsigned n = 1; n == 1 || happened; n++) {
        uint64_t before = counted();

        round_begin(2000 + n);
        unique_put(at("e.jsonl"), 1);
        look();
        go_away();
        file_put(at("e.jsonl"), O_APPEND, text_before, text_len);
        compressed(at("e.jsonl"), at("e.jsonl.1.gz"));
        fault = FAULT_MEMORY;
        fault_errno = ENOMEM;
        countdown = n;
        look();
        countdown = 0;
        for (int i = 0; i < 3; i++)
            look();
        assert_int_equal(counted() - before, 1 + TEXT_LINES);
        go_away();
    }
    free(text_before);
}

/* ---- without inotify ---- */

static bool counted_within(uint64_t wanted)
{
    for (unsigned i = 0; i < 6000 && counted() != wanted; i++)
        usleep(10000);
    return counted() == wanted;
}

static void where_inotify_cannot_watch_files_are_read_all_the_same(void **context)
{
    const char *paths[] = {in_folder("e.jsonl")};
    struct source_file_options options = {.paths = paths, .path_count = 1};
    struct source_file *source;

    (void)context;
    for (int i = 0; i < 2; i++) {
        no_inotify = i == 0;
        no_watch = i == 1;
        assert_int_equal(source_file_open(&options, ingest, &source, error, sizeof(error)), 0);
        unique_put("e.jsonl", 3);
        assert_true(counted_within((uint64_t)i * 7 + 3));
        usleep(10000);
        renamed("e.jsonl", i == 0 ? "e.jsonl.2" : "e.jsonl.1");
        unique_put("e.jsonl", 4);
        assert_true(counted_within((uint64_t)i * 7 + 7));
        source_file_close(source);
    }
    no_inotify = no_watch = false;
}

static void a_neighbour_that_is_written_without_a_pause_keeps_no_file_waiting(void **context)
{
    const char *paths[] = {in_folder("e.jsonl")};
    struct source_file_options options = {.paths = paths, .path_count = 1};
    struct source_file *source;

    (void)context;
    never_quiet = true; /* inotify has always more */
    assert_int_equal(source_file_open(&options, ingest, &source, error, sizeof(error)), 0);
    unique_put("e.jsonl", 3);
    assert_true(counted_within(3));
    never_quiet = false; /* the end must come even when it were not for the bound */
    source_file_close(source);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_that_fail_lose_and_double_nothing),
        TEST(opens_that_fail_lose_and_double_nothing),
        TEST(looks_at_files_that_fail_lose_and_double_nothing),
        TEST(listings_that_fail_lose_and_double_nothing),
        TEST(a_listing_that_fails_settles_no_spool),
        TEST(a_look_under_way_settles_no_spool),
        TEST(what_a_producer_spools_right_before_its_death_is_read_before_the_file_goes),
        TEST(memory_that_is_out_loses_and_doubles_nothing),
        TEST(a_file_that_cannot_be_read_at_a_start_is_not_taken_for_another),
        TEST(a_start_at_which_any_call_fails_reads_nothing_twice),
        TEST(an_untouched_file_is_not_begun_while_its_copies_are_in_doubt),
        TEST(copytruncate_between_two_reads_loses_and_doubles_nothing),
        TEST(a_copy_made_between_the_look_for_it_and_the_first_read_is_read),
        TEST(a_copy_seen_before_the_truncation_is_read_after_it),
        TEST(a_copy_made_right_behind_the_first_read_is_not_read_again),
        TEST(nor_is_one_that_was_compressed_too),
        TEST(a_file_cut_to_the_length_it_was_seen_with_is_read_anew),
        TEST(what_is_written_behind_any_read_is_seen_by_the_next_look),
        TEST(memory_that_is_out_amid_a_packed_file_loses_and_doubles_nothing),
        TEST(where_inotify_cannot_watch_files_are_read_all_the_same),
        TEST(a_neighbour_that_is_written_without_a_pause_keeps_no_file_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
