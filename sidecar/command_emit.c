/* command_emit.c - `ailive emit`: an ordinary producer that records the contract's sample sequence.
 *
 * Place on the route: a host process of the demo and the tests. With --ipc it uses the SDK like any other
 * host; with
 * --out it appends contract lines to a file as a Python producer does. It owns its threads and its tally file
 * and touches nothing of the sidecar.
 */
#include "command.h"
#include "config.h"
#include "text.h"

#include <ailive/ailive.h>
#include <wire/url.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EMIT_MAX_THREADS    256u
#define EMIT_LINE_BYTES     4096u /* two names of 255 bytes, each escaped as six, and the rest */
#define EMIT_CLOSE_MS       5000u
#define EMIT_DEFAULT_EVENTS 50u
#define EMIT_DEFAULT_MS     200u

static const char emit_help[] =
    "Usage: ailive emit (--ipc URL | --out FILE) [options]\n"
    "Record the sample sequence: accept/none/submit/85 ms, reject/risk_limit/none/10 ms,\n"
    "noop/no_signal/none/2 ms, in turn.\n"
    "\n"
    "  --ipc URL         through the SDK to a sidecar at ipc:///path, tcp://127.0.0.1:PORT, ...\n"
    "  --out FILE        append contract JSON lines to FILE\n"
    "  --n N             events altogether, shared out over the threads; 0: until a signal (default 50)\n"
    "  --interval-ms MS  pause between two events of a thread; 0: as fast as it goes (default 200)\n"
    "  --threads T       1 to 256 (default 1)\n"
    "  --component C     default $PEAK_TRADE_AI_COMPONENT, else execution_watch\n"
    "  --run-id R        default $PEAK_TRADE_AI_RUN_ID, else na\n"
    "  --tally FILE      keep, for each thread, an 8-byte little-endian count of calls that returned\n"
    "  --help, --version\n"
    "\n"
    "Ends with one JSON line on stdout: recorded, dropped, shipped, spooled, seconds.\n"
    "Exit status: 0 fine, 1 failed, 2 wrong usage.\n";

struct emit_sample {
    enum ailive_decision decision;
    ailive_name reason;
    enum ailive_action action;
    int64_t latency_ns;
    const char *line_tail; /* the same as contract JSON, after run_id */
};

static const struct emit_sample emit_samples[3] = {
    {AILIVE_ACCEPT, AILIVE_REASON_NONE, AILIVE_SUBMIT, 85000000,
     "\"event\":\"decision\",\"decision\":\"accept\",\"reason\":\"none\",\"latency_ms\":85.0,\"action\":"
     "\"submit\"}\n"},
    {AILIVE_REJECT, AILIVE_REASON_RISK_LIMIT, AILIVE_ACTION_NONE, 10000000,
     "\"event\":\"decision\",\"decision\":\"reject\",\"reason\":\"risk_limit\",\"latency_ms\":10.0,"
     "\"action\":\"none\"}\n"},
    {AILIVE_NOOP, AILIVE_REASON_NO_SIGNAL, AILIVE_ACTION_NONE, 2000000,
     "\"event\":\"decision\",\"decision\":\"noop\",\"reason\":\"no_signal\",\"latency_ms\":2.0,\"action\":"
     "\"none\"}\n"}};

struct emit {
    const char *ipc_url, *out_path, *tally_path;
    uint64_t events, interval_ms, threads;
    char component[256], run_id[256];
    struct ailive *instance; /* --ipc */
    int out;                 /* --out, else -1 */
    _Atomic uint64_t *tally; /* one word a thread; points at own_tally without --tally */
    _Atomic uint64_t own_tally[EMIT_MAX_THREADS];
    _Atomic uint64_t dropped;
    _Atomic int failed_errno; /* of a write to --out */
};

struct emit_thread {
    struct emit *emit;
    uint64_t number;
    pthread_t id;
};

static volatile sig_atomic_t emit_stop; /* set by SIGINT and SIGTERM */

static void emit_on_signal(int signal_number)
{
    (void)signal_number;
    emit_stop = 1;
}

/* Appends text as the inside of a JSON string; a byte that is no UTF-8 becomes U+FFFD, as in the spool. */
static size_t emit_escape(char *out, const char *text)
{
    size_t used = 0, len_bytes = strlen(text), at = 0;

    while (at < len_bytes) {
        size_t character = text_character_bytes(text + at, len_bytes - at);
        unsigned code = character ? (unsigned char)text[at] : 0xfffd;

        if (!character || code < 0x20) {
            used += (size_t)sprintf(out + used, "\\u%04x", code);
        } else {
            if (code == '"' || code == '\\')
                out[used++] = '\\';
            memcpy(out + used, text + at, character);
            used += character;
        }
        at += character ? character : 1;
    }
    return used;
}

static size_t emit_format(const struct emit *emit, const struct emit_sample *sample, char *out)
{
    struct timespec now;
    struct tm utc;
    size_t used;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    used = strftime(out, EMIT_LINE_BYTES, "{\"v\":1,\"ts_utc\":\"%Y-%m-%dT%H:%M:%S", &utc);
    used += (size_t)sprintf(out + used, ".%03ldZ\",\"component\":\"", now.tv_nsec / 1000000);
    used += emit_escape(out + used, emit->component);
    used += (size_t)sprintf(out + used, "\",\"run_id\":\"");
    used += emit_escape(out + used, emit->run_id);
    used += (size_t)sprintf(out + used, "\",%s", sample->line_tail);
    return used;
}

/* One line with one write(2): O_APPEND keeps concurrent writers' lines whole. */
static int emit_line(struct emit *emit, const struct emit_sample *sample)
{
    char line[EMIT_LINE_BYTES];
    size_t len = emit_format(emit, sample, line);
    ssize_t written = write(emit->out, line, len);

    if (written == (ssize_t)len)
        return AILIVE_OK;
    atomic_store(&emit->failed_errno, written < 0 ? errno : ENOSPC);
    emit_stop = 1;
    return AILIVE_ESYS;
}

static void emit_pause(const struct emit *emit, struct timespec *next)
{
    if (emit->interval_ms == 0)
        return;
    next->tv_sec += (time_t)(emit->interval_ms / 1000);
    next->tv_nsec += (long)(emit->interval_ms % 1000) * 1000000;
    if (next->tv_nsec >= 1000000000) {
        next->tv_sec++;
        next->tv_nsec -= 1000000000;
    }
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, next, NULL);
}

/* Thread t records the numbers t, t + T, t + 2T, ... of the sequence. */
static void *emit_run(void *argument)
{
    struct emit_thread *thread = argument;
    struct emit *emit = thread->emit;
    struct timespec next;
    uint64_t i;

    clock_gettime(CLOCK_MONOTONIC, &next);
    for (i = thread->number; (emit->events == 0 || i < emit->events) && !emit_stop; i += emit->threads) {
        const struct emit_sample *sample = &emit_samples[i % 3];
        int status = emit->instance ? ailive_record_decision(emit->instance, sample->decision, sample->reason,
                                                             sample->action, sample->latency_ns)
                                    : emit_line(emit, sample);
        /* Relaxed: only this thread writes the word; a reader after our death sees what was stored. */
        if (emit->instance || status == AILIVE_OK)
            atomic_store_explicit(&emit->tally[thread->number],
                                  atomic_load_explicit(&emit->tally[thread->number], memory_order_relaxed) +
                                      1,
                                  memory_order_relaxed);
        if (status != AILIVE_OK)
            atomic_fetch_add_explicit(&emit->dropped, 1, memory_order_relaxed);
        emit_pause(emit, &next);
    }
    return NULL;
}

static int emit_failed(const char *what, const char *which)
{
    fprintf(stderr, "ailive emit: %s %s: %s\n", what, which, strerror(errno));
    return COMMAND_FAILED;
}

/* The tally lies in a shared mapping, so that it outlives a killed emitter. */
static int emit_open_tally(struct emit *emit)
{
    size_t len = (size_t)emit->threads * sizeof(uint64_t);
    void *map;
    int fd;

    emit->tally = emit->own_tally;
    if (!emit->tally_path)
        return COMMAND_OK;
    fd = open(emit->tally_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return emit_failed("cannot make the tally", emit->tally_path);
    errno = posix_fallocate(fd, 0, (off_t)len);
    map = errno ? MAP_FAILED : mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return emit_failed("cannot map the tally", emit->tally_path);
    emit->tally = map;
    return COMMAND_OK;
}

static void emit_log(void *context, enum ailive_log_level level, const char *line)
{
    (void)context;
    (void)level;
    fprintf(stderr, "ailive emit: %s\n", line);
}

static int emit_open(struct emit *emit)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT;
    int status;

    emit->out = -1;
    if (emit->out_path) {
        emit->out = open(emit->out_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
        return emit->out < 0 ? emit_failed("cannot open", emit->out_path) : COMMAND_OK;
    }
    options.component = emit->component;
    options.run_id = emit->run_id;
    options.ipc_url = emit->ipc_url;
    options.log = emit_log;
    status = ailive_open(&options, &emit->instance);
    if (status == AILIVE_OK)
        return COMMAND_OK;
    fprintf(stderr, "ailive emit: cannot open the SDK for %s: %s\n", emit->ipc_url, ailive_strerror(status));
    return status == AILIVE_ESYS ? COMMAND_FAILED : COMMAND_USAGE;
}

static int emit_threads(struct emit *emit)
{
    struct emit_thread threads[EMIT_MAX_THREADS];
    uint64_t started, i;

    for (started = 0; started < emit->threads; started++) {
        threads[started] = (struct emit_thread){.emit = emit, .number = started};
        errno = pthread_create(&threads[started].id, NULL, emit_run, &threads[started]);
        if (errno) {
            emit_stop = 1;
            break;
        }
    }
    for (i = 0; i < started; i++)
        pthread_join(threads[i].id, NULL);
    return started == emit->threads ? COMMAND_OK : emit_failed("cannot start", "a thread");
}

static int emit_close(struct emit *emit)
{
    int write_errno = atomic_load(&emit->failed_errno);
    bool left = false;

    if (emit->instance) {
        int status = ailive_close(emit->instance, EMIT_CLOSE_MS);
        left = status != AILIVE_OK;
        if (left)
            fprintf(stderr,
                    "ailive emit: close: %s; what is left lies in the runtime folder for the sidecar\n",
                    ailive_strerror(status));
    }
    if (emit->out >= 0)
        close(emit->out);
    if (!write_errno)
        return left ? COMMAND_FAILED : COMMAND_OK;
    errno = write_errno;
    return emit_failed("cannot write", emit->out_path);
}

static void emit_report(const struct emit *emit, double seconds)
{
    struct ailive_stats stats = {0};
    uint64_t calls = 0, i;

    for (i = 0; i < emit->threads; i++)
        calls += atomic_load_explicit(&emit->tally[i], memory_order_relaxed);
    if (emit->instance)
        ailive_stats(emit->instance, &stats);
    printf("{\"recorded\":%" PRIu64 ",\"dropped\":%" PRIu64 ",\"shipped\":%" PRIu64 ",\"spooled\":%" PRIu64
           ",\"seconds\":%.3f}\n",
           calls, atomic_load(&emit->dropped) + stats.dropped_spool, stats.shipped, stats.spooled, seconds);
}

static int emit_all(struct emit *emit)
{
    struct sigaction action = {.sa_handler = emit_on_signal};
    struct timespec from, to;
    int status;

    status = emit_open_tally(emit);
    if (status == COMMAND_OK)
        status = emit_open(emit);
    if (status != COMMAND_OK)
        return status;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    clock_gettime(CLOCK_MONOTONIC, &from);
    status = emit_threads(emit);
    clock_gettime(CLOCK_MONOTONIC, &to);
    if (emit_close(emit) != COMMAND_OK)
        status = COMMAND_FAILED;
    emit_report(emit, (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
    return status;
}

/* 0, or the status to end with. */
static int emit_option(struct emit *emit, int option, const char **component, const char **run_id)
{
    char error[256];
    bool good = true;

    switch (option) {
    case 'i':
        emit->ipc_url = optarg;
        break;
    case 'o':
        emit->out_path = optarg;
        break;
    case 't':
        emit->tally_path = optarg;
        break;
    case 'c':
        *component = optarg;
        break;
    case 'r':
        *run_id = optarg;
        break;
    case 'n':
        good = config_number("--n", optarg, 0, UINT64_MAX / 2, &emit->events, error, sizeof(error));
        break;
    case 'm':
        good = config_number("--interval-ms", optarg, 0, 86400000, &emit->interval_ms, error, sizeof(error));
        break;
    case 'T':
        good = config_number("--threads", optarg, 1, EMIT_MAX_THREADS, &emit->threads, error, sizeof(error));
        break;
    default:
        break;
    }
    return good ? 0 : command_usage("emit", "%s", error);
}

static int emit_options(struct emit *emit, int argc, char **argv, bool *run)
{
    static const struct option options[] = {{"ipc", required_argument, 0, 'i'},
                                            {"out", required_argument, 0, 'o'},
                                            {"n", required_argument, 0, 'n'},
                                            {"interval-ms", required_argument, 0, 'm'},
                                            {"threads", required_argument, 0, 'T'},
                                            {"component", required_argument, 0, 'c'},
                                            {"run-id", required_argument, 0, 'r'},
                                            {"tally", required_argument, 0, 't'},
                                            COMMAND_COMMON_OPTIONS,
                                            {0, 0, 0, 0}};
    const char *component = NULL, *run_id = NULL, *wrong;
    char error[256];
    struct url url;
    int option, status = COMMAND_OK;

    while ((option = command_next_option(argc, argv, options, emit_help, &status)) >= 0)
        if ((status = emit_option(emit, option, &component, &run_id)) != 0)
            return status;
    if (option == -2)
        return status;
    if (optind < argc)
        return command_usage("emit", "unexpected argument '%s'", argv[optind]);
    if (!emit->ipc_url == !emit->out_path)
        return command_usage("emit", "give --ipc URL or --out FILE, one of the two");
    if (emit->ipc_url &&
        (wrong = url_read(emit->ipc_url, true, &url)) != NULL) /* the SDK decides on plaintext */
        return command_usage("emit", "--ipc %s: %s", emit->ipc_url, wrong);
    if (!config_component(component, emit->component, error, sizeof(error)) ||
        !config_run_id(run_id, emit->run_id, error, sizeof(error)))
        return command_usage("emit", "%s", error);
    *run = true;
    return COMMAND_OK;
}

int command_emit(int argc, char **argv)
{
    static struct emit emit = {.events = EMIT_DEFAULT_EVENTS, .interval_ms = EMIT_DEFAULT_MS, .threads = 1};
    bool run = false;
    int status = emit_options(&emit, argc, argv, &run);

    return run ? emit_all(&emit) : status;
}
