/* spool.c - formats lines of a producer's spool; see spool.h for their form.
 *
 * Place on the route: shipper -> [line] -> spool file. Owns nothing; any thread; never opens a file. Written
 * without printf: a spool is written at the rate the host decides. */
#include "spool.h"

#include "layout.h"

#include <assert.h>
#include <string.h>

/* Every put_ function writes at `at` and returns where the next one writes. Room: the longest line is counted
 * in docs/wire.md and is shorter than SPOOL_LINE_MAX_BYTES. */
static char *put_bytes(char *at, const char *text, size_t len_bytes)
{
    memcpy(at, text, len_bytes);
    return at + len_bytes;
}

static char *put_text(char *at, const char *text)
{
    return put_bytes(at, text, strlen(text));
}

/* At least width digits. */
static char *put_digits(char *at, uint64_t value, size_t width)
{
    char digits[20];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0 || n < width);
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

static uint64_t magnitude(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

static char *put_signed(char *at, int64_t value)
{
    if (value < 0)
        *at++ = '-';
    return put_digits(at, magnitude(value), 1);
}

/* Milliseconds with exactly the digits needed, one after the point at least: "85.0", "0.000001". */
static char *put_ms(char *at, int64_t latency_ns)
{
    uint64_t whole = magnitude(latency_ns);

    if (latency_ns < 0)
        *at++ = '-';
    at = put_digits(at, whole / 1000000, 1);
    *at++ = '.';
    at = put_digits(at, whole % 1000000, 6);
    while (at[-1] == '0' && at[-2] != '.')
        at--;
    return at;
}

/* Year, month and day of a day number since 1970 (proleptic Gregorian), with March as the first month so that
 * the leap day comes last. */
static void civil_date(int64_t days, uint64_t *year, unsigned *month, unsigned *day)
{
    int64_t shifted = days + 719468; /* since 0000-03-01 */
    int64_t era = shifted / 146097;  /* of 400 years; 64 bits of nanoseconds begin in 1677 */
    int64_t in_era = shifted % 146097;
    int64_t year_of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t day_of_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t from_march = (5 * day_of_year + 2) / 153;

    *day = (unsigned)(day_of_year - (153 * from_march + 2) / 5 + 1);
    *month = (unsigned)(from_march < 10 ? from_march + 3 : from_march - 9);
    *year = (uint64_t)(year_of_era + era * 400 + (*month <= 2));
}

/* "2026-01-25T01:09:48.123456Z": microseconds, rounded down; ts_ns has the rest. */
static char *put_utc(char *at, int64_t time_ns)
{
    int64_t seconds = time_ns / 1000000000 - (time_ns % 1000000000 < 0);
    int64_t days = seconds / 86400 - (seconds % 86400 < 0);
    uint64_t fraction_ns = (uint64_t)(((time_ns % 1000000000) + 1000000000) % 1000000000);
    uint64_t of_day = (uint64_t)(((seconds % 86400) + 86400) % 86400);
    uint64_t year;
    unsigned month, day;

    civil_date(days, &year, &month, &day);
    at = put_digits(at, year, 4);
    *at++ = '-';
    at = put_digits(at, month, 2);
    *at++ = '-';
    at = put_digits(at, day, 2);
    *at++ = 'T';
    at = put_digits(at, of_day / 3600, 2);
    *at++ = ':';
    at = put_digits(at, of_day / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, of_day % 60, 2);
    *at++ = '.';
    at = put_digits(at, fraction_ns / 1000, 6);
    *at++ = 'Z';
    return at;
}

/* Length of the UTF-8 character at text, 0 when there is none: no overlong forms, no surrogates, nothing
 * above U+10FFFF. */
static size_t utf8_character(const unsigned char *text, size_t len_bytes)
{
    unsigned lead = text[0], low = 0x80, high = 0xbf;
    size_t need;

    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    need = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    if (len_bytes < need || text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return need;
}

static char *put_control(char *at, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";

    at = put_text(at, "\\u00");
    *at++ = digits[c >> 4];
    *at++ = digits[c & 15];
    return at;
}

/* Text of a name as the inside of a JSON string. Names are cut at their limit: a longer one cannot have been
 * registered. */
static char *put_escaped(char *at, struct spool_text text)
{
    const unsigned char *bytes = (const unsigned char *)text.text;
    size_t len_bytes = text.len_bytes < AILIVE_NAME_MAX_BYTES ? text.len_bytes : AILIVE_NAME_MAX_BYTES;
    size_t i = 0;

    while (i < len_bytes) {
        size_t character = utf8_character(bytes + i, len_bytes - i);
        if (character == 0) {
            at = put_text(at, "\xef\xbf\xbd"); /* U+FFFD for a byte that is not UTF-8 */
            i++;
            continue;
        }
        if (bytes[i] < 0x20) {
            at = put_control(at, bytes[i]);
        } else {
            if (bytes[i] == '"' || bytes[i] == '\\')
                *at++ = '\\';
            at = put_bytes(at, text.text + i, character);
        }
        i += character;
    }
    return at;
}

static char *put_sid(char *at, const struct event_producer *producer, uint32_t ring)
{
    char hex[EVENT_PRODUCER_HEX + 1];

    event_producer_format(producer, hex);
    at = put_text(at, ",\"sid\":\"");
    at = put_bytes(at, hex, EVENT_PRODUCER_HEX);
    *at++ = '.';
    at = put_digits(at, ring, 1);
    *at++ = '"';
    return at;
}

static char *put_seq(char *at, const struct event_producer *producer, uint32_t ring, uint64_t seq)
{
    at = put_sid(at, producer, ring);
    at = put_text(at, ",\"seq\":");
    return put_digits(at, seq, 1);
}

static size_t line_end(char *at, char *out)
{
    at = put_text(at, "}\n");
    assert((size_t)(at - out) <= SPOOL_LINE_MAX_BYTES);
    return (size_t)(at - out);
}

static char *put_decision(char *at, const struct spool_record *record)
{
    const struct event_row *row = &record->row;

    at = put_text(at, "\",\"event\":\"decision\",\"decision\":\"");
    at = put_text(at, event_decision_name(row->decision));
    at = put_text(at, "\",\"reason\":\"");
    at = put_escaped(at, record->reason);
    if (row->latency_ns != AILIVE_NO_LATENCY) {
        at = put_text(at, "\",\"latency_ms\":");
        at = put_ms(at, row->latency_ns);
        at = put_text(at, ",\"action\":\"");
    } else {
        at = put_text(at, "\",\"action\":\"");
    }
    at = put_text(at, event_action_name(row->action));
    return put_text(at, "\"");
}

static char *put_action(char *at, const struct spool_record *record)
{
    at = put_text(at, "\",\"event\":\"action\",\"action\":\"");
    at = put_text(at, event_action_name(record->row.action));
    return put_text(at, "\"");
}

static char *put_stage(char *at, const struct spool_record *record)
{
    at = put_text(at, "\",\"event\":\"stage\",\"stage\":\"");
    at = put_escaped(at, record->stage);
    return put_text(at, "\"");
}

/* Hosts may record any number as a decision or action: such a row has no line of its own. */
static bool has_line(const struct event_row *row)
{
    if (row->kind == AILIVE_KIND_DECISION)
        return event_decision_name(row->decision) && event_action_name(row->action);
    if (row->kind == AILIVE_KIND_ACTION)
        return row->action != AILIVE_ACTION_NONE && event_action_name(row->action);
    return row->kind == AILIVE_KIND_STAGE;
}

size_t spool_format_record(const struct spool_record *record, char *out)
{
    const struct event_row *row = &record->row;
    char *at = out;

    if (!has_line(row))
        return spool_format_invalid(&record->producer, record->ring, record->seq, row->time_ns, out);
    at = put_text(at, "{\"v\":1,\"ts_utc\":\"");
    at = put_utc(at, row->time_ns);
    at = put_text(at, "\",\"component\":\"");
    at = put_escaped(at, record->component);
    at = put_text(at, "\",\"run_id\":\"");
    at = put_escaped(at, record->run_id);
    if (row->kind == AILIVE_KIND_DECISION)
        at = put_decision(at, record);
    else if (row->kind == AILIVE_KIND_ACTION)
        at = put_action(at, record);
    else
        at = put_stage(at, record);
    at = put_seq(at, &record->producer, record->ring, record->seq);
    at = put_text(at, ",\"ts_ns\":");
    at = put_signed(at, row->time_ns);
    if (row->kind != AILIVE_KIND_ACTION && row->latency_ns != AILIVE_NO_LATENCY) {
        at = put_text(at, ",\"latency_ns\":");
        at = put_signed(at, row->latency_ns);
    }
    return line_end(at, out);
}

size_t spool_format_invalid(const struct event_producer *producer, uint32_t ring, uint64_t seq,
                            int64_t time_ns, char *out)
{
    char *at = put_text(out, "{\"v\":1,\"event\":\"invalid\"");

    at = put_seq(at, producer, ring, seq);
    at = put_text(at, ",\"ts_ns\":");
    at = put_signed(at, time_ns);
    return line_end(at, out);
}

size_t spool_format_drop(const struct event_producer *producer, uint32_t ring, uint64_t first, uint64_t count,
                         enum event_drop reason, char *out)
{
    char *at = put_text(out, "{\"v\":1,\"event\":\"drop\",\"reason\":\"");

    assert(event_drop_name((unsigned)reason));
    at = put_text(at, event_drop_name((unsigned)reason));
    at = put_text(at, "\",\"count\":");
    at = put_digits(at, count, 1);
    at = put_seq(at, producer, ring, first);
    return line_end(at, out);
}

size_t spool_format_door(const struct event_producer *producer, uint32_t ring, const uint64_t *door_words,
                         char *out)
{
    char *at = put_text(out, "{\"v\":1,\"event\":\"door\"");

    for (unsigned reason = 0; reason < EVENT_DROP_DOORS; reason++) {
        at = put_text(at, ",\"");
        at = put_text(at, event_drop_name(reason));
        at = put_text(at, "\":");
        at = put_digits(at, door_words[reason], 1);
    }
    at = put_sid(at, producer, ring);
    return line_end(at, out);
}

/* ---- names of files and of rings ---- */

#define FILE_NUMBER_DIGITS 6u
#define FILE_SUFFIX        ".jsonl"

void spool_file_name(const struct event_producer *producer, uint64_t n, char out[SPOOL_NAME_BYTES])
{
    char *at = out;

    event_producer_format(producer, out);
    at += EVENT_PRODUCER_HEX;
    *at++ = '-';
    at = put_digits(at, n, FILE_NUMBER_DIGITS);
    at = put_text(at, FILE_SUFFIX);
    *at = '\0';
}

/* Digits alone, at least one, no more than max says. */
static bool parse_digits(const char *text, size_t len_bytes, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (len_bytes == 0)
        return false;
    for (size_t i = 0; i < len_bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        unsigned digit = (unsigned)(text[i] - '0');
        if (value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

/* Only the name spool_file_name() would write is one: a file has one name, or it would be read twice. */
bool spool_file_name_parse(const char *name, struct event_producer *producer, uint64_t *n)
{
    struct event_producer parsed;
    char expected[SPOOL_NAME_BYTES];
    uint64_t number;
    size_t len = strlen(name), fixed = EVENT_PRODUCER_HEX + 1 + strlen(FILE_SUFFIX);

    if (len <= fixed || len >= SPOOL_NAME_BYTES)
        return false;
    if (!event_producer_parse(name, EVENT_PRODUCER_HEX, &parsed) ||
        !parse_digits(name + EVENT_PRODUCER_HEX + 1, len - fixed, UINT64_MAX, &number) || number == 0)
        return false;
    spool_file_name(&parsed, number, expected);
    if (strcmp(name, expected) != 0)
        return false;
    *producer = parsed;
    *n = number;
    return true;
}

bool spool_sid_parse(const char *text, size_t len_bytes, struct event_producer *producer, uint32_t *ring)
{
    struct event_producer parsed;
    const char *digits = text + EVENT_PRODUCER_HEX + 1;
    uint64_t number;

    if (len_bytes < EVENT_PRODUCER_HEX + 2 || text[EVENT_PRODUCER_HEX] != '.')
        return false;
    len_bytes -= EVENT_PRODUCER_HEX + 1;
    if (len_bytes > 1 && digits[0] == '0')
        return false;
    if (!event_producer_parse(text, EVENT_PRODUCER_HEX, &parsed) ||
        !parse_digits(digits, len_bytes, LAYOUT_RINGS_MAX - 1, &number))
        return false;
    *producer = parsed;
    *ring = (uint32_t)number;
    return true;
}
