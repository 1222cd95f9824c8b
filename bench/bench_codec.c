/* bench_codec.c - a batch of records packed, encoded, decoded and aggregated: what an event costs on that
 * way.
 *
 * One thread on one core. Encode is what the shipper does between a ring and its socket: slots to columns
 * (pack_records()) and columns to a message (batch_encode()); decode is batch_decode(); aggregate is
 * everything behind it up to the commit: rows, ingest with its ranges, series, and a state in memory. Sockets
 * and the commit are in bench_end_to_end's figure.
 */
#include "codec.h"
#include "measure.h"
#include "report.h"

#include <ailive/ailive.h>

#define REPEATS 15u

struct parts {
    double encode_ns, decode_ns, aggregate_ns; /* an event */
};

static struct parts pass(unsigned batches)
{
    uint64_t encode = 0, decode = 0, aggregate = 0, events = 0, times[4];
    double each_ns;

    for (unsigned i = 0; i < batches; i++) {
        times[0] = ailive_counter();
        events += codec_encode();
        times[1] = ailive_counter();
        codec_decode();
        times[2] = ailive_counter();
        codec_aggregate();
        times[3] = ailive_counter();
        encode += times[1] - times[0];
        decode += times[2] - times[1];
        aggregate += times[3] - times[2];
    }
    each_ns = measure_tick_ns() / (double)events;
    return (struct parts){(double)encode * each_ns, (double)decode * each_ns, (double)aggregate * each_ns};
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
    codec_open();
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
    report_count("events", codec_events(), codec_counted());
    codec_close();
    return report_end();
}
