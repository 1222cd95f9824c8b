/* record.h - who writes which ring: claiming at a thread's first record, returning at its exit.
 *
 * Place on the route: host thread -> [record] -> ring. The fast path is ailive_put() in <ailive/ailive.h>;
 * here is the rest. */
#ifndef AILIVE_SRC_RECORD_H
#define AILIVE_SRC_RECORD_H

#include "instance.h"

#define RECORD_RETRY_CALLS 1024u /* a thread without a ring asks again only every so many calls */

/* A thread's place in one instance, 128 bytes: the writer has its line, and the line next to it is touched in
 * the slow path only. Lies in process_map() memory: a forked child finds it free. */
struct record_entry {
    struct ailive_writer writer;
    struct ailive *instance; /* NULL: free */
    struct ring *ring;       /* in instance->live; not to be followed once orphaned */
    /* Orphaned: the instance has gone, these pages are this thread's to unmap. */
    bool orphaned;
    void *pages;
    size_t map_bytes;
};

/* Once a process: the key whose destructor returns a thread's rings. 0 or errno. */
int record_init(void);

/* At close, first: no thread records into the instance any more. */
void record_detach(struct ailive *instance);

/* At close, last: unmaps every ring, except those whose thread lives and may be in the middle of a store:
 * these are unmapped by that thread, at its exit or its next claim. */
void record_abandon(struct ailive *instance);

#endif
