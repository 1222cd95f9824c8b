/* test_rescue.c - without a sidecar the next producer moves what a dead one left into the spool, whole lines
 * and once, and what the sidecar makes of it later is exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder_check.h"
#include "ingest.h"
#include "producer_check.h"
#include "series_check.h"
#include "spool_reader.h"

#include "src/rescue.h"
#include "support/producers.h"

#include <wire/spool.h>

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

static char runtime[128], spool[128], logged[65536];
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static int begin(void **context)
{
    (void)context;
    if (folder_make() != 0)
        return -1;
    snprintf(runtime, sizeof(runtime), "%s/runtime", folder);
    snprintf(spool, sizeof(spool), "%s/spool", folder);
    logged[0] = '\0';
    producer_named(1);
    return mkdir(runtime, 0700);
}

static int end(void **context)
{
    (void)context;
    if (owner_fd >= 0)
        owner_dies();
    return folder_remove_all();
}

/* ---- producers ---- */

static void log_line(void *context, enum ailive_log_level level, const char *line)
{
    (void)context;
    (void)level;
    pthread_mutex_lock(&log_lock);
    strncat(logged, line, sizeof(logged) - strlen(logged) - 2);
    strcat(logged, "\n");
    pthread_mutex_unlock(&log_lock);
}

static unsigned times_logged(const char *text)
{
    unsigned n = 0;

    pthread_mutex_lock(&log_lock);
    for (const char *at = logged; (at = strstr(at, text)) != NULL; at += strlen(text))
        n++;
    pthread_mutex_unlock(&log_lock);
    return n;
}

static struct ailive_options options_here(uint32_t spool_after_ms)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT;

    options.runtime_dir = runtime;
    options.spool_dir = spool;
    options.ipc_url = "ipc:///nonexistent/socket";
    options.ring_records = 4096;
    options.spool_after_ms = spool_after_ms;
    options.log = log_line;
    return options;
}

static struct ailive *open_with(const struct ailive_options *options)
{
    struct ailive *instance;

    assert_int_equal(ailive_open(options, &instance), AILIVE_OK);
    return instance;
}

/* One that finds out at once that no sidecar answers, and so looks for the dead. */
static struct ailive *rescuer_open(void)
{
    struct ailive_options options = options_here(1);
    struct ailive *instance = open_with(&options);

    assert_int_equal(ailive_record_action(instance, AILIVE_FILL), AILIVE_OK);
    return instance;
}

static const struct ailive_scope own = {AILIVE_COMPONENT_DEFAULT, AILIVE_RUN_ID_DEFAULT};

/* The only folder there is names `producer`. */
static void producer_is_the_only_one(void)
{
    DIR *listing = opendir(runtime);
    const struct dirent *entry;
    bool found = false;

    while ((entry = readdir(listing)) != NULL)
        found = found || event_producer_parse(entry->d_name, strlen(entry->d_name), &producer);
    closedir(listing);
    assert_true(found);
    event_producer_format(&producer, hex);
}

/* A process that records n decisions whose time and latency are their number, and one with a reason of its
 * own first used in it, and is killed. */
static void producer_is_killed(int64_t n)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        struct ailive_options options = options_here(60000);
        struct ailive *instance;
        ailive_name reason;

        if (ailive_open(&options, &instance) != 0)
            _exit(9);
        for (int64_t i = 0; i < n; i++)
            if (ailive_record_decision_for(instance, own, i, AILIVE_REJECT, AILIVE_REASON_COOLDOWN,
                                           AILIVE_ACTION_NONE, i) != 0)
                _exit(8);
        if (ailive_register(instance, AILIVE_NAME_REASON, "brand_new", &reason) != 0 ||
            ailive_record_decision_for(instance, own, n, AILIVE_REJECT, reason, AILIVE_ACTION_NONE, n) != 0)
            _exit(7);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    producer_is_the_only_one();
}

/* A dead producer's folder made by hand: records [tail, head). */
static void hand_made(uint64_t tail, uint64_t head)
{
    folder_begin();
    names_put();
    ring_put(ring_make(tail, head));
    file_append(path_of("lock"), "pid=1\nspool=\n");
    owner_dies();
}

static bool folder_gone(void)
{
    return !file_there(path_of(""));
}

static bool within(bool (*condition)(void))
{
    for (unsigned i = 0; i < 6000; i++) {
        if (condition())
            return true;
        usleep(10000);
    }
    return false;
}

/* ---- the spool ---- */

/* The lines of the producer's spool files, one file after the other. Released by the caller. */
static char *spool_text(void)
{
    char *text = calloc(1, 16 << 20), name[SPOOL_NAME_BYTES], path[192];
    size_t len = 0;

    for (uint64_t n = 1; n < 100; n++) {
        int fd;

        spool_file_name(&producer, n, name);
        snprintf(path, sizeof(path), "spool/%s", name);
        fd = open(in_folder(path), O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        len += (size_t)read(fd, text + len, (16 << 20) - 1 - len);
        close(fd);
    }
    return text;
}

static const char *expect_line(const char *at, const char *want, size_t len)
{
    assert_memory_equal(at, want, len);
    return at + len;
}

static const char *expect_decision(const char *at, uint64_t seq, const char *reason)
{
    char want[SPOOL_LINE_MAX_BYTES];
    struct spool_record record = {.producer = producer, .ring = 1, .seq = seq};

    record.row.kind = AILIVE_KIND_DECISION;
    record.row.decision = AILIVE_REJECT;
    record.row.time_ns = record.row.latency_ns = (int64_t)seq;
    record.reason = (struct spool_text){reason, strlen(reason)};
    record.component = (struct spool_text){"execution_watch", 15};
    record.run_id = (struct spool_text){"na", 2};
    return expect_line(at, want, spool_format_record(&record, want));
}

static const char *expect_drop(const char *at, uint64_t first, uint64_t count, enum event_drop reason)
{
    char want[SPOOL_LINE_MAX_BYTES];

    return expect_line(at, want, spool_format_drop(&producer, 1, first, count, reason, want));
}

/* ---- a sidecar that comes later ---- */

static struct aggregate *aggregate;
static struct state *state;
static struct ingest *ingest;

static void sidecar_begins(void)
{
    char error[256];

    aggregate = aggregate_new(NULL);
    if (state_open(in_folder("state"), &state, error, sizeof(error)) != 0 ||
        ingest_open(aggregate, state, &ingest, error, sizeof(error)) != 0)
        fail_msg("%s", error);
}

static void sidecar_reads_the_spool(void)
{
    struct contract *contract = contract_new(NULL);
    struct spool_reader *reader = spool_reader_new(ingest, contract, runtime);

    spool_reader_add(reader, spool);
    while (spool_reader_tick(reader))
        ;
    spool_reader_free(reader);
    contract_free(contract);
}

static void sidecar_ends(void)
{
    ingest_close(ingest);
    state_close(state);
    aggregate_free(aggregate);
}

static uint64_t counted(void)
{
    return series_total(aggregate, "peaktrade_ai_decisions_total", "");
}

static uint64_t dropped(const char *reason)
{
    return series_total(aggregate, "ailive_events_dropped_total", reason);
}

static uint64_t duplicates(void)
{
    return series_total(aggregate, "ailive_events_duplicate_total", "");
}

/* ---- moving ---- */

static void what_a_killed_producer_left_moves_into_its_spool_exactly(void **context)
{
    struct ailive *instance;
    const char *at;
    char *text;

    (void)context;
    producer_is_killed(3000);
    instance = rescuer_open();
    assert_true(within(folder_gone));
    assert_int_equal(ailive_close(instance, 1000), AILIVE_OK);
    assert_int_equal(files_count("runtime", ""), 2); /* . and .. */
    at = text = spool_text();
    for (uint64_t seq = 0; seq < 3000; seq++)
        at = expect_decision(at, seq, "cooldown");
    at = expect_decision(at, 3000, "brand_new");
    at = expect_drop(at, 0, 3001, EVENT_DROP_LOST);
    assert_string_equal(at, "");
    free(text);
}

static void a_producer_that_ends_without_a_sidecar_does_it_too(void **context)
{
    struct ailive_options options = options_here(60000);
    struct ailive *instance;

    (void)context;
    producer_is_killed(100);
    instance = open_with(&options);
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
    assert_true(folder_gone());
    sidecar_begins();
    sidecar_reads_the_spool();
    assert_int_equal(counted(), 101);
    assert_int_equal(dropped(""), 0);
    assert_int_equal(duplicates(), 0);
    sidecar_ends();
}

static void drops_and_door_words_move_too(void **context)
{
    struct ring_file *ring = ring_make(20, 25);

    (void)context;
    folder_begin();
    names_put();
    ring->header.drops[0] = (struct layout_range_drop){0, 15, EVENT_DROP_SPOOL_FULL, 0};
    ring->header.drops[3] = (struct layout_range_drop){15, 23, EVENT_DROP_REFUSED, 0}; /* up to the tail */
    ring->header.door[EVENT_DROP_RING_FULL] = 4;
    ring_put(ring);
    file_append(path_of("lock"), "spool=\n");
    owner_dies();
    assert_int_equal(ailive_close(rescuer_open(), 0), AILIVE_OK);
    assert_true(folder_gone());
    sidecar_begins();
    sidecar_reads_the_spool();
    assert_int_equal(counted(), 5);
    assert_int_equal(dropped("spool_full"), 15);
    assert_int_equal(dropped("refused"), 5);
    assert_int_equal(dropped("ring_full"), 4);
    assert_int_equal(dropped("lost"), 0);
    sidecar_ends();
}

static void what_a_lost_state_had_acknowledged_counts_as_lost(void **context)
{
    struct ingest_unit unit = {.road = ROAD_NNG, .run_count = 1};
    struct ingest_run run;

    (void)context;
    hand_made(10, 12);
    run = (struct ingest_run){producer, 1, 0, 4, EVENT_DROP_REFUSED, 0}; /* the state still knows of these */
    unit.runs = &run;
    assert_int_equal(ailive_close(rescuer_open(), 0), AILIVE_OK);
    assert_true(folder_gone());
    sidecar_begins();
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_COMMITTED);
    sidecar_reads_the_spool();
    assert_int_equal(counted(), 2);
    assert_int_equal(dropped("lost"), 6);
    assert_int_equal(duplicates(), 0);
    sidecar_ends();
}

static void a_rescue_done_twice_counts_once(void **context)
{
    char command[400];

    (void)context;
    producer_is_killed(1000);
    snprintf(command, sizeof(command), "cp -a %s/%s %s/before", runtime, hex, folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(ailive_close(rescuer_open(), 0), AILIVE_OK);
    assert_true(folder_gone());
    snprintf(command, sizeof(command), "mv %s/before %s/%s", folder, runtime, hex);
    assert_int_equal(system(command), 0);
    assert_int_equal(ailive_close(rescuer_open(), 0), AILIVE_OK);
    assert_true(folder_gone());
    assert_int_equal(files_count("spool", hex), 2); /* the first is not written into again */
    sidecar_begins();
    sidecar_reads_the_spool();
    assert_int_equal(counted(), 1001);
    assert_int_equal(dropped(""), 0);
    assert_int_equal(duplicates(), 1001);
    sidecar_ends();
}

static void two_rescuers_at_once_count_once(void **context)
{
    struct ailive *instances[2];

    (void)context;
    for (unsigned char n = 1; n <= 12; n++) {
        producer_named(n);
        hand_made(0, 50);
    }
    for (unsigned i = 0; i < 2; i++)
        instances[i] = rescuer_open();
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(ailive_close(instances[i], 0), AILIVE_OK);
    assert_int_equal(files_count("runtime", "18"), 0);
    sidecar_begins();
    sidecar_reads_the_spool();
    assert_int_equal(counted(), 600);
    assert_int_equal(dropped(""), 0);
    assert_int_equal(duplicates(), 0);
    sidecar_ends();
}

static void a_file_that_is_there_is_not_written_into(void **context)
{
    char path[192], name[SPOOL_NAME_BYTES];
    char *text;

    (void)context;
    hand_made(0, 3);
    assert_int_equal(mkdir(spool, 0700), 0);
    spool_file_name(&producer, 7, name);
    snprintf(path, sizeof(path), "spool/%s", name);
    file_append(path, "its own\n");
    assert_int_equal(ailive_close(rescuer_open(), 0), AILIVE_OK);
    text = spool_text();
    assert_memory_equal(text, "its own\n{", 9);
    free(text);
    spool_file_name(&producer, 8, name);
    snprintf(path, sizeof(path), "spool/%s", name);
    assert_true(file_there(path));
}

/* ---- the cap ---- */

static uint64_t ring_tail_now(void)
{
    struct layout_ring header;
    int fd = open(in_folder(path_of("ring-1")), O_RDONLY | O_CLOEXEC);

    assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
    close(fd);
    return header.tail;
}

static void beyond_the_cap_it_stays_and_goes_on_where_it_stopped(void **context)
{
    struct ailive_options options = options_here(1);
    uint64_t tail;

    (void)context;
    options.spool_max_bytes = 131072;
    producer_is_killed(3000);
    assert_int_equal(ailive_close(open_with(&options), 0), AILIVE_OK);
    assert_false(folder_gone());
    assert_int_equal(times_logged("at its limit"), 1);
    tail = ring_tail_now();
    assert_in_range(tail, 1, 2999);
    sidecar_begins();
    sidecar_reads_the_spool();
    assert_int_equal(counted(), tail);
    options.spool_max_bytes = 0;
    assert_int_equal(ailive_close(open_with(&options), 0), AILIVE_OK);
    assert_true(folder_gone());
    sidecar_reads_the_spool();
    assert_int_equal(counted(), 3001);
    assert_int_equal(dropped(""), 0);
    assert_int_equal(duplicates(), 0);
    sidecar_ends();
}

/* No file may grow beyond 8 KiB: a chunk of lines is cut short, and taken back. */
static void a_write_that_is_cut_short_moves_no_tail(void **context)
{
    struct ailive_options options = options_here(60000);
    struct ailive *instance;
    struct rlimit before, little;

    (void)context;
    producer_is_killed(3000);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little = before;
    little.rlim_cur = 8192;
    signal(SIGXFSZ, SIG_IGN);
    instance = open_with(&options);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(times_logged("stays in"), 1);
    assert_int_equal(ring_tail_now(), 0);
    assert_int_equal(ailive_close(open_with(&options), 0), AILIVE_OK);
    assert_true(folder_gone());
    sidecar_begins();
    sidecar_reads_the_spool();
    assert_int_equal(counted(), 3001);
    assert_int_equal(dropped(""), 0);
    sidecar_ends();
}

/* A spool file of somebody else's, so that `room` bytes are left below a cap of 64 KiB. */
static void spool_is_filled(size_t room)
{
    char *filler = calloc(1, 65536), path[192], name[SPOOL_NAME_BYTES];

    assert_int_equal(mkdir(spool, 0700), 0);
    spool_file_name(&(struct event_producer){{0x18, 99}}, 1, name);
    snprintf(path, sizeof(path), "spool/%s", name);
    file_put(path, O_CREAT, filler, 65536 - room);
    free(filler);
}

static void the_cap_is_that_of_the_whole_folder(void **context)
{
    struct ailive_options options = options_here(60000);

    (void)context;
    options.spool_max_bytes = 65536;
    hand_made(0, 3);
    spool_is_filled(0);
    assert_int_equal(ailive_close(open_with(&options), 0), AILIVE_OK);
    assert_int_equal(ring_tail_now(), 0);
}

/* Its owner was killed after it wrote the entry and before it moved the tail. */
static void half_a_drop_stands_for_nothing_when_the_tail_moves_later(void **context)
{
    struct ailive_options options = options_here(60000);
    struct ring_file *ring = ring_make(0, CAPACITY);

    (void)context;
    options.spool_max_bytes = 65536;
    folder_begin();
    names_put();
    ring->header.drops[7] = (struct layout_range_drop){0, CAPACITY, EVENT_DROP_SPOOL_FULL, 0};
    ring_put(ring);
    file_append(path_of("lock"), "spool=\n");
    owner_dies();
    spool_is_filled(6000);
    assert_int_equal(ailive_close(open_with(&options), 0), AILIVE_OK);
    assert_in_range(ring_tail_now(), 1, CAPACITY - 1);
    options.spool_max_bytes = 0;
    assert_int_equal(ailive_close(open_with(&options), 0), AILIVE_OK);
    assert_true(folder_gone());
    sidecar_begins();
    sidecar_reads_the_spool();
    assert_int_equal(counted(), CAPACITY);
    assert_int_equal(dropped("spool_full"), 0);
    assert_int_equal(duplicates(), 0);
    sidecar_ends();
}

/* ---- a host that closes every descriptor it does not know, and uses the numbers for its own ---- */

#define HOST_FDS        256
#define HOST_FILE_BYTES (256u << 10) /* as long as a ring's: what is read from it by mistake is there */

static struct {
    int nth, calls; /* behind this write of the rescue it does so; 0: never */
    bool before[HOST_FDS], taken[HOST_FDS];
    int file_fd, runtime_fd, folder_fd; /* its own */
    char dead[PRODUCERS_PATH_BYTES];
    bool lock_was_free;
} host;

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

/* A file, a folder that looks like a runtime folder, and one that looks like a producer's. */
static void host_has_its_own(void)
{
    static const char *const files[] = {"lock", "names", "clock", "ring-1"};
    char *bytes = malloc(HOST_FILE_BYTES), path[128];

    memset(bytes, 'h', HOST_FILE_BYTES);
    file_put("host", O_CREAT, bytes, HOST_FILE_BYTES);
    free(bytes);
    assert_int_equal(mkdir(in_folder("host-runtime"), 0700), 0);
    snprintf(path, sizeof(path), "host-runtime/%s", hex);
    assert_int_equal(mkdir(in_folder(path), 0700), 0);
    assert_int_equal(mkdir(in_folder("host-folder"), 0700), 0);
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "host-folder/%s", files[i]);
        file_append(path, "its own");
    }
    snprintf(host.dead, sizeof(host.dead), "%s/%s", runtime, hex);
    host.file_fd = open(in_folder("host"), O_RDWR | O_CLOEXEC);
    host.runtime_fd = open(in_folder("host-runtime"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    host.folder_fd = open(in_folder("host-folder"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int fd = 0; fd < HOST_FDS; fd++) {
        host.before[fd] = is_open(fd);
        host.taken[fd] = false;
    }
}

static bool same_folder(int fd, const char *path)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* What of its own takes a number's place: the like of what the number stood for, where that does most harm.
 */
static int host_like(int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISDIR(st.st_mode))
        return host.file_fd;
    return same_folder(fd, runtime) ? host.runtime_fd : host.folder_fd;
}

static void host_takes_the_numbers(void)
{
    for (int fd = 0; fd < HOST_FDS; fd++)
        if (!host.before[fd] && is_open(fd))
            host.taken[fd] = dup2(host_like(fd), fd) == fd;
    host.lock_was_free = producers_lock_is_free(host.dead);
}

static void host_may_take_the_numbers(void)
{
    if (host.nth > 0 && ++host.calls == host.nth) /* one thread writes */
        host_takes_the_numbers();
}

ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t __real_pwrite(int fd, const void *data, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at);

ssize_t __wrap_write(int fd, const void *data, size_t len)
{
    ssize_t n = __real_write(fd, data, len);

    host_may_take_the_numbers();
    return n;
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at)
{
    ssize_t n = __real_pwrite(fd, data, len, at);

    host_may_take_the_numbers();
    return n;
}

/* Nobody wrote to them, removed anything in them, or closed them. */
static void host_finds_its_own(void)
{
    char *bytes = malloc(HOST_FILE_BYTES), path[128];

    for (int fd = 0; fd < HOST_FDS; fd++)
        if (host.taken[fd])
            assert_int_equal(close(fd), 0);
    assert_int_equal(pread(host.file_fd, bytes, HOST_FILE_BYTES, 0), HOST_FILE_BYTES);
    for (size_t i = 0; i < HOST_FILE_BYTES; i++)
        if (bytes[i] != 'h')
            fail_msg("byte %zu of the host's file is not the host's", i);
    free(bytes);
    snprintf(path, sizeof(path), "host-runtime/%s", hex);
    assert_true(file_there(path));
    assert_int_equal(files_count("host-folder", ""), 2 + 4);
    close(host.file_fd);
    close(host.runtime_fd);
    close(host.folder_fd);
}

/* false: the rescue is over before its nth write. */
static bool host_closes_behind_write(int nth)
{
    struct ailive_options options = options_here(60000);
    struct ailive *instance;

    producer_is_killed(1200);
    host_has_its_own();
    instance = open_with(&options);
    host.calls = 0;
    host.nth = nth;
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
    host.nth = 0;
    host_finds_its_own();
    if (host.calls < nth)
        return false;
    assert_false(host.lock_was_free);
    assert_int_equal(times_logged("for a sidecar"), 0); /* the host's doing is no fault of the folder's */
    assert_int_equal(ailive_close(open_with(&options), 0), AILIVE_OK);
    assert_true(folder_gone());
    sidecar_begins();
    sidecar_reads_the_spool();
    assert_int_equal(counted(), 1201);
    assert_int_equal(dropped(""), 0);
    sidecar_ends();
    return true;
}

static void a_host_that_closes_descriptors_in_mid_rescue_keeps_its_own_and_nothing_is_lost(void **context)
{
    int nth = 1;

    while (host_closes_behind_write(nth)) {
        nth++;
        assert_int_equal(end(context), 0);
        assert_int_equal(begin(context), 0);
    }
    assert_in_range(nth, 7, 40); /* three chunks and their tails, and the last lines */
}

/* ---- left alone ---- */

static void a_version_nobody_knows_is_left_whole_and_told_once(void **context)
{
    struct ring_file *ring = ring_make(0, 10);
    struct ailive *instance;

    (void)context;
    memcpy(ring->header.magic, "AILRING9", 8);
    hand_made(0, 10);
    file_put(path_of("ring-2"), O_CREAT, (const char *)ring, sizeof(*ring));
    instance = rescuer_open();
    usleep((RESCUE_EVERY_MS + 700) * 1000); /* more than one look */
    assert_int_equal(ailive_close(instance, 0), AILIVE_OK);
    assert_int_equal(times_logged(hex), 1);
    assert_int_equal(times_logged("ring-2: "), 1);
    assert_int_equal(ring_tail_now(), 0);
    assert_int_equal(files_count("spool", hex), 0);
}

static void unknown_names_leave_it_whole_too(void **context)
{
    (void)context;
    hand_made(0, 10);
    file_put(path_of("names"), 0, "AILNAME9", 8);
    assert_int_equal(ailive_close(rescuer_open(), 0), AILIVE_OK);
    assert_int_equal(times_logged("names: "), 1);
    assert_int_equal(ring_tail_now(), 0);
}

static void one_with_another_spool_folder_is_left_alone(void **context)
{
    (void)context;
    folder_begin();
    names_put();
    ring_put(ring_make(0, 10));
    file_append(path_of("lock"), "spool=/somewhere/else\n");
    owner_dies();
    assert_int_equal(ailive_close(rescuer_open(), 0), AILIVE_OK);
    assert_int_equal(ring_tail_now(), 0);
}

static void the_living_are_left_alone(void **context)
{
    (void)context;
    folder_begin();
    names_put();
    ring_put(ring_make(0, 10));
    file_append(path_of("lock"), "spool=\n");
    assert_int_equal(ailive_close(rescuer_open(), 0), AILIVE_OK);
    assert_int_equal(ring_tail_now(), 0);
    assert_int_equal(files_count("spool", hex), 0);
}

static void a_sidecar_that_is_there_takes_them_itself(void **context)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd;

    (void)context;
    hand_made(0, 10);
    fd = open(in_folder("runtime/.sidecar.lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &whole), 0);
    assert_int_equal(ailive_close(rescuer_open(), 0), AILIVE_OK);
    assert_int_equal(ring_tail_now(), 0);
    close(fd);
    assert_int_equal(ailive_close(rescuer_open(), 0), AILIVE_OK);
    assert_true(folder_gone());
}

static void half_made_and_half_removed_folders_go(void **context)
{
    struct timespec old[2] = {{.tv_sec = time(NULL) - 3600}, {.tv_sec = time(NULL) - 3600}};
    char young[128], stale[128];

    (void)context;
    snprintf(young, sizeof(young), "runtime/.%s.new", hex);
    producer_named(2);
    snprintf(stale, sizeof(stale), "runtime/.%s.new", hex);
    assert_int_equal(mkdir(in_folder(young), 0700), 0);
    assert_int_equal(mkdir(in_folder(stale), 0700), 0);
    assert_int_equal(utimensat(AT_FDCWD, in_folder(stale), old, 0), 0);
    producer_named(3);
    assert_int_equal(mkdir(in_folder(path_of("")), 0700), 0);
    assert_int_equal(ailive_close(rescuer_open(), 0), AILIVE_OK);
    assert_true(file_there(young));
    assert_false(file_there(stale));
    assert_true(folder_gone());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_killed_producer_left_moves_into_its_spool_exactly),
        TEST(a_producer_that_ends_without_a_sidecar_does_it_too),
        TEST(drops_and_door_words_move_too),
        TEST(what_a_lost_state_had_acknowledged_counts_as_lost),
        TEST(a_rescue_done_twice_counts_once),
        TEST(two_rescuers_at_once_count_once),
        TEST(a_file_that_is_there_is_not_written_into),
        TEST(a_write_that_is_cut_short_moves_no_tail),
        TEST(beyond_the_cap_it_stays_and_goes_on_where_it_stopped),
        TEST(the_cap_is_that_of_the_whole_folder),
        TEST(half_a_drop_stands_for_nothing_when_the_tail_moves_later),
        TEST(a_host_that_closes_descriptors_in_mid_rescue_keeps_its_own_and_nothing_is_lost),
        TEST(a_version_nobody_knows_is_left_whole_and_told_once),
        TEST(unknown_names_leave_it_whole_too),
        TEST(one_with_another_spool_folder_is_left_alone),
        TEST(the_living_are_left_alone),
        TEST(a_sidecar_that_is_there_takes_them_itself),
        TEST(half_made_and_half_removed_folders_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
