/* unpack.h - the bytes of a file that may be compressed, from its start to its end.
 *
 * Place on the route: file -> [unpack] -> chunks (replay) or tail (the file source). One place knows what
 * gzip and zstd look like: several members or frames one behind the other are one run of bytes, zero bytes
 * behind the last gzip member are padding, anything else there is damage. Used by one thread at a time.
 *
 * Memory: a fixed input buffer and the decoder's window, 32 KiB for gzip and at most UNPACK_WINDOW_LOG for
 * zstd (all of its levels up to 19), whatever the file claims.
 */
#ifndef AILIVE_SIDECAR_UNPACK_H
#define AILIVE_SIDECAR_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNPACK_INPUT_BYTES 65536u
#define UNPACK_WINDOW_LOG  23 /* 8 MiB */

enum unpack_status {
    UNPACK_BYTES,
    UNPACK_END,     /* of the file, at the end of what was compressed; a file that grows goes on from here */
    UNPACK_CUT,     /* of the file, in the middle of what was compressed; likewise */
    UNPACK_DAMAGED, /* for good; unpack_reason() says how */
    UNPACK_ERROR    /* errno; ENOMEM: begin again, else the next call goes on */
};

struct unpack;

/* NULL: out of memory. NULL to free is harmless. */
struct unpack *unpack_new(void);
void unpack_free(struct unpack *unpack);

/* Begins at the file offset of fd, which stays the caller's; the offset does not move but where fd cannot
 * seek (a pipe). packed: what is neither gzip nor zstd is damage; otherwise it is plain text. */
void unpack_begin(struct unpack *unpack, int fd, bool packed);

/* The next bytes, at most cap of them; *len_bytes is 0 unless UNPACK_BYTES is returned. */
enum unpack_status unpack_read(struct unpack *unpack, void *bytes, size_t cap, size_t *len_bytes);

/* Why the last call did not return bytes, as a constant text. */
const char *unpack_reason(const struct unpack *unpack);
/* Bytes of the file taken so far. */
uint64_t unpack_taken_bytes(const struct unpack *unpack);

#endif
