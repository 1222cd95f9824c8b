/* activity.c - the two-event demo: one accept, one reject, seen to arrive in the exporter's metrics.
 *
 * Place on the route: an `ailive emit` of its own -> the sidecar -> /metrics -> [activity] -> evidence. The
 * producer is a process of its own, as real ones are. Owns that process until it has ended.
 */
#include "activity.h"

#include "config.h"
#include "http_get.h"
#include "now.h"
#include "proof.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS       100
#define RUN_ID_MAX    32u
#define LABEL_MAX     96u
#define PRODUCER_FILE "PRODUCER.json"

extern char **environ;

struct counts {
    double accepts, rejects;
};

struct run {
    const char *exporter_url, *road, *target; /* road: emit's option */
    char component[256], run_id[256], ipc_url[PATHS_MAX_BYTES], jsonl[PATHS_MAX_BYTES];
    char label[LABEL_MAX + 16]; /* run_id="...", as the exporter prints it */
    struct http_get *get;
    struct buffer metrics;
    struct activity *out;
    char *error;
    size_t error_cap;
};

static int fail(const struct run *run, const char *what, const char *which, int cause)
{
    snprintf(run->error, run->error_cap, "%s %.300s: %s", what, which, strerror(cause));
    return -1;
}

/* ---- settings ---- */

static int choose_road(struct run *run, const struct activity_options *options)
{
    char runtime[PATHS_MAX_BYTES];

    run->road = "--out";
    run->target = options->jsonl;
    if (run->target == NULL && options->ipc_url == NULL &&
        paths_env("PEAK_TRADE_AI_EVENTS_JSONL", NULL, run->jsonl, sizeof(run->jsonl)) &&
        run->jsonl[0] != '\0')
        run->target = run->jsonl;
    if (run->target != NULL)
        return 0;
    run->road = "--ipc";
    run->target = run->ipc_url;
    if (paths_runtime(NULL, runtime, sizeof(runtime)) &&
        paths_ipc_url(options->ipc_url, runtime, run->ipc_url, sizeof(run->ipc_url)))
        return 0;
    snprintf(run->error, run->error_cap, "no runtime folder (no HOME?): name the socket with --ipc");
    return -1;
}

static int settle(struct run *run, const struct activity_options *options)
{
    char cut[RUN_ID_MAX + 1], normal[LABEL_MAX + 1];
    size_t len;

    run->exporter_url = proof_setting(options->exporter_url, "EXPORTER_URL", PROOF_EXPORTER_URL_DEFAULT);
    if (!config_component(proof_setting(options->component, "COMPONENT", NULL), run->component, run->error,
                          run->error_cap) ||
        !config_run_id(proof_setting(options->run_id, "RUN_ID", NULL), run->run_id, run->error,
                       run->error_cap))
        return -1;
    len = text_run_id(text_of(run->run_id), RUN_ID_MAX, cut);
    len = text_normalise((struct text){cut, len}, LABEL_MAX, normal);
    snprintf(run->label, sizeof(run->label), "run_id=\"%.*s\"", (int)len, normal);
    return choose_road(run, options);
}

/* ---- the exporter's view ---- */

static int read_metrics(struct run *run)
{
    char cause[256];
    int status = proof_get_metrics(run->get, run->exporter_url, &run->metrics, cause, sizeof(cause));

    if (status == 200)
        return 0;
    if (status > 0)
        snprintf(cause, sizeof(cause), "HTTP status %d", status);
    snprintf(run->error, run->error_cap,
             "the exporter gives no metrics (%s): start it, or name it with --exporter-url", cause);
    return -1;
}

/* Adds the value of a line "family{labels} value" to the counter it belongs to. */
static void count_line(const struct run *run, const char *line, struct counts *counts)
{
    static const char family[] = "peaktrade_ai_decisions_total{";
    const char *value = strrchr(line, ' ');

    if (strncmp(line, family, sizeof(family) - 1) != 0 || value == NULL || strstr(line, run->label) == NULL)
        return;
    if (strstr(line, "decision=\"accept\"") != NULL)
        counts->accepts += strtod(value, NULL);
    if (strstr(line, "decision=\"reject\"") != NULL)
        counts->rejects += strtod(value, NULL);
}

static struct counts count_decisions(const struct run *run)
{
    struct counts counts = {0, 0};
    const char *at = run->metrics.bytes, *end = at + run->metrics.used, *newline;
    char line[2048];

    for (; at < end && (newline = memchr(at, '\n', (size_t)(end - at))) != NULL; at = newline + 1) {
        size_t len = (size_t)(newline - at);

        if (len >= sizeof(line))
            continue;
        memcpy(line, at, len);
        line[len] = '\0';
        count_line(run, line, &counts);
    }
    return counts;
}

/* ---- the two events ---- */

/* Runs `ailive emit` to its end; it gives up by itself after a few seconds. Its exit status, or -1. */
static int produce(struct run *run)
{
    char *const command[] = {(char *)"ailive",
                             (char *)"emit",
                             (char *)run->road,
                             (char *)run->target,
                             (char *)"--n",
                             (char *)"2",
                             (char *)"--run-id",
                             run->run_id,
                             (char *)"--component",
                             run->component,
                             (char *)"--interval-ms",
                             (char *)"0",
                             NULL};
    char path[PATHS_MAX_BYTES];
    posix_spawn_file_actions_t actions;
    int cause, status;
    pid_t pid;

    if (!evidence_path(&run->out->evidence, PRODUCER_FILE, path))
        return fail(run, "too long:", run->out->evidence.folder, ENAMETOOLONG);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    cause = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, command, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (cause != 0)
        return fail(run, "cannot start", "ailive emit", cause);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return fail(run, "cannot wait for", "ailive emit", errno);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* Until both are counted, or the time is over: then after holds what was seen last. */
static int wait_counted(struct run *run, uint64_t wait_s, struct counts before, struct counts *after)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    int64_t end_ms = now_monotonic_ms() + (int64_t)wait_s * 1000;

    for (;;) {
        if (read_metrics(run) != 0)
            return -1;
        *after = count_decisions(run);
        run->out->passed = after->accepts >= before.accepts + 1 && after->rejects >= before.rejects + 1;
        if (run->out->passed || now_monotonic_ms() >= end_ms)
            return 0;
        nanosleep(&pause, NULL);
    }
}

static int summarise(struct run *run, struct counts before, struct counts after, int producer)
{
    struct activity *out = run->out;
    char exporter[256];

    http_get_shown(run->exporter_url, exporter, sizeof(exporter));
    if (!buffer_printf(&out->report,
                       "stamp=%s\nexporter_url=%s\nroad=%s\ntarget=%s\ncomponent=%s\nrun_id=%s\n"
                       "producer_status=%d\naccepts_before=%.0f\naccepts_after=%.0f\nrejects_before=%.0f\n"
                       "rejects_after=%.0f\n%sRESULT=%s\n",
                       out->evidence.stamp, exporter, strcmp(run->road, "--ipc") == 0 ? "sdk" : "jsonl",
                       run->target, run->component, run->run_id, producer, before.accepts, after.accepts,
                       before.rejects, after.rejects,
                       out->passed ? ""
                                   : "NEXT|the events were not counted: the sidecar reads another file or "
                                     "socket than target (docs/runbook.md, No events)\n",
                       out->passed ? "PASS" : "FAIL")) {
        snprintf(run->error, run->error_cap, "out of memory");
        return -1;
    }
    return evidence_write(&out->evidence, "AI_ACTIVITY_DEMO_SUMMARY.txt", &out->report, run->error,
                          run->error_cap);
}

static int demonstrate(struct run *run, const struct activity_options *options)
{
    struct evidence *evidence = &run->out->evidence;
    struct counts before, after;
    int producer;

    if (read_metrics(run) != 0 ||
        evidence_open(evidence, "ai_live_activity_demo", options->out, run->error, run->error_cap) != 0 ||
        evidence_write(evidence, "metrics_before.txt", &run->metrics, run->error, run->error_cap) != 0)
        return -1;
    before = count_decisions(run);
    producer = produce(run);
    if (producer < 0 || wait_counted(run, options->wait_s, before, &after) != 0 ||
        evidence_write(evidence, "metrics_after.txt", &run->metrics, run->error, run->error_cap) != 0)
        return -1;
    return summarise(run, before, after, producer);
}

/* ---- the calls ---- */

bool activity_exporter_answers(const char *exporter_url)
{
    char cause[256];
    struct http_get *get = http_get_new(cause, sizeof(cause));
    struct buffer body;
    bool answers;

    buffer_init(&body);
    answers = get != NULL &&
              proof_get_metrics(get, proof_setting(exporter_url, "EXPORTER_URL", PROOF_EXPORTER_URL_DEFAULT),
                                &body, cause, sizeof(cause)) == 200;
    buffer_fini(&body);
    http_get_free(get);
    return answers;
}

int activity_run(const struct activity_options *options, struct activity *out, char *error, size_t error_cap)
{
    struct run *run = calloc(1, sizeof(*run));
    int status = -1;

    memset(out, 0, sizeof(*out));
    snprintf(error, error_cap, "out of memory");
    if (run == NULL)
        return -1;
    run->out = out;
    run->error = error;
    run->error_cap = error_cap;
    run->get = http_get_new(error, error_cap);
    if (run->get != NULL && settle(run, options) == 0)
        status = demonstrate(run, options);
    buffer_fini(&run->metrics);
    http_get_free(run->get);
    free(run);
    return status;
}
