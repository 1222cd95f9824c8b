/* label_text.h - a label's value read back from a series' labels.
 *
 * Place on the route: snapshot -> [label_text] -> history, status. No threads, no I/O, no memory of its own.
 */
#ifndef AILIVE_SIDECAR_LABEL_TEXT_H
#define AILIVE_SIDECAR_LABEL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define LABEL_TEXT_BYTES 201u /* of the longest value, with its NUL */

/* labels: as in snapshot_series. The value of the label `name`, without escapes, cut to cap - 1 bytes.
 * false: there is no such label, out is "". */
bool label_text(const char *labels, const char *name, char *out, size_t cap);

#endif
