/* history.c - the last quarter of an hour in steps of a second.
 *
 * Place on the route: snapshot, once a second -> [history] -> status. Owns the steps, what was counted at the
 * last one, and the marks. One mutex, held while a step is added or copied.
 *
 * A mark is what had been rejected at one moment, so that a difference says what was rejected since. One is
 * made each HISTORY_MARK_S seconds, and only when something was committed since the one before; the oldest
 * reaches back over a quarter of an hour.
 */
#include "history.h"

#include "label_text.h"
#include "series.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* As a step, but since the state began. */
struct totals {
    uint64_t decisions[HISTORY_DECISIONS];
    uint64_t actions, dropped, lost;
    uint64_t events[ROADS];
    uint64_t duplicates;
    uint64_t latency[HISTOGRAM_BOUNDS + 1];
};

struct mark {
    int64_t at_s;
    struct ranking rejects; /* component, reason: sums[0] */
};

struct history {
    pthread_mutex_t lock;
    struct history_step steps[HISTORY_STEPS];
    uint64_t count; /* of steps ever; the newest is at (count - 1) % HISTORY_STEPS */
    int64_t last_s; /* the time of the newest */
    bool begun;
    struct totals totals;
    struct mark marks[HISTORY_MARKS]; /* oldest first */
    size_t mark_count;
    bool stale; /* something was committed since the newest mark */
};

/* ---- a snapshot in sums ---- */

static const char *const decision_names[HISTORY_DECISIONS] = {"accept", "reject", "noop", "other"};

const char *history_decision_name(enum history_decision decision)
{
    return decision_names[decision];
}

enum history_decision history_decision_of(const char *name)
{
    enum history_decision decision = HISTORY_ACCEPT;

    while (decision < HISTORY_OTHER && strcmp(name, decision_names[decision]) != 0)
        decision++;
    return decision;
}

static uint64_t family_sum(const struct snapshot *snapshot, enum series_family family)
{
    const struct snapshot_family *of = &snapshot->families[family];
    uint64_t sum = 0;

    for (size_t i = 0; i < of->series_count; i++)
        sum += of->series[i].count;
    return sum;
}

static void sum_decisions(const struct snapshot *snapshot, struct totals *out)
{
    const struct snapshot_family *family = &snapshot->families[SERIES_DECISIONS];
    char decision[LABEL_TEXT_BYTES];

    for (size_t i = 0; i < family->series_count; i++) {
        label_text(family->series[i].labels, "decision", decision, sizeof(decision));
        out->decisions[history_decision_of(decision)] += family->series[i].count;
    }
}

static void sum_roads(const struct snapshot *snapshot, struct totals *out)
{
    const struct snapshot_family *family = &snapshot->families[SERIES_OWN_EVENTS];
    char road[LABEL_TEXT_BYTES];

    for (size_t i = 0; i < family->series_count; i++) {
        label_text(family->series[i].labels, "road", road, sizeof(road));
        for (unsigned r = 0; r < ROADS; r++)
            if (strcmp(road, road_name(r)) == 0)
                out->events[r] += family->series[i].count;
    }
}

static void sum_latency(const struct snapshot *snapshot, struct totals *out)
{
    const struct snapshot_family *family = &snapshot->families[SERIES_LATENCY_MS];

    for (size_t i = 0; i < family->series_count; i++)
        for (unsigned b = 0; b <= HISTOGRAM_BOUNDS; b++)
            out->latency[b] += family->series[i].histogram->buckets[b];
}

static void sum_all(const struct snapshot *snapshot, struct totals *out)
{
    *out = (struct totals){.actions = family_sum(snapshot, SERIES_ACTIONS),
                           .dropped = family_sum(snapshot, SERIES_DROPPED),
                           .lost = family_sum(snapshot, SERIES_OWN_DROPPED),
                           .duplicates = family_sum(snapshot, SERIES_OWN_DUPLICATES)};
    sum_decisions(snapshot, out);
    sum_roads(snapshot, out);
    sum_latency(snapshot, out);
}

/* ---- steps ---- */

/* A state that was read back may be an older copy: nothing came then, rather than less than nothing. */
static uint32_t risen(uint64_t from, uint64_t to)
{
    if (to <= from)
        return 0;
    return to - from > UINT32_MAX ? UINT32_MAX : (uint32_t)(to - from);
}

static void step_add(struct history_step *step, const struct totals *from, const struct totals *to)
{
    for (unsigned i = 0; i < HISTORY_DECISIONS; i++)
        step->decisions[i] += risen(from->decisions[i], to->decisions[i]);
    step->actions += risen(from->actions, to->actions);
    step->dropped += risen(from->dropped, to->dropped);
    step->lost += risen(from->lost, to->lost);
    for (unsigned i = 0; i < ROADS; i++)
        step->events[i] += risen(from->events[i], to->events[i]);
    step->duplicates += risen(from->duplicates, to->duplicates);
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
        step->latency[i] += risen(from->latency[i], to->latency[i]);
}

static struct history_step *newest(struct history *history)
{
    return &history->steps[(history->count - 1) % HISTORY_STEPS];
}

/* Empty steps up to now_s: a timer may come late, and then two of them in one second. */
static void steps_advance(struct history *history, int64_t now_s)
{
    int64_t missing = now_s - history->last_s;

    if (!history->begun || missing > (int64_t)HISTORY_STEPS)
        missing = history->begun ? HISTORY_STEPS : 1;
    for (; missing > 0; missing--) {
        history->count++;
        memset(newest(history), 0, sizeof(struct history_step));
    }
    history->last_s = now_s;
}

/* ---- rejects, now and then ---- */

/* Sums the reject series of a snapshot by component and reason. */
static bool rejects_sum(const struct snapshot *snapshot, struct ranking *out)
{
    const struct snapshot_family *family = &snapshot->families[SERIES_DECISIONS];
    char decision[LABEL_TEXT_BYTES], component[LABEL_TEXT_BYTES], reason[LABEL_TEXT_BYTES];
    const char *const names[RANKING_NAMES] = {component, reason, ""};

    for (size_t i = 0; i < family->series_count; i++) {
        const char *labels = family->series[i].labels;
        struct ranking_row *row;

        label_text(labels, "decision", decision, sizeof(decision));
        if (history_decision_of(decision) != HISTORY_REJECT)
            continue;
        label_text(labels, "component", component, sizeof(component));
        label_text(labels, "reason", reason, sizeof(reason));
        row = ranking_row(out, names);
        if (row == NULL)
            return false;
        row->sums[0] += family->series[i].count;
    }
    return true;
}

static void mark_drop(struct history *history)
{
    ranking_fini(&history->marks[0].rejects);
    history->mark_count--;
    memmove(&history->marks[0], &history->marks[1], history->mark_count * sizeof(history->marks[0]));
}

/* Lock held. Out of memory: one mark less, the differences then reach further back. */
static void mark_make(struct history *history, int64_t now_s, const struct snapshot *snapshot)
{
    struct mark mark = {.at_s = now_s};

    ranking_init(&mark.rejects);
    if (!rejects_sum(snapshot, &mark.rejects)) {
        ranking_fini(&mark.rejects);
        return;
    }
    ranking_cut(&mark.rejects, HISTORY_MARK_ROWS);
    while (history->mark_count == HISTORY_MARKS ||
           (history->mark_count > 1 && now_s - history->marks[1].at_s >= (int64_t)HISTORY_STEPS))
        mark_drop(history);
    history->marks[history->mark_count++] = mark;
    history->stale = false;
}

/* The newest mark that lies a quarter of an hour back; the oldest when none does. Lock held. */
static const struct mark *mark_then(const struct history *history)
{
    size_t i = history->mark_count;

    while (i > 1 && history->last_s - history->marks[i - 1].at_s < (int64_t)HISTORY_STEPS)
        i--;
    return i > 0 ? &history->marks[i - 1] : NULL;
}

/* What a row had when the mark was made; one that the mark had no room for, at most what the least of its
 * rows had: rather too little lately than what has long been there. */
static uint64_t had(const struct mark *then, const struct ranking_row *row)
{
    const struct ranking *rejects = then != NULL ? &then->rejects : NULL;
    const struct ranking_row *before = rejects != NULL ? ranking_find(rejects, row->names) : NULL;

    if (before == NULL && rejects != NULL && rejects->count == HISTORY_MARK_ROWS)
        before = &rejects->rows[HISTORY_MARK_ROWS - 1];
    return before != NULL ? before->sums[0] : 0;
}

bool history_rejects(struct history *history, const struct snapshot *snapshot, struct ranking *out)
{
    const struct mark *then;

    if (!rejects_sum(snapshot, out))
        return false;
    pthread_mutex_lock(&history->lock);
    then = mark_then(history);
    for (size_t i = 0; i < out->count; i++) {
        struct ranking_row *row = &out->rows[i];

        row->sums[1] = risen(had(then, row), row->sums[0]);
        row->value = (double)row->sums[1];
    }
    pthread_mutex_unlock(&history->lock);
    return true;
}

/* ---- the timer ---- */

/* Lock held. The first totals are what was counted before: no step shows them. */
static void take(struct history *history, const struct snapshot *snapshot)
{
    struct totals now;

    sum_all(snapshot, &now);
    if (history->begun)
        step_add(newest(history), &history->totals, &now);
    history->totals = now;
}

static bool mark_is_due(const struct history *history, int64_t now_s)
{
    return history->mark_count == 0 || now_s - history->marks[history->mark_count - 1].at_s >= HISTORY_MARK_S;
}

bool history_wants(struct history *history, int64_t now_s)
{
    bool wants;

    pthread_mutex_lock(&history->lock);
    wants = !history->begun || (history->stale && mark_is_due(history, now_s));
    pthread_mutex_unlock(&history->lock);
    return wants;
}

void history_tick(struct history *history, int64_t now_s, const struct snapshot *snapshot)
{
    pthread_mutex_lock(&history->lock);
    steps_advance(history, now_s);
    if (snapshot != NULL) {
        take(history, snapshot);
        history->stale = true;
        if (mark_is_due(history, now_s))
            mark_make(history, now_s, snapshot);
    }
    history->begun = true;
    pthread_mutex_unlock(&history->lock);
}

/* ---- reading ---- */

struct history_step *history_steps(struct history *history, size_t most, size_t *count, int64_t *end_s)
{
    struct history_step *steps = malloc(most * sizeof(*steps));

    *count = 0;
    *end_s = 0;
    if (steps == NULL)
        return NULL;
    pthread_mutex_lock(&history->lock);
    if (most > HISTORY_STEPS)
        most = HISTORY_STEPS;
    *count = history->count < most ? (size_t)history->count : most;
    for (size_t i = 0; i < *count; i++)
        steps[i] = history->steps[(history->count - *count + i) % HISTORY_STEPS];
    *end_s = history->last_s;
    pthread_mutex_unlock(&history->lock);
    return steps;
}

uint64_t history_end_s(struct history *history)
{
    uint64_t end_s;

    pthread_mutex_lock(&history->lock);
    end_s = (uint64_t)history->last_s;
    pthread_mutex_unlock(&history->lock);
    return end_s;
}

double history_quantile_ms(const uint64_t buckets[HISTOGRAM_BOUNDS + 1], double q)
{
    double count = 0, below = 0, lower = 0, rank;

    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
        count += (double)buckets[i];
    if (count == 0)
        return (double)NAN;
    rank = q * count;
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
        double upper = histogram_bound(HISTOGRAM_MS, i), in = (double)buckets[i];

        if (in > 0 && below + in >= rank)
            return lower + (upper - lower) * (rank - below) / in;
        below += in;
        lower = upper;
    }
    return lower; /* over the last bound: nobody knows by how much */
}

struct history *history_new(void)
{
    struct history *history = calloc(1, sizeof(*history));

    if (history != NULL)
        pthread_mutex_init(&history->lock, NULL);
    return history;
}

void history_free(struct history *history)
{
    if (history == NULL)
        return;
    for (size_t i = 0; i < history->mark_count; i++)
        ranking_fini(&history->marks[i].rejects);
    pthread_mutex_destroy(&history->lock);
    free(history);
}
