/* intern.c - see intern.h. */
#include "intern.h"

#include "hash.h"
#include "text.h"

#include <stdlib.h>

/* One allocation each: the struct, then its texts. */
struct entry {
    struct labels labels;
    uint64_t hash;
    char texts[];
};

struct intern {
    struct entry **slots; /* open addressing, linear probing, at most half full */
    size_t slot_count;    /* a power of two */
    size_t count;
    size_t bytes;
    struct entry *last; /* events come in runs of equal labels */
};

#define FIRST_SLOTS 256u

uint64_t labels_hash(const struct labels *labels)
{
    uint64_t hash = hash_mix((uint64_t)labels->source << 8 | (uint64_t)labels->drop, 1);

    hash = hash_bytes(hash, labels->decision.bytes, labels->decision.len_bytes);
    hash = hash_bytes(hash, labels->reason.bytes, labels->reason.len_bytes);
    hash = hash_bytes(hash, labels->action.bytes, labels->action.len_bytes);
    hash = hash_bytes(hash, labels->stage.bytes, labels->stage.len_bytes);
    hash = hash_bytes(hash, labels->component.bytes, labels->component.len_bytes);
    return hash_bytes(hash, labels->run_id.bytes, labels->run_id.len_bytes);
}

bool labels_equal(const struct labels *a, const struct labels *b)
{
    return a->source == b->source && a->drop == b->drop && text_equal(a->decision, b->decision) &&
           text_equal(a->reason, b->reason) && text_equal(a->action, b->action) &&
           text_equal(a->stage, b->stage) && text_equal(a->component, b->component) &&
           text_equal(a->run_id, b->run_id);
}

struct intern *intern_new(void)
{
    struct intern *intern = calloc(1, sizeof(*intern));

    if (!intern)
        return NULL;
    intern->slot_count = FIRST_SLOTS;
    intern->slots = calloc(intern->slot_count, sizeof(struct entry *));
    if (!intern->slots) {
        free(intern);
        return NULL;
    }
    return intern;
}

static void forget_all(struct intern *intern)
{
    for (size_t i = 0; i < intern->slot_count; i++) {
        free(intern->slots[i]);
        intern->slots[i] = NULL;
    }
    intern->count = 0;
    intern->bytes = 0;
    intern->last = NULL;
}

void intern_free(struct intern *intern)
{
    if (!intern)
        return;
    forget_all(intern);
    free(intern->slots);
    free(intern);
}

bool intern_clear(struct intern *intern)
{
    if (intern->count <= INTERN_KEEP_LABELS && intern->bytes <= INTERN_KEEP_BYTES)
        return false;
    forget_all(intern);
    return true;
}

static struct text copy_text(struct text text, char **at)
{
    struct text copy = {*at, text.len_bytes};

    if (text.len_bytes > 0)
        memcpy(*at, text.bytes, text.len_bytes);
    *at += text.len_bytes;
    return copy;
}

static struct entry *entry_new(const struct labels *wanted, uint64_t hash, size_t *size)
{
    size_t texts = wanted->decision.len_bytes + wanted->reason.len_bytes + wanted->action.len_bytes +
                   wanted->stage.len_bytes + wanted->component.len_bytes + wanted->run_id.len_bytes;
    struct entry *entry = malloc(sizeof(*entry) + texts);
    char *at;

    if (!entry)
        return NULL;
    at = entry->texts;
    entry->hash = hash;
    entry->labels = *wanted;
    entry->labels.decision = copy_text(wanted->decision, &at);
    entry->labels.reason = copy_text(wanted->reason, &at);
    entry->labels.action = copy_text(wanted->action, &at);
    entry->labels.stage = copy_text(wanted->stage, &at);
    entry->labels.component = copy_text(wanted->component, &at);
    entry->labels.run_id = copy_text(wanted->run_id, &at);
    entry->labels.route = NULL;
    entry->labels.generation = 0;
    *size = sizeof(*entry) + texts;
    return entry;
}

static void place(struct entry **slots, size_t slot_count, struct entry *entry)
{
    size_t i = entry->hash & (slot_count - 1);

    while (slots[i])
        i = (i + 1) & (slot_count - 1);
    slots[i] = entry;
}

static bool grow(struct intern *intern)
{
    size_t slot_count = intern->slot_count * 2;
    struct entry **slots = calloc(slot_count, sizeof(struct entry *));

    if (!slots)
        return false;
    for (size_t i = 0; i < intern->slot_count; i++)
        if (intern->slots[i])
            place(slots, slot_count, intern->slots[i]);
    free(intern->slots);
    intern->slots = slots;
    intern->slot_count = slot_count;
    return true;
}

static struct labels *add(struct intern *intern, const struct labels *wanted, uint64_t hash)
{
    struct entry *entry;
    size_t size;

    if (2 * (intern->count + 1) > intern->slot_count && !grow(intern))
        return NULL;
    entry = entry_new(wanted, hash, &size);
    if (!entry)
        return NULL;
    place(intern->slots, intern->slot_count, entry);
    intern->count++;
    intern->bytes += size;
    intern->last = entry;
    return &entry->labels;
}

struct labels *intern_labels(struct intern *intern, const struct labels *wanted)
{
    uint64_t hash;

    if (intern->last && labels_equal(&intern->last->labels, wanted))
        return &intern->last->labels;
    hash = labels_hash(wanted);
    for (size_t i = hash & (intern->slot_count - 1); intern->slots[i]; i = (i + 1) & (intern->slot_count - 1))
        if (intern->slots[i]->hash == hash && labels_equal(&intern->slots[i]->labels, wanted)) {
            intern->last = intern->slots[i];
            return &intern->last->labels;
        }
    return add(intern, wanted, hash);
}
