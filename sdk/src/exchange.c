/* exchange.c - one request at a time, and what its answer does; see exchange.h.
 *
 * Place on the route: pack -> [exchange] -> road_ipc. Owns the outstanding request and decides when to
 * connect, to send again and to give a connection up. Shipper's thread only. A tail moves here only when the
 * records below it are acknowledged, or published as a range drop because they were refused. */
#include "exchange.h"

#include "pack.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

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
    struct batch batch;

    pack_records(instance, ring, &batch);
    request_send(&instance->live->shipper, &batch, SHIPPER_RECORDS, 0);
}

static void request_drop(struct ailive *instance, struct ring *ring, uint32_t entry,
                         const struct layout_range_drop *drop)
{
    struct batch batch;

    pack_drop(instance, ring, drop, &batch);
    request_send(&instance->live->shipper, &batch, SHIPPER_DROP, entry);
}

static void request_greeting(struct ailive *instance, const struct ring *ring)
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

/* ---- the reply ---- */

static void exchange_lost(struct ailive *instance);

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
        shipper_count(&shipper->shipped, n);
        shipper->refused_told = false;
    } else if (!ring_drop_range(ring, end, EVENT_DROP_REFUSED)) {
        exchange_lost(instance); /* all entries taken: a new connection, later, tries again with the drops */
    } else {
        shipper_count(&shipper->dropped, n);
        if (!shipper->refused_told)
            instance_log(
                instance, AILIVE_LOG_ERROR,
                "the sidecar refused %llu records of ring %u for good: dropped and counted, as will be "
                "those that follow until it takes some; are its version and ours the same?",
                (unsigned long long)n, ring->header->number);
        shipper->refused_told = true;
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
    shipper_set_connected(shipper, 1);
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

static void exchange_lost(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;

    road_ipc_close(&shipper->ipc);
    if (shipper->connected)
        instance_log(instance, AILIVE_LOG_WARNING,
                     "the sidecar at %s is gone; records wait, and go to the spool after %u ms",
                     instance->kept->settings.socket, instance->kept->settings.spool_after_ms);
    shipper_set_connected(shipper, 0);
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
static bool exchange_step(struct ailive *instance, int timeout_ms)
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
        exchange_lost(instance);
    return false;
}

/* ---- shipping ---- */

bool exchange_silent(const struct ailive *instance)
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
static bool exchange_wait(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;

    while (road_ipc_connected(&shipper->ipc)) {
        if (exchange_step(instance, SHIPPER_SLICE_MS))
            return true;
        if (shipper_stopping(shipper) || !shipper_records_wait(instance->live) || exchange_silent(instance))
            return false;
        if (shipper->request.active)
            resend_if_due(shipper);
        else if (road_ipc_sent_whole(&shipper->ipc))
            return false;
    }
    return false;
}

/* Sends everything there is, one request after the other. true: something was taken off the rings. */
bool exchange_ship(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;
    bool moved = false;

    while (road_ipc_connected(&shipper->ipc) && !shipper->spooling && !shipper_stopping(shipper)) {
        /* A resent copy may be half way out though its first copy is answered: it must be finished. */
        bool waiting = shipper->request.active || !road_ipc_sent_whole(&shipper->ipc);
        if (waiting ? !shipper_records_wait(instance->live) : !request_next(instance))
            break; /* nothing to say, or nothing urgent behind what was said before */
        if (!exchange_wait(instance))
            break;
        moved = true;
        shipper_tell(shipper);
    }
    return moved;
}

/* ---- the connection ---- */

static int exchange_dial(struct ailive *instance)
{
    const struct instance_kept *kept = instance->kept;
    struct shipper *shipper = &instance->live->shipper;
    int fd, error;

    if (kept->settings.road == URL_IPC)
        return road_ipc_connect(&shipper->ipc, kept->settings.socket);
    error = road_nng_connect(&kept->nng, &fd);
    if (error == 0)
        return road_ipc_adopt(&shipper->ipc, fd);
    if (error == EPERM && !shipper->child_told)
        instance_log(
            instance, AILIVE_LOG_WARNING,
            "a forked child cannot use %s, libnng is not fork-safe: its records go to the spool in '%s'",
            kept->settings.socket, kept->settings.spool);
    shipper->child_told |= error == EPERM;
    return error;
}

static void exchange_connect(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;

    if (shipper->now_ns < shipper->connect_at_ns)
        return;
    shipper->connect_at_ns = shipper->now_ns + (int64_t)SHIPPER_CONNECT_MS * NS_PER_MS;
    if (exchange_dial(instance) != 0)
        return; /* absent is no news: the log was told when it went, and is told when it answers */
    shipper->greet = !shipper->request.active;
    shipper->request.sent_at_ns = shipper->now_ns;
}

/* While spooling: takes what the sidecar says as a sign of life, and asks it from time to time. */
static void exchange_probe(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;
    bool asked = shipper->request.active;
    bool due =
        !asked || shipper->now_ns - shipper->request.sent_at_ns >= (int64_t)SHIPPER_PROBE_MS * NS_PER_MS;

    if (exchange_step(instance, 0) || !road_ipc_connected(&shipper->ipc) || shipper->version_refused)
        return;
    if (!due || !road_ipc_sent_whole(&shipper->ipc))
        return;
    shipper->greet = false;
    request_greeting(instance, &instance->live->rings[0]);
    /* One that lives answers at once; one that was silent before is not worth a wake-up of its own. */
    (void)exchange_step(instance, asked ? 0 : SHIPPER_BUSY_MS);
}

void exchange_tend(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;

    if (!road_ipc_connected(&shipper->ipc))
        exchange_connect(instance);
    if (!road_ipc_connected(&shipper->ipc))
        return;
    if (shipper->spooling) {
        exchange_probe(instance);
        return;
    }
    (void)exchange_step(instance, 0); /* notices a sidecar that went away while nothing was sent */
    if (shipper->request.active)
        resend_if_due(shipper);
}

void exchange_end(struct ailive *instance)
{
    struct shipper *shipper = &instance->live->shipper;

    if (road_ipc_connected(&shipper->ipc) && shipper->request.active)
        (void)exchange_step(instance, 0);
    road_ipc_close(&shipper->ipc);
    shipper_set_connected(shipper, 0);
}
