/* command_replay.c - `ailive replay`: event files, read to their end, as metrics on stdout.
 *
 * Place on the route: files -> replay_file -> exposition. Writes to stdout and stderr only.
 */
#include "aggregate.h"
#include "command.h"
#include "config.h"
#include "expose_json.h"
#include "expose_text.h"
#include "now.h"
#include "replay_file.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "Usage: ailive replay [OPTIONS] FILE...\n"
    "Reads event files to their end and prints the metrics they make. FILE - is standard input.\n"
    "Plain text, gzip or zstd. A producer's spool files are known by their names; a record in two\n"
    "of them counts once.\n"
    "\n"
    "  --format F      prometheus (text exposition, the default) or json\n"
    "  --component C   component of events that name none; default $PEAK_TRADE_AI_COMPONENT,\n"
    "                  else execution_watch\n"
    "  --run-id R      run id of events that name none; default $PEAK_TRADE_AI_RUN_ID, else na\n"
    "  --jobs N        threads that share a file, 1 to 64; default one a core. The result is the same\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 fine, 1 a file could not be read, 2 wrong usage.\n";

static int fail(const char *file, const char *text)
{
    fprintf(stderr, "ailive replay: %s: %s\n", file, text);
    return COMMAND_FAILED;
}

static int print(struct aggregate *aggregate, bool json)
{
    struct snapshot snapshot;
    struct buffer text;
    bool fine;

    if (aggregate_snapshot(aggregate, &snapshot) != 0)
        return fail("output", "out of memory");
    buffer_init(&text);
    fine = json ? expose_json(&snapshot, &text) : expose_text(&snapshot, &text);
    if (fine)
        fwrite(text.bytes, 1, text.used, stdout); /* main() checks stdout */
    buffer_fini(&text);
    snapshot_free(&snapshot);
    return fine ? COMMAND_OK : fail("output", "out of memory");
}

struct arguments {
    const char *component, *run_id;
    uint64_t jobs; /* 0: not given */
    bool json;
};

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {{"format", required_argument, 0, 'f'},
                                            {"component", required_argument, 0, 'c'},
                                            {"run-id", required_argument, 0, 'r'},
                                            {"jobs", required_argument, 0, 'j'},
                                            COMMAND_COMMON_OPTIONS,
                                            {0, 0, 0, 0}};
    char error[256];
    int option, status;

    while ((option = command_next_option(argc, argv, options, help, &status)) != -1) {
        switch (option) {
        case 'f':
            out->json = strcmp(optarg, "json") == 0;
            if (!out->json && strcmp(optarg, "prometheus") != 0)
                return command_usage("replay", "--format is '%s': give prometheus or json", optarg);
            break;
        case 'c':
            out->component = optarg;
            break;
        case 'r':
            out->run_id = optarg;
            break;
        case 'j':
            if (!config_number("--jobs", optarg, 1, REPLAY_JOBS_MAX, &out->jobs, error, sizeof(error)))
                return command_usage("replay", "%s", error);
            break;
        default:
            return status;
        }
    }
    return optind < argc ? -1 : command_usage("replay", "no FILE given; - is standard input");
}

/* The cores this process may run on. */
static unsigned cores(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    return count < (int)REPLAY_JOBS_MAX ? (unsigned)count : REPLAY_JOBS_MAX;
}

static int replay_files(struct replay_run *run, int count, char **paths)
{
    char error[256];

    for (int i = 0; i < count; i++)
        if (!replay_run_file(run, paths[i], error, sizeof(error)))
            return fail(strcmp(paths[i], "-") == 0 ? "standard input" : paths[i], error);
    return COMMAND_OK;
}

int command_replay(int argc, char **argv)
{
    struct arguments arguments = {0};
    struct replay_options options = {.now_ns = now_utc_ns()};
    char component[256], run_id[256], error[256];
    struct replay_run *run;
    int status = parse(argc, argv, &arguments);

    if (status >= 0)
        return status;
    if (!config_component(arguments.component, component, error, sizeof(error)) ||
        !config_run_id(arguments.run_id, run_id, error, sizeof(error)))
        return command_usage("replay", "%s", error);
    options.component = component;
    options.run_id = run_id;
    run =
        replay_run_open(&options, arguments.jobs ? (unsigned)arguments.jobs : cores(), error, sizeof(error));
    if (!run)
        return fail("start", error);
    status = replay_files(run, argc - optind, argv + optind);
    if (status == COMMAND_OK)
        status = print(replay_run_aggregate(run), arguments.json);
    replay_run_close(run);
    return status;
}
