/* source_file.c - the file roads: other programs' event files, and producers' spools.
 *
 * Place on the route: files -> [file source] -> contract -> ingest. Owns its thread, inotify and what is
 * followed. The thread touches the aggregate only through ingest. inotify only says "look": what has changed
 * is found by looking, so that a lost or missing event costs no more than the interval.
 */
#include "source_file.h"

#include "follow.h"
#include "log.h"
#include "now.h"
#include "spool_reader.h"

#include <errno.h>
#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define DRAIN_READS 64u /* of 4 KiB of inotify events, between two looks at the files */
#define WATCHED_EVENTS                                                                                       \
    (IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB)

struct source_file {
    struct follow **follows;
    uint64_t *lag_bytes;    /* one per follow; under the lock */
    uint64_t damaged_total; /* likewise */
    size_t count;
    struct spool_reader *spools;
    struct contract *contract;
    struct follow_context context;
    int inotify_fd, stop_fd;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
};

/* ---- watching ---- */

/* Network and stacked file systems accept a watch and then do not tell about other machines' or layers'
 * writes. */
static bool folder_tells(const char *folder)
{
    struct statfs status;

    if (statfs(folder, &status) != 0)
        return false;
    switch ((unsigned long)status.f_type) {
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case 0xff534d42ul: /* CIFS */
    case 0xfe534d42ul: /* SMB2 */
    case 0x65735546ul: /* FUSE */
    case V9FS_MAGIC:
        return false;
    default:
        return true;
    }
}

/* Adding a watch again is harmless, and needed: a folder may be made, or made anew. */
static bool folder_watch(struct source_file *source, const char *folder)
{
    return source->inotify_fd >= 0 &&
           inotify_add_watch(source->inotify_fd, folder, WATCHED_EVENTS | IN_ONLYDIR) >= 0 &&
           folder_tells(folder);
}

/* Returns how long nothing need be looked at when inotify is silent. */
static int source_watch(struct source_file *source)
{
    bool all = true;
    const char *folder;

    for (size_t i = 0; i < source->count; i++)
        all = folder_watch(source, follow_folder(source->follows[i])) && all;
    for (size_t i = 0; (folder = spool_reader_folder(source->spools, i)) != NULL; i++)
        all = folder_watch(source, folder) && all;
    return all ? SOURCE_FILE_WATCHED_MS : SOURCE_FILE_POLL_MS;
}

/* Bounded: a neighbour in the folder that is written without a pause would keep our files waiting for ever.
 * What is left is read the next time. */
static void inotify_drain(struct source_file *source)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

    for (unsigned i = 0; i < DRAIN_READS && read(source->inotify_fd, events, sizeof(events)) > 0; i++)
        ;
}

/* ---- the thread ---- */

static bool source_look(struct source_file *source)
{
    uint64_t damaged_total = 0;
    bool more = false;

    for (size_t i = 0; i < source->count; i++) {
        uint64_t lag_bytes;

        more = follow_tick(source->follows[i], now_monotonic_ms()) || more;
        lag_bytes = follow_lag_bytes(source->follows[i]);
        pthread_mutex_lock(&source->lock);
        source->lag_bytes[i] = lag_bytes;
        pthread_mutex_unlock(&source->lock);
        damaged_total += follow_damaged_total(source->follows[i]);
    }
    pthread_mutex_lock(&source->lock);
    source->damaged_total = damaged_total;
    pthread_mutex_unlock(&source->lock);
    return spool_reader_tick(source->spools) || more;
}

enum wake {
    WAKE_TIMER,
    WAKE_EVENT,
    WAKE_STOP
};

static enum wake source_wait(struct source_file *source, int timeout_ms, bool for_events)
{
    struct pollfd fds[2] = {{.fd = source->stop_fd, .events = POLLIN},
                            {.fd = source->inotify_fd, .events = POLLIN}};
    int n = poll(fds, for_events && source->inotify_fd >= 0 ? 2 : 1, timeout_ms);

    if (n > 0 && (fds[0].revents & POLLIN))
        return WAKE_STOP;
    return n > 0 ? WAKE_EVENT : WAKE_TIMER;
}

/* Waits until it is worth looking again. */
static enum wake source_rest(struct source_file *source, int timeout_ms, bool more)
{
    enum wake wake = source_wait(source, more ? 0 : timeout_ms, true);

    /* An event seldom comes alone. */
    return wake == WAKE_EVENT && !more ? source_wait(source, SOURCE_FILE_REST_MS, false) : wake;
}

static void *source_run(void *argument)
{
    struct source_file *source = argument;
    enum wake wake = WAKE_TIMER;
    int64_t deadline_ms;

    while (wake != WAKE_STOP) {
        int timeout_ms = source_watch(source);

        if (source->inotify_fd >= 0)
            inotify_drain(source);
        wake = source_rest(source, timeout_ms, source_look(source));
    }
    deadline_ms = now_monotonic_ms() + SOURCE_FILE_CLOSE_MS;
    while (source_look(source) && now_monotonic_ms() < deadline_ms)
        ;
    return NULL;
}

/* ---- opening and closing ---- */

static int open_fail(char *error, size_t cap, const char *text)
{
    snprintf(error, cap, "%s", text);
    return -1;
}

static int source_follow(struct source_file *source, const struct source_file_options *options, char *error,
                         size_t cap)
{
    for (size_t i = 0; i < options->path_count; i++) {
        struct follow *follow;
        bool known = false;

        if (follow_open(&source->context, options->paths[i], options->from_end, &follow, error, cap) != 0)
            return -1;
        for (size_t j = 0; j < source->count; j++)
            known = known || strcmp(follow_path(source->follows[j]), follow_path(follow)) == 0;
        if (known)
            follow_close(follow); /* named twice, read once */
        else
            source->follows[source->count++] = follow;
    }
    return 0;
}

static int source_make(struct source_file *source, const struct source_file_options *options,
                       struct ingest *ingest, char *error, size_t cap)
{
    if (options->path_count > SOURCE_FILE_PATHS_MAX)
        return open_fail(error, cap, "more event files than one sidecar follows (256)");
    source->follows = calloc(options->path_count + 1, sizeof(struct follow *));
    source->lag_bytes = calloc(options->path_count + 1, sizeof(uint64_t));
    source->contract = contract_new(&options->contract);
    source->context.observations = calloc(FOLLOW_UNIT_LINES, sizeof(struct observation));
    source->context.ingest = ingest;
    source->context.contract = source->contract;
    if (source->contract != NULL)
        source->spools = spool_reader_new(ingest, source->contract, options->runtime);
    if (source->follows == NULL || source->lag_bytes == NULL || source->contract == NULL ||
        source->context.observations == NULL || source->spools == NULL)
        return open_fail(error, cap, "out of memory");
    if (options->spool != NULL)
        spool_reader_add(source->spools, options->spool);
    return source_follow(source, options, error, cap);
}

static int source_start(struct source_file *source, char *error, size_t cap)
{
    sigset_t all, before;
    int rc;

    source->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (source->inotify_fd < 0)
        log_warning("inotify is not to be had (%s): files are looked at every %d ms", strerror(errno),
                    SOURCE_FILE_POLL_MS);
    source->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (source->stop_fd < 0)
        return open_fail(error, cap, strerror(errno));
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&source->thread, NULL, source_run, source);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    source->running = rc == 0;
    return rc == 0 ? 0 : open_fail(error, cap, strerror(rc));
}

int source_file_open(const struct source_file_options *options, struct ingest *ingest,
                     struct source_file **out, char *error, size_t error_cap)
{
    struct source_file *source = calloc(1, sizeof(*source));

    *out = NULL;
    if (source == NULL)
        return open_fail(error, error_cap, "out of memory");
    source->inotify_fd = source->stop_fd = -1;
    pthread_mutex_init(&source->lock, NULL);
    if (source_make(source, options, ingest, error, error_cap) != 0)
        goto failed;
    /* Here, not in the thread: once the sidecar says that it is ready, a file's end has been found
     * (from_end), and what is written then is counted. */
    source_look(source);
    if (source_start(source, error, error_cap) != 0)
        goto failed;
    *out = source;
    return 0;
failed:
    source_file_close(source);
    return -1;
}

void source_file_close(struct source_file *source)
{
    if (source == NULL)
        return;
    if (source->running) {
        eventfd_write(source->stop_fd, 1);
        pthread_join(source->thread, NULL);
    }
    for (size_t i = 0; i < source->count; i++)
        follow_close(source->follows[i]);
    if (source->inotify_fd >= 0)
        close(source->inotify_fd);
    if (source->stop_fd >= 0)
        close(source->stop_fd);
    spool_reader_free(source->spools);
    contract_free(source->contract);
    free(source->context.observations);
    free(source->follows);
    free(source->lag_bytes);
    pthread_mutex_destroy(&source->lock);
    free(source);
}

void source_file_lag(struct source_file *source,
                     void (*each)(void *context, const char *path, uint64_t bytes), void *context)
{
    for (size_t i = 0; i < source->count; i++) {
        uint64_t lag_bytes;

        pthread_mutex_lock(&source->lock);
        lag_bytes = source->lag_bytes[i];
        pthread_mutex_unlock(&source->lock);
        each(context, follow_path(source->follows[i]), lag_bytes);
    }
}

uint64_t source_file_damaged_total(struct source_file *source)
{
    uint64_t damaged_total;

    pthread_mutex_lock(&source->lock);
    damaged_total = source->damaged_total;
    pthread_mutex_unlock(&source->lock);
    return damaged_total;
}

struct spool_reader *source_file_spools(struct source_file *source)
{
    return source->spools;
}
