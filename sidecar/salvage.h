/* salvage.h - what a dead producer left in its folder.
 *
 * Place on the route: dead producer's rings -> [salvage] -> ingest (ROAD_SALVAGE). The salvage thread.
 * Reads by wire/remains, which trusts no byte of it.
 */
#ifndef AILIVE_SIDECAR_SALVAGE_H
#define AILIVE_SIDECAR_SALVAGE_H

#include "ingest.h"
#include "rows.h"

struct salvage; /* storage for reading one folder after the other */

struct salvage *salvage_new(struct ingest *ingest);
void salvage_free(struct salvage *salvage);

enum salvage_status {
    SALVAGE_DONE = 0,     /* everything is committed, and nothing below the tails is missing */
    SALVAGE_GAPS = 1,     /* the same, but numbers below a tail are missing: the spool may hold them */
    SALVAGE_LATER = -1,   /* not committed now: try again */
    SALVAGE_FOREIGN = -2, /* something in it cannot be read: leave it alone (why says what) */
};

/* Takes in the folder's records, range drops and door words. folder_fd: the caller holds the folder's lock.
 * why is written on SALVAGE_FOREIGN. */
enum salvage_status salvage_take(struct salvage *salvage, int folder_fd,
                                 const struct event_producer *producer, char *why, size_t why_cap);

/* Counts what is missing below the tails of the folder's rings as lost. */
enum salvage_status salvage_give_up(struct salvage *salvage, int folder_fd,
                                    const struct event_producer *producer);

/* Of a living producer: how many records of its rings are neither acknowledged nor spooled nor dropped. */
uint64_t salvage_pending(struct salvage *salvage, int folder_fd);

/* Of a living producer, after the state was read back: what was acknowledged before may be missing now.
 * salvage_tails() notes the tails of its rings (LAYOUT_RINGS_MAX, 0 where there is none); when its spool has
 * been read to the end since, salvage_reconcile() takes in its range drops and counts what is still missing
 * below those tails as lost. */
void salvage_tails(struct salvage *salvage, int folder_fd, uint64_t *tails);
enum salvage_status salvage_reconcile(struct salvage *salvage, int folder_fd,
                                      const struct event_producer *producer, const uint64_t *tails);

#endif
