/* spooling.h - records become lines of the spool.
 *
 * Place on the route: ring -> [spooling] -> road_spool. Shipper's thread. */
#ifndef AILIVE_SRC_SPOOLING_H
#define AILIVE_SRC_SPOOLING_H

#include "instance.h"

/* Moves what the rings hold to the spool, some chunks a ring. true: something moved. */
bool spooling_round(struct ailive *instance);

/* While nothing is spooled: notices that the sidecar has removed files. */
void spooling_review(struct shipper *shipper);

/* Before the end: everything that is left, with range drops and door words. What fits there neither stays in
 * the rings. */
void spooling_last(struct ailive *instance);

#endif
