/* shipper.c - the background thread: see shipper.h for what it owns and never does.
 *
 * Place on the route: rings -> [shipper] -> exchange or spooling. One round: take the time, look after the
 * connection, ship what the rings hold, or spool it where the sidecar was silent for too long; then park.
 * A tail moves only when the records below it are acknowledged, in a spool file, or published as a range
 * drop: so a kill between any two instructions leaves each record in a ring, or accounted for, or both; the
 * sidecar counts by sequence number and does not mind "both". */
#include "exchange.h"
#include "spooling.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- parking and waking ---- */

static void futex_wait(uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
    struct timespec timeout = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};

    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &timeout, NULL, 0);
}

static void futex_wake(uint32_t *word, int waiters)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, waiters, NULL, NULL, 0);
}

static bool wake(struct shipper *shipper, uint32_t deepest)
{
    /* Two read-modify-writes of one word are totally ordered. If ours comes after the exchange in
     * shipper_park(), we see that it is parked and wake it; if it comes before, that exchange sees our stores
     * and does not sleep on them. A plain load here could lose the wake-up. */
    uint32_t parked = __atomic_fetch_or(&shipper->parked, 0, __ATOMIC_ACQ_REL);

    if (parked == SHIPPER_AWAKE || parked > deepest ||
        __atomic_exchange_n(&shipper->parked, SHIPPER_AWAKE, __ATOMIC_ACQ_REL) == SHIPPER_AWAKE)
        return false;
    futex_wake(&shipper->parked, 1);
    return true;
}

bool shipper_wake(struct shipper *shipper)
{
    return wake(shipper, SHIPPER_PARKED);
}

void shipper_hurry(struct shipper *shipper)
{
    __atomic_fetch_add(&shipper->hurry, 1, __ATOMIC_RELAXED); /* ordered by wake() */
    (void)wake(shipper, SHIPPER_STUCK);
}

void shipper_tell(struct shipper *shipper)
{
    /* Sequentially consistent with the raise of waiters and the load of progress in shipper_wait(): either
     * the waiter sees the new progress, or we see the waiter. */
    __atomic_fetch_add(&shipper->progress, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&shipper->waiters, __ATOMIC_SEQ_CST) != 0)
        futex_wake(&shipper->progress, INT32_MAX);
}

bool shipper_wait(struct ailive *instance, int64_t deadline_ns,
                  bool (*wanted)(struct ailive *instance, void *context), void *context)
{
    struct shipper *shipper = &instance->live->shipper;
    bool there;

    __atomic_fetch_add(&shipper->waiters, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        uint32_t progress = __atomic_load_n(&shipper->progress, __ATOMIC_SEQ_CST);
        int64_t left_ns = deadline_ns - clock_monotonic_ns();
        there = wanted(instance, context);
        if (there || left_ns <= 0)
            break;
        futex_wait(&shipper->progress, progress, left_ns);
    }
    __atomic_fetch_sub(&shipper->waiters, 1, __ATOMIC_SEQ_CST);
    return there;
}

static bool any_ring_half_full(const struct instance_live *live)
{
    for (uint32_t i = 1; i < instance_rings(live); i++) {
        const struct ring *ring = &live->rings[i];
        if (ring_readable(ring) - ring_tail(ring) >= ring->header->capacity / 2)
            return true;
    }
    return false;
}

/* Sleeps until woken or park_ms are over. What a waker stored before its wake is looked at between the
 * exchange and the sleep; see wake(). A half-full ring does not keep us awake where we have just
 * failed to empty it (stuck): its thread would have us spin. */
static void shipper_park(struct instance_live *live, bool stuck)
{
    struct shipper *shipper = &live->shipper;
    uint32_t parked = stuck ? SHIPPER_STUCK : SHIPPER_PARKED;

    __atomic_exchange_n(&shipper->parked, parked, __ATOMIC_ACQ_REL);
    if (!shipper_stopping(shipper) &&
        __atomic_load_n(&shipper->hurry, __ATOMIC_RELAXED) == shipper->hurry_seen &&
        (stuck || !any_ring_half_full(live))) {
        futex_wait(&shipper->parked, parked, (int64_t)shipper->park_ms * NS_PER_MS);
        __atomic_fetch_add(&shipper->wakeups, 1, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&shipper->parked, SHIPPER_AWAKE, __ATOMIC_RELAXED);
}

bool shipper_records_wait(const struct instance_live *live)
{
    for (uint32_t i = 1; i < instance_rings(live); i++)
        if (ring_readable(&live->rings[i]) != ring_tail(&live->rings[i]))
            return true;
    return false;
}

/* Silent for too long while records wait: from now on they go to the spool, until the sidecar answers. */
static void shipper_judge(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;

    if (!shipper_records_wait(instance->live)) {
        if (!shipper->spooling)
            shipper->silent_since_ns = shipper->now_ns;
        return;
    }
    if (shipper->spooling || !exchange_silent(instance))
        return;
    shipper->spooling = true;
    shipper_set_connected(shipper, 0);
    if (!road_ipc_connected(&shipper->ipc)) {
        shipper->request.active = false;
        road_ipc_forget(&shipper->ipc);
    }
    instance_log(instance, AILIVE_LOG_WARNING,
                 "no acknowledgement from the sidecar at %s for %u ms: records go to the spool in '%s'",
                 instance->kept->settings.socket, instance->kept->settings.spool_after_ms,
                 instance->kept->settings.spool);
}

/* ---- the thread ---- */

/* How long to sleep after a round: short while things move, twice as long each time they do not. */
static void shipper_pace(struct ailive *instance, bool moved)
{
    struct shipper *shipper = &instance->live->shipper;
    int least_ms = shipper->spooling ? SHIPPER_SPOOL_MS : SHIPPER_BUSY_MS;
    int most_ms = SHIPPER_IDLE_MS;

    /* Records wait and cannot move: be back for the next attempt to connect. */
    if (!shipper->spooling && shipper_records_wait(instance->live))
        most_ms = SHIPPER_CONNECT_MS;
    if (moved || shipper->park_ms < least_ms)
        shipper->park_ms = least_ms;
    else
        shipper->park_ms *= 2;
    if (shipper->park_ms > most_ms)
        shipper->park_ms = most_ms;
}

static bool shipper_round(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;
    int64_t kept_at_ns = shipper->clock.kept_at_ns;
    bool moved;

    shipper->hurry_seen = __atomic_load_n(&shipper->hurry, __ATOMIC_RELAXED);
    shipper->now_ns = clock_monotonic_ns();
    clock_track_take(&shipper->clock, shipper->now_ns);
    if (shipper->clock.kept_at_ns != kept_at_ns)
        clock_rate_refine();
    if (!shipper_records_wait(instance->live) && !shipper->spooling)
        shipper->silent_since_ns = shipper->now_ns;
    exchange_tend(instance);
    moved = exchange_ship(instance);
    shipper_judge(instance);
    if (shipper->spooling && !shipper_stopping(shipper)) {
        moved |= spooling_round(instance);
        moved |= rescue_round(instance); /* after our own, and a bounded part at a time */
    }
    if (!shipper->spooling)
        spooling_review(shipper);
    shipper_tell(shipper);
    return moved;
}

/* The last thing before the end: whatever the sidecar has not acknowledged goes to the spool. What fits there
 * neither stays in the folder, for the sidecar to salvage. */
static void shipper_last(struct ailive *instance)
{
    bool connected = instance->live->shipper.connected;

    exchange_end(instance);
    instance->live->shipper.now_ns = clock_monotonic_ns();
    spooling_last(instance);
    if (!connected)
        (void)rescue_round(instance);
}

static void *shipper_main(void *context)
{
    struct ailive *instance = context;
    struct instance_live *live = instance->live;

    pthread_setname_np(pthread_self(), "ailive-ship");
    while (!shipper_stopping(&live->shipper)) {
        bool full_before = any_ring_half_full(live);
        bool moved = shipper_round(instance);
        shipper_pace(instance, moved);
        shipper_park(live, full_before && !moved);
    }
    shipper_last(instance);
    return NULL;
}

int shipper_start(struct ailive *instance)
{
    const struct instance_settings *settings = &instance->kept->settings;
    struct shipper *shipper = &instance->live->shipper;
    sigset_t all, before;
    int error;

    shipper->ipc.socket = &instance->fds.socket;
    shipper->spool.file = &instance->fds.spool;
    shipper->spool.folder = settings->spool;
    shipper->spool.producer = instance->live->producer;
    shipper->spool.file_bytes = settings->spool_file_bytes;
    shipper->spool.max_bytes = settings->spool_max_bytes;
    shipper->silent_since_ns = clock_monotonic_ns();
    /* The host's signals are the host's: the thread is born with all of them blocked. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&shipper->thread, NULL, shipper_main, instance);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    shipper->started = error == 0;
    return error;
}

bool shipper_finish(struct ailive *instance)
{
    struct instance_live *live = instance->live;
    bool out = true;

    __atomic_store_n(&live->shipper.stop, 1, __ATOMIC_RELEASE);
    shipper_hurry(&live->shipper);
    pthread_join(live->shipper.thread, NULL);
    for (uint32_t i = 0; i < instance_rings(live); i++)
        out = out && ring_at_rest(&live->rings[i]);
    return out;
}
