/* event_lines.c - made-up event lines; see event_lines.h. */
#include "event_lines.h"

#include "measure.h"

#include <stdio.h>
#include <time.h>

#define STAMP_BYTES 96u
#define SECONDS_0   1769303388 /* 2026-01-25T01:09:48Z */

static uint64_t draw(struct event_lines *lines, uint64_t below)
{
    lines->random ^= lines->random << 13; /* xorshift64 */
    lines->random ^= lines->random >> 7;
    lines->random ^= lines->random << 17;
    return (lines->random >> 11) % below;
}

static void stamp(struct event_lines *lines, char out[STAMP_BYTES])
{
    time_t seconds = SECONDS_0 + (time_t)(lines->time_ms / 1000);
    struct tm utc;

    gmtime_r(&seconds, &utc);
    snprintf(out, STAMP_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1,
             utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, (int)(lines->time_ms % 1000));
    lines->time_ms += draw(lines, 3);
}

/* One decision in eight is none of the usual three pairs. */
static int sample_v1(struct event_lines *lines, const char *when, char *out)
{
    static const char *const outcomes[][3] = {
        {"accept", "none", "submit"},     {"accept", "none", "order_intent"},
        {"reject", "risk_limit", "none"}, {"noop", "no_signal", "none"},
        {"noop", "no_signal", "none"},    {"accept", "none", "submit"},
        {"reject", "cooldown", "none"},   {"reject", "invalid_order", "cancel"},
    };
    static const char *const components[] = {"execution_watch", "execution_watch", "risk_gate",
                                             "order_router"};
    const char *const *outcome = outcomes[draw(lines, 8)];

    lines->decisions++;
    return snprintf(out, EVENT_LINE_BYTES,
                    "{\"v\":1,\"ts_utc\":\"%s\",\"component\":\"%s\",\"run_id\":\"run-2026-01-25-%02u\","
                    "\"event\":\"decision\",\"decision\":\"%s\",\"reason\":\"%s\",\"latency_ms\":%u.%03u,"
                    "\"action\":\"%s\"}\n",
                    when, components[draw(lines, 4)], (unsigned)draw(lines, 8), outcome[0], outcome[1],
                    (unsigned)draw(lines, 250), (unsigned)draw(lines, 1000), outcome[2]);
}

static int beta_exec_v1(struct event_lines *lines, const char *when, char *out)
{
    static const char *const types[] = {"INTENT", "SUBMIT", "FILL", "REJECT", "ACK"};
    unsigned type = (unsigned)draw(lines, 5);

    lines->decisions += type == 1 || type == 3;
    lines->dropped += type == 4; /* no type of the schema */
    return snprintf(
        out, EVENT_LINE_BYTES,
        "{\"schema_version\":\"BETA_EXEC_V1\",\"event_type\":\"%s\",\"ts_utc\":\"%s\","
        "\"run_id\":\"beta-%u\",\"order_id\":\"%u\",\"symbol\":\"BTC-USD\",\"reason_code\":\"%s\"}\n",
        types[type], when, (unsigned)draw(lines, 4), (unsigned)draw(lines, 1000000),
        type == 3 ? "RISK_MAX_NOTIONAL" : "");
}

static int exec_event_v0(struct event_lines *lines, const char *when, char *out)
{
    static const char *const types[] = {"created", "submitted", "filled", "canceled", "failed"};
    unsigned type = (unsigned)draw(lines, 5);

    lines->decisions += type == 1 || type == 4;
    return snprintf(
        out, EVENT_LINE_BYTES,
        "{\"schema\":\"execution_event_v0\",\"event_type\":\"%s\",\"ts\":\"%s\",\"run_id\":\"v0-%u\","
        "\"payload\":{\"qty\":%u,\"price\":%u.25,\"tags\":[\"a\",\"b\"]}}\n",
        types[type], when, (unsigned)draw(lines, 4), (unsigned)draw(lines, 100),
        (unsigned)draw(lines, 90000));
}

static int unknown(struct event_lines *lines, char *out)
{
    lines->decisions++;
    lines->dropped++; /* counted as unknown_schema besides */
    return snprintf(out, EVENT_LINE_BYTES,
                    "{\"type\":\"gate_rejected\",\"gate_reason\":\"drawdown\",\"latency_ms\":%u,"
                    "\"note\":\"caf\\u00e9 \\\"quoted\\\"\"}\n",
                    (unsigned)draw(lines, 40));
}

static int no_json(struct event_lines *lines, const char *when, char *out)
{
    lines->dropped++;
    return snprintf(out, EVENT_LINE_BYTES, "{\"v\":1,\"ts_utc\":\"%s\",\"decision\":\"acc\n", when);
}

size_t event_line(struct event_lines *lines, char out[EVENT_LINE_BYTES])
{
    uint64_t which = lines->mixed ? draw(lines, 1000) : 999;
    char when[STAMP_BYTES];
    int n;

    stamp(lines, when);
    if (which == 0)
        n = no_json(lines, when, out);
    else if (which < 150)
        n = beta_exec_v1(lines, when, out);
    else if (which < 300)
        n = exec_event_v0(lines, when, out);
    else if (which < 330)
        n = unknown(lines, out);
    else
        n = sample_v1(lines, when, out);
    lines->lines++;
    lines->bytes += (uint64_t)n;
    return (size_t)n;
}

void event_lines_file(struct event_lines *lines, const char *path, uint64_t bytes)
{
    FILE *file = fopen(path, "w");
    char line[EVENT_LINE_BYTES];
    uint64_t end = lines->bytes + bytes;

    if (file == NULL)
        measure_die("cannot make %s", path);
    while (lines->bytes < end)
        fwrite(line, 1, event_line(lines, line), file);
    if (ferror(file) || fclose(file) != 0)
        measure_die("cannot write %s: is the disk full?", path);
}

void event_lines_series(const char *path)
{
    static const char *const outcomes[3][3] = {{"accept", "none", "submit"},
                                               {"reject", "risk_limit", "none"},
                                               {"noop", "no_signal", "order_intent"}};
    struct event_lines lines = {.random = 20260125};
    FILE *file = fopen(path, "a");
    char when[STAMP_BYTES];

    if (file == NULL)
        measure_die("cannot make %s", path);
    for (unsigned i = 0; i < 3 * EVENT_RUNS; i++) {
        stamp(&lines, when);
        fprintf(file,
                "{\"v\":1,\"ts_utc\":\"%s\",\"run_id\":\"series-%05u\",\"decision\":\"%s\",\"reason\":\"%s\","
                "\"latency_ms\":%u.5,\"action\":\"%s\"}\n",
                when, i / 3, outcomes[i % 3][0], outcomes[i % 3][1], (unsigned)draw(&lines, 300),
                outcomes[i % 3][2]);
    }
    if (fclose(file) != 0)
        measure_die("cannot write %s", path);
}
