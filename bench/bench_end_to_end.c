/* bench_end_to_end.c - one recording thread and a sidecar on two cores: what arrives, and whether anything is
 * lost.
 *
 * The recording thread never waits: flat out it makes as many calls as a core can, full ring or not, so that
 * shipper and sidecar share what is left of two cores. The rate counts only what /metrics shows, which is
 * what is committed, over the time until the last of it shows. Default options, nothing is bound to a core.
 */
#include "report.h"
#include "stack.h"

#include <ailive/ailive.h>

#include <stdio.h>

#define REPEATS      3u
#define SECOND_NS    ((int64_t)1000000000)
#define CHUNK        20u
#define PACED_RATE   10e6
#define LATE_SECONDS 0.001
#define QUICK_N      50000u

struct outcome {
    uint64_t calls;
    struct ailive_stats stats;
    double counted, dropped_counted; /* in /metrics */
    double seconds;                  /* until everything shows */
};

static struct ailive *producer_open(void)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT;
    struct ailive *telemetry;

    if (ailive_open(&options, &telemetry) != AILIVE_OK)
        measure_die("cannot open an instance");
    return telemetry;
}

static void record_chunk(struct ailive *telemetry, uint64_t first)
{
    for (uint64_t i = first; i < first + CHUNK; i++)
        ailive_record_decision(telemetry, i % 4 ? AILIVE_ACCEPT : AILIVE_REJECT,
                               i % 4 ? AILIVE_REASON_NONE : AILIVE_REASON_RISK_LIMIT,
                               i % 4 ? AILIVE_SUBMIT : AILIVE_ACTION_NONE, (int64_t)(i % 100000) * 1000);
}

/* Chunks until time or most calls are over. rate 0: flat out; otherwise a chunk whenever its time has come.
 * What a thread misses while it is off its core it makes up for up to LATE_SECONDS: it could not have
 * recorded it. */
static uint64_t record(struct ailive *telemetry, double rate, double seconds, uint64_t most)
{
    double ticks_a_second = 1e9 / measure_tick_ns();
    uint64_t now = ailive_counter(), end = now + (uint64_t)(seconds * ticks_a_second), calls = 0;
    double step = rate > 0 ? CHUNK / rate * ticks_a_second : 0, due = (double)now;

    while ((now = ailive_counter()) < end && calls < most) {
        if ((double)now < due)
            continue;
        if ((double)now - due > LATE_SECONDS * ticks_a_second)
            due = (double)now - LATE_SECONDS * ticks_a_second;
        due += step;
        record_chunk(telemetry, calls);
        calls += CHUNK;
    }
    return calls;
}

static struct outcome play(double rate, double seconds, uint64_t most)
{
    struct outcome outcome = {0};
    struct ailive *telemetry;
    struct stack stack;
    int64_t from_ns;

    stack_open(&stack);
    stack_start(&stack, NULL);
    telemetry = producer_open();
    record(telemetry, rate, 1, CHUNK * 500); /* warms up: the ring is claimed, names are known */
    ailive_flush(telemetry, 10000);
    ailive_stats(telemetry, &outcome.stats);
    outcome.counted = -(double)outcome.stats.recorded;
    from_ns = measure_now_ns();
    outcome.calls = CHUNK * 500 + record(telemetry, rate, seconds, most);
    ailive_flush(telemetry, 60000);
    ailive_stats(telemetry, &outcome.stats);
    outcome.counted += stack_wait_total(&stack, "peaktrade_ai_decisions_total", NULL,
                                        (double)outcome.stats.recorded, 60 * SECOND_NS);
    outcome.seconds = (double)(measure_now_ns() - from_ns) / 1e9;
    outcome.dropped_counted = stack_wait_total(&stack, "ailive_events_dropped_total", "ring_full",
                                               (double)outcome.stats.dropped_full, 5 * SECOND_NS);
    ailive_close(telemetry, 5000);
    stack_close(&stack);
    return outcome;
}

static void account(const char *what, unsigned repeat, const struct outcome *outcome)
{
    char text[96];

    snprintf(text, sizeof(text), "%s %u: calls", what, repeat);
    report_count(text, outcome->calls, outcome->stats.recorded + outcome->stats.dropped_full);
    snprintf(text, sizeof(text), "%s %u: shipped, or spooled by a late reply", what, repeat);
    report_count(text, outcome->stats.recorded,
                 outcome->stats.shipped + outcome->stats.spooled + outcome->stats.dropped_spool);
    snprintf(text, sizeof(text), "%s %u: counted", what, repeat);
    report_count(text, outcome->stats.recorded - outcome->stats.dropped_spool - CHUNK * 500,
                 (uint64_t)outcome->counted);
    snprintf(text, sizeof(text), "%s %u: drops counted", what, repeat);
    report_count(text, outcome->stats.dropped_full, (uint64_t)outcome->dropped_counted);
}

static void flat_out(unsigned repeats, double seconds, uint64_t most)
{
    double counted[REPEATS], offered[REPEATS];
    struct report_row rate = {"one thread flat out for 10 s: counted a second",
                              "million/s",
                              ">= 20 million/s",
                              REPORT_AT_LEAST,
                              20,
                              counted,
                              repeats,
                              NULL,
                              NULL};
    struct report_row calls = {.question = "one thread flat out for 10 s: calls a second",
                               .unit = "million/s",
                               .values = offered,
                               .n = repeats};

    for (unsigned r = 0; r < repeats; r++) {
        struct outcome outcome = play(0, seconds, most);
        counted[r] = outcome.counted / outcome.seconds / 1e6;
        offered[r] = (double)outcome.calls / outcome.seconds / 1e6;
        account("flat out", r, &outcome);
    }
    report_row(&rate);
    report_row(&calls);
}

static void paced(unsigned repeats, double seconds, uint64_t most)
{
    double dropped[REPEATS], offered[REPEATS];
    struct report_row row = {"one thread paced at 10 million/s for 10 s: dropped",
                             "records",
                             "0",
                             REPORT_AT_MOST,
                             0,
                             dropped,
                             repeats,
                             NULL,
                             NULL};
    struct report_row calls = {.question = "one thread paced at 10 million/s for 10 s: calls a second",
                               .unit = "million/s",
                               .values = offered,
                               .n = repeats};

    for (unsigned r = 0; r < repeats; r++) {
        struct outcome outcome = play(PACED_RATE, seconds, most);
        dropped[r] = (double)(outcome.stats.dropped_full + outcome.stats.dropped_spool);
        offered[r] = (double)outcome.calls / outcome.seconds / 1e6;
        account("paced", r, &outcome);
    }
    report_row(&row);
    report_row(&calls);
}

int main(int argc, char **argv)
{
    unsigned repeats;
    double seconds;
    uint64_t most;

    report_begin("end_to_end", argc, argv);
    repeats = report_quick() ? 1 : REPEATS;
    seconds = report_quick() ? 0.2 : 10;
    most = report_quick() ? QUICK_N : UINT64_MAX;
    flat_out(repeats, seconds, most);
    paced(repeats, seconds, most);
    return report_end();
}
