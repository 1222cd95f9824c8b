/* names.h - the strings of an instance and their small numbers.
 *
 * Place on the route: ailive_register() adds; shipper, spool and memory sink look up. Entries are never
 * changed or removed: a reader needs no lock. The table lies in private memory, so that a forked child has a
 * copy, and is published into the producer's names file for the sidecar.
 *
 * Numbers: 0 to 7 are the contract's reasons, 8 and 9 the instance's own component and run id, then
 * AILIVE_NAMES_MAX registered ones. */
#ifndef AILIVE_SRC_NAMES_H
#define AILIVE_SRC_NAMES_H

#include "wire/layout.h"

#define NAMES_FIRST    8u
#define NAMES_CAPACITY (AILIVE_NAMES_MAX + 2u)
#define NAMES_IDS      (NAMES_FIRST + NAMES_CAPACITY)

struct names_entry {
    uint8_t kind;
    uint8_t len_bytes;
    char text[AILIVE_NAME_MAX_BYTES + 1];
};

struct names {
    uint32_t count; /* entries [0, count) are whole; entry i has the number NAMES_FIRST + i */
    struct names_entry entries[NAMES_CAPACITY];
};

/* The number of a name, added when new. Writers one at a time (process_lock()). AILIVE_OK, AILIVE_EINVAL,
 * AILIVE_ETOOLONG, AILIVE_ELIMIT; *out is untouched on failure. */
int names_add(struct names *names, unsigned kind, const char *text, ailive_name *out);

/* The entry of a registered number; NULL for 0 to 7 and for a number nobody was given. */
const struct names_entry *names_get(const struct names *names, ailive_name id);

/* The text of a number that must be of this kind, the fixed reasons included; NULL when it is not. */
const char *names_text(const struct names *names, unsigned kind, ailive_name id);

/* Writes every entry from number NAMES_FIRST + from on behind what the names file has. */
void names_publish(const struct names *names, uint32_t from, struct layout_names *file);

/* A row's names, looked up. Texts that its kind has not are NULL. */
struct names_of_row {
    const char *reason, *stage, *component, *run_id;
};

/* false: the row uses a number nobody was given, one of another kind, or an enumerator there is not. */
bool names_resolve(const struct names *names, const struct event_row *row, struct names_of_row *out);

#endif
