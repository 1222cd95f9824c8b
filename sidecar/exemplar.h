/* exemplar.h - one record that fell into a bucket, so that a person can look it up: which, whose run, when,
 * how long.
 *
 * Place on the route: rows notices the slowest record of a kind in a run, series keep the last for each
 * bucket, OpenMetrics shows them. Only records of the SDK have a sequence number to be found by. Not kept
 * across restarts. Plain data.
 */
#ifndef AILIVE_SIDECAR_EXEMPLAR_H
#define AILIVE_SIDECAR_EXEMPLAR_H

#include <wire/event.h>

#include <stdint.h>

#define EXEMPLAR_RUN_ID_BYTES 32u

/* Where a record comes from: producer, ring, place in it. */
struct exemplar_origin {
    struct event_producer producer;
    uint32_t ring;
    uint64_t seq;
};

struct exemplar {
    int64_t latency_ns; /* 0: none */
    int64_t time_ns;    /* UTC */
    struct exemplar_origin origin;
    char run_id[EXEMPLAR_RUN_ID_BYTES + 1]; /* as the raw label; nothing in it needs an escape */
};

#endif
