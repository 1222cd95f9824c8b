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
