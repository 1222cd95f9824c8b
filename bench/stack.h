/* stack.h - a sidecar in folders of its own, started, asked and ended by a benchmark.
 *
 * Place: bench programs -> [stack] -> the program `ailive` that lies beside them. Every wait is bounded; ends
 * only what it started. One thread.
 */
#ifndef AILIVE_BENCH_STACK_H
#define AILIVE_BENCH_STACK_H

#include "measure.h"

#include <stdbool.h>
#include <sys/types.h>

#define STACK_PATH_BYTES 256u

struct stack {
    char folder[STACK_PATH_BYTES];  /* event files, state and spool */
    char runtime[STACK_PATH_BYTES]; /* rings and the socket: on tmpfs */
    char program[STACK_PATH_BYTES]; /* `ailive` */
    pid_t sidecar;                  /* 0: none runs */
    int port;
};

/* Makes the folders and points AILIVE_RUNTIME_DIR, AILIVE_SPOOL_DIR and AILIVE_STATE_DIR at them, so that
 * ailive_open() with default options is this stack's producer. */
void stack_open(struct stack *stack);
void stack_close(struct stack *stack); /* ends the sidecar, removes the folders */

/* A path below the stack's folder. */
void stack_path(const struct stack *stack, const char *name, char out[STACK_PATH_BYTES]);

/* Starts `ailive sidecar` with more arguments (NULL-terminated, or NULL) on the calling thread's cores and
 * waits until it is ready. */
void stack_start(struct stack *stack, const char *const *arguments);
/* Starts it and returns at once: stack_wait_port() is left to the caller. */
void stack_spawn(struct stack *stack, const char *const *arguments);
void stack_wait_port(struct stack *stack);
void stack_stop(struct stack *stack); /* SIGTERM, and waits for its end */

struct stack_answer {
    int status;
    char *body; /* with a NUL behind it; freed by stack_answer_free() */
    size_t body_bytes;
    int64_t took_ns; /* from before the request until its last byte was read */
};

/* GET over one new connection. more_headers: whole header lines with CRLF, or "". false: nothing answers. */
bool stack_get(const struct stack *stack, const char *path, const char *more_headers,
               struct stack_answer *out);
void stack_answer_free(struct stack_answer *answer);

/* Sum over /metrics of the series that begin with family, "{" and contain part (NULL: all of the family). */
double stack_total(const struct stack *stack, const char *family, const char *part);

/* Waits until the sum is at least wanted, and gives the last one seen. */
double stack_wait_total(const struct stack *stack, const char *family, const char *part, double wanted,
                        int64_t timeout_ns);

/* Samples of /metrics that contain part. */
uint64_t stack_samples(const struct stack_answer *answer, const char *part);

/* What the kernel says of a process. */
struct stack_usage {
    uint64_t cpu_ns;   /* on a core, all its threads together */
    uint64_t switches; /* voluntary ones: each is a wait, and what follows it a wake-up */
    uint64_t rss_kib, peak_kib;
    unsigned threads;
};
void stack_usage(pid_t pid, struct stack_usage *out);

/* Runs a program to its end (stdout to out_path) on the calling thread's cores. Gives its exit status and, if
 * not NULL, its peak of resident memory and how long it took. */
int stack_run(const char *const *arguments, const char *out_path, uint64_t *peak_kib, int64_t *took_ns);

#endif
