/* road_spool.c - writing spool files; see road_spool.h.
 *
 * Place on the route: shipper -> [road_spool] -> sidecar's file source. Owns the open file (its descriptor
 * lies in the handle, where a forked child finds it to close). Shipper's thread only. Never deletes a file,
 * never leaves part of a line where the file system lets it be taken back. */
#include "road_spool.h"

#include "clock.h"
#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT_EVERY_NS 1000000000 /* at the cap: how often to look whether the sidecar has removed files */

static void spool_path(const struct road_spool *road, uint64_t number,
                       char out[PATHS_MAX_BYTES + SPOOL_NAME_BYTES])
{
    char name[SPOOL_NAME_BYTES];

    spool_file_name(&road->producer, number, name);
    snprintf(out, PATHS_MAX_BYTES + SPOOL_NAME_BYTES, "%s/%s", road->folder, name);
}

/* Adds up the files that are still there. */
static void spool_count(struct road_spool *road)
{
    char path[PATHS_MAX_BYTES + SPOOL_NAME_BYTES];
    struct stat st;

    road->total = road->others;
    for (uint64_t number = road->oldest; number <= road->number; number++) {
        spool_path(road, number, path);
        if (stat(path, &st) == 0)
            road->total += (uint64_t)st.st_size;
        else if (number == road->oldest)
            road->oldest++;
    }
    road->counted_at_ns = clock_monotonic_ns();
}

void road_spool_review(struct road_spool *road)
{
    if (road->total > 0 && clock_monotonic_ns() - road->counted_at_ns >= COUNT_EVERY_NS)
        spool_count(road);
}

static bool spool_beyond_cap(struct road_spool *road, size_t len_bytes)
{
    if (road->total + road->buffered + len_bytes <= road->max_bytes)
        return false;
    road_spool_review(road);
    return road->total + road->buffered + len_bytes > road->max_bytes;
}

enum road_spool_status road_spool_add(struct road_spool *road, const char *line, size_t len_bytes,
                                      bool beyond_cap)
{
    if (road->buffered + len_bytes > sizeof(road->chunk) ||
        (road->buffered > 0 && road->size + road->buffered + len_bytes > road->file_bytes))
        return ROAD_SPOOL_FLUSH;
    if (!beyond_cap && spool_beyond_cap(road, len_bytes))
        return ROAD_SPOOL_FULL;
    memcpy(road->chunk + road->buffered, line, len_bytes);
    road->buffered += len_bytes;
    return ROAD_SPOOL_OK;
}

/* Opens the next file. false with errno. */
static bool spool_next_file(struct road_spool *road)
{
    char path[PATHS_MAX_BYTES + SPOOL_NAME_BYTES];
    int fd;

    road->failed = "opening a spool file";
    if (!*road->folder) {
        errno = ENOENT;
        return false;
    }
    spool_path(road, road->number + 1, path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == ENOENT && paths_make(road->folder) == 0)
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    if (folder_is_shared(road->folder))
        (void)fchmod(fd, 0660); /* the package's folder: one group is one trust domain */
    errno = process_fd_set(road->file, fd);
    if (errno != 0)
        return false;
    road->number++;
    road->oldest = road->oldest == 0 ? road->number : road->oldest;
    road->size = 0;
    return true;
}

/* The file in use was removed under us: what we write would be lost with it. Or its descriptor was closed
 * under us: what we write would land in a file of the host's. */
static bool spool_file_gone(const struct road_spool *road)
{
    struct stat st;

    return !process_fd_ours(road->file) || fstat(road->file->fd, &st) != 0 || st.st_nlink == 0;
}

/* Takes a partly written chunk back. Where that fails too, the file ends here: its last line has no newline,
 * which every reader of it waits for, and the lines are written again into the next file. */
static void spool_take_back(struct road_spool *road)
{
    int error = errno;

    if (!process_fd_ours(road->file) || ftruncate(road->file->fd, (off_t)road->size) != 0)
        process_fd_close(road->file);
    errno = error;
}

static bool spool_write(struct road_spool *road)
{
    ssize_t n;

    do {
        errno = 0;
        n = write(road->file->fd, road->chunk, road->buffered);
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)road->buffered)
        return true;
    if (n >= 0)
        errno = ENOSPC; /* a short write to a regular file: there was no room for the rest */
    road->failed = "writing a spool file";
    spool_take_back(road);
    return false;
}

enum road_spool_status road_spool_flush(struct road_spool *road)
{
    size_t len_bytes = road->buffered;
    bool written;

    if (len_bytes == 0)
        return ROAD_SPOOL_OK;
    if (road->file->fd >= 0 &&
        ((road->size > 0 && road->size + len_bytes > road->file_bytes) || spool_file_gone(road)))
        road_spool_rest(road);
    written = (road->file->fd >= 0 || spool_next_file(road)) && spool_write(road);
    road->buffered = 0;
    if (!written)
        return ROAD_SPOOL_FAILED;
    road->size += len_bytes;
    road->total += len_bytes;
    return ROAD_SPOOL_OK;
}

void road_spool_rest(struct road_spool *road)
{
    if (road->file->fd < 0)
        return;
    process_fd_close(road->file);
    road->size = 0;
    spool_count(road);
}
