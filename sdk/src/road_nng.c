/* road_nng.c - loads libailive-nng; see road_nng.h.
 *
 * Place on the route: before road_ipc on every road but ipc://. Owns the loaded library, which it never
 * unloads: libnng's threads would run on in code that has gone. */
#include "road_nng.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>

static int road_nng_load(const struct bridge_calls **out, char *error, size_t cap)
{
    void *library = dlopen(BRIDGE_LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    const struct bridge_calls *calls = library ? dlsym(library, BRIDGE_SYMBOL) : NULL;

    if (!calls) {
        const char *why = dlerror();
        snprintf(error, cap, "%s cannot be loaded (%s): install it, or use ipc://", BRIDGE_LIBRARY,
                 why ? why : "no reason given");
        return ENOTSUP;
    }
    if (calls->abi != BRIDGE_ABI) {
        snprintf(error, cap, "%s is of another version than libailive: install both of one", BRIDGE_LIBRARY);
        return ENOTSUP;
    }
    *out = calls;
    return 0;
}

int road_nng_open(struct road_nng *road, const struct bridge_options *options, char *error, size_t error_cap)
{
    const struct bridge_calls *calls = NULL;
    int status = road_nng_load(&calls, error, error_cap);

    if (status == 0)
        status = calls->open(options, &road->bridge, error, error_cap);
    if (status == 0)
        road->calls = calls;
    return status;
}

int road_nng_connect(const struct road_nng *road, int *fd)
{
    return road->calls->connect(road->bridge, fd);
}

void road_nng_close(struct road_nng *road)
{
    if (road->calls)
        road->calls->close(road->bridge);
    road->calls = NULL;
    road->bridge = NULL;
}
