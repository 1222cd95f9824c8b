/* record.c - the slow path of recording; see record.h.
 *
 * Place on the route: host thread -> [record] -> ring -> shipper. Owns the calling thread's writers. Any host
 * thread. Makes system calls only to claim a ring and, at most once each time the shipper parks, to wake it;
 * a thread whose ring stays full makes none. Never blocks on the shipper. */
#include "record.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

_Static_assert(sizeof(struct ailive_writer) == 64, "one cache line, frozen: inlined into hosts");
_Static_assert(offsetof(struct ailive_writer, owner) == 0 && offsetof(struct ailive_writer, slots) == 8 &&
                   offsetof(struct ailive_writer, mask) == 16 && offsetof(struct ailive_writer, head) == 24 &&
                   offsetof(struct ailive_writer, limit) == 32 &&
                   offsetof(struct ailive_writer, shared_head) == 40 &&
                   offsetof(struct ailive_writer, clock) == 48,
               "frozen: inlined into hosts");

/* A cell keeps the writers of two neighbours on lines that no hardware fetches as a pair. */
struct record_cell {
    _Alignas(128) struct record_entry entry;
};
_Static_assert(sizeof(struct record_cell) == 128, "one writer and its slow part");

/* The writers of one thread, one an open instance. */
struct record_thread {
    struct record_cell cells[PROCESS_INSTANCES_MAX];
};

/* What a thread without a ring points at: limit 0 sends every call here. Never written. */
static const struct ailive_writer no_writer;

/* Owner of a writer whose instance was closed: no caller can pass it, as nobody is told. Not NULL, because a
 * caller may pass NULL. */
static const struct ailive nobody;

__thread struct ailive_writer *ailive_thread_writer = (struct ailive_writer *)(uintptr_t)&no_writer;

static __thread struct record_thread *thread_writers;
static __thread const struct ailive *wait_instance; /* for whom the last claim failed */
static __thread uint32_t wait_calls;                /* and how many calls to let pass before the next */

static pthread_key_t thread_key;
static bool thread_key_made;

/* ---- a thread's end ---- */

static void record_entry_clear(struct record_entry *entry)
{
    if (ailive_thread_writer == &entry->writer)
        ailive_thread_writer = (struct ailive_writer *)(uintptr_t)&no_writer;
    memset(entry, 0, sizeof(*entry));
}

/* Under process_lock(), in the entry's own thread. */
static void record_entry_return(struct record_entry *entry)
{
    if (entry->orphaned)
        munmap(entry->pages, entry->map_bytes);
    else if (entry->instance)
        entry->ring->holder = NULL; /* its head stays: the next thread goes on counting from there */
    record_entry_clear(entry);
}

/* The thread ends. A destructor that records after this one claims again, and comes back here. */
static void record_thread_end(void *writers)
{
    struct record_thread *thread = writers;

    process_check();
    process_lock();
    for (size_t i = 0; i < PROCESS_INSTANCES_MAX; i++)
        record_entry_return(&thread->cells[i].entry);
    process_unlock();
    thread_writers = NULL;
    process_unmap(thread, sizeof(*thread));
}

int record_init(void)
{
    int error = 0;

    process_lock();
    if (!thread_key_made) {
        error = pthread_key_create(&thread_key, record_thread_end);
        thread_key_made = error == 0;
    }
    process_unlock();
    return error;
}

/* ---- claiming a ring ---- */

static struct record_entry *record_entry_find(const struct ailive *instance)
{
    for (size_t i = 0; thread_writers && i < PROCESS_INSTANCES_MAX; i++)
        if (thread_writers->cells[i].entry.instance == instance)
            return &thread_writers->cells[i].entry;
    return NULL;
}

static bool record_thread_begin(void)
{
    struct record_thread *thread = process_map(sizeof(*thread));

    if (!thread)
        return false;
    if (pthread_setspecific(thread_key, thread) != 0) {
        process_unmap(thread, sizeof(*thread));
        return false;
    }
    thread_writers = thread;
    return true;
}

/* A free entry of this thread; what closed instances left is swept first, so there always is one. */
static struct record_entry *record_entry_free(void)
{
    struct record_entry *entry;

    if (!thread_writers && !record_thread_begin())
        return NULL;
    process_lock();
    for (size_t i = 0; i < PROCESS_INSTANCES_MAX; i++)
        if (thread_writers->cells[i].entry.orphaned)
            record_entry_return(&thread_writers->cells[i].entry);
    process_unlock();
    entry = record_entry_find(NULL);
    return entry;
}

/* Starts the instance in a forked child. */
static bool record_started(struct ailive *instance)
{
    struct instance_live *live = instance->live;

    /* Pairs with the release in instance_start(): who sees it set sees the rest. */
    if (__atomic_load_n(&live->started, __ATOMIC_ACQUIRE))
        return true;
    pthread_mutex_lock(&live->lock);
    if (!live->started)
        (void)instance_start(instance);
    pthread_mutex_unlock(&live->lock);
    return __atomic_load_n(&live->started, __ATOMIC_ACQUIRE) != 0;
}

/* Under live->lock: a new ring at the end of the table; NULL when there can be none. */
static struct ring *record_ring_new(struct ailive *instance)
{
    struct instance_live *live = instance->live;
    const struct instance_settings *settings = &instance->kept->settings;
    uint32_t number = live->ring_count;
    char name[LAYOUT_NAME_BYTES], path[FOLDER_PATH_BYTES + LAYOUT_NAME_BYTES];
    struct ring *ring = &live->rings[number];
    int error;

    if (number == LAYOUT_RINGS_MAX)
        return NULL;
    layout_ring_name(number, name);
    folder_file(&live->folder, name, path);
    error = settings->memory_sink ? ring_open_memory(ring, number, settings->ring_records, instance_first_seq)
                                  : ring_open_file(ring, path, live->folder.file_mode, number,
                                                   settings->ring_records, instance_first_seq);
    if (error != 0) {
        instance_log(
            instance, AILIVE_LOG_ERROR,
            "cannot make ring %u in %s: %s; its thread's records are dropped and counted until there "
            "is room",
            number, live->folder.path, strerrordesc_np(error));
        return NULL;
    }
    return ring;
}

/* Under process_lock(): a ring nobody holds; drained, or at least with room. */
static struct ring *record_ring_free(struct instance_live *live, bool drained)
{
    for (uint32_t i = 1; i < live->ring_count; i++) {
        struct ring *ring = &live->rings[i];
        uint64_t used = ring_readable(ring) - ring_tail(ring);
        if (!ring->holder && (drained ? used == 0 : used < ring->header->capacity))
            return ring;
    }
    return NULL;
}

static void record_hand_over(struct ailive *instance, struct ring *ring, struct record_entry *entry)
{
    entry->instance = instance;
    entry->ring = ring;
    ring_attach(&entry->writer, ring, instance, clock_kind());
    ring->holder = entry;
}

/* Under live->lock. A drained ring first; then a new one; then any with room, rather than none. */
static bool record_take(struct ailive *instance, struct record_entry *entry)
{
    struct instance_live *live = instance->live;
    struct ring *ring, *made = NULL;

    process_lock();
    ring = record_ring_free(live, true);
    if (ring)
        record_hand_over(instance, ring, entry);
    process_unlock();
    if (ring)
        return true;
    made = record_ring_new(instance);
    process_lock();
    ring = made ? made : record_ring_free(live, false);
    if (ring)
        record_hand_over(instance, ring, entry);
    process_unlock();
    if (made) /* pairs with the acquire in instance_rings(): the shipper sees a whole ring */
        __atomic_store_n(&live->ring_count, live->ring_count + 1, __ATOMIC_RELEASE);
    return ring != NULL;
}

static struct record_entry *record_claim(struct ailive *instance)
{
    struct instance_live *live = instance->live;
    struct record_entry *entry;
    bool taken = false;

    if (wait_instance == instance && wait_calls > 0) {
        wait_calls--;
        return NULL;
    }
    entry = record_entry_free();
    if (entry && record_started(instance)) {
        pthread_mutex_lock(&live->lock);
        taken = record_take(instance, entry);
        pthread_mutex_unlock(&live->lock);
    }
    wait_instance = taken ? NULL : instance;
    wait_calls = RECORD_RETRY_CALLS;
    return taken ? entry : NULL;
}

/* ---- recording ---- */

static void record_no_ring(struct instance_live *live)
{
    bool started = __atomic_load_n(&live->started, __ATOMIC_ACQUIRE) != 0;

    /* Any thread adds here, so it is a read-modify-write; relaxed, because it is a count. */
    __atomic_fetch_add(started ? &live->rings[0].header->door[EVENT_DROP_NO_RING] : &live->no_ring, 1,
                       __ATOMIC_RELAXED);
}

static int record_put(struct ailive *instance, int64_t utc_ns, int64_t latency_ns, uint64_t what,
                      uint64_t scope)
{
    struct record_entry *entry = record_entry_find(instance);
    struct shipper *shipper = &instance->live->shipper;
    enum ring_room room;

    if (!entry)
        entry = record_claim(instance);
    if (!entry) {
        record_no_ring(instance->live);
        return AILIVE_ENORING;
    }
    ailive_thread_writer = &entry->writer;
    room = ring_room(&entry->writer);
    if (room == RING_FULL) {
        ring_door_drop(&entry->writer);
        /* A look without a locked instruction is enough here: the next call looks again. */
        if (__atomic_load_n(&shipper->parked, __ATOMIC_RELAXED) == SHIPPER_PARKED)
            (void)shipper_wake(shipper);
        return AILIVE_EFULL;
    }
    if (room == RING_HALF)
        (void)shipper_wake(shipper);
    ring_put(&entry->writer, utc_ns, latency_ns, what, scope);
    return AILIVE_OK;
}

int ailive_record_slow(struct ailive *instance, int64_t utc_ns, int64_t latency_ns, uint64_t what,
                       uint64_t scope)
{
    int status = instance_enter(instance);

    if (status == AILIVE_OK) {
        status = record_put(instance, utc_ns, latency_ns, what, scope);
        instance_leave(instance);
    } else if (instance) {
        instance_ignore(instance);
    }
    return status;
}

int ailive_record_words(struct ailive *instance, int64_t time_ns, int64_t latency_ns, uint64_t what,
                        uint64_t scope)
{
    return ailive_put(instance, time_ns, latency_ns, what, scope);
}

/* ---- closing ---- */

void record_detach(struct ailive *instance)
{
    struct instance_live *live = instance->live;

    process_lock();
    for (uint32_t i = 1; i < instance_rings(live); i++)
        if (live->rings[i].holder) /* relaxed: see ailive_put() */
            __atomic_store_n(&live->rings[i].holder->writer.owner, &nobody, __ATOMIC_RELAXED);
    process_unlock();
}

static bool record_is_ours(const struct record_entry *entry)
{
    return thread_writers && (const char *)entry >= (const char *)thread_writers &&
           (const char *)entry < (const char *)(thread_writers + 1);
}

void record_abandon(struct ailive *instance)
{
    struct instance_live *live = instance->live;

    process_lock();
    for (uint32_t i = 0; i < instance_rings(live); i++) {
        struct ring *ring = &live->rings[i];
        struct record_entry *entry = ring->holder;
        if (entry && !record_is_ours(entry)) {
            entry->orphaned = true;
            entry->pages = ring->header;
            entry->map_bytes = ring->map_bytes;
            continue;
        }
        if (entry)
            record_entry_clear(entry);
        ring_close(ring);
    }
    process_unlock();
}
