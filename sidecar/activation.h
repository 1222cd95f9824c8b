/* activation.h - a listening socket that a service manager opened for us.
 *
 * Place on the route: before http; called once, by the main thread, before others start. The protocol is
 * systemd's: LISTEN_PID is our pid, LISTEN_FDS sockets begin at descriptor 3. Both variables are removed, so
 * that no child takes them for its own.
 */
#ifndef AILIVE_SIDECAR_ACTIVATION_H
#define AILIVE_SIDECAR_ACTIVATION_H

#include <stddef.h>

/* fd: the socket, close-on-exec and non-blocking, or -1 when none was passed to this process. 0, or -1 with a
 * line in error: what was passed is no one listening TCP socket. */
int activation_socket(int *fd, char *error, size_t error_cap);

#endif
