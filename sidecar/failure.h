/* failure.h - why something did not open, as one line for the caller to report.
 *
 * Place on the route: beside it, at start: http, nng source and ring source say here what was wrong, where,
 * and what to do. Any thread.
 */
#ifndef AILIVE_SIDECAR_FAILURE_H
#define AILIVE_SIDECAR_FAILURE_H

#include <stddef.h>

/* Writes the line into error (cut at cap) and returns -1, so that a caller can `return failure_say(...)`. */
int failure_say(char *error, size_t cap, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
