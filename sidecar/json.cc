// json.cc - see json.h.
#include "json.h"

#include "plain.h"

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
    clear_view(out);
    if (plain_read(bytes, len_bytes, out))
        return JSON_IS_OBJECT;
    return json_read_any(reader, bytes, len_bytes, out);
}

enum json_verdict json_read_any(struct json_reader *reader, const char *bytes, size_t len_bytes,
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
        enum json_key key = plain_key(field.key.data(), field.key.size());

        if (key == JSON_KEYS)
            continue;
        set_value(field.value, &out->values[key]);
        out->filled |= 1u << key;
    }
    return JSON_IS_OBJECT;
}
