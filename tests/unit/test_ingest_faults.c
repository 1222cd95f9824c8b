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

WRAP(FAULT_WRITE, ssize_t, write, (int fd, const void *bytes, size_t len), (fd, bytes, len), ERRNO(ENOSPC))
/* No power is lost here: that a sync does nothing when it does not fail makes the loops five times faster. */
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    (void)fd;
    if (fails(FAULT_FSYNC))
        ERRNO(EIO);
    return 0;
}

int __wrap_mdb_env_sync(MDB_env *env, int force);
int __wrap_mdb_env_sync(MDB_env *env, int force)
{
    (void)env;
    (void)force;
    return fails(FAULT_SYNC) ? EIO : 0;
}

WRAP(FAULT_RENAME, int, renameat, (int a, const char *b, int c, const char *d), (a, b, c, d), ERRNO(ENOSPC))
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

    if (!panics && !fails(FAULT_COMMIT))
        return __real_mdb_txn_commit(txn);
    panicked = panics;
    mdb_txn_abort(txn);
    return EIO;
}

WRAP(FAULT_COPY, int, mdb_env_copyfd2, (MDB_env * env, mdb_filehandle_t fd, unsigned flags), (env, fd, flags),
     return ENOSPC)
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
    struct ingest_door door = {.producer = producer, .ring = 1, .words = {step + 1}};
    struct change_list positions;
    struct ingest_unit unit = {.road = ROAD_NNG,
                               .observations = observations[step],
                               .observation_count = ROWS,
                               .runs = &run,
                               .run_count = 1,
                               .doors = &door,
                               .door_count = 1,
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

        assert_true(happened && i < TRIES);
        assert_true(shown == acknowledged || shown == acknowledged + ROWS);
        if (i == 2)
            healed();
        maintained();
    }
    assert_int_equal(counted(), acknowledged + ROWS);
    maintained();
}

static void totals_are_exact(void)
{
    char value = 0;

    assert_int_equal(counted(), STEPS * ROWS);
    assert_int_equal(series_total(aggregate, "ailive_events_dropped_total", "ring_full"), STEPS);
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
