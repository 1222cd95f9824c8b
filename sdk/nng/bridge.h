/* bridge.h - what libailive asks of libailive-nng, which it loads when the sidecar's URL is not ipc://.
 *
 * Place on the route: road_ipc -> a socket pair -> [bridge] -> libnng's stream -> sidecar. On its near side
 * the bridge speaks SP over ipc:// like a sidecar, so that the shipper knows one road only; on its far side
 * it speaks the mapping of tcp://, tls+tcp:// or ws://.
 *
 * Not fork-safe: libnng ends a forked child that calls it. So a child of the process that opened a bridge is
 * refused, and its records go to the spool. libnng keeps a pool of threads once it is loaded (13 on 2 cores),
 * and the bridge one more a connection; all of them with every signal blocked.
 */
#ifndef AILIVE_NNG_BRIDGE_H
#define AILIVE_NNG_BRIDGE_H

#include <stddef.h>
#include <stdint.h>

#define BRIDGE_LIBRARY "libailive-nng.so.0"
#define BRIDGE_SYMBOL  "ailive_nng_bridge"
#define BRIDGE_ABI     1u /* raised when struct bridge_calls changes its meaning */

#define BRIDGE_DIAL_MS  5000  /* for the connection and each of its handshakes */
#define BRIDGE_SEND_MS  10000 /* for one request to go out */
#define BRIDGE_CLOSE_MS 1000  /* how long close() waits for its threads */

struct bridge;

struct bridge_options {
    const char *url;      /* has been through url_read(), and is not ipc:// */
    const char *tls_cert; /* tls+tcp: PEM file with certificate and private key */
    const char *tls_ca;   /* tls+tcp: PEM file with who may sign the sidecar's certificate */
};

struct bridge_calls {
    uint32_t abi;
    /* Checks URL and certificates; connects to nothing. 0, or errno with one line in error: ENOTSUP when
     * libnng has no TLS. */
    int (*open)(const struct bridge_options *options, struct bridge **out, char *error, size_t error_cap);
    /* Begins a connection. 0: *fd is a socket that carries SP over ipc://, and ends when the connection does
     * or cannot be made. EPERM: in a forked child. Certificates are read anew each time. */
    int (*connect)(struct bridge *bridge, int *fd);
    /* After the sockets of its connections were closed. Waits BRIDGE_CLOSE_MS at most. NULL is harmless. */
    void (*close)(struct bridge *bridge);
};

/* The library's only symbol. */
__attribute__((visibility("default"))) extern const struct bridge_calls ailive_nng_bridge;

#endif
