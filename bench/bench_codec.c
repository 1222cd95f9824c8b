/* bench_codec.c - a batch of records packed, encoded, decoded and aggregated: what an event costs on that
 * way.
 *
 * One thread on one core. Encode is what the shipper does between a ring and its socket: slots to columns
 * (pack_records()) and columns to a message (batch_encode()); decode is batch_decode(); aggregate is
 * everything behind it up to the commit: rows, ingest with its ranges, series, and a state in memory. Sockets
 * and the commit are in bench_end_to_end's figure.
 */
#include "measure.h"
#include "report.h"

#include <ingest.h>
#include <rows.h>
#include <src/pack.h>

#include <stdio.h>
#include <string.h>

#define REPEATS 15u
#define RECORDS 8192u /* in the ring: more than a batch takes */

static struct {
    struct ailive *telemetry; /* with the memory sink: nobody but us reads its ring */
    const struct ring *ring;
    uint64_t first; /* of the next batch: the ring's records again, under new numbers */
    unsigned char message[BATCH_MAX_BYTES];
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

static void open_all(void)
{
    char error[256];

    codec.aggregate = aggregate_new(&(struct aggregate_options){.component = NULL});
    if (codec.aggregate == NULL || rows_init(&codec.rows) != 0 ||
        state_open(NULL, &codec.state, error, sizeof(error)) != 0 ||
        ingest_open(codec.aggregate, codec.state, &codec.ingest, error, sizeof(error)) != 0)
        measure_die("cannot set up the aggregate");
}

static void aggregate_batch(const struct batch *batch)
{
    struct ingest_run run = {batch->producer, batch->ring, batch->first, batch->count, -1, 0};
    struct ingest_unit unit = {.road = ROAD_NNG, .runs = &run, .run_count = 1, .rows = &codec.rows};

    if (rows_add_batch(&codec.rows, batch) != 0)
        measure_die("out of memory");
    if (ingest_take(codec.ingest, &unit, NULL) != INGEST_COMMITTED)
        measure_die("ingest refused a batch");
}

struct parts {
    double encode_ns, decode_ns, aggregate_ns; /* an event */
};

static struct parts pass(unsigned batches)
{
    uint64_t encode = 0, decode = 0, aggregate = 0, times[4], first = codec.first;
    struct batch batch, decoded;
    const char *why;
    double each_ns;
    size_t len;

    for (unsigned i = 0; i < batches; i++) {
        times[0] = ailive_counter();
        pack_records(codec.telemetry, codec.ring, &batch);
        batch.first = codec.first;
        len = batch_encode(&batch, codec.message, sizeof(codec.message));
        times[1] = ailive_counter();
        if (batch_decode(codec.message, len, &codec.storage, &decoded, &why) != BATCH_OK)
            measure_die("cannot decode: %s", why);
        times[2] = ailive_counter();
        aggregate_batch(&decoded);
        times[3] = ailive_counter();
        codec.first += batch.count;
        encode += times[1] - times[0];
        decode += times[2] - times[1];
        aggregate += times[3] - times[2];
    }
    each_ns = measure_tick_ns() / (double)(codec.first - first);
    return (struct parts){(double)encode * each_ns, (double)decode * each_ns, (double)aggregate * each_ns};
}

/* Events counted: every row is one, decision or stage. */
static uint64_t counted(void)
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

static void show(const char *question, const double *values, size_t n, bool judged)
{
    struct report_row row = {.question = question, .unit = "ns/event", .values = values, .n = n};

    if (judged) {
        row.goal = "<= 10 ns an event";
        row.sense = REPORT_AT_MOST;
        row.limit = 10;
    }
    report_row(&row);
}

int main(int argc, char **argv)
{
    double encode[REPEATS], decode[REPEATS], aggregate[REPEATS], together[REPEATS];
    unsigned repeats, batches;

    report_begin("codec", argc, argv);
    repeats = report_quick() ? 1 : REPEATS;
    batches = report_quick() ? 3 : 200;
    measure_pin(MEASURE_HERE);
    fill_ring();
    open_all();
    pass(batches / 4 + 1); /* warms up */
    for (unsigned r = 0; r < repeats; r++) {
        struct parts parts = pass(batches);
        encode[r] = parts.encode_ns;
        decode[r] = parts.decode_ns;
        aggregate[r] = parts.aggregate_ns;
        together[r] = parts.encode_ns + parts.decode_ns + parts.aggregate_ns;
    }
    show("batch: encode + decode + aggregate", together, repeats, true);
    show("batch: encode, from the ring", encode, repeats, false);
    show("batch: decode", decode, repeats, false);
    show("batch: aggregate", aggregate, repeats, false);
    report_count("events", codec.first, counted());
    ingest_close(codec.ingest);
    aggregate_free(codec.aggregate);
    rows_fini(&codec.rows);
    ailive_close(codec.telemetry, 0);
    return report_end();
}
