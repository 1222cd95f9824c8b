// prom_answer.cc - see prom_answer.h.
#include "prom_answer.h"

#include <cstdio>
#include <new>

#include <simdjson.h>

namespace dom = simdjson::dom;

struct prom_answer {
    dom::parser parser;
    dom::element root;
};

namespace
{
// The string at key, or an empty one.
std::string_view text_at(const dom::element &element, const char *key)
{
    std::string_view text;

    return element[key].get_string().get(text) ? std::string_view() : text;
}

// The array at data.key, or false.
bool array_at(const struct prom_answer *answer, const char *key, dom::array *out)
{
    return answer->root["data"][key].get_array().get(*out) == simdjson::SUCCESS;
}

void copy(std::string_view text, char *out, size_t cap)
{
    std::snprintf(out, cap, "%.*s", static_cast<int>(text.size() < 1024 ? text.size() : 1024), text.data());
}

// [time, "value"]
std::string_view value_of(const dom::element &pair)
{
    std::string_view text;

    return pair.at(1).get_string().get(text) ? std::string_view() : text;
}
} // namespace

struct prom_answer *prom_answer_new(void)
{
    return new (std::nothrow) prom_answer;
}

void prom_answer_free(struct prom_answer *answer)
{
    delete answer;
}

bool prom_answer_read(struct prom_answer *answer, const char *bytes, size_t len_bytes, char *error,
                      size_t error_cap)
{
    simdjson::error_code code = answer->parser.parse(len_bytes > 0 ? bytes : "", len_bytes).get(answer->root);

    if (code) {
        std::snprintf(error, error_cap, "the answer is no JSON: %s", simdjson::error_message(code));
        return false;
    }
    if (text_at(answer->root, "status") == "success")
        return true;
    std::string_view said = text_at(answer->root, "error");
    std::snprintf(error, error_cap, "Prometheus says: %.*s",
                  static_cast<int>(said.size() < 300 ? said.size() : 300),
                  said.empty() ? "nothing" : said.data());
    return false;
}

size_t prom_answer_results(const struct prom_answer *answer, char value[PROM_ANSWER_VALUE_BYTES])
{
    dom::array results;
    dom::element pair;
    size_t count = 0;

    value[0] = '\0';
    if (!array_at(answer, "result", &results))
        return 0;
    if (text_at(answer->root["data"].value(), "resultType") == "scalar") {
        copy(value_of(answer->root["data"]["result"].value()), value, PROM_ANSWER_VALUE_BYTES);
        return 1;
    }
    for (dom::element result : results)
        if (count++ == 0 && result["value"].get(pair) == simdjson::SUCCESS)
            copy(value_of(pair), value, PROM_ANSWER_VALUE_BYTES);
    return count;
}

bool prom_answer_target_up(const struct prom_answer *answer, const char *job, char *detail, size_t cap)
{
    dom::array targets;
    dom::element labels;

    std::snprintf(detail, cap, "there is no target of job %s", job);
    if (!array_at(answer, "activeTargets", &targets))
        return false;
    for (dom::element target : targets) {
        if (target["labels"].get(labels) || text_at(labels, "job") != job)
            continue;
        if (text_at(target, "health") == "up") {
            copy("up", detail, cap);
            return true;
        }
        std::string_view cause = text_at(target, "lastError");
        copy(cause.empty() ? std::string_view("not scraped yet") : cause, detail, cap);
    }
    return false;
}

bool prom_answer_has_alert(const struct prom_answer *answer, const char *name)
{
    dom::array groups, rules;

    if (!array_at(answer, "groups", &groups))
        return false;
    for (dom::element group : groups) {
        if (group["rules"].get_array().get(rules))
            continue;
        for (dom::element rule : rules)
            if (text_at(rule, "type") == "alerting" && text_at(rule, "name") == name)
                return true;
    }
    return false;
}
