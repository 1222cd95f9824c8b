/* status.c - see status.h. Each key of the object has one function, in the order in which they stand. */
#include "status.h"

#include "health.h"
#include "json_out.h"
#include "label_text.h"
#include "log.h"
#include "ranking.h"
#include "series.h"
#include "spool_reader.h"

#include <wire/event.h>
#include <wire/remains.h>

#include <assert.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PEERS_MAX SOURCE_NNG_CONNECTIONS_DEFAULT

/* What one rendering has gathered before it writes. */
struct view {
    const struct status *status;
    struct json_out json;
    struct snapshot snapshot;
    struct history_step *steps; /* HISTORY_STEPS at most, oldest first */
    size_t step_count;
    double now_s;     /* UTC */
    int64_t end_step; /* the newest step's number: a second of the monotonic clock */
    double end_s;     /* its end in UTC */
    struct ingest_health ingest;
    struct source_nng_counters nng;
    struct health_facts facts;
    struct ranking rejects; /* by component and reason */
};

/* ---- sums ---- */

static const struct snapshot_family *family_of(const struct view *view, enum series_family family)
{
    return &view->snapshot.families[family];
}

static uint64_t family_count(const struct view *view, enum series_family family)
{
    const struct snapshot_family *of = family_of(view, family);
    uint64_t sum = 0;

    for (size_t i = 0; i < of->series_count; i++)
        sum += of->series[i].count;
    return sum;
}

/* The newest `most` steps, added up. */
struct sums {
    uint64_t steps;
    uint64_t decisions[HISTORY_DECISIONS];
    uint64_t all_decisions, actions, events, lost, dropped;
    uint64_t latency[HISTOGRAM_BOUNDS + 1];
};

static void sum_step(const struct history_step *step, struct sums *sums)
{
    for (unsigned i = 0; i < HISTORY_DECISIONS; i++) {
        sums->decisions[i] += step->decisions[i];
        sums->all_decisions += step->decisions[i];
    }
    for (unsigned i = 0; i < ROADS; i++)
        sums->events += step->events[i];
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
        sums->latency[i] += step->latency[i];
    sums->actions += step->actions;
    sums->lost += step->lost;
    sums->dropped += step->dropped;
    sums->steps++;
}

static struct sums sum_steps(const struct view *view, size_t most)
{
    struct sums sums = {0};

    for (size_t i = view->step_count > most ? view->step_count - most : 0; i < view->step_count; i++)
        sum_step(&view->steps[i], &sums);
    return sums;
}

/* ---- lists ---- */

/* Opens "key": {"more": N, "rows": [ and returns how many rows are to follow. */
static size_t list_open(struct json_out *json, const char *key, size_t count)
{
    size_t shown = count < RANKING_SHOWN ? count : RANKING_SHOWN;

    json_out_open(json, key, '{');
    json_out_count(json, "more", count - shown);
    json_out_open(json, "rows", '[');
    return shown;
}

static void list_close(struct json_out *json)
{
    json_out_close(json, ']');
    json_out_close(json, '}');
}

/* The series of a family by up to two labels (b: NULL: by one). value: the count. */
static bool rank(const struct view *view, enum series_family family, const char *a, const char *b,
                 struct ranking *out)
{
    const struct snapshot_family *of = family_of(view, family);
    char first[LABEL_TEXT_BYTES], second[LABEL_TEXT_BYTES] = "";
    const char *const names[RANKING_NAMES] = {first, second, ""};

    for (size_t i = 0; i < of->series_count; i++) {
        struct ranking_row *row;

        label_text(of->series[i].labels, a, first, sizeof(first));
        if (b != NULL)
            label_text(of->series[i].labels, b, second, sizeof(second));
        row = ranking_row(out, names);
        if (row == NULL)
            return false;
        row->value += (double)of->series[i].count;
        row->sums[0] += of->series[i].count;
    }
    ranking_sort(out);
    return true;
}

/* A list of [{a: .., b: .., "count": n}, ...]. */
static void put_counts(struct view *view, const char *key, enum series_family family, const char *a,
                       const char *b)
{
    struct json_out *json = &view->json;
    struct ranking ranking;
    size_t shown;

    ranking_init(&ranking);
    json->fine = rank(view, family, a, b, &ranking) && json->fine;
    shown = list_open(json, key, ranking.count);
    for (size_t i = 0; i < shown; i++) {
        json_out_open(json, NULL, '{');
        json_out_text(json, a, ranking.rows[i].names[0]);
        if (b != NULL)
            json_out_text(json, b, ranking.rows[i].names[1]);
        json_out_count(json, "count", ranking.rows[i].sums[0]);
        json_out_close(json, '}');
    }
    list_close(json);
    ranking_fini(&ranking);
}

/* ---- who we are, how we are ---- */

static void put_self(struct view *view)
{
    struct json_out *json = &view->json;
    double started_s = (double)view->status->started_ns / 1e9;

    json_out_count(json, "status_version", STATUS_VERSION);
    json_out_text(json, "version", AILIVE_VERSION_STRING);
    json_out_text(json, "component", view->status->component);
    json_out_text(json, "run_id", view->status->run_id);
    json_out_number(json, "now_s", view->now_s, 3);
    json_out_number(json, "started_s", started_s, 3);
    json_out_number(json, "uptime_s", view->now_s - started_s, 1);
    json_out_number(json, "counting_since_s", (double)ingest_since_ns(view->status->self->ingest) / 1e9, 3);
    json_out_bool(json, "ready", view->ingest.committing);
}

static void put_health(struct view *view)
{
    struct json_out *json = &view->json;
    struct health health;

    health_judge(&view->facts, &health);
    json_out_open(json, "health", '{');
    json_out_text(json, "level", health_level_name(health.level));
    json_out_text(json, "text", health.text);
    json_out_open(json, "problems", '[');
    for (size_t i = 0; i < health.problem_count; i++) {
        json_out_open(json, NULL, '{');
        json_out_text(json, "level", health_level_name(health.problems[i].level));
        json_out_text(json, "what", health.problems[i].what);
        json_out_text(json, "advice", health.problems[i].advice);
        json_out_close(json, '}');
    }
    json_out_close(json, ']');
    json_out_close(json, '}');
}

static void put_rates(struct view *view)
{
    struct json_out *json = &view->json;
    struct sums sums = sum_steps(view, STATUS_RATE_STEPS);
    double window_s = sums.steps > 0 ? (double)sums.steps : 1;

    json_out_open(json, "rates", '{');
    json_out_count(json, "window_s", sums.steps);
    json_out_number(json, "decisions_per_s", (double)sums.all_decisions / window_s, 2);
    for (unsigned i = 0; i < HISTORY_DECISIONS; i++) {
        char key[32];

        snprintf(key, sizeof(key), "%s_per_s", history_decision_name(i));
        json_out_number(json, key, (double)sums.decisions[i] / window_s, 2);
    }
    json_out_number(json, "actions_per_s", (double)sums.actions / window_s, 2);
    json_out_number(json, "events_per_s", (double)sums.events / window_s, 2);
    json_out_close(json, '}');
}

static void put_latency(struct view *view)
{
    struct json_out *json = &view->json;
    struct sums sums = sum_steps(view, STATUS_LATENCY_STEPS);
    uint64_t count = 0;

    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
        count += sums.latency[i];
    json_out_open(json, "latency_ms", '{');
    json_out_count(json, "window_s", sums.steps);
    json_out_count(json, "count", count);
    json_out_number(json, "p50", history_quantile_ms(sums.latency, 0.5), 3);
    json_out_number(json, "p95", history_quantile_ms(sums.latency, 0.95), 3);
    json_out_number(json, "p99", history_quantile_ms(sums.latency, 0.99), 3);
    json_out_close(json, '}');
}

/* ---- decisions ---- */

/* What the sums of a component's row hold; its value: rejects of the last quarter of an hour. */
enum {
    COMPONENT_REJECTS, /* decides between equal values */
    COMPONENT_KINDS,
    COMPONENT_ALL = COMPONENT_KINDS + HISTORY_DECISIONS
};
_Static_assert(COMPONENT_ALL < RANKING_SUMS, "a row has room");

static struct ranking_row *component_row(struct ranking *ranking, const char *component)
{
    return ranking_row(ranking, (const char *const[RANKING_NAMES]){component, "", ""});
}

static bool rank_components(const struct view *view, struct ranking *out)
{
    const struct snapshot_family *of = family_of(view, SERIES_DECISIONS);
    char component[LABEL_TEXT_BYTES], decision[LABEL_TEXT_BYTES];
    struct ranking_row *row;

    for (size_t i = 0; i < of->series_count; i++) {
        enum history_decision kind;

        label_text(of->series[i].labels, "component", component, sizeof(component));
        label_text(of->series[i].labels, "decision", decision, sizeof(decision));
        row = component_row(out, component);
        if (row == NULL)
            return false;
        kind = history_decision_of(decision);
        row->sums[COMPONENT_KINDS + kind] += of->series[i].count;
        row->sums[COMPONENT_ALL] += of->series[i].count;
        row->sums[COMPONENT_REJECTS] = row->sums[COMPONENT_KINDS + HISTORY_REJECT];
    }
    for (size_t i = 0; i < view->rejects.count; i++) {
        row = component_row(out, view->rejects.rows[i].names[0]);
        if (row == NULL)
            return false;
        row->value += view->rejects.rows[i].value;
    }
    ranking_sort(out);
    return true;
}

/* Behind what history_rejects() fills in. */
enum {
    REJECT_COUNT,
    REJECT_RECENT,
    REJECT_PLACE /* of its component among the components */
};

static int rejects_compare(const void *a, const void *b)
{
    const struct ranking_row *left = a, *right = b;

    if (left->sums[REJECT_PLACE] != right->sums[REJECT_PLACE])
        return left->sums[REJECT_PLACE] < right->sums[REJECT_PLACE] ? -1 : 1;
    if (left->sums[REJECT_RECENT] != right->sums[REJECT_RECENT])
        return left->sums[REJECT_RECENT] > right->sums[REJECT_RECENT] ? -1 : 1;
    if (left->sums[REJECT_COUNT] != right->sums[REJECT_COUNT])
        return left->sums[REJECT_COUNT] > right->sums[REJECT_COUNT] ? -1 : 1;
    return strcmp(left->names[1], right->names[1]);
}

/* By component as these are ranked: the list is cut, and a component of many small reasons would fall out of
 * it though it rejects most. */
static bool sort_rejects(struct view *view)
{
    struct ranking components;
    bool fine;

    ranking_init(&components);
    fine = rank_components(view, &components);
    ranking_cut(&components, components.count); /* sorted, and can be found */
    for (size_t i = 0; i < view->rejects.count && fine; i++) {
        struct ranking_row *row = &view->rejects.rows[i];
        const struct ranking_row *component =
            ranking_find(&components, (const char *const[RANKING_NAMES]){row->names[0], "", ""});

        assert(component != NULL); /* rank_components() makes one of each */
        row->sums[REJECT_PLACE] = (uint64_t)(component - components.rows);
    }
    if (view->rejects.count > 0)
        qsort(view->rejects.rows, view->rejects.count, sizeof(*view->rejects.rows), rejects_compare);
    ranking_fini(&components);
    return fine;
}

static void put_component(struct json_out *json, const struct ranking_row *row)
{
    json_out_open(json, NULL, '{');
    json_out_text(json, "component", row->names[0]);
    json_out_count(json, "decisions", row->sums[COMPONENT_ALL]);
    for (unsigned i = 0; i < HISTORY_DECISIONS; i++)
        json_out_count(json, history_decision_name(i), row->sums[COMPONENT_KINDS + i]);
    json_out_number(json, "reject_recent", row->value, 0);
    json_out_close(json, '}');
}

static void put_decisions(struct view *view)
{
    struct json_out *json = &view->json;
    uint64_t kinds[HISTORY_DECISIONS] = {0};
    struct ranking ranking;
    size_t shown;

    ranking_init(&ranking);
    json->fine = rank_components(view, &ranking) && json->fine;
    for (size_t i = 0; i < ranking.count; i++)
        for (unsigned k = 0; k < HISTORY_DECISIONS; k++)
            kinds[k] += ranking.rows[i].sums[COMPONENT_KINDS + k];
    json_out_open(json, "decisions", '{');
    json_out_count(json, "total", family_count(view, SERIES_DECISIONS));
    for (unsigned k = 0; k < HISTORY_DECISIONS; k++)
        json_out_count(json, history_decision_name(k), kinds[k]);
    json_out_close(json, '}');
    shown = list_open(json, "components", ranking.count);
    for (size_t i = 0; i < shown; i++)
        put_component(json, &ranking.rows[i]);
    list_close(json);
    ranking_fini(&ranking);
}

static void put_rejects(struct view *view)
{
    struct json_out *json = &view->json;
    const struct ranking *ranking = &view->rejects;
    size_t shown = list_open(json, "rejects", ranking->count);

    for (size_t i = 0; i < shown; i++) {
        json_out_open(json, NULL, '{');
        json_out_text(json, "component", ranking->rows[i].names[0]);
        json_out_text(json, "reason", ranking->rows[i].names[1]);
        json_out_count(json, "recent", ranking->rows[i].sums[REJECT_RECENT]);
        json_out_count(json, "count", ranking->rows[i].sums[REJECT_COUNT]);
        json_out_close(json, '}');
    }
    list_close(json);
}

/* ---- freshness ---- */

/* A family of times as a ranking: the newest first. */
static bool rank_times(const struct view *view, enum series_family family, struct ranking *out)
{
    const struct snapshot_family *of = family_of(view, family);
    char source[LABEL_TEXT_BYTES], run_id[LABEL_TEXT_BYTES], component[LABEL_TEXT_BYTES];
    const char *const names[RANKING_NAMES] = {source, run_id, component};

    for (size_t i = 0; i < of->series_count; i++) {
        struct ranking_row *row;

        label_text(of->series[i].labels, "source", source, sizeof(source));
        label_text(of->series[i].labels, "run_id", run_id, sizeof(run_id));
        label_text(of->series[i].labels, "component", component, sizeof(component));
        row = ranking_row(out, names);
        if (row == NULL)
            return false;
        row->value = of->series[i].value;
    }
    ranking_sort(out);
    return true;
}

static void put_times(struct view *view, const char *key, enum series_family family, bool by_run)
{
    struct json_out *json = &view->json;
    struct ranking ranking;
    size_t shown;

    ranking_init(&ranking);
    json->fine = rank_times(view, family, &ranking) && json->fine;
    shown = list_open(json, key, ranking.count);
    for (size_t i = 0; i < shown; i++) {
        const struct ranking_row *row = &ranking.rows[i];

        json_out_open(json, NULL, '{');
        json_out_text(json, "source", row->names[0]);
        if (by_run) {
            json_out_text(json, "run_id", row->names[1]);
            json_out_text(json, "component", row->names[2]);
        }
        json_out_number(json, "last_event_s", row->value, 3);
        json_out_number(json, "age_s", view->now_s - row->value, 3);
        json_out_close(json, '}');
    }
    list_close(json);
    ranking_fini(&ranking);
}

/* ---- losses and roads ---- */

static void put_ipc_errors(struct view *view)
{
    struct json_out *json = &view->json;
    uint64_t all = 0;

    for (unsigned i = 0; i < IPC_ERRORS; i++)
        all += view->nng.errors[i];
    json_out_open(json, "ipc", '{');
    json_out_count(json, "total", all);
    for (unsigned i = 0; i < IPC_ERRORS; i++)
        if (view->nng.errors[i] > 0)
            json_out_count(json, source_nng_error_name(i), view->nng.errors[i]);
    json_out_close(json, '}');
}

static void put_losses(struct view *view)
{
    struct json_out *json = &view->json;

    json_out_open(json, "losses", '{');
    json_out_count(json, "records_total", family_count(view, SERIES_OWN_DROPPED));
    json_out_count(json, "records_recent", view->facts.lost);
    json_out_count(json, "lines_total", family_count(view, SERIES_DROPPED));
    json_out_count(json, "lines_recent", view->facts.dropped);
    put_counts(view, "records", SERIES_OWN_DROPPED, "reason", NULL);
    put_counts(view, "lines", SERIES_DROPPED, "source", "reason");
    put_counts(view, "parse_errors", SERIES_PARSE_ERRORS, "source", NULL);
    put_counts(view, "latency_unobserved", SERIES_OWN_UNOBSERVED, "source", "reason");
    put_counts(view, "series_overflow", SERIES_OWN_OVERFLOW, "family", NULL);
    put_ipc_errors(view);
    json_out_close(json, '}');
}

static void put_roads(struct view *view)
{
    put_counts(view, "roads", SERIES_OWN_EVENTS, "road", NULL);
    put_counts(view, "duplicates", SERIES_OWN_DUPLICATES, "road", NULL);
}

/* ---- producers and files ---- */

static int peers_compare(const void *a, const void *b)
{
    const struct source_nng_peer *left = a, *right = b;

    if (left->recorded_per_s != right->recorded_per_s)
        return left->recorded_per_s > right->recorded_per_s ? -1 : 1;
    if (left->totals.recorded != right->totals.recorded)
        return left->totals.recorded > right->totals.recorded ? -1 : 1;
    return memcmp(&left->producer, &right->producer, sizeof(left->producer));
}

/* What the producer's folder says of it. */
static void put_lock_text(struct json_out *json, int runtime_fd, const struct source_nng_peer *peer)
{
    static const char *const keys[] = {"component", "run_id"};
    char name[LAYOUT_NAME_BYTES], value[LABEL_TEXT_BYTES];
    int folder_fd;

    layout_folder_name(&peer->producer, name);
    json_out_text(json, "id", name);
    folder_fd = runtime_fd >= 0 ? remains_open(runtime_fd, name) : -1;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        bool known = folder_fd >= 0 && remains_lock_value(folder_fd, keys[i], value, sizeof(value));

        json_out_text(json, keys[i], known ? value : "");
    }
    if (folder_fd >= 0)
        close(folder_fd);
}

static void put_peer(struct json_out *json, int runtime_fd, const struct source_nng_peer *peer)
{
    json_out_open(json, NULL, '{');
    json_out_count(json, "pid", peer->pid);
    json_out_count(json, "uid", peer->uid);
    put_lock_text(json, runtime_fd, peer);
    json_out_number(json, "recorded_per_s", peer->recorded_per_s, 2);
    json_out_count(json, "recorded", peer->totals.recorded);
    json_out_count(json, "shipped", peer->totals.shipped);
    json_out_count(json, "spooled", peer->totals.spooled);
    json_out_count(json, "dropped", peer->totals.dropped);
    json_out_count(json, "backlog", peer->backlog);
    json_out_close(json, '}');
}

static void put_producers(struct view *view)
{
    struct json_out *json = &view->json;
    const struct self *self = view->status->self;
    struct source_nng_peer *peers = calloc(PEERS_MAX, sizeof(*peers));
    size_t count = peers != NULL && self->nng != NULL ? source_nng_peers(self->nng, peers, PEERS_MAX) : 0;
    size_t known = count < PEERS_MAX ? count : PEERS_MAX, shown;
    int runtime_fd = open(view->status->runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    json->fine = json->fine && peers != NULL;
    if (known > 0)
        qsort(peers, known, sizeof(*peers), peers_compare);
    shown = list_open(json, "producers", count);
    for (size_t i = 0; i < shown; i++)
        put_peer(json, runtime_fd, &peers[i]);
    list_close(json);
    if (runtime_fd >= 0)
        close(runtime_fd);
    free(peers);
    json_out_count(json, "connected", count);
    json_out_count(json, "unacknowledged", self->rings != NULL ? source_ring_pending(self->rings) : 0);
    json_out_count(json, "salvaged_folders",
                   self->rings != NULL ? source_ring_salvaged_total(self->rings) : 0);
}

static void file_each(void *context, const char *path, uint64_t bytes)
{
    struct ranking *ranking = context;
    const char *const names[RANKING_NAMES] = {path, "", ""};
    struct ranking_row *row = ranking_row(ranking, names);

    if (row == NULL)
        return;
    row->value = (double)bytes;
    row->sums[0] = bytes;
}

static void put_files(struct view *view)
{
    struct json_out *json = &view->json;
    struct source_file *files = view->status->self->files;
    const char *spool = files != NULL ? spool_reader_folder(source_file_spools(files), 0) : NULL;
    struct ranking ranking;
    size_t shown;

    ranking_init(&ranking);
    if (files != NULL)
        source_file_lag(files, file_each, &ranking);
    ranking_sort(&ranking);
    shown = list_open(json, "files", ranking.count);
    for (size_t i = 0; i < shown; i++) {
        json_out_open(json, NULL, '{');
        json_out_text(json, "path", ranking.rows[i].names[0]);
        json_out_count(json, "lag_bytes", ranking.rows[i].sums[0]);
        json_out_close(json, '}');
    }
    list_close(json);
    ranking_fini(&ranking);
    json_out_open(json, "spool", '{');
    json_out_text(json, "path", spool != NULL ? spool : "");
    json_out_count(json, "lag_bytes", view->facts.spool_lag_bytes);
    json_out_close(json, '}');
}

static void put_state(struct view *view)
{
    struct json_out *json = &view->json;

    json_out_open(json, "state", '{');
    json_out_count(json, "commits", view->ingest.commits);
    json_out_count(json, "errors", view->ingest.commit_errors);
    json_out_number(json, "last_commit_s", (double)view->ingest.last_commit_ns / 1e9, 9);
    json_out_count(json, "bytes", view->ingest.state_bytes);
    json_out_close(json, '}');
}

static void put_warnings(struct view *view)
{
    struct json_out *json = &view->json;
    struct log_recent recent[LOG_RECENT_MAX];
    uint64_t total;
    size_t count = log_recent(recent, &total);

    json_out_open(json, "warnings", '{');
    json_out_count(json, "more", total - count);
    json_out_open(json, "rows", '[');
    for (size_t i = 0; i < count; i++) {
        json_out_open(json, NULL, '{');
        json_out_number(json, "time_s", (double)recent[i].time_ns / 1e9, 3);
        json_out_text(json, "level", recent[i].level == LOG_LEVEL_ERROR ? "error" : "warning");
        json_out_text(json, "text", recent[i].text);
        json_out_close(json, '}');
    }
    list_close(json);
}

/* ---- history ---- */

static const struct {
    const char *key;
    size_t offset; /* of a uint32_t in a step */
} columns[] = {
    {"accept", offsetof(struct history_step, decisions[HISTORY_ACCEPT])},
    {"reject", offsetof(struct history_step, decisions[HISTORY_REJECT])},
    {"noop", offsetof(struct history_step, decisions[HISTORY_NOOP])},
    {"other", offsetof(struct history_step, decisions[HISTORY_OTHER])},
    {"actions", offsetof(struct history_step, actions)},
    {"lines_dropped", offsetof(struct history_step, dropped)},
    {"records_lost", offsetof(struct history_step, lost)},
    {"duplicates", offsetof(struct history_step, duplicates)},
    {"nng", offsetof(struct history_step, events[ROAD_NNG])},
    {"spool", offsetof(struct history_step, events[ROAD_SPOOL])},
    {"salvage", offsetof(struct history_step, events[ROAD_SALVAGE])},
    {"file", offsetof(struct history_step, events[ROAD_FILE])},
};

static void put_column(struct view *view, const char *key, size_t offset, size_t first)
{
    struct json_out *json = &view->json;

    json_out_open(json, key, '[');
    for (size_t i = first; i < view->step_count; i++) {
        uint32_t value;

        memcpy(&value, (const char *)&view->steps[i] + offset, sizeof(value));
        json_out_count(json, NULL, value);
    }
    json_out_close(json, ']');
}

/* Over the STATUS_RATE_STEPS seconds up to each: a second alone holds too few. null where there was none. */
static void put_quantile(struct view *view, const char *key, double q, size_t first)
{
    struct json_out *json = &view->json;

    json_out_open(json, key, '[');
    for (size_t i = first; i < view->step_count; i++) {
        uint64_t buckets[HISTOGRAM_BOUNDS + 1] = {0};

        for (size_t s = i + 1 > STATUS_RATE_STEPS ? i + 1 - STATUS_RATE_STEPS : 0; s <= i; s++)
            for (unsigned b = 0; b <= HISTOGRAM_BOUNDS; b++)
                buckets[b] += view->steps[s].latency[b];
        json_out_number(json, NULL, history_quantile_ms(buckets, q), 2);
    }
    json_out_close(json, ']');
}

static void put_history(struct view *view, bool brief)
{
    struct json_out *json = &view->json;
    size_t first = brief && view->step_count > STATUS_BRIEF_STEPS ? view->step_count - STATUS_BRIEF_STEPS : 0;

    json_out_open(json, "history", '{');
    json_out_count(json, "step_s", 1);
    json_out_count(json, "steps", view->step_count - first);
    json_out_count(json, "end_step", (uint64_t)view->end_step);
    json_out_number(json, "end_s", view->end_s, 3);
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        put_column(view, columns[i].key, columns[i].offset, first);
    put_quantile(view, "p50_ms", 0.5, first);
    put_quantile(view, "p95_ms", 0.95, first);
    put_quantile(view, "p99_ms", 0.99, first);
    json_out_close(json, '}');
}

/* ---- gathering ---- */

static void note_lag(void *context, const char *path, uint64_t bytes)
{
    struct health_facts *facts = context;

    facts->files++;
    if (facts->lag_path == NULL || bytes > facts->lag_bytes) {
        facts->lag_path = path;
        facts->lag_bytes = bytes;
    }
}

static void gather_files(struct source_file *files, struct health_facts *facts)
{
    if (files == NULL)
        return;
    source_file_lag(files, note_lag, facts);
    facts->spool_lag_bytes = spool_reader_lag_bytes(source_file_spools(files));
}

static void gather_newest(const struct view *view, struct health_facts *facts)
{
    const struct snapshot_family *of = family_of(view, SERIES_LAST_EVENT);

    for (size_t i = 0; i < of->series_count; i++) {
        double age_s = view->now_s - of->series[i].value;

        if (!facts->has_event || age_s < facts->newest_age_s)
            facts->newest_age_s = age_s;
        facts->has_event = true;
    }
}

static void gather_facts(struct view *view)
{
    struct sums all = sum_steps(view, HISTORY_STEPS), five = sum_steps(view, STATUS_LATENCY_STEPS);
    const struct self *self = view->status->self;
    struct health_facts *facts = &view->facts;

    ingest_health(self->ingest, &view->ingest);
    if (self->nng != NULL)
        source_nng_counters(self->nng, &view->nng);
    *facts = (struct health_facts){.committing = view->ingest.committing,
                                   .commit_error = view->ingest.error,
                                   .producers = view->nng.producers,
                                   .lost = all.lost,
                                   .dropped = all.dropped,
                                   .overflowed = family_count(view, SERIES_OWN_OVERFLOW),
                                   .p95_ms = history_quantile_ms(five.latency, 0.95),
                                   .p99_ms = history_quantile_ms(five.latency, 0.99)};
    gather_files(self->files, facts);
    gather_newest(view, facts);
}

static void put_all(struct view *view, bool brief)
{
    ranking_init(&view->rejects);
    view->json.fine =
        history_rejects(view->status->history, &view->snapshot, &view->rejects) && sort_rejects(view);
    json_out_open(&view->json, NULL, '{');
    put_self(view);
    put_health(view);
    put_rates(view);
    put_latency(view);
    put_decisions(view);
    put_rejects(view);
    put_counts(view, "actions", SERIES_ACTIONS, "action", NULL);
    put_times(view, "sources", SERIES_LAST_EVENT, false);
    put_times(view, "runs", SERIES_LAST_EVENT_BY_RUN_ID, true);
    put_losses(view);
    put_roads(view);
    put_producers(view);
    put_files(view);
    put_state(view);
    put_warnings(view);
    put_history(view, brief);
    json_out_close(&view->json, '}');
    ranking_fini(&view->rejects);
}

bool status_render(const struct status *status, bool brief, int64_t now_ns, int64_t monotonic_ns,
                   struct buffer *out)
{
    struct view view = {
        .status = status, .json = {.buffer = out, .fine = true}, .now_s = (double)now_ns / 1e9};
    bool rendered;

    if (aggregate_snapshot(status->aggregate, &view.snapshot) != 0)
        return false;
    view.steps = history_steps(status->history, HISTORY_STEPS, &view.step_count, &view.end_step);
    view.end_s = view.now_s - ((double)monotonic_ns / 1e9 - (double)view.end_step);
    rendered = view.steps != NULL;
    if (rendered) {
        gather_facts(&view);
        put_all(&view, brief);
    }
    free(view.steps);
    snapshot_free(&view.snapshot);
    return rendered && view.json.fine && buffer_add(out, "\n", 1);
}
