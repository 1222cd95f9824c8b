/* replay.c - see replay.h. */
#include "replay.h"

#include "contract.h"
#include "ingest.h"
#include "lines.h"
#include "state.h"

#include <wire/spool.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNIT_RECORDS 1024u /* most observations given to ingest at once: they stay in a core's cache */

struct replay {
    struct aggregate *aggregate;
    struct contract *contract;
    struct state *state;
    struct ingest *ingest;
    struct lines lines;
    int64_t now_ns;

    /* The unit being filled: observations of lines, and of them those that runs of spool records claim. */
    struct observation *observations; /* UNIT_RECORDS */
    bool *invalid;                    /* likewise */
    struct ingest_run *runs;          /* likewise */
    struct ingest_door *doors;        /* likewise */
    size_t observation_count, run_count, door_count;
    bool spool; /* the chunk is of a producer's spool file */
};

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

/* ---- chunks ---- */

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

bool replay_chunk(struct replay *replay, const struct chunk *chunk, bool spool)
{
    replay->spool = spool;
    aggregate_order(replay->aggregate, chunk->number);
    lines_restart(&replay->lines, chunk->offset);
    lines_feed(&replay->lines, chunk->bytes, chunk->len_bytes);
    return take_lines(replay, chunk->last) && take_unit(replay);
}

struct aggregate *replay_aggregate(struct replay *replay)
{
    return replay->aggregate;
}

/* ---- opening and closing ---- */

void replay_close(struct replay *replay)
{
    if (!replay)
        return;
    ingest_close(replay->ingest);
    state_close(replay->state);
    contract_free(replay->contract);
    aggregate_free(replay->aggregate);
    lines_fini(&replay->lines);
    free(replay->observations);
    free(replay->invalid);
    free(replay->runs);
    free(replay->doors);
    free(replay);
}

static bool allocate(struct replay *replay, const struct replay_options *options)
{
    const struct aggregate_options aggregate = {.component = options->component, .run_id = options->run_id};
    const struct contract_options contract = {.component = options->component, .run_id = options->run_id};

    replay->observations = calloc(UNIT_RECORDS, sizeof(*replay->observations));
    replay->invalid = calloc(UNIT_RECORDS, sizeof(*replay->invalid));
    replay->runs = calloc(UNIT_RECORDS, sizeof(*replay->runs));
    replay->doors = calloc(UNIT_RECORDS, sizeof(*replay->doors));
    replay->aggregate = aggregate_new(&aggregate);
    replay->contract = contract_new(&contract);
    return replay->observations && replay->invalid && replay->runs && replay->doors && replay->aggregate &&
           replay->contract;
}

struct replay *replay_open(const struct replay_options *options, char *error, size_t error_cap)
{
    struct replay *replay = calloc(1, sizeof(*replay));

    snprintf(error, error_cap, "out of memory");
    if (!replay)
        return NULL;
    replay->now_ns = options->now_ns;
    lines_init(&replay->lines, 0);
    if (allocate(replay, options) && state_open(NULL, &replay->state, error, error_cap) == 0 &&
        ingest_open(replay->aggregate, replay->state, &replay->ingest, error, error_cap) == 0)
        return replay;
    replay_close(replay);
    return NULL;
}
