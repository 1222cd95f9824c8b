/* clock.h - the counter that records are stamped with, and its way to UTC.
 *
 * Place on the route: a record carries counter ticks; the shipper (or salvage, or the memory sink) turns them
 * into UTC with pairs of (counter, UTC) taken around it. */
#ifndef AILIVE_SRC_CLOCK_H
#define AILIVE_SRC_CLOCK_H

#include "wire/layout.h"

#define CLOCK_KEEP_EVERY_NS    100000000 /* a pair is kept at most this often */
#define CLOCK_APART_AT_OPEN_NS 2000000   /* two pairs at open: a rate to within about 50 ppm */

/* AILIVE_CLOCK_COUNTER where the CPU says that its counter never changes its rate, else
 * AILIVE_CLOCK_GETTIME. Decided once a process. */
uint64_t clock_kind(void);

/* A reading of the clock of that kind. */
uint64_t clock_ticks(uint64_t kind);

/* CLOCK_MONOTONIC in ns: for deadlines. */
int64_t clock_monotonic_ns(void);

/* A pair: the counter is read before and after the clock, the closest of four brackets is taken. */
void clock_pair_take(struct layout_clock_pair *out);

/* What is known about the clock's recent course. One thread. */
struct clock_track {
    struct layout_clock *file; /* NULL: nobody else wants the pairs */
    size_t kept;               /* pairs[0, kept) are kept; pairs[kept] is the newest when fresh is set */
    bool fresh;
    int64_t kept_at_ns;
    struct layout_clock_pair pairs[LAYOUT_CLOCK_PAIRS + 1];
    /* The straight piece the last conversion lay in: [low, high). */
    struct layout_clock_pair low, high;
    double ns_per_tick;
};

/* Starts with two pairs CLOCK_APART_AT_OPEN_NS apart (waits for as long), written to file too. */
void clock_track_start(struct clock_track *track, struct layout_clock *file);

/* Takes a pair now. now_ns: clock_monotonic_ns(). */
void clock_track_take(struct clock_track *track, int64_t now_ns);

/* Adds a pair taken at now_ns; kept, and written to the file, when CLOCK_KEEP_EVERY_NS have passed. */
void clock_track_add(struct clock_track *track, const struct layout_clock_pair *pair, int64_t now_ns);

/* Measures the rate of ailive_elapsed_ns() again, over all the time since it was first asked for. */
void clock_rate_refine(void);

/* UTC of a counter reading outside the piece that was asked for last; that piece changes to its own. */
int64_t clock_track_utc_far(struct clock_track *track, uint64_t ticks);

/* UTC of a counter reading. */
static inline int64_t clock_track_utc(struct clock_track *track, uint64_t ticks)
{
    if (ticks < track->low.ticks || ticks >= track->high.ticks)
        return clock_track_utc_far(track, ticks);
    return track->low.utc_ns +
           (int64_t)((double)(int64_t)(ticks - track->low.ticks) * track->ns_per_tick + 0.5);
}

#endif
