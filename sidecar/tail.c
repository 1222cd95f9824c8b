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

static bool read_hash(int fd, uint64_t offset, size_t len_bytes, uint64_t *hash)
{
    unsigned char bytes[TAIL_MARK_BYTES];

    assert(len_bytes <= sizeof(bytes));
    if (pread(fd, bytes, len_bytes, (off_t)offset) != (ssize_t)len_bytes)
        return false;
    *hash = stored_hash(bytes, len_bytes);
    return true;
}

bool tail_mark_matches(const struct tail_mark *mark, int fd)
{
    uint64_t first, last;

    return read_hash(fd, 0, mark->first_len, &first) && first == mark->first_hash &&
           read_hash(fd, mark->offset - mark->last_len, mark->last_len, &last) && last == mark->last_hash;
}

/* ---- a file ---- */

int tail_open_path(int folder_fd, const char *path, struct stat *status)
{
    int fd = openat(folder_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return -1;
    if (fstat(fd, status) != 0 || !S_ISREG(status->st_mode)) {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    return fd;
}

static void mark_identify(struct tail_mark *mark, int fd)
{
    struct statx status;

    mark->inode = 0;
    mark->born_ns = 0;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &status) != 0)
        return;
    mark->inode = status.stx_ino;
    if (status.stx_mask & STATX_BTIME)
        mark->born_ns = status.stx_btime.tv_sec * 1000000000 + status.stx_btime.tv_nsec;
}

static void mark_begin(struct tail_mark *mark, int fd)
{
    struct timespec now;

    /* The clock of the files' times: a file made later has a greater one. */
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    *mark = (struct tail_mark){.id = new_id(), .since_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec};
    mark->first_hash = mark->last_hash = stored_hash(NULL, 0);
    mark_identify(mark, fd);
}

int tail_init(struct tail *tail, int fd, const struct tail_mark *mark)
{
    *tail = (struct tail){.fd = fd};
    tail->bytes = malloc(TAIL_MARK_BYTES + TAIL_CHUNK_BYTES);
    if (tail->bytes == NULL) {
        close(fd);
        tail->fd = -1;
        return -1;
    }
    lines_init(&tail->lines, 0);
    if (mark != NULL) {
        tail->mark = *mark;
        mark_identify(&tail->mark, fd); /* of the file as it is found now */
    } else {
        mark_begin(&tail->mark, fd);
    }
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
    lines_fini(&tail->lines);
}

void tail_rewind(struct tail *tail, const struct tail_mark *mark)
{
    tail->mark = tail->next = *mark;
    tail->seen = false;
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

enum tail_status tail_begin(struct tail *tail)
{
    struct stat status;

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
    lines_restart(&tail->lines, tail->mark.offset);
    tail->lines.too_long = tail->mark.skipping;
    tail->before = tail->chunk = 0;
    tail->read = tail->noted = tail->mark.offset;
    tail->pass_bytes = 0;
    tail->next = tail->mark;
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
    tail->before = before;
    tail->chunk = (size_t)n - before;
    tail->read += tail->chunk;
    tail->pass_bytes += tail->chunk;
    if (tail->read == (uint64_t)n) /* the buffer begins where the file does */
        memcpy(tail->first, tail->bytes, mark_len((uint64_t)n));
    if (tail->chunk == 0)
        return TAIL_END;
    lines_feed(&tail->lines, (const char *)tail->bytes + before, tail->chunk);
    return TAIL_LINE;
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
    status = chunk_read(tail);
    return status == TAIL_END ? pass_end(tail, TAIL_END) : status;
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

uint64_t tail_lag_bytes(const struct tail *tail)
{
    uint64_t taken = tail->seen ? tail->read : tail->mark.offset;
    struct stat status;

    if (tail->fd < 0 || fstat(tail->fd, &status) != 0 || (uint64_t)status.st_size < taken)
        return 0;
    return (uint64_t)status.st_size - taken;
}
