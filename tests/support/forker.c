/* forker.c - a host that forks while it records, for the torture and fork tests.
 *
 *     forker IPC_URL TALLY CHILDREN N [RUN_ID]
 *
 * Opens the SDK, records, forks CHILDREN children (every second one with _Fork(), which runs no atfork
 * handlers), and parent and children record N decisions each. TALLY holds CHILDREN + 1 words of 8 bytes,
 * little-endian: calls that returned, the parent's first. Children leave with _exit() and never close: what
 * they had recorded is salvaged. The parent waits for them and closes. */
#include <ailive/ailive.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void record(struct ailive *telemetry, volatile uint64_t *tally, long n)
{
    long i;

    for (i = 0; i < n; i++) {
        ailive_record_decision(telemetry, AILIVE_ACCEPT, AILIVE_REASON_NONE, AILIVE_ACTION_NONE, i);
        *tally = *tally + 1;
        if (i % 64 == 0)
            usleep(100);
    }
}

static volatile uint64_t *open_tally(const char *path, int words)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    void *map;

    if (fd < 0 || ftruncate(fd, words * 8) != 0)
        exit(1);
    map = mmap(NULL, (size_t)words * 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        exit(1);
    return map;
}

int main(int argc, char **argv)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT;
    struct ailive *telemetry;
    volatile uint64_t *tally;
    int children, i;
    long n;

    if (argc < 5)
        return 2;
    children = atoi(argv[3]);
    n = atol(argv[4]);
    tally = open_tally(argv[2], children + 1);
    options.ipc_url = argv[1];
    options.run_id = argc > 5 ? argv[5] : NULL;
    if (ailive_open(&options, &telemetry) != AILIVE_OK)
        return 1;
    record(telemetry, &tally[0], n / 2);
    for (i = 0; i < children; i++)
        if ((i % 2 ? _Fork() : fork()) == 0) {
            record(telemetry, &tally[i + 1], n);
            _exit(0);
        }
    record(telemetry, &tally[0], n - n / 2);
    while (wait(NULL) > 0)
        continue;
    ailive_close(telemetry, 3000);
    return 0;
}
