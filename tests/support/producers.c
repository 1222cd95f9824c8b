/* producers.c - see producers.h. */
#include "producers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int producers_count(const char *runtime_dir, char out[PRODUCERS_PATH_BYTES])
{
    DIR *dir = opendir(runtime_dir);
    struct dirent *entry;
    int n = 0;

    while (dir && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.') {
            snprintf(out, PRODUCERS_PATH_BYTES, "%s/%s", runtime_dir, entry->d_name);
            n++;
        }
    if (dir)
        closedir(dir);
    return n;
}

bool producers_lock_is_free(const char *folder)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[PRODUCERS_PATH_BYTES + 8];
    int fd, status;

    snprintf(path, sizeof(path), "%s/lock", folder);
    fd = open(path, O_RDWR | O_CLOEXEC);
    status = fd >= 0 ? fcntl(fd, F_OFD_GETLK, &whole) : -1;
    if (fd >= 0)
        close(fd);
    return status == 0 && whole.l_type == F_UNLCK;
}
