// json.cc - see json.h.
#include "json.h"

#include <cstring>
#include <memory>
#include <new>

#include <simdjson.h>

namespace dom = simdjson::dom;

struct json_reader {
    dom::parser parser;
    std::unique_ptr<char[]> padded; // the line, with the bytes behind it that simdjson reads past the end
    size_t capacity = 0;
};

namespace
{
struct key_name {
    enum json_key key;
    const char *name;
};

// Sorted by length: a key is compared only with those of its own length.
const key_name key_names[] = {
    {JSON_V, "v"},
    {JSON_TS, "ts"},
    {JSON_SID, "sid"},
    {JSON_SEQ, "seq"},
    {JSON_TYPE, "type"},
    {JSON_EVENT, "event"},
    {JSON_TS_NS, "ts_ns"},
    {JSON_STAGE, "stage"},
    {JSON_COUNT, "count"},
    {JSON_SCHEMA, "schema"},
    {JSON_TS_UTC, "ts_utc"},
    {JSON_RUN_ID, "run_id"},
    {JSON_REASON, "reason"},
    {JSON_ACTION, "action"},
    {JSON_NO_RING, "no_ring"},
    {JSON_DECISION, "decision"},
    {JSON_COMPONENT, "component"},
    {JSON_LATENCY_S, "latency_s"},
    {JSON_RING_FULL, "ring_full"},
    {JSON_EVENT_TYPE, "event_type"},
    {JSON_LATENCY_MS, "latency_ms"},
    {JSON_LATENCY_NS, "latency_ns"},
    {JSON_REASON_CODE, "reason_code"},
    {JSON_GATE_REASON, "gate_reason"},
    {JSON_ACTION_TYPE, "action_type"},
    {JSON_BLOCK_REASON, "block_reason"},
    {JSON_POLICY_REASON, "policy_reason"},
    {JSON_SCHEMA_VERSION, "schema_version"},
};
static_assert(sizeof(key_names) / sizeof(key_names[0]) == JSON_KEYS, "every key has a name");

const size_t key_longest = 14;

// Where each length begins in key_names.
struct key_index {
    uint8_t first[key_longest + 2];

    key_index()
    {
        size_t next = 0;

        for (size_t len = 0; len <= key_longest + 1; len++) {
            while (next < JSON_KEYS && std::strlen(key_names[next].name) < len)
                next++;
            first[len] = static_cast<uint8_t>(next);
        }
    }
};

enum json_key find_key(std::string_view name)
{
    static const key_index index;

    if (name.size() > key_longest)
        return JSON_KEYS;
    for (size_t i = index.first[name.size()]; i < index.first[name.size() + 1]; i++)
        if (std::memcmp(key_names[i].name, name.data(), name.size()) == 0)
            return key_names[i].key;
    return JSON_KEYS;
}

void set_number(const dom::element &element, struct json_value *out)
{
    out->type = JSON_NUMBER;
    if (element.is_int64()) {
        out->integer = element.get_int64().value_unsafe();
        out->number = static_cast<double>(out->integer);
        out->is_int = true;
        out->is_uint = out->integer >= 0;
        out->uinteger = out->is_uint ? static_cast<uint64_t>(out->integer) : 0;
    } else if (element.is_uint64()) {
        out->uinteger = element.get_uint64().value_unsafe();
        out->number = static_cast<double>(out->uinteger);
        out->is_uint = true;
    } else {
        out->number = element.get_double().value_unsafe();
    }
    out->truthy = out->number < 0 || out->number > 0;
}

void set_value(const dom::element &element, struct json_value *out)
{
    std::string_view text;

    *out = json_value{};
    switch (element.type()) {
    case dom::element_type::STRING:
        text = element.get_string().value_unsafe();
        out->type = JSON_STRING;
        out->text = {text.data(), text.size()};
        out->truthy = !text.empty();
        break;
    case dom::element_type::BOOL:
        out->type = JSON_BOOLEAN;
        out->truthy = element.get_bool().value_unsafe();
        break;
    case dom::element_type::NULL_VALUE:
        out->type = JSON_NULL;
        break;
    case dom::element_type::ARRAY:
        out->type = JSON_ARRAY;
        out->truthy = element.get_array().value_unsafe().begin() != element.get_array().value_unsafe().end();
        break;
    case dom::element_type::OBJECT:
        out->type = JSON_OBJECT;
        out->truthy =
            element.get_object().value_unsafe().begin() != element.get_object().value_unsafe().end();
        break;
    default:
        set_number(element, out);
    }
}

void clear_view(struct json_view *view)
{
    static_assert(JSON_KEYS <= 32, "filled has a bit for every key");

    for (; view->filled; view->filled &= view->filled - 1)
        view->values[__builtin_ctz(view->filled)] = json_value{};
}

bool copy_padded(struct json_reader *reader, const char *bytes, size_t len_bytes)
{
    size_t wanted = len_bytes + simdjson::SIMDJSON_PADDING;

    if (wanted > reader->capacity) {
        size_t capacity = wanted < 4096 ? 4096 : wanted * 2;
        char *padded = new (std::nothrow) char[capacity];

        if (!padded)
            return false;
        reader->padded.reset(padded);
        reader->capacity = capacity;
    }
    if (len_bytes > 0)
        std::memcpy(reader->padded.get(), bytes, len_bytes);
    std::memset(reader->padded.get() + len_bytes, 0, simdjson::SIMDJSON_PADDING);
    return true;
}
} // namespace

struct json_reader *json_reader_new(void)
{
    return new (std::nothrow) json_reader;
}

void json_reader_free(struct json_reader *reader)
{
    delete reader;
}

enum json_verdict json_read(struct json_reader *reader, const char *bytes, size_t len_bytes,
                            struct json_view *out)
{
    dom::element root;
    dom::object object;
    simdjson::error_code error;

    clear_view(out);
    if (!copy_padded(reader, bytes, len_bytes))
        return JSON_MEMORY;
    error = reader->parser.parse(reader->padded.get(), len_bytes, false).get(root);
    if (error == simdjson::MEMALLOC)
        return JSON_MEMORY;
    if (error)
        return JSON_BAD;
    if (root.get_object().get(object))
        return JSON_NO_OBJECT;
    for (dom::key_value_pair field : object) {
        enum json_key key = find_key(field.key);

        if (key == JSON_KEYS)
            continue;
        set_value(field.value, &out->values[key]);
        out->filled |= 1u << key;
    }
    return JSON_IS_OBJECT;
}
