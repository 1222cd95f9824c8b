/* health.h - how the sidecar is, in words: what is wrong, and what to do about it.
 *
 * Place on the route: facts -> [health] -> status. No threads, no I/O, no clock. The bounds are those of the
 * alerts (ops/prometheus/rules), so that the page and Prometheus say the same.
 */
#ifndef AILIVE_SIDECAR_HEALTH_H
#define AILIVE_SIDECAR_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEALTH_STALE_S    60    /* without an event */
#define HEALTH_P95_MS     250.0 /* of the last five minutes */
#define HEALTH_P99_MS     500.0
#define HEALTH_LAG_BYTES  (1u << 20)
#define HEALTH_FUTURE_S   60
#define HEALTH_TEXT_BYTES 320u
#define HEALTH_MOST       12u

enum health_level {
    HEALTH_OK,
    HEALTH_WARNING,
    HEALTH_ERROR
};
const char *health_level_name(enum health_level level);

struct health_facts {
    bool committing;
    const char *commit_error;
    uint64_t producers, files;
    bool has_event;
    double newest_age_s; /* of the newest event that had a time; negative: in the future */
    /* During the last quarter of an hour. */
    uint64_t lost, dropped;
    uint64_t overflowed;   /* in all */
    double p95_ms, p99_ms; /* of the last five minutes; NaN: no latencies */
    const char *lag_path;  /* the file that is furthest behind; NULL: no file is followed */
    uint64_t lag_bytes, spool_lag_bytes;
};

struct health_problem {
    enum health_level level;
    char what[HEALTH_TEXT_BYTES];
    const char *advice;
};

struct health {
    enum health_level level;
    char text[HEALTH_TEXT_BYTES]; /* one line for everything */
    struct health_problem problems[HEALTH_MOST];
    size_t problem_count;
};

void health_judge(const struct health_facts *facts, struct health *out);

#endif
