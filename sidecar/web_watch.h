/* web_watch.h - the file of TLS and users, and the files it names, taken up anew when they change.
 *
 * Place on the route: beside http; the main thread's, once a second. Prometheus' exporters read theirs for
 * each request; here four stat() a second tell as much. Reports what it finds in the log.
 *
 * A change is read once two looks have found the same, so that a file that is being written, or a certificate
 * without its key, is not taken for the new one. One that cannot be used leaves all as it was, and is
 * reported once. So is an empty one in place of TLS or users: a write that failed leaves such, and it would
 * let everybody in.
 */
#ifndef AILIVE_SIDECAR_WEB_WATCH_H
#define AILIVE_SIDECAR_WEB_WATCH_H

#include "web_config.h"

struct web_watch {
    const char *path;
    struct web_files taken; /* as they were when they were read */
    struct web_files seen;  /* as the last look found them */
};

/* path: must live as long. -1: error holds one line. *out is the caller's. */
int web_watch_open(struct web_watch *watch, const char *path, struct web_config **out, char *error,
                   size_t error_cap);

/* Looks. now: what is in force. NULL: it stays; else the new one, the caller's. */
struct web_config *web_watch_look(struct web_watch *watch, const struct web_config *now);

#endif
