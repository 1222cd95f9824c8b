/* follow.c - one event file of another program, followed over its rotations.
 *
 * Place on the route: inside the file source. Owns the open generations of one path. Never writes, renames or
 * deletes anything: the file is another program's.
 */
#include "follow_inside.h"
#include "now.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINKS_MAX 40u /* followed on the way to a folder, as the kernel has it */

/* ---- reading ---- */

static bool moved(struct generation *file)
{
    const struct tail_mark *next = tail_next_mark(&file->tail);

    return next->offset != file->tail.mark.offset || next->skipping != file->tail.mark.skipping;
}

/* Commits n observations of the pass. TAIL_LINE: go on; otherwise how the pass ends. */
static enum tail_status pass_commit(struct follow *follow, struct generation *file, size_t n)
{
    if (file == follow->live && file->tail.mark.offset == 0 && follow_copies_first(follow)) {
        contract_clear(follow->context.contract);
        file->tail.seen = false; /* what was read is to be read again */
        return follow->crowded || follow->waiting ? TAIL_END : TAIL_PAUSE;
    }
    return follow_commit(follow, file, n) ? TAIL_LINE : TAIL_ERROR;
}

/* One pass over a generation. Returns how it ended; follow->stalled when a commit failed. */
static enum tail_status follow_pass(struct follow *follow, struct generation *file)
{
    struct observation *observations = follow->context.observations;
    int64_t processed_ns = now_utc_ns();
    enum tail_status status = tail_begin(&file->tail), committed;
    struct text line;
    size_t n = 0;

    if (status != TAIL_LINE)
        return status;
    while ((status = tail_next(&file->tail, &line)) == TAIL_LINE || status == TAIL_LONG) {
        if (status == TAIL_LONG)
            contract_long_line(follow->context.contract, processed_ns, &observations[n++]);
        else
            n += contract_line(follow->context.contract, line.bytes, line.len_bytes, processed_ns,
                               &observations[n]);
        if (n < FOLLOW_UNIT_LINES)
            continue;
        committed = pass_commit(follow, file, n);
        if (committed != TAIL_LINE)
            return committed;
        n = 0;
        processed_ns = now_utc_ns();
    }
    committed = n > 0 || moved(file) ? pass_commit(follow, file, n) : TAIL_LINE;
    return committed == TAIL_LINE ? status : committed;
}

/* Where the file lies now, for a message. */
static void generation_name(const struct generation *file, char *out, size_t cap)
{
    char link[64];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", file->tail.fd);
    n = readlink(link, out, cap - 1);
    out[n > 0 ? n : 0] = '\0';
}

static void follow_damaged(struct follow *follow, const struct generation *file)
{
    char name[512];

    follow->damaged_total++;
    generation_name(file, name, sizeof(name));
    log_error(
        "%s: the rotated %s is damaged: %s. It was counted up to byte %llu of its contents, the rest is "
        "not. Repair it or fetch an intact copy; `ailive replay` shows what that holds",
        follow->path, name, file->tail.reason, (unsigned long long)file->tail.mark.offset);
}

static void follow_cannot_read(struct follow *follow, const struct generation *file, int error)
{
    log_raise(&follow->failing, LOG_LEVEL_ERROR, "%s cannot be read at byte %llu: %s; trying again",
              follow->path, (unsigned long long)file->tail.mark.offset, strerror(error));
}

/* Reads one generation as far as it goes. Returns whether it is at its end. */
static bool follow_read(struct follow *follow, struct generation *file, bool *more)
{
    uint64_t taken = tail_taken_bytes(&file->tail);
    enum tail_status status = follow_pass(follow, file);
    int error = errno;

    if (tail_taken_bytes(&file->tail) != taken)
        file->quiet_since_ms = follow->now_ms;
    if (follow->stalled)
        return false;
    if (status == TAIL_CUT && follow->now_ms - file->quiet_since_ms >= FOLLOW_LAST_LINE_MS) {
        tail_give_up(&file->tail);
        status = TAIL_DAMAGED;
    }
    if (status == TAIL_TRUNCATED)
        follow_truncated(follow, file);
    if (status == TAIL_DAMAGED)
        follow_damaged(follow, file);
    if (status == TAIL_ERROR)
        follow_cannot_read(follow, file, error);
    else
        log_clear(&follow->failing, "%s can be read again", follow->path);
    *more = *more || status == TAIL_PAUSE || (status == TAIL_TRUNCATED && !follow->waiting);
    return status == TAIL_END || status == TAIL_DAMAGED;
}

/* A rotated file that has been quiet: its unterminated last line is a line. */
static void follow_last_line(struct follow *follow, struct generation *file)
{
    struct observation *observation = &follow->context.observations[0];
    struct text line;
    enum tail_status status = tail_last(&file->tail, &line);
    size_t n = 1;

    if (status == TAIL_LONG)
        contract_long_line(follow->context.contract, now_utc_ns(), observation);
    else if (status == TAIL_LINE)
        n = contract_line(follow->context.contract, line.bytes, line.len_bytes, now_utc_ns(), observation);
    else
        return;
    follow_commit(follow, file, n);
}

/* How long a rotated file must have been quiet before it is let go: less when there are many. */
static int64_t drain_ms(const struct follow *follow, const struct generation *file)
{
    if (follow->count == FOLLOW_GENERATIONS_MAX)
        return 0;
    if (follow->count > FOLLOW_GENERATIONS_MAX / 2)
        return 1000;
    return file->tail.unpack != NULL ? FOLLOW_LAST_LINE_MS : FOLLOW_DRAIN_MS;
}

/* Lets rotated files go that nobody writes any more. All of them are at their end. Returns whether there is
 * room now. */
static bool follow_drain(struct follow *follow)
{
    bool dropped = false;

    for (size_t i = 0; i < follow->count && !follow->stalled;) {
        struct generation *file = follow->files[i];
        int64_t quiet_ms = follow->now_ms - file->quiet_since_ms;
        bool go = quiet_ms >= drain_ms(follow, file);

        if (file == follow->live || file == follow->files[follow->count - 1] ||
            (!go && quiet_ms < FOLLOW_LAST_LINE_MS)) {
            i++;
            continue;
        }
        follow_last_line(follow, file);
        if (follow->stalled || !go) {
            i++;
            continue;
        }
        follow_drop(follow, i);
        dropped = follow_commit(follow, NULL, 0);
    }
    return dropped;
}

/* Looks after what there is to read. Returns whether something can be concluded from it. */
static bool follow_look(struct follow *follow)
{
    follow->crowded = follow->waiting = follow->doubted = false;
    if (!follow->found_out)
        follow_find_out(follow);
    if (!follow->found_out)
        return false;
    follow_find_live(follow);
    follow_find_copies(follow);
    return true;
}

bool follow_tick(struct follow *follow, int64_t now_ms)
{
    bool more = false, at_end = true;

    follow->now_ms = now_ms;
    if (follow->stalled) {
        if (!ingest_committing(follow->context.ingest))
            return false;
        follow_rewind(follow);
    }
    if (!follow_look(follow))
        return false;
    for (size_t i = 0; i < follow->count && at_end && !follow->stalled; i++) {
        assert(follow->files[i] != NULL);
        if (follow->files[i] != follow->live || !(follow->crowded || follow->waiting))
            at_end = follow_read(follow, follow->files[i], &more);
    }
    if (at_end && !follow->waiting && follow_drain(follow) && follow->crowded)
        more = true;
    follow_doubt_settle(follow);
    return more && !follow->stalled;
}

/* ---- opening and closing ---- */

/* What stands before the last slash of path, and its last name, in place. */
static const char *path_split(char *path, const char **name)
{
    char *slash = strrchr(path, '/');

    *name = slash != NULL ? slash + 1 : path;
    if (slash == NULL)
        return ".";
    *slash = '\0';
    return slash == path ? "/" : path;
}

/* A link whose target is missing, in place of `path`: what it points to. false: it is none. */
static bool link_follow(char path[PATH_MAX])
{
    char target[PATH_MAX], whole[2 * PATH_MAX];
    ssize_t n = readlink(path, target, sizeof(target) - 1);
    const char *name;

    if (n <= 0)
        return false;
    target[n] = '\0';
    if (target[0] == '/')
        snprintf(whole, sizeof(whole), "%s", target);
    else
        snprintf(whole, sizeof(whole), "%s/%s", path_split(path, &name), target);
    if (strlen(whole) >= PATH_MAX)
        return false;
    memcpy(path, whole, strlen(whole) + 1);
    return true;
}

/* realpath(), also of a folder that is not there yet: as it will be once it is made. A position's key holds
 * it: were it another after a restart, all of the file would count again. */
static int folder_resolve(const char *given, char out[PATH_MAX])
{
    char path[PATH_MAX], missing[PATH_MAX] = "", longer[2 * PATH_MAX];
    const char *at = path, *name;

    snprintf(path, sizeof(path), "%s", given);
    for (unsigned links = 0; realpath(at, out) == NULL;) {
        if (strcmp(at, ".") == 0 || strcmp(at, "/") == 0)
            return -1;
        if (links < LINKS_MAX && link_follow(path)) {
            links++;
            continue;
        }
        at = path_split(path, &name);
        if (name[0] == '\0' || strcmp(name, ".") == 0)
            continue;
        snprintf(longer, sizeof(longer), "/%s%s", name, missing);
        if (strlen(longer) >= sizeof(missing))
            return -1;
        memcpy(missing, longer, strlen(longer) + 1);
    }
    if (missing[0] != '\0' && strcmp(out, "/") == 0)
        out[0] = '\0';
    if (strlen(out) + strlen(missing) >= PATH_MAX)
        return -1;
    memcpy(out + strlen(out), missing, strlen(missing) + 1);
    return 0;
}

/* The folder's real path and the name in it: one file has one key, however it was spelled. */
static int path_resolve(struct follow *follow, const char *path)
{
    char copy[PATH_MAX], folder[PATH_MAX];
    const char *name, *above;

    if (strlen(path) >= sizeof(copy) || path[0] == '\0') {
        errno = path[0] == '\0' ? ENOENT : ENAMETOOLONG;
        return -1;
    }
    snprintf(copy, sizeof(copy), "%s", path);
    above = path_split(copy, &name);
    if (folder_resolve(above, folder) != 0)
        return -1;
    follow->folder = strdup(folder);
    if (asprintf(&follow->path, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name) < 0)
        follow->path = NULL;
    if (follow->path != NULL)
        follow->name = strrchr(follow->path, '/') + 1;
    errno = ENOMEM;
    return follow->folder != NULL && follow->path != NULL ? 0 : -1;
}

static int path_check(const struct follow *follow, char *error, size_t cap)
{
    struct stat status;
    const char *what = NULL;

    if (stat(follow->path, &status) != 0 || S_ISREG(status.st_mode))
        return 0; /* missing or not readable now: that may change */
    what = S_ISDIR(status.st_mode)    ? "a folder"
           : S_ISFIFO(status.st_mode) ? "a FIFO"
           : S_ISSOCK(status.st_mode) ? "a socket"
                                      : "a device";
    snprintf(error, cap, "%.160s is %s, not a regular file; name the event file itself", follow->path, what);
    return -1;
}

/* LMDB's keys are short: a longer path is named by its end and a hash of all of it. */
static void key_build(struct follow *follow)
{
    size_t len_bytes = strlen(follow->path);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const char *end = follow->path;

    if (len_bytes > FOLLOW_KEY_MAX_BYTES - 1)
        end += len_bytes - (FOLLOW_KEY_MAX_BYTES - 18);
    for (const char *c = follow->path; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    if (end == follow->path)
        snprintf(follow->key, sizeof(follow->key), "f%s", follow->path);
    else
        snprintf(follow->key, sizeof(follow->key), "f%016llx%s", (unsigned long long)hash, end);
    follow->key_len = strlen(follow->key);
}

int follow_open(const struct follow_context *context, const char *path, bool from_end, struct follow **out,
                char *error, size_t error_cap)
{
    struct follow *follow = calloc(1, sizeof(*follow));

    *out = NULL;
    if (follow == NULL || path_resolve(follow, path) != 0) {
        snprintf(error, error_cap, "%.160s: %s", path, strerror(errno));
        follow_close(follow);
        return -1;
    }
    if (path_check(follow, error, error_cap) != 0) {
        follow_close(follow);
        return -1;
    }
    follow->context = *context;
    follow->from_end = from_end;
    key_build(follow);
    *out = follow;
    return 0;
}

void follow_close(struct follow *follow)
{
    if (follow == NULL)
        return;
    while (follow->count > 0)
        follow_drop(follow, follow->count - 1);
    free(follow->path);
    free(follow->folder);
    free(follow);
}

const char *follow_path(const struct follow *follow)
{
    return follow->path;
}

const char *follow_folder(const struct follow *follow)
{
    return follow->folder;
}

uint64_t follow_damaged_total(const struct follow *follow)
{
    return follow->damaged_total;
}

uint64_t follow_lag_bytes(const struct follow *follow)
{
    uint64_t lag_bytes = 0;

    for (size_t i = 0; i < follow->count; i++)
        lag_bytes += tail_lag_bytes(&follow->files[i]->tail);
    return lag_bytes;
}
