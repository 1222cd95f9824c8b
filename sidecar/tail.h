/* tail.h - one regular file, read line by line from where its committed position says.
 *
 * Place on the route: inside the file source: follow (other programs' files over their rotations) and
 * spool_reader use one for each file. The file source's thread.
 *
 * A file is known again by its bytes: a hash of its first bytes and one of the last bytes before the position
 * (each at most TAIL_MARK_BYTES, both lengths stored). Inode and time of birth are evidence only: inodes are
 * reused, devices change across boots. The second hash, checked at every pass, tells a file that was
 * truncated and has grown past the position again.
 *
 * A packed file (gzip, zstd) is the same file: offsets and hashes are those of what it holds, so that a
 * position found in the plain file goes on in the compressed one. It is read in one run; only after a failed
 * commit it is gone through again up to the position.
 */
#ifndef AILIVE_SIDECAR_TAIL_H
#define AILIVE_SIDECAR_TAIL_H

#include "lines.h"
#include "unpack.h"

#include <sys/stat.h>

#define TAIL_MARK_BYTES   1024u
#define TAIL_CHUNK_BYTES  262144u
#define TAIL_PASS_BYTES   4194304u  /* a pass reads no more before the other files have their turn */
#define TAIL_SKIP_BYTES   67108864u /* of a packed file, on the way to the position, likewise */
#define TAIL_ALIKE_BYTES  4194304u  /* files that agree so far are copies of each other */
#define TAIL_STORED_BYTES 64u

/* Where reading stands and how to know the file again. */
struct tail_mark {
    uint64_t id; /* random: tells the generations of one path apart */
    uint64_t offset;
    bool skipping; /* the position lies inside a line over the limit */
    uint16_t first_len, last_len;
    uint64_t first_hash, last_hash;
    uint64_t inode;
    /* Of the inode; of a packed file that was read from: of the file in which reading began. 0: unknown. */
    int64_t born_ns;
    int64_t since_ns; /* UTC when this generation was first seen at offset 0 */
};

void tail_mark_store(const struct tail_mark *mark, unsigned char out[TAIL_STORED_BYTES]);
bool tail_mark_load(const unsigned char in[TAIL_STORED_BYTES], struct tail_mark *out);
enum tail_match {
    TAIL_MATCH_NO,
    TAIL_MATCH_YES,
    TAIL_MATCH_OPEN /* ask again: it cannot be read now (errno), or a packed file is not whole yet (0) */
};

/* Whether the file holds what the mark was made from. A mark without any bytes behind it (offset 0) matches
 * every file. */
enum tail_match tail_mark_matches(const struct tail_mark *mark, int fd);
/* Whether the packed file begins with what the mark was made from. What lies just before the position is
 * checked when reading gets there. */
enum tail_match tail_mark_matches_packed(const struct tail_mark *mark, int fd);
/* Whether the packed file holds the plain one or its beginning, as far as TAIL_ALIKE_BYTES tell. */
enum tail_match tail_packed_is(int fd, int plain_fd);

struct tail {
    int fd;
    struct unpack *unpack; /* of a packed file, else NULL */
    bool placed;           /* unpack stands where `read` says */
    bool placing;          /* it is on the way there */
    bool given_up;         /* it is damaged: nothing more is read */
    const char *reason;    /* after TAIL_CUT and TAIL_DAMAGED */
    struct tail_mark mark; /* committed */
    /* of the pass under way */
    struct lines lines;
    unsigned char *bytes; /* up to TAIL_MARK_BYTES from before, then the chunk */
    size_t before, chunk;
    unsigned char first[TAIL_MARK_BYTES]; /* the file's first bytes, as far as read from its start */
    uint64_t read, pass_bytes;
    uint64_t noted;        /* end of the last line handed out */
    struct tail_mark next; /* what `mark` becomes when that line is committed */
    /* what fstat said when the last pass reached the end: an unchanged file is not read */
    uint64_t seen_size;
    struct timespec seen_time;
    bool seen;
};

/* What tells files apart, and when one was last written. */
struct tail_identity {
    bool regular;
    uint64_t inode;
    int64_t born_ns; /* 0: the file system does not say */
    int64_t modified_ns;
};

/* Of a name in the folder, links not followed; name NULL: of the open file fd itself. false: it does not say
 * (errno). */
bool tail_identify(int fd, const char *name, struct tail_identity *out);

/* Opens a path for reading: never blocks on a FIFO. Returns the descriptor, or -1 with errno; EINVAL: not a
 * regular file. */
int tail_open_path(int folder_fd, const char *path, struct stat *status);

/* Takes fd over; begins at offset 0 with a new id, or at *mark. packed: the file is gzip or zstd. -1: out of
 * memory (fd is closed). */
int tail_init(struct tail *tail, int fd, const struct tail_mark *mark, bool packed);
void tail_fini(struct tail *tail);

/* Moves the position to the end of the last whole line there is now (--from end). 0 or -1. */
int tail_seek_end(struct tail *tail);

/* Forgets the file's contents: it was truncated. Begins at 0 with a new id. */
void tail_reset(struct tail *tail);
/* Goes back to another mark of the same file. */
void tail_rewind(struct tail *tail, const struct tail_mark *mark);

enum tail_status {
    TAIL_LINE,
    TAIL_LONG,      /* a line over the limit has ended */
    TAIL_END,       /* everything there is now was handed out */
    TAIL_PAUSE,     /* TAIL_PASS_BYTES read: there is more */
    TAIL_TRUNCATED, /* the bytes before the position are not what they were */
    TAIL_CUT,     /* a packed file ends too early: it is being written, or cut for good; see tail_give_up() */
    TAIL_DAMAGED, /* a packed file cannot be read any further, and will not be tried again */
    TAIL_ERROR    /* errno */
};

/* Begins a pass at the committed position. TAIL_END: nothing has changed since the last one; TAIL_LINE: go on
 * with tail_next(). TAIL_PAUSE: a packed file is on the way to the position: call again. */
enum tail_status tail_begin(struct tail *tail);
enum tail_status tail_next(struct tail *tail, struct text *line);
/* After TAIL_END, of a file that will not grow any more: its unterminated last line. */
enum tail_status tail_last(struct tail *tail, struct text *line);
/* After TAIL_CUT of a file that nobody writes any more: what there is was all. */
void tail_give_up(struct tail *tail);

/* The mark behind the last line handed out: what to store together with it. After TAIL_END or TAIL_PAUSE it
 * may also have moved inside a line over the limit. */
const struct tail_mark *tail_next_mark(struct tail *tail);
/* It is committed. */
void tail_committed(struct tail *tail);

/* Bytes of the file (of a packed one: compressed) that have been read. Grows as long as there is progress. */
uint64_t tail_taken_bytes(const struct tail *tail);
/* Bytes that wait to be taken in. A last line without its newline is read, and waits for its writer: it does
 * not count. */
uint64_t tail_lag_bytes(const struct tail *tail);

#endif
