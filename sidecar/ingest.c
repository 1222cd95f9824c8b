/* ingest.c - the one door: accounting, counting and committing of every road's units.
 *
 * Place on the route: every source -> [ingest] -> aggregate and state. Owns the ledger and the committed file
 * positions. Any thread: one mutex, taken once a unit, never once an event. Never opens a file or a socket.
 *
 * Why nothing is counted twice or lost, whatever is killed and whenever:
 *  - the ledger hands out only the sequence numbers that were not accounted for before;
 *  - series, ledger and file positions of a unit are one transaction: after a kill all of them are from
 * before the unit, and its source sends or reads it again, or all from after it, and the ledger or the
 * position says so;
 *  - after a failed commit nobody knows which of the two holds, so that everything in memory is thrown away
 *    and read back, and until that and a probing write succeed nothing is taken in.
 */
#include "ingest.h"

#include "ledger.h"
#include "log.h"
#include "now.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct position {
    size_t key_len, value_len;
    unsigned char *bytes; /* key, then value */
};

struct position_list {
    struct position *items;
    size_t count, reserved;
};

/* Sequence numbers of one run that are counted now. */
struct portion {
    size_t run;
    struct range range;
    bool refused;
};

struct ingest {
    pthread_mutex_t lock;
    struct aggregate *aggregate;
    struct state *state;
    struct ledger *ledger;
    struct position_list positions; /* as committed */
    bool committing;
    unsigned proving; /* calls of ingest_maintain() until a recovery is believed */
    uint64_t loads;
    bool damaged; /* the load under way met a pair it cannot read */

    /* Of the unit under way; kept for their memory. */
    struct range_list fresh;
    bool (*present)(void *context, const struct event_producer *producer);
    void *present_context;
    struct log_condition refusing;
    struct portion *portions;
    size_t portion_count, portion_reserved;
    uint64_t door_fresh[LAYOUT_DOOR_WORDS];
    struct change_list changes;

    struct log_condition uncommitted, unsynced, limited;

    /* Apart from `lock`, so that a scrape does not wait for a slow disk. */
    pthread_mutex_t health_lock;
    struct ingest_health health;
    int64_t since_ns;
};

static const char *const road_names[ROADS] = {"nng", "spool", "salvage", "file", "replay"};

const char *road_name(enum road road)
{
    return road_names[road];
}

/* ---- file positions ---- */

static void position_list_fini(struct position_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].bytes);
    free(list->items);
    *list = (struct position_list){0};
}

static size_t position_find(const struct position_list *list, const void *key, size_t key_len)
{
    size_t i = 0;

    while (i < list->count &&
           (list->items[i].key_len != key_len || memcmp(list->items[i].bytes, key, key_len) != 0))
        i++;
    return i;
}

static void position_delete(struct position_list *list, size_t at)
{
    if (at == list->count)
        return;
    free(list->items[at].bytes);
    list->items[at] = list->items[--list->count];
}

static bool position_reserve(struct position_list *list)
{
    size_t reserved = list->reserved > 0 ? list->reserved * 2 : 8;
    struct position *items;

    if (list->count < list->reserved)
        return true;
    items = realloc(list->items, reserved * sizeof(*items));
    if (items == NULL)
        return false;
    list->items = items;
    list->reserved = reserved;
    return true;
}

static bool position_set(struct position_list *list, const void *key, size_t key_len, const void *value,
                         size_t value_len)
{
    size_t at = position_find(list, key, key_len);
    unsigned char *bytes;

    if (value_len == 0) {
        position_delete(list, at);
        return true;
    }
    bytes = malloc(key_len + value_len);
    if (bytes == NULL || !position_reserve(list)) {
        free(bytes);
        return false;
    }
    memcpy(bytes, key, key_len);
    memcpy(bytes + key_len, value, value_len);
    if (at == list->count)
        list->count++;
    else
        free(list->items[at].bytes);
    list->items[at] = (struct position){key_len, value_len, bytes};
    return true;
}

static bool positions_take(struct position_list *list, const struct change_list *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        const struct change *change = &changes->items[i];

        if (!position_set(list, changes->bytes + change->key_offset, change->key_len,
                          changes->bytes + change->value_offset, change->value_len))
            return false;
    }
    return true;
}

size_t ingest_position(struct ingest *ingest, const void *key, size_t key_len, void *value, size_t cap)
{
    size_t at, len_bytes = 0;

    pthread_mutex_lock(&ingest->lock);
    at = position_find(&ingest->positions, key, key_len);
    if (at < ingest->positions.count) {
        const struct position *position = &ingest->positions.items[at];

        len_bytes = position->value_len;
        memcpy(value, position->bytes + key_len, len_bytes < cap ? len_bytes : cap);
    }
    pthread_mutex_unlock(&ingest->lock);
    return len_bytes;
}

void ingest_positions(struct ingest *ingest, state_each_fn each, void *context)
{
    pthread_mutex_lock(&ingest->lock);
    for (size_t i = 0; i < ingest->positions.count; i++) {
        const struct position *position = &ingest->positions.items[i];

        each(context, position->bytes, position->key_len, position->bytes + position->key_len,
             position->value_len);
    }
    pthread_mutex_unlock(&ingest->lock);
}

/* ---- loading ---- */

struct load {
    struct ingest *ingest;
    struct position_list positions;
};

static void load_pair(void *context, const void *key, size_t key_len, const void *value, size_t value_len)
{
    struct load *load = context;
    struct ingest *ingest = load->ingest;
    bool fine = false;

    switch (((const char *)key)[0]) {
    case 's':
        fine = aggregate_restore(ingest->aggregate, key, key_len, value, value_len);
        break;
    case 'r':
    case 't':
        fine = ledger_restore(ingest->ledger, key, key_len, value, value_len);
        break;
    case 'f':
        fine = position_set(&load->positions, key, key_len, value, value_len);
        break;
    default:
        break;
    }
    if (!fine)
        ingest->damaged = true;
}

/* Reads everything back. The committed positions stay until the new ones are whole: a file source that saw
 * none would read its file from the start. */
static int ingest_load(struct ingest *ingest, char *error, size_t error_cap)
{
    struct load load = {.ingest = ingest};

    ingest->damaged = false;
    ledger_clear(ingest->ledger);
    if (state_load(ingest->state, load_pair, &load) != 0) {
        snprintf(error, error_cap, "%s", state_error(ingest->state));
        goto fail;
    }
    if (ingest->damaged) {
        snprintf(
            error, error_cap,
            "the state holds entries that cannot be read (another version's, or damaged); move the state "
            "folder away to begin at 0");
        goto fail;
    }
    position_list_fini(&ingest->positions);
    ingest->positions = load.positions;
    ingest->loads++;
    return 0;
fail:
    position_list_fini(&load.positions);
    return -1;
}

static struct ingest *ingest_new(struct aggregate *aggregate, struct state *state)
{
    struct ingest *ingest = calloc(1, sizeof(*ingest));

    if (ingest == NULL)
        return NULL;
    ingest->ledger = ledger_new();
    if (ingest->ledger == NULL) {
        free(ingest);
        return NULL;
    }
    ingest->aggregate = aggregate;
    ingest->state = state;
    ingest->committing = true;
    change_list_init(&ingest->changes);
    pthread_mutex_init(&ingest->lock, NULL);
    pthread_mutex_init(&ingest->health_lock, NULL);
    return ingest;
}

int ingest_open(struct aggregate *aggregate, struct state *state, struct ingest **out, char *error,
                size_t error_cap)
{
    struct ingest *ingest = ingest_new(aggregate, state);

    *out = NULL;
    if (ingest == NULL) {
        snprintf(error, error_cap, "out of memory");
        return -1;
    }
    if (ingest_load(ingest, error, error_cap) != 0) {
        ingest_close(ingest);
        return -1;
    }
    aggregate_committed(aggregate);
    ingest->health.committing = true;
    ingest->health.state_bytes = state_size_bytes(state);
    ingest->since_ns = state_since_ns(state);
    *out = ingest;
    return 0;
}

void ingest_close(struct ingest *ingest)
{
    if (ingest == NULL)
        return;
    ledger_free(ingest->ledger);
    position_list_fini(&ingest->positions);
    range_list_fini(&ingest->fresh);
    free(ingest->portions);
    change_list_fini(&ingest->changes);
    pthread_mutex_destroy(&ingest->lock);
    pthread_mutex_destroy(&ingest->health_lock);
    free(ingest);
}

/* ---- committing and recovering ---- */

static void health_uncommitted(struct ingest *ingest, const char *error)
{
    pthread_mutex_lock(&ingest->health_lock);
    ingest->health.committing = false;
    ingest->health.commit_errors++;
    snprintf(ingest->health.error, sizeof(ingest->health.error), "%s", error);
    pthread_mutex_unlock(&ingest->health_lock);
}

static void health_committed(struct ingest *ingest, uint64_t duration_ns)
{
    pthread_mutex_lock(&ingest->health_lock);
    ingest->health.commits++;
    ingest->health.last_commit_ns = duration_ns;
    ingest->health.state_bytes = state_size_bytes(ingest->state);
    pthread_mutex_unlock(&ingest->health_lock);
}

static int recover_state(struct ingest *ingest, char *error, size_t error_cap)
{
    if (state_reopen(ingest->state) == 0) {
        if (ingest_load(ingest, error, error_cap) != 0)
            return -1;
        if (state_probe(ingest->state) == 0)
            return 0;
    }
    snprintf(error, error_cap, "%s", state_error(ingest->state));
    return -1;
}

/* Reads back what the state holds and takes work on again once a write succeeds. Lock held. Called by the
 * timer only: on a full disk every unit fails, and each would reopen and reload. */
static void ingest_recover(struct ingest *ingest)
{
    char error[256];

    aggregate_reset(ingest->aggregate);
    if (recover_state(ingest, error, sizeof(error)) != 0) {
        health_uncommitted(ingest, error);
        return;
    }
    aggregate_committed(ingest->aggregate);
    ingest->committing = true;
    ingest->proving = INGEST_PROVING_TICKS;
    pthread_mutex_lock(&ingest->health_lock);
    ingest->since_ns = state_since_ns(ingest->state);
    pthread_mutex_unlock(&ingest->health_lock);
}

/* Said, and readiness turned, only when what failed had time to come again: on a disk that is nearly full the
 * probe goes through and the unit does not, once a second. */
static void ingest_prove(struct ingest *ingest)
{
    if (ingest->proving == 0 || --ingest->proving > 0)
        return;
    pthread_mutex_lock(&ingest->health_lock);
    ingest->health.committing = true;
    ingest->health.error[0] = '\0';
    pthread_mutex_unlock(&ingest->health_lock);
    log_clear(&ingest->uncommitted, "state is written again");
}

static enum ingest_status ingest_failed(struct ingest *ingest, const char *error)
{
    log_raise(&ingest->uncommitted, LOG_LEVEL_ERROR,
              "%s; nothing is counted or acknowledged until it can be written again", error);
    ingest->committing = false;
    health_uncommitted(ingest, error);
    ledger_committed(ingest->ledger); /* its undo is of no use: all of it is read back */
    return INGEST_UNCOMMITTED;
}

static bool changes_collect(struct ingest *ingest, const struct change_list *positions)
{
    struct change_list *changes = &ingest->changes;

    change_list_clear(changes);
    if (!aggregate_changes(ingest->aggregate, changes) || !ledger_changes(ingest->ledger, changes))
        return false;
    for (size_t i = 0; positions != NULL && i < positions->count; i++) {
        const struct change *change = &positions->items[i];

        if (!change_list_put(changes, positions->bytes + change->key_offset, change->key_len,
                             positions->bytes + change->value_offset, change->value_len))
            return false;
    }
    return true;
}

static enum ingest_status ingest_commit(struct ingest *ingest, const struct change_list *positions)
{
    int64_t began_ns = now_monotonic_ns();

    if (!changes_collect(ingest, positions))
        return ingest_failed(ingest, "out of memory for a commit");
    if (ingest->changes.count == 0)
        return INGEST_COMMITTED;
    if (state_commit(ingest->state, &ingest->changes) != 0)
        return ingest_failed(ingest, state_error(ingest->state));
    aggregate_committed(ingest->aggregate);
    ledger_committed(ingest->ledger);
    health_committed(ingest, (uint64_t)(now_monotonic_ns() - began_ns));
    if (positions != NULL && !positions_take(&ingest->positions, positions))
        return ingest_failed(ingest, "out of memory for file positions");
    return INGEST_COMMITTED;
}

/* ---- one unit ---- */

static size_t unit_entries(const struct ingest_unit *unit)
{
    return unit->rows != NULL ? unit->rows->count : unit->observation_count;
}

static bool run_valid(const struct ingest_unit *unit, const struct ingest_run *run)
{
    if (run->ring >= LAYOUT_RINGS_MAX || run->first + run->count < run->first)
        return false;
    if (run->drop >= 0)
        return run->drop < EVENT_DROP_REASONS;
    return run->observation <= unit_entries(unit) && run->count <= unit_entries(unit) - run->observation;
}

static bool unit_valid(const struct ingest_unit *unit)
{
    for (size_t i = 0; i < unit->run_count; i++)
        if (!run_valid(unit, &unit->runs[i]))
            return false;
    for (size_t i = 0; i < unit->door_count; i++)
        if (unit->doors[i].ring >= LAYOUT_RINGS_MAX)
            return false;
    return true;
}

static bool portion_add(struct ingest *ingest, struct portion portion)
{
    if (ingest->portion_count == ingest->portion_reserved) {
        size_t reserved = ingest->portion_reserved > 0 ? ingest->portion_reserved * 2 : 16;
        struct portion *portions = realloc(ingest->portions, reserved * sizeof(*portions));

        if (portions == NULL)
            return false;
        ingest->portions = portions;
        ingest->portion_reserved = reserved;
    }
    ingest->portions[ingest->portion_count++] = portion;
    return true;
}

/* A ring of a producer that may have been forgotten long ago. */
static enum ledger_status expired_ring(struct ingest *ingest, const struct event_producer *producer,
                                       uint32_t number, struct ledger_ring **ring, bool *refused)
{
    *refused = ingest->present == NULL || !ingest->present(ingest->present_context, producer);
    if (*refused)
        log_raise(&ingest->refusing, LOG_LEVEL_WARNING,
                  "a producer is not known, has no folder, and is older than others that were forgotten: its "
                  "records are dropped and counted as refused");
    return ledger_admit(ingest->ledger, producer, number, *refused, ring);
}

/* Accounts for one run; what of it is new becomes portions. */
static enum ledger_status unit_account_run(struct ingest *ingest, const struct ingest_run *run, size_t index)
{
    struct ledger_ring *ring;
    enum ledger_status status = ledger_ring(ingest->ledger, &run->producer, run->ring, &ring);
    bool refused = false;

    if (status == LEDGER_FORGOTTEN)
        return LEDGER_OK; /* all of it is a duplicate */
    if (status == LEDGER_EXPIRED)
        status = expired_ring(ingest, &run->producer, run->ring, &ring, &refused);
    if (status != LEDGER_OK)
        return status;
    ingest->fresh.count = 0;
    status = ledger_account(ingest->ledger, ring, run->first, run->first + run->count, &ingest->fresh);
    if (status != LEDGER_OK)
        return status;
    for (size_t i = 0; i < ingest->fresh.count; i++)
        if (!portion_add(ingest, (struct portion){index, ingest->fresh.items[i], refused}))
            return LEDGER_MEMORY;
    return LEDGER_OK;
}

static enum ledger_status unit_account_door(struct ingest *ingest, const struct ingest_door *door)
{
    uint64_t fresh[LAYOUT_DOOR_WORDS];
    struct ledger_ring *ring;
    enum ledger_status status = ledger_ring(ingest->ledger, &door->producer, door->ring, &ring);
    bool refused;

    if (status == LEDGER_FORGOTTEN)
        return LEDGER_OK;
    if (status == LEDGER_EXPIRED)
        status = expired_ring(ingest, &door->producer, door->ring, &ring, &refused);
    if (status == LEDGER_OK)
        status = ledger_door(ingest->ledger, ring, door->words, fresh);
    for (size_t i = 0; status == LEDGER_OK && i < EVENT_DROP_DOORS; i++)
        ingest->door_fresh[i] += fresh[i];
    return status;
}

static enum ledger_status unit_account(struct ingest *ingest, const struct ingest_unit *unit)
{
    enum ledger_status status = LEDGER_OK;

    ingest->portion_count = 0;
    memset(ingest->door_fresh, 0, sizeof(ingest->door_fresh));
    for (size_t i = 0; i < unit->run_count && status == LEDGER_OK; i++)
        status = unit_account_run(ingest, &unit->runs[i], i);
    for (size_t i = 0; i < unit->door_count && status == LEDGER_OK; i++)
        status = unit_account_door(ingest, &unit->doors[i]);
    return status;
}

static void unit_apply(struct ingest *ingest, const struct ingest_unit *unit, size_t first, size_t end,
                       struct ingest_result *result)
{
    if (unit->rows != NULL) {
        rows_apply(unit->rows, ingest->aggregate, first, end, &result->counted, &result->invalid);
        return;
    }
    for (size_t i = first; i < end; i++) {
        if (unit->invalid != NULL && unit->invalid[i]) {
            result->invalid++;
            continue;
        }
        aggregate_apply(ingest->aggregate, &unit->observations[i]);
        result->counted++;
    }
}

static void unit_apply_portion(struct ingest *ingest, const struct ingest_unit *unit,
                               const struct portion *portion, struct ingest_result *result)
{
    const struct ingest_run *run = &unit->runs[portion->run];
    uint64_t count = portion->range.end - portion->range.first;
    int drop = run->drop < 0 && portion->refused ? EVENT_DROP_REFUSED : run->drop;
    size_t at;

    if (run->drop != EVENT_DROP_LOST)
        result->duplicates -= count; /* every number of the unit was taken for one at first */
    if (drop >= 0) {
        aggregate_count(ingest->aggregate, OWN_DROPPED, event_drop_name((unsigned)drop), NULL, count);
        result->dropped += count;
        return;
    }
    at = run->observation + (size_t)(portion->range.first - run->first);
    if (unit->rows != NULL)
        rows_from(unit->rows, &run->producer, run->ring, run->first - run->observation);
    unit_apply(ingest, unit, at, at + (size_t)count, result);
}

static void unit_count_own(struct ingest *ingest, enum road road, const struct ingest_result *result)
{
    if (result->counted > 0)
        aggregate_count(ingest->aggregate, OWN_EVENTS, road_name(road), NULL, result->counted);
    if (result->duplicates > 0)
        aggregate_count(ingest->aggregate, OWN_DUPLICATES, road_name(road), NULL, result->duplicates);
    if (result->invalid > 0)
        aggregate_count(ingest->aggregate, OWN_DROPPED, event_drop_name(EVENT_DROP_INVALID), NULL,
                        result->invalid);
    for (unsigned i = 0; i < EVENT_DROP_DOORS; i++)
        if (ingest->door_fresh[i] > 0)
            aggregate_count(ingest->aggregate, OWN_DROPPED, event_drop_name(i), NULL, ingest->door_fresh[i]);
}

static void unit_count(struct ingest *ingest, const struct ingest_unit *unit, struct ingest_result *result)
{
    /* Giving up a range is no delivery: what of it is accounted for came once all the same. */
    for (size_t i = 0; i < unit->run_count; i++)
        result->duplicates += unit->runs[i].drop != EVENT_DROP_LOST ? unit->runs[i].count : 0;
    aggregate_begin(ingest->aggregate);
    if (unit->runs == NULL)
        unit_apply(ingest, unit, 0, unit->observation_count, result);
    for (size_t i = 0; i < ingest->portion_count; i++)
        unit_apply_portion(ingest, unit, &ingest->portions[i], result);
    for (size_t i = 0; i < unit->loose_count; i++)
        aggregate_apply(ingest->aggregate, &unit->loose[i]);
    result->counted += unit->loose_count;
    unit_count_own(ingest, unit->road, result);
    for (unsigned i = 0; i < EVENT_DROP_DOORS; i++)
        result->dropped += ingest->door_fresh[i];
    aggregate_end(ingest->aggregate);
}

/* What the ledger did not accept changes nothing. */
static enum ingest_status unit_refuse(struct ingest *ingest, enum ledger_status status)
{
    ledger_rollback(ingest->ledger);
    switch (status) {
    case LEDGER_LIMIT:
        log_raise(&ingest->limited, LOG_LEVEL_WARNING,
                  "a ring has more than %u gaps (or there are more than %u rings): its batches are not "
                  "acknowledged until the gaps fill",
                  INGEST_RANGES_MAX, LEDGER_RINGS_MAX);
        return INGEST_RANGE_LIMIT;
    default:
        log_error("out of memory: a unit is not taken in");
        return INGEST_UNCOMMITTED;
    }
}

static enum ingest_status take_locked(struct ingest *ingest, const struct ingest_unit *unit,
                                      struct ingest_result *result)
{
    enum ledger_status status;

    if (!ingest->committing)
        return INGEST_UNCOMMITTED;
    if (!unit_valid(unit))
        return INGEST_REFUSED;
    status = unit_account(ingest, unit);
    if (status != LEDGER_OK)
        return unit_refuse(ingest, status);
    unit_count(ingest, unit, result);
    return ingest_commit(ingest, unit->positions);
}

void ingest_vouch(struct ingest *ingest,
                  bool (*present)(void *context, const struct event_producer *producer), void *context)
{
    ingest->present = present;
    ingest->present_context = context;
}

enum ingest_status ingest_take(struct ingest *ingest, const struct ingest_unit *unit,
                               struct ingest_result *result)
{
    struct ingest_result counts = {0};
    enum ingest_status status;

    assert(unit->road < ROADS);
    pthread_mutex_lock(&ingest->lock);
    status = take_locked(ingest, unit, &counts);
    pthread_mutex_unlock(&ingest->lock);
    if (result != NULL)
        *result = status == INGEST_COMMITTED ? counts : (struct ingest_result){0};
    return status;
}

/* ---- questions about rings ---- */

/* The gaps below seq. false: memory. */
static bool gaps_below(struct ingest *ingest, const struct event_producer *producer, uint32_t ring,
                       uint64_t seq, struct range_list *gaps)
{
    bool fine;

    pthread_mutex_lock(&ingest->lock);
    /* After a failed commit the ledger holds what the state may not. */
    fine = ingest->committing && ledger_gaps(ingest->ledger, producer, ring, seq, gaps) == LEDGER_OK;
    pthread_mutex_unlock(&ingest->lock);
    return fine;
}

bool ingest_accounted(struct ingest *ingest, const struct event_producer *producer, uint32_t ring,
                      uint64_t seq)
{
    struct range_list gaps = {0};
    bool whole = gaps_below(ingest, producer, ring, seq, &gaps) && gaps.count == 0;

    range_list_fini(&gaps);
    return whole;
}

enum ingest_status ingest_give_up(struct ingest *ingest, const struct event_producer *producer, uint32_t ring,
                                  uint64_t seq)
{
    struct ingest_run run = {*producer, ring, 0, seq, EVENT_DROP_LOST, 0};
    struct ingest_unit unit = {.road = ROAD_SALVAGE, .runs = &run, .run_count = 1};

    return seq == 0 ? INGEST_COMMITTED : ingest_take(ingest, &unit, NULL);
}

void ingest_producers(struct ingest *ingest,
                      void (*each)(void *context, const struct event_producer *producer), void *context)
{
    pthread_mutex_lock(&ingest->lock);
    ledger_producers(ingest->ledger, each, context);
    pthread_mutex_unlock(&ingest->lock);
}

enum ingest_status ingest_forget(struct ingest *ingest, const struct event_producer *producer)
{
    enum ingest_status status = INGEST_UNCOMMITTED;

    pthread_mutex_lock(&ingest->lock);
    if (ingest->committing)
        status = ledger_forget(ingest->ledger, producer) == LEDGER_OK
                     ? ingest_commit(ingest, NULL)
                     : ingest_failed(ingest, "out of memory while forgetting a producer");
    pthread_mutex_unlock(&ingest->lock);
    return status;
}

/* ---- the timer and health ---- */

static void maintain_sync(struct ingest *ingest)
{
    if (state_sync(ingest->state) == 0) {
        log_clear(&ingest->unsynced, "state is synced again");
        return;
    }
    log_raise(&ingest->unsynced, LOG_LEVEL_ERROR, "%s; a loss of power would cost what was counted since",
              state_sync_error(ingest->state));
    pthread_mutex_lock(&ingest->health_lock);
    ingest->health.commit_errors++;
    pthread_mutex_unlock(&ingest->health_lock);
}

/* The sync stands outside the lock: on a slow disk it may take seconds, and commits go on meanwhile. */
bool ingest_maintain(struct ingest *ingest)
{
    bool committing;

    pthread_mutex_lock(&ingest->lock);
    if (ingest->committing && state_check(ingest->state) != 0)
        (void)ingest_failed(ingest, state_error(ingest->state));
    if (ingest->committing)
        ingest_prove(ingest);
    else
        ingest_recover(ingest);
    committing = ingest->committing;
    pthread_mutex_unlock(&ingest->lock);
    if (committing)
        maintain_sync(ingest);
    return committing;
}

bool ingest_committing(struct ingest *ingest)
{
    bool committing;

    pthread_mutex_lock(&ingest->lock);
    committing = ingest->committing;
    pthread_mutex_unlock(&ingest->lock);
    return committing;
}

void ingest_health(struct ingest *ingest, struct ingest_health *out)
{
    pthread_mutex_lock(&ingest->health_lock);
    *out = ingest->health;
    pthread_mutex_unlock(&ingest->health_lock);
}

void ingest_epoch(struct ingest *ingest, unsigned char epoch[STATE_EPOCH_BYTES])
{
    pthread_mutex_lock(&ingest->lock); /* a state opened again may be another one */
    memcpy(epoch, state_epoch(ingest->state), STATE_EPOCH_BYTES);
    pthread_mutex_unlock(&ingest->lock);
}

int64_t ingest_since_ns(struct ingest *ingest)
{
    int64_t since_ns;

    pthread_mutex_lock(&ingest->health_lock); /* a scrape asks */
    since_ns = ingest->since_ns;
    pthread_mutex_unlock(&ingest->health_lock);
    return since_ns;
}

uint64_t ingest_loads(struct ingest *ingest)
{
    uint64_t loads;

    pthread_mutex_lock(&ingest->lock);
    loads = ingest->loads;
    pthread_mutex_unlock(&ingest->lock);
    return loads;
}
