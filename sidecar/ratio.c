/* ratio.c - see ratio.h. */
#include "ratio.h"

#include <assert.h>
#include <math.h>

static int bits_of(unsigned __int128 value)
{
    uint64_t high = (uint64_t)(value >> 64);

    if (high)
        return 128 - __builtin_clzll(high);
    return 64 - __builtin_clzll((uint64_t)value);
}

/* The numerator is shifted up to 128 bits, so that the quotient has 66 bits at the least; a remainder is kept
 * as its lowest bit. That bit lies below every bit the conversion rounds by, so that rounding happens once.
 */
double ratio_double(__int128 numerator, uint64_t denominator)
{
    unsigned __int128 magnitude =
        numerator < 0 ? -(unsigned __int128)numerator : (unsigned __int128)numerator;
    unsigned __int128 quotient;
    double result;
    int shift;

    assert(denominator >= 1 && denominator <= UINT64_C(1) << 62);
    if (magnitude == 0)
        return 0;
    shift = 128 - bits_of(magnitude);
    magnitude <<= shift;
    quotient = magnitude / denominator;
    quotient |= magnitude % denominator != 0;
    result = ldexp((double)quotient, -shift);
    return numerator < 0 ? -result : result;
}

double ratio_seconds(__int128 nanoseconds)
{
    const int64_t exact = INT64_C(1) << 53; /* so far doubles hold every integer */
    int64_t narrow = (int64_t)nanoseconds, microseconds = narrow / 1000;

    if (narrow == nanoseconds && microseconds * 1000 == narrow && microseconds >= -exact &&
        microseconds <= exact)
        return (double)microseconds / 1e6; /* both exact: rounded once */
    return ratio_double(nanoseconds, 1000000000);
}
