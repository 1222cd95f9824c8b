/* measure.c - the clock, the cores and the statistics of the benchmarks; see measure.h. */
#include "measure.h"

#include <ailive/ailive.h>

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void measure_die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fflush(stdout);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

int64_t measure_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void measure_sleep_ns(int64_t ns)
{
    struct timespec pause = {ns / 1000000000, ns % 1000000000};

    nanosleep(&pause, NULL);
}

double measure_tick_ns(void)
{
    static double known;
    int64_t from_ns, to_ns;
    uint64_t from;

    if (known == 0) {
        from_ns = measure_now_ns();
        from = ailive_counter();
        measure_sleep_ns(20000000);
        to_ns = measure_now_ns();
        known = (double)(to_ns - from_ns) / (double)(ailive_counter() - from);
    }
    return known;
}

/* The cores as they were before the first measure_pin(). */
static const cpu_set_t *cores(void)
{
    static cpu_set_t all;

    if (CPU_COUNT(&all) == 0 && sched_getaffinity(0, sizeof(all), &all) != 0)
        measure_die("cannot ask for the cores this process may use");
    return &all;
}

void measure_pin(enum measure_core core)
{
    const cpu_set_t *all = cores();
    int wanted = CPU_COUNT(all) > (int)core ? (int)core : 0;
    cpu_set_t one;

    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, all) && wanted-- == 0)
            CPU_SET(i, &one);
    if (sched_setaffinity(0, sizeof(one), &one) != 0)
        measure_die("cannot bind a thread to a core");
}

void measure_unpin(void)
{
    if (sched_setaffinity(0, sizeof(cpu_set_t), cores()) != 0)
        measure_die("cannot let a thread use every core");
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double measure_quantile(double *values, size_t n, double q)
{
    qsort(values, n, sizeof(double), compare);
    return values[(size_t)(q * (double)(n - 1) + 0.5)];
}

double measure_median(double *values, size_t n)
{
    qsort(values, n, sizeof(double), compare);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double measure_mean99(double *values, size_t n)
{
    size_t kept = n - n / 100;
    double sum = 0;

    qsort(values, n, sizeof(double), compare);
    for (size_t i = 0; i < kept; i++)
        sum += values[i];
    return sum / (double)kept;
}
