/* command_port.c - `ailive port`: which ports are free, and who holds the others.
 *
 * Place on the route: beside it; asked by up.sh before it starts anything, and by a person. It binds each
 * port for a moment and serves nothing.
 */
#include "command.h"
#include "config.h"
#include "http.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help[] = "Usage: ailive port PORT...\n"
                           "Say for each TCP port of 127.0.0.1 whether it is free, or who holds it.\n"
                           "\n"
                           "  --help, --version\n"
                           "\n"
                           "Exit status: 0 all are free, 1 not, 2 wrong usage.\n";

static const struct option options[] = {COMMAND_COMMON_OPTIONS, {0, 0, 0, 0}};

static int look(const char *text)
{
    struct config_listen listen = {.address = "127.0.0.1"};
    char error[512];
    uint64_t number;
    uint16_t port;
    int fd;

    if (!config_number("PORT", text, 1, UINT16_MAX, &number, error, sizeof(error)))
        return command_usage("port", "%s", error);
    listen.port = (uint16_t)number;
    if (http_listen(&listen, &fd, &port, error, sizeof(error)) != 0) {
        error[strcspn(error, ";")] = '\0'; /* what to do about it is the caller's */
        printf("%s\n", error);
        return COMMAND_FAILED;
    }
    close(fd);
    printf("port %u is free\n", port);
    return COMMAND_OK;
}

int command_port(int argc, char **argv)
{
    int status = COMMAND_OK;

    if (command_next_option(argc, argv, options, help, &status) == -2)
        return status;
    if (optind == argc)
        return command_usage("port", "no PORT given");
    for (int i = optind; i < argc && status != COMMAND_USAGE; i++) {
        int looked = look(argv[i]);

        status = looked > status ? looked : status;
    }
    return status;
}
