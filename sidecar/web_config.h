/* web_config.h - TLS and users of the HTTP side, from a file in the format of Prometheus' exporters
 * (--web.config.file).
 *
 * Place on the route: read by web_watch, before http opens and when it has changed. The only file that names
 * libyaml. No threads. Understood: tls_server_config with cert_file, key_file, client_auth_type,
 * client_ca_file, min_version; basic_auth_users with bcrypt hashes; http_server_config with http2 (there is
 * none here, so that it means nothing). Any other key is an error: a setting that is not honoured must not
 * look as if it were.
 *
 * Limits: WEB_CONFIG_FILE_BYTES for the file and for each file it names, WEB_CONFIG_USERS_MAX users, bcrypt's
 * cost up to WEB_CONFIG_COST_MAX: one more takes twice the time, and no scrape waits for 17.
 */
#ifndef AILIVE_SIDECAR_WEB_CONFIG_H
#define AILIVE_SIDECAR_WEB_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#define WEB_CONFIG_FILE_BYTES (1u << 20)
#define WEB_CONFIG_USERS_MAX  1000u
#define WEB_CONFIG_COST_MAX   16u

enum web_client_auth {
    WEB_CLIENT_NONE,     /* NoClientCert */
    WEB_CLIENT_IF_GIVEN, /* VerifyClientCertIfGiven */
    WEB_CLIENT_REQUIRED  /* RequireAndVerifyClientCert */
};

struct web_user {
    char *name;
    char *hash; /* bcrypt */
};

struct web_config {
    char *certificate, *key, *client_ca; /* PEM texts; certificate NULL: no TLS; client_ca NULL: none */
    enum web_client_auth client_auth;
    bool tls13_only; /* min_version TLS13; else 1.2 and up */
    struct web_user *users;
    size_t user_count; /* 0: nobody is asked who he is */
};

/* What was looked at: the file itself, then those that it names; as they were just before they were read. */
#define WEB_FILES_MAX 4u

struct web_file {
    char path[4096];
    bool there;
    struct stat found; /* when there */
};

struct web_files {
    struct web_file of[WEB_FILES_MAX];
    size_t count;
};

/* Names of files are relative to the folder of the file that names them. files: filled in either case. -1:
 * error holds one line with file and line number. */
int web_config_read(const char *path, struct web_files *files, struct web_config **out, char *error,
                    size_t error_cap);

/* Whether anybody is kept out by it. */
bool web_config_guards(const struct web_config *config);

/* NULL is harmless. */
void web_config_free(struct web_config *config);

#endif
