/* peer_calls.h - times another library's recording call the way bench_record times ours.
 *
 * Place: peer_*.c -> [peer_calls] -> bench_peers.py, which reads the line it prints. C and C++.
 */
#ifndef AILIVE_BENCH_PEER_CALLS_H
#define AILIVE_BENCH_PEER_CALLS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Binds the calling thread to the first core; peer_there() what it starts to the second. */
void peer_here(void);
void peer_there(void);

/* Times calls back to back and in bursts of 20, as often as argv says ("--quick": once, few), and prints
 * {"back_to_back": [ns, ...], "bursts": [ns, ...], "calls": N}: of each repetition the mean of the lower 99
 * %. */
void peer_calls(int argc, char **argv, void (*call)(uint64_t i));

#ifdef __cplusplus
}
#endif
#endif
