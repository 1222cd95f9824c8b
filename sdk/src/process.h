/* process.h - what belongs to the process as a whole, and what a fork must not leave behind.
 *
 * Place on the route: beside it. Every other file of sdk/src asks it for memory that a forked child finds
 * zeroed, for the process-wide lock, and for a gate that lets ailive_close() wait for calls under way.
 *
 * Fork: everything a child could find locked or half changed lies in memory from process_map(), which the
 * kernel zeroes in the child (MADV_WIPEONFORK); zero means unlocked and not started. It works for a bare
 * _Fork() or clone() too, where no pthread_atfork() handler runs. */
#ifndef AILIVE_SRC_PROCESS_H
#define AILIVE_SRC_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROCESS_INSTANCES_MAX 64u /* open instances of one process */

/* A descriptor a forked child must not keep, with the identity of what it opened: a host may close every
 * number it does not know (daemons do) and open something of its own under the same one, and neither we nor a
 * child that notices late may then write to it, read from it or close it. */
struct process_fd {
    int fd; /* -1: none */
    uint64_t device;
    uint64_t inode;
};

/* What the shipper has open while it empties a dead producer's folder. */
enum process_rescue {
    PROCESS_RESCUE_RUNTIME,
    PROCESS_RESCUE_LIST, /* the runtime folder's listing */
    PROCESS_RESCUE_FOLDER,
    PROCESS_RESCUE_FILE, /* the lock while it is taken, then one ring after the other */
    PROCESS_RESCUE_SPOOL,
    PROCESS_RESCUE_FDS
};

/* The descriptors of one instance. Lies in the handle, which is never freed. */
struct process_fds {
    struct process_fds *next;
    struct process_fd lock, socket, spool;
    struct process_fd rescue[PROCESS_RESCUE_FDS]; /* enum process_rescue, for the length of a pass */
};

/* Makes what the process needs once. 0 or errno. Any thread, any number of times. */
int process_init(void);

/* Notices a fork that no handler saw, and closes what the child inherited. Cheap: one load. Call it before
 * anything else on every slow way into the library; does nothing before process_init(). */
void process_check(void);

/* The process-wide lock: list of instances, names, and who holds which ring. Held for memory work only. */
void process_lock(void);
void process_unlock(void);

/* Zeroed pages that a forked child finds zeroed again. NULL with errno on failure. process_unmap(NULL, n) is
 * harmless. */
void *process_map(size_t len_bytes);
void process_unmap(void *pages, size_t len_bytes);

/* A place among the open instances: 0 to PROCESS_INSTANCES_MAX - 1, -1 when all are taken. */
int process_slot_take(void);
void process_slot_return(int slot);

/* The gate of a slot: between enter and leave an instance that was seen open stays in memory, because its
 * close waits in process_wait_empty(). Wait-free for those who enter. */
void process_enter(int slot);
void process_leave(int slot);
void process_wait_empty(int slot);

/* Adds an instance's descriptors to the list a forked child closes. Under process_lock(). */
void process_fds_add(struct process_fds *fds);

/* Takes note of a descriptor just opened. 0, or errno and the descriptor is closed again. */
int process_fd_set(struct process_fd *note, int fd);

/* Closes it, where it still is what was opened, and forgets it (-1 is harmless). */
void process_fd_close(struct process_fd *note);

/* Whether the number still stands for what was opened. Ask right before each use: what the host does between
 * the answer and the use cannot be known. false: there is none, or the host took it; forget it. */
bool process_fd_ours(const struct process_fd *note);

/* Maps a file, so that its open file description, and a lock that belongs to it, outlive the descriptor: in
 * this process alone, no child inherits it. 0 or errno. process_release(NULL) is harmless. */
int process_hold(int fd, void **out);
void process_release(void *held);

/* posix_fallocate() of a whole new file, with the calling thread's signals held back meanwhile: a host's
 * profiling timer would interrupt it each time. 0 or errno. */
int process_allocate(int fd, size_t len_bytes);

#endif
