/* status.h - everything a person asks first, as one JSON object: what the live page and `ailive top` show.
 *
 * Place on the route: snapshot, history, sources, log -> [status] -> http. Called by http's thread; whoever
 * it asks may be asked from any thread. docs/operations.md names every key.
 *
 * Limits: RANKING_SHOWN rows of each list, and how many more there are; HISTORY_STEPS numbers of each array.
 */
#ifndef AILIVE_SIDECAR_STATUS_H
#define AILIVE_SIDECAR_STATUS_H

#include "aggregate.h"
#include "history.h"
#include "self.h"

#define STATUS_VERSION       1u /* rises when a key changes its meaning or goes */
#define STATUS_BRIEF_STEPS   10u
#define STATUS_RATE_STEPS    10u
#define STATUS_LATENCY_STEPS 300u

struct status {
    struct aggregate *aggregate;
    const struct self *self;
    struct history *history;
    const char *component, *run_id; /* the sidecar's own */
    const char *runtime;            /* where producers' folders are */
    int64_t started_ns;             /* UTC */
};

/* brief: history of STATUS_BRIEF_STEPS steps. now_ns: UTC; monotonic_ns: the clock of history_tick(). false:
 * out of memory. */
bool status_render(const struct status *status, bool brief, int64_t now_ns, int64_t monotonic_ns,
                   struct buffer *out);

#endif
