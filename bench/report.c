/* report.c - table rows and the JSON line; see report.h. */
#include "report.h"

#include "measure.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define JSON_BYTES 65536u

static struct {
    const char *bench;
    bool quick, wrong;
    size_t rows_len, counts_len;
    char rows[JSON_BYTES], counts[JSON_BYTES];
} report;

void report_begin(const char *bench, int argc, char **argv)
{
    report.bench = bench;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") != 0)
            measure_die("usage: bench_%s [--quick]", bench);
        report.quick = true;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
}

bool report_quick(void)
{
    return report.quick;
}

static void add(char *out, size_t *len, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void add(char *out, size_t *len, const char *format, ...)
{
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(out + *len, JSON_BYTES - *len, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= JSON_BYTES - *len)
        measure_die("too much to report");
    *len += (size_t)n;
}

struct spread {
    double median, low, high;
};

static struct spread spread_of(const double *values, size_t n)
{
    double sorted[REPORT_VALUES_MAX];
    struct spread spread;

    if (n == 0 || n > REPORT_VALUES_MAX)
        measure_die("%zu values in one row", n);
    memcpy(sorted, values, n * sizeof(double));
    spread.median = measure_median(sorted, n);
    spread.low = sorted[0];
    spread.high = sorted[n - 1];
    return spread;
}

static void add_text(const char *key, const char *text)
{
    if (text != NULL)
        add(report.rows, &report.rows_len, ", \"%s\": \"%s\"", key, text);
    else
        add(report.rows, &report.rows_len, ", \"%s\": null", key);
}

static void add_ratio(const struct report_row *row, const struct spread *ratio)
{
    if (row->ratios != NULL)
        add(report.rows, &report.rows_len, ", \"ratio\": %.6g, \"ratio_low\": %.6g, \"ratio_high\": %.6g",
            ratio->median, ratio->low, ratio->high);
    else
        add(report.rows, &report.rows_len, ", \"ratio\": null, \"ratio_low\": null, \"ratio_high\": null");
}

static const char *verdict(const struct report_row *row, double judged)
{
    if (row->sense == REPORT_NO_GOAL)
        return "null";
    return (row->sense == REPORT_AT_MOST ? judged <= row->limit : judged >= row->limit) ? "true" : "false";
}

void report_row(const struct report_row *row)
{
    struct spread ours = spread_of(row->values, row->n), ratio = {0, 0, 0};
    const char *met;

    if (row->ratios != NULL)
        ratio = spread_of(row->ratios, row->n);
    met = verdict(row, row->ratios != NULL ? ratio.median : ours.median);
    printf("%-66s %9.4g %-9s [%.4g .. %.4g]", row->question, ours.median, row->unit, ours.low, ours.high);
    if (row->ratios != NULL)
        printf("  ratio %.3f [%.3f .. %.3f]", ratio.median, ratio.low, ratio.high);
    if (row->goal != NULL)
        printf("  goal %s: %s", row->goal, strcmp(met, "true") == 0 ? "met" : "not met");
    putchar('\n');

    add(report.rows, &report.rows_len, "%s{\"question\": \"%s\"", report.rows_len ? ", " : "", row->question);
    add_text("goal", row->goal);
    add_text("unit", row->unit);
    add(report.rows, &report.rows_len, ", \"median\": %.6g, \"low\": %.6g, \"high\": %.6g, \"n\": %zu",
        ours.median, ours.low, ours.high, row->n);
    add_ratio(row, &ratio);
    add_text("reference", row->reference);
    add(report.rows, &report.rows_len, ", \"met\": %s}", met);
}

void report_count(const char *name, uint64_t expected, uint64_t seen)
{
    add(report.counts, &report.counts_len, "%s\"%s\": [%llu, %llu]", report.counts_len ? ", " : "", name,
        (unsigned long long)expected, (unsigned long long)seen);
    if (expected == seen)
        return;
    fprintf(stderr, "bench_%s: %s: expected %llu, seen %llu\n", report.bench, name,
            (unsigned long long)expected, (unsigned long long)seen);
    report.wrong = true;
}

int report_end(void)
{
    printf("{\"bench\": \"%s\", \"quick\": %s, \"rows\": [%s], \"counts\": {%s}}\n", report.bench,
           report.quick ? "true" : "false", report.rows, report.counts);
    return report.wrong ? 1 : 0;
}
