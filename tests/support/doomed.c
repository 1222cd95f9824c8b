/* doomed.c - a host that is killed in the middle of recording flat out.
 *
 *     doomed TALLY THREADS N KILL_AT RING_RECORDS SPOOL_AFTER_MS
 *
 * THREADS threads record N decisions together, as fast as they can. TALLY holds a word of 8 bytes a thread,
 * 64 bytes apart, little-endian: calls that returned, whatever they returned. Once they are KILL_AT together
 * the process kills itself with SIGKILL. Where to: the AILIVE_... and PEAK_TRADE_AI_... variables. */
#include <ailive/ailive.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS_MAX 16

struct tally {
    _Alignas(64) volatile uint64_t calls;
};

static struct ailive *telemetry;
static struct tally *tallies;
static long calls_each;

static void *record(void *context)
{
    struct tally *tally = context;
    long i;

    for (i = 1; i <= calls_each; i++) {
        ailive_record_decision(telemetry, AILIVE_REJECT, AILIVE_REASON_RISK_LIMIT, AILIVE_ACTION_NONE, i);
        tally->calls = (uint64_t)i;
    }
    return NULL;
}

static struct tally *open_tallies(const char *path, size_t len)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    void *map;

    if (fd < 0 || ftruncate(fd, (off_t)len) != 0)
        exit(1);
    map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        exit(1);
    close(fd);
    return map;
}

static uint64_t calls_of_all(int threads)
{
    uint64_t sum = 0;
    int i;

    for (i = 0; i < threads; i++)
        sum += tallies[i].calls;
    return sum;
}

int main(int argc, char **argv)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT;
    pthread_t thread;
    uint64_t kill_at;
    int threads, i;

    threads = argc == 7 ? atoi(argv[2]) : 0;
    if (threads < 1 || threads > THREADS_MAX)
        return 2;
    calls_each = atol(argv[3]) / threads;
    kill_at = (uint64_t)atoll(argv[4]);
    options.ring_records = (uint32_t)atol(argv[5]);
    options.spool_after_ms = (uint32_t)atol(argv[6]);
    tallies = open_tallies(argv[1], (size_t)threads * sizeof(*tallies));
    if (ailive_open(&options, &telemetry) != AILIVE_OK)
        return 1;
    for (i = 0; i < threads; i++)
        if (pthread_create(&thread, NULL, record, &tallies[i]) != 0)
            return 1;
    while (calls_of_all(threads) < kill_at)
        usleep(20);
    kill(getpid(), SIGKILL);
    return 1;
}
