/* chunks.c - see chunks.h. */
#include "chunks.h"

#include "unpack.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_KEPT_BYTES (LINES_MAX_BYTES + 1)

struct chunks {
    pthread_mutex_t mutex;
    int fd;
    struct unpack *unpack;
    const char *error; /* NULL: none */
    bool ended;
    uint64_t offset, number; /* of the next chunk */
    size_t rest_bytes;
    char rest[CHUNKS_READ_BYTES]; /* what was read behind the last newline */
};

bool chunk_init(struct chunk *chunk)
{
    *chunk = (struct chunk){.bytes = malloc(LINE_KEPT_BYTES + CHUNKS_READ_BYTES)};
    return chunk->bytes != NULL;
}

void chunk_fini(struct chunk *chunk)
{
    free(chunk->bytes);
}

struct chunks *chunks_open(int fd, uint64_t first_number)
{
    struct chunks *chunks = malloc(sizeof(*chunks));

    if (!chunks)
        goto failed;
    memset(chunks, 0, offsetof(struct chunks, rest));
    chunks->number = first_number;
    chunks->fd = fd;
    chunks->unpack = unpack_new();
    if (!chunks->unpack)
        goto failed;
    unpack_begin(chunks->unpack, fd, false);
    pthread_mutex_init(&chunks->mutex, NULL);
    return chunks;
failed:
    free(chunks);
    close(fd);
    return NULL;
}

void chunks_close(struct chunks *chunks)
{
    if (!chunks)
        return;
    unpack_free(chunks->unpack);
    close(chunks->fd);
    pthread_mutex_destroy(&chunks->mutex);
    free(chunks);
}

/* The next read, behind *used bytes that hold no newline. Returns where the line it ends stops, just behind
 * the newline; 0: it holds none. */
static size_t read_on(struct chunks *chunks, struct chunk *chunk, size_t *used)
{
    char *at = chunk->bytes + *used, *newline;
    size_t n;
    enum unpack_status status = unpack_read(chunks->unpack, at, CHUNKS_READ_BYTES, &n);

    if (status != UNPACK_BYTES) {
        chunks->ended = true;
        chunks->error = status == UNPACK_END ? NULL : unpack_reason(chunks->unpack);
        return 0;
    }
    newline = memrchr(at, '\n', n);
    *used += n;
    if (newline)
        return (size_t)(newline - chunk->bytes) + 1;
    if (*used > LINE_KEPT_BYTES)
        *used = LINE_KEPT_BYTES;
    return 0;
}

static enum chunks_status fill(struct chunks *chunks, struct chunk *chunk)
{
    size_t used = chunks->rest_bytes, end = 0;

    memcpy(chunk->bytes, chunks->rest, used);
    while (end == 0 && !chunks->ended)
        end = read_on(chunks, chunk, &used);
    if (chunks->error)
        return CHUNKS_FAILED;
    chunk->last = chunks->ended;
    chunk->len_bytes = chunk->last ? used : end;
    chunk->number = chunks->number++;
    chunk->offset = chunks->offset;
    chunks->offset += chunk->len_bytes;
    chunks->rest_bytes = used - chunk->len_bytes;
    memcpy(chunks->rest, chunk->bytes + chunk->len_bytes, chunks->rest_bytes);
    return CHUNKS_ONE;
}

enum chunks_status chunks_next(struct chunks *chunks, struct chunk *chunk)
{
    enum chunks_status status;

    pthread_mutex_lock(&chunks->mutex);
    if (chunks->error)
        status = CHUNKS_FAILED;
    else
        status = chunks->ended ? CHUNKS_END : fill(chunks, chunk);
    pthread_mutex_unlock(&chunks->mutex);
    return status;
}

const char *chunks_error(const struct chunks *chunks)
{
    return chunks->error;
}

uint64_t chunks_number(const struct chunks *chunks)
{
    return chunks->number;
}
