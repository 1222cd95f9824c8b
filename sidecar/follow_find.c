/* follow_find.c - which files are the generations of a followed path: found again after a restart, rotated
 * since the last look, copied before a truncation.
 */
#include "follow_inside.h"
#include "siblings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NANOSECONDS INT64_C(1000000000)

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

/* Without a byte behind the mark only the time of birth tells that an inode was given to another file. */
static bool born_fits(const struct tail_mark *mark, int64_t born_ns)
{
    return mark->first_len > 0 || mark->born_ns == 0 || born_ns == 0 || mark->born_ns == born_ns;
}

/* What was last written before the marked file was made, or first seen if that was earlier (it was packed
 * when it was found), cannot hold it. Some compressors keep whole seconds only. */
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
    for (i = 0; fd < 0 && i < count; i++) /* its time to the nanosecond outweighs age */
        if (siblings[i].packed && siblings[i].modified_ns == mark->since_ns)
            fd = sibling_try(follow, folder_fd, &siblings[i], mark);
    for (i = 0; fd < 0 && i < count; i++)
        if (packed_may_hold(&siblings[i], mark))
            fd = sibling_try(follow, folder_fd, &siblings[i], mark);
    *packed = true;
    return fd;
}

/* A plain file that holds something was last written before we saw it: were it compressed before a byte of it
 * is read, that time is all that tells which one it became. */
static struct generation *file_add(struct follow *follow, size_t at, int fd, bool packed)
{
    struct generation *file = follow_add(follow, at, fd, NULL, packed);
    struct stat status;
    int64_t modified_ns;

    if (file == NULL)
        return NULL;
    file->seen_ns = file->tail.mark.since_ns;
    if (packed || fstat(fd, &status) != 0 || status.st_size == 0)
        return file;
    modified_ns = status.st_mtim.tv_sec * NANOSECONDS + status.st_mtim.tv_nsec;
    if (modified_ns < file->tail.mark.since_ns)
        file->tail.mark.since_ns = modified_ns;
    return file;
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
    struct tail_identity identity;
    int64_t born_ns;

    if (!tail_identify(newest->fd, NULL, &identity))
        return;
    born_ns = newest->unpack != NULL ? 0 : identity.born_ns; /* packed: when it was compressed */
    for (size_t i = 0; i < count && !follow->crowded && !follow->waiting; i++) {
        int fd;

        if (!siblings[i].rotated || siblings[i].modified_ns < identity.modified_ns ||
            siblings[i].inode == live_inode ||
            (born_ns != 0 && !siblings[i].packed && siblings[i].born_ns != 0 &&
             siblings[i].born_ns <= born_ns))
            continue;
        fd = follow_open_sibling(follow, folder_fd, &siblings[i]);
        if (fd >= 0 && follow_has(follow, fd, siblings[i].packed))
            close(fd);
        else if (fd >= 0 && file_add(follow, follow->count, fd, siblings[i].packed) != NULL)
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

/* Finds the generation again and puts it at index `at`. NULL: it is gone, or there is a doubt. */
static struct generation *search_stored(struct follow *follow, struct search *search,
                                        const struct tail_mark *mark, size_t at)
{
    bool had_live = search->live_fd >= 0, packed;
    int fd = find_generation(follow, search, mark, &packed);
    struct generation *file = fd >= 0 ? follow_add(follow, at, fd, mark, packed) : NULL;

    if (had_live && search->live_fd < 0)
        follow->live = file;
    return file;
}

/* Generations read before, where they are now; then those that came after the newest of them. What tells its
 * file by its bytes chooses first: those of which nothing was read would take any packed one. */
static void search_generations(struct follow *follow, struct search *search, const struct tail_mark *marks,
                               size_t stored)
{
    uint64_t live_inode = search->live_fd >= 0 ? (uint64_t)search->live.st_ino : 0;
    struct generation *found[FOLLOW_GENERATIONS_MAX] = {NULL};

    for (unsigned unread = 0; unread < 2; unread++) {
        size_t at = 0;

        for (size_t i = 0; i < stored && !follow->waiting; i++) {
            if ((marks[i].first_len == 0) == unread)
                found[i] = search_stored(follow, search, &marks[i], at);
            at += found[i] != NULL;
        }
    }
    if (follow->count > 0 && follow->live == NULL && !follow->waiting)
        siblings_add_newer(follow, search->folder_fd, search->siblings, search->count, live_inode);
    for (size_t i = 0; i < stored && !follow->waiting; i++)
        if (found[i] == NULL)
            log_warning(
                "%s: a rotated file that was read up to byte %llu is gone; what followed there is not "
                "counted",
                follow->path, (unsigned long long)marks[i].offset);
}

/* false: something is missing that may be there later; nothing is concluded. */
static bool search_open(struct follow *follow, struct search *search)
{
    struct tail_identity identity;

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
        (void)tail_identify(search->live_fd, NULL, &identity);
        search->live_born_ns = identity.born_ns;
        return true;
    }
    if (errno == ENOENT || errno == EINVAL)
        return true;
    live_absent(follow, errno); /* it may be the file that was read: known when it can be read again */
    return false;
}

void follow_find_out(struct follow *follow)
{
    struct tail_mark marks[FOLLOW_GENERATIONS_MAX];
    size_t stored = follow_load(follow, marks);
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
    struct generation *file = file_add(follow, follow->count, fd, false);

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

void follow_find_live(struct follow *follow)
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

/* ---- copies ---- */

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
        int64_t made_ns = sibling_made_ns(&siblings[i]);
        int fd;

        if (made_ns <= live->tail.mark.since_ns || made_ns <= live->seen_ns)
            continue;
        fd = follow_open_sibling(follow, folder_fd, &siblings[i]);
        if (fd >= 0 && begins_alike(follow, fd, siblings[i].packed)) {
            close(fd);
        } else if (fd >= 0 && file_add(follow, at, fd, siblings[i].packed) != NULL) {
            live->tail.mark.since_ns = made_ns; /* it is never found a second time */
            at++;
        }
    }
    if (follow->crowded)
        follow->folder_time = (struct timespec){0}; /* look again when there is room */
    free(siblings);
}

static void copies_look(struct follow *follow, bool unchanged_too)
{
    int folder_fd = open_folder(follow);

    if (folder_fd < 0) {
        follow_doubt(follow, errno);
        return;
    }
    if (unchanged_too || folder_changed(follow, folder_fd))
        copies_find(follow, folder_fd);
    close(folder_fd);
}

void follow_find_copies(struct follow *follow)
{
    if (follow->live == NULL || follow->live->tail.mark.offset > 0 || follow->crowded || follow->waiting)
        return;
    copies_look(follow, false);
}

bool follow_copies_first(struct follow *follow)
{
    size_t count = follow->count;

    copies_look(follow, true);
    return follow->count > count || follow->crowded || follow->waiting;
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
void follow_truncated(struct follow *follow, struct generation *file)
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
