/* replay_file.h - one file through one worker or several, with the same result.
 *
 * Place on the route: files -> chunks -> [workers, each with a replay] -> the run's replay. Starts threads
 * and joins them within each call.
 *
 * Why several workers count what one would:
 *  - each chunk goes to one worker, in whole lines; sums do not depend on the order;
 *  - a gauge keeps the last value in file order: it is stamped with its chunk's number, and the merge takes
 *    the highest;
 *  - which series a full family still takes does depend on the order. A merge that could fill a family
 *    (aggregate_merge() says so before it changes anything) is not made: the file is read again, by one.
 * Spool files, whose records have to be told apart by number, and what cannot be read twice (standard input,
 * pipes) go through one worker. So does what is too short to share.
 */
#ifndef AILIVE_SIDECAR_REPLAY_FILE_H
#define AILIVE_SIDECAR_REPLAY_FILE_H

#include "replay.h"

#define REPLAY_JOBS_MAX 64u

struct replay_run;

/* jobs: 1 to REPLAY_JOBS_MAX workers. NULL: error says why. */
struct replay_run *replay_run_open(const struct replay_options *options, unsigned jobs, char *error,
                                   size_t error_cap);
void replay_run_close(struct replay_run *run);

/* Reads the file to its end; "-" is standard input. false: error says why, and what was counted is of no use.
 */
bool replay_run_file(struct replay_run *run, const char *path, char *error, size_t error_cap);

struct aggregate *replay_run_aggregate(struct replay_run *run);

#endif
