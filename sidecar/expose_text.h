/* expose_text.h - the text exposition format 0.0.4 and OpenMetrics 1.0.0, which differ in little.
 *
 * Place on the route: behind expose.h, whose contracts these keep. No threads, no I/O, no clock.
 */
#ifndef AILIVE_SIDECAR_EXPOSE_TEXT_H
#define AILIVE_SIDECAR_EXPOSE_TEXT_H

#include "expose.h"

/* Decimal text that reads back as the same double, in the contract's form: "18.0", "0.001", "+Inf",
 * "1769303391.2". Returns the length; out holds EXPOSE_NUMBER_BYTES. */
#define EXPOSE_NUMBER_BYTES 32u
size_t expose_number(double value, char *out);

/* A snapshot as a whole page of format 0.0.4. false: out of memory. */
bool expose_text(const struct snapshot *snapshot, struct buffer *out);

/* Appends value escaped as a label value (backslash, quote, newline). */
bool expose_text_escape(struct buffer *out, struct text value);

bool expose_text_head(struct expose *expose, const char *name, enum family_type type, const char *help);
bool expose_text_value(struct expose *expose, const char *name, const char *labels, double value);
bool expose_text_snapshot(struct expose *expose, const struct snapshot *snapshot);

#endif
