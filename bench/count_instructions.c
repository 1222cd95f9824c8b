/* count_instructions.c - what `valgrind --tool=callgrind --toggle-collect=counted_...` counts.
 *
 *     count_instructions record|encode|decode|aggregate
 *
 * Does one kind of work, all of it inside one function with a name of its own, and prints how many records
 * that were. Run by instructions.py. The recording call runs on a writer made here: valgrind's processor has
 * no invariant time stamp counter, with which the library would send each call down the slow path.
 */
#include "codec.h"
#include "measure.h"

#include <ailive/ailive.h>

#include <stdio.h>
#include <string.h>

#define RECORDS 8192u
#define BATCHES 8u

void counted_record(struct ailive *telemetry);
uint64_t counted_encode(void);
void counted_decode(void);
void counted_aggregate(void);

__attribute__((noinline)) void counted_record(struct ailive *telemetry)
{
    for (int64_t i = 0; i < RECORDS; i++)
        ailive_record_decision(telemetry, AILIVE_REJECT, AILIVE_REASON_RISK_LIMIT, AILIVE_ACTION_NONE, i);
}

__attribute__((noinline)) uint64_t counted_encode(void)
{
    return codec_encode();
}

__attribute__((noinline)) void counted_decode(void)
{
    codec_decode();
}

__attribute__((noinline)) void counted_aggregate(void)
{
    codec_aggregate();
}

static uint64_t record(void)
{
    static unsigned char slots[RECORDS * AILIVE_SLOT_BYTES];
    static uint64_t shared_head;
    static uint64_t owner; /* stands for an instance: only its address is looked at */
    struct ailive *telemetry = (struct ailive *)(void *)&owner;
    struct ailive_writer writer = {.owner = telemetry,
                                   .slots = slots,
                                   .mask = RECORDS - 1,
                                   .limit = RECORDS,
                                   .shared_head = &shared_head,
                                   .clock = AILIVE_CLOCK_COUNTER};
    struct ailive_writer *before = ailive_thread_writer;

    ailive_thread_writer = &writer;
    counted_record(telemetry);
    ailive_thread_writer = before;
    return shared_head;
}

static uint64_t batches(void)
{
    uint64_t records = 0, first;

    codec_open();
    first = codec_encode(); /* uncounted: series and storage are made at first sight */
    codec_decode();
    codec_aggregate();
    for (unsigned i = 0; i < BATCHES; i++) {
        records += counted_encode();
        counted_decode();
        counted_aggregate();
    }
    if (codec_counted() != first + records)
        measure_die("%lu of %lu records were counted", (unsigned long)codec_counted(),
                    (unsigned long)records);
    codec_close();
    return records;
}

int main(int argc, char **argv)
{
    uint64_t records;

    if (argc != 2)
        measure_die("usage: count_instructions record|encode|decode|aggregate");
    records = strcmp(argv[1], "record") == 0 ? record() : batches();
    printf("%lu\n", (unsigned long)records);
    return 0;
}
