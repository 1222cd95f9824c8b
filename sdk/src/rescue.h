/* rescue.h - without a sidecar, what dead producers left moves into the spool.
 *
 * Place on the route: dead producer's folder -> [rescue] -> road_spool. Shipper's thread. A dead producer's
 * rings lie in memory (tmpfs) and wait for a sidecar's salvage; where none comes, the next producer of the
 * same runtime folder does what their own shipper would have done: writes the records as lines of that
 * producer's spool, under its id and numbers, moves the tail behind whole lines, and removes the folder when
 * all is out. */
#ifndef AILIVE_SRC_RESCUE_H
#define AILIVE_SRC_RESCUE_H

#include "wire/event.h"

#include <stdbool.h>

#define RESCUE_EVERY_MS    2000 /* between two looks that find nothing; only in rounds that are due */
#define RESCUE_PASS_BYTES  ((int64_t)1 << 20) /* lines of one pass, about: our own rings wait as long */
#define RESCUE_FOLDER_COST 65536 /* what a folder takes of that besides its lines: 16 a pass at most */
#define RESCUE_LEFT_MAX    64u   /* folders left alone for good; once there are so many, nothing is rescued */

struct rescue {
    int64_t at_ns;     /* not before */
    bool full, failed; /* told the log already */
    uint32_t left_count;
    struct event_producer left[RESCUE_LEFT_MAX];
};

struct ailive;

/* One pass over the runtime folder, when one is due and no sidecar serves it. true: there is more to do now.
 */
bool rescue_round(struct ailive *instance);

#endif
