/* remains.c - reading and removing a dead producer's folder; see remains.h.
 *
 * Place on the route: dead producer's folder -> [remains] -> salvage or rescue. Owns nothing but the
 * descriptors it opens for the length of a call. Any thread. Every byte, size and kind of file is hostile.
 * Never follows a link, never blocks on a FIFO, never allocates: opendir() would. */
#include "remains.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- listing a folder ---- */

int remains_list_open(struct remains_list *list, int folder_fd)
{
    list->at = list->filled = 0;
    list->fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return list->fd >= 0 ? 0 : errno;
}

const char *remains_list_next(struct remains_list *list)
{
    const struct dirent64 *entry;
    ssize_t n;

    if (list->at >= list->filled) {
        n = getdents64(list->fd, list->entries, sizeof(list->entries));
        if (n <= 0)
            return NULL;
        list->filled = (size_t)n;
        list->at = 0;
    }
    entry = (const struct dirent64 *)(const void *)(list->entries + list->at);
    list->at += entry->d_reclen;
    return entry->d_name;
}

void remains_list_close(struct remains_list *list)
{
    if (list->fd >= 0)
        close(list->fd);
    list->fd = -1;
}

/* ---- the lock of a producer's folder ---- */

int remains_open(int runtime_fd, const char *name)
{
    return openat(runtime_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static int open_in(int folder_fd, const char *name, int flags, struct stat *status)
{
    int fd = openat(folder_fd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd >= 0 && (fstat(fd, status) != 0 || !S_ISREG(status->st_mode))) {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    return fd;
}

int remains_lock_open(int folder_fd)
{
    struct stat status;

    return open_in(folder_fd, "lock", O_RDWR, &status);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

static bool still_there(int runtime_fd, const char *name, int folder_fd, int lock_fd)
{
    struct stat folder, folder_now, lock, lock_now;

    return fstat(folder_fd, &folder) == 0 && fstat(lock_fd, &lock) == 0 &&
           fstatat(runtime_fd, name, &folder_now, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstatat(folder_fd, "lock", &lock_now, AT_SYMLINK_NOFOLLOW) == 0 &&
           same_file(&folder, &folder_now) && same_file(&lock, &lock_now);
}

bool remains_lock(int runtime_fd, const char *name, int folder_fd, int lock_fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(lock_fd, F_OFD_SETLK, &whole) == 0 && still_there(runtime_fd, name, folder_fd, lock_fd);
}

/* Reads up to cap bytes of a small file; 0 when there is none. */
static size_t read_in(int folder_fd, const char *name, void *out, size_t cap)
{
    struct stat status;
    int fd = open_in(folder_fd, name, O_RDONLY, &status);
    ssize_t n = fd < 0 ? 0 : pread(fd, out, cap, 0);

    if (fd >= 0)
        close(fd);
    return n > 0 ? (size_t)n : 0;
}

bool remains_lock_value(int folder_fd, const char *key, char *out, size_t cap)
{
    char text[LAYOUT_LOCK_MAX_BYTES + 1], *line, *rest = text;
    size_t key_len = strlen(key), len;

    text[read_in(folder_fd, "lock", text, LAYOUT_LOCK_MAX_BYTES)] = '\0';
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (strncmp(line, key, key_len) != 0 || line[key_len] != '=')
            continue;
        len = strlen(line + key_len + 1);
        if (len >= cap)
            return false;
        memcpy(out, line + key_len + 1, len + 1);
        return true;
    }
    return false;
}

/* ---- reading ---- */

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

/* Its maker was killed before it wrote the magic, which comes last: nothing was recorded in it. */
static bool ring_unfinished(int folder_fd, const char *name)
{
    static const unsigned char none[8];
    unsigned char magic[8] = {0};
    struct stat status;
    int fd = open_in(folder_fd, name, O_RDONLY, &status);
    ssize_t n = fd < 0 ? -1 : pread(fd, magic, sizeof(magic), 0);

    if (fd >= 0)
        close(fd);
    return n >= 0 && memcmp(magic, none, sizeof(none)) == 0;
}

int remains_read_rings(struct remains *remains, int folder_fd)
{
    struct remains_list list;
    const char *name;
    int error = remains_list_open(&list, folder_fd);

    remains->ring_count = 0;
    if (error != 0)
        return error;
    while (remains->ring_count < LAYOUT_RINGS_MAX && (name = remains_list_next(&list)) != NULL)
        if (ring_name_parse(name, &remains->rings[remains->ring_count]) && !ring_unfinished(folder_fd, name))
            remains->ring_count++;
    remains_list_close(&list);
    return 0;
}

static int unknown(const char *file, char *why, size_t why_cap)
{
    snprintf(why, why_cap, "%s: its magic is not one this version knows", file);
    return -1;
}

static int names_read(struct remains *remains, int folder_fd, char *why, size_t why_cap)
{
    const unsigned char *file = remains->names_file;
    size_t len_bytes = read_in(folder_fd, "names", remains->names_file, sizeof(remains->names_file));
    size_t offset = 0, room;
    uint64_t used;

    remains->name_count = 0;
    if (len_bytes < LAYOUT_NAMES_HEADER_BYTES)
        return 0;
    if (memcmp(file, LAYOUT_NAMES_MAGIC, 8) != 0)
        return unknown("names", why, why_cap);
    memcpy(&used, file + 8, sizeof(used));
    room = len_bytes - LAYOUT_NAMES_HEADER_BYTES;
    if (used < room)
        room = (size_t)used;
    while (remains->name_count < REMAINS_NAMES_MAX &&
           layout_name_read(file + LAYOUT_NAMES_HEADER_BYTES, room, &offset,
                            &remains->names[remains->name_count]) == 1)
        remains->name_count++;
    return 0;
}

static int clock_read(struct remains *remains, int folder_fd, char *why, size_t why_cap)
{
    struct layout_clock file;

    remains->pair_count = 0;
    if (read_in(folder_fd, "clock", &file, sizeof(file)) != sizeof(file))
        return 0;
    if (memcmp(file.magic, LAYOUT_CLOCK_MAGIC, sizeof(file.magic)) != 0)
        return unknown("clock", why, why_cap);
    remains->pair_count = layout_clock_read(&file, remains->pairs);
    return 0;
}

int remains_read(struct remains *remains, int folder_fd, char *why, size_t why_cap)
{
    int error = remains_read_rings(remains, folder_fd);

    if (error == 0)
        error = names_read(remains, folder_fd, why, why_cap);
    if (error == 0)
        error = clock_read(remains, folder_fd, why, why_cap);
    return error;
}

int remains_ring_open(int folder_fd, uint32_t number, int flags, struct layout_ring *ring, char *why,
                      size_t why_cap)
{
    char name[LAYOUT_NAME_BYTES];
    struct stat status;
    const char *wrong = NULL;
    int fd;

    memset(ring, 0, sizeof(*ring));
    layout_ring_name(number, name);
    fd = open_in(folder_fd, name, flags, &status);
    if (fd < 0)
        wrong = strerrordesc_np(errno);
    else if (pread(fd, ring, sizeof(*ring), 0) != (ssize_t)sizeof(*ring))
        wrong = "shorter than a ring's header";
    else
        wrong = layout_ring_check(ring, (uint64_t)status.st_size);
    if (wrong == NULL && ring->number != number)
        wrong = "its number is not the one in its name";
    if (wrong == NULL)
        return fd;
    snprintf(why, why_cap, "%s: %s", name, wrong);
    if (fd >= 0)
        close(fd);
    return -1;
}

bool remains_slots(int ring_fd, const struct layout_ring *ring, uint64_t seq, size_t count,
                   unsigned char *out)
{
    size_t done = 0;

    errno = 0;
    while (done < count) {
        uint64_t index = (seq + done) & (ring->capacity - 1);
        size_t run = count - done;
        off_t offset = (off_t)(LAYOUT_RING_HEADER_BYTES + index * AILIVE_SLOT_BYTES);

        if (run > ring->capacity - index)
            run = (size_t)(ring->capacity - index);
        if (pread(ring_fd, out + done * AILIVE_SLOT_BYTES, run * AILIVE_SLOT_BYTES, offset) !=
            (ssize_t)(run * AILIVE_SLOT_BYTES))
            return false;
        done += run;
    }
    return true;
}

void remains_row(const struct remains *remains, const unsigned char *slot, int64_t now_ns,
                 struct event_row *row)
{
    uint64_t words[4];

    memcpy(words, slot, sizeof(words));
    if (!event_row_unpack(words, row))
        row->time_ns = remains->pair_count > 0
                           ? layout_clock_utc(remains->pairs, remains->pair_count, words[0])
                           : now_ns;
}

bool remains_drop(const struct layout_ring *ring, size_t entry, uint64_t *first, uint64_t *end)
{
    const struct layout_range_drop *drop = &ring->drops[entry];

    *first = drop->first;
    *end = drop->end < ring->tail ? drop->end : ring->tail;
    return *end > *first;
}

/* ---- removing ---- */

static int remove_rings(int folder_fd)
{
    struct remains_list list;
    const char *name;
    uint32_t ring;
    int error = remains_list_open(&list, folder_fd);

    if (error != 0)
        return error;
    while (error == 0 && (name = remains_list_next(&list)) != NULL)
        if (ring_name_parse(name, &ring) && unlinkat(folder_fd, name, 0) != 0)
            error = errno;
    remains_list_close(&list);
    return error;
}

int remains_remove(int runtime_fd, const char *name, int folder_fd)
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

bool remains_half_made(const char *name)
{
    struct event_producer producer;

    return name[0] == '.' && strlen(name) == EVENT_PRODUCER_HEX + 5 &&
           event_producer_parse(name + 1, EVENT_PRODUCER_HEX, &producer) &&
           strcmp(name + 1 + EVENT_PRODUCER_HEX, ".new") == 0;
}

void remains_half_made_remove(int runtime_fd, const char *name, int64_t now_ns)
{
    int folder_fd = remains_open(runtime_fd, name), lock_fd;
    struct stat status;

    if (folder_fd < 0)
        return;
    if (fstat(folder_fd, &status) == 0 &&
        now_ns / 1000000 - (int64_t)status.st_mtim.tv_sec * 1000 >= REMAINS_NEW_MS) {
        lock_fd = remains_lock_open(folder_fd);
        if (lock_fd >= 0 ? remains_lock(runtime_fd, name, folder_fd, lock_fd) : errno == ENOENT)
            (void)remains_remove(runtime_fd, name, folder_fd);
        if (lock_fd >= 0)
            close(lock_fd);
    }
    close(folder_fd);
}
