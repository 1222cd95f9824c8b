/* main.c - the program `ailive`: finds the subcommand and passes its arguments on. Owns nothing. */
#include "command.h"

#include <wire/event.h>

#include <stdio.h>
#include <string.h>

struct subcommand {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};

static const struct subcommand subcommands[] = {
    {"sidecar", command_sidecar, "collect events and serve /metrics"},
    {"replay", command_replay, "read event files to their end and print the metrics"},
    {"emit", command_emit, "produce the sample sequence of events"},
    {"top", command_top, "show what a sidecar counts, live in a terminal"},
    {"verify", command_verify, "prove a running stack and leave evidence"},
    {"activity", command_activity, "record one accept and one reject and see them counted"},
    {"local-verify", command_local_verify, "activity, proof, and an operator's file of it"},
    {"mock", command_mock, "stand in for the other two scraped services"},
    {"port", command_port, "say whether a port is free, or who holds it"},
    {"doctor", command_doctor, "check this host and say what to mend"},
};

#define SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

static void print_help(FILE *out)
{
    fputs("Usage: ailive SUBCOMMAND [OPTIONS]\n"
          "Telemetry of AI decisions. Watch-only: never places, changes or cancels an order.\n\n",
          out);
    for (size_t i = 0; i < SUBCOMMANDS; i++)
        fprintf(out, "  %-12s  %s\n", subcommands[i].name, subcommands[i].summary);
    fputs("\nailive SUBCOMMAND --help tells more; ailive --version prints the version.\n"
          "Exit status: 0 fine, 1 failed, 2 wrong usage.\n",
          out);
}

/* Data that did not reach stdout (a full disk, a closed pipe) is a failure. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    perror("ailive: writing to standard output failed");
    return status == COMMAND_OK ? COMMAND_FAILED : status;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return COMMAND_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return finish(COMMAND_OK);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("ailive %s\n", AILIVE_VERSION_STRING);
        return finish(COMMAND_OK);
    }
    for (size_t i = 0; i < SUBCOMMANDS; i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return finish(subcommands[i].run(argc - 1, argv + 1));
    fprintf(stderr, "ailive: there is no subcommand '%s'\n", argv[1]);
    print_help(stderr);
    return COMMAND_USAGE;
}
