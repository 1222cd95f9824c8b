/* fuzz_plain.c - any bytes as a line: what the plain reading accepts, simdjson accepts and reads alike. */
#include "fuzz/fuzz.h"

#include "unit/view_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    static struct json_reader *reader;

    if (!reader)
        reader = json_reader_new();
    FUZZ_CHECK(reader);
    FUZZ_CHECK(view_check(reader, (const char *)data, len_bytes) != VIEW_DIFFERS);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *out, size_t cap_bytes)
{
    static const char *const lines[] = {
        "{\"v\":1,\"ts_utc\":\"2026-01-25T01:09:48.123Z\",\"component\":\"execution_watch\",\"run_id\":"
        "\"demo\","
        "\"event\":\"decision\",\"decision\":\"accept\",\"reason\":\"none\",\"latency_ms\":85.0,\"action\":"
        "\"submit\"}",
        "{\"v\": 1.50, \"decision\": \"deny\", \"latency_s\": -0.25, \"reason\": null, \"x\": true}",
        "{\"v\":1,\"event\":\"drop\",\"seq\":8,\"count\":9223372036854775807,\"ts_ns\":-1769303388123456789}",
        "{\"ts\":\"x\",\"payload\":{\"qty\":1,\"price\":2.25,\"tags\":[\"a\",[],{\"b\":[null]}]}}",
    };
    const char *line = lines[n % (sizeof(lines) / sizeof(lines[0]))];
    size_t len = strlen(line);

    if (len > cap_bytes)
        return 0;
    memcpy(out, line, len);
    return len;
}
