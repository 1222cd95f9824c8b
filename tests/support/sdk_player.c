/* sdk_player.c - records decisions read from stdin through the SDK, for the conformance test of the nng road.
 *
 *     sdk_player IPC_URL < rows
 *
 * A row is seven fields separated by tabs: component, run id, decision, reason, action, latency_ns or "-",
 * time_ns. Names are registered as they come. Ends with 0 when every row was recorded and acknowledged. */
#include <ailive/ailive.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROW_BYTES 4096
#define FLUSH_MS  60000

static struct ailive *telemetry;

static void die(const char *what, const char *text, int status)
{
    fprintf(stderr, "sdk_player: %s '%s': %s\n", what, text, ailive_strerror(status));
    exit(1);
}

static ailive_name name(enum ailive_name_kind kind, const char *text)
{
    ailive_name out = 0;
    int status = ailive_register(telemetry, kind, text, &out);

    if (status != AILIVE_OK)
        die("cannot register", text, status);
    return out;
}

static int find(const char *const *names, const char *text)
{
    int i;

    for (i = 0; names[i]; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    die("unknown word", text, AILIVE_EINVAL);
    return -1;
}

static void play(char *row)
{
    static const char *const decisions[] = {"", "accept", "reject", "noop", NULL};
    static const char *const actions[] = {"none", "order_intent", "order_request", "submit", "cancel", "fill",
                                          NULL};
    char *field[7], *rest = row;
    struct ailive_scope scope;
    int i, status;

    for (i = 0; i < 7; i++)
        field[i] = strsep(&rest, "\t\n");
    if (!field[6])
        die("too few fields in", row, AILIVE_EINVAL);
    scope.component = name(AILIVE_NAME_COMPONENT, field[0]);
    scope.run_id = name(AILIVE_NAME_RUN_ID, field[1]);
    status = ailive_record_decision_for(
        telemetry, scope, atoll(field[6]), (enum ailive_decision)find(decisions, field[2]),
        strcmp(field[3], "none") ? name(AILIVE_NAME_REASON, field[3]) : AILIVE_REASON_NONE,
        (enum ailive_action)find(actions, field[4]),
        strcmp(field[5], "-") ? atoll(field[5]) : AILIVE_NO_LATENCY);
    if (status != AILIVE_OK)
        die("cannot record", row, status);
}

int main(int argc, char **argv)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT;
    struct ailive_stats stats;
    static char row[ROW_BYTES];
    int status;

    options.ipc_url = argc > 1 ? argv[1] : NULL;
    options.spool_after_ms = FLUSH_MS; /* a sidecar that a loaded machine keeps waiting is no reason */
    status = ailive_open(&options, &telemetry);
    if (status != AILIVE_OK)
        die("cannot open", options.ipc_url, status);
    while (fgets(row, sizeof(row), stdin))
        play(row);
    status = ailive_flush(telemetry, FLUSH_MS);
    ailive_stats(telemetry, &stats);
    if (status != AILIVE_OK || stats.shipped != stats.recorded)
        die("not everything was acknowledged by", options.ipc_url, status);
    return ailive_close(telemetry, 1000) == AILIVE_OK ? 0 : 1;
}
