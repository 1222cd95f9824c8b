/* fuzz_contract.c - any bytes as an event file and as a spool file: lines, contract, aggregate, exposition,
 * state. What must hold: every line counts once or is blank, nothing is counted twice, what is exposed is
 * well formed, and what is stored is taken back as it was. */
#include "fuzz.h"

#include "aggregate.h"
#include "contract.h"
#include "expose_text.h"
#include "lines.h"
#include "text.h"

#include <string.h>

#define NOW_NS INT64_C(1800000000000000000)

static struct contract *contract;

/* No `=`-free line, no bare quote, no byte that is not UTF-8: what a scrape would fail on. */
static void check_exposition(const struct buffer *text)
{
    size_t at = 0;

    FUZZ_CHECK(text->used > 0 && text->bytes[text->used - 1] == '\n');
    while (at < text->used) {
        size_t n = text_character_bytes(text->bytes + at, text->used - at);

        FUZZ_CHECK(n > 0 && text->bytes[at] != '\0');
        at += n;
    }
    for (const char *line = text->bytes, *end; line < text->bytes + text->used; line = end + 1) {
        bool quoted = false;

        end = memchr(line, '\n', (size_t)(text->bytes + text->used - line));
        for (const char *c = line; line[0] != '#' && c < end; c++) {
            if (quoted && *c == '\\')
                FUZZ_CHECK(++c < end && (*c == '\\' || *c == '"' || *c == 'n'));
            else if (*c == '"')
                quoted = !quoted;
        }
        FUZZ_CHECK(!quoted);
    }
}

static void expose(struct aggregate *aggregate, struct buffer *text)
{
    struct snapshot snapshot;

    FUZZ_CHECK(aggregate_snapshot(aggregate, &snapshot) == 0);
    buffer_init(text);
    FUZZ_CHECK(expose_text(&snapshot, text));
    snapshot_free(&snapshot);
    check_exposition(text);
}

/* State gives back what was committed, to the byte. */
static void check_restore(const struct change_list *changes, const struct buffer *wanted)
{
    struct aggregate *aggregate = aggregate_new(NULL);
    struct buffer text;

    FUZZ_CHECK(aggregate);
    for (size_t i = 0; i < changes->count; i++) {
        const struct change *item = &changes->items[i];

        FUZZ_CHECK(item->key_len <= 511);
        FUZZ_CHECK(aggregate_restore(aggregate, changes->bytes + item->key_offset, item->key_len,
                                     changes->bytes + item->value_offset, item->value_len));
    }
    expose(aggregate, &text);
    FUZZ_CHECK(text.used == wanted->used && memcmp(text.bytes, wanted->bytes, text.used) == 0);
    buffer_fini(&text);
    aggregate_free(aggregate);
}

static void check_observation(const struct observation *observation)
{
    const struct labels *labels = observation->labels;

    FUZZ_CHECK(labels && (unsigned)labels->source < SOURCES && (unsigned)labels->drop < CONTRACT_DROPS);
    FUZZ_CHECK(labels->drop != CONTRACT_BAD_JSON || labels->source == SOURCE_UNKNOWN);
    FUZZ_CHECK(labels->drop != CONTRACT_KEPT || labels->decision.len_bytes || labels->action.len_bytes ||
               labels->stage.len_bytes);
    FUZZ_CHECK(!observation->has_time || labels->drop == CONTRACT_KEPT);
    FUZZ_CHECK(!observation->ms.present || labels->decision.len_bytes > 0);
    FUZZ_CHECK(!observation->seconds.present || labels->decision.len_bytes > 0 ||
               labels->stage.len_bytes > 0);
}

static bool spool_observes(const struct spool_line *line)
{
    return line->kind == SPOOL_LINE_BAD || line->kind == SPOOL_LINE_RECORD;
}

/* One file: its first byte says which kind and in how large pieces it arrives. */
static void read_file(struct aggregate *aggregate, const char *bytes, size_t len, bool spool, size_t step)
{
    struct observation observation;
    struct spool_line spooled;
    enum lines_kind kind;
    struct lines lines;
    struct text line;
    uint64_t end = 0;

    lines_init(&lines, 0);
    for (size_t fed = 0; fed <= len; fed += step) {
        bool last = fed + step > len;

        lines_feed(&lines, bytes + fed, last ? len - fed : step);
        while ((kind = lines_next(&lines, &line, &end)) != LINES_NONE ||
               (last && (kind = lines_last(&lines, &line, &end)) != LINES_NONE)) {
            size_t n = 1;

            FUZZ_CHECK(kind == LINES_LINE && end <= len);
            if (spool) {
                contract_spool_line(contract, line.bytes, line.len_bytes, NOW_NS, &spooled);
                n = spool_observes(&spooled);
                observation = spooled.observation;
            } else {
                n = contract_line(contract, line.bytes, line.len_bytes, NOW_NS, &observation);
            }
            if (n == 0)
                continue;
            check_observation(&observation);
            aggregate_apply(aggregate, &observation);
        }
    }
    FUZZ_CHECK(lines_pending_bytes(&lines) == 0);
    lines_fini(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    const struct aggregate_options options = {.max_series = 20};
    struct aggregate *aggregate = aggregate_new(&options);
    struct change_list changes;
    struct buffer text;

    FUZZ_CHECK(aggregate);
    if (!contract)
        contract = contract_new(NULL);
    FUZZ_CHECK(contract);
    if (len_bytes > 0) {
        aggregate_begin(aggregate);
        read_file(aggregate, (const char *)data + 1, len_bytes - 1, data[0] & 1, (size_t)(data[0] >> 1) + 1);
        aggregate_end(aggregate);
    }
    change_list_init(&changes);
    FUZZ_CHECK(aggregate_changes(aggregate, &changes));
    aggregate_committed(aggregate);
    contract_clear(contract);
    expose(aggregate, &text);
    check_restore(&changes, &text);
    buffer_fini(&text);
    change_list_fini(&changes);
    aggregate_free(aggregate);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *out, size_t cap_bytes)
{
    static const char *const files[] = {
        "\x7e{\"v\":1,\"ts_utc\":\"2026-01-25T01:09:48.123Z\",\"component\":\"execution_watch\",\"run_id\":"
        "\"demo\","
        "\"event\":\"decision\",\"decision\":\"accept\",\"reason\":\"none\",\"latency_ms\":85.0,\"action\":"
        "\"submit\"}\n"
        "{\"v\":1,\"decision\":\"deny\",\"latency_s\":-1,\"reason\":\"\\ud83d\\ude00\"}\n",
        "\x7e{\"schema_version\":\"BETA_EXEC_V1\",\"event_type\":\"REJECT\",\"reason_code\":\"RISK_X\",\"run_"
        "id\":\"a "
        "b\",\"ts_utc\":\"2026-01-01 00:00:44.1+05:30\"}\n\n[1]\n",
        "\x06\xef\xbb\xbf{\"schema\":\"execution_event_v0\",\"ts\":\"2026-01-01T00:00:44\",\"event_type\":"
        "\"failed\"}\n",
        "\x7e{\"decision\":\"heartbeat\",\"run_id\":\"demo\",\"block_reason\":\"max "
        "loss\",\"latency_s\":3,\"component\":"
        "\"C \\\"x\\\" \\\\ \\n\",\"action_type\":\"place "
        "order\"}\n{\"type\":\"order_rejected\",\"latency_ms\":1e3}",
        "\x7f{\"v\":1,\"ts_utc\":\"2026-01-25T01:09:48.123456Z\",\"component\":\"c\",\"run_id\":\"r\","
        "\"event\":"
        "\"decision\",\"decision\":\"accept\",\"reason\":\"none\",\"latency_ms\":85.0,\"action\":\"submit\","
        "\"sid\":"
        "\"188dd40eacfe65150102030405060708.1\",\"seq\":7,\"ts_ns\":1769303388123456789,\"latency_ns\":"
        "85000000}\n"
        "{\"v\":1,\"event\":\"drop\",\"reason\":\"spool_full\",\"count\":9,\"sid\":"
        "\"188dd40eacfe65150102030405060708.1\",\"seq\":8}\n"
        "{\"v\":1,\"event\":\"door\",\"ring_full\":3,\"no_ring\":0,\"sid\":"
        "\"188dd40eacfe65150102030405060708.1\"}\n",
        "\x7f{\"v\":1,\"component\":\"c\",\"run_id\":\"r\",\"event\":\"stage\",\"stage\":\"risk_check\","
        "\"latency_ns\":"
        "5,\"sid\":\"188dd40eacfe65150102030405060708.1\",\"seq\":7,\"ts_ns\":-1}\n"
        "{\"v\":1,\"event\":\"invalid\",\"sid\":\"188dd40eacfe65150102030405060708.1\",\"seq\":8,\"ts_ns\":1}"
        "\n",
    };
    const char *file = files[n % (sizeof(files) / sizeof(files[0]))];
    size_t len = strlen(file);

    if (len > cap_bytes)
        return 0;
    memcpy(out, file, len);
    return len;
}
