/* spool_reader.c - what producers wrote while the sidecar was away.
 *
 * Place on the route: inside the file source. Owns the list of spool files and what it knows of each. Never
 * trusts a file: a line of another producer than the file's name says is counted as bad, so that a forged
 * line cannot stand for another producer's records.
 *
 * A file's committed position is the 'f' pair "fspool:<file name>": names hold the producer's 128 bits, so
 * that the folder need not be part of it.
 */
#include "spool_reader.h"

#include "folder_lock.h"
#include "log.h"
#include "now.h"
#include "owner.h"
#include "tail.h"

#include <wire/paths.h>
#include <wire/spool.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KEY_BYTES (8u + SPOOL_NAME_BYTES)
#define DOORS_MAX 64u
#define LOOSE_MAX 64u
/* Files kept open between ticks: there may be one for each of thousands of producers. */
#define OPEN_MAX 64u
/* By then the lock files of living producers have told their spool folders. Removing a position too early
 * costs only a file read again. */
#define STALE_TICK 20u

struct spool_file {
    struct event_producer producer;
    uint64_t number;
    size_t folder;
    bool present; /* seen by the scan under way */
    bool open;
    bool at_end; /* everything there was when this tick came to it is committed */
    struct tail tail;
};

struct spool_reader {
    struct ingest *ingest;
    struct contract *contract;
    char *runtime;

    struct spool_file **files; /* sorted by producer and number */
    size_t count, reserved;
    bool stalled;  /* nothing can be committed now */
    bool withheld; /* what the file that is being read holds cannot be accounted for now: others can */
    struct log_condition failing, foreign, shared;
    int locked_fds[SPOOL_READER_FOLDERS_MAX]; /* of the folders; -1: not locked */

    /* The unit being gathered. */
    struct observation observations[SPOOL_READER_UNIT_LINES];
    bool invalid[SPOOL_READER_UNIT_LINES];
    struct ingest_run runs[SPOOL_READER_UNIT_LINES];
    struct ingest_door doors[DOORS_MAX];
    struct observation loose[LOOSE_MAX];
    size_t observation_count, run_count, door_count, loose_count;

    /* Shared with other threads. */
    pthread_mutex_t lock;
    char *folders[SPOOL_READER_FOLDERS_MAX];
    size_t folder_count;
    uint64_t ticks;                        /* begun */
    uint64_t whole_ticks;                  /* number of the last tick that was ended */
    struct event_producer *unread, *there; /* as of the last tick */
    size_t unread_count, there_count, shared_reserved;
    uint64_t lag_bytes;
};

/* ---- the list of files ---- */

static int file_order(const void *left, const void *right)
{
    const struct spool_file *a = *(struct spool_file *const *)left, *b = *(struct spool_file *const *)right;
    int order = memcmp(&a->producer, &b->producer, sizeof(a->producer));

    if (order != 0)
        return order;
    return a->number < b->number ? -1 : a->number > b->number;
}

static void file_close(struct spool_file *file)
{
    if (file->open)
        tail_fini(&file->tail);
    file->open = false;
}

static void file_free(struct spool_file *file)
{
    file_close(file);
    free(file);
}

static struct spool_file *file_find(struct spool_reader *reader, const struct event_producer *producer,
                                    uint64_t number, size_t folder)
{
    for (size_t i = 0; i < reader->count; i++) {
        struct spool_file *file = reader->files[i];

        if (file->number == number && file->folder == folder &&
            memcmp(&file->producer, producer, sizeof(*producer)) == 0)
            return file;
    }
    return NULL;
}

/* false: out of memory. */
static bool file_add(struct spool_reader *reader, const struct event_producer *producer, uint64_t number,
                     size_t folder)
{
    struct spool_file *file = file_find(reader, producer, number, folder);

    if (file == NULL && reader->count == reader->reserved) {
        size_t reserved = reader->reserved > 0 ? reader->reserved * 2 : 16;
        struct spool_file **files = realloc(reader->files, reserved * sizeof(struct spool_file *));

        if (files == NULL)
            return false;
        reader->files = files;
        reader->reserved = reserved;
    }
    if (file == NULL) {
        file = calloc(1, sizeof(*file));
        if (file == NULL)
            return false;
        *file = (struct spool_file){.producer = *producer, .number = number, .folder = folder};
        reader->files[reader->count++] = file;
    }
    file->present = true;
    return true;
}

static bool folder_locked(const struct spool_reader *reader, const char *path)
{
    for (size_t i = 0; i < SPOOL_READER_FOLDERS_MAX; i++)
        if (reader->locked_fds[i] >= 0 && folder_lock_names(AT_FDCWD, path, 0, reader->locked_fds[i]))
            return true;
    return false;
}

/* The folder is ours alone: of what two sidecars read and remove, each misses what the other counted. flock()
 * asks for no file in it, and where it cannot be had the folder is read all the same. */
static bool folder_claim(struct spool_reader *reader, size_t folder)
{
    const char *path = reader->folders[folder];
    int fd;

    if (folder_locked(reader, path))
        return true;
    if (reader->locked_fds[folder] >= 0)
        close(reader->locked_fds[folder]); /* removed, or replaced */
    reader->locked_fds[folder] = -1;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return true;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(fd);
        log_raise(&reader->shared, LOG_LEVEL_ERROR,
                  "another sidecar reads the spool folder %s: it is left to that one; give each sidecar and "
                  "its hosts a folder of their own (--spool, AILIVE_SPOOL_DIR)",
                  path);
        return false;
    }
    reader->locked_fds[folder] = fd;
    log_clear(&reader->shared, "no other sidecar reads the spool folder %s any more", path);
    return true;
}

/* false: not to its end. */
static bool folder_scan(struct spool_reader *reader, size_t folder)
{
    const struct dirent *entry;
    struct event_producer producer;
    uint64_t number;
    bool whole = true;
    DIR *listing;

    if (!folder_claim(reader, folder))
        return false;
    listing = opendir(reader->folders[folder]);
    if (listing == NULL) /* ENOENT: made by the first producer that needs it */
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES;
    while (errno = 0, whole && (entry = readdir(listing)) != NULL)
        if (spool_file_name_parse(entry->d_name, &producer, &number))
            whole = file_add(reader, &producer, number, folder);
    whole = whole && errno == 0;
    closedir(listing);
    return whole;
}

/* Returns whether all folders were read to their ends: otherwise a file that was not seen may well be there,
 * and nobody may conclude that a producer's spool is read. */
static bool files_scan(struct spool_reader *reader, size_t folder_count)
{
    size_t kept = 0;
    bool whole = true;

    for (size_t i = 0; i < reader->count; i++)
        reader->files[i]->present = false;
    for (size_t i = 0; i < folder_count; i++)
        whole = folder_scan(reader, i) && whole;
    for (size_t i = 0; i < reader->count; i++) {
        if (reader->files[i]->present || !whole)
            reader->files[kept++] = reader->files[i];
        else
            file_free(reader->files[i]);
    }
    reader->count = kept;
    if (kept > 0)
        qsort(reader->files, kept, sizeof(struct spool_file *), file_order);
    return whole;
}

/* ---- positions ---- */

static size_t file_key(const struct spool_file *file, char out[KEY_BYTES])
{
    char name[SPOOL_NAME_BYTES];

    spool_file_name(&file->producer, file->number, name);
    return (size_t)snprintf(out, KEY_BYTES, "fspool:%s", name);
}

static void file_path(const struct spool_reader *reader, const struct spool_file *file,
                      char out[PATHS_MAX_BYTES + SPOOL_NAME_BYTES])
{
    char name[SPOOL_NAME_BYTES];

    spool_file_name(&file->producer, file->number, name);
    snprintf(out, PATHS_MAX_BYTES + SPOOL_NAME_BYTES, "%s/%s", reader->folders[file->folder], name);
}

static bool file_stored_mark(struct spool_reader *reader, const struct spool_file *file,
                             struct tail_mark *mark)
{
    unsigned char value[TAIL_STORED_BYTES];
    char key[KEY_BYTES];
    size_t key_len = file_key(file, key);

    return ingest_position(reader->ingest, key, key_len, value, sizeof(value)) == sizeof(value) &&
           tail_mark_load(value, mark);
}

static bool file_open(struct spool_reader *reader, struct spool_file *file)
{
    char path[PATHS_MAX_BYTES + SPOOL_NAME_BYTES];
    struct tail_mark mark;
    struct stat status;
    enum tail_match match = TAIL_MATCH_NO;
    int fd;

    if (file->open)
        return true;
    file_path(reader, file, path);
    fd = tail_open_path(AT_FDCWD, path, &status);
    if (fd < 0) {
        log_raise(&reader->failing, LOG_LEVEL_ERROR, "spool file %s cannot be read: %s", path,
                  errno == EINVAL ? "no regular file" : strerror(errno));
        return false;
    }
    if (file_stored_mark(reader, file, &mark))
        match = tail_mark_matches(&mark, fd);
    if (match == TAIL_MATCH_OPEN) {
        close(fd);
        return false; /* the next tick tries again */
    }
    /* Read again from the start costs nothing but time: sequence numbers tell what was counted. */
    file->open = tail_init(&file->tail, fd, match == TAIL_MATCH_YES ? &mark : NULL, false) == 0;
    return file->open;
}

/* ---- one unit ---- */

static bool unit_commit_at(struct spool_reader *reader, struct spool_file *file, struct ingest_unit *unit)
{
    unsigned char value[TAIL_STORED_BYTES];
    struct change_list positions;
    char key[KEY_BYTES];
    size_t key_len = file_key(file, key);
    enum ingest_status status = INGEST_UNCOMMITTED;

    tail_mark_store(tail_next_mark(&file->tail), value);
    change_list_init(&positions);
    unit->road = ROAD_SPOOL;
    unit->positions = &positions;
    if (change_list_put(&positions, key, key_len, value, sizeof(value)))
        status = ingest_take(reader->ingest, unit, NULL);
    if (status == INGEST_REFUSED) {
        log_raise(&reader->foreign, LOG_LEVEL_WARNING,
                  "numbers of a spool file wrap; lines of it are passed over");
        *unit = (struct ingest_unit){.road = ROAD_SPOOL, .positions = &positions};
        status = ingest_take(reader->ingest, unit, NULL);
    }
    unit->positions = NULL;
    change_list_fini(&positions);
    if (status == INGEST_COMMITTED)
        tail_committed(&file->tail);
    else if (status == INGEST_RANGE_LIMIT)
        reader->withheld = true;
    else
        reader->stalled = true;
    return status == INGEST_COMMITTED;
}

static void unit_clear(struct spool_reader *reader)
{
    reader->observation_count = reader->run_count = reader->door_count = reader->loose_count = 0;
}

static bool unit_commit(struct spool_reader *reader, struct spool_file *file)
{
    struct ingest_unit unit = {.observations = reader->observations,
                               .observation_count = reader->observation_count,
                               .invalid = reader->invalid,
                               .runs = reader->runs,
                               .run_count = reader->run_count,
                               .doors = reader->doors,
                               .door_count = reader->door_count,
                               .loose = reader->loose,
                               .loose_count = reader->loose_count};
    bool committed = unit_commit_at(reader, file, &unit);

    unit_clear(reader);
    contract_clear(reader->contract);
    return committed;
}

static bool unit_empty(const struct spool_reader *reader)
{
    return reader->run_count == 0 && reader->door_count == 0 && reader->loose_count == 0;
}

/* Nothing but the run it continues is looked at: lines of one ring lie together. */
static void unit_add_record(struct spool_reader *reader, const struct spool_line *line)
{
    struct ingest_run *last = reader->run_count > 0 ? &reader->runs[reader->run_count - 1] : NULL;
    size_t at = reader->observation_count++;

    reader->invalid[at] = line->kind == SPOOL_LINE_INVALID;
    reader->observations[at] = line->observation;
    if (last != NULL && last->drop < 0 && last->ring == line->ring && last->first + last->count == line->seq)
        last->count++;
    else
        reader->runs[reader->run_count++] =
            (struct ingest_run){line->producer, line->ring, line->seq, 1, -1, at};
}

static void unit_add_drop(struct spool_reader *reader, const struct spool_line *line)
{
    reader->runs[reader->run_count++] =
        (struct ingest_run){line->producer, line->ring, line->seq, line->count, line->drop, 0};
}

static void unit_add_door(struct spool_reader *reader, const struct spool_line *line)
{
    struct ingest_door *door = &reader->doors[reader->door_count++];

    *door = (struct ingest_door){.producer = line->producer, .ring = line->ring};
    memcpy(door->words, line->door, sizeof(door->words));
}

static bool line_belongs(const struct spool_file *file, const struct spool_line *line)
{
    return memcmp(&line->producer, &file->producer, sizeof(file->producer)) == 0 &&
           line->ring < LAYOUT_RINGS_MAX && line->seq + line->count >= line->seq;
}

/* A line that is no spool line of this producer has no sequence number: it counts as what it is. */
static void unit_add(struct spool_reader *reader, const struct spool_file *file, struct spool_line *line)
{
    if (line->kind == SPOOL_LINE_BLANK)
        return;
    if (line->kind != SPOOL_LINE_BAD && !line_belongs(file, line)) {
        contract_long_line(reader->contract, now_utc_ns(), &line->observation);
        line->kind = SPOOL_LINE_BAD;
    }
    if (line->kind == SPOOL_LINE_BAD)
        reader->loose[reader->loose_count++] = line->observation;
    else if (line->kind == SPOOL_LINE_DROP)
        unit_add_drop(reader, line);
    else if (line->kind == SPOOL_LINE_DOOR)
        unit_add_door(reader, line);
    else
        unit_add_record(reader, line);
}

static bool unit_full(const struct spool_reader *reader)
{
    return reader->observation_count == SPOOL_READER_UNIT_LINES ||
           reader->run_count == SPOOL_READER_UNIT_LINES || reader->door_count == DOORS_MAX ||
           reader->loose_count == LOOSE_MAX;
}

/* ---- reading ---- */

static bool file_take_line(struct spool_reader *reader, struct spool_file *file, enum tail_status kind,
                           struct text text)
{
    struct spool_line line = {.kind = SPOOL_LINE_BAD};

    if (kind == TAIL_LONG)
        contract_long_line(reader->contract, now_utc_ns(), &line.observation);
    else
        contract_spool_line(reader->contract, text.bytes, text.len_bytes, now_utc_ns(), &line);
    unit_add(reader, file, &line);
    return !unit_full(reader) || unit_commit(reader, file);
}

static enum tail_status file_pass(struct spool_reader *reader, struct spool_file *file)
{
    enum tail_status status = tail_begin(&file->tail);
    struct text text;

    if (status != TAIL_LINE)
        return status;
    while ((status = tail_next(&file->tail, &text)) == TAIL_LINE || status == TAIL_LONG)
        if (!file_take_line(reader, file, status, text))
            return TAIL_ERROR;
    if ((!unit_empty(reader) || tail_next_mark(&file->tail)->offset != file->tail.mark.offset) &&
        !unit_commit(reader, file))
        return TAIL_ERROR;
    return status;
}

/* Whether everything in the file is committed; *more: it can go on at once. */
static bool file_read(struct spool_reader *reader, struct spool_file *file, bool *more)
{
    enum tail_status status;

    reader->withheld = false;
    if (!file_open(reader, file))
        return false;
    unit_clear(reader);
    status = file_pass(reader, file);
    if (status == TAIL_TRUNCATED) {
        tail_reset(&file->tail); /* duplicates are told by their sequence numbers */
        *more = true;
    }
    *more = *more || status == TAIL_PAUSE;
    if (reader->stalled || reader->withheld)
        file_close(file); /* its position is asked for again */
    file->at_end = status == TAIL_END && !reader->stalled;
    return file->at_end;
}

/* ---- removing ---- */

static bool file_old(const struct spool_file *file)
{
    struct stat status;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return fstat(file->tail.fd, &status) == 0 &&
           (now.tv_sec - status.st_mtim.tv_sec) * 1000 >= SPOOL_READER_GONE_MS;
}

/* Nobody writes it any more. */
static bool file_closed(const struct spool_reader *reader, size_t index)
{
    const struct spool_file *file = reader->files[index];

    if (index + 1 < reader->count &&
        memcmp(&reader->files[index + 1]->producer, &file->producer, sizeof(file->producer)) == 0)
        return true;
    switch (owner_of(reader->runtime, &file->producer)) {
    case OWNER_DEAD:
        return true;
    case OWNER_GONE:
        return file_old(file);
    default:
        return false;
    }
}

/* The file first, then its position: a position without a file is removed at the next start, a file without a
 * position would be read again. */
static void file_remove(struct spool_reader *reader, struct spool_file *file)
{
    char path[PATHS_MAX_BYTES + SPOOL_NAME_BYTES], key[KEY_BYTES];
    struct change_list positions;
    struct ingest_unit unit = {.road = ROAD_SPOOL, .positions = &positions};
    size_t key_len = file_key(file, key);

    file_path(reader, file, path);
    if (unlink(path) != 0 && errno != ENOENT) {
        log_raise(&reader->failing, LOG_LEVEL_WARNING, "spool file %s is read but cannot be removed: %s",
                  path, strerror(errno));
        return;
    }
    change_list_init(&positions);
    if (change_list_put(&positions, key, key_len, NULL, 0))
        ingest_take(reader->ingest, &unit, NULL);
    change_list_fini(&positions);
}

/* Written after it was read to its end? Then it is read again first. */
static bool file_unchanged(struct spool_file *file)
{
    return tail_begin(&file->tail) == TAIL_END;
}

struct stale {
    const struct spool_reader *reader;
    struct change_list keys;
};

/* A position whose file is in no folder: we were killed between removing the two. */
static void stale_collect(void *context, const void *key, size_t key_len, const void *value, size_t value_len)
{
    static const char prefix[] = "fspool:";
    struct stale *stale = context;
    char known[KEY_BYTES];

    (void)value;
    (void)value_len;
    if (key_len < sizeof(prefix) || memcmp(key, prefix, sizeof(prefix) - 1) != 0)
        return;
    for (size_t i = 0; i < stale->reader->count; i++)
        if (file_key(stale->reader->files[i], known) == key_len && memcmp(known, key, key_len) == 0)
            return;
    change_list_put(&stale->keys, key, key_len, NULL, 0);
}

static void stale_remove(struct spool_reader *reader)
{
    struct stale stale = {.reader = reader};
    struct ingest_unit unit = {.road = ROAD_SPOOL, .positions = &stale.keys};

    change_list_init(&stale.keys);
    ingest_positions(reader->ingest, stale_collect, &stale);
    if (stale.keys.count > 0)
        ingest_take(reader->ingest, &unit, NULL);
    change_list_fini(&stale.keys);
}

/* ---- a tick ---- */

/* Reads a producer's files in order, from index on; returns the index behind them. */
static size_t producer_read(struct spool_reader *reader, size_t index, bool *more)
{
    struct event_producer producer = reader->files[index]->producer;
    bool in_order = true;

    for (; index < reader->count && memcmp(&reader->files[index]->producer, &producer, sizeof(producer)) == 0;
         index++) {
        struct spool_file *file = reader->files[index];

        file->at_end = false; /* what no commit lets us read now may have grown since the last tick */
        if (in_order && !reader->stalled) {
            in_order = file_read(reader, file, more);
            if (in_order && file_closed(reader, index) && file_unchanged(file)) {
                file_remove(reader, file);
                file_close(file);
            }
        }
        if (index >= OPEN_MAX)
            file_close(file); /* its position is committed */
    }
    return index;
}

static bool shared_reserve(struct spool_reader *reader)
{
    struct event_producer *unread, *there;

    if (reader->count <= reader->shared_reserved)
        return true;
    unread = realloc(reader->unread, reader->count * sizeof(*unread));
    if (unread != NULL)
        reader->unread = unread;
    there = realloc(reader->there, reader->count * sizeof(*there));
    if (there != NULL)
        reader->there = there;
    if (unread == NULL || there == NULL)
        return false;
    reader->shared_reserved = reader->count;
    return true;
}

/* Bytes of a file that are not committed. Few files are open: one that waits for another, or for a commit, is
 * not. */
static uint64_t file_lag_bytes(struct spool_reader *reader, const struct spool_file *file)
{
    char path[PATHS_MAX_BYTES + SPOOL_NAME_BYTES];
    struct tail_mark mark = {0};
    struct stat status;

    if (file->open)
        return tail_lag_bytes(&file->tail);
    file_path(reader, file, path);
    if (file->at_end || stat(path, &status) != 0)
        return 0;
    (void)file_stored_mark(reader, file, &mark);
    return (uint64_t)status.st_size - (mark.offset <= (uint64_t)status.st_size ? mark.offset : 0);
}

static void lag_publish(struct spool_reader *reader)
{
    uint64_t lag_bytes = 0;

    for (size_t i = 0; i < reader->count; i++)
        lag_bytes += file_lag_bytes(reader, reader->files[i]);
    pthread_mutex_lock(&reader->lock);
    reader->lag_bytes = lag_bytes;
    pthread_mutex_unlock(&reader->lock);
}

/* Tells other threads what this tick found. */
static void tick_publish(struct spool_reader *reader, uint64_t tick)
{
    pthread_mutex_lock(&reader->lock);
    if (shared_reserve(reader)) {
        reader->unread_count = reader->there_count = 0;
        for (size_t i = 0; i < reader->count; i++) {
            const struct spool_file *file = reader->files[i];

            reader->there[reader->there_count++] = file->producer;
            if (!file->at_end)
                reader->unread[reader->unread_count++] = file->producer;
        }
        reader->whole_ticks = tick;
    }
    pthread_mutex_unlock(&reader->lock);
}

bool spool_reader_tick(struct spool_reader *reader)
{
    size_t folder_count;
    uint64_t tick;
    bool more = false, whole;

    pthread_mutex_lock(&reader->lock);
    tick = ++reader->ticks;
    folder_count = reader->folder_count;
    pthread_mutex_unlock(&reader->lock);
    whole = files_scan(reader, folder_count);
    if (reader->stalled && !ingest_committing(reader->ingest)) {
        lag_publish(reader); /* it grows meanwhile, and that is when an operator looks */
        return false;
    }
    reader->stalled = false;
    if (tick == STALE_TICK && whole)
        stale_remove(reader);
    for (size_t i = 0; i < reader->count;)
        i = producer_read(reader, i, &more);
    if (whole)
        tick_publish(reader, tick);
    lag_publish(reader);
    return more && !reader->stalled;
}

/* ---- other threads ---- */

static bool producer_among(const struct event_producer *list, size_t count,
                           const struct event_producer *producer)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(&list[i], producer, sizeof(*producer)) == 0)
            return true;
    return false;
}

uint64_t spool_reader_now(struct spool_reader *reader)
{
    uint64_t now;

    pthread_mutex_lock(&reader->lock);
    now = reader->ticks;
    pthread_mutex_unlock(&reader->lock);
    return now;
}

/* A tick that had begun by then may have looked too early: only one begun later counts. */
bool spool_reader_settled(struct spool_reader *reader, const struct event_producer *producer, uint64_t since)
{
    bool settled;

    pthread_mutex_lock(&reader->lock);
    settled = reader->whole_ticks > since && !producer_among(reader->unread, reader->unread_count, producer);
    pthread_mutex_unlock(&reader->lock);
    return settled;
}

bool spool_reader_has(struct spool_reader *reader, const struct event_producer *producer)
{
    bool has;

    pthread_mutex_lock(&reader->lock);
    has = producer_among(reader->there, reader->there_count, producer);
    pthread_mutex_unlock(&reader->lock);
    return has;
}

uint64_t spool_reader_lag_bytes(struct spool_reader *reader)
{
    uint64_t lag_bytes;

    pthread_mutex_lock(&reader->lock);
    lag_bytes = reader->lag_bytes;
    pthread_mutex_unlock(&reader->lock);
    return lag_bytes;
}

void spool_reader_add(struct spool_reader *reader, const char *folder)
{
    char real[PATH_MAX];
    bool known = false;

    /* However it was spelled: one folder is read once. */
    if (realpath(folder, real) == NULL) {
        if (strlen(folder) >= sizeof(real))
            return;
        snprintf(real, sizeof(real), "%s", folder); /* it may be made later */
    }
    pthread_mutex_lock(&reader->lock);
    for (size_t i = 0; i < reader->folder_count; i++)
        known = known || strcmp(reader->folders[i], real) == 0;
    if (!known && reader->folder_count < SPOOL_READER_FOLDERS_MAX) {
        char *copy = strdup(real);

        if (copy != NULL)
            reader->folders[reader->folder_count++] = copy;
    }
    pthread_mutex_unlock(&reader->lock);
}

const char *spool_reader_folder(struct spool_reader *reader, size_t i)
{
    const char *folder;

    pthread_mutex_lock(&reader->lock);
    folder = i < reader->folder_count ? reader->folders[i] : NULL;
    pthread_mutex_unlock(&reader->lock);
    return folder;
}

struct spool_reader *spool_reader_new(struct ingest *ingest, struct contract *contract, const char *runtime)
{
    struct spool_reader *reader = calloc(1, sizeof(*reader));

    if (reader == NULL)
        return NULL;
    reader->ingest = ingest;
    reader->contract = contract;
    pthread_mutex_init(&reader->lock, NULL);
    for (size_t i = 0; i < SPOOL_READER_FOLDERS_MAX; i++)
        reader->locked_fds[i] = -1;
    if (runtime != NULL) {
        reader->runtime = strdup(runtime);
        if (reader->runtime == NULL) {
            spool_reader_free(reader);
            return NULL;
        }
    }
    return reader;
}

void spool_reader_free(struct spool_reader *reader)
{
    if (reader == NULL)
        return;
    for (size_t i = 0; i < reader->count; i++)
        file_free(reader->files[i]);
    for (size_t i = 0; i < reader->folder_count; i++)
        free(reader->folders[i]);
    for (size_t i = 0; i < SPOOL_READER_FOLDERS_MAX; i++)
        if (reader->locked_fds[i] >= 0)
            close(reader->locked_fds[i]);
    free(reader->files);
    free(reader->unread);
    free(reader->there);
    free(reader->runtime);
    pthread_mutex_destroy(&reader->lock);
    free(reader);
}
