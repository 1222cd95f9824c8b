/* ailive.h - record AI decisions, actions and latencies inside a host process.
 *
 * The only public header of libailive. First stop on the route:
 *
 *     host thread -> its own ring (this header) -> shipper thread -> nng IPC or JSONL spool -> sidecar
 *
 * A recording call costs one reading of the time stamp counter and one 32-byte store into a ring that
 * belongs to the calling thread: no lock, no allocation, no system call, no string copy. It never blocks;
 * a full ring drops the record and counts the drop.
 *
 * Watch-only: nothing here can place, change or cancel an order.
 *
 * Threads: every function may be called from any thread, unless its comment says otherwise. No function is
 * async-signal-safe; a signal handler that interrupts a recording call and does not record itself does no
 * harm.
 *
 * Fork: a forked child may go on using an instance opened by its parent. Its first call gives it a producer
 * id, rings and a shipper of its own; handles stay valid.
 *
 * Errors: functions return AILIVE_OK (0) or a negative AILIVE_E... status; ailive_strerror() names it. The
 * library never prints, never exits, installs no signal handler and leaves the host's signal mask alone.
 */
#ifndef AILIVE_H
#define AILIVE_H

#include <stddef.h>
#include <stdint.h>
#if defined(__x86_64__) || defined(__i386__)
#include <x86intrin.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#if defined(AILIVE_STATIC)
#define AILIVE_API
#else
#define AILIVE_API __attribute__((visibility("default")))
#endif

/* Version of this header. ailive_version() gives the library's. */
#define AILIVE_VERSION_MAJOR  0
#define AILIVE_VERSION_MINOR  1
#define AILIVE_VERSION_PATCH  0
#define AILIVE_VERSION_STRING "0.1.0"

/* ---- statuses -------------------------------------------------------------------------------------------
 */

enum ailive_status {
    AILIVE_OK = 0,
    AILIVE_EINVAL = -1,    /* an argument is NULL, out of range or unknown */
    AILIVE_ETOOLONG = -2,  /* a name or path is longer than its stated limit */
    AILIVE_ECLOSED = -3,   /* the instance is closed */
    AILIVE_EFULL = -4,     /* the ring is full: the record was dropped and counted */
    AILIVE_ENORING = -5,   /* no ring could be made for this thread: the record was dropped and counted */
    AILIVE_ELIMIT = -6,    /* a stated limit is reached (names, instances) */
    AILIVE_ETIMEDOUT = -7, /* the deadline passed first */
    AILIVE_ESYS = -8,      /* a system call failed; the log callback was told which one */
    AILIVE_EDISABLED = -9, /* AILIVE_DISABLED=1: the call was a counted no-op */
    AILIVE_ENOTSUP = -10   /* not possible on this instance (ailive_memory_read() without the memory sink) */
};

/* Constant text for a status; never NULL, never freed. "unknown status" for a value that is none. */
AILIVE_API const char *ailive_strerror(int status);

/* "MAJOR.MINOR.PATCH" of the library that is loaded. Constant text. */
AILIVE_API const char *ailive_version(void);

/* The binary interface: the number in libailive.so.N. The loader keeps a host from another one; a program
 * that finds the library itself (dlopen, a binding) records only when ailive_abi() == AILIVE_ABI, because
 * recording calls are inlined and trust the layout. Within one number, options may grow: see
 * ailive_options.size. */
#define AILIVE_ABI 0u
AILIVE_API unsigned ailive_abi(void);

/* ---- what is recorded -----------------------------------------------------------------------------------
 */

/* The values are the wire's (docs/wire.md) and never change. */
enum ailive_decision {
    AILIVE_ACCEPT = 1,
    AILIVE_REJECT = 2,
    AILIVE_NOOP = 3
};

enum ailive_action {
    AILIVE_ACTION_NONE = 0, /* with a decision: it led to no action */
    AILIVE_ORDER_INTENT = 1,
    AILIVE_ORDER_REQUEST = 2,
    AILIVE_SUBMIT = 3,
    AILIVE_CANCEL = 4,
    AILIVE_FILL = 5
};

/* A registered name: a small integer that stands for a string inside one instance and its forked children.
 * The eight reasons of the contract need no registration. */
typedef uint16_t ailive_name;

#define AILIVE_REASON_NONE               ((ailive_name)0)
#define AILIVE_REASON_NO_SIGNAL          ((ailive_name)1)
#define AILIVE_REASON_COOLDOWN           ((ailive_name)2)
#define AILIVE_REASON_MARKET_CLOSED      ((ailive_name)3)
#define AILIVE_REASON_RISK_LIMIT         ((ailive_name)4)
#define AILIVE_REASON_GOVERNANCE_NO_LIVE ((ailive_name)5)
#define AILIVE_REASON_INVALID_ORDER      ((ailive_name)6)
#define AILIVE_REASON_OTHER              ((ailive_name)7)
#define AILIVE_COMPONENT_DEFAULT         ((ailive_name)8) /* the component the instance was opened with */
#define AILIVE_RUN_ID_DEFAULT            ((ailive_name)9) /* the run id the instance was opened with */

enum ailive_name_kind {
    AILIVE_NAME_REASON = 1,
    AILIVE_NAME_STAGE = 2,
    AILIVE_NAME_COMPONENT = 3,
    AILIVE_NAME_RUN_ID = 4
};

/* Limits of names. Source of 96: the longest label the contract keeps (reason and run_id, n(96)). */
#define AILIVE_NAME_MAX_BYTES 96
#define AILIVE_NAMES_MAX      1000

/* For whom a record is: component and run id. */
struct ailive_scope {
    ailive_name component; /* AILIVE_COMPONENT_DEFAULT or a registered component */
    ailive_name run_id;    /* AILIVE_RUN_ID_DEFAULT or a registered run id */
};

/* "This record has no latency": nothing is observed. */
#define AILIVE_NO_LATENCY INT64_MIN

/* "Now": the record is stamped with the CPU's time stamp counter. */
#define AILIVE_NOW INT64_MIN

/* ---- opening and closing --------------------------------------------------------------------------------
 */

struct ailive; /* an open instance. Its handle stays safe to pass after ailive_close(). */

enum ailive_log_level {
    AILIVE_LOG_ERROR = 1,
    AILIVE_LOG_WARNING = 2,
    AILIVE_LOG_INFO = 3
};

/* Called with one line of text, without newline, valid during the call. Called by the shipper thread, or by
 * the thread inside ailive_open(), ailive_close() or a first record. Must not call libailive. */
typedef void (*ailive_log_fn)(void *context, enum ailive_log_level level, const char *line);

/* Options of ailive_open(). Initialise with AILIVE_OPTIONS_INIT and set what differs. Every string is copied.
 * NULL, 0 and an empty string always mean the default; a blank environment variable means its default too. */
struct ailive_options {
    size_t size;           /* sizeof(struct ailive_options), set by AILIVE_OPTIONS_INIT: how the library knows
                              which fields the caller's header had. A field that this library does not know
                              must be 0: AILIVE_EINVAL otherwise, the library is too old */
    const char *component; /* default $PEAK_TRADE_AI_COMPONENT, else "execution_watch"; <= 96 bytes */
    const char *run_id;    /* default $PEAK_TRADE_AI_RUN_ID, else "na"; <= 96 bytes */
    const char *ipc_url;   /* the sidecar's "ipc:///path"; default $AILIVE_IPC_URL, else
                              "ipc://<runtime folder>/sidecar.sock"; path <= 107 bytes (sockaddr_un). Where host
                              and sidecar share no file system: "tcp://127.0.0.1:PORT", "ws://127.0.0.1:PORT",
                              "tls+tcp://HOST:PORT", <= 255 bytes; these load libailive-nng, which is not
                              fork-safe: a forked child spools (docs/operations.md) */
    const char *runtime_dir; /* where the rings lie: default $AILIVE_RUNTIME_DIR, else /run/ailive where that
                               is a folder we may write in, else $XDG_RUNTIME_DIR/ailive, else
                               /dev/shm/ailive-<uid>. Must be on tmpfs for speed; made (0700) when missing */
    const char *spool_dir; /* JSONL fallback: default $AILIVE_SPOOL_DIR, else /var/spool/ailive where that is
                              a folder we may write in, else $XDG_STATE_HOME/ailive/spool, else
                              $HOME/.local/state/ailive/spool; made (0700) when missing */
    uint32_t ring_records; /* records a thread's ring holds, rounded up to a power of two, 64 to 16,777,216;
                              default 262,144 (8 MiB a recording thread): what 26 ms hold at ten million a
                              second */
    uint32_t spool_after_ms;   /* how long the sidecar may stay silent before the oldest records go to the
                                 spool;   default 1,000 */
    uint64_t spool_file_bytes; /* a spool file is closed at this size; default 64 MiB; at least 64 KiB */
    uint64_t spool_max_bytes;  /* all spool files of this producer together; beyond it records are dropped and
                               counted; default 1 GiB; at least spool_file_bytes */
    ailive_log_fn log;         /* default NULL: silence */
    void *log_context;         /* passed to log; default NULL */
    int memory_sink;      /* 1: nothing leaves the process; ailive_memory_read() gives back what was recorded.
                             For a host's own unit tests. Default 0 */
    const char *tls_cert; /* tls+tcp: PEM file with our certificate and its private key; default
                             $AILIVE_TLS_CERT */
    const char *tls_ca;   /* tls+tcp: PEM file with who may sign the sidecar's; default $AILIVE_TLS_CA */
    int remote_plaintext; /* 1: tcp and ws beyond loopback, where anyone may read and forge; default
                             $AILIVE_REMOTE_PLAINTEXT = 1, else refused */
};
#define AILIVE_OPTIONS_INIT                                                                                  \
    {                                                                                                        \
        sizeof(struct ailive_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                           \
    }

/* Opens an instance: makes the producer's folder and starts its shipper thread (all signals blocked in it).
 * options: NULL means all defaults. *out: the instance; on failure NULL, and every call on NULL is a counted
 * no-op. Does not wait for a sidecar. With AILIVE_DISABLED=1 in the environment it succeeds, makes nothing,
 * and recording calls are counted no-ops. Errors: AILIVE_EINVAL (a number out of its range, a URL that is
 * none, plaintext beyond loopback, certificates that cannot be used), AILIVE_ENOTSUP (libailive-nng is not
 * installed, or its libnng has no TLS), AILIVE_ETOOLONG, AILIVE_ELIMIT (more than 64 open instances),
 * AILIVE_ESYS (folder, files, thread). Blocks for a few file operations. */
AILIVE_API int ailive_open(const struct ailive_options *options, struct ailive **out);

/* Waits until every record made before the call is acknowledged by the sidecar or safe in the spool.
 * timeout_ms: 0 asks without waiting. Errors: AILIVE_ETIMEDOUT, AILIVE_EINVAL, AILIVE_ECLOSED. */
AILIVE_API int ailive_flush(struct ailive *instance, uint32_t timeout_ms);

/* Flushes as ailive_flush() does; what the sidecar has not acknowledged when timeout_ms is over goes to the
 * spool. Then ends the shipper and removes the producer's folder. Records that could neither be shipped nor
 * spooled stay in the folder, for the sidecar to salvage, and AILIVE_ETIMEDOUT is returned.
 * The caller sees to it that no recording call on the instance is under way in another thread: such a call is
 * safe, but whether its record is counted is not defined. Later calls are counted no-ops. A second close
 * gives AILIVE_ECLOSED. Blocks for timeout_ms and one spool write at the most. */
AILIVE_API int ailive_close(struct ailive *instance, uint32_t timeout_ms);

/* Registers a name, or finds it: the same kind and text always give the same handle. text is copied, must be
 * non-empty, at most AILIVE_NAME_MAX_BYTES bytes, without NUL; it is published to the sidecar as it is
 * (labels are normalised there). *out is untouched on failure. Takes a lock: call it at start, not on the hot
 * path. Errors: AILIVE_EINVAL, AILIVE_ETOOLONG, AILIVE_ELIMIT (AILIVE_NAMES_MAX), AILIVE_ECLOSED,
 * AILIVE_EDISABLED is not an error here: a disabled instance hands out handles too. */
AILIVE_API int ailive_register(struct ailive *instance, enum ailive_name_kind kind, const char *text,
                               ailive_name *out);

/* ---- the instance's own counters ------------------------------------------------------------------------
 */

/* Totals since ailive_open() (in a forked child: since its first call). All are records, unless named bytes.
 * recorded = shipped + spooled + dropped_spool + pending, at rest. */
struct ailive_stats {
    uint64_t recorded;      /* taken into a ring */
    uint64_t dropped_full;  /* dropped at the door: ring full */
    uint64_t dropped_ring;  /* dropped at the door: no ring could be made */
    uint64_t ignored;       /* counted no-ops: disabled, closed, or (on NULL) process-wide */
    uint64_t shipped;       /* acknowledged by the sidecar over IPC */
    uint64_t spooled;       /* written to the spool */
    uint64_t dropped_spool; /* dropped because the spool was at its limit, or the sidecar refused them */
    uint64_t pending;       /* in a ring, neither shipped nor spooled yet */
    uint64_t spool_bytes;   /* bytes in this producer's spool files now */
    uint64_t wakeups;       /* of the shipper thread */
    uint32_t rings;         /* rings made */
    uint32_t connected;     /* 1 while the sidecar answers */
};

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* C++ sees a function that hides the constructor of its struct */
#endif

/* Fills *out. instance NULL: the process-wide ignored count alone. Does not block. Errors: AILIVE_EINVAL. */
AILIVE_API int ailive_stats(const struct ailive *instance, struct ailive_stats *out);

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

/* ---- the memory sink ------------------------------------------------------------------------------------
 */

enum ailive_record_kind {
    AILIVE_KIND_DECISION = 1,
    AILIVE_KIND_ACTION = 2,
    AILIVE_KIND_STAGE = 3
};

/* One record as a test reads it. The strings belong to the instance and live until ailive_close(). */
struct ailive_record {
    enum ailive_record_kind kind;
    enum ailive_decision decision; /* 0 unless a decision */
    enum ailive_action action;
    const char *reason; /* NULL unless a decision */
    const char *stage;  /* NULL unless a stage latency */
    const char *component;
    const char *run_id;
    int64_t time_ns;    /* UTC, nanoseconds since 1970 */
    int64_t latency_ns; /* AILIVE_NO_LATENCY when none */
};

/* Takes the oldest record of one ring after the other (in order within a thread) out of the memory sink.
 * Returns 1 and fills *out, 0 when nothing is there, AILIVE_ENOTSUP without a memory sink, AILIVE_EINVAL. A
 * record made with an unknown handle is skipped and counted in ailive_stats.ignored. One reader at a time. */
AILIVE_API int ailive_memory_read(struct ailive *instance, struct ailive_record *out);

/* ---- recording: the hot path ----------------------------------------------------------------------------
 */

/* Everything from here to the recording calls is touched by code inlined into the host and is frozen within a
 * soversion: layout, meaning and order. Not for use by hosts. */

/* The recording side of one ring, one cache line. It lies in MADV_WIPEONFORK memory: in a forked child it
 * reads as zeroes, so that owner and limit send the first call down the slow path. */
struct ailive_writer {
    const struct ailive *owner; /* the instance whose ring this is */
    unsigned char *slots;       /* slot 0 */
    uint64_t mask;              /* capacity - 1 */
    uint64_t head;              /* next sequence number; only its own thread writes it */
    uint64_t limit;             /* below it the next slot is known to be free: a cached look at the tail */
    uint64_t *shared_head;      /* the head as the shipper and salvage see it, in the ring's file */
    uint64_t clock;             /* AILIVE_CLOCK_... */
    uint64_t reserved;
};

#define AILIVE_CLOCK_COUNTER 0u /* invariant time stamp counter */
#define AILIVE_CLOCK_GETTIME                                                                                 \
    1u /* clock_gettime(CLOCK_MONOTONIC_RAW) in ns, where the counter is not invariant */

/* One slot, 32 bytes: four little-endian 8-byte words (docs/wire.md):
 *   0 time        counter ticks, or UTC ns when flag AILIVE_SLOT_UTC is set
 *   1 latency_ns  two's complement; AILIVE_NO_LATENCY when none
 *   2 what        kind | decision << 8 | action << 16 | flags << 24 | reason << 32 | stage << 48
 *   3 scope       component | run_id << 16 */
#define AILIVE_SLOT_BYTES 32u
#define AILIVE_SLOT_UTC   1u

/* Never NULL: a thread without a ring points at a constant, empty writer. */
extern AILIVE_API __thread struct ailive_writer *ailive_thread_writer
    __attribute__((tls_model("initial-exec")));

/* Everything rare: first record of a thread, ring full or half full, another instance, closed, forked.
 * nothrow: else a C++ caller that is noexcept guards the call, which costs it three instructions. */
AILIVE_API int ailive_record_slow(struct ailive *instance, int64_t utc_ns, int64_t latency_ns, uint64_t what,
                                  uint64_t scope) __attribute__((nothrow));

/* The CPU's time stamp counter. Only where it is invariant: elsewhere every record takes the slow path, and
 * this is never reached. */
static inline uint64_t ailive_counter(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return 0;
#endif
}

static inline int ailive_put(struct ailive *instance, int64_t utc_ns, int64_t latency_ns, uint64_t what,
                             uint64_t scope)
{
    struct ailive_writer *writer = ailive_thread_writer;
    uint64_t head = writer->head;
    uint64_t *slot;

    /* Relaxed: ailive_close() in another thread may take the owner away; nothing is read through it. */
    if (__builtin_expect(
            __atomic_load_n(&writer->owner, __ATOMIC_RELAXED) != instance || head >= writer->limit, 0))
        return ailive_record_slow(instance, utc_ns, latency_ns, what, scope);
    slot = (uint64_t *)(void *)(writer->slots + (head & writer->mask) * AILIVE_SLOT_BYTES);
    slot[0] = utc_ns == AILIVE_NOW ? ailive_counter() : (uint64_t)utc_ns;
    slot[1] = (uint64_t)latency_ns;
    slot[2] = what | (utc_ns == AILIVE_NOW ? 0u : (uint64_t)AILIVE_SLOT_UTC << 24);
    slot[3] = scope;
    writer->head = head + 1;
    /* Pairs with the acquire load of the head in ring_readable() and in salvage: whoever sees the new head
     * sees the four words above. Without it a killed process leaves torn records. */
    __atomic_store_n(writer->shared_head, head + 1, __ATOMIC_RELEASE);
    return AILIVE_OK;
}

static inline uint64_t ailive_what(uint64_t kind, uint64_t decision, uint64_t action, uint64_t reason,
                                   uint64_t stage)
{
    return kind | (decision & 0xff) << 8 | (action & 0xff) << 16 | reason << 32 | stage << 48;
}

static inline uint64_t ailive_scope_word(struct ailive_scope scope)
{
    return (uint64_t)scope.component | (uint64_t)scope.run_id << 16;
}

#define AILIVE_SCOPE_DEFAULT_WORD ((uint64_t)8 | (uint64_t)9 << 16)

/* The recording calls. All are wait-free: they return AILIVE_OK (recorded), or say why not and count it:
 * AILIVE_EFULL, AILIVE_ENORING, AILIVE_ECLOSED, AILIVE_EDISABLED, AILIVE_EINVAL (instance NULL). A handle or
 * enumerator that is unknown is recorded as it is and counted by the sidecar as dropped{reason="invalid"}:
 * checking it here would cost every host. latency_ns: AILIVE_NO_LATENCY when none; a negative one is counted
 * as unobserved, the event itself counts. */

/* A decision, its reason, the action it led to, and how long it took. */
static inline int ailive_record_decision(struct ailive *instance, enum ailive_decision decision,
                                         ailive_name reason, enum ailive_action action, int64_t latency_ns)
{
    return ailive_put(instance, AILIVE_NOW, latency_ns,
                      ailive_what(AILIVE_KIND_DECISION, (uint64_t)decision, (uint64_t)action, reason, 0),
                      AILIVE_SCOPE_DEFAULT_WORD);
}

/* The same for another component or run id, and at a given time. time_ns: UTC, ns since 1970, or AILIVE_NOW.
 */
static inline int ailive_record_decision_for(struct ailive *instance, struct ailive_scope scope,
                                             int64_t time_ns, enum ailive_decision decision,
                                             ailive_name reason, enum ailive_action action,
                                             int64_t latency_ns)
{
    return ailive_put(instance, time_ns, latency_ns,
                      ailive_what(AILIVE_KIND_DECISION, (uint64_t)decision, (uint64_t)action, reason, 0),
                      ailive_scope_word(scope));
}

/* An action on its own, without a decision (a fill, a cancel). AILIVE_ACTION_NONE is invalid here. */
static inline int ailive_record_action(struct ailive *instance, enum ailive_action action)
{
    return ailive_put(instance, AILIVE_NOW, AILIVE_NO_LATENCY,
                      ailive_what(AILIVE_KIND_ACTION, 0, (uint64_t)action, 0, 0), AILIVE_SCOPE_DEFAULT_WORD);
}

static inline int ailive_record_action_for(struct ailive *instance, struct ailive_scope scope,
                                           int64_t time_ns, enum ailive_action action)
{
    return ailive_put(instance, time_ns, AILIVE_NO_LATENCY,
                      ailive_what(AILIVE_KIND_ACTION, 0, (uint64_t)action, 0, 0), ailive_scope_word(scope));
}

/* The latency of one stage ("risk_check", "order_router") of the host's work. stage: a registered stage. */
static inline int ailive_record_stage(struct ailive *instance, ailive_name stage, int64_t latency_ns)
{
    return ailive_put(instance, AILIVE_NOW, latency_ns, ailive_what(AILIVE_KIND_STAGE, 0, 0, 0, stage),
                      AILIVE_SCOPE_DEFAULT_WORD);
}

static inline int ailive_record_stage_for(struct ailive *instance, struct ailive_scope scope, int64_t time_ns,
                                          ailive_name stage, int64_t latency_ns)
{
    return ailive_put(instance, time_ns, latency_ns, ailive_what(AILIVE_KIND_STAGE, 0, 0, 0, stage),
                      ailive_scope_word(scope));
}

/* All of the above as one function, for languages that cannot compile this header: what is ailive_what()'s
 * word, scope ailive_scope_word()'s. */
AILIVE_API int ailive_record_words(struct ailive *instance, int64_t time_ns, int64_t latency_ns,
                                   uint64_t what, uint64_t scope) __attribute__((nothrow));

/* ---- measuring a latency --------------------------------------------------------------------------------
 */

/* A reading of the clock, for ailive_elapsed_ns(). About 10 ns. Does not block. */
AILIVE_API uint64_t ailive_ticks(void) __attribute__((nothrow));

/* Nanoseconds between an earlier ailive_ticks() of this process and now. Never negative. */
AILIVE_API int64_t ailive_elapsed_ns(uint64_t since_ticks) __attribute__((nothrow));

#ifdef __cplusplus
}
#endif
#endif
