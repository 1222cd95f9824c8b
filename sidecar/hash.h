/* hash.h - a fast hash of bytes for our in-memory tables. Never stored: it may change from run to run.
 *
 * Place on the route: under line_kind and intern (contract) and series (aggregate). No threads, no I/O, no
 * clock.
 */
#ifndef AILIVE_SIDECAR_HASH_H
#define AILIVE_SIDECAR_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Folds the 128-bit product: every input bit reaches every output bit. */
static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)(a ^ UINT64_C(0x9e3779b97f4a7c15)) * (b | 1);

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Up to eight bytes as a number; which one does not matter, only that different bytes differ. */
static inline uint64_t hash_word(const unsigned char *at, size_t len_bytes)
{
    uint32_t low, high;

    if (len_bytes >= 4) {
        memcpy(&low, at, 4);
        memcpy(&high, at + len_bytes - 4, 4);
        return (uint64_t)high << 32 | low;
    }
    return len_bytes == 0
               ? 0
               : (uint64_t)at[0] | (uint64_t)at[len_bytes / 2] << 8 | (uint64_t)at[len_bytes - 1] << 16;
}

/* seed: a previous hash to go on from. The length goes in, so that "ab","c" differs from "a","bc". */
static inline uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t len_bytes)
{
    const unsigned char *at = bytes;
    uint64_t word, hash = hash_mix(seed ^ len_bytes, UINT64_C(0xa0761d6478bd642f));

    for (; len_bytes > 8; at += 8, len_bytes -= 8) {
        memcpy(&word, at, 8);
        hash = hash_mix(hash ^ word, UINT64_C(0xe7037ed1a0b428db));
    }
    return hash_mix(hash ^ hash_word(at, len_bytes), UINT64_C(0x8ebc6af09c88c6e3));
}

/* A hash of one short text and what it belongs to, by one multiplication where it has at most 16 bytes. */
static inline uint64_t hash_text(uint64_t owner, const void *bytes, size_t len_bytes)
{
    const unsigned char *at = bytes;
    uint64_t first, last;

    owner *= UINT64_C(0xe7037ed1a0b428db);
    if (len_bytes > 16)
        return hash_bytes(owner, bytes, len_bytes);
    if (len_bytes < 8)
        return hash_mix(owner ^ hash_word(at, len_bytes), UINT64_C(0x8ebc6af09c88c6e3));
    memcpy(&first, at, 8);
    memcpy(&last, at + len_bytes - 8, 8);
    return hash_mix(owner ^ first, last ^ UINT64_C(0xa0761d6478bd642f));
}

#endif
