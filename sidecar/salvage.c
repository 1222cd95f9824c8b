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

#include <wire/remains.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORTION_RECORDS 4096u /* records in one unit */

struct salvage {
    struct ingest *ingest;
    struct rows rows;
    struct remains remains;
    unsigned char slots[PORTION_RECORDS * AILIVE_SLOT_BYTES];
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

/* ---- one ring ---- */

static enum salvage_status taken(enum ingest_status status, char *why, size_t cap)
{
    switch (status) {
    case INGEST_COMMITTED:
        return SALVAGE_DONE;
    case INGEST_REFUSED:
        snprintf(why, cap, "its numbers wrap");
        return SALVAGE_FOREIGN;
    default:
        return SALVAGE_LATER;
    }
}

static enum salvage_status portion_take(struct salvage *salvage, int fd, const struct layout_ring *ring,
                                        struct ingest_run run, char *why, size_t cap)
{
    struct batch names = {.names = salvage->remains.names, .name_count = salvage->remains.name_count};
    struct ingest_unit unit = {.road = ROAD_SALVAGE, .runs = &run, .run_count = 1};
    int64_t now_ns = now_utc_ns();
    struct event_row row;

    if (!remains_slots(fd, ring, run.first, (size_t)run.count, salvage->slots)) {
        snprintf(why, cap, "ring-%u: %s", run.ring, errno != 0 ? strerror(errno) : "it ends too early");
        return SALVAGE_FOREIGN;
    }
    if (rows_begin(&salvage->rows, &names, (size_t)run.count) != 0)
        return SALVAGE_LATER;
    for (size_t i = 0; i < run.count; i++) {
        remains_row(&salvage->remains, salvage->slots + i * AILIVE_SLOT_BYTES, now_ns, &row);
        rows_add(&salvage->rows, &row);
    }
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
    uint64_t first, end;

    memcpy(door.words, ring->door, sizeof(door.words));
    for (size_t i = 0; i < LAYOUT_RANGE_DROPS; i++)
        if (remains_drop(ring, i, &first, &end))
            runs[unit.run_count++] = (struct ingest_run){
                *producer, ring->number, first, end - first, (int)ring->drops[i].reason, 0};
    return taken(ingest_take(salvage->ingest, &unit, NULL), why, cap);
}

static enum salvage_status ring_take(struct salvage *salvage, int fd, const struct layout_ring *ring,
                                     const struct event_producer *producer, char *why, size_t cap)
{
    enum salvage_status status = drops_take(salvage, producer, ring, why, cap);

    for (uint64_t seq = ring->tail; seq < ring->head && status == SALVAGE_DONE;) {
        uint64_t count = ring->head - seq < PORTION_RECORDS ? ring->head - seq : PORTION_RECORDS;
        struct ingest_run run = {*producer, ring->number, seq, count, -1, 0};

        status = portion_take(salvage, fd, ring, run, why, cap);
        seq += count;
    }
    if (status == SALVAGE_DONE && !ingest_accounted(salvage->ingest, producer, ring->number, ring->tail))
        return SALVAGE_GAPS;
    return status;
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
    int error = remains_read(&salvage->remains, folder_fd, why, why_cap);

    if (error != 0)
        return error < 0 ? SALVAGE_FOREIGN : SALVAGE_LATER;
    for (size_t i = 0; i < salvage->remains.ring_count; i++) {
        struct layout_ring ring;
        int fd = remains_ring_open(folder_fd, salvage->remains.rings[i], O_RDONLY, &ring, why, why_cap);

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

    if (remains_read_rings(&salvage->remains, folder_fd) != 0)
        return SALVAGE_LATER;
    for (size_t i = 0; i < salvage->remains.ring_count; i++) {
        struct layout_ring ring;
        int fd = remains_ring_open(folder_fd, salvage->remains.rings[i], O_RDONLY, &ring, why, sizeof(why));

        if (fd < 0)
            continue;
        close(fd);
        if (ingest_give_up(salvage->ingest, producer, ring.number, ring.tail) != INGEST_COMMITTED)
            status = SALVAGE_LATER;
    }
    return status;
}

uint64_t salvage_pending(struct salvage *salvage, int folder_fd)
{
    struct layout_ring ring;
    char why[128];
    uint64_t pending = 0;

    if (remains_read_rings(&salvage->remains, folder_fd) != 0)
        return 0;
    for (size_t i = 0; i < salvage->remains.ring_count; i++) {
        int fd = remains_ring_open(folder_fd, salvage->remains.rings[i], O_RDONLY, &ring, why, sizeof(why));

        if (fd < 0)
            continue; /* changing under us: the next look sees it */
        pending += ring.head - ring.tail;
        close(fd);
    }
    return pending;
}

void salvage_tails(struct salvage *salvage, int folder_fd, uint64_t *tails)
{
    struct layout_ring ring;
    char why[128];

    memset(tails, 0, LAYOUT_RINGS_MAX * sizeof(*tails));
    if (remains_read_rings(&salvage->remains, folder_fd) != 0)
        return;
    for (size_t i = 0; i < salvage->remains.ring_count; i++) {
        int fd = remains_ring_open(folder_fd, salvage->remains.rings[i], O_RDONLY, &ring, why, sizeof(why));

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
        fd = remains_ring_open(folder_fd, number, O_RDONLY, &ring, why, sizeof(why));
        if (fd < 0)
            return SALVAGE_LATER;
        close(fd);
        if (drops_take(salvage, producer, &ring, why, sizeof(why)) != SALVAGE_DONE ||
            ingest_give_up(salvage->ingest, producer, number, tails[number]) != INGEST_COMMITTED)
            return SALVAGE_LATER;
    }
    return SALVAGE_DONE;
}
