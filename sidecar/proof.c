/* proof.c - whether a running stack does what the contract says, with evidence.
 *
 * Place on the route: Prometheus, exporter, Grafana -> http_get -> [proof] -> folder and verdict. Owns what
 * was answered, for one round.
 */
#include "proof.h"

#include "http_get.h"
#include "now.h"
#include "prom_answer.h"
#include "text.h"

#include <wire/event.h>

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The contract's known-good queries. The first RANKED ones decide hard checks. */
enum {
    QUERY_UP_JOBS,
    QUERY_HEARTBEAT,
    QUERY_DECISIONS_SUM,
    QUERY_RUN_ID_COUNT,
    QUERY_LAST_EVENT_COUNT,
    QUERY_OTHERS
};

static const struct {
    const char *name, *expression;
} queries[] = {
    [QUERY_UP_JOBS] = {"up_jobs", "up{job=~\"ai_live|peak_trade_web|shadow_mvs\"}"},
    [QUERY_HEARTBEAT] = {"heartbeat", "peaktrade_ai_live_heartbeat"},
    [QUERY_DECISIONS_SUM] = {"decisions_sum", "sum(peaktrade_ai_decisions_total)"},
    [QUERY_RUN_ID_COUNT] = {"run_id_count", "count(count by (run_id) (peaktrade_ai_decisions_total))"},
    [QUERY_LAST_EVENT_COUNT] = {"last_event_ts_by_run_id_count",
                                "count(peaktrade_ai_last_event_timestamp_seconds_by_run_id)"},
    [QUERY_OTHERS] = {"ai_live_up", "max(up{job=\"ai_live\"})"},
    {"actions_sum", "sum(peaktrade_ai_actions_total)"},
    {"worst_age_seconds",
     "max(clamp_min(time() - max by (source) (peaktrade_ai_last_event_timestamp_seconds), 0))"},
    {"parse_errors_5m", "increase(peaktrade_ai_events_parse_errors_total[5m])"},
    {"dropped_5m", "increase(peaktrade_ai_events_dropped_total[5m])"},
    {"latency_p95_ms",
     "histogram_quantile(0.95, sum by (le) (rate(peaktrade_ai_decision_latency_ms_bucket[5m])))"},
    {"latency_p99_ms",
     "histogram_quantile(0.99, sum by (le) (rate(peaktrade_ai_decision_latency_ms_bucket[5m])))"},
};
#define QUERIES (sizeof(queries) / sizeof(queries[0]))

static const char *const alerts[] = {"AI_LIVE_ExporterDown",     "AI_LIVE_StaleEvents",
                                     "AI_LIVE_ParseErrorsSpike", "AI_LIVE_DroppedEventsSpike",
                                     "AI_LIVE_LatencyP95High",   "AI_LIVE_LatencyP99High"};
#define ALERTS (sizeof(alerts) / sizeof(alerts[0]))

/* What to do next, for each check. */
#define ADVICE_JOBS                                                                                          \
    "Prometheus must scrape ai_live (9110), peak_trade_web (8000) and shadow_mvs (9109): compare its "       \
    "configuration with sidecar/ops/prometheus/prometheus.yml and see /targets"
#define ADVICE_HEARTBEAT                                                                                     \
    "exactly one exporter must be scraped: look at curl -s http://127.0.0.1:9110/metrics, and for a second " \
    "target in job ai_live"
#define ADVICE_DECISIONS                                                                                     \
    "no decision has been counted: run ailive activity, then see whether the producer's file, socket and "   \
    "run id are the sidecar's (docs/runbook.md, No events)"
#define ADVICE_RUN_ID                                                                                        \
    "no decision carries a run id in Prometheus: run ailive activity and wait for one scrape"
#define ADVICE_LAST_EVENT                                                                                    \
    "no event had a time stamp: producers must send ts_utc; run ailive activity to see one"
#define ADVICE_TARGET                                                                                        \
    "start the sidecar (bash sidecar/ops/up.sh, or ailive sidecar) and look at curl -s "                     \
    "http://127.0.0.1:9110/-/ready"
#define ADVICE_ALERTS                                                                                        \
    "load sidecar/ops/prometheus/rules/*.yml with rule_files in Prometheus' configuration and restart or "   \
    "reload it; promtool check config tells what is wrong"
#define ADVICE_PROM "start Prometheus (bash sidecar/ops/up.sh), or name it with --prom-url or $PROM_URL"
#define ADVICE_FOREIGN                                                                                       \
    "what answers at --prom-url is no Prometheus: name Prometheus itself, with the path it is served "       \
    "under, "                                                                                                \
    "if it has one (its /api/v1/query must answer), or ask ailive port who holds the port"
#define ADVICE_LOGIN                                                                                         \
    "what answers at --prom-url wants a name and password: give them in the URL, http://NAME:PASSWORD@HOST"
#define ADVICE_UNREADY                                                                                       \
    "what answers at --prom-url is not ready: wait until curl -s <prom-url>/-/ready says so, and see its "   \
    "log"
#define ADVICE_GRAFANA "start Grafana, or leave --grafana-url out"

struct answer {
    size_t count;
    char value[PROM_ANSWER_VALUE_BYTES];
    char error[PROOF_TEXT_BYTES];
    const char *advice; /* when Prometheus' API did not answer at all; NULL: the check's own */
};

/* One run: what is fixed, and what the last round was told. */
struct run {
    const char *prom_url, *exporter_url, *grafana_url;
    struct proof *proof;
    struct http_get *get;
    struct prom_answer *parser;
    struct buffer url, body;
    struct answer answers[QUERIES];
    char target[PROOF_TEXT_BYTES], missing[PROOF_TEXT_BYTES], grafana[PROOF_TEXT_BYTES];
    const char *target_advice, *missing_advice; /* as in struct answer */
    const char *silence_advice;
    char silence[PROOF_TEXT_BYTES]; /* why Prometheus did not answer: it is not asked again this round */
    bool target_up, alerts_loaded, grafana_fine;
    unsigned rounds;
    char *error; /* of proof_run() */
    size_t error_cap;
};

const char *proof_setting(const char *given, const char *variable, const char *fallback)
{
    const char *value = given != NULL ? given : getenv(variable);

    return value != NULL && value[strspn(value, " \t\n\r")] != '\0' ? value : fallback;
}

static int no_memory(struct run *run)
{
    snprintf(run->error, run->error_cap, "out of memory");
    return -1;
}

/* ---- asking ---- */

/* What to do when the answer is none of Prometheus' API; NULL: it is one. status 0: there was no answer. */
static const char *api_advice(const struct run *run, int status)
{
    if (status == 0)
        return ADVICE_PROM;
    if (prom_answer_is_refusal(run->parser))
        return NULL;
    return status == 401 || status == 403 ? ADVICE_LOGIN : status >= 500 ? ADVICE_UNREADY : ADVICE_FOREIGN;
}

/* Why nobody is asked again this round. */
static void fall_silent(struct run *run, const char cause[PROOF_TEXT_BYTES], const char *advice)
{
    snprintf(run->silence, sizeof(run->silence), "%s", cause);
    run->silence_advice = advice;
}

/* An answer that the parser could not read, as a cause and what to do. */
static void explain(struct run *run, int status, char cause[PROOF_TEXT_BYTES], const char **advice)
{
    char said[PROOF_TEXT_BYTES - 32];

    *advice = api_advice(run, status);
    if (status != 0 && status != 200) {
        snprintf(said, sizeof(said), "%s", cause);
        snprintf(cause, PROOF_TEXT_BYTES, "HTTP status %d; %s", status, said);
    }
    if (status == 0 || (status >= 500 && *advice != NULL))
        fall_silent(run, cause, *advice);
}

/* GETs prom_url + path, keeps the raw answer as file, and reads it. 0: the parser speaks of it. 1: why not is
 * in cause, what to do in advice unless the check knows best. -1: no evidence. */
static int ask(struct run *run, const char *path, const char *expression, const char *file,
               char cause[PROOF_TEXT_BYTES], const char **advice)
{
    bool silent = run->silence[0] != '\0';
    int status = 0;

    *advice = run->silence_advice;
    run->url.used = 0;
    if (!http_get_url(run->get, &run->url, run->prom_url, path, expression))
        return no_memory(run);
    if (silent)
        memcpy(cause, run->silence, sizeof(run->silence));
    else
        status = http_get(run->get, run->url.bytes, &run->body, cause, PROOF_TEXT_BYTES);
    if (status == 0)
        run->body.used = 0; /* half an answer proves nothing */
    if (evidence_write(&run->proof->evidence, file, &run->body, run->error, run->error_cap) != 0)
        return -1;
    if (silent)
        return 1;
    if (status != 0 &&
        prom_answer_read(run->parser, run->body.bytes, run->body.used, cause, PROOF_TEXT_BYTES))
        return 0;
    explain(run, status, cause, advice);
    return 1;
}

static int ask_queries(struct run *run, size_t first, size_t last)
{
    char file[64];

    for (size_t i = first; i < last; i++) {
        struct answer *answer = &run->answers[i];
        int asked;

        *answer = (struct answer){0};
        snprintf(file, sizeof(file), "prom/%s.json", queries[i].name);
        asked = ask(run, "/api/v1/query", queries[i].expression, file, answer->error, &answer->advice);
        if (asked < 0)
            return -1;
        if (asked == 0)
            answer->count = prom_answer_results(run->parser, answer->value);
    }
    return 0;
}

static int ask_targets(struct run *run)
{
    int asked = ask(run, "/api/v1/targets", NULL, "prom_targets.json", run->target, &run->target_advice);

    run->target_up =
        asked == 0 && prom_answer_target_up(run->parser, "ai_live", run->target, sizeof(run->target));
    return asked < 0 ? -1 : 0;
}

/* missing: the names that are not loaded, or why they are not known. */
static int ask_rules(struct run *run)
{
    int asked = ask(run, "/api/v1/rules", NULL, "prom_rules.json", run->missing, &run->missing_advice);
    size_t used = 0;

    run->alerts_loaded = asked == 0;
    for (size_t i = 0; i < ALERTS && asked == 0; i++)
        if (!prom_answer_has_alert(run->parser, alerts[i])) {
            run->alerts_loaded = false;
            used += (size_t)snprintf(run->missing + used, sizeof(run->missing) - used, "%s%s",
                                     used == 0 ? "missing: " : ", ", alerts[i]);
            assert(used < sizeof(run->missing));
        }
    return asked < 0 ? -1 : 0;
}

/* Evidence only: nothing is judged by it. */
static int ask_alerts(struct run *run)
{
    char cause[PROOF_TEXT_BYTES];
    const char *advice;

    return ask(run, "/api/v1/alerts", NULL, "prom_alerts.json", cause, &advice) < 0 ? -1 : 0;
}

int proof_get_metrics(struct http_get *get, const char *exporter_url, struct buffer *body, char *error,
                      size_t error_cap)
{
    static const char path[] = "/metrics";
    size_t len = strlen(exporter_url), tail = sizeof(path) - 1;
    bool has_path = len >= tail && strcmp(exporter_url + len - tail, path) == 0;
    struct buffer url;
    int status = 0;

    buffer_init(&url);
    if (http_get_url(get, &url, exporter_url, has_path ? "" : path, NULL))
        status = http_get(get, url.bytes, body, error, error_cap);
    else
        snprintf(error, error_cap, "out of memory");
    buffer_fini(&url);
    return status;
}

static int ask_exporter(struct run *run)
{
    struct proof *proof = run->proof;
    int status = proof_get_metrics(run->get, run->exporter_url, &run->body, proof->exporter_error,
                                   sizeof(proof->exporter_error));

    if (status == 200) {
        proof->exporter_error[0] = '\0';
    } else {
        if (status > 0)
            snprintf(proof->exporter_error, sizeof(proof->exporter_error), "HTTP status %d", status);
        run->body.used = 0;
        if (!buffer_printf(&run->body, "# not read: %s\n", proof->exporter_error))
            return no_memory(run);
    }
    return evidence_write(&proof->evidence, "exporter_metrics.txt", &run->body, run->error, run->error_cap);
}

static int ask_grafana(struct run *run)
{
    int status;

    if (run->grafana_url == NULL)
        return 0;
    run->url.used = 0;
    if (!http_get_url(run->get, &run->url, run->grafana_url, "/api/health", NULL))
        return no_memory(run);
    status = http_get(run->get, run->url.bytes, &run->body, run->grafana, sizeof(run->grafana));
    run->grafana_fine = status == 200;
    if (status > 0)
        snprintf(run->grafana, sizeof(run->grafana), "/api/health answers %d", status);
    return 0;
}

/* ---- judging ---- */

static void check(struct proof *proof, const char *name, bool passed, const char *advice, const char *format,
                  ...) __attribute__((format(printf, 5, 6)));
static void check(struct proof *proof, const char *name, bool passed, const char *advice, const char *format,
                  ...)
{
    struct proof_check *made = &proof->checks[proof->check_count++];
    va_list arguments;

    assert(proof->check_count <= PROOF_CHECKS_MAX);
    *made = (struct proof_check){.name = name, .passed = passed, .advice = advice};
    va_start(arguments, format);
    vsnprintf(made->detail, sizeof(made->detail), format, arguments);
    va_end(arguments);
    /* Other programs' texts must not look like lines or columns of ours. */
    for (char *c = made->detail; *c != '\0'; c++)
        if (*c == '|' || (unsigned char)*c < 0x20)
            *c = ' ';
    proof->passed = proof->passed && passed;
}

static const char *advice_of(const char *given, const char *own)
{
    return given != NULL ? given : own;
}

/* How many series a query gave. */
static void check_count(struct run *run, size_t query, const char *name, size_t wanted, const char *advice)
{
    const struct answer *answer = &run->answers[query];

    if (answer->error[0] != '\0')
        check(run->proof, name, false, advice_of(answer->advice, advice), "%s", answer->error);
    else
        check(run->proof, name, answer->count == wanted, advice, "%s=%zu, wanted %zu", name, answer->count,
              wanted);
}

/* A single number that must not be below least. An empty result counts as 0. */
static void check_value(struct run *run, size_t query, bool above_zero, const char *advice)
{
    const struct answer *answer = &run->answers[query];
    const char *name = queries[query].name;
    double value = answer->count == 1 ? strtod(answer->value, NULL) : 0;

    if (answer->error[0] != '\0')
        check(run->proof, name, false, advice_of(answer->advice, advice), "%s", answer->error);
    else
        check(run->proof, name, above_zero ? value > 0 : value >= 1, advice, "%s=%s, wanted %s", name,
              answer->count == 1 ? answer->value : "0", above_zero ? "> 0" : ">= 1");
}

static void judge(struct run *run)
{
    struct proof *proof = run->proof;

    proof->check_count = 0;
    proof->passed = true;
    check_count(run, QUERY_UP_JOBS, "up_jobs_rc", 3, ADVICE_JOBS);
    check_count(run, QUERY_HEARTBEAT, "heartbeat_rc", 1, ADVICE_HEARTBEAT);
    check_value(run, QUERY_DECISIONS_SUM, true, ADVICE_DECISIONS);
    check_value(run, QUERY_RUN_ID_COUNT, false, ADVICE_RUN_ID);
    check_value(run, QUERY_LAST_EVENT_COUNT, false, ADVICE_LAST_EVENT);
    check(proof, "target_ai_live", run->target_up, advice_of(run->target_advice, ADVICE_TARGET), "%s",
          run->target);
    check(proof, "alerts_loaded", run->alerts_loaded, advice_of(run->missing_advice, ADVICE_ALERTS), "%s",
          run->alerts_loaded ? "all six" : run->missing);
    if (run->grafana_url != NULL)
        check(proof, "grafana", run->grafana_fine, ADVICE_GRAFANA, "%s", run->grafana);
}

/* ---- evidence ---- */

static bool make_series(const struct run *run, struct buffer *out)
{
    bool fine = buffer_add_text(out, "name\texpr\tresult_count\tvalue\n");

    for (size_t i = 0; i < QUERIES && fine; i++)
        fine = buffer_printf(out, "%s\t%s\t%zu\t%s\n", queries[i].name, queries[i].expression,
                             run->answers[i].count,
                             run->answers[i].value[0] != '\0' ? run->answers[i].value : "NA");
    return fine;
}

static const char *value_or_zero(const struct run *run, size_t query)
{
    return run->answers[query].value[0] != '\0' ? run->answers[query].value : "0";
}

static bool make_summary(const struct run *run, struct buffer *out)
{
    const struct proof *proof = run->proof;

    return buffer_printf(out,
                         "stamp=%s\nup_jobs_rc=%zu\nheartbeat_rc=%zu\ndecisions_sum=%s\nactions_sum=%s\n"
                         "run_id_count=%s\nlast_event_ts_by_run_id_count=%s\ntarget_ai_live=%s\n"
                         "alerts_loaded=%s\nexporter_metrics=%s\nrounds=%u\n\n",
                         proof->evidence.stamp, run->answers[QUERY_UP_JOBS].count,
                         run->answers[QUERY_HEARTBEAT].count, value_or_zero(run, QUERY_DECISIONS_SUM),
                         value_or_zero(run, QUERY_OTHERS + 1), value_or_zero(run, QUERY_RUN_ID_COUNT),
                         value_or_zero(run, QUERY_LAST_EVENT_COUNT), run->target_up ? "up" : "down",
                         run->alerts_loaded ? "yes" : "no",
                         proof->exporter_error[0] == '\0' ? "read" : "not_read", run->rounds) &&
           proof_lines(proof, out);
}

static bool make_meta(const struct run *run, struct buffer *out)
{
    char prom[256], exporter[256], grafana[256] = "";

    http_get_shown(run->prom_url, prom, sizeof(prom));
    http_get_shown(run->exporter_url, exporter, sizeof(exporter));
    if (run->grafana_url != NULL)
        http_get_shown(run->grafana_url, grafana, sizeof(grafana));
    return buffer_printf(out,
                         "stamp=%s\nprogram=ailive %s\nprom_url=%s\nexporter_url=%s\ngrafana_url=%s\n"
                         "methods=GET\n",
                         run->proof->evidence.stamp, AILIVE_VERSION_STRING, prom, exporter, grafana);
}

static int write_made(struct run *run, const char *name, bool (*make)(const struct run *, struct buffer *))
{
    struct buffer contents;
    int status;

    buffer_init(&contents);
    if (make(run, &contents))
        status = evidence_write(&run->proof->evidence, name, &contents, run->error, run->error_cap);
    else
        status = no_memory(run);
    buffer_fini(&contents);
    return status;
}

/* ---- a run ---- */

static int one_round(struct run *run)
{
    run->rounds++;
    run->silence[0] = '\0';
    run->silence_advice = NULL;
    /* What decides comes first: a question that only evidence needs cannot silence it. */
    if (ask_queries(run, 0, QUERY_OTHERS) != 0 || ask_targets(run) != 0 || ask_rules(run) != 0 ||
        ask_queries(run, QUERY_OTHERS, QUERIES) != 0 || ask_alerts(run) != 0 || ask_exporter(run) != 0 ||
        ask_grafana(run) != 0)
        return -1;
    judge(run);
    return 0;
}

static int run_rounds(struct run *run, uint64_t wait_s)
{
    const struct timespec second = {.tv_sec = 1};
    int64_t end_ms = now_monotonic_ms() + (int64_t)wait_s * 1000;

    while (one_round(run) == 0) {
        if (run->proof->passed || now_monotonic_ms() + 1000 > end_ms) {
            if (write_made(run, "PROM_REQUIRED_SERIES.tsv", make_series) != 0 ||
                write_made(run, "AI_LIVE_OPS_SUMMARY.txt", make_summary) != 0 ||
                write_made(run, "META.txt", make_meta) != 0)
                return -1;
            return 0;
        }
        nanosleep(&second, NULL);
    }
    return -1;
}

int proof_run(const struct proof_options *options, struct proof *out, char *error, size_t error_cap)
{
    struct run *run = calloc(1, sizeof(*run));
    int status = -1;

    memset(out, 0, sizeof(*out));
    snprintf(error, error_cap, "out of memory");
    if (run == NULL)
        return -1;
    run->prom_url = proof_setting(options->prom_url, "PROM_URL", PROOF_PROM_URL_DEFAULT);
    run->exporter_url = proof_setting(options->exporter_url, "EXPORTER_URL", PROOF_EXPORTER_URL_DEFAULT);
    run->grafana_url = options->grafana_url;
    run->proof = out;
    run->error = error;
    run->error_cap = error_cap;
    run->parser = prom_answer_new();
    if (run->parser != NULL)
        run->get = http_get_new(error, error_cap);
    if (run->get != NULL)
        status = evidence_open(&out->evidence, "ai_live_ops_verify", options->out, error, error_cap);
    if (status == 0)
        status = run_rounds(run, options->wait_s);
    buffer_fini(&run->url);
    buffer_fini(&run->body);
    prom_answer_free(run->parser);
    http_get_free(run->get);
    free(run);
    return status;
}

/* ---- the verdict ---- */

bool proof_lines(const struct proof *proof, struct buffer *out)
{
    bool fine = true;

    for (size_t i = 0; i < proof->check_count && fine; i++) {
        const struct proof_check *made = &proof->checks[i];

        fine = buffer_printf(out, "%s|%s|%s\n", made->passed ? "PASS" : "FAIL", made->name, made->detail) &&
               (made->passed || buffer_printf(out, "NEXT|%s: %s\n", made->name, made->advice));
    }
    if (fine && proof->exporter_error[0] != '\0')
        fine = buffer_printf(out,
                             "NEXT|exporter_metrics: not read, which decides nothing (%s): name the exporter "
                             "with --exporter-url\n",
                             proof->exporter_error);
    return fine && buffer_printf(out, "RESULT=%s\n", proof->passed ? "PASS" : "FAIL");
}

/* text as a JSON string. A byte that is no UTF-8 (a character cut in two) becomes '?'. */
static bool add_json_text(struct buffer *out, const char *text)
{
    size_t len_bytes = strlen(text), character;
    bool fine = buffer_add_text(out, "\"");

    for (size_t at = 0; at < len_bytes && fine; at += character > 0 ? character : 1) {
        character = text_character_bytes(text + at, len_bytes - at);
        if (text[at] == '"' || text[at] == '\\')
            fine = buffer_add_text(out, "\\");
        if (character == 0)
            fine = fine && buffer_add_text(out, "?");
        else if ((unsigned char)text[at] < 0x20)
            fine = buffer_printf(out, "\\u%04x", (unsigned char)text[at]);
        else
            fine = fine && buffer_add(out, text + at, character);
    }
    return fine && buffer_add_text(out, "\"");
}

static bool add_json_check(struct buffer *out, const struct proof_check *made)
{
    return buffer_add_text(out, "{\"check\":") && add_json_text(out, made->name) &&
           buffer_printf(out, ",\"passed\":%s,\"detail\":", made->passed ? "true" : "false") &&
           add_json_text(out, made->detail) && buffer_add_text(out, ",\"next\":") &&
           (made->passed ? buffer_add_text(out, "null") : add_json_text(out, made->advice)) &&
           buffer_add_text(out, "}");
}

bool proof_json(const struct proof *proof, struct buffer *out)
{
    bool fine = buffer_printf(out, "{\"result\":\"%s\",\"folder\":", proof->passed ? "PASS" : "FAIL") &&
                add_json_text(out, proof->evidence.folder) && buffer_add_text(out, ",\"checks\":[");

    for (size_t i = 0; i < proof->check_count && fine; i++)
        fine = (i == 0 || buffer_add_text(out, ",")) && add_json_check(out, &proof->checks[i]);
    return fine && buffer_add_text(out, "]}\n");
}
