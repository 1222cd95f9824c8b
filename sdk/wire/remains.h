/* remains.h - what a dead producer left in its folder, read without trusting a byte of it.
 *
 * Place on the route: before the sidecar's salvage and before the SDK's rescue, so that both read by the same
 * rules. The exception to sdk/wire's "no I/O" besides paths: it lists, locks, reads with pread (never mmap: a
 * truncation would be a SIGBUS) and removes. No threads, no clock, no heap. Byte layout: layout.h. */
#ifndef AILIVE_WIRE_REMAINS_H
#define AILIVE_WIRE_REMAINS_H

#include "layout.h"

#define REMAINS_NAMES_MAX  (LAYOUT_NAMES_FILE_BYTES / 8u)
#define REMAINS_NEW_MS     10000 /* a half-made folder is left alone for so long */
#define REMAINS_LIST_BYTES 4096u
#define REMAINS_SIDECAR    ".sidecar.lock" /* in a runtime folder: held by the sidecar that serves it */

/* ---- listing a folder ---- */

struct remains_list {
    int fd;
    size_t at, filled;
    _Alignas(8) char entries[REMAINS_LIST_BYTES];
};

/* 0 or errno. Each name is valid until the next call; NULL at the end or when nothing more can be read. */
int remains_list_open(struct remains_list *list, int folder_fd);
const char *remains_list_next(struct remains_list *list);
void remains_list_close(struct remains_list *list);

/* ---- the lock of a producer's folder ---- */

/* A descriptor of the folder `name`; -1: there is none, or it is a link. */
int remains_open(int runtime_fd, const char *name);

/* The folder's lock file, opened for locking; -1 with errno. ENOENT: nobody can hold it any more. */
int remains_lock_open(int folder_fd);

/* Takes the lock. false: its owner lives, another one reads it, or folder and lock are not the ones at their
 * names any more, because somebody has removed them meanwhile. */
bool remains_lock(int runtime_fd, const char *name, int folder_fd, int lock_fd);

/* The value of a line "key=value" of the lock file, NUL-terminated; false: there is none, or it is too long.
 */
bool remains_lock_value(int folder_fd, const char *key, char *out, size_t cap);

/* ---- reading ---- */

struct remains {
    unsigned char names_file[LAYOUT_NAMES_FILE_BYTES];
    struct layout_name names[REMAINS_NAMES_MAX];
    uint32_t name_count;
    struct layout_clock_pair pairs[LAYOUT_CLOCK_PAIRS];
    size_t pair_count;
    uint32_t rings[LAYOUT_RINGS_MAX];
    size_t ring_count;
};

/* The list of rings alone, without those whose maker was killed before they were one. 0 or errno. */
int remains_read_rings(struct remains *remains, int folder_fd);

/* Rings, names and clock. 0 or errno; -1: a file is of a version this one does not know (why says which).
 * Names or a clock that are missing or cut short are read as far as they go: rows that lack a name are
 * invalid, not guessed. */
int remains_read(struct remains *remains, int folder_fd, char *why, size_t why_cap);

/* Opens a ring with the given flags (O_RDONLY, O_RDWR), reads and checks its header. -1: why says what is
 * wrong. */
int remains_ring_open(int folder_fd, uint32_t number, int flags, struct layout_ring *ring, char *why,
                      size_t why_cap);

/* Reads count slots from number seq on, which may wrap around the end of the file. false: errno, or 0 when
 * the file ends too early. */
bool remains_slots(int ring_fd, const struct layout_ring *ring, uint64_t seq, size_t count,
                   unsigned char *out);

/* A slot as a row. Without a clock file its time is now_ns. */
void remains_row(const struct remains *remains, const unsigned char *slot, int64_t now_ns,
                 struct event_row *row);

/* What a range drop of the ring stands for: [first, *end); false: nothing. */
bool remains_drop(const struct layout_ring *ring, size_t entry, uint64_t *first, uint64_t *end);

/* ---- removing ---- */

/* Removes the folder's files, rings first (while one is there its names and clock are too), and the folder.
 * The caller holds the lock. 0 or errno. */
int remains_remove(int runtime_fd, const char *name, int folder_fd);

/* ".<producer>.new": its maker died before the folder had its name, so that nothing was recorded in it.
 * Removed when it is old and nobody holds its lock. now_ns: UTC. */
bool remains_half_made(const char *name);
void remains_half_made_remove(int runtime_fd, const char *name, int64_t now_ns);

#endif
