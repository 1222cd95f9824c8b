/* core_check.h - aggregate, state and ingest over a folder of the test's own, and a disk that fails when
 * told. For unit tests that are linked with --wrap=mdb_txn_commit; included once in a test. */
#ifndef AILIVE_TESTS_CORE_CHECK_H
#define AILIVE_TESTS_CORE_CHECK_H

#include "folder_check.h"
#include "ingest.h"
#include "series_check.h"

#include <errno.h>
#include <lmdb.h>

int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);

static enum {
    FINE,
    FAILS_BEFORE, /* nothing is written */
    FAILS_AFTER   /* written, but the caller is told otherwise; once */
} failure;
static unsigned fine_commits; /* that many still go through */

int __wrap_mdb_txn_commit(MDB_txn *txn)
{
    if (fine_commits > 0) {
        fine_commits--;
        return __real_mdb_txn_commit(txn);
    }
    if (failure == FAILS_BEFORE) {
        mdb_txn_abort(txn);
        return EIO;
    }
    if (failure == FAILS_AFTER) {
        failure = FINE;
        __real_mdb_txn_commit(txn);
        return EIO;
    }
    return __real_mdb_txn_commit(txn);
}

static struct aggregate *aggregate;
static struct state *state;
static struct ingest *ingest;
static char error[256];

static inline void core_up(void)
{
    aggregate = aggregate_new(NULL);
    if (state_open(in_folder("state"), &state, error, sizeof(error)) != 0 ||
        ingest_open(aggregate, state, &ingest, error, sizeof(error)) != 0)
        fail_msg("%s", error);
}

static inline void core_down(void)
{
    ingest_close(ingest);
    state_close(state);
    aggregate_free(aggregate);
}

static inline int core_begin(void)
{
    failure = FINE;
    fine_commits = 0;
    if (folder_make() != 0)
        return -1;
    core_up();
    return 0;
}

static inline int core_end(void)
{
    core_down();
    return folder_remove_all();
}

static inline uint64_t counted(void)
{
    return series_total(aggregate, "peaktrade_ai_decisions_total", "");
}

#endif
