/* test_state.c - what survives a kill, a boot, damage and a failing disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "change.h"
#include "folder_check.h"
#include "state.h"

#include <errno.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/wait.h>

int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);
int __real_mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value, unsigned flags);
int __wrap_mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value, unsigned flags);

int __real_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);
int __wrap_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);

static int commits_failing, puts_full;
static int check_error;  /* what the check of a data file at the start meets; it opens for reading */
static int check_signal; /* or what ends it */

int __wrap_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
    if ((flags & MDB_RDONLY) != 0 && check_signal != 0)
        raise(check_signal);
    if ((flags & MDB_RDONLY) != 0 && check_error != 0)
        return check_error;
    return __real_mdb_env_open(env, path, flags, mode);
}

int __wrap_mdb_txn_commit(MDB_txn *txn)
{
    if (commits_failing == 0)
        return __real_mdb_txn_commit(txn);
    commits_failing--;
    mdb_txn_abort(txn);
    return EIO;
}

int __wrap_mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value, unsigned flags)
{
    if (puts_full == 0)
        return __real_mdb_put(txn, dbi, key, value, flags);
    puts_full--;
    return MDB_MAP_FULL;
}

static char error[256];
static char loaded[1024]; /* "key=value " of every pair */

static int begin(void **context)
{
    (void)context;
    commits_failing = puts_full = check_error = check_signal = 0;
    return folder_make();
}

static int end(void **context)
{
    (void)context;
    return folder_remove_all();
}

static struct state *opened(void)
{
    struct state *state;

    if (state_open(in_folder("state"), &state, error, sizeof(error)) != 0)
        fail_msg("%s", error);
    return state;
}

static int put(struct state *state, const char *key, const char *value)
{
    struct change_list list;
    int status;

    change_list_init(&list);
    assert_true(change_list_put(&list, key, strlen(key), value, strlen(value)));
    status = state_commit(state, &list);
    change_list_fini(&list);
    return status;
}

static void note(void *context, const void *key, size_t key_len, const void *value, size_t value_len)
{
    size_t used = strlen(loaded);

    (void)context;
    snprintf(loaded + used, sizeof(loaded) - used, "%.*s=%.*s ", (int)key_len, (const char *)key,
             (int)value_len, (const char *)value);
}

static const char *contents(struct state *state)
{
    loaded[0] = '\0';
    assert_int_equal(state_load(state, note, NULL), 0);
    return loaded;
}

/* Runs `work` in a process that ends without a close, as a kill would end it. */
static void in_killed_process(void (*work)(struct state *state))
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct state *state;

        if (state_open(in_folder("state"), &state, error, sizeof(error)) != 0)
            _exit(9);
        work(state);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void another_boot(const char *ending)
{
    char text[128];

    snprintf(text, sizeof(text), "00000000-0000-0000-0000-000000000000 %s\n", ending);
    file_put("state/boot", O_TRUNC, text, strlen(text));
}

static void work_put_one(struct state *state)
{
    if (put(state, "sA", "1") != 0)
        _exit(8);
}

static void work_copy_then_put(struct state *state)
{
    if (put(state, "sA", "1") != 0 || state_sync(state) != 0 || put(state, "sB", "2") != 0)
        _exit(8);
}

static void what_was_committed_is_there_after_a_close(void **context)
{
    struct state *state = opened();

    (void)context;
    assert_int_equal(put(state, "sB", "2"), 0);
    assert_int_equal(put(state, "sA", "1"), 0);
    state_close(state);
    state = opened();
    assert_string_equal(contents(state), "sA=1 sB=2 ");
    state_close(state);
}

static void what_was_committed_is_there_after_a_kill(void **context)
{
    struct state *state;

    (void)context;
    in_killed_process(work_put_one);
    state = opened();
    assert_string_equal(contents(state), "sA=1 ");
    state_close(state);
}

static void an_empty_value_deletes_and_deleting_nothing_is_fine(void **context)
{
    struct state *state = opened();

    (void)context;
    assert_int_equal(put(state, "sA", "1"), 0);
    assert_int_equal(put(state, "sA", ""), 0);
    assert_int_equal(put(state, "sX", ""), 0);
    assert_string_equal(contents(state), "");
    state_close(state);
}

static void the_epoch_stays_and_another_state_has_another(void **context)
{
    unsigned char first[STATE_EPOCH_BYTES];
    struct state *state = opened(), *other;

    (void)context;
    memcpy(first, state_epoch(state), sizeof(first));
    assert_int_equal(state_open(in_folder("other"), &other, error, sizeof(error)), 0);
    assert_memory_not_equal(first, state_epoch(other), sizeof(first));
    state_close(other);
    state_close(state);
    state = opened();
    assert_memory_equal(first, state_epoch(state), sizeof(first));
    state_close(state);
}

static void a_second_sidecar_is_refused_with_the_pid_of_the_first(void **context)
{
    struct state *state = opened(), *second;
    char pid[32];

    (void)context;
    snprintf(pid, sizeof(pid), "pid %ld", (long)getpid());
    assert_int_equal(state_open(in_folder("state"), &second, error, sizeof(error)), -1);
    assert_non_null(strstr(error, pid));
    assert_null(second);
    state_close(state);
    state_close(opened());
}

static void a_file_in_the_folders_place_is_a_clear_error(void **context)
{
    struct state *state;

    (void)context;
    file_append("state", "x");
    assert_int_equal(state_open(in_folder("state"), &state, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "--state"));
}

static void what_is_no_file_at_a_files_name_is_named_in_the_error(void **context)
{
    static const char *const names[] = {"data.mdb", "copy.mdb", "lock.mdb"};
    struct state *state;
    char path[64];

    (void)context;
    state_close(opened());
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "state/%s", names[i]);
        unlink(in_folder(path));
        assert_int_equal(mkdir(in_folder(path), 0700), 0);
        assert_int_equal(state_open(in_folder("state"), &state, error, sizeof(error)), -1);
        assert_non_null(strstr(error, names[i]));
        assert_non_null(strstr(error, "no regular file"));
        assert_int_equal(rmdir(in_folder(path)), 0);
    }
    state_close(opened());
}

/* LMDB would go on writing to the old file, and a restart would find nothing of it. */
static void a_commit_to_a_data_file_that_was_replaced_is_no_commit(void **context)
{
    struct state *state = opened();

    (void)context;
    assert_int_equal(put(state, "sA", "1"), 0);
    assert_int_equal(state_sync(state), 0); /* makes copy.mdb */
    assert_int_equal(put(state, "sA", "2"), 0);
    assert_int_equal(rename(in_folder("state/copy.mdb"), in_folder("state/data.mdb")), 0);
    assert_int_equal(put(state, "sA", "3"), -1);
    assert_non_null(strstr(state_error(state), "removed or replaced"));
    assert_int_equal(state_reopen(state), 0);
    assert_string_equal(contents(state), "sA=1 ");
    assert_int_equal(put(state, "sA", "4"), 0);
    state_close(state);
    state = opened();
    assert_string_equal(contents(state), "sA=4 ");
    state_close(state);
}

/* As `cp` puts a copy back: into the file that is open. LMDB would go on in it, and a restart would find some
 * keys as they were in the copy and others as they are. */
static void a_commit_to_data_that_was_written_over_is_no_commit(void **context)
{
    struct state *state = opened();
    char bytes[65536];
    ssize_t n;
    int copy;

    (void)context;
    assert_int_equal(put(state, "sA", "1"), 0);
    assert_int_equal(state_sync(state), 0); /* makes copy.mdb */
    assert_int_equal(put(state, "sA", "2"), 0);
    assert_int_equal(put(state, "sB", "2"), 0);
    copy = open(in_folder("state/copy.mdb"), O_RDONLY | O_CLOEXEC);
    n = read(copy, bytes, sizeof(bytes));
    close(copy);
    assert_true(n > 0 && (size_t)n < sizeof(bytes));
    file_put("state/data.mdb", O_TRUNC, bytes, (size_t)n);
    assert_int_equal(put(state, "sB", "3"), -1);
    assert_non_null(strstr(state_error(state), "written over"));
    assert_int_equal(state_reopen(state), 0);
    assert_string_equal(contents(state), "sA=1 ");
    assert_int_equal(put(state, "sB", "4"), 0);
    state_close(state);
    state = opened();
    assert_string_equal(contents(state), "sA=1 sB=4 ");
    state_close(state);
}

/* ---- removed in use ---- */

static void folder_removed(void)
{
    assert_int_equal(nftw(in_folder("state"), folder_remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* All that it held is at its place again, under the same epoch, and locked. */
static void written_again(struct state *state, const unsigned char epoch[STATE_EPOCH_BYTES], const char *all)
{
    struct state *second;

    assert_int_equal(state_reopen(state), 0);
    assert_int_equal(state_check(state), 0);
    assert_string_equal(contents(state), all);
    assert_memory_equal(epoch, state_epoch(state), STATE_EPOCH_BYTES);
    assert_int_equal(state_open(in_folder("state"), &second, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "another sidecar"));
    state_close(state);
    state = opened();
    assert_string_equal(contents(state), all);
    assert_memory_equal(epoch, state_epoch(state), STATE_EPOCH_BYTES);
    state_close(state);
}

static void a_data_file_removed_in_use_is_written_again_whole_under_the_same_epoch(void **context)
{
    unsigned char epoch[STATE_EPOCH_BYTES];
    struct state *state = opened();

    (void)context;
    memcpy(epoch, state_epoch(state), sizeof(epoch));
    assert_int_equal(put(state, "sA", "1"), 0);
    assert_int_equal(state_sync(state), 0); /* an older copy is no reason to lose what came after it */
    assert_int_equal(put(state, "sA", "2"), 0);
    assert_int_equal(state_check(state), 0);
    assert_int_equal(unlink(in_folder("state/data.mdb")), 0);
    assert_int_equal(state_check(state), -1);
    assert_int_equal(put(state, "sB", "3"), -1);
    written_again(state, epoch, "sA=2 sB=3 ");
}

static void a_state_folder_removed_in_use_is_made_again_with_all_that_was_committed(void **context)
{
    unsigned char epoch[STATE_EPOCH_BYTES];
    struct state *state = opened();

    (void)context;
    memcpy(epoch, state_epoch(state), sizeof(epoch));
    assert_int_equal(put(state, "sA", "1"), 0);
    folder_removed();
    assert_int_equal(state_check(state), -1);
    written_again(state, epoch, "sA=1 ");
}

static void a_lock_removed_in_use_is_taken_again(void **context)
{
    unsigned char epoch[STATE_EPOCH_BYTES];
    struct state *state = opened();

    (void)context;
    memcpy(epoch, state_epoch(state), sizeof(epoch));
    assert_int_equal(unlink(in_folder("state/lock")), 0);
    assert_int_equal(state_check(state), -1);
    written_again(state, epoch, "");
}

static void while_a_removed_folder_cannot_be_made_nothing_is_lost(void **context)
{
    unsigned char epoch[STATE_EPOCH_BYTES];
    struct state *state = opened();

    (void)context;
    memcpy(epoch, state_epoch(state), sizeof(epoch));
    assert_int_equal(put(state, "sA", "1"), 0);
    folder_removed();
    file_append("state", "in the way");
    assert_int_equal(state_check(state), -1);
    assert_int_equal(state_reopen(state), -1);
    assert_int_equal(state_reopen(state), -1);
    assert_non_null(strstr(state_error(state), "state folder"));
    assert_int_equal(unlink(in_folder("state")), 0);
    written_again(state, epoch, "sA=1 ");
}

static void another_sidecars_folder_in_a_removed_ones_place_is_left_alone(void **context)
{
    struct state *state = opened(), *second;

    (void)context;
    assert_int_equal(put(state, "sA", "1"), 0);
    folder_removed();
    second = opened();
    assert_int_equal(put(second, "sB", "2"), 0);
    assert_int_equal(state_reopen(state), -1);
    assert_non_null(strstr(state_error(state), "another sidecar"));
    state_close(state);
    assert_int_equal(put(second, "sC", "3"), 0);
    state_close(second);
    second = opened();
    assert_string_equal(contents(second), "sB=2 sC=3 ");
    state_close(second);
}

static void where_the_removed_data_is_not_open_the_copy_counts_under_another_epoch(void **context)
{
    unsigned char before[STATE_EPOCH_BYTES];
    struct state *state = opened();

    (void)context;
    memcpy(before, state_epoch(state), sizeof(before));
    assert_int_equal(put(state, "sA", "1"), 0);
    assert_int_equal(state_sync(state), 0);
    assert_int_equal(put(state, "mversion", "2"), 0);
    assert_int_equal(state_reopen(state), -1); /* and is closed now */
    assert_int_equal(unlink(in_folder("state/data.mdb")), 0);
    assert_int_equal(state_reopen(state), 0);
    assert_string_equal(contents(state), "sA=1 ");
    assert_memory_not_equal(before, state_epoch(state), sizeof(before));
    state_close(state);
}

/* ---- boots ---- */

static void after_a_boot_without_a_clean_end_only_the_copy_counts(void **context)
{
    unsigned char before[STATE_EPOCH_BYTES];
    struct state *state = opened();

    (void)context;
    memcpy(before, state_epoch(state), sizeof(before));
    state_close(state);
    in_killed_process(work_copy_then_put);
    another_boot("open");
    state = opened();
    assert_string_equal(contents(state), "sA=1 ");
    assert_memory_not_equal(before, state_epoch(state), sizeof(before));
    assert_int_equal(files_count("state", "data.mdb.bad-"), 1);
    state_close(state);
}

static void after_a_boot_with_a_clean_end_everything_counts(void **context)
{
    struct state *state = opened();

    (void)context;
    assert_int_equal(put(state, "sA", "1"), 0);
    assert_int_equal(state_sync(state), 0);
    assert_int_equal(put(state, "sB", "2"), 0);
    state_close(state);
    another_boot("clean");
    state = opened();
    assert_string_equal(contents(state), "sA=1 sB=2 ");
    state_close(state);
}

static void after_a_kill_under_the_same_boot_everything_counts(void **context)
{
    struct state *state;

    (void)context;
    in_killed_process(work_copy_then_put);
    state = opened();
    assert_string_equal(contents(state), "sA=1 sB=2 ");
    state_close(state);
}

static void garbage_for_data_is_set_aside_and_the_copy_used(void **context)
{
    char garbage[16384];
    struct state *state;

    (void)context;
    in_killed_process(work_copy_then_put);
    memset(garbage, 0x5a, sizeof(garbage));
    file_put("state/data.mdb", O_TRUNC, garbage, sizeof(garbage));
    state = opened();
    assert_string_equal(contents(state), "sA=1 ");
    assert_int_equal(files_count("state", "data.mdb.bad-"), 1);
    state_close(state);
}

static void good_data_stays(void)
{
    struct state *state = opened();

    assert_string_equal(contents(state), "sA=1 sB=2 ");
    assert_int_equal(files_count("state", "data.mdb.bad-"), 0);
    state_close(state);
}

/* A start without memory, descriptors or time must not cost what was counted since the copy. */
static void data_that_cannot_be_checked_is_used(void **context)
{
    static const int errors[] = {ENOMEM, EMFILE, ENFILE, EACCES};
    static const int signals[] = {SIGALRM, SIGKILL};

    (void)context;
    in_killed_process(work_copy_then_put);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        check_error = errors[i];
        good_data_stays();
    }
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        check_signal = signals[i];
        good_data_stays();
    }
}

/* LMDB would follow the page number of a page that is not there: a SIGBUS. */
static void a_truncated_data_file_is_set_aside_and_the_copy_used(void **context)
{
    struct state *state;

    (void)context;
    in_killed_process(work_copy_then_put);
    assert_int_equal(truncate(in_folder("state/data.mdb"), 8192), 0);
    state = opened();
    assert_string_equal(contents(state), "sA=1 ");
    state_close(state);
}

static void a_missing_data_file_is_replaced_by_the_copy(void **context)
{
    struct state *state;

    (void)context;
    in_killed_process(work_copy_then_put);
    assert_int_equal(unlink(in_folder("state/data.mdb")), 0);
    state = opened();
    assert_string_equal(contents(state), "sA=1 ");
    state_close(state);
}

static void damage_beyond_the_copy_is_an_error_that_says_what_to_do(void **context)
{
    struct state *state;

    (void)context;
    in_killed_process(work_copy_then_put);
    file_put("state/data.mdb", O_TRUNC, "garbage garbage", 15);
    file_put("state/copy.mdb", O_TRUNC, "garbage garbage", 15);
    assert_int_equal(state_open(in_folder("state"), &state, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "move the folder away"));
}

static void damage_without_a_copy_begins_at_nothing(void **context)
{
    struct state *state;

    (void)context;
    in_killed_process(work_put_one);
    file_put("state/data.mdb", O_TRUNC, "garbage garbage", 15);
    state = opened();
    assert_string_equal(contents(state), "");
    state_close(state);
}

static void another_versions_state_is_refused_and_left_alone(void **context)
{
    struct state *state = opened();

    (void)context;
    assert_int_equal(put(state, "mversion", "2"), 0);
    state_close(state);
    assert_int_equal(state_open(in_folder("state"), &state, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "another version"));
    assert_int_equal(files_count("state", "data.mdb.bad-"), 0);
}

static void a_failed_commit_changes_nothing_and_after_a_reopen_commits_work(void **context)
{
    struct state *state = opened();

    (void)context;
    assert_int_equal(put(state, "sA", "1"), 0);
    commits_failing = 1;
    assert_int_equal(put(state, "sA", "2"), -1);
    assert_non_null(strstr(state_error(state), strerror(EIO)));
    assert_int_equal(state_reopen(state), 0);
    assert_string_equal(contents(state), "sA=1 ");
    assert_int_equal(state_probe(state), 0);
    assert_int_equal(put(state, "sA", "3"), 0);
    assert_string_equal(contents(state), "sA=3 ");
    state_close(state);
}

static void a_full_map_grows_and_the_commit_goes_through(void **context)
{
    struct state *state = opened();

    (void)context;
    puts_full = 2;
    assert_int_equal(put(state, "sA", "1"), 0);
    assert_string_equal(contents(state), "sA=1 ");
    state_close(state);
}

static void a_map_that_cannot_grow_is_an_error(void **context)
{
    struct state *state = opened();

    (void)context;
    puts_full = 1000;
    assert_int_equal(put(state, "sA", "1"), -1);
    puts_full = 0;
    assert_int_equal(put(state, "sA", "1"), 0);
    state_close(state);
}

static void a_sync_without_anything_new_writes_no_copy(void **context)
{
    struct state *state = opened();

    (void)context;
    assert_int_equal(state_sync(state), 0);
    assert_false(file_there("state/copy.mdb"));
    assert_int_equal(put(state, "sA", "1"), 0);
    assert_int_equal(state_sync(state), 0);
    assert_true(file_there("state/copy.mdb"));
    state_close(state);
}

static void a_state_in_memory_keeps_nothing(void **context)
{
    struct state *state;

    (void)context;
    assert_int_equal(state_open(NULL, &state, error, sizeof(error)), 0);
    assert_int_equal(put(state, "sA", "1"), 0);
    assert_string_equal(contents(state), "");
    assert_int_equal(state_sync(state), 0);
    assert_int_equal(state_reopen(state), 0);
    state_close(state);
    state_close(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_committed_is_there_after_a_close),
        TEST(what_was_committed_is_there_after_a_kill),
        TEST(an_empty_value_deletes_and_deleting_nothing_is_fine),
        TEST(the_epoch_stays_and_another_state_has_another),
        TEST(a_second_sidecar_is_refused_with_the_pid_of_the_first),
        TEST(a_file_in_the_folders_place_is_a_clear_error),
        TEST(what_is_no_file_at_a_files_name_is_named_in_the_error),
        TEST(a_commit_to_a_data_file_that_was_replaced_is_no_commit),
        TEST(a_commit_to_data_that_was_written_over_is_no_commit),
        TEST(a_data_file_removed_in_use_is_written_again_whole_under_the_same_epoch),
        TEST(a_state_folder_removed_in_use_is_made_again_with_all_that_was_committed),
        TEST(a_lock_removed_in_use_is_taken_again),
        TEST(while_a_removed_folder_cannot_be_made_nothing_is_lost),
        TEST(another_sidecars_folder_in_a_removed_ones_place_is_left_alone),
        TEST(where_the_removed_data_is_not_open_the_copy_counts_under_another_epoch),
        TEST(after_a_boot_without_a_clean_end_only_the_copy_counts),
        TEST(after_a_boot_with_a_clean_end_everything_counts),
        TEST(after_a_kill_under_the_same_boot_everything_counts),
        TEST(garbage_for_data_is_set_aside_and_the_copy_used),
        TEST(data_that_cannot_be_checked_is_used),
        TEST(a_truncated_data_file_is_set_aside_and_the_copy_used),
        TEST(a_missing_data_file_is_replaced_by_the_copy),
        TEST(damage_beyond_the_copy_is_an_error_that_says_what_to_do),
        TEST(damage_without_a_copy_begins_at_nothing),
        TEST(another_versions_state_is_refused_and_left_alone),
        TEST(a_failed_commit_changes_nothing_and_after_a_reopen_commits_work),
        TEST(a_full_map_grows_and_the_commit_goes_through),
        TEST(a_map_that_cannot_grow_is_an_error),
        TEST(a_sync_without_anything_new_writes_no_copy),
        TEST(a_state_in_memory_keeps_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
