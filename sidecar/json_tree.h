/* json_tree.h - one JSON document, asked by path.
 *
 * Place on the route: beside it: http_get's bytes -> [json_tree] -> top, prom_answer. simdjson reads it. No
 * threads, no I/O, no clock. Another program's bytes: what is missing or of another kind is as if it were
 * empty.
 *
 * A path is a JSON pointer: "/health/text", "/rejects/rows/0/count".
 */
#ifndef AILIVE_SIDECAR_JSON_TREE_H
#define AILIVE_SIDECAR_JSON_TREE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct json_tree;

struct json_tree *json_tree_new(void); /* NULL: out of memory */
void json_tree_free(struct json_tree *tree);

/* Reads one whole document; the functions below then speak of it. false: no JSON; error holds one line. */
bool json_tree_read(struct json_tree *tree, const char *bytes, size_t len_bytes, char *error,
                    size_t error_cap);

bool json_tree_has(const struct json_tree *tree, const char *path);
/* Entries of an array; 0 when there is none. */
size_t json_tree_count(const struct json_tree *tree, const char *path);
/* NaN when there is none. */
double json_tree_number(const struct json_tree *tree, const char *path);
/* Cut to cap - 1 bytes, never within a character; "" when there is none. */
void json_tree_text(const struct json_tree *tree, const char *path, char *out, size_t cap);
/* Copies up to cap numbers of an array, NaN for what is no number; returns how many. */
size_t json_tree_numbers(const struct json_tree *tree, const char *path, double *out, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
