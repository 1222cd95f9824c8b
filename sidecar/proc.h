/* proc.h - the process_ families that every exporter has, about our own process.
 *
 * Place on the route: /proc -> [proc] -> self -> http. Called by http's thread. What cannot be read has no
 * series.
 */
#ifndef AILIVE_SIDECAR_PROC_H
#define AILIVE_SIDECAR_PROC_H

#include "expose.h"

/* Appends the nine families. false: out of memory. */
bool proc_expose(struct expose *out);

#endif
