/* batch.h - one message of the nng road and its reply, as msgpack. docs/wire.md gives every byte.
 *
 * Place on the route: shipper -> [batch] -> sidecar's nng source. No threads, no I/O, no clock.
 * A batch is one contiguous run of one ring's sequence numbers: records in columns, or a range drop.
 * The only file that names msgpack: msgpack-c packs (its packer is inline: nothing is linked); a
 * bounds-checked cursor over this fixed schema decodes, because msgpack-c reserves memory for claimed, not
 * present, elements.
 *
 * Request map:
 *   "v" 1 | "p" bin 16 producer | "r" ring | "f" first | "n" count | "t" tail
 *   "names" [[id, kind, text], ...]     every name a row uses, once
 *   either "shapes" bin                 what a record is apart from time and latency: each that occurs, once
 *      and "cols" {"time","latency","shape": bin}
 *   or     "drop" reason (enum event_drop)
 *   "door" [words]                      the ring's door-drop words
 *   "tot" [recorded, shipped, spooled, dropped]   the producer's, for display only
 * Reply map: "v" 1 | "e" bin 16 epoch | "p" | "r" | "f" | "n" | "s" status | "bad" rows
 * Unknown keys are skipped in both. count 0 with neither cols nor drop is a greeting: door words and totals
 * only.
 */
#ifndef AILIVE_WIRE_BATCH_H
#define AILIVE_WIRE_BATCH_H

#include "event.h"
#include "layout.h"

#define BATCH_VERSION   1u
#define BATCH_MAX_BYTES 131072u
#define BATCH_ROW_BYTES 18u /* 8 time, 8 latency, 2 shape */
#define BATCH_SHAPE_BYTES                                                                                    \
    12u /* 1 kind, 1 decision, 1 action, 1 zero, 2 reason, 2 stage, 2 component, 2 run_id */
#define BATCH_MAX_SHAPES  65536u /* a row names its shape in 16 bits */
#define BATCH_MAX_NAMES   AILIVE_NAMES_MAX
#define BATCH_EPOCH_BYTES 16u

/* Columns in the order of the wire. Each is count little-endian integers of its width, unaligned. */
enum batch_column {
    BATCH_TIME,
    BATCH_LATENCY,
    BATCH_SHAPE,
    BATCH_COLUMNS
};
extern const uint8_t batch_column_bytes[BATCH_COLUMNS];

struct batch_totals {
    uint64_t recorded, shipped, spooled, dropped;
};

struct batch {
    struct event_producer producer;
    uint32_t ring;
    uint64_t first;
    uint32_t count;
    uint64_t tail;
    int drop;                                    /* enum event_drop, or -1: records in columns */
    const unsigned char *columns[BATCH_COLUMNS]; /* NULL with drop, or when count is 0 */
    const unsigned char *shapes;                 /* shape_count times BATCH_SHAPE_BYTES; likewise */
    uint32_t shape_count;
    const struct layout_name *names; /* encode: the caller's; decode: the decoder's storage */
    uint32_t name_count;
    uint64_t door[LAYOUT_DOOR_WORDS];
    struct batch_totals totals;
};

/* Encodes into out (BATCH_MAX_BYTES suffice for batch_rows_max() rows). Returns the length, 0 when it does
 * not fit. */
size_t batch_encode(const struct batch *batch, unsigned char *out, size_t cap_bytes);

/* Most rows that fit beside these names and shapes. */
uint32_t batch_rows_max(uint32_t name_count, size_t names_text_bytes, uint32_t shape_count);

/* A shape's bytes from the two words of a ring's slot that hold it (layout.h), and the row it gives: its time
 * and latency are left alone. */
void batch_shape_put(const uint64_t words[4], unsigned char out[BATCH_SHAPE_BYTES]);
void batch_shape(const struct batch *batch, uint32_t shape, struct event_row *out);

enum batch_verdict {
    BATCH_OK = 0,
    BATCH_MALFORMED = 1,       /* not this schema, or a length, range or type is wrong: refused for good */
    BATCH_UNKNOWN_VERSION = 2, /* "v" is another number: the producer uses its spool */
    BATCH_UNADDRESSED = 3      /* not even producer, ring, first and count can be read: no reply names it */
};

/* Storage a decode needs: one per decoding thread. */
struct batch_storage {
    struct layout_name names[BATCH_MAX_NAMES];
};

/* Decodes len_bytes at data. *out points into data and storage. why (may be NULL): a constant text on
 * failure. Producer, ring, first and count are filled whenever they could be read, for the reply. Never reads
 * outside data, never allocates. Rows are not judged here: see batch_row_valid(). */
enum batch_verdict batch_decode(const void *data, size_t len_bytes, struct batch_storage *storage,
                                struct batch *out, const char **why);

/* Row i of a decoded batch. One whose shape is not there gets kind 0, which is none. */
void batch_row(const struct batch *batch, uint32_t i, struct event_row *out);

/* Whether a row may be counted: kind, decision and action in range, action present in an action row, each
 * name it uses declared with the right kind. by_id: BATCH id -> name, NULL when undeclared or declared twice
 * (batch_index_names()). */
#define BATCH_IDS 65536u
bool batch_row_valid(const struct event_row *row, const struct layout_name *const *by_id);

/* Fills by_id (BATCH_IDS entries, all NULL before) from the names; a name declared twice with different
 * meaning becomes NULL. batch_unindex_names() sets back to NULL exactly what was set. The fixed reasons 0 to
 * 7 need no declaration: they are always present, and a declaration of theirs is ignored. */
void batch_index_names(const struct batch *batch, const struct layout_name **by_id);
void batch_unindex_names(const struct batch *batch, const struct layout_name **by_id);

enum batch_status {
    BATCH_COUNTED = 0,   /* every row is counted and committed */
    BATCH_BAD_ROWS = 1,  /* committed; `bad` rows of it as dropped{reason="invalid"} */
    BATCH_REFUSED = 2,   /* can never be counted: the producer drops the range as EVENT_DROP_REFUSED */
    BATCH_NO_VERSION = 3 /* the sidecar does not speak this version: use the spool */
};

struct batch_reply {
    unsigned char epoch[BATCH_EPOCH_BYTES];
    struct event_producer producer;
    uint32_t ring;
    uint64_t first;
    uint32_t count;
    uint32_t status; /* enum batch_status */
    uint32_t bad;
};

#define BATCH_REPLY_MAX_BYTES 128u
size_t batch_reply_encode(const struct batch_reply *reply, unsigned char *out, size_t cap_bytes);
bool batch_reply_decode(const void *data, size_t len_bytes, struct batch_reply *out);

#endif
