/* snapshot.h - a copy of what is shown, to be rendered outside the aggregate's mutex.
 *
 * Place on the route: series -> [snapshot] -> renderers. Which series stand where, and their labels, change
 * rarely: that is the layout, made once and shared by all snapshots until a series comes or goes. The values
 * are copied each time. No I/O, no clock; the layout's count of users is atomic, because snapshots are freed
 * without the mutex.
 */
#ifndef AILIVE_SIDECAR_SNAPSHOT_H
#define AILIVE_SIDECAR_SNAPSHOT_H

#include "series.h"

/* Under the aggregate's mutex. extras: enum snapshot_extra. layout: of an earlier snapshot, or NULL. 0, or
 * -1: out of memory. When snapshot_sort() has not been called yet, the series of a family stand in no order.
 */
int snapshot_copy(const struct series_store *store, struct snapshot_layout *layout, const char *heartbeat,
                  unsigned extras, struct snapshot *out);

/* Outside the mutex, once after snapshot_copy(). made: a layout for the next snapshots, with one user, when
 * the old one did not fit any more; else NULL. 0, or -1: out of memory. */
int snapshot_sort(struct snapshot *snapshot, struct snapshot_layout **made);

/* NULL is harmless. */
void snapshot_layout_release(struct snapshot_layout *layout);

#endif
