/* doctor_peers.c - the contract's environment, and whether exporter and Prometheus answer.
 *
 * Place on the route: beside it: environment, exporter, Prometheus -> http_get -> [doctor_peers] ->
 * doctor_say. One thread. GET only.
 */
#include "config.h"
#include "doctor.h"
#include "http_get.h"
#include "prom_answer.h"
#include "proof.h"

#include <wire/paths.h>

#include <stdio.h>
#include <string.h>

static void check_environment(struct doctor *doctor)
{
    char component[256], run_id[256], disabled[16], error[512];
    struct config_listen listen;

    if (!config_listen(NULL, &listen, error, sizeof(error)))
        doctor_say(doctor, DOCTOR_FAIL, "environment", "mend $PEAK_TRADE_AI_EXPORTER_PORT", "%s", error);
    else if (!config_component(NULL, component, error, sizeof(error)))
        doctor_say(doctor, DOCTOR_FAIL, "environment", "shorten $PEAK_TRADE_AI_COMPONENT", "%s", error);
    else if (!config_run_id(NULL, run_id, error, sizeof(error)))
        doctor_say(doctor, DOCTOR_FAIL, "environment", "shorten $PEAK_TRADE_AI_RUN_ID", "%s", error);
    else if (paths_env("AILIVE_DISABLED", NULL, disabled, sizeof(disabled)) && strcmp(disabled, "1") == 0)
        doctor_say(doctor, DOCTOR_WARN, "environment", "unset AILIVE_DISABLED",
                   "AILIVE_DISABLED=1: hosts record nothing");
    else
        doctor_say(doctor, DOCTOR_OK, "environment", "", "port %u, component %s, run id %s", listen.port,
                   component, run_id);
}

/* The status of GET base + path; 0: nobody answers. */
static int ask(struct http_get *get, const char *base, const char *path, const char *expression,
               struct buffer *body, char *error, size_t error_cap)
{
    struct buffer url;
    int status = 0;

    buffer_init(&url);
    snprintf(error, error_cap, "out of memory");
    if (http_get_url(get, &url, base, path, expression))
        status = http_get(get, url.bytes, body, error, error_cap);
    buffer_fini(&url);
    return status;
}

/* Where a sidecar with this environment serves: the fallback of an exporter's URL. */
static const char *url_served(char *out, size_t cap)
{
    struct config_listen listen;
    char error[512];

    if (!config_listen(NULL, &listen, error, sizeof(error))) /* check_environment() has said so */
        return PROOF_EXPORTER_URL_DEFAULT;
    snprintf(out, cap, "http://127.0.0.1:%u", (unsigned)listen.port);
    return out;
}

static void check_exporter(struct doctor *doctor, struct http_get *get, struct buffer *body, const char *url)
{
    char error[512];
    int status = ask(get, url, "/-/ready", NULL, body, error, sizeof(error));
    int len = body->used < 200 ? (int)body->used : 200;
    /* Others, the Python exporter among them, answer 200 to any path. */
    bool ours = body->used >= 5 && memcmp(body->bytes, "ready", 5) == 0;

    if (status == 200 && ours)
        doctor_say(doctor, DOCTOR_OK, "exporter", "", "ready");
    else if (status == 0)
        doctor_say(doctor, DOCTOR_WARN, "exporter", "start it: ailive sidecar, or systemctl start ailive",
                   "%s", error);
    else if (status == 503)
        doctor_say(doctor, DOCTOR_FAIL, "exporter", "docs/runbook.md: State damaged, Disk full", "%.*s", len,
                   body->used > 0 ? body->bytes : "");
    else
        doctor_say(doctor, DOCTOR_FAIL, "exporter",
                   "ailive port and its number say who it is; or name --exporter-url",
                   "HTTP status %d: this is no sidecar", status);
}

static void check_scraped(struct doctor *doctor, struct http_get *get, struct buffer *body, const char *url)
{
    struct prom_answer *answer = prom_answer_new();
    char error[512] = "out of memory", value[PROM_ANSWER_VALUE_BYTES] = "";
    bool read = answer != NULL &&
                ask(get, url, "/api/v1/query", "max(up{job=\"ai_live\"})", body, error, sizeof(error)) > 0 &&
                prom_answer_read(answer, body->bytes, body->used, error, sizeof(error));

    if (!read)
        doctor_say(doctor, DOCTOR_FAIL, "prometheus", "is --prom-url Prometheus?", "%s", error);
    else if (prom_answer_results(answer, value) == 0)
        doctor_say(doctor, DOCTOR_FAIL, "prometheus", "scrape it: sidecar/ops/prometheus/prometheus.yml",
                   "no job ai_live");
    else if (strcmp(value, "1") != 0)
        doctor_say(doctor, DOCTOR_FAIL, "prometheus", "is the sidecar's port its target? docs/runbook.md",
                   "its target ai_live is down");
    else
        doctor_say(doctor, DOCTOR_OK, "prometheus", "", "scrapes ai_live");
    prom_answer_free(answer);
}

static void check_prometheus(struct doctor *doctor, struct http_get *get, struct buffer *body,
                             const char *url)
{
    char error[512];
    int status = ask(get, url, "/-/ready", NULL, body, error, sizeof(error));

    if (status == 200)
        check_scraped(doctor, get, body, url);
    else if (status == 0)
        doctor_say(doctor, DOCTOR_WARN, "prometheus", "bash sidecar/ops/up.sh, or name --prom-url", "%s",
                   error);
    else
        doctor_say(doctor, DOCTOR_FAIL, "prometheus", "is --prom-url Prometheus?", "HTTP status %d", status);
}

void doctor_peers(struct doctor *doctor, const struct doctor_options *options)
{
    struct buffer body;
    struct http_get *get;
    char error[256], served[64];

    check_environment(doctor);
    get = http_get_new(error, sizeof(error));
    if (get == NULL) {
        doctor_say(doctor, DOCTOR_WARN, "http", "apt-get install libcurl3-gnutls",
                   "%s; exporter and Prometheus are not asked", error);
        return;
    }
    buffer_init(&body);
    check_exporter(doctor, get, &body,
                   proof_setting(options->exporter_url, "EXPORTER_URL", url_served(served, sizeof(served))));
    check_prometheus(doctor, get, &body,
                     proof_setting(options->prom_url, "PROM_URL", PROOF_PROM_URL_DEFAULT));
    buffer_fini(&body);
    http_get_free(get);
}
