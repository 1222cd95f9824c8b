// json_tree.cc - see json_tree.h.
#include "json_tree.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <new>

#include <simdjson.h>

namespace dom = simdjson::dom;

struct json_tree {
    dom::parser parser;
    dom::element root;
};

namespace
{
double number_of(simdjson::simdjson_result<dom::element> element)
{
    double number;

    return element.get_double().get(number) ? std::nan("") : number;
}
} // namespace

struct json_tree *json_tree_new(void)
{
    return new (std::nothrow) json_tree;
}

void json_tree_free(struct json_tree *tree)
{
    delete tree;
}

bool json_tree_read(struct json_tree *tree, const char *bytes, size_t len_bytes, char *error,
                    size_t error_cap)
{
    simdjson::error_code code = tree->parser.parse(len_bytes > 0 ? bytes : "", len_bytes).get(tree->root);

    if (code)
        std::snprintf(error, error_cap, "the answer is no JSON: %s", simdjson::error_message(code));
    return !code;
}

bool json_tree_has(const struct json_tree *tree, const char *path)
{
    return tree->root.at_pointer(path).error() == simdjson::SUCCESS;
}

size_t json_tree_count(const struct json_tree *tree, const char *path)
{
    dom::array array;

    return tree->root.at_pointer(path).get_array().get(array) ? 0 : array.size();
}

double json_tree_number(const struct json_tree *tree, const char *path)
{
    return number_of(tree->root.at_pointer(path));
}

void json_tree_text(const struct json_tree *tree, const char *path, char *out, size_t cap)
{
    std::string_view text;

    if (tree->root.at_pointer(path).get_string().get(text))
        text = "";
    size_t len = text.size() < cap ? text.size() : cap - 1;

    while (len < text.size() && len > 0 && (static_cast<unsigned char>(text[len]) & 0xc0) == 0x80)
        len--;
    std::memcpy(out, text.data(), len);
    out[len] = '\0';
}

size_t json_tree_numbers(const struct json_tree *tree, const char *path, double *out, size_t cap)
{
    dom::array array;
    size_t count = 0;

    if (tree->root.at_pointer(path).get_array().get(array))
        return 0;
    for (dom::element element : array) {
        if (count == cap)
            break;
        out[count++] = number_of(simdjson::simdjson_result<dom::element>(dom::element(element)));
    }
    return count;
}
