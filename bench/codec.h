/* codec.h - a batch's way from a ring's slots to committed series, step by step, for what times or counts it.
 *
 * Place: bench_codec and count_instructions -> [codec] -> the project's own modules. One thread, one of it.
 */
#ifndef AILIVE_BENCH_CODEC_H
#define AILIVE_BENCH_CODEC_H

#include <stdint.h>

/* A ring with records of 2 components, 4 runs, 8 reasons, 2 stages and all latencies; an empty aggregate, a
 * state in memory. */
void codec_open(void);
void codec_close(void);

/* The steps, in this order: slots to columns and columns to a message, as the shipper does (returns how many
 * records); the message's columns; rows, ingest with its ranges, and series. The same records each time,
 * under new numbers. */
uint32_t codec_encode(void);
void codec_decode(void);
void codec_aggregate(void);

/* Records encoded so far, and events counted. */
uint64_t codec_events(void);
uint64_t codec_counted(void);

#endif
