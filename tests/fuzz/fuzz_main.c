/* fuzz_main.c - drives a fuzz target: libFuzzer's mutator where it is linked, a loop of our own elsewhere.
 *
 * $AILIVE_SEED repeats a run of the loop, $AILIVE_FUZZ_RUNS sets its length (default 20,000). */
#include "fuzz.h"

#include "support/random.h"

#include <string.h>
#include <unistd.h>

#ifdef AILIVE_LIBFUZZER

size_t LLVMFuzzerMutate(uint8_t *data, size_t len_bytes, size_t cap_bytes);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len_bytes, size_t cap_bytes, unsigned seed);

/* Random bytes hardly ever become a valid message: begin at one, and come back to one now and then. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len_bytes, size_t cap_bytes, unsigned seed)
{
    if (len_bytes < 2 || seed % 1024 == 0) {
        size_t seed_bytes = fuzz_seed(seed / 1024, data, cap_bytes);
        if (seed_bytes > 0)
            return seed_bytes;
    }
    return LLVMFuzzerMutate(data, len_bytes, cap_bytes);
}

#else

#define INPUT_MAX_BYTES 16384u

/* Numbers at which checks are off by one. */
static uint8_t telling_byte(void)
{
    static const uint8_t bytes[] = {0,    1,    2,    0x1f, 0x20, 0x60, 0x61, 0x7f,
                                    0x80, 0x90, 0xc1, 0xc6, 0xdd, 0xdf, 0xff};

    return random_u64() % 2 ? bytes[random_below(sizeof(bytes))] : (uint8_t)random_u64();
}

/* One change of the input: a byte, a bit, a run, a cut, a piece moved or doubled. Returns the new length. */
static size_t change(uint8_t *input, size_t len)
{
    size_t at, from, count;

    if (len == 0)
        return 0;
    at = random_below(len);
    switch (random_below(7)) {
    case 0:
        input[at] = telling_byte();
        return len;
    case 1:
        input[at] ^= (uint8_t)(1u << random_below(8));
        return len;
    case 2:
        memset(input + at, telling_byte(), 1 + random_below(len - at < 8 ? len - at : 8));
        return len;
    case 3:
        return at;
    case 4: /* a piece left out */
        count = 1 + random_below(len - at);
        memmove(input + at, input + at + count, len - at - count);
        return len - count;
    case 5: /* a piece copied over another */
        from = random_below(len);
        count = 1 + random_below(len - (at > from ? at : from));
        memmove(input + at, input + from, count);
        return len;
    default: /* a piece doubled */
        count = 1 + random_below(len - at);
        if (len + count > INPUT_MAX_BYTES)
            return len;
        memmove(input + at + count, input + at, len - at);
        return len + count;
    }
}

/* The target sees memory of exactly the input's size, so that the sanitizer sees any read beyond it. */
static void run_exact(const uint8_t *input, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1);

    FUZZ_CHECK(exact);
    if (len > 0)
        memcpy(exact, input, len);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
}

static unsigned long number_from(const char *variable, unsigned long fallback)
{
    const char *value = getenv(variable);

    return value && *value ? strtoul(value, NULL, 0) : fallback;
}

int main(void)
{
    static uint8_t input[INPUT_MAX_BYTES];
    unsigned long runs = number_from("AILIVE_FUZZ_RUNS", 20000);
    size_t len;

    printf("AILIVE_FUZZ_RUNS=%lu\n", runs);
    random_seed();
    for (unsigned n = 0; n < 8; n++) {
        len = fuzz_seed(n, input, sizeof(input));
        run_exact(input, len);
    }
    for (unsigned long run = 0; run < runs; run++) {
        len = fuzz_seed((unsigned)random_u64(), input, sizeof(input));
        for (size_t changes = random_below(6); changes > 0; changes--)
            len = change(input, len);
        run_exact(input, len);
    }
    return 0;
}

#endif
