/* command_activity.c - `ailive activity`: the two-event demo.
 *
 * Place on the route: beside it; a person asks, activity does it. Owns nothing.
 */
#include "activity.h"
#include "command.h"
#include "config.h"

#include <stdio.h>

static const char help[] =
    "Usage: ailive activity [OPTIONS]\n"
    "Record one accept and one reject, and see them arrive in the exporter's metrics.\n"
    "\n"
    "  --jsonl FILE        append contract lines to FILE; default $PEAK_TRADE_AI_EVENTS_JSONL\n"
    "  --ipc URL           through the SDK; the default when there is no such file\n"
    "  --exporter-url URL  default $EXPORTER_URL, else http://127.0.0.1:9110\n"
    "  --run-id R          default $RUN_ID, else $PEAK_TRADE_AI_RUN_ID, else na\n"
    "  --component C       default $COMPONENT, else $PEAK_TRADE_AI_COMPONENT, else execution_watch\n"
    "  --out DIR           evidence; default .local_tmp/ai_live_activity_demo_STAMP\n"
    "  --wait-s S          for both to be counted, at most so long; 0 to 600 (default 10)\n"
    "  --help, --version\n"
    "\n"
    "$PY_CMD is accepted and not needed: nothing here runs Python.\n"
    "Exit status: 0 both were counted, 1 not, 2 wrong usage.\n";

enum {
    OPTION_JSONL = 256,
    OPTION_IPC,
    OPTION_EXPORTER_URL,
    OPTION_RUN_ID,
    OPTION_COMPONENT,
    OPTION_OUT,
    OPTION_WAIT
};

static const struct option options[] = {{"jsonl", required_argument, 0, OPTION_JSONL},
                                        {"ipc", required_argument, 0, OPTION_IPC},
                                        {"exporter-url", required_argument, 0, OPTION_EXPORTER_URL},
                                        {"run-id", required_argument, 0, OPTION_RUN_ID},
                                        {"component", required_argument, 0, OPTION_COMPONENT},
                                        {"out", required_argument, 0, OPTION_OUT},
                                        {"wait-s", required_argument, 0, OPTION_WAIT},
                                        COMMAND_COMMON_OPTIONS,
                                        {0, 0, 0, 0}};

static const char **place(struct activity_options *wanted, int option)
{
    switch (option) {
    case OPTION_JSONL:
        return &wanted->jsonl;
    case OPTION_IPC:
        return &wanted->ipc_url;
    case OPTION_EXPORTER_URL:
        return &wanted->exporter_url;
    case OPTION_RUN_ID:
        return &wanted->run_id;
    case OPTION_COMPONENT:
        return &wanted->component;
    default:
        return &wanted->out;
    }
}

static int take_option(struct activity_options *wanted, int option, const char *value)
{
    char error[256];

    if (option != OPTION_WAIT)
        *place(wanted, option) = value;
    else if (!config_number("--wait-s", value, 0, ACTIVITY_WAIT_MAX_S, &wanted->wait_s, error, sizeof(error)))
        return command_usage("activity", "%s", error);
    return COMMAND_OK;
}

int command_activity(int argc, char **argv)
{
    struct activity_options wanted = {.wait_s = ACTIVITY_WAIT_DEFAULT_S};
    struct activity activity;
    char error[1024];
    int option, status;

    while ((option = command_next_option(argc, argv, options, help, &status)) >= 0)
        if ((status = take_option(&wanted, option, optarg)) != COMMAND_OK)
            return status;
    if (option == -2)
        return status;
    if (optind < argc)
        return command_usage("activity", "'%.80s' is no option", argv[optind]);
    if (wanted.jsonl != NULL && wanted.ipc_url != NULL)
        return command_usage("activity", "give --jsonl or --ipc, not both");
    status = activity_run(&wanted, &activity, error, sizeof(error));
    if (status == 0) {
        fprintf(stderr, "ailive activity: evidence in %s\n", activity.evidence.folder);
        fwrite(activity.report.bytes, 1, activity.report.used, stdout);
    } else {
        fprintf(stderr, "ailive activity: %s\n", error);
    }
    buffer_fini(&activity.report);
    return status == 0 && activity.passed ? COMMAND_OK : COMMAND_FAILED;
}
