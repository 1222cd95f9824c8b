/* clock.c - counter readings and their conversion to UTC; see clock.h.
 *
 * Place on the route: host threads read the counter inline; the shipper takes the pairs. Owns the
 * process-wide rate of ailive_elapsed_ns(). Never blocks, except that the first measuring of a rate waits 2
 * ms. */
#include "clock.h"

#include <string.h>
#include <time.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#define BRACKETS 4

/* 0 while not decided; else the kind plus one. Relaxed everywhere: every thread decides the same. */
static uint64_t kind_plus_one;

static bool counter_is_invariant(void)
{
#if defined(__x86_64__) || defined(__i386__)
    unsigned a, b, c, d;

    return __get_cpuid(0x80000007u, &a, &b, &c, &d) && (d & 1u << 8) != 0;
#elif defined(__aarch64__)
    return true; /* the architecture promises it of cntvct_el0 */
#else
    return false;
#endif
}

uint64_t clock_kind(void)
{
    uint64_t known = __atomic_load_n(&kind_plus_one, __ATOMIC_RELAXED);

    if (known == 0) {
        known = 1 + (counter_is_invariant() ? AILIVE_CLOCK_COUNTER : AILIVE_CLOCK_GETTIME);
        __atomic_store_n(&kind_plus_one, known, __ATOMIC_RELAXED);
    }
    return known - 1;
}

static int64_t clock_read_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

uint64_t clock_ticks(uint64_t kind)
{
    return kind == AILIVE_CLOCK_COUNTER ? ailive_counter() : (uint64_t)clock_read_ns(CLOCK_MONOTONIC_RAW);
}

int64_t clock_monotonic_ns(void)
{
    return clock_read_ns(CLOCK_MONOTONIC);
}

static struct layout_clock_pair clock_bracket(clockid_t clock)
{
    struct layout_clock_pair best = {0, 0};
    uint64_t kind = clock_kind(), narrowest = UINT64_MAX;

    for (int i = 0; i < BRACKETS; i++) {
        uint64_t before = clock_ticks(kind);
        int64_t ns = clock_read_ns(clock);
        uint64_t width = clock_ticks(kind) - before;
        if (width < narrowest) {
            narrowest = width;
            best.ticks = before + width / 2;
            best.utc_ns = ns;
        }
    }
    return best;
}

void clock_pair_take(struct layout_clock_pair *out)
{
    *out = clock_bracket(CLOCK_REALTIME);
}

/* ---- track ---- */

static void clock_file_add(struct layout_clock *file, const struct layout_clock_pair *pair)
{
    file->pairs[file->count % LAYOUT_CLOCK_PAIRS] = *pair;
    /* Pairs with salvage's reading after our death: a counted pair is whole. */
    __atomic_store_n(&file->count, file->count + 1, __ATOMIC_RELEASE);
}

void clock_track_add(struct clock_track *track, const struct layout_clock_pair *pair, int64_t now_ns)
{
    bool keep = track->kept < 2 || now_ns - track->kept_at_ns >= CLOCK_KEEP_EVERY_NS;

    track->high.ticks = 0; /* a new pair may bend the piece in use: look again */
    track->low.ticks = 1;
    /* A counter that did not move gives no rate; layout_clock_utc() wants times in order. */
    if (track->kept > 0 && pair->ticks <= track->pairs[track->kept - 1].ticks)
        return;
    if (keep && track->kept == LAYOUT_CLOCK_PAIRS) {
        memmove(track->pairs, track->pairs + 1, (LAYOUT_CLOCK_PAIRS - 1) * sizeof(*pair));
        track->kept--;
    }
    track->pairs[track->kept] = *pair;
    track->fresh = !keep;
    if (!keep)
        return;
    track->kept++;
    track->kept_at_ns = now_ns;
    if (track->file)
        clock_file_add(track->file, pair);
}

void clock_track_take(struct clock_track *track, int64_t now_ns)
{
    struct layout_clock_pair pair;

    clock_pair_take(&pair);
    clock_track_add(track, &pair, now_ns);
}

void clock_track_start(struct clock_track *track, struct layout_clock *file)
{
    const struct timespec apart = {0, CLOCK_APART_AT_OPEN_NS};

    memset(track, 0, sizeof(*track));
    track->file = file;
    if (file) {
        file->clock = clock_kind();
        memcpy(file->magic, LAYOUT_CLOCK_MAGIC, sizeof(file->magic));
    }
    /* Two, because one pair gives no rate: a producer killed at once would leave times nobody can read. */
    clock_track_take(track, clock_monotonic_ns());
    nanosleep(&apart, NULL);
    clock_track_take(track, clock_monotonic_ns());
}

/* Prepares the straight piece around ticks: layout_clock_utc() costs three 128-bit divisions a call, which
 * the shipper need not pay for every record of a batch. */
static bool clock_track_piece(struct clock_track *track, size_t n, uint64_t ticks)
{
    for (size_t i = n - 1; i > 0; i--) {
        const struct layout_clock_pair *from = &track->pairs[i - 1], *to = &track->pairs[i];
        if (ticks < from->ticks || ticks >= to->ticks)
            continue;
        track->low.ticks = from->ticks;
        track->low.utc_ns = layout_clock_utc(track->pairs, n, from->ticks);
        track->high.ticks = to->ticks;
        track->high.utc_ns = layout_clock_utc(track->pairs, n, to->ticks - 1);
        track->ns_per_tick = to->ticks - 1 == from->ticks ? 0
                                                          : (double)(track->high.utc_ns - track->low.utc_ns) /
                                                                (double)(to->ticks - 1 - from->ticks);
        return true;
    }
    return false;
}

int64_t clock_track_utc_far(struct clock_track *track, uint64_t ticks)
{
    size_t n = track->kept + (track->fresh ? 1 : 0);

    if (n < 2 || !clock_track_piece(track, n, ticks))
        return layout_clock_utc(track->pairs, n, ticks);
    return clock_track_utc(track, ticks);
}

/* ---- ailive_ticks(), ailive_elapsed_ns() ---- */

/* The first pair of (counter, CLOCK_MONOTONIC_RAW) of this process, and the rate since in ns a tick times
 * 2^32. Each word is written once or whole; a child keeps both, because the counter goes on. */
static struct layout_clock_pair rate_base;
static uint32_t rate_base_state; /* 0 none, 1 being taken, 2 there */
static uint64_t rate;

static void rate_start(void)
{
    uint32_t none = 0;

    if (!__atomic_compare_exchange_n(&rate_base_state, &none, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    rate_base = clock_bracket(CLOCK_MONOTONIC_RAW);
    /* Pairs with the acquire in rate_measure(): the base is whole. */
    __atomic_store_n(&rate_base_state, 2, __ATOMIC_RELEASE);
}

/* Measures the rate from the base to now, once at least 2 ms lie between. A thread that comes while another
 * is still taking the base, or a child forked in that moment, measures from a base of its own. */
static uint64_t rate_measure(void)
{
    const struct timespec apart = {0, CLOCK_APART_AT_OPEN_NS};
    struct layout_clock_pair from, to;
    uint64_t measured;

    if (__atomic_load_n(&rate_base_state, __ATOMIC_ACQUIRE) == 2)
        from = rate_base;
    else
        from = clock_bracket(CLOCK_MONOTONIC_RAW);
    to = clock_bracket(CLOCK_MONOTONIC_RAW);
    if (to.utc_ns - from.utc_ns < CLOCK_APART_AT_OPEN_NS) {
        nanosleep(&apart, NULL);
        to = clock_bracket(CLOCK_MONOTONIC_RAW);
    }
    measured =
        (uint64_t)(((unsigned __int128)(uint64_t)(to.utc_ns - from.utc_ns) << 32) / (to.ticks - from.ticks));
    __atomic_store_n(&rate, measured, __ATOMIC_RELAXED);
    return measured;
}

void clock_rate_refine(void)
{
    if (__atomic_load_n(&rate_base_state, __ATOMIC_ACQUIRE) == 2)
        (void)rate_measure();
}

uint64_t ailive_ticks(void)
{
    uint64_t kind = clock_kind();

    if (__builtin_expect(__atomic_load_n(&rate_base_state, __ATOMIC_RELAXED) == 0, 0))
        rate_start();
    return clock_ticks(kind);
}

int64_t ailive_elapsed_ns(uint64_t since_ticks)
{
    uint64_t now = clock_ticks(clock_kind());
    uint64_t per_tick = __atomic_load_n(&rate, __ATOMIC_RELAXED);

    if (now <= since_ticks)
        return 0; /* another CPU's counter may be a few ticks behind */
    if (clock_kind() == AILIVE_CLOCK_GETTIME)
        return (int64_t)(now - since_ticks);
    if (__builtin_expect(per_tick == 0, 0))
        per_tick = rate_measure();
    return (int64_t)((unsigned __int128)(now - since_ticks) * per_tick >> 32);
}
