/* replay_file.c - see replay_file.h. */
#include "replay_file.h"

#include <wire/spool.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct worker {
    struct replay_run *run;
    struct replay *replay;
    struct chunk chunk;
    pthread_t thread;
    bool started;
};

struct replay_run {
    struct replay_options options;
    struct replay *main; /* what has been counted for good */
    struct chunk chunk;  /* for what the run reads itself */
    uint64_t number;     /* of the next chunk */

    struct worker workers[REPLAY_JOBS_MAX];
    unsigned jobs;
    struct chunks *chunks; /* of the file being shared */
    /* Workers raise them and look at them between chunks; relaxed, because what they decide is decided after
     * the join, and a worker that sees one late only does work for nothing. */
    _Atomic bool full;   /* a family is: read again */
    _Atomic bool failed; /* out of memory */
};

struct replay_run *replay_run_open(const struct replay_options *options, unsigned jobs, char *error,
                                   size_t error_cap)
{
    struct replay_run *run = calloc(1, sizeof(*run));

    snprintf(error, error_cap, "out of memory");
    if (!run)
        return NULL;
    run->options = *options;
    run->jobs = jobs;
    run->number = 1;
    run->main = replay_open(options, error, error_cap);
    if (run->main && chunk_init(&run->chunk))
        return run;
    replay_run_close(run);
    return NULL;
}

static void worker_close(struct worker *worker)
{
    replay_close(worker->replay);
    chunk_fini(&worker->chunk);
    *worker = (struct worker){0};
}

void replay_run_close(struct replay_run *run)
{
    if (!run)
        return;
    for (unsigned i = 0; i < run->jobs; i++)
        worker_close(&run->workers[i]);
    replay_close(run->main);
    chunk_fini(&run->chunk);
    free(run);
}

struct aggregate *replay_run_aggregate(struct replay_run *run)
{
    return replay_aggregate(run->main);
}

/* ---- one worker ---- */

static bool give_error(char *error, size_t error_cap, const char *text)
{
    snprintf(error, error_cap, "%s", text);
    return false;
}

static bool read_alone(struct replay_run *run, struct chunks *chunks, bool spool, char *error,
                       size_t error_cap)
{
    enum chunks_status status;

    while ((status = chunks_next(chunks, &run->chunk)) == CHUNKS_ONE)
        if (!replay_chunk(run->main, &run->chunk, spool))
            return give_error(error, error_cap, "its events could not be taken in");
    run->number = chunks_number(chunks);
    return status == CHUNKS_END || give_error(error, error_cap, chunks_error(chunks));
}

static bool file_alone(struct replay_run *run, int fd, bool spool, char *error, size_t error_cap)
{
    struct chunks *chunks = chunks_open(fd, run->number);
    bool fine = chunks ? read_alone(run, chunks, spool, error, error_cap)
                       : give_error(error, error_cap, "out of memory");

    chunks_close(chunks);
    return fine;
}

/* ---- several ---- */

static void *work(void *context)
{
    struct worker *worker = context;
    struct replay_run *run = worker->run;

    while (!atomic_load_explicit(&run->full, memory_order_relaxed) &&
           !atomic_load_explicit(&run->failed, memory_order_relaxed) &&
           chunks_next(run->chunks, &worker->chunk) == CHUNKS_ONE) {
        if (!replay_chunk(worker->replay, &worker->chunk, false))
            atomic_store_explicit(&run->failed, true, memory_order_relaxed);
        if (aggregate_overflowed(replay_aggregate(worker->replay)))
            atomic_store_explicit(&run->full, true, memory_order_relaxed);
    }
    return NULL;
}

static bool worker_open(struct replay_run *run, struct worker *worker, char *error, size_t error_cap)
{
    if (!worker->chunk.bytes && !chunk_init(&worker->chunk))
        return give_error(error, error_cap, "out of memory");
    worker->run = run;
    worker->replay = replay_open(&run->options, error, error_cap);
    return worker->replay != NULL;
}

/* Worker 0 is the calling thread. A thread that cannot be started is one worker less. */
static void share(struct replay_run *run)
{
    for (unsigned i = 1; i < run->jobs; i++)
        run->workers[i].started = pthread_create(&run->workers[i].thread, NULL, work, &run->workers[i]) == 0;
    work(&run->workers[0]);
    for (unsigned i = 1; i < run->jobs; i++)
        if (run->workers[i].started)
            pthread_join(run->workers[i].thread, NULL);
}

/* What the workers have counted, in one; then, when all of it has room, in the run's. */
static enum aggregate_merged merge(struct replay_run *run)
{
    struct aggregate *first = replay_aggregate(run->workers[0].replay);
    enum aggregate_merged merged = AGGREGATE_MERGED;

    for (unsigned i = 1; i < run->jobs && merged == AGGREGATE_MERGED; i++)
        merged = aggregate_merge(first, replay_aggregate(run->workers[i].replay));
    return merged == AGGREGATE_MERGED ? aggregate_merge(replay_aggregate(run->main), first) : merged;
}

/* *again: one worker has to read the file again; nothing of it is counted. */
static bool share_chunks(struct replay_run *run, bool *again, char *error, size_t error_cap)
{
    enum aggregate_merged merged = AGGREGATE_FULL;

    for (unsigned i = 0; i < run->jobs; i++)
        if (!worker_open(run, &run->workers[i], error, error_cap))
            return false;
    share(run);
    if (chunks_error(run->chunks))
        return give_error(error, error_cap, chunks_error(run->chunks));
    if (!run->failed && !run->full)
        merged = merge(run);
    if (run->failed || merged == AGGREGATE_MEMORY)
        return give_error(error, error_cap, "its events could not be taken in");
    *again = merged == AGGREGATE_FULL;
    if (!*again)
        run->number = chunks_number(run->chunks);
    return true;
}

static bool file_shared(struct replay_run *run, int fd, bool *again, char *error, size_t error_cap)
{
    bool fine = false;

    run->full = run->failed = false;
    run->chunks = chunks_open(fd, run->number);
    if (run->chunks)
        fine = share_chunks(run, again, error, error_cap);
    else
        give_error(error, error_cap, "out of memory");
    for (unsigned i = 0; i < run->jobs; i++)
        worker_close(&run->workers[i]);
    chunks_close(run->chunks);
    return fine;
}

/* ---- files ---- */

static bool is_spool_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct event_producer producer;
    uint64_t n;

    return spool_file_name_parse(slash ? slash + 1 : path, &producer, &n);
}

static bool can_be_shared(const char *path, int fd)
{
    struct stat status;

    return strcmp(path, "-") != 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
           status.st_size > (off_t)CHUNKS_READ_BYTES;
}

static int open_file(const char *path)
{
    return strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                  : open(path, O_RDONLY | O_CLOEXEC);
}

bool replay_run_file(struct replay_run *run, const char *path, char *error, size_t error_cap)
{
    bool spool = is_spool_file(path), again = true;
    int fd = open_file(path);

    if (fd < 0)
        return give_error(error, error_cap, strerror(errno));
    if (run->jobs > 1 && !spool && can_be_shared(path, fd)) {
        if (!file_shared(run, fd, &again, error, error_cap))
            return false;
        if (!again)
            return true;
        fd = open_file(path);
        if (fd < 0)
            return give_error(error, error_cap, strerror(errno));
    }
    return file_alone(run, fd, spool, error, error_cap);
}
