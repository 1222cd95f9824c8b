/* health.c - see health.h. */
#include "health.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const level_names[] = {"ok", "warning", "error"};

const char *health_level_name(enum health_level level)
{
    return level_names[level];
}

static void tell(struct health *health, enum health_level level, const char *advice, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void tell(struct health *health, enum health_level level, const char *advice, const char *format, ...)
{
    struct health_problem *problem = &health->problems[health->problem_count];
    va_list arguments;

    assert(health->problem_count < HEALTH_MOST);
    health->problem_count++;
    va_start(arguments, format);
    vsnprintf(problem->what, sizeof(problem->what), format, arguments);
    va_end(arguments);
    problem->level = level;
    problem->advice = advice;
    if (level > health->level)
        health->level = level;
}

/* A duration as a person says it. */
static const char *spoken(double seconds, char out[32])
{
    if (seconds < 120)
        snprintf(out, 32, "%.0f seconds", seconds);
    else if (seconds < 7200)
        snprintf(out, 32, "%.0f minutes", floor(seconds / 60));
    else if (seconds < 172800)
        snprintf(out, 32, "%.0f hours", floor(seconds / 3600));
    else
        snprintf(out, 32, "%.0f days", floor(seconds / 86400));
    return out;
}

static const char *ending(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static void judge_losses(const struct health_facts *facts, struct health *health)
{
    if (!facts->committing)
        tell(health, HEALTH_ERROR,
             "Free disk space, or mend the state folder. Producers keep their records meanwhile; files are "
             "read "
             "again from the last commit.",
             "Nothing is counted: the state cannot be committed (%.160s).", facts->commit_error);
    if (facts->lost > 0)
        tell(health, HEALTH_ERROR,
             "Losses below names the reason. ring_full and spool_full: the host records faster than it is "
             "emptied, or the disk is full.",
             "%" PRIu64 " SDK record%s lost in the last 15 minutes.", facts->lost,
             facts->lost == 1 ? " was" : "s were");
    if (facts->dropped > 0)
        tell(health, HEALTH_WARNING,
             "Losses below names source and reason. bad_json: look at the writer's last lines.",
             "%" PRIu64 " event line%s could not be counted in the last 15 minutes.", facts->dropped,
             ending(facts->dropped));
    if (facts->overflowed > 0)
        tell(health, HEALTH_WARNING,
             "Too many different labels: look for a run_id or reason that never repeats.",
             "%" PRIu64 " event%s counted in an overflow series: the labels are lost.", facts->overflowed,
             facts->overflowed == 1 ? " was" : "s were");
}

static void judge_arrival(const struct health_facts *facts, struct health *health)
{
    char age[32];

    if (!facts->has_event)
        tell(health, HEALTH_WARNING, "Start a producer, or name its event file with --jsonl.",
             "No event with a time has arrived yet.");
    else if (facts->newest_age_s > HEALTH_STALE_S)
        tell(health, HEALTH_WARNING, "See whether the producers run; Freshness says who was silent first.",
             "No new event for %s.", spoken(facts->newest_age_s, age));
    else if (facts->newest_age_s < -HEALTH_FUTURE_S)
        tell(health, HEALTH_WARNING, "Set the clock of the host that Freshness names.",
             "An event is dated %s in the future.", spoken(-facts->newest_age_s, age));
}

static void judge_speed(const struct health_facts *facts, struct health *health)
{
    if (facts->lag_path != NULL && facts->lag_bytes > HEALTH_LAG_BYTES)
        tell(health, HEALTH_WARNING, "Wait while it falls; if it grows, look at the disk and at the log.",
             "%.120s is %" PRIu64 " MiB behind.", facts->lag_path, facts->lag_bytes >> 20);
    if (facts->spool_lag_bytes > HEALTH_LAG_BYTES)
        tell(health, HEALTH_WARNING, "Wait while it falls; if it grows, look at the disk and at the log.",
             "%" PRIu64 " MiB wait in spool files.", facts->spool_lag_bytes >> 20);
    if (facts->p99_ms > HEALTH_P99_MS) /* false for NaN */
        tell(health, HEALTH_WARNING, "Compare stages and runs in ailive_stage_latency_seconds.",
             "One decision in a hundred takes over %.0f ms.", facts->p99_ms);
    else if (facts->p95_ms > HEALTH_P95_MS)
        tell(health, HEALTH_WARNING, "Compare stages and runs in ailive_stage_latency_seconds.",
             "One decision in twenty takes over %.0f ms.", facts->p95_ms);
}

void health_judge(const struct health_facts *facts, struct health *out)
{
    *out = (struct health){.level = HEALTH_OK};
    judge_losses(facts, out);
    judge_arrival(facts, out);
    judge_speed(facts, out);
    if (out->problem_count > 0)
        snprintf(out->text, sizeof(out->text), "%s", out->problems[0].what);
    else
        snprintf(out->text, sizeof(out->text),
                 "Healthy: %" PRIu64 " connected producer%s, %" PRIu64
                 " followed file%s; nothing lost in the last 15 minutes.",
                 facts->producers, ending(facts->producers), facts->files, ending(facts->files));
}
