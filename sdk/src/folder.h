/* folder.h - a producer's folder: made under a temporary name, locked, filled, then renamed.
 *
 * Place on the route: ailive_open() (and a forked child's first call) makes it, ailive_close() removes it,
 * the sidecar salvages it when its owner died in between. Byte layout: wire/layout.h.
 *
 * The lock belongs to an open file description, and a mapping of the lock file keeps that description: no
 * descriptor stays open. So a host that closes all descriptors does not give its life away, and a child of
 * any fork does not hold its parent's lock (MADV_DONTFORK). */
#ifndef AILIVE_SRC_FOLDER_H
#define AILIVE_SRC_FOLDER_H

#include "process.h"
#include "wire/layout.h"
#include "wire/paths.h"

#include <sys/types.h>

#define FOLDER_PATH_BYTES (PATHS_MAX_BYTES + LAYOUT_NAME_BYTES + 1)

struct folder {
    char path[FOLDER_PATH_BYTES];       /* where it is now */
    char final_path[FOLDER_PATH_BYTES]; /* where folder_publish() puts it */
    mode_t file_mode;                   /* 0600, or 0660 where the runtime folder belongs to a group */
    struct layout_names *names;
    struct layout_clock *clock;
    void *lock_page;    /* never accessed: holds the lock */
    const char *failed; /* constant text: what went wrong; set when a function fails */
};

/* Makes the folder under its temporary name, takes the lock, writes lock_text, maps names and clock (empty,
 * magic of names set). lock: noted while the lock file is open, for a child forked meanwhile. 0 or errno; on
 * failure nothing is left behind. */
int folder_make(struct folder *folder, const char *runtime, const struct event_producer *producer,
                const char *lock_text, struct process_fd *lock);

/* Gives it its final name: from here on it is complete, and others may see it. 0 or errno. */
int folder_publish(struct folder *folder);

/* The path of a file in it. */
void folder_file(const struct folder *folder, const char *name,
                 char out[FOLDER_PATH_BYTES + LAYOUT_NAME_BYTES]);

/* Removes rings 0 to rings - 1 and everything else, gives the lock back. 0, or errno of the first thing that
 * could not be removed. */
int folder_remove(struct folder *folder, uint32_t rings);

/* Lets it stand and gives the lock back: the sidecar salvages what is in it. */
void folder_leave(struct folder *folder);

/* Names that spool files and folders share: 0660/2770 in a folder that its group may write, else 0600/0700.
 */
bool folder_is_shared(const char *path);

#endif
