/* shipper.c - the background thread: see shipper.h for what it owns and never does.
 *
 * Place on the route: rings -> [shipper] -> road_ipc or road_spool. One round: take the time, look after the
 * connection, ship what the rings hold, or spool it where the sidecar was silent for too long; then park.
 * A tail moves only when the records below it are acknowledged, in a spool file, or published as a range
 * drop: so a kill between any two instructions leaves each record in a ring, or accounted for, or both; the
 * sidecar counts by sequence number and does not mind "both". */
#include "instance.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000

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

bool shipper_wake(struct shipper *shipper)
{
    /* Two read-modify-writes of one word are totally ordered. If ours comes after the exchange in
     * shipper_park(), we see 1 and wake it; if it comes before, that exchange sees our stores and does not
     * sleep on them. A plain load here could lose the wake-up. */
    if (__atomic_fetch_or(&shipper->parked, 0, __ATOMIC_ACQ_REL) == 0 ||
        __atomic_exchange_n(&shipper->parked, 0, __ATOMIC_ACQ_REL) == 0)
        return false;
    futex_wake(&shipper->parked, 1);
    return true;
}

void shipper_hurry(struct shipper *shipper)
{
    __atomic_fetch_add(&shipper->hurry, 1, __ATOMIC_RELAXED); /* ordered by shipper_wake() */
    (void)shipper_wake(shipper);
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

static bool shipper_stopping(const struct shipper *shipper)
{
    return __atomic_load_n(&shipper->stop, __ATOMIC_ACQUIRE) != 0;
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
 * exchange and the sleep; see shipper_wake(). A half-full ring does not keep us awake where we have just
 * failed to empty it (stuck): its thread would have us spin. */
static void shipper_park(struct instance_live *live, bool stuck)
{
    struct shipper *shipper = &live->shipper;

    __atomic_exchange_n(&shipper->parked, 1, __ATOMIC_ACQ_REL);
    if (!shipper_stopping(shipper) &&
        __atomic_load_n(&shipper->hurry, __ATOMIC_RELAXED) == shipper->hurry_seen &&
        (stuck || !any_ring_half_full(live))) {
        futex_wait(&shipper->parked, 1, (int64_t)shipper->park_ms * NS_PER_MS);
        __atomic_fetch_add(&shipper->wakeups, 1, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&shipper->parked, 0, __ATOMIC_RELAXED);
}

/* ---- packing a batch ---- */

static void count_up(uint64_t *counter, uint64_t n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static void set_connected(struct shipper *shipper, uint32_t connected)
{
    __atomic_store_n(&shipper->connected, connected, __ATOMIC_RELAXED);
}

/* Puts a number on the batch's list of names, once. Numbers nobody was given stay off it: their rows are
 * counted as invalid by the sidecar. */
static void pack_name(struct shipper *shipper, const struct names *names, ailive_name id)
{
    const struct names_entry *entry = names_get(names, id);
    struct layout_name *name;

    if (!entry || shipper->name_mark[id] == shipper->name_stamp)
        return;
    shipper->name_mark[id] = shipper->name_stamp;
    name = &shipper->names[shipper->name_count++];
    name->id = id;
    name->kind = entry->kind;
    name->len_bytes = entry->len_bytes;
    name->text = entry->text;
    shipper->name_bytes += entry->len_bytes;
}

static void pack_names_of(struct shipper *shipper, const struct names *names, const struct event_row *row)
{
    pack_name(shipper, names, row->component);
    pack_name(shipper, names, row->run_id);
    if (row->kind == AILIVE_KIND_DECISION)
        pack_name(shipper, names, row->reason);
    if (row->kind == AILIVE_KIND_STAGE)
        pack_name(shipper, names, row->stage);
}

/* Columns lie one after the other, each with room for rows_max rows. Little-endian, as every supported host.
 */
static void pack_row(unsigned char *const columns[BATCH_COLUMNS], uint32_t i, const struct event_row *row)
{
    memcpy(columns[BATCH_TIME] + (size_t)i * 8, &row->time_ns, 8);
    columns[BATCH_KIND][i] = row->kind;
    columns[BATCH_DECISION][i] = row->decision;
    columns[BATCH_ACTION][i] = row->action;
    memcpy(columns[BATCH_REASON] + (size_t)i * 2, &row->reason, 2);
    memcpy(columns[BATCH_LATENCY] + (size_t)i * 8, &row->latency_ns, 8);
    memcpy(columns[BATCH_STAGE] + (size_t)i * 2, &row->stage, 2);
    memcpy(columns[BATCH_COMPONENT] + (size_t)i * 2, &row->component, 2);
    memcpy(columns[BATCH_RUN_ID] + (size_t)i * 2, &row->run_id, 2);
}

static void read_row(struct shipper *shipper, const struct ring *ring, uint64_t seq, struct event_row *row)
{
    uint64_t words[4];

    ring_slot(ring, seq, words);
    if (!event_row_unpack(words, row))
        row->time_ns = clock_track_utc(&shipper->clock, words[0]);
}

/* Packs rows of [first, head) until head, or until no more fit beside their names. Returns how many. */
static uint32_t pack_rows(struct ailive *instance, const struct ring *ring, uint64_t first, uint64_t head,
                          struct batch *batch)
{
    struct shipper *shipper = &instance->live->shipper;
    unsigned char *columns[BATCH_COLUMNS], *at = shipper->columns;
    uint32_t most = batch_rows_max(0, 0), rows = 0;
    struct event_row row;

    for (unsigned c = 0; c < BATCH_COLUMNS; c++) {
        columns[c] = at;
        batch->columns[c] = at;
        at += (size_t)most * batch_column_bytes[c];
    }
    assert(at <= shipper->columns + sizeof(shipper->columns));
    shipper->name_stamp++;
    shipper->name_count = 0;
    shipper->name_bytes = 0;
    while (first + rows != head && rows < most && shipper->name_count + 4 <= SHIPPER_BATCH_NAMES) {
        read_row(shipper, ring, first + rows, &row);
        pack_names_of(shipper, &instance->kept->names, &row);
        most = batch_rows_max(shipper->name_count, shipper->name_bytes);
        if (rows == most)
            break; /* this row's names leave no room for it; they are declared for nothing, which is harmless
                    */
        pack_row(columns, rows++, &row);
    }
    return rows;
}

static void pack_head(struct ailive *instance, const struct ring *ring, struct batch *batch)
{
    struct ailive_stats stats;

    memset(batch, 0, sizeof(*batch));
    batch->producer = instance->live->producer;
    batch->ring = ring->header->number;
    batch->first = batch->tail = ring_tail(ring);
    batch->drop = -1;
    ring_door_read(ring, batch->door);
    instance_count(instance, &stats);
    batch->totals.recorded = stats.recorded;
    batch->totals.shipped = stats.shipped;
    batch->totals.spooled = stats.spooled;
    batch->totals.dropped = stats.dropped_full + stats.dropped_ring + stats.dropped_spool;
}

/* Makes an encoded batch the outstanding request. */
static void request_send(struct shipper *shipper, const struct batch *batch, enum shipper_kind kind,
                         uint32_t entry)
{
    struct shipper_request *request = &shipper->request;
    size_t len_bytes = batch_encode(batch, road_ipc_body(&shipper->ipc), BATCH_MAX_BYTES);

    assert(len_bytes > 0);
    road_ipc_request(&shipper->ipc, len_bytes);
    request->active = true;
    request->kind = kind;
    request->ring = batch->ring;
    request->first = batch->first;
    request->count = batch->count;
    request->entry = entry;
    memcpy(request->door, batch->door, sizeof(request->door));
    request->sent_at_ns = shipper->now_ns;
}

static void request_records(struct ailive *instance, struct ring *ring)
{
    struct shipper *shipper = &instance->live->shipper;
    uint64_t head = ring_readable(ring);
    struct batch batch;

    /* A pair taken after the head was read: every record below it lies between two pairs. */
    clock_track_take(&shipper->clock, shipper->now_ns);
    pack_head(instance, ring, &batch);
    if (batch.first > head) /* the counter wraps inside: first + count must not, on the wire */
        head = 0;
    batch.count = pack_rows(instance, ring, batch.first, head, &batch);
    batch.names = shipper->names;
    batch.name_count = shipper->name_count;
    request_send(shipper, &batch, SHIPPER_RECORDS, 0);
}

static void request_drop(struct ailive *instance, struct ring *ring, uint32_t entry,
                         const struct layout_range_drop *drop)
{
    uint64_t count = drop->end - drop->first;
    struct batch batch;

    pack_head(instance, ring, &batch);
    batch.first = drop->first;
    batch.count = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
    batch.drop = (int)drop->reason;
    request_send(&instance->live->shipper, &batch, SHIPPER_DROP, entry);
}

static void request_greeting(struct ailive *instance, struct ring *ring)
{
    struct batch batch;

    pack_head(instance, ring, &batch);
    request_send(&instance->live->shipper, &batch, SHIPPER_GREETING, 0);
}

/* ---- choosing what to send ---- */

/* Sends what this ring has to say, records before door words (which go with every batch). */
static bool request_of_ring(struct ailive *instance, struct ring *ring)
{
    struct shipper *shipper = &instance->live->shipper;
    struct layout_range_drop drop;
    uint32_t entry = 0;

    if (!shipper->drops_refused && ring_drop_next(ring, &entry, &drop))
        request_drop(instance, ring, entry, &drop);
    else if (ring_readable(ring) != ring_tail(ring))
        request_records(instance, ring);
    else if (ring_door_changed(ring))
        request_greeting(instance, ring);
    else
        return false;
    return true;
}

/* Makes the next request: the greeting of a new connection, then one ring after the other. false: there is
 * nothing to say. */
static bool request_next(struct ailive *instance)
{
    struct instance_live *live = instance->live;
    struct shipper *shipper = &live->shipper;
    uint32_t rings = instance_rings(live);

    if (shipper->greet) {
        shipper->greet = false;
        request_greeting(instance, &live->rings[0]);
        return true;
    }
    for (uint32_t i = 0; i < rings; i++) {
        struct ring *ring = &live->rings[(shipper->ring_next + i) % rings];
        if (request_of_ring(instance, ring)) {
            shipper->ring_next = (shipper->ring_next + i + 1) % rings;
            return true;
        }
    }
    return false;
}

/* Whether records wait in a ring. */
static bool records_wait(const struct instance_live *live)
{
    for (uint32_t i = 1; i < instance_rings(live); i++)
        if (ring_readable(&live->rings[i]) != ring_tail(&live->rings[i]))
            return true;
    return false;
}

/* ---- the reply ---- */

static void shipper_lost(struct ailive *instance);

static void answered_records(struct ailive *instance, struct ring *ring, uint32_t status)
{
    struct shipper *shipper = &instance->live->shipper;
    const struct shipper_request *request = &shipper->request;
    /* Some of them may have gone to the spool while we waited: those below the tail are not ours any more. */
    uint64_t gone = ring_tail(ring) - request->first;
    uint64_t end = request->first + request->count, n = request->count - gone;

    if (gone >= request->count)
        return;
    if (status != BATCH_REFUSED) {
        ring_release(ring, end);
        count_up(&shipper->shipped, n);
    } else if (!ring_drop_range(ring, end, EVENT_DROP_REFUSED)) {
        shipper_lost(instance); /* all entries taken: a new connection, later, tries again with the drops */
    } else {
        count_up(&shipper->dropped, n);
        instance_log(instance, AILIVE_LOG_ERROR,
                     "the sidecar refused %llu records of ring %u for good: dropped and counted; are its "
                     "version and ours the same?",
                     (unsigned long long)n, ring->header->number);
    }
}

static void answered_version(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;

    if (!shipper->version_refused)
        instance_log(instance, AILIVE_LOG_WARNING,
                     "the sidecar does not speak batch version %u: records go to the spool in %s until it is "
                     "replaced",
                     BATCH_VERSION, instance->kept->settings.spool);
    shipper->version_refused = true;
    shipper->spooling = true;
}

/* The sidecar lives: the spool, if it was in use, is left to it. */
static void answered_alive(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;

    shipper->silent_since_ns = shipper->now_ns;
    if (!shipper->connected)
        instance_log(instance, AILIVE_LOG_INFO, "the sidecar answers at %s", instance->kept->settings.socket);
    set_connected(shipper, 1);
    if (!shipper->spooling)
        return;
    shipper->spooling = false;
    shipper->spool_full = shipper->spool_failed = false;
    road_spool_rest(&shipper->spool);
}

static void answered(struct ailive *instance, const struct batch_reply *reply)
{
    struct shipper *shipper = &instance->live->shipper;
    struct shipper_request *request = &shipper->request;
    struct ring *ring = &instance->live->rings[request->ring];

    request->active = false;
    if (reply->status == BATCH_NO_VERSION) {
        answered_version(instance);
        return;
    }
    answered_alive(instance);
    if (request->kind == SHIPPER_RECORDS)
        answered_records(instance, ring, reply->status);
    else if (request->kind == SHIPPER_DROP && reply->status == BATCH_REFUSED)
        shipper->drops_refused = true;
    else if (request->kind == SHIPPER_DROP)
        ring_drop_settle(ring, request->entry, request->count);
    /* Refused greetings count too: repeating one at once would not change the answer. The words are
     * cumulative: the next batch of the ring carries them again. */
    memcpy(ring->door_known, request->door, sizeof(ring->door_known));
}

static void shipper_lost(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;

    road_ipc_close(&shipper->ipc);
    if (shipper->connected)
        instance_log(instance, AILIVE_LOG_WARNING,
                     "the sidecar at %s is gone; records wait, and go to the spool after %u ms",
                     instance->kept->settings.socket, instance->kept->settings.spool_after_ms);
    set_connected(shipper, 0);
    shipper->version_refused = false;
    shipper->drops_refused = false;
    /* Records and drops are sent again as they are, once connected again: the sidecar may have counted them,
     * and the same range again is what it knows how to recognise. */
    if (shipper->request.kind == SHIPPER_GREETING || shipper->spooling)
        shipper->request.active = false;
    if (!shipper->request.active)
        road_ipc_forget(&shipper->ipc);
}

static bool reply_matches(const struct ailive *instance, const struct batch_reply *reply)
{
    const struct shipper_request *request = &instance->live->shipper.request;

    return request->active && reply->ring == request->ring && reply->first == request->first &&
           reply->count == request->count && reply->status <= BATCH_NO_VERSION &&
           memcmp(&reply->producer, &instance->live->producer, sizeof(reply->producer)) == 0;
}

/* Sends and reads once, waiting at most timeout_ms. true: the outstanding request was answered. */
static bool shipper_step(struct ailive *instance, int timeout_ms)
{
    struct shipper *shipper = &instance->live->shipper;
    unsigned char body[ROAD_IPC_IN_BYTES];
    struct batch_reply reply;
    size_t body_bytes;
    enum road_ipc_event event = road_ipc_step(&shipper->ipc, timeout_ms, body, &body_bytes);

    shipper->now_ns = clock_monotonic_ns();
    if (event == ROAD_IPC_REPLY) {
        if (batch_reply_decode(body, body_bytes, &reply) && reply_matches(instance, &reply)) {
            answered(instance, &reply);
            return true;
        }
        event = ROAD_IPC_LOST; /* whatever answers there is no sidecar of ours */
    }
    if (event == ROAD_IPC_LOST)
        shipper_lost(instance);
    return false;
}

/* ---- shipping ---- */

static bool shipper_silent(const struct ailive *instance)
{
    const struct shipper *shipper = &instance->live->shipper;

    return shipper->now_ns - shipper->silent_since_ns >=
           (int64_t)instance->kept->settings.spool_after_ms * NS_PER_MS;
}

static void resend_if_due(struct shipper *shipper)
{
    if (shipper->now_ns - shipper->request.sent_at_ns < (int64_t)SHIPPER_RESEND_MS * NS_PER_MS ||
        !road_ipc_sent_whole(&shipper->ipc))
        return;
    road_ipc_again(&shipper->ipc);
    shipper->request.sent_at_ns = shipper->now_ns;
}

/* Waits for the reply to the outstanding request: true when it came. Gives up when the sidecar has been
 * silent for too long, on the way to a stop, or at once when nothing but a greeting waits for it. */
static bool shipper_exchange(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;

    while (road_ipc_connected(&shipper->ipc)) {
        if (shipper_step(instance, SHIPPER_SLICE_MS))
            return true;
        if (shipper_stopping(shipper) || !records_wait(instance->live) || shipper_silent(instance))
            return false;
        if (shipper->request.active)
            resend_if_due(shipper);
        else if (road_ipc_sent_whole(&shipper->ipc))
            return false;
    }
    return false;
}

/* Sends everything there is, one request after the other. true: something was taken off the rings. */
static bool shipper_ship(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;
    bool moved = false;

    while (road_ipc_connected(&shipper->ipc) && !shipper->spooling && !shipper_stopping(shipper)) {
        /* A resent copy may be half way out though its first copy is answered: it must be finished. */
        bool waiting = shipper->request.active || !road_ipc_sent_whole(&shipper->ipc);
        if (waiting ? !records_wait(instance->live) : !request_next(instance))
            break; /* nothing to say, or nothing urgent behind what was said before */
        if (!shipper_exchange(instance))
            break;
        moved = true;
        shipper_tell(shipper);
    }
    return moved;
}

/* ---- the connection ---- */

static void shipper_connect(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;

    if (shipper->now_ns < shipper->connect_at_ns)
        return;
    shipper->connect_at_ns = shipper->now_ns + (int64_t)SHIPPER_CONNECT_MS * NS_PER_MS;
    if (road_ipc_connect(&shipper->ipc, instance->kept->settings.socket) != 0)
        return; /* absent is no news: the log was told when it went, and is told when it answers */
    shipper->greet = !shipper->request.active;
    shipper->request.sent_at_ns = shipper->now_ns;
}

/* While spooling: takes what the sidecar says as a sign of life, and asks it from time to time. */
static void shipper_probe(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;
    bool due = !shipper->request.active ||
               shipper->now_ns - shipper->request.sent_at_ns >= (int64_t)SHIPPER_PROBE_MS * NS_PER_MS;

    if (shipper_step(instance, 0) || !road_ipc_connected(&shipper->ipc) || shipper->version_refused)
        return;
    if (!due || !road_ipc_sent_whole(&shipper->ipc))
        return;
    shipper->greet = false;
    request_greeting(instance, &instance->live->rings[0]);
    (void)shipper_step(instance, SHIPPER_BUSY_MS);
}

static void shipper_tend(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;

    if (!road_ipc_connected(&shipper->ipc))
        shipper_connect(instance);
    if (!road_ipc_connected(&shipper->ipc))
        return;
    if (shipper->spooling) {
        shipper_probe(instance);
        return;
    }
    (void)shipper_step(instance, 0); /* notices a sidecar that went away while nothing was sent */
    if (shipper->request.active)
        resend_if_due(shipper);
}

/* ---- spooling ---- */

static size_t spool_line(struct ailive *instance, const struct ring *ring, uint64_t seq, char *line)
{
    struct instance_live *live = instance->live;
    struct spool_record record = {.producer = live->producer, .ring = ring->header->number, .seq = seq};
    struct names_of_row names;

    read_row(&live->shipper, ring, seq, &record.row);
    if (!names_resolve(&instance->kept->names, &record.row, &names))
        return spool_format_invalid(&live->producer, record.ring, seq, record.row.time_ns, line);
    record.reason = (struct spool_text){names.reason, names.reason ? strlen(names.reason) : 0};
    record.stage = (struct spool_text){names.stage, names.stage ? strlen(names.stage) : 0};
    record.component = (struct spool_text){names.component, strlen(names.component)};
    record.run_id = (struct spool_text){names.run_id, strlen(names.run_id)};
    return spool_format_record(&record, line);
}

static void spool_failure(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;
    int error = errno;

    shipper->spool_at_ns = shipper->now_ns + (int64_t)SHIPPER_IDLE_MS * NS_PER_MS;
    if (!shipper->spool_failed)
        instance_log(
            instance, AILIVE_LOG_ERROR,
            "%s in '%s' failed: %s; records stay in memory, and are dropped and counted once that is "
            "full; see that the folder is there, writable and has room",
            shipper->spool.failed, shipper->spool.folder, strerrordesc_np(error));
    shipper->spool_failed = true;
}

/* Writes the chunk: the first n records of the ring. */
static bool spool_flush(struct ailive *instance, struct ring *ring, uint64_t n)
{
    struct shipper *shipper = &instance->live->shipper;

    if (road_spool_flush(&shipper->spool) != ROAD_SPOOL_OK) {
        spool_failure(instance);
        return false;
    }
    shipper->spool_failed = false;
    __atomic_store_n(&shipper->spool_bytes, shipper->spool.total, __ATOMIC_RELAXED);
    if (n == 0)
        return true;
    ring_release(ring, ring_tail(ring) + n); /* only now: they are in the file as whole lines */
    count_up(&shipper->spooled, n);
    shipper_tell(shipper);
    return true;
}

/* The spool is at its cap: what the ring holds is given up as one range. */
static bool spool_drop(struct ailive *instance, struct ring *ring, uint64_t head)
{
    struct shipper *shipper = &instance->live->shipper;
    uint64_t n = head - ring_tail(ring);

    if (!shipper->spool_full)
        instance_log(instance, AILIVE_LOG_ERROR,
                     "the spool in %s holds %llu bytes, its limit: records are dropped and counted until the "
                     "sidecar has taken it in",
                     shipper->spool.folder, (unsigned long long)shipper->spool.max_bytes);
    shipper->spool_full = true;
    if (!ring_drop_range(ring, head, EVENT_DROP_SPOOL_FULL))
        return false;
    count_up(&shipper->dropped, n);
    shipper_tell(shipper);
    return true;
}

/* Fills one chunk with the oldest records and writes it. false: no more from this ring now. */
static bool spool_chunk(struct ailive *instance, struct ring *ring, uint64_t head)
{
    struct road_spool *spool = &instance->live->shipper.spool;
    enum road_spool_status status = ROAD_SPOOL_OK;
    uint64_t tail = ring_tail(ring), n = 0;
    char line[SPOOL_LINE_MAX_BYTES];

    while (tail + n != head && status == ROAD_SPOOL_OK) {
        status = road_spool_add(spool, line, spool_line(instance, ring, tail + n, line), false);
        n += status == ROAD_SPOOL_OK;
    }
    if (!spool_flush(instance, ring, n))
        return false;
    if (status == ROAD_SPOOL_FULL)
        return spool_drop(instance, ring, head) && false;
    return tail + n != head;
}

/* Door words that nobody has been told, as a line. */
static bool spool_door(struct ailive *instance, struct ring *ring)
{
    struct instance_live *live = instance->live;
    uint64_t door[LAYOUT_DOOR_WORDS];
    char line[SPOOL_LINE_MAX_BYTES];
    size_t len_bytes;

    if (!ring_door_changed(ring))
        return true;
    ring_door_read(ring, door);
    len_bytes = spool_format_door(&live->producer, ring->header->number, door, line);
    if (road_spool_add(&live->shipper.spool, line, len_bytes, shipper_stopping(&live->shipper)) !=
            ROAD_SPOOL_OK ||
        !spool_flush(instance, ring, 0))
        return false;
    memcpy(ring->door_known, door, sizeof(ring->door_known));
    return true;
}

/* Moves the oldest records of a ring, and its door words, to the spool. true: something moved. */
static bool spool_ring(struct ailive *instance, struct ring *ring, uint32_t chunks)
{
    struct shipper *shipper = &instance->live->shipper;
    uint64_t tail = ring_tail(ring), head = ring_readable(ring);

    if (head != tail)
        clock_track_take(&shipper->clock, shipper->now_ns);
    while (chunks > 0 && head != ring_tail(ring) && spool_chunk(instance, ring, head))
        chunks--;
    if (!shipper->spool_failed)
        (void)spool_door(instance, ring);
    return ring_tail(ring) != tail;
}

static bool shipper_spool(struct ailive *instance)
{
    struct instance_live *live = instance->live;
    struct shipper *shipper = &live->shipper;
    bool moved = false;

    if (shipper->now_ns < shipper->spool_at_ns)
        return false;
    for (uint32_t i = 0; i < instance_rings(live); i++) {
        if (shipper->spool_failed && shipper->now_ns < shipper->spool_at_ns)
            break;
        moved |= spool_ring(instance, &live->rings[i], SHIPPER_SPOOL_CHUNKS);
    }
    return moved;
}

/* Silent for too long while records wait: from now on they go to the spool, until the sidecar answers. */
static void shipper_judge(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;

    if (!records_wait(instance->live)) {
        if (!shipper->spooling)
            shipper->silent_since_ns = shipper->now_ns;
        return;
    }
    if (shipper->spooling || !shipper_silent(instance))
        return;
    shipper->spooling = true;
    set_connected(shipper, 0);
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
    if (!shipper->spooling && records_wait(instance->live))
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
    if (!records_wait(instance->live) && !shipper->spooling)
        shipper->silent_since_ns = shipper->now_ns;
    shipper_tend(instance);
    moved = shipper_ship(instance);
    shipper_judge(instance);
    if (shipper->spooling && !shipper_stopping(shipper))
        moved |= shipper_spool(instance);
    shipper_tell(shipper);
    return moved;
}

/* Range drops that the sidecar was not told, as lines. */
static void finish_drops(struct ailive *instance, struct ring *ring)
{
    struct instance_live *live = instance->live;
    struct layout_range_drop drop;
    char line[SPOOL_LINE_MAX_BYTES];
    size_t len_bytes;

    for (uint32_t entry = 0; ring_drop_next(ring, &entry, &drop); entry++) {
        len_bytes = spool_format_drop(&live->producer, ring->header->number, drop.first,
                                      drop.end - drop.first, (enum event_drop)drop.reason, line);
        if (road_spool_add(&live->shipper.spool, line, len_bytes, true) != ROAD_SPOOL_OK ||
            !spool_flush(instance, ring, 0))
            return;
        ring_drop_settle(ring, entry, drop.end - drop.first);
    }
}

/* The last thing before the end: whatever the sidecar has not acknowledged goes to the spool. What fits there
 * neither stays in the folder, for the sidecar to salvage. */
static void shipper_last(struct ailive *instance)
{
    struct instance_live *live = instance->live;
    struct shipper *shipper = &live->shipper;

    if (road_ipc_connected(&shipper->ipc) && shipper->request.active)
        (void)shipper_step(instance, 0);
    shipper->now_ns = clock_monotonic_ns();
    for (uint32_t i = 0; i < instance_rings(live); i++) {
        struct ring *ring = &live->rings[i];
        (void)spool_ring(instance, ring, UINT32_MAX);
        finish_drops(instance, ring);
        /* Once more, where all entries for range drops were taken until now. */
        if (spool_ring(instance, ring, UINT32_MAX))
            finish_drops(instance, ring);
        (void)spool_door(instance, ring);
    }
    road_spool_rest(&shipper->spool);
    road_ipc_close(&shipper->ipc);
    set_connected(shipper, 0);
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
