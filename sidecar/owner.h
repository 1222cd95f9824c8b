/* owner.h - whether a producer lives: the lock of its folder is held, or it is not.
 *
 * Place on the route: asked by the spool reader and by salvage. Any thread. Takes no lock itself. Pid and
 * start time are never looked at: a pid is reused, and means nothing in another container.
 */
#ifndef AILIVE_SIDECAR_OWNER_H
#define AILIVE_SIDECAR_OWNER_H

#include <wire/layout.h>

enum owner {
    OWNER_ALIVE, /* or nobody can tell: treated as alive */
    OWNER_DEAD,  /* the folder is there, its lock is free */
    OWNER_GONE   /* no folder: closed, salvaged, or of another runtime folder */
};

/* runtime NULL: OWNER_GONE. */
enum owner owner_of(const char *runtime, const struct event_producer *producer);

#endif
