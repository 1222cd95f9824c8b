/* hot_loop.c - what the hot-path test watches from outside: a thread that records between two marks.
 *
 *     hot_loop IPC_URL N     getppid() is the mark: once before and once after N recording calls; prints the
 *                            recording thread's id. The first record (which claims the ring) is made before.
 */
#include <ailive/ailive.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Not static and not inlined: the disassembly test finds it by name. */
void hot_record(struct ailive *telemetry, int64_t latency_ns);
__attribute__((noinline)) void hot_record(struct ailive *telemetry, int64_t latency_ns)
{
    ailive_record_decision(telemetry, AILIVE_REJECT, AILIVE_REASON_RISK_LIMIT, AILIVE_ACTION_NONE,
                           latency_ns);
}

int main(int argc, char **argv)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT;
    struct ailive *telemetry;
    long i, n = argc > 2 ? atol(argv[2]) : 0;

    options.ipc_url = argc > 1 ? argv[1] : NULL;
    if (ailive_open(&options, &telemetry) != AILIVE_OK)
        return 1;
    hot_record(telemetry, 1);
    printf("%d\n", gettid());
    fflush(stdout);
    getppid();
    for (i = 0; i < n; i++)
        hot_record(telemetry, i);
    getppid();
    return ailive_close(telemetry, 10000) == AILIVE_OK ? 0 : 1;
}
