/* bench_sidecar_idle.c - what a sidecar costs while nothing happens: memory, wake-ups, CPU.
 *
 * It listens, follows one event file and has nothing to do. A wake-up is a voluntary context
 * switch. Three timers run once a second each: state and readiness, files, dead producers' folders.
 */
#include "report.h"
#include "stack.h"

#define WINDOWS   3u
#define WINDOW_NS ((int64_t)10 * 1000000000)
#define SETTLE_NS ((int64_t)2 * 1000000000)
#define QUICK_NS  300000000

static void show(const char *question, const char *unit, const double *values, unsigned n, const char *goal,
                 double limit)
{
    struct report_row row = {
        question, unit, goal, goal != NULL ? REPORT_AT_MOST : REPORT_NO_GOAL, limit, values, n, NULL, NULL};

    report_row(&row);
}

int main(int argc, char **argv)
{
    double rss[WINDOWS], wakeups[WINDOWS], share[WINDOWS];
    struct stack_usage before, after;
    char path[STACK_PATH_BYTES];
    struct stack stack;
    unsigned windows;
    int64_t window_ns;

    report_begin("sidecar_idle", argc, argv);
    windows = report_quick() ? 1 : WINDOWS;
    window_ns = report_quick() ? QUICK_NS : WINDOW_NS;
    stack_open(&stack);
    stack_path(&stack, "events.jsonl", path);
    stack_start(&stack, (const char *const[]){"--jsonl", path, NULL});
    measure_sleep_ns(report_quick() ? QUICK_NS : SETTLE_NS);
    for (unsigned w = 0; w < windows; w++) {
        stack_usage(stack.sidecar, &before);
        measure_sleep_ns(window_ns);
        stack_usage(stack.sidecar, &after);
        rss[w] = (double)after.rss_kib / 1024;
        wakeups[w] = (double)(after.switches - before.switches) / ((double)window_ns / 1e9);
        share[w] = (double)(after.cpu_ns - before.cpu_ns) / (double)window_ns * 100;
    }
    show("idle sidecar: resident memory", "MiB", rss, windows, "< 10 MiB", 10);
    show("idle sidecar: wake-ups", "a second", wakeups, windows, "its three timers: 3 a second", 3.3);
    show("idle sidecar: CPU", "%", share, windows, NULL, 0);
    report_count("heartbeat", 1, (uint64_t)stack_total(&stack, "peaktrade_ai_live_heartbeat", NULL));
    stack_close(&stack);
    return report_end();
}
