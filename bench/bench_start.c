/* bench_start.c - from the start of a sidecar whose state holds 10,000 series to its first answered scrape.
 */
#include "event_lines.h"
#include "report.h"
#include "stack.h"

#define REPEATS 15u
#define WAIT_NS ((int64_t)20 * 1000000000)

/* The whole answer, with every series in it, must have arrived. */
static double started_ms(struct stack *stack)
{
    int64_t from_ns = measure_now_ns();
    struct stack_answer answer;
    uint64_t series;

    stack_spawn(stack, NULL);
    stack_wait_port(stack);
    while (!stack_get(stack, "/metrics", "", &answer) || answer.status != 200)
        if (measure_now_ns() - from_ns > WAIT_NS)
            measure_die("the sidecar does not answer");
    from_ns = measure_now_ns() - from_ns;
    series = stack_samples(&answer, EVENT_SERIES_PART);
    stack_answer_free(&answer);
    if (series != EVENT_SERIES)
        measure_die("the first scrape holds %lu series", (unsigned long)series);
    return (double)from_ns / 1e6;
}

int main(int argc, char **argv)
{
    double took_ms[REPEATS];
    struct report_row row = {"start with a state of 10,000 series to the first answered scrape",
                             "ms",
                             "< 50 ms",
                             REPORT_AT_MOST,
                             50,
                             took_ms,
                             0,
                             NULL,
                             NULL};
    char path[STACK_PATH_BYTES];
    struct stack stack;

    report_begin("start", argc, argv);
    row.n = report_quick() ? 2 : REPEATS;
    stack_open(&stack);
    stack_path(&stack, "events.jsonl", path);
    event_lines_series(path);
    stack_start(&stack, (const char *const[]){"--jsonl", path, NULL});
    report_count(
        "decisions", 3 * EVENT_RUNS,
        (uint64_t)stack_wait_total(&stack, "peaktrade_ai_decisions_total", NULL, 3 * EVENT_RUNS, WAIT_NS));
    stack_stop(&stack);
    for (unsigned r = 0; r < row.n; r++) {
        took_ms[r] = started_ms(&stack);
        stack_stop(&stack);
    }
    report_row(&row);
    stack_close(&stack);
    return report_end();
}
