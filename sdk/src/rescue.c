/* rescue.c - dead producers' folders into the spool; see rescue.h.
 *
 * Place on the route: dead producer's folder -> [rescue] -> road_spool -> sidecar's spool reader. Owns the
 * folder's lock and a spool file of the dead producer, both for the length of a pass, and never lets a forked
 * child keep them. Shipper's thread only. Never trusts the folder, never deletes what it cannot read or has
 * not written, never writes into a file that was there before.
 *
 * Whoever holds the lock of a dead producer is its successor: the rules of layout.h for the shipper hold for
 * it. A tail moves when the lines below it are whole in a file, so that a kill between any two instructions
 * costs at most lines that come twice, which the sidecar tells by their numbers, and the next pass goes on
 * where the tail says. Numbers below the first tail were acknowledged, perhaps to a state that is gone:
 * before the folder goes, a last line for each ring gives up what neither the sidecar nor the spool up to
 * here knows. */
#include "instance.h"

#include "wire/batch.h"
#include "wire/remains.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORTION_SLOTS 512u
#define FOLDERS_MAX   4096u /* looked at in one pass */

/* Storage of a pass, mapped for it alone: hardly any shipper ever needs it. */
struct work {
    struct remains remains;
    const struct layout_name *by_id[BATCH_IDS];
    unsigned char slots[PORTION_SLOTS * AILIVE_SLOT_BYTES];
    struct road_spool road;
};

struct pass {
    struct ailive *instance;
    struct work *work;
    int64_t budget_bytes;
    int64_t utc_ns;
    int runtime_fd;
    /* The folder under way. */
    const char *name;
    struct event_producer producer;
    int folder_fd;
    uint64_t records;
    char why[160];
};

enum outcome {
    RESCUE_DONE = 0,
    RESCUE_LATER, /* budget, cap or a failure: what is out is out, the rest stays */
    RESCUE_LEFT   /* not ours to move: why says what is wrong */
};

static struct process_fd *note_of(const struct pass *pass, enum process_rescue which)
{
    return &pass->instance->fds.rescue[which];
}

static struct rescue *rescue_of(const struct pass *pass)
{
    return &pass->instance->live->shipper.rescue;
}

/* ---- lines ---- */

static struct spool_text text_of(const struct layout_name *name)
{
    return (struct spool_text){name->text, name->len_bytes};
}

static size_t line_of(const struct pass *pass, uint32_t ring, uint64_t seq, const unsigned char *slot,
                      char *line)
{
    const struct layout_name *const *by_id = pass->work->by_id;
    struct spool_record record = {.producer = pass->producer, .ring = ring, .seq = seq};

    remains_row(&pass->work->remains, slot, pass->utc_ns, &record.row);
    if (!batch_row_valid(&record.row, by_id))
        return spool_format_invalid(&record.producer, ring, seq, record.row.time_ns, line);
    record.component = text_of(by_id[record.row.component]);
    record.run_id = text_of(by_id[record.row.run_id]);
    if (record.row.kind == AILIVE_KIND_DECISION)
        record.reason = text_of(by_id[record.row.reason]);
    if (record.row.kind == AILIVE_KIND_STAGE)
        record.stage = text_of(by_id[record.row.stage]);
    return spool_format_record(&record, line);
}

static enum outcome failed(struct pass *pass)
{
    struct rescue *rescue = rescue_of(pass);
    int error = errno;

    if (!rescue->failed)
        instance_log(pass->instance, AILIVE_LOG_WARNING,
                     "%s failed: %s; what dead producer %s left behind stays in '%s' for a later try",
                     pass->work->road.failed, strerrordesc_np(error), pass->name,
                     pass->instance->kept->settings.runtime);
    rescue->failed = true;
    return RESCUE_LATER;
}

static enum outcome full(struct pass *pass)
{
    struct rescue *rescue = rescue_of(pass);

    if (!rescue->full)
        instance_log(pass->instance, AILIVE_LOG_WARNING,
                     "the spool in '%s' is at its limit: what dead producer %s left behind stays in '%s'",
                     pass->instance->kept->settings.spool, pass->name,
                     pass->instance->kept->settings.runtime);
    rescue->full = true;
    return RESCUE_LATER;
}

static enum outcome lines_flush(struct pass *pass)
{
    struct road_spool *road = &pass->work->road;

    pass->budget_bytes -= (int64_t)road->buffered;
    return road_spool_flush(road) == ROAD_SPOOL_OK ? RESCUE_DONE : failed(pass);
}

/* A line that is no record: few of them, and without them a count would be lost, so beyond the cap too. */
static enum outcome line_put(struct pass *pass, const char *line, size_t len_bytes)
{
    struct road_spool *road = &pass->work->road;
    enum outcome outcome = RESCUE_DONE;

    if (road_spool_add(road, line, len_bytes, true) == ROAD_SPOOL_OK)
        return RESCUE_DONE;
    outcome = lines_flush(pass);
    if (outcome == RESCUE_DONE)
        (void)road_spool_add(road, line, len_bytes, true); /* an empty chunk takes any line */
    return outcome;
}

/* ---- one ring ---- */

/* Opens and checks a ring; its descriptor is PROCESS_RESCUE_FILE. false: why says what is wrong. */
static bool ring_begin(struct pass *pass, uint32_t number, struct layout_ring *ring)
{
    int fd = remains_ring_open(pass->folder_fd, number, O_RDWR, ring, pass->why, sizeof(pass->why));

    if (fd < 0)
        return false;
    snprintf(pass->why, sizeof(pass->why), "ring-%u: its descriptor was closed at once", number);
    return process_fd_set(note_of(pass, PROCESS_RESCUE_FILE), fd) == 0;
}

/* Stores one word of the ring's header. Nobody else writes it: the lock is ours. */
static enum outcome word_store(struct pass *pass, size_t offset, uint64_t word)
{
    const struct process_fd *file = note_of(pass, PROCESS_RESCUE_FILE);

    errno = EBADF;
    if (process_fd_ours(file) &&
        pwrite(file->fd, &word, sizeof(word), (off_t)offset) == (ssize_t)sizeof(word))
        return RESCUE_DONE;
    pass->work->road.failed = "writing a dead producer's ring";
    return failed(pass);
}

/* Range drops first, and emptied once they are lines: one that its owner was killed while writing reaches
 * beyond the tail and stands for nothing, but would once the tail moves. */
static enum outcome drops_move(struct pass *pass, const struct layout_ring *ring)
{
    enum outcome outcome = RESCUE_DONE;
    char line[SPOOL_LINE_MAX_BYTES];
    uint64_t first, end;

    for (size_t i = 0; i < LAYOUT_RANGE_DROPS && outcome == RESCUE_DONE; i++)
        if (remains_drop(ring, i, &first, &end))
            outcome = line_put(pass, line,
                               spool_format_drop(&pass->producer, ring->number, first, end - first,
                                                 (enum event_drop)ring->drops[i].reason, line));
    if (outcome == RESCUE_DONE)
        outcome = lines_flush(pass);
    for (size_t i = 0; i < LAYOUT_RANGE_DROPS && outcome == RESCUE_DONE; i++)
        if (ring->drops[i].end > ring->drops[i].first)
            outcome = word_store(pass, offsetof(struct layout_ring, drops[i].end), ring->drops[i].first);
    return outcome;
}

/* Fills one chunk with the oldest records, writes it, moves the tail behind it. */
static enum outcome chunk_move(struct pass *pass, struct layout_ring *ring)
{
    const struct process_fd *file = note_of(pass, PROCESS_RESCUE_FILE);
    uint64_t left = ring->head - ring->tail, n = 0;
    size_t count = left < PORTION_SLOTS ? (size_t)left : PORTION_SLOTS;
    enum road_spool_status status = ROAD_SPOOL_OK;
    char line[SPOOL_LINE_MAX_BYTES];

    /* Asked after the reading: if the number is still the ring's, it was while we read. */
    if (!remains_slots(file->fd, ring, ring->tail, count, pass->work->slots) || !process_fd_ours(file)) {
        pass->work->road.failed = "reading a dead producer's ring";
        return failed(pass);
    }
    while (n < count && status == ROAD_SPOOL_OK) {
        const unsigned char *slot = pass->work->slots + n * AILIVE_SLOT_BYTES;
        status = road_spool_add(&pass->work->road, line,
                                line_of(pass, ring->number, ring->tail + n, slot, line), false);
        n += status == ROAD_SPOOL_OK;
    }
    if (lines_flush(pass) != RESCUE_DONE)
        return RESCUE_LATER;
    ring->tail += n;
    pass->records += n;
    if (n > 0 && word_store(pass, offsetof(struct layout_ring, tail), ring->tail) != RESCUE_DONE)
        return RESCUE_LATER;
    return status == ROAD_SPOOL_FULL ? full(pass) : RESCUE_DONE;
}

static enum outcome ring_move(struct pass *pass, uint32_t number)
{
    struct layout_ring ring;
    enum outcome outcome;

    if (!ring_begin(pass, number, &ring))
        return RESCUE_LEFT;
    outcome = drops_move(pass, &ring);
    while (outcome == RESCUE_DONE && ring.tail != ring.head)
        outcome = pass->budget_bytes > 0 ? chunk_move(pass, &ring) : RESCUE_LATER;
    process_fd_close(note_of(pass, PROCESS_RESCUE_FILE));
    return outcome;
}

/* Its door words; and that below its tail nothing else will come. The sidecar reads a producer's files in
 * order, so it has seen every line before this one. */
static enum outcome ring_last(struct pass *pass, uint32_t number)
{
    struct layout_ring ring;
    char line[SPOOL_LINE_MAX_BYTES];
    enum outcome outcome = RESCUE_DONE;

    if (!ring_begin(pass, number, &ring))
        return RESCUE_LEFT;
    process_fd_close(note_of(pass, PROCESS_RESCUE_FILE));
    if (ring.door[EVENT_DROP_RING_FULL] != 0 || ring.door[EVENT_DROP_NO_RING] != 0)
        outcome = line_put(pass, line, spool_format_door(&pass->producer, number, ring.door, line));
    if (outcome == RESCUE_DONE && ring.tail != 0)
        outcome = line_put(pass, line,
                           spool_format_drop(&pass->producer, number, 0, ring.tail, EVENT_DROP_LOST, line));
    return outcome;
}

static enum outcome rings_each(struct pass *pass, enum outcome (*each)(struct pass *pass, uint32_t number))
{
    const struct remains *remains = &pass->work->remains;
    enum outcome outcome = RESCUE_DONE;

    for (size_t i = 0; i < remains->ring_count && outcome == RESCUE_DONE; i++)
        outcome = each(pass, remains->rings[i]);
    return outcome;
}

/* ---- one folder ---- */

/* All of its spool must be one series of files in one folder, or nobody could tell when it is read to its
 * end; and once its folder is gone, only ours names that one to the sidecar. */
static bool spool_is_ours(struct pass *pass)
{
    const char *ours = pass->instance->kept->settings.spool;
    char theirs[PATHS_MAX_BYTES];
    struct stat a, b;

    if (*ours != '/' || !remains_lock_value(pass->folder_fd, "spool", theirs, sizeof(theirs)))
        return false;
    if (theirs[0] == '\0' || strcmp(ours, theirs) == 0)
        return true;
    return theirs[0] == '/' && stat(ours, &a) == 0 && stat(theirs, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static enum outcome ring_check(struct pass *pass, uint32_t number)
{
    struct layout_ring ring;
    bool fine = ring_begin(pass, number, &ring);

    process_fd_close(note_of(pass, PROCESS_RESCUE_FILE));
    return fine ? RESCUE_DONE : RESCUE_LEFT;
}

/* Everything is looked at before anything is moved: what this version cannot read is left whole. */
static enum outcome folder_check(struct pass *pass)
{
    int error;

    if (!spool_is_ours(pass)) {
        snprintf(pass->why, sizeof(pass->why), "its spool folder is another one than ours");
        return RESCUE_LEFT;
    }
    error = remains_read(&pass->work->remains, pass->folder_fd, pass->why, sizeof(pass->why));
    if (error > 0)
        return RESCUE_LATER;
    return error < 0 ? RESCUE_LEFT : rings_each(pass, ring_check);
}

/* The producer's next file follows the last one that is there; the cap is that of the whole folder, because
 * the dead may be many. */
static bool road_begin(struct pass *pass)
{
    const struct instance_settings *settings = &pass->instance->kept->settings;
    struct road_spool *road = &pass->work->road;
    struct event_producer producer;
    struct remains_list list;
    struct stat st;
    const char *name;
    uint64_t number;
    int fd = open(settings->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    memset(road, 0, offsetof(struct road_spool, chunk));
    road->file = note_of(pass, PROCESS_RESCUE_SPOOL);
    road->folder = settings->spool;
    road->producer = pass->producer;
    road->file_bytes = settings->spool_file_bytes;
    road->max_bytes = settings->spool_max_bytes;
    if (fd < 0)
        return errno == ENOENT; /* made with the first file */
    if (remains_list_open(&list, fd) == 0)
        while ((name = remains_list_next(&list)) != NULL) {
            if (!spool_file_name_parse(name, &producer, &number))
                continue;
            if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
                road->others += (uint64_t)st.st_size;
            if (memcmp(&producer, &pass->producer, sizeof(producer)) == 0 && number > road->number)
                road->number = number;
        }
    remains_list_close(&list);
    close(fd);
    road->total = road->others;
    return road->number < UINT64_MAX;
}

static enum outcome folder_move(struct pass *pass)
{
    struct work *work = pass->work;
    struct batch names = {.names = work->remains.names, .name_count = work->remains.name_count};
    enum outcome outcome;

    if (!road_begin(pass)) {
        work->road.failed = "listing the spool folder";
        return failed(pass);
    }
    batch_index_names(&names, work->by_id);
    outcome = rings_each(pass, ring_move);
    if (outcome == RESCUE_DONE)
        outcome = rings_each(pass, ring_last);
    if (outcome == RESCUE_DONE)
        outcome = lines_flush(pass);
    batch_unindex_names(&names, work->by_id);
    road_spool_rest(&work->road);
    return outcome;
}

static void folder_leave_alone(struct pass *pass)
{
    struct rescue *rescue = rescue_of(pass);

    if (rescue->left_count < RESCUE_LEFT_MAX)
        rescue->left[rescue->left_count++] = pass->producer;
    instance_log(pass->instance, AILIVE_LOG_WARNING,
                 "what dead producer %s left behind stays in '%s' for a sidecar: %s", pass->name,
                 pass->instance->kept->settings.runtime, pass->why);
}

static void folder_done(struct pass *pass)
{
    int error;

    if (!process_fd_ours(note_of(pass, PROCESS_RESCUE_RUNTIME)) ||
        !process_fd_ours(note_of(pass, PROCESS_RESCUE_FOLDER)))
        return; /* the host closed everything it did not know: another pass */
    error = remains_remove(pass->runtime_fd, pass->name, pass->folder_fd);
    if (error != 0) {
        snprintf(pass->why, sizeof(pass->why), "its records are in the spool, but it cannot be removed: %s",
                 strerrordesc_np(error));
        folder_leave_alone(pass);
        return;
    }
    rescue_of(pass)->full = rescue_of(pass)->failed = false;
    instance_log(pass->instance, AILIVE_LOG_INFO,
                 "what dead producer %s left behind is in the spool in '%s', %llu records of it by this pass",
                 pass->name, pass->instance->kept->settings.spool, (unsigned long long)pass->records);
}

/* Called with the folder's lock held. */
static enum outcome folder_rescue(struct pass *pass)
{
    enum outcome outcome = folder_check(pass);

    pass->budget_bytes -= RESCUE_FOLDER_COST;
    pass->records = 0;
    if (outcome == RESCUE_DONE)
        outcome = folder_move(pass);
    /* The host closed everything it did not know: nothing is wrong with the folder. */
    if (outcome == RESCUE_LEFT && !process_fd_ours(note_of(pass, PROCESS_RESCUE_FOLDER)))
        outcome = RESCUE_LATER;
    if (outcome == RESCUE_DONE)
        folder_done(pass);
    else if (outcome == RESCUE_LEFT)
        folder_leave_alone(pass);
    return outcome;
}

/* The lock is kept by a mapping: neither a host that closes our descriptors nor a forked child gives it back
 * or keeps it. */
static enum outcome folder_locked(struct pass *pass, int lock_fd)
{
    struct process_fd *file = note_of(pass, PROCESS_RESCUE_FILE);
    enum outcome outcome = RESCUE_DONE;
    void *page = NULL;
    bool locked;

    if (process_fd_set(file, lock_fd) != 0)
        return RESCUE_DONE;
    locked = process_hold(lock_fd, &page) == 0 &&
             remains_lock(pass->runtime_fd, pass->name, pass->folder_fd, lock_fd);
    process_fd_close(file);
    if (locked)
        outcome = folder_rescue(pass);
    process_release(page);
    return outcome;
}

static enum outcome folder_look(struct pass *pass)
{
    struct process_fd *folder = note_of(pass, PROCESS_RESCUE_FOLDER);
    enum outcome outcome = RESCUE_DONE;
    int lock_fd;

    pass->folder_fd = remains_open(pass->runtime_fd, pass->name);
    if (pass->folder_fd < 0 || process_fd_set(folder, pass->folder_fd) != 0)
        return RESCUE_DONE;
    lock_fd = remains_lock_open(pass->folder_fd);
    if (lock_fd >= 0)
        outcome = folder_locked(pass, lock_fd);
    else if (errno == ENOENT)
        (void)unlinkat(pass->runtime_fd, pass->name, AT_REMOVEDIR); /* its remover was killed before that */
    process_fd_close(folder);
    return outcome;
}

/* ---- a pass ---- */

static bool left_alone(const struct pass *pass)
{
    const struct rescue *rescue = rescue_of(pass);

    for (uint32_t i = 0; i < rescue->left_count; i++)
        if (memcmp(&rescue->left[i], &pass->producer, sizeof(pass->producer)) == 0)
            return true;
    return rescue->left_count == RESCUE_LEFT_MAX ||
           memcmp(&pass->instance->live->producer, &pass->producer, sizeof(pass->producer)) == 0;
}

/* The next name, while both descriptors are ours: neither from a host's listing nor into its folder. */
static const char *runtime_next(const struct pass *pass, struct remains_list *list)
{
    return process_fd_ours(note_of(pass, PROCESS_RESCUE_LIST)) &&
                   process_fd_ours(note_of(pass, PROCESS_RESCUE_RUNTIME))
               ? remains_list_next(list)
               : NULL;
}

/* true: the budget is used up, and there may be more. */
static bool runtime_scan(struct pass *pass)
{
    enum outcome outcome = RESCUE_DONE;
    struct remains_list list;
    uint32_t seen = 0;

    if (remains_list_open(&list, pass->runtime_fd) != 0 ||
        process_fd_set(note_of(pass, PROCESS_RESCUE_LIST), list.fd) != 0)
        return false;
    while (outcome != RESCUE_LATER && pass->budget_bytes > 0 && seen++ < FOLDERS_MAX &&
           (pass->name = runtime_next(pass, &list)) != NULL) {
        if (remains_half_made(pass->name))
            remains_half_made_remove(pass->runtime_fd, pass->name, pass->utc_ns);
        else if (event_producer_parse(pass->name, strlen(pass->name), &pass->producer) && !left_alone(pass))
            outcome = folder_look(pass);
    }
    process_fd_close(note_of(pass, PROCESS_RESCUE_LIST));
    return pass->budget_bytes <= 0;
}

/* A sidecar that is there takes them itself, even while it is slow to answer. */
static bool sidecar_is_there(int runtime_fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = openat(runtime_fd, REMAINS_SIDECAR, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool held = fd >= 0 && fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;

    if (fd >= 0)
        close(fd);
    return held;
}

static struct work *work_map(void)
{
    struct work *work = mmap(NULL, sizeof(*work), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (work == MAP_FAILED)
        return NULL;
    (void)madvise(work, sizeof(*work), MADV_DONTFORK); /* a child would never know of it */
    return work;
}

static bool pass_run(struct ailive *instance, int runtime_fd)
{
    struct pass pass = {.instance = instance, .runtime_fd = runtime_fd, .budget_bytes = RESCUE_PASS_BYTES};
    struct layout_clock_pair now;
    bool more;

    pass.work = work_map();
    if (!pass.work)
        return false;
    clock_pair_take(&now);
    pass.utc_ns = now.utc_ns;
    more = runtime_scan(&pass);
    munmap(pass.work, sizeof(*pass.work));
    return more;
}

bool rescue_round(struct ailive *instance)
{
    struct process_fd *runtime = &instance->fds.rescue[PROCESS_RESCUE_RUNTIME];
    struct shipper *shipper = &instance->live->shipper;
    bool more = false;
    int fd;

    if (shipper->now_ns < shipper->rescue.at_ns || !*instance->kept->settings.spool)
        return false;
    fd = open(instance->kept->settings.runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && process_fd_set(runtime, fd) == 0) {
        more = !sidecar_is_there(fd) && pass_run(instance, fd);
        process_fd_close(runtime);
    }
    shipper->rescue.at_ns = more ? shipper->now_ns : shipper->now_ns + (int64_t)RESCUE_EVERY_MS * NS_PER_MS;
    return more;
}
