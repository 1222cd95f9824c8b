/* now.h - the clocks of the sidecar's threads, in the units they use.
 *
 * Place on the route: read by the sources, ingest and http, which hand times on as arguments; the modules
 * behind them read no clock. Any thread. */
#ifndef AILIVE_SIDECAR_NOW_H
#define AILIVE_SIDECAR_NOW_H

#include <stdint.h>
#include <time.h>

static inline int64_t now_of_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* For durations and deadlines. */
static inline int64_t now_monotonic_ns(void)
{
    return now_of_ns(CLOCK_MONOTONIC);
}

static inline int64_t now_monotonic_ms(void)
{
    return now_monotonic_ns() / 1000000;
}

/* UTC since 1970: the time of processing. */
static inline int64_t now_utc_ns(void)
{
    return now_of_ns(CLOCK_REALTIME);
}

#endif
