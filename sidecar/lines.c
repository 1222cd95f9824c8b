/* lines.c - see lines.h. */
#include "lines.h"

#include <string.h>

static const char bom[] = "\xef\xbb\xbf";

void lines_init(struct lines *lines, uint64_t offset)
{
    buffer_init(&lines->tail);
    lines_restart(lines, offset);
}

void lines_restart(struct lines *lines, uint64_t offset)
{
    lines->tail.used = 0;
    lines->tail_handed = false;
    lines->too_long = false;
    lines->bytes = NULL;
    lines->len_bytes = 0;
    lines->start = offset;
    lines->read = offset;
}

void lines_fini(struct lines *lines)
{
    buffer_fini(&lines->tail);
}

void lines_feed(struct lines *lines, const char *bytes, size_t len_bytes)
{
    lines->bytes = bytes;
    lines->len_bytes = len_bytes;
}

static void forget_handed(struct lines *lines)
{
    if (lines->tail_handed) {
        lines->tail.used = 0;
        lines->tail_handed = false;
    }
}

static void advance(struct lines *lines, size_t len_bytes)
{
    lines->bytes += len_bytes;
    lines->len_bytes -= len_bytes;
    lines->read += len_bytes;
}

/* The line from lines->start to lines->read is whole: judges its length and takes the mark off its front. */
static enum lines_kind finish(struct lines *lines, struct text found, struct text *line)
{
    enum lines_kind kind = lines->too_long || found.len_bytes > LINES_MAX_BYTES ? LINES_LONG : LINES_LINE;

    if (lines->start == 0 && found.len_bytes >= 3 && memcmp(found.bytes, bom, 3) == 0) {
        found.bytes += 3;
        found.len_bytes -= 3;
    }
    *line = kind == LINES_LINE ? found : (struct text){NULL, 0};
    lines->start = lines->read;
    lines->too_long = false;
    return kind;
}

/* Adds to the partial tail, or gives it up when it is over the limit: only its length matters then. */
static bool keep(struct lines *lines, size_t len_bytes)
{
    if (!lines->too_long && lines->tail.used + len_bytes > LINES_MAX_BYTES) {
        lines->too_long = true;
        lines->tail.used = 0;
    }
    return lines->too_long || buffer_add(&lines->tail, lines->bytes, len_bytes);
}

enum lines_kind lines_next(struct lines *lines, struct text *line, uint64_t *end)
{
    const char *newline;
    struct text found;
    size_t len_bytes;

    forget_handed(lines);
    if (lines->len_bytes == 0)
        return LINES_NONE;
    newline = memchr(lines->bytes, '\n', lines->len_bytes);
    len_bytes = newline ? (size_t)(newline - lines->bytes) : lines->len_bytes;
    found = (struct text){lines->bytes, len_bytes};
    if (!newline || lines->tail.used > 0) {
        if (!keep(lines, len_bytes))
            return LINES_MEMORY;
        found = (struct text){lines->tail.bytes, lines->tail.used};
        lines->tail_handed = newline != NULL;
    }
    advance(lines, len_bytes + (newline != NULL));
    if (!newline)
        return LINES_NONE;
    *end = lines->read;
    return finish(lines, found, line);
}

enum lines_kind lines_last(struct lines *lines, struct text *line, uint64_t *end)
{
    struct text found;

    forget_handed(lines);
    if (lines->start == lines->read)
        return LINES_NONE;
    found = (struct text){lines->tail.bytes, lines->tail.used};
    lines->tail_handed = true;
    *end = lines->read;
    return finish(lines, found, line);
}

uint64_t lines_pending_bytes(const struct lines *lines)
{
    return lines->read - lines->start;
}
