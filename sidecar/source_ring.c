/* source_ring.c - salvage: producers that died without saying so.
 *
 * Place on the route: runtime folder -> [ring source] -> salvage -> ingest. Owns the runtime folder's sidecar
 * lock, its thread, and what is known of each producer's folder. Never decides by pid; never deletes what it
 * cannot read.
 *
 * A dead producer's folder stays, locked by us, until its gaps below the tail are either filled from its
 * spool or given up, so that it is read once.
 */
#include "source_ring.h"

#include "failure.h"
#include "folder_lock.h"
#include "log.h"
#include "now.h"
#include "owner.h"
#include "salvage.h"

#include <wire/paths.h>
#include <wire/remains.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum producer_state {
    PRODUCER_ALIVE,
    PRODUCER_WAITING, /* dead and read; its gaps wait for its spool */
    PRODUCER_FOREIGN, /* cannot be read: reported, left alone */
    PRODUCER_GONE     /* its folder is gone; to be forgotten */
};

struct known_producer {
    struct event_producer producer;
    enum producer_state state;
    bool present; /* seen by the look under way */
    bool spool_told;
    int folder_fd, lock_fd; /* PRODUCER_WAITING */
    uint64_t since;         /* spool reader's number when it began to wait */
    uint64_t reconciled; /* alive: the load of the state since which nothing of an earlier one is missing */
    uint64_t *tails;     /* alive, not reconciled: as they were at `since`, */
    uint64_t noted;      /* under this load of the state */
    int64_t gone_ms;
};

/* Its folder is gone; it is forgotten in time. Apart from the known: there are many where processes are
 * short-lived, and none of them may keep a folder from being looked at. */
struct gone_producer {
    struct event_producer producer;
    int64_t since_ms;
};

struct source_ring {
    struct ingest *ingest;
    struct salvage *salvage;
    struct spool_reader *spools;
    bool (*connected)(void *context, const struct event_producer *producer);
    void *context;
    int64_t forget_ms;
    char *runtime;
    int runtime_fd, lock_fd, stop_fd;
    pthread_t thread;
    bool running;
    struct known_producer *known;
    size_t known_count;
    struct gone_producer *gone; /* oldest first */
    size_t gone_count, gone_reserved;
    struct log_condition crowded, unreadable, replaced;
    /* For the scrape; numbers alone, so relaxed order suffices. */
    _Atomic uint64_t salvaged_total, pending;
    uint64_t pending_seen; /* by the look under way */
};

/* ---- what is known of producers ---- */

static struct known_producer *known_find(struct source_ring *source, const struct event_producer *producer)
{
    for (size_t i = 0; i < source->known_count; i++)
        if (memcmp(&source->known[i].producer, producer, sizeof(*producer)) == 0)
            return &source->known[i];
    return NULL;
}

static struct known_producer *known_get(struct source_ring *source, const struct event_producer *producer)
{
    struct known_producer *known = known_find(source, producer);

    if (known != NULL)
        return known;
    if (source->known_count == SOURCE_RING_FOLDERS_MAX) {
        log_raise(&source->crowded, LOG_LEVEL_WARNING,
                  "%s holds more than %u producers' folders; the rest wait", source->runtime,
                  SOURCE_RING_FOLDERS_MAX);
        return NULL;
    }
    known = &source->known[source->known_count++];
    *known = (struct known_producer){.producer = *producer, .folder_fd = -1, .lock_fd = -1};
    return known;
}

static void known_release(struct known_producer *known)
{
    if (known->folder_fd >= 0)
        close(known->folder_fd);
    if (known->lock_fd >= 0)
        close(known->lock_fd); /* and with it the lock */
    known->folder_fd = known->lock_fd = -1;
    free(known->tails);
    known->tails = NULL;
}

static void known_drop(struct source_ring *source, struct known_producer *known)
{
    known_release(known);
    *known = source->known[--source->known_count];
}

static void known_drop_all(struct source_ring *source)
{
    for (size_t i = 0; i < source->known_count; i++)
        known_release(&source->known[i]);
    source->known_count = 0;
}

/* ---- a producer's folder ---- */

/* The spool folder that a producer's lock file names: it may be another than ours. */
static void spool_tell(struct source_ring *source, struct known_producer *known, int folder_fd)
{
    char spool[PATHS_MAX_BYTES];

    if (!remains_lock_value(folder_fd, "spool", spool, sizeof(spool)))
        return;
    known->spool_told = true;
    if (spool[0] == '/' && source->spools != NULL)
        spool_reader_add(source->spools, spool);
}

static void folder_finish(struct source_ring *source, struct known_producer *known, const char *name)
{
    int error = remains_remove(source->runtime_fd, name, known->folder_fd);

    known_release(known);
    if (error != 0) {
        log_warning("%s/%s: salvaged, but it cannot be removed: %s", source->runtime, name, strerror(error));
        known->state = PRODUCER_FOREIGN;
        return;
    }
    atomic_fetch_add_explicit(&source->salvaged_total, 1, memory_order_relaxed);
    known->state = PRODUCER_GONE;
    known->gone_ms = now_monotonic_ms();
    log_info("salvaged what producer %s left behind", name);
}

static void folder_salvage(struct source_ring *source, struct known_producer *known, const char *name,
                           int folder_fd, int lock_fd)
{
    char why[160] = "";
    enum salvage_status status = salvage_take(source->salvage, folder_fd, &known->producer, why, sizeof(why));

    known->folder_fd = folder_fd;
    known->lock_fd = lock_fd;
    switch (status) {
    case SALVAGE_DONE:
        folder_finish(source, known, name);
        break;
    case SALVAGE_GAPS:
        known->state = PRODUCER_WAITING;
        known->since = source->spools != NULL ? spool_reader_now(source->spools) : 0;
        break;
    case SALVAGE_LATER:
        known_release(known);
        break;
    case SALVAGE_FOREIGN:
        log_error(
            "%s/%s cannot be salvaged: %s; it is left there: use the version of ailive that wrote it, or "
            "remove it",
            source->runtime, name, why);
        known_release(known);
        known->state = PRODUCER_FOREIGN;
        break;
    }
}

static bool spool_settled(struct source_ring *source, const struct known_producer *known)
{
    return source->spools == NULL || spool_reader_settled(source->spools, &known->producer, known->since);
}

/* Its spool, read to the end since we began to wait, has filled what it could. */
static void folder_wait(struct source_ring *source, struct known_producer *known, const char *name)
{
    if (!spool_settled(source, known))
        return;
    if (salvage_give_up(source->salvage, known->folder_fd, &known->producer) == SALVAGE_DONE)
        folder_finish(source, known, name);
}

/* A state that was read back may be older than what it acknowledged before, and nobody can tell: so each
 * living producer is looked at after each load. */
static void folder_reconcile(struct source_ring *source, struct known_producer *known, int folder_fd)
{
    uint64_t loads = ingest_loads(source->ingest);

    if (known->reconciled == loads)
        return;
    if (known->tails == NULL && (known->tails = calloc(LAYOUT_RINGS_MAX, sizeof(*known->tails))) == NULL)
        return;
    if (known->noted != loads) {
        salvage_tails(source->salvage, folder_fd, known->tails);
        known->since = source->spools != NULL ? spool_reader_now(source->spools) : 0;
        known->noted = loads;
        return; /* the next look, at the earliest, finds the spool read */
    }
    if (spool_settled(source, known) &&
        salvage_reconcile(source->salvage, folder_fd, &known->producer, known->tails) == SALVAGE_DONE) {
        known->reconciled = loads;
        free(known->tails);
        known->tails = NULL;
    }
}

static void folder_look(struct source_ring *source, const char *name, const struct event_producer *producer)
{
    struct known_producer *known = known_get(source, producer);
    int folder_fd, lock_fd;

    if (known == NULL)
        return;
    known->present = true;
    if (known->state == PRODUCER_WAITING)
        folder_wait(source, known, name);
    if (known->state != PRODUCER_ALIVE)
        return;
    folder_fd = remains_open(source->runtime_fd, name);
    if (folder_fd < 0)
        return;
    if (!known->spool_told)
        spool_tell(source, known, folder_fd);
    lock_fd = remains_lock_open(folder_fd);
    if (lock_fd >= 0 && remains_lock(source->runtime_fd, name, folder_fd, lock_fd)) {
        folder_salvage(source, known, name, folder_fd, lock_fd);
        return;
    }
    if (lock_fd >= 0)
        close(lock_fd);
    else if (errno == ENOENT)
        (void)unlinkat(source->runtime_fd, name,
                       AT_REMOVEDIR); /* its remover was killed before the last step */
    source->pending_seen += salvage_pending(source->salvage, folder_fd);
    folder_reconcile(source, known, folder_fd);
    close(folder_fd);
}

/* ---- forgetting ---- */

static bool gone_add(struct source_ring *source, const struct known_producer *known)
{
    if (source->gone_count == source->gone_reserved) {
        size_t reserved = source->gone_reserved > 0 ? source->gone_reserved * 2 : 64;
        struct gone_producer *gone;

        if (reserved > SOURCE_RING_GONE_MAX ||
            (gone = realloc(source->gone, reserved * sizeof(*gone))) == NULL)
            return false; /* it stays among the known */
        source->gone = gone;
        source->gone_reserved = reserved;
    }
    source->gone[source->gone_count++] = (struct gone_producer){known->producer, known->gone_ms};
    return true;
}

/* Only a producer whose folder we saw and saw vanish: one of another runtime folder never has one here.
 * Returns whether it is done with. */
static bool gone_forget(struct source_ring *source, const struct event_producer *producer)
{
    if (known_find(source, producer) != NULL)
        return true; /* its folder is there again: it vanishes again */
    if ((source->spools != NULL && spool_reader_has(source->spools, producer)) ||
        (source->connected != NULL && source->connected(source->context, producer)))
        return false;
    return ingest_forget(source->ingest, producer) == INGEST_COMMITTED;
}

static void gone_review(struct source_ring *source, int64_t now_ms)
{
    size_t kept = 0, left = SOURCE_RING_FORGETS;

    for (size_t i = 0; i < source->gone_count; i++) {
        bool due = left > 0 && now_ms - source->gone[i].since_ms >= source->forget_ms;

        if (due && gone_forget(source, &source->gone[i].producer))
            left--;
        else
            source->gone[kept++] = source->gone[i];
    }
    source->gone_count = kept;
}

static void known_review(struct source_ring *source)
{
    int64_t now_ms = now_monotonic_ms();

    gone_review(source, now_ms);
    for (size_t i = source->known_count; i-- > 0;) {
        struct known_producer *known = &source->known[i];

        if (!known->present && known->state != PRODUCER_GONE) {
            known_release(known); /* closed by its owner, or removed by somebody else */
            known->state = PRODUCER_GONE;
            known->gone_ms = now_ms;
        }
        if (known->state == PRODUCER_GONE && gone_add(source, known))
            known_drop(source, known);
    }
}

/* ---- the folder itself ---- */

static void source_unclaim(struct source_ring *source)
{
    if (source->lock_fd >= 0)
        close(source->lock_fd);
    if (source->runtime_fd >= 0)
        close(source->runtime_fd);
    source->lock_fd = source->runtime_fd = -1;
}

static int source_claim(struct source_ring *source, char *error, size_t cap)
{
    char owner[32];
    int made = paths_make(source->runtime);

    if (made != 0)
        return failure_say(error, cap, "runtime folder %s: %s; name another with --runtime", source->runtime,
                           strerror(made));
    source->runtime_fd = open(source->runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (source->runtime_fd < 0)
        return failure_say(error, cap, "runtime folder %s: %s; name another with --runtime", source->runtime,
                           strerror(errno));
    source->lock_fd = folder_lock_take(source->runtime_fd, REMAINS_SIDECAR, owner, sizeof(owner));
    if (source->lock_fd >= 0)
        return 0;
    if (errno == EAGAIN)
        return failure_say(error, cap,
                           "runtime folder %s is in use by another sidecar (pid %s); end it, or name another "
                           "folder with --runtime",
                           source->runtime, owner);
    return failure_say(error, cap, "runtime folder %s: cannot write in it: %s; name another with --runtime",
                       source->runtime, strerror(errno));
}

static bool source_has_folder(const struct source_ring *source)
{
    return source->lock_fd >= 0 && folder_lock_names(AT_FDCWD, source->runtime, 0, source->runtime_fd);
}

/* Somebody may remove the folder while it is in use, as the end of a login session does with
 * $XDG_RUNTIME_DIR: producers make it anew, and those that die in there must be found. Nobody is forgotten
 * for having been in the one before: he may live on. */
static bool source_reclaim(struct source_ring *source)
{
    char why[PATHS_MAX_BYTES + 160];

    if (source_has_folder(source))
        return true;
    known_drop_all(source);
    source_unclaim(source);
    if (source_claim(source, why, sizeof(why)) != 0) {
        source_unclaim(source);
        log_raise(&source->replaced, LOG_LEVEL_ERROR, "removed or replaced while in use: %s", why);
        return false;
    }
    log_clear(&source->replaced, "runtime folder %s can be used again", source->runtime);
    log_warning(
        "runtime folder %s was removed or replaced while in use; it is locked again, what lay in it is gone",
        source->runtime);
    return true;
}

/* ---- a look ---- */

static void source_look(struct source_ring *source)
{
    struct event_producer producer;
    const struct dirent *entry;
    DIR *listing;
    int fd;

    if (!source_reclaim(source))
        return;
    fd = openat(source->runtime_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    listing = fd >= 0 ? fdopendir(fd) : NULL;
    if (listing == NULL) {
        log_raise(&source->unreadable, LOG_LEVEL_ERROR, "runtime folder %s cannot be read: %s",
                  source->runtime, strerror(errno));
        if (fd >= 0)
            close(fd);
        return;
    }
    for (size_t i = 0; i < source->known_count; i++)
        source->known[i].present = false;
    source->pending_seen = 0;
    while ((entry = readdir(listing)) != NULL) {
        if (event_producer_parse(entry->d_name, strlen(entry->d_name), &producer))
            folder_look(source, entry->d_name, &producer);
        else if (remains_half_made(entry->d_name))
            remains_half_made_remove(source->runtime_fd, entry->d_name, now_utc_ns());
    }
    closedir(listing);
    atomic_store_explicit(&source->pending, source->pending_seen, memory_order_relaxed);
    known_review(source);
}

static void *source_run(void *argument)
{
    struct source_ring *source = argument;
    struct pollfd stop = {.fd = source->stop_fd, .events = POLLIN};

    do
        source_look(source);
    while (poll(&stop, 1, SOURCE_RING_LOOK_MS) <= 0);
    source_look(source);
    return NULL;
}

/* ---- opening and closing ---- */

static int source_make(struct source_ring *source, const struct source_ring_options *options,
                       struct ingest *ingest, char *error, size_t cap)
{
    source->ingest = ingest;
    source->spools = options->spools;
    source->connected = options->connected;
    source->context = options->context;
    source->forget_ms = options->forget_ms > 0 ? options->forget_ms : SOURCE_RING_FORGET_MS;
    source->runtime = strdup(options->runtime);
    source->known = calloc(SOURCE_RING_FOLDERS_MAX, sizeof(struct known_producer));
    source->salvage = salvage_new(ingest);
    source->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (source->runtime == NULL || source->known == NULL || source->salvage == NULL)
        return failure_say(error, cap, "out of memory");
    if (source->stop_fd < 0)
        return failure_say(error, cap, "%s", strerror(errno));
    return source_claim(source, error, cap);
}

static int source_start(struct source_ring *source, char *error, size_t cap)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&source->thread, NULL, source_run, source);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    source->running = rc == 0;
    return rc == 0 ? 0 : failure_say(error, cap, "cannot start the salvage thread: %s", strerror(rc));
}

int source_ring_open(const struct source_ring_options *options, struct ingest *ingest,
                     struct source_ring **out, char *error, size_t error_cap)
{
    struct source_ring *source = calloc(1, sizeof(*source));

    *out = NULL;
    if (source == NULL)
        return failure_say(error, error_cap, "out of memory");
    source->runtime_fd = source->lock_fd = source->stop_fd = -1;
    if (source_make(source, options, ingest, error, error_cap) != 0 ||
        source_start(source, error, error_cap) != 0) {
        source_ring_close(source);
        return -1;
    }
    *out = source;
    return 0;
}

void source_ring_close(struct source_ring *source)
{
    if (source == NULL)
        return;
    if (source->running) {
        eventfd_write(source->stop_fd, 1);
        pthread_join(source->thread, NULL);
    }
    known_drop_all(source);
    if (source->stop_fd >= 0)
        close(source->stop_fd);
    source_unclaim(source);
    salvage_free(source->salvage);
    free(source->known);
    free(source->gone);
    free(source->runtime);
    free(source);
}

uint64_t source_ring_salvaged_total(struct source_ring *source)
{
    return atomic_load_explicit(&source->salvaged_total, memory_order_relaxed);
}

uint64_t source_ring_pending(struct source_ring *source)
{
    return atomic_load_explicit(&source->pending, memory_order_relaxed);
}
