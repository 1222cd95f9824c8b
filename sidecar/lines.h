/* lines.h - runs of bytes become lines.
 *
 * Place on the route: file source and replay -> [lines] -> contract. One place decides what a line is: only
 * \n ends it (U+2028, form feed and lone \r do not); a byte-order mark at offset 0 of a file is no part of
 * its first line; a line over LINES_MAX_BYTES is not kept, only reported. Keeps the partial tail between
 * runs. No threads, no I/O, no clock.
 */
#ifndef AILIVE_SIDECAR_LINES_H
#define AILIVE_SIDECAR_LINES_H

#include "buffer.h"
#include "observation.h"

#define LINES_MAX_BYTES 1048576u /* longest line, its newline not counted */

enum lines_kind {
    LINES_NONE, /* the fed run holds no further whole line: feed the next one */
    LINES_LINE,
    LINES_LONG,  /* a line over the limit has ended: see contract_long_line() */
    LINES_MEMORY /* the partial tail could not be kept: lines_restart() at the last end and read again */
};

struct lines {
    struct buffer tail; /* the line that has no newline yet, from earlier runs; at most LINES_MAX_BYTES */
    bool tail_handed;   /* the caller has had the tail as a line: forget it at the next call */
    bool too_long;      /* the line being read is over the limit */
    const char *bytes;  /* the rest of the fed run */
    size_t len_bytes;
    uint64_t start; /* offset in the file of the first byte of the line being read */
    uint64_t read;  /* offset in the file of *bytes */
};

/* offset: where in the file the first byte fed will lie; lines_restart() the same, for storage in use: the
 * partial tail and the rest of the fed run are forgotten. */
void lines_init(struct lines *lines, uint64_t offset);
void lines_restart(struct lines *lines, uint64_t offset);
void lines_fini(struct lines *lines);

/* Gives the next run of the file. The bytes stay the caller's and must live until lines_next() has said
 * LINES_NONE, which it must have done for the run before. */
void lines_feed(struct lines *lines, const char *bytes, size_t len_bytes);

/* The next whole line. *line: without its newline, in the fed run or in the tail, valid until the next call.
 * *end: offset in the file just behind its newline: what to store once the line is counted. */
enum lines_kind lines_next(struct lines *lines, struct text *line, uint64_t *end);

/* At the end of a file that will not grow any more: its unterminated last line as LINES_LINE or LINES_LONG;
 * LINES_NONE when there is none. */
enum lines_kind lines_last(struct lines *lines, struct text *line, uint64_t *end);

/* Bytes of the line that has no newline yet. */
uint64_t lines_pending_bytes(const struct lines *lines);

#endif
