/* siblings.c - the files beside an event file.
 *
 * Place on the route: inside the file source, asked by follow. Owns nothing; never writes.
 */
#include "siblings.h"

#include "tail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const packed_endings[] = {".gz", ".zst"};

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
 * followed by itself, and no editors' copies. */
static bool stamped_name(const char *name, const char *other, size_t other_len)
{
    const char *extension = strrchr(name, '.');
    size_t name_len = strlen(name), stem, end;

    if (other_len > name_len && strncmp(other, name, name_len) == 0)
        return is_stamp(other + name_len, other_len - name_len);
    if (extension == NULL || extension == name || other_len <= name_len)
        return false;
    stem = (size_t)(extension - name);
    end = name_len - stem;
    return strncmp(other, name, stem) == 0 && strncmp(other + other_len - end, extension, end) == 0 &&
           is_stamp(other + stem, other_len - stem - end);
}

/* Length of the name without the ending that a compressor adds. */
static size_t unpacked_len(const char *name)
{
    size_t len_bytes = strlen(name);

    for (size_t i = 0; i < sizeof(packed_endings) / sizeof(packed_endings[0]); i++) {
        size_t end = strlen(packed_endings[i]);

        if (len_bytes > end && strcmp(name + len_bytes - end, packed_endings[i]) == 0)
            return len_bytes - end;
    }
    return len_bytes;
}

bool sibling_rotated_name(const char *name, const char *other, bool *packed)
{
    size_t len_bytes = unpacked_len(other);

    *packed = other[len_bytes] != '\0';
    return stamped_name(name, other, len_bytes);
}

static bool sibling_look(int folder_fd, const char *name, struct sibling *out)
{
    struct tail_identity identity;

    if (strlen(name) > NAME_MAX || !tail_identify(folder_fd, name, &identity) || !identity.regular)
        return false;
    snprintf(out->name, sizeof(out->name), "%s", name);
    out->inode = identity.inode;
    out->modified_ns = identity.modified_ns;
    out->born_ns = identity.born_ns;
    return true;
}

/* Oldest first. Rotated at the same moment: packed ones are older, then what was born earlier, then the one
 * with the longer or greater name (.10, .2). */
static int sibling_order(const void *left, const void *right)
{
    const struct sibling *a = left, *b = right;

    if (a->modified_ns != b->modified_ns)
        return a->modified_ns < b->modified_ns ? -1 : 1;
    if (a->packed != b->packed)
        return a->packed ? -1 : 1;
    if (!a->packed && a->born_ns != b->born_ns)
        return a->born_ns < b->born_ns ? -1 : 1;
    if (strlen(a->name) != strlen(b->name))
        return strlen(a->name) > strlen(b->name) ? -1 : 1;
    return strcmp(b->name, a->name);
}

/* The packed file of which the plain one is still there: the compressor has not finished. */
static bool unfinished(int folder_fd, const char *name)
{
    char plain[NAME_MAX + 1];

    snprintf(plain, sizeof(plain), "%.*s", (int)unpacked_len(name), name);
    return faccessat(folder_fd, plain, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Takes the entry into *out when it is to be listed. */
static bool sibling_take(int folder_fd, const char *name, const char *other, bool all, struct sibling *out)
{
    bool packed, rotated = sibling_rotated_name(name, other, &packed);

    if ((!rotated && (!all || packed)) || strcmp(other, name) == 0 ||
        (packed && unfinished(folder_fd, other)) || !sibling_look(folder_fd, other, out))
        return false;
    out->rotated = rotated;
    out->packed = packed;
    return true;
}

static DIR *folder_list(int folder_fd)
{
    int fd = fcntl(folder_fd, F_DUPFD_CLOEXEC, 0);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;

    if (folder == NULL && fd >= 0)
        close(fd);
    if (folder != NULL)
        rewinddir(folder);
    return folder;
}

struct sibling *siblings_list(int folder_fd, const char *name, bool all, size_t *count)
{
    struct sibling *siblings = calloc(SIBLINGS_MAX, sizeof(*siblings));
    DIR *folder = siblings != NULL ? folder_list(folder_fd) : NULL;
    const struct dirent *entry;
    int error;

    *count = 0;
    if (folder == NULL || siblings == NULL)
        goto failed;
    while (errno = 0, *count < SIBLINGS_MAX && (entry = readdir(folder)) != NULL)
        *count += sibling_take(folder_fd, name, entry->d_name, all, &siblings[*count]);
    if (*count < SIBLINGS_MAX && errno != 0)
        goto failed; /* half a listing would hide a file */
    closedir(folder);
    qsort(siblings, *count, sizeof(*siblings), sibling_order);
    return siblings;
failed:
    error = errno;
    *count = 0;
    if (folder != NULL)
        closedir(folder);
    free(siblings);
    errno = error;
    return NULL;
}

int sibling_open(int folder_fd, struct sibling *sibling)
{
    struct stat status;
    int fd = tail_open_path(folder_fd, sibling->name, &status);

    for (size_t i = 0; fd < 0 && errno == ENOENT && i < sizeof(packed_endings) / sizeof(packed_endings[0]);
         i++) {
        char name[sizeof(sibling->name) + 8];

        snprintf(name, sizeof(name), "%s%s", sibling->name, packed_endings[i]);
        fd = tail_open_path(folder_fd, name, &status);
        sibling->packed = sibling->packed || fd >= 0;
    }
    if (fd >= 0)
        sibling->inode = (uint64_t)status.st_ino;
    return fd;
}

int64_t sibling_made_ns(const struct sibling *sibling)
{
    return sibling->born_ns != 0 && !sibling->packed ? sibling->born_ns : sibling->modified_ns;
}
