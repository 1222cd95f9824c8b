/* gzip.h - a page compressed as one gzip member.
 *
 * Place on the route: rendering -> [gzip] -> http. The only file that names libdeflate, which does at its
 * first level what zlib does in twice the time. No threads, no I/O.
 */
#ifndef AILIVE_SIDECAR_GZIP_H
#define AILIVE_SIDECAR_GZIP_H

#include "buffer.h"

/* Appends in, compressed, to out. false: out of memory. */
bool gzip_compress(const struct buffer *in, struct buffer *out);

/* Appends the plain_bytes that a member of ours holds. false: out of memory, or it holds something else. */
bool gzip_expand(const unsigned char *in, size_t in_bytes, size_t plain_bytes, struct buffer *out);

#endif
