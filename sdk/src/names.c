/* names.c - the table of registered strings; see names.h.
 *
 * Place on the route: filled by host threads under the process-wide lock, read by any thread without. Owns
 * nothing: the table and the file's mapping belong to the instance. No system call, no allocation. */
#include "names.h"

#include <string.h>

static bool names_is(const struct names_entry *entry, unsigned kind, const char *text, size_t len_bytes)
{
    return entry->kind == kind && entry->len_bytes == len_bytes && memcmp(entry->text, text, len_bytes) == 0;
}

static bool names_find(const struct names *names, unsigned kind, const char *text, size_t len_bytes,
                       ailive_name *out)
{
    if (kind == AILIVE_NAME_REASON)
        for (unsigned id = 0; id < NAMES_FIRST; id++)
            if (strcmp(event_reason_name(id), text) == 0) {
                *out = (ailive_name)id;
                return true;
            }
    for (uint32_t i = 0; i < names->count; i++)
        if (names_is(&names->entries[i], kind, text, len_bytes)) {
            *out = (ailive_name)(NAMES_FIRST + i);
            return true;
        }
    return false;
}

int names_add(struct names *names, unsigned kind, const char *text, ailive_name *out)
{
    struct names_entry *entry;
    size_t len_bytes;

    if (!text || !*text || !out || kind < AILIVE_NAME_REASON || kind > AILIVE_NAME_RUN_ID)
        return AILIVE_EINVAL;
    len_bytes = strnlen(text, AILIVE_NAME_MAX_BYTES + 1);
    if (len_bytes > AILIVE_NAME_MAX_BYTES)
        return AILIVE_ETOOLONG;
    if (names_find(names, kind, text, len_bytes, out))
        return AILIVE_OK;
    if (names->count == NAMES_CAPACITY)
        return AILIVE_ELIMIT;
    entry = &names->entries[names->count];
    entry->kind = (uint8_t)kind;
    entry->len_bytes = (uint8_t)len_bytes;
    memcpy(entry->text, text, len_bytes + 1);
    *out = (ailive_name)(NAMES_FIRST + names->count);
    /* Pairs with the acquire in names_get(): the shipper, and a child forked at any instruction, see whole
     * entries only. */
    __atomic_store_n(&names->count, names->count + 1, __ATOMIC_RELEASE);
    return AILIVE_OK;
}

const struct names_entry *names_get(const struct names *names, ailive_name id)
{
    /* Pairs with the release in names_add(). */
    uint32_t count = __atomic_load_n(&names->count, __ATOMIC_ACQUIRE);

    return id >= NAMES_FIRST && id - NAMES_FIRST < count ? &names->entries[id - NAMES_FIRST] : NULL;
}

const char *names_text(const struct names *names, unsigned kind, ailive_name id)
{
    const struct names_entry *entry = names_get(names, id);

    if (kind == AILIVE_NAME_REASON && id < NAMES_FIRST)
        return event_reason_name(id);
    return entry && entry->kind == kind ? entry->text : NULL;
}

void names_publish(const struct names *names, uint32_t from, struct layout_names *file)
{
    uint64_t used = file->used;

    for (uint32_t i = from; i < names->count; i++) {
        const struct names_entry *entry = &names->entries[i];
        struct layout_name name = {(ailive_name)(NAMES_FIRST + i), entry->kind, entry->len_bytes,
                                   entry->text};
        layout_name_write(file->entries + used, &name);
        used += layout_name_bytes(name.len_bytes);
    }
    /* Pairs with salvage's reading after our death: what used covers is whole, and a number in a record is
     * covered, because ailive_register() returns it only after this store. */
    __atomic_store_n(&file->used, used, __ATOMIC_RELEASE);
}

bool names_resolve(const struct names *names, const struct event_row *row, struct names_of_row *out)
{
    memset(out, 0, sizeof(*out));
    out->component = names_text(names, AILIVE_NAME_COMPONENT, row->component);
    out->run_id = names_text(names, AILIVE_NAME_RUN_ID, row->run_id);
    if (!out->component || !out->run_id)
        return false;
    switch (row->kind) {
    case AILIVE_KIND_DECISION:
        out->reason = names_text(names, AILIVE_NAME_REASON, row->reason);
        return event_decision_name(row->decision) && event_action_name(row->action) && out->reason;
    case AILIVE_KIND_ACTION:
        return row->decision == 0 && row->action != AILIVE_ACTION_NONE && event_action_name(row->action);
    case AILIVE_KIND_STAGE:
        out->stage = names_text(names, AILIVE_NAME_STAGE, row->stage);
        return row->decision == 0 && row->action == AILIVE_ACTION_NONE && out->stage;
    default:
        return false;
    }
}
