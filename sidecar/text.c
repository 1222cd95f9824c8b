/* text.c - see text.h. */
#include "text.h"

#include <string.h>

struct text text_of(const char *string)
{
    return (struct text){string, string ? strlen(string) : 0};
}

static bool continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t text_character_bytes(const char *bytes, size_t len_bytes)
{
    const unsigned char *b = (const unsigned char *)bytes;

    if (len_bytes == 0)
        return 0;
    if (b[0] < 0x80)
        return 1;
    /* The second byte's range excludes over-long forms, surrogates and what lies beyond U+10FFFF. */
    if (b[0] >= 0xc2 && b[0] <= 0xdf)
        return len_bytes >= 2 && continuation(b[1]) ? 2 : 0;
    if (b[0] >= 0xe0 && b[0] <= 0xef) {
        if (len_bytes < 3 || !continuation(b[1]) || !continuation(b[2]))
            return 0;
        return (b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] > 0x9f) ? 0 : 3;
    }
    if (b[0] >= 0xf0 && b[0] <= 0xf4) {
        if (len_bytes < 4 || !continuation(b[1]) || !continuation(b[2]) || !continuation(b[3]))
            return 0;
        return (b[0] == 0xf0 && b[1] < 0x90) || (b[0] == 0xf4 && b[1] > 0x8f) ? 0 : 4;
    }
    return 0;
}

static bool ascii_space(unsigned char byte)
{
    return byte == ' ' || (byte >= 0x09 && byte <= 0x0d) || (byte >= 0x1c && byte <= 0x1f);
}

/* Length of the white-space character at the start of bytes, 0 when there is none. */
static size_t space_bytes(const char *bytes, size_t len_bytes)
{
    const unsigned char *b = (const unsigned char *)bytes;

    if (len_bytes >= 1 && ascii_space(b[0]))
        return 1;
    if (len_bytes >= 2 && b[0] == 0xc2 && (b[1] == 0x85 || b[1] == 0xa0))
        return 2; /* U+0085, U+00A0 */
    if (len_bytes < 3)
        return 0;
    if (b[0] == 0xe1 && b[1] == 0x9a && b[2] == 0x80)
        return 3; /* U+1680 */
    if (b[0] == 0xe2 && b[1] == 0x80 &&
        ((b[2] >= 0x80 && b[2] <= 0x8a) || b[2] == 0xa8 || b[2] == 0xa9 || b[2] == 0xaf))
        return 3; /* U+2000 to U+200A, U+2028, U+2029, U+202F */
    if ((b[0] == 0xe2 && b[1] == 0x81 && b[2] == 0x9f) || (b[0] == 0xe3 && b[1] == 0x80 && b[2] == 0x80))
        return 3; /* U+205F, U+3000 */
    return 0;
}

/* The same for the character that ends just before bytes + len_bytes. */
static size_t space_bytes_before(const char *bytes, size_t len_bytes)
{
    for (size_t n = 1; n <= 3 && n <= len_bytes; n++)
        if (space_bytes(bytes + len_bytes - n, n) == n)
            return n;
    return 0;
}

/* Neither white space nor part of a character beyond ASCII. */
static bool plain(char c)
{
    return c > ' ' && c < 0x7f;
}

struct text text_trim(struct text text)
{
    size_t n;

    if (text.len_bytes > 0 && plain(text.bytes[0]) && plain(text.bytes[text.len_bytes - 1]))
        return text; /* nearly all of them */

    while ((n = space_bytes(text.bytes, text.len_bytes)) > 0) {
        text.bytes += n;
        text.len_bytes -= n;
    }
    while ((n = space_bytes_before(text.bytes, text.len_bytes)) > 0)
        text.len_bytes -= n;
    return text;
}

bool text_equal(struct text a, struct text b)
{
    return a.len_bytes == b.len_bytes && (a.len_bytes == 0 || memcmp(a.bytes, b.bytes, a.len_bytes) == 0);
}

bool text_is(struct text text, const char *literal)
{
    return text_equal(text, text_of(literal));
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool text_starts_folded(struct text text, const char *literal)
{
    size_t i;

    for (i = 0; literal[i]; i++)
        if (i >= text.len_bytes || lower(text.bytes[i]) != literal[i])
            return false;
    return true;
}

bool text_is_folded(struct text text, const char *literal)
{
    return text.len_bytes == strlen(literal) && text_starts_folded(text, literal);
}

bool text_contains_folded(struct text text, const char *literal)
{
    for (; text.len_bytes > 0; text.bytes++, text.len_bytes--)
        if (text_starts_folded(text, literal))
            return true;
    return false;
}

/* What n(N) makes of one ASCII character; 0: it is dropped. */
static char normal_ascii(char c)
{
    c = lower(c);
    if (c == ' ')
        return '_';
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ? c : 0;
}

/* Appends a character of n bytes, U+FFFD for n == 0 (a byte that is no UTF-8). false: no room. */
static bool add_character(const char *bytes, size_t n, size_t max_bytes, char *out, size_t *used)
{
    const char *from = n ? bytes : "\xef\xbf\xbd";
    size_t made = n ? n : 3;

    if (*used + made > max_bytes)
        return false;
    memcpy(out + *used, from, made);
    *used += made;
    return true;
}

size_t text_normalise(struct text text, size_t max_bytes, char *out)
{
    struct text made = {out, 0};

    text = text_trim(text);
    while (text.len_bytes > 0 && made.len_bytes < max_bytes) {
        size_t n = text_character_bytes(text.bytes, text.len_bytes);

        if (n == 1) {
            char c = normal_ascii(text.bytes[0]);

            out[made.len_bytes] = c;
            made.len_bytes += c != 0;
        } else if (!add_character(text.bytes, n, max_bytes, out, &made.len_bytes)) {
            break;
        }
        n += n == 0;
        text.bytes += n;
        text.len_bytes -= n;
    }
    /* Dropping and cutting can lay white space bare at the ends. */
    made = text_trim(made);
    if (made.len_bytes == 0)
        made = TEXT_OF("na");
    memmove(out, made.bytes, made.len_bytes);
    return made.len_bytes;
}

static bool run_id_character(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

size_t text_run_id(struct text text, size_t max_bytes, char *out)
{
    size_t used = 0;
    bool in_run = false;

    text = text_trim(text);
    for (size_t i = 0; i < text.len_bytes && used < max_bytes; i++) {
        bool keep = run_id_character(text.bytes[i]);

        if (keep)
            out[used++] = text.bytes[i];
        else if (!in_run)
            out[used++] = '_';
        in_run = !keep;
    }
    return used;
}

size_t text_clean(struct text text, size_t max_bytes, char *out)
{
    size_t used = 0;

    text = text_trim(text);
    while (text.len_bytes > 0) {
        size_t n = text_character_bytes(text.bytes, text.len_bytes);

        if (!add_character(text.bytes, text.bytes[0] == '\0' ? 0 : n, max_bytes, out, &used))
            break;
        n += n == 0;
        text.bytes += n;
        text.len_bytes -= n;
    }
    return used;
}
