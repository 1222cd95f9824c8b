/* follow_list.c - the open generations of a followed path, and their committed positions.
 *
 * Value of the path's 'f' pair: one byte version, one byte count, then a tail mark for each generation,
 * oldest first.
 */
#include "follow_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VALUE_VERSION   1u
#define VALUE_MAX_BYTES (2u + FOLLOW_GENERATIONS_MAX * TAIL_STORED_BYTES)

/* What cannot be looked at now may hold lines that come before others. Without descriptors or memory that
 * lasts as long as it lasts; for a file that cannot be read, or a packed one that is not whole (error 0), as
 * long as a compressor or a network file system may take. */
void follow_doubt(struct follow *follow, int error)
{
    bool scarce = error == EMFILE || error == ENFILE || error == ENOMEM || error == EINTR || error == EAGAIN;

    if (!scarce && error != EIO && error != 0)
        return;
    if (scarce || !follow->in_doubt)
        follow->doubt_since_ms = follow->now_ms;
    follow->in_doubt = follow->doubted = true;
    if (scarce)
        log_raise(&follow->looking, LOG_LEVEL_WARNING, "%s: its folder cannot be searched: %s; trying again",
                  follow->path, strerror(error));
    if (follow->now_ms - follow->doubt_since_ms < FOLLOW_LAST_LINE_MS) {
        follow->waiting = true;
        follow->folder_time = (struct timespec){0};
    }
}

void follow_doubt_settle(struct follow *follow)
{
    if (follow->doubted)
        return;
    follow->in_doubt = false;
    log_clear(&follow->looking, "%s: its folder can be searched again", follow->path);
}

/* ---- positions ---- */

static size_t value_build(struct follow *follow, const struct generation *moving,
                          unsigned char out[VALUE_MAX_BYTES])
{
    unsigned char *at = out;

    *at++ = VALUE_VERSION;
    *at++ = (unsigned char)follow->count;
    for (size_t i = 0; i < follow->count; i++, at += TAIL_STORED_BYTES) {
        struct generation *file = follow->files[i];

        tail_mark_store(file == moving ? tail_next_mark(&file->tail) : &file->tail.mark, at);
    }
    return (size_t)(at - out);
}

bool follow_commit(struct follow *follow, struct generation *moving, size_t n)
{
    unsigned char value[VALUE_MAX_BYTES];
    struct change_list positions;
    struct ingest_unit unit = {.road = ROAD_FILE, .positions = &positions};
    bool committed = false;

    change_list_init(&positions);
    if (change_list_put(&positions, follow->key, follow->key_len, value,
                        value_build(follow, moving, value))) {
        unit.observations = follow->context.observations;
        unit.observation_count = n;
        committed = ingest_take(follow->context.ingest, &unit, NULL) == INGEST_COMMITTED;
    }
    change_list_fini(&positions);
    contract_clear(follow->context.contract);
    if (committed && moving != NULL)
        tail_committed(&moving->tail);
    if (!committed && moving != NULL)
        moving->tail.seen = false; /* what was read is to be read again */
    follow->stalled = !committed;
    return committed;
}

size_t follow_load(struct follow *follow, struct tail_mark marks[FOLLOW_GENERATIONS_MAX])
{
    unsigned char value[VALUE_MAX_BYTES];
    size_t len_bytes =
        ingest_position(follow->context.ingest, follow->key, follow->key_len, value, sizeof(value));
    size_t count;

    if (len_bytes == 0)
        return 0;
    count = len_bytes >= 2 && value[0] == VALUE_VERSION ? value[1] : 0;
    if (count > FOLLOW_GENERATIONS_MAX || len_bytes != 2 + count * TAIL_STORED_BYTES)
        count = 0;
    for (size_t i = 0; i < count; i++)
        if (!tail_mark_load(value + 2 + i * TAIL_STORED_BYTES, &marks[i]))
            count = 0;
    if (count == 0)
        log_error("%s: its committed position cannot be read; the file is read from its start", follow->path);
    return count;
}

void follow_rewind(struct follow *follow)
{
    struct tail_mark marks[FOLLOW_GENERATIONS_MAX];
    size_t count = follow_load(follow, marks);

    for (size_t i = 0; i < follow->count; i++) {
        struct tail *tail = &follow->files[i]->tail;
        struct tail_mark mark = tail->mark;

        for (size_t j = 0; j < count; j++)
            if (marks[j].id == mark.id)
                mark = marks[j];
        if (mark.since_ns < tail->mark.since_ns)
            mark.since_ns = tail->mark.since_ns; /* the copies found since are in the list */
        tail_rewind(tail, &mark);
    }
    follow->stalled = false;
}

/* ---- generations ---- */

static void generation_free(struct generation *file)
{
    tail_fini(&file->tail);
    free(file);
}

static struct generation *generation_new(struct follow *follow, int fd, const struct tail_mark *mark,
                                         bool packed)
{
    struct generation *file = calloc(1, sizeof(*file));
    struct stat status;

    if (file == NULL || fstat(fd, &status) != 0) {
        follow_doubt(follow, errno);
        close(fd);
        free(file);
        return NULL;
    }
    file->device = status.st_dev;
    file->inode = status.st_ino;
    file->quiet_since_ms = follow->now_ms;
    if (tail_init(&file->tail, fd, mark, packed) == 0)
        return file;
    follow_doubt(follow, ENOMEM);
    free(file);
    return NULL;
}

struct generation *follow_add(struct follow *follow, size_t at, int fd, const struct tail_mark *mark,
                              bool packed)
{
    struct generation *file;

    if (follow->count == FOLLOW_GENERATIONS_MAX) {
        follow->crowded = true;
        close(fd);
        return NULL;
    }
    file = generation_new(follow, fd, mark, packed);
    if (file == NULL)
        return NULL;
    memmove(&follow->files[at + 1], &follow->files[at], (follow->count - at) * sizeof(struct generation *));
    follow->files[at] = file;
    follow->count++;
    return file;
}

void follow_drop(struct follow *follow, size_t at)
{
    struct generation *file = follow->files[at];

    if (follow->live == file)
        follow->live = NULL;
    memmove(&follow->files[at], &follow->files[at + 1],
            (follow->count - at - 1) * sizeof(struct generation *));
    follow->count--;
    generation_free(file);
}
