/* ratio.h - an exact integer quotient as the nearest double.
 *
 * Place on the route: under histogram (sums of picoseconds) and aggregate (nanoseconds of a gauge). No
 * threads, no I/O, no clock.
 */
#ifndef AILIVE_SIDECAR_RATIO_H
#define AILIVE_SIDECAR_RATIO_H

#include <stdint.h>

/* numerator / denominator, rounded once (to nearest, ties to even). denominator: 1 to 2^62. */
double ratio_double(__int128 numerator, uint64_t denominator);

/* ratio_double(nanoseconds, 10^9), faster for whole microseconds. */
double ratio_seconds(__int128 nanoseconds);

#endif
