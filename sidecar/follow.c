/* follow.c - one event file of another program, followed over its rotations.
 *
 * Place on the route: inside the file source. Owns the open generations of one path. Never writes, renames or
 * deletes anything: the file is another program's.
 *
 * Value of the path's 'f' pair: one byte version, one byte count, then a tail mark for each generation,
 * oldest first.
 */
#include "follow.h"

#include "log.h"
#include "now.h"
#include "siblings.h"
#include "tail.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define VALUE_VERSION   1u
#define VALUE_MAX_BYTES (2u + FOLLOW_GENERATIONS_MAX * TAIL_STORED_BYTES)
#define KEY_MAX_BYTES   500u
#define NANOSECONDS     INT64_C(1000000000)

struct generation {
    struct tail tail;
    dev_t device;
    ino_t inode;
    int64_t quiet_since_ms; /* last growth, or when it was found */
};

struct follow {
    struct follow_context context;
    char *path, *folder;
    const char *name; /* in path */
    char key[KEY_MAX_BYTES + 1];
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

/* What cannot be looked at now may hold lines that come before others. Without descriptors or memory that
 * lasts as long as it lasts; for a file that cannot be read, or a packed one that is not whole (error 0), as
 * long as a compressor or a network file system may take. */
static void follow_doubt(struct follow *follow, int error)
{
    bool scarce = error == EMFILE || error == ENFILE || error == ENOMEM || error == EINTR || error == EAGAIN;

    if (!scarce && error != EIO && error != 0)
        return;
    if (scarce || !follow->in_doubt)
        follow->doubt_since_ms = follow->now_ms;
    follow->in_doubt = follow->doubted = true;
    if (scarce)
        log_raise(&follow->looking, LOG_LEVEL_WARNING, "%s: its folder cannot be searched: %s; trying again",
                  follow->path, strerror(error));
    if (follow->now_ms - follow->doubt_since_ms < FOLLOW_LAST_LINE_MS) {
        follow->waiting = true;
        follow->folder_time = (struct timespec){0};
    }
}

static void doubt_settle(struct follow *follow)
{
    if (follow->doubted)
        return;
    follow->in_doubt = false;
    log_clear(&follow->looking, "%s: its folder can be searched again", follow->path);
}

/* ---- positions ---- */

static size_t value_build(struct follow *follow, const struct generation *moving,
                          unsigned char out[VALUE_MAX_BYTES])
{
    unsigned char *at = out;

    *at++ = VALUE_VERSION;
    *at++ = (unsigned char)follow->count;
    for (size_t i = 0; i < follow->count; i++, at += TAIL_STORED_BYTES) {
        struct generation *file = follow->files[i];

        tail_mark_store(file == moving ? tail_next_mark(&file->tail) : &file->tail.mark, at);
    }
    return (size_t)(at - out);
}

/* Commits the context's first n observations together with the position of the generation they came from
 * (moving; NULL: the list of generations alone has changed). false: not committed, everything waits. */
static bool follow_commit(struct follow *follow, struct generation *moving, size_t n)
{
    unsigned char value[VALUE_MAX_BYTES];
    struct change_list positions;
    struct ingest_unit unit = {.road = ROAD_FILE, .positions = &positions};
    bool committed = false;

    change_list_init(&positions);
    if (change_list_put(&positions, follow->key, follow->key_len, value,
                        value_build(follow, moving, value))) {
        unit.observations = follow->context.observations;
        unit.observation_count = n;
        committed = ingest_take(follow->context.ingest, &unit, NULL) == INGEST_COMMITTED;
    }
    change_list_fini(&positions);
    contract_clear(follow->context.contract);
    if (committed && moving != NULL)
        tail_committed(&moving->tail);
    if (!committed && moving != NULL)
        moving->tail.seen = false; /* what was read is to be read again */
    follow->stalled = !committed;
    return committed;
}

static size_t value_load(struct follow *follow, struct tail_mark marks[FOLLOW_GENERATIONS_MAX])
{
    unsigned char value[VALUE_MAX_BYTES];
    size_t len_bytes =
        ingest_position(follow->context.ingest, follow->key, follow->key_len, value, sizeof(value));
    size_t count;

    if (len_bytes == 0)
        return 0;
    count = len_bytes >= 2 && value[0] == VALUE_VERSION ? value[1] : 0;
    if (count > FOLLOW_GENERATIONS_MAX || len_bytes != 2 + count * TAIL_STORED_BYTES)
        count = 0;
    for (size_t i = 0; i < count; i++)
        if (!tail_mark_load(value + 2 + i * TAIL_STORED_BYTES, &marks[i]))
            count = 0;
    if (count == 0)
        log_error("%s: its committed position cannot be read; the file is read from its start", follow->path);
    return count;
}

/* After a failed commit: nobody knew whether it was; now the state says so. */
static void follow_rewind(struct follow *follow)
{
    struct tail_mark marks[FOLLOW_GENERATIONS_MAX];
    size_t count = value_load(follow, marks);

    for (size_t i = 0; i < follow->count; i++) {
        struct tail *tail = &follow->files[i]->tail;
        struct tail_mark mark = tail->mark;

        for (size_t j = 0; j < count; j++)
            if (marks[j].id == mark.id)
                mark = marks[j];
        if (mark.since_ns < tail->mark.since_ns)
            mark.since_ns = tail->mark.since_ns; /* the copies found since are in the list */
        tail_rewind(tail, &mark);
    }
    follow->stalled = false;
}

/* ---- generations ---- */

static void generation_free(struct generation *file)
{
    tail_fini(&file->tail);
    free(file);
}

static struct generation *generation_new(struct follow *follow, int fd, const struct tail_mark *mark,
                                         bool packed)
{
    struct generation *file = calloc(1, sizeof(*file));
    struct stat status;

    if (file == NULL || fstat(fd, &status) != 0) {
        follow_doubt(follow, errno);
        close(fd);
        free(file);
        return NULL;
    }
    file->device = status.st_dev;
    file->inode = status.st_ino;
    file->quiet_since_ms = follow->now_ms;
    if (tail_init(&file->tail, fd, mark, packed) == 0)
        return file;
    follow_doubt(follow, ENOMEM);
    free(file);
    return NULL;
}

/* Takes fd over and puts it at index `at`. NULL: no room (follow->crowded), or a doubt; fd is closed. */
static struct generation *follow_add(struct follow *follow, size_t at, int fd, const struct tail_mark *mark,
                                     bool packed)
{
    struct generation *file;

    if (follow->count == FOLLOW_GENERATIONS_MAX) {
        follow->crowded = true;
        close(fd);
        return NULL;
    }
    file = generation_new(follow, fd, mark, packed);
    if (file == NULL)
        return NULL;
    memmove(&follow->files[at + 1], &follow->files[at], (follow->count - at) * sizeof(struct generation *));
    follow->files[at] = file;
    follow->count++;
    return file;
}

static void follow_drop(struct follow *follow, size_t at)
{
    struct generation *file = follow->files[at];

    if (follow->live == file)
        follow->live = NULL;
    memmove(&follow->files[at], &follow->files[at + 1],
            (follow->count - at - 1) * sizeof(struct generation *));
    follow->count--;
    generation_free(file);
}

static struct generation *follow_by_inode(const struct follow *follow, uint64_t inode)
{
    for (size_t i = 0; i < follow->count; i++)
        if (follow->files[i]->inode == inode)
            return follow->files[i];
    return NULL;
}

/* ---- siblings: rotated files beside the path ---- */

/* Opens it unless it is a generation already. -1: it is, or cannot be opened. */
static int follow_open_sibling(struct follow *follow, int folder_fd, struct sibling *sibling)
{
    int fd;

    if (follow_by_inode(follow, sibling->inode) != NULL)
        return -1;
    fd = sibling_open(folder_fd, sibling);
    if (fd < 0)
        follow_doubt(follow, errno);
    else if (follow_by_inode(follow, sibling->inode) == NULL) /* it was compressed since it was listed */
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Opens the sibling if it holds what the mark was made from. */
static int sibling_try(struct follow *follow, int folder_fd, struct sibling *sibling,
                       const struct tail_mark *mark)
{
    int fd = follow_open_sibling(follow, folder_fd, sibling);
    enum tail_match match;

    if (fd < 0)
        return -1;
    match = sibling->packed ? tail_mark_matches_packed(mark, fd) : tail_mark_matches(mark, fd);
    if (match == TAIL_MATCH_YES)
        return fd;
    if (match == TAIL_MATCH_OPEN)
        follow_doubt(follow, errno);
    close(fd);
    return -1;
}

/* When an open file was made (0: unknown) and last written. false: it does not say. */
static bool file_times(int fd, int64_t *born_ns, int64_t *modified_ns)
{
    struct statx status;

    *born_ns = *modified_ns = 0;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_MTIME | STATX_BTIME, &status) != 0)
        return false;
    *modified_ns = status.stx_mtime.tv_sec * NANOSECONDS + status.stx_mtime.tv_nsec;
    if (status.stx_mask & STATX_BTIME)
        *born_ns = status.stx_btime.tv_sec * NANOSECONDS + status.stx_btime.tv_nsec;
    return true;
}

/* Without a byte behind the mark only the time of birth tells that an inode was given to another file. */
static bool born_fits(const struct tail_mark *mark, int64_t born_ns)
{
    return mark->first_len > 0 || mark->born_ns == 0 || born_ns == 0 || mark->born_ns == born_ns;
}

/* What was last written before the marked file was made cannot hold it. Some compressors keep whole seconds
 * only. */
static bool packed_may_hold(const struct sibling *sibling, const struct tail_mark *mark)
{
    bool since = mark->first_len == 0 || mark->born_ns == 0 || mark->since_ns < mark->born_ns;
    int64_t from_ns = since ? mark->since_ns : mark->born_ns;

    return sibling->packed && sibling->modified_ns >= from_ns - from_ns % NANOSECONDS;
}

/* Opens the sibling that holds what the mark was made from. The inode decides between equals. Of packed
 * files, which have inodes of their own, the oldest that can be it is taken: those after it are read next.
 * -1: none. */
static int siblings_find(struct follow *follow, int folder_fd, struct sibling *siblings, size_t count,
                         const struct tail_mark *mark, bool *packed)
{
    size_t i = 0;
    int fd = -1;

    for (i = count; fd < 0 && i > 0; i--)
        if (siblings[i - 1].inode == mark->inode && born_fits(mark, siblings[i - 1].born_ns))
            fd = sibling_try(follow, folder_fd, &siblings[i - 1], mark);
    /* Without a byte behind the mark every plain file would match. */
    if (fd < 0 && mark->first_len > 0)
        for (i = count; fd < 0 && i > 0; i--)
            if (!siblings[i - 1].packed)
                fd = sibling_try(follow, folder_fd, &siblings[i - 1], mark);
    if (fd >= 0) {
        *packed = siblings[i].packed;
        return fd;
    }
    for (i = 0; fd < 0 && i < count; i++)
        if (packed_may_hold(&siblings[i], mark))
            fd = sibling_try(follow, folder_fd, &siblings[i], mark);
    *packed = true;
    return fd;
}

/* Whether a generation is this file before it was compressed, or after. */
static bool follow_has(struct follow *follow, int fd, bool packed)
{
    for (size_t i = 0; i < follow->count; i++) {
        const struct tail *tail = &follow->files[i]->tail;
        enum tail_match match = TAIL_MATCH_NO;

        if ((tail->unpack != NULL) != packed)
            match = packed ? tail_packed_is(fd, tail->fd) : tail_packed_is(tail->fd, fd);
        if (match == TAIL_MATCH_OPEN)
            follow_doubt(follow, errno);
        if (match != TAIL_MATCH_NO)
            return true;
    }
    return false;
}

/* Adds every sibling that came after the newest generation: it was born and written later. Stops where there
 * is no more room: the rest is found from the last one added. */
static void siblings_add_newer(struct follow *follow, int folder_fd, struct sibling *siblings, size_t count,
                               uint64_t live_inode)
{
    const struct tail *newest = &follow->files[follow->count - 1]->tail;
    int64_t born_ns, modified_ns;

    if (!file_times(newest->fd, &born_ns, &modified_ns))
        return;
    if (newest->unpack != NULL)
        born_ns = 0; /* when it was compressed */
    for (size_t i = 0; i < count && !follow->crowded && !follow->waiting; i++) {
        int fd;

        if (!siblings[i].rotated || siblings[i].modified_ns < modified_ns ||
            siblings[i].inode == live_inode ||
            (born_ns != 0 && !siblings[i].packed && siblings[i].born_ns != 0 &&
             siblings[i].born_ns <= born_ns))
            continue;
        fd = follow_open_sibling(follow, folder_fd, &siblings[i]);
        if (fd >= 0 && follow_has(follow, fd, siblings[i].packed))
            close(fd);
        else if (fd >= 0 && follow_add(follow, follow->count, fd, NULL, siblings[i].packed) != NULL)
            log_info("%s: reading the rotated %s first", follow->path, siblings[i].name);
    }
}

/* ---- finding out where the stored generations are ---- */

static int open_folder(const struct follow *follow)
{
    return open(follow->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void live_absent(struct follow *follow, int error)
{
    if (error == ENOENT || error == ENOTDIR)
        log_raise(&follow->missing, LOG_LEVEL_INFO, "%s is not there yet; waiting for it", follow->path);
    else
        log_raise(&follow->unreadable, LOG_LEVEL_WARNING, "%s cannot be read: %s; trying again", follow->path,
                  error == EINVAL ? "it is no regular file" : strerror(error));
    follow->live = NULL;
    follow->from_end = false; /* what comes later is new */
}

/* What finding out works with. */
struct search {
    int folder_fd, live_fd; /* -1: nothing at the path, or it has been taken */
    struct stat live;
    int64_t live_born_ns;
    struct sibling *siblings;
    size_t count;
};

/* The file at the path, when it is the one the mark was made from. The inode may differ (another machine's
 * copy), but not when a sibling has it. */
static bool live_matches(struct follow *follow, const struct search *search, const struct tail_mark *mark,
                         bool by_inode)
{
    enum tail_match match;

    if (search->live_fd < 0 ||
        (by_inode ? (uint64_t)search->live.st_ino != mark->inode || !born_fits(mark, search->live_born_ns)
                  : mark->first_len == 0))
        return false;
    match = tail_mark_matches(mark, search->live_fd);
    if (match == TAIL_MATCH_OPEN)
        follow_doubt(follow, errno);
    return match == TAIL_MATCH_YES;
}

static int find_generation(struct follow *follow, struct search *search, const struct tail_mark *mark,
                           bool *packed)
{
    int fd;

    *packed = false;
    if (!live_matches(follow, search, mark, true)) {
        fd = siblings_find(follow, search->folder_fd, search->siblings, search->count, mark, packed);
        if (fd >= 0 || !live_matches(follow, search, mark, false))
            return fd;
    }
    *packed = false;
    fd = search->live_fd;
    search->live_fd = -1;
    return fd;
}

/* Generations read before, where they are now; then those that came after the newest of them. */
static void search_generations(struct follow *follow, struct search *search, const struct tail_mark *marks,
                               size_t stored)
{
    uint64_t live_inode = search->live_fd >= 0 ? (uint64_t)search->live.st_ino : 0;
    bool gone[FOLLOW_GENERATIONS_MAX];

    for (size_t i = 0; i < stored && !follow->waiting; i++) {
        bool had_live = search->live_fd >= 0, packed;
        int fd = find_generation(follow, search, &marks[i], &packed);
        struct generation *file = fd >= 0 ? follow_add(follow, follow->count, fd, &marks[i], packed) : NULL;

        gone[i] = file == NULL;
        if (had_live && search->live_fd < 0)
            follow->live = file;
    }
    if (follow->count > 0 && follow->live == NULL && !follow->waiting)
        siblings_add_newer(follow, search->folder_fd, search->siblings, search->count, live_inode);
    for (size_t i = 0; i < stored && !follow->waiting; i++)
        if (gone[i])
            log_warning(
                "%s: a rotated file that was read up to byte %llu is gone; what followed there is not "
                "counted",
                follow->path, (unsigned long long)marks[i].offset);
}

/* false: something is missing that may be there later; nothing is concluded. */
static bool search_open(struct follow *follow, struct search *search)
{
    int64_t modified_ns;

    search->live_fd = -1;
    search->siblings = NULL;
    search->folder_fd = open_folder(follow);
    if (search->folder_fd < 0)
        return false; /* the folder may come back, with the files in it */
    search->siblings = siblings_list(search->folder_fd, follow->name, true, &search->count);
    if (search->siblings == NULL) {
        follow_doubt(follow, errno);
        return false;
    }
    search->live_fd = tail_open_path(search->folder_fd, follow->name, &search->live);
    if (search->live_fd >= 0) {
        file_times(search->live_fd, &search->live_born_ns, &modified_ns);
        return true;
    }
    if (errno == ENOENT || errno == EINVAL)
        return true;
    live_absent(follow, errno); /* it may be the file that was read: known when it can be read again */
    return false;
}

/* Finds the stored generations again. When something could not be looked at, the next tick tries again. */
static void follow_find_out(struct follow *follow)
{
    struct tail_mark marks[FOLLOW_GENERATIONS_MAX];
    size_t stored = value_load(follow, marks);
    struct search search = {.folder_fd = -1, .live_fd = -1};

    follow->found_out = stored == 0;
    if (stored > 0 && search_open(follow, &search)) {
        search_generations(follow, &search, marks, stored);
        follow->found_out = !follow->waiting;
        follow->from_end = false; /* the path is known: what is new here is read from its start */
    }
    while (!follow->found_out && follow->count > 0)
        follow_drop(follow, 0);
    if (search.live_fd >= 0)
        close(search.live_fd);
    if (search.folder_fd >= 0)
        close(search.folder_fd);
    free(search.siblings);
}

static bool folder_changed(struct follow *follow, int folder_fd)
{
    struct stat status;
    bool changed;

    if (fstat(folder_fd, &status) != 0)
        return true;
    changed = status.st_mtim.tv_sec != follow->folder_time.tv_sec ||
              status.st_mtim.tv_nsec != follow->folder_time.tv_nsec;
    follow->folder_time = status.st_mtim;
    return changed;
}

/* ---- the file at the path ---- */

static void live_take(struct follow *follow, int fd)
{
    struct generation *file = follow_add(follow, follow->count, fd, NULL, false);

    if (file == NULL)
        return;
    if (follow->from_end && tail_seek_end(&file->tail) != 0) {
        follow_doubt(follow, errno);
        if (follow->waiting) {
            follow_drop(follow, follow->count - 1);
            return;
        }
        log_warning("%s: cannot find its end: %s; read from its start", follow->path, strerror(errno));
    }
    follow->live = file;
    follow_commit(follow, NULL, 0);
}

/* The newest generation is no longer at the path: those that came and went since are read before what is
 * there now (live_inode; 0: nothing). */
static void missed_look(struct follow *follow, uint64_t live_inode)
{
    int folder_fd = follow->count > 0 ? open_folder(follow) : -1;
    struct sibling *siblings = NULL;
    size_t count = 0;

    if (folder_fd < 0) {
        if (follow->count > 0)
            follow_doubt(follow, errno);
        return;
    }
    if (folder_changed(follow, folder_fd) || live_inode != 0) {
        siblings = siblings_list(folder_fd, follow->name, false, &count);
        if (siblings == NULL)
            follow_doubt(follow, errno);
    }
    if (siblings != NULL)
        siblings_add_newer(follow, folder_fd, siblings, count, live_inode);
    if (follow->crowded)
        follow->folder_time = (struct timespec){0}; /* look again when there is room */
    free(siblings);
    close(folder_fd);
}

static bool is_file(const struct generation *file, const struct stat *status)
{
    return file->inode == status->st_ino && file->device == status->st_dev;
}

static struct generation *follow_by_status(const struct follow *follow, const struct stat *status)
{
    for (size_t i = 0; i < follow->count; i++)
        if (is_file(follow->files[i], status))
            return follow->files[i];
    return NULL;
}

static void live_found(struct follow *follow, int fd, const struct stat *status)
{
    struct generation *known = follow_by_status(follow, status);

    log_clear(&follow->missing, "%s is there now", follow->path);
    log_clear(&follow->unreadable, "%s can be read again", follow->path);
    if (known != NULL) {
        follow->live = known;
        close(fd);
        return;
    }
    missed_look(follow, (uint64_t)status->st_ino);
    if (follow->crowded || follow->waiting)
        close(fd); /* its turn comes when those before it are read */
    else
        live_take(follow, fd);
}

static void live_refresh(struct follow *follow)
{
    struct stat status;
    int fd, error;

    if (follow->live != NULL && stat(follow->path, &status) == 0 && is_file(follow->live, &status))
        return;
    fd = tail_open_path(AT_FDCWD, follow->path, &status);
    error = errno;
    if (fd < 0)
        follow_doubt(follow, error);
    if (follow->waiting)
        return; /* nobody knows what is there now */
    if (follow->live != NULL)
        follow->live->quiet_since_ms = follow->now_ms; /* its time as a rotated file begins */
    if (fd >= 0) {
        live_found(follow, fd, &status);
        return;
    }
    live_absent(follow, error);
    missed_look(follow, 0);
}

/* ---- reading ---- */

/* Whether the file begins as the one at the path does, as far as both go: a copy of what is still to be
 * read. */
static bool begins_alike(struct follow *follow, int fd, bool packed)
{
    unsigned char bytes[TAIL_MARK_BYTES], live[TAIL_MARK_BYTES];
    ssize_t n, live_n, both;

    if (packed) /* the file at the path is one of the generations */
        return follow_has(follow, fd, packed);
    n = pread(fd, bytes, sizeof(bytes), 0);
    live_n = pread(follow->live->tail.fd, live, sizeof(live), 0);
    if (n < 0 || live_n < 0)
        follow_doubt(follow, errno);
    both = n < live_n ? n : live_n;
    return n < 0 || live_n < 0 || (both > 0 && memcmp(bytes, live, (size_t)both) == 0);
}

/* At offset 0 nothing shows that the file was filled, copied and truncated since the last look, but the copy:
 * a sibling made since then that is not a copy of what the file holds now. */
static void copies_find(struct follow *follow, int folder_fd)
{
    struct generation *live = follow->live;
    size_t count = 0, at = 0;
    struct sibling *siblings = siblings_list(folder_fd, follow->name, false, &count);

    if (siblings == NULL)
        follow_doubt(follow, errno);
    while (follow->files[at] != live)
        at++;
    for (size_t i = 0; siblings != NULL && i < count && !follow->crowded && !follow->waiting; i++) {
        int fd;

        if (sibling_made_ns(&siblings[i]) <= live->tail.mark.since_ns)
            continue;
        fd = follow_open_sibling(follow, folder_fd, &siblings[i]);
        if (fd >= 0 && begins_alike(follow, fd, siblings[i].packed)) {
            close(fd);
        } else if (fd >= 0 && follow_add(follow, at, fd, NULL, siblings[i].packed) != NULL) {
            live->tail.mark.since_ns = sibling_made_ns(&siblings[i]); /* it is never found a second time */
            at++;
        }
    }
    if (follow->crowded)
        follow->folder_time = (struct timespec){0}; /* look again when there is room */
    free(siblings);
}

static void copies_look(struct follow *follow)
{
    int folder_fd;

    if (follow->live == NULL || follow->live->tail.mark.offset > 0 || follow->crowded || follow->waiting)
        return;
    folder_fd = open_folder(follow);
    if (folder_fd < 0) {
        follow_doubt(follow, errno);
        return;
    }
    if (folder_changed(follow, folder_fd))
        copies_find(follow, folder_fd);
    close(folder_fd);
}

/* The part after a truncation that a copy may still hold (copytruncate): read before the file's new contents,
 * from index `at`. Copies made after that one hold what came and went since: copies_find() takes them in.
 * Returns when the copy was made, 0 when there is none. */
static int64_t truncated_find_copy(struct follow *follow, const struct tail_mark *mark, size_t at)
{
    size_t count = 0;
    int folder_fd = open_folder(follow), fd = -1;
    struct sibling *siblings = folder_fd >= 0 ? siblings_list(folder_fd, follow->name, true, &count) : NULL;
    struct generation *copy = NULL;
    int64_t made_ns = 0;
    bool packed = false;

    if (siblings == NULL)
        follow_doubt(follow, errno);
    else if (mark->first_len > 0)
        fd = siblings_find(follow, folder_fd, siblings, count, mark, &packed);
    if (fd >= 0 && !follow->waiting)
        copy = follow_add(follow, at, fd, mark, packed);
    else if (fd >= 0)
        close(fd);
    for (size_t i = 0; copy != NULL && i < count; i++)
        if (siblings[i].inode == copy->inode)
            made_ns = sibling_made_ns(&siblings[i]);
    free(siblings);
    if (folder_fd >= 0)
        close(folder_fd);
    return made_ns;
}

/* Only once the copy is found, or is known not to be there, the position is given up. */
static void follow_truncated(struct follow *follow, struct generation *file)
{
    struct tail_mark before = file->tail.mark;
    int64_t copied_ns;
    size_t at = 0;

    while (follow->files[at] != file)
        at++;
    if (follow->count == FOLLOW_GENERATIONS_MAX && at > 0) {
        follow_drop(follow, 0); /* read to its end: those before this one are */
        at--;
    }
    copied_ns = truncated_find_copy(follow, &before, at);
    if (follow->waiting)
        return;
    log_info("%s was truncated at byte %llu; it is read from its start", follow->path,
             (unsigned long long)before.offset);
    tail_reset(&file->tail);
    if (copied_ns != 0)
        file->tail.mark.since_ns = copied_ns;
    follow->folder_time = (struct timespec){0};
    follow_commit(follow, NULL, 0);
}

static bool moved(struct generation *file)
{
    const struct tail_mark *next = tail_next_mark(&file->tail);

    return next->offset != file->tail.mark.offset || next->skipping != file->tail.mark.skipping;
}

/* One pass over a generation. Returns how it ended; follow->stalled when a commit failed. */
static enum tail_status follow_pass(struct follow *follow, struct generation *file)
{
    struct observation *observations = follow->context.observations;
    int64_t processed_ns = now_utc_ns();
    enum tail_status status = tail_begin(&file->tail);
    struct text line;
    size_t n = 0;

    if (status != TAIL_LINE)
        return status;
    while ((status = tail_next(&file->tail, &line)) == TAIL_LINE || status == TAIL_LONG) {
        if (status == TAIL_LONG)
            contract_long_line(follow->context.contract, processed_ns, &observations[n++]);
        else
            n += contract_line(follow->context.contract, line.bytes, line.len_bytes, processed_ns,
                               &observations[n]);
        if (n == FOLLOW_UNIT_LINES && !follow_commit(follow, file, n))
            return TAIL_ERROR;
        if (n == FOLLOW_UNIT_LINES) {
            n = 0;
            processed_ns = now_utc_ns();
        }
    }
    if ((n > 0 || moved(file)) && !follow_commit(follow, file, n))
        return TAIL_ERROR;
    return status;
}

/* Where the file lies now, for a message. */
static void generation_name(const struct generation *file, char *out, size_t cap)
{
    char link[64];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", file->tail.fd);
    n = readlink(link, out, cap - 1);
    out[n > 0 ? n : 0] = '\0';
}

static void follow_damaged(struct follow *follow, const struct generation *file)
{
    char name[512];

    follow->damaged_total++;
    generation_name(file, name, sizeof(name));
    log_error(
        "%s: the rotated %s is damaged: %s. It was counted up to byte %llu of its contents, the rest is "
        "not. Repair it or fetch an intact copy; `ailive replay` shows what that holds",
        follow->path, name, file->tail.reason, (unsigned long long)file->tail.mark.offset);
}

static void follow_cannot_read(struct follow *follow, const struct generation *file, int error)
{
    log_raise(&follow->failing, LOG_LEVEL_ERROR, "%s cannot be read at byte %llu: %s; trying again",
              follow->path, (unsigned long long)file->tail.mark.offset, strerror(error));
}

/* Reads one generation as far as it goes. Returns whether it is at its end. */
static bool follow_read(struct follow *follow, struct generation *file, bool *more)
{
    uint64_t taken = tail_taken_bytes(&file->tail);
    enum tail_status status = follow_pass(follow, file);
    int error = errno;

    if (tail_taken_bytes(&file->tail) != taken)
        file->quiet_since_ms = follow->now_ms;
    if (follow->stalled)
        return false;
    if (status == TAIL_CUT && follow->now_ms - file->quiet_since_ms >= FOLLOW_LAST_LINE_MS) {
        tail_give_up(&file->tail);
        status = TAIL_DAMAGED;
    }
    if (status == TAIL_TRUNCATED)
        follow_truncated(follow, file);
    if (status == TAIL_DAMAGED)
        follow_damaged(follow, file);
    if (status == TAIL_ERROR)
        follow_cannot_read(follow, file, error);
    else
        log_clear(&follow->failing, "%s can be read again", follow->path);
    *more = *more || status == TAIL_PAUSE || (status == TAIL_TRUNCATED && !follow->waiting);
    return status == TAIL_END || status == TAIL_DAMAGED;
}

/* A rotated file that has been quiet: its unterminated last line is a line. */
static void follow_last_line(struct follow *follow, struct generation *file)
{
    struct observation *observation = &follow->context.observations[0];
    struct text line;
    enum tail_status status = tail_last(&file->tail, &line);
    size_t n = 1;

    if (status == TAIL_LONG)
        contract_long_line(follow->context.contract, now_utc_ns(), observation);
    else if (status == TAIL_LINE)
        n = contract_line(follow->context.contract, line.bytes, line.len_bytes, now_utc_ns(), observation);
    else
        return;
    follow_commit(follow, file, n);
}

/* How long a rotated file must have been quiet before it is let go: less when there are many. */
static int64_t drain_ms(const struct follow *follow, const struct generation *file)
{
    if (follow->count == FOLLOW_GENERATIONS_MAX)
        return 0;
    if (follow->count > FOLLOW_GENERATIONS_MAX / 2)
        return 1000;
    return file->tail.unpack != NULL ? FOLLOW_LAST_LINE_MS : FOLLOW_DRAIN_MS;
}

/* Lets rotated files go that nobody writes any more. All of them are at their end. Returns whether there is
 * room now. */
static bool follow_drain(struct follow *follow)
{
    bool dropped = false;

    for (size_t i = 0; i < follow->count && !follow->stalled;) {
        struct generation *file = follow->files[i];
        int64_t quiet_ms = follow->now_ms - file->quiet_since_ms;
        bool go = quiet_ms >= drain_ms(follow, file);

        if (file == follow->live || file == follow->files[follow->count - 1] ||
            (!go && quiet_ms < FOLLOW_LAST_LINE_MS)) {
            i++;
            continue;
        }
        follow_last_line(follow, file);
        if (follow->stalled || !go) {
            i++;
            continue;
        }
        follow_drop(follow, i);
        dropped = follow_commit(follow, NULL, 0);
    }
    return dropped;
}

/* Looks after what there is to read. Returns whether something can be concluded from it. */
static bool follow_look(struct follow *follow)
{
    follow->crowded = follow->waiting = follow->doubted = false;
    if (!follow->found_out)
        follow_find_out(follow);
    if (!follow->found_out)
        return false;
    live_refresh(follow);
    copies_look(follow);
    return true;
}

bool follow_tick(struct follow *follow, int64_t now_ms)
{
    bool more = false, at_end = true;

    follow->now_ms = now_ms;
    if (follow->stalled) {
        if (!ingest_committing(follow->context.ingest))
            return false;
        follow_rewind(follow);
    }
    if (!follow_look(follow))
        return false;
    for (size_t i = 0; i < follow->count && at_end && !follow->stalled; i++) {
        assert(follow->files[i] != NULL);
        if (follow->files[i] != follow->live || !(follow->crowded || follow->waiting))
            at_end = follow_read(follow, follow->files[i], &more);
    }
    if (at_end && !follow->waiting && follow_drain(follow) && follow->crowded)
        more = true;
    doubt_settle(follow);
    return more && !follow->stalled;
}

/* ---- opening and closing ---- */

/* The folder's real path and the name in it: one file has one key, however it was spelled. */
static int path_resolve(struct follow *follow, const char *path)
{
    char copy[PATH_MAX], folder[PATH_MAX], *slash;
    const char *name;

    if (strlen(path) >= sizeof(copy) || path[0] == '\0') {
        errno = path[0] == '\0' ? ENOENT : ENAMETOOLONG;
        return -1;
    }
    snprintf(copy, sizeof(copy), "%s", path);
    slash = strrchr(copy, '/');
    name = slash != NULL ? slash + 1 : copy;
    if (slash != NULL)
        *slash = '\0';
    if (realpath(slash == NULL ? "." : slash == copy ? "/" : copy, folder) == NULL) {
        /* Not there yet: as it was given. */
        if (snprintf(folder, sizeof(folder), "%s", slash == copy ? "/" : copy) < 0)
            return -1;
    }
    follow->folder = strdup(folder);
    if (asprintf(&follow->path, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name) < 0)
        follow->path = NULL;
    if (follow->path != NULL)
        follow->name = strrchr(follow->path, '/') + 1;
    errno = ENOMEM;
    return follow->folder != NULL && follow->path != NULL ? 0 : -1;
}

static int path_check(const struct follow *follow, char *error, size_t cap)
{
    struct stat status;
    const char *what = NULL;

    if (stat(follow->path, &status) != 0 || S_ISREG(status.st_mode))
        return 0; /* missing or not readable now: that may change */
    what = S_ISDIR(status.st_mode)    ? "a folder"
           : S_ISFIFO(status.st_mode) ? "a FIFO"
           : S_ISSOCK(status.st_mode) ? "a socket"
                                      : "a device";
    snprintf(error, cap, "%.160s is %s, not a regular file; name the event file itself", follow->path, what);
    return -1;
}

/* LMDB's keys are short: a longer path is named by its end and a hash of all of it. */
static void key_build(struct follow *follow)
{
    size_t len_bytes = strlen(follow->path);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const char *end = follow->path;

    if (len_bytes > KEY_MAX_BYTES - 1)
        end += len_bytes - (KEY_MAX_BYTES - 18);
    for (const char *c = follow->path; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    if (end == follow->path)
        snprintf(follow->key, sizeof(follow->key), "f%s", follow->path);
    else
        snprintf(follow->key, sizeof(follow->key), "f%016llx%s", (unsigned long long)hash, end);
    follow->key_len = strlen(follow->key);
}

int follow_open(const struct follow_context *context, const char *path, bool from_end, struct follow **out,
                char *error, size_t error_cap)
{
    struct follow *follow = calloc(1, sizeof(*follow));

    *out = NULL;
    if (follow == NULL || path_resolve(follow, path) != 0) {
        snprintf(error, error_cap, "%.160s: %s", path, strerror(errno));
        follow_close(follow);
        return -1;
    }
    if (path_check(follow, error, error_cap) != 0) {
        follow_close(follow);
        return -1;
    }
    follow->context = *context;
    follow->from_end = from_end;
    key_build(follow);
    *out = follow;
    return 0;
}

void follow_close(struct follow *follow)
{
    if (follow == NULL)
        return;
    for (size_t i = 0; i < follow->count; i++)
        generation_free(follow->files[i]);
    free(follow->path);
    free(follow->folder);
    free(follow);
}

const char *follow_path(const struct follow *follow)
{
    return follow->path;
}

const char *follow_folder(const struct follow *follow)
{
    return follow->folder;
}

uint64_t follow_damaged_total(const struct follow *follow)
{
    return follow->damaged_total;
}

uint64_t follow_lag_bytes(const struct follow *follow)
{
    uint64_t lag_bytes = 0;

    for (size_t i = 0; i < follow->count; i++)
        lag_bytes += tail_lag_bytes(&follow->files[i]->tail);
    return lag_bytes;
}
