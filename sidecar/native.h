/* native.h - exponential buckets beside the contract's fixed ones, for Prometheus' native histograms.
 *
 * Place on the route: inside the aggregate, for the families in seconds. Bucket i ends at 2^(i / 16) seconds
 * (schema 4), so that a percentile is within 4.5 % of the true one. A slot is a bucket's place here: slot 0
 * takes everything up to NATIVE_ZERO_SECONDS, the last one everything beyond. No threads, no I/O, no clock.
 *
 * Limits: 0.12 microseconds to 512 seconds; less counts as 0, more as 512 seconds. Decided on whole
 * nanoseconds, fractions rounded up.
 */
#ifndef AILIVE_SIDECAR_NATIVE_H
#define AILIVE_SIDECAR_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NATIVE_SCHEMA       4
#define NATIVE_FIRST_BUCKET (-367) /* of slot 1 */
#define NATIVE_SLOTS        513u
#define NATIVE_ZERO_SECONDS 0x1p-23

extern const uint64_t native_bounds[17]; /* of the 16 buckets that end in one power of two of nanoseconds */
extern const uint8_t
    native_bounds_below[32]; /* by the five bits behind the first: bounds below all such numbers */

/* The slot of a latency that is not negative. Every power of two has its 16 bounds at the same places, and
 * between two numbers that differ in their first six bits lies one of them at most. */
static inline unsigned native_slot(int64_t nanoseconds)
{
    int zeros = __builtin_clzll((unsigned long long)nanoseconds | 1);
    uint64_t digits = (uint64_t)nanoseconds << zeros; /* the first bit is 1 */
    unsigned k = native_bounds_below[digits >> 58 & 31];
    int slot = 16 * (63 - zeros) + (int)(k + (digits > native_bounds[k])) - 110;

    return slot < 0 ? 0 : slot < (int)NATIVE_SLOTS ? (unsigned)slot : NATIVE_SLOTS - 1;
}

/* The buckets of one series, being counted and committed: as many as have ever been needed, in one piece.
 * NULL: none yet. */
struct native {
    __int128 sum_picoseconds[2];
    uint16_t first, count; /* slots held */
    uint64_t counts[];     /* `count` being counted, `count` committed */
};

/* Both make *native, or make it larger. Room for slots first to last: the counts from `first` on, being
 * counted; NULL: out of memory. */
uint64_t *native_reserve(struct native **native, unsigned first, unsigned last);
/* Counts one. false: out of memory. */
bool native_observe(struct native **native, __int128 picoseconds);

/* NULL is harmless to all of these. */
void native_clear(struct native *native);  /* counts from 0, committed stays */
void native_commit(struct native *native); /* what is counted is committed now */

/* State: sum i128, first slot u16, number of slots u16, then the count of each as a LEB128 number;
 * little-endian. What is being counted. Returns the length; 0 for NULL. */
#define NATIVE_STATE_BYTES (20u + NATIVE_SLOTS * 10u)
size_t native_encode(const struct native *native, unsigned char out[NATIVE_STATE_BYTES]);

/* Counted and committed alike. total: all its counts. false: not such bytes, or out of memory; *out is NULL
 * then. */
bool native_decode(const unsigned char *bytes, size_t len_bytes, struct native **out, uint64_t *total);

#endif
