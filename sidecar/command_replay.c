/* command_replay.c - `ailive replay`: event files, read to their end, as metrics on stdout.
 *
 * Place on the route: files -> lines -> contract -> ingest with a state in memory -> exposition. The same
 * door as the live roads, so that a replay cannot disagree with them. One thread. Owns what it opens; writes
 * to stdout and stderr only. Plain files and gzip (zlib tells them apart).
 */
#include "aggregate.h"
#include "command.h"
#include "config.h"
#include "contract.h"
#include "expose_json.h"
#include "expose_text.h"
#include "ingest.h"
#include "lines.h"
#include "state.h"

#include <wire/spool.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

static const char help[] =
    "Usage: ailive replay [OPTIONS] FILE...\n"
    "Reads event files to their end and prints the metrics they make. FILE - is standard input.\n"
    "Plain text or gzip. A producer's spool files are known by their names; a record in two of\n"
    "them counts once.\n"
    "\n"
    "  --format F      prometheus (text exposition, the default) or json\n"
    "  --component C   component of events that name none; default $PEAK_TRADE_AI_COMPONENT,\n"
    "                  else execution_watch\n"
    "  --run-id R      run id of events that name none; default $PEAK_TRADE_AI_RUN_ID, else na\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 fine, 1 a file could not be read, 2 wrong usage.\n";

#define READ_BYTES   (1u << 20)
#define UNIT_RECORDS 1024u /* most observations given to ingest at once */

struct replay {
    struct aggregate *aggregate;
    struct contract *contract;
    struct state *state;
    struct ingest *ingest;
    struct lines lines;
    int64_t now_ns; /* one time of processing for the whole run: the same files give the same output */
    char *bytes;    /* READ_BYTES */

    /* The unit being filled: observations of lines, and of them those that runs of spool records claim. */
    struct observation *observations; /* UNIT_RECORDS */
    bool *invalid;                    /* likewise */
    struct ingest_run *runs;          /* likewise */
    struct ingest_door *doors;        /* likewise */
    size_t observation_count, run_count, door_count;
    bool spool; /* the file is a producer's spool file */
};

static int fail(const char *file, const char *text)
{
    fprintf(stderr, "ailive replay: %s: %s\n", file, text);
    return COMMAND_FAILED;
}

/* ---- units ---- */

static bool take_unit(struct replay *replay)
{
    struct ingest_unit unit = {
        .road = ROAD_REPLAY,
        .observations = replay->observations,
        .observation_count = replay->observation_count,
    };
    enum ingest_status status;

    if (replay->spool) {
        unit.invalid = replay->invalid;
        unit.runs = replay->runs;
        unit.run_count = replay->run_count;
        unit.doors = replay->doors;
        unit.door_count = replay->door_count;
    }
    status = ingest_take(replay->ingest, &unit, NULL);
    replay->observation_count = replay->run_count = replay->door_count = 0;
    contract_clear(replay->contract);
    return status == INGEST_COMMITTED;
}

/* A line of a spool file that is none of the spool has no sequence number: it goes on its own. */
static bool take_alone(struct replay *replay, const struct observation *observation)
{
    struct ingest_unit unit = {.road = ROAD_REPLAY, .observations = observation, .observation_count = 1};

    return ingest_take(replay->ingest, &unit, NULL) == INGEST_COMMITTED;
}

/* Adds a record to the run before it when it is the next of the same ring, else begins a run. */
static void add_record(struct replay *replay, const struct spool_line *line)
{
    struct ingest_run *last = replay->run_count ? &replay->runs[replay->run_count - 1] : NULL;
    size_t at = replay->observation_count++;

    assert(replay->runs && at < UNIT_RECORDS && replay->run_count < UNIT_RECORDS);
    replay->observations[at] = line->observation;
    replay->invalid[at] = line->kind == SPOOL_LINE_INVALID;
    if (last && last->drop < 0 && last->ring == line->ring && last->first + last->count == line->seq &&
        memcmp(&last->producer, &line->producer, sizeof(line->producer)) == 0)
        last->count++;
    else
        replay->runs[replay->run_count++] =
            (struct ingest_run){line->producer, line->ring, line->seq, 1, -1, at};
}

static bool take_spool_line(struct replay *replay, struct text text)
{
    struct spool_line line;
    struct ingest_door *door;

    contract_spool_line(replay->contract, text.bytes, text.len_bytes, replay->now_ns, &line);
    switch (line.kind) {
    case SPOOL_LINE_BLANK:
        break;
    case SPOOL_LINE_BAD:
        return take_alone(replay, &line.observation);
    case SPOOL_LINE_RECORD:
    case SPOOL_LINE_INVALID:
        add_record(replay, &line);
        break;
    case SPOOL_LINE_DROP:
        replay->runs[replay->run_count++] =
            (struct ingest_run){line.producer, line.ring, line.seq, line.count, line.drop, 0};
        break;
    case SPOOL_LINE_DOOR:
        door = &replay->doors[replay->door_count++];
        *door = (struct ingest_door){.producer = line.producer, .ring = line.ring};
        memcpy(door->words, line.door, sizeof(door->words));
        break;
    }
    return true;
}

static bool unit_full(const struct replay *replay)
{
    return replay->observation_count == UNIT_RECORDS || replay->run_count == UNIT_RECORDS ||
           replay->door_count == UNIT_RECORDS;
}

static bool take_line(struct replay *replay, enum lines_kind kind, struct text text)
{
    struct observation *out = &replay->observations[replay->observation_count];
    struct observation too_long;
    bool fine = true;

    if (kind == LINES_LONG) {
        contract_long_line(replay->contract, replay->now_ns, &too_long);
        return take_alone(replay, &too_long);
    }
    if (replay->spool)
        fine = take_spool_line(replay, text);
    else
        replay->observation_count +=
            contract_line(replay->contract, text.bytes, text.len_bytes, replay->now_ns, out);
    return fine && (!unit_full(replay) || take_unit(replay));
}

/* ---- files ---- */

/* Everything lines has: whole lines, and the last one when the file has ended. */
static bool take_lines(struct replay *replay, bool ended)
{
    struct text text;
    enum lines_kind kind;
    uint64_t end;

    while ((kind = lines_next(&replay->lines, &text, &end)) != LINES_NONE)
        if (kind == LINES_MEMORY || !take_line(replay, kind, text))
            return false;
    if (!ended)
        return true;
    kind = lines_last(&replay->lines, &text, &end);
    return kind == LINES_NONE || take_line(replay, kind, text);
}

static int replay_stream(struct replay *replay, const char *name, gzFile stream)
{
    const char *text;
    int len, error;

    for (;;) {
        len = gzread(stream, replay->bytes, READ_BYTES);
        if (len < 0) {
            text = gzerror(stream, &error);
            return fail(name, error == Z_ERRNO ? strerror(errno) : text);
        }
        lines_feed(&replay->lines, replay->bytes, (size_t)len);
        if (!take_lines(replay, len == 0))
            return fail(name, "its events could not be taken in");
        if (len == 0)
            break;
    }
    /* A gzip file that was cut short ends like any other but for this. */
    text = gzerror(stream, &error);
    if (error != Z_OK && error != Z_STREAM_END)
        return fail(name, error == Z_BUF_ERROR ? "the gzip data end too early" : text);
    return take_unit(replay) ? COMMAND_OK : fail(name, "its events could not be taken in");
}

static bool is_spool_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct event_producer producer;
    uint64_t n;

    return spool_file_name_parse(slash ? slash + 1 : path, &producer, &n);
}

static int replay_file(struct replay *replay, const char *path)
{
    bool standard_input = strcmp(path, "-") == 0;
    int fd = standard_input ? dup(STDIN_FILENO) : -1;
    gzFile stream = standard_input ? gzdopen(fd, "rb") : gzopen(path, "rb");
    int status;

    if (!stream) {
        status = fail(path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return status;
    }
    replay->spool = is_spool_file(path);
    lines_restart(&replay->lines, 0);
    status = replay_stream(replay, standard_input ? "standard input" : path, stream);
    gzclose_r(stream);
    return status;
}

/* ---- opening, printing, closing ---- */

static void replay_close(struct replay *replay)
{
    ingest_close(replay->ingest);
    state_close(replay->state);
    contract_free(replay->contract);
    aggregate_free(replay->aggregate);
    lines_fini(&replay->lines);
    free(replay->bytes);
    free(replay->observations);
    free(replay->invalid);
    free(replay->runs);
    free(replay->doors);
}

static int replay_open(struct replay *replay, const char *component, const char *run_id)
{
    const struct aggregate_options aggregate_options = {.component = component, .run_id = run_id};
    const struct contract_options contract_options = {.component = component, .run_id = run_id};
    char error[256] = "out of memory";
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    *replay = (struct replay){.now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec};
    lines_init(&replay->lines, 0);
    replay->bytes = malloc(READ_BYTES);
    replay->observations = calloc(UNIT_RECORDS, sizeof(*replay->observations));
    replay->invalid = calloc(UNIT_RECORDS, sizeof(*replay->invalid));
    replay->runs = calloc(UNIT_RECORDS, sizeof(*replay->runs));
    replay->doors = calloc(UNIT_RECORDS, sizeof(*replay->doors));
    replay->aggregate = aggregate_new(&aggregate_options);
    replay->contract = contract_new(&contract_options);
    if (replay->bytes && replay->observations && replay->invalid && replay->runs && replay->doors &&
        replay->aggregate && replay->contract &&
        state_open(NULL, &replay->state, error, sizeof(error)) == 0 &&
        ingest_open(replay->aggregate, replay->state, &replay->ingest, error, sizeof(error)) == 0)
        return COMMAND_OK;
    replay_close(replay);
    return fail("start", error);
}

static int print(struct replay *replay, bool json)
{
    struct snapshot snapshot;
    struct buffer text;
    bool fine;

    if (aggregate_snapshot(replay->aggregate, &snapshot) != 0)
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
    bool json;
};

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {{"format", required_argument, 0, 'f'},
                                            {"component", required_argument, 0, 'c'},
                                            {"run-id", required_argument, 0, 'r'},
                                            COMMAND_COMMON_OPTIONS,
                                            {0, 0, 0, 0}};
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
        default:
            return status;
        }
    }
    return optind < argc ? -1 : command_usage("replay", "no FILE given; - is standard input");
}

int command_replay(int argc, char **argv)
{
    struct arguments arguments = {0};
    char component[256], run_id[256], error[256];
    struct replay replay;
    int status = parse(argc, argv, &arguments);

    if (status >= 0)
        return status;
    if (!config_component(arguments.component, component, error, sizeof(error)) ||
        !config_run_id(arguments.run_id, run_id, error, sizeof(error)))
        return command_usage("replay", "%s", error);
    status = replay_open(&replay, component, run_id);
    if (status != COMMAND_OK)
        return status;
    for (int i = optind; i < argc && status == COMMAND_OK; i++)
        status = replay_file(&replay, argv[i]);
    if (status == COMMAND_OK)
        status = print(&replay, arguments.json);
    replay_close(&replay);
    return status;
}
