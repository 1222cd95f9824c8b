/* chunks.h - a file in pieces that end with a line, for several readers at once.
 *
 * Place on the route: unpack -> [chunks] -> lines, one per worker of replay. One mutex, held while a piece is
 * read or unpacked: meanwhile the other workers parse theirs. Every piece goes to one worker, whole lines in
 * it; nothing is shared after that.
 */
#ifndef AILIVE_SIDECAR_CHUNKS_H
#define AILIVE_SIDECAR_CHUNKS_H

#include "lines.h"

#define CHUNKS_READ_BYTES                                                                                    \
    (256u << 10) /* what is read at once: it stays in a core's cache while it is parsed */

/* A worker's own. bytes holds the longest line and a read behind it; of that only what is used takes memory.
 */
struct chunk {
    char *bytes;
    size_t len_bytes; /* up to and with a newline, unless it is the last */
    uint64_t offset;  /* in the unpacked file */
    uint64_t number;  /* rises by one from chunk to chunk, over the files of a run */
    bool last;
};

bool chunk_init(struct chunk *chunk); /* false: out of memory */
void chunk_fini(struct chunk *chunk);

enum chunks_status {
    CHUNKS_ONE, /* *chunk is filled */
    CHUNKS_END,
    CHUNKS_FAILED /* chunks_error() says why; for every worker from here on */
};

struct chunks;

/* Takes fd over, whether it succeeds or not. first_number: of the first chunk. NULL: out of memory. */
struct chunks *chunks_open(int fd, uint64_t first_number);
void chunks_close(struct chunks *chunks);

/* The next chunk. Any thread. A line that is over LINES_MAX_BYTES comes cut to one byte more than that, which
 * is as much as lines needs to see. */
enum chunks_status chunks_next(struct chunks *chunks, struct chunk *chunk);

const char *chunks_error(const struct chunks *chunks); /* after CHUNKS_FAILED, when no worker runs any more */
uint64_t chunks_number(const struct chunks *chunks);   /* of the chunk that would come next, likewise */

#endif
