/* random.h - the numbers of a random test: xorshift, from a seed that is printed and can be given. One stream
 * a program, for one thread. */
#ifndef AILIVE_TESTS_SUPPORT_RANDOM_H
#define AILIVE_TESTS_SUPPORT_RANDOM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t random_state;

/* From $AILIVE_SEED; else, where CI is set, the same each time, and elsewhere a new one. */
static inline void random_seed(void)
{
    const char *given = getenv("AILIVE_SEED");

    if (given != NULL && *given != '\0')
        random_state = strtoull(given, NULL, 0);
    else
        random_state = (getenv("CI") != NULL ? 7 : (uint64_t)time(NULL)) * 2654435761u;
    random_state += random_state == 0; /* from 0 it would never come away */
    printf("AILIVE_SEED=%llu\n", (unsigned long long)random_state);
    fflush(stdout); /* before anything can end the program */
}

static inline uint64_t random_u64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static inline size_t random_below(size_t limit)
{
    return (size_t)(random_u64() >> 16) % limit;
}

#endif
