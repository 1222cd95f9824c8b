/* lifecycle.c - a host that ends, or goes on, in every way but ailive_close(), for the lifecycle tests.
 *
 *     lifecycle MODE TALLY
 *
 * Where to: the AILIVE_... and PEAK_TRADE_AI_... variables. TALLY is a file of two words of 8 bytes,
 * little-endian: recording calls that returned AILIVE_OK, of the first process and of its grandchild. */
#include <ailive/ailive.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CALLS 500

static struct ailive *telemetry;
static volatile uint64_t *tally;
static char *self;

static void record(volatile uint64_t *count, int n)
{
    int i;

    for (i = 0; i < n; i++) {
        if (ailive_record_decision(telemetry, AILIVE_ACCEPT, AILIVE_REASON_NONE, AILIVE_ACTION_NONE, i) ==
            AILIVE_OK)
            *count = *count + 1;
        if (i % 64 == 0)
            usleep(100);
    }
}

/* Becomes a program that knows nothing of ailive and stays until its input ends. */
static void mode_exec(void)
{
    record(&tally[0], CALLS);
    execl(self, self, "idle", "", (char *)NULL);
}

static void mode_exit(void)
{
    record(&tally[0], CALLS);
    exit(0);
}

static void *exit_beside(void *unused)
{
    (void)unused;
    while (tally[0] < CALLS)
        usleep(1000);
    exit(0);
}

static void mode_exit_beside(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, exit_beside, NULL) == 0)
        for (;;)
            record(&tally[0], CALLS);
}

static void mode_quick_exit(void)
{
    record(&tally[0], CALLS);
    quick_exit(0);
}

static void mode_exit_now(void)
{
    record(&tally[0], CALLS);
    _exit(0);
}

static void mode_abort(void)
{
    record(&tally[0], CALLS);
    abort();
}

/* The name is first used in the last record before the kill. */
static void mode_last_name(void)
{
    struct ailive_scope scope = {0, AILIVE_RUN_ID_DEFAULT};

    record(&tally[0], CALLS);
    if (ailive_register(telemetry, AILIVE_NAME_COMPONENT, "newborn", &scope.component) == AILIVE_OK &&
        ailive_record_decision_for(telemetry, scope, AILIVE_NOW, AILIVE_REJECT, AILIVE_REASON_COOLDOWN,
                                   AILIVE_ACTION_NONE, 1) == AILIVE_OK)
        kill(getpid(), SIGKILL);
}

/* As daemons do it, with the descriptors closed while records flow. */
static void mode_daemon(void)
{
    record(&tally[0], CALLS);
    if (fork() != 0)
        _exit(0);
    setsid();
    if (fork() != 0)
        _exit(0);
    record(&tally[1], CALLS);
    closefrom(3);
    record(&tally[1], CALLS);
    exit(0);
}

static void mode_idle(void)
{
    char byte;

    exit((int)read(0, &byte, 1));
}

static volatile uint64_t *open_tally(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    void *map;

    if (fd < 0 || ftruncate(fd, 16) != 0)
        exit(1);
    map = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        exit(1);
    return map;
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"exec", mode_exec},
    {"exit", mode_exit},
    {"exit-beside", mode_exit_beside},
    {"quick-exit", mode_quick_exit},
    {"exit-now", mode_exit_now},
    {"abort", mode_abort},
    {"last-name", mode_last_name},
    {"daemon", mode_daemon},
};

int main(int argc, char **argv)
{
    size_t i;

    if (argc < 3)
        return 2;
    self = argv[0];
    if (strcmp(argv[1], "idle") == 0)
        mode_idle();
    tally = open_tally(argv[2]);
    if (ailive_open(NULL, &telemetry) != AILIVE_OK)
        return 1;
    for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(modes[i].name, argv[1]) == 0)
            modes[i].run();
    return 1; /* no such mode, or it failed */
}
