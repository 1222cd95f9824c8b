/* tls.c - see tls.h. */
#include "tls.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>

const char *tls_priorities(const struct web_config *config)
{
    return config->tls13_only ? "NORMAL:-VERS-ALL:+VERS-TLS1.3"
                              : "NORMAL:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3";
}

static gnutls_datum_t datum(char *text)
{
    return (gnutls_datum_t){(unsigned char *)text, (unsigned)strlen(text)};
}

int tls_check(const struct web_config *config, char *error, size_t error_cap)
{
    gnutls_datum_t certificate = datum(config->certificate), key = datum(config->key);
    gnutls_certificate_credentials_t credentials;
    int status = gnutls_certificate_allocate_credentials(&credentials);

    if (status == 0) {
        status = gnutls_certificate_set_x509_key_mem(credentials, &certificate, &key, GNUTLS_X509_FMT_PEM);
        if (status >= 0 && config->client_ca != NULL) {
            gnutls_datum_t ca = datum(config->client_ca);

            status = gnutls_certificate_set_x509_trust_mem(credentials, &ca, GNUTLS_X509_FMT_PEM);
            status = status == 0 ? GNUTLS_E_NO_CERTIFICATE_FOUND : status; /* a count, unless negative */
        }
        gnutls_certificate_free_credentials(credentials);
    }
    if (status >= 0)
        return 0;
    snprintf(error, error_cap, "the files of tls_server_config cannot be used: %s", gnutls_strerror(status));
    return -1;
}

bool tls_peer_is_fine(const struct web_config *config, void *session)
{
    unsigned faults = 0, count = 0;
    int status;

    if (config->client_auth == WEB_CLIENT_NONE)
        return true;
    if (session == NULL)
        return false;
    if (gnutls_certificate_get_peers(session, &count) == NULL || count == 0)
        return config->client_auth == WEB_CLIENT_IF_GIVEN;
    status = gnutls_certificate_verify_peers3(session, NULL, &faults);
    return status == 0 && faults == 0;
}
