/* command.c - see command.h. */
#include "command.h"

#include <wire/event.h>

#include <stdarg.h>
#include <stdio.h>

int command_usage(const char *name, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "ailive %s: ", name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nTry: ailive %s --help\n", name);
    return COMMAND_USAGE;
}

int command_next_option(int argc, char **argv, const struct option *options, const char *help, int *status)
{
    int option;

    opterr = 0; /* the messages are ours */
    option = getopt_long(argc, argv, ":", options, NULL);
    switch (option) {
    case 'h':
        fputs(help, stdout);
        *status = COMMAND_OK;
        return -2;
    case 'V':
        printf("ailive %s\n", AILIVE_VERSION_STRING);
        *status = COMMAND_OK;
        return -2;
    case ':':
        *status = command_usage(argv[0], "option '%s' needs a value", argv[optind - 1]);
        return -2;
    case '?':
        *status = command_usage(argv[0], "option '%s' is unknown or takes no value", argv[optind - 1]);
        return -2;
    default:
        return option;
    }
}
