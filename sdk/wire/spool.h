/* spool.h - lines of a producer's JSONL spool: the fallback when the sidecar is away.
 *
 * Place on the route: shipper -> [spool file] -> sidecar's file source. No threads, no I/O: formats lines
 * into memory. The sidecar reads them with its JSON reader (contract), so parsing is not here.
 *
 * File name: <producer id>-<n>.jsonl, n from 1, six digits at least. One JSON object a line:
 *   decision  {"v":1,"ts_utc":"2026-01-25T01:09:48.123456Z","component":"c","run_id":"r","event":"decision",
 *              "decision":"accept","reason":"none","latency_ms":85.0,"action":"submit",
 *              "sid":"<producer>.<ring>","seq":7,"ts_ns":1769303388123456789,"latency_ns":85000000}
 *              (without latency_ms and latency_ns when there is none)
 *   action    {"v":1,...,"event":"action","action":"fill","sid":..,"seq":..,"ts_ns":..}
 *   stage     {"v":1,...,"event":"stage","stage":"risk_check","latency_ns":..,"sid":..,"seq":..,"ts_ns":..}
 *   invalid   {"v":1,"event":"invalid","sid":..,"seq":..,"ts_ns":..}
 *              a record with a handle nobody registered
 *   drop      {"v":1,"event":"drop","reason":"spool_full","count":9,"sid":..,"seq":..}
 *              numbers seq to seq + count - 1
 *   door      {"v":1,"event":"door","ring_full":3,"no_ring":0,"sid":..}
 *              cumulative door-drop words
 * A decision line is a valid line of the contract too. Lines end with \n; a line is whole or truncated away.
 */
#ifndef AILIVE_WIRE_SPOOL_H
#define AILIVE_WIRE_SPOOL_H

#include "event.h"

/* Longest line: three names of 96 bytes, each byte escaped as \u00XX (1,728), and numbers (330). */
#define SPOOL_LINE_MAX_BYTES 2560u
#define SPOOL_NAME_BYTES     64u

struct spool_text {
    const char *text;
    size_t len_bytes;
};

/* A record with its names looked up. */
struct spool_record {
    struct event_producer producer;
    uint32_t ring;
    uint64_t seq;
    struct event_row row;
    struct spool_text reason, stage, component, run_id; /* len 0 where the kind has none */
};

/* Each formats one line with its newline into out (SPOOL_LINE_MAX_BYTES) and returns its length. Texts are
 * escaped as JSON, cut at 96 bytes; bytes that are not UTF-8 become U+FFFD. A record whose kind, decision or
 * action has no text becomes an invalid line. */
size_t spool_format_record(const struct spool_record *record, char *out);
size_t spool_format_invalid(const struct event_producer *producer, uint32_t ring, uint64_t seq,
                            int64_t time_ns, char *out);
size_t spool_format_drop(const struct event_producer *producer, uint32_t ring, uint64_t first, uint64_t count,
                         enum event_drop reason, char *out);
size_t spool_format_door(const struct event_producer *producer, uint32_t ring, const uint64_t *door_words,
                         char *out);

/* "<producer>-<n>.jsonl" */
void spool_file_name(const struct event_producer *producer, uint64_t n, char out[SPOOL_NAME_BYTES]);
/* false: not a spool file's name. */
bool spool_file_name_parse(const char *name, struct event_producer *producer, uint64_t *n);

/* "<producer>.<ring>"; false when text is none. */
bool spool_sid_parse(const char *text, size_t len_bytes, struct event_producer *producer, uint32_t *ring);

#endif
