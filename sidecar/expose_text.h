/* expose_text.h - the text exposition format 0.0.4.
 *
 * Place on the route: snapshot -> [text] -> http, or replay's stdout. No threads, no I/O, no clock.
 */
#ifndef AILIVE_SIDECAR_EXPOSE_TEXT_H
#define AILIVE_SIDECAR_EXPOSE_TEXT_H

#include "aggregate.h"
#include "buffer.h"

/* Shortest decimal text that reads back as the same double, in the contract's form: "18.0", "0.001", "+Inf",
 * "1769303391.2". Returns the length; out holds 32 bytes. */
size_t expose_number(double value, char *out);

/* Appends every family of the snapshot: HELP, TYPE, series. false: out of memory. */
bool expose_text(const struct snapshot *snapshot, struct buffer *out);

/* One family of our own that is no part of the aggregate (process state, gauges read at scrape time). labels
 * as in snapshot_series. expose_text_head() once, then its values. */
bool expose_text_head(struct buffer *out, const char *name, enum family_type type, const char *help);
bool expose_text_value(struct buffer *out, const char *name, const char *labels, double value);

/* Appends value escaped as a label value (backslash, quote, newline). */
bool expose_text_escape(struct buffer *out, struct text value);

#endif
