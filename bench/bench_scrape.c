/* bench_scrape.c - a scrape of 10,000 series: its time in the sidecar, and what it does to ingest meanwhile.
 *
 * Time in the sidecar is CPU time of all its threads from request to last byte; before each scrape 100 lines
 * change some of the series, so that an answer kept from last time would be wrong. Ingest: a host records as
 * much as the ring takes, without and with ten scrapes a second, plain and gzip in turn.
 */
#include "event_lines.h"
#include "report.h"
#include "stack.h"

#include <ailive/ailive.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REPEATS   30u
#define PAIRS     5u
#define CHANGES   100u
#define CHANGE_NS 100000000 /* until the changes are in and the sidecar is at rest */
#define SCRAPE_NS 100000000
#define WAIT_NS   ((int64_t)20 * 1000000000)
#define GZIP      "Accept-Encoding: gzip\r\n"

struct scrapes {
    struct stack stack;
    char path[STACK_PATH_BYTES];
    uint64_t changes;
    bool stop;
    uint64_t answered;
};

static void setup(struct scrapes *scrapes)
{
    stack_open(&scrapes->stack);
    stack_path(&scrapes->stack, "events.jsonl", scrapes->path);
    event_lines_series(scrapes->path);
    stack_start(&scrapes->stack, (const char *const[]){"--jsonl", scrapes->path, NULL});
    stack_wait_total(&scrapes->stack, "peaktrade_ai_decisions_total", NULL, 3 * EVENT_RUNS, WAIT_NS);
}

/* ---- one scrape ---- */

static void change(struct scrapes *scrapes)
{
    FILE *file = fopen(scrapes->path, "a");

    if (file == NULL)
        measure_die("cannot append to %s", scrapes->path);
    for (unsigned i = 0; i < CHANGES; i++, scrapes->changes++)
        fprintf(file, "{\"v\":1,\"run_id\":\"series-%05u\",\"decision\":\"accept\",\"latency_ms\":3}\n",
                (unsigned)(scrapes->changes * 7 % EVENT_RUNS));
    fclose(file);
    measure_sleep_ns(CHANGE_NS);
}

static void scrape(struct scrapes *scrapes, const char *header, double *cpu_ms, double *client_ms)
{
    struct stack_usage before, after;
    struct stack_answer answer;

    change(scrapes);
    stack_usage(scrapes->stack.sidecar, &before);
    if (!stack_get(&scrapes->stack, "/metrics", header, &answer) || answer.status != 200)
        measure_die("the sidecar does not answer");
    stack_usage(scrapes->stack.sidecar, &after);
    *cpu_ms = (double)(after.cpu_ns - before.cpu_ns) / 1e6;
    *client_ms = (double)answer.took_ns / 1e6;
    stack_answer_free(&answer);
}

static void show(const char *question, const char *unit, const double *values, unsigned n, const char *goal,
                 double limit)
{
    struct report_row row = {
        question, unit, goal, goal != NULL ? REPORT_AT_MOST : REPORT_NO_GOAL, limit, values, n, NULL, NULL};

    report_row(&row);
}

static void measure_scrapes(struct scrapes *scrapes)
{
    double cpu_ms[2][REPEATS], client_ms[2][REPEATS];
    unsigned repeats = report_quick() ? 2 : REPEATS;

    for (unsigned r = 0; r < repeats; r++) {
        scrape(scrapes, "", &cpu_ms[0][r], &client_ms[0][r]);
        scrape(scrapes, GZIP, &cpu_ms[1][r], &client_ms[1][r]);
    }
    show("scrape of 10,000 series, plain: in the sidecar", "ms", cpu_ms[0], repeats, "<= 3 ms", 3);
    show("scrape of 10,000 series, gzip: in the sidecar", "ms", cpu_ms[1], repeats, "<= 15 ms", 15);
    show("scrape of 10,000 series, plain: as the client sees it", "ms", client_ms[0], repeats, NULL, 0);
    show("scrape of 10,000 series, gzip: as the client sees it", "ms", client_ms[1], repeats, NULL, 0);
}

static void check(struct scrapes *scrapes)
{
    struct stack_answer answer;

    report_count("decisions", 3 * EVENT_RUNS + scrapes->changes,
                 (uint64_t)stack_wait_total(&scrapes->stack, "peaktrade_ai_decisions_total",
                                            EVENT_SERIES_PART, (double)(3 * EVENT_RUNS + scrapes->changes),
                                            WAIT_NS));
    if (!stack_get(&scrapes->stack, "/metrics", "", &answer))
        measure_die("the sidecar does not answer");
    report_count("series", EVENT_SERIES, stack_samples(&answer, EVENT_SERIES_PART));
    stack_answer_free(&answer);
}

/* ---- ingest meanwhile ---- */

static void *scrape_on(void *context)
{
    struct scrapes *scrapes = context;
    struct stack_answer answer;

    while (!__atomic_load_n(&scrapes->stop, __ATOMIC_RELAXED)) {
        if (stack_get(&scrapes->stack, "/metrics", scrapes->answered % 2 ? GZIP : "", &answer)) {
            scrapes->answered++;
            stack_answer_free(&answer);
        }
        measure_sleep_ns(SCRAPE_NS);
    }
    return NULL;
}

/* Records that are committed a second, the ring kept full; a drop at the door is tried again. */
static double ingest_rate(struct ailive *telemetry, double seconds)
{
    struct ailive_stats before, after;
    int64_t from_ns = measure_now_ns(), end_ns = from_ns + (int64_t)(seconds * 1e9);

    ailive_stats(telemetry, &before);
    while (measure_now_ns() < end_ns)
        for (unsigned i = 0; i < 1000; i++)
            if (ailive_record_decision(telemetry, AILIVE_ACCEPT, AILIVE_REASON_NONE, AILIVE_SUBMIT, i) ==
                AILIVE_EFULL)
                measure_sleep_ns(50000);
    ailive_flush(telemetry, 30000);
    ailive_stats(telemetry, &after);
    return (double)(after.shipped - before.shipped) / ((double)(measure_now_ns() - from_ns) / 1e9) / 1e6;
}

static double scraped_rate(struct scrapes *scrapes, struct ailive *telemetry, double seconds)
{
    pthread_t thread;
    double rate;

    scrapes->stop = false;
    if (pthread_create(&thread, NULL, scrape_on, scrapes) != 0)
        measure_die("cannot start a thread");
    rate = ingest_rate(telemetry, seconds);
    __atomic_store_n(&scrapes->stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    return rate;
}

static void measure_ingest(struct scrapes *scrapes)
{
    unsigned pairs = report_quick() ? 1 : PAIRS;
    double seconds = report_quick() ? 0.2 : 3, alone[PAIRS], scraped[PAIRS], ratios[PAIRS];
    struct report_row row = {"ingest during ten scrapes a second",
                             "million/s",
                             ">= 0.9 times",
                             REPORT_AT_LEAST,
                             0.9,
                             scraped,
                             pairs,
                             ratios,
                             "ingest without scrapes"};
    struct ailive *telemetry;
    struct ailive_stats stats;

    if (ailive_open(NULL, &telemetry) != AILIVE_OK)
        measure_die("cannot open an instance");
    ingest_rate(telemetry, seconds / 4); /* warms up */
    for (unsigned p = 0; p < pairs; p++) {
        alone[p] = ingest_rate(telemetry, seconds);
        scraped[p] = scraped_rate(scrapes, telemetry, seconds);
        ratios[p] = scraped[p] / alone[p];
    }
    ailive_stats(telemetry, &stats);
    report_row(&row);
    report_count("ingested", stats.recorded,
                 (uint64_t)stack_wait_total(&scrapes->stack, "ailive_events_total", "road=\"nng\"",
                                            (double)stats.recorded, WAIT_NS));
    ailive_close(telemetry, 5000);
}

int main(int argc, char **argv)
{
    static struct scrapes scrapes;

    report_begin("scrape", argc, argv);
    setup(&scrapes);
    measure_scrapes(&scrapes);
    check(&scrapes);
    measure_ingest(&scrapes);
    stack_close(&scrapes.stack);
    return report_end();
}
