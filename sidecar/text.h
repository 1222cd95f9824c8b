/* text.h - what the contract does to strings: trim, compare, normalise, cut.
 *
 * Place on the route: asked by contract (lines) and by the aggregate (labels). No threads, no I/O, no clock,
 * no memory of its own. Letters are ASCII letters; other characters are kept or dropped whole, never split.
 */
#ifndef AILIVE_SIDECAR_TEXT_H
#define AILIVE_SIDECAR_TEXT_H

#include "observation.h"

#define TEXT_OF(literal) ((struct text){(literal), sizeof(literal) - 1})

struct text text_of(const char *string); /* NULL gives the empty text */

/* Length of the valid UTF-8 character that bytes begin with (1 to 4), 0 when they do not. */
size_t text_character_bytes(const char *bytes, size_t len_bytes);

/* Without the white space at both ends: Unicode's, as the original exporter's trimming. */
struct text text_trim(struct text text);

bool text_equal(struct text a, struct text b);
bool text_is(struct text text, const char *literal);
/* The same without regard to ASCII case; literal in lower case. */
bool text_is_folded(struct text text, const char *literal);
bool text_starts_folded(struct text text, const char *literal);
bool text_contains_folded(struct text text, const char *literal);

/* Each writes to out, at most max_bytes, no NUL, and returns the length. max_bytes >= 2. */

/* The contract's n(N): trimmed; lower-cased; a space becomes '_'; of ASCII only letters, digits, '_' and '-'
 * stay; cut to max_bytes; empty is "na". n(n(x)) is n(x). Each byte that is no UTF-8 becomes U+FFFD. */
size_t text_normalise(struct text text, size_t max_bytes, char *out);

/* Trimmed, then every run of characters outside [A-Za-z0-9._-] becomes one '_', then cut. */
size_t text_run_id(struct text text, size_t max_bytes, char *out);

/* Trimmed and cut; NUL and each byte that is no UTF-8 become U+FFFD: either would spoil an exposition. */
size_t text_clean(struct text text, size_t max_bytes, char *out);

#endif
