/* view_check.h - whether a plain reading and simdjson's agree on a line. For test_plain and fuzz_plain. */
#ifndef AILIVE_TESTS_VIEW_CHECK_H
#define AILIVE_TESTS_VIEW_CHECK_H

#include "json.h"
#include "plain.h"
#include "text.h"

#include <string.h>

static inline bool view_values_equal(const struct json_value *a, const struct json_value *b)
{
    return a->type == b->type && a->truthy == b->truthy && a->is_int == b->is_int &&
           a->is_uint == b->is_uint && text_equal(a->text, b->text) &&
           memcmp(&a->number, &b->number, sizeof(a->number)) == 0 && a->integer == b->integer &&
           a->uinteger == b->uinteger;
}

/* What a line's reading by plain_read() is worth. */
enum view_verdict {
    VIEW_NOT_PLAIN, /* nothing was said */
    VIEW_AGREES,
    VIEW_DIFFERS /* accepted, but no object to simdjson, or another one */
};

static inline enum view_verdict view_check(struct json_reader *reader, const char *bytes, size_t len_bytes)
{
    static struct json_view plain, dom;

    memset(&plain, 0, sizeof(plain));
    if (!plain_read(bytes, len_bytes, &plain))
        return VIEW_NOT_PLAIN;
    if (json_read_any(reader, bytes, len_bytes, &dom) != JSON_IS_OBJECT || plain.filled != dom.filled)
        return VIEW_DIFFERS;
    for (int key = 0; key < JSON_KEYS; key++)
        if (!view_values_equal(&plain.values[key], &dom.values[key]))
            return VIEW_DIFFERS;
    return VIEW_AGREES;
}

#endif
