/* report.h - what a benchmark found: a table row for people as it goes, one JSON line at its end.
 *
 * Place: every program of bench/ -> [report] -> bench/run.sh, which makes the table of docs/performance.md
 * from the JSON lines. One thread.
 *
 * {"bench": "codec", "quick": false,
 *  "rows": [{"question", "goal", "unit", "median", "low", "high", "n", "ratio", "ratio_low", "ratio_high",
 *            "reference", "met"}, ...],
 *  "counts": {"events": [expected, seen], ...}}
 *
 * ratio and reference are null where there is nothing beside, met is null where there is no goal.
 */
#ifndef AILIVE_BENCH_REPORT_H
#define AILIVE_BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum report_sense {
    REPORT_NO_GOAL,
    REPORT_AT_MOST,
    REPORT_AT_LEAST
};

#define REPORT_VALUES_MAX 64u

struct report_row {
    const char *question; /* without quotes and backslashes */
    const char *unit;
    const char *goal; /* as a person reads it; NULL without one */
    enum report_sense sense;
    double limit;
    const double *values; /* of n repetitions, at most REPORT_VALUES_MAX */
    size_t n;
    const double *ratios; /* NULL, or n: to the reference in the same repetition; the goal is about these */
    const char *reference;
};

/* Reads the command line (--quick alone is known). A quick run proves that the bench works: its figures mean
 * nothing. */
void report_begin(const char *bench, int argc, char **argv);
bool report_quick(void);

/* Prints the row and keeps it. */
void report_row(const struct report_row *row);

/* Something that must come out exactly for the figures to mean anything. */
void report_count(const char *name, uint64_t expected, uint64_t seen);

/* Prints the JSON line. The exit status: 1 when a count is wrong; a missed goal is no failure of the bench.
 */
int report_end(void);

#endif
