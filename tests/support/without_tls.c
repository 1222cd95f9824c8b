/* without_tls.c - preloaded: a libnng that was built without TLS, as far as anybody can tell.
 *
 * Debian's is built with it, so that what our two sides say without it is seen only this way. */
#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

int nng_tls_config_alloc(nng_tls_config **config, nng_tls_mode mode)
{
    (void)config;
    (void)mode;
    return NNG_ENOTSUP;
}
