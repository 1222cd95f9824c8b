/* bench_replay.c - `ailive replay` of event files that lie in the page cache: bytes a second and memory.
 *
 * 1 GB of sample_v1 lines, and 1 GB of all schemas mixed with a line in a thousand that is no JSON; on one
 * core and on two. Time is that of the whole program, start and output included.
 */
#include "event_lines.h"
#include "report.h"
#include "stack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPEATS     5u
#define FILE_BYTES  1000000000u
#define QUICK_BYTES 2000000u

struct file {
    const char *text;
    char path[STACK_PATH_BYTES];
    struct event_lines lines;
};

static double sum(char *text, const char *family)
{
    size_t family_bytes = strlen(family);
    double total = 0;
    char *line;

    while ((line = strsep(&text, "\n")) != NULL)
        if (strncmp(line, family, family_bytes) == 0 && line[family_bytes] == '{')
            total += strtod(strrchr(line, ' '), NULL);
    return total;
}

static uint64_t counted(const char *path, const char *family)
{
    static char text[1u << 20];
    FILE *file = fopen(path, "r");
    size_t n = file != NULL ? fread(text, 1, sizeof(text) - 1, file) : 0;

    if (file != NULL)
        fclose(file);
    text[n] = '\0';
    return (uint64_t)sum(text, family);
}

static void account(const char *text, const char *what, uint64_t expected, uint64_t seen)
{
    char name[96];

    snprintf(name, sizeof(name), "%s: %s", text, what);
    report_count(name, expected, seen);
}

static void check(const struct file *file, const char *out)
{
    account(file->text, "lines", file->lines.lines, counted(out, "ailive_events_total"));
    account(file->text, "decisions", file->lines.decisions, counted(out, "peaktrade_ai_decisions_total"));
    account(file->text, "dropped", file->lines.dropped, counted(out, "peaktrade_ai_events_dropped_total"));
}

static void show(const char *question, const char *unit, const double *values, unsigned n, const char *goal,
                 enum report_sense sense, double limit)
{
    struct report_row row = {question, unit, goal, sense, limit, values, n, NULL, NULL};

    report_row(&row);
}

static void measure_file(const struct stack *stack, const struct file *file, bool two)
{
    const char *arguments[] = {stack->program, "replay", file->path, NULL};
    double rates[REPEATS], peaks[REPEATS];
    unsigned repeats = report_quick() ? 1 : REPEATS;
    char out[STACK_PATH_BYTES], question[120];
    uint64_t peak_kib;
    int64_t took_ns;

    stack_path(stack, "metrics", out);
    if (two)
        measure_unpin();
    else
        measure_pin(MEASURE_HERE);
    for (unsigned r = 0; r < repeats; r++) {
        if (stack_run(arguments, out, &peak_kib, &took_ns) != 0)
            measure_die("replay failed");
        rates[r] = (double)file->lines.bytes / (double)took_ns;
        peaks[r] = (double)peak_kib / 1024;
    }
    measure_unpin();
    snprintf(question, sizeof(question), "replay of 1 GB, %s, %s", file->text,
             two ? "two cores" : "one core");
    show(question, "GB/s", rates, repeats, two ? ">= 1.2 GB/s" : NULL, two ? REPORT_AT_LEAST : REPORT_NO_GOAL,
         1.2);
    snprintf(question, sizeof(question), "replay of 1 GB, %s, %s: memory", file->text,
             two ? "two cores" : "one core");
    show(question, "MiB", peaks, repeats, "< 100 MiB", REPORT_AT_MOST, 100);
    if (two)
        check(file, out);
}

int main(int argc, char **argv)
{
    static struct file files[] = {
        {.text = "sample_v1", .lines = {.random = 20260125}},
        {.text = "mixed schemas", .lines = {.random = 20260125, .mixed = true}},
    };
    struct stack stack;

    report_begin("replay", argc, argv);
    stack_open(&stack);
    for (unsigned f = 0; f < 2; f++) {
        stack_path(&stack, "events.jsonl", files[f].path);
        event_lines_file(&files[f].lines, files[f].path, report_quick() ? QUICK_BYTES : FILE_BYTES);
        measure_file(&stack, &files[f], false);
        measure_file(&stack, &files[f], true);
    }
    stack_close(&stack);
    return report_end();
}
