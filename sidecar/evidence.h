/* evidence.h - a folder of files that a proof or a demo leaves behind.
 *
 * Place on the route: beside it: proof, activity, local-verify -> [evidence] -> .local_tmp/KIND_STAMP/. One
 * thread. Owns nothing open. Never replaces a folder that is there, unless it was named by the caller.
 */
#ifndef AILIVE_SIDECAR_EVIDENCE_H
#define AILIVE_SIDECAR_EVIDENCE_H

#include "buffer.h"

#include <wire/paths.h>

#define EVIDENCE_ROOT        ".local_tmp"
#define EVIDENCE_STAMP_BYTES 20u

struct evidence {
    char folder[PATHS_MAX_BYTES];
    char stamp[EVIDENCE_STAMP_BYTES]; /* UTC, 20260125T010948Z */
};

/* Makes given, or .local_tmp/KIND_STAMP in the current folder. -1: error holds one line. */
int evidence_open(struct evidence *out, const char *kind, const char *given, char *error, size_t error_cap);

/* The path of a file in the folder. out: PATHS_MAX_BYTES. false: too long. */
bool evidence_path(const struct evidence *evidence, const char *name, char *out);

/* Writes name in the folder, whole; name may begin with a folder ("prom/x.json"), which is made. -1: error
 * holds one line. */
int evidence_write(const struct evidence *evidence, const char *name, const struct buffer *contents,
                   char *error, size_t error_cap);

#endif
