/* port_holder.h - who listens on a TCP port: for the error message of a busy one.
 *
 * Place on the route: asked by http once, when bind fails. Reads /proc. No threads.
 */
#ifndef AILIVE_SIDECAR_PORT_HOLDER_H
#define AILIVE_SIDECAR_PORT_HOLDER_H

#include <stddef.h>
#include <stdint.h>

/* Writes "pid 123 (name)" or, where /proc does not let us see it, "another user's process". */
void port_holder(uint16_t port, char *out, size_t cap);

#endif
