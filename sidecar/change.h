/* change.h - a growing list of (key, value) to be written in one transaction.
 *
 * Place on the route: aggregate, ingest and the sources add what they touched; state writes the list. Keys
 * begin with one letter that says whose they are: s series (aggregate), r ring and t tombstone
 * (ingest), f file (file source), m meta (state). No threads, no I/O.
 */
#ifndef AILIVE_SIDECAR_CHANGE_H
#define AILIVE_SIDECAR_CHANGE_H

#include <stdbool.h>
#include <stddef.h>

struct change {
    size_t key_offset, key_len;     /* into bytes */
    size_t value_offset, value_len; /* value_len 0: delete the key */
};

struct change_list {
    struct change *items;
    size_t count, capacity;
    unsigned char *bytes;
    size_t used, reserved;
};

void change_list_init(struct change_list *list);
void change_list_fini(struct change_list *list);
void change_list_clear(struct change_list *list); /* keeps the memory */

/* Copies key and value. false: out of memory, list unchanged. Keys are at most 511 bytes (LMDB's limit). */
bool change_list_put(struct change_list *list, const void *key, size_t key_len, const void *value,
                     size_t value_len);

#endif
