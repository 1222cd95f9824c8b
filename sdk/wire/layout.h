/* layout.h - byte layout of a producer's folder: what a living shipper, its successor and salvage agree on.
 *
 * Place on the route: between the host's threads (write), the shipper (read) and the sidecar's salvage (reads
 * with pread after the owner's death). No threads, no I/O, no clock: structures, sizes and checks only.
 *
 *     <runtime>/<producer id>/lock     text for display; its open-file-description lock is the owner's life
 *                            /names    strings, published before they are used
 *                            /clock    (counter, UTC) pairs
 *                            /ring-N   N = 0: the door (no slots, drop words only); N >= 1: one thread's ring
 *
 * All integers are little-endian, as all supported hosts are. A folder is built as ".<producer id>.new",
 * locked, filled, then renamed: a folder under its final name is complete.
 *
 * Ring file, LAYOUT_RING_HEADER_BYTES of header, then capacity slots of 32 bytes:
 *
 *     offset  size  field
 *          0     8  magic "AILRING1"
 *          8     4  slot_bytes = 32
 *         12     4  ring number N
 *         16     8  capacity, a power of two; 0 in ring 0
 *        128     8  head: records written. Written by the recording thread alone, release
 *        256     8  tail: records released (acknowledged, spooled, or dropped as a range). Shipper, release
 *        384    64  eight door-drop words, cumulative, by enum event_drop. Recording thread (ring 0: any,
 *                   atomically)
 *        512  2048  64 range drops of 32 bytes: first, end, reason, zero
 *       4096     -  slot of sequence number s: at 4096 + (s & (capacity - 1)) * 32
 *
 * Validity, and why a kill at any instruction is safe:
 *  - Records [tail, head) are whole: the four words are stored before the release store of head.
 *  - A range drop stands for sequence numbers [first, min(end, tail)): nothing when that is empty. The
 * shipper writes the entry (end > tail, so it stands for nothing new), then moves tail to end: one store
 * publishes the drop and releases the slots. An adjacent drop extends the entry the same way. Once the
 * sidecar has acknowledged the range, end = first empties it. When all 64 are taken, the tail does not move:
 * the ring fills and its drops are counted at the door.
 *  - head - tail <= capacity always; a file that breaks it, or any other rule here, is hostile or damaged.
 */
#ifndef AILIVE_WIRE_LAYOUT_H
#define AILIVE_WIRE_LAYOUT_H

#include "event.h"

#define LAYOUT_RING_MAGIC        "AILRING1"
#define LAYOUT_RING_HEADER_BYTES 4096u
#define LAYOUT_RANGE_DROPS       64u
#define LAYOUT_DOOR_WORDS        8u
#define LAYOUT_RING_MIN_RECORDS  64u
#define LAYOUT_RING_MAX_RECORDS  16777216u
#define LAYOUT_RINGS_MAX         1024u /* rings of one producer, ring 0 included */

struct layout_range_drop {
    uint64_t first;
    uint64_t end;
    uint64_t reason; /* enum event_drop */
    uint64_t zero;
};

struct layout_ring {
    unsigned char magic[8];
    uint32_t slot_bytes;
    uint32_t number;
    uint64_t capacity;
    unsigned char pad0[104];
    uint64_t head; /* 128 */
    unsigned char pad1[120];
    uint64_t tail; /* 256 */
    unsigned char pad2[120];
    uint64_t door[LAYOUT_DOOR_WORDS]; /* 384 */
    unsigned char pad3[64];
    struct layout_range_drop drops[LAYOUT_RANGE_DROPS]; /* 512 */
    unsigned char pad4[1536];
};
_Static_assert(sizeof(struct layout_ring) == LAYOUT_RING_HEADER_BYTES, "ring header is one page");
_Static_assert(offsetof(struct layout_ring, head) == 128 && offsetof(struct layout_ring, tail) == 256 &&
                   offsetof(struct layout_ring, door) == 384 && offsetof(struct layout_ring, drops) == 512,
               "docs/wire.md gives these offsets");

/* Names file: 64 bytes of header, then entries, each padded to 4 bytes:
 *     0  8  magic "AILNAME1"      8  8  used: bytes of whole entries after the header, release
 *     entry: id u16, kind u8 (enum ailive_name_kind), len u8, text
 * An entry is written before used covers it, and used before any record carries the id. */
#define LAYOUT_NAMES_MAGIC        "AILNAME1"
#define LAYOUT_NAMES_HEADER_BYTES 64u
#define LAYOUT_NAMES_FILE_BYTES   131072u /* 1,000 names of 96 bytes, padded, and the header fit */

struct layout_names {
    unsigned char magic[8];
    uint64_t used;
    unsigned char pad[48];
    unsigned char entries[LAYOUT_NAMES_FILE_BYTES - LAYOUT_NAMES_HEADER_BYTES];
};
_Static_assert(sizeof(struct layout_names) == LAYOUT_NAMES_FILE_BYTES, "names file has one size");

struct layout_name {
    ailive_name id;
    uint8_t kind;
    uint8_t len_bytes;
    const char *text; /* not terminated */
};

/* Bytes an entry with a text of len_bytes takes. */
size_t layout_name_bytes(size_t len_bytes);

/* Writes one entry at out (layout_name_bytes(len) bytes). */
void layout_name_write(unsigned char *out, const struct layout_name *name);

/* Reads the entry at *offset of used_bytes of entries and moves *offset behind it. Returns 1, 0 at the end,
 * -1 when the entry does not fit or is not valid (kind, length 1 to 96, id 0). Any bytes may be passed. */
int layout_name_read(const unsigned char *entries, size_t used_bytes, size_t *offset,
                     struct layout_name *out);

/* Clock file: pairs of the counter and UTC, taken by the shipper at most every 100 ms.
 *     0  8  magic "AILCLOK1"
 *     8  8  clock (AILIVE_CLOCK_...)
 *    16  8  count: pairs ever written, release
 *    64  -  128 pairs of (ticks u64, utc_ns i64); pair n lies at index n % 128
 * The pair at index count % 128 may be torn after a kill; a reader ignores it. */
#define LAYOUT_CLOCK_MAGIC "AILCLOK1"
#define LAYOUT_CLOCK_PAIRS 128u

struct layout_clock_pair {
    uint64_t ticks;
    int64_t utc_ns;
};

struct layout_clock {
    unsigned char magic[8];
    uint64_t clock;
    uint64_t count;
    unsigned char pad[40];
    struct layout_clock_pair pairs[LAYOUT_CLOCK_PAIRS];
};
_Static_assert(sizeof(struct layout_clock) == 64 + 16 * LAYOUT_CLOCK_PAIRS, "clock file has one size");

/* UTC of a counter reading, from the pairs of a clock file: interpolated between the two pairs around it,
 * extrapolated with their mean rate outside. pairs are in time order, n >= 2; n == 1 assumes ticks are ns; n
 * == 0 gives 0. Where two neighbouring pairs differ from the mean rate by more than 1,000 ppm the clock was
 * stepped somewhere: then the rate that most neighbours agree on takes its place, and between two that do not
 * agree with it the later pair is used. Without a majority each interval keeps its own rate. Any numbers may
 * be passed. */
int64_t layout_clock_utc(const struct layout_clock_pair *pairs, size_t n, uint64_t ticks);

/* Copies the valid pairs of a clock file, oldest first and with rising ticks, into out (LAYOUT_CLOCK_PAIRS
 * entries); returns their number, 0 when the file is not a clock file. Any bytes may be passed. */
size_t layout_clock_read(const struct layout_clock *file, struct layout_clock_pair *out);

/* Checks a ring header read from a file of file_bytes against every rule above. NULL: valid; otherwise a
 * constant text that says what is wrong. */
const char *layout_ring_check(const struct layout_ring *ring, uint64_t file_bytes);

/* lock file, text, for display and for finding the spool: lines "key=value":
 *   pid, start (clock ticks after boot, field 22 of /proc/pid/stat), component, run_id, spool (folder),
 * version */
#define LAYOUT_LOCK_MAX_BYTES 8192u

/* File and folder names. out is NUL-terminated. */
#define LAYOUT_NAME_BYTES 64u
void layout_folder_name(const struct event_producer *producer, char out[LAYOUT_NAME_BYTES]);
void layout_folder_new_name(const struct event_producer *producer, char out[LAYOUT_NAME_BYTES]);
void layout_ring_name(uint32_t ring, char out[LAYOUT_NAME_BYTES]); /* "ring-N" */

#endif
