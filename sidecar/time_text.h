/* time_text.h - the contract's one form of a time.
 *
 * Place on the route: inside contract. No threads, no I/O, no clock.
 */
#ifndef AILIVE_SIDECAR_TIME_TEXT_H
#define AILIVE_SIDECAR_TIME_TEXT_H

#include "observation.h"

/* YYYY-MM-DD, `T` or one space, HH:MM[:SS[.digits]], then Z, an offset (+HH, +HHMM, +HH:MM, +HH:MM:SS, or
 * with -) or nothing, which means UTC. Digits beyond six are cut. Years 1 to 9999, no leap second. false:
 * anything else; *utc_ns untouched. */
bool time_text_parse(struct text text, __int128 *utc_ns);

#endif
