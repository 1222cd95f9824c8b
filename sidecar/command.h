/* command.h - the subcommands of `ailive`. Each takes its own argc and argv (argv[0] is the subcommand's
 * name) and returns the exit status: 0 fine, 1 failed, 2 wrong usage. Data goes to stdout, everything else to
 * stderr. */
#ifndef AILIVE_SIDECAR_COMMAND_H
#define AILIVE_SIDECAR_COMMAND_H

#include <getopt.h>

#define COMMAND_OK     0
#define COMMAND_FAILED 1
#define COMMAND_USAGE  2

int command_sidecar(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_emit(int argc, char **argv);
int command_top(int argc, char **argv);
int command_verify(int argc, char **argv);
int command_activity(int argc, char **argv);
int command_local_verify(int argc, char **argv);
int command_mock(int argc, char **argv);
int command_port(int argc, char **argv);
int command_doctor(int argc, char **argv);

/* What every subcommand does with --help and --version and with wrong options. help: the whole help text.
 * Loops over getopt_long(): returns the next option, -1 at the end; on --help and --version it prints to
 * stdout and sets *status to 0, on an unknown option or a missing value to 2 after saying so on stderr, and
 * returns -2: the caller returns *status. options must contain COMMAND_COMMON_OPTIONS. */
#define COMMAND_COMMON_OPTIONS                                                                               \
    {"help", no_argument, 0, 'h'},                                                                           \
    {                                                                                                        \
        "version", no_argument, 0, 'V'                                                                       \
    }
int command_next_option(int argc, char **argv, const struct option *options, const char *help, int *status);

/* "ailive NAME: TEXT" and a hint to --help on stderr; returns COMMAND_USAGE. */
int command_usage(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
