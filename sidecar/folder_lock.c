/* folder_lock.c - one owner at a time for a folder or socket.
 *
 * Place on the route: beside it, at start. Owns nothing. Never removes the lock's file: a second process
 * could hold the removed one while a third makes and locks a new one.
 */
#include "folder_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void owner_read(int fd, char *owner, size_t cap)
{
    ssize_t n = pread(fd, owner, cap - 1, 0);

    owner[n > 0 ? n : 0] = '\0';
    owner[strcspn(owner, "\n")] = '\0';
    if (owner[0] == '\0')
        snprintf(owner, cap, "unknown");
}

/* For display only: on a full disk the lock holds all the same. */
static void owner_write(int fd)
{
    char pid[32];
    int len_bytes = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)len_bytes, 0) < 0)
        return;
}

int folder_lock_take(int folder_fd, const char *name, char *owner, size_t owner_cap)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

    if (fd < 0)
        return -1;
    if (fcntl(fd, F_OFD_SETLK, &whole) != 0) {
        int error = errno == EACCES ? EAGAIN : errno;

        owner_read(fd, owner, owner_cap);
        close(fd);
        errno = error;
        return -1;
    }
    owner_write(fd);
    return fd;
}

bool folder_lock_names(int folder_fd, const char *name, int at_flags, int fd)
{
    struct stat ours, there;

    return fstat(fd, &ours) == 0 && fstatat(folder_fd, name, &there, at_flags) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}
