/* salvage.c - what a dead producer left in its folder.
 *
 * Place on the route: dead producer's rings -> [salvage] -> ingest. Owns the storage for one folder at a
 * time. The caller holds the folder's lock: nobody writes in it any more, and no other salvager reads it.
 *
 * Numbers [tail, head) are whole records (layout.h says why). Numbers below the tail were acknowledged,
 * spooled or dropped as a range; where the ledger misses some of them, the state is younger than the
 * acknowledgement.
 */
#include "salvage.h"

#include "log.h"
#include "now.h"

#include <wire/layout.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PORTION_RECORDS 4096u /* records in one unit */
#define NAMES_MAX       (LAYOUT_NAMES_FILE_BYTES / 8u)

struct salvage {
    struct ingest *ingest;
    struct rows rows;
    unsigned char names_file[LAYOUT_NAMES_FILE_BYTES];
    struct layout_name names[NAMES_MAX];
    uint32_t name_count;
    struct layout_clock_pair pairs[LAYOUT_CLOCK_PAIRS];
    size_t pair_count;
    unsigned char slots[PORTION_RECORDS * AILIVE_SLOT_BYTES];
    uint32_t rings[LAYOUT_RINGS_MAX];
    size_t ring_count;
};

struct salvage *salvage_new(struct ingest *ingest)
{
    struct salvage *salvage = calloc(1, sizeof(*salvage));

    if (salvage == NULL)
        return NULL;
    salvage->ingest = ingest;
    if (rows_init(&salvage->rows) != 0) {
        free(salvage);
        return NULL;
    }
    return salvage;
}

void salvage_free(struct salvage *salvage)
{
    if (salvage == NULL)
        return;
    rows_fini(&salvage->rows);
    free(salvage);
}

/* ---- reading the folder ---- */

static int open_in(int folder_fd, const char *name, struct stat *status)
{
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd >= 0 && (fstat(fd, status) != 0 || !S_ISREG(status->st_mode))) {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    return fd;
}

/* Reads up to cap bytes of a small file; 0 when there is none. */
static size_t read_in(int folder_fd, const char *name, void *out, size_t cap)
{
    struct stat status;
    int fd = open_in(folder_fd, name, &status);
    ssize_t n = fd < 0 ? 0 : pread(fd, out, cap, 0);

    if (fd >= 0)
        close(fd);
    return n > 0 ? (size_t)n : 0;
}

/* Names that cannot be read make the rows that use them invalid: counted, not guessed. */
static void names_read(struct salvage *salvage, int folder_fd)
{
    const unsigned char *file = salvage->names_file;
    size_t len_bytes = read_in(folder_fd, "names", salvage->names_file, sizeof(salvage->names_file));
    size_t offset = 0, room;
    uint64_t used;

    salvage->name_count = 0;
    if (len_bytes < LAYOUT_NAMES_HEADER_BYTES || memcmp(file, LAYOUT_NAMES_MAGIC, 8) != 0)
        return;
    memcpy(&used, file + 8, sizeof(used));
    room = len_bytes - LAYOUT_NAMES_HEADER_BYTES;
    if (used < room)
        room = (size_t)used;
    while (salvage->name_count < NAMES_MAX &&
           layout_name_read(file + LAYOUT_NAMES_HEADER_BYTES, room, &offset,
                            &salvage->names[salvage->name_count]) == 1)
        salvage->name_count++;
}

static void clock_read(struct salvage *salvage, int folder_fd)
{
    struct layout_clock file;

    salvage->pair_count = 0;
    if (read_in(folder_fd, "clock", &file, sizeof(file)) == sizeof(file))
        salvage->pair_count = layout_clock_read(&file, salvage->pairs);
}

static bool ring_name_parse(const char *name, uint32_t *ring)
{
    char canonical[LAYOUT_NAME_BYTES];
    unsigned long number;
    char *end;

    if (strncmp(name, "ring-", 5) != 0 || name[5] < '0' || name[5] > '9')
        return false;
    errno = 0;
    number = strtoul(name + 5, &end, 10);
    if (errno != 0 || *end != '\0' || number >= LAYOUT_RINGS_MAX)
        return false;
    *ring = (uint32_t)number;
    layout_ring_name(*ring, canonical);
    return strcmp(name, canonical) == 0;
}

static DIR *listing_of(int folder_fd)
{
    int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;

    if (listing == NULL && fd >= 0)
        close(fd);
    return listing;
}

static int rings_list(struct salvage *salvage, int folder_fd)
{
    DIR *listing = listing_of(folder_fd);
    const struct dirent *entry;

    salvage->ring_count = 0;
    if (listing == NULL)
        return -1;
    while (salvage->ring_count < LAYOUT_RINGS_MAX && (entry = readdir(listing)) != NULL)
        if (ring_name_parse(entry->d_name, &salvage->rings[salvage->ring_count]))
            salvage->ring_count++;
    closedir(listing);
    return 0;
}

/* ---- one ring ---- */

static void slot_read(struct salvage *salvage, const unsigned char *slot)
{
    uint64_t words[4];
    struct event_row row;

    memcpy(words, slot, sizeof(words));
    if (!event_row_unpack(words, &row))
        /* Without a clock file the time of salvage is the best there is. */
        row.time_ns = salvage->pair_count > 0
                          ? layout_clock_utc(salvage->pairs, salvage->pair_count, words[0])
                          : now_utc_ns();
    rows_add(&salvage->rows, &row);
}

/* Reads `count` slots from number seq on; they may wrap around the end of the file. */
static bool slots_pread(struct salvage *salvage, int fd, const struct layout_ring *ring, uint64_t seq,
                        size_t count)
{
    size_t done = 0;

    while (done < count) {
        uint64_t index = (seq + done) & (ring->capacity - 1);
        size_t run = count - done;
        off_t offset = (off_t)(LAYOUT_RING_HEADER_BYTES + index * AILIVE_SLOT_BYTES);

        if (run > ring->capacity - index)
            run = (size_t)(ring->capacity - index);
        if (pread(fd, salvage->slots + done * AILIVE_SLOT_BYTES, run * AILIVE_SLOT_BYTES, offset) !=
            (ssize_t)(run * AILIVE_SLOT_BYTES))
            return false;
        done += run;
    }
    return true;
}

static enum salvage_status taken(enum ingest_status status, char *why, size_t cap)
{
    switch (status) {
    case INGEST_COMMITTED:
        return SALVAGE_DONE;
    case INGEST_REFUSED:
        snprintf(why, cap, "its producer was forgotten long ago, or its numbers wrap");
        return SALVAGE_FOREIGN;
    default:
        return SALVAGE_LATER;
    }
}

static enum salvage_status portion_take(struct salvage *salvage, int fd, const struct layout_ring *ring,
                                        struct ingest_run run, char *why, size_t cap)
{
    struct batch names = {.names = salvage->names, .name_count = salvage->name_count};
    struct ingest_unit unit = {.road = ROAD_SALVAGE, .runs = &run, .run_count = 1};

    if (!slots_pread(salvage, fd, ring, run.first, (size_t)run.count)) {
        snprintf(why, cap, "ring-%u: %s", run.ring, errno != 0 ? strerror(errno) : "it ends too early");
        return SALVAGE_FOREIGN;
    }
    if (rows_begin(&salvage->rows, &names, (size_t)run.count) != 0)
        return SALVAGE_LATER;
    for (size_t i = 0; i < run.count; i++)
        slot_read(salvage, salvage->slots + i * AILIVE_SLOT_BYTES);
    rows_end(&salvage->rows, &names);
    unit.rows = &salvage->rows;
    return taken(ingest_take(salvage->ingest, &unit, NULL), why, cap);
}

/* Range drops and door words in one unit. */
static enum salvage_status drops_take(struct salvage *salvage, const struct event_producer *producer,
                                      const struct layout_ring *ring, char *why, size_t cap)
{
    struct ingest_run runs[LAYOUT_RANGE_DROPS];
    struct ingest_door door = {.producer = *producer, .ring = ring->number};
    struct ingest_unit unit = {.road = ROAD_SALVAGE, .runs = runs, .doors = &door, .door_count = 1};

    memcpy(door.words, ring->door, sizeof(door.words));
    for (size_t i = 0; i < LAYOUT_RANGE_DROPS; i++) {
        const struct layout_range_drop *drop = &ring->drops[i];
        uint64_t end = drop->end < ring->tail ? drop->end : ring->tail;

        if (end > drop->first)
            runs[unit.run_count++] = (struct ingest_run){*producer,         ring->number,      drop->first,
                                                         end - drop->first, (int)drop->reason, 0};
    }
    return taken(ingest_take(salvage->ingest, &unit, NULL), why, cap);
}

static enum salvage_status ring_take(struct salvage *salvage, int fd, const struct layout_ring *ring,
                                     const struct event_producer *producer, char *why, size_t cap)
{
    enum salvage_status status = drops_take(salvage, producer, ring, why, cap);

    for (uint64_t seq = ring->tail; seq < ring->head && status == SALVAGE_DONE;) {
        uint64_t count = ring->head - seq < PORTION_RECORDS ? ring->head - seq : PORTION_RECORDS;
        struct ingest_run run = {*producer, ring->number, seq, count, -1, 0};

        errno = 0;
        status = portion_take(salvage, fd, ring, run, why, cap);
        seq += count;
    }
    if (status == SALVAGE_DONE && !ingest_accounted(salvage->ingest, producer, ring->number, ring->tail))
        return SALVAGE_GAPS;
    return status;
}

/* Opens and checks a ring. -1: why says what is wrong. */
static int ring_open(int folder_fd, uint32_t number, struct layout_ring *ring, char *why, size_t cap)
{
    char name[LAYOUT_NAME_BYTES];
    struct stat status;
    const char *wrong = NULL;
    int fd;

    memset(ring, 0, sizeof(*ring));
    layout_ring_name(number, name);
    fd = open_in(folder_fd, name, &status);
    if (fd < 0)
        wrong = strerror(errno);
    else if (pread(fd, ring, sizeof(*ring), 0) != (ssize_t)sizeof(*ring))
        wrong = "shorter than a ring's header";
    else
        wrong = layout_ring_check(ring, (uint64_t)status.st_size);
    if (wrong == NULL && ring->number != number)
        wrong = "its number is not the one in its name";
    if (wrong == NULL)
        return fd;
    snprintf(why, cap, "%s: %s", name, wrong);
    if (fd >= 0)
        close(fd);
    return -1;
}

/* ---- a folder ---- */

/* The worst of two: what cannot be read outweighs what can be tried again. */
static enum salvage_status worse(enum salvage_status a, enum salvage_status b)
{
    if (a < 0 || b < 0)
        return a < b ? a : b;
    return a > b ? a : b;
}

enum salvage_status salvage_take(struct salvage *salvage, int folder_fd,
                                 const struct event_producer *producer, char *why, size_t why_cap)
{
    enum salvage_status status = SALVAGE_DONE;

    if (rings_list(salvage, folder_fd) != 0)
        return SALVAGE_LATER;
    names_read(salvage, folder_fd);
    clock_read(salvage, folder_fd);
    for (size_t i = 0; i < salvage->ring_count; i++) {
        struct layout_ring ring;
        int fd = ring_open(folder_fd, salvage->rings[i], &ring, why, why_cap);

        /* One ring that cannot be read does not keep the others from being counted. */
        if (fd < 0) {
            status = worse(status, SALVAGE_FOREIGN);
            continue;
        }
        status = worse(status, ring_take(salvage, fd, &ring, producer, why, why_cap));
        close(fd);
    }
    return status;
}

enum salvage_status salvage_give_up(struct salvage *salvage, int folder_fd,
                                    const struct event_producer *producer)
{
    enum salvage_status status = SALVAGE_DONE;
    char why[128];

    if (rings_list(salvage, folder_fd) != 0)
        return SALVAGE_LATER;
    for (size_t i = 0; i < salvage->ring_count; i++) {
        struct layout_ring ring;
        int fd = ring_open(folder_fd, salvage->rings[i], &ring, why, sizeof(why));

        if (fd < 0)
            continue;
        close(fd);
        if (ingest_give_up(salvage->ingest, producer, ring.number, ring.tail) != INGEST_COMMITTED)
            status = SALVAGE_LATER;
    }
    return status;
}

void salvage_tails(struct salvage *salvage, int folder_fd, uint64_t *tails)
{
    struct layout_ring ring;
    char why[128];

    memset(tails, 0, LAYOUT_RINGS_MAX * sizeof(*tails));
    if (rings_list(salvage, folder_fd) != 0)
        return;
    for (size_t i = 0; i < salvage->ring_count; i++) {
        int fd = ring_open(folder_fd, salvage->rings[i], &ring, why, sizeof(why));

        if (fd < 0)
            continue; /* changing under us, or foreign: then nothing is given up */
        tails[ring.number] = ring.tail;
        close(fd);
    }
}

/* A number below the tail was acknowledged, written to the spool whole before the tail moved, or dropped as a
 * range whose entry was written before the tail moved: so tails first, then spool and drops. */
enum salvage_status salvage_reconcile(struct salvage *salvage, int folder_fd,
                                      const struct event_producer *producer, const uint64_t *tails)
{
    struct layout_ring ring;
    char why[128];

    for (uint32_t number = 0; number < LAYOUT_RINGS_MAX; number++) {
        int fd;

        if (tails[number] == 0 || ingest_accounted(salvage->ingest, producer, number, tails[number]))
            continue;
        fd = ring_open(folder_fd, number, &ring, why, sizeof(why));
        if (fd < 0)
            return SALVAGE_LATER;
        close(fd);
        if (drops_take(salvage, producer, &ring, why, sizeof(why)) != SALVAGE_DONE ||
            ingest_give_up(salvage->ingest, producer, number, tails[number]) != INGEST_COMMITTED)
            return SALVAGE_LATER;
    }
    return SALVAGE_DONE;
}

static int remove_rings(int folder_fd)
{
    DIR *listing = listing_of(folder_fd);
    const struct dirent *entry;
    uint32_t ring;
    int error = 0;

    if (listing == NULL)
        return errno;
    while (error == 0 && (entry = readdir(listing)) != NULL)
        if (ring_name_parse(entry->d_name, &ring) && unlinkat(folder_fd, entry->d_name, 0) != 0)
            error = errno;
    closedir(listing);
    return error;
}

int salvage_remove(int runtime_fd, const char *name, int folder_fd)
{
    static const char *const others[] = {"names", "clock", "lock"};
    int error = remove_rings(folder_fd);

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && error == 0; i++)
        if (unlinkat(folder_fd, others[i], 0) != 0 && errno != ENOENT)
            error = errno;
    if (error == 0 && unlinkat(runtime_fd, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        error = errno;
    return error;
}
