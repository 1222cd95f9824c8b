/* unpack.c - the bytes of a file that may be compressed.
 *
 * Place on the route: file -> [unpack] -> chunks or tail. Owns the decoders and the input buffer, never the
 * descriptor. zlib's own file layer (gzread) is not used: it passes over whatever follows the first member
 * when that is no gzip, and a file that is still growing ends for it.
 */
#include "unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define MAGIC_BYTES 4u

enum form {
    FORM_UNKNOWN,
    FORM_PLAIN,
    FORM_GZIP,
    FORM_ZSTD
};

struct unpack {
    int fd;
    off_t start; /* -1: fd cannot seek */
    bool packed;
    enum form form;
    bool inside;  /* a member or frame has begun and not ended */
    bool padding; /* zero bytes behind a gzip member */
    bool pending; /* the decoder may hold more without further input */
    bool ended;   /* the last read found the end of the file */
    const char *reason;
    uint64_t taken;
    unsigned char input[UNPACK_INPUT_BYTES];
    size_t at, held; /* in input */
    z_stream gzip;
    bool gzip_made;
    ZSTD_DCtx *zstd;
};

struct unpack *unpack_new(void)
{
    struct unpack *unpack = calloc(1, sizeof(*unpack));

    if (unpack != NULL)
        unpack->fd = -1;
    return unpack;
}

void unpack_free(struct unpack *unpack)
{
    if (unpack == NULL)
        return;
    if (unpack->gzip_made)
        inflateEnd(&unpack->gzip);
    ZSTD_freeDCtx(unpack->zstd);
    free(unpack);
}

void unpack_begin(struct unpack *unpack, int fd, bool packed)
{
    unpack->fd = fd;
    unpack->packed = packed;
    unpack->start = lseek(fd, 0, SEEK_CUR);
    unpack->form = FORM_UNKNOWN;
    unpack->inside = unpack->padding = unpack->pending = unpack->ended = false;
    unpack->reason = "";
    unpack->taken = 0;
    unpack->at = unpack->held = 0;
}

/* ---- input ---- */

/* The next bytes of the file. -1: an error, told by errno. */
static ssize_t file_read(struct unpack *unpack, void *bytes, size_t cap)
{
    ssize_t n;

    do
        n = unpack->start >= 0 ? pread(unpack->fd, bytes, cap, unpack->start + (off_t)unpack->taken)
                               : read(unpack->fd, bytes, cap);
    while (n < 0 && errno == EINTR);
    if (n >= 0) {
        unpack->taken += (uint64_t)n;
        unpack->ended = n == 0;
    }
    return n;
}

/* Adds what fits behind what is held. false: an error, told by errno. */
static bool input_fill(struct unpack *unpack)
{
    ssize_t n;

    memmove(unpack->input, unpack->input + unpack->at, unpack->held - unpack->at);
    unpack->held -= unpack->at;
    unpack->at = 0;
    n = file_read(unpack, unpack->input + unpack->held, sizeof(unpack->input) - unpack->held);
    if (n > 0)
        unpack->held += (size_t)n;
    return n >= 0;
}

static size_t input_len(const struct unpack *unpack)
{
    return unpack->held - unpack->at;
}

/* As many bytes as a decision needs, or fewer at the end of the file. false: an error. */
static bool input_want(struct unpack *unpack, size_t len_bytes)
{
    unpack->ended = false;
    while (input_len(unpack) < len_bytes && !unpack->ended)
        if (!input_fill(unpack))
            return false;
    return true;
}

static bool input_begins(const struct unpack *unpack, const unsigned char *magic, size_t len_bytes)
{
    return input_len(unpack) >= len_bytes && memcmp(unpack->input + unpack->at, magic, len_bytes) == 0;
}

static bool input_is_gzip(const struct unpack *unpack)
{
    return input_begins(unpack, (const unsigned char[]){0x1f, 0x8b}, 2);
}

/* A frame, or one of the sixteen frames to be skipped, with which some compressors begin a file. */
static bool input_is_zstd(const struct unpack *unpack)
{
    const unsigned char *bytes = unpack->input + unpack->at;

    return input_begins(unpack, (const unsigned char[]){0x28, 0xb5, 0x2f, 0xfd}, 4) ||
           (input_len(unpack) >= 4 && bytes[0] >> 4 == 5 && memcmp(bytes + 1, "\x2a\x4d\x18", 3) == 0);
}

/* ---- how a call ends ---- */

static enum unpack_status ends(struct unpack *unpack, enum unpack_status status, const char *reason)
{
    unpack->reason = reason;
    return status;
}

static enum unpack_status damaged(struct unpack *unpack, const char *reason)
{
    return ends(unpack, UNPACK_DAMAGED, reason);
}

static enum unpack_status failed(struct unpack *unpack, int error)
{
    errno = error;
    return ends(unpack, UNPACK_ERROR, strerrordesc_np(error));
}

static enum unpack_status cut(struct unpack *unpack)
{
    static const char *const reasons[] = {[FORM_UNKNOWN] = "nothing compressed is in it yet",
                                          [FORM_GZIP] = "the gzip data end too early",
                                          [FORM_ZSTD] = "the zstd data end too early"};

    return ends(unpack, UNPACK_CUT, reasons[unpack->form]);
}

/* ---- plain ---- */

/* What was read to know the form first; the rest goes where the caller wants it without another copy. */
static enum unpack_status plain_read(struct unpack *unpack, unsigned char *bytes, size_t cap, size_t *len)
{
    size_t held = input_len(unpack) < cap ? input_len(unpack) : cap;
    ssize_t n;

    if (held > 0) {
        memcpy(bytes, unpack->input + unpack->at, held);
        unpack->at += held;
        *len = held;
        return UNPACK_BYTES;
    }
    n = file_read(unpack, bytes, cap);
    if (n < 0)
        return failed(unpack, errno);
    *len = (size_t)n;
    return n > 0 ? UNPACK_BYTES : ends(unpack, UNPACK_END, "");
}

/* ---- gzip ---- */

/* Between two members: UNPACK_BYTES when another one begins. */
static enum unpack_status gzip_next_member(struct unpack *unpack)
{
    for (;;) {
        if (!input_want(unpack, 2))
            return failed(unpack, errno);
        if (input_len(unpack) == 0)
            return ends(unpack, UNPACK_END, "");
        if (unpack->input[unpack->at] != 0)
            break;
        unpack->padding = true;
        unpack->at++;
    }
    if (input_len(unpack) == 1 && !unpack->padding && unpack->input[unpack->at] == 0x1f)
        return cut(unpack);
    if (unpack->padding || !input_is_gzip(unpack))
        return damaged(unpack, "what follows the compressed data is no gzip");
    inflateReset(&unpack->gzip);
    unpack->inside = true;
    return UNPACK_BYTES;
}

static enum unpack_status gzip_step(struct unpack *unpack, unsigned char *bytes, size_t cap, size_t *len)
{
    z_stream *gzip = &unpack->gzip;
    int rc;

    gzip->next_in = unpack->input + unpack->at;
    gzip->avail_in = (uInt)input_len(unpack);
    gzip->next_out = bytes;
    gzip->avail_out = (uInt)cap;
    rc = inflate(gzip, Z_NO_FLUSH);
    unpack->at = unpack->held - gzip->avail_in;
    *len = cap - gzip->avail_out;
    unpack->pending = gzip->avail_out == 0;
    if (rc == Z_STREAM_END)
        unpack->inside = unpack->pending = false;
    if (*len > 0 || rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR)
        return UNPACK_BYTES;
    if (rc == Z_MEM_ERROR)
        return failed(unpack, ENOMEM);
    return damaged(unpack, "the gzip data or their checksum are wrong");
}

/* ---- zstd ---- */

static enum unpack_status zstd_next_frame(struct unpack *unpack)
{
    if (!input_want(unpack, MAGIC_BYTES))
        return failed(unpack, errno);
    if (input_len(unpack) == 0)
        return ends(unpack, UNPACK_END, "");
    if (input_len(unpack) < MAGIC_BYTES)
        return cut(unpack);
    if (!input_is_zstd(unpack))
        return damaged(unpack, "what follows the compressed data is no zstd");
    unpack->inside = true;
    return UNPACK_BYTES;
}

static enum unpack_status zstd_step(struct unpack *unpack, unsigned char *bytes, size_t cap, size_t *len)
{
    ZSTD_inBuffer in = {unpack->input, unpack->held, unpack->at};
    ZSTD_outBuffer out = {bytes, cap, 0};
    size_t rc = ZSTD_decompressStream(unpack->zstd, &out, &in);

    unpack->at = in.pos;
    *len = out.pos;
    unpack->pending = out.pos == cap && !ZSTD_isError(rc);
    if (rc == 0)
        unpack->inside = unpack->pending = false;
    if (!ZSTD_isError(rc))
        return UNPACK_BYTES;
    *len = 0;
    switch (ZSTD_getErrorCode(rc)) {
    case ZSTD_error_memory_allocation:
        return failed(unpack, ENOMEM);
    case ZSTD_error_frameParameter_windowTooLarge:
        return damaged(unpack, "it needs a zstd window over 8 MiB (levels above 19, or --long)");
    default:
        return damaged(unpack, "the zstd data or their checksum are wrong");
    }
}

/* ---- both ---- */

static bool gzip_make(struct unpack *unpack)
{
    if (unpack->gzip_made)
        return inflateReset(&unpack->gzip) == Z_OK;
    unpack->gzip = (z_stream){0};
    unpack->gzip_made = inflateInit2(&unpack->gzip, MAX_WBITS + 16) == Z_OK;
    return unpack->gzip_made;
}

static bool zstd_make(struct unpack *unpack)
{
    if (unpack->zstd == NULL)
        unpack->zstd = ZSTD_createDCtx();
    return unpack->zstd != NULL && !ZSTD_isError(ZSTD_DCtx_reset(unpack->zstd, ZSTD_reset_session_only)) &&
           !ZSTD_isError(ZSTD_DCtx_setParameter(unpack->zstd, ZSTD_d_windowLogMax, UNPACK_WINDOW_LOG));
}

/* By its first bytes. UNPACK_BYTES: the form is known. */
static enum unpack_status form_find(struct unpack *unpack)
{
    enum form form = FORM_PLAIN;

    if (!input_want(unpack, MAGIC_BYTES))
        return failed(unpack, errno);
    if (input_is_gzip(unpack))
        form = FORM_GZIP;
    else if (input_is_zstd(unpack))
        form = FORM_ZSTD;
    else if (unpack->packed && input_len(unpack) < MAGIC_BYTES)
        return cut(unpack);
    else if (unpack->packed)
        return damaged(unpack, "it is neither gzip nor zstd");
    if ((form == FORM_GZIP && !gzip_make(unpack)) || (form == FORM_ZSTD && !zstd_make(unpack)))
        return failed(unpack, ENOMEM);
    unpack->form = form;
    unpack->inside = form != FORM_PLAIN;
    return UNPACK_BYTES;
}

/* Whatever the decoder needs before it can go on: the next member or frame, or input. */
static enum unpack_status packed_ready(struct unpack *unpack)
{
    if (!unpack->inside)
        return unpack->form == FORM_GZIP ? gzip_next_member(unpack) : zstd_next_frame(unpack);
    if (unpack->pending || input_len(unpack) > 0)
        return UNPACK_BYTES;
    if (!input_want(unpack, 1))
        return failed(unpack, errno);
    return input_len(unpack) > 0 ? UNPACK_BYTES : cut(unpack);
}

enum unpack_status unpack_read(struct unpack *unpack, void *bytes, size_t cap, size_t *len_bytes)
{
    enum unpack_status status = UNPACK_BYTES;

    *len_bytes = 0;
    if (unpack->form == FORM_UNKNOWN)
        status = form_find(unpack);
    if (status == UNPACK_BYTES && unpack->form == FORM_PLAIN)
        return plain_read(unpack, bytes, cap, len_bytes);
    while (status == UNPACK_BYTES && *len_bytes == 0) {
        status = packed_ready(unpack);
        if (status == UNPACK_BYTES)
            status = unpack->form == FORM_GZIP ? gzip_step(unpack, bytes, cap, len_bytes)
                                               : zstd_step(unpack, bytes, cap, len_bytes);
    }
    return status;
}

const char *unpack_reason(const struct unpack *unpack)
{
    return unpack->reason;
}

uint64_t unpack_taken_bytes(const struct unpack *unpack)
{
    return unpack->taken;
}
