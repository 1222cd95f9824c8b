/* instance.h - what an open instance is made of.
 *
 * Three parts, by what happens to them:
 *  - struct ailive, the handle: on the heap, in a list, never freed. Calls on it stay harmless for ever.
 *  - struct instance_kept: private memory until ailive_close(); a forked child works on its copy (settings,
 *    names).
 *  - struct instance_live: everything of this process alone: rings, folder, shipper, locks. A forked child
 *    finds it zeroed, which means "not started", and starts it at its first record. */
#ifndef AILIVE_SRC_INSTANCE_H
#define AILIVE_SRC_INSTANCE_H

#include "folder.h"
#include "names.h"
#include "process.h"
#include "ring.h"
#include "road_nng.h"
#include "shipper.h"

#include "wire/url.h"

#include <pthread.h>

enum instance_state {
    INSTANCE_OPEN = 1,
    INSTANCE_DISABLED = 2,
    INSTANCE_CLOSED = 3
};

struct instance_settings {
    char component[AILIVE_NAME_MAX_BYTES + 1];
    char run_id[AILIVE_NAME_MAX_BYTES + 1];
    char runtime[PATHS_MAX_BYTES];
    char spool[PATHS_MAX_BYTES]; /* "": no folder could be found */
    enum url_road road;
    char socket[URL_MAX_BYTES];     /* the path of ipc://, of the others the URL */
    char tls_cert[PATHS_MAX_BYTES]; /* "": none */
    char tls_ca[PATHS_MAX_BYTES];
    uint32_t ring_records;
    uint32_t spool_after_ms;
    uint64_t spool_file_bytes;
    uint64_t spool_max_bytes;
    ailive_log_fn log;
    void *log_context;
    bool memory_sink;
};

struct instance_kept {
    struct instance_settings settings;
    struct names names;
    struct road_nng nng; /* unless the road is ipc:// */
};

struct instance_live {
    uint32_t started;     /* 1: everything below is there */
    pthread_mutex_t lock; /* making rings, starting in a child */
    uint64_t no_ring;     /* dropped while there was not even a ring 0 to count it in */
    struct event_producer producer;
    struct folder folder;
    uint32_t ring_count; /* rings[0, ring_count) may be read without a lock */
    bool names_ready;    /* the names file has every name so far. Under process_lock() */
    uint32_t read_next;  /* memory sink: whose turn it is */
    struct ring rings[LAYOUT_RINGS_MAX];
    struct shipper shipper;
};

struct ailive {
    struct process_fds fds; /* first: the list a forked child walks */
    uint32_t state;         /* enum instance_state */
    int slot;
    uint64_t ignored;
    struct instance_kept *kept;
    struct instance_live *live; /* NULL in a disabled instance */
    struct ailive_stats last;   /* the counters at close */
    uint32_t last_there;        /* 1: last is filled */
};

/* First sequence number of every new ring. 0, but for tests that start just before a wrap. */
extern uint64_t instance_first_seq;

/* Enters an instance: AILIVE_OK, then instance_leave() must follow; AILIVE_EINVAL (NULL, counted),
 * AILIVE_ECLOSED or AILIVE_EDISABLED otherwise. */
int instance_enter(struct ailive *instance);
void instance_leave(struct ailive *instance);

/* Counts a recording call that did nothing. instance may be NULL. */
void instance_ignore(struct ailive *instance);

/* Makes everything of instance->live: producer id, folder, ring 0, shipper. In ailive_open() and in a child's
 * first record; under live->lock. 0 or errno; on failure live is as before. */
int instance_start(struct ailive *instance);

/* One line to the host's log callback. */
void instance_log(const struct ailive *instance, enum ailive_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Counters of a started instance. */
void instance_count(const struct ailive *instance, struct ailive_stats *out);

/* Rings that may be read. Pairs with the release in record.c: each of them is whole. */
static inline uint32_t instance_rings(const struct instance_live *live)
{
    return __atomic_load_n(&live->ring_count, __ATOMIC_ACQUIRE);
}

#endif
