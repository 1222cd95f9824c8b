/* road_spool.h - the JSONL road: this producer's own spool files, for when the sidecar is away.
 *
 * Place on the route: shipper -> [road_spool] -> sidecar's file source. Only the shipper's thread calls it.
 * Lines: wire/spool.h. A chunk of whole lines goes out in one write(); a short or failed one is truncated
 * away again, so that a file only ever holds whole lines. Files are removed by the sidecar alone, once it has
 * taken them in: nothing here deletes. */
#ifndef AILIVE_SRC_ROAD_SPOOL_H
#define AILIVE_SRC_ROAD_SPOOL_H

#include "process.h"
#include "wire/paths.h"
#include "wire/spool.h"

#define ROAD_SPOOL_CHUNK_BYTES 65536u

struct road_spool {
    struct process_fd *file;
    const char *folder; /* "": there is none, every write fails */
    struct event_producer producer;
    uint64_t file_bytes; /* limits, from the options */
    uint64_t max_bytes;
    uint64_t number;       /* of the file in use, or the last one; 0: none yet */
    uint64_t oldest;       /* the oldest number that may still exist */
    uint64_t size;         /* of the file in use */
    uint64_t total;        /* of all files, as far as we know, and of others */
    uint64_t others;       /* bytes of files that are not ours but under the same limit */
    int64_t counted_at_ns; /* when total was last checked against the files */
    const char *failed;    /* constant text: what failed last */
    size_t buffered;
    char chunk[ROAD_SPOOL_CHUNK_BYTES];
};

enum road_spool_status {
    ROAD_SPOOL_OK = 0,
    ROAD_SPOOL_FLUSH = 1, /* the line was not taken: road_spool_flush() first, then add it again */
    ROAD_SPOOL_FULL = 2,  /* the line was not taken: it would pass max_bytes */
    ROAD_SPOOL_FAILED = 3 /* errno says why; nothing of the chunk is in the file */
};

/* Adds a line to the chunk. beyond_cap: it may pass max_bytes (drop and door lines at close: they are small,
 * and without them a count would be lost). */
enum road_spool_status road_spool_add(struct road_spool *road, const char *line, size_t len_bytes,
                                      bool beyond_cap);

/* Writes the chunk. After ROAD_SPOOL_FAILED the chunk is empty again: its lines are in no file. */
enum road_spool_status road_spool_flush(struct road_spool *road);

/* Looks at most once a second whether files were removed, while there are any as far as we know. */
void road_spool_review(struct road_spool *road);

/* Ends the file in use, so that the sidecar may read it to its end and remove it; the next line begins a new
 * one. Harmless when there is none. */
void road_spool_rest(struct road_spool *road);

#endif
