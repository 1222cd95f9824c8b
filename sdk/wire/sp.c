/* sp.c - SP greeting, frame head and backtrace; see sp.h for the format.
 *
 * Place on the route: around every batch and reply. Owns nothing; any thread; never touches a socket. */
#include "sp.h"

#include <string.h>

void sp_greeting(uint16_t protocol, unsigned char out[SP_GREETING_BYTES])
{
    const unsigned char greeting[SP_GREETING_BYTES] = {
        0, 'S', 'P', 0, (unsigned char)(protocol >> 8), (unsigned char)protocol, 0, 0};

    memcpy(out, greeting, sizeof(greeting));
}

bool sp_greeting_is(const unsigned char bytes[SP_GREETING_BYTES], uint16_t protocol)
{
    unsigned char expected[SP_GREETING_BYTES];

    sp_greeting(protocol, expected);
    return memcmp(bytes, expected, sizeof(expected)) == 0;
}

void sp_frame(uint64_t len_bytes, unsigned char out[SP_FRAME_BYTES])
{
    out[0] = 1; /* the only message type of the IPC mapping */
    for (unsigned i = 0; i < 8; i++)
        out[1 + i] = (unsigned char)(len_bytes >> (56 - 8 * i));
}

bool sp_frame_read(const unsigned char head[SP_FRAME_BYTES], uint64_t max_bytes, uint64_t *len_bytes)
{
    uint64_t length = 0;

    if (head[0] != 1)
        return false;
    for (unsigned i = 0; i < 8; i++)
        length = length << 8 | head[1 + i];
    if (length > max_bytes)
        return false;
    *len_bytes = length;
    return true;
}

void sp_request_id(uint32_t n, unsigned char out[SP_REQUEST_ID_BYTES])
{
    uint32_t id = n | 0x80000000u; /* the high bit ends the backtrace */

    for (unsigned i = 0; i < SP_REQUEST_ID_BYTES; i++)
        out[i] = (unsigned char)(id >> (24 - 8 * i));
}

size_t sp_backtrace_bytes(const unsigned char *payload, size_t len_bytes)
{
    for (size_t word = 0; word < SP_BACKTRACE_WORDS; word++) {
        if (len_bytes < 4 * (word + 1))
            return 0;
        if (payload[4 * word] & 0x80)
            return 4 * (word + 1);
    }
    return 0;
}
