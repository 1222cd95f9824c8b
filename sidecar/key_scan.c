/* key_scan.c - key material that must not lie in evidence that is handed on.
 *
 * Place on the route: files of evidence -> [key_scan] -> KEY_MATERIAL_SCAN.txt. Owns its compiled patterns.
 */
#include "key_scan.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES   65536u
#define OVERLAP_BYTES 512u /* longer than any pattern needs to be seen */
#define SHOWN_BYTES   4

static const struct {
    const char *kind, *pattern;
    int flags;
    bool word; /* only at the start of a file: ordinary texts use such words */
} patterns[] = {
    {"private key", "-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY", 0, false},
    {"cloud token (AWS)", "(AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}", 0, false},
    {"cloud token (Google)", "AIza[0-9A-Za-z_-]{35}|ya29\\.[0-9A-Za-z_-]{20}", 0, false},
    {"cloud token (Azure)", "AccountKey=[A-Za-z0-9+/]{40}", 0, false},
    {"GitHub token", "gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22}", 0, false},
    {"bearer header", "bearer +[A-Za-z0-9._~+/-]{8}", REG_ICASE, false},
    {"word", "passwor[dt]|passwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|credential",
     REG_ICASE, true},
};
#define PATTERNS (sizeof(patterns) / sizeof(patterns[0]))

struct key_scan {
    regex_t compiled[PATTERNS];
    size_t count;
    char piece[PIECE_BYTES + 1];
};

struct key_scan *key_scan_new(void)
{
    struct key_scan *scan = calloc(1, sizeof(*scan));

    for (; scan != NULL && scan->count < PATTERNS; scan->count++)
        if (regcomp(&scan->compiled[scan->count], patterns[scan->count].pattern,
                    REG_EXTENDED | patterns[scan->count].flags) != 0) {
            key_scan_free(scan);
            return NULL;
        }
    return scan;
}

void key_scan_free(struct key_scan *scan)
{
    if (scan == NULL)
        return;
    for (size_t i = 0; i < scan->count; i++)
        regfree(&scan->compiled[i]);
    free(scan);
}

struct place {
    const char *path;
    size_t line, offset_bytes; /* where the text begins */
};

/* One line, or a piece of one. The first hit of each kind is enough. */
static bool scan_text(const struct key_scan *scan, const char *text, const struct place *place,
                      struct buffer *hits)
{
    regmatch_t match;

    for (size_t i = 0; i < PATTERNS; i++) {
        if (regexec(&scan->compiled[i], text, 1, &match, 0) != 0)
            continue;
        if (patterns[i].word && place->offset_bytes + (size_t)match.rm_so >= KEY_SCAN_WORDS_BYTES)
            continue;
        if (!buffer_printf(hits, "%s:%zu: %s: %.*s****\n", place->path, place->line, patterns[i].kind,
                           SHOWN_BYTES, text + match.rm_so))
            return false;
    }
    return true;
}

/* Reads the next line behind the kept bytes, as far as there is room. false: nothing is left. */
static bool next_piece(struct key_scan *scan, FILE *file, size_t kept, size_t *len, bool *whole)
{
    int c = 0;

    *len = kept;
    while (*len < PIECE_BYTES && (c = getc_unlocked(file)) != EOF && c != '\n')
        scan->piece[(*len)++] = c == '\0' ? ' ' : (char)c; /* regexec() ends at a NUL */
    scan->piece[*len] = '\0';
    *whole = c == '\n';
    return *whole || *len > kept;
}

int key_scan_file(struct key_scan *scan, const char *path, struct buffer *hits)
{
    FILE *file = fopen(path, "re");
    struct place place = {path, 1, 0};
    size_t len, kept = 0;
    int status = 0;
    bool whole;

    if (file == NULL)
        return errno;
    while (status == 0 && next_piece(scan, file, kept, &len, &whole)) {
        if (!scan_text(scan, scan->piece, &place, hits))
            status = ENOMEM;
        kept = whole || len < OVERLAP_BYTES ? 0 : OVERLAP_BYTES;
        memmove(scan->piece, scan->piece + len - kept, kept);
        place.offset_bytes += len - kept + (whole ? 1 : 0);
        place.line += whole ? 1 : 0;
    }
    if (ferror(file) != 0)
        status = EIO;
    fclose(file);
    return status;
}
