/* gzip.c - see gzip.h. */
#include "gzip.h"

#include <libdeflate.h>

#define LEVEL 1 /* a scrape must be quick; the page's long common prefixes shrink at any level */

bool gzip_compress(const struct buffer *in, struct buffer *out)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(LEVEL);
    size_t bound, len = 0;
    char *room;

    if (compressor == NULL)
        return false;
    bound = libdeflate_gzip_compress_bound(compressor, in->used);
    room = buffer_room(out, bound);
    if (room != NULL)
        len = libdeflate_gzip_compress(compressor, in->bytes, in->used, room, bound);
    out->used += len;
    libdeflate_free_compressor(compressor);
    return len > 0;
}

bool gzip_expand(const unsigned char *in, size_t in_bytes, size_t plain_bytes, struct buffer *out)
{
    struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
    char *room = buffer_room(out, plain_bytes);
    bool fine =
        decompressor != NULL && room != NULL &&
        libdeflate_gzip_decompress(decompressor, in, in_bytes, room, plain_bytes, NULL) == LIBDEFLATE_SUCCESS;

    if (fine)
        out->used += plain_bytes;
    libdeflate_free_decompressor(decompressor);
    return fine;
}
