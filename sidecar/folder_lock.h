/* folder_lock.h - one owner at a time for a folder or socket, told apart by the kernel.
 *
 * Place on the route: state, nng source and salvage each take one at start, so that two sidecars never share
 * a state folder, a socket or a runtime folder. An open-file-description lock: it goes when its process does,
 * and no close() of another descriptor drops it. Any thread.
 */
#ifndef AILIVE_SIDECAR_FOLDER_LOCK_H
#define AILIVE_SIDECAR_FOLDER_LOCK_H

#include <stdbool.h>
#include <stddef.h>

/* Opens (or makes, 0600) the file `name` in the folder folder_fd (AT_FDCWD: name is a path), locks it and
 * writes the pid into it for display. Returns the descriptor to close when done, or -1 with errno: EAGAIN
 * when another process holds it; owner then holds its pid as text ("unknown" when it cannot be read). */
int folder_lock_take(int folder_fd, const char *name, char *owner, size_t owner_cap);

/* Whether the name (as above) still stands for the open file or folder fd: neither removed nor replaced.
 * at_flags: fstatat()'s, AT_SYMLINK_NOFOLLOW or 0. */
bool folder_lock_names(int folder_fd, const char *name, int at_flags, int fd);

#endif
