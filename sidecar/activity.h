/* activity.h - the two-event demo: one accept, one reject, seen to arrive in the exporter's metrics.
 *
 * Place on the route: beside it: an `ailive emit` of its own -> the sidecar -> /metrics -> [activity] -> a
 * folder of evidence. One thread, every wait bounded. Never records anything itself.
 */
#ifndef AILIVE_SIDECAR_ACTIVITY_H
#define AILIVE_SIDECAR_ACTIVITY_H

#include "evidence.h"

#include <stdint.h>

#define ACTIVITY_WAIT_DEFAULT_S 10u
#define ACTIVITY_WAIT_MAX_S     600u

struct activity_options {
    const char *ipc_url;      /* through the SDK */
    const char *jsonl;        /* contract lines appended to it. Neither: $PEAK_TRADE_AI_EVENTS_JSONL unless
                                 blank, else the SDK with the default URL */
    const char *exporter_url; /* NULL: $EXPORTER_URL, else the default */
    const char *run_id;       /* NULL: $RUN_ID, else $PEAK_TRADE_AI_RUN_ID, else na */
    const char *component;    /* NULL: $COMPONENT, else $PEAK_TRADE_AI_COMPONENT, else execution_watch */
    const char *out;          /* NULL: .local_tmp/ai_live_activity_demo_STAMP */
    uint64_t wait_s;          /* for the two events to be counted */
};

struct activity {
    struct evidence evidence;
    bool passed;          /* both events were seen to arrive */
    struct buffer report; /* AI_ACTIVITY_DEMO_SUMMARY.txt; the caller's to fini, after -1 too */
};

/* Whether an exporter answers there (as in the options). */
bool activity_exporter_answers(const char *exporter_url);

/* -1: no evidence: the exporter does not answer, or a file could not be written; error holds one line. */
int activity_run(const struct activity_options *options, struct activity *out, char *error, size_t error_cap);

#endif
