/* activation.c - see activation.h. */
#include "activation.h"

#include "config.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_FD  3 /* the protocol's SD_LISTEN_FDS_START */
#define COUNT_MAX 1024

static bool number_of(const char *variable, uint64_t max, uint64_t *out)
{
    const char *text = getenv(variable);
    char error[128];

    return text != NULL && config_number(variable, text, 0, max, out, error, sizeof(error));
}

static int socket_option(int fd, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

static bool listens_on_tcp(int fd)
{
    int domain = socket_option(fd, SO_DOMAIN);

    return (domain == AF_INET || domain == AF_INET6) && socket_option(fd, SO_TYPE) == SOCK_STREAM &&
           socket_option(fd, SO_ACCEPTCONN) == 1;
}

int activation_socket(int *fd, char *error, size_t error_cap)
{
    uint64_t pid = 0, count = 0;
    bool ours = number_of("LISTEN_PID", INT32_MAX, &pid) && pid == (uint64_t)getpid() &&
                number_of("LISTEN_FDS", COUNT_MAX, &count) && count > 0;

    *fd = -1;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (!ours)
        return 0;
    if (count != 1 || !listens_on_tcp(FIRST_FD)) {
        snprintf(error, error_cap,
                 "the service manager passed %u sockets in $LISTEN_FDS; one listening TCP socket is needed",
                 (unsigned)count);
        return -1;
    }
    fcntl(FIRST_FD, F_SETFD, FD_CLOEXEC);
    fcntl(FIRST_FD, F_SETFL, fcntl(FIRST_FD, F_GETFL) | O_NONBLOCK);
    *fd = FIRST_FD;
    return 0;
}
