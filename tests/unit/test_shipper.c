/* test_shipper.c - the shipper's claims: over nng, over the spool, and whatever goes wrong on either road. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/instance.h"
#include "support/producers.h"
#include "support/rep_peer.h"
#include "wire/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 60000

static char base[64], runtime_dir[80], spool_dir[80], url[96];
static struct rep_peer peer;
static bool peer_open;

/* ---- a file system that fails on request ---- */

static struct {
    const char *folder; /* only files below it */
    int short_writes;   /* the next so many writes take half */
    int failing_writes; /* and then so many fail with ENOSPC; -1: all */
    int failing_truncates;
    int seen_short, seen_failed;
} faults;

ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
int __real_ftruncate(int fd, off_t len);
int __wrap_ftruncate(int fd, off_t len);

static bool is_below(int fd, const char *folder)
{
    char link[64], target[512];
    ssize_t n;

    if (!folder)
        return false;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, target, sizeof(target) - 1);
    target[n > 0 ? n : 0] = '\0';
    return strncmp(target, folder, strlen(folder)) == 0;
}

static bool take(int *budget)
{
    int now = __atomic_load_n(budget, __ATOMIC_SEQ_CST);

    if (now > 0)
        __atomic_fetch_sub(budget, 1, __ATOMIC_SEQ_CST);
    return now != 0;
}

ssize_t __wrap_write(int fd, const void *data, size_t len)
{
    if (!is_below(fd, __atomic_load_n(&faults.folder, __ATOMIC_SEQ_CST)))
        return __real_write(fd, data, len);
    if (take(&faults.short_writes)) {
        __atomic_fetch_add(&faults.seen_short, 1, __ATOMIC_SEQ_CST);
        return __real_write(fd, data, len / 2 + 1);
    }
    if (take(&faults.failing_writes)) {
        __atomic_fetch_add(&faults.seen_failed, 1, __ATOMIC_SEQ_CST);
        errno = ENOSPC;
        return -1;
    }
    return __real_write(fd, data, len);
}

int __wrap_ftruncate(int fd, off_t len)
{
    if (is_below(fd, __atomic_load_n(&faults.folder, __ATOMIC_SEQ_CST)) && take(&faults.failing_truncates)) {
        errno = EIO;
        return -1;
    }
    return __real_ftruncate(fd, len);
}

int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
static int blocking_polls;

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    if (n == 1 && timeout_ms != 0) /* the peer polls more */
        __atomic_fetch_add(&blocking_polls, 1, __ATOMIC_SEQ_CST);
    return __real_poll(fds, n, timeout_ms);
}

static void set_fault(int *budget, int n)
{
    __atomic_store_n(budget, n, __ATOMIC_SEQ_CST);
    __atomic_store_n(&faults.folder, spool_dir, __ATOMIC_SEQ_CST);
}

/* ---- a shipper that is held while another thread passes it ---- */

enum crossing_stage {
    CROSSING_NONE,
    CROSSING_ARMED, /* the shipper is held at its next call of `operation` */
    CROSSING_DONE   /* and does now what it does next */
};

static struct {
    enum crossing_stage stage;
    int operation; /* FUTEX_WAIT_PRIVATE: about to sleep. FUTEX_WAKE_PRIVATE: done with its round */
    const struct shipper *shipper;
    sem_t held, passed, seen;
    bool slept; /* over what the other thread did */
} crossing;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/* Only the shipper sleeps on the one, and only it wakes those who wait for the other. */
static bool crossing_is_shippers(const uint32_t *word, int operation)
{
    return operation == FUTEX_WAIT_PRIVATE ? word == &crossing.shipper->parked
                                           : word == &crossing.shipper->progress;
}

static void crossing_hold(void)
{
    sem_post(&crossing.held);
    while (sem_wait(&crossing.passed) != 0)
        ;
    __atomic_store_n(&crossing.stage, CROSSING_DONE, __ATOMIC_SEQ_CST);
}

/* futex(2), the only one that the SDK makes by number. */
long __wrap_syscall(long number, ...)
{
    enum crossing_stage stage = __atomic_load_n(&crossing.stage, __ATOMIC_SEQ_CST);
    const struct timespec *timeout;
    va_list arguments;
    uint32_t *word;
    int operation, value;
    bool held, seen;
    long result;

    va_start(arguments, number);
    word = va_arg(arguments, uint32_t *);
    operation = va_arg(arguments, int);
    value = va_arg(arguments, int);
    timeout = va_arg(arguments, const struct timespec *);
    va_end(arguments);
    held =
        stage == CROSSING_ARMED && operation == crossing.operation && crossing_is_shippers(word, operation);
    if (held)
        crossing_hold();
    /* What tells is the sleep it was held at, or whichever comes first after the round it was held in. */
    seen = held ? operation == FUTEX_WAIT_PRIVATE
                : stage == CROSSING_DONE && crossing_is_shippers(word, operation);
    result = __real_syscall(number, word, operation, value, timeout, NULL, 0);
    if (seen) {
        crossing.slept = operation == FUTEX_WAIT_PRIVATE && !(result == -1 && errno == EAGAIN);
        __atomic_store_n(&crossing.stage, CROSSING_NONE, __ATOMIC_SEQ_CST);
        sem_post(&crossing.seen);
    }
    return result;
}

static void crossing_await(sem_t *semaphore)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_MS / 1000;
    assert_int_equal(sem_timedwait(semaphore, &until), 0);
}

static void crossing_arm(const struct ailive *instance, int operation)
{
    crossing.shipper = &instance->live->shipper;
    crossing.operation = operation;
    sem_init(&crossing.held, 0, 0);
    sem_init(&crossing.passed, 0, 0);
    sem_init(&crossing.seen, 0, 0);
    __atomic_store_n(&crossing.stage, CROSSING_ARMED, __ATOMIC_SEQ_CST);
    crossing_await(&crossing.held);
}

/* Lets it go; whether it slept over what was done while it was held. */
static bool crossing_slept_over(void)
{
    sem_post(&crossing.passed);
    crossing_await(&crossing.seen);
    return crossing.slept;
}

/* ---- fixture ---- */

static int setup(void **state)
{
    (void)state;
    memset(&faults, 0, sizeof(faults));
    snprintf(base, sizeof(base), "/tmp/ailive-ship-XXXXXX");
    if (!mkdtemp(base))
        return -1;
    snprintf(runtime_dir, sizeof(runtime_dir), "%s/run", base);
    snprintf(spool_dir, sizeof(spool_dir), "%s/spool", base);
    snprintf(url, sizeof(url), "ipc://%s/peer.sock", base);
    peer_open = false;
    return 0;
}

static void open_peer(void)
{
    rep_peer_open(&peer, url + 6);
    peer_open = true;
}

static void close_peer(void)
{
    rep_peer_close(&peer);
    peer_open = false;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    faults.folder = NULL;
    if (peer_open)
        close_peer();
    snprintf(command, sizeof(command), "rm -rf '%s'", base);
    return system(command);
}

/* The log: one line after the other. */
static char log_text[65536];
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void log_line(void *context, enum ailive_log_level level, const char *line)
{
    size_t len;

    (void)context;
    pthread_mutex_lock(&log_lock);
    len = strlen(log_text);
    snprintf(log_text + len, sizeof(log_text) - len, "%d %s\n", (int)level, line);
    pthread_mutex_unlock(&log_lock);
}

static unsigned logged(const char *text)
{
    unsigned n = 0;

    pthread_mutex_lock(&log_lock);
    for (const char *at = log_text; (at = strstr(at, text)) != NULL; at += strlen(text))
        n++;
    pthread_mutex_unlock(&log_lock);
    return n;
}

static struct ailive_options options_here(uint32_t spool_after_ms)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT;

    options.runtime_dir = runtime_dir;
    options.spool_dir = spool_dir;
    options.ipc_url = url;
    options.ring_records = 4096;
    options.spool_after_ms = spool_after_ms;
    options.log = log_line;
    log_text[0] = '\0';
    return options;
}

static struct ailive *open_with(const struct ailive_options *options)
{
    struct ailive *instance;

    assert_int_equal(ailive_open(options, &instance), AILIVE_OK);
    return instance;
}

static struct ailive *open_here(uint32_t spool_after_ms)
{
    struct ailive_options options = options_here(spool_after_ms);

    return open_with(&options);
}

static const struct ailive_scope own = {AILIVE_COMPONENT_DEFAULT, AILIVE_RUN_ID_DEFAULT};

/* n decisions whose time and latency are their number, from first on. */
static void record(struct ailive *instance, int64_t first, int64_t n)
{
    for (int64_t i = first; i < first + n; i++)
        assert_int_equal(ailive_record_decision_for(instance, own, i, AILIVE_REJECT, AILIVE_REASON_COOLDOWN,
                                                    AILIVE_ACTION_NONE, i),
                         AILIVE_OK);
}

/* ---- reading the spool ---- */

static char *spool_text; /* all files in the order of their numbers */
static size_t spool_files;

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void read_file(const char *name)
{
    char path[400];
    struct stat st;
    size_t len = strlen(spool_text);
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", spool_dir, name);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    spool_text = realloc(spool_text, len + (size_t)st.st_size + 1);
    file = fopen(path, "r");
    assert_int_equal(fread(spool_text + len, 1, (size_t)st.st_size, file), st.st_size);
    fclose(file);
    spool_text[len + (size_t)st.st_size] = '\0';
}

static void read_spool(void)
{
    static char names[512][256];
    DIR *dir = opendir(spool_dir);
    struct dirent *entry;

    free(spool_text);
    spool_text = calloc(1, 1);
    spool_files = 0;
    while (dir && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            snprintf(names[spool_files++], sizeof(names[0]), "%s", entry->d_name);
    if (dir)
        closedir(dir);
    qsort(names, spool_files, sizeof(names[0]), by_name);
    for (size_t i = 0; i < spool_files; i++)
        read_file(names[i]);
}

static unsigned spool_lines(const char *text)
{
    unsigned n = 0;

    for (const char *at = spool_text; (at = strstr(at, text)) != NULL; at += strlen(text))
        n++;
    return n;
}

/* Every line is one that spool_format_record() would make of decision number 0, 1, 2 ... in this order. */
static int64_t expect_decisions_in_order(const struct event_producer *producer, const char *until)
{
    char want[SPOOL_LINE_MAX_BYTES + 1];
    const char *at = spool_text;
    int64_t number = 0;

    for (; *at && !(until && strncmp(at, until, strlen(until)) == 0); number++) {
        struct spool_record record_ = {.producer = *producer, .ring = 1, .seq = (uint64_t)number};
        size_t len;
        record_.row.kind = AILIVE_KIND_DECISION;
        record_.row.decision = AILIVE_REJECT;
        record_.row.time_ns = record_.row.latency_ns = number;
        record_.reason = (struct spool_text){"cooldown", 8};
        record_.component = (struct spool_text){"execution_watch", 15};
        record_.run_id = (struct spool_text){"na", 2};
        len = spool_format_record(&record_, want);
        assert_memory_equal(at, want, len);
        at += len;
    }
    return number;
}

/* Waits until a counter says so; bounded. */
static void wait_until(struct ailive *instance, bool (*wanted)(const struct ailive_stats *stats))
{
    struct ailive_stats stats;

    for (int i = 0; i < WAIT_MS; i++) {
        ailive_stats(instance, &stats);
        if (wanted(&stats))
            return;
        usleep(1000);
    }
    fail_msg("waited for %d ms in vain", WAIT_MS);
}

static bool none_pending(const struct ailive_stats *stats)
{
    return stats->pending == 0;
}

static bool is_connected(const struct ailive_stats *stats)
{
    return stats->connected == 1;
}

static bool is_lost(const struct ailive_stats *stats)
{
    return stats->connected == 0;
}

/* ---- waking ---- */

static void a_parked_shipper_is_woken_once(void **state)
{
    static struct shipper shipper;

    (void)state;
    assert_false(shipper_wake(&shipper));
    shipper.parked = 1;
    assert_true(shipper_wake(&shipper));
    assert_false(shipper_wake(&shipper));
    assert_int_equal(shipper.parked, 0);
    /* It could not empty the ring: a thread that goes on recording must not pay for waking it in vain. */
    shipper.parked = SHIPPER_STUCK;
    assert_false(shipper_wake(&shipper));
    assert_int_equal(shipper.parked, SHIPPER_STUCK);
    shipper_hurry(&shipper);
    assert_int_equal(shipper.parked, 0);
}

static void a_half_full_ring_wakes_it_once_and_a_full_one_no_more(void **state)
{
    struct ailive_options options = options_here(60000);
    struct ailive *instance;

    (void)state;
    options.memory_sink = 1; /* no thread: the word stays as we set it */
    options.ring_records = 64;
    instance = open_with(&options);
    instance->live->shipper.parked = 1;
    record(instance, 0, 32);
    assert_int_equal(instance->live->shipper.parked, 1);
    record(instance, 32, 1); /* finds 32 of 64 taken */
    assert_int_equal(instance->live->shipper.parked, 0);
    record(instance, 33, 31);
    instance->live->shipper.parked = 0;
    assert_int_equal(ailive_record_action(instance, AILIVE_FILL), AILIVE_EFULL);
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
}

static void *flush_until_shipped(void *context)
{
    return (void *)(intptr_t)ailive_flush(context, WAIT_MS);
}

/* With `pass` done in this thread once the shipper has looked for work for the last time and before it parks:
 * whether it slept all the same. */
static bool slept_over_what_came_before_the_parking(void (*pass)(struct ailive *instance))
{
    struct ailive_options options = options_here(60000);
    struct ailive *instance;
    pthread_t waiter; /* somebody to be told at the end of each round, which is where the shipper is held */
    void *flushed;
    bool slept;

    options.ring_records = 64;
    instance = open_with(&options);
    record(instance, 0, 31); /* there is no sidecar yet: they wait */
    assert_int_equal(pthread_create(&waiter, NULL, flush_until_shipped, instance), 0);
    crossing_arm(instance, FUTEX_WAKE_PRIVATE);
    pass(instance);
    slept = crossing_slept_over();
    open_peer();
    pthread_join(waiter, &flushed);
    assert_int_equal((intptr_t)flushed, AILIVE_OK);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    return slept;
}

static void flush_at_once(struct ailive *instance)
{
    assert_int_equal(ailive_flush(instance, 0), AILIVE_ETIMEDOUT);
}

static void fill_to_the_half(struct ailive *instance)
{
    record(instance, 31, 2);
}

static void a_flush_between_the_last_look_and_the_parking_is_not_slept_over(void **state)
{
    (void)state;
    assert_false(slept_over_what_came_before_the_parking(flush_at_once));
}

static void nor_is_a_ring_that_becomes_half_full_there(void **state)
{
    (void)state;
    assert_false(slept_over_what_came_before_the_parking(fill_to_the_half));
}

static void nor_is_a_wake_up_between_the_parking_and_the_sleep(void **state)
{
    struct ailive *instance = open_here(60000);
    bool slept;

    (void)state;
    record(instance, 0, 1);
    crossing_arm(instance, FUTEX_WAIT_PRIVATE);
    flush_at_once(instance);
    slept = crossing_slept_over();
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
    assert_false(slept);
}

struct look {
    int count;
    int64_t deadline_ns;
};

/* True from the second look on, unless that one comes too late; what the shipper tells comes between the
 * first and the sleep. */
static bool told_meanwhile(struct ailive *instance, void *context)
{
    struct look *look = context;

    if (++look->count == 1)
        shipper_tell(&instance->live->shipper);
    return look->count > 1 && clock_monotonic_ns() < look->deadline_ns;
}

static void what_is_told_between_a_waiters_look_and_its_sleep_ends_the_wait(void **state)
{
    struct ailive_options options = options_here(60000);
    struct ailive *instance;
    struct look look = {.deadline_ns = clock_monotonic_ns() + (int64_t)WAIT_MS * NS_PER_MS};

    (void)state;
    options.memory_sink = 1; /* no thread: nobody tells it once more */
    instance = open_with(&options);
    assert_true(shipper_wait(instance, look.deadline_ns, told_meanwhile, &look));
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
}

/* ---- nng road ---- */

static void what_is_recorded_arrives_with_names_times_and_latencies(void **state)
{
    struct ailive *instance;
    struct ailive_scope scope;
    ailive_name stage, reason;

    (void)state;
    open_peer();
    instance = open_here(60000);
    assert_int_equal(ailive_register(instance, AILIVE_NAME_STAGE, "risk", &stage), AILIVE_OK);
    assert_int_equal(ailive_register(instance, AILIVE_NAME_REASON, "too late", &reason), AILIVE_OK);
    assert_int_equal(ailive_register(instance, AILIVE_NAME_COMPONENT, "c2", &scope.component), AILIVE_OK);
    scope.run_id = AILIVE_RUN_ID_DEFAULT;
    ailive_record_decision_for(instance, scope, 1111, AILIVE_NOOP, reason, AILIVE_CANCEL, 2222);
    ailive_record_stage_for(instance, own, 3333, stage, 4444);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(peer.row_count, 2);
    assert_true(peer.rows[0].valid && peer.rows[1].valid);
    assert_string_equal(peer.rows[0].component, "c2");
    assert_string_equal(peer.rows[0].run_id, "na");
    assert_string_equal(peer.rows[0].reason, "too late");
    assert_int_equal(peer.rows[0].row.time_ns, 1111);
    assert_int_equal(peer.rows[0].row.latency_ns, 2222);
    assert_int_equal(peer.rows[0].row.action, AILIVE_CANCEL);
    assert_string_equal(peer.rows[1].stage, "risk");
    assert_string_equal(peer.rows[1].component, "execution_watch");
    read_spool();
    assert_int_equal(spool_files, 0);
}

static void an_unknown_handle_travels_and_is_left_to_the_sidecar(void **state)
{
    struct ailive *instance;

    (void)state;
    open_peer();
    instance = open_here(60000);
    ailive_record_stage(instance, 777, 1);
    record(instance, 0, 1);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(peer.row_count, 2);
    assert_false(peer.rows[0].valid);
    assert_int_equal(peer.rows[0].row.stage, 777);
    assert_true(peer.rows[1].valid);
}

static void many_names_never_crowd_out_the_rows(void **state)
{
    char text[AILIVE_NAME_MAX_BYTES + 1];
    struct ailive *instance;
    ailive_name ids[AILIVE_NAMES_MAX];

    (void)state;
    open_peer();
    instance = open_here(60000);
    memset(text, 'n', sizeof(text));
    text[AILIVE_NAME_MAX_BYTES] = '\0';
    for (int i = 0; i < AILIVE_NAMES_MAX; i++) {
        text[0] = (char)('a' + i % 26), text[1] = (char)('a' + i / 26 % 26), text[2] = (char)('a' + i / 676);
        assert_int_equal(ailive_register(instance, AILIVE_NAME_STAGE, text, &ids[i]), AILIVE_OK);
    }
    for (int i = 0; i < 3000; i++)
        assert_int_equal(ailive_record_stage_for(instance, own, i, ids[i % AILIVE_NAMES_MAX], i), AILIVE_OK);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(peer.row_count, 3000);
    for (size_t i = 0; i < 3000; i++)
        assert_true(peer.rows[i].valid);
}

/* Near the end of a batch every record has a shape and the longest names of its own. */
static void a_batch_has_no_more_rows_than_fit_beside_its_names(void **state)
{
    static const enum ailive_name_kind kinds[] = {AILIVE_NAME_COMPONENT, AILIVE_NAME_RUN_ID,
                                                  AILIVE_NAME_STAGE};
    struct ailive_options options = options_here(60000);
    struct ailive *instance;

    (void)state;
    options.ring_records = 16384;
    instance = open_with(&options);
    record(instance, 0, 7000);
    for (int i = 0; i < 40; i++) {
        ailive_name ids[3];

        for (int k = 0; k < 3; k++) {
            char text[AILIVE_NAME_MAX_BYTES + 1];

            snprintf(text, sizeof(text), "%096d", 3 * i + k);
            assert_int_equal(ailive_register(instance, kinds[k], text, &ids[k]), AILIVE_OK);
        }
        ailive_record_stage_for(instance, (struct ailive_scope){ids[0], ids[1]}, i, ids[2], i);
    }
    open_peer();
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(rep_peer_rows(&peer), 7040);
    assert_int_equal(peer.overfull, 0);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
}

static void a_lost_reply_means_the_identical_batch_again(void **state)
{
    struct ailive *instance;
    const struct rep_peer_request *first = NULL;
    unsigned copies = 0;

    (void)state;
    open_peer();
    rep_peer_lose(&peer, 2);
    instance = open_here(60000);
    record(instance, 0, 500);
    (void)ailive_flush(instance, 0);
    assert_true(rep_peer_wait_rows(&peer, 1, WAIT_MS));
    record(instance, 500, 100);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(rep_peer_rows(&peer), 600);
    assert_true(rep_peer_again(&peer) > 0);
    assert_int_equal(rep_peer_gaps(&peer), 0);
    for (size_t i = 0; i < peer.request_count; i++) {
        const struct rep_peer_request *request = &peer.requests[i];
        if (request->count == 0)
            continue;
        first = first ? first : request;
        if (request->first != first->first)
            break;
        assert_int_equal(request->count, first->count);
        assert_true(request->hash == first->hash); /* byte for byte, though more was recorded meanwhile */
        copies++;
    }
    assert_int_equal(copies, 3);
}

/* As a sidecar does that could not commit it: the connection stays, and no reply comes. */
static void what_is_not_answered_is_sent_again_on_the_same_connection(void **state)
{
    struct ailive *instance;

    (void)state;
    open_peer();
    instance = open_here(60000);
    wait_until(instance, is_connected); /* it greets, though nothing was recorded */
    rep_peer_silence(&peer, true);
    record(instance, 0, 10);
    (void)ailive_flush(instance, 0);
    assert_true(rep_peer_wait_rows(&peer, 10, WAIT_MS));
    rep_peer_silence(&peer, false);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(rep_peer_again(&peer), 10);
    assert_int_equal(peer.connections, 1);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
}

static void a_sidecar_that_comes_late_gets_what_waited(void **state)
{
    struct ailive *instance = open_here(60000);

    (void)state;
    record(instance, 0, 1000);
    assert_int_equal(ailive_flush(instance, 0), AILIVE_ETIMEDOUT);
    open_peer();
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(rep_peer_rows(&peer), 1000);
    close_peer();
    wait_until(instance, is_lost);
    record(instance, 1000, 1000);
    open_peer(); /* forgets what it had seen */
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(rep_peer_rows(&peer), 1000);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(logged("the sidecar answers"), 2);
    assert_int_equal(logged(" is gone"), 1);
}

static void a_refused_batch_becomes_a_range_drop_and_the_next_one_goes_on(void **state)
{
    struct ailive *instance;
    struct ailive_stats stats;
    bool told = false;

    (void)state;
    open_peer();
    rep_peer_answer(&peer, BATCH_REFUSED, 0);
    instance = open_here(60000);
    record(instance, 0, 40);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    rep_peer_answer(&peer, BATCH_BAD_ROWS, 0);
    record(instance, 40, 60);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    assert_true(rep_peer_wait_dropped(&peer, 40, WAIT_MS));
    ailive_stats(instance, &stats);
    assert_int_equal(stats.dropped_spool, 40);
    assert_int_equal(stats.shipped, 60);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    for (size_t i = 0; i < peer.request_count; i++)
        told = told || peer.requests[i].drop == EVENT_DROP_REFUSED;
    assert_true(told);
    read_spool();
    assert_int_equal(spool_files, 0); /* it was acknowledged: no drop line is left to tell */
}

static bool hundred_dropped(const struct ailive_stats *stats)
{
    return stats->dropped_spool == 100;
}

static bool two_hundred_dropped(const struct ailive_stats *stats)
{
    return stats->dropped_spool == 200;
}

/* It would be sent for ever, and before every record. */
static void a_refused_range_drop_keeps_nothing_waiting(void **state)
{
    struct ailive *instance;

    (void)state;
    open_peer();
    rep_peer_answer(&peer, BATCH_REFUSED, BATCH_REFUSED);
    instance = open_here(60000);
    record(instance, 0, 100);
    (void)ailive_flush(instance, 0);
    wait_until(instance, hundred_dropped);
    record(instance, 100, 100);
    wait_until(instance, two_hundred_dropped);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    read_spool();
    assert_int_equal(spool_lines("\n"), 1); /* one range, for whoever reads it */
}

static void door_drops_reach_the_sidecar_without_a_record(void **state)
{
    struct ailive_options options = options_here(60000);
    struct ailive *instance;

    (void)state;
    options.ring_records = 64;
    instance = open_with(&options); /* no sidecar yet */
    record(instance, 0, 64);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ailive_record_action(instance, AILIVE_FILL), AILIVE_EFULL);
    open_peer();
    assert_true(rep_peer_wait_door(&peer, EVENT_DROP_RING_FULL, 5, WAIT_MS));
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(rep_peer_rows(&peer), 64);
    read_spool();
    assert_int_equal(spool_files, 0);
}

static void garbage_from_the_peer_harms_nothing(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *answers[] = {"HTTP/1.1 400 Bad Request\r\n\r\n", "",
                             "\0SP\0\0\x31\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff"};
    const size_t lens[] = {28, 0, 17};
    struct ailive *instance;
    char sink[64];
    int listener;

    (void)state;
    strncpy(address.sun_path, url + 6, sizeof(address.sun_path) - 1);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 4), 0);
    instance = open_here(300);
    record(instance, 0, 10);
    for (size_t i = 0; i < 3; i++) {
        int fd = accept(listener, NULL, NULL);
        assert_true(fd >= 0);
        assert_int_equal(recv(fd, sink, 8, MSG_WAITALL), 8);
        assert_memory_equal(sink, "\0SP\0\0\x30\0\0", 8);
        assert_int_equal(send(fd, answers[i], lens[i], MSG_NOSIGNAL), lens[i]);
        close(fd);
    }
    close(listener);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK); /* by the spool */
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
    read_spool();
    assert_int_equal(spool_lines("\n"), 10);
}

/* ---- spool ---- */

/* Folders named relatively, and a host that goes elsewhere before its first ring is made, as daemon() does.
 */
static void a_host_that_changes_its_working_folder_leaves_nothing_behind(void **state)
{
    struct ailive_options options = options_here(1);
    struct ailive *instance;
    char before[256];

    (void)state;
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(base), 0);
    assert_int_equal(mkdir("elsewhere", 0700), 0);
    options.runtime_dir = "run";
    options.spool_dir = "spool";
    instance = open_with(&options);
    assert_int_equal(chdir("elsewhere"), 0);
    record(instance, 0, 10);
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
    assert_int_equal(chdir(before), 0);
    read_spool();
    assert_int_equal(spool_lines("\"seq\":"), 10);
}

static void without_a_sidecar_every_record_is_a_line_exactly(void **state)
{
    struct ailive *instance = open_here(1);
    struct event_producer producer = instance->live->producer;
    struct ailive_stats stats;

    (void)state;
    record(instance, 0, 3000);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    record(instance, 3000, 10);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    ailive_stats(instance, &stats);
    assert_int_equal(stats.spooled, 3010);
    read_spool();
    assert_int_equal(expect_decisions_in_order(&producer, NULL), 3010);
    assert_int_equal(stats.spool_bytes, strlen(spool_text));
    assert_int_equal(logged("records go to the spool"), 1);
}

static void an_unknown_handle_is_an_invalid_line(void **state)
{
    struct ailive *instance = open_here(1);

    (void)state;
    ailive_record_stage_for(instance, own, 55, 777, 1);
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
    read_spool();
    assert_int_equal(spool_lines("\n"), 1);
    assert_non_null(strstr(spool_text, "\"event\":\"invalid\""));
    assert_non_null(strstr(spool_text, "\"seq\":0,\"ts_ns\":55}"));
}

static void files_end_at_their_size_with_whole_lines(void **state)
{
    struct ailive_options options = options_here(1);
    struct ailive *instance;
    struct event_producer producer;
    char path[PRODUCERS_PATH_BYTES], name[SPOOL_NAME_BYTES];
    struct stat st;

    (void)state;
    options.spool_file_bytes = 65536;
    instance = open_with(&options);
    producer = instance->live->producer;
    record(instance, 0, 4000);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    read_spool();
    assert_int_equal(expect_decisions_in_order(&producer, NULL), 4000);
    assert_true(spool_files > 5);
    for (uint64_t n = 1; n <= spool_files; n++) {
        spool_file_name(&producer, n, name);
        snprintf(path, sizeof(path), "%s/%s", spool_dir, name);
        assert_int_equal(stat(path, &st), 0);
        assert_true(st.st_size <= 65536);
    }
}

static void at_the_cap_the_rest_is_one_exact_range_drop(void **state)
{
    struct ailive_options options = options_here(1);
    struct ailive *instance;
    struct event_producer producer;
    struct ailive_stats stats;
    int64_t lines;

    (void)state;
    options.spool_max_bytes = 65536;
    instance = open_with(&options);
    producer = instance->live->producer;
    record(instance, 0, 1000);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    record(instance, 1000, 1000);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    read_spool();
    assert_true(strlen(spool_text) <= 65536);
    lines = expect_decisions_in_order(&producer, NULL);
    ailive_stats(instance, &stats);
    assert_int_equal(stats.spooled, lines);
    assert_int_equal(stats.dropped_spool, 2000 - lines);
    assert_int_equal(stats.recorded, 2000);
    assert_int_equal(stats.pending, 0);
    assert_int_equal(logged("its limit"), 1);
    open_peer();
    assert_true(rep_peer_wait_dropped(&peer, (uint64_t)(2000 - lines), WAIT_MS));
    record(instance, 2000, 10); /* and shipping goes on behind the drop */
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(rep_peer_rows(&peer), 10);
    for (size_t i = 0; i < peer.request_count; i++)
        if (peer.requests[i].drop >= 0) {
            assert_int_equal(peer.requests[i].drop, EVENT_DROP_SPOOL_FULL);
            assert_int_equal(peer.requests[i].first, lines);
        }
    read_spool();
    assert_int_equal(spool_lines("\"event\":\"drop\""), 0);
}

static void a_range_drop_nobody_was_told_is_a_line_at_close(void **state)
{
    struct ailive_options options = options_here(1);
    struct ailive *instance;
    struct event_producer producer;
    char want[SPOOL_LINE_MAX_BYTES + 1], path[512];
    int64_t lines;

    (void)state;
    options.spool_max_bytes = 65536;
    instance = open_with(&options);
    producer = instance->live->producer;
    record(instance, 0, 1000);
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
    read_spool();
    lines = expect_decisions_in_order(&producer, "{\"v\":1,\"event\":\"drop\"");
    want[spool_format_drop(&producer, 1, (uint64_t)lines, (uint64_t)(1000 - lines), EVENT_DROP_SPOOL_FULL,
                           want)] = '\0';
    assert_non_null(strstr(spool_text, want));
    assert_int_equal(producers_count(runtime_dir, path), 0);
}

static void room_in_the_spool_is_used_again_once_files_are_gone(void **state)
{
    struct ailive_options options = options_here(1);
    struct ailive *instance;
    struct ailive_stats stats;
    uint64_t spooled;
    char command[128];

    (void)state;
    options.spool_max_bytes = 65536;
    instance = open_with(&options);
    record(instance, 0, 1000);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    ailive_stats(instance, &stats);
    spooled = stats.spooled;
    snprintf(command, sizeof(command), "rm -f %s/*", spool_dir);
    assert_int_equal(system(command), 0);
    usleep(1100000); /* it looks at most once a second */
    record(instance, 1000, 100);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    ailive_stats(instance, &stats);
    assert_int_equal(stats.spooled, spooled + 100);
    read_spool();
    assert_int_equal(spool_lines("\"event\":\"decision\""),
                     100); /* in a file that is there, not in the removed */
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
}

static void spool_folder_is_removed(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -r '%s'", spool_dir);
    assert_int_equal(system(command), 0);
}

/* By an operator, or by what clears old files away. What was in it is gone; what comes after is not. */
static void a_spool_folder_removed_while_in_use_is_made_again(void **state)
{
    struct ailive *instance = open_here(1);

    (void)state;
    spool_folder_is_removed(); /* before the first file */
    record(instance, 0, 100);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    read_spool();
    assert_int_equal(spool_lines("\n"), 100);
    spool_folder_is_removed(); /* with the file in use */
    record(instance, 100, 70);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    read_spool();
    assert_int_equal(spool_lines("\n"), 70);
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
}

static void door_words_are_lines_too(void **state)
{
    struct ailive_options options = options_here(300);
    struct ailive *instance;
    struct event_producer producer;
    const uint64_t door[LAYOUT_DOOR_WORDS] = {7};
    char want[SPOOL_LINE_MAX_BYTES + 1];

    (void)state;
    options.ring_records = 64;
    instance = open_with(&options);
    producer = instance->live->producer;
    record(instance, 0, 64);
    for (int i = 0; i < 7; i++)
        assert_int_equal(ailive_record_action(instance, AILIVE_FILL), AILIVE_EFULL);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    read_spool();
    want[spool_format_door(&producer, 1, door, want)] = '\0';
    assert_non_null(strstr(spool_text, want));
    assert_int_equal(spool_lines("\"event\":\"decision\""), 64);
}

static void a_short_write_is_taken_back_and_nothing_is_lost(void **state)
{
    struct ailive *instance;
    struct event_producer producer;

    (void)state;
    instance = open_here(1);
    producer = instance->live->producer;
    set_fault(&faults.short_writes, 2);
    record(instance, 0, 2000);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(faults.seen_short, 2);
    read_spool();
    assert_int_equal(spool_files, 1);
    assert_int_equal(expect_decisions_in_order(&producer, NULL), 2000);
    assert_int_equal(logged("writing a spool file"), 1); /* once a state, not once a try */
}

static void where_even_that_fails_the_lines_are_written_again_into_the_next_file(void **state)
{
    struct ailive *instance;
    struct event_producer producer;
    char *broken;

    (void)state;
    instance = open_here(1);
    producer = instance->live->producer;
    set_fault(&faults.short_writes, 1);
    set_fault(&faults.failing_truncates, 1);
    record(instance, 0, 2000);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    read_spool();
    assert_int_equal(spool_files, 2);
    /* The first file ends in a part of a line; the second begins with number 0 again. */
    broken = strstr(spool_text + 1, "\"seq\":0,");
    broken = strstr(broken + 1, "\"seq\":0,");
    assert_non_null(broken);
    while (strncmp(broken, "{\"v\":1", 6) != 0)
        broken--;
    memmove(spool_text, broken, strlen(broken) + 1);
    assert_int_equal(expect_decisions_in_order(&producer, NULL), 2000);
}

static void a_full_disk_keeps_records_until_there_is_room(void **state)
{
    struct ailive *instance;
    struct event_producer producer;
    struct ailive_stats stats;

    (void)state;
    instance = open_here(1);
    producer = instance->live->producer;
    set_fault(&faults.failing_writes, -1);
    record(instance, 0, 1000);
    assert_int_equal(ailive_flush(instance, 700), AILIVE_ETIMEDOUT);
    ailive_stats(instance, &stats);
    assert_int_equal(stats.pending, 1000);
    assert_int_equal(stats.dropped_spool, 0);
    assert_true(__atomic_load_n(&faults.seen_failed, __ATOMIC_SEQ_CST) > 0);
    set_fault(&faults.failing_writes, 0);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    read_spool();
    assert_int_equal(expect_decisions_in_order(&producer, NULL), 1000);
}

/* It is neither dropped without an entry that says so, nor kept from whoever comes later. */
static void at_the_cap_with_every_entry_for_a_range_drop_taken_the_rest_stays_for_salvage(void **state)
{
    struct ailive_options options = options_here(1);
    struct ailive *instance;
    struct ailive_stats stats;
    char path[PRODUCERS_PATH_BYTES];

    (void)state;
    options.spool_max_bytes = 65536;
    instance = open_with(&options);
    record(instance, 0, 1); /* the ring is there, and its shipper at rest */
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    for (uint64_t i = 0; i < LAYOUT_RANGE_DROPS; i++) /* which no drop at a tail of ours adjoins */
        instance->live->rings[1].header->drops[i] =
            (struct layout_range_drop){UINT64_MAX - 2, UINT64_MAX - 1, EVENT_DROP_SPOOL_FULL, 0};
    record(instance, 1, 999);
    assert_int_equal(ailive_close(instance, 0), AILIVE_ETIMEDOUT);
    ailive_stats(instance, &stats);
    assert_int_equal(stats.dropped_spool, 0);
    read_spool();
    assert_int_equal(stats.spooled, spool_lines("\"event\":\"decision\""));
    assert_int_equal(stats.spooled + stats.pending, 1000);
    assert_int_equal(producers_count(runtime_dir, path), 1);
    assert_true(producers_lock_is_free(path));
}

static void what_can_go_nowhere_stays_for_salvage(void **state)
{
    struct ailive *instance;
    struct layout_ring header;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[PRODUCERS_PATH_BYTES], file[600];
    struct stat st;
    int fd;

    (void)state;
    instance = open_here(1);
    set_fault(&faults.failing_writes, -1);
    record(instance, 0, 123);
    assert_int_equal(ailive_close(instance, 50), AILIVE_ETIMEDOUT);
    assert_int_equal(producers_count(runtime_dir, path), 1);
    snprintf(file, sizeof(file), "%s/ring-1", path);
    fd = open(file, O_RDONLY);
    assert_int_equal(read(fd, &header, sizeof(header)), sizeof(header));
    assert_int_equal(fstat(fd, &st), 0);
    close(fd);
    assert_null(layout_ring_check(&header, (uint64_t)st.st_size));
    assert_int_equal(header.head - header.tail, 123);
    snprintf(file, sizeof(file), "%s/lock", path);
    fd = open(file, O_RDWR);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0); /* free: the owner is gone */
    close(fd);
    assert_int_equal(logged("could neither be shipped nor spooled"), 1);
}

static void a_silent_sidecar_sends_records_to_the_spool_until_it_answers(void **state)
{
    struct ailive *instance;
    struct ailive_stats stats;
    uint64_t spooled;

    (void)state;
    open_peer();
    instance = open_here(200);
    record(instance, 0, 10);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    rep_peer_silence(&peer, true);
    record(instance, 10, 100);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    ailive_stats(instance, &stats);
    spooled = stats.spooled;
    assert_int_equal(spooled, 100);
    rep_peer_silence(&peer, false);
    wait_until(instance, is_connected);
    record(instance, 110, 50);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    ailive_stats(instance, &stats);
    assert_int_equal(stats.shipped, 60);
    assert_int_equal(stats.spooled, spooled);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    read_spool();
    assert_int_equal(spool_lines("\n"), 100);
}

static void a_reply_to_what_went_to_the_spool_meanwhile_moves_nothing(void **state)
{
    struct ailive *instance;
    struct ailive_stats stats;

    (void)state;
    open_peer();
    instance = open_here(50);
    record(instance, 0, 10);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    rep_peer_silence(&peer, true);
    record(instance, 10, 50);
    (void)ailive_flush(instance, 0);
    assert_true(rep_peer_wait_rows(&peer, 60, WAIT_MS));
    record(instance, 60, 50); /* behind the batch that is not answered */
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    rep_peer_answer_late(&peer);
    rep_peer_silence(&peer, false);
    wait_until(instance, is_connected);
    record(instance, 110, 50);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    ailive_stats(instance, &stats);
    assert_int_equal(stats.spooled, 100);
    assert_int_equal(stats.shipped, 60);
    assert_int_equal(rep_peer_rows(&peer), 110); /* 60 before, and none of those in the spool since */
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    read_spool();
    assert_int_equal(spool_lines("\n"), 100);
}

static void after_a_spell_in_the_spool_shipping_returns_and_a_new_file_follows(void **state)
{
    struct ailive *instance = open_here(1);
    struct ailive_stats stats;

    (void)state;
    for (int spell = 0; spell < 3; spell++) {
        record(instance, 0, 100);
        wait_until(instance, none_pending);
        open_peer();
        wait_until(instance, is_connected);
        record(instance, 0, 100);
        assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
        close_peer();
        wait_until(instance, is_lost);
    }
    ailive_stats(instance, &stats);
    assert_int_equal(stats.shipped + stats.spooled, 600);
    assert_true(stats.shipped > 0);
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
    read_spool();
    assert_int_equal(spool_lines("\n"), stats.spooled);
    assert_true(spool_files >= 3); /* the sidecar may remove a closed one while we go on */
}

static void a_version_the_sidecar_does_not_speak_goes_to_the_spool(void **state)
{
    struct ailive *instance;
    struct ailive_stats stats;

    (void)state;
    open_peer();
    rep_peer_answer(&peer, BATCH_NO_VERSION, BATCH_NO_VERSION);
    instance = open_here(60000); /* at once, not after a silence */
    record(instance, 0, 100);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    ailive_stats(instance, &stats);
    assert_int_equal(stats.spooled, 100);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(logged("does not speak batch version"), 1);
}

static void without_a_spool_folder_an_instance_opens_all_the_same(void **state)
{
    struct ailive_options options = options_here(1);
    struct ailive *instance;

    (void)state;
    options.spool_dir = "/proc/nowhere";
    instance = open_with(&options);
    record(instance, 0, 10);
    assert_int_equal(ailive_flush(instance, 50), AILIVE_ETIMEDOUT);
    open_peer();
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(rep_peer_rows(&peer), 10);
    assert_int_equal(logged("the spool folder '/proc/nowhere' cannot be used"), 1);
}

static void close_spools_what_the_deadline_left(void **state)
{
    struct ailive *instance = open_here(60000);
    struct event_producer producer = instance->live->producer;
    char path[PRODUCERS_PATH_BYTES];

    (void)state;
    record(instance, 0, 4096);
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
    assert_int_equal(producers_count(runtime_dir, path), 0);
    read_spool();
    assert_int_equal(expect_decisions_in_order(&producer, NULL), 4096);
}

static bool no_spool_bytes(const struct ailive_stats *stats)
{
    return stats->spool_bytes == 0;
}

static void spool_bytes_follow_what_the_sidecar_removes(void **state)
{
    struct ailive *instance = open_here(1);
    struct ailive_stats stats;
    char command[128];

    (void)state;
    record(instance, 0, 100);
    wait_until(instance, none_pending);
    ailive_stats(instance, &stats);
    assert_true(stats.spool_bytes > 0);
    open_peer();
    wait_until(instance, is_connected);
    snprintf(command, sizeof(command), "rm -f %s/*", spool_dir);
    assert_int_equal(system(command), 0);
    wait_until(instance, no_spool_bytes);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
}

static bool is_spooled(const struct ailive_stats *stats)
{
    return stats->spooled > 0;
}

/* Parked twice a second; anything it waits for besides would wake it more often. */
static void in_an_idle_host_a_silent_sidecar_is_asked_without_waiting(void **state)
{
    struct ailive *instance;
    struct ailive_stats stats;
    uint64_t parked;
    int waits;

    (void)state;
    open_peer();
    rep_peer_silence(&peer, true);
    instance = open_here(1);
    record(instance, 0, 1);
    wait_until(instance, is_spooled);
    usleep(1500000); /* until it has asked once, and its pauses have grown */
    waits = __atomic_load_n(&blocking_polls, __ATOMIC_SEQ_CST);
    ailive_stats(instance, &stats);
    for (parked = stats.wakeups; stats.wakeups < parked + 4; ailive_stats(instance, &stats))
        usleep(10000);
    assert_int_equal(__atomic_load_n(&blocking_polls, __ATOMIC_SEQ_CST), waits);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
}

/* A lock that a child inherits would keep a dead producer alive for as long as the child lives. */
static void a_forked_child_keeps_no_lock_of_a_dead_producer(void **state)
{
    struct ailive *instance = open_here(60000);
    char path[160];
    int fds[PROCESS_RESCUE_FDS], status;
    pid_t child;

    (void)state;
    for (int i = 0; i < PROCESS_RESCUE_FDS; i++) { /* as while a folder is emptied */
        snprintf(path, sizeof(path), "%s/held-%d", base, i);
        fds[i] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        process_fd_set(&instance->fds.rescue[i], fds[i]);
    }
    child = fork();
    if (child == 0) {
        for (int i = 0; i < PROCESS_RESCUE_FDS; i++)
            if (fcntl(fds[i], F_GETFD) != -1)
                _exit(1);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (int i = 0; i < PROCESS_RESCUE_FDS; i++)
        process_fd_close(&instance->fds.rescue[i]);
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_parked_shipper_is_woken_once),
        TEST(a_half_full_ring_wakes_it_once_and_a_full_one_no_more),
        TEST(a_flush_between_the_last_look_and_the_parking_is_not_slept_over),
        TEST(nor_is_a_ring_that_becomes_half_full_there),
        TEST(nor_is_a_wake_up_between_the_parking_and_the_sleep),
        TEST(what_is_told_between_a_waiters_look_and_its_sleep_ends_the_wait),
        TEST(what_is_recorded_arrives_with_names_times_and_latencies),
        TEST(an_unknown_handle_travels_and_is_left_to_the_sidecar),
        TEST(many_names_never_crowd_out_the_rows),
        TEST(a_batch_has_no_more_rows_than_fit_beside_its_names),
        TEST(a_lost_reply_means_the_identical_batch_again),
        TEST(what_is_not_answered_is_sent_again_on_the_same_connection),
        TEST(a_sidecar_that_comes_late_gets_what_waited),
        TEST(a_refused_batch_becomes_a_range_drop_and_the_next_one_goes_on),
        TEST(a_refused_range_drop_keeps_nothing_waiting),
        TEST(door_drops_reach_the_sidecar_without_a_record),
        TEST(garbage_from_the_peer_harms_nothing),
        TEST(a_host_that_changes_its_working_folder_leaves_nothing_behind),
        TEST(without_a_sidecar_every_record_is_a_line_exactly),
        TEST(an_unknown_handle_is_an_invalid_line),
        TEST(files_end_at_their_size_with_whole_lines),
        TEST(at_the_cap_the_rest_is_one_exact_range_drop),
        TEST(a_range_drop_nobody_was_told_is_a_line_at_close),
        TEST(room_in_the_spool_is_used_again_once_files_are_gone),
        TEST(a_spool_folder_removed_while_in_use_is_made_again),
        TEST(door_words_are_lines_too),
        TEST(a_short_write_is_taken_back_and_nothing_is_lost),
        TEST(where_even_that_fails_the_lines_are_written_again_into_the_next_file),
        TEST(a_full_disk_keeps_records_until_there_is_room),
        TEST(at_the_cap_with_every_entry_for_a_range_drop_taken_the_rest_stays_for_salvage),
        TEST(what_can_go_nowhere_stays_for_salvage),
        TEST(a_silent_sidecar_sends_records_to_the_spool_until_it_answers),
        TEST(a_reply_to_what_went_to_the_spool_meanwhile_moves_nothing),
        TEST(after_a_spell_in_the_spool_shipping_returns_and_a_new_file_follows),
        TEST(a_version_the_sidecar_does_not_speak_goes_to_the_spool),
        TEST(without_a_spool_folder_an_instance_opens_all_the_same),
        TEST(close_spools_what_the_deadline_left),
        TEST(spool_bytes_follow_what_the_sidecar_removes),
        TEST(in_an_idle_host_a_silent_sidecar_is_asked_without_waiting),
        TEST(a_forked_child_keeps_no_lock_of_a_dead_producer),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    free(spool_text);
    return failed;
}
