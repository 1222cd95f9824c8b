/* command_doctor.c - `ailive doctor`: whether this host is fit, and what to mend.
 *
 * Place on the route: beside it. Owns nothing. One thread.
 */
#include "command.h"
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>

static const char help[] =
    "Usage: ailive doctor [OPTIONS]\n"
    "Check that this host is fit for producers and a sidecar, as the user who asks. Looks only.\n"
    "\n"
    "  --runtime DIR       as of ailive sidecar\n"
    "  --spool DIR         as of ailive sidecar\n"
    "  --state DIR         as of ailive sidecar\n"
    "  --ipc URL           as of ailive sidecar\n"
    "  --jsonl FILE        an event file; default $PEAK_TRADE_AI_EVENTS_JSONL\n"
    "  --exporter-url URL  default $EXPORTER_URL, else loopback\n"
    "                      at $PEAK_TRADE_AI_EXPORTER_PORT, else at 9110\n"
    "  --prom-url URL      default $PROM_URL, else http://127.0.0.1:9092\n"
    "  --help, --version\n"
    "\n"
    "One line a check: OK|check|detail, or WARN or FAIL and the mend behind it.\n"
    "Exit status: 0 no check failed, 1 one did, 2 wrong usage.\n";

enum {
    OPTION_RUNTIME = 256,
    OPTION_SPOOL,
    OPTION_STATE,
    OPTION_IPC,
    OPTION_JSONL,
    OPTION_EXPORTER,
    OPTION_PROM
};

static const struct option options[] = {{"runtime", required_argument, 0, OPTION_RUNTIME},
                                        {"spool", required_argument, 0, OPTION_SPOOL},
                                        {"state", required_argument, 0, OPTION_STATE},
                                        {"ipc", required_argument, 0, OPTION_IPC},
                                        {"jsonl", required_argument, 0, OPTION_JSONL},
                                        {"exporter-url", required_argument, 0, OPTION_EXPORTER},
                                        {"prom-url", required_argument, 0, OPTION_PROM},
                                        COMMAND_COMMON_OPTIONS,
                                        {0, 0, 0, 0}};

void doctor_say(struct doctor *doctor, enum doctor_verdict verdict, const char *check, const char *mend,
                const char *format, ...)
{
    static const char *const words[] = {"OK", "WARN", "FAIL"};
    char detail[DOCTOR_LINE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    /* Other programs' texts and people's file names must not look like lines or columns of ours. */
    for (char *c = detail; *c != '\0'; c++)
        if (*c == '|' || (unsigned char)*c < 0x20)
            *c = ' ';
    printf("%s|%s|%s%s%s\n", words[verdict], check, detail, mend[0] != '\0' ? "|" : "", mend);
    doctor->failed = doctor->failed || verdict == DOCTOR_FAIL;
}

static void take_option(struct doctor_options *given, int option, const char *value)
{
    switch (option) {
    case OPTION_RUNTIME:
        given->runtime = value;
        break;
    case OPTION_SPOOL:
        given->spool = value;
        break;
    case OPTION_STATE:
        given->state = value;
        break;
    case OPTION_IPC:
        given->ipc = value;
        break;
    case OPTION_JSONL:
        given->jsonl = value;
        break;
    case OPTION_EXPORTER:
        given->exporter_url = value;
        break;
    default:
        given->prom_url = value;
    }
}

int command_doctor(int argc, char **argv)
{
    struct doctor_options given = {0};
    struct doctor doctor = {0};
    int option, status = COMMAND_OK;

    while ((option = command_next_option(argc, argv, options, help, &status)) >= 0)
        take_option(&given, option, optarg);
    if (option == -2)
        return status;
    if (optind < argc)
        return command_usage("doctor", "'%.80s' is no option", argv[optind]);
    doctor_host(&doctor, &given);
    doctor_peers(&doctor, &given);
    return doctor.failed ? COMMAND_FAILED : COMMAND_OK;
}
