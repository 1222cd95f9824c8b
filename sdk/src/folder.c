/* folder.c - making, locking and removing a producer's folder; see folder.h.
 *
 * Place on the route: before the first record and after the last. Owns the mappings of names, clock and lock.
 * Runs in the thread that opens or closes. Never looks at other producers' folders: what dead ones left is
 * the sidecar's salvage, or rescue. */
#include "folder.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef char folder_file_path[FOLDER_PATH_BYTES + LAYOUT_NAME_BYTES];

void folder_file(const struct folder *folder, const char *name,
                 char out[FOLDER_PATH_BYTES + LAYOUT_NAME_BYTES])
{
    snprintf(out, sizeof(folder_file_path), "%s/%s", folder->path, name);
}

bool folder_is_shared(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && (st.st_mode & S_IWGRP) != 0;
}

/* Opens a new file of the folder. Its descriptor, or -1 with errno. */
static int folder_create(struct folder *folder, const char *name)
{
    folder_file_path path;
    int fd;

    folder_file(folder, name, path);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        (void)fchmod(fd, folder->file_mode); /* the umask must not shut the sidecar's group out */
    else
        folder->failed = "creating a file";
    return fd;
}

static int folder_lock(struct folder *folder, const char *lock_text, struct process_fd *lock)
{
    /* An open file description's lock, not the process's: that one would be lost when any other descriptor
     * of the file is closed. */
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    size_t len_bytes = strlen(lock_text);
    int fd = folder_create(folder, "lock");
    int error;

    if (fd < 0)
        return errno;
    error = process_fd_set(lock, fd);
    folder->failed = "mapping the lock file";
    if (error == 0)
        error = process_hold(fd, &folder->lock_page);
    if (error != 0)
        return error;
    folder->failed = "locking";
    if (fcntl(fd, F_OFD_SETLK, &whole) != 0)
        return errno;
    folder->failed = "writing the lock file";
    return write(fd, lock_text, len_bytes) == (ssize_t)len_bytes ? 0 : errno ? errno : ENOSPC;
}

static int folder_map(struct folder *folder, const char *name, size_t len_bytes, void **out)
{
    int fd = folder_create(folder, name);
    int error;
    void *pages = MAP_FAILED;

    if (fd < 0)
        return errno;
    error = process_allocate(fd, len_bytes);
    folder->failed = "allocating a file";
    if (error == 0) {
        pages = mmap(NULL, len_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
        error = pages == MAP_FAILED ? errno : 0;
    }
    close(fd);
    if (error != 0)
        return error;
    (void)madvise(pages, len_bytes, MADV_DONTFORK);
    *out = pages;
    return 0;
}

static void folder_unmap(struct folder *folder)
{
    if (folder->names)
        munmap(folder->names, sizeof(*folder->names));
    if (folder->clock)
        munmap(folder->clock, sizeof(*folder->clock));
    process_release(folder->lock_page); /* last: this gives the lock back */
    folder->names = NULL;
    folder->clock = NULL;
    folder->lock_page = NULL;
}

static int folder_fill(struct folder *folder, const char *lock_text, struct process_fd *lock)
{
    void *pages = NULL;
    int error = folder_lock(folder, lock_text, lock);

    if (error != 0)
        return error;
    error = folder_map(folder, "names", sizeof(*folder->names), &pages);
    if (error != 0)
        return error;
    assert(pages);
    folder->names = pages;
    memcpy(folder->names->magic, LAYOUT_NAMES_MAGIC, sizeof(folder->names->magic));
    error = folder_map(folder, "clock", sizeof(*folder->clock), &pages);
    if (error == 0)
        folder->clock = pages;
    return error;
}

int folder_make(struct folder *folder, const char *runtime, const struct event_producer *producer,
                const char *lock_text, struct process_fd *lock)
{
    char name[LAYOUT_NAME_BYTES];
    bool shared = folder_is_shared(runtime);
    int error;

    memset(folder, 0, sizeof(*folder));
    folder->file_mode = shared ? 0660 : 0600;
    layout_folder_name(producer, name);
    snprintf(folder->final_path, sizeof(folder->final_path), "%s/%s", runtime, name);
    layout_folder_new_name(producer, name);
    snprintf(folder->path, sizeof(folder->path), "%s/%s", runtime, name);
    folder->failed = "making the folder";
    if (mkdir(folder->path, 0700) != 0)
        return errno;
    if (shared)
        (void)chmod(folder->path, 02770);
    error = folder_fill(folder, lock_text, lock);
    process_fd_close(lock);
    if (error != 0) {
        const char *failed = folder->failed;
        (void)folder_remove(folder, 0);
        folder->failed = failed;
    }
    return error;
}

int folder_publish(struct folder *folder)
{
    folder->failed = "renaming the folder";
    if (rename(folder->path, folder->final_path) != 0)
        return errno;
    memcpy(folder->path, folder->final_path, sizeof(folder->path));
    return 0;
}

static int folder_unlink(const struct folder *folder, const char *name)
{
    folder_file_path path;

    folder_file(folder, name, path);
    return unlink(path) == 0 || errno == ENOENT ? 0 : errno;
}

int folder_remove(struct folder *folder, uint32_t rings)
{
    static const char *const others[] = {"names", "clock", "lock"};
    char name[LAYOUT_NAME_BYTES];
    int error = 0;

    /* Rings first: while one is there, its names and clock are too, whenever we are killed. */
    for (uint32_t ring = 0; ring < rings && error == 0; ring++) {
        layout_ring_name(ring, name);
        error = folder_unlink(folder, name);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && error == 0; i++)
        error = folder_unlink(folder, others[i]);
    if (error == 0 && rmdir(folder->path) != 0 && errno != ENOENT)
        error = errno;
    folder->failed = "removing the folder";
    folder_leave(folder);
    return error;
}

void folder_leave(struct folder *folder)
{
    folder_unmap(folder);
}
