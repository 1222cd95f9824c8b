/* exchange.h - one request at a time, and what its answer does.
 *
 * Place on the route: pack -> [exchange] -> road_ipc. Shipper's thread. Owns the connection's course: when to
 * connect, what to send next, when to send it again, what an answer settles. */
#ifndef AILIVE_SRC_EXCHANGE_H
#define AILIVE_SRC_EXCHANGE_H

#include "instance.h"

/* Looks after the connection: makes it, notices its end, and while spooling asks whether the sidecar is back.
 */
void exchange_tend(struct ailive *instance);

/* Sends everything there is, one request after the other. true: something was taken off the rings. */
bool exchange_ship(struct ailive *instance);

/* Whether the sidecar has been silent for longer than spool_after_ms. */
bool exchange_silent(const struct ailive *instance);

/* Takes an answer that has come, and closes. */
void exchange_end(struct ailive *instance);

#endif
