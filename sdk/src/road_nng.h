/* road_nng.h - the roads that need libnng: libailive-nng, loaded when the URL asks for it.
 *
 * Place on the route: beside road_ipc, which carries what goes over a bridge too. Opened by ailive_open(),
 * asked for connections by the shipper. See nng/bridge.h for what it costs and that it is not fork-safe. */
#ifndef AILIVE_SRC_ROAD_NNG_H
#define AILIVE_SRC_ROAD_NNG_H

#include "nng/bridge.h"

/* All zero: not opened. A forked child works on a copy, and is refused. */
struct road_nng {
    const struct bridge_calls *calls;
    struct bridge *bridge;
};

/* 0, or errno with one line in error: ENOTSUP when the library is not there, is of another version, or its
 * libnng has no TLS. */
int road_nng_open(struct road_nng *road, const struct bridge_options *options, char *error, size_t error_cap);

/* 0 or errno; EPERM: in a forked child. */
int road_nng_connect(const struct road_nng *road, int *fd);

/* Harmless when not opened. The library stays loaded. */
void road_nng_close(struct road_nng *road);

#endif
