/* doctor_host.c - what of the machine itself producers and sidecar need: kernel, clocks, folders, socket,
 * event file.
 *
 * Place on the route: before it, asked by a person. Owns nothing; one thread. Makes no file: a folder is
 * writable when the kernel says so.
 */
#include "doctor.h"

#include <wire/paths.h>
#include <wire/url.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MIB               (UINT64_C(1) << 20)
#define RUNTIME_LEAST     (16 * MIB)   /* eight threads' rings of the default size */
#define SPOOL_LEAST       (64 * MIB)   /* one spool file of the default size */
#define SPOOL_WANTED      (1024 * MIB) /* a producer's spool at its default limit */
#define STATE_LEAST       (64 * MIB)
#define DESCRIPTORS_LEAST 1024u

/* ---- kernel and clocks ---- */

static bool wipes_on_fork(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool fine = memory != MAP_FAILED && madvise(memory, page, MADV_WIPEONFORK) == 0;

    if (memory != MAP_FAILED)
        munmap(memory, page);
    return fine;
}

static bool locks_descriptions(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = memfd_create("ailive-doctor", MFD_CLOEXEC);
    bool fine = fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) == 0;

    if (fd >= 0)
        close(fd);
    return fine;
}

static void check_kernel(struct doctor *doctor)
{
    if (!wipes_on_fork())
        doctor_say(doctor, DOCTOR_FAIL, "kernel", "use Linux 4.14 or newer",
                   "madvise(MADV_WIPEONFORK): %s; forked hosts need it", strerror(errno));
    else if (!locks_descriptions())
        doctor_say(doctor, DOCTOR_FAIL, "kernel", "use Linux 3.15 or newer, without a filter on fcntl",
                   "fcntl(F_OFD_SETLK): %s; owners are told apart by it", strerror(errno));
    else
        doctor_say(doctor, DOCTOR_OK, "kernel", "", "forked memory is wiped, locks belong to descriptions");
}

static void check_inotify(struct doctor *doctor)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (fd >= 0) {
        close(fd);
        doctor_say(doctor, DOCTOR_OK, "inotify", "", "changes of files are told");
        return;
    }
    doctor_say(doctor, DOCTOR_WARN, "inotify", "sysctl fs.inotify.max_user_instances=512",
               "inotify_init1: %s; files are looked at every second instead", strerror(errno));
}

static void check_descriptors(struct doctor *doctor)
{
    struct rlimit limit = {0};

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= DESCRIPTORS_LEAST)
        doctor_say(doctor, DOCTOR_OK, "descriptors", "", "%llu may be open",
                   (unsigned long long)limit.rlim_cur);
    else
        doctor_say(doctor, DOCTOR_WARN, "descriptors", "ulimit -n 1024, or LimitNOFILE= of the service",
                   "only %llu may be open: a sidecar with many producers and scrapers wants %u",
                   (unsigned long long)limit.rlim_cur, DESCRIPTORS_LEAST);
}

static bool counter_is_invariant(void)
{
#if defined(__x86_64__) || defined(__i386__)
    unsigned a, b, c, d;

    return __get_cpuid(0x80000007u, &a, &b, &c, &d) && (d & 1u << 8) != 0;
#else
    return true; /* AArch64's generic timer is */
#endif
}

static void check_clock(struct doctor *doctor)
{
    struct timex clock = {0};

    if (counter_is_invariant())
        doctor_say(doctor, DOCTOR_OK, "counter", "", "the time stamp counter is invariant");
    else
        doctor_say(doctor, DOCTOR_WARN, "counter", "a virtual machine: pass the host's CPU through",
                   "no invariant time stamp counter: each recording calls clock_gettime instead");
    if (adjtimex(&clock) == TIME_ERROR || (clock.status & STA_UNSYNC) != 0)
        doctor_say(doctor, DOCTOR_WARN, "clock", "apt-get install chrony",
                   "not synchronised: ages of events of other machines are wrong");
    else
        doctor_say(doctor, DOCTOR_OK, "clock", "", "synchronised");
}

/* ---- folders ---- */

/* The folder itself, or the nearest one above that is there: where it would be made. */
static void nearest(const char *path, char out[PATHS_MAX_BYTES], struct stat *status)
{
    snprintf(out, PATHS_MAX_BYTES, "%s", path);
    while (stat(out, status) != 0) {
        char *slash = strrchr(out, '/');

        if (slash == NULL || slash == out) {
            snprintf(out, PATHS_MAX_BYTES, slash == NULL ? "." : "/");
            if (stat(out, status) != 0)
                memset(status, 0, sizeof(*status));
            return;
        }
        *slash = '\0';
    }
}

static uint64_t free_bytes(const struct statfs *system)
{
    return (uint64_t)system->f_bavail * (uint64_t)system->f_bsize;
}

/* Whether it is a folder we may write in (or make), with room. Says so when not. */
static bool usable(struct doctor *doctor, const char *check, const char *path, uint64_t least,
                   struct statfs *system)
{
    char there[PATHS_MAX_BYTES];
    struct stat status;

    nearest(path, there, &status);
    if (!S_ISDIR(status.st_mode)) {
        doctor_say(doctor, DOCTOR_FAIL, check, "name a folder, or move the file away",
                   "%.300s is no folder, so %.300s cannot be used", there, path);
        return false;
    }
    if (access(there, W_OK | X_OK) != 0) {
        doctor_say(doctor, DOCTOR_FAIL, check,
                   "join its group (usermod -aG ailive USER) or name a folder of your own",
                   "%.300s: %s for this user", there, strerror(errno));
        return false;
    }
    if (statfs(there, system) == 0 && free_bytes(system) < least) {
        doctor_say(doctor, DOCTOR_FAIL, check, "make room", "%.300s has %llu MiB left, wanted %llu", there,
                   (unsigned long long)(free_bytes(system) / MIB), (unsigned long long)(least / MIB));
        return false;
    }
    return true;
}

static void check_runtime(struct doctor *doctor, const char *path)
{
    struct statfs system = {0};
    struct stat status = {.st_mode = 0700};

    if (!usable(doctor, "runtime", path, RUNTIME_LEAST, &system))
        return;
    (void)stat(path, &status); /* not there yet: it will be 0700 */
    if ((status.st_mode & 0007) != 0)
        doctor_say(doctor, DOCTOR_FAIL, "runtime", "chmod o-rwx on it",
                   "%.300s is open to every user (mode %o)", path, status.st_mode & 07777);
    else if ((status.st_mode & S_IWGRP) != 0 && (status.st_mode & S_ISGID) == 0)
        doctor_say(doctor, DOCTOR_FAIL, "runtime", "chmod 2770 on it",
                   "%.300s is its group's, but what is made in it will not be (no setgid, mode %o)", path,
                   status.st_mode & 07777);
    else if (system.f_type != TMPFS_MAGIC)
        doctor_say(doctor, DOCTOR_WARN, "runtime", "use a folder below /run or /dev/shm",
                   "%.300s is not on tmpfs: recording threads may wait for the disk", path);
    else
        doctor_say(doctor, DOCTOR_OK, "runtime", "", "%.300s, tmpfs, %llu MiB left", path,
                   (unsigned long long)(free_bytes(&system) / MIB));
}

static void check_spool(struct doctor *doctor, const char *path)
{
    struct statfs system = {0};

    if (!usable(doctor, "spool", path, SPOOL_LEAST, &system))
        return;
    if (free_bytes(&system) < SPOOL_WANTED)
        doctor_say(doctor, DOCTOR_WARN, "spool", "make room, or lower spool_max_bytes",
                   "%.300s has %llu MiB left: less than one producer may spool", path,
                   (unsigned long long)(free_bytes(&system) / MIB));
    else
        doctor_say(doctor, DOCTOR_OK, "spool", "", "%.300s, %llu MiB left", path,
                   (unsigned long long)(free_bytes(&system) / MIB));
}

static void check_state(struct doctor *doctor, const char *path)
{
    struct statfs system = {0};

    if (usable(doctor, "state", path, STATE_LEAST, &system))
        doctor_say(doctor, DOCTOR_OK, "state", "", "%.300s, %llu MiB left", path,
                   (unsigned long long)(free_bytes(&system) / MIB));
}

static void check_folders(struct doctor *doctor, const struct doctor_options *options,
                          char runtime[PATHS_MAX_BYTES])
{
    static const char mend[] = "name one, or set HOME";
    char path[PATHS_MAX_BYTES];

    if (paths_runtime(options->runtime, runtime, PATHS_MAX_BYTES))
        check_runtime(doctor, runtime);
    else
        doctor_say(doctor, DOCTOR_FAIL, "runtime", mend, "no rule gives a folder");
    if (paths_spool(options->spool, path, sizeof(path)))
        check_spool(doctor, path);
    else
        doctor_say(doctor, DOCTOR_FAIL, "spool", mend, "no rule gives a folder");
    if (paths_state(options->state, path, sizeof(path)))
        check_state(doctor, path);
    else
        doctor_say(doctor, DOCTOR_FAIL, "state", mend, "no rule gives a folder");
}

/* ---- socket and event file ---- */

static void connect_failed(struct doctor *doctor, const char *path, int cause)
{
    switch (cause) {
    case ENOENT:
    case ECONNREFUSED:
        doctor_say(doctor, DOCTOR_WARN, "socket", "start it: ailive sidecar, or systemctl start ailive",
                   "no sidecar listens on %.107s: records go to the spool", path);
        break;
    case EACCES:
        doctor_say(doctor, DOCTOR_FAIL, "socket", "join its group (usermod -aG ailive USER) and log in anew",
                   "%.107s: this user may not connect", path);
        break;
    default:
        doctor_say(doctor, DOCTOR_FAIL, "socket", "name another with --ipc, or move away what is there",
                   "%.107s: %s", path, strerror(cause));
    }
}

static void check_socket(struct doctor *doctor, const char *given, const char *runtime)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[PATHS_MAX_BYTES];
    struct stat status;
    struct url url;
    const char *wrong;
    int fd;

    wrong = paths_ipc_url(given, runtime, text, sizeof(text)) ? url_read(text, false, &url)
                                                              : "the URL is too long";
    if (wrong != NULL) {
        doctor_say(doctor, DOCTOR_FAIL, "socket", "mend $AILIVE_IPC_URL or --ipc", "%.200s: %s", text, wrong);
        return;
    }
    if (url.road != URL_IPC) {
        doctor_say(doctor, DOCTOR_OK, "socket", "", "%.200s is not ipc:// and not looked at", text);
        return;
    }
    if (stat(url.path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
        connect_failed(doctor, url.path, ENOTSOCK);
        return;
    }
    memcpy(address.sun_path, url.path, sizeof(url.path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        doctor_say(doctor, DOCTOR_OK, "socket", "", "a sidecar listens on %s", url.path);
    else
        connect_failed(doctor, url.path, errno);
    if (fd >= 0)
        close(fd);
}

static void check_events(struct doctor *doctor, const char *given)
{
    char path[PATHS_MAX_BYTES], folder[PATHS_MAX_BYTES];
    struct stat status;

    snprintf(path, sizeof(path), "%s", given != NULL ? given : "");
    if (path[0] == '\0' && !paths_env("PEAK_TRADE_AI_EVENTS_JSONL", NULL, path, sizeof(path)))
        doctor_say(doctor, DOCTOR_FAIL, "events", "shorten it", "$PEAK_TRADE_AI_EVENTS_JSONL is too long");
    else if (path[0] == '\0')
        doctor_say(doctor, DOCTOR_OK, "events", "", "no event file is named");
    else if (access(path, R_OK) == 0)
        doctor_say(doctor, DOCTOR_OK, "events", "", "%.300s can be read", path);
    else if (errno != ENOENT)
        doctor_say(doctor, DOCTOR_FAIL, "events", "chmod g+r for the sidecar's group, g+x on its folders",
                   "%.300s: %s for this user", path, strerror(errno));
    else {
        nearest(path, folder, &status);
        doctor_say(doctor, DOCTOR_WARN, "events", "start its writer, or mend $PEAK_TRADE_AI_EVENTS_JSONL",
                   "%.300s is not there yet (%.300s is): the sidecar waits for it", path, folder);
    }
}

void doctor_host(struct doctor *doctor, const struct doctor_options *options)
{
    char runtime[PATHS_MAX_BYTES] = "";

    check_kernel(doctor);
    check_inotify(doctor);
    check_descriptors(doctor);
    check_clock(doctor);
    check_folders(doctor, options, runtime);
    check_socket(doctor, options->ipc, runtime);
    check_events(doctor, options->jsonl);
}
