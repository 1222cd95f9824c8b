/* json.h - one line of JSON as a flat view of the keys the contract knows.
 *
 * Place on the route: [json] under contract; plain lines are plain.h's. The only file that names simdjson,
 * and the only one in C++. Its DOM parser validates the whole line, keys nobody asks for included. No
 * threads, no I/O, no clock; one reader per thread.
 *
 * Bad JSON is: anything RFC 8259 does not allow (NaN, 01, trailing bytes), bytes that are not UTF-8, half a
 * surrogate pair, an integer outside 64 bits, a number beyond a double (1e400), nesting deeper than
 * JSON_DEPTH_MAX.
 */
#ifndef AILIVE_SIDECAR_JSON_H
#define AILIVE_SIDECAR_JSON_H

#include "observation.h"

#ifdef __cplusplus
extern "C" {
#endif

#define JSON_DEPTH_MAX 1024u

enum json_key {
    /* lines of other programs */
    JSON_V,
    JSON_SCHEMA_VERSION,
    JSON_SCHEMA,
    JSON_TS_UTC,
    JSON_TS,
    JSON_COMPONENT,
    JSON_RUN_ID,
    JSON_EVENT_TYPE,
    JSON_DECISION,
    JSON_REASON,
    JSON_REASON_CODE,
    JSON_ACTION,
    JSON_LATENCY_S,
    JSON_LATENCY_MS,
    JSON_TYPE,
    JSON_BLOCK_REASON,
    JSON_GATE_REASON,
    JSON_POLICY_REASON,
    JSON_ACTION_TYPE,
    /* spool lines */
    JSON_EVENT,
    JSON_SID,
    JSON_SEQ,
    JSON_TS_NS,
    JSON_LATENCY_NS,
    JSON_STAGE,
    JSON_COUNT,
    JSON_RING_FULL,
    JSON_NO_RING,
    JSON_KEYS
};

enum json_type {
    JSON_ABSENT,
    JSON_NULL,
    JSON_BOOLEAN,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json_value {
    enum json_type type;
    bool truthy;       /* as Python means it: false for null, false, 0, "", [] and {} */
    bool is_int;       /* a number written without fraction and exponent that fits integer */
    bool is_uint;      /* likewise, and fits uinteger */
    struct text text;  /* of a string, unescaped */
    double number;     /* of a number */
    int64_t integer;   /* if is_int */
    uint64_t uinteger; /* if is_uint */
};

struct json_view {
    uint32_t filled; /* bit k: values[k] is not as it was at first; the next json_read() clears just these */
    struct json_value values[JSON_KEYS]; /* the last one of duplicate keys */
};

enum json_verdict {
    JSON_IS_OBJECT, /* *out is filled */
    JSON_NO_OBJECT, /* valid JSON of another type */
    JSON_BAD,
    JSON_MEMORY /* out of memory: nothing is known about the line */
};

struct json_reader;

struct json_reader *json_reader_new(void); /* NULL: out of memory */
void json_reader_free(struct json_reader *reader);

/* Reads one line. *out is zeroed before its first use; keys that are absent stay zero. bytes need no padding
 * behind them. Texts in *out lie in bytes or in the reader and live until its next call. */
enum json_verdict json_read(struct json_reader *reader, const char *bytes, size_t len_bytes,
                            struct json_view *out);

/* The same by simdjson alone: what plain lines are held against in tests. */
enum json_verdict json_read_any(struct json_reader *reader, const char *bytes, size_t len_bytes,
                                struct json_view *out);

#ifdef __cplusplus
}
#endif
#endif
