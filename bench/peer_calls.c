/* peer_calls.c - another library's recording call; see peer_calls.h. */
#include "peer_calls.h"

#include "measure.h"

#include <ailive/ailive.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP    20u
#define RUN      20000u
#define CALLS    200000u
#define REPEATS  5u
#define PACE_NS  20000.0
#define PAUSE_NS 50000000 /* between two runs, for the peer's own thread to catch up */

static uint64_t called;

void peer_here(void)
{
    measure_pin(MEASURE_HERE);
}

void peer_there(void)
{
    measure_pin(MEASURE_THERE);
}

/* pace_ns 0: back to back, with a pause between two runs. */
static double mean_ns(void (*call)(uint64_t i), size_t calls, double pace_ns)
{
    double tick_ns = measure_tick_ns(), *groups = malloc(calls / GROUP * sizeof(double)), mean;
    uint64_t pace = (uint64_t)(pace_ns / tick_ns), next = ailive_counter(), begin;
    size_t n = 0;

    if (groups == NULL)
        measure_die("out of memory");
    for (size_t i = 0; i < calls; i += GROUP) {
        while ((begin = ailive_counter()) < next)
            __builtin_ia32_pause();
        next = pace > 0 ? begin + pace : 0;
        for (unsigned k = 0; k < GROUP; k++)
            call(i + k);
        groups[n++] = (double)(ailive_counter() - begin) * tick_ns / GROUP;
        if (pace == 0 && (i + GROUP) % RUN == 0)
            measure_sleep_ns(PAUSE_NS);
    }
    called += calls;
    mean = measure_mean99(groups, n);
    free(groups);
    return mean;
}

static void print(const char *key, const double *values, unsigned n)
{
    printf("\"%s\": [", key);
    for (unsigned i = 0; i < n; i++)
        printf("%s%.6g", i > 0 ? ", " : "", values[i]);
    printf("], ");
}

void peer_calls(int argc, char **argv, void (*call)(uint64_t i))
{
    int quick = argc > 1 && strcmp(argv[argc - 1], "--quick") == 0;
    unsigned repeats = quick ? 1 : REPEATS;
    size_t calls = quick ? RUN : CALLS;
    double back_to_back[REPEATS], bursts[REPEATS];

    mean_ns(call, RUN, 0); /* warms up */
    for (unsigned r = 0; r < repeats; r++) {
        back_to_back[r] = mean_ns(call, calls, 0);
        bursts[r] = mean_ns(call, calls, PACE_NS);
    }
    putchar('{');
    print("back_to_back", back_to_back, repeats);
    print("bursts", bursts, repeats);
    printf("\"calls\": %llu}\n", (unsigned long long)called);
}
