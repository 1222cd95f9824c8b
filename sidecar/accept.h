/* accept.h - what a client says it can read: the Accept and Accept-Encoding of a request for metrics.
 *
 * Place on the route: http asks it which form to render. No threads, no I/O. Headers are hostile text:
 * nothing here allocates, and what cannot be read is passed over.
 */
#ifndef AILIVE_SIDECAR_ACCEPT_H
#define AILIVE_SIDECAR_ACCEPT_H

#include "expose.h"

/* The form with the greatest q that we have; the first of equals. header NULL, or nothing of it ours: the
 * text format, which every scraper reads. */
enum expose_format accept_format(const char *header);

/* Whether gzip is wanted at least as much as no encoding. header NULL: no. */
bool accept_gzip(const char *header);

#endif
