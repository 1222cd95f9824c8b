/* event.c - names and numbers of one record; see event.h for the contract.
 *
 * Place on the route: used on every road, by host and sidecar. Owns only constant tables; any thread; no I/O,
 * no allocation. */
#include "event.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The contract's label values, each at the index of its enumerator. */
static const char *const drop_names[] = {"ring_full", "no_ring", "spool_full", "refused", "invalid", "lost"};
static const char *const decision_names[] = {NULL, "accept", "reject", "noop"};
static const char *const action_names[] = {"none",   "order_intent", "order_request",
                                           "submit", "cancel",       "fill"};
static const char *const kind_names[] = {NULL, "decision", "action", "stage"};
static const char *const reason_names[] = {"none",          "no_signal",  "cooldown",
                                           "market_closed", "risk_limit", "governance_no_live",
                                           "invalid_order", "other"};
_Static_assert(COUNT(drop_names) == EVENT_DROP_REASONS, "a text for each drop reason");
_Static_assert(COUNT(action_names) == AILIVE_FILL + 1, "a text for each action");
_Static_assert(COUNT(reason_names) == AILIVE_REASON_OTHER + 1, "a text for each fixed reason");

static const char *name_at(const char *const *names, size_t count, unsigned number)
{
    return number < count ? names[number] : NULL;
}

static int name_find(const char *const *names, size_t count, const char *text, size_t len_bytes)
{
    for (size_t i = 0; i < count; i++)
        if (names[i] && strlen(names[i]) == len_bytes && memcmp(names[i], text, len_bytes) == 0)
            return (int)i;
    return -1;
}

void event_producer_format(const struct event_producer *producer, char out[EVENT_PRODUCER_HEX + 1])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < EVENT_PRODUCER_BYTES; i++) {
        out[2 * i] = digits[producer->bytes[i] >> 4];
        out[2 * i + 1] = digits[producer->bytes[i] & 15];
    }
    out[EVENT_PRODUCER_HEX] = '\0';
}

/* Upper case is refused: one producer must have one spelling, because folder names are compared as text. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool event_producer_parse(const char *text, size_t len_bytes, struct event_producer *out)
{
    struct event_producer producer;

    if (len_bytes != EVENT_PRODUCER_HEX)
        return false;
    for (size_t i = 0; i < EVENT_PRODUCER_BYTES; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        producer.bytes[i] = (unsigned char)(high << 4 | low);
    }
    *out = producer;
    return true;
}

const char *event_drop_name(unsigned reason)
{
    return name_at(drop_names, COUNT(drop_names), reason);
}

const char *event_decision_name(unsigned decision)
{
    return name_at(decision_names, COUNT(decision_names), decision);
}

const char *event_action_name(unsigned action)
{
    return name_at(action_names, COUNT(action_names), action);
}

const char *event_kind_name(unsigned kind)
{
    return name_at(kind_names, COUNT(kind_names), kind);
}

const char *event_reason_name(unsigned reason)
{
    return name_at(reason_names, COUNT(reason_names), reason);
}

int event_drop_find(const char *text, size_t len_bytes)
{
    return name_find(drop_names, COUNT(drop_names), text, len_bytes);
}

int event_decision_find(const char *text, size_t len_bytes)
{
    return name_find(decision_names, COUNT(decision_names), text, len_bytes);
}

int event_action_find(const char *text, size_t len_bytes)
{
    return name_find(action_names, COUNT(action_names), text, len_bytes);
}

int event_kind_find(const char *text, size_t len_bytes)
{
    return name_find(kind_names, COUNT(kind_names), text, len_bytes);
}

void event_row_pack_utc(const struct event_row *row, uint64_t out_words[4])
{
    out_words[0] = (uint64_t)row->time_ns;
    out_words[1] = (uint64_t)row->latency_ns;
    out_words[2] = (uint64_t)row->kind | (uint64_t)row->decision << 8 | (uint64_t)row->action << 16 |
                   (uint64_t)AILIVE_SLOT_UTC << 24 | (uint64_t)row->reason << 32 | (uint64_t)row->stage << 48;
    out_words[3] = (uint64_t)row->component | (uint64_t)row->run_id << 16;
}
