/* plain.h - the plain kind of line, read without a parser.
 *
 * Place on the route: [plain] inside json. No threads, no I/O, no clock, no memory of its own.
 *
 * Nearly every event line is an object of plain keys and values. plain_read() takes just those: strings of
 * ASCII without escapes, null, true, false, integers of up to 19 digits within 64 bits, decimals whose double
 * is one exact division (at most 2^53 over at most 10^18), and arrays and objects of such values, which are
 * validated and passed over. It accepts a line only when every byte of it has been accounted for, so that an
 * accepted line is valid JSON by construction; about any other line it says nothing, and simdjson's word
 * counts.
 */
#ifndef AILIVE_SIDECAR_PLAIN_H
#define AILIVE_SIDECAR_PLAIN_H

#include "json.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PLAIN_LINE_MAX_BYTES 1024u /* longer lines are not tried */
#define PLAIN_DEPTH_MAX      8u    /* nor are values deeper than this within the object */

/* Fills *out, which must be clear, and marks in out->filled what it touched. Texts in *out point into bytes.
 * false: not a plain line, and *out may be half filled. Reads nothing behind bytes + len_bytes. */
bool plain_read(const char *bytes, size_t len_bytes, struct json_view *out);

/* The key of this name, JSON_KEYS for any other. */
enum json_key plain_key(const char *name, size_t len_bytes);

#ifdef __cplusplus
}
#endif

#endif
