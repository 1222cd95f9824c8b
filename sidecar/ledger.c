/* ledger.c - which sequence numbers are accounted for.
 *
 * Place on the route: inside ingest, under its lock. Owns the ring table and the tombstones. Never touches
 * state itself: ingest commits what ledger_changes() hands out.
 *
 * Keys and values (integers little-endian, but the ring in the key big-endian so that keys sort):
 *     'r' producer[16] ring[4]   door words 8 x 8, then ranges (first, end) 16 each
 *                                (ring 1024, which no producer has: its records are refused)
 *     't' producer[16]           one byte: a tombstone
 *     't'                        producer[16]: the youngest expired tombstone
 */
#include "ledger.h"

#include "ingest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define RING_KEY_BYTES      (1u + EVENT_PRODUCER_BYTES + 4u)
#define TOMBSTONE_KEY_BYTES (1u + EVENT_PRODUCER_BYTES)
#define DOOR_BYTES          ((size_t)8 * LAYOUT_DOOR_WORDS)
#define RANGE_BYTES         ((size_t)16)
#define REFUSED_RING        LAYOUT_RINGS_MAX /* marks a producer whose records are refused */

struct ledger_ring {
    struct event_producer producer;
    uint32_t ring;
    bool touched; /* changed since the last commit; `before` holds what it was */
    struct range_list ranges;
    uint64_t door[LAYOUT_DOOR_WORDS];
    struct range_list before;
    uint64_t door_before[LAYOUT_DOOR_WORDS];
};

struct ledger {
    struct ledger_ring **slots; /* open addressing, linear probing */
    size_t slot_count;          /* a power of two, 0 at first */
    size_t ring_count;
    uint64_t seed; /* random: a peer that chooses its ids cannot choose where they collide */

    struct ledger_ring **touched;
    size_t touched_count, touched_reserved;

    struct event_producer *tombstones; /* sorted; oldest first */
    size_t tombstone_count;
    bool has_horizon;
    struct event_producer horizon; /* youngest expired tombstone */
    struct change_list forgotten;  /* pairs of ledger_forget() that wait for the commit */
};

/* ---- lists of ranges ---- */

bool range_list_add(struct range_list *list, uint64_t first, uint64_t end)
{
    if (list->count == list->reserved) {
        size_t reserved = list->reserved > 0 ? list->reserved * 2 : 4;
        struct range *items = realloc(list->items, reserved * sizeof(*items));

        if (items == NULL)
            return false;
        list->items = items;
        list->reserved = reserved;
    }
    list->items[list->count++] = (struct range){first, end};
    return true;
}

void range_list_fini(struct range_list *list)
{
    free(list->items);
    *list = (struct range_list){0};
}

static bool range_list_copy(const struct range_list *from, struct range_list *to)
{
    to->count = 0;
    for (size_t i = 0; i < from->count; i++)
        if (!range_list_add(to, from->items[i].first, from->items[i].end))
            return false;
    return true;
}

/* Index of the first range whose end is at or behind seq: the first that [seq, ...) can touch. */
static size_t range_list_find(const struct range_list *list, uint64_t seq)
{
    size_t low = 0, high = list->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (list->items[middle].end < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Appends the parts of [first, end) outside the ranges from index `at` on. */
static bool range_list_outside(const struct range_list *list, size_t at, uint64_t first, uint64_t end,
                               struct range_list *out)
{
    for (; at < list->count && list->items[at].first < end && first < end; at++) {
        if (list->items[at].first > first && !range_list_add(out, first, list->items[at].first))
            return false;
        if (list->items[at].end > first)
            first = list->items[at].end;
    }
    return first >= end || range_list_add(out, first, end);
}

/* Replaces every range that [first, end) overlaps or adjoins by their union. */
static bool range_list_merge(struct range_list *list, size_t at, uint64_t first, uint64_t end)
{
    size_t last = at;

    while (last < list->count && list->items[last].first <= end)
        last++;
    if (last == at) { /* a range of its own */
        if (!range_list_add(list, 0, 0))
            return false;
        memmove(&list->items[at + 1], &list->items[at], (list->count - 1 - at) * sizeof(struct range));
        list->items[at] = (struct range){first, end};
        return true;
    }
    if (list->items[at].first < first)
        first = list->items[at].first;
    if (list->items[last - 1].end > end)
        end = list->items[last - 1].end;
    memmove(&list->items[at + 1], &list->items[last], (list->count - last) * sizeof(struct range));
    list->count -= last - at - 1;
    list->items[at] = (struct range){first, end};
    return true;
}

/* ---- the ring table ---- */

static uint64_t load_u64(const unsigned char *bytes)
{
    uint64_t value;

    memcpy(&value, bytes, sizeof(value));
    return value;
}

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static uint64_t ring_hash(const struct ledger *ledger, const struct event_producer *producer, uint32_t ring)
{
    uint64_t value = mix(load_u64(producer->bytes) ^ ledger->seed);

    value = mix(value ^ load_u64(producer->bytes + 8));
    return mix(value ^ ring);
}

static bool ring_is(const struct ledger_ring *entry, const struct event_producer *producer, uint32_t ring)
{
    return entry->ring == ring && memcmp(&entry->producer, producer, sizeof(*producer)) == 0;
}

/* The slot of a ring, or the empty one where it belongs. The table is never full. */
static struct ledger_ring **table_slot(const struct ledger *ledger, const struct event_producer *producer,
                                       uint32_t ring)
{
    size_t mask = ledger->slot_count - 1, at = ring_hash(ledger, producer, ring) & mask;

    while (ledger->slots[at] != NULL && !ring_is(ledger->slots[at], producer, ring))
        at = (at + 1) & mask;
    return &ledger->slots[at];
}

static bool table_resize(struct ledger *ledger, size_t slot_count)
{
    struct ledger_ring **old = ledger->slots;
    size_t old_count = ledger->slot_count;
    struct ledger_ring **slots = calloc(slot_count, sizeof(struct ledger_ring *));

    if (slots == NULL)
        return false;
    ledger->slots = slots;
    ledger->slot_count = slot_count;
    for (size_t i = 0; i < old_count; i++)
        if (old[i] != NULL)
            *table_slot(ledger, &old[i]->producer, old[i]->ring) = old[i];
    free(old);
    return true;
}

static struct ledger_ring *table_find(const struct ledger *ledger, const struct event_producer *producer,
                                      uint32_t ring)
{
    return ledger->slot_count > 0 ? *table_slot(ledger, producer, ring) : NULL;
}

static enum ledger_status table_add(struct ledger *ledger, const struct event_producer *producer,
                                    uint32_t ring, struct ledger_ring **out)
{
    struct ledger_ring *entry;

    if (ledger->ring_count >= LEDGER_RINGS_MAX)
        return LEDGER_LIMIT;
    if ((ledger->ring_count + 1) * 4 > ledger->slot_count * 3 &&
        !table_resize(ledger, ledger->slot_count > 0 ? ledger->slot_count * 2 : 64))
        return LEDGER_MEMORY;
    entry = calloc(1, sizeof(*entry));
    if (entry == NULL)
        return LEDGER_MEMORY;
    entry->producer = *producer;
    entry->ring = ring;
    *table_slot(ledger, producer, ring) = entry;
    ledger->ring_count++;
    *out = entry;
    return LEDGER_OK;
}

static void ring_free(struct ledger_ring *entry)
{
    range_list_fini(&entry->ranges);
    range_list_fini(&entry->before);
    free(entry);
}

/* ---- tombstones ---- */

static size_t tombstone_find(const struct ledger *ledger, const struct event_producer *producer, bool *found)
{
    size_t low = 0, high = ledger->tombstone_count;

    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(&ledger->tombstones[middle], producer, sizeof(*producer));

        if (order == 0)
            *found = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool tombstone_insert(struct ledger *ledger, const struct event_producer *producer)
{
    bool found;
    size_t at = tombstone_find(ledger, producer, &found);

    if (found)
        return true;
    if (ledger->tombstones == NULL)
        ledger->tombstones = calloc(LEDGER_TOMBSTONES_MAX + 1, sizeof(struct event_producer));
    if (ledger->tombstones == NULL)
        return false;
    assert(ledger->tombstone_count <= LEDGER_TOMBSTONES_MAX);
    memmove(&ledger->tombstones[at + 1], &ledger->tombstones[at],
            (ledger->tombstone_count - at) * sizeof(struct event_producer));
    ledger->tombstones[at] = *producer;
    ledger->tombstone_count++;
    return true;
}

static void tombstone_key(const struct event_producer *producer, unsigned char out[TOMBSTONE_KEY_BYTES])
{
    out[0] = 't';
    memcpy(out + 1, producer->bytes, EVENT_PRODUCER_BYTES);
}

/* The oldest producer expires first, so that the horizon moves as little as it can. */
static bool tombstone_expire(struct ledger *ledger)
{
    unsigned char key[TOMBSTONE_KEY_BYTES];

    while (ledger->tombstone_count > LEDGER_TOMBSTONES_MAX) {
        struct event_producer oldest = ledger->tombstones[0];

        if (!ledger->has_horizon || memcmp(&oldest, &ledger->horizon, sizeof(oldest)) > 0)
            ledger->horizon = oldest;
        ledger->has_horizon = true;
        memmove(&ledger->tombstones[0], &ledger->tombstones[1],
                --ledger->tombstone_count * sizeof(struct event_producer));
        tombstone_key(&oldest, key);
        if (!change_list_put(&ledger->forgotten, key, sizeof(key), NULL, 0) ||
            !change_list_put(&ledger->forgotten, "t", 1, ledger->horizon.bytes, EVENT_PRODUCER_BYTES))
            return false;
    }
    return true;
}

/* ---- the ledger ---- */

struct ledger *ledger_new(void)
{
    struct ledger *ledger = calloc(1, sizeof(*ledger));

    if (ledger == NULL)
        return NULL;
    if (getrandom(&ledger->seed, sizeof(ledger->seed), 0) != (ssize_t)sizeof(ledger->seed))
        ledger->seed = (uint64_t)(uintptr_t)ledger;
    change_list_init(&ledger->forgotten);
    return ledger;
}

void ledger_clear(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->slot_count; i++)
        if (ledger->slots[i] != NULL)
            ring_free(ledger->slots[i]);
    free(ledger->slots);
    ledger->slots = NULL;
    ledger->slot_count = ledger->ring_count = 0;
    ledger->touched_count = 0;
    ledger->tombstone_count = 0;
    ledger->has_horizon = false;
    change_list_clear(&ledger->forgotten);
}

void ledger_free(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    ledger_clear(ledger);
    free(ledger->touched);
    free(ledger->tombstones);
    change_list_fini(&ledger->forgotten);
    free(ledger);
}

/* Unknown, and so old that its tombstone may have expired. A new ring of a known producer is none of this. */
static bool expired(const struct ledger *ledger, const struct event_producer *producer)
{
    if (!ledger->has_horizon || memcmp(producer, &ledger->horizon, sizeof(*producer)) > 0)
        return false;
    for (uint32_t ring = 0; ring < LAYOUT_RINGS_MAX; ring++)
        if (table_find(ledger, producer, ring) != NULL)
            return false;
    return true;
}

enum ledger_status ledger_ring(struct ledger *ledger, const struct event_producer *producer, uint32_t ring,
                               struct ledger_ring **out)
{
    bool forgotten;

    if (table_find(ledger, producer, REFUSED_RING) != NULL)
        return LEDGER_EXPIRED;
    *out = table_find(ledger, producer, ring);
    if (*out != NULL)
        return LEDGER_OK;
    tombstone_find(ledger, producer, &forgotten);
    if (forgotten)
        return LEDGER_FORGOTTEN;
    if (expired(ledger, producer))
        return LEDGER_EXPIRED;
    return table_add(ledger, producer, ring, out);
}

/* Keeps what the ring was before the unit under way, once. */
static bool ring_touch(struct ledger *ledger, struct ledger_ring *entry)
{
    if (entry->touched)
        return true;
    if (ledger->touched_count == ledger->touched_reserved) {
        size_t reserved = ledger->touched_reserved > 0 ? ledger->touched_reserved * 2 : 16;
        struct ledger_ring **touched = realloc(ledger->touched, reserved * sizeof(struct ledger_ring *));

        if (touched == NULL)
            return false;
        ledger->touched = touched;
        ledger->touched_reserved = reserved;
    }
    if (!range_list_copy(&entry->ranges, &entry->before))
        return false;
    memcpy(entry->door_before, entry->door, sizeof(entry->door));
    entry->touched = true;
    ledger->touched[ledger->touched_count++] = entry;
    return true;
}

enum ledger_status ledger_admit(struct ledger *ledger, const struct event_producer *producer, uint32_t ring,
                                bool refused, struct ledger_ring **out)
{
    struct ledger_ring *mark = table_find(ledger, producer, REFUSED_RING);
    enum ledger_status status = LEDGER_OK;

    if (refused && mark == NULL)
        status = table_add(ledger, producer, REFUSED_RING, &mark);
    /* Each time: a mark whose unit was taken back is not in the state yet. */
    if (refused && status == LEDGER_OK && !ring_touch(ledger, mark))
        status = LEDGER_MEMORY;
    *out = table_find(ledger, producer, ring);
    return status == LEDGER_OK && *out == NULL ? table_add(ledger, producer, ring, out) : status;
}

enum ledger_status ledger_account(struct ledger *ledger, struct ledger_ring *ring, uint64_t first,
                                  uint64_t end, struct range_list *fresh)
{
    size_t at, fresh_before = fresh->count;

    assert(first <= end);
    if (first == end)
        return LEDGER_OK;
    at = range_list_find(&ring->ranges, first);
    if (!range_list_outside(&ring->ranges, at, first, end, fresh))
        return LEDGER_MEMORY;
    if (fresh->count == fresh_before)
        return LEDGER_OK; /* all of it was accounted for: nothing to write */
    if (!ring_touch(ledger, ring) || !range_list_merge(&ring->ranges, at, first, end))
        return LEDGER_MEMORY;
    return ring->ranges.count > INGEST_RANGES_MAX ? LEDGER_LIMIT : LEDGER_OK;
}

enum ledger_status ledger_door(struct ledger *ledger, struct ledger_ring *ring,
                               const uint64_t words[LAYOUT_DOOR_WORDS], uint64_t fresh[LAYOUT_DOOR_WORDS])
{
    bool any = false;

    for (size_t i = 0; i < LAYOUT_DOOR_WORDS; i++) {
        fresh[i] = words[i] > ring->door[i] ? words[i] - ring->door[i] : 0;
        any = any || fresh[i] > 0;
    }
    if (!any)
        return LEDGER_OK;
    if (!ring_touch(ledger, ring))
        return LEDGER_MEMORY;
    for (size_t i = 0; i < LAYOUT_DOOR_WORDS; i++)
        ring->door[i] += fresh[i];
    return LEDGER_OK;
}

enum ledger_status ledger_gaps(const struct ledger *ledger, const struct event_producer *producer,
                               uint32_t ring, uint64_t end, struct range_list *gaps)
{
    static const struct range_list nothing;
    const struct ledger_ring *entry = table_find(ledger, producer, ring);
    bool forgotten;

    tombstone_find(ledger, producer, &forgotten);
    if (forgotten && entry == NULL)
        return LEDGER_OK;
    return range_list_outside(entry != NULL ? &entry->ranges : &nothing, 0, 0, end, gaps) ? LEDGER_OK
                                                                                          : LEDGER_MEMORY;
}

void ledger_producers(const struct ledger *ledger, ledger_producer_fn each, void *context)
{
    for (size_t i = 0; i < ledger->slot_count; i++) {
        const struct ledger_ring *entry = ledger->slots[i];
        uint32_t ring = 0;

        if (entry == NULL)
            continue;
        /* Told by its lowest ring only. */
        while (ring < entry->ring && table_find(ledger, &entry->producer, ring) == NULL)
            ring++;
        if (ring == entry->ring)
            each(context, &entry->producer);
    }
}

/* ---- keys and values ---- */

static void store_u64(unsigned char *out, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        out[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t read_u64(const unsigned char *bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static void ring_key(const struct ledger_ring *entry, unsigned char out[RING_KEY_BYTES])
{
    out[0] = 'r';
    memcpy(out + 1, entry->producer.bytes, EVENT_PRODUCER_BYTES);
    for (unsigned i = 0; i < 4; i++)
        out[1 + EVENT_PRODUCER_BYTES + i] = (unsigned char)(entry->ring >> (24 - 8 * i));
}

static bool ring_put(const struct ledger_ring *entry, struct change_list *out)
{
    unsigned char key[RING_KEY_BYTES];
    size_t len_bytes = DOOR_BYTES + entry->ranges.count * RANGE_BYTES;
    unsigned char *value = malloc(len_bytes), *at = value;
    bool put;

    if (value == NULL)
        return false;
    for (size_t i = 0; i < LAYOUT_DOOR_WORDS; i++, at += 8)
        store_u64(at, entry->door[i]);
    for (size_t i = 0; i < entry->ranges.count; i++, at += RANGE_BYTES) {
        store_u64(at, entry->ranges.items[i].first);
        store_u64(at + 8, entry->ranges.items[i].end);
    }
    ring_key(entry, key);
    put = change_list_put(out, key, sizeof(key), value, len_bytes);
    free(value);
    return put;
}

static bool forgotten_put(const struct ledger *ledger, struct change_list *out)
{
    const struct change_list *list = &ledger->forgotten;

    for (size_t i = 0; i < list->count; i++)
        if (!change_list_put(out, list->bytes + list->items[i].key_offset, list->items[i].key_len,
                             list->bytes + list->items[i].value_offset, list->items[i].value_len))
            return false;
    return true;
}

bool ledger_changes(struct ledger *ledger, struct change_list *out)
{
    for (size_t i = 0; i < ledger->touched_count; i++)
        if (!ring_put(ledger->touched[i], out))
            return false;
    return forgotten_put(ledger, out);
}

void ledger_committed(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->touched_count; i++)
        ledger->touched[i]->touched = false;
    ledger->touched_count = 0;
    change_list_clear(&ledger->forgotten);
}

void ledger_rollback(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->touched_count; i++) {
        struct ledger_ring *entry = ledger->touched[i];
        struct range_list ranges = entry->ranges;

        entry->ranges = entry->before;
        entry->before = ranges;
        memcpy(entry->door, entry->door_before, sizeof(entry->door));
        entry->touched = false;
    }
    ledger->touched_count = 0;
}

/* ---- forgetting ---- */

enum ledger_status ledger_forget(struct ledger *ledger, const struct event_producer *producer)
{
    unsigned char key[RING_KEY_BYTES];
    bool known = false;

    assert(ledger->touched_count == 0);
    for (size_t i = 0; i < ledger->slot_count; i++) {
        struct ledger_ring *entry = ledger->slots[i];

        if (entry == NULL || memcmp(&entry->producer, producer, sizeof(*producer)) != 0)
            continue;
        known = true;
        ring_key(entry, key);
        if (!change_list_put(&ledger->forgotten, key, sizeof(key), NULL, 0))
            return LEDGER_MEMORY;
        ring_free(entry);
        ledger->slots[i] = NULL;
        ledger->ring_count--;
    }
    if (!known)
        return LEDGER_OK;
    /* Probing stops at an empty slot: put the others in order. */
    if (!table_resize(ledger, ledger->slot_count) || !tombstone_insert(ledger, producer))
        return LEDGER_MEMORY;
    tombstone_key(producer, key);
    if (!change_list_put(&ledger->forgotten, key, TOMBSTONE_KEY_BYTES, "t", 1) || !tombstone_expire(ledger))
        return LEDGER_MEMORY;
    return LEDGER_OK;
}

/* ---- restoring ---- */

static bool ring_restore(struct ledger *ledger, const unsigned char *key, const unsigned char *value,
                         size_t value_len)
{
    struct event_producer producer;
    struct ledger_ring *entry;
    size_t count = (value_len - DOOR_BYTES) / RANGE_BYTES;
    uint32_t ring = 0;

    memcpy(producer.bytes, key + 1, EVENT_PRODUCER_BYTES);
    for (unsigned i = 0; i < 4; i++)
        ring = ring << 8 | key[1 + EVENT_PRODUCER_BYTES + i];
    if (count > INGEST_RANGES_MAX || table_find(ledger, &producer, ring) != NULL ||
        table_add(ledger, &producer, ring, &entry) != LEDGER_OK)
        return false;
    for (size_t i = 0; i < LAYOUT_DOOR_WORDS; i++)
        entry->door[i] = read_u64(value + (size_t)8 * i);
    value += DOOR_BYTES;
    for (size_t i = 0; i < count; i++, value += RANGE_BYTES) {
        uint64_t first = read_u64(value), end = read_u64(value + 8);

        if (first >= end || (i > 0 && first <= entry->ranges.items[i - 1].end) ||
            !range_list_add(&entry->ranges, first, end))
            return false;
    }
    return true;
}

static bool tombstone_restore(struct ledger *ledger, const unsigned char *key, size_t key_len,
                              const unsigned char *value, size_t value_len)
{
    struct event_producer producer;

    if (key_len == 1 && value_len == EVENT_PRODUCER_BYTES) {
        memcpy(ledger->horizon.bytes, value, EVENT_PRODUCER_BYTES);
        ledger->has_horizon = true;
        return true;
    }
    if (key_len != TOMBSTONE_KEY_BYTES || ledger->tombstone_count >= LEDGER_TOMBSTONES_MAX)
        return false;
    memcpy(producer.bytes, key + 1, EVENT_PRODUCER_BYTES);
    return tombstone_insert(ledger, &producer);
}

bool ledger_restore(struct ledger *ledger, const void *key, size_t key_len, const void *value,
                    size_t value_len)
{
    const unsigned char *k = key, *v = value;

    if (key_len == RING_KEY_BYTES && k[0] == 'r')
        return value_len >= DOOR_BYTES && (value_len - DOOR_BYTES) % RANGE_BYTES == 0 &&
               ring_restore(ledger, k, v, value_len);
    return key_len > 0 && k[0] == 't' && tombstone_restore(ledger, k, key_len, v, value_len);
}
