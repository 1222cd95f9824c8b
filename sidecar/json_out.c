/* json_out.c - see json_out.h. */
#include "json_out.h"

#include "text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void put(struct json_out *out, const char *bytes, size_t len_bytes)
{
    out->fine = out->fine && buffer_add(out->buffer, bytes, len_bytes);
}

static void put_quoted(struct json_out *out, const char *text)
{
    size_t len_bytes = strlen(text), whole = 0;

    put(out, "\"", 1);
    for (size_t i = 0; i<len_bytes; i += whole> 0 ? whole : 1) {
        unsigned char c = (unsigned char)text[i];

        whole = text_character_bytes(text + i, len_bytes - i);
        if (c == '"' || c == '\\')
            put(out, "\\", 1);
        if (whole == 0)
            put(out, "\xef\xbf\xbd", 3);
        else if (c < 0x20)
            out->fine = out->fine && buffer_printf(out->buffer, "\\u%04x", c);
        else
            put(out, text + i, whole);
    }
    put(out, "\"", 1);
}

/* What stands before a value: a comma, its key. */
static void begin(struct json_out *out, const char *key)
{
    if (out->comma)
        put(out, ",", 1);
    if (key != NULL) {
        put_quoted(out, key);
        put(out, ":", 1);
    }
    out->comma = true;
}

void json_out_open(struct json_out *out, const char *key, char bracket)
{
    begin(out, key);
    put(out, &bracket, 1);
    out->comma = false;
}

void json_out_close(struct json_out *out, char bracket)
{
    put(out, &bracket, 1);
    out->comma = true;
}

void json_out_text(struct json_out *out, const char *key, const char *text)
{
    begin(out, key);
    put_quoted(out, text);
}

void json_out_count(struct json_out *out, const char *key, uint64_t count)
{
    begin(out, key);
    out->fine = out->fine && buffer_printf(out->buffer, "%" PRIu64, count);
}

void json_out_bool(struct json_out *out, const char *key, bool value)
{
    begin(out, key);
    put(out, value ? "true" : "false", value ? 4 : 5);
}

void json_out_number(struct json_out *out, const char *key, double value, int decimals)
{
    begin(out, key);
    if (isfinite(value))
        out->fine = out->fine && buffer_printf(out->buffer, "%.*f", decimals, value);
    else
        put(out, "null", 4);
}
