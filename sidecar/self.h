/* self.h - the sidecar's own gauges and counters that are read at scrape time and not kept across restarts.
 *
 * Place on the route: beside the aggregate's families: health and counters -> [self] -> http. Called by
 * http's thread; every source of a number may be asked from any thread.
 */
#ifndef AILIVE_SIDECAR_SELF_H
#define AILIVE_SIDECAR_SELF_H

#include "expose.h"
#include "ingest.h"
#include "source_file.h"
#include "source_nng.h"
#include "source_ring.h"

/* Whom to ask. A source that is NULL has no series. */
struct self {
    struct ingest *ingest;
    struct source_nng *nng;
    struct source_file *files;
    struct source_ring *rings;
};

/* Appends the ailive_ families of the process. false: out of memory. */
bool self_expose(const struct self *self, struct expose *out);

#endif
