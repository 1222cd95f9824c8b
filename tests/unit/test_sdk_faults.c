/* test_sdk_faults.c - the SDK with each of its system calls failing in turn: never a crash, a hang or a leak,
 * and what was recorded is a line of the spool, in a ring that stays, or a counted drop.
 *
 * Each run is a process of its own: the Nth call of those wrapped below fails, once or from then on, N from 1
 * until the scenario ends without having got that far. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/instance.h"
#include "support/producers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS  2
#define CALLS    400 /* a thread's records fit into its ring, and into several spool files */
#define RECORDS  ((uint64_t)CALLS * THREADS)
#define RINGS    4
#define RUNS_MAX 400
#define RUNS_MIN 12 /* fewer would mean that the wrapping has come undone */
#define HUNG_S   60
#define TEXT_MAX (1u << 20)

/* ---- system calls that fail ---- */

static struct {
    bool armed, lasting;
    int nth, calls;
    bool reached;
} faults;

static bool fault(int error)
{
    int call;

    if (!__atomic_load_n(&faults.armed, __ATOMIC_SEQ_CST))
        return false;
    call = __atomic_add_fetch(&faults.calls, 1, __ATOMIC_SEQ_CST);
    if (call != faults.nth && !(faults.lasting && call > faults.nth))
        return false;
    __atomic_store_n(&faults.reached, true, __ATOMIC_SEQ_CST);
    errno = error;
    return true;
}

static void arm(bool armed)
{
    __atomic_store_n(&faults.armed, armed, __ATOMIC_SEQ_CST);
}

#define WRAP(result, name, parameters)                                                                       \
    result __real_##name parameters;                                                                         \
    result __wrap_##name parameters;                                                                         \
    result __wrap_##name parameters

WRAP(void *, calloc, (size_t n, size_t len))
{
    return fault(ENOMEM) ? NULL : __real_calloc(n, len);
}

WRAP(void *, mmap, (void *at, size_t len, int access, int flags, int fd, off_t from))
{
    return fault(ENOMEM) ? MAP_FAILED : __real_mmap(at, len, access, flags, fd, from);
}

WRAP(int, madvise, (void *at, size_t len, int advice))
{
    return fault(EINVAL) ? -1 : __real_madvise(at, len, advice);
}

WRAP(int, open, (const char *path, int flags, mode_t mode))
{
    return fault(EMFILE) ? -1 : __real_open(path, flags, mode);
}

WRAP(ssize_t, write, (int fd, const void *data, size_t len))
{
    return fault(ENOSPC) ? -1 : __real_write(fd, data, len);
}

WRAP(int, ftruncate, (int fd, off_t len))
{
    return fault(EIO) ? -1 : __real_ftruncate(fd, len);
}

WRAP(int, posix_fallocate, (int fd, off_t from, off_t len))
{
    return fault(ENOSPC) ? ENOSPC : __real_posix_fallocate(fd, from, len);
}

WRAP(int, rename, (const char *from, const char *to))
{
    return fault(EIO) ? -1 : __real_rename(from, to);
}

WRAP(int, mkdir, (const char *path, mode_t mode))
{
    return fault(ENOSPC) ? -1 : __real_mkdir(path, mode);
}

WRAP(int, fcntl, (int fd, int command, void *argument))
{
    return fault(ENOLCK) ? -1 : __real_fcntl(fd, command, argument);
}

WRAP(int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *how, void *(*run)(void *), void *context))
{
    return fault(EAGAIN) ? EAGAIN : __real_pthread_create(thread, how, run, context);
}

WRAP(int, pthread_key_create, (pthread_key_t * key, void (*end)(void *)))
{
    return fault(EAGAIN) ? EAGAIN : __real_pthread_key_create(key, end);
}

WRAP(int, pthread_setspecific, (pthread_key_t key, const void *value))
{
    return fault(ENOMEM) ? ENOMEM : __real_pthread_setspecific(key, value);
}

/* ---- what a run leaves behind ---- */

static char base[64], runtime_dir[80], spool_dir[80];

static int entries_of(const char *folder)
{
    DIR *dir = opendir(folder);
    int n = 0;

    while (dir && readdir(dir) != NULL)
        n++;
    if (dir)
        closedir(dir);
    return n;
}

/* Open descriptors: the entries "." and ".." and the listing's own are the same every time. */
static int descriptors(void)
{
    return entries_of("/proc/self/fd");
}

/* Mappings of files below the test's folder. */
static int mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[1024];
    int n = 0;

    while (maps && fgets(line, sizeof(line), maps))
        n += strstr(line, base) != NULL;
    if (maps)
        fclose(maps);
    return n;
}

static bool seen[RINGS][RECORDS];
static uint64_t doors[RINGS][LAYOUT_DOOR_WORDS];

static void saw(uint64_t ring, uint64_t first, uint64_t count)
{
    for (uint64_t seq = first; ring < RINGS && seq < first + count && seq < RECORDS; seq++)
        seen[ring][seq] = true;
}

static void saw_door(uint64_t ring, unsigned reason, uint64_t value)
{
    if (ring < RINGS && value > doors[ring][reason])
        doors[ring][reason] = value;
}

static uint64_t number_after(const char *line, const char *key, uint64_t otherwise)
{
    const char *at = strstr(line, key);

    return at ? strtoull(at + strlen(key), NULL, 10) : otherwise;
}

static void saw_line(const char *line)
{
    const char *sid = strstr(line, "\"sid\":\"");
    uint64_t ring = sid ? number_after(sid, ".", RINGS) : RINGS;

    if (strstr(line, "\"event\":\"door\"")) {
        saw_door(ring, EVENT_DROP_RING_FULL, number_after(line, "\"ring_full\":", 0));
        saw_door(ring, EVENT_DROP_NO_RING, number_after(line, "\"no_ring\":", 0));
    } else {
        saw(ring, number_after(line, "\"seq\":", UINT64_MAX), number_after(line, "\"count\":", 1));
    }
}

/* Whole lines only, as the sidecar reads them. */
static void saw_spool_file(const char *path)
{
    static char text[TEXT_MAX];
    FILE *file = fopen(path, "r");
    size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    char *line = text, *end;

    text[len] = '\0';
    for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        saw_line(line);
    }
    if (file)
        fclose(file);
}

static void saw_ring(const char *path)
{
    struct layout_ring header;
    FILE *file = fopen(path, "r");
    bool whole = file && fread(&header, sizeof(header), 1, file) == 1;

    if (file)
        fclose(file);
    if (!whole)
        return;
    saw(header.number, header.tail, header.head - header.tail);
    for (size_t i = 0; i < LAYOUT_RANGE_DROPS; i++)
        saw(header.number, header.drops[i].first, header.drops[i].end - header.drops[i].first);
    for (unsigned reason = 0; reason < EVENT_DROP_DOORS; reason++)
        saw_door(header.number, reason, header.door[reason]);
}

static void saw_below(const char *folder, const char *part, void (*look)(const char *path))
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[PRODUCERS_PATH_BYTES];

    while (dir && (entry = readdir(dir)) != NULL)
        if (strstr(entry->d_name, part) &&
            snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) < (int)sizeof(path))
            look(path);
    if (dir)
        closedir(dir);
}

static int folders_seen;

/* A folder whose owner has let go of it. */
static void saw_folder(const char *path)
{
    if (!producers_lock_is_free(path))
        return;
    folders_seen++;
    saw_below(path, "ring-", saw_ring);
}

static uint64_t records_seen(void)
{
    uint64_t n = 0;

    for (size_t ring = 0; ring < RINGS; ring++)
        for (uint64_t seq = 0; seq < RECORDS; seq++)
            n += seen[ring][seq];
    return n;
}

static uint64_t door_drops_seen(void)
{
    uint64_t n = 0;

    for (size_t ring = 0; ring < RINGS; ring++)
        for (unsigned reason = 0; reason < EVENT_DROP_DOORS; reason++)
            n += doors[ring][reason];
    return n;
}

/* ---- one run, in a process of its own ---- */

enum verdict {
    HELD_REACHED = 0, /* all claims hold, the fault was reached */
    HELD_UNREACHED = 1,
    BROKEN = 2
};

static void claim(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "call %d%s: not so: %s\n", faults.nth, faults.lasting ? " and all after it" : "", what);
    _exit(BROKEN);
}

static struct ailive_options options_here(void)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT;
    static char url[96];

    snprintf(url, sizeof(url), "ipc://%s/nobody.sock", base);
    options.ipc_url = url;
    options.runtime_dir = runtime_dir;
    options.spool_dir = spool_dir;
    options.ring_records = 1024;
    options.spool_after_ms = 1;
    options.spool_file_bytes = options.spool_max_bytes = 65536;
    options.spool_max_bytes = 1 << 20;
    return options;
}

struct recorder {
    struct ailive *instance;
    uint64_t taken, refused;
};

static void *record(void *context)
{
    struct recorder *recorder = context;

    for (int i = 0; i < CALLS; i++)
        if (ailive_record_decision(recorder->instance, AILIVE_ACCEPT, AILIVE_REASON_NONE, AILIVE_SUBMIT, i) ==
            AILIVE_OK)
            recorder->taken++;
        else
            recorder->refused++;
    return NULL;
}

static struct recorder record_in_threads(struct ailive *instance)
{
    struct recorder recorders[THREADS] = {{.instance = instance}, {.instance = instance}}, sum = {0};
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        claim(__real_pthread_create(&threads[i], NULL, record, &recorders[i]) == 0, "the test has threads");
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        sum.taken += recorders[i].taken;
        sum.refused += recorders[i].refused;
    }
    return sum;
}

/* Records, closes, and accounts for every call. standing: folders of others that are there. */
static void record_and_account(struct ailive *instance, int standing)
{
    struct ailive_stats before, after;
    char path[PRODUCERS_PATH_BYTES] = "";
    struct recorder sum = record_in_threads(instance);
    bool started;
    int status;

    (void)ailive_flush(instance, 15);
    ailive_stats(instance, &before);
    started = instance->live->started;
    status = ailive_close(instance, 0);
    arm(false);
    ailive_stats(instance, &after);
    claim(sum.taken + sum.refused == RECORDS, "every call returned");
    claim(before.recorded == sum.taken, "recorded counts the calls that were taken");
    claim(before.dropped_full + before.dropped_ring == sum.refused, "drops count those that were not");
    claim(status == AILIVE_OK || status == AILIVE_ETIMEDOUT, "close says whether all is out");
    claim(producers_count(runtime_dir, path) == standing + (status != AILIVE_OK),
          "a folder stays only with records in it");
    if (!started)
        return; /* a forked child without a folder: nothing was taken, its drops are in its counters alone */
    claim(after.recorded == after.shipped + after.spooled + after.dropped_spool + after.pending, "sums up");
    saw_below(spool_dir, ".jsonl", saw_spool_file);
    saw_below(runtime_dir, "", saw_folder);
    claim(folders_seen == (status != AILIVE_OK), "what stays can be salvaged");
    claim(records_seen() == sum.taken, "every record is in the spool or in a ring");
    claim(door_drops_seen() == sum.refused, "every refusal is in a door word");
}

static struct ailive *open_or_nothing_left(void)
{
    struct ailive_options options = options_here();
    struct ailive *instance;

    if (ailive_open(&options, &instance) == AILIVE_OK)
        return instance;
    arm(false);
    claim(instance == NULL, "no instance comes of a failed open");
    claim(entries_of(runtime_dir) <= 2, "a failed open leaves no folder");
    claim(entries_of(spool_dir) <= 2, "a failed open leaves no spool file");
    return NULL;
}

static void run_whole_life(void)
{
    int open_before = descriptors();
    struct ailive *instance;

    arm(true);
    instance = open_or_nothing_left();
    if (instance)
        record_and_account(instance, 0);
    claim(process_slot_take() == 0, "the place among the instances is given back");
    claim(descriptors() == open_before, "no descriptor is left open");
    claim(mappings() == 0, "no file is left mapped");
}

/* Waits until the shipper has slept once: a sanitizer's own locks, which a thread takes while it starts, are
 * not released in a child forked meanwhile. */
static void wait_for_sleep(const struct ailive *instance)
{
    struct ailive_stats stats = {0};

    for (int i = 0; i < HUNG_S * 1000 && stats.wakeups == 0; i++) {
        usleep(1000);
        ailive_stats(instance, &stats);
    }
    claim(stats.wakeups > 0, "the shipper sleeps and wakes");
}

/* The instance is opened before the faults begin; what fails is a forked child's start and life. */
static void run_in_forked_child(void)
{
    struct ailive_options options = options_here();
    struct ailive *instance;
    int status;
    pid_t child;

    claim(ailive_open(&options, &instance) == AILIVE_OK, "the parent opens");
    wait_for_sleep(instance);
    child = fork();
    if (child == 0) {
        int open_before = descriptors();
        alarm(HUNG_S);
        arm(true);
        record_and_account(instance, 1);
        claim(descriptors() == open_before, "no descriptor is left open");
        claim(mappings() == 0, "no file is left mapped");
        _exit(faults.reached ? HELD_REACHED : HELD_UNREACHED);
    }
    claim(waitpid(child, &status, 0) == child && WIFEXITED(status), "the child neither crashes nor hangs");
    claim(ailive_close(instance, 0) == AILIVE_OK, "the parent closes");
    _exit(WEXITSTATUS(status));
}

/* ---- all runs ---- */

static void remove_base(void)
{
    char command[96];

    snprintf(command, sizeof(command), "rm -rf '%s'", base);
    assert_int_equal(system(command), 0);
}

static enum verdict run_one(void (*run)(void), int nth, bool lasting)
{
    int status;
    pid_t child;

    snprintf(base, sizeof(base), "/tmp/ailive-faults-XXXXXX");
    assert_non_null(mkdtemp(base));
    snprintf(runtime_dir, sizeof(runtime_dir), "%s/run", base);
    snprintf(spool_dir, sizeof(spool_dir), "%s/spool", base);
    child = fork();
    if (child == 0) {
        alarm(HUNG_S);
        faults.nth = nth;
        faults.lasting = lasting;
        run();
        _exit(faults.reached ? HELD_REACHED : HELD_UNREACHED);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    remove_base();
    if (!WIFEXITED(status))
        fail_msg("call %d: the process ended with signal %d", nth, WTERMSIG(status));
    return (enum verdict)WEXITSTATUS(status);
}

static void run_until_unreached(void (*run)(void), bool lasting)
{
    enum verdict verdict = HELD_REACHED;
    int nth = 0;

    while (verdict == HELD_REACHED && nth < RUNS_MAX) {
        verdict = run_one(run, ++nth, lasting);
    }
    assert_int_equal(verdict, HELD_UNREACHED);
    print_message("%d calls failed in turn\n", nth - 1);
    assert_in_range(nth, RUNS_MIN, RUNS_MAX);
}

static void any_one_call_may_fail(void **state)
{
    (void)state;
    run_until_unreached(run_whole_life, false);
}

static void any_call_and_all_after_it_may_fail(void **state)
{
    (void)state;
    run_until_unreached(run_whole_life, true);
}

static void any_one_call_of_a_forked_child_may_fail(void **state)
{
    (void)state;
    run_until_unreached(run_in_forked_child, false);
}

static void any_call_of_a_forked_child_and_all_after_it_may_fail(void **state)
{
    (void)state;
    run_until_unreached(run_in_forked_child, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_one_call_may_fail),
        cmocka_unit_test(any_call_and_all_after_it_may_fail),
        cmocka_unit_test(any_one_call_of_a_forked_child_may_fail),
        cmocka_unit_test(any_call_of_a_forked_child_and_all_after_it_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
