/* source_nng.h - the nng road: producers' batches come in, replies go back after the commit.
 *
 * Place on the route: producers' shippers -> [nng source] -> ingest. nng's threads move bytes and never call
 * ingest; one thread of our own takes whole messages to it.
 *
 * Speaks SP's REP side (wire/sp.h) over nng's stream listeners (nng_listener.h), on any road of wire/url.h;
 * any SP REQ can be the peer. Limits:
 * `connections_max` connections, SOURCE_NNG_MESSAGE_MAX_BYTES a message, SOURCE_NNG_STALL_MS for a greeting
 * or the rest of a begun message.
 */
#ifndef AILIVE_SIDECAR_SOURCE_NNG_H
#define AILIVE_SIDECAR_SOURCE_NNG_H

#include "ingest.h"

#include <wire/batch.h>

#define SOURCE_NNG_CONNECTIONS_DEFAULT 256u
#define SOURCE_NNG_MESSAGE_MAX_BYTES   262144u
#define SOURCE_NNG_STALL_MS            10000
#define SOURCE_NNG_URLS_MAX            16u

struct source_nng;

struct source_nng_options {
    const char *const *urls; /* 1 to SOURCE_NNG_URLS_MAX; all have been through url_read() */
    size_t url_count;
    bool remote_plaintext; /* see nng_listener.h for these */
    const char *tls_cert, *tls_ca;
    unsigned connections_max; /* 0: the default */
};

/* Listens on every URL, or on none: see nng_listener_open(). -1: error holds one line. Blocks all signals in
 * every thread it makes. */
int source_nng_open(const struct source_nng_options *options, struct ingest *ingest, struct source_nng **out,
                    char *error, size_t error_cap);

/* Stops accepting, takes in what has arrived whole, sends the replies, closes. NULL is harmless. */
void source_nng_close(struct source_nng *source);

/* Why a peer's input was not taken: label `reason` of ailive_ipc_errors_total. */
enum source_nng_error {
    IPC_ERROR_GREETING,  /* no SP REQ: closed */
    IPC_ERROR_FRAME,     /* no frame, or longer than the limit: closed */
    IPC_ERROR_BACKTRACE, /* no request id: closed */
    IPC_ERROR_TRUNCATED, /* ended in the middle of a greeting or message */
    IPC_ERROR_STALLED,   /* did not go on for SOURCE_NNG_STALL_MS: closed */
    IPC_ERROR_MALFORMED, /* no batch: refused, or closed when no reply can name it */
    IPC_ERROR_VERSION,   /* a batch of another version */
    IPC_ERROR_REFUSED,   /* a batch that ingest can never count */
    IPC_ERROR_LIMIT,     /* a connection beyond connections_max: closed */
    IPC_ERROR_MEMORY,    /* out of memory for it: closed */
    IPC_ERRORS
};
const char *source_nng_error_name(enum source_nng_error error);

struct source_nng_counters {
    uint64_t errors[IPC_ERRORS];
    unsigned connections; /* open now */
    unsigned producers;   /* of them, those that have sent a batch */
    uint64_t recorded;    /* what those say they have recorded; for display only */
};
void source_nng_counters(struct source_nng *source, struct source_nng_counters *out);

/* A connected producer that has sent a batch. For display only. */
struct source_nng_peer {
    struct event_producer producer;
    uint64_t pid, uid;          /* as the kernel says; pid 0: of another container */
    struct batch_totals totals; /* as of its last batch */
    uint64_t backlog;           /* recorded and neither shipped nor spooled when it sent that batch */
    double recorded_per_s;      /* over the last SOURCE_NNG_MARKS ticks, as far as there are any */
};
/* The first `cap` of them; returns how many there are. */
size_t source_nng_peers(struct source_nng *source, struct source_nng_peer *out, size_t cap);

/* Once a second, from the thread that opened it: what the rates are made of, and whether producers still find
 * the sockets: see nng_listener_keep(). */
#define SOURCE_NNG_MARKS 10u
void source_nng_tick(struct source_nng *source);

/* Whether a connection of this producer is open. */
bool source_nng_connected(struct source_nng *source, const struct event_producer *producer);

#endif
