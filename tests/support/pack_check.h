/* pack_check.h - compressed files as gzip, zstd and logrotate leave them, and damaged ones. */
#ifndef AILIVE_TESTS_PACK_CHECK_H
#define AILIVE_TESTS_PACK_CHECK_H

#include "folder_check.h"

#include <zlib.h>
#include <zstd.h>

static inline unsigned char *file_read(const char *name, size_t *len_bytes)
{
    int fd = open(in_folder(name), O_RDONLY | O_CLOEXEC);
    struct stat status;
    unsigned char *bytes;

    if (fd < 0 || fstat(fd, &status) != 0)
        abort();
    bytes = malloc((size_t)status.st_size + 1);
    if (bytes == NULL || read(fd, bytes, (size_t)status.st_size) != status.st_size)
        abort();
    close(fd);
    *len_bytes = (size_t)status.st_size;
    return bytes;
}

/* The caller frees. */
static inline unsigned char *pack(bool zstd, const void *bytes, size_t len_bytes, size_t *packed_len)
{
    size_t cap = ZSTD_compressBound(len_bytes) + compressBound(len_bytes) + 64;
    unsigned char *packed = malloc(cap);
    z_stream gzip = {0};

    if (packed == NULL)
        abort();
    if (zstd) {
        *packed_len = ZSTD_compress(packed, cap, bytes, len_bytes, 3);
        return packed;
    }
    gzip.next_in = (void *)(uintptr_t)bytes;
    gzip.avail_in = (uInt)len_bytes;
    gzip.next_out = packed;
    gzip.avail_out = (uInt)cap;
    if (deflateInit2(&gzip, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK ||
        deflate(&gzip, Z_FINISH) != Z_STREAM_END)
        abort();
    *packed_len = cap - gzip.avail_out;
    deflateEnd(&gzip);
    return packed;
}

/* Writes the packed contents of `from` to `to`; `from` stays. keep_time: as compressors do, that of `from`.
 */
static inline void file_pack(const char *from, const char *to, bool keep_time)
{
    size_t len_bytes, packed_len;
    unsigned char *bytes = file_read(from, &len_bytes);
    unsigned char *packed = pack(strstr(to, ".zst") != NULL, bytes, len_bytes, &packed_len);
    struct timespec times[2];
    struct stat status;

    file_put(to, O_CREAT | O_TRUNC, (const char *)packed, packed_len);
    if (stat(in_folder(from), &status) != 0)
        abort();
    times[0] = status.st_atim;
    times[1] = status.st_mtim;
    if (keep_time && utimensat(AT_FDCWD, in_folder(to), times, 0) != 0)
        abort();
    free(bytes);
    free(packed);
}

/* As `gzip` and `zstd --rm` do. */
static inline void compressed(const char *from, const char *to)
{
    file_pack(from, to, true);
    if (unlink(in_folder(from)) != 0)
        abort();
}

#endif
