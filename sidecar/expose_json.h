/* expose_json.h - a snapshot as one JSON object.
 *
 * Place on the route: snapshot -> [json] -> replay's stdout. No threads, no I/O, no clock.
 *
 * {"<family>": [{"labels": {"<name>": "<value>", ...}, "value": 1.0}, ...], ...}; a histogram's series has
 * "buckets" ({"<le>": cumulative count, ...}), "sum" and "count" in place of "value".
 */
#ifndef AILIVE_SIDECAR_EXPOSE_JSON_H
#define AILIVE_SIDECAR_EXPOSE_JSON_H

#include "aggregate.h"
#include "buffer.h"

/* Appends the object and a newline. false: out of memory. */
bool expose_json(const struct snapshot *snapshot, struct buffer *out);

#endif
