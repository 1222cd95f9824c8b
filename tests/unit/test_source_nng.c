/* test_source_nng.c - batches in, replies out; bad peers are closed, counted, and disturb nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder_check.h"
#include "ingest.h"
#include "series_check.h"
#include "source_nng.h"

#include <wire/batch.h>
#include <wire/sp.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#define ROWS       5u
#define WAIT_MS    60000
#define SILENCE_MS 300 /* how long no reply counts as none */

static struct aggregate *aggregate;
static struct state *state;
static struct ingest *ingest;
static struct source_nng *source;
static char error[512], url[128];
static const struct event_producer producer = {{0x18, 1, 2, 3, 4}};

static int begin(void **context)
{
    const char *urls[] = {url};
    struct source_nng_options options = {.urls = urls, .url_count = 1, .connections_max = 8};

    (void)context;
    if (folder_make() != 0)
        return -1;
    snprintf(url, sizeof(url), "ipc://%s/run/s.sock", folder);
    aggregate = aggregate_new(NULL);
    if (state_open(in_folder("state"), &state, error, sizeof(error)) != 0 ||
        ingest_open(aggregate, state, &ingest, error, sizeof(error)) != 0 ||
        source_nng_open(&options, ingest, &source, error, sizeof(error)) != 0)
        fail_msg("%s", error);
    return 0;
}

static int end(void **context)
{
    (void)context;
    source_nng_close(source);
    ingest_close(ingest);
    state_close(state);
    aggregate_free(aggregate);
    return folder_remove_all();
}

static uint64_t counted(void)
{
    return series_total(aggregate, "peaktrade_ai_decisions_total", "");
}

/* ---- a peer in plain sockets ---- */

static int dialled(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(strlen(url) - strlen("ipc://") < sizeof(address.sun_path));
    strcpy(address.sun_path, url + strlen("ipc://"));
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void sent(int fd, const void *bytes, size_t len_bytes)
{
    assert_int_equal(send(fd, bytes, len_bytes, MSG_NOSIGNAL), (ssize_t)len_bytes);
}

/* Reads exactly len_bytes; false: the peer closed, or nothing came in time. */
static bool received(int fd, void *out, size_t len_bytes, int timeout_ms)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    unsigned char *at = out;

    while (len_bytes > 0) {
        ssize_t n = poll(&readable, 1, timeout_ms) == 1 ? recv(fd, at, len_bytes, 0) : -1;

        if (n <= 0)
            return false;
        at += n;
        len_bytes -= (size_t)n;
    }
    return true;
}

static void greeted(int fd)
{
    unsigned char greeting[SP_GREETING_BYTES];

    sp_greeting(SP_PROTO_REQ, greeting);
    sent(fd, greeting, sizeof(greeting));
    assert_true(received(fd, greeting, sizeof(greeting), WAIT_MS));
    assert_true(sp_greeting_is(greeting, SP_PROTO_REP));
}

static int connected(void)
{
    int fd = dialled();

    greeted(fd);
    return fd;
}

/* Sees the sidecar close the connection. */
static void closed(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    char rest[256];
    ssize_t n;

    do {
        assert_int_equal(poll(&readable, 1, WAIT_MS), 1);
        n = recv(fd, rest, sizeof(rest), 0);
    } while (n > 0);
    close(fd);
}

static void frame_sent(int fd, const void *body, size_t body_bytes)
{
    unsigned char head[SP_FRAME_BYTES + SP_REQUEST_ID_BYTES];

    sp_frame(body_bytes + SP_REQUEST_ID_BYTES, head);
    sp_request_id(7, head + SP_FRAME_BYTES);
    sent(fd, head, sizeof(head));
    sent(fd, body, body_bytes);
}

static bool reply_received(int fd, struct batch_reply *reply, int timeout_ms)
{
    unsigned char head[SP_FRAME_BYTES], payload[256], id[SP_REQUEST_ID_BYTES];
    uint64_t len_bytes;

    if (!received(fd, head, sizeof(head), timeout_ms))
        return false;
    assert_true(sp_frame_read(head, sizeof(payload), &len_bytes));
    assert_true(received(fd, payload, (size_t)len_bytes, WAIT_MS));
    sp_request_id(7, id);
    assert_memory_equal(payload, id, sizeof(id));
    return batch_reply_decode(payload + sizeof(id), (size_t)len_bytes - sizeof(id), reply);
}

/* ---- batches ---- */

struct columns {
    int64_t time[ROWS], latency[ROWS];
    uint16_t shape[ROWS];
};

static size_t batch_make(uint64_t first, unsigned bad_rows, unsigned char out[4096])
{
    static unsigned char shapes[2 * BATCH_SHAPE_BYTES];
    static struct columns columns;
    uint64_t words[4];
    static const struct layout_name names[] = {{AILIVE_COMPONENT_DEFAULT, AILIVE_NAME_COMPONENT, 1, "c"},
                                               {AILIVE_RUN_ID_DEFAULT, AILIVE_NAME_RUN_ID, 1, "r"}};
    struct batch batch = {.producer = producer,
                          .ring = 1,
                          .first = first,
                          .count = ROWS,
                          .drop = -1,
                          .names = names,
                          .name_count = 2,
                          .door = {2},
                          .totals = {.recorded = first + ROWS}};
    size_t len_bytes;

    for (unsigned i = 0; i < 2; i++) { /* an accept, and a decision that is none */
        struct event_row row = {.kind = AILIVE_KIND_DECISION,
                                .decision = i == 0 ? AILIVE_ACCEPT : 77,
                                .component = AILIVE_COMPONENT_DEFAULT,
                                .run_id = AILIVE_RUN_ID_DEFAULT};

        event_row_pack_utc(&row, words);
        batch_shape_put(words, shapes + (size_t)i * BATCH_SHAPE_BYTES);
    }
    for (unsigned i = 0; i < ROWS; i++) {
        columns.time[i] = 1769303388000000000;
        columns.latency[i] = 1000000;
        columns.shape[i] = i < bad_rows;
    }
    batch.columns[BATCH_TIME] = (unsigned char *)columns.time;
    batch.columns[BATCH_LATENCY] = (unsigned char *)columns.latency;
    batch.columns[BATCH_SHAPE] = (unsigned char *)columns.shape;
    batch.shapes = shapes;
    batch.shape_count = 2;
    len_bytes = batch_encode(&batch, out, 4096);
    assert_true(len_bytes > 0);
    return len_bytes;
}

static void batch_sent(int fd, uint64_t first, unsigned bad_rows)
{
    unsigned char bytes[4096];

    frame_sent(fd, bytes, batch_make(first, bad_rows, bytes));
}

static void a_batch_is_counted_and_the_reply_names_exactly_it(void **context)
{
    unsigned char epoch[STATE_EPOCH_BYTES];
    struct batch_reply reply;
    int fd = connected();

    (void)context;
    batch_sent(fd, 100, 0);
    assert_true(reply_received(fd, &reply, WAIT_MS));
    assert_int_equal(counted(), ROWS); /* committed before the reply */
    assert_int_equal(reply.status, BATCH_COUNTED);
    assert_int_equal(reply.first, 100);
    assert_int_equal(reply.count, ROWS);
    assert_int_equal(reply.ring, 1);
    assert_memory_equal(&reply.producer, &producer, sizeof(producer));
    ingest_epoch(ingest, epoch);
    assert_memory_equal(reply.epoch, epoch, BATCH_EPOCH_BYTES);
    assert_int_equal(series_total(aggregate, "ailive_events_dropped_total", "ring_full"), 2);
    assert_true(source_nng_connected(source, &producer));
    close(fd);
}

static void what_connected_producers_claim_is_summed_until_they_leave(void **context)
{
    struct source_nng_counters counters;
    struct batch_reply reply;
    int one = connected(), other = connected();

    (void)context;
    batch_sent(one, 0, 0);
    assert_true(reply_received(one, &reply, WAIT_MS));
    batch_sent(one, ROWS, 0);
    assert_true(reply_received(one, &reply, WAIT_MS));
    batch_sent(other, 100, 0);
    assert_true(reply_received(other, &reply, WAIT_MS));
    source_nng_counters(source, &counters);
    assert_int_equal(counters.recorded, 2 * ROWS + 100 + ROWS);
    close(other);
    for (unsigned i = 0; i < WAIT_MS / 10 && counters.producers > 1; i++) {
        usleep(10000);
        source_nng_counters(source, &counters);
    }
    assert_int_equal(counters.recorded, 2 * ROWS);
    close(one);
}

static void the_same_batch_again_is_acknowledged_and_not_counted(void **context)
{
    struct batch_reply reply;
    int fd = connected(), other = connected();

    (void)context;
    batch_sent(fd, 0, 0);
    assert_true(reply_received(fd, &reply, WAIT_MS));
    batch_sent(other, 0, 0);
    assert_true(reply_received(other, &reply, WAIT_MS));
    assert_int_equal(reply.status, BATCH_COUNTED);
    assert_int_equal(counted(), ROWS);
    close(fd);
    close(other);
}

static void bad_rows_are_counted_as_invalid_and_said(void **context)
{
    struct batch_reply reply;
    int fd = connected();

    (void)context;
    batch_sent(fd, 0, 2);
    assert_true(reply_received(fd, &reply, WAIT_MS));
    assert_int_equal(reply.status, BATCH_BAD_ROWS);
    assert_int_equal(reply.bad, 2);
    assert_int_equal(counted(), ROWS - 2);
    assert_int_equal(series_total(aggregate, "ailive_events_dropped_total", "\"invalid\""), 2);
    close(fd);
}

static void what_a_poison_batch_addresses_is_refused_for_good(void **context)
{
    unsigned char bytes[4096];
    size_t len_bytes = batch_make(3, 0, bytes);
    struct batch_reply reply;
    unsigned char *count;
    int fd = connected();

    (void)context;
    /* One column less than its count says. */
    count = memmem(bytes, len_bytes, "\xa1n\x05", 3);
    assert_non_null(count);
    count[2] = 6;
    frame_sent(fd, bytes, len_bytes);
    assert_true(reply_received(fd, &reply, WAIT_MS));
    assert_int_equal(reply.status, BATCH_REFUSED);
    assert_int_equal(reply.first, 3);
    batch_sent(fd, 3, 0); /* the connection goes on */
    assert_true(reply_received(fd, &reply, WAIT_MS));
    assert_int_equal(counted(), ROWS);
    close(fd);
}

static void other_version_sent(int fd)
{
    unsigned char bytes[4096];
    size_t len_bytes = batch_make(3, 0, bytes);
    unsigned char *version = memmem(bytes, len_bytes, "\xa1v\x01", 3);

    assert_non_null(version);
    version[2] = 2;
    frame_sent(fd, bytes, len_bytes);
}

static void another_version_is_told_apart(void **context)
{
    struct batch_reply reply;
    int fd = connected();

    (void)context;
    other_version_sent(fd);
    assert_true(reply_received(fd, &reply, WAIT_MS));
    assert_int_equal(reply.status, BATCH_NO_VERSION);
    assert_int_equal(counted(), 0);
    close(fd);
}

static enum ingest_status gaps_made(void)
{
    static struct ingest_run runs[INGEST_RANGES_MAX];
    struct ingest_unit unit = {.road = ROAD_NNG, .runs = runs, .run_count = INGEST_RANGES_MAX};

    for (size_t i = 0; i < INGEST_RANGES_MAX; i++)
        runs[i] = (struct ingest_run){producer, 1, 1000 + 2 * i, 1, EVENT_DROP_REFUSED, 0};
    return ingest_take(ingest, &unit, NULL);
}

static void at_the_range_limit_no_reply_comes(void **context)
{
    struct batch_reply reply;
    int fd = connected();

    (void)context;
    assert_int_equal(gaps_made(), INGEST_COMMITTED);
    batch_sent(fd, 0, 0);
    assert_false(reply_received(fd, &reply, SILENCE_MS));
    batch_sent(fd, 1000, 0); /* fills gaps */
    assert_true(reply_received(fd, &reply, WAIT_MS));
    assert_int_equal(reply.first, 1000);
    close(fd);
}

/* A version nobody knows is answered without a commit: that answer would come behind the batch's. */
static void while_commits_fail_no_reply_comes(void **context)
{
    struct batch_reply reply;
    int fd = connected();

    (void)context;
    assert_int_equal(rename(in_folder("state/data.mdb"), in_folder("elsewhere")), 0);
    batch_sent(fd, 0, 0);
    other_version_sent(fd);
    assert_true(reply_received(fd, &reply, WAIT_MS));
    assert_int_equal(reply.status, BATCH_NO_VERSION);
    assert_int_equal(counted(), 0);
    assert_int_equal(rename(in_folder("elsewhere"), in_folder("state/data.mdb")), 0);
    assert_true(ingest_maintain(ingest));
    batch_sent(fd, 0, 0); /* as its shipper does */
    assert_true(reply_received(fd, &reply, WAIT_MS));
    assert_int_equal(reply.status, BATCH_COUNTED);
    assert_int_equal(counted(), ROWS);
    close(fd);
}

/* ---- bad peers ---- */

static uint64_t errors(enum source_nng_error kind)
{
    struct source_nng_counters counters;

    source_nng_counters(source, &counters);
    return counters.errors[kind];
}

static bool errors_reach(enum source_nng_error kind, uint64_t n)
{
    for (int i = 0; i < WAIT_MS / 10 && errors(kind) < n; i++)
        usleep(10000);
    return errors(kind) == n;
}

static void the_listener_lives(void)
{
    unsigned char greeting[SP_GREETING_BYTES];
    struct batch_reply reply;
    int fd = -1;

    /* The limit of connections is small here, and those before may not be buried yet. */
    for (int i = 0; i < WAIT_MS / 10; i++) {
        fd = dialled();
        sp_greeting(SP_PROTO_REQ, greeting);
        if (send(fd, greeting, sizeof(greeting), MSG_NOSIGNAL) == (ssize_t)sizeof(greeting) &&
            received(fd, greeting, sizeof(greeting), WAIT_MS))
            break;
        close(fd);
        usleep(10000);
    }
    batch_sent(fd, 500, 0);
    assert_true(reply_received(fd, &reply, WAIT_MS));
    close(fd);
}

static void peers_that_close_before_the_greeting_do_not_stop_it(void **context)
{
    (void)context;
    for (unsigned i = 0; i < 300; i++)
        close(dialled());
    the_listener_lives();
}

static void a_wrong_greeting_is_closed_and_counted(void **context)
{
    int fd = dialled();

    (void)context;
    sent(fd, "GET / HT", 8);
    closed(fd);
    assert_int_equal(errors(IPC_ERROR_GREETING), 1);
    the_listener_lives();
}

static void half_a_greeting_and_half_a_message_are_counted_as_truncated(void **context)
{
    unsigned char head[SP_FRAME_BYTES];
    int fd = dialled();

    (void)context;
    assert_true(received(fd, head, SP_GREETING_BYTES, WAIT_MS));
    sent(fd, "\0SP", 3);
    close(fd);
    assert_true(errors_reach(IPC_ERROR_TRUNCATED, 1));
    fd = connected();
    sp_frame(100, head);
    sent(fd, head, 5);
    close(fd);
    assert_true(errors_reach(IPC_ERROR_TRUNCATED, 2));
    fd = connected();
    sent(fd, head, sizeof(head));
    sent(fd, "some", 4);
    close(fd);
    assert_true(errors_reach(IPC_ERROR_TRUNCATED, 3));
    close(connected()); /* an end between messages is none */
    the_listener_lives();
    assert_int_equal(errors(IPC_ERROR_TRUNCATED), 3);
}

static void frames_too_long_or_no_frames_are_closed_and_counted(void **context)
{
    unsigned char head[SP_FRAME_BYTES];
    int fd = connected();

    (void)context;
    sp_frame(SOURCE_NNG_MESSAGE_MAX_BYTES + 1, head);
    sent(fd, head, sizeof(head));
    closed(fd);
    fd = connected();
    sent(fd, "\x02rubbish.", 9);
    closed(fd);
    assert_int_equal(errors(IPC_ERROR_FRAME), 2);
    the_listener_lives();
}

static void a_payload_without_a_request_id_is_closed_and_counted(void **context)
{
    unsigned char head[SP_FRAME_BYTES];
    int fd = connected();

    (void)context;
    sp_frame(2, head);
    sent(fd, head, sizeof(head));
    closed(fd);
    fd = connected();
    sp_frame(8, head);
    sent(fd, head, sizeof(head));
    sent(fd, "\0\0\0\1\0\0\0\2", 8);
    closed(fd);
    assert_int_equal(errors(IPC_ERROR_BACKTRACE), 2);
    the_listener_lives();
}

static void garbage_that_names_no_batch_is_closed_and_counted(void **context)
{
    int fd = connected();

    (void)context;
    frame_sent(fd, "rubbish", 7);
    closed(fd);
    assert_int_equal(errors(IPC_ERROR_MALFORMED), 1);
    the_listener_lives();
}

static void connections_beyond_the_limit_are_closed_and_room_comes_back(void **context)
{
    int fds[8];

    (void)context;
    for (unsigned i = 0; i < 8; i++)
        fds[i] = connected();
    closed(dialled());
    assert_int_equal(errors(IPC_ERROR_LIMIT), 1);
    for (unsigned i = 0; i < 8; i++)
        close(fds[i]);
    for (int i = 0; i < WAIT_MS / 10; i++) {
        struct source_nng_counters counters;

        source_nng_counters(source, &counters);
        if (counters.connections == 0)
            break;
        usleep(10000);
    }
    the_listener_lives();
}

static void a_peers_backtrace_is_echoed_up_to_its_last_word(void **context)
{
    static const unsigned char trace[] = {0, 0, 0, 9, 0, 0, 0, 8, 0x80, 0, 0, 7};
    unsigned char bytes[4096], head[SP_FRAME_BYTES], payload[256];
    size_t len_bytes = batch_make(0, 0, bytes);
    uint64_t reply_bytes;
    int fd = connected();

    (void)context;
    sp_frame(sizeof(trace) + len_bytes, head);
    sent(fd, head, sizeof(head));
    sent(fd, trace, sizeof(trace));
    sent(fd, bytes, len_bytes);
    assert_true(received(fd, head, sizeof(head), WAIT_MS));
    assert_true(sp_frame_read(head, sizeof(payload), &reply_bytes));
    assert_true(received(fd, payload, (size_t)reply_bytes, WAIT_MS));
    assert_memory_equal(payload, trace, sizeof(trace));
    close(fd);
}

static void random_bytes_leave_it_listening(void **context)
{
    const char *given = getenv("AILIVE_SEED");
    unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    unsigned char noise[512];

    (void)context;
    print_message("AILIVE_SEED=%u\n", seed);
    srandom(seed);
    for (unsigned i = 0; i < 100; i++) {
        int fd = dialled();
        size_t len_bytes = (size_t)random() % sizeof(noise);

        for (size_t j = 0; j < len_bytes; j++)
            noise[j] = (unsigned char)random();
        if (i % 2 == 0 && send(fd, "\0SP\0\0\x30\0\0", 8, MSG_NOSIGNAL) < 0)
            assert_int_equal(errno, EPIPE);
        if (send(fd, noise, len_bytes, MSG_NOSIGNAL) < 0)
            assert_int_equal(errno, EPIPE);
        close(fd);
        usleep(1000); /* the limit of connections is small here */
    }
    the_listener_lives();
}

/* ---- opening and closing ---- */

static void a_second_sidecar_on_the_socket_is_refused_with_the_pid(void **context)
{
    const char *urls[] = {url};
    struct source_nng_options options = {.urls = urls, .url_count = 1};
    struct source_nng *second;
    char pid[32];

    (void)context;
    snprintf(pid, sizeof(pid), "pid %ld", (long)getpid());
    assert_int_equal(source_nng_open(&options, ingest, &second, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "another sidecar"));
    assert_non_null(strstr(error, pid));
    the_listener_lives();
}

static void a_regular_file_at_the_path_is_refused_and_left_alone(void **context)
{
    char other[128];
    const char *urls[] = {other};
    struct source_nng_options options = {.urls = urls, .url_count = 1};
    struct source_nng *second;

    (void)context;
    snprintf(other, sizeof(other), "ipc://%s/precious", folder);
    file_append("precious", "data");
    assert_int_equal(source_nng_open(&options, ingest, &second, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "left alone"));
    assert_true(file_there("precious"));
}

static void socket_made(const char *path, bool listening)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    if (listening)
        assert_int_equal(listen(fd, 1), 0); /* stays open until the process ends */
    else
        close(fd);
}

static void a_stale_socket_is_replaced_and_a_living_one_of_another_program_is_not(void **context)
{
    char stale[128], living[128];
    const char *urls[] = {stale};
    struct source_nng_options options = {.urls = urls, .url_count = 1};
    struct source_nng *second;
    struct stat status;

    (void)context;
    snprintf(stale, sizeof(stale), "ipc://%s/stale", folder);
    snprintf(living, sizeof(living), "ipc://%s/living", folder);
    socket_made(in_folder("stale"), false);
    socket_made(in_folder("living"), true);
    assert_int_equal(source_nng_open(&options, ingest, &second, error, sizeof(error)), 0);
    assert_int_equal(stat(in_folder("stale"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    source_nng_close(second);
    urls[0] = living;
    assert_int_equal(source_nng_open(&options, ingest, &second, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "another program"));
}

static void socket_mode_is(const char *name, mode_t folder_mode, mode_t expected)
{
    char shared[128], path[64];
    const char *urls[] = {shared};
    struct source_nng_options options = {.urls = urls, .url_count = 1};
    struct source_nng *second;
    struct stat status;

    snprintf(path, sizeof(path), "%s/s", name);
    snprintf(shared, sizeof(shared), "ipc://%s", in_folder(path));
    assert_int_equal(mkdir(in_folder(name), 0700), 0);
    assert_int_equal(chmod(in_folder(name), folder_mode), 0);
    assert_int_equal(source_nng_open(&options, ingest, &second, error, sizeof(error)), 0);
    assert_int_equal(stat(in_folder(path), &status), 0);
    assert_int_equal(status.st_mode & 0777, expected);
    source_nng_close(second);
}

static void the_socket_is_the_groups_only_in_a_folder_that_the_group_shares(void **context)
{
    (void)context;
    socket_mode_is("shared", 02770, 0660);
    socket_mode_is("private", 0700, 0600);
    socket_mode_is("readable", 02750, 0600);
    socket_mode_is("plain", 0770, 0600);
}

/* As the end of a login session removes $XDG_RUNTIME_DIR. */
static void a_socket_removed_with_its_folder_is_made_again_and_open_connections_stay(void **context)
{
    struct batch_reply reply;
    int before = connected(), after;

    (void)context;
    assert_int_equal(rename(in_folder("run"), in_folder("removed")), 0);
    source_nng_tick(source);
    after = connected();
    batch_sent(after, 0, 0);
    assert_true(reply_received(after, &reply, WAIT_MS));
    batch_sent(before, ROWS, 0);
    assert_true(reply_received(before, &reply, WAIT_MS));
    assert_int_equal(counted(), 2 * ROWS);
    close(before);
    close(after);
    a_second_sidecar_on_the_socket_is_refused_with_the_pid(NULL); /* it is locked again, too */
    assert_int_equal(unlink(in_folder("run/s.sock")), 0);         /* alone */
    source_nng_tick(source);
    the_listener_lives();
}

static void what_took_a_removed_sockets_place_is_left_alone(void **context)
{
    (void)context;
    assert_int_equal(unlink(in_folder("run/s.sock")), 0);
    file_append("run/s.sock", "data");
    source_nng_tick(source);
    assert_true(file_there("run/s.sock"));
    assert_int_equal(unlink(in_folder("run/s.sock")), 0);
    source_nng_tick(source);
    the_listener_lives();
}

static void another_sidecar_that_took_a_removed_folders_place_keeps_its_socket(void **context)
{
    const char *urls[] = {url};
    struct source_nng_options options = {.urls = urls, .url_count = 1};
    struct source_nng *second;
    struct source_nng_counters counters;
    int fd;

    (void)context;
    assert_int_equal(rename(in_folder("run"), in_folder("removed")), 0);
    assert_int_equal(source_nng_open(&options, ingest, &second, error, sizeof(error)), 0);
    source_nng_tick(source);
    fd = connected();
    source_nng_counters(second, &counters);
    assert_int_equal(counters.connections, 1);
    close(fd);
    source_nng_close(second);
    source_nng_tick(source);
    the_listener_lives();
}

static void what_has_arrived_whole_is_counted_at_the_close(void **context)
{
    const char *urls[] = {url};
    struct source_nng_options options = {.urls = urls, .url_count = 1};
    struct batch_reply reply;
    int fd = connected();

    (void)context;
    batch_sent(fd, 0, 0);
    assert_true(reply_received(fd, &reply, WAIT_MS));
    source_nng_close(source);
    assert_int_equal(counted(), ROWS);
    closed(fd);
    assert_int_equal(source_nng_open(&options, ingest, &source, error, sizeof(error)), 0);
    the_listener_lives();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_batch_is_counted_and_the_reply_names_exactly_it),
        TEST(what_connected_producers_claim_is_summed_until_they_leave),
        TEST(the_same_batch_again_is_acknowledged_and_not_counted),
        TEST(bad_rows_are_counted_as_invalid_and_said),
        TEST(what_a_poison_batch_addresses_is_refused_for_good),
        TEST(another_version_is_told_apart),
        TEST(at_the_range_limit_no_reply_comes),
        TEST(while_commits_fail_no_reply_comes),
        TEST(peers_that_close_before_the_greeting_do_not_stop_it),
        TEST(a_wrong_greeting_is_closed_and_counted),
        TEST(half_a_greeting_and_half_a_message_are_counted_as_truncated),
        TEST(frames_too_long_or_no_frames_are_closed_and_counted),
        TEST(a_payload_without_a_request_id_is_closed_and_counted),
        TEST(garbage_that_names_no_batch_is_closed_and_counted),
        TEST(connections_beyond_the_limit_are_closed_and_room_comes_back),
        TEST(a_peers_backtrace_is_echoed_up_to_its_last_word),
        TEST(random_bytes_leave_it_listening),
        TEST(a_second_sidecar_on_the_socket_is_refused_with_the_pid),
        TEST(a_regular_file_at_the_path_is_refused_and_left_alone),
        TEST(a_stale_socket_is_replaced_and_a_living_one_of_another_program_is_not),
        TEST(the_socket_is_the_groups_only_in_a_folder_that_the_group_shares),
        TEST(a_socket_removed_with_its_folder_is_made_again_and_open_connections_stay),
        TEST(what_took_a_removed_sockets_place_is_left_alone),
        TEST(another_sidecar_that_took_a_removed_folders_place_keeps_its_socket),
        TEST(what_has_arrived_whole_is_counted_at_the_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
