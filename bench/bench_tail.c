/* bench_tail.c - a sidecar that follows an event file: how fast, whether all of it, with how much memory, how
 * soon.
 *
 * Flat out: a writer appends in pieces of 64 KiB that end wherever they end, as a buffered producer does, and
 * never waits; the time runs until /metrics shows the last line. Soon: 1,000 lines a second, one write
 * each; a line is visible with the first answer of /metrics that counts it.
 */
#include "event_lines.h"
#include "report.h"
#include "stack.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPEATS     3u
#define FLAT_BYTES  1000000000u
#define QUICK_BYTES 4000000u
#define PIECE_BYTES 65536u
#define SOON_LINES  5000u
#define QUICK_LINES 300u
#define SOON_NS     1000000
#define WAIT_NS     ((int64_t)120 * 1000000000)

static void write_all(int fd, const char *bytes, size_t len)
{
    ssize_t n;

    for (; len > 0; bytes += n, len -= (size_t)n)
        if ((n = write(fd, bytes, len)) <= 0)
            measure_die("cannot append: is the disk full?");
}

static int open_events(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (fd < 0)
        measure_die("cannot make %s", path);
    return fd;
}

static void start(struct stack *stack, char path[STACK_PATH_BYTES])
{
    stack_open(stack);
    stack_path(stack, "events.jsonl", path);
    stack_start(stack, (const char *const[]){"--jsonl", path, NULL});
}

/* ---- flat out ---- */

struct flat {
    double lines_a_second, peak_mib;
    uint64_t lines;
};

/* Pieces of a file made before, so that the writer does nothing but write. */
static char *made(struct event_lines *lines, uint64_t bytes)
{
    char *text = malloc(bytes + EVENT_LINE_BYTES), *at = text;

    if (text == NULL)
        measure_die("out of memory");
    while (lines->bytes < bytes)
        at += event_line(lines, at);
    return text;
}

static void flat_out(const char *text, const struct event_lines *lines, struct flat *out)
{
    char path[STACK_PATH_BYTES];
    struct stack_usage usage;
    struct stack stack;
    int64_t from_ns;
    double seen;
    int fd;

    start(&stack, path);
    fd = open_events(path);
    from_ns = measure_now_ns();
    for (uint64_t at = 0; at < lines->bytes; at += PIECE_BYTES)
        write_all(fd, text + at, lines->bytes - at < PIECE_BYTES ? lines->bytes - at : PIECE_BYTES);
    seen = stack_wait_total(&stack, "peaktrade_ai_decisions_total", NULL, (double)lines->lines, WAIT_NS);
    out->lines_a_second = seen / ((double)(measure_now_ns() - from_ns) / 1e9);
    stack_usage(stack.sidecar, &usage);
    out->peak_mib = (double)usage.peak_kib / 1024;
    out->lines = (uint64_t)seen;
    close(fd);
    stack_close(&stack);
}

static void measure_flat_out(void)
{
    struct event_lines lines = {.random = 20260125};
    char *text = made(&lines, report_quick() ? QUICK_BYTES : FLAT_BYTES);
    unsigned repeats = report_quick() ? 1 : REPEATS;
    double rates[REPEATS], peaks[REPEATS];
    struct report_row rate = {"one writer flat out: lines a second",
                              "million/s",
                              ">= 1.5 million/s",
                              REPORT_AT_LEAST,
                              1.5,
                              rates,
                              repeats,
                              NULL,
                              NULL};
    struct report_row peak = {"one writer flat out: memory of the sidecar",
                              "MiB",
                              "< 64 MiB",
                              REPORT_AT_MOST,
                              64,
                              peaks,
                              repeats,
                              NULL,
                              NULL};
    struct flat flat;
    char name[64];

    for (unsigned r = 0; r < repeats; r++) {
        flat_out(text, &lines, &flat);
        rates[r] = flat.lines_a_second / 1e6;
        peaks[r] = flat.peak_mib;
        snprintf(name, sizeof(name), "flat out %u: lines", r);
        report_count(name, lines.lines, flat.lines);
    }
    free(text);
    report_row(&rate);
    report_row(&peak);
}

/* ---- soon ---- */

struct writer {
    int fd;
    unsigned lines;
    int64_t written_ns[SOON_LINES];
};

static void *write_paced(void *context)
{
    struct event_lines lines = {.random = 20260125};
    struct writer *writer = context;
    char line[EVENT_LINE_BYTES];
    int64_t next_ns = measure_now_ns();

    for (unsigned i = 0; i < writer->lines; i++, next_ns += SOON_NS) {
        int64_t now_ns = measure_now_ns();
        if (next_ns > now_ns)
            measure_sleep_ns(next_ns - now_ns);
        size_t len = event_line(&lines, line);
        /* Before the append; read after /metrics has counted this line, which comes after it. */
        __atomic_store_n(&writer->written_ns[i], measure_now_ns(), __ATOMIC_RELEASE);
        write_all(writer->fd, line, len);
    }
    return NULL;
}

/* Returns how many lines were seen. */
static unsigned watch(const struct stack *stack, const struct writer *writer, double *delays_ms)
{
    int64_t end_ns = measure_now_ns() + WAIT_NS, now_ns;
    unsigned seen = 0, total;

    while (seen < writer->lines && (now_ns = measure_now_ns()) < end_ns) {
        total = (unsigned)stack_total(stack, "peaktrade_ai_decisions_total", NULL);
        now_ns = measure_now_ns();
        for (; seen < total && seen < writer->lines; seen++)
            delays_ms[seen] =
                (double)(now_ns - __atomic_load_n(&writer->written_ns[seen], __ATOMIC_ACQUIRE)) / 1e6;
        measure_sleep_ns(300000);
    }
    return seen;
}

static double soon(unsigned repeat, unsigned lines)
{
    static struct writer writer;
    static double delays_ms[SOON_LINES];
    char path[STACK_PATH_BYTES];
    struct stack stack;
    pthread_t thread;
    char name[64];

    start(&stack, path);
    writer.lines = lines;
    writer.fd = open_events(path);
    if (pthread_create(&thread, NULL, write_paced, &writer) != 0)
        measure_die("cannot start a thread");
    snprintf(name, sizeof(name), "paced %u: lines", repeat);
    report_count(name, lines, watch(&stack, &writer, delays_ms));
    pthread_join(thread, NULL);
    close(writer.fd);
    stack_close(&stack);
    return measure_median(delays_ms, lines);
}

static void measure_soon(void)
{
    unsigned repeats = report_quick() ? 1 : REPEATS;
    double medians_ms[REPEATS];
    struct report_row row = {"1,000 lines a second: append to visible in /metrics, median",
                             "ms",
                             "<= 5 ms",
                             REPORT_AT_MOST,
                             5,
                             medians_ms,
                             repeats,
                             NULL,
                             NULL};

    for (unsigned r = 0; r < repeats; r++)
        medians_ms[r] = soon(r, report_quick() ? QUICK_LINES : SOON_LINES);
    report_row(&row);
}

int main(int argc, char **argv)
{
    report_begin("tail", argc, argv);
    measure_flat_out();
    measure_soon();
    return report_end();
}
