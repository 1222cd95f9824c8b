/* measure.h - the clock, the cores and the statistics of the benchmarks.
 *
 * Place: under every program of bench/. No I/O but a message when the bench itself cannot go on; any thread.
 */
#ifndef AILIVE_BENCH_MEASURE_H
#define AILIVE_BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* Ends the program with status 1 and a line on stderr. */
_Noreturn void measure_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

int64_t measure_now_ns(void);
void measure_sleep_ns(int64_t ns);

/* Nanoseconds of one step of ailive_counter(), from a first call that takes 20 ms. */
double measure_tick_ns(void);

/* Binds the calling thread (and what it starts) to one of the cores it may use: 0 is where the measured
 * thread runs, 1 where the other side does. With a single core both are the same. */
enum measure_core {
    MEASURE_HERE = 0,
    MEASURE_THERE = 1
};
void measure_pin(enum measure_core core);
/* Lets the calling thread use both again. */
void measure_unpin(void);

/* All sort their argument. */
double measure_median(double *values, size_t n);
double measure_quantile(double *values, size_t n, double q);
/* Mean of the lower 99 %: what a call costs when nothing unrelated interrupts it. */
double measure_mean99(double *values, size_t n);

#endif
