/* ailive.c - opening, closing and asking an instance: the public calls that are not recording.
 *
 * Place on the route: before it and after it. Owns the handles and what instance.h describes. Any host
 * thread. Never prints, exits, installs a signal handler or changes the host's signal mask. */
#include "instance.h"
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define RING_RECORDS_DEFAULT   262144u
#define SPOOL_AFTER_DEFAULT_MS 1000u
#define SPOOL_FILE_DEFAULT     ((uint64_t)64 << 20)
#define SPOOL_FILE_MIN         ((uint64_t)64 << 10)
#define SPOOL_MAX_DEFAULT      ((uint64_t)1 << 30)
#define OPTIONS_FIRST_BYTES                                                                                  \
    offsetof(struct ailive_options, tls_cert) /* the first layout: nothing shorter exists */
#define OPTIONS_MAX_BYTES 4096u               /* a size beyond it is no size */
#define LOG_LINE_BYTES    (PATHS_MAX_BYTES + 512u)

#define TEXT_OF_(x) #x
#define TEXT_OF(x)  TEXT_OF_(x)

_Static_assert(AILIVE_SLOT_BYTES == 32 && AILIVE_SCOPE_DEFAULT_WORD == (8 | 9 << 16), "frozen: docs/wire.md");

uint64_t instance_first_seq;

/* Calls on NULL, in the whole process. */
static uint64_t ignored_on_null;

const char *ailive_strerror(int status)
{
    static const char *const texts[] = {
        "ok",
        "an argument is NULL, out of range or unknown",
        "a name or path is longer than its limit",
        "the instance is closed",
        "the ring is full: the record was dropped and counted",
        "no ring could be made for this thread: the record was dropped and counted",
        "a limit is reached",
        "the deadline passed first",
        "a system call failed; the log callback was told which one",
        "disabled by AILIVE_DISABLED=1",
        "not possible on this instance",
    };

    if (status > 0 || status <= -(int)(sizeof(texts) / sizeof(texts[0])))
        return "unknown status";
    return texts[-status];
}

const char *ailive_version(void)
{
    return TEXT_OF(AILIVE_VERSION_MAJOR) "." TEXT_OF(AILIVE_VERSION_MINOR) "." TEXT_OF(AILIVE_VERSION_PATCH);
}

unsigned ailive_abi(void)
{
    return AILIVE_ABI;
}

/* ---- what every call asks first ---- */

void instance_ignore(struct ailive *instance)
{
    __atomic_fetch_add(instance ? &instance->ignored : &ignored_on_null, 1, __ATOMIC_RELAXED);
}

static int instance_status(const struct ailive *instance)
{
    /* Sequentially consistent: see process_enter(). */
    switch (__atomic_load_n(&instance->state, __ATOMIC_SEQ_CST)) {
    case INSTANCE_OPEN:
        return AILIVE_OK;
    case INSTANCE_DISABLED:
        return AILIVE_EDISABLED;
    default:
        return AILIVE_ECLOSED;
    }
}

int instance_enter(struct ailive *instance)
{
    int status;

    if (!instance) {
        instance_ignore(NULL);
        return AILIVE_EINVAL;
    }
    process_check();
    process_enter(instance->slot);
    status = instance_status(instance);
    if (status != AILIVE_OK)
        process_leave(instance->slot);
    return status;
}

void instance_leave(struct ailive *instance)
{
    process_leave(instance->slot);
}

static void settings_vlog(const struct instance_settings *settings, enum ailive_log_level level,
                          const char *format, va_list arguments)
{
    char line[LOG_LINE_BYTES];

    if (!settings->log)
        return;
    vsnprintf(line, sizeof(line), format, arguments);
    settings->log(settings->log_context, level, line);
}

__attribute__((format(printf, 3, 4))) static void
settings_log(const struct instance_settings *settings, enum ailive_log_level level, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    settings_vlog(settings, level, format, arguments);
    va_end(arguments);
}

void instance_log(const struct ailive *instance, enum ailive_log_level level, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    settings_vlog(&instance->kept->settings, level, format, arguments);
    va_end(arguments);
}

/* ---- options ---- */

/* A text option: the caller's, else the variable, else the fallback. */
static int settings_text(const char *given, const char *variable, const char *fallback,
                         char out[AILIVE_NAME_MAX_BYTES + 1])
{
    if (!given || !*given)
        return paths_env(variable, fallback, out, AILIVE_NAME_MAX_BYTES + 1) ? AILIVE_OK : AILIVE_ETOOLONG;
    if (strlen(given) > AILIVE_NAME_MAX_BYTES)
        return AILIVE_ETOOLONG;
    memcpy(out, given, strlen(given) + 1);
    return AILIVE_OK;
}

static uint32_t power_of_two_from(uint32_t n)
{
    uint32_t power = LAYOUT_RING_MIN_RECORDS;

    while (power < n)
        power *= 2;
    return power;
}

static int settings_numbers(const struct ailive_options *options, struct instance_settings *out)
{
    uint32_t records = options->ring_records ? options->ring_records : RING_RECORDS_DEFAULT;

    out->spool_after_ms = options->spool_after_ms ? options->spool_after_ms : SPOOL_AFTER_DEFAULT_MS;
    out->spool_max_bytes = options->spool_max_bytes ? options->spool_max_bytes : SPOOL_MAX_DEFAULT;
    out->spool_file_bytes = options->spool_file_bytes ? options->spool_file_bytes : SPOOL_FILE_DEFAULT;
    /* A cap alone, smaller than the default file, is meant for the files too. */
    if (!options->spool_file_bytes && out->spool_file_bytes > out->spool_max_bytes)
        out->spool_file_bytes = out->spool_max_bytes;
    if (records < LAYOUT_RING_MIN_RECORDS || records > LAYOUT_RING_MAX_RECORDS ||
        out->spool_file_bytes < SPOOL_FILE_MIN || out->spool_max_bytes < out->spool_file_bytes)
        return AILIVE_EINVAL;
    out->ring_records = power_of_two_from(records);
    return AILIVE_OK;
}

static int settings_folders(const struct ailive_options *options, struct instance_settings *out)
{
    if (!paths_runtime(options->runtime_dir, out->runtime, sizeof(out->runtime)))
        return AILIVE_ETOOLONG;
    /* No HOME gives no spool folder. That is for the log, not a reason to leave the host without an
     * instance. */
    if (!paths_spool(options->spool_dir, out->spool, sizeof(out->spool))) {
        if (options->spool_dir && strlen(options->spool_dir) >= sizeof(out->spool))
            return AILIVE_ETOOLONG;
        out->spool[0] = '\0';
    }
    return AILIVE_OK;
}

static bool remote_plaintext(const struct ailive_options *options)
{
    char value[2];

    return options->remote_plaintext != 0 ||
           (paths_env("AILIVE_REMOTE_PLAINTEXT", "", value, sizeof(value)) && strcmp(value, "1") == 0);
}

static int settings_url(const struct ailive_options *options, struct instance_settings *out)
{
    char text[PATHS_MAX_BYTES];
    struct url url;
    const char *wrong;

    if (!paths_ipc_url(options->ipc_url, out->runtime, text, sizeof(text)))
        return AILIVE_ETOOLONG;
    wrong = url_read(text, remote_plaintext(options), &url);
    if (wrong) {
        settings_log(out, AILIVE_LOG_ERROR, "%.200s: %s", text, wrong);
        return strncmp(text, "ipc://", 6) == 0 && strlen(text + 6) >= PATHS_SOCKET_BYTES ? AILIVE_ETOOLONG
                                                                                         : AILIVE_EINVAL;
    }
    out->road = url.road;
    snprintf(out->socket, sizeof(out->socket), "%.255s", url.road == URL_IPC ? url.path : text);
    return AILIVE_OK;
}

/* A file option: the caller's, else the variable, else none. */
static bool settings_file(const char *given, const char *variable, char out[PATHS_MAX_BYTES])
{
    if (!given || !*given)
        return paths_env(variable, "", out, PATHS_MAX_BYTES);
    if (strlen(given) >= PATHS_MAX_BYTES)
        return false;
    memcpy(out, given, strlen(given) + 1);
    return true;
}

static int settings_roads(const struct ailive_options *options, struct instance_settings *out)
{
    int status = settings_folders(options, out);

    if (status == AILIVE_OK)
        status = settings_url(options, out);
    if (status == AILIVE_OK && (!settings_file(options->tls_cert, "AILIVE_TLS_CERT", out->tls_cert) ||
                                !settings_file(options->tls_ca, "AILIVE_TLS_CA", out->tls_ca)))
        status = AILIVE_ETOOLONG;
    return status;
}

static int settings_read(const struct ailive_options *options, struct instance_settings *out)
{
    int status;

    out->log = options->log;
    out->log_context = options->log_context;
    out->memory_sink = options->memory_sink != 0;
    status = settings_numbers(options, out);
    if (status == AILIVE_OK)
        status =
            settings_text(options->component, "PEAK_TRADE_AI_COMPONENT", "execution_watch", out->component);
    if (status == AILIVE_OK)
        status = settings_text(options->run_id, "PEAK_TRADE_AI_RUN_ID", "na", out->run_id);
    if (status == AILIVE_OK)
        status = settings_roads(options, out);
    return status;
}

static bool disabled_by_environment(void)
{
    char value[2];

    return paths_env("AILIVE_DISABLED", "", value, sizeof(value)) && strcmp(value, "1") == 0;
}

/* ---- starting: at open, and in a forked child ---- */

static struct event_producer producer_new(void)
{
    struct layout_clock_pair now;
    struct event_producer producer;
    uint64_t salt;

    clock_pair_take(&now);
    for (int i = 0; i < 8; i++) /* big-endian: ids sort by age */
        producer.bytes[i] = (unsigned char)((uint64_t)now.utc_ns >> (56 - 8 * i));
    if (getrandom(&salt, sizeof(salt), GRND_NONBLOCK) != (ssize_t)sizeof(salt))
        salt = (now.ticks ^ (uint64_t)getpid() << 40 ^ (uintptr_t)&salt) * 0x9e3779b97f4a7c15u;
    memcpy(producer.bytes + 8, &salt, sizeof(salt));
    return producer;
}

/* Field 22 of /proc/self/stat: when this process began, in clock ticks after boot. 0 when it cannot be read.
 */
static unsigned long long process_start_ticks(void)
{
    char text[1024], *at;
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    at = strrchr(text, ')'); /* the name before it may hold spaces */
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at, NULL, 10) : 0;
}

/* One "key=value" a line: a line break inside a value would forge another key. */
static void lock_text_line(char *text, size_t cap, const char *key, const char *value)
{
    size_t len = strlen(text);

    snprintf(text + len, cap - len, "%s=%s", key, value);
    for (char *at = text + len; *at; at++)
        if (*at == '\n' || *at == '\r')
            *at = '_';
    len = strlen(text);
    snprintf(text + len, cap - len, "\n");
}

static void lock_text(const struct instance_settings *settings, char text[LAYOUT_LOCK_MAX_BYTES])
{
    snprintf(text, LAYOUT_LOCK_MAX_BYTES, "pid=%ld\nstart=%llu\n", (long)getpid(), process_start_ticks());
    lock_text_line(text, LAYOUT_LOCK_MAX_BYTES, "component", settings->component);
    lock_text_line(text, LAYOUT_LOCK_MAX_BYTES, "run_id", settings->run_id);
    lock_text_line(text, LAYOUT_LOCK_MAX_BYTES, "spool", settings->spool);
    lock_text_line(text, LAYOUT_LOCK_MAX_BYTES, "version", ailive_version());
}

static int start_failed(struct ailive *instance, const char *what, int error)
{
    instance_log(instance, AILIVE_LOG_ERROR,
                 "%s in '%s' failed: %s; see that it is writable and has room, or name another folder with "
                 "AILIVE_RUNTIME_DIR",
                 what, instance->kept->settings.runtime, strerrordesc_np(error));
    return error;
}

/* The folder with names, clock and ring 0, under its final name. */
static int start_folder(struct ailive *instance)
{
    struct instance_live *live = instance->live;
    const struct instance_settings *settings = &instance->kept->settings;
    char text[LAYOUT_LOCK_MAX_BYTES], path[FOLDER_PATH_BYTES + LAYOUT_NAME_BYTES];
    int error = paths_make(settings->runtime);

    if (error != 0)
        return start_failed(instance, "making the runtime folder", error);
    lock_text(settings, text);
    error = folder_make(&live->folder, settings->runtime, &live->producer, text, &instance->fds.lock);
    if (error != 0)
        return start_failed(instance, live->folder.failed, error);
    process_lock(); /* a name registered from here on goes into the file by ailive_register() */
    names_publish(&instance->kept->names, 0, live->folder.names);
    live->names_ready = true;
    process_unlock();
    clock_track_start(&live->shipper.clock, live->folder.clock);
    folder_file(&live->folder, "ring-0", path);
    error = ring_open_file(&live->rings[0], path, live->folder.file_mode, 0, 0, 0);
    live->folder.failed = "making ring 0";
    if (error == 0)
        error = folder_publish(&live->folder);
    if (error != 0)
        start_failed(instance, live->folder.failed, error);
    return error;
}

/* Takes back what a failed start has made, so that it may be tried again. */
static void start_undo(struct ailive *instance)
{
    struct instance_live *live = instance->live;

    process_lock();
    live->names_ready = false;
    process_unlock();
    ring_close(&live->rings[0]);
    if (live->folder.names)
        (void)folder_remove(&live->folder, 1);
}

static int start_shipping(struct ailive *instance)
{
    const struct instance_settings *settings = &instance->kept->settings;
    int error = start_folder(instance);

    if (error != 0)
        return error;
    error = *settings->spool ? paths_make(settings->spool) : ENOENT;
    if (error != 0)
        instance_log(instance, AILIVE_LOG_WARNING,
                     "the spool folder '%s' cannot be used: %s; without it records are lost once the sidecar "
                     "is away and the rings are full; set AILIVE_SPOOL_DIR",
                     settings->spool, strerrordesc_np(error));
    __atomic_store_n(&instance->live->ring_count, 1, __ATOMIC_RELEASE);
    error = shipper_start(instance);
    if (error != 0) {
        __atomic_store_n(&instance->live->ring_count, 0, __ATOMIC_RELEASE);
        start_failed(instance, "starting the shipper thread for the folder", error);
    }
    return error;
}

static int start_memory(struct ailive *instance)
{
    struct instance_live *live = instance->live;
    int error = ring_open_memory(&live->rings[0], 0, 0, 0);

    if (error != 0)
        return start_failed(instance, "making a ring in memory", error);
    clock_track_start(&live->shipper.clock, NULL);
    __atomic_store_n(&live->ring_count, 1, __ATOMIC_RELEASE);
    return 0;
}

int instance_start(struct ailive *instance)
{
    struct instance_live *live = instance->live;
    int error;

    live->producer = producer_new();
    error = instance->kept->settings.memory_sink ? start_memory(instance) : start_shipping(instance);
    if (error != 0) {
        start_undo(instance);
        return error;
    }
    __atomic_fetch_add(&live->rings[0].header->door[EVENT_DROP_NO_RING],
                       __atomic_exchange_n(&live->no_ring, 0, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    /* Pairs with the acquire loads of started: who sees it set sees everything above. */
    __atomic_store_n(&live->started, 1, __ATOMIC_RELEASE);
    return 0;
}

/* ---- open ---- */

static void instance_free_inside(struct ailive *instance)
{
    process_unmap(instance->live, sizeof(*instance->live));
    if (instance->kept) {
        road_nng_close(&instance->kept->nng);
        munmap(instance->kept, sizeof(*instance->kept));
    }
    instance->live = NULL;
    instance->kept = NULL;
}

/* kept is private memory that a child inherits: so plain mmap(), and not process_map(). */
static int open_memory(struct ailive *instance, bool disabled)
{
    void *kept =
        mmap(NULL, sizeof(*instance->kept), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (kept == MAP_FAILED)
        return AILIVE_ESYS;
    instance->kept = kept;
    instance->live = disabled ? NULL : process_map(sizeof(*instance->live));
    return disabled || instance->live ? AILIVE_OK : AILIVE_ESYS;
}

static int open_names(struct instance_kept *kept)
{
    ailive_name id;
    int status = names_add(&kept->names, AILIVE_NAME_COMPONENT, kept->settings.component, &id);

    if (status == AILIVE_OK) /* numbers 8 and 9, in this order */
        status = names_add(&kept->names, AILIVE_NAME_RUN_ID, kept->settings.run_id, &id);
    return status;
}

/* Loads what the road needs. The host's log is told what is wrong. */
static int open_road(struct instance_kept *kept)
{
    const struct instance_settings *settings = &kept->settings;
    struct bridge_options options = {.url = settings->socket,
                                     .tls_cert = *settings->tls_cert ? settings->tls_cert : NULL,
                                     .tls_ca = *settings->tls_ca ? settings->tls_ca : NULL};
    char error[LOG_LINE_BYTES] = "";
    int status;

    if (settings->road == URL_IPC || settings->memory_sink)
        return AILIVE_OK;
    status = road_nng_open(&kept->nng, &options, error, sizeof(error));
    if (status == 0)
        return AILIVE_OK;
    settings_log(settings, AILIVE_LOG_ERROR, "%s: %s", settings->socket, error);
    return status == ENOTSUP ? AILIVE_ENOTSUP : status == EINVAL ? AILIVE_EINVAL : AILIVE_ESYS;
}

static int open_inside(struct ailive *instance, const struct ailive_options *options, bool disabled)
{
    int status = open_memory(instance, disabled);

    if (status == AILIVE_OK)
        status = settings_read(options, &instance->kept->settings);
    if (status == AILIVE_OK)
        status = open_names(instance->kept);
    if (status == AILIVE_OK && !disabled)
        status = open_road(instance->kept);
    if (status == AILIVE_OK && !disabled && instance_start(instance) != 0)
        status = AILIVE_ESYS;
    return status;
}

/* Whether the fields of a newer header are all 0. What is set there would be ignored without a word. */
static bool nothing_unknown(const struct ailive_options *given)
{
    const unsigned char *bytes = (const unsigned char *)given;

    if (given->size > OPTIONS_MAX_BYTES)
        return false;
    for (size_t i = sizeof(*given); i < given->size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* Copies the fields that this library knows. */
static int open_options(const struct ailive_options *given, struct ailive_options *out)
{
    struct ailive_options defaults = AILIVE_OPTIONS_INIT;

    *out = defaults;
    if (!given)
        return AILIVE_OK;
    if (given->size < OPTIONS_FIRST_BYTES || !nothing_unknown(given))
        return AILIVE_EINVAL;
    memcpy(out, given, given->size < sizeof(*out) ? given->size : sizeof(*out));
    return AILIVE_OK;
}

int ailive_open(const struct ailive_options *options, struct ailive **out)
{
    bool disabled = disabled_by_environment();
    struct ailive_options copy;
    struct ailive *instance;
    int status, slot;

    if (!out)
        return AILIVE_EINVAL;
    *out = NULL;
    status = open_options(options, &copy);
    if (status != AILIVE_OK)
        return status;
    if (process_init() != 0 || record_init() != 0)
        return AILIVE_ESYS;
    slot = process_slot_take();
    if (slot < 0)
        return AILIVE_ELIMIT;
    instance = calloc(1, sizeof(*instance));
    if (!instance) {
        status = AILIVE_ESYS;
        goto return_slot;
    }
    instance->slot = slot;
    process_lock();
    process_fds_add(&instance->fds);
    process_unlock();
    status = open_inside(instance, &copy, disabled);
    if (status != AILIVE_OK)
        goto close_handle;
    __atomic_store_n(&instance->state, disabled ? INSTANCE_DISABLED : INSTANCE_OPEN, __ATOMIC_SEQ_CST);
    *out = instance;
    return AILIVE_OK;

close_handle: /* it stays in the list, empty: a forked child may be walking its copy */
    instance->state = INSTANCE_CLOSED;
    instance_free_inside(instance);
return_slot:
    process_slot_return(slot);
    return status;
}

/* ---- flush and close ---- */

struct flush_target {
    uint32_t rings;
    uint64_t heads[LAYOUT_RINGS_MAX];
};

static bool flush_done(struct ailive *instance, void *context)
{
    const struct flush_target *target = context;

    if (instance_status(instance) != AILIVE_OK)
        return true; /* somebody closes it: do not keep the close waiting */
    for (uint32_t i = 1; i < target->rings; i++)
        if ((int64_t)(ring_tail(&instance->live->rings[i]) - target->heads[i]) < 0)
            return false;
    return true;
}

static int flush_live(struct ailive *instance, uint32_t timeout_ms)
{
    int64_t deadline_ns = clock_monotonic_ns() + (int64_t)timeout_ms * 1000000;
    struct flush_target target;

    target.rings = instance_rings(instance->live);
    for (uint32_t i = 1; i < target.rings; i++)
        target.heads[i] = ring_readable(&instance->live->rings[i]);
    if (!flush_done(instance, &target)) {
        shipper_hurry(&instance->live->shipper);
        if (!shipper_wait(instance, deadline_ns, flush_done, &target))
            return AILIVE_ETIMEDOUT;
    }
    return instance_status(instance);
}

int ailive_flush(struct ailive *instance, uint32_t timeout_ms)
{
    int status = instance_enter(instance);

    if (status == AILIVE_EDISABLED)
        return AILIVE_OK; /* nothing was recorded */
    if (status != AILIVE_OK)
        return status;
    /* Not started: a forked child that has recorded nothing yet. */
    if (!instance->kept->settings.memory_sink && __atomic_load_n(&instance->live->started, __ATOMIC_ACQUIRE))
        status = flush_live(instance, timeout_ms);
    instance_leave(instance);
    return status;
}

static bool close_done(struct ailive *instance, void *context)
{
    struct instance_live *live = instance->live;

    (void)context;
    for (uint32_t i = 0; i < instance_rings(live); i++) {
        const struct ring *ring = &live->rings[i];
        if (ring_readable(ring) != ring_tail(ring))
            return false;
    }
    return true;
}

/* Ships, spools, and removes the folder when nothing is left in it. */
static int close_shipping(struct ailive *instance, uint32_t timeout_ms)
{
    struct instance_live *live = instance->live;
    int64_t deadline_ns = clock_monotonic_ns() + (int64_t)timeout_ms * 1000000;
    bool out;
    int error;

    shipper_hurry(&live->shipper);
    (void)shipper_wait(instance, deadline_ns, close_done, NULL);
    out = shipper_finish(instance);
    if (!out) {
        instance_log(
            instance, AILIVE_LOG_ERROR,
            "closing with records that could neither be shipped nor spooled: they stay in %s until a "
            "sidecar takes them in",
            live->folder.path);
        folder_leave(&live->folder);
        return AILIVE_ETIMEDOUT;
    }
    error = folder_remove(&live->folder, instance_rings(live));
    if (error != 0)
        instance_log(instance, AILIVE_LOG_WARNING, "cannot remove %s: %s; it holds no records any more",
                     live->folder.path, strerrordesc_np(error));
    return AILIVE_OK;
}

static int close_inside(struct ailive *instance, uint32_t timeout_ms)
{
    struct instance_live *live = instance->live;
    int status = AILIVE_OK;

    if (!live || !live->started)
        return status; /* disabled, or a forked child that recorded nothing */
    record_detach(instance);
    if (!instance->kept->settings.memory_sink)
        status = close_shipping(instance, timeout_ms);
    instance_count(instance, &instance->last);
    instance->last.connected = 0;
    /* Pairs with the acquire in ailive_stats(): who sees it set sees whole counters. */
    __atomic_store_n(&instance->last_there, 1, __ATOMIC_RELEASE);
    record_abandon(instance);
    return status;
}

int ailive_close(struct ailive *instance, uint32_t timeout_ms)
{
    uint32_t open = INSTANCE_OPEN, disabled = INSTANCE_DISABLED;
    int status;

    if (!instance) {
        instance_ignore(NULL);
        return AILIVE_EINVAL;
    }
    process_check();
    /* Sequentially consistent: see process_enter(). One of several closes wins. */
    if (!__atomic_compare_exchange_n(&instance->state, &open, INSTANCE_CLOSED, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST) &&
        !__atomic_compare_exchange_n(&instance->state, &disabled, INSTANCE_CLOSED, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
        return AILIVE_ECLOSED;
    if (instance->live)
        shipper_tell(&instance->live->shipper); /* ends a flush that waits inside */
    process_wait_empty(instance->slot);
    status = close_inside(instance, timeout_ms);
    instance_free_inside(instance);
    process_slot_return(instance->slot);
    return status;
}

/* ---- names and counters ---- */

static int register_inside(struct ailive *instance, enum ailive_name_kind kind, const char *text,
                           ailive_name *out)
{
    struct names *names = &instance->kept->names;
    struct instance_live *live = instance->live;
    uint32_t before;
    int status;

    process_lock();
    before = names->count;
    status = names_add(names, (unsigned)kind, text, out);
    if (names->count != before && live && live->names_ready)
        names_publish(names, before, live->folder.names);
    process_unlock();
    return status;
}

int ailive_register(struct ailive *instance, enum ailive_name_kind kind, const char *text, ailive_name *out)
{
    int status;

    if (!instance) {
        instance_ignore(NULL);
        return AILIVE_EINVAL;
    }
    process_check();
    process_enter(instance->slot);
    status = instance_status(instance);
    if (status == AILIVE_OK || status == AILIVE_EDISABLED)
        status = register_inside(instance, kind, text, out);
    process_leave(instance->slot);
    return status;
}

void instance_count(const struct ailive *instance, struct ailive_stats *out)
{
    const struct instance_live *live = instance->live;
    const struct shipper *shipper = &live->shipper;
    uint32_t rings = instance_rings(live);

    memset(out, 0, sizeof(*out));
    for (uint32_t i = 0; i < rings; i++) {
        const struct ring *ring = &live->rings[i];
        /* The tail first: it never passes the head read after it. */
        uint64_t tail = ring_tail(ring), head = ring_readable(ring);
        out->recorded += head - ring->start;
        out->pending += head - tail;
        out->dropped_full += __atomic_load_n(&ring->header->door[EVENT_DROP_RING_FULL], __ATOMIC_RELAXED);
        out->dropped_ring += __atomic_load_n(&ring->header->door[EVENT_DROP_NO_RING], __ATOMIC_RELAXED);
    }
    out->dropped_ring += __atomic_load_n(&live->no_ring, __ATOMIC_RELAXED);
    out->shipped = __atomic_load_n(&shipper->shipped, __ATOMIC_RELAXED);
    out->spooled = __atomic_load_n(&shipper->spooled, __ATOMIC_RELAXED);
    out->dropped_spool = __atomic_load_n(&shipper->dropped, __ATOMIC_RELAXED);
    out->spool_bytes = __atomic_load_n(&shipper->spool_bytes, __ATOMIC_RELAXED);
    out->wakeups = __atomic_load_n(&shipper->wakeups, __ATOMIC_RELAXED);
    out->connected = __atomic_load_n(&shipper->connected, __ATOMIC_RELAXED);
    out->rings = rings > 0 ? rings - 1 : 0;
}

int ailive_stats(const struct ailive *instance, struct ailive_stats *out)
{
    int status;

    if (!out)
        return AILIVE_EINVAL;
    memset(out, 0, sizeof(*out));
    out->ignored = __atomic_load_n(&ignored_on_null, __ATOMIC_RELAXED);
    if (!instance)
        return AILIVE_OK;
    process_check();
    process_enter(instance->slot);
    status = instance_status(instance);
    if (status == AILIVE_OK)
        instance_count(instance, out);
    else if (status == AILIVE_ECLOSED && __atomic_load_n(&instance->last_there, __ATOMIC_ACQUIRE))
        *out = instance->last;
    out->ignored = __atomic_load_n(&instance->ignored, __ATOMIC_RELAXED);
    process_leave(instance->slot);
    return AILIVE_OK;
}
