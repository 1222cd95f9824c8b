/* line_kind.h - lines that are alike in everything that chooses their labels.
 *
 * Place on the route: inside contract, behind json. Few different ones occur, many times each: the contract's
 * rules are applied to the first of a kind, and the others take its labels. Owns copies of the values it
 * compares. One thread. No I/O, no clock.
 *
 * Everything a rule may ask of a value that chooses labels is part of the kind: its type, its text, whether
 * it is truthy, and of `v` whether it is 1. Times and latencies are not: they are read from every line.
 */
#ifndef AILIVE_SIDECAR_LINE_KIND_H
#define AILIVE_SIDECAR_LINE_KIND_H

#include "json.h"

/* What is kept over line_kinds_clear(): beyond either limit it forgets everything. A line with more than
 * LINE_KIND_MAX_BYTES of such values is not remembered. */
#define LINE_KINDS_KEEP       16384u
#define LINE_KINDS_KEEP_BYTES (8u << 20)
#define LINE_KIND_MAX_BYTES   1024u

struct line_kind {
    struct labels *labels;
    enum json_key time_key; /* JSON_KEYS: the line's time is not looked at */
    bool seconds, ms;       /* feeds that histogram, where the line has a latency */
};

struct line_kinds;

struct line_kinds *line_kinds_new(void); /* NULL: out of memory */
void line_kinds_free(struct line_kinds *kinds);

/* The kind of the line in view, as line_kinds_add() was given it; NULL: not seen yet. Valid until
 * line_kinds_clear(). */
const struct line_kind *line_kinds_find(struct line_kinds *kinds, const struct json_view *view);

/* Remembers the kind of the line that line_kinds_find() has just not known. Out of memory: it is not. */
void line_kinds_add(struct line_kinds *kinds, const struct json_view *view, const struct line_kind *kind);

/* forget: everything, because the labels are gone; else only what is beyond the limits. */
void line_kinds_clear(struct line_kinds *kinds, bool forget);

#endif
