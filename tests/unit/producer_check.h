/* producer_check.h - a producer's folder made by hand in runtime/ of the test's folder. For the tests of
 * salvage and rescue. */
#ifndef AILIVE_TESTS_PRODUCER_CHECK_H
#define AILIVE_TESTS_PRODUCER_CHECK_H

#include "folder_check.h"

#include <wire/layout.h>

#define CAPACITY 64u

static struct event_producer producer;
static char hex[EVENT_PRODUCER_HEX + 1];
static int owner_fd = -1;

/* Everything below is of producer number n from here on. */
static inline void producer_named(unsigned char n)
{
    producer = (struct event_producer){{0x18, n, 2, 3, 4}};
    event_producer_format(&producer, hex);
    owner_fd = -1;
}

static inline const char *path_of(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "runtime/%s/%s", hex, name);
    return path;
}

/* The lock stays held, as by a living owner, until owner_dies(). */
static inline void folder_begin(void)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    assert_int_equal(mkdir(in_folder(path_of("")), 0700), 0);
    owner_fd = open(in_folder(path_of("lock")), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(fcntl(owner_fd, F_OFD_SETLK, &whole), 0);
}

static inline void owner_dies(void)
{
    close(owner_fd);
    owner_fd = -1;
}

static inline void names_put(void)
{
    static struct layout_names names;
    const struct layout_name both[] = {{AILIVE_COMPONENT_DEFAULT, AILIVE_NAME_COMPONENT, 1, "c"},
                                       {AILIVE_RUN_ID_DEFAULT, AILIVE_NAME_RUN_ID, 5, "run-1"}};

    memset(&names, 0, sizeof(names));
    memcpy(names.magic, LAYOUT_NAMES_MAGIC, 8);
    for (unsigned i = 0; i < 2; i++) {
        layout_name_write(names.entries + names.used, &both[i]);
        names.used += layout_name_bytes(both[i].len_bytes);
    }
    file_put(path_of("names"), O_CREAT, (const char *)&names, sizeof(names));
}

struct ring_file {
    struct layout_ring header;
    uint64_t slots[CAPACITY][4];
};

static inline struct ring_file *ring_make(uint64_t tail, uint64_t head)
{
    static struct ring_file ring;
    struct event_row row = {.time_ns = 1769303388000000000,
                            .latency_ns = 1000000,
                            .kind = AILIVE_KIND_DECISION,
                            .decision = AILIVE_ACCEPT,
                            .component = AILIVE_COMPONENT_DEFAULT,
                            .run_id = AILIVE_RUN_ID_DEFAULT};

    memset(&ring, 0, sizeof(ring));
    memcpy(ring.header.magic, LAYOUT_RING_MAGIC, 8);
    ring.header.slot_bytes = AILIVE_SLOT_BYTES;
    ring.header.number = 1;
    ring.header.capacity = CAPACITY;
    ring.header.tail = tail;
    ring.header.head = head;
    for (uint64_t seq = tail; seq < head; seq++)
        event_row_pack_utc(&row, ring.slots[seq & (CAPACITY - 1)]);
    return &ring;
}

static inline void ring_put(const struct ring_file *ring)
{
    file_put(path_of("ring-1"), O_CREAT, (const char *)ring, sizeof(*ring));
}

#endif
