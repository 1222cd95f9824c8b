/* sp.h - nng's framing of Scalability Protocols, as a codec over byte buffers.
 *
 * Place on the route: around a batch and its reply, on both ends. No threads, no I/O: the SDK feeds it from
 * its one socket, the sidecar from nng's streams.
 *
 * Greeting, 8 bytes each way: 00 'S' 'P' 00, protocol (big-endian u16), 00 00.
 * tcp:// and tls+tcp:// have the same greeting and the same frame without its first byte; a message of ws://
 * is the payload alone, and its sub-protocol rep.sp.nanomsg.org stands for the greeting.
 * Frame: 01, length (big-endian u64), payload. Payload of REQ/REP: a backtrace of big-endian u32 words, the
 * last with its high bit set (the request id), then the body. A REP echoes the backtrace. Source of the
 * format: SP TCP and IPC mappings (nanomsg RFCs sp-tcp-mapping-01, sp-ipc-mapping-01, sp-request-reply-01);
 * checked against libnng 1.5.2 in the tests. */
#ifndef AILIVE_WIRE_SP_H
#define AILIVE_WIRE_SP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SP_GREETING_BYTES   8u
#define SP_FRAME_BYTES      9u /* head of a frame */
#define SP_TYPE_BYTES       1u /* of them, what only ipc:// has */
#define SP_REQUEST_ID_BYTES 4u
#define SP_PROTO_REQ        0x30u
#define SP_PROTO_REP        0x31u
#define SP_BACKTRACE_WORDS  16u /* a longer one is refused; nng's own limit of hops is 15 */

void sp_greeting(uint16_t protocol, unsigned char out[SP_GREETING_BYTES]);

/* Whether bytes are a greeting of the given peer protocol. */
bool sp_greeting_is(const unsigned char bytes[SP_GREETING_BYTES], uint16_t protocol);

/* Head of a frame whose payload has len_bytes. */
void sp_frame(uint64_t len_bytes, unsigned char out[SP_FRAME_BYTES]);

/* Reads a frame's head: false when it is none or its payload is longer than max_bytes. */
bool sp_frame_read(const unsigned char head[SP_FRAME_BYTES], uint64_t max_bytes, uint64_t *len_bytes);

/* A request id for number n: big-endian with the high bit set. */
void sp_request_id(uint32_t n, unsigned char out[SP_REQUEST_ID_BYTES]);

/* Length of the backtrace at the start of a payload, request id included; 0 when there is no valid one. */
size_t sp_backtrace_bytes(const unsigned char *payload, size_t len_bytes);

#endif
