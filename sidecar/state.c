/* state.c - what survives a kill: one LMDB environment in the state folder.
 *
 * Place on the route: behind ingest. Owns the folder's lock, its files and the environment. Called under
 * ingest's lock, but for state_sync(), which a timer calls beside commits. Knows keys and values as bytes
 * only; never decides what they mean.
 *
 * Why a kill at any instruction is safe: LMDB writes a transaction's pages, then one meta page that makes
 * them current, all with pwrite into the page cache, which a killed process does not take along. A machine
 * that loses power may have written them in any order (MDB_NOSYNC): so after a boot that was not preceded by
 * a clean end only copy.mdb counts, which was fsynced before it got its name.
 */
#include "state.h"

#include "folder_lock.h"
#include "log.h"

#include <wire/paths.h>

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAP_START_BYTES ((uint64_t)1 << 30) /* address space only: the file grows with its contents */
#define MAP_MAX_BYTES   ((uint64_t)1 << 36)
#define COPY_EVERY      10u /* syncs with something new between two copies */
#define BOOT_ID_BYTES   37u
#define ERROR_BYTES     256u
#define PROBE_BYTES     65536u
#define CHECK_SECONDS   30u /* longest check of the data at start */

static const char version_key[] = "mversion";
static const char version_text[] = "1";
static const char epoch_key[] = "mepoch";
static const char since_key[] = "msince";
static const char probe_key[] = "mprobe";

struct state {
    bool in_memory;
    int folder_fd, lock_fd;
    char path[PATHS_MAX_BYTES];
    MDB_env *env; /* NULL after a failed reopen */
    MDB_dbi dbi;
    dev_t data_dev; /* which data file is open */
    ino_t data_ino;
    size_t last_transaction; /* in it, as we left it */
    bool renewed;            /* data was lost or is older than it was: this run takes another epoch */
    unsigned char epoch[STATE_EPOCH_BYTES];
    int64_t since_ns;
    char error[ERROR_BYTES];
    _Atomic uint64_t size_bytes;
    /* Commits since the last sync. Raised by the committing thread, taken by the syncing one; the count alone
     * is shared, so relaxed order suffices. */
    _Atomic uint64_t unsynced;

    /* Held while the environment is synced or copied, and while it is closed, opened or grown: LMDB forbids
     * growing the map during the copy's read transaction. */
    pthread_mutex_t busy;
    unsigned syncs_since_copy;
    char sync_error[ERROR_BYTES];
};

/* ---- errors ---- */

static int state_fail(struct state *state, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int state_fail(struct state *state, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(state->error, sizeof(state->error), format, arguments);
    va_end(arguments);
    return -1;
}

/* ---- small files of the folder ---- */

static int fd_write_all(int fd, const void *bytes, size_t len_bytes)
{
    const char *at = bytes;

    while (len_bytes > 0) {
        ssize_t n = write(fd, at, len_bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        at += n;
        len_bytes -= (size_t)n;
    }
    return 0;
}

/* fsync before the rename: the new name must never stand for less than all of the contents. */
static int folder_publish(int folder_fd, int fd, const char *from, const char *to)
{
    if (fsync(fd) != 0 || renameat(folder_fd, from, folder_fd, to) != 0)
        return -1;
    return fsync(folder_fd);
}

static int folder_write_text(int folder_fd, const char *name, const char *text)
{
    char temporary[64];
    int fd, status;

    snprintf(temporary, sizeof(temporary), "%s.tmp", name);
    fd = openat(folder_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    status = fd_write_all(fd, text, strlen(text));
    if (status == 0)
        status = folder_publish(folder_fd, fd, temporary, name);
    close(fd);
    return status;
}

/* Reads a small text file; "" when there is none. */
static void folder_read_text(int folder_fd, const char *name, char *out, size_t cap)
{
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? 0 : read(fd, out, cap - 1);

    out[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

static bool folder_has(int folder_fd, const char *name, bool with_contents)
{
    struct stat status;

    return fstatat(folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
           (!with_contents || status.st_size > 0);
}

static int folder_copy(int folder_fd, const char *from, const char *to)
{
    char block[65536], temporary[64];
    int in = openat(folder_fd, from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), out = -1, status = -1;
    ssize_t n;

    snprintf(temporary, sizeof(temporary), "%s.tmp", to);
    if (in >= 0)
        out = openat(folder_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out < 0)
        goto done;
    while ((n = read(in, block, sizeof(block))) > 0)
        if (fd_write_all(out, block, (size_t)n) != 0)
            goto done;
    if (n == 0)
        status = folder_publish(folder_fd, out, temporary, to);
done:
    if (out >= 0)
        close(out);
    if (in >= 0)
        close(in);
    return status;
}

/* Renames a file that is not to be trusted, so that a person can still look at it. */
static int folder_set_aside(struct state *state, const char *name, char *aside, size_t cap)
{
    struct timespec now;
    struct tm utc;
    char stamp[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &utc);
    snprintf(aside, cap, "%s.bad-%s.%09ld", name, stamp, now.tv_nsec);
    return renameat(state->folder_fd, name, state->folder_fd, aside);
}

/* ---- the folder and its lock ---- */

static int state_open_folder(struct state *state)
{
    int made = paths_make(state->path);

    if (made == 0)
        state->folder_fd = open(state->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (made == 0 && state->folder_fd >= 0)
        return 0;
    return state_fail(state, "state folder %.100s: %s; name another with --state", state->path,
                      strerror(made != 0 ? made : errno));
}

static int state_lock(struct state *state)
{
    char owner[32];

    state->lock_fd = folder_lock_take(state->folder_fd, "lock", owner, sizeof(owner));
    if (state->lock_fd >= 0)
        return 0;
    if (errno == EAGAIN)
        return state_fail(
            state,
            "state folder %.100s is in use by another sidecar (pid %s); end it, or name another "
            "folder with --state",
            state->path, owner);
    return state_fail(state, "state folder %.100s: cannot write in it: %s; name another with --state",
                      state->path, strerror(errno));
}

/* Whether the folder at our path, and the lock in it, are still those that we hold. */
static bool folder_in_place(const struct state *state)
{
    return folder_lock_names(AT_FDCWD, state->path, 0, state->folder_fd) &&
           folder_lock_names(state->folder_fd, "lock", AT_SYMLINK_NOFOLLOW, state->lock_fd);
}

/* ---- is the data to be trusted? ---- */

static void boot_id_read(char out[BOOT_ID_BYTES])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, BOOT_ID_BYTES - 1);

    out[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

/* `boot` says under which boot the data was last written and whether that run ended with a sync. */
static bool state_boot_was_clean(struct state *state)
{
    char now[BOOT_ID_BYTES], text[128], then[64] = "", end[16] = "";

    boot_id_read(now);
    folder_read_text(state->folder_fd, "boot", text, sizeof(text));
    if (sscanf(text, "%63s %15s", then, end) != 2)
        return true; /* no run of ours wrote here before */
    return strcmp(end, "clean") == 0 || strcmp(then, now) == 0;
}

static int state_mark_boot(struct state *state, const char *end)
{
    char id[BOOT_ID_BYTES], text[BOOT_ID_BYTES + 16];

    boot_id_read(id);
    snprintf(text, sizeof(text), "%s %s\n", id, end);
    if (folder_write_text(state->folder_fd, "boot", text) != 0)
        return state_fail(state, "state folder %.100s: cannot write its boot file: %s", state->path,
                          strerror(errno));
    return 0;
}

static int check_walk(MDB_txn *txn, MDB_dbi dbi)
{
    volatile unsigned char sum = 0;
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(txn, dbi, &cursor);

    if (rc != 0)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
        for (size_t i = 0; i < value.mv_size; i += 4096) /* touch each page: a missing one is a SIGBUS */
            sum = (unsigned char)(sum ^ ((const unsigned char *)value.mv_data)[i]);
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

enum check {
    CHECK_FINE,
    CHECK_DAMAGED,
    CHECK_UNKNOWN /* no memory, no descriptor, no time: that says nothing about the data */
};

static enum check check_verdict(int rc)
{
    switch (rc) {
    case 0:
        return CHECK_FINE;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EACCES:
    case EAGAIN:
        return CHECK_UNKNOWN;
    default:
        return CHECK_DAMAGED;
    }
}

/* In the child: reads every page of a data file, the list of free ones too. */
static int check_file(const char *path)
{
    const MDB_dbi free_dbi = 0;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    int rc = mdb_env_create(&env);

    if (rc == 0)
        rc = mdb_env_set_mapsize(env, MAP_START_BYTES);
    if (rc == 0)
        rc = mdb_env_open(env, path, MDB_RDONLY | MDB_NOLOCK | MDB_NOSUBDIR, 0600);
    if (rc == 0)
        rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc == 0)
        rc = mdb_dbi_open(txn, NULL, 0, &dbi);
    if (rc == 0)
        rc = check_walk(txn, dbi);
    return rc == 0 ? check_walk(txn, free_dbi) : rc;
}

static void check_child(const char *path)
{
    static const int deadly[] = {SIGSEGV, SIGBUS, SIGABRT, SIGALRM, SIGFPE, SIGILL};
    int silence = open("/dev/null", O_WRONLY | O_CLOEXEC);

    for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
        signal(deadly[i], SIG_DFL);
    if (silence >= 0)
        dup2(silence, STDERR_FILENO);
    alarm(CHECK_SECONDS);
    _exit((int)check_verdict(check_file(path)));
}

/* The time limit, or somebody's kill (the kernel's, for want of memory), is no sign of damage. */
static enum check check_ended(int status)
{
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGALRM || WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM
                   ? CHECK_UNKNOWN
                   : CHECK_DAMAGED;
    return WEXITSTATUS(status) == CHECK_FINE      ? CHECK_FINE
           : WEXITSTATUS(status) == CHECK_UNKNOWN ? CHECK_UNKNOWN
                                                  : CHECK_DAMAGED;
}

/* Whether a data file can be read to its end. LMDB trusts its pages: a damaged file can make it follow a wild
 * page number, so a child process goes first. Good data must never be set aside: what cannot be checked is
 * used. */
static bool state_readable(const struct state *state, const char *name)
{
    char path[PATHS_MAX_BYTES + 16];
    enum check check = CHECK_UNKNOWN;
    int status = 0;
    pid_t child;

    snprintf(path, sizeof(path), "%s/%s", state->path, name);
    child = fork();
    if (child == 0)
        check_child(path);
    if (child > 0) {
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
        check = check_ended(status);
    }
    if (check == CHECK_UNKNOWN)
        log_warning("state: %s cannot be checked (no memory, descriptors or time); it is used unchecked",
                    path);
    return check != CHECK_DAMAGED;
}

/* Puts the copy in the data's place; without any copy the state begins anew. */
static int state_take_copy(struct state *state, const char *why)
{
    char aside[64];

    if (folder_set_aside(state, "data.mdb", aside, sizeof(aside)) != 0)
        return state_fail(state, "state folder %.100s: cannot set its data aside: %s", state->path,
                          strerror(errno));
    unlinkat(state->folder_fd, "lock.mdb", 0);
    state->renewed = true;
    if (!folder_has(state->folder_fd, "copy.mdb", true)) {
        log_error("state folder %s: %s; set aside as %s, and there is no copy: counting begins at 0",
                  state->path, why, aside);
        return 0;
    }
    if (!state_readable(state, "copy.mdb"))
        return state_fail(state,
                          "state folder %.100s: %s (set aside as %s) and its copy.mdb is damaged too; move "
                          "the folder away to begin at 0",
                          state->path, why, aside);
    if (folder_copy(state->folder_fd, "copy.mdb", "data.mdb") != 0)
        return state_fail(state, "state folder %.100s: cannot restore copy.mdb: %s", state->path,
                          strerror(errno));
    log_error("state folder %s: %s; set aside as %s, the last good copy is used", state->path, why, aside);
    return 0;
}

/* Killed between setting the data aside and restoring the copy: the copy is what there is. */
static int state_begin(struct state *state)
{
    if (!folder_has(state->folder_fd, "copy.mdb", true))
        return 0;
    state->renewed = true;
    if (!state_readable(state, "copy.mdb"))
        return state_fail(state,
                          "state folder %.100s: data.mdb is missing and copy.mdb is damaged; move the folder "
                          "away to begin at 0",
                          state->path);
    log_error("state folder %s: data.mdb is missing; the last good copy is used", state->path);
    if (folder_copy(state->folder_fd, "copy.mdb", "data.mdb") != 0)
        return state_fail(state, "state folder %.100s: cannot restore copy.mdb: %s", state->path,
                          strerror(errno));
    return 0;
}

/* Whatever else lies at these names: LMDB's own error would not say which one. */
static int state_check_names(struct state *state)
{
    static const char *const names[] = {"data.mdb", "copy.mdb", "lock.mdb"};
    struct stat status;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (fstatat(state->folder_fd, names[i], &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            !S_ISREG(status.st_mode))
            return state_fail(state, "state folder %.100s: %s in it is no regular file; move it away",
                              state->path, names[i]);
    return 0;
}

static int state_choose_data(struct state *state)
{
    if (!folder_has(state->folder_fd, "data.mdb", true))
        return state_begin(state);
    if (!state_boot_was_clean(state))
        return state_take_copy(state, "the machine went down without a clean end");
    if (!state_readable(state, "data.mdb"))
        return state_take_copy(state, "data.mdb is damaged");
    return 0;
}

/* ---- the environment ---- */

/* The data file's size and which file it is. -1: there is none. */
static int env_measure(struct state *state, struct stat *status)
{
    if (fstatat(state->folder_fd, "data.mdb", status, AT_SYMLINK_NOFOLLOW) != 0)
        return -1;
    atomic_store_explicit(&state->size_bytes, (uint64_t)status->st_size, memory_order_relaxed);
    return 0;
}

/* Whether the file at the name is still the one that is open: LMDB would go on writing to one that was
 * removed, or replaced by a copy from earlier, and a restart would find nothing of it. */
static bool env_in_place(struct state *state)
{
    struct stat status;

    return env_measure(state, &status) == 0 && status.st_dev == state->data_dev &&
           status.st_ino == state->data_ino;
}

/* Somebody may also write an earlier copy over the file, as `cp` does: then the file itself says another last
 * transaction than ours. LMDB would mix both without a word: it numbers from its lock file. */
static size_t env_last_transaction(struct state *state)
{
    MDB_envinfo info;

    return mdb_env_info(state->env, &info) == 0 ? info.me_last_txnid : 0;
}

static uint64_t env_map_bytes(struct state *state)
{
    uint64_t map = MAP_START_BYTES;
    struct stat status;

    (void)env_measure(state, &status); /* none yet: 0 */
    while (map < MAP_MAX_BYTES && map / 2 < atomic_load_explicit(&state->size_bytes, memory_order_relaxed))
        map *= 2;
    return map;
}

static int env_new_epoch(struct state *state, MDB_txn *txn)
{
    MDB_val epoch_name = {sizeof(epoch_key) - 1, (void *)(uintptr_t)epoch_key};
    MDB_val since_name = {sizeof(since_key) - 1, (void *)(uintptr_t)since_key};
    MDB_val epoch = {STATE_EPOCH_BYTES, state->epoch}, since = {sizeof(state->since_ns), &state->since_ns};
    struct timespec now;
    int rc;

    if (getrandom(state->epoch, STATE_EPOCH_BYTES, 0) != STATE_EPOCH_BYTES)
        return errno;
    clock_gettime(CLOCK_REALTIME, &now);
    state->since_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
    rc = mdb_put(txn, state->dbi, &epoch_name, &epoch, 0);
    return rc != 0 ? rc : mdb_put(txn, state->dbi, &since_name, &since, 0);
}

static int env_read_epoch(struct state *state, MDB_txn *txn)
{
    MDB_val epoch_name = {sizeof(epoch_key) - 1, (void *)(uintptr_t)epoch_key};
    MDB_val since_name = {sizeof(since_key) - 1, (void *)(uintptr_t)since_key};
    MDB_val epoch, since;
    int rc = mdb_get(txn, state->dbi, &epoch_name, &epoch);

    if (rc == 0)
        rc = mdb_get(txn, state->dbi, &since_name, &since);
    if (rc != 0)
        return rc;
    if (epoch.mv_size != STATE_EPOCH_BYTES || since.mv_size != sizeof(state->since_ns))
        return MDB_NOTFOUND;
    memcpy(state->epoch, epoch.mv_data, STATE_EPOCH_BYTES);
    memcpy(&state->since_ns, since.mv_data, sizeof(state->since_ns));
    return 0;
}

/* Reads or makes the keys that are state's own. */
static int env_own_keys(struct state *state, MDB_txn *txn)
{
    MDB_val version = {sizeof(version_key) - 1, (void *)(uintptr_t)version_key};
    MDB_val text = {sizeof(version_text) - 1, (void *)(uintptr_t)version_text}, found;
    int rc = mdb_get(txn, state->dbi, &version, &found);

    if (rc == 0 && (found.mv_size != text.mv_size || memcmp(found.mv_data, text.mv_data, text.mv_size) != 0))
        return MDB_VERSION_MISMATCH;
    if (rc == MDB_NOTFOUND)
        rc = mdb_put(txn, state->dbi, &version, &text, 0);
    if (rc != 0)
        return rc;
    rc = state->renewed ? MDB_NOTFOUND : env_read_epoch(state, txn);
    return rc == MDB_NOTFOUND ? env_new_epoch(state, txn) : rc;
}

static int env_prepare(struct state *state)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(state->env, NULL, 0, &txn);

    if (rc != 0)
        return rc;
    rc = mdb_dbi_open(txn, NULL, 0, &state->dbi);
    if (rc == 0)
        rc = env_own_keys(state, txn);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

/* MDB_NOTLS: the load may run on another thread than the commits. */
static int env_open(struct state *state)
{
    struct stat status;
    int rc = mdb_env_create(&state->env);

    if (rc != 0)
        return state_fail(state, "state folder %.100s: %s", state->path, mdb_strerror(rc));
    rc = mdb_env_set_mapsize(state->env, env_map_bytes(state));
    if (rc == 0)
        rc = mdb_env_open(state->env, state->path, MDB_NOSYNC | MDB_NOTLS, 0600);
    if (rc == 0)
        rc = env_prepare(state);
    if (rc == 0 && env_measure(state, &status) != 0)
        rc = errno;
    if (rc == 0) {
        state->data_dev = status.st_dev;
        state->data_ino = status.st_ino;
        state->last_transaction = env_last_transaction(state);
        return 0;
    }
    mdb_env_close(state->env);
    state->env = NULL;
    if (rc == MDB_VERSION_MISMATCH)
        return state_fail(
            state,
            "state folder %.100s was written by another version of ailive; use that version, or "
            "name another folder with --state",
            state->path);
    return state_fail(state, "state folder %.100s does not open: %s", state->path, mdb_strerror(rc));
}

/* All that is committed, under a name of the folder. An errno or LMDB's error. */
static int state_copy(struct state *state, const char *name)
{
    int fd =
        openat(state->folder_fd, "copy.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc;

    if (fd < 0)
        return errno;
    rc = mdb_env_copyfd2(state->env, fd, 0);
    if (rc == 0 && folder_publish(state->folder_fd, fd, "copy.tmp", name) != 0)
        rc = errno;
    close(fd);
    if (rc != 0)
        unlinkat(state->folder_fd, "copy.tmp", 0);
    return rc;
}

/* ---- open and close ---- */

static void state_free(struct state *state)
{
    if (state->env != NULL)
        mdb_env_close(state->env);
    if (state->lock_fd >= 0)
        close(state->lock_fd);
    if (state->folder_fd >= 0)
        close(state->folder_fd);
    pthread_mutex_destroy(&state->busy);
    free(state);
}

static struct state *state_new(void)
{
    struct state *state = calloc(1, sizeof(*state));

    if (state == NULL)
        return NULL;
    state->folder_fd = state->lock_fd = -1;
    pthread_mutex_init(&state->busy, NULL);
    return state;
}

/* The boot mark is durable before the first write that a power loss could tear. */
static int state_open_on_disk(struct state *state, const char *dir)
{
    if (strlen(dir) >= sizeof(state->path))
        return state_fail(state, "state folder %.100s: %s; name another with --state", dir,
                          strerror(ENAMETOOLONG));
    snprintf(state->path, sizeof(state->path), "%s", dir);
    if (state_open_folder(state) != 0 || state_lock(state) != 0)
        return -1;
    if (state_check_names(state) != 0 || state_choose_data(state) != 0 ||
        state_mark_boot(state, "open") != 0 || env_open(state) != 0)
        return -1;
    state->renewed = false;
    if (mdb_env_sync(state->env, 1) != 0)
        log_warning("state folder %s: cannot sync: %s", state->path, strerror(errno));
    return 0;
}

int state_open(const char *dir, struct state **out, char *error, size_t error_cap)
{
    struct state *state = state_new();

    *out = NULL;
    if (state == NULL) {
        snprintf(error, error_cap, "out of memory");
        return -1;
    }
    state->in_memory = dir == NULL;
    if (dir != NULL && state_open_on_disk(state, dir) != 0) {
        snprintf(error, error_cap, "%s", state->error);
        state_free(state);
        return -1;
    }
    *out = state;
    return 0;
}

void state_close(struct state *state)
{
    if (state == NULL)
        return;
    if (!state->in_memory && state->env != NULL) {
        int rc = mdb_env_sync(state->env, 1);

        if (rc != 0 || state_mark_boot(state, "clean") != 0)
            log_error("state folder %s: not ended cleanly: %s", state->path,
                      rc != 0 ? mdb_strerror(rc) : state->error);
    }
    state_free(state);
}

/* ---- removed under us ---- */

/* A folder replaced by one with data in it is another matter: that is what a restart finds. */
int state_check(struct state *state)
{
    char data_path[PATHS_MAX_BYTES + 16];
    struct stat status;

    if (state->in_memory || state->env == NULL)
        return 0;
    snprintf(data_path, sizeof(data_path), "%s/data.mdb", state->path);
    if ((stat(data_path, &status) != 0 && (errno == ENOENT || errno == ENOTDIR)) ||
        (fstatat(state->folder_fd, "lock", &status, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT))
        return state_fail(state, "state folder %.100s: it, or what was in it, was removed while in use",
                          state->path);
    return 0;
}

/* The folder at our path becomes ours, as at a start. Until it is, we keep the one we have. */
static int state_take_folder(struct state *state)
{
    const int folder_fd = state->folder_fd, lock_fd = state->lock_fd;

    if (folder_in_place(state))
        return 0;
    state->folder_fd = state->lock_fd = -1;
    if (state_open_folder(state) == 0 && state_lock(state) == 0 && state_mark_boot(state, "open") == 0) {
        close(lock_fd);
        close(folder_fd);
        return 0;
    }
    if (state->lock_fd >= 0)
        close(state->lock_fd);
    if (state->folder_fd >= 0)
        close(state->folder_fd);
    state->folder_fd = folder_fd;
    state->lock_fd = lock_fd;
    return -1;
}

/* The removed data file is open still and holds every commit. */
static int env_rescue(struct state *state)
{
    int rc;

    if (state->env == NULL || folder_has(state->folder_fd, "data.mdb", true))
        return 0;
    rc = state_copy(state, "data.mdb");
    if (rc == MDB_PANIC) {
        log_error("state folder %s: what was in it was removed, and cannot be read after a failed write",
                  state->path);
        return 0;
    }
    if (rc != 0)
        return state_fail(state, "state folder %.100s was removed while in use and cannot be written: %s",
                          state->path, mdb_strerror(rc));
    state->syncs_since_copy = 0;
    log_warning("state folder %s: what was removed while in use is written again, whole", state->path);
    return 0;
}

/* The folder's, else the copy: as at a start. */
static int env_open_again(struct state *state)
{
    int status;

    if (state->env != NULL)
        mdb_env_close(state->env);
    state->env = NULL;
    status = folder_has(state->folder_fd, "data.mdb", true) ? 0 : state_begin(state);
    if (status == 0)
        status = env_open(state);
    if (status == 0)
        state->renewed = false;
    return status;
}

int state_reopen(struct state *state)
{
    int status;

    if (state->in_memory)
        return 0;
    pthread_mutex_lock(&state->busy);
    status = state_take_folder(state);
    if (status == 0)
        status = env_rescue(state);
    if (status == 0)
        status = env_open_again(state);
    pthread_mutex_unlock(&state->busy);
    return status;
}

/* ---- reading and writing ---- */

static void load_pairs(MDB_cursor *cursor, state_each_fn each, void *context, int *rc)
{
    MDB_val key, value;

    while ((*rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
        if (((const char *)key.mv_data)[0] != 'm')
            each(context, key.mv_data, key.mv_size, value.mv_data, value.mv_size);
}

int state_load(struct state *state, state_each_fn each, void *context)
{
    MDB_cursor *cursor;
    MDB_txn *txn;
    int rc;

    if (state->in_memory)
        return 0;
    if (state->env == NULL)
        return -1;
    rc = mdb_txn_begin(state->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return state_fail(state, "state folder %.100s cannot be read: %s", state->path, mdb_strerror(rc));
    rc = mdb_cursor_open(txn, state->dbi, &cursor);
    if (rc == 0) {
        load_pairs(cursor, each, context, &rc);
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    if (rc != MDB_NOTFOUND)
        return state_fail(state, "state folder %.100s cannot be read: %s", state->path, mdb_strerror(rc));
    return 0;
}

static int write_pair(struct state *state, MDB_txn *txn, const struct change_list *list,
                      const struct change *change)
{
    MDB_val key = {change->key_len, list->bytes + change->key_offset};
    MDB_val value = {change->value_len, list->bytes + change->value_offset};
    int rc;

    if (change->value_len > 0)
        return mdb_put(txn, state->dbi, &key, &value, 0);
    rc = mdb_del(txn, state->dbi, &key, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int write_list(struct state *state, const struct change_list *list)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(state->env, NULL, 0, &txn);

    if (rc != 0)
        return rc;
    for (size_t i = 0; i < list->count && rc == 0; i++)
        rc = write_pair(state, txn, list, &list->items[i]);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

/* Doubles the map; false: it is as large as it may be. */
static bool env_grow(struct state *state)
{
    MDB_envinfo info;
    int rc;

    pthread_mutex_lock(&state->busy);
    rc = mdb_env_info(state->env, &info);
    if (rc == 0 && info.me_mapsize * 2 <= MAP_MAX_BYTES)
        rc = mdb_env_set_mapsize(state->env, info.me_mapsize * 2);
    else
        rc = MDB_MAP_FULL;
    pthread_mutex_unlock(&state->busy);
    return rc == 0;
}

int state_commit(struct state *state, const struct change_list *list)
{
    int rc;

    if (state->in_memory || list->count == 0)
        return 0;
    if (state->env == NULL)
        return -1;
    if (env_last_transaction(state) != state->last_transaction)
        return state_fail(state, "state folder %.100s: data.mdb was written over while in use", state->path);
    do
        rc = write_list(state, list);
    while (rc == MDB_MAP_FULL && env_grow(state));
    state->last_transaction = env_last_transaction(state);
    if (rc != 0) /* LMDB's name for a write cut short is EIO */
        return state_fail(state, "state folder %.100s cannot be written: %s%s", state->path, mdb_strerror(rc),
                          rc == EIO ? " (or a write cut short by a full disk, a quota or a limit)" : "");
    if (!env_in_place(state))
        return state_fail(state, "state folder %.100s: data.mdb was removed or replaced while in use",
                          state->path);
    atomic_fetch_add_explicit(&state->unsynced, 1, memory_order_relaxed);
    return 0;
}

static int probe_commit(struct state *state, size_t len_bytes)
{
    static const char zeroes[PROBE_BYTES];
    struct change_list list;
    int status = -1;

    change_list_init(&list);
    if (change_list_put(&list, probe_key, sizeof(probe_key) - 1, zeroes, len_bytes))
        status = state_commit(state, &list);
    change_list_fini(&list);
    return status;
}

int state_probe(struct state *state)
{
    return probe_commit(state, PROBE_BYTES) == 0 && probe_commit(state, 0) == 0 ? 0 : -1;
}

/* ---- sync ---- */

/* Called with `busy` held. The first sync with something new makes the first copy. */
static int state_sync_now(struct state *state)
{
    int rc = mdb_env_sync(state->env, 1);

    if (rc == 0 && state->syncs_since_copy++ % COPY_EVERY == 0)
        rc = state_copy(state, "copy.mdb");
    return rc;
}

int state_sync(struct state *state)
{
    int rc = 0;

    if (state->in_memory)
        return 0;
    pthread_mutex_lock(&state->busy);
    if (state->env != NULL && atomic_exchange_explicit(&state->unsynced, 0, memory_order_relaxed) > 0)
        rc = state_sync_now(state);
    if (rc != 0) { /* try again at the next call */
        atomic_fetch_add_explicit(&state->unsynced, 1, memory_order_relaxed);
        snprintf(state->sync_error, sizeof(state->sync_error), "state folder %.100s cannot be synced: %s",
                 state->path, mdb_strerror(rc));
    }
    pthread_mutex_unlock(&state->busy);
    return rc == 0 ? 0 : -1;
}

const char *state_sync_error(const struct state *state)
{
    return state->sync_error;
}

const unsigned char *state_epoch(const struct state *state)
{
    return state->epoch;
}

int64_t state_since_ns(const struct state *state)
{
    return state->since_ns;
}

const char *state_error(const struct state *state)
{
    return state->error;
}

uint64_t state_size_bytes(const struct state *state)
{
    return atomic_load_explicit(&state->size_bytes, memory_order_relaxed);
}
