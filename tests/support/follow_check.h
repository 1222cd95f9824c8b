/* follow_check.h - one followed event file, written, rotated and read by a test. Included once in a test. */
#ifndef AILIVE_TESTS_FOLLOW_CHECK_H
#define AILIVE_TESTS_FOLLOW_CHECK_H

#include "core_check.h"
#include "follow.h"

#include <time.h>

static struct contract *contract;
static struct follow_context context_of_follow;
static struct follow *follow;
static struct observation observations[FOLLOW_UNIT_LINES];
static int64_t now_ms;
static const char line[] = "{\"v\":1,\"decision\":\"accept\",\"run_id\":\"r\"}\n";
static unsigned unique; /* makes every line another one, as times do in real ones */

static inline void reading_up(void)
{
    contract = contract_new(NULL);
    context_of_follow = (struct follow_context){ingest, contract, observations};
}

static inline void follow_up(bool from_end)
{
    if (follow_open(&context_of_follow, in_folder("e.jsonl"), from_end, &follow, error, sizeof(error)) != 0)
        fail_msg("%s", error);
}

/* As a kill does. */
static inline void follow_away(void)
{
    follow_close(follow);
    follow = NULL;
}

static inline int begin(void **context)
{
    (void)context;
    follow = NULL;
    if (core_begin() != 0)
        return -1;
    reading_up();
    return 0;
}

static inline int end(void **context)
{
    (void)context;
    follow_away();
    contract_free(contract);
    return core_end();
}

/* Nothing but the committed state stays. */
static inline void core_restart(void)
{
    contract_free(contract);
    core_down();
    core_up();
    reading_up();
}

/* As a kill and a start would. */
static inline void restart(void)
{
    follow_away();
    core_restart();
    follow_up(false);
}

static inline void tick(void)
{
    now_ms += 10;
    while (follow_tick(follow, now_ms))
        ;
}

static inline void lines_put(const char *name, unsigned n)
{
    while (n-- > 0)
        file_append(name, line);
}

static inline void unique_put(const char *name, unsigned n)
{
    char text[128];

    while (n-- > 0) {
        snprintf(text, sizeof(text), "{\"v\":1,\"n\":%u,\"decision\":\"accept\"}\n", unique++);
        file_append(name, text);
    }
}

static inline void renamed(const char *from, const char *to)
{
    assert_int_equal(rename(in_folder(from), in_folder(to)), 0);
}

static inline void copied(const char *from, const char *to)
{
    char bytes[65536];
    int fd = open(in_folder(from), O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, bytes, sizeof(bytes));

    assert_true(fd >= 0 && n >= 0 && (size_t)n < sizeof(bytes));
    close(fd);
    file_put(to, O_CREAT | O_TRUNC, bytes, (size_t)n);
}

static inline void last_written_before(const char *name, int seconds)
{
    struct timespec times[2];
    struct stat status;

    assert_int_equal(stat(in_folder(name), &status), 0);
    times[0] = times[1] = status.st_mtim;
    times[1].tv_sec -= seconds;
    assert_int_equal(utimensat(AT_FDCWD, in_folder(name), times, 0), 0);
}

static inline uint64_t bad(void)
{
    return series_total(aggregate, "peaktrade_ai_events_dropped_total", "bad_json");
}

static inline unsigned random_below(unsigned *seed, unsigned below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

/* A commit fails, none or some after others: then there are files that were seen and not read. The disk is
 * healed or the reader killed. */
static inline void tick_that_fails(unsigned *seed)
{
    failure = random_below(seed, 2) ? FAILS_BEFORE : FAILS_AFTER;
    fine_commits = random_below(seed, 4);
    tick();
    failure = FINE;
    fine_commits = 0;
    if (random_below(seed, 2))
        restart();
    else
        ingest_maintain(ingest);
}

static inline unsigned seed_take(void)
{
    const char *given = getenv("AILIVE_SEED");
    unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : 7;

    if (given == NULL && getenv("CI") == NULL) /* there the same history each time, elsewhere a new one */
        seed = (unsigned)time(NULL);
    print_message("AILIVE_SEED=%u\n", seed);
    return seed;
}

#endif
