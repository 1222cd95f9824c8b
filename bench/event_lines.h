/* event_lines.h - event files as producers write them, made up for the benchmarks, with the counts they must
 * give.
 *
 * Place: bench programs that read lines -> [event_lines]. The same seed gives the same lines. No clock.
 */
#ifndef AILIVE_BENCH_EVENT_LINES_H
#define AILIVE_BENCH_EVENT_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_LINE_BYTES 512u

struct event_lines {
    bool mixed; /* besides sample_v1 also the other schemas, and one line in a thousand that is no JSON */
    uint64_t random;  /* state of the generator: set a seed that is not 0 */
    uint64_t time_ms; /* of the next event */
    /* What has been made so far. */
    uint64_t lines, bytes, decisions, dropped;
};

/* Writes one line with its newline and a NUL; returns its length. */
size_t event_line(struct event_lines *lines, char out[EVENT_LINE_BYTES]);

/* Makes a file of at least that many bytes. */
void event_lines_file(struct event_lines *lines, const char *path, uint64_t bytes);

/* Appends three decisions of each of 455 run ids: together EVENT_SERIES series as Prometheus counts them,
 * that is samples of /metrics with their run id: of each 3 decisions, 2 actions, 15 of a histogram, 2 times.
 */
#define EVENT_RUNS        455u
#define EVENT_SERIES      (22u * EVENT_RUNS)
#define EVENT_SERIES_PART "run_id=\"series-"
void event_lines_series(const char *path);

#endif
