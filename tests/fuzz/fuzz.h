/* fuzz.h - what every fuzz target has: one input taken, and first inputs worth changing.
 *
 * Built with AILIVE_FUZZ=ON a target is libFuzzer's; otherwise an ordinary program that takes a bounded
 * number of seeded inputs (fuzz_main.c), so that the everyday test run meets hostile bytes too. */
#ifndef AILIVE_FUZZ_H
#define AILIVE_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Takes one input. Returns 0; ends the program when something that must hold does not. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

/* Writes valid input number n % (as many as there are) into out; returns its length. */
size_t fuzz_seed(unsigned n, uint8_t *out, size_t cap_bytes);

/* Unlike assert(), stays in every build. */
#define FUZZ_CHECK(condition)                                                                                \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                   \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

#endif
