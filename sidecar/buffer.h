/* buffer.h - a growing run of bytes. No threads, no I/O. */
#ifndef AILIVE_SIDECAR_BUFFER_H
#define AILIVE_SIDECAR_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct buffer {
    char *bytes;
    size_t used, reserved;
};

void buffer_init(struct buffer *buffer);
void buffer_fini(struct buffer *buffer);

/* Appends. false: out of memory, buffer unchanged. */
bool buffer_add(struct buffer *buffer, const void *bytes, size_t len_bytes);
/* Room for len_bytes behind what is used: the caller writes there and adds to `used` what it wrote. NULL: out
 * of memory. */
char *buffer_room(struct buffer *buffer, size_t len_bytes);
bool buffer_add_text(struct buffer *buffer, const char *text);
bool buffer_printf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
