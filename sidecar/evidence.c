/* evidence.c - a folder of files that a proof or a demo leaves behind.
 *
 * Place on the route: proof, activity, local-verify -> [evidence] -> .local_tmp/KIND_STAMP/.
 */
#include "evidence.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define SAME_SECOND_MAX 100u

static void stamp_now(char out[EVIDENCE_STAMP_BYTES])
{
    time_t now = time(NULL);
    struct tm utc;

    gmtime_r(&now, &utc);
    strftime(out, EVIDENCE_STAMP_BYTES, "%Y%m%dT%H%M%SZ", &utc);
}

static int fail(char *error, size_t cap, const char *path, int cause)
{
    snprintf(error, cap, "cannot make %.200s: %s", path, strerror(cause));
    return -1;
}

/* A name of its own for each run, two within one second included. */
static int make_stamped(struct evidence *out, const char *kind, char *error, size_t cap)
{
    if (mkdir(EVIDENCE_ROOT, 0777) != 0 && errno != EEXIST)
        return fail(error, cap, EVIDENCE_ROOT, errno);
    for (unsigned i = 1; i <= SAME_SECOND_MAX; i++) {
        char again[16] = "";

        if (i > 1)
            snprintf(again, sizeof(again), "_%u", i);
        snprintf(out->folder, sizeof(out->folder), EVIDENCE_ROOT "/%s_%s%s", kind, out->stamp, again);
        if (mkdir(out->folder, 0777) == 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    return fail(error, cap, out->folder, errno);
}

int evidence_open(struct evidence *out, const char *kind, const char *given, char *error, size_t error_cap)
{
    int made;

    stamp_now(out->stamp);
    if (given == NULL || given[0] == '\0')
        return make_stamped(out, kind, error, error_cap);
    if ((size_t)snprintf(out->folder, sizeof(out->folder), "%s", given) >= sizeof(out->folder))
        return fail(error, error_cap, given, ENAMETOOLONG);
    made = paths_make(out->folder);
    return made == 0 ? 0 : fail(error, error_cap, given, made);
}

bool evidence_path(const struct evidence *evidence, const char *name, char *out)
{
    return (size_t)snprintf(out, PATHS_MAX_BYTES, "%s/%s", evidence->folder, name) < PATHS_MAX_BYTES;
}

static int write_whole(const char *path, const struct buffer *contents)
{
    FILE *file = fopen(path, "we");
    bool fine;

    if (file == NULL)
        return errno;
    fine = contents->used == 0 || fwrite(contents->bytes, contents->used, 1, file) == 1;
    if (fclose(file) != 0)
        fine = false;
    return fine ? 0 : errno;
}

int evidence_write(const struct evidence *evidence, const char *name, const struct buffer *contents,
                   char *error, size_t error_cap)
{
    char path[PATHS_MAX_BYTES];
    char *slash;
    int cause;

    if (!evidence_path(evidence, name, path))
        return fail(error, error_cap, name, ENAMETOOLONG);
    slash = strrchr(path, '/');
    *slash = '\0';
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return fail(error, error_cap, path, errno);
    *slash = '/';
    cause = write_whole(path, contents);
    return cause == 0 ? 0 : fail(error, error_cap, path, cause);
}
