/* source_ring.h - salvage: producers that died without saying so.
 *
 * Place on the route: runtime folder -> [ring source] -> salvage -> ingest. One thread looks at the runtime
 * folder every SOURCE_RING_LOOK_MS. A producer is dead when the lock of its folder can be taken, and only
 * then.
 *
 * A living producer is looked at once each time the state was read back (it may have been lost, or be an
 * older copy): what was acknowledged by a later state and can come from nowhere any more is counted as lost.
 *
 * Also: tells the spool reader where producers spool, removes half-made folders, and lets ingest forget
 * producers that are gone for good.
 */
#ifndef AILIVE_SIDECAR_SOURCE_RING_H
#define AILIVE_SIDECAR_SOURCE_RING_H

#include "ingest.h"
#include "spool_reader.h"

#define SOURCE_RING_LOOK_MS     1000
#define SOURCE_RING_FORGET_MS   600000 /* a producer must have been gone for so long, by default */
#define SOURCE_RING_FOLDERS_MAX 4096u  /* folders looked at */
#define SOURCE_RING_GONE_MAX    65536u /* producers that wait to be forgotten, besides */
#define SOURCE_RING_FORGETS     64u    /* of them forgotten in one look: each costs a commit */

struct source_ring;

struct source_ring_options {
    const char *runtime;         /* made (0700) when missing */
    struct spool_reader *spools; /* may be NULL */
    /* Whether a producer is connected now; may be NULL: never. */
    bool (*connected)(void *context, const struct event_producer *producer);
    void *context;
    int64_t forget_ms; /* 0: the default */
};

/* Takes `<runtime>/.sidecar.lock` and starts looking. -1 with a line in error: another sidecar (its pid), or
 * the folder cannot be used. */
int source_ring_open(const struct source_ring_options *options, struct ingest *ingest,
                     struct source_ring **out, char *error, size_t error_cap);

/* Looks once more and stops. NULL is harmless. */
void source_ring_close(struct source_ring *source);

uint64_t source_ring_salvaged_total(struct source_ring *source);

/* Records that lie in the rings of living producers, neither acknowledged nor spooled, as of the last look.
 */
uint64_t source_ring_pending(struct source_ring *source);

#endif
