/* state.h - what survives a kill: one LMDB environment in the state folder.
 *
 * Place on the route: behind ingest; nothing else writes. The only file that names lmdb. Called by one thread
 * at a time (ingest's lock), but for state_sync(), which may run beside state_commit(). It knows keys and
 * values as bytes only.
 *
 * Folder: `lock` (open-file-description lock: a second sidecar ends with a clear error), `data.mdb`,
 * `lock.mdb`, `copy.mdb` (last fsynced copy), `boot` (boot id of the last run and whether it ended cleanly).
 * MDB_NOSYNC: the page cache outlives a killed process; state_sync() at intervals bounds what a power loss
 * takes.
 */
#ifndef AILIVE_SIDECAR_STATE_H
#define AILIVE_SIDECAR_STATE_H

#include "change.h"

#include <stdint.h>

#define STATE_EPOCH_BYTES 16u

struct state; /* an open folder */

/* Opens dir (made 0700 when missing). dir NULL: a state in memory that commits nothing (replay). Errors: -1
 * with a one-line text in error (what, where, what to do): locked by another sidecar (names its pid), not a
 * folder, no permission, damaged beyond the copy. */
int state_open(const char *dir, struct state **out, char *error, size_t error_cap);

/* Syncs, marks the end as clean, closes. NULL is harmless. */
void state_close(struct state *state);

/* Calls each(context, key, key_len, value, value_len) for every pair. Returns 0, or -1 when reading failed.
 */
typedef void (*state_each_fn)(void *context, const void *key, size_t key_len, const void *value,
                              size_t value_len);
int state_load(struct state *state, state_each_fn each, void *context);

/* Writes the list in one transaction. 0: durable against a kill of the process. -1: nothing of it is in the
 * state as far as known, state_error() says why (the data file was removed or replaced under us, too);
 * state_reopen() before the next attempt. */
int state_commit(struct state *state, const struct change_list *list);

/* Whether a transaction of some size can be written at all: after a failure, before work is taken on again.
 */
int state_probe(struct state *state);

/* -1 when a restart would find nothing: folder, data file or lock were removed under us (state_error() says
 * so); state_reopen() then. Looks at names only: once a second. */
int state_check(struct state *state);

/* Opens the environment again after a failure (LMDB stays in panic after one EIO). The folder is made and
 * locked again where it is missed. What is in it then counts; where its data file was removed, all that was
 * committed is written whole from the removed one, which is open still: the same epoch. After a panic nothing
 * can be read from that, and the copy counts. 0 or -1: as it was; try again. */
int state_reopen(struct state *state);

/* fsync of the environment and, every few calls, the copy; nothing when nothing was committed since. 0 or -1
 * (state_sync_error() says why). May take long: call it from a timer, from one thread. */
int state_sync(struct state *state);
const char *state_sync_error(const struct state *state);

/* 16 random bytes made when the state was made: another epoch means another count. */
const unsigned char *state_epoch(const struct state *state);

/* UTC when this epoch began. 0 in memory. */
int64_t state_since_ns(const struct state *state);

const char *state_error(const struct state *state); /* text of the last failure, "" when none */
uint64_t state_size_bytes(const struct state *state);

#endif
