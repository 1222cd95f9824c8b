/* line_kind.c - see line_kind.h. */
#include "line_kind.h"

#include "hash.h"

#include <stdlib.h>

#define FIRST_SLOTS 256u
#define BIT(key)    (UINT32_C(1) << (key))

/* Every key that a rule of the contract for labels looks at. */
static const uint32_t label_keys = BIT(JSON_V) | BIT(JSON_SCHEMA_VERSION) | BIT(JSON_SCHEMA) |
                                   BIT(JSON_COMPONENT) | BIT(JSON_RUN_ID) | BIT(JSON_EVENT_TYPE) |
                                   BIT(JSON_DECISION) | BIT(JSON_REASON) | BIT(JSON_REASON_CODE) |
                                   BIT(JSON_ACTION) | BIT(JSON_TYPE) | BIT(JSON_BLOCK_REASON) |
                                   BIT(JSON_GATE_REASON) | BIT(JSON_POLICY_REASON) | BIT(JSON_ACTION_TYPE);

/* One value of a kind: what it is, then its text. */
struct head {
    uint8_t key, type;
    uint16_t flag;
    uint32_t len_bytes;
};

struct entry {
    struct line_kind kind;
    uint64_t hash;
    uint32_t keys;
    char values[]; /* heads and texts by turns */
};

struct line_kinds {
    struct entry **slots; /* open addressing, linear probing, at most half full */
    size_t slot_count;    /* a power of two */
    size_t count, bytes;
    uint64_t hash; /* of the last line looked for */
};

struct line_kinds *line_kinds_new(void)
{
    struct line_kinds *kinds = calloc(1, sizeof(*kinds));

    if (!kinds)
        return NULL;
    kinds->slot_count = FIRST_SLOTS;
    kinds->slots = calloc(kinds->slot_count, sizeof(struct entry *));
    if (!kinds->slots) {
        free(kinds);
        return NULL;
    }
    return kinds;
}

static void forget_all(struct line_kinds *kinds)
{
    for (size_t i = 0; i < kinds->slot_count; i++) {
        free(kinds->slots[i]);
        kinds->slots[i] = NULL;
    }
    kinds->count = 0;
    kinds->bytes = 0;
}

void line_kinds_free(struct line_kinds *kinds)
{
    if (!kinds)
        return;
    forget_all(kinds);
    free(kinds->slots);
    free(kinds);
}

void line_kinds_clear(struct line_kinds *kinds, bool forget)
{
    if (forget || kinds->count > LINE_KINDS_KEEP || kinds->bytes > LINE_KINDS_KEEP_BYTES)
        forget_all(kinds);
}

static inline struct head head_of(const struct json_view *view, unsigned key)
{
    const struct json_value *value = &view->values[key];
    bool flag = key == JSON_V ? value->type == JSON_NUMBER && value->number == 1.0 : value->truthy;

    return (struct head){(uint8_t)key, (uint8_t)value->type, flag, (uint32_t)value->text.len_bytes};
}

/* The values' hashes are made side by side, not one from the other: that is faster, and each has its key in
 * it. */
static uint64_t hash_of(const struct json_view *view, uint32_t keys)
{
    uint64_t hash = keys, word;

    for (; keys; keys &= keys - 1) {
        unsigned key = (unsigned)__builtin_ctz(keys);
        struct head head = head_of(view, key);

        memcpy(&word, &head, sizeof(word));
        hash += hash_text(word, view->values[key].text.bytes, head.len_bytes);
    }
    return hash_mix(hash, 1);
}

static bool is_of(const struct entry *entry, const struct json_view *view, uint32_t keys)
{
    const char *at = entry->values;

    if (entry->keys != keys)
        return false;
    for (; keys; keys &= keys - 1) {
        unsigned key = (unsigned)__builtin_ctz(keys);
        struct head head = head_of(view, key);

        if (memcmp(at, &head, sizeof(head)) != 0 ||
            (head.len_bytes > 0 &&
             memcmp(at + sizeof(head), view->values[key].text.bytes, head.len_bytes) != 0))
            return false;
        at += sizeof(head) + head.len_bytes;
    }
    return true;
}

const struct line_kind *line_kinds_find(struct line_kinds *kinds, const struct json_view *view)
{
    uint32_t keys = view->filled & label_keys;
    size_t mask = kinds->slot_count - 1;
    struct entry *entry;

    kinds->hash = hash_of(view, keys);
    for (size_t i = kinds->hash & mask; (entry = kinds->slots[i]) != NULL; i = (i + 1) & mask)
        if (entry->hash == kinds->hash && is_of(entry, view, keys))
            return &entry->kind;
    return NULL;
}

static size_t values_bytes(const struct json_view *view, uint32_t keys)
{
    size_t bytes = 0;

    for (; keys; keys &= keys - 1)
        bytes += sizeof(struct head) + view->values[__builtin_ctz(keys)].text.len_bytes;
    return bytes;
}

static void copy_values(const struct json_view *view, uint32_t keys, char *at)
{
    for (; keys; keys &= keys - 1) {
        unsigned key = (unsigned)__builtin_ctz(keys);
        struct head head = head_of(view, key);

        memcpy(at, &head, sizeof(head));
        at += sizeof(head);
        if (head.len_bytes > 0)
            memcpy(at, view->values[key].text.bytes, head.len_bytes);
        at += head.len_bytes;
    }
}

static void place(struct entry **slots, size_t slot_count, struct entry *entry)
{
    size_t i = entry->hash & (slot_count - 1);

    while (slots[i])
        i = (i + 1) & (slot_count - 1);
    slots[i] = entry;
}

static bool make_room(struct line_kinds *kinds)
{
    size_t slot_count = kinds->slot_count * 2;
    struct entry **slots;

    if (2 * (kinds->count + 1) <= kinds->slot_count)
        return true;
    slots = calloc(slot_count, sizeof(struct entry *));
    if (!slots)
        return false;
    for (size_t i = 0; i < kinds->slot_count; i++)
        if (kinds->slots[i])
            place(slots, slot_count, kinds->slots[i]);
    free(kinds->slots);
    kinds->slots = slots;
    kinds->slot_count = slot_count;
    return true;
}

void line_kinds_add(struct line_kinds *kinds, const struct json_view *view, const struct line_kind *kind)
{
    uint32_t keys = view->filled & label_keys;
    size_t bytes = values_bytes(view, keys);
    struct entry *entry;

    if (bytes > LINE_KIND_MAX_BYTES || !make_room(kinds))
        return;
    entry = malloc(sizeof(*entry) + bytes);
    if (!entry)
        return;
    entry->kind = *kind;
    entry->hash = kinds->hash;
    entry->keys = keys;
    copy_values(view, keys, entry->values);
    place(kinds->slots, kinds->slot_count, entry);
    kinds->count++;
    kinds->bytes += sizeof(*entry) + bytes;
}
