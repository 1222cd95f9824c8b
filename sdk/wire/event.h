/* event.h - what one record is, wherever it travels: ring slot, batch row, spool line.
 *
 * Place on the route: the vocabulary of sdk/wire, shared by the SDK and the sidecar. No threads, no I/O, no
 * clock. The enumerators are those of <ailive/ailive.h>; their texts are the contract's label values. */
#ifndef AILIVE_WIRE_EVENT_H
#define AILIVE_WIRE_EVENT_H

#include <ailive/ailive.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A producer: 128 bits. Bytes 0-7: UTC nanoseconds of its creation, big-endian (so that ids sort by age);
 * bytes 8-15: random. Written as 32 lower-case hexadecimal digits. */
#define EVENT_PRODUCER_BYTES 16u
#define EVENT_PRODUCER_HEX   32u
struct event_producer {
    unsigned char bytes[EVENT_PRODUCER_BYTES];
};

/* Writes 32 digits and a NUL into out. */
void event_producer_format(const struct event_producer *producer, char out[EVENT_PRODUCER_HEX + 1]);

/* Reads exactly 32 lower-case digits. false: text is not one; *out untouched. */
bool event_producer_parse(const char *text, size_t len_bytes, struct event_producer *out);

/* A record in numbers, as a slot or a batch row carries it. Names are ids into the producer's name table. */
struct event_row {
    int64_t time_ns;    /* UTC */
    int64_t latency_ns; /* AILIVE_NO_LATENCY when none */
    uint8_t kind;       /* enum ailive_record_kind */
    uint8_t decision;   /* enum ailive_decision, 0 unless a decision */
    uint8_t action;     /* enum ailive_action */
    ailive_name reason; /* 0 is "none" */
    ailive_name stage;  /* 0 unless a stage */
    ailive_name component;
    ailive_name run_id;
};

/* Why a record never reached a count of its own. The numbers are positions in a ring's door-drop words and in
 * the batch; the texts are values of the label `reason` of ailive_events_dropped_total. */
enum event_drop {
    EVENT_DROP_RING_FULL = 0,  /* at the door: "ring_full" */
    EVENT_DROP_NO_RING = 1,    /* at the door, counted in ring 0: "no_ring" */
    EVENT_DROP_DOORS = 2,      /* how many reasons are door drops: these take no sequence number */
    EVENT_DROP_SPOOL_FULL = 2, /* a range of sequence numbers: "spool_full" */
    EVENT_DROP_REFUSED = 3,    /* a range the sidecar refused for good: "refused" */
    EVENT_DROP_INVALID = 4,    /* a row the sidecar could not accept: "invalid" */
    EVENT_DROP_LOST = 5,       /* a gap that nothing will fill any more: "lost" */
    EVENT_DROP_REASONS = 6
};

/* Constant texts; NULL for a number that is none of the enumeration. */
const char *event_drop_name(unsigned reason);
const char *event_decision_name(unsigned decision); /* "accept", "reject", "noop" */
const char *event_action_name(unsigned action);     /* "none", "order_intent", ... */
const char *event_kind_name(unsigned kind);         /* "decision", "action", "stage" */
const char *event_reason_name(unsigned reason);     /* the eight fixed ids 0 to 7: "none", "no_signal", ... */

/* The other way; -1 when the text is none of them (exact, lower case). */
int event_drop_find(const char *text, size_t len_bytes);
int event_decision_find(const char *text, size_t len_bytes);
int event_action_find(const char *text, size_t len_bytes);
int event_kind_find(const char *text, size_t len_bytes);

/* Whether words[0] of a slot is UTC, not counter ticks. */
static inline bool event_slot_is_utc(const uint64_t words[4])
{
    return (words[2] >> 24 & AILIVE_SLOT_UTC) != 0;
}

/* A slot's four words to a row and back. time_ns of the row is left for the caller where the slot holds
 * counter ticks: returns true when words[0] already was UTC. */
static inline bool event_row_unpack(const uint64_t words[4], struct event_row *out)
{
    uint64_t what = words[2];

    out->time_ns = (int64_t)words[0];
    out->latency_ns = (int64_t)words[1];
    out->kind = (uint8_t)what;
    out->decision = (uint8_t)(what >> 8);
    out->action = (uint8_t)(what >> 16);
    out->reason = (ailive_name)(what >> 32);
    out->stage = (ailive_name)(what >> 48);
    out->component = (ailive_name)words[3];
    out->run_id = (ailive_name)(words[3] >> 16);
    return event_slot_is_utc(words);
}
void event_row_pack_utc(const struct event_row *row, uint64_t out_words[4]);

/* What a record is apart from time and latency, and its number in a table of the few that occur in a run. */
struct event_shape {
    uint64_t what;   /* words[2] */
    uint32_t scope;  /* words[3] */
    uint32_t number; /* 0: an empty place, whatever the others are */
};

/* The place in a table of 2^bits places where a record's shape is, or belongs: then its number is 0. Open
 * addressing: at least one place must be empty. */
static inline struct event_shape *event_shape_find(struct event_shape *table, unsigned bits,
                                                   const uint64_t words[4])
{
    uint32_t scope = (uint32_t)words[3];
    uint64_t what = words[2], hash = what * 0x9e3779b97f4a7c15u + scope * 0xff51afd7ed558ccdu;
    size_t at = hash >> (64 - bits);

    /* Found first, in one comparison: so it is for nearly every record. */
    while (((table[at].what ^ what) | (table[at].scope ^ scope)) != 0 && table[at].number != 0)
        at = (at + 1) & (((size_t)1 << bits) - 1);
    return &table[at];
}

#endif
