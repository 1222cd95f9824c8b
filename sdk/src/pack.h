/* pack.h - records of a ring become one batch.
 *
 * Place on the route: ring -> [pack] -> exchange. Shipper's thread. Fills the shipper's storage for names and
 * columns: a batch is valid until the next one is packed. */
#ifndef AILIVE_SRC_PACK_H
#define AILIVE_SRC_PACK_H

#include "instance.h"

/* Reads record seq of a ring, its time in UTC. */
void pack_read_row(struct shipper *shipper, const struct ring *ring, uint64_t seq, struct event_row *row);

/* A batch without records: a greeting, with the ring's door words. */
void pack_head(struct ailive *instance, const struct ring *ring, struct batch *batch);

/* The oldest records of a ring, as many as fit beside their names. */
void pack_records(struct ailive *instance, const struct ring *ring, struct batch *batch);

/* One range drop. */
void pack_drop(struct ailive *instance, const struct ring *ring, const struct layout_range_drop *drop,
               struct batch *batch);

#endif
