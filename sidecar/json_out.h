/* json_out.h - JSON written value by value: commas, escapes and numbers.
 *
 * Place on the route: behind status, before http. No threads, no I/O, no clock. A failure (out of memory)
 * stays: whoever writes looks at `fine` once, at the end.
 */
#ifndef AILIVE_SIDECAR_JSON_OUT_H
#define AILIVE_SIDECAR_JSON_OUT_H

#include "buffer.h"

#include <stdint.h>

struct json_out {
    struct buffer *buffer;
    bool comma; /* a value stands before the next one */
    bool fine;
};

/* key: NULL inside an array, and for the outermost value. */
void json_out_open(struct json_out *out, const char *key, char bracket); /* '{' or '[' */
void json_out_close(struct json_out *out, char bracket);                 /* '}' or ']' */
/* Bytes that are no UTF-8 become U+FFFD. */
void json_out_text(struct json_out *out, const char *key, const char *text);
void json_out_count(struct json_out *out, const char *key, uint64_t count);
void json_out_bool(struct json_out *out, const char *key, bool value);
/* NaN and infinities, which JSON has not, become null. decimals: digits behind the point. */
void json_out_number(struct json_out *out, const char *key, double value, int decimals);

#endif
