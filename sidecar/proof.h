/* proof.h - whether a running stack does what the contract says, with evidence.
 *
 * Place on the route: beside it: Prometheus, exporter, Grafana -> http_get -> [proof] -> a folder of evidence
 * and a verdict. One thread. Never sends anything but GET; every wait is bounded.
 */
#ifndef AILIVE_SIDECAR_PROOF_H
#define AILIVE_SIDECAR_PROOF_H

#include "evidence.h"

#include <stdint.h>

#define PROOF_PROM_URL_DEFAULT     "http://127.0.0.1:9092"
#define PROOF_EXPORTER_URL_DEFAULT "http://127.0.0.1:9110"
#define PROOF_WAIT_DEFAULT_S       20u
#define PROOF_WAIT_MAX_S           600u
#define PROOF_CHECKS_MAX           8u
#define PROOF_TEXT_BYTES           512u

struct proof_options {
    const char *prom_url;     /* NULL: $PROM_URL, else the default */
    const char *exporter_url; /* NULL: $EXPORTER_URL, else the default; with or without /metrics */
    const char *grafana_url;  /* NULL: not asked */
    const char *out;          /* NULL: .local_tmp/ai_live_ops_verify_STAMP */
    uint64_t wait_s;          /* everything is asked again each second until all holds, for so long */
};

struct proof_check {
    const char *name;
    bool passed;
    char detail[PROOF_TEXT_BYTES]; /* one line */
    const char *advice;            /* what to do when it failed */
};

/* A run's outcome. */
struct proof {
    struct evidence evidence;
    struct proof_check checks[PROOF_CHECKS_MAX];
    size_t check_count;
    char exporter_error[PROOF_TEXT_BYTES]; /* "" when exporter_metrics.txt holds its metrics */
    bool passed;                           /* every check did */
};

/* Asks, judges and writes the evidence. -1: no verdict, because evidence could not be written or memory ran
 * out; error holds one line. */
int proof_run(const struct proof_options *options, struct proof *out, char *error, size_t error_cap);

/* The verdict as lines PASS|, FAIL|, NEXT| and last RESULT=, or as one JSON object. false: out of memory. */
bool proof_lines(const struct proof *proof, struct buffer *out);
bool proof_json(const struct proof *proof, struct buffer *out);

/* given, else the environment variable unless blank, else fallback. */
const char *proof_setting(const char *given, const char *variable, const char *fallback);

/* Appends the exporter's metrics to body, whose URL may end in /metrics. The HTTP status as http_get(). */
struct http_get;
int proof_get_metrics(struct http_get *get, const char *exporter_url, struct buffer *body, char *error,
                      size_t error_cap);

#endif
