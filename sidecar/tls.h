/* tls.h - what is asked of GnuTLS beyond what microhttpd does with it.
 *
 * Place on the route: inside http. No threads, no I/O.
 */
#ifndef AILIVE_SIDECAR_TLS_H
#define AILIVE_SIDECAR_TLS_H

#include "web_config.h"

/* GnuTLS' priority string for the versions of TLS that are spoken. */
const char *tls_priorities(const struct web_config *config);

/* Whether certificate and key can be read and belong together (microhttpd does not tell). -1: error holds one
 * line. */
int tls_check(const struct web_config *config, char *error, size_t error_cap);

/* session: microhttpd's, after the handshake. Whether the peer's certificate is what the configuration wants.
 */
bool tls_peer_is_fine(const struct web_config *config, void *session);

#endif
