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
#include "tail.h"

#include <assert.h>
#include <dirent.h>
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
#define SIBLINGS_MAX    1024u
#define NANOSECONDS     INT64_C(1000000000)

struct generation {
    struct tail tail;
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
    bool crowded; /* this tick found more generations than there is room for: what comes after them waits */
    struct log_condition missing, unreadable, failing;
};

struct sibling {
    char name[NAME_MAX + 1];
    bool rotated; /* its name says that it is a rotated one */
    uint64_t inode;
    int64_t born_ns, modified_ns;
};

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

/* Takes fd over and puts it at index `at`. NULL: no room (follow->crowded) or memory; fd is closed. */
static struct generation *follow_add(struct follow *follow, size_t at, int fd, const struct tail_mark *mark,
                                     int64_t now_ms)
{
    struct generation *file = NULL;

    if (follow->count == FOLLOW_GENERATIONS_MAX)
        follow->crowded = true;
    else
        file = calloc(1, sizeof(*file));
    if (file == NULL) {
        close(fd);
        return NULL;
    }
    if (tail_init(&file->tail, fd, mark) != 0) {
        free(file);
        return NULL;
    }
    file->quiet_since_ms = now_ms;
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
        if (follow->files[i]->tail.mark.inode == inode)
            return follow->files[i];
    return NULL;
}

/* ---- siblings: rotated files beside the path ---- */

/* What rotation puts into a name: numbers, dates, times. */
static bool is_stamp(const char *text, size_t len_bytes)
{
    bool digit = false;

    for (size_t i = 0; i < len_bytes; i++) {
        if (text[i] != '\0' && strchr("0123456789.-_T:Z", text[i]) == NULL)
            return false;
        digit = digit || (text[i] >= '0' && text[i] <= '9');
    }
    return digit && strchr(".-_", text[0]) != NULL;
}

/* events.jsonl.1, events.jsonl-20260101, events-20260101.jsonl: but not events-other.jsonl, which may be
 * followed by itself, and no archives or editors' copies. */
static bool rotated_name(const char *name, const char *other)
{
    const char *extension = strrchr(name, '.');
    size_t name_len = strlen(name), other_len = strlen(other), stem, end;

    if (other_len > name_len && strncmp(other, name, name_len) == 0)
        return is_stamp(other + name_len, other_len - name_len);
    if (extension == NULL || extension == name || other_len <= name_len)
        return false;
    stem = (size_t)(extension - name);
    end = name_len - stem;
    return strncmp(other, name, stem) == 0 && strcmp(other + other_len - end, extension) == 0 &&
           is_stamp(other + stem, other_len - stem - end);
}

static bool sibling_look(int folder_fd, const char *name, struct sibling *out)
{
    struct statx status;

    if (strlen(name) > NAME_MAX ||
        statx(folder_fd, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_INO | STATX_MTIME | STATX_BTIME,
              &status) != 0 ||
        !S_ISREG(status.stx_mode))
        return false;
    snprintf(out->name, sizeof(out->name), "%s", name);
    out->inode = status.stx_ino;
    out->modified_ns = status.stx_mtime.tv_sec * NANOSECONDS + status.stx_mtime.tv_nsec;
    out->born_ns =
        status.stx_mask & STATX_BTIME ? status.stx_btime.tv_sec * NANOSECONDS + status.stx_btime.tv_nsec : 0;
    return true;
}

/* Oldest first. Rotated at the same moment: the one with the longer or greater name (.10, .2) is older. */
static int sibling_order(const void *left, const void *right)
{
    const struct sibling *a = left, *b = right;
    int64_t x = a->modified_ns, y = b->modified_ns;

    if (x == y && a->born_ns != 0 && b->born_ns != 0) {
        x = a->born_ns;
        y = b->born_ns;
    }
    if (x != y)
        return x < y ? -1 : 1;
    if (strlen(a->name) != strlen(b->name))
        return strlen(a->name) > strlen(b->name) ? -1 : 1;
    return strcmp(b->name, a->name);
}

/* The folder's other files, oldest first (all: a rename may give any name; or the rotated ones alone); *count
 * of them. The caller frees. NULL: none. */
static struct sibling *siblings_list(struct follow *follow, int folder_fd, bool all, size_t *count)
{
    int listing_fd = fcntl(folder_fd, F_DUPFD_CLOEXEC, 0);
    DIR *folder = listing_fd >= 0 ? fdopendir(listing_fd) : NULL;
    struct sibling *siblings = calloc(SIBLINGS_MAX, sizeof(*siblings));
    const struct dirent *entry;

    *count = 0;
    if (folder == NULL && listing_fd >= 0)
        close(listing_fd);
    if (folder != NULL)
        rewinddir(folder);
    while (folder != NULL && siblings != NULL && *count < SIBLINGS_MAX && (entry = readdir(folder)) != NULL) {
        bool rotated = rotated_name(follow->name, entry->d_name);

        if ((!all && !rotated) || strcmp(entry->d_name, follow->name) == 0 ||
            !sibling_look(folder_fd, entry->d_name, &siblings[*count]))
            continue;
        siblings[(*count)++].rotated = rotated;
    }
    if (folder != NULL)
        closedir(folder);
    if (siblings != NULL)
        qsort(siblings, *count, sizeof(*siblings), sibling_order);
    return siblings;
}

/* Opens the sibling that holds what the mark was made from; the inode decides between equals. -1: none. */
static int siblings_find(const struct follow *follow, int folder_fd, const struct sibling *siblings,
                         size_t count, const struct tail_mark *mark)
{
    for (int by_inode = 1; by_inode >= 0; by_inode--)
        for (size_t i = count; i-- > 0;) {
            struct stat status;
            int fd;

            /* Without a byte behind the mark everything would match. */
            if (by_inode ? siblings[i].inode != mark->inode : mark->first_len == 0)
                continue;
            if (follow_by_inode(follow, siblings[i].inode) != NULL)
                continue;
            fd = tail_open_path(folder_fd, siblings[i].name, &status);
            if (fd >= 0 && tail_mark_matches(mark, fd))
                return fd;
            if (fd >= 0)
                close(fd);
        }
    return -1;
}

/* Adds, at index `at`, every sibling that came after the file fd: it was born and written later. Stops where
 * there is no more room: the rest is found from the last one added. */
static void siblings_add_newer(struct follow *follow, int folder_fd, const struct sibling *siblings,
                               size_t count, int fd, uint64_t live_inode, size_t at, int64_t now_ms)
{
    struct statx status;
    int64_t born_ns, modified_ns;
    size_t added = 0;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_MTIME | STATX_BTIME, &status) != 0)
        return;
    modified_ns = status.stx_mtime.tv_sec * NANOSECONDS + status.stx_mtime.tv_nsec;
    born_ns =
        status.stx_mask & STATX_BTIME ? status.stx_btime.tv_sec * NANOSECONDS + status.stx_btime.tv_nsec : 0;
    for (size_t i = 0; i < count && !follow->crowded; i++) {
        struct stat file_status;
        int sibling_fd;

        if (!siblings[i].rotated || siblings[i].modified_ns < modified_ns ||
            siblings[i].inode == live_inode ||
            (born_ns != 0 && siblings[i].born_ns != 0 && siblings[i].born_ns <= born_ns) ||
            follow_by_inode(follow, siblings[i].inode) != NULL)
            continue;
        sibling_fd = tail_open_path(folder_fd, siblings[i].name, &file_status);
        if (sibling_fd >= 0 && follow_add(follow, at + added, sibling_fd, NULL, now_ms) != NULL) {
            log_info("%s: reading the rotated %s first", follow->path, siblings[i].name);
            added++;
        }
    }
}

/* ---- finding out where the stored generations are ---- */

static int open_folder(const struct follow *follow)
{
    return open(follow->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The file at the path, when it is the one the mark was made from. The inode may differ (another machine's
 * copy), but not when a sibling has it. */
static bool live_matches(const struct tail_mark *mark, int live_fd, const struct stat *live, bool by_inode)
{
    if (live_fd < 0 || (by_inode ? (uint64_t)live->st_ino != mark->inode : mark->first_len == 0))
        return false;
    return tail_mark_matches(mark, live_fd);
}

static int find_generation(struct follow *follow, int folder_fd, const struct sibling *siblings, size_t count,
                           const struct tail_mark *mark, int *live_fd, const struct stat *live)
{
    int fd;

    if (!live_matches(mark, *live_fd, live, true)) {
        fd = siblings_find(follow, folder_fd, siblings, count, mark);
        if (fd >= 0 || !live_matches(mark, *live_fd, live, false))
            return fd;
    }
    fd = *live_fd;
    *live_fd = -1;
    return fd;
}

/* Generations read before, where they are now; then those that came after the newest of them; then the file
 * at the path. */
static void follow_find_out(struct follow *follow, int64_t now_ms)
{
    struct tail_mark marks[FOLLOW_GENERATIONS_MAX];
    size_t stored = value_load(follow, marks), sibling_count = 0;
    int folder_fd = stored > 0 ? open_folder(follow) : -1;
    struct sibling *siblings = folder_fd >= 0 ? siblings_list(follow, folder_fd, true, &sibling_count) : NULL;
    struct stat live;
    int live_fd = folder_fd >= 0 ? tail_open_path(folder_fd, follow->name, &live) : -1;
    bool had_live = live_fd >= 0;

    if (stored > 0 && folder_fd < 0)
        return; /* the folder may come back, with the files in it */
    for (size_t i = 0; i < stored; i++) {
        int fd = find_generation(follow, folder_fd, siblings, sibling_count, &marks[i], &live_fd, &live);
        bool is_live = had_live && live_fd < 0 && fd >= 0 && follow->live == NULL;
        struct generation *file = fd >= 0 ? follow_add(follow, follow->count, fd, &marks[i], now_ms) : NULL;

        if (file == NULL)
            log_warning(
                "%s: a rotated file that was read up to byte %llu is gone; what followed there is not "
                "counted",
                follow->path, (unsigned long long)marks[i].offset);
        if (is_live)
            follow->live = file;
    }
    if (follow->count > 0 && follow->live == NULL)
        siblings_add_newer(follow, folder_fd, siblings, sibling_count,
                           follow->files[follow->count - 1]->tail.fd, had_live ? (uint64_t)live.st_ino : 0,
                           follow->count, now_ms);
    if (stored > 0)
        follow->from_end = false; /* the path is known: what is new here is read from its start */
    if (live_fd >= 0)
        close(live_fd);
    if (folder_fd >= 0)
        close(folder_fd);
    free(siblings);
    follow->found_out = true;
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

static void live_take(struct follow *follow, int fd, int64_t now_ms)
{
    struct generation *file = follow_add(follow, follow->count, fd, NULL, now_ms);

    if (file == NULL)
        return;
    if (follow->from_end && tail_seek_end(&file->tail) != 0)
        log_warning("%s: cannot find its end: %s; read from its start", follow->path, strerror(errno));
    follow->live = file;
    follow_commit(follow, NULL, 0);
}

/* The newest generation is no longer at the path: those that came and went since are read before what is
 * there now (live_inode; 0: nothing). */
static void missed_look(struct follow *follow, uint64_t live_inode, int64_t now_ms)
{
    const struct generation *newest = follow->count > 0 ? follow->files[follow->count - 1] : NULL;
    int folder_fd = newest != NULL ? open_folder(follow) : -1;
    struct sibling *siblings = NULL;
    size_t count = 0;

    if (folder_fd < 0)
        return;
    if (folder_changed(follow, folder_fd) || live_inode != 0)
        siblings = siblings_list(follow, folder_fd, false, &count);
    if (siblings != NULL)
        siblings_add_newer(follow, folder_fd, siblings, count, newest->tail.fd, live_inode, follow->count,
                           now_ms);
    if (follow->crowded)
        follow->folder_time = (struct timespec){0}; /* look again when there is room */
    free(siblings);
    close(folder_fd);
}

static bool is_file(const struct generation *file, const struct stat *status)
{
    struct stat own;

    return file != NULL && fstat(file->tail.fd, &own) == 0 && own.st_ino == status->st_ino &&
           own.st_dev == status->st_dev;
}

static struct generation *follow_by_status(const struct follow *follow, const struct stat *status)
{
    for (size_t i = 0; i < follow->count; i++)
        if (is_file(follow->files[i], status))
            return follow->files[i];
    return NULL;
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

static void live_refresh(struct follow *follow, int64_t now_ms)
{
    struct generation *known;
    struct stat status;
    int fd;

    if (follow->live != NULL && stat(follow->path, &status) == 0 && is_file(follow->live, &status))
        return;
    if (follow->live != NULL)
        follow->live->quiet_since_ms = now_ms; /* its time as a rotated file begins */
    fd = tail_open_path(AT_FDCWD, follow->path, &status);
    if (fd < 0) {
        live_absent(follow, errno);
        missed_look(follow, 0, now_ms);
        return;
    }
    log_clear(&follow->missing, "%s is there now", follow->path);
    log_clear(&follow->unreadable, "%s can be read again", follow->path);
    known = follow_by_status(follow, &status);
    if (known != NULL) {
        follow->live = known;
        close(fd);
    } else {
        missed_look(follow, (uint64_t)status.st_ino, now_ms);
        if (follow->crowded)
            close(fd); /* its turn comes when those before it are read */
        else
            live_take(follow, fd, now_ms);
    }
}

/* ---- reading ---- */

static int64_t made_ns(const struct sibling *sibling)
{
    return sibling->born_ns != 0 ? sibling->born_ns : sibling->modified_ns;
}

/* The part after a truncation that a copy may still hold (copytruncate): read before the file's new contents.
 * Copies made after that one hold what came and went since: copies_find() takes them in. */
static void truncated_find_copy(struct follow *follow, const struct tail_mark *mark, size_t at,
                                int64_t now_ms)
{
    size_t count = 0;
    int folder_fd = open_folder(follow), fd = -1;
    struct sibling *siblings = folder_fd >= 0 ? siblings_list(follow, folder_fd, true, &count) : NULL;
    struct generation *copy = NULL;

    if (siblings != NULL && mark->first_len > 0)
        fd = siblings_find(follow, folder_fd, siblings, count, mark);
    if (fd >= 0)
        copy = follow_add(follow, at, fd, mark, now_ms);
    for (size_t i = 0; copy != NULL && i < count; i++)
        if (siblings[i].inode == copy->tail.mark.inode)
            follow->files[at + 1]->tail.mark.since_ns = made_ns(&siblings[i]);
    follow->folder_time = (struct timespec){0};
    free(siblings);
    if (folder_fd >= 0)
        close(folder_fd);
}

/* Whether the file begins as the other one does, as far as both go: a copy of what is still to be read. */
static bool begins_alike(int fd, int other_fd)
{
    unsigned char bytes[TAIL_MARK_BYTES], other[TAIL_MARK_BYTES];
    ssize_t n = pread(fd, bytes, sizeof(bytes), 0), other_n = pread(other_fd, other, sizeof(other), 0);
    ssize_t both = n < other_n ? n : other_n;

    return both > 0 && memcmp(bytes, other, (size_t)both) == 0;
}

/* At offset 0 nothing shows that the file was filled, copied and truncated since the last look, but the copy:
 * a sibling made since then that is not a copy of what the file holds now. */
static void copies_find(struct follow *follow, int folder_fd, int64_t now_ms)
{
    struct generation *live = follow->live;
    size_t count = 0, at = 0;
    struct sibling *siblings = siblings_list(follow, folder_fd, false, &count);

    while (follow->files[at] != live)
        at++;
    for (size_t i = 0; siblings != NULL && i < count && !follow->crowded; i++) {
        struct stat status;
        int fd;

        if (made_ns(&siblings[i]) <= live->tail.mark.since_ns ||
            follow_by_inode(follow, siblings[i].inode) != NULL)
            continue;
        fd = tail_open_path(folder_fd, siblings[i].name, &status);
        if (fd >= 0 && begins_alike(fd, live->tail.fd)) {
            close(fd);
        } else if (fd >= 0 && follow_add(follow, at, fd, NULL, now_ms) != NULL) {
            live->tail.mark.since_ns = made_ns(&siblings[i]); /* it is never found a second time */
            at++;
        }
    }
    if (follow->crowded)
        follow->folder_time = (struct timespec){0}; /* look again when there is room */
    free(siblings);
}

static void copies_look(struct follow *follow, int64_t now_ms)
{
    int folder_fd;

    if (follow->live == NULL || follow->live->tail.mark.offset > 0 || follow->crowded)
        return;
    folder_fd = open_folder(follow);
    if (folder_fd < 0)
        return;
    if (folder_changed(follow, folder_fd))
        copies_find(follow, folder_fd, now_ms);
    close(folder_fd);
}

static void follow_truncated(struct follow *follow, struct generation *file, int64_t now_ms)
{
    struct tail_mark before = file->tail.mark;
    size_t at = 0;

    while (follow->files[at] != file)
        at++;
    log_info("%s was truncated at byte %llu; it is read from its start", follow->path,
             (unsigned long long)before.offset);
    tail_reset(&file->tail);
    if (follow->count == FOLLOW_GENERATIONS_MAX && at > 0) {
        follow_drop(follow, 0); /* read to its end: those before this one are */
        at--;
    }
    truncated_find_copy(follow, &before, at, now_ms);
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

/* Reads one generation as far as it goes. Returns whether it is at its end. */
static bool follow_read(struct follow *follow, struct generation *file, int64_t now_ms, bool *more)
{
    uint64_t offset = file->tail.mark.offset;
    enum tail_status status = follow_pass(follow, file);
    int error = errno;

    if (file->tail.mark.offset != offset)
        file->quiet_since_ms = now_ms;
    if (follow->stalled)
        return false;
    if (status == TAIL_TRUNCATED)
        follow_truncated(follow, file, now_ms);
    if (status == TAIL_ERROR)
        log_raise(&follow->failing, LOG_LEVEL_ERROR, "%s cannot be read at byte %llu: %s; trying again",
                  follow->path, (unsigned long long)file->tail.mark.offset, strerror(error));
    else
        log_clear(&follow->failing, "%s can be read again", follow->path);
    *more = *more || status == TAIL_PAUSE || status == TAIL_TRUNCATED;
    return status == TAIL_END;
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
static int64_t drain_ms(const struct follow *follow)
{
    if (follow->count == FOLLOW_GENERATIONS_MAX)
        return 0;
    return follow->count > FOLLOW_GENERATIONS_MAX / 2 ? 1000 : FOLLOW_DRAIN_MS;
}

/* Lets rotated files go that nobody writes any more. All of them are at their end. Returns whether there is
 * room now. */
static bool follow_drain(struct follow *follow, int64_t now_ms)
{
    bool dropped = false;

    for (size_t i = 0; i < follow->count && !follow->stalled;) {
        struct generation *file = follow->files[i];
        int64_t quiet_ms = now_ms - file->quiet_since_ms;
        bool go = quiet_ms >= drain_ms(follow);

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

bool follow_tick(struct follow *follow, int64_t now_ms)
{
    bool more = false, at_end = true;

    if (follow->stalled) {
        if (!ingest_committing(follow->context.ingest))
            return false;
        follow_rewind(follow);
    }
    if (!follow->found_out)
        follow_find_out(follow, now_ms);
    follow->crowded = false;
    live_refresh(follow, now_ms);
    copies_look(follow, now_ms);
    for (size_t i = 0; i < follow->count && at_end && !follow->stalled; i++) {
        assert(follow->files[i] != NULL);
        if (follow->files[i] != follow->live || !follow->crowded)
            at_end = follow_read(follow, follow->files[i], now_ms, &more);
    }
    if (at_end && follow_drain(follow, now_ms) && follow->crowded)
        more = true;
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

uint64_t follow_lag_bytes(const struct follow *follow)
{
    uint64_t lag_bytes = 0;

    for (size_t i = 0; i < follow->count; i++)
        lag_bytes += tail_lag_bytes(&follow->files[i]->tail);
    return lag_bytes;
}
