/* buffer.c - see buffer.h. */
#include "buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_init(struct buffer *buffer)
{
    *buffer = (struct buffer){0};
}

void buffer_fini(struct buffer *buffer)
{
    free(buffer->bytes);
    buffer_init(buffer);
}

/* Makes room for len_bytes more. Doubling keeps appending linear. */
static bool reserve(struct buffer *buffer, size_t len_bytes)
{
    size_t wanted = buffer->reserved ? buffer->reserved : 256;
    char *bytes;

    if (len_bytes > SIZE_MAX / 4 - buffer->used)
        return false;
    if (buffer->used + len_bytes <= buffer->reserved)
        return true;
    while (wanted < buffer->used + len_bytes)
        wanted *= 2;
    bytes = realloc(buffer->bytes, wanted);
    if (!bytes)
        return false;
    buffer->bytes = bytes;
    buffer->reserved = wanted;
    return true;
}

bool buffer_add(struct buffer *buffer, const void *bytes, size_t len_bytes)
{
    if (!reserve(buffer, len_bytes))
        return false;
    if (len_bytes > 0)
        memcpy(buffer->bytes + buffer->used, bytes, len_bytes);
    buffer->used += len_bytes;
    return true;
}

char *buffer_room(struct buffer *buffer, size_t len_bytes)
{
    return reserve(buffer, len_bytes) ? buffer->bytes + buffer->used : NULL;
}

bool buffer_add_text(struct buffer *buffer, const char *text)
{
    return buffer_add(buffer, text, strlen(text));
}

bool buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    /* vsnprintf writes a NUL behind the text: room for it, though it is not counted as used. */
    if (len < 0 || !reserve(buffer, (size_t)len + 1))
        return false;
    va_start(arguments, format);
    vsnprintf(buffer->bytes + buffer->used, (size_t)len + 1, format, arguments);
    va_end(arguments);
    buffer->used += (size_t)len;
    return true;
}
