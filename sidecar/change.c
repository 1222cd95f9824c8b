/* change.c - see change.h. */
#include "change.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void change_list_init(struct change_list *list)
{
    *list = (struct change_list){0};
}

void change_list_fini(struct change_list *list)
{
    free(list->items);
    free(list->bytes);
    change_list_init(list);
}

void change_list_clear(struct change_list *list)
{
    list->count = 0;
    list->used = 0;
}

static bool reserve_item(struct change_list *list)
{
    size_t wanted = list->capacity ? list->capacity * 2 : 64;
    struct change *items;

    if (list->count < list->capacity)
        return true;
    items = realloc(list->items, wanted * sizeof(*items));
    if (!items)
        return false;
    list->items = items;
    list->capacity = wanted;
    return true;
}

static bool reserve_bytes(struct change_list *list, size_t len_bytes)
{
    size_t wanted = list->reserved ? list->reserved : 4096;
    unsigned char *bytes;

    if (len_bytes > SIZE_MAX / 4 - list->used)
        return false;
    if (list->used + len_bytes <= list->reserved)
        return true;
    while (wanted < list->used + len_bytes)
        wanted *= 2;
    bytes = realloc(list->bytes, wanted);
    if (!bytes)
        return false;
    list->bytes = bytes;
    list->reserved = wanted;
    return true;
}

bool change_list_put(struct change_list *list, const void *key, size_t key_len, const void *value,
                     size_t value_len)
{
    struct change *item;

    assert(key_len > 0 && key_len <= 511);
    if (!reserve_item(list) || !reserve_bytes(list, key_len + value_len))
        return false;
    item = &list->items[list->count++];
    *item = (struct change){list->used, key_len, list->used + key_len, value_len};
    memcpy(list->bytes + item->key_offset, key, key_len);
    if (value_len > 0)
        memcpy(list->bytes + item->value_offset, value, value_len);
    list->used += key_len + value_len;
    return true;
}
