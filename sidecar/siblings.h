/* siblings.h - the files beside an event file: which of them are rotated ones, and which is older.
 *
 * Place on the route: inside the file source, asked by follow. Looks at a folder and opens files in it; keeps
 * nothing. The file source's thread.
 *
 * Rotation puts a number, date or time behind the name or before its extension, and compressing .gz or .zst
 * behind that. While the plain file is there its packed one is still being written, and is passed over.
 */
#ifndef AILIVE_SIDECAR_SIBLINGS_H
#define AILIVE_SIDECAR_SIBLINGS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIBLINGS_MAX 1024u /* of a folder; what comes later in its listing is not seen */

struct sibling {
    char name[NAME_MAX + 1];
    bool rotated; /* its name says that it is a rotated one */
    bool packed;  /* and that it is compressed */
    uint64_t inode;
    int64_t born_ns;     /* 0: unknown. Of a packed one: when it was compressed */
    int64_t modified_ns; /* compressing keeps it */
};

/* Whether `other` is a name that rotation gives to the file `name`. *packed: and compressing. */
bool sibling_rotated_name(const char *name, const char *other, bool *packed);

/* The folder's other files, oldest first (all: a rename may give any name; or the rotated ones alone); *count
 * of them. The caller frees. NULL: it could not be listed to its end (errno). */
struct sibling *siblings_list(int folder_fd, const char *name, bool all, size_t *count);

/* Opens it. Compressed in the meantime: the packed one, and sibling says so. -1 with errno. */
int sibling_open(int folder_fd, struct sibling *sibling);

/* When it came to be, as well as that is known. */
int64_t sibling_made_ns(const struct sibling *sibling);

#endif
