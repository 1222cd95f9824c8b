/* bench_record.c - what one recording call costs the host, beside a time stamp and a store.
 *
 * The recording thread runs on one core; the shipper, the sidecar and the reference's consumer on the other.
 * Calls are timed in groups of 20, because the time stamp counter of some machines steps by ten nanoseconds:
 *   back to back   runs of 20,000 calls, the ring drained between two runs (outside the timing)
 *   bursts         20 calls at once, one burst each 20 microseconds
 *   long loop      a run of 20,000 as a whole
 *   worst          each call by itself, 5 million of them
 * Ours and the reference take turns; a repetition gives one figure of each and their ratio.
 */
#include "measure.h"
#include "reference_ring.h"
#include "report.h"
#include "stack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP       20u
#define RUN         20000u  /* below half a default ring: no call of it wakes the shipper */
#define RING        262144u /* the SDK's default */
#define PACE_NS     20000.0
#define THREADS_MAX 8u
#define REPEAT_MAX  16u
#define DRAIN_NS    ((int64_t)30 * 1000000000)

enum subject {
    OURS,
    REFERENCE,
    SUBJECTS
};

enum pattern {
    BACK_TO_BACK,
    BURSTS,
    PATTERNS
};

struct kind {
    struct ailive_scope scope;
    ailive_name reason;
};

/* One recording thread: its ring of the reference, its figures. */
struct caller {
    struct ailive *telemetry;
    struct reference_ring *ring;
    struct kind kinds[4];
    uint64_t kind_mask;      /* 0: one name; 3: four */
    uint64_t calls, refused; /* of ours: refused ones are full rings */
    double *groups;          /* ns a call, of each group */
    size_t group_count;
    double loop_ns; /* ns a call of whole runs: what the loop costs without its time stamps between groups */
    double worst_ns;
};

struct variant {
    const char *text;
    unsigned names, threads;
    bool sidecar;
};

static struct {
    unsigned repeats;
    size_t calls;       /* of a repetition, all threads together */
    size_t worst_calls; /* likewise, of those that are timed one by one */
} plan;

/* ---- one call ---- */

static inline __attribute__((always_inline)) bool call(enum subject subject, const struct caller *caller,
                                                       uint64_t i)
{
    const struct kind *kind = &caller->kinds[i & caller->kind_mask];

    if (subject == OURS)
        return ailive_record_decision_for(caller->telemetry, kind->scope, AILIVE_NOW, AILIVE_REJECT,
                                          kind->reason, AILIVE_ACTION_NONE, (int64_t)i) == AILIVE_OK;
    return reference_ring_put(
        caller->ring, i,
        ailive_what(AILIVE_KIND_DECISION, AILIVE_REJECT, AILIVE_ACTION_NONE, kind->reason, 0),
        ailive_scope_word(kind->scope));
}

static inline __attribute__((always_inline)) uint64_t group(enum subject subject, const struct caller *caller,
                                                            uint64_t first)
{
    uint64_t refused = 0;

    for (uint64_t i = first; i < first + GROUP; i++)
        refused += !call(subject, caller, i);
    return refused;
}

/* ---- patterns ---- */

static void drain(enum subject subject, const struct caller *caller)
{
    struct ailive_stats stats;
    int64_t end_ns = measure_now_ns() + DRAIN_NS;

    if (subject == REFERENCE) {
        reference_ring_drain(caller->ring);
        return;
    }
    do {
        measure_sleep_ns(200000);
        ailive_stats(caller->telemetry, &stats);
        if (measure_now_ns() > end_ns)
            measure_die("the shipper does not empty its ring");
    } while (stats.pending > 0);
}

static inline __attribute__((always_inline)) void run(enum subject subject, struct caller *caller,
                                                      size_t calls)
{
    double tick_ns = measure_tick_ns() / GROUP;
    uint64_t begin, end;

    for (size_t i = 0; i < calls; i += GROUP) {
        begin = ailive_counter();
        caller->refused += group(subject, caller, i);
        end = ailive_counter();
        caller->groups[caller->group_count++] = (double)(end - begin) * tick_ns;
    }
    caller->calls += subject == OURS ? calls : 0;
}

static inline __attribute__((always_inline)) void bursts(enum subject subject, struct caller *caller,
                                                         size_t calls)
{
    double tick_ns = measure_tick_ns() / GROUP;
    uint64_t pace = (uint64_t)(PACE_NS / measure_tick_ns()), next = ailive_counter() + pace, begin, end;

    for (size_t i = 0; i < calls; i += GROUP) {
        while ((begin = ailive_counter()) < next)
            __builtin_ia32_pause();
        next = begin + pace;
        caller->refused += group(subject, caller, i);
        end = ailive_counter();
        caller->groups[caller->group_count++] = (double)(end - begin) * tick_ns;
    }
    caller->calls += subject == OURS ? calls : 0;
}

static inline __attribute__((always_inline)) void loop(enum subject subject, struct caller *caller)
{
    uint64_t begin = ailive_counter(), refused = 0;

    for (uint64_t i = 0; i < RUN; i += GROUP)
        refused += group(subject, caller, i);
    caller->loop_ns = (double)(ailive_counter() - begin) * measure_tick_ns() / RUN;
    caller->refused += refused;
    caller->calls += subject == OURS ? RUN : 0;
}

static inline __attribute__((always_inline)) void each(enum subject subject, struct caller *caller,
                                                       size_t calls)
{
    uint64_t before = ailive_counter(), now, worst = 0;

    for (size_t i = 0; i < calls; i++) {
        caller->refused += !call(subject, caller, i);
        now = ailive_counter();
        if (now - before > worst)
            worst = now - before;
        before = now;
    }
    caller->calls += subject == OURS ? calls : 0;
    if ((double)worst * measure_tick_ns() > caller->worst_ns)
        caller->worst_ns = (double)worst * measure_tick_ns();
}

/* ---- a caller's share of a repetition ---- */

static size_t share(const struct variant *variant, size_t calls)
{
    size_t runs = calls / variant->threads / RUN;

    return (runs > 0 ? runs : 1) * RUN;
}

static void warm(enum subject subject, struct caller *caller)
{
    size_t kept = caller->group_count;

    if (subject == OURS)
        run(OURS, caller, GROUP * 20);
    else
        run(REFERENCE, caller, GROUP * 20);
    caller->group_count = kept;
}

static void play(enum subject subject, enum pattern pattern, struct caller *caller, size_t calls)
{
    caller->group_count = 0;
    if (pattern == BURSTS) {
        warm(subject, caller);
        if (subject == OURS)
            bursts(OURS, caller, calls);
        else
            bursts(REFERENCE, caller, calls);
        drain(subject, caller);
        return;
    }
    for (size_t done = 0; done < calls; done += RUN) {
        warm(subject, caller);
        if (subject == OURS)
            run(OURS, caller, RUN);
        else
            run(REFERENCE, caller, RUN);
        drain(subject, caller);
    }
}

/* Whole runs, and each call by itself. */
static void play_alone(enum subject subject, struct caller *caller, double *loop_ns, size_t worst_calls)
{
    double loops[3];

    for (unsigned i = 0; i < 3; i++) {
        if (subject == OURS)
            loop(OURS, caller);
        else
            loop(REFERENCE, caller);
        loops[i] = caller->loop_ns;
        drain(subject, caller);
    }
    *loop_ns = measure_median(loops, 3);
    for (size_t done = 0; done < worst_calls; done += RUN) {
        if (subject == OURS)
            each(OURS, caller, RUN);
        else
            each(REFERENCE, caller, RUN);
        drain(subject, caller);
    }
}

/* ---- threads ---- */

struct job {
    struct caller *caller;
    enum subject subject;
    enum pattern pattern;
    size_t calls;
};

static void *job_run(void *context)
{
    struct job *job = context;

    measure_pin(MEASURE_HERE);
    play(job->subject, job->pattern, job->caller, job->calls);
    return NULL;
}

/* All callers' groups of one repetition, in one array; returns how many. */
static size_t play_all(const struct variant *variant, struct caller *callers, enum subject subject,
                       enum pattern pattern, double *all)
{
    size_t calls = share(variant, plan.calls), n = 0;
    pthread_t threads[THREADS_MAX];
    struct job jobs[THREADS_MAX];

    for (unsigned t = 0; t < variant->threads; t++) {
        jobs[t] = (struct job){&callers[t], subject, pattern, calls};
        if (variant->threads == 1)
            job_run(&jobs[t]);
        else if (pthread_create(&threads[t], NULL, job_run, &jobs[t]) != 0)
            measure_die("cannot start a thread");
    }
    for (unsigned t = 0; t < variant->threads; t++) {
        if (variant->threads > 1)
            pthread_join(threads[t], NULL);
        memcpy(all + n, callers[t].groups, callers[t].group_count * sizeof(double));
        n += callers[t].group_count;
    }
    return n;
}

/* ---- a variant ---- */

static ailive_name name(struct ailive *telemetry, enum ailive_name_kind kind, const char *stem, unsigned n)
{
    ailive_name out = 0;
    char text[64];

    snprintf(text, sizeof(text), "%s_%u", stem, n);
    if (ailive_register(telemetry, kind, text, &out) != AILIVE_OK)
        measure_die("cannot register %s", text);
    return out;
}

static void caller_open(struct caller *caller, struct ailive *telemetry, const struct variant *variant)
{
    memset(caller, 0, sizeof(*caller));
    caller->telemetry = telemetry;
    caller->kind_mask = variant->names - 1;
    for (unsigned i = 0; i < variant->names; i++) {
        caller->kinds[i].scope.component = name(telemetry, AILIVE_NAME_COMPONENT, "component", i);
        caller->kinds[i].scope.run_id = name(telemetry, AILIVE_NAME_RUN_ID, "run", i);
        caller->kinds[i].reason = name(telemetry, AILIVE_NAME_REASON, "reason", i);
    }
    caller->groups = malloc((share(variant, plan.calls) + RUN) / GROUP * sizeof(double));
    caller->ring = aligned_alloc(128, sizeof(*caller->ring));
    if (caller->groups == NULL || caller->ring == NULL)
        measure_die("out of memory");
    reference_ring_open(caller->ring, RING);
}

static void caller_close(struct caller *caller)
{
    reference_ring_close(caller->ring);
    free(caller->ring);
    free(caller->groups);
}

static struct ailive *producer_open(const struct variant *variant)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT;
    struct ailive *telemetry;

    measure_pin(MEASURE_THERE); /* the shipper inherits it */
    options.ring_records = RING;
    if (!variant->sidecar) {
        options.spool_after_ms = 200;
        options.spool_file_bytes = 16u << 20;
        options.spool_max_bytes = 64u << 20; /* beyond it, dropped and counted */
    }
    if (ailive_open(&options, &telemetry) != AILIVE_OK)
        measure_die("cannot open an instance");
    measure_pin(MEASURE_HERE);
    return telemetry;
}

static const char *const pattern_text[PATTERNS] = {"back to back", "bursts of 20"};

static void show(const struct variant *variant, const char *what, const double *ours, const double *reference,
                 const char *goal, double limit)
{
    double ratios[REPEAT_MAX];
    char question[160];
    struct report_row row = {
        question, "ns",         goal,   goal != NULL ? REPORT_AT_MOST : REPORT_NO_GOAL, limit,
        ours,     plan.repeats, ratios, "time stamp + store into a private ring"};

    for (unsigned r = 0; r < plan.repeats; r++)
        ratios[r] = ours[r] / reference[r];
    snprintf(question, sizeof(question), "recording call, %s: %s", variant->text, what);
    report_row(&row);
}

static void measure_pattern(const struct variant *variant, struct caller *callers, enum pattern pattern)
{
    size_t most = share(variant, plan.calls) * variant->threads / GROUP, n;
    double mean[SUBJECTS][REPEAT_MAX], p999[SUBJECTS][REPEAT_MAX];
    double *all = malloc(most * sizeof(double));
    char what[80];

    if (all == NULL)
        measure_die("out of memory");
    for (unsigned r = 0; r < plan.repeats; r++)
        for (unsigned turn = 0; turn < SUBJECTS; turn++) {
            enum subject subject = (r + turn) % 2 ? REFERENCE : OURS; /* nobody is always first */
            n = play_all(variant, callers, subject, pattern, all);
            mean[subject][r] = measure_mean99(all, n);
            p999[subject][r] = all[(size_t)(0.999 * (double)(n - 1))]; /* sorted by now */
        }
    snprintf(what, sizeof(what), "%s, mean of the lower 99 %%", pattern_text[pattern]);
    show(variant, what, mean[OURS], mean[REFERENCE], "<= 1.15 times", 1.15);
    snprintf(what, sizeof(what), "%s, p99.9", pattern_text[pattern]);
    show(variant, what, p999[OURS], p999[REFERENCE], "<= 1.15 times", 1.15);
    free(all);
}

static void measure_alone(const struct variant *variant, struct caller *caller)
{
    double loops[SUBJECTS][REPEAT_MAX], worst_ms[SUBJECTS][REPEAT_MAX], beside_ms;
    char question[160], reference[80];
    struct report_row row = {question,       "ms", "< 0.3 ms where the reference is",
                             REPORT_AT_MOST, 0.3,  worst_ms[OURS],
                             plan.repeats,   NULL, reference};

    for (unsigned r = 0; r < plan.repeats; r++)
        for (unsigned turn = 0; turn < SUBJECTS; turn++) {
            enum subject subject = (r + turn) % 2 ? REFERENCE : OURS;
            caller->worst_ns = 0;
            play_alone(subject, caller, &loops[subject][r], plan.worst_calls);
            worst_ms[subject][r] = caller->worst_ns / 1e6;
        }
    show(variant, "long loop, plain mean", loops[OURS], loops[REFERENCE], NULL, 0);
    beside_ms = measure_median(worst_ms[REFERENCE], plan.repeats);
    snprintf(question, sizeof(question), "recording call, %s: worst of 5 million", variant->text);
    snprintf(reference, sizeof(reference), "private ring: %.3f ms", beside_ms);
    if (beside_ms >= 0.3) { /* something takes the core away from both */
        row.goal = NULL;
        row.sense = REPORT_NO_GOAL;
    }
    report_row(&row);
}

static void count(const struct variant *variant, const char *what, uint64_t expected, uint64_t seen)
{
    char text[80];

    snprintf(text, sizeof(text), "%s: %s", variant->text, what);
    report_count(text, expected, seen);
}

static void account(struct stack *stack, const struct variant *variant, struct ailive *telemetry,
                    const struct caller *callers)
{
    struct ailive_stats stats;
    uint64_t refused = 0, calls = 0;

    for (unsigned t = 0; t < variant->threads; t++) {
        refused += callers[t].refused;
        calls += callers[t].calls;
    }
    ailive_flush(telemetry, 30000);
    ailive_stats(telemetry, &stats);
    count(variant, "refused", 0, refused);
    count(variant, "recorded", calls, stats.recorded);
    if (variant->sidecar)
        count(
            variant, "counted by the sidecar", calls,
            (uint64_t)stack_wait_total(stack, "peaktrade_ai_decisions_total", NULL, (double)calls, DRAIN_NS));
}

static void measure_variant(const struct variant *variant)
{
    struct caller callers[THREADS_MAX];
    struct ailive *telemetry;
    struct stack stack;

    stack_open(&stack);
    measure_pin(MEASURE_THERE);
    if (variant->sidecar)
        stack_start(&stack, NULL);
    telemetry = producer_open(variant);
    for (unsigned t = 0; t < variant->threads; t++)
        caller_open(&callers[t], telemetry, variant);
    measure_pattern(variant, callers, BACK_TO_BACK);
    if (variant->threads == 1) {
        measure_pattern(variant, callers, BURSTS);
        measure_alone(variant, &callers[0]);
    }
    account(&stack, variant, telemetry, callers);
    for (unsigned t = 0; t < variant->threads; t++)
        caller_close(&callers[t]);
    ailive_close(telemetry, 1000);
    measure_unpin();
    stack_close(&stack);
}

int main(int argc, char **argv)
{
    static const struct variant variants[] = {
        {"1 name", 1, 1, true},
        {"4 names", 4, 1, true},
        {"8 threads", 1, 8, true},
        {"sidecar absent", 1, 1, false},
    };

    report_begin("record", argc, argv);
    plan.repeats = report_quick() ? 1 : 5;
    plan.calls = report_quick() ? RUN : 1000000;
    plan.worst_calls = report_quick() ? RUN : 5000000;
    for (size_t v = 0; v < sizeof(variants) / sizeof(*variants); v++)
        measure_variant(&variants[v]);
    return report_end();
}
