/* command_sidecar.c - `ailive sidecar`: starts every part in the order of their claims, waits, ends them in
 * the order of the data.
 *
 * Place on the route: around it. The main thread: opens, then waits for signals and runs the timer; all other
 * threads have every signal blocked. Owns all parts.
 */
#include "activation.h"
#include "aggregate.h"
#include "command.h"
#include "config.h"
#include "expose.h"
#include "history.h"
#include "http.h"
#include "ingest.h"
#include "log.h"
#include "notify.h"
#include "now.h"
#include "owner.h"
#include "page.h"
#include "self.h"
#include "source_file.h"
#include "source_nng.h"
#include "source_ring.h"
#include "state.h"
#include "status.h"
#include "tls.h"
#include "web_watch.h"

#include <wire/paths.h>
#include <wire/url.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define REASONS_MAX 256u
#define ERROR_BYTES 1024u

static const char help[] =
    "Usage: ailive sidecar [OPTIONS]\n"
    "Collects events of producers (over nng IPC, from their spools, from the rings of dead ones)\n"
    "and of JSONL files, and serves them as metrics. Watch-only: GET and HEAD alone are answered.\n"
    "\n"
    "  --listen ADDR:PORT  where /metrics is served; default 127.0.0.1 and\n"
    "                      $PEAK_TRADE_AI_EXPORTER_PORT, else 127.0.0.1:9110\n"
    "  --ipc URL           where producers connect, any number of times: ipc:///path,\n"
    "                      tcp://127.0.0.1:PORT, ws://127.0.0.1:PORT, tls+tcp://HOST:PORT; default\n"
    "                      $AILIVE_IPC_URL, else sidecar.sock in the runtime folder\n"
    "  --ipc-cert FILE     tls+tcp: our certificate and its private key, PEM\n"
    "  --ipc-ca FILE       tls+tcp: who may sign producers' certificates, PEM\n"
    "  --allow-remote-plaintext  tcp and ws beyond loopback, where anyone may read and forge\n"
    "  --jsonl FILE        an event file to follow, any number of times; need not exist yet;\n"
    "                      default $PEAK_TRADE_AI_EVENTS_JSONL\n"
    "  --from start|end    where files without a committed position begin; default start\n"
    "  --state DIR         what survives a restart; default $AILIVE_STATE_DIR, /var/lib/ailive,\n"
    "                      else $XDG_STATE_HOME/ailive/state, else ~/.local/state/ailive/state\n"
    "  --runtime DIR       producers' folders; default $AILIVE_RUNTIME_DIR, /run/ailive, else\n"
    "                      $XDG_RUNTIME_DIR/ailive, else /dev/shm/ailive-UID\n"
    "  --spool DIR         producers' spool files; default $AILIVE_SPOOL_DIR, /var/spool/ailive,\n"
    "                      else $XDG_STATE_HOME/ailive/spool, else ~/.local/state/ailive/spool\n"
    "  --component C       component of events that name none, and of the heartbeat; default\n"
    "                      $PEAK_TRADE_AI_COMPONENT, else execution_watch\n"
    "  --run-id R          likewise; default $PEAK_TRADE_AI_RUN_ID, else na\n"
    "  --reason NAME       a registered reason that keeps its name besides the eight; any number\n"
    "  --web.config.file F TLS and users of the HTTP side, in the format of Prometheus' exporters\n"
    "  --created-series    OpenMetrics tells since when counters and histograms count (_created)\n"
    "  --help, --version\n"
    "\n"
    "SIGTERM, SIGINT: takes in what has arrived, commits, ends with 0.\n"
    "Exit status: 0 fine, 1 failed, 2 wrong usage.\n";

enum {
    OPTION_LISTEN = 256,
    OPTION_IPC,
    OPTION_IPC_CERT,
    OPTION_IPC_CA,
    OPTION_PLAINTEXT,
    OPTION_JSONL,
    OPTION_FROM,
    OPTION_STATE,
    OPTION_RUNTIME,
    OPTION_SPOOL,
    OPTION_COMPONENT,
    OPTION_RUN_ID,
    OPTION_REASON,
    OPTION_CREATED,
    OPTION_WEB_CONFIG
};

static const struct option options[] = {{"listen", required_argument, 0, OPTION_LISTEN},
                                        {"ipc", required_argument, 0, OPTION_IPC},
                                        {"ipc-cert", required_argument, 0, OPTION_IPC_CERT},
                                        {"ipc-ca", required_argument, 0, OPTION_IPC_CA},
                                        {"allow-remote-plaintext", no_argument, 0, OPTION_PLAINTEXT},
                                        {"jsonl", required_argument, 0, OPTION_JSONL},
                                        {"from", required_argument, 0, OPTION_FROM},
                                        {"state", required_argument, 0, OPTION_STATE},
                                        {"runtime", required_argument, 0, OPTION_RUNTIME},
                                        {"spool", required_argument, 0, OPTION_SPOOL},
                                        {"component", required_argument, 0, OPTION_COMPONENT},
                                        {"run-id", required_argument, 0, OPTION_RUN_ID},
                                        {"reason", required_argument, 0, OPTION_REASON},
                                        {"web.config.file", required_argument, 0, OPTION_WEB_CONFIG},
                                        {"created-series", no_argument, 0, OPTION_CREATED},
                                        COMMAND_COMMON_OPTIONS,
                                        {0, 0, 0, 0}};

struct settings {
    const char *given_listen, *given_state, *given_runtime, *given_spool;
    const char *given_component, *given_run_id;
    const char *web_config; /* a file; NULL: none */
    bool from_end, created;
    struct config_listen listen;
    struct source_nng_options ipc; /* urls and what belongs to them */
    const char *urls[SOURCE_NNG_URLS_MAX];
    char default_url[PATHS_MAX_BYTES];
    char state[PATHS_MAX_BYTES], runtime[PATHS_MAX_BYTES], spool[PATHS_MAX_BYTES];
    char component[256], run_id[256];
    char default_jsonl[PATHS_MAX_BYTES];
    const char *jsonl[SOURCE_FILE_PATHS_MAX];
    size_t jsonl_count;
    const char *reasons[REASONS_MAX];
    size_t reason_count;
};

/* Everything that runs, in the order in which it is opened. */
struct sidecar {
    const char *runtime;
    int http_fd;
    struct aggregate *aggregate;
    struct state *state;
    struct ingest *ingest;
    struct history *history;
    struct source_file *files;
    struct source_ring *rings;
    struct source_nng *nng;
    struct web_config *web; /* NULL: none was named */
    struct web_watch *watch;
    struct http *http;
    struct self self;
    struct status status;
    uint64_t seen;               /* contents_generation() at the last tick of the history */
    struct config_listen listen; /* where it listens */
    bool created;                /* --created-series */
    struct notify notify;
    bool told_committing; /* the last word to the service manager about commits */
    _Atomic bool started; /* everything above is open; pairs with the callbacks of http's thread, which may
                             look at nothing else before */
};

/* ---- settings ---- */

static int take_jsonl(struct settings *settings, const char *path)
{
    if (path[0] == '\0')
        return command_usage("sidecar", "--jsonl needs the name of a file");
    if (settings->jsonl_count == SOURCE_FILE_PATHS_MAX)
        return command_usage("sidecar", "more than %u files with --jsonl", SOURCE_FILE_PATHS_MAX);
    settings->jsonl[settings->jsonl_count++] = path;
    return COMMAND_OK;
}

static int take_url(struct settings *settings, const char *url)
{
    if (settings->ipc.url_count == SOURCE_NNG_URLS_MAX)
        return command_usage("sidecar", "more than %u URLs with --ipc", SOURCE_NNG_URLS_MAX);
    settings->urls[settings->ipc.url_count++] = url;
    return COMMAND_OK;
}

static int take_reason(struct settings *settings, const char *name)
{
    if (settings->reason_count == REASONS_MAX)
        return command_usage("sidecar", "more than %u names with --reason", REASONS_MAX);
    settings->reasons[settings->reason_count++] = name;
    return COMMAND_OK;
}

static int take_from(struct settings *settings, const char *text)
{
    settings->from_end = strcmp(text, "end") == 0;
    if (!settings->from_end && strcmp(text, "start") != 0)
        return command_usage("sidecar", "--from is '%.80s': give start or end", text);
    return COMMAND_OK;
}

static int take_option(struct settings *settings, int option, const char *value)
{
    switch (option) {
    case OPTION_LISTEN:
        settings->given_listen = value;
        return COMMAND_OK;
    case OPTION_IPC:
        return take_url(settings, value);
    case OPTION_IPC_CERT:
        settings->ipc.tls_cert = value;
        return COMMAND_OK;
    case OPTION_IPC_CA:
        settings->ipc.tls_ca = value;
        return COMMAND_OK;
    case OPTION_PLAINTEXT:
        settings->ipc.remote_plaintext = true;
        return COMMAND_OK;
    case OPTION_JSONL:
        return take_jsonl(settings, value);
    case OPTION_FROM:
        return take_from(settings, value);
    case OPTION_STATE:
        settings->given_state = value;
        return COMMAND_OK;
    case OPTION_RUNTIME:
        settings->given_runtime = value;
        return COMMAND_OK;
    case OPTION_SPOOL:
        settings->given_spool = value;
        return COMMAND_OK;
    case OPTION_COMPONENT:
        settings->given_component = value;
        return COMMAND_OK;
    case OPTION_RUN_ID:
        settings->given_run_id = value;
        return COMMAND_OK;
    case OPTION_WEB_CONFIG:
        settings->web_config = value;
        return COMMAND_OK;
    case OPTION_CREATED:
        settings->created = true;
        return COMMAND_OK;
    default:
        return take_reason(settings, value);
    }
}

static int settings_urls(struct settings *settings)
{
    if (settings->ipc.url_count == 0) {
        if (!paths_ipc_url(NULL, settings->runtime, settings->default_url, sizeof(settings->default_url)))
            return command_usage("sidecar", "the socket's URL is too long: name another with --ipc");
        settings->urls[settings->ipc.url_count++] = settings->default_url;
    }
    for (size_t i = 0; i < settings->ipc.url_count; i++) {
        struct url url;
        const char *wrong = url_read(settings->urls[i], settings->ipc.remote_plaintext, &url);
        if (wrong != NULL)
            return command_usage("sidecar", "--ipc %.120s: %s", settings->urls[i], wrong);
    }
    settings->ipc.urls = settings->urls;
    return COMMAND_OK;
}

/* Where nothing was given: the environment, then the defaults. */
static int settings_complete(struct settings *settings)
{
    char error[ERROR_BYTES];

    if (!config_listen(settings->given_listen, &settings->listen, error, sizeof(error)) ||
        !config_component(settings->given_component, settings->component, error, sizeof(error)) ||
        !config_run_id(settings->given_run_id, settings->run_id, error, sizeof(error)))
        return command_usage("sidecar", "%s", error);
    if (!paths_runtime(settings->given_runtime, settings->runtime, sizeof(settings->runtime)) ||
        !paths_spool(settings->given_spool, settings->spool, sizeof(settings->spool)) ||
        !paths_state(settings->given_state, settings->state, sizeof(settings->state)))
        return command_usage("sidecar",
                             "no folder for runtime, spool or state (no HOME?): name them with --runtime, "
                             "--spool and --state");
    if (settings_urls(settings) != COMMAND_OK)
        return COMMAND_USAGE;
    if (!paths_env("PEAK_TRADE_AI_EVENTS_JSONL", NULL, settings->default_jsonl,
                   sizeof(settings->default_jsonl)))
        return command_usage("sidecar", "$PEAK_TRADE_AI_EVENTS_JSONL is too long");
    if (settings->jsonl_count == 0 && settings->default_jsonl[0] != '\0')
        settings->jsonl[settings->jsonl_count++] = settings->default_jsonl;
    return COMMAND_OK;
}

/* 0: go on. 1: end with *status. */
static int settings_read(struct settings *settings, int argc, char **argv, int *status)
{
    int option;

    *status = COMMAND_OK;
    while ((option = command_next_option(argc, argv, options, help, status)) >= 0)
        if ((*status = take_option(settings, option, optarg)) != COMMAND_OK)
            return 1;
    if (option == -2)
        return 1;
    if (optind < argc) {
        *status = command_usage("sidecar", "'%.80s' is no option", argv[optind]);
        return 1;
    }
    *status = settings_complete(settings);
    return *status != COMMAND_OK;
}

/* ---- what http shows ---- */

static bool has_started(const struct sidecar *sidecar)
{
    return atomic_load_explicit(&sidecar->started, memory_order_acquire); /* pairs with sidecar_open() */
}

static uint64_t contents_generation(void *context)
{
    const struct sidecar *sidecar = context;
    struct ingest_health health;

    if (!has_started(sidecar))
        return 0;
    ingest_health(sidecar->ingest, &health);
    return health.commits + health.commit_errors;
}

static int snapshot_for(const struct sidecar *sidecar, enum expose_format format, struct snapshot *out)
{
    static const unsigned extras[EXPOSE_FORMATS] = {
        [EXPOSE_OPENMETRICS] = SNAPSHOT_EXEMPLARS, [EXPOSE_PROTO] = SNAPSHOT_EXEMPLARS | SNAPSHOT_NATIVE};

    return aggregate_snapshot_with(sidecar->aggregate, extras[format], out);
}

static bool contents_metrics(void *context, enum expose_format format, struct buffer *out)
{
    const struct sidecar *sidecar = context;
    struct snapshot snapshot;
    struct expose expose;
    bool fine;

    if (!has_started(sidecar) || snapshot_for(sidecar, format, &snapshot) != 0)
        return false;
    expose_begin(&expose, format, out);
    if (sidecar->created) /* counts begin with the state's epoch */
        expose.created_s = (double)ingest_since_ns(sidecar->ingest) / 1e9;
    fine = expose_snapshot(&expose, &snapshot) && self_expose(&sidecar->self, &expose);
    snapshot_free(&snapshot);
    return expose_end(&expose) && fine;
}

static bool contents_ready(void *context, struct buffer *out)
{
    const struct sidecar *sidecar = context;
    struct ingest_health health;

    if (!has_started(sidecar)) {
        buffer_add_text(out, "starting\n");
        return false;
    }
    ingest_health(sidecar->ingest, &health);
    if (health.committing)
        buffer_add_text(out, "ready\n");
    else
        buffer_printf(out, "not committing: %s\n", health.error);
    return health.committing;
}

static uint64_t contents_status_generation(void *context)
{
    const struct sidecar *sidecar = context;

    return has_started(sidecar) ? history_end_s(sidecar->history) : 0;
}

static bool contents_status(void *context, bool brief, struct buffer *out)
{
    const struct sidecar *sidecar = context;

    return has_started(sidecar) &&
           status_render(&sidecar->status, brief, now_utc_ns(), now_monotonic_ns(), out);
}

/* ---- opening ---- */

/* In whole seconds of one clock. Nothing committed since the last time: nothing is looked at. */
static void history_note(struct sidecar *sidecar, bool first)
{
    const int64_t now_s = now_monotonic_ms() / 1000;
    struct ingest_health health;
    struct snapshot snapshot;
    uint64_t generation;

    ingest_health(sidecar->ingest, &health);
    generation = health.commits + health.commit_errors;
    if (!first && generation == sidecar->seen && !history_wants(sidecar->history, now_s)) {
        history_tick(sidecar->history, now_s, NULL);
        return;
    }
    if (aggregate_snapshot(sidecar->aggregate, &snapshot) != 0)
        return; /* out of memory: the next one catches up */
    sidecar->seen = generation;
    history_tick(sidecar->history, now_s, &snapshot);
    snapshot_free(&snapshot);
}

static bool producer_connected(void *context, const struct event_producer *producer)
{
    const struct sidecar *sidecar = context;
    struct source_nng *nng = __atomic_load_n(&sidecar->nng, __ATOMIC_ACQUIRE); /* pairs with open_nng() */

    return nng == NULL || source_nng_connected(nng, producer);
}

/* A producer is forgotten only when its folder is gone. */
static bool folder_is_there(void *context, const struct event_producer *producer)
{
    const struct sidecar *sidecar = context;

    return owner_of(sidecar->runtime, producer) != OWNER_GONE;
}

static int open_core(struct sidecar *sidecar, const struct settings *settings, char *error)
{
    struct aggregate_options aggregate = {.component = settings->component,
                                          .run_id = settings->run_id,
                                          .reasons = settings->reasons,
                                          .reason_count = settings->reason_count};

    sidecar->aggregate = aggregate_new(&aggregate);
    if (sidecar->aggregate == NULL) {
        snprintf(error, ERROR_BYTES, "out of memory");
        return -1;
    }
    if (state_open(settings->state, &sidecar->state, error, ERROR_BYTES) != 0)
        return -1;
    if (ingest_open(sidecar->aggregate, sidecar->state, &sidecar->ingest, error, ERROR_BYTES) != 0)
        return -1;
    sidecar->runtime = settings->runtime;
    ingest_vouch(sidecar->ingest, folder_is_there, sidecar);
    sidecar->history = history_new();
    if (sidecar->history == NULL) {
        snprintf(error, ERROR_BYTES, "out of memory");
        return -1;
    }
    history_note(sidecar, true); /* before anything arrives */
    return 0;
}

static int open_files(struct sidecar *sidecar, const struct settings *settings, char *error)
{
    struct source_file_options files = {.paths = settings->jsonl,
                                        .path_count = settings->jsonl_count,
                                        .from_end = settings->from_end,
                                        .spool = settings->spool,
                                        .runtime = settings->runtime,
                                        .contract = {settings->component, settings->run_id}};
    int made = paths_make(settings->spool);

    if (made != 0)
        log_warning("spool folder %s: %s; looked at again when it is there", settings->spool, strerror(made));
    return source_file_open(&files, sidecar->ingest, &sidecar->files, error, ERROR_BYTES);
}

static int open_rings(struct sidecar *sidecar, const struct settings *settings, char *error)
{
    struct source_ring_options rings = {.runtime = settings->runtime,
                                        .spools = source_file_spools(sidecar->files),
                                        .connected = producer_connected,
                                        .context = sidecar};

    return source_ring_open(&rings, sidecar->ingest, &sidecar->rings, error, ERROR_BYTES);
}

static int open_nng(struct sidecar *sidecar, const struct settings *settings, char *error)
{
    struct source_nng *opened;

    if (source_nng_open(&settings->ipc, sidecar->ingest, &opened, error, ERROR_BYTES) != 0)
        return -1;
    /* Pairs with producer_connected(): the salvage thread, which already runs, must see a whole source. */
    __atomic_store_n(&sidecar->nng, opened, __ATOMIC_RELEASE);
    return 0;
}

/* A socket of the service manager's, else one of our own. */
static int open_listener(struct sidecar *sidecar, const struct settings *settings, char *error)
{
    if (activation_socket(&sidecar->http_fd, error, ERROR_BYTES) != 0)
        return -1;
    sidecar->listen = settings->listen;
    sidecar->created = settings->created;
    if (sidecar->http_fd < 0)
        return http_listen(&settings->listen, &sidecar->http_fd, &sidecar->listen.port, error, ERROR_BYTES);
    log_info("the listening socket comes from the service manager; --listen is not used");
    if (http_address(sidecar->http_fd, &sidecar->listen) == 0)
        return 0;
    snprintf(error, ERROR_BYTES, "the service manager's socket has no address");
    return -1;
}

static int open_web(struct sidecar *sidecar, const struct settings *settings, char *error)
{
    if (settings->web_config == NULL)
        return 0;
    sidecar->watch = calloc(1, sizeof(*sidecar->watch));
    if (sidecar->watch == NULL) {
        snprintf(error, ERROR_BYTES, "out of memory");
        return -1;
    }
    return web_watch_open(sidecar->watch, settings->web_config, &sidecar->web, error, ERROR_BYTES);
}

/* TLS and users as the file has them now. */
static void reload_web(struct sidecar *sidecar)
{
    struct web_config *fresh = sidecar->web != NULL ? web_watch_look(sidecar->watch, sidecar->web) : NULL;

    if (fresh == NULL)
        return;
    if (http_reload(sidecar->http, fresh) != 0) {
        log_warning("the changed web configuration is not used: out of memory");
        web_config_free(fresh);
        return;
    }
    log_info("the web configuration has changed and is in force: %s, %zu users",
             fresh->certificate != NULL ? "TLS" : "no TLS", fresh->user_count);
    web_config_free(sidecar->web);
    sidecar->web = fresh;
}

static int open_http(struct sidecar *sidecar, char *error)
{
    struct http_contents contents = {.context = sidecar,
                                     .generation = contents_generation,
                                     .metrics = contents_metrics,
                                     .ready = contents_ready,
                                     .status_generation = contents_status_generation,
                                     .status = contents_status,
                                     .files = page_files};
    int fd = sidecar->http_fd;

    sidecar->http_fd = -1;
    return http_open(fd, &contents, sidecar->web, &sidecar->http, error, ERROR_BYTES);
}

static void announce(const struct sidecar *sidecar, const struct settings *settings)
{
    bool v6 = strchr(sidecar->listen.address, ':') != NULL;
    bool tls = sidecar->web != NULL && sidecar->web->certificate != NULL;

    log_info("listening on %s://%s%s%s:%u/metrics", tls ? "https" : "http", v6 ? "[" : "",
             sidecar->listen.address, v6 ? "]" : "", sidecar->listen.port);
    for (size_t i = 0; i < settings->ipc.url_count; i++)
        log_info("listening on %s", settings->urls[i]);
    for (size_t i = 0; i < settings->jsonl_count; i++)
        log_info("following %s", settings->jsonl[i]);
    log_info("ready");
}

/* The port first: when it is busy, nothing else has been touched; then its answers, which say `starting`
 * until all is open. Whatever can refuse comes before the socket that producers see. */
static int sidecar_open(struct sidecar *sidecar, const struct settings *settings, char *error)
{
    if (open_listener(sidecar, settings, error) != 0 || open_web(sidecar, settings, error) != 0 ||
        open_http(sidecar, error) != 0 || open_core(sidecar, settings, error) != 0 ||
        open_files(sidecar, settings, error) != 0 || open_rings(sidecar, settings, error) != 0 ||
        open_nng(sidecar, settings, error) != 0)
        return -1;
    sidecar->self = (struct self){sidecar->ingest, sidecar->nng, sidecar->files, sidecar->rings};
    sidecar->status =
        (struct status){sidecar->aggregate, &sidecar->self,    sidecar->history, settings->component,
                        settings->run_id,   settings->runtime, now_utc_ns()};
    /* Pairs with has_started(): http's thread, which already runs, must see whole parts. */
    atomic_store_explicit(&sidecar->started, true, memory_order_release);
    return 0;
}

/* ---- running and closing ---- */

/* In the order of the data: no new batches, the last look at dead producers, the files to their end. /metrics
 * is served until everything is in. */
static void sidecar_close(struct sidecar *sidecar)
{
    struct source_nng *nng = sidecar->nng;

    http_close(sidecar->http);
    web_config_free(sidecar->web);
    free(sidecar->watch);
    /* The ring source asks nng who is connected: it goes first; it looks once more while it closes. */
    source_ring_close(sidecar->rings);
    source_nng_close(nng);
    source_file_close(sidecar->files);
    ingest_close(sidecar->ingest);
    state_close(sidecar->state);
    history_free(sidecar->history);
    aggregate_free(sidecar->aggregate);
    if (sidecar->http_fd >= 0)
        close(sidecar->http_fd);
}

/* To the next whole second, where the history's steps end. */
static struct timespec timer_left(void)
{
    int64_t left_ns = 1000000000 - now_monotonic_ns() % 1000000000;

    return (struct timespec){.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
}

/* What `systemctl status` shows: told when it changes. */
static void tell_health(struct sidecar *sidecar)
{
    struct ingest_health health;

    ingest_health(sidecar->ingest, &health);
    if (health.committing == sidecar->told_committing)
        return;
    sidecar->told_committing = health.committing;
    if (health.committing)
        notify_say(&sidecar->notify, "STATUS=Serving port %u", sidecar->listen.port);
    else
        notify_say(&sidecar->notify, "STATUS=Not committing: %s", health.error);
}

/* Once a second. Whatever can hang on a lock of the data's route comes before the sign of life. */
static void tick(struct sidecar *sidecar)
{
    history_note(sidecar, false);
    source_nng_tick(sidecar->nng);
    ingest_maintain(sidecar->ingest);
    http_reap(sidecar->http);
    reload_web(sidecar);
    tell_health(sidecar);
    notify_alive(&sidecar->notify, now_monotonic_ns());
}

static void wait_for_end(struct sidecar *sidecar, const sigset_t *signals)
{
    for (;;) {
        struct timespec left = timer_left();
        int number = sigtimedwait(signals, NULL, &left);

        if (number == SIGTERM || number == SIGINT)
            return;
        if (number < 0) /* the timer, or EINTR */
            tick(sidecar);
    }
}

/* Before any thread is started: all of them inherit it. SIGPIPE, SIGXFSZ: a peer that has gone and a file at
 * its limit are errors of a write. */
static void signals_block(sigset_t *waited)
{
    sigset_t blocked;

    sigemptyset(waited);
    sigaddset(waited, SIGTERM);
    sigaddset(waited, SIGINT);
    sigaddset(waited, SIGHUP);
    blocked = *waited;
    sigaddset(&blocked, SIGPIPE);
    sigaddset(&blocked, SIGXFSZ);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
}

static int sidecar_run(const struct settings *settings)
{
    struct sidecar sidecar = {.http_fd = -1};
    char error[ERROR_BYTES] = "";
    int status = COMMAND_OK;
    sigset_t signals;

    signals_block(&signals);
    notify_init(&sidecar.notify);
    if (sidecar_open(&sidecar, settings, error) == 0) {
        announce(&sidecar, settings);
        sidecar.told_committing = true;
        notify_say(&sidecar.notify, "READY=1\nSTATUS=Serving port %u", sidecar.listen.port);
        wait_for_end(&sidecar, &signals);
        notify_say(&sidecar.notify, "STOPPING=1\nSTATUS=Committing what has arrived");
    } else {
        log_error("%s", error);
        notify_say(&sidecar.notify, "STATUS=%s", error);
        status = COMMAND_FAILED;
    }
    sidecar_close(&sidecar);
    notify_fini(&sidecar.notify);
    return status;
}

/* Connections, event files and spool files each take a descriptor; the soft limit is often 1,024, or less. */
static void descriptors_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int command_sidecar(int argc, char **argv)
{
    struct settings *settings = calloc(1, sizeof(*settings));
    int status;

    if (settings == NULL) {
        log_error("out of memory");
        return COMMAND_FAILED;
    }
    if (settings_read(settings, argc, argv, &status) == 0) {
        descriptors_raise();
        status = sidecar_run(settings);
    }
    free(settings);
    return status;
}
