/* codec.c - a batch's way; see codec.h. */
#include "codec.h"

#include "measure.h"

#include <ingest.h>
#include <rows.h>
#include <src/pack.h>

#include <string.h>

#define RECORDS 8192u /* in the ring: more than a batch takes */

static struct {
    struct ailive *telemetry; /* with the memory sink: nobody but us reads its ring */
    const struct ring *ring;
    uint64_t first; /* of the next batch: the ring's records again, under new numbers */
    struct batch batch, decoded;
    unsigned char message[BATCH_MAX_BYTES];
    size_t message_bytes;
    struct batch_storage storage;
    struct rows rows;
    struct aggregate *aggregate;
    struct state *state;
    struct ingest *ingest;
} codec;

/* ---- the ring ---- */

static ailive_name name(enum ailive_name_kind kind, const char *text)
{
    ailive_name out = 0;

    if (ailive_register(codec.telemetry, kind, text, &out) != AILIVE_OK)
        measure_die("cannot register %s", text);
    return out;
}

/* Five decisions in six, a stage latency in six; 2 components, 4 runs, 8 reasons, all latencies. */
static void record_all(void)
{
    static const char *const runs[4] = {"run-2026-01-25-01", "run-2026-01-25-02", "run-2026-01-25-03",
                                        "run-2026-01-25-04"};
    ailive_name components[2] = {name(AILIVE_NAME_COMPONENT, "execution_watch"),
                                 name(AILIVE_NAME_COMPONENT, "risk_gate")};
    ailive_name stages[2] = {name(AILIVE_NAME_STAGE, "risk_check"), name(AILIVE_NAME_STAGE, "order_router")};

    for (uint32_t i = 0; i < RECORDS; i++) {
        uint32_t random = (i + 1) * 2654435761u >> 8;
        enum ailive_decision decision = (enum ailive_decision)(1 + random / 16 % 3);
        struct ailive_scope scope = {components[random % 2], name(AILIVE_NAME_RUN_ID, runs[random / 2 % 4])};

        if (random % 6 == 0)
            ailive_record_stage_for(codec.telemetry, scope, AILIVE_NOW, stages[random / 8 % 2], random * 100);
        else
            ailive_record_decision_for(codec.telemetry, scope, AILIVE_NOW, decision,
                                       (ailive_name)(decision == AILIVE_REJECT ? random / 64 % 8 : 0),
                                       decision == AILIVE_ACCEPT ? AILIVE_SUBMIT : AILIVE_ACTION_NONE,
                                       random * 100);
    }
}

static void fill_ring(void)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT;

    options.memory_sink = 1;
    if (ailive_open(&options, &codec.telemetry) != AILIVE_OK)
        measure_die("cannot open an instance");
    record_all();
    for (uint32_t r = 0; r < instance_rings(codec.telemetry->live); r++)
        if (ring_readable(&codec.telemetry->live->rings[r]) != ring_tail(&codec.telemetry->live->rings[r]))
            codec.ring = &codec.telemetry->live->rings[r];
    if (codec.ring == NULL)
        measure_die("nothing was recorded");
}

/* ---- the way ---- */

void codec_open(void)
{
    char error[256];

    fill_ring();
    codec.aggregate = aggregate_new(&(struct aggregate_options){.component = NULL});
    if (codec.aggregate == NULL || rows_init(&codec.rows) != 0 ||
        state_open(NULL, &codec.state, error, sizeof(error)) != 0 ||
        ingest_open(codec.aggregate, codec.state, &codec.ingest, error, sizeof(error)) != 0)
        measure_die("cannot set up the aggregate");
}

void codec_close(void)
{
    ingest_close(codec.ingest);
    state_close(codec.state);
    aggregate_free(codec.aggregate);
    rows_fini(&codec.rows);
    ailive_close(codec.telemetry, 0);
}

uint32_t codec_encode(void)
{
    pack_records(codec.telemetry, codec.ring, &codec.batch);
    codec.batch.first = codec.first;
    codec.first += codec.batch.count;
    codec.message_bytes = batch_encode(&codec.batch, codec.message, sizeof(codec.message));
    return codec.batch.count;
}

void codec_decode(void)
{
    const char *why = "";

    if (batch_decode(codec.message, codec.message_bytes, &codec.storage, &codec.decoded, &why) != BATCH_OK)
        measure_die("cannot decode: %s", why);
}

void codec_aggregate(void)
{
    const struct batch *batch = &codec.decoded;
    struct ingest_run run = {batch->producer, batch->ring, batch->first, batch->count, -1, 0};
    struct ingest_unit unit = {.road = ROAD_NNG, .runs = &run, .run_count = 1, .rows = &codec.rows};

    if (rows_add_batch(&codec.rows, batch) != 0)
        measure_die("out of memory");
    if (ingest_take(codec.ingest, &unit, NULL) != INGEST_COMMITTED)
        measure_die("ingest refused a batch");
}

uint64_t codec_events(void)
{
    return codec.first;
}

uint64_t codec_counted(void)
{
    struct snapshot snapshot;
    uint64_t sum = 0;

    if (aggregate_snapshot(codec.aggregate, &snapshot) != 0)
        measure_die("out of memory");
    for (size_t f = 0; f < snapshot.family_count; f++)
        for (size_t s = 0; s < snapshot.families[f].series_count; s++)
            if (strcmp(snapshot.families[f].name, "ailive_events_total") == 0)
                sum += snapshot.families[f].series[s].count;
    snapshot_free(&snapshot);
    return sum;
}
