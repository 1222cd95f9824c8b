/* test_ingest_faults.c - every call of state and ingest that can fail, failing at its Nth time, N looped
 * over.
 *
 * One history of batches, file positions and door words goes through ingest while one kind of call fails,
 * once or until the disk is healed. Whatever fails: what is shown never goes back (only committed values
 * are), what was acknowledged is there after a restart, work goes on by itself, and the totals are exact.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder_check.h"
#include "ingest.h"
#include "series_check.h"
#include "text.h"

#include <errno.h>
#include <lmdb.h>
#include <pthread.h>

#define STEPS 6u
#define ROWS  10u
#define TRIES 20u

/* ---- calls that fail ---- */

enum fault {
    FAULT_OPEN,
    FAULT_WRITE,
    FAULT_FSYNC,
    FAULT_RENAME,
    FAULT_MEMORY,
    FAULT_ENV_OPEN,
    FAULT_TXN_BEGIN,
    FAULT_PUT,
    FAULT_COMMIT,
    FAULT_SYNC,
    FAULT_COPY,
    FAULT_CURSOR,
    FAULT_PANIC,
    FAULTS
};

static enum fault fault;
static unsigned countdown;     /* calls of that kind until one fails; 0: it has */
static bool lasting, happened; /* lasting: all that follow fail too, until healed */
static bool injecting;         /* in calls of the sidecar's code, not in the test's own */
static bool panicked;          /* as LMDB after one failed write of its meta page: until it is opened anew */
static pid_t here;             /* the child that checks a data file is left alone */
static bool unsynced_file;     /* written since the last fsync: it must not get its name */
static bool unsynced_state;    /* a commit since the last sync of the environment */

static bool fails(enum fault kind)
{
    if (!injecting || kind != fault || getpid() != here)
        return false;
    if (countdown > 1) {
        countdown--;
        return false;
    }
    if (countdown == 0)
        return lasting;
    countdown = 0;
    happened = true;
    return true;
}

/* A call that fails in the way of its kind. */
#define WRAP(kind, type, name, parameters, arguments, failure)                                               \
    type __real_##name parameters;                                                                           \
    type __wrap_##name parameters;                                                                           \
    type __wrap_##name parameters                                                                            \
    {                                                                                                        \
        if (!fails(kind))                                                                                    \
            return __real_##name arguments;                                                                  \
        failure;                                                                                             \
    }

#define ERRNO(error) return errno = (error), -1

ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    if (fails(FAULT_WRITE))
        ERRNO(ENOSPC);
    unsynced_file = unsynced_file || fd != STDERR_FILENO;
    return __real_write(fd, bytes, len);
}

/* No power is lost here: that a sync does nothing when it does not fail makes the loops five times faster. */
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    (void)fd;
    if (fails(FAULT_FSYNC))
        ERRNO(EIO);
    unsynced_file = false;
    return 0;
}

int __wrap_mdb_env_sync(MDB_env *env, int force);
int __wrap_mdb_env_sync(MDB_env *env, int force)
{
    (void)env;
    (void)force;
    if (fails(FAULT_SYNC))
        return EIO;
    unsynced_state = false;
    return 0;
}

int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    assert_false(unsynced_file);
    if (fails(FAULT_RENAME))
        ERRNO(ENOSPC);
    return __real_renameat(from_fd, from, to_fd, to);
}

WRAP(FAULT_MEMORY, void *, malloc, (size_t len), (len), return NULL)
WRAP(FAULT_MEMORY, void *, calloc, (size_t n, size_t len), (n, len), return NULL)
WRAP(FAULT_MEMORY, void *, realloc, (void *old, size_t len), (old, len), return NULL)
int __real_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);
int __wrap_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);
int __wrap_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
    if (fails(FAULT_ENV_OPEN))
        return ENOSPC;
    panicked = false;
    return __real_mdb_env_open(env, path, flags, mode);
}

int __real_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **out);
int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **out);
int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **out)
{
    if (fails(FAULT_TXN_BEGIN))
        return ENOMEM;
    return panicked && injecting ? MDB_PANIC : __real_mdb_txn_begin(env, parent, flags, out);
}

WRAP(FAULT_PUT, int, mdb_put, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *value, unsigned flags),
     (txn, dbi, key, value, flags), return lasting ? MDB_MAP_FULL : MDB_TXN_FULL)
int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn)
{
    bool panics = fails(FAULT_PANIC);

    if (!panics && !fails(FAULT_COMMIT)) {
        unsynced_state = true;
        return __real_mdb_txn_commit(txn);
    }
    panicked = panics;
    mdb_txn_abort(txn);
    return EIO;
}

int __real_mdb_env_copyfd2(MDB_env *env, mdb_filehandle_t fd, unsigned flags);
int __wrap_mdb_env_copyfd2(MDB_env *env, mdb_filehandle_t fd, unsigned flags);
int __wrap_mdb_env_copyfd2(MDB_env *env, mdb_filehandle_t fd, unsigned flags)
{
    if (fails(FAULT_COPY))
        return ENOSPC;
    unsynced_file = true;
    return __real_mdb_env_copyfd2(env, fd, flags);
}

WRAP(FAULT_CURSOR, int, mdb_cursor_open, (MDB_txn * txn, MDB_dbi dbi, MDB_cursor **out), (txn, dbi, out),
     return ENOMEM)

int __real_openat(int folder_fd, const char *name, int flags, ...);
int __wrap_openat(int folder_fd, const char *name, int flags, ...);
int __wrap_openat(int folder_fd, const char *name, int flags, ...)
{
    if (fails(FAULT_OPEN))
        ERRNO(EMFILE);
    return __real_openat(folder_fd, name, flags, 0600); /* all of state's files are made so */
}

static void healed(void)
{
    lasting = false;
}

/* ---- the sidecar's inside ---- */

static struct aggregate *aggregate;
static struct state *state;
static struct ingest *ingest;
static char error[256];
static struct labels labels[STEPS]; /* another series a step, so that memory is asked for */
static struct observation observations[STEPS][ROWS];
static const struct event_producer producer = {{0x18, 1}};

static void labels_fresh(void)
{
    static const char *const runs[STEPS] = {"a", "b", "c", "d", "e", "f"};

    for (unsigned i = 0; i < STEPS; i++) {
        labels[i] = (struct labels){.source = SOURCE_SDK_V1,
                                    .decision = TEXT_OF("accept"),
                                    .reason = TEXT_OF("none"),
                                    .component = TEXT_OF("c"),
                                    .run_id = {runs[i], 1}};
        for (unsigned j = 0; j < ROWS; j++)
            observations[i][j] = (struct observation){.labels = &labels[i], .time_ns = 1};
    }
}

static void bring_down(void)
{
    injecting = true;
    ingest_close(ingest);
    state_close(state);
    injecting = false;
    aggregate_free(aggregate);
    ingest = NULL;
    state = NULL;
}

static bool brought_up(void)
{
    int status;

    labels_fresh();
    aggregate = aggregate_new(NULL);
    assert_non_null(aggregate);
    error[0] = '\0';
    injecting = true;
    status = state_open(in_folder("state"), &state, error, sizeof(error));
    if (status == 0)
        status = ingest_open(aggregate, state, &ingest, error, sizeof(error));
    injecting = false;
    if (status == 0)
        return true;
    assert_true(error[0] != '\0');
    bring_down();
    return false;
}

/* What a supervisor does with a sidecar that does not start. */
static void bring_up(void)
{
    for (unsigned i = 0; !brought_up(); i++) {
        assert_true(happened && i < TRIES);
        if (i == 2)
            healed();
    }
}

static uint64_t counted(void)
{
    return series_total(aggregate, "peaktrade_ai_decisions_total", "");
}

/* ---- the history ---- */

static enum ingest_status step_take(unsigned step)
{
    struct ingest_run run = {producer, 1, step * ROWS, ROWS, -1, 0};
    /* The second one's ring is new: where memory for it fails, the first one's rise is taken back. */
    struct ingest_door doors[] = {{.producer = producer, .ring = 1, .words = {step + 1}},
                                  {.producer = producer, .ring = 2 + step, .words = {1}}};
    struct change_list positions;
    struct ingest_unit unit = {.road = ROAD_NNG,
                               .observations = observations[step],
                               .observation_count = ROWS,
                               .runs = &run,
                               .run_count = 1,
                               .doors = doors,
                               .door_count = 2,
                               .positions = &positions};
    char value = (char)('0' + step);
    enum ingest_status status;

    change_list_init(&positions);
    assert_true(change_list_put(&positions, "f/a", 3, &value, 1));
    injecting = true;
    status = ingest_take(ingest, &unit, NULL);
    injecting = false;
    change_list_fini(&positions);
    return status;
}

/* The committed position stays, whether the state could be read back or not: a file source that saw none
 * would read its file from the start. */
static void position_stays(unsigned step)
{
    char value = 0;

    if (step == 0)
        return;
    assert_int_equal(ingest_position(ingest, "f/a", 3, &value, 1), 1);
    assert_true(value == '0' + (char)step || value == '0' + (char)step - 1);
}

static bool maintained(void)
{
    uint64_t shown = counted();
    bool committing;

    injecting = true;
    committing = ingest_maintain(ingest);
    injecting = false;
    assert_true(counted() >= shown); /* what was shown was committed: no reload takes it back */
    return committing;
}

/* A producer keeps what is not acknowledged and sends it again; the timer runs meanwhile. */
static void step_until_acknowledged(unsigned step)
{
    uint64_t acknowledged = (uint64_t)step * ROWS;

    for (unsigned i = 0; step_take(step) != INGEST_COMMITTED; i++) {
        uint64_t shown = counted();
        bool committing;

        assert_true(happened && i < TRIES);
        assert_true(shown == acknowledged || shown == acknowledged + ROWS);
        if (i == 2)
            healed();
        committing = maintained();
        if (lasting && fault == FAULT_PUT)
            assert_false(committing); /* it can be opened and read, but not written: a probe tells */
        position_stays(step);
    }
    assert_int_equal(counted(), acknowledged + ROWS);
    maintained();
}

static void totals_are_exact(void)
{
    char value = 0;

    assert_int_equal(counted(), STEPS * ROWS);
    assert_int_equal(series_total(aggregate, "ailive_events_dropped_total", "ring_full"), 2 * STEPS);
    assert_int_equal(ingest_position(ingest, "f/a", 3, &value, 1), 1);
    assert_int_equal(value, '0' + STEPS - 1);
}

static void history(void)
{
    bring_up();
    for (unsigned step = 0; step < STEPS; step++) {
        if (step == STEPS / 2) {
            bring_down();
            bring_up();
            assert_int_equal(counted(), step * ROWS); /* all that was acknowledged, and no more */
        }
        step_until_acknowledged(step);
    }
    healed();
    fault = FAULTS;
    assert_true(maintained());
    assert_false(unsynced_state); /* a sync that failed was tried again */
    totals_are_exact();
    bring_down();
    bring_up();
    totals_are_exact();
    for (unsigned step = 0; step < STEPS; step++)
        assert_int_equal(step_take(step), INGEST_COMMITTED);
    assert_int_equal(counted(), STEPS * ROWS);
    bring_down();
}

/* Until the history ends before the Nth call. Returns how many calls were made to fail. */
static unsigned every_call_fails_once(enum fault kind, bool stays)
{
    unsigned n = 0;

    do {
        here = getpid();
        fault = kind;
        countdown = ++n;
        lasting = stays;
        happened = panicked = false;
        /* In memory: on a disk each renaming waits for it. */
        snprintf(folder, sizeof(folder), "/dev/shm/ailive-unit.XXXXXX");
        assert_non_null(mkdtemp(folder));
        history();
        assert_int_equal(folder_remove_all(), 0);
    } while (happened);
    return n - 1;
}

static void whichever_call_fails(enum fault kind)
{
    int silent = open("/dev/null", O_WRONLY | O_CLOEXEC), before = dup(STDERR_FILENO);
    unsigned once, staying;

    dup2(silent, STDERR_FILENO); /* hundreds of reports */
    once = every_call_fails_once(kind, false);
    staying = every_call_fails_once(kind, true);
    dup2(before, STDERR_FILENO);
    close(before);
    close(silent);
    assert_true(once > 0 && staying > 0);
}

#define CLAIM(name, kind)                                                                                    \
    static void totals_are_exact_whichever_##name##_fails(void **context)                                    \
    {                                                                                                        \
        (void)context;                                                                                       \
        whichever_call_fails(kind);                                                                          \
    }

CLAIM(open, FAULT_OPEN)
CLAIM(write, FAULT_WRITE)
CLAIM(fsync, FAULT_FSYNC)
CLAIM(rename, FAULT_RENAME)
CLAIM(allocation, FAULT_MEMORY)
CLAIM(environment, FAULT_ENV_OPEN)
CLAIM(transaction, FAULT_TXN_BEGIN)
CLAIM(put, FAULT_PUT)
CLAIM(commit, FAULT_COMMIT)
CLAIM(sync, FAULT_SYNC)
CLAIM(copy, FAULT_COPY)
CLAIM(cursor, FAULT_CURSOR)
CLAIM(commit_panics_and, FAULT_PANIC)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(totals_are_exact_whichever_open_fails),
        cmocka_unit_test(totals_are_exact_whichever_write_fails),
        cmocka_unit_test(totals_are_exact_whichever_fsync_fails),
        cmocka_unit_test(totals_are_exact_whichever_rename_fails),
        cmocka_unit_test(totals_are_exact_whichever_allocation_fails),
        cmocka_unit_test(totals_are_exact_whichever_environment_fails),
        cmocka_unit_test(totals_are_exact_whichever_transaction_fails),
        cmocka_unit_test(totals_are_exact_whichever_put_fails),
        cmocka_unit_test(totals_are_exact_whichever_commit_fails),
        cmocka_unit_test(totals_are_exact_whichever_sync_fails),
        cmocka_unit_test(totals_are_exact_whichever_copy_fails),
        cmocka_unit_test(totals_are_exact_whichever_cursor_fails),
        cmocka_unit_test(totals_are_exact_whichever_commit_panics_and_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
