/* peer_lttng.c - one decision through an LTTng-UST tracepoint; bench_peers.py has made a session that takes
 * it.
 *
 *     peer_lttng [--quick]
 */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "peer_calls.h"
#include "peer_lttng_provider.h"

static void call(uint64_t i)
{
    lttng_ust_tracepoint(ailive_peer, decision, 2, 0, 4, 8, 9, (int64_t)i);
}

int main(int argc, char **argv)
{
    peer_here();
    peer_calls(argc, argv, call);
    return 0;
}
