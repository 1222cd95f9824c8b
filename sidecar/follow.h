/* follow.h - one event file of another program, followed over its rotations.
 *
 * Place on the route: inside the file source: [follow] -> contract -> ingest. The file source's thread.
 *
 * A path has generations: the file at the path now, and rotated ones that may still grow or are not read to
 * their end. Older ones are read first. All their positions are one 'f' pair, committed with the
 * observations. Covers: a missing file (waits), rename rotation, several rotations while the sidecar was
 * away, rotated files compressed meanwhile, copytruncate (the copy is looked for in the folder), delete and
 * re-create, a partial last line, over-long lines. Limits: FOLLOW_GENERATIONS_MAX generations; a rotated file
 * is let go after FOLLOW_DRAIN_MS without growth, a packed one after FOLLOW_LAST_LINE_MS.
 */
#ifndef AILIVE_SIDECAR_FOLLOW_H
#define AILIVE_SIDECAR_FOLLOW_H

#include "contract.h"
#include "ingest.h"

#define FOLLOW_GENERATIONS_MAX 32u
#define FOLLOW_DRAIN_MS        600000
#define FOLLOW_LAST_LINE_MS    10000 /* a rotated file quiet for so long has written its last line */
#define FOLLOW_UNIT_LINES      4096u

/* What every followed file shares: one thread's. */
struct follow_context {
    struct ingest *ingest;
    struct contract *contract;
    struct observation *observations; /* FOLLOW_UNIT_LINES */
};

struct follow;

/* Begins to follow path; nothing is read yet. from_end: a file without a committed position begins at its
 * end. -1 with a line in error: the path is a folder, a FIFO or the like, or it is too long. */
int follow_open(const struct follow_context *context, const char *path, bool from_end, struct follow **out,
                char *error, size_t error_cap);
void follow_close(struct follow *follow);

/* Looks after the path and reads what is new. now_ms: a monotonic clock. Returns whether there is more to
 * read at once. */
bool follow_tick(struct follow *follow, int64_t now_ms);

const char *follow_path(const struct follow *follow);   /* absolute */
const char *follow_folder(const struct follow *follow); /* where it lies */
uint64_t follow_lag_bytes(const struct follow *follow);
/* Packed files that could not be read to their end. */
uint64_t follow_damaged_total(const struct follow *follow);

#endif
