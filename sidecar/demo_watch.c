/* demo_watch.c - the demo's host: a trading-watch component that uses the SDK as one would in production.
 *
 * Place on the route: a host process. Several threads each watch one instrument: a price moves (a seeded
 * random walk), a signal is computed, limits are checked, and each order idea is accepted, rejected or
 * skipped. Every latency is measured around the work that was really done. It decides about ideas of its own
 * making: no order is placed anywhere.
 */
#include <ailive/ailive.h>

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WATCH_THREADS  4
#define WATCH_WINDOW   512 /* prices the signal looks back on */
#define WATCH_PAUSE_MS 5
#define WATCH_CLOSE_MS 2000

struct watch {
    pthread_t id;
    unsigned seed;
    struct ailive *telemetry;
    struct ailive_scope scope;
    ailive_name stage_signal, stage_risk;
    double price, position;
    double window[WATCH_WINDOW];
    unsigned tick, cooldown_until;
};

static volatile sig_atomic_t watch_stop;

static void watch_on_signal(int number)
{
    (void)number;
    watch_stop = 1;
}

static double watch_random(struct watch *watch)
{
    return (double)rand_r(&watch->seed) / (double)RAND_MAX - 0.5;
}

static void watch_move_price(struct watch *watch)
{
    watch->price *= 1.0 + watch_random(watch) * 0.002;
    watch->window[watch->tick++ % WATCH_WINDOW] = watch->price;
}

/* Distance of the price from its mean, in standard deviations. */
static double watch_signal(const struct watch *watch)
{
    double mean = 0, variance = 0;
    unsigned i, n = watch->tick < WATCH_WINDOW ? watch->tick : WATCH_WINDOW;

    for (i = 0; i < n; i++)
        mean += watch->window[i] / n;
    for (i = 0; i < n; i++)
        variance += (watch->window[i] - mean) * (watch->window[i] - mean) / n;
    return variance > 0 ? (watch->price - mean) / sqrt(variance) : 0;
}

static bool watch_within_limits(const struct watch *watch, double order)
{
    double exposure = fabs(watch->position + order) * watch->price;
    unsigned i;

    for (i = 0; i < 200; i++) /* the value at risk over the window's moves */
        exposure += fabs(watch->window[i % WATCH_WINDOW] - watch->price) * 0.01;
    return exposure < 500.0;
}

/* One idea: decide, record the decision and the stages it went through. */
static void watch_decide(struct watch *watch)
{
    uint64_t began = ailive_ticks(), checked;
    double signal = watch_signal(watch), order = signal > 0 ? -1.0 : 1.0;
    enum ailive_decision decision = AILIVE_ACCEPT;
    ailive_name reason = AILIVE_REASON_NONE;

    ailive_record_stage_for(watch->telemetry, watch->scope, AILIVE_NOW, watch->stage_signal,
                            ailive_elapsed_ns(began));
    checked = ailive_ticks();
    if (fabs(signal) < 0.8) {
        decision = AILIVE_NOOP;
        reason = AILIVE_REASON_NO_SIGNAL;
    } else if (watch->tick < watch->cooldown_until) {
        decision = AILIVE_REJECT;
        reason = AILIVE_REASON_COOLDOWN;
    } else if (!watch_within_limits(watch, order)) {
        decision = AILIVE_REJECT;
        reason = AILIVE_REASON_RISK_LIMIT;
        watch->position *= 0.5;
    }
    ailive_record_stage_for(watch->telemetry, watch->scope, AILIVE_NOW, watch->stage_risk,
                            ailive_elapsed_ns(checked));
    if (decision == AILIVE_ACCEPT) {
        watch->position += order;
        watch->cooldown_until = watch->tick + 3;
    }
    ailive_record_decision_for(watch->telemetry, watch->scope, AILIVE_NOW, decision, reason,
                               decision == AILIVE_ACCEPT ? AILIVE_ORDER_INTENT : AILIVE_ACTION_NONE,
                               ailive_elapsed_ns(began));
}

static void *watch_run(void *argument)
{
    struct watch *watch = argument;
    struct timespec pause = {0, WATCH_PAUSE_MS * 1000000L};

    while (!watch_stop) {
        watch_move_price(watch);
        watch_decide(watch);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static int watch_register(struct ailive *telemetry, struct watch *watch, const char *component)
{
    int status = ailive_register(telemetry, AILIVE_NAME_COMPONENT, component, &watch->scope.component);

    watch->scope.run_id = AILIVE_RUN_ID_DEFAULT;
    if (status == AILIVE_OK)
        status = ailive_register(telemetry, AILIVE_NAME_STAGE, "signal", &watch->stage_signal);
    if (status == AILIVE_OK)
        status = ailive_register(telemetry, AILIVE_NAME_STAGE, "risk_check", &watch->stage_risk);
    return status;
}

static void watch_log(void *context, enum ailive_log_level level, const char *line)
{
    (void)context;
    (void)level;
    fprintf(stderr, "demo watch: %s\n", line);
}

int main(int argc, char **argv)
{
    static const char *const components[WATCH_THREADS] = {"execution_watch", "signal_watch", "risk_gate",
                                                          "order_router"};
    static struct watch watches[WATCH_THREADS];
    struct ailive_options options = AILIVE_OPTIONS_INIT;
    struct sigaction action = {.sa_handler = watch_on_signal};
    struct ailive *telemetry;
    int status, i;

    options.ipc_url = argc > 1 ? argv[1] : NULL;
    options.run_id = "demo";
    options.log = watch_log;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    status = ailive_open(&options, &telemetry);
    for (i = 0; i < WATCH_THREADS && status == AILIVE_OK; i++) {
        watches[i] = (struct watch){.seed = (unsigned)i + 1, .telemetry = telemetry, .price = 100.0};
        status = watch_register(telemetry, &watches[i], components[i]);
    }
    if (status != AILIVE_OK) {
        fprintf(stderr, "demo watch: cannot start: %s\n", ailive_strerror(status));
        return 1;
    }
    for (i = 0; i < WATCH_THREADS; i++)
        if (pthread_create(&watches[i].id, NULL, watch_run, &watches[i]) != 0)
            abort();
    for (i = 0; i < WATCH_THREADS; i++)
        pthread_join(watches[i].id, NULL);
    status = ailive_close(telemetry, WATCH_CLOSE_MS);
    return status == AILIVE_OK ? 0 : 1;
}
