/* watch.c - a component in C that records what it decides.
 *
 *     cc -std=c11 -I sdk/include watch.c -lailive
 *     watch [IPC_URL]        by default where the sidecar listens by default
 */
#include <ailive/ailive.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT; /* every default stands in the header */
    struct ailive *telemetry;
    ailive_name too_volatile = AILIVE_REASON_OTHER, risk_check = 0;
    int status, order;

    options.component = "execution_watch";
    options.run_id = "c_example";
    options.ipc_url = argc > 1 ? argv[1] : NULL;
    status = ailive_open(&options, &telemetry);
    if (status != AILIVE_OK) /* the component goes on all the same: calls on NULL are counted no-ops */
        fprintf(stderr, "telemetry: %s\n", ailive_strerror(status));
    ailive_register(telemetry, AILIVE_NAME_REASON, "too_volatile", &too_volatile);
    ailive_register(telemetry, AILIVE_NAME_STAGE, "risk_check", &risk_check);

    for (order = 0; order < 10; order++) {
        uint64_t began = ailive_ticks();
        /* ... look at the order ... */
        ailive_record_stage(telemetry, risk_check, ailive_elapsed_ns(began));
        if (order % 5 == 0)
            ailive_record_decision(telemetry, AILIVE_REJECT, too_volatile, AILIVE_ACTION_NONE,
                                   ailive_elapsed_ns(began));
        else
            ailive_record_decision(telemetry, AILIVE_ACCEPT, AILIVE_REASON_NONE, AILIVE_SUBMIT,
                                   ailive_elapsed_ns(began));
    }
    return ailive_close(telemetry, 1000) == AILIVE_OK ? 0
                                                      : 1; /* OK: all of it arrived, or lies in the spool */
}
