/* follow_inside.h - what the parts of follow share: follow_list.c, follow_find.c, follow.c, in the order in
 * which each uses the one before. Nobody else includes it. The file source's thread.
 */
#ifndef AILIVE_SIDECAR_FOLLOW_INSIDE_H
#define AILIVE_SIDECAR_FOLLOW_INSIDE_H

#include "follow.h"
#include "log.h"
#include "tail.h"

#include <time.h>

#define FOLLOW_KEY_MAX_BYTES 500u

struct generation {
    struct tail tail;
    dev_t device;
    ino_t inode;
    int64_t quiet_since_ms; /* last growth, or when it was found */
    int64_t seen_ns;        /* UTC when this run saw it first: copies are younger. 0: known from before */
};

struct follow {
    struct follow_context context;
    char *path, *folder;
    const char *name; /* in path */
    char key[FOLLOW_KEY_MAX_BYTES + 1];
    size_t key_len;
    bool from_end;
    bool found_out; /* the stored generations have been looked up */
    bool stalled;   /* a commit failed: positions are asked for again once commits work */
    struct generation *files[FOLLOW_GENERATIONS_MAX];
    size_t count;
    struct generation *live;     /* the one at the path; NULL while the path is empty */
    struct timespec folder_time; /* when copies were last looked for */
    uint64_t damaged_total;

    /* of the tick under way */
    int64_t now_ms;
    bool crowded; /* more generations were found than there is room for: what comes after them waits */
    bool doubted; /* something could not be found out */
    bool waiting; /* and may be found out later: nothing is concluded, and what may come after it waits */

    int64_t doubt_since_ms;
    bool in_doubt;
    struct log_condition missing, unreadable, failing, looking;
};

/* ---- follow_list.c: the open generations of a path and their committed positions ---- */

/* Something could not be looked at (error: errno; 0: a packed file that is not whole). */
void follow_doubt(struct follow *follow, int error);
void follow_doubt_settle(struct follow *follow); /* at a tick's end */

/* Commits the context's first n observations together with the position of the generation they came from
 * (moving; NULL: the list of generations alone has changed). false: not committed, everything waits. */
bool follow_commit(struct follow *follow, struct generation *moving, size_t n);

/* The committed positions; how many. */
size_t follow_load(struct follow *follow, struct tail_mark marks[FOLLOW_GENERATIONS_MAX]);

/* After a failed commit: nobody knew whether it was; now the state says so. */
void follow_rewind(struct follow *follow);

/* Takes fd over and puts it at index `at`. NULL: no room (follow->crowded), or a doubt; fd is closed. */
struct generation *follow_add(struct follow *follow, size_t at, int fd, const struct tail_mark *mark,
                              bool packed);
void follow_drop(struct follow *follow, size_t at);

/* ---- follow_find.c: which files are the path's generations ---- */

/* Finds the stored generations again. When something could not be looked at, the next tick tries again. */
void follow_find_out(struct follow *follow);

/* Looks what is at the path now, and what came and went there since. */
void follow_find_live(struct follow *follow);

/* Looks for copies of what the file at the path held before it was truncated, while nothing of it is read. */
void follow_find_copies(struct follow *follow);

/* The first bytes of the file at the path are in hand and not yet counted: looks once more, as it may have
 * been filled, copied and truncated since. true: copies come first, or may; the bytes are to be read again.
 */
bool follow_copies_first(struct follow *follow);

/* The generation was truncated at its position: its copy, if there is one, is read before its new contents.
 */
void follow_truncated(struct follow *follow, struct generation *file);

#endif
