/* bench_codec.c - a batch of records encoded, decoded and aggregated: what an event costs on that way.
 *
 * One thread on one core. Encode is batch_encode() over columns that stand ready; decode is batch_decode();
 * aggregate is everything behind it up to the commit: rows, ingest with its ranges, series, and a state in
 * memory. Filling the columns out of a ring and the socket are in bench_end_to_end's figure.
 */
#include "measure.h"
#include "report.h"

#include <ingest.h>
#include <rows.h>

#include <stdio.h>
#include <string.h>

#define REPEATS      15u
#define NAMES        10u
#define NAME_ID      16u /* of the first; below it are the fixed ones */
#define COLUMN_BYTES (BATCH_MAX_BYTES)

static struct {
    struct layout_name names[NAMES];
    unsigned char columns[COLUMN_BYTES];
    struct batch batch;
    unsigned char message[BATCH_MAX_BYTES];
    struct batch_storage storage;
    struct rows rows;
    struct aggregate *aggregate;
    struct state *state;
    struct ingest *ingest;
} codec;

/* ---- the batch ---- */

static void make_names(void)
{
    static const struct {
        enum ailive_name_kind kind;
        const char *text;
    } names[NAMES] = {
        {AILIVE_NAME_COMPONENT, "execution_watch"}, {AILIVE_NAME_COMPONENT, "risk_gate"},
        {AILIVE_NAME_RUN_ID, "run-2026-01-25-01"},  {AILIVE_NAME_RUN_ID, "run-2026-01-25-02"},
        {AILIVE_NAME_RUN_ID, "run-2026-01-25-03"},  {AILIVE_NAME_RUN_ID, "run-2026-01-25-04"},
        {AILIVE_NAME_STAGE, "risk_check"},          {AILIVE_NAME_STAGE, "order_router"},
        {AILIVE_NAME_REASON, "drawdown"},           {AILIVE_NAME_REASON, "venue_down"},
    };

    for (unsigned i = 0; i < NAMES; i++) {
        codec.names[i].id = (ailive_name)(NAME_ID + i);
        codec.names[i].kind = (uint8_t)names[i].kind;
        codec.names[i].len_bytes = (uint8_t)strlen(names[i].text);
        codec.names[i].text = names[i].text;
    }
}

/* Five decisions in six, a stage latency in six; components, runs, reasons and latencies vary. */
static void make_row(uint32_t i, struct event_row *row)
{
    uint32_t random = (i + 1) * 2654435761u >> 8;

    *row = (struct event_row){.time_ns = 1769303388000000000 + (int64_t)i * 1000,
                              .latency_ns = (int64_t)random * 100,
                              .component = (ailive_name)(NAME_ID + random % 2),
                              .run_id = (ailive_name)(NAME_ID + 2 + random / 2 % 4)};
    if (random % 6 == 0) {
        row->kind = AILIVE_KIND_STAGE;
        row->stage = (ailive_name)(NAME_ID + 6 + random / 8 % 2);
        return;
    }
    row->kind = AILIVE_KIND_DECISION;
    row->decision = (uint8_t)(1 + random / 16 % 3);
    row->action = row->decision == AILIVE_ACCEPT ? AILIVE_SUBMIT : AILIVE_ACTION_NONE;
    if (row->decision == AILIVE_REJECT)
        row->reason = (ailive_name)(random / 64 % 8);
}

static void put(enum batch_column column, uint32_t i, const void *value)
{
    unsigned char *at = codec.columns + (codec.batch.columns[column] - codec.columns);

    memcpy(at + (size_t)i * batch_column_bytes[column], value, batch_column_bytes[column]);
}

static void make_batch(void)
{
    size_t text_bytes = 0, at = 0;
    struct event_row row;

    make_names();
    for (unsigned i = 0; i < NAMES; i++)
        text_bytes += codec.names[i].len_bytes;
    codec.batch =
        (struct batch){.producer = {{1}}, .ring = 1, .drop = -1, .names = codec.names, .name_count = NAMES};
    codec.batch.count = batch_rows_max(NAMES, text_bytes);
    for (unsigned c = 0; c < BATCH_COLUMNS; c++) {
        codec.batch.columns[c] = codec.columns + at;
        at += (size_t)codec.batch.count * batch_column_bytes[c];
    }
    for (uint32_t i = 0; i < codec.batch.count; i++) {
        make_row(i, &row);
        put(BATCH_TIME, i, &row.time_ns);
        put(BATCH_KIND, i, &row.kind);
        put(BATCH_DECISION, i, &row.decision);
        put(BATCH_ACTION, i, &row.action);
        put(BATCH_REASON, i, &row.reason);
        put(BATCH_LATENCY, i, &row.latency_ns);
        put(BATCH_STAGE, i, &row.stage);
        put(BATCH_COMPONENT, i, &row.component);
        put(BATCH_RUN_ID, i, &row.run_id);
    }
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
    double tick_ns = measure_tick_ns(), events = (double)batches * codec.batch.count;
    uint64_t encode = 0, decode = 0, aggregate = 0, times[4];
    struct batch decoded;
    const char *why;
    size_t len;

    for (unsigned i = 0; i < batches; i++) {
        times[0] = ailive_counter();
        len = batch_encode(&codec.batch, codec.message, sizeof(codec.message));
        times[1] = ailive_counter();
        if (batch_decode(codec.message, len, &codec.storage, &decoded, &why) != BATCH_OK)
            measure_die("cannot decode: %s", why);
        times[2] = ailive_counter();
        aggregate_batch(&decoded);
        times[3] = ailive_counter();
        codec.batch.first += codec.batch.count;
        encode += times[1] - times[0];
        decode += times[2] - times[1];
        aggregate += times[3] - times[2];
    }
    return (struct parts){(double)encode * tick_ns / events, (double)decode * tick_ns / events,
                          (double)aggregate * tick_ns / events};
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
    make_batch();
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
    show("batch: encode", encode, repeats, false);
    show("batch: decode", decode, repeats, false);
    show("batch: aggregate", aggregate, repeats, false);
    report_count("events", codec.batch.first, counted());
    ingest_close(codec.ingest);
    aggregate_free(codec.aggregate);
    rows_fini(&codec.rows);
    return report_end();
}
