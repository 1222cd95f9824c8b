/* unpack.c - see unpack.h. */
#include "unpack.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define INPUT_BYTES (128u << 10)
#define MAGIC_BYTES 4u
#define GZIP_WINDOW (15 + 16) /* zlib's way to say: gzip heads only */
#define FRAME_HELD  1u        /* zstd: any number but 0 says that a frame is not whole */

enum form {
    FORM_UNKNOWN, /* nothing read yet */
    FORM_PLAIN,
    FORM_GZIP,
    FORM_ZSTD
};

struct unpack {
    int fd;
    enum form form;
    bool ended;   /* nothing more comes from fd */
    bool between; /* gzip: no member is begun */
    size_t frame; /* zstd: 0 between frames */
    z_stream gzip;
    ZSTD_DStream *zstd;
    char error[160];
    size_t at, used; /* of input */
    unsigned char input[INPUT_BYTES];
};

struct unpack *unpack_open(int fd)
{
    struct unpack *unpack = malloc(sizeof(*unpack));

    if (!unpack)
        return NULL;
    memset(unpack, 0, offsetof(struct unpack, input));
    unpack->fd = fd;
    return unpack;
}

void unpack_close(struct unpack *unpack)
{
    if (!unpack)
        return;
    if (unpack->form == FORM_GZIP)
        inflateEnd(&unpack->gzip);
    ZSTD_freeDStream(unpack->zstd);
    close(unpack->fd);
    free(unpack);
}

static ssize_t failed(struct unpack *unpack, const char *text, const char **error)
{
    strncpy(unpack->error, text, sizeof(unpack->error) - 1);
    *error = unpack->error;
    return -1;
}

static ssize_t read_some(int fd, void *out, size_t cap)
{
    ssize_t n;

    do
        n = read(fd, out, cap);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Adds to the input, behind what is not used yet. -1: errno. */
static int refill(struct unpack *unpack)
{
    ssize_t n;

    memmove(unpack->input, unpack->input + unpack->at, unpack->used - unpack->at);
    unpack->used -= unpack->at;
    unpack->at = 0;
    n = read_some(unpack->fd, unpack->input + unpack->used, INPUT_BYTES - unpack->used);
    if (n < 0)
        return -1;
    unpack->used += (size_t)n;
    unpack->ended = n == 0;
    return 0;
}

/* NULL, or what is wrong. */
static const char *begin(struct unpack *unpack)
{
    while (unpack->used < MAGIC_BYTES && !unpack->ended)
        if (refill(unpack) != 0)
            return strerror(errno);
    unpack->form = FORM_PLAIN;
    if (unpack->used >= 2 && memcmp(unpack->input, "\x1f\x8b", 2) == 0) {
        if (inflateInit2(&unpack->gzip, GZIP_WINDOW) != Z_OK)
            return "out of memory";
        unpack->form = FORM_GZIP;
        unpack->between = true;
    } else if (unpack->used >= 4 && memcmp(unpack->input, "\x28\xb5\x2f\xfd", 4) == 0) {
        unpack->zstd = ZSTD_createDStream();
        if (!unpack->zstd)
            return "out of memory";
        unpack->form = FORM_ZSTD;
        unpack->frame = FRAME_HELD;
    }
    return NULL;
}

static ssize_t read_plain(struct unpack *unpack, char *out, size_t cap, const char **error)
{
    size_t held = unpack->used - unpack->at;
    ssize_t n;

    if (held > 0) {
        held = held < cap ? held : cap;
        memcpy(out, unpack->input + unpack->at, held);
        unpack->at += held;
        return (ssize_t)held;
    }
    n = read_some(unpack->fd, out, cap);
    return n < 0 ? failed(unpack, strerror(errno), error) : n;
}

/* One call of the library. Returns how many bytes it gave, -1: *error. */
static ssize_t inflate_some(struct unpack *unpack, char *out, size_t cap, const char **error)
{
    z_stream *gzip = &unpack->gzip;
    int status;

    if (unpack->between) {
        if (unpack->input[unpack->at] != 0x1f) { /* no further member */
            unpack->at = unpack->used;
            return 0;
        }
        inflateReset(gzip);
        unpack->between = false;
    }
    gzip->next_in = unpack->input + unpack->at;
    gzip->avail_in = (uInt)(unpack->used - unpack->at);
    gzip->next_out = (unsigned char *)out;
    gzip->avail_out = (uInt)cap;
    status = inflate(gzip, Z_NO_FLUSH);
    unpack->at = unpack->used - gzip->avail_in;
    unpack->between = status == Z_STREAM_END;
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
        return failed(unpack, gzip->msg ? gzip->msg : "the gzip data are damaged", error);
    return (ssize_t)(cap - gzip->avail_out);
}

static ssize_t zstd_some(struct unpack *unpack, char *out, size_t cap, const char **error)
{
    ZSTD_inBuffer in = {unpack->input, unpack->used, unpack->at};
    ZSTD_outBuffer made = {out, cap, 0};

    unpack->frame = ZSTD_decompressStream(unpack->zstd, &made, &in);
    if (ZSTD_isError(unpack->frame))
        return failed(unpack, ZSTD_getErrorName(unpack->frame), error);
    unpack->at = in.pos;
    return (ssize_t)made.pos;
}

static bool whole(const struct unpack *unpack)
{
    return unpack->form == FORM_GZIP ? unpack->between : unpack->frame == 0;
}

static ssize_t read_packed(struct unpack *unpack, char *out, size_t cap, const char **error)
{
    ssize_t n = 0;

    while (n == 0) {
        if (unpack->at == unpack->used && !unpack->ended && refill(unpack) != 0)
            return failed(unpack, strerror(errno), error);
        if (unpack->at == unpack->used && unpack->ended && whole(unpack))
            return 0;
        if (unpack->at == unpack->used && !unpack->ended)
            continue;
        /* With nothing left to read too: the library may hold bytes back. */
        n = unpack->form == FORM_GZIP ? inflate_some(unpack, out, cap, error)
                                      : zstd_some(unpack, out, cap, error);
        if (n == 0 && unpack->at == unpack->used && unpack->ended && !whole(unpack))
            return failed(unpack,
                          unpack->form == FORM_GZIP ? "the gzip data end too early"
                                                    : "the zstd data end too early",
                          error);
    }
    return n;
}

ssize_t unpack_read(struct unpack *unpack, char *out, size_t cap, const char **error)
{
    const char *wrong = unpack->form == FORM_UNKNOWN ? begin(unpack) : NULL;

    if (wrong)
        return failed(unpack, wrong, error);
    return unpack->form == FORM_PLAIN ? read_plain(unpack, out, cap, error)
                                      : read_packed(unpack, out, cap, error);
}
