/* unpack.h - a file's bytes, unpacked where it is packed: plain, gzip or zstd, told apart by how it begins.
 *
 * Place on the route: [unpack] -> chunks -> replay. The only file that names zstd, and zlib's for reading.
 * One thread at a time. Several packed members one after the other are one file; bytes behind the last gzip
 * member are passed over, as gunzip does.
 */
#ifndef AILIVE_SIDECAR_UNPACK_H
#define AILIVE_SIDECAR_UNPACK_H

#include <stddef.h>
#include <sys/types.h>

struct unpack;

/* Takes fd over. NULL: out of memory, and fd stays the caller's. */
struct unpack *unpack_open(int fd);
void unpack_close(struct unpack *unpack);

/* Up to cap bytes, at least one; 0 at the end; -1 and a text in *error that lives as long as the reader. */
ssize_t unpack_read(struct unpack *unpack, char *out, size_t cap, const char **error);

#endif
