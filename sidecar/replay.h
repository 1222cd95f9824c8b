/* replay.h - the lines of finished files, counted in memory.
 *
 * Place on the route: chunks -> [replay: lines -> contract -> ingest with a state in memory] -> aggregate.
 * The same door as the live roads, so that a replay cannot disagree with them. One thread uses one at a time;
 * the workers of a parallel replay have one each, and their aggregates are merged.
 */
#ifndef AILIVE_SIDECAR_REPLAY_H
#define AILIVE_SIDECAR_REPLAY_H

#include "aggregate.h"
#include "chunks.h"

struct replay;

struct replay_options {
    const char *component, *run_id; /* of events that name none */
    int64_t now_ns; /* one time of processing for the whole run: the same files give the same output */
};

/* NULL: error says why. */
struct replay *replay_open(const struct replay_options *options, char *error, size_t error_cap);
void replay_close(struct replay *replay);

/* Counts what the chunk holds. spool: it is of a producer's spool file, whose records count once however
 * often they come, for one struct replay. false: out of memory. */
bool replay_chunk(struct replay *replay, const struct chunk *chunk, bool spool);

/* What was counted. */
struct aggregate *replay_aggregate(struct replay *replay);

#endif
