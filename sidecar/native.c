/* native.c - see native.h. */
#include "native.h"

#include <stdlib.h>
#include <string.h>

#define GROUP_SLOTS 16u /* memory is for whole groups */

/* 10^9 x 2^(i / 16) for i from -14 to 1, as a fraction of the next power of two times 2^64, rounded down; and
 * a bound that nothing exceeds. */
const uint64_t native_bounds[17] = {UINT64_C(0x81ffa7a9549ca6e3),
                                    UINT64_C(0x87c11235836d16a3),
                                    UINT64_C(0x8dc3b8960164a7d9),
                                    UINT64_C(0x940a7e28259fb382),
                                    UINT64_C(0x9a9867054d512391),
                                    UINT64_C(0xa1709975dfb06757),
                                    UINT64_C(0xa8965f74bf065071),
                                    UINT64_C(0xb00d2843e1060dc2),
                                    UINT64_C(0xb7d88a12d0dd9ea0),
                                    UINT64_C(0xbffc43b7e604a922),
                                    UINT64_C(0xc87c3e7d03cdbec3),
                                    UINT64_C(0xd15c9000bf211c1f),
                                    UINT64_C(0xdaa17c2cd19555db),
                                    UINT64_C(0xe44f7742cb56e3dd),
                                    UINT64_C(0xee6b280000000000),
                                    UINT64_C(0xf8f969d9b5abf948),
                                    UINT64_MAX};

const uint8_t native_bounds_below[32] = {0,  1,  2,  2,  3,  3,  4,  5,  5,  6,  6,  7,  7,  8,  9,  9,
                                         10, 10, 10, 11, 11, 12, 12, 13, 13, 13, 14, 14, 15, 15, 15, 16};

static struct native *native_new(unsigned first, unsigned count)
{
    struct native *native = calloc(1, sizeof(*native) + 2 * (size_t)count * sizeof(native->counts[0]));

    if (native != NULL) {
        native->first = (uint16_t)first;
        native->count = (uint16_t)count;
    }
    return native;
}

/* Makes it hold slots from first to last, in whole groups. */
static bool reserve(struct native **native, unsigned first, unsigned last)
{
    struct native *old = *native, *bigger;
    unsigned end = last / GROUP_SLOTS * GROUP_SLOTS + GROUP_SLOTS;

    if (old != NULL && first >= old->first && last < (unsigned)old->first + old->count)
        return true;
    first = first / GROUP_SLOTS * GROUP_SLOTS;
    if (old != NULL) {
        first = first < old->first ? first : old->first;
        end = end > (unsigned)old->first + old->count ? end : (unsigned)old->first + old->count;
    }
    bigger = native_new(first, end - first);
    if (bigger == NULL)
        return false;
    if (old != NULL) {
        size_t bytes = old->count * sizeof(old->counts[0]);

        memcpy(bigger->sum_picoseconds, old->sum_picoseconds, sizeof(old->sum_picoseconds));
        memcpy(bigger->counts + (old->first - first), old->counts, bytes);
        memcpy(bigger->counts + bigger->count + (old->first - first), old->counts + old->count, bytes);
        free(old);
    }
    *native = bigger;
    return true;
}

uint64_t *native_reserve(struct native **native, unsigned first, unsigned last)
{
    return reserve(native, first, last) ? (*native)->counts + (first - (*native)->first) : NULL;
}

bool native_observe(struct native **native, __int128 picoseconds)
{
    /* Beyond 2^62 everything is in the last slot. */
    unsigned slot =
        picoseconds >> 62 != 0 ? NATIVE_SLOTS - 1 : native_slot(((int64_t)picoseconds + 999) / 1000);

    if (!reserve(native, slot, slot))
        return false;
    (*native)->counts[slot - (*native)->first]++;
    (*native)->sum_picoseconds[0] += picoseconds;
    return true;
}

void native_clear(struct native *native)
{
    if (native == NULL)
        return;
    memset(native->counts, 0, native->count * sizeof(native->counts[0]));
    native->sum_picoseconds[0] = 0;
}

void native_commit(struct native *native)
{
    if (native == NULL)
        return;
    memcpy(native->counts + native->count, native->counts, native->count * sizeof(native->counts[0]));
    native->sum_picoseconds[1] = native->sum_picoseconds[0];
}

/* ---- state ---- */

static unsigned char *put_little(unsigned char *out, unsigned __int128 value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *out++ = (unsigned char)(value >> (8 * i));
    return out;
}

static unsigned __int128 get_little(const unsigned char *in, unsigned bytes)
{
    unsigned __int128 value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (unsigned __int128)in[i] << (8 * i);
    return value;
}

size_t native_encode(const struct native *native, unsigned char out[NATIVE_STATE_BYTES])
{
    unsigned first = 0, end;
    unsigned char *at;

    if (native == NULL)
        return 0;
    end = NATIVE_SLOTS - native->first; /* the last group is not a whole one */
    if (end > native->count)
        end = native->count;
    while (first < end && native->counts[first] == 0)
        first++;
    while (end > first && native->counts[end - 1] == 0)
        end--;
    at = put_little(out, (unsigned __int128)native->sum_picoseconds[0], 16);
    at = put_little(at, native->first + first, 2);
    at = put_little(at, end - first, 2);
    for (unsigned i = first; i < end; i++) {
        uint64_t rest = native->counts[i];

        for (; rest >= 128; rest >>= 7)
            *at++ = (unsigned char)(rest | 128);
        *at++ = (unsigned char)rest;
    }
    return (size_t)(at - out);
}

/* NULL: no number, or one that does not fit. */
static const unsigned char *get_number(const unsigned char *at, const unsigned char *end, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
        uint64_t bits = *at & 127u;

        if (shift == 63 && bits > 1)
            return NULL;
        *out |= bits << shift;
        if (*at++ < 128)
            return at;
    }
    return NULL;
}

bool native_decode(const unsigned char *bytes, size_t len_bytes, struct native **out, uint64_t *total)
{
    const unsigned char *at = bytes + 20, *end = bytes + len_bytes;
    struct native *native = NULL;
    unsigned first, count;

    *out = NULL;
    *total = 0;
    if (len_bytes < 20)
        return false;
    first = (unsigned)get_little(bytes + 16, 2);
    count = (unsigned)get_little(bytes + 18, 2);
    if (first + count > NATIVE_SLOTS || !reserve(&native, first, first + (count > 0 ? count - 1 : 0)))
        return false;
    native->sum_picoseconds[0] = (__int128)get_little(bytes, 16);
    for (unsigned i = 0; i < count && at != NULL; i++) {
        uint64_t *slot = &native->counts[first + i - native->first];

        at = get_number(at, end, slot);
        if (__builtin_add_overflow(*total, *slot, total))
            at = NULL;
    }
    if (at != end || native->sum_picoseconds[0] < 0) {
        free(native);
        return false;
    }
    native_commit(native);
    *out = native;
    return true;
}
