/* test_record.c - recording's claims: threads, rings and their reuse, several instances, fork, wrong calls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/instance.h"
#include "src/record.h"
#include "support/producers.h"
#include "support/rep_peer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 60000

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
/* ThreadSanitizer cannot start a thread in a forked child; a child of ours starts its shipper. */
#else
#define UNDER_TSAN 0
#endif
#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1 /* its allocator's locks are not released in a child forked amid busy threads */
#else
#define UNDER_ASAN 0
#endif

static char base[64], runtime_dir[80], spool_dir[80], url[96];
static struct rep_peer peer;

static int setup(void **state)
{
    (void)state;
    snprintf(base, sizeof(base), "/tmp/ailive-record-XXXXXX");
    if (!mkdtemp(base))
        return -1;
    snprintf(runtime_dir, sizeof(runtime_dir), "%s/run", base);
    snprintf(spool_dir, sizeof(spool_dir), "%s/spool", base);
    snprintf(url, sizeof(url), "ipc://%s/peer.sock", base);
    rep_peer_open(&peer, url + 6);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    rep_peer_close(&peer);
    snprintf(command, sizeof(command), "rm -rf '%s'", base);
    return system(command);
}

static struct ailive_options options_here(void)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT;

    options.runtime_dir = runtime_dir;
    options.spool_dir = spool_dir;
    options.ipc_url = url;
    options.ring_records = 1024;
    options.spool_after_ms = 60000;
    return options;
}

static struct ailive *open_here(void)
{
    struct ailive_options options = options_here();
    struct ailive *instance;

    assert_int_equal(ailive_open(&options, &instance), AILIVE_OK);
    return instance;
}

/* Nobody answers: what it records goes to the spool at once. */
static struct ailive *open_spooling(void)
{
    struct ailive_options options = options_here();
    struct ailive *instance;
    char nobody[128];

    snprintf(nobody, sizeof(nobody), "ipc://%s/nobody.sock", base);
    options.ipc_url = nobody;
    options.spool_after_ms = 1;
    assert_int_equal(ailive_open(&options, &instance), AILIVE_OK);
    return instance;
}

/* ---- threads and rings ---- */

#define THREADS 8
#define EACH    20000

static void record_until_taken(struct ailive *instance, int64_t number)
{
    while (ailive_record_decision(instance, AILIVE_ACCEPT, AILIVE_REASON_NONE, AILIVE_SUBMIT, number) !=
           AILIVE_OK)
        usleep(100);
}

static void *record_each(void *context)
{
    for (int i = 0; i < EACH; i++)
        record_until_taken(context, i);
    return NULL;
}

static void eight_threads_arrive_exactly_once_and_in_order(void **state)
{
    struct ailive *instance = open_here();
    struct ailive_stats stats;
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, record_each, instance), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    ailive_stats(instance, &stats);
    assert_int_equal(stats.recorded, THREADS * EACH);
    assert_int_equal(stats.shipped, THREADS * EACH);
    assert_int_equal(stats.pending, 0);
    assert_int_equal(stats.connected, 1);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(rep_peer_rows(&peer), THREADS * EACH);
    assert_int_equal(rep_peer_gaps(&peer), 0);
    assert_int_equal(rep_peer_again(&peer), 0);
    assert_int_equal(peer.bad, 0);
}

static void *record_ten(void *context)
{
    for (int i = 0; i < 10; i++)
        record_until_taken(context, i);
    return NULL;
}

static void a_returned_ring_is_reused_and_counts_on(void **state)
{
    struct ailive *instance = open_here();
    struct ailive_stats stats;
    pthread_t thread;

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(pthread_create(&thread, NULL, record_ten, instance), 0);
        pthread_join(thread, NULL);
        assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    }
    ailive_stats(instance, &stats);
    assert_int_equal(stats.rings, 1);
    assert_int_equal(stats.recorded, 50);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(rep_peer_rows(&peer), 50);
    assert_int_equal(rep_peer_gaps(&peer), 0);
    for (size_t i = 0; i < peer.row_count; i++)
        assert_int_equal(peer.rows[i].seq, i);
}

static pthread_key_t late_key;
static struct ailive *late_instance;
static int late_status = 1;

static void record_late(void *unused)
{
    (void)unused;
    late_status = ailive_record_action(late_instance, AILIVE_FILL);
}

static void *record_in_destructor(void *context)
{
    record_ten(context);
    pthread_setspecific(late_key, context);
    return NULL;
}

static void a_record_in_a_thread_destructor_claims_again(void **state)
{
    pthread_t thread;

    (void)state;
    late_instance = open_here();
    assert_int_equal(pthread_key_create(&late_key, record_late),
                     0); /* after ours: its destructor runs later */
    assert_int_equal(pthread_create(&thread, NULL, record_in_destructor, late_instance), 0);
    pthread_join(thread, NULL);
    assert_int_equal(late_status, AILIVE_OK);
    assert_int_equal(ailive_flush(late_instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(ailive_close(late_instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(rep_peer_rows(&peer), 11);
    pthread_key_delete(late_key);
}

static void two_instances_on_one_thread_keep_their_records_apart(void **state)
{
    struct ailive_options options = options_here();
    struct ailive *a, *b;
    size_t of_a = 0, of_b = 0;

    (void)state;
    options.component = "a";
    assert_int_equal(ailive_open(&options, &a), AILIVE_OK);
    options.component = "b";
    assert_int_equal(ailive_open(&options, &b), AILIVE_OK);
    for (int i = 0; i < 300; i++) {
        record_until_taken(a, i);
        if (i % 3 == 0)
            record_until_taken(b, i);
    }
    assert_int_equal(ailive_flush(a, WAIT_MS), AILIVE_OK);
    assert_int_equal(ailive_flush(b, WAIT_MS), AILIVE_OK);
    assert_int_equal(ailive_close(a, WAIT_MS), AILIVE_OK);
    record_until_taken(b, 7);
    assert_int_equal(ailive_close(b, WAIT_MS), AILIVE_OK);
    for (size_t i = 0; i < peer.row_count; i++) {
        of_a += strcmp(peer.rows[i].component, "a") == 0;
        of_b += strcmp(peer.rows[i].component, "b") == 0;
    }
    assert_int_equal(of_a, 300);
    assert_int_equal(of_b, 101);
}

static void counters_may_start_just_before_any_wrap(void **state)
{
    const uint64_t starts[] = {((uint64_t)1 << 32) - 500, UINT64_MAX - 5000};

    (void)state;
    for (size_t s = 0; s < 2; s++) {
        struct ailive *instance = open_here();
        struct ailive_stats stats;
        instance_first_seq = starts[s];
        for (int i = 0; i < 3000; i++)
            record_until_taken(instance, i);
        instance_first_seq = 0;
        assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
        ailive_stats(instance, &stats);
        assert_int_equal(stats.recorded, 3000);
        assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    }
    assert_int_equal(rep_peer_rows(&peer), 6000);
    assert_int_equal(rep_peer_gaps(&peer), 0);
}

/* ---- no ring ---- */

static void without_a_ring_drops_are_counted_and_a_ring_comes_once_there_is_room(void **state)
{
    struct ailive *instance = open_here();
    struct ailive_stats stats;
    char path[PRODUCERS_PATH_BYTES], aside[600];
    unsigned calls = 0;

    (void)state;
    assert_int_equal(producers_count(runtime_dir, path), 1);
    snprintf(aside, sizeof(aside), "%s-aside", path);
    assert_int_equal(rename(path, aside), 0);
    for (; calls < 10; calls++)
        assert_int_equal(ailive_record_action(instance, AILIVE_FILL), AILIVE_ENORING);
    assert_int_equal(rename(aside, path), 0);
    while (ailive_record_action(instance, AILIVE_FILL) == AILIVE_ENORING) {
        calls++;
        assert_true(calls <= RECORD_RETRY_CALLS + 1);
    }
    ailive_stats(instance, &stats);
    assert_int_equal(stats.dropped_ring, calls);
    assert_int_equal(stats.recorded, 1);
    assert_true(rep_peer_wait_door(&peer, EVENT_DROP_NO_RING, calls, WAIT_MS));
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
}

/* ---- closed, NULL, disabled ---- */

struct helper {
    struct ailive *instance;
    pthread_barrier_t barrier;
    int before, after;
};

static void *record_before_and_after_close(void *context)
{
    struct helper *helper = context;

    helper->before = ailive_record_action(helper->instance, AILIVE_FILL);
    pthread_barrier_wait(&helper->barrier); /* recorded */
    pthread_barrier_wait(&helper->barrier); /* closed */
    helper->after = ailive_record_action(helper->instance, AILIVE_FILL);
    return NULL;
}

static void after_close_every_thread_is_a_counted_no_op(void **state)
{
    struct helper helper = {.instance = open_here()};
    struct ailive_stats stats;
    pthread_t thread;
    ailive_name id = 3;

    (void)state;
    pthread_barrier_init(&helper.barrier, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, record_before_and_after_close, &helper), 0);
    assert_int_equal(ailive_record_action(helper.instance, AILIVE_FILL), AILIVE_OK);
    pthread_barrier_wait(&helper.barrier);
    assert_int_equal(ailive_close(helper.instance, WAIT_MS), AILIVE_OK);
    pthread_barrier_wait(&helper.barrier);
    pthread_join(thread, NULL);
    assert_int_equal(helper.before, AILIVE_OK);
    assert_int_equal(helper.after, AILIVE_ECLOSED);
    assert_int_equal(ailive_record_action(helper.instance, AILIVE_FILL), AILIVE_ECLOSED);
    assert_int_equal(ailive_record_action(NULL, AILIVE_FILL), AILIVE_EINVAL); /* not into the old ring */
    assert_int_equal(ailive_close(helper.instance, 0), AILIVE_ECLOSED);
    assert_int_equal(ailive_flush(helper.instance, 0), AILIVE_ECLOSED);
    assert_int_equal(ailive_register(helper.instance, AILIVE_NAME_STAGE, "x", &id), AILIVE_ECLOSED);
    assert_int_equal(id, 3);
    ailive_stats(helper.instance, &stats);
    assert_int_equal(stats.ignored, 2);
    assert_int_equal(stats.recorded, 2); /* the counters stay readable */
    assert_int_equal(stats.shipped, 2);
    pthread_barrier_destroy(&helper.barrier);
}

static void a_thread_that_outlives_instances_goes_on_in_the_next(void **state)
{
    struct ailive *instance;

    (void)state;
    for (int i = 0; i < 200; i++) { /* more than the writers a thread has room for */
        struct ailive_options options = AILIVE_OPTIONS_INIT;
        options.memory_sink = 1;
        options.ring_records = 64;
        assert_int_equal(ailive_open(&options, &instance), AILIVE_OK);
        assert_int_equal(ailive_record_action(instance, AILIVE_FILL), AILIVE_OK);
        assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
    }
}

static void *record_until_closed(void *context)
{
    int status;

    do
        status = ailive_record_action(context, AILIVE_FILL);
    while (status != AILIVE_ECLOSED);
    return NULL;
}

static void a_close_beside_recording_threads_is_safe(void **state)
{
    pthread_t threads[4];

    (void)state;
    for (int round = 0; round < 5; round++) {
        struct ailive *instance = open_here();
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, record_until_closed, instance), 0);
        usleep(2000);
        ailive_close(instance, 1000);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
    }
}

static void calls_on_null_are_counted_for_the_process(void **state)
{
    struct ailive_stats before, after;
    ailive_name id;

    (void)state;
    assert_int_equal(ailive_stats(NULL, &before), AILIVE_OK);
    assert_int_equal(ailive_record_decision(NULL, AILIVE_ACCEPT, 0, AILIVE_SUBMIT, 1), AILIVE_EINVAL);
    assert_int_equal(ailive_record_stage(NULL, 12, 1), AILIVE_EINVAL);
    assert_int_equal(ailive_flush(NULL, 0), AILIVE_EINVAL);
    assert_int_equal(ailive_close(NULL, 0), AILIVE_EINVAL);
    assert_int_equal(ailive_register(NULL, AILIVE_NAME_STAGE, "x", &id), AILIVE_EINVAL);
    assert_int_equal(ailive_stats(NULL, &after), AILIVE_OK);
    assert_int_equal(after.ignored - before.ignored, 5);
    assert_int_equal(ailive_stats(NULL, NULL), AILIVE_EINVAL);
}

static void disabled_makes_nothing_and_counts(void **state)
{
    struct ailive *instance;
    struct ailive_stats stats;
    struct ailive_record record;
    ailive_name id = 0;
    char path[PRODUCERS_PATH_BYTES];

    (void)state;
    setenv("AILIVE_DISABLED", " 1 ", 1);
    instance = open_here();
    unsetenv("AILIVE_DISABLED");
    assert_int_equal(producers_count(runtime_dir, path), 0);
    assert_int_equal(ailive_record_action(instance, AILIVE_FILL), AILIVE_EDISABLED);
    assert_int_equal(ailive_register(instance, AILIVE_NAME_STAGE, "risk", &id), AILIVE_OK);
    assert_int_not_equal(id, 0);
    assert_int_equal(ailive_record_stage(instance, id, 5), AILIVE_EDISABLED);
    assert_int_equal(ailive_flush(instance, 0), AILIVE_OK);
    assert_int_equal(ailive_memory_read(instance, &record), 0);
    ailive_stats(instance, &stats);
    assert_int_equal(stats.ignored, 2);
    assert_int_equal(stats.recorded, 0);
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
    assert_int_equal(ailive_close(instance, 0), AILIVE_ECLOSED);
    assert_int_equal(ailive_record_action(instance, AILIVE_FILL), AILIVE_ECLOSED);
}

/* ---- options ---- */

static void expect_open(const struct ailive_options *options, int status)
{
    struct ailive *instance = (struct ailive *)(uintptr_t)1;

    assert_int_equal(ailive_open(options, &instance), status);
    assert_null(instance);
}

static void options_of_a_newer_header_are_taken_while_what_is_new_in_them_is_zero(void **state)
{
    struct {
        struct ailive_options known;
        uint64_t later;
    } newer = {.known = options_here()};
    struct ailive *instance;

    (void)state;
    newer.known.size = sizeof(newer);
    assert_int_equal(ailive_open(&newer.known, &instance), AILIVE_OK);
    assert_int_equal(ailive_close(instance, 1000), AILIVE_OK);
    newer.known.size = offsetof(struct ailive_options, tls_cert); /* and the first layout still is one */
    newer.known.tls_cert = "what lies behind it is not looked at";
    assert_int_equal(ailive_open(&newer.known, &instance), AILIVE_OK);
    assert_int_equal(ailive_close(instance, 1000), AILIVE_OK);
    newer.known.tls_cert = NULL;
    newer.known.size--;
    expect_open(&newer.known, AILIVE_EINVAL);
    newer.known.size = sizeof(newer);
    newer.later = 1;
    expect_open(&newer.known, AILIVE_EINVAL);
    newer.known.size = 4097;
    expect_open(&newer.known, AILIVE_EINVAL);
}

static void wrong_options_give_a_status_and_make_nothing(void **state)
{
    char long_text[8192], path[512];
    struct ailive_options options;

    (void)state;
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    long_text[0] = '/';
    assert_int_equal(ailive_open(NULL, NULL), AILIVE_EINVAL);
    options = options_here(), options.size = 8;
    expect_open(&options, AILIVE_EINVAL);
    options = options_here(), options.ring_records = 63;
    expect_open(&options, AILIVE_EINVAL);
    options = options_here(), options.ring_records = 16777217;
    expect_open(&options, AILIVE_EINVAL);
    options = options_here(), options.spool_file_bytes = 65535;
    expect_open(&options, AILIVE_EINVAL);
    options = options_here(), options.spool_file_bytes = 1 << 20, options.spool_max_bytes = 1 << 19;
    expect_open(&options, AILIVE_EINVAL);
    options = options_here(), options.component = long_text;
    expect_open(&options, AILIVE_ETOOLONG);
    options = options_here(), options.run_id = long_text;
    expect_open(&options, AILIVE_ETOOLONG);
    options = options_here(), options.runtime_dir = long_text;
    expect_open(&options, AILIVE_ETOOLONG);
    options = options_here(), options.spool_dir = long_text;
    expect_open(&options, AILIVE_ETOOLONG);
    options = options_here(), options.ipc_url = "http://127.0.0.1:5";
    expect_open(&options, AILIVE_EINVAL);
    options = options_here(), options.ipc_url = "tcp://192.0.2.1:5"; /* plaintext beyond loopback */
    expect_open(&options, AILIVE_EINVAL);
    long_text[200] = '\0';
    memcpy(long_text, "ipc:///", 7);
    options = options_here(), options.ipc_url = long_text;
    expect_open(&options, AILIVE_ETOOLONG);
    options = options_here(), options.runtime_dir = "/proc/nowhere";
    expect_open(&options, AILIVE_ESYS);
    assert_int_equal(producers_count(runtime_dir, path), 0);
}

static void the_environment_fills_what_options_leave_open(void **state)
{
    struct ailive_options options = options_here();
    struct ailive *instance;
    struct ailive_record record;

    (void)state;
    setenv("PEAK_TRADE_AI_COMPONENT", " env-component ", 1);
    setenv("PEAK_TRADE_AI_RUN_ID", "  ", 1);
    options.memory_sink = 1;
    options.component = "";
    assert_int_equal(ailive_open(&options, &instance), AILIVE_OK);
    unsetenv("PEAK_TRADE_AI_COMPONENT");
    unsetenv("PEAK_TRADE_AI_RUN_ID");
    ailive_record_action(instance, AILIVE_FILL);
    assert_int_equal(ailive_memory_read(instance, &record), 1);
    assert_string_equal(record.component, "env-component");
    assert_string_equal(record.run_id, "na");
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
}

static void sixty_four_instances_may_be_open(void **state)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT;
    struct ailive *instances[PROCESS_INSTANCES_MAX], *one_more;

    (void)state;
    options.memory_sink = 1;
    for (size_t i = 0; i < PROCESS_INSTANCES_MAX; i++)
        assert_int_equal(ailive_open(&options, &instances[i]), AILIVE_OK);
    expect_open(&options, AILIVE_ELIMIT);
    for (size_t i = 0; i < PROCESS_INSTANCES_MAX; i++)
        assert_int_equal(ailive_record_action(instances[i], AILIVE_FILL), AILIVE_OK);
    assert_int_equal(ailive_close(instances[5], 0), AILIVE_OK);
    assert_int_equal(ailive_open(&options, &one_more), AILIVE_OK);
    assert_int_equal(ailive_record_action(one_more, AILIVE_FILL), AILIVE_OK);
    instances[5] = one_more;
    for (size_t i = 0; i < PROCESS_INSTANCES_MAX; i++)
        assert_int_equal(ailive_close(instances[i], 0), AILIVE_OK);
}

static void registered_names_have_a_limit(void **state)
{
    struct ailive *instance = open_here();
    ailive_name id = 0, untouched = 5;
    char text[32];

    (void)state;
    for (int i = 0; i < AILIVE_NAMES_MAX; i++) {
        snprintf(text, sizeof(text), "reason-%d", i);
        assert_int_equal(ailive_register(instance, AILIVE_NAME_REASON, text, &id), AILIVE_OK);
    }
    assert_int_equal(ailive_register(instance, AILIVE_NAME_REASON, "too-many", &untouched), AILIVE_ELIMIT);
    assert_int_equal(untouched, 5);
    assert_int_equal(ailive_record_decision(instance, AILIVE_REJECT, id, AILIVE_ACTION_NONE, 1), AILIVE_OK);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_string_equal(peer.rows[0].reason, text);
    assert_true(peer.rows[0].valid);
}

/* ---- the folder and the thread ---- */

static void the_folder_is_locked_while_open_and_gone_after_close(void **state)
{
    struct ailive *instance = open_here();
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[PRODUCERS_PATH_BYTES], file[600], text[512] = "";
    struct stat st;
    int fd;

    (void)state;
    ailive_record_action(instance, AILIVE_FILL);
    assert_int_equal(producers_count(runtime_dir, path), 1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    snprintf(file, sizeof(file), "%s/lock", path);
    fd = open(file, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
    assert_int_equal(lock.l_type, F_WRLCK); /* somebody else's: ours could not be had */
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    close(fd); /* must not cost the owner its lock, as a plain fcntl lock would */
    fd = open(file, O_RDWR);
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), -1);
    close(fd);
    snprintf(file, sizeof(file), "pid=%ld\nstart=", (long)getpid());
    assert_non_null(strstr(text, file));
    assert_non_null(strstr(text, "\ncomponent=execution_watch\nrun_id=na\nspool="));
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(producers_count(runtime_dir, path), 0);
}

/* The blocked signals of the thread with this name; 0 when there is none. */
static unsigned long long blocked_in(const char *name)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    unsigned long long blocked = 0;

    while ((entry = readdir(dir)) != NULL) {
        char path[300], line[256];
        bool ours = false;
        FILE *file;
        snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
        file = fopen(path, "r");
        while (file && fgets(line, sizeof(line), file)) {
            if (strncmp(line, "Name:\t", 6) == 0)
                ours = strncmp(line + 6, name, strlen(name)) == 0;
            if (ours && strncmp(line, "SigBlk:\t", 8) == 0)
                blocked = strtoull(line + 8, NULL, 16);
        }
        if (file)
            fclose(file);
    }
    closedir(dir);
    return blocked;
}

static void the_shipper_blocks_every_signal_and_the_host_none_more(void **state)
{
    struct ailive *instance;
    sigset_t before, after;
    unsigned long long blocked;

    (void)state;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    instance = open_here();
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int number = 1; number < 32; number++)
        assert_int_equal(sigismember(&before, number), sigismember(&after, number));
    ailive_record_action(instance, AILIVE_FILL);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK); /* its name is set by now */
    blocked = blocked_in("ailive-ship");
    for (int number = 1; number < 32; number++)
        if (number != SIGKILL && number != SIGSTOP)
            assert_true(blocked >> (number - 1) & 1);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
}

/* ---- signals ---- */

static _Atomic int interruptions; /* in whichever thread */

static void interrupt(int number)
{
    (void)number;
    interruptions++;
#if !defined(__SANITIZE_THREAD__) /* which reports just that */
    errno = EINVAL;               /* as careless as handlers are */
#endif
}

/* What tmpfs of older kernels does to an allocation while a signal comes in; newer ones finish it first. */
static bool interrupting;
int __real_posix_fallocate(int fd, off_t from, off_t len);
int __wrap_posix_fallocate(int fd, off_t from, off_t len);

int __wrap_posix_fallocate(int fd, off_t from, off_t len)
{
    sigset_t blocked;

    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    return interrupting && !sigismember(&blocked, SIGALRM) ? EINTR : __real_posix_fallocate(fd, from, len);
}

/* Claims a ring of its own while the timer interrupts. */
static void *record_interrupted(void *context)
{
    for (int64_t i = 0; i < EACH; i++)
        while (ailive_record_action(context, AILIVE_FILL) == AILIVE_EFULL)
            usleep(100);
    return NULL;
}

static void signals_that_interrupt_records_cost_none_and_double_none(void **state)
{
    const struct itimerval often = {{0, 100}, {0, 100}}, off = {{0, 0}, {0, 0}};
    struct ailive_options options = options_here();
    struct sigaction action = {.sa_handler = interrupt}, before; /* no SA_RESTART: every call is cut short */
    struct ailive *instance;
    struct ailive_stats stats;
    pthread_t threads[THREADS];

    (void)state;
    options.ring_records = 65536;
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    interrupting = true;
    assert_int_equal(ailive_open(&options, &instance), AILIVE_OK);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, record_interrupted, instance), 0);
    record_interrupted(instance);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    interrupting = false;
    setitimer(ITIMER_REAL, &off, NULL);
    sigaction(SIGALRM, &before, NULL);
    ailive_stats(instance, &stats);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_true(interruptions > 10);
    assert_int_equal(stats.dropped_ring, 0);
    assert_int_equal(stats.recorded, (THREADS + 1) * EACH);
    assert_int_equal(rep_peer_rows(&peer), (THREADS + 1) * EACH);
    assert_int_equal(rep_peer_gaps(&peer), 0);
    assert_int_equal(rep_peer_again(&peer), 0);
}

/* ---- fork ---- */

static int child_records(struct ailive *instance, ailive_name stage, int n)
{
    ailive_name again = 0;

    for (int i = 0; i < n; i++)
        if (ailive_record_stage(instance, stage, i) != AILIVE_OK)
            return 1;
    if (ailive_register(instance, AILIVE_NAME_STAGE, "before-fork", &again) != AILIVE_OK || again != stage)
        return 2;
    if (ailive_register(instance, AILIVE_NAME_STAGE, "in-child", &again) != AILIVE_OK ||
        ailive_record_stage(instance, again, 1) != AILIVE_OK)
        return 3;
    if (ailive_flush(instance, WAIT_MS) != AILIVE_OK)
        return 4;
    return ailive_close(instance, WAIT_MS) == AILIVE_OK ? 0 : 5;
}

static void expect_child_ok(pid_t child)
{
    int status;

    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static size_t rows_with_stage(const char *stage)
{
    size_t n = 0;

    for (size_t i = 0; i < peer.row_count; i++)
        n += strcmp(peer.rows[i].stage, stage) == 0 && peer.rows[i].valid;
    return n;
}

static void record_around_fork(pid_t (*forking)(void))
{
    struct ailive *instance = open_here();
    ailive_name stage;
    pid_t child;

    assert_int_equal(ailive_register(instance, AILIVE_NAME_STAGE, "before-fork", &stage), AILIVE_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ailive_record_stage(instance, stage, i), AILIVE_OK);
    child = forking();
    if (child == 0)
        _exit(child_records(instance, stage, 200));
    for (int i = 0; i < 100; i++)
        assert_int_equal(ailive_record_stage(instance, stage, i), AILIVE_OK);
    expect_child_ok(child);
    assert_int_equal(ailive_flush(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(rep_peer_rows(&peer), 401);
    assert_int_equal(rep_peer_gaps(&peer), 0);
    assert_int_equal(rep_peer_again(&peer), 0);
    assert_int_equal(rows_with_stage("before-fork"), 400);
    assert_int_equal(rows_with_stage("in-child"), 1);
}

static void a_forked_child_records_under_an_id_of_its_own(void **state)
{
    char path[PRODUCERS_PATH_BYTES];

    (void)state;
#if UNDER_TSAN
    skip();
#endif
    record_around_fork(fork);
    assert_int_equal(producers_count(runtime_dir, path), 0);
}

static void a_child_of_bare_Fork_does_too(void **state)
{
    (void)state;
#if UNDER_TSAN
    skip();
#endif
    record_around_fork(_Fork);
}

/* Both have something open now: their shippers' descriptors. */
static void roads_used(struct ailive *shipping, struct ailive *spooling, int *socket_fd, int *spool_fd)
{
    ailive_record_action(shipping, AILIVE_FILL);
    ailive_record_action(spooling, AILIVE_FILL);
    assert_int_equal(ailive_flush(shipping, WAIT_MS), AILIVE_OK);
    assert_int_equal(ailive_flush(spooling, WAIT_MS), AILIVE_OK);
    *socket_fd = __atomic_load_n(&shipping->fds.socket.fd, __ATOMIC_ACQUIRE);
    *spool_fd = __atomic_load_n(&spooling->fds.spool.fd, __ATOMIC_ACQUIRE);
}

static void a_child_keeps_no_descriptor_of_its_parents(void **state)
{
    struct ailive *shipping = open_here(), *spooling = open_spooling();
    int socket_fd, spool_fd;
    pid_t child;

    (void)state;
    roads_used(shipping, spooling, &socket_fd, &spool_fd);
    assert_true(fcntl(socket_fd, F_GETFD) == FD_CLOEXEC && fcntl(spool_fd, F_GETFD) == FD_CLOEXEC);
    child = fork();
    if (child == 0)
        _exit(fcntl(socket_fd, F_GETFD) != -1 || fcntl(spool_fd, F_GETFD) != -1);
    expect_child_ok(child);
    assert_int_equal(ailive_record_action(shipping, AILIVE_FILL), AILIVE_OK);
    assert_int_equal(ailive_flush(shipping, WAIT_MS), AILIVE_OK); /* the parent's are as they were */
    assert_int_equal(ailive_close(shipping, WAIT_MS), AILIVE_OK);
    assert_int_equal(ailive_close(spooling, WAIT_MS), AILIVE_OK);
}

/* No handler of fork() runs: the first call of the child notices. Until it closes them the parent's
 * connection outlives the parent, and two processes read one stream. */
static void nor_does_a_child_of_bare_Fork_once_it_has_called(void **state)
{
    struct ailive *shipping, *spooling;
    struct ailive_stats stats;
    int socket_fd, spool_fd;
    pid_t child;

    (void)state;
#if UNDER_TSAN
    skip(); /* it does not know _Fork() */
#endif
    shipping = open_here();
    spooling = open_spooling();
    roads_used(shipping, spooling, &socket_fd, &spool_fd);
    assert_true(socket_fd >= 0 && spool_fd >= 0);
    child = _Fork();
    if (child == 0) {
        bool there = fcntl(socket_fd, F_GETFD) != -1 && fcntl(spool_fd, F_GETFD) != -1;
        (void)ailive_stats(shipping, &stats);
        _exit(!there || fcntl(socket_fd, F_GETFD) != -1 || fcntl(spool_fd, F_GETFD) != -1);
    }
    expect_child_ok(child);
    assert_int_equal(ailive_close(shipping, WAIT_MS), AILIVE_OK);
    assert_int_equal(ailive_close(spooling, WAIT_MS), AILIVE_OK);
}

/* Opens, records, forks a child that only waits for the end of the pipe, and kills itself. */
static void die_beside_a_child(pid_t (*forking)(void), const int wait_fds[2])
{
    struct ailive *instance = open_spooling();
    char byte;

    ailive_record_action(instance, AILIVE_FILL);
    if (forking() == 0) {
        alarm(60);
        close(wait_fds[1]);
        _exit((int)read(wait_fds[0], &byte, 1));
    }
    raise(SIGKILL);
}

static void expect_lock_of_the_dead_free(pid_t (*forking)(void))
{
    int wait_fds[2], status;
    char path[PRODUCERS_PATH_BYTES];
    pid_t host;

    assert_int_equal(pipe(wait_fds), 0);
    host = fork();
    if (host == 0)
        die_beside_a_child(forking, wait_fds);
    assert_int_equal(waitpid(host, &status, 0), host);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(producers_count(runtime_dir, path), 1);
    assert_true(producers_lock_is_free(path));
    close(wait_fds[0]);
    close(wait_fds[1]); /* ends the child */
}

static void a_child_does_not_hold_the_lock_of_its_dead_parent(void **state)
{
    (void)state;
#if UNDER_TSAN
    skip();
#endif
    expect_lock_of_the_dead_free(fork);
}

static void nor_does_a_child_of_bare_Fork(void **state)
{
    (void)state;
#if UNDER_TSAN
    skip();
#endif
    expect_lock_of_the_dead_free(_Fork);
}

/* ---- a host that closes every descriptor it does not know, and uses the numbers for its own ---- */

#define HOST_PAIRS 12

/* Takes the free numbers from 3 on, each with one byte to read. */
static int host_opens(int pairs[HOST_PAIRS][2])
{
    for (int i = 0; i < HOST_PAIRS; i++)
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]) != 0 || write(pairs[i][0], "h", 1) != 1 ||
            write(pairs[i][1], "h", 1) != 1)
            return 10;
    return 0;
}

/* Nobody wrote to them, read from them or closed them. */
static int host_finds_its_own(int pairs[HOST_PAIRS][2])
{
    char bytes[16];

    for (int i = 0; i < HOST_PAIRS; i++)
        for (int end = 0; end < 2; end++)
            if (recv(pairs[i][end], bytes, sizeof(bytes), MSG_DONTWAIT) != 1 || bytes[0] != 'h')
                return 11;
    return 0;
}

static int record_over_closed_descriptors(struct ailive *instance)
{
    int pairs[HOST_PAIRS][2], failed;
    char path[PRODUCERS_PATH_BYTES] = "";

    for (int64_t i = 0; i < 100; i++)
        record_until_taken(instance, i);
    if (ailive_flush(instance, WAIT_MS) != AILIVE_OK)
        return 1;
    closefrom(3);
    failed = host_opens(pairs);
    if (failed == 0 && (producers_count(runtime_dir, path) != 1 || producers_lock_is_free(path)))
        return 2; /* the sidecar would take us for dead */
    for (int64_t i = 0; i < 100 && failed == 0; i++)
        record_until_taken(instance, i);
    if (failed == 0 && ailive_flush(instance, WAIT_MS) != AILIVE_OK)
        return 3;
    if (failed == 0 && ailive_close(instance, WAIT_MS) != AILIVE_OK)
        return 4;
    return failed ? failed : host_finds_its_own(pairs);
}

static void a_socket_closed_underneath_is_replaced_and_its_number_left_alone(void **state)
{
    pid_t child;

    (void)state;
#if UNDER_TSAN
    skip();
#endif
    child = fork();
    if (child == 0)
        _exit(record_over_closed_descriptors(open_here()));
    expect_child_ok(child);
    assert_int_equal(rep_peer_rows(&peer), 200);
    assert_int_equal(rep_peer_gaps(&peer), 0);
}

static void a_spool_file_closed_underneath_is_followed_by_the_next(void **state)
{
    char command[160];
    pid_t child;

    (void)state;
#if UNDER_TSAN
    skip();
#endif
    child = fork();
    if (child == 0)
        _exit(record_over_closed_descriptors(open_spooling()));
    expect_child_ok(child);
    snprintf(command, sizeof(command), "test $(cat %s/*1.jsonl | wc -l) = 100", spool_dir);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof(command), "test $(cat %s/*2.jsonl | wc -l) = 100", spool_dir);
    assert_int_equal(system(command), 0);
}

static void a_child_that_never_records_leaves_everything_alone(void **state)
{
    struct ailive *instance = open_here();
    struct ailive_stats stats;
    char path[PRODUCERS_PATH_BYTES];
    pid_t child;

    (void)state;
    ailive_record_action(instance, AILIVE_FILL);
    child = fork();
    if (child == 0) {
        bool fine = ailive_stats(instance, &stats) == AILIVE_OK && stats.recorded == 0 &&
                    ailive_flush(instance, 0) == AILIVE_OK && ailive_close(instance, 0) == AILIVE_OK &&
                    producers_count(runtime_dir, path) == 1;
        _exit(!fine);
    }
    expect_child_ok(child);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(rep_peer_rows(&peer), 1);
}

static int grandchild_of(struct ailive *instance)
{
    int status = 0;
    pid_t grandchild;

    if (ailive_record_action(instance, AILIVE_SUBMIT) != AILIVE_OK)
        return 1;
    grandchild = fork();
    if (grandchild == 0)
        _exit(ailive_record_action(instance, AILIVE_CANCEL) != AILIVE_OK ||
              ailive_close(instance, WAIT_MS) != AILIVE_OK);
    if (waitpid(grandchild, &status, 0) != grandchild || status != 0)
        return 2;
    return ailive_close(instance, WAIT_MS) != AILIVE_OK;
}

static void a_grandchild_records_too(void **state)
{
    struct ailive *instance;
    pid_t child;

    (void)state;
#if UNDER_TSAN
    skip();
#endif
    instance = open_here();
    assert_int_equal(ailive_record_action(instance, AILIVE_FILL), AILIVE_OK);
    child = fork();
    if (child == 0)
        _exit(grandchild_of(instance));
    expect_child_ok(child);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(rep_peer_rows(&peer), 3);
}

static void a_childs_memory_sink_starts_empty(void **state)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT;
    struct ailive *instance;
    struct ailive_record record;
    pid_t child;

    (void)state;
    options.memory_sink = 1;
    assert_int_equal(ailive_open(&options, &instance), AILIVE_OK);
    ailive_record_action(instance, AILIVE_FILL);
    child = fork();
    if (child == 0) {
        bool fine = ailive_memory_read(instance, &record) == 0 &&
                    ailive_record_action(instance, AILIVE_CANCEL) == AILIVE_OK &&
                    ailive_memory_read(instance, &record) == 1 && record.action == AILIVE_CANCEL &&
                    ailive_memory_read(instance, &record) == 0;
        _exit(!fine);
    }
    expect_child_ok(child);
    assert_int_equal(ailive_memory_read(instance, &record), 1);
    assert_int_equal(record.action, AILIVE_FILL);
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
}

static void *fork_while_busy(void *context)
{
    for (int i = 0; i < 200000; i++) {
        (void)ailive_record_action(context, AILIVE_FILL);
        if (i % 1000 == 0) { /* keep the locks of the slow path busy */
            pthread_t thread;
            if (pthread_create(&thread, NULL, record_ten, context) == 0)
                pthread_join(thread, NULL);
        }
    }
    return NULL;
}

/* Whatever the other threads held at that instant, the child must find unlocked. */
static void a_child_forked_amid_busy_threads_never_hangs(void **state)
{
    struct ailive *instance;
    pthread_t threads[3];

    (void)state;
#if UNDER_TSAN || UNDER_ASAN
    skip();
#endif
    instance = open_here();
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fork_while_busy, instance), 0);
    for (int i = 0; i < 30; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            _exit(ailive_record_action(instance, AILIVE_FILL) != AILIVE_OK ||
                  ailive_close(instance, WAIT_MS) != AILIVE_OK);
        }
        expect_child_ok(child);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(ailive_close(instance, WAIT_MS), AILIVE_OK);
    assert_int_equal(rep_peer_gaps(&peer), 0);
}

static void statuses_have_texts(void **state)
{
    (void)state;
    for (int status = 0; status >= AILIVE_ENOTSUP; status--)
        assert_string_not_equal(ailive_strerror(status), "unknown status");
    assert_string_equal(ailive_strerror(1), "unknown status");
    assert_string_equal(ailive_strerror(AILIVE_ENOTSUP - 1), "unknown status");
    assert_string_equal(ailive_strerror(INT32_MIN), "unknown status");
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(eight_threads_arrive_exactly_once_and_in_order),
        TEST(a_returned_ring_is_reused_and_counts_on),
        TEST(a_record_in_a_thread_destructor_claims_again),
        TEST(two_instances_on_one_thread_keep_their_records_apart),
        TEST(counters_may_start_just_before_any_wrap),
        TEST(without_a_ring_drops_are_counted_and_a_ring_comes_once_there_is_room),
        TEST(after_close_every_thread_is_a_counted_no_op),
        TEST(a_thread_that_outlives_instances_goes_on_in_the_next),
        TEST(a_close_beside_recording_threads_is_safe),
        TEST(calls_on_null_are_counted_for_the_process),
        TEST(disabled_makes_nothing_and_counts),
        TEST(options_of_a_newer_header_are_taken_while_what_is_new_in_them_is_zero),
        TEST(wrong_options_give_a_status_and_make_nothing),
        TEST(the_environment_fills_what_options_leave_open),
        TEST(sixty_four_instances_may_be_open),
        TEST(registered_names_have_a_limit),
        TEST(the_folder_is_locked_while_open_and_gone_after_close),
        TEST(the_shipper_blocks_every_signal_and_the_host_none_more),
        TEST(signals_that_interrupt_records_cost_none_and_double_none),
        TEST(a_forked_child_records_under_an_id_of_its_own),
        TEST(a_child_of_bare_Fork_does_too),
        TEST(a_child_keeps_no_descriptor_of_its_parents),
        TEST(nor_does_a_child_of_bare_Fork_once_it_has_called),
        TEST(a_child_does_not_hold_the_lock_of_its_dead_parent),
        TEST(nor_does_a_child_of_bare_Fork),
        TEST(a_socket_closed_underneath_is_replaced_and_its_number_left_alone),
        TEST(a_spool_file_closed_underneath_is_followed_by_the_next),
        TEST(a_child_that_never_records_leaves_everything_alone),
        TEST(a_grandchild_records_too),
        TEST(a_childs_memory_sink_starts_empty),
        TEST(a_child_forked_amid_busy_threads_never_hangs),
        TEST(statuses_have_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
