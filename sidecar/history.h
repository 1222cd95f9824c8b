/* history.h - the last quarter of an hour in steps of a second, and what had been rejected when.
 *
 * Place on the route: snapshot, once a second -> [history] -> status. history_tick() is the timer's; the
 * others may be called by any thread. Reads no clock: time is an argument.
 *
 * Limits: HISTORY_STEPS steps of 100 bytes; HISTORY_MARKS marks of HISTORY_MARK_ROWS rows (a row beyond them
 * counts as rejecting lately what it has above the least of these). A quiet second costs neither a snapshot
 * nor a wake-up of its own.
 */
#ifndef AILIVE_SIDECAR_HISTORY_H
#define AILIVE_SIDECAR_HISTORY_H

#include "aggregate.h"
#include "ingest.h"
#include "ranking.h"

#define HISTORY_STEPS     900u /* of one second */
#define HISTORY_MARK_S    15   /* between two marks */
#define HISTORY_MARKS     62u  /* one is older than HISTORY_STEPS seconds */
#define HISTORY_MARK_ROWS 128u

enum history_decision {
    HISTORY_ACCEPT,
    HISTORY_REJECT,
    HISTORY_NOOP,
    HISTORY_OTHER, /* of unknown schemas */
    HISTORY_DECISIONS
};
const char *history_decision_name(enum history_decision decision);
enum history_decision history_decision_of(const char *name);

/* What came in one second, as committed. */
struct history_step {
    uint32_t decisions[HISTORY_DECISIONS];
    uint32_t actions;
    uint32_t dropped;       /* lines: peaktrade_ai_events_dropped_total */
    uint32_t lost;          /* SDK records: ailive_events_dropped_total */
    uint32_t events[ROADS]; /* ailive_events_total */
    uint32_t duplicates;
    uint32_t latency[HISTOGRAM_BOUNDS + 1]; /* buckets of peaktrade_ai_decision_latency_ms */
};

struct history;

struct history *history_new(void); /* NULL: out of memory */
void history_free(struct history *history);

/* Whether the next tick is to have a snapshot although nothing was committed. */
bool history_wants(struct history *history, int64_t now_s);

/* Once a second. now_s never goes back. snapshot NULL: nothing was committed since the last call. The first
 * call says what was there before. */
void history_tick(struct history *history, int64_t now_s, const struct snapshot *snapshot);

/* A copy of the newest `most` steps at most, oldest first; end_s: the time of the newest. NULL: none, or out
 * of memory. The caller frees it. */
struct history_step *history_steps(struct history *history, size_t most, size_t *count, int64_t *end_s);

/* The time of the newest step; 0: none yet. */
uint64_t history_end_s(struct history *history);

/* Rejects by component and reason (names 0 and 1): sums[0] in all, sums[1] during the last quarter of an
 * hour, which is the row's value too. false: out of memory. */
bool history_rejects(struct history *history, const struct snapshot *snapshot, struct ranking *out);

/* The quantile q of the latencies in a histogram's buckets (not cumulative) as Prometheus'
 * histogram_quantile() gives it, in milliseconds; NaN when there is none. */
double history_quantile_ms(const uint64_t buckets[HISTOGRAM_BOUNDS + 1], double q);

#endif
