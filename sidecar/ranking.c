/* ranking.c - see ranking.h. */
#include "ranking.h"

#include "hash.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 64u

void ranking_init(struct ranking *ranking)
{
    *ranking = (struct ranking){0};
}

static void rows_drop(struct ranking *ranking, size_t first)
{
    for (size_t i = first; i < ranking->count; i++)
        free((void *)(uintptr_t)ranking->rows[i].names[0]); /* one block holds them all */
    if (first < ranking->count)
        ranking->count = first;
}

void ranking_fini(struct ranking *ranking)
{
    rows_drop(ranking, 0);
    free(ranking->rows);
    free(ranking->slots);
    ranking_init(ranking);
}

static uint64_t names_hash(const char *const names[RANKING_NAMES])
{
    uint64_t hash = 0;

    for (size_t i = 0; i < RANKING_NAMES; i++)
        hash = hash_bytes(hash, names[i], strlen(names[i]));
    return hash;
}

static int names_compare(const char *const a[RANKING_NAMES], const char *const b[RANKING_NAMES])
{
    int order = 0;

    for (size_t i = 0; i < RANKING_NAMES && order == 0; i++)
        order = strcmp(a[i], b[i]);
    return order;
}

/* The slot of these names, or the free one where they belong. */
static uint32_t *slot_find(const struct ranking *ranking, const char *const names[RANKING_NAMES])
{
    size_t mask = ranking->slot_count - 1, i = names_hash(names) & mask;

    while (ranking->slots[i] > 0 && names_compare(ranking->rows[ranking->slots[i] - 1].names, names) != 0)
        i = (i + 1) & mask;
    return &ranking->slots[i];
}

static void slots_fill(struct ranking *ranking)
{
    for (size_t i = 0; i < ranking->count; i++)
        *slot_find(ranking, ranking->rows[i].names) = (uint32_t)(i + 1);
}

/* Makes room for one more. false: out of memory. */
static bool make_room(struct ranking *ranking)
{
    size_t slot_count = ranking->slot_count > 0 ? 2 * ranking->slot_count : FIRST_SLOTS;
    struct ranking_row *rows;
    uint32_t *slots;

    if (2 * (ranking->count + 1) <= ranking->slot_count)
        return true;
    rows = realloc(ranking->rows, slot_count / 2 * sizeof(*rows));
    if (rows == NULL)
        return false;
    ranking->rows = rows;
    slots = calloc(slot_count, sizeof(*slots));
    if (slots == NULL)
        return false;
    free(ranking->slots);
    ranking->slots = slots;
    ranking->slot_count = slot_count;
    slots_fill(ranking);
    return true;
}

const struct ranking_row *ranking_find(const struct ranking *ranking, const char *const names[RANKING_NAMES])
{
    uint32_t at = ranking->slot_count > 0 ? *slot_find(ranking, names) : 0;

    return at > 0 ? &ranking->rows[at - 1] : NULL;
}

static bool names_copy(const char *const names[RANKING_NAMES], const char *out[RANKING_NAMES])
{
    size_t bytes = 0;
    char *at;

    for (size_t i = 0; i < RANKING_NAMES; i++)
        bytes += strlen(names[i]) + 1;
    at = malloc(bytes);
    if (at == NULL)
        return false;
    for (size_t i = 0; i < RANKING_NAMES; i++) {
        out[i] = at;
        at = stpcpy(at, names[i]) + 1;
    }
    return true;
}

struct ranking_row *ranking_row(struct ranking *ranking, const char *const names[RANKING_NAMES])
{
    struct ranking_row made = {.value = 0};
    uint32_t *slot;

    if (!make_room(ranking))
        return NULL;
    slot = slot_find(ranking, names);
    if (*slot > 0)
        return &ranking->rows[*slot - 1];
    if (!names_copy(names, made.names))
        return NULL;
    ranking->rows[ranking->count++] = made;
    *slot = (uint32_t)ranking->count;
    return &ranking->rows[*slot - 1];
}

static int rows_compare(const void *a, const void *b)
{
    const struct ranking_row *left = a, *right = b;

    if (left->value != right->value)
        return left->value > right->value ? -1 : 1;
    if (left->sums[0] != right->sums[0])
        return left->sums[0] > right->sums[0] ? -1 : 1;
    return names_compare(left->names, right->names);
}

void ranking_sort(struct ranking *ranking)
{
    if (ranking->count > 0)
        qsort(ranking->rows, ranking->count, sizeof(*ranking->rows), rows_compare);
}

void ranking_cut(struct ranking *ranking, size_t most)
{
    ranking_sort(ranking);
    rows_drop(ranking, most);
    if (ranking->slot_count > 0)
        memset(ranking->slots, 0, ranking->slot_count * sizeof(*ranking->slots));
    slots_fill(ranking);
}
