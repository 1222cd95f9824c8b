/* bench_idle_host.c - what an open SDK costs a host that records nothing: threads, wake-ups, CPU.
 *
 * The host is a child process that opens an instance, records once and sleeps for good; the kernel's counters
 * of it are read from outside. A wake-up is a voluntary context switch. Three neighbours: a sidecar, none,
 * and a socket that accepts connections and never says a word.
 */
#include "report.h"
#include "stack.h"

#include <ailive/ailive.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOWS   3u
#define WINDOW_NS ((int64_t)10 * 1000000000)
#define SETTLE_NS ((int64_t)4 * 1000000000) /* the one record is spooled, the shipper at rest */
#define QUICK_NS  300000000

enum neighbour {
    PRESENT,
    ABSENT,
    SILENT,
    NEIGHBOURS
};
static const char *const neighbour_text[NEIGHBOURS] = {"sidecar present", "sidecar absent", "sidecar silent"};

/* A listener at the sidecar's place; the kernel accepts for it. */
static int listen_silently(const struct stack *stack)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/sidecar.sock", stack->runtime) >=
            (int)sizeof(address.sun_path) ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 16) != 0)
        measure_die("cannot listen in %s", stack->runtime);
    return fd;
}

static _Noreturn void host(int ready)
{
    struct ailive *telemetry;
    char byte = 1;

    if (ailive_open(NULL, &telemetry) != AILIVE_OK ||
        ailive_record_decision(telemetry, AILIVE_ACCEPT, AILIVE_REASON_NONE, AILIVE_SUBMIT, 1) != AILIVE_OK ||
        write(ready, &byte, 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static pid_t host_start(void)
{
    int ends[2];
    char byte = 0;
    pid_t pid;

    if (pipe(ends) != 0 || (pid = fork()) < 0)
        measure_die("cannot start a host");
    if (pid == 0)
        host(ends[1]);
    close(ends[1]);
    if (read(ends[0], &byte, 1) != 1)
        measure_die("the host cannot record");
    close(ends[0]);
    return pid;
}

static void show(enum neighbour neighbour, const char *what, const char *unit, const double *values,
                 unsigned n, const char *goal, double limit)
{
    char question[120];
    struct report_row row = {question, unit, goal, REPORT_AT_MOST, limit, values, n, NULL, NULL};

    snprintf(question, sizeof(question), "host that records nothing, %s: %s", neighbour_text[neighbour],
             what);
    report_row(&row);
}

static void watch(enum neighbour neighbour, pid_t pid)
{
    double threads[WINDOWS], wakeups[WINDOWS], share[WINDOWS], seconds;
    unsigned windows = report_quick() ? 1 : WINDOWS;
    int64_t window_ns = report_quick() ? QUICK_NS : WINDOW_NS;
    struct stack_usage before, after;
    char name[80];

    measure_sleep_ns(report_quick() ? QUICK_NS : SETTLE_NS);
    seconds = (double)window_ns / 1e9;
    for (unsigned w = 0; w < windows; w++) {
        stack_usage(pid, &before);
        measure_sleep_ns(window_ns);
        stack_usage(pid, &after);
        threads[w] = after.threads - 1;
        wakeups[w] = (double)(after.switches - before.switches) / seconds;
        share[w] = (double)(after.cpu_ns - before.cpu_ns) / (double)window_ns * 100;
    }
    snprintf(name, sizeof(name), "%s: threads", neighbour_text[neighbour]);
    report_count(name, 1, (uint64_t)threads[0]);
    show(neighbour, "threads more", "threads", threads, windows, "<= 1", 1);
    show(neighbour, "wake-ups", "a second", wakeups, windows, "<= 2 a second", 2);
    show(neighbour, "CPU", "%", share, windows, "< 0.05 %", 0.05);
}

static void measure_beside(enum neighbour neighbour)
{
    struct stack stack;
    int listener = -1;
    pid_t pid;

    stack_open(&stack);
    if (neighbour == PRESENT)
        stack_start(&stack, NULL);
    if (neighbour == SILENT)
        listener = listen_silently(&stack);
    pid = host_start();
    watch(neighbour, pid);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    if (listener >= 0)
        close(listener);
    stack_close(&stack);
}

int main(int argc, char **argv)
{
    report_begin("idle_host", argc, argv);
    for (unsigned n = 0; n < NEIGHBOURS; n++)
        measure_beside((enum neighbour)n);
    return report_end();
}
