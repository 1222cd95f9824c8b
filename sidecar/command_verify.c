/* command_verify.c - `ailive verify`: the contract's proof of a running stack.
 *
 * Place on the route: beside it; a person or CI asks, proof answers. Owns nothing.
 */
#include "command.h"
#include "config.h"
#include "proof.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "Usage: ailive verify [OPTIONS]\n"
    "Prove that a running stack does what it should, and leave evidence. GET requests only.\n"
    "\n"
    "  --prom-url URL      default $PROM_URL, else " PROOF_PROM_URL_DEFAULT "\n"
    "  --exporter-url URL  default $EXPORTER_URL, else " PROOF_EXPORTER_URL_DEFAULT "\n"
    "  --grafana-url URL   asked for its health only if given\n"
    "  --out DIR           evidence; default .local_tmp/ai_live_ops_verify_STAMP\n"
    "  --wait-s S          ask again each second until all holds, at most so long; 0 to 600\n"
    "                      (default 20)\n"
    "  --format text|json  default text: lines PASS|check|detail, FAIL|check|detail, NEXT|advice,\n"
    "                      and last RESULT=PASS or RESULT=FAIL\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 every check holds, 1 not, 2 wrong usage.\n";

enum {
    OPTION_PROM_URL = 256,
    OPTION_EXPORTER_URL,
    OPTION_GRAFANA_URL,
    OPTION_OUT,
    OPTION_WAIT,
    OPTION_FORMAT
};

static const struct option options[] = {{"prom-url", required_argument, 0, OPTION_PROM_URL},
                                        {"exporter-url", required_argument, 0, OPTION_EXPORTER_URL},
                                        {"grafana-url", required_argument, 0, OPTION_GRAFANA_URL},
                                        {"out", required_argument, 0, OPTION_OUT},
                                        {"wait-s", required_argument, 0, OPTION_WAIT},
                                        {"format", required_argument, 0, OPTION_FORMAT},
                                        COMMAND_COMMON_OPTIONS,
                                        {0, 0, 0, 0}};

static int take_option(struct proof_options *out, bool *json, int option, const char *value)
{
    char error[256];

    switch (option) {
    case OPTION_PROM_URL:
        out->prom_url = value;
        return COMMAND_OK;
    case OPTION_EXPORTER_URL:
        out->exporter_url = value;
        return COMMAND_OK;
    case OPTION_GRAFANA_URL:
        out->grafana_url = value;
        return COMMAND_OK;
    case OPTION_OUT:
        out->out = value;
        return COMMAND_OK;
    case OPTION_WAIT:
        if (!config_number("--wait-s", value, 0, PROOF_WAIT_MAX_S, &out->wait_s, error, sizeof(error)))
            return command_usage("verify", "%s", error);
        return COMMAND_OK;
    default:
        *json = strcmp(value, "json") == 0;
        if (!*json && strcmp(value, "text") != 0)
            return command_usage("verify", "--format is '%.80s': give text or json", value);
        return COMMAND_OK;
    }
}

/* 0: go on. 1: end with *status. */
static int parse(int argc, char **argv, struct proof_options *out, bool *json, int *status)
{
    int option;

    *status = COMMAND_OK;
    while ((option = command_next_option(argc, argv, options, help, status)) >= 0)
        if ((*status = take_option(out, json, option, optarg)) != COMMAND_OK)
            return 1;
    if (option == -2)
        return 1;
    if (optind < argc) {
        *status = command_usage("verify", "'%.80s' is no option", argv[optind]);
        return 1;
    }
    return 0;
}

int command_verify(int argc, char **argv)
{
    struct proof_options wanted = {.wait_s = PROOF_WAIT_DEFAULT_S};
    struct buffer verdict;
    struct proof proof;
    char error[1024];
    bool json = false;
    int status;

    if (parse(argc, argv, &wanted, &json, &status) != 0)
        return status;
    if (proof_run(&wanted, &proof, error, sizeof(error)) != 0) {
        fprintf(stderr, "ailive verify: no verdict: %s\n", error);
        return COMMAND_FAILED;
    }
    buffer_init(&verdict);
    status = proof.passed ? COMMAND_OK : COMMAND_FAILED;
    if (!(json ? proof_json(&proof, &verdict) : proof_lines(&proof, &verdict)))
        status = COMMAND_FAILED;
    fprintf(stderr, "ailive verify: evidence in %s\n", proof.evidence.folder);
    fwrite(verdict.bytes, 1, verdict.used, stdout);
    buffer_fini(&verdict);
    return status;
}
