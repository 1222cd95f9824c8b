/* tail.c - one regular file, read line by line from where its committed position says.
 *
 * Place on the route: inside the file source. Owns the descriptor. The file source's thread. Never touches
 * ingest: the callers commit.
 *
 * Each read begins up to 1 KiB before the next byte, so that the same call that brings new bytes shows
 * whether the ones before them still stand: between a check and a separate read the file could be truncated.
 */
#include "tail.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define NANOSECONDS    INT64_C(1000000000)
#define STORED_VERSION 1u

/* FNV-1a: it is stored, so it must be the same in every build. */
static uint64_t stored_hash(const unsigned char *bytes, size_t len_bytes)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < len_bytes; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t new_id(void)
{
    static uint64_t fallback;
    uint64_t id;

    return getrandom(&id, sizeof(id), GRND_NONBLOCK) == (ssize_t)sizeof(id) ? id : ++fallback;
}

/* ---- marks ---- */

static void put(unsigned char **at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *(*at)++ = (unsigned char)(value >> (8 * i));
}

static uint64_t get(const unsigned char **at, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t) * (*at)++ << (8 * i);
    return value;
}

/* Both hashes cover as much as there is before the position, up to the limit. */
static uint16_t mark_len(uint64_t offset)
{
    return (uint16_t)(offset < TAIL_MARK_BYTES ? offset : TAIL_MARK_BYTES);
}

void tail_mark_store(const struct tail_mark *mark, unsigned char out[TAIL_STORED_BYTES])
{
    unsigned char *at = out;

    memset(out, 0, TAIL_STORED_BYTES);
    put(&at, STORED_VERSION, 1);
    put(&at, mark->skipping, 1);
    put(&at, mark->first_len, 2);
    put(&at, mark->last_len, 2);
    at += 2;
    put(&at, mark->id, 8);
    put(&at, mark->offset, 8);
    put(&at, mark->first_hash, 8);
    put(&at, mark->last_hash, 8);
    put(&at, mark->inode, 8);
    put(&at, (uint64_t)mark->born_ns, 8);
    put(&at, (uint64_t)mark->since_ns, 8);
}

bool tail_mark_load(const unsigned char in[TAIL_STORED_BYTES], struct tail_mark *out)
{
    const unsigned char *at = in;
    uint64_t version = get(&at, 1), skipping = get(&at, 1);

    *out = (struct tail_mark){.skipping = skipping == 1};
    out->first_len = (uint16_t)get(&at, 2);
    out->last_len = (uint16_t)get(&at, 2);
    at += 2;
    out->id = get(&at, 8);
    out->offset = get(&at, 8);
    out->first_hash = get(&at, 8);
    out->last_hash = get(&at, 8);
    out->inode = get(&at, 8);
    out->born_ns = (int64_t)get(&at, 8);
    out->since_ns = (int64_t)get(&at, 8);
    return version == STORED_VERSION && skipping <= 1 && out->offset <= INT64_MAX &&
           out->first_len == mark_len(out->offset) && out->last_len == mark_len(out->offset);
}

/* false: an error, or the file is shorter; errno is 0 then. */
static bool read_hash(int fd, uint64_t offset, size_t len_bytes, uint64_t *hash)
{
    unsigned char bytes[TAIL_MARK_BYTES];

    assert(len_bytes <= sizeof(bytes));
    errno = 0;
    if (pread(fd, bytes, len_bytes, (off_t)offset) != (ssize_t)len_bytes)
        return false;
    *hash = stored_hash(bytes, len_bytes);
    return true;
}

static enum tail_match match_of(bool alike)
{
    return alike ? TAIL_MATCH_YES : TAIL_MATCH_NO;
}

enum tail_match tail_mark_matches(const struct tail_mark *mark, int fd)
{
    uint64_t first = 0, last = 0;

    if (!read_hash(fd, 0, mark->first_len, &first) ||
        !read_hash(fd, mark->offset - mark->last_len, mark->last_len, &last))
        return errno == 0 ? TAIL_MATCH_NO : TAIL_MATCH_OPEN;
    return match_of(first == mark->first_hash && last == mark->last_hash);
}

/* Fills bytes from unpack, as far as the file goes; *len_bytes of them. UNPACK_BYTES: all of them. */
static enum unpack_status unpack_fill(struct unpack *unpack, unsigned char *bytes, size_t cap,
                                      size_t *len_bytes)
{
    enum unpack_status status = UNPACK_BYTES;

    *len_bytes = 0;
    while (status == UNPACK_BYTES && *len_bytes < cap) {
        size_t n;

        status = unpack_read(unpack, bytes + *len_bytes, cap - *len_bytes, &n);
        *len_bytes += n;
    }
    return status;
}

/* Too little was there to tell: whether more may come. errno: 0 when it is the file that is not whole. */
static enum tail_match match_ended(enum unpack_status status)
{
    if (status == UNPACK_CUT)
        errno = 0;
    return status == UNPACK_CUT || status == UNPACK_ERROR ? TAIL_MATCH_OPEN : TAIL_MATCH_NO;
}

enum tail_match tail_mark_matches_packed(const struct tail_mark *mark, int fd)
{
    struct unpack *unpack = unpack_new();
    unsigned char bytes[TAIL_MARK_BYTES];
    enum unpack_status status;
    size_t n;

    if (unpack == NULL)
        return TAIL_MATCH_OPEN;
    unpack_begin(unpack, fd, true);
    status = unpack_fill(unpack, bytes, mark->first_len, &n);
    unpack_free(unpack);
    if (status != UNPACK_BYTES)
        return match_ended(status);
    return match_of(stored_hash(bytes, n) == mark->first_hash);
}

/* Whether the plain file holds the bytes at the offset. */
static bool plain_holds(int fd, uint64_t offset, const unsigned char *bytes, size_t len_bytes)
{
    unsigned char own[TAIL_MARK_BYTES];

    assert(len_bytes <= sizeof(own));
    return pread(fd, own, len_bytes, (off_t)offset) == (ssize_t)len_bytes &&
           memcmp(own, bytes, len_bytes) == 0;
}

enum tail_match tail_packed_is(int fd, int plain_fd)
{
    struct unpack *unpack = unpack_new();
    enum unpack_status status = UNPACK_BYTES;
    unsigned char bytes[TAIL_MARK_BYTES];
    uint64_t offset = 0;
    bool alike = true;

    if (unpack == NULL)
        return TAIL_MATCH_OPEN;
    unpack_begin(unpack, fd, true);
    while (status == UNPACK_BYTES && alike && offset < TAIL_ALIKE_BYTES) {
        size_t n;

        status = unpack_fill(unpack, bytes, sizeof(bytes), &n);
        alike = plain_holds(plain_fd, offset, bytes, n);
        offset += n;
    }
    unpack_free(unpack);
    return alike && offset == 0 ? match_ended(status) : match_of(alike);
}

/* ---- a file ---- */

int tail_open_path(int folder_fd, const char *path, struct stat *status)
{
    int fd = openat(folder_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return -1;
    errno = EINVAL;
    if (fstat(fd, status) != 0 || !S_ISREG(status->st_mode)) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

bool tail_identify(int fd, const char *name, struct tail_identity *out)
{
    struct statx status;

    *out = (struct tail_identity){0};
    if (statx(fd, name != NULL ? name : "", name != NULL ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH,
              STATX_TYPE | STATX_INO | STATX_MTIME | STATX_BTIME, &status) != 0)
        return false;
    out->regular = S_ISREG(status.stx_mode);
    out->inode = status.stx_ino;
    out->modified_ns = status.stx_mtime.tv_sec * NANOSECONDS + status.stx_mtime.tv_nsec;
    if (status.stx_mask & STATX_BTIME)
        out->born_ns = status.stx_btime.tv_sec * NANOSECONDS + status.stx_btime.tv_nsec;
    return true;
}

static void mark_identify(struct tail_mark *mark, int fd)
{
    struct tail_identity identity;

    (void)tail_identify(fd, NULL, &identity); /* all 0 then: nothing is concluded from it */
    mark->inode = identity.inode;
    mark->born_ns = identity.born_ns;
}

static void mark_begin(struct tail_mark *mark, int fd)
{
    struct timespec now;

    /* The clock of the files' times: a file made later has a greater one. */
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    *mark = (struct tail_mark){.id = new_id(), .since_ns = now.tv_sec * NANOSECONDS + now.tv_nsec};
    mark->first_hash = mark->last_hash = stored_hash(NULL, 0);
    mark_identify(mark, fd);
}

int tail_init(struct tail *tail, int fd, const struct tail_mark *mark, bool packed)
{
    int64_t born_ns = mark != NULL ? mark->born_ns : 0;

    *tail = (struct tail){.fd = fd, .reason = ""};
    tail->bytes = malloc(TAIL_MARK_BYTES + TAIL_CHUNK_BYTES);
    if (packed)
        tail->unpack = unpack_new();
    if (tail->bytes == NULL || (packed && tail->unpack == NULL)) {
        close(fd);
        tail->fd = -1;
        free(tail->bytes);
        unpack_free(tail->unpack);
        return -1;
    }
    lines_init(&tail->lines, 0);
    if (mark != NULL) {
        tail->mark = *mark;
        mark_identify(&tail->mark, fd); /* of the file as it is found now */
    } else {
        mark_begin(&tail->mark, fd);
    }
    if (packed && tail->mark.first_len > 0)
        tail->mark.born_ns = born_ns; /* of what it holds: the packed file was made later */
    tail->next = tail->mark;
    return 0;
}

void tail_fini(struct tail *tail)
{
    if (tail->fd < 0)
        return;
    close(tail->fd);
    tail->fd = -1;
    free(tail->bytes);
    unpack_free(tail->unpack);
    lines_fini(&tail->lines);
}

void tail_rewind(struct tail *tail, const struct tail_mark *mark)
{
    tail->mark = tail->next = *mark;
    tail->seen = tail->placed = tail->placing = false;
}

void tail_reset(struct tail *tail)
{
    struct tail_mark mark;

    mark_begin(&mark, tail->fd);
    tail_rewind(tail, &mark);
}

/* The last newline of the file, looked for backwards a KiB at a time: the rest of a line that is being
 * written is no line. */
static int last_line_end(int fd, uint64_t size, uint64_t *end)
{
    unsigned char bytes[TAIL_MARK_BYTES];

    while (size > 0) {
        size_t len_bytes = size < sizeof(bytes) ? (size_t)size : sizeof(bytes);
        const unsigned char *newline;

        if (pread(fd, bytes, len_bytes, (off_t)(size - len_bytes)) != (ssize_t)len_bytes)
            return -1;
        newline = memrchr(bytes, '\n', len_bytes);
        size -= len_bytes;
        if (newline != NULL) {
            *end = size + (uint64_t)(newline - bytes) + 1;
            return 0;
        }
    }
    *end = 0;
    return 0;
}

int tail_seek_end(struct tail *tail)
{
    struct tail_mark mark = tail->mark;
    struct stat status;

    if (fstat(tail->fd, &status) != 0 || last_line_end(tail->fd, (uint64_t)status.st_size, &mark.offset) != 0)
        return -1;
    mark.first_len = mark.last_len = mark_len(mark.offset);
    if (!read_hash(tail->fd, 0, mark.first_len, &mark.first_hash) ||
        !read_hash(tail->fd, mark.offset - mark.last_len, mark.last_len, &mark.last_hash))
        return -1;
    tail_rewind(tail, &mark);
    return 0;
}

/* ---- a pass ---- */

static bool unchanged(const struct tail *tail, const struct stat *status)
{
    return tail->seen && tail->seen_size == (uint64_t)status->st_size &&
           tail->seen_time.tv_sec == status->st_mtim.tv_sec &&
           tail->seen_time.tv_nsec == status->st_mtim.tv_nsec;
}

static enum tail_status give_up(struct tail *tail, const char *reason)
{
    lines_restart(&tail->lines, tail->noted); /* the line that the damage cut is no line */
    tail->given_up = true;
    tail->reason = reason;
    return TAIL_DAMAGED;
}

/* Why a packed file gave no bytes. At its end the pass is over; but for ENOMEM, which leaves the decoder
 * useless, the next pass goes on where this one stopped. */
static enum tail_status packed_stop(struct tail *tail, enum unpack_status status)
{
    switch (status) {
    case UNPACK_END:
        return TAIL_END;
    case UNPACK_CUT:
        tail->reason = unpack_reason(tail->unpack);
        return TAIL_CUT;
    case UNPACK_DAMAGED:
        return give_up(tail, unpack_reason(tail->unpack));
    default:
        if (errno == ENOMEM)
            tail->placed = tail->placing = false;
        return TAIL_ERROR;
    }
}

static void pass_start(struct tail *tail)
{
    lines_restart(&tail->lines, tail->mark.offset);
    tail->lines.too_long = tail->mark.skipping;
    tail->before = tail->chunk = 0;
    tail->read = tail->noted = tail->mark.offset;
    tail->next = tail->mark;
}

/* Goes through a packed file up to the bytes before the position, which then lie in the buffer as if they had
 * just been read. TAIL_LINE: it is there. */
static enum tail_status packed_place(struct tail *tail)
{
    uint64_t to = tail->mark.offset;
    enum unpack_status status = UNPACK_BYTES;

    if (!tail->placing) {
        unpack_begin(tail->unpack, tail->fd, true);
        pass_start(tail);
        tail->read = 0;
        tail->placing = true;
    }
    while (tail->read < to && tail->pass_bytes < TAIL_SKIP_BYTES) {
        uint64_t last = to - tail->mark.last_len,
                 left = tail->read < last ? last - tail->read : to - tail->read;
        size_t keep = tail->read < last ? 0 : (size_t)(tail->read - last), n;
        size_t cap = left < TAIL_CHUNK_BYTES ? (size_t)left : TAIL_CHUNK_BYTES;

        status = unpack_read(tail->unpack, tail->bytes + keep, cap, &n);
        if (status != UNPACK_BYTES)
            break;
        tail->read += n;
        tail->pass_bytes += n;
    }
    if (status == UNPACK_END)
        return give_up(tail, "it is shorter than what was read of it before");
    if (status != UNPACK_BYTES)
        return packed_stop(tail, status);
    if (tail->read < to)
        return TAIL_PAUSE;
    if (stored_hash(tail->bytes, tail->mark.last_len) != tail->mark.last_hash)
        return give_up(tail, "it does not hold what was read of it before");
    if (to <= TAIL_MARK_BYTES)
        memcpy(tail->first, tail->bytes, (size_t)to);
    tail->chunk = tail->mark.last_len;
    tail->placed = true;
    tail->placing = false;
    return TAIL_LINE;
}

static enum tail_status packed_begin(struct tail *tail)
{
    tail->pass_bytes = 0;
    if (tail->given_up)
        return TAIL_END;
    return tail->placed ? TAIL_LINE : packed_place(tail);
}

enum tail_status tail_begin(struct tail *tail)
{
    struct stat status;

    if (tail->unpack != NULL)
        return packed_begin(tail);
    if (fstat(tail->fd, &status) != 0)
        return TAIL_ERROR;
    if ((uint64_t)status.st_size < tail->mark.offset)
        return TAIL_TRUNCATED;
    if (unchanged(tail, &status))
        return TAIL_END;
    /* What was seen is noted before reading: what comes while we read is seen next time. */
    tail->seen_size = (uint64_t)status.st_size;
    tail->seen_time = status.st_mtim;
    tail->seen = false;
    tail->pass_bytes = 0;
    pass_start(tail);
    return TAIL_LINE;
}

/* The mark for an offset whose preceding bytes are in the buffer. */
static void mark_move(struct tail *tail, uint64_t offset, bool skipping)
{
    const uint64_t buffer_start = tail->read - tail->chunk - tail->before;
    struct tail_mark *mark = &tail->next;
    size_t at = (size_t)(offset - buffer_start);

    assert(offset >= buffer_start && offset <= tail->read);
    if (offset == mark->offset && skipping == mark->skipping)
        return;
    if (mark->first_len < mark_len(offset)) {
        mark->first_len = mark_len(offset);
        mark->first_hash = stored_hash(tail->first, mark->first_len);
    }
    mark->last_len = mark_len(offset);
    assert(at >= mark->last_len);
    mark->last_hash = stored_hash(tail->bytes + at - mark->last_len, mark->last_len);
    mark->offset = offset;
    mark->skipping = skipping;
}

const struct tail_mark *tail_next_mark(struct tail *tail)
{
    if (tail->noted != tail->next.offset)
        mark_move(tail, tail->noted, false);
    return &tail->next;
}

void tail_committed(struct tail *tail)
{
    tail->mark = tail->next;
}

/* Whether the bytes before the next one are still those that were read. At the start of a pass only their
 * hash is known. */
static bool before_stands(const struct tail *tail, size_t before, const unsigned char *kept, bool first)
{
    if (first)
        return stored_hash(tail->bytes, before) == tail->mark.last_hash;
    return memcmp(tail->bytes, kept, before) == 0;
}

/* Takes n bytes in that lie behind the `before` ones in the buffer. */
static void chunk_take(struct tail *tail, size_t before, size_t n)
{
    tail->before = before;
    tail->chunk = n;
    tail->read += n;
    tail->pass_bytes += n;
    if (tail->read == before + n) /* the buffer begins where the file does */
        memcpy(tail->first, tail->bytes, mark_len(tail->read));
    lines_feed(&tail->lines, (const char *)tail->bytes + before, n);
}

/* The next chunk of a packed file: what was read before stands, as nobody can change it. */
static enum tail_status packed_chunk_read(struct tail *tail)
{
    size_t held = tail->before + tail->chunk, n;
    size_t before = held < TAIL_MARK_BYTES ? held : TAIL_MARK_BYTES;
    enum unpack_status status;

    memmove(tail->bytes, tail->bytes + held - before, before);
    tail->before = before;
    tail->chunk = 0;
    status = unpack_read(tail->unpack, tail->bytes + before, TAIL_CHUNK_BYTES, &n);
    if (status != UNPACK_BYTES)
        return packed_stop(tail, status);
    chunk_take(tail, before, n);
    return TAIL_LINE;
}

/* Reads the next chunk. The first `before` bytes of the buffer repeat the ones before it. */
static enum tail_status chunk_read(struct tail *tail)
{
    unsigned char kept[TAIL_MARK_BYTES];
    bool first = tail->before + tail->chunk == 0;
    size_t held = tail->before + tail->chunk;
    size_t before = first ? tail->mark.last_len : held < TAIL_MARK_BYTES ? held : TAIL_MARK_BYTES;
    ssize_t n;

    if (!first)
        memcpy(kept, tail->bytes + held - before, before);
    n = pread(tail->fd, tail->bytes, before + TAIL_CHUNK_BYTES, (off_t)(tail->read - before));
    if (n < 0)
        return TAIL_ERROR;
    if ((size_t)n < before || !before_stands(tail, before, kept, first))
        return TAIL_TRUNCATED;
    chunk_take(tail, before, (size_t)n - before);
    return tail->chunk == 0 ? TAIL_END : TAIL_LINE;
}

/* At the end of a pass inside a line over the limit, the position moves along: it is never read again. */
static enum tail_status pass_end(struct tail *tail, enum tail_status status)
{
    if (tail->lines.too_long)
        mark_move(tail, tail->read, true);
    else
        tail_next_mark(tail);
    tail->noted = tail->next.offset;
    tail->seen = status == TAIL_END;
    return status;
}

static enum tail_status pass_go_on(struct tail *tail)
{
    enum tail_status status;

    if (tail->pass_bytes >= TAIL_PASS_BYTES)
        return pass_end(tail, TAIL_PAUSE);
    tail_next_mark(tail); /* while the bytes it is made from are in the buffer */
    status = tail->unpack != NULL ? packed_chunk_read(tail) : chunk_read(tail);
    return status == TAIL_END || status == TAIL_CUT ? pass_end(tail, status) : status;
}

enum tail_status tail_next(struct tail *tail, struct text *line)
{
    for (;;) {
        enum tail_status status;

        switch (lines_next(&tail->lines, line, &tail->noted)) {
        case LINES_LINE:
            return TAIL_LINE;
        case LINES_LONG:
            return TAIL_LONG;
        case LINES_MEMORY:
            tail->placed = false; /* the partial line is to be read again */
            errno = ENOMEM;
            return TAIL_ERROR;
        case LINES_NONE:
            break;
        }
        status = pass_go_on(tail);
        if (status != TAIL_LINE)
            return status;
    }
}

enum tail_status tail_last(struct tail *tail, struct text *line)
{
    switch (lines_last(&tail->lines, line, &tail->noted)) {
    case LINES_LINE:
        return TAIL_LINE;
    case LINES_LONG:
        return TAIL_LONG;
    default:
        return TAIL_END;
    }
}

void tail_give_up(struct tail *tail)
{
    give_up(tail, tail->reason);
}

uint64_t tail_taken_bytes(const struct tail *tail)
{
    return tail->unpack != NULL ? unpack_taken_bytes(tail->unpack) : tail->mark.offset;
}

uint64_t tail_lag_bytes(const struct tail *tail)
{
    uint64_t taken = tail->unpack != NULL || !tail->seen ? tail_taken_bytes(tail) : tail->read;
    struct stat status;

    if (tail->given_up)
        return 0;
    if (tail->fd < 0 || fstat(tail->fd, &status) != 0 || (uint64_t)status.st_size < taken)
        return 0;
    return (uint64_t)status.st_size - taken;
}
