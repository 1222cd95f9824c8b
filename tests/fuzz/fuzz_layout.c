/* fuzz_layout.c - any bytes as the files of a dead producer's folder: ring header, names, clock; and as the
 * names of spool files.
 *
 * The first byte of an input says which file the rest is. What is accepted must keep every rule of
 * wire/layout.h, because salvage relies on it. */
#include "fuzz/fuzz.h"

#include "wire/layout.h"
#include "wire/spool.h"

#include <string.h>

enum file {
    FILE_RING,
    FILE_NAMES,
    FILE_CLOCK,
    FILE_SPOOL_NAME,
    FILES
};

static void take_ring(const uint8_t *data, size_t len_bytes)
{
    struct layout_ring ring;
    size_t n = len_bytes < sizeof(ring) ? len_bytes : sizeof(ring);

    memset(&ring, 0, sizeof(ring));
    if (n > 0)
        memcpy(&ring, data, n);
    FUZZ_CHECK(layout_ring_check(&ring, len_bytes < LAYOUT_RING_HEADER_BYTES ? len_bytes : 0));
    /* as if the file had the size its header asks for */
    if (layout_ring_check(&ring, LAYOUT_RING_HEADER_BYTES + ring.capacity * AILIVE_SLOT_BYTES))
        return;
    FUZZ_CHECK(ring.number < LAYOUT_RINGS_MAX);
    FUZZ_CHECK(ring.capacity <= LAYOUT_RING_MAX_RECORDS && (ring.capacity & (ring.capacity - 1)) == 0);
    FUZZ_CHECK((ring.number == 0) == (ring.capacity == 0));
    FUZZ_CHECK(ring.tail <= ring.head && ring.head - ring.tail <= ring.capacity);
    for (size_t i = 0; i < LAYOUT_RANGE_DROPS; i++)
        if (ring.drops[i].first < ring.drops[i].end)
            FUZZ_CHECK(ring.drops[i].end <= ring.head && event_drop_name((unsigned)ring.drops[i].reason));
}

static void take_names(const uint8_t *data, size_t len_bytes)
{
    unsigned char again[4 + AILIVE_NAME_MAX_BYTES];
    struct layout_name name;
    size_t offset = 0, before = 0;

    while (layout_name_read(data, len_bytes, &offset, &name) == 1) {
        size_t entry_bytes = layout_name_bytes(name.len_bytes);
        FUZZ_CHECK(offset == before + entry_bytes && offset <= len_bytes);
        FUZZ_CHECK(entry_bytes <= sizeof(again));
        layout_name_write(again, &name);
        FUZZ_CHECK(memcmp(again, data + before, 4u + name.len_bytes) == 0); /* the padding is free */
        before = offset;
    }
    FUZZ_CHECK(offset == before);
}

static void take_clock(const uint8_t *data, size_t len_bytes)
{
    static struct layout_clock file;
    struct layout_clock_pair pairs[LAYOUT_CLOCK_PAIRS];
    size_t count, n = len_bytes < sizeof(file) ? len_bytes : sizeof(file);

    memset(&file, 0, sizeof(file));
    if (n > 0)
        memcpy(&file, data, n);
    count = layout_clock_read(&file, pairs);
    FUZZ_CHECK(count < LAYOUT_CLOCK_PAIRS);
    for (size_t i = 0; i < count; i++) {
        FUZZ_CHECK(i == 0 || pairs[i].ticks > pairs[i - 1].ticks);
        (void)layout_clock_utc(pairs, count, pairs[i].ticks - 1);
        (void)layout_clock_utc(pairs, count, pairs[i].ticks + 1);
    }
    (void)layout_clock_utc(pairs, count, 0);
    (void)layout_clock_utc(pairs, count, UINT64_MAX);
    /* A single interval is followed exactly at its ends; only the least number of all is clamped. */
    if (count == 2 && pairs[0].utc_ns != INT64_MIN)
        FUZZ_CHECK(layout_clock_utc(pairs, 2, pairs[0].ticks) == pairs[0].utc_ns);
}

static void take_spool_name(const uint8_t *data, size_t len_bytes)
{
    char name[128], again[SPOOL_NAME_BYTES];
    struct event_producer producer;
    uint64_t n;
    uint32_t ring;
    size_t len = len_bytes < sizeof(name) - 1 ? len_bytes : sizeof(name) - 1;

    if (len > 0)
        memcpy(name, data, len);
    name[len] = '\0';
    if (spool_file_name_parse(name, &producer, &n)) {
        spool_file_name(&producer, n, again);
        FUZZ_CHECK(n > 0 && strcmp(name, again) == 0);
    }
    if (spool_sid_parse((const char *)data, len_bytes, &producer, &ring))
        FUZZ_CHECK(ring < LAYOUT_RINGS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    if (len_bytes == 0)
        return 0;
    switch (data[0] % FILES) {
    case FILE_RING:
        take_ring(data + 1, len_bytes - 1);
        break;
    case FILE_NAMES:
        take_names(data + 1, len_bytes - 1);
        break;
    case FILE_CLOCK:
        take_clock(data + 1, len_bytes - 1);
        break;
    default:
        take_spool_name(data + 1, len_bytes - 1);
        break;
    }
    return 0;
}

static size_t seed_ring(uint8_t *out)
{
    struct layout_ring ring;

    memset(&ring, 0, sizeof(ring));
    memcpy(ring.magic, LAYOUT_RING_MAGIC, sizeof(ring.magic));
    ring.slot_bytes = AILIVE_SLOT_BYTES;
    ring.number = 1;
    ring.capacity = 64;
    ring.head = 100;
    ring.tail = 60;
    ring.drops[0] = (struct layout_range_drop){40, 60, EVENT_DROP_SPOOL_FULL, 0};
    memcpy(out, &ring, 512 + sizeof(ring.drops[0])); /* what follows is zero */
    return 512 + sizeof(ring.drops[0]);
}

static size_t seed_names(uint8_t *out)
{
    static const struct layout_name names[] = {{8, AILIVE_NAME_COMPONENT, 15, "execution_watch"},
                                               {9, AILIVE_NAME_RUN_ID, 4, "demo"},
                                               {10, AILIVE_NAME_STAGE, 1, "s"}};
    size_t len = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        layout_name_write(out + len, &names[i]);
        len += layout_name_bytes(names[i].len_bytes);
    }
    return len;
}

static size_t seed_clock(uint8_t *out, uint64_t count)
{
    static struct layout_clock file;

    memset(&file, 0, sizeof(file));
    memcpy(file.magic, LAYOUT_CLOCK_MAGIC, sizeof(file.magic));
    file.count = count;
    for (uint64_t i = 0; i < LAYOUT_CLOCK_PAIRS; i++)
        file.pairs[i] = (struct layout_clock_pair){3000 * (i + 1), 1769303388000000000 + 1000 * (int64_t)i};
    memcpy(out, &file, sizeof(file));
    return sizeof(file);
}

static size_t seed_spool_name(uint8_t *out, const char *text)
{
    memcpy(out, text, strlen(text));
    return strlen(text);
}

size_t fuzz_seed(unsigned n, uint8_t *out, size_t cap_bytes)
{
    if (cap_bytes < 1 + sizeof(struct layout_ring))
        return 0;
    n %= 6;
    out[0] = (uint8_t)(n % FILES);
    switch (n) {
    case FILE_RING:
        return 1 + seed_ring(out + 1);
    case FILE_NAMES:
        return 1 + seed_names(out + 1);
    case FILE_CLOCK:
        return 1 + seed_clock(out + 1, 2);
    case FILE_SPOOL_NAME:
        return 1 + seed_spool_name(out + 1, "188dd40eacfe65150102030405060708-000042.jsonl");
    case 4:
        out[0] = FILE_SPOOL_NAME;
        return 1 + seed_spool_name(out + 1, "188dd40eacfe65150102030405060708.1023");
    default:
        out[0] = FILE_CLOCK;
        return 1 + seed_clock(out + 1, 1000);
    }
}
