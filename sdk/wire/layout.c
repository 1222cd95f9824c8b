/* layout.c - checks and conversions of a producer's folder; see layout.h for the bytes.
 *
 * Place on the route: the shipper writes through it, the sidecar's salvage reads through it. Owns nothing;
 * any thread; every byte it is given may be hostile; never maps or opens a file. */
#include "layout.h"

#include <stdio.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files and batches are little-endian, as the host");

#define NAME_HEAD_BYTES 4u

size_t layout_name_bytes(size_t len_bytes)
{
    return (NAME_HEAD_BYTES + len_bytes + 3) & ~(size_t)3;
}

void layout_name_write(unsigned char *out, const struct layout_name *name)
{
    memset(out, 0, layout_name_bytes(name->len_bytes));
    memcpy(out, &name->id, 2);
    out[2] = name->kind;
    out[3] = name->len_bytes;
    memcpy(out + NAME_HEAD_BYTES, name->text, name->len_bytes);
}

int layout_name_read(const unsigned char *entries, size_t used_bytes, size_t *offset, struct layout_name *out)
{
    const unsigned char *entry;
    size_t left;

    if (*offset >= used_bytes)
        return *offset == used_bytes ? 0 : -1;
    left = used_bytes - *offset;
    if (left < NAME_HEAD_BYTES)
        return -1;
    entry = entries + *offset;
    memcpy(&out->id, entry, 2);
    out->kind = entry[2];
    out->len_bytes = entry[3];
    out->text = (const char *)entry + NAME_HEAD_BYTES;
    if (out->id == 0 || out->kind < AILIVE_NAME_REASON || out->kind > AILIVE_NAME_RUN_ID)
        return -1;
    if (out->len_bytes == 0 || out->len_bytes > AILIVE_NAME_MAX_BYTES ||
        left < layout_name_bytes(out->len_bytes))
        return -1;
    *offset += layout_name_bytes(out->len_bytes);
    return 1;
}

/* ---- clock ---- */

/* A rate as a fraction: utc nanoseconds over ticks. Both are kept within 62 bits so that a product of two of
 * them stays within 128 bits whatever a hostile file says. */
struct rate {
    int64_t utc;
    int64_t ticks;
};

#define DISTANCE_MAX ((__int128)1 << 62)

static int64_t clamp(__int128 value, __int128 limit)
{
    if (value > limit)
        return (int64_t)limit;
    if (value < -limit)
        return (int64_t)-limit;
    return (int64_t)value;
}

static struct rate rate_between(const struct layout_clock_pair *from, const struct layout_clock_pair *to)
{
    struct rate rate = {clamp((__int128)to->utc_ns - from->utc_ns, DISTANCE_MAX),
                        clamp((__int128)to->ticks - from->ticks, DISTANCE_MAX)};
    return rate;
}

static __int128 magnitude(__int128 value)
{
    return value < 0 ? -value : value;
}

/* Whether a is within 1,000 ppm of b: |a - b| <= |b| / 1000, cross-multiplied. */
static bool rate_agrees(struct rate a, struct rate b)
{
    __int128 left = (__int128)a.utc * b.ticks;
    __int128 right = (__int128)b.utc * a.ticks;

    return magnitude(left - right) <= magnitude(right) / 1000;
}

/* The time of ticks, going from a pair at a rate, in either direction. */
static int64_t project(const struct layout_clock_pair *from, struct rate rate, uint64_t ticks)
{
    int64_t distance = clamp((__int128)ticks - from->ticks, DISTANCE_MAX);

    if (rate.ticks <= 0)
        return from->utc_ns;
    return clamp(from->utc_ns + (__int128)distance * rate.utc / rate.ticks, INT64_MAX);
}

/* The rate most neighbouring pairs agree on (a majority vote in one pass): a step spoils one interval and
 * with it the rate from first to last pair, but not the others. false: there is no majority. */
static bool rate_of_most(const struct layout_clock_pair *pairs, size_t n, struct rate *out)
{
    struct rate candidate = {0, 0};
    size_t votes = 0, agreeing = 0;

    for (size_t i = 0; i + 1 < n; i++) {
        struct rate rate = rate_between(&pairs[i], &pairs[i + 1]);
        if (votes == 0)
            candidate = rate;
        votes = votes == 0 || rate_agrees(rate, candidate) ? votes + 1 : votes - 1;
    }
    for (size_t i = 0; i + 1 < n; i++)
        agreeing += rate_agrees(rate_between(&pairs[i], &pairs[i + 1]), candidate);
    *out = candidate;
    return 2 * agreeing > n - 1;
}

/* Index i, at most n - 2, such that ticks lies between pairs i and i + 1, or nearest to them. */
static size_t interval_of(const struct layout_clock_pair *pairs, size_t n, uint64_t ticks)
{
    size_t low = 0, high = n - 1;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (pairs[middle].ticks <= ticks)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int64_t layout_clock_utc(const struct layout_clock_pair *pairs, size_t n, uint64_t ticks)
{
    const struct rate ticks_are_ns = {1, 1};
    struct rate mean, local;
    size_t i;
    bool inside;

    if (n == 0)
        return 0;
    if (n == 1)
        return project(&pairs[0], ticks_are_ns, ticks);
    i = interval_of(pairs, n, ticks);
    inside = ticks >= pairs[0].ticks && ticks <= pairs[n - 1].ticks;
    local = rate_between(&pairs[i], &pairs[i + 1]);
    mean = rate_between(&pairs[0], &pairs[n - 1]);
    /* No majority: the interval's own rate is at least right at its two ends. */
    if (!rate_agrees(local, mean) && !rate_of_most(pairs, n, &mean))
        mean = local;
    if (!inside)
        return project(ticks < pairs[0].ticks ? &pairs[0] : &pairs[n - 1], mean, ticks);
    if (rate_agrees(local, mean))
        return project(&pairs[i], local, ticks);
    return project(&pairs[i + 1], mean, ticks);
}

size_t layout_clock_read(const struct layout_clock *file, struct layout_clock_pair *out)
{
    uint64_t n, count = file->count;
    size_t kept = 0;

    if (memcmp(file->magic, LAYOUT_CLOCK_MAGIC, sizeof(file->magic)) != 0)
        return 0;
    /* The pair at count % 128 is the oldest once the ring is full, and may be torn. */
    n = count < LAYOUT_CLOCK_PAIRS ? count : LAYOUT_CLOCK_PAIRS - 1;
    for (uint64_t k = count - n; k != count; k++) {
        struct layout_clock_pair pair = file->pairs[k % LAYOUT_CLOCK_PAIRS];
        if (kept == 0 || pair.ticks > out[kept - 1].ticks)
            out[kept++] = pair;
    }
    return kept;
}

/* ---- ring ---- */

static const char *check_capacity(const struct layout_ring *ring, uint64_t file_bytes)
{
    uint64_t capacity = ring->capacity;

    if (ring->number == 0 && capacity != 0)
        return "ring 0 has no slots, but its capacity is not 0";
    if (ring->number != 0 && (capacity < LAYOUT_RING_MIN_RECORDS || capacity > LAYOUT_RING_MAX_RECORDS))
        return "capacity is not between 64 and 16777216";
    if ((capacity & (capacity - 1)) != 0)
        return "capacity is not a power of two";
    if (file_bytes != LAYOUT_RING_HEADER_BYTES + capacity * AILIVE_SLOT_BYTES)
        return "the file's size is not that of its header and slots";
    return NULL;
}

static const char *check_drops(const struct layout_ring *ring)
{
    for (size_t i = 0; i < LAYOUT_RANGE_DROPS; i++) {
        const struct layout_range_drop *drop = &ring->drops[i];
        if (drop->first >= drop->end)
            continue; /* empty, or half written when its owner was killed: it stands for nothing */
        if (drop->reason < EVENT_DROP_DOORS || drop->reason >= EVENT_DROP_REASONS)
            return "a range drop has an unknown reason";
        if (drop->zero != 0)
            return "a range drop's last word is not 0";
        if (drop->end > ring->head)
            return "a range drop ends behind the head";
    }
    return NULL;
}

const char *layout_ring_check(const struct layout_ring *ring, uint64_t file_bytes)
{
    const char *why;

    if (file_bytes < LAYOUT_RING_HEADER_BYTES)
        return "the file is shorter than a ring's header";
    if (memcmp(ring->magic, LAYOUT_RING_MAGIC, sizeof(ring->magic)) != 0)
        return "no ring file of this version: the magic is not AILRING1";
    if (ring->slot_bytes != AILIVE_SLOT_BYTES)
        return "slot_bytes is not 32";
    if (ring->number >= LAYOUT_RINGS_MAX)
        return "the ring's number is not below 1024";
    why = check_capacity(ring, file_bytes);
    if (why)
        return why;
    if (ring->tail > ring->head)
        return "the tail is ahead of the head";
    if (ring->head - ring->tail > ring->capacity)
        return "more records between tail and head than the ring holds";
    return check_drops(ring);
}

/* ---- file names ---- */

void layout_folder_name(const struct event_producer *producer, char out[LAYOUT_NAME_BYTES])
{
    event_producer_format(producer, out);
}

void layout_folder_new_name(const struct event_producer *producer, char out[LAYOUT_NAME_BYTES])
{
    char hex[EVENT_PRODUCER_HEX + 1];

    event_producer_format(producer, hex);
    snprintf(out, LAYOUT_NAME_BYTES, ".%s.new", hex);
}

void layout_ring_name(uint32_t ring, char out[LAYOUT_NAME_BYTES])
{
    snprintf(out, LAYOUT_NAME_BYTES, "ring-%u", ring);
}
