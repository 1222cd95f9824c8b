/* prom_answer.c - see prom_answer.h. */
#include "prom_answer.h"

#include "json_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 128u /* of jobs and alerts: a longer one is none of ours */
#define SAID_BYTES 301u
#define PATH_BYTES 96u

struct prom_answer {
    struct json_tree *tree;
    bool refusal;
};

struct prom_answer *prom_answer_new(void)
{
    struct prom_answer *answer = calloc(1, sizeof(*answer));

    if (answer == NULL)
        return NULL;
    answer->tree = json_tree_new();
    if (answer->tree != NULL)
        return answer;
    free(answer);
    return NULL;
}

void prom_answer_free(struct prom_answer *answer)
{
    if (answer == NULL)
        return;
    json_tree_free(answer->tree);
    free(answer);
}

bool prom_answer_read(struct prom_answer *answer, const char *bytes, size_t len_bytes, char *error,
                      size_t error_cap)
{
    char status[NAME_BYTES], said[SAID_BYTES];

    answer->refusal = false;
    if (!json_tree_read(answer->tree, bytes, len_bytes, error, error_cap))
        return false;
    json_tree_text(answer->tree, "/status", status, sizeof(status));
    if (strcmp(status, "success") == 0 && json_tree_has(answer->tree, "/data"))
        return true;
    if (strcmp(status, "error") != 0) {
        snprintf(error, error_cap, "the answer is JSON, but none of Prometheus'");
        return false;
    }
    answer->refusal = true;
    json_tree_text(answer->tree, "/error", said, sizeof(said));
    snprintf(error, error_cap, "Prometheus says: %s", said[0] != '\0' ? said : "nothing");
    return false;
}

bool prom_answer_is_refusal(const struct prom_answer *answer)
{
    return answer->refusal;
}

size_t prom_answer_results(const struct prom_answer *answer, char value[PROM_ANSWER_VALUE_BYTES])
{
    size_t count = json_tree_count(answer->tree, "/data/result");
    char type[NAME_BYTES];

    value[0] = '\0';
    json_tree_text(answer->tree, "/data/resultType", type, sizeof(type));
    if (count > 0 && strcmp(type, "scalar") == 0) { /* [time, "value"] */
        json_tree_text(answer->tree, "/data/result/1", value, PROM_ANSWER_VALUE_BYTES);
        return 1;
    }
    json_tree_text(answer->tree, "/data/result/0/value/1", value, PROM_ANSWER_VALUE_BYTES);
    return count;
}

/* The text at key of the target. */
static void target_text(const struct prom_answer *answer, size_t target, const char *key, char *out,
                        size_t cap)
{
    char path[PATH_BYTES];

    snprintf(path, sizeof(path), "/data/activeTargets/%zu/%s", target, key);
    json_tree_text(answer->tree, path, out, cap);
}

bool prom_answer_target_up(const struct prom_answer *answer, const char *job, char *detail, size_t cap)
{
    size_t targets = json_tree_count(answer->tree, "/data/activeTargets");

    snprintf(detail, cap, "there is no target of job %s", job);
    for (size_t i = 0; i < targets; i++) {
        char text[NAME_BYTES];

        target_text(answer, i, "labels/job", text, sizeof(text));
        if (strcmp(text, job) != 0)
            continue;
        target_text(answer, i, "health", text, sizeof(text));
        if (strcmp(text, "up") == 0) {
            snprintf(detail, cap, "up");
            return true;
        }
        target_text(answer, i, "lastError", detail, cap);
        if (detail[0] == '\0')
            snprintf(detail, cap, "not scraped yet");
    }
    return false;
}

static bool rule_is(const struct prom_answer *answer, size_t group, size_t rule, const char *key,
                    const char *wanted)
{
    char path[PATH_BYTES], text[NAME_BYTES];

    snprintf(path, sizeof(path), "/data/groups/%zu/rules/%zu/%s", group, rule, key);
    json_tree_text(answer->tree, path, text, sizeof(text));
    return strcmp(text, wanted) == 0;
}

bool prom_answer_has_alert(const struct prom_answer *answer, const char *name)
{
    size_t groups = json_tree_count(answer->tree, "/data/groups");

    for (size_t group = 0; group < groups; group++) {
        char path[PATH_BYTES];
        size_t rules;

        snprintf(path, sizeof(path), "/data/groups/%zu/rules", group);
        rules = json_tree_count(answer->tree, path);
        for (size_t rule = 0; rule < rules; rule++)
            if (rule_is(answer, group, rule, "type", "alerting") &&
                rule_is(answer, group, rule, "name", name))
                return true;
    }
    return false;
}
