/* peer_lttng_provider.h - the tracepoint of peer_lttng.c, in the form that LTTng-UST's macros read again and
 * again. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER ailive_peer
#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "peer_lttng_provider.h"

#if !defined(AILIVE_BENCH_PEER_LTTNG_PROVIDER_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define AILIVE_BENCH_PEER_LTTNG_PROVIDER_H

#include <lttng/tracepoint.h>

#include <stdint.h>

/* clang-format off */
LTTNG_UST_TRACEPOINT_EVENT(ailive_peer, decision,
    LTTNG_UST_TP_ARGS(uint8_t, decision, uint8_t, action, uint16_t, reason, uint16_t, component, uint16_t, run_id,
                      int64_t, latency_ns),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(uint8_t, decision, decision)
        lttng_ust_field_integer(uint8_t, action, action)
        lttng_ust_field_integer(uint16_t, reason, reason)
        lttng_ust_field_integer(uint16_t, component, component)
        lttng_ust_field_integer(uint16_t, run_id, run_id)
        lttng_ust_field_integer(int64_t, latency_ns, latency_ns)))
/* clang-format on */

#endif

#include <lttng/tracepoint-event.h>
