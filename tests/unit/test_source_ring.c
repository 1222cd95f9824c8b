/* test_source_ring.c - what a dead producer left behind is counted once; the living and the foreign are left
 * alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder_check.h"
#include "ingest.h"
#include "producer_check.h"
#include "salvage.h"
#include "series_check.h"
#include "source_ring.h"

#include <wire/layout.h>
#include <wire/spool.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static struct aggregate *aggregate;
static struct state *state;
static struct ingest *ingest;
static struct source_ring *source;
static char error[512], runtime[128];

/* ---- what others do between two steps of the source ---- */

/* Each once, in the source's thread: right before a call, or right behind it. */
static void (*before_tails)(void), (*before_reconcile)(void), (*behind_lock_open)(void);

static void once(void (**hook)(void))
{
    void (*run)(void) = *hook;

    *hook = NULL;
    if (run != NULL)
        run();
}

void __real_salvage_tails(struct salvage *salvage, int folder_fd, uint64_t *tails);
void __wrap_salvage_tails(struct salvage *salvage, int folder_fd, uint64_t *tails);
void __wrap_salvage_tails(struct salvage *salvage, int folder_fd, uint64_t *tails)
{
    once(&before_tails);
    __real_salvage_tails(salvage, folder_fd, tails);
}

enum salvage_status __real_salvage_reconcile(struct salvage *salvage, int folder_fd,
                                             const struct event_producer *of, const uint64_t *tails);
enum salvage_status __wrap_salvage_reconcile(struct salvage *salvage, int folder_fd,
                                             const struct event_producer *of, const uint64_t *tails);
enum salvage_status __wrap_salvage_reconcile(struct salvage *salvage, int folder_fd,
                                             const struct event_producer *of, const uint64_t *tails)
{
    once(&before_reconcile);
    return __real_salvage_reconcile(salvage, folder_fd, of, tails);
}

int __real_openat(int folder_fd, const char *path, int flags, mode_t mode);
int __wrap_openat(int folder_fd, const char *path, int flags, mode_t mode);
int __wrap_openat(int folder_fd, const char *path, int flags, mode_t mode)
{
    int fd = __real_openat(folder_fd, path, flags, mode);

    if (strcmp(path, "lock") == 0)
        once(&behind_lock_open);
    return fd;
}

static int begin(void **context)
{
    (void)context;
    if (folder_make() != 0)
        return -1;
    snprintf(runtime, sizeof(runtime), "%s/runtime", folder);
    mkdir(runtime, 0700);
    producer_named(1);
    source = NULL;
    before_tails = before_reconcile = behind_lock_open = NULL;
    aggregate = aggregate_new(NULL);
    if (state_open(in_folder("state"), &state, error, sizeof(error)) != 0 ||
        ingest_open(aggregate, state, &ingest, error, sizeof(error)) != 0)
        fail_msg("%s", error);
    return 0;
}

static int end(void **context)
{
    (void)context;
    source_ring_close(source);
    if (owner_fd >= 0)
        close(owner_fd);
    ingest_close(ingest);
    state_close(state);
    aggregate_free(aggregate);
    return folder_remove_all();
}

static uint64_t counted(void)
{
    return series_total(aggregate, "peaktrade_ai_decisions_total", "");
}

static uint64_t dropped(const char *reason)
{
    return series_total(aggregate, "ailive_events_dropped_total", reason);
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

/* A producer that is younger than the state, as one made now is. */
static void producer_is_young(void)
{
    memset(producer.bytes, 0xff, 8);
    event_producer_format(&producer, hex);
}

static void ring_source_up(struct spool_reader *spools)
{
    struct source_ring_options options = {.runtime = runtime, .spools = spools};

    if (source_ring_open(&options, ingest, &source, error, sizeof(error)) != 0)
        fail_msg("%s", error);
}

static bool one_salvaged(void)
{
    return source_ring_salvaged_total(source) == 1;
}

/* ---- salvage ---- */

static void a_dead_producers_records_are_counted_and_its_folder_removed(void **context)
{
    (void)context;
    folder_begin();
    names_put();
    ring_put(ring_make(30, 30 + CAPACITY)); /* full, and wrapped around the end of the file */
    owner_dies();
    ring_source_up(NULL);
    assert_true(within(one_salvaged));
    assert_int_equal(counted(), CAPACITY);
    assert_int_equal(series_total(aggregate, "peaktrade_ai_decisions_total", "run_id=\"run-1\""), CAPACITY);
    assert_int_equal(dropped("lost"), 30); /* acknowledged by nobody that we know, and in no spool */
    assert_false(file_there(path_of("")));
    assert_int_equal(files_count("runtime", hex), 0);
}

static bool ten_lost(void)
{
    return dropped("lost") == 10;
}

/* Its acknowledgements were given by a state that is gone. */
static void what_a_living_producer_had_acknowledged_by_a_lost_state_counts_as_lost(void **context)
{
    struct ring_file *ring = ring_make(40, 50);

    (void)context;
    folder_begin();
    names_put();
    ring->header.drops[0] = (struct layout_range_drop){0, 30, EVENT_DROP_SPOOL_FULL, 0};
    ring_put(ring);
    ring_source_up(NULL);
    assert_true(within(ten_lost));
    assert_int_equal(dropped("spool_full"), 30);
    assert_int_equal(counted(), 0); /* what it still holds, it ships itself */
    assert_true(file_there(path_of("ring-1")));
}

static void take_run(uint64_t first, uint64_t count, enum ingest_status expected)
{
    struct ingest_run run = {producer, 1, first, count, EVENT_DROP_REFUSED, 0};
    struct ingest_unit unit = {.road = ROAD_NNG, .runs = &run, .run_count = 1};

    assert_int_equal(ingest_take(ingest, &unit, NULL), expected);
}

static void a_living_producer_is_left_alone(void **context)
{
    (void)context;
    take_run(0, 30, INGEST_COMMITTED);
    folder_begin();
    names_put();
    ring_put(ring_make(30, 40));
    ring_source_up(NULL);
    source_ring_close(source); /* it has looked, and looked once more */
    source = NULL;
    assert_int_equal(counted(), 0);
    assert_int_equal(dropped("lost"), 0);
    assert_true(file_there(path_of("ring-1")));
}

static bool ten_pending(void)
{
    return source_ring_pending(source) == 10;
}

static void what_a_living_producers_rings_hold_is_pending(void **context)
{
    (void)context;
    folder_begin();
    names_put();
    ring_put(ring_make(30, 40));
    ring_source_up(NULL);
    assert_true(within(ten_pending));
}

/* ---- a state from earlier ---- */

static void file_copy(const char *from, const char *to)
{
    static char bytes[1u << 20];
    int fd = open(in_folder(from), O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, bytes, sizeof(bytes));

    assert_true(n > 0 && n < (ssize_t)sizeof(bytes));
    close(fd);
    file_put(to, O_CREAT | O_TRUNC, bytes, (size_t)n);
}

static void counting_down(void)
{
    source_ring_close(source);
    source = NULL;
    ingest_close(ingest);
    state_close(state);
    aggregate_free(aggregate);
}

static void counting_up(void)
{
    aggregate = aggregate_new(NULL);
    if (state_open(in_folder("state"), &state, error, sizeof(error)) != 0 ||
        ingest_open(aggregate, state, &ingest, error, sizeof(error)) != 0)
        fail_msg("%s", error);
}

static bool twenty_lost(void)
{
    return dropped("lost") == 20;
}

/* The copy is younger than the producer: by its age alone nothing would seem to be missing. */
static void what_an_older_copy_of_the_state_does_not_know_counts_as_lost_once(void **context)
{
    (void)context;
    producer_is_young();
    folder_begin();
    names_put();
    take_run(0, 20, INGEST_COMMITTED);
    counting_down();
    file_copy("state/data.mdb", "backup");
    counting_up();
    take_run(20, 20, INGEST_COMMITTED);
    ring_put(ring_make(40, 50));
    counting_down();
    file_copy("backup", "state/data.mdb");
    counting_up();
    ring_source_up(NULL);
    assert_true(within(twenty_lost));
    take_run(20, 30, INGEST_COMMITTED); /* the last batch before, which its producer never saw answered */
    assert_int_equal(dropped("refused"), 20 + 10);
    counting_down();
    counting_up();
    owner_dies();
    ring_source_up(NULL);
    assert_true(within(one_salvaged));
    assert_int_equal(dropped("lost"), 20);
    assert_int_equal(dropped("refused"), 20 + 10);
}

static void a_state_replaced_under_a_running_sidecar_is_noticed_and_what_it_lacks_is_lost(void **context)
{
    (void)context;
    producer_is_young();
    folder_begin();
    names_put();
    take_run(0, 20, INGEST_COMMITTED);
    ring_put(ring_make(20, 50));
    ring_source_up(NULL);
    usleep(SOURCE_RING_LOOK_MS * 2500);    /* has been looked at, and nothing is missing */
    file_copy("state/data.mdb", "backup"); /* nobody writes now */
    take_run(20, 20, INGEST_COMMITTED);
    file_put(path_of("ring-1"), O_TRUNC, (const char *)ring_make(40, 50), sizeof(struct ring_file));
    assert_int_equal(rename(in_folder("backup"), in_folder("state/data.mdb")), 0);
    take_run(40, 5, INGEST_UNCOMMITTED);
    assert_true(ingest_maintain(ingest));
    assert_true(within(twenty_lost));
    take_run(40, 5, INGEST_COMMITTED);
    assert_int_equal(dropped("refused"), 25);
}

static void what_was_shipped_before_the_death_is_not_counted_again(void **context)
{
    struct ingest_run run = {producer, 1, 0, 25, EVENT_DROP_REFUSED, 0};
    struct ingest_unit unit = {.road = ROAD_NNG, .runs = &run, .run_count = 1};

    (void)context;
    assert_int_equal(ingest_take(ingest, &unit, NULL), INGEST_COMMITTED); /* committed, its reply was lost */
    folder_begin();
    names_put();
    ring_put(ring_make(10, 40));
    owner_dies();
    ring_source_up(NULL);
    assert_true(within(one_salvaged));
    assert_int_equal(counted(), 15);
    assert_int_equal(dropped("lost"), 0);
}

static void range_drops_and_door_words_are_salvaged_too(void **context)
{
    struct ring_file *ring = ring_make(20, 25);

    (void)context;
    folder_begin();
    names_put();
    ring->header.drops[0] = (struct layout_range_drop){0, 15, EVENT_DROP_SPOOL_FULL, 0};
    ring->header.drops[7] = (struct layout_range_drop){15, 23, EVENT_DROP_SPOOL_FULL, 0}; /* up to the tail */
    ring->header.door[EVENT_DROP_RING_FULL] = 4;
    ring_put(ring);
    owner_dies();
    ring_source_up(NULL);
    assert_true(within(one_salvaged));
    assert_int_equal(counted(), 5);
    assert_int_equal(dropped("spool_full"), 20);
    assert_int_equal(dropped("ring_full"), 4);
    assert_int_equal(dropped("lost"), 0);
}

static void records_with_unknown_names_count_as_invalid(void **context)
{
    (void)context;
    folder_begin(); /* without a names file */
    ring_put(ring_make(0, 6));
    owner_dies();
    ring_source_up(NULL);
    assert_true(within(one_salvaged));
    assert_int_equal(counted(), 0);
    assert_int_equal(dropped("\"invalid\""), 6);
}

static void ring_damage(struct ring_file *ring, unsigned way)
{
    switch (way) {
    case 0:
        memcpy(ring->header.magic, "AILRING2", 8);
        break;
    case 1:
        ring->header.head = UINT64_MAX;
        break;
    case 2:
        ring->header.capacity = 1u << 20; /* the file is shorter */
        break;
    case 3:
        ring->header.tail = ring->header.head + 1;
        break;
    case 4:
        ring->header.number = 2;
        break;
    default:
        ring->header.drops[0] = (struct layout_range_drop){3, 9, 77, 0};
        break;
    }
}

static void what_cannot_be_read_is_reported_and_never_deleted(void **context)
{
    struct salvage *salvage = salvage_new(ingest);
    char why[128];
    int folder_fd;

    (void)context;
    assert_non_null(salvage);
    folder_begin();
    names_put();
    folder_fd = open(in_folder(path_of("")), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned way = 0; way < 6; way++) {
        struct ring_file *ring = ring_make(0, 10);

        ring_damage(ring, way);
        file_put(path_of("ring-1"), O_CREAT | O_TRUNC, (const char *)ring, sizeof(*ring));
        why[0] = '\0';
        assert_int_equal(salvage_take(salvage, folder_fd, &producer, why, sizeof(why)), SALVAGE_FOREIGN);
        assert_non_null(strstr(why, "ring-1"));
    }
    assert_int_equal(counted(), 0);
    file_put(path_of("ring-1"), O_CREAT | O_TRUNC, "short", 5);
    assert_int_equal(salvage_take(salvage, folder_fd, &producer, why, sizeof(why)), SALVAGE_FOREIGN);
    close(folder_fd);
    salvage_free(salvage);
    owner_dies();
    ring_source_up(NULL);
    source_ring_close(source);
    source = NULL;
    assert_true(file_there(path_of("ring-1")));
}

/* Before it or behind it in the listing, which has an order of its own: bad ones on either side of a good
 * one. */
static void a_ring_that_cannot_be_read_does_not_keep_the_others_from_being_counted(void **context)
{
    char name[32];

    (void)context;
    folder_begin();
    names_put();
    ring_put(ring_make(0, 10));
    for (unsigned i = 2; i < 20; i++) {
        snprintf(name, sizeof(name), "ring-%u", i);
        file_append(path_of(name), "from the future");
    }
    owner_dies();
    ring_source_up(NULL);
    source_ring_close(source);
    source = NULL;
    assert_int_equal(counted(), 10);
    assert_true(file_there(path_of("ring-2")));
}

static void a_ring_its_maker_had_not_finished_holds_nothing_and_goes_with_the_folder(void **context)
{
    static const char zeroes[8192];

    (void)context;
    folder_begin();
    names_put();
    ring_put(ring_make(0, 10));
    file_put(path_of("ring-2"), O_CREAT, zeroes, sizeof(zeroes)); /* allocated, not filled */
    file_put(path_of("ring-3"), O_CREAT, "", 0);                  /* not even allocated */
    owner_dies();
    ring_source_up(NULL);
    assert_true(within(one_salvaged));
    assert_int_equal(counted(), 10);
    assert_false(file_there(path_of("ring-2")));
}

static void links_in_place_of_rings_are_not_followed(void **context)
{
    (void)context;
    folder_begin();
    names_put();
    file_put("elsewhere", O_CREAT, (const char *)ring_make(0, 10), sizeof(struct ring_file));
    assert_int_equal(symlink(in_folder("elsewhere"), in_folder(path_of("ring-1"))), 0);
    owner_dies();
    ring_source_up(NULL);
    source_ring_close(source);
    source = NULL;
    assert_int_equal(counted(), 0);
    assert_true(file_there("elsewhere"));
}

static void spooled(uint64_t first, uint64_t count)
{
    struct spool_record record = {.producer = producer,
                                  .ring = 1,
                                  .row = {.time_ns = 1,
                                          .latency_ns = AILIVE_NO_LATENCY,
                                          .kind = AILIVE_KIND_DECISION,
                                          .decision = AILIVE_ACCEPT,
                                          .component = AILIVE_COMPONENT_DEFAULT,
                                          .run_id = AILIVE_RUN_ID_DEFAULT},
                                  .reason = {"none", 4},
                                  .component = {"c", 1},
                                  .run_id = {"r", 1}};
    char text[SPOOL_LINE_MAX_BYTES], name[SPOOL_NAME_BYTES], path[128];

    spool_file_name(&producer, 1, name);
    snprintf(path, sizeof(path), "spool/%s", name);
    for (record.seq = first; record.seq < first + count; record.seq++)
        file_put(path, O_CREAT | O_APPEND, text, spool_format_record(&record, text));
}

/* Records 0 to 7 in a spool that nobody has read; 8 and 9 are in no file. */
static struct spool_reader *spool_unread(struct contract *contract)
{
    struct spool_reader *spools = spool_reader_new(ingest, contract, runtime);

    assert_int_equal(mkdir(in_folder("spool"), 0700), 0);
    spool_reader_add(spools, in_folder("spool"));
    spooled(0, 8);
    return spools;
}

/* The state is lost, the spool is not: what the ring had let go of may lie there. */
static void a_living_producers_gap_waits_for_the_spool_too(void **context)
{
    struct contract *contract = contract_new(NULL);
    struct spool_reader *spools = spool_unread(contract);

    (void)context;
    folder_begin();
    names_put();
    ring_put(ring_make(10, 12));
    ring_source_up(spools);
    usleep(SOURCE_RING_LOOK_MS * 2500); /* two looks, and nobody reads the spool */
    assert_int_equal(dropped("lost"), 0);
    for (unsigned i = 0; i < 6000 && dropped("lost") == 0; i++) {
        spool_reader_tick(spools);
        usleep(10000);
    }
    assert_int_equal(counted(), 8);
    assert_int_equal(dropped("lost"), 2);
    source_ring_close(source);
    source = NULL;
    spool_reader_free(spools);
    contract_free(contract);
}

static struct spool_reader *read_before; /* its spool was read, and then it spooled more */
static _Atomic bool tails_asked;

/* As a producer does: lines first, then the tail. */
static void moved_into_the_spool(uint64_t first, uint64_t count)
{
    spooled(first, count);
    file_put(path_of("ring-1"), O_TRUNC, (const char *)ring_make(first + count, 20),
             sizeof(struct ring_file));
}

static void spools_before_its_tails_are_noted(void)
{
    spool_reader_tick(read_before);
    moved_into_the_spool(10, 2);
    tails_asked = true;
}

static void spools_after_its_spool_was_read(void)
{
    moved_into_the_spool(12, 2);
}

static bool tails_noted(void)
{
    return tails_asked;
}

/* Its tails move with every line it spools: only what is below those noted before its spool was read, and was
 * not in there, is lost. */
static void what_a_living_producer_spools_while_it_is_looked_at_is_not_lost(void **context)
{
    struct contract *contract = contract_new(NULL);

    (void)context;
    read_before = spool_unread(contract);
    folder_begin();
    names_put();
    ring_put(ring_make(10, 20));
    tails_asked = false;
    before_tails = spools_before_its_tails_are_noted;
    before_reconcile = spools_after_its_spool_was_read;
    ring_source_up(read_before);
    assert_true(within(tails_noted));
    usleep(SOURCE_RING_LOOK_MS * 2500); /* two looks, and nobody reads the spool */
    assert_int_equal(dropped("lost"), 0);
    for (unsigned i = 0; i < 6000 && (dropped("lost") == 0 || counted() < 12); i++) {
        spool_reader_tick(read_before);
        usleep(10000);
    }
    assert_int_equal(counted(), 12);
    assert_int_equal(dropped("lost"), 2);
    source_ring_close(source);
    source = NULL;
    spool_reader_free(read_before);
    contract_free(contract);
}

/* The gap below the tail lies in a spool that is still being read. */
static void a_gap_waits_for_the_spool_and_is_not_lost(void **context)
{
    struct contract *contract = contract_new(NULL);
    struct spool_reader *spools = spool_unread(contract);

    (void)context;
    folder_begin();
    names_put();
    ring_put(ring_make(10, 12));
    owner_dies();
    ring_source_up(spools);
    for (unsigned i = 0; i < 600 && counted() < 2; i++)
        usleep(100000);
    usleep(1500000); /* more than one look: it still waits, because the spool was not read */
    assert_int_equal(counted(), 2);
    assert_int_equal(dropped("lost"), 0);
    assert_true(file_there(path_of("ring-1")));
    for (unsigned i = 0; i < 6000 && !one_salvaged(); i++) {
        spool_reader_tick(spools);
        usleep(10000);
    }
    assert_int_equal(counted(), 10);
    assert_int_equal(dropped("lost"), 2);
    assert_true(one_salvaged());
    source_ring_close(source);
    source = NULL;
    spool_reader_free(spools);
    contract_free(contract);
}

/* ---- forgetting ---- */

static _Atomic bool still_connected;

static bool is_connected(void *context, const struct event_producer *asked)
{
    (void)context;
    return still_connected && memcmp(asked, &producer, sizeof(producer)) == 0;
}

static void producer_found(void *context, const struct event_producer *found)
{
    *(bool *)context = *(bool *)context || memcmp(found, &producer, sizeof(producer)) == 0;
}

static bool forgotten(void)
{
    bool found = false;

    ingest_producers(ingest, producer_found, &found);
    return !found;
}

/* Two looks and more in which it would have been forgotten, with the spool read meanwhile. */
static bool remembered(struct spool_reader *spools)
{
    for (unsigned i = 0; i < SOURCE_RING_LOOK_MS * 5 / 2 / 10; i++) {
        spool_reader_tick(spools);
        if (forgotten())
            return false;
        usleep(10000);
    }
    return true;
}

/* A spool file whose owner has no folder is left alone while it is young. */
static void young_file(const char *path)
{
    struct timespec later[2] = {{.tv_sec = time(NULL) + 3600}, {.tv_sec = time(NULL) + 3600}};

    file_put(path, O_CREAT, "", 0);
    assert_int_equal(utimensat(AT_FDCWD, in_folder(path), later, 0), 0);
}

static void a_producer_is_forgotten_only_without_folder_connection_and_spool(void **context)
{
    struct contract *contract = contract_new(NULL);
    struct spool_reader *spools = spool_reader_new(ingest, contract, runtime);
    struct source_ring_options options = {
        .runtime = runtime, .spools = spools, .connected = is_connected, .forget_ms = 1};
    struct ingest_result result;
    struct ingest_run run = {producer, 1, 0, 20, EVENT_DROP_REFUSED, 0};
    struct ingest_unit late = {.road = ROAD_NNG, .runs = &run, .run_count = 1};
    char name[SPOOL_NAME_BYTES], path[128];

    (void)context;
    assert_int_equal(mkdir(in_folder("spool"), 0700), 0);
    spool_reader_add(spools, in_folder("spool"));
    spool_file_name(&producer, 1, name);
    snprintf(path, sizeof(path), "spool/%s", name);
    young_file(path);
    take_run(0, 20, INGEST_COMMITTED);
    folder_begin();
    names_put();
    ring_put(ring_make(20, 20));
    still_connected = true;
    assert_int_equal(source_ring_open(&options, ingest, &source, error, sizeof(error)), 0);
    assert_true(remembered(spools)); /* it lives */
    owner_dies();
    for (unsigned i = 0; i < 6000 && !one_salvaged(); i++) {
        spool_reader_tick(spools);
        usleep(10000);
    }
    assert_true(one_salvaged());
    young_file(path);                /* the first one went with its owner */
    assert_true(remembered(spools)); /* connected, and its spool is there */
    still_connected = false;
    assert_true(remembered(spools)); /* its spool is there */
    assert_int_equal(unlink(in_folder(path)), 0);
    spool_reader_tick(spools);
    still_connected = true;
    assert_true(remembered(spools)); /* connected */
    still_connected = false;
    assert_true(within(forgotten));
    assert_int_equal(ingest_take(ingest, &late, &result), INGEST_COMMITTED);
    assert_int_equal(result.duplicates, 20);
    source_ring_close(source);
    source = NULL;
    spool_reader_free(spools);
    contract_free(contract);
}

static _Atomic bool came_back;
static char its_folder[128], away[128];

/* Asked when it is about to be forgotten. */
static bool connects_and_its_folder_comes_back(void *context, const struct event_producer *asked)
{
    bool first = !came_back;

    (void)context;
    (void)asked;
    if (first)
        assert_int_equal(rename(away, its_folder), 0);
    came_back = true;
    return first;
}

static bool folder_back(void)
{
    return came_back && ten_pending();
}

static void a_producer_whose_folder_came_back_is_not_forgotten(void **context)
{
    struct source_ring_options options = {
        .runtime = runtime, .connected = connects_and_its_folder_comes_back, .forget_ms = 1};

    (void)context;
    take_run(0, 20, INGEST_COMMITTED);
    folder_begin();
    names_put();
    ring_put(ring_make(20, 30));
    snprintf(its_folder, sizeof(its_folder), "%s", in_folder(path_of("")));
    snprintf(away, sizeof(away), "%s", in_folder("away"));
    came_back = false;
    assert_int_equal(source_ring_open(&options, ingest, &source, error, sizeof(error)), 0);
    assert_true(within(ten_pending));
    assert_int_equal(rename(its_folder, away), 0);
    assert_true(within(folder_back)); /* a look has seen it, and goes on to forget whom it may */
    source_ring_close(source);
    source = NULL;
    assert_false(forgotten());
}

/* ---- the runtime folder itself ---- */

static bool locked_anew(void)
{
    return file_there("runtime/.sidecar.lock");
}

/* As the end of a login session removes $XDG_RUNTIME_DIR. */
static void a_runtime_folder_removed_while_in_use_is_taken_anew(void **context)
{
    (void)context;
    ring_source_up(NULL);
    assert_int_equal(rename(runtime, in_folder("removed")), 0);
    assert_true(within(locked_anew));
    folder_begin();
    names_put();
    ring_put(ring_make(0, 20));
    owner_dies();
    assert_true(within(one_salvaged));
    assert_int_equal(counted(), 20);
}

/* It may live on, with its connection for a while gone too. */
static void nobody_is_forgotten_for_having_been_in_a_removed_runtime_folder(void **context)
{
    struct source_ring_options options = {.runtime = runtime, .forget_ms = 1};

    (void)context;
    take_run(0, 5, INGEST_COMMITTED);
    folder_begin();
    names_put();
    ring_put(ring_make(0, 10));
    assert_int_equal(source_ring_open(&options, ingest, &source, error, sizeof(error)), 0);
    assert_true(within(ten_pending));
    assert_int_equal(rename(runtime, in_folder("removed")), 0);
    assert_true(within(locked_anew));
    usleep(SOURCE_RING_LOOK_MS * 2500); /* two looks in which it would have been */
    assert_false(forgotten());
}

/* ---- many ---- */

static bool all_salvaged(void)
{
    return source_ring_salvaged_total(source) == SOURCE_RING_FOLDERS_MAX + 10;
}

/* Those that are gone are remembered for a while, and are no reason for others to wait. */
static void more_dead_producers_than_are_looked_at_are_salvaged_one_after_the_other(void **context)
{
    (void)context;
    for (unsigned i = 0; i < SOURCE_RING_FOLDERS_MAX + 10; i++) {
        producer_named((unsigned char)i);
        memcpy(producer.bytes + 8, &i, sizeof(i));
        event_producer_format(&producer, hex);
        folder_begin();
        owner_dies();
    }
    ring_source_up(NULL);
    assert_true(within(all_salvaged));
}

/* ---- with the real SDK ---- */

static void a_killed_process_of_the_sdk_is_salvaged_to_the_last_record(void **context)
{
    int status;
    pid_t child = fork();

    (void)context;
    if (child == 0) {
        struct ailive_options options = AILIVE_OPTIONS_INIT;
        struct ailive *instance;
        ailive_name reason;

        options.runtime_dir = runtime;
        options.spool_dir = in_folder("spool");
        options.ipc_url = "ipc:///nonexistent/socket";
        options.spool_after_ms = 60000;
        if (ailive_open(&options, &instance) != 0)
            _exit(9);
        for (unsigned i = 0; i < 1000; i++)
            if (ailive_record_decision(instance, AILIVE_REJECT, AILIVE_REASON_COOLDOWN, AILIVE_ACTION_NONE,
                                       1000) != 0)
                _exit(8);
        /* First used in the last record before the kill. */
        if (ailive_register(instance, AILIVE_NAME_REASON, "brand_new", &reason) != 0 ||
            ailive_record_decision(instance, AILIVE_REJECT, reason, AILIVE_ACTION_NONE, 1000) != 0)
            _exit(7);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    ring_source_up(NULL);
    assert_true(within(one_salvaged));
    assert_int_equal(counted(), 1001);
    assert_int_equal(dropped(""), 0);
}

/* A process whose spool is elsewhere than the sidecar's own: 100 records there, 50 more there or in its ring.
 */
static void producer_with_another_spool_is_killed(void)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct ailive_options options = AILIVE_OPTIONS_INIT;
        struct ailive *instance;

        options.runtime_dir = runtime;
        options.spool_dir = in_folder("else where");
        options.ipc_url = "ipc:///nonexistent/socket";
        options.spool_after_ms = 1;
        if (ailive_open(&options, &instance) != 0)
            _exit(9);
        for (unsigned i = 0; i < 150; i++)
            if (ailive_record_decision(instance, AILIVE_ACCEPT, AILIVE_REASON_NONE, AILIVE_SUBMIT, 1) != 0 ||
                (i == 99 && ailive_flush(instance, 60000) != 0))
                _exit(8);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void the_spool_folder_that_a_lock_file_names_is_read_too(void **context)
{
    struct contract *contract = contract_new(NULL);
    struct spool_reader *spools = spool_reader_new(ingest, contract, runtime);

    (void)context;
    assert_int_equal(mkdir(in_folder("spool"), 0700), 0);
    spool_reader_add(spools, in_folder("spool"));
    producer_with_another_spool_is_killed();
    ring_source_up(spools);
    for (unsigned i = 0; i < 6000 && !one_salvaged(); i++) {
        spool_reader_tick(spools);
        usleep(10000);
    }
    assert_true(one_salvaged());
    assert_int_equal(counted(), 150);
    assert_int_equal(dropped(""), 0); /* not taken for lost, because no file of ours held it */
    source_ring_close(source);
    source = NULL;
    spool_reader_free(spools);
    contract_free(contract);
}

/* ---- the folder ---- */

static void old_half_made_folders_are_removed_and_young_ones_stay(void **context)
{
    struct timespec old[2] = {{.tv_sec = time(NULL) - 3600}, {.tv_sec = time(NULL) - 3600}};
    char young[128], stale[128], emptied[128];

    (void)context;
    snprintf(young, sizeof(young), "runtime/.%s.new", hex);
    producer.bytes[5] = 9;
    event_producer_format(&producer, hex);
    snprintf(stale, sizeof(stale), "runtime/.%s.new", hex);
    assert_int_equal(mkdir(in_folder(young), 0700), 0);
    assert_int_equal(mkdir(in_folder(stale), 0700), 0);
    assert_int_equal(utimensat(AT_FDCWD, in_folder(stale), old, 0), 0);
    snprintf(emptied, sizeof(emptied), "runtime/%s", hex); /* its remover was killed before the last step */
    assert_int_equal(mkdir(in_folder(emptied), 0700), 0);
    ring_source_up(NULL);
    source_ring_close(source);
    source = NULL;
    assert_true(file_there(young));
    assert_false(file_there(stale));
    assert_false(file_there(emptied));
}

static char half_made[128];

static void finished_recorded_in_and_killed(void)
{
    assert_int_equal(rename(in_folder(half_made), in_folder(path_of(""))), 0);
}

/* Its lock is free again, and it is no half-made folder any more. */
static void a_half_made_folder_that_was_finished_meanwhile_keeps_its_records(void **context)
{
    struct timespec old[2] = {{.tv_sec = time(NULL) - 3600}, {.tv_sec = time(NULL) - 3600}};

    (void)context;
    snprintf(half_made, sizeof(half_made), "runtime/.%s.new", hex);
    folder_begin();
    names_put();
    ring_put(ring_make(0, 10));
    owner_dies();
    assert_int_equal(rename(in_folder(path_of("")), in_folder(half_made)), 0);
    assert_int_equal(utimensat(AT_FDCWD, in_folder(half_made), old, 0), 0);
    behind_lock_open = finished_recorded_in_and_killed;
    ring_source_up(NULL);
    source_ring_close(source); /* it has looked, and looked once more */
    source = NULL;
    assert_null(behind_lock_open);
    assert_int_equal(counted(), 10);
}

static void a_second_sidecar_on_the_folder_is_refused_with_the_pid(void **context)
{
    struct source_ring_options options = {.runtime = runtime};
    struct source_ring *second;
    char pid[32];

    (void)context;
    ring_source_up(NULL);
    snprintf(pid, sizeof(pid), "pid %ld", (long)getpid());
    assert_int_equal(source_ring_open(&options, ingest, &second, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "another sidecar"));
    assert_non_null(strstr(error, pid));
}

static void other_files_in_the_runtime_folder_are_left_alone(void **context)
{
    (void)context;
    file_append("runtime/notes.txt", "x");
    assert_int_equal(mkdir(in_folder("runtime/0123"), 0700), 0);
    ring_source_up(NULL);
    source_ring_close(source);
    source = NULL;
    assert_true(file_there("runtime/notes.txt"));
    assert_true(file_there("runtime/0123"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_killed_process_of_the_sdk_is_salvaged_to_the_last_record),
        TEST(the_spool_folder_that_a_lock_file_names_is_read_too),
        TEST(a_dead_producers_records_are_counted_and_its_folder_removed),
        TEST(a_living_producer_is_left_alone),
        TEST(what_a_living_producers_rings_hold_is_pending),
        TEST(what_an_older_copy_of_the_state_does_not_know_counts_as_lost_once),
        TEST(a_state_replaced_under_a_running_sidecar_is_noticed_and_what_it_lacks_is_lost),
        TEST(what_a_living_producer_had_acknowledged_by_a_lost_state_counts_as_lost),
        TEST(what_was_shipped_before_the_death_is_not_counted_again),
        TEST(range_drops_and_door_words_are_salvaged_too),
        TEST(records_with_unknown_names_count_as_invalid),
        TEST(what_cannot_be_read_is_reported_and_never_deleted),
        TEST(a_ring_that_cannot_be_read_does_not_keep_the_others_from_being_counted),
        TEST(a_ring_its_maker_had_not_finished_holds_nothing_and_goes_with_the_folder),
        TEST(links_in_place_of_rings_are_not_followed),
        TEST(a_gap_waits_for_the_spool_and_is_not_lost),
        TEST(a_living_producers_gap_waits_for_the_spool_too),
        TEST(what_a_living_producer_spools_while_it_is_looked_at_is_not_lost),
        TEST(a_producer_is_forgotten_only_without_folder_connection_and_spool),
        TEST(a_producer_whose_folder_came_back_is_not_forgotten),
        TEST(a_runtime_folder_removed_while_in_use_is_taken_anew),
        TEST(nobody_is_forgotten_for_having_been_in_a_removed_runtime_folder),
        TEST(more_dead_producers_than_are_looked_at_are_salvaged_one_after_the_other),
        TEST(old_half_made_folders_are_removed_and_young_ones_stay),
        TEST(a_half_made_folder_that_was_finished_meanwhile_keeps_its_records),
        TEST(a_second_sidecar_on_the_folder_is_refused_with_the_pid),
        TEST(other_files_in_the_runtime_folder_are_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
