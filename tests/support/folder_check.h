/* folder_check.h - a folder of the test's own, and files in it. For the sidecar's unit tests. */
#ifndef AILIVE_TESTS_FOLDER_CHECK_H
#define AILIVE_TESTS_FOLDER_CHECK_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static inline const char *in_folder(const char *name)
{
    static char paths[8][256]; /* a few at a time in one expression */
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static inline int folder_make(void)
{
    snprintf(folder, sizeof(folder), "/tmp/ailive-unit.XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static inline int folder_remove_entry(const char *path, const struct stat *status, int kind,
                                      struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static inline int folder_remove_all(void)
{
    return nftw(folder, folder_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Writes text to a file of the folder with the given open flags besides O_WRONLY. */
static inline void file_put(const char *name, int flags, const char *text, size_t len_bytes)
{
    int fd = open(in_folder(name), O_WRONLY | O_CLOEXEC | flags, 0600);

    if (fd < 0 || write(fd, text, len_bytes) != (ssize_t)len_bytes)
        abort();
    close(fd);
}

static inline void file_append(const char *name, const char *text)
{
    file_put(name, O_CREAT | O_APPEND, text, strlen(text));
}

static inline bool file_there(const char *name)
{
    return access(in_folder(name), F_OK) == 0;
}

/* How many entries of a folder have names that begin with `start`. */
static inline int files_count(const char *name, const char *start)
{
    DIR *listing = opendir(in_folder(name));
    const struct dirent *entry;
    int count = 0;

    while (listing != NULL && (entry = readdir(listing)) != NULL)
        count += strncmp(entry->d_name, start, strlen(start)) == 0;
    if (listing != NULL)
        closedir(listing);
    return count;
}

#endif
