/* web_config.c - see web_config.h. */
#include "web_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

struct reader {
    const char *path; /* of the configuration */
    yaml_document_t document;
    struct web_config *config;
    struct web_files *files;
    yaml_node_t *cert_file, *key_file, *client_ca_file; /* as given, NULL when not */
    char *error;
    size_t error_cap;
};

static int fail(struct reader *reader, const yaml_node_t *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int fail(struct reader *reader, const yaml_node_t *node, const char *format, ...)
{
    va_list arguments;
    int used = snprintf(reader->error, reader->error_cap, "%s:%zu: ", reader->path,
                        node != NULL ? node->start_mark.line + 1 : 1);

    va_start(arguments, format);
    if (used > 0 && (size_t)used < reader->error_cap)
        vsnprintf(reader->error + used, reader->error_cap - (size_t)used, format, arguments);
    va_end(arguments);
    return -1;
}

static const char *text(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

static bool is_text(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && node->data.scalar.length > 0 &&
           strlen(text(node)) == node->data.scalar.length;
}

/* ---- files ---- */

/* The whole file as a string. NULL: errno says why. What follows a NUL would pass unread, and with it the
 * users: such a file, as a crash leaves one, is refused. */
static char *read_whole(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *bytes = NULL;
    size_t used = 0;
    ssize_t n = 0;

    if (fd < 0)
        return NULL;
    bytes = malloc(WEB_CONFIG_FILE_BYTES + 1);
    while (bytes != NULL && used < WEB_CONFIG_FILE_BYTES &&
           (n = read(fd, bytes + used, WEB_CONFIG_FILE_BYTES - used)) > 0)
        used += (size_t)n;
    if (bytes == NULL || n < 0 || used == WEB_CONFIG_FILE_BYTES) {
        int cause = n < 0 ? errno : bytes == NULL ? ENOMEM : EFBIG;

        free(bytes);
        close(fd);
        errno = cause;
        return NULL;
    }
    close(fd);
    bytes[used] = '\0';
    if (strlen(bytes) == used)
        return bytes;
    free(bytes);
    errno = EILSEQ;
    return NULL;
}

/* Before it is read: what changes from then on is seen as a change. */
static char *read_noted(struct web_files *files, const char *path)
{
    struct web_file *file = &files->of[files->count++];

    snprintf(file->path, sizeof(file->path), "%s", path);
    file->there = stat(path, &file->found) == 0;
    return read_whole(path);
}

static int read_named(struct reader *reader, const yaml_node_t *name, char **out)
{
    const char *slash = strrchr(reader->path, '/');
    char path[4096];
    int len = text(name)[0] == '/' || slash == NULL
                  ? snprintf(path, sizeof(path), "%s", text(name))
                  : snprintf(path, sizeof(path), "%.*s%s", (int)(slash + 1 - reader->path), reader->path,
                             text(name));

    if (len < 0 || (size_t)len >= sizeof(path))
        return fail(reader, name, "the name of the file is too long");
    *out = read_noted(reader->files, path);
    return *out != NULL ? 0 : fail(reader, name, "cannot read %s: %s", path, strerror(errno));
}

/* ---- keys and values ---- */

typedef int take_fn(struct reader *reader, const char *key, yaml_node_t *name, yaml_node_t *value);

static bool is_repeated(struct reader *reader, const yaml_node_t *map, const yaml_node_pair_t *pair)
{
    const yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);

    for (const yaml_node_pair_t *other = map->data.mapping.pairs.start; other < pair; other++)
        if (strcmp(text(yaml_document_get_node(&reader->document, other->key)), text(key)) == 0)
            return true;
    return false;
}

/* Calls take for each pair. */
static int each_pair(struct reader *reader, const char *what, yaml_node_t *map, take_fn *take)
{
    if (map->type != YAML_MAPPING_NODE)
        return fail(reader, map, "%s must hold `key: value` lines", what);
    for (yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top; pair++) {
        yaml_node_t *name = yaml_document_get_node(&reader->document, pair->key);
        yaml_node_t *value = yaml_document_get_node(&reader->document, pair->value);

        if (!is_text(name))
            return fail(reader, name, "a key of %s is no text", what);
        if (is_repeated(reader, map, pair))
            return fail(reader, name, "'%.80s' stands twice in %s", text(name), what);
        if (take(reader, text(name), name, value) != 0)
            return -1;
    }
    return 0;
}

static int take_client_auth(struct reader *reader, yaml_node_t *value)
{
    static const struct {
        const char *name;
        enum web_client_auth auth;
    } known[] = {{"NoClientCert", WEB_CLIENT_NONE},
                 {"VerifyClientCertIfGiven", WEB_CLIENT_IF_GIVEN},
                 {"RequireAndVerifyClientCert", WEB_CLIENT_REQUIRED}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(text(value), known[i].name) == 0) {
            reader->config->client_auth = known[i].auth;
            return 0;
        }
    return fail(reader, value,
                "client_auth_type is '%.80s'; give NoClientCert, VerifyClientCertIfGiven or "
                "RequireAndVerifyClientCert",
                text(value));
}

static int take_min_version(struct reader *reader, yaml_node_t *value)
{
    reader->config->tls13_only = strcmp(text(value), "TLS13") == 0;
    if (reader->config->tls13_only || strcmp(text(value), "TLS12") == 0)
        return 0;
    return fail(reader, value, "min_version is '%.80s'; give TLS12 or TLS13", text(value));
}

static int take_tls(struct reader *reader, const char *key, yaml_node_t *name, yaml_node_t *value)
{
    if (!is_text(value))
        return fail(reader, value, "%.80s needs a text", key);
    if (strcmp(key, "cert_file") == 0)
        reader->cert_file = value;
    else if (strcmp(key, "key_file") == 0)
        reader->key_file = value;
    else if (strcmp(key, "client_ca_file") == 0)
        reader->client_ca_file = value;
    else if (strcmp(key, "client_auth_type") == 0)
        return take_client_auth(reader, value);
    else if (strcmp(key, "min_version") == 0)
        return take_min_version(reader, value);
    else
        return fail(reader, name,
                    "'%.80s' is not understood in tls_server_config; understood are cert_file, key_file, "
                    "client_auth_type, client_ca_file and min_version",
                    key);
    return 0;
}

/* Below 04 and above 31 there is none: no password would ever match. */
static bool is_bcrypt_cost(const char *two)
{
    return two[0] >= '0' && two[0] <= '9' && two[1] >= '0' && two[1] <= '9' && strncmp(two, "04", 2) >= 0 &&
           strncmp(two, "31", 2) <= 0;
}

static bool is_bcrypt(const char *hash)
{
    static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    return strlen(hash) == 60 && hash[0] == '$' && hash[1] == '2' && strchr("aby", hash[2]) != NULL &&
           hash[3] == '$' && is_bcrypt_cost(hash + 4) && hash[6] == '$' && strspn(hash + 7, digits) == 53;
}

static int take_user(struct reader *reader, const char *key, yaml_node_t *name, yaml_node_t *value)
{
    struct web_config *config = reader->config;
    struct web_user *user;

    if (strchr(key, ':') != NULL)
        return fail(reader, name, "a user's name cannot hold a colon");
    if (!is_text(value) || !is_bcrypt(text(value)))
        return fail(reader, value,
                    "the password of '%.80s' is no bcrypt hash; `htpasswd -nBC 10 NAME` makes one", key);
    if (strtoul(text(value) + 4, NULL, 10) > WEB_CONFIG_COST_MAX)
        return fail(
            reader, value,
            "the bcrypt cost of '%.80s' is %.2s; above %u one check takes longer than a scrape waits, "
            "10 to 12 is usual",
            key, text(value) + 4, WEB_CONFIG_COST_MAX);
    if (config->user_count == WEB_CONFIG_USERS_MAX)
        return fail(reader, name, "more than %u users", WEB_CONFIG_USERS_MAX);
    if (config->users == NULL)
        config->users = calloc(WEB_CONFIG_USERS_MAX, sizeof(*config->users));
    if (config->users == NULL)
        return fail(reader, name, "out of memory");
    user = &config->users[config->user_count++];
    user->name = strdup(key);
    user->hash = strdup(text(value));
    return user->name != NULL && user->hash != NULL ? 0 : fail(reader, name, "out of memory");
}

static int take_server(struct reader *reader, const char *key, yaml_node_t *name, yaml_node_t *value)
{
    (void)value;
    if (strcmp(key, "http2") == 0)
        return 0;
    return fail(reader, name, "'%.80s' is not understood in http_server_config; understood is http2", key);
}

static int take_top(struct reader *reader, const char *key, yaml_node_t *name, yaml_node_t *value)
{
    if (strcmp(key, "tls_server_config") == 0)
        return each_pair(reader, key, value, take_tls);
    if (strcmp(key, "basic_auth_users") == 0)
        return each_pair(reader, key, value, take_user);
    if (strcmp(key, "http_server_config") == 0)
        return each_pair(reader, key, value, take_server);
    return fail(reader, name,
                "'%.80s' is not understood; understood are tls_server_config, basic_auth_users and "
                "http_server_config",
                key);
}

/* What belongs together is there together; then the files. */
static int complete_tls(struct reader *reader)
{
    struct web_config *config = reader->config;
    const yaml_node_t *any = reader->cert_file  ? reader->cert_file
                             : reader->key_file ? reader->key_file
                                                : reader->client_ca_file;

    if (any == NULL && config->client_auth == WEB_CLIENT_NONE && !config->tls13_only)
        return 0;
    if (reader->cert_file == NULL || reader->key_file == NULL)
        return fail(reader, any, "tls_server_config needs both cert_file and key_file");
    if ((config->client_auth != WEB_CLIENT_NONE) != (reader->client_ca_file != NULL))
        return fail(reader, any,
                    "client_ca_file and a client_auth_type that verifies need each other: give both or none");
    if (read_named(reader, reader->cert_file, &config->certificate) != 0 ||
        read_named(reader, reader->key_file, &config->key) != 0)
        return -1;
    return reader->client_ca_file != NULL ? read_named(reader, reader->client_ca_file, &config->client_ca)
                                          : 0;
}

static int read_document(struct reader *reader)
{
    yaml_node_t *root = yaml_document_get_root_node(&reader->document);

    if (root == NULL || (root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0))
        return 0; /* an empty file: no TLS, no users */
    if (each_pair(reader, "the file", root, take_top) != 0)
        return -1;
    return complete_tls(reader);
}

static int load(struct reader *reader, yaml_parser_t *parser)
{
    if (yaml_parser_load(parser, &reader->document))
        return 0;
    snprintf(reader->error, reader->error_cap, "%s:%zu: no YAML: %s", reader->path,
             parser->problem_mark.line + 1, parser->problem != NULL ? parser->problem : "it cannot be read");
    return -1;
}

/* Users in a second document would be nobody's: it is refused rather than passed over. */
static int read_end(struct reader *reader, yaml_parser_t *parser)
{
    const yaml_node_t *root;
    int status = 0;

    if (load(reader, parser) != 0)
        return -1;
    root = yaml_document_get_root_node(&reader->document);
    if (root != NULL)
        status = fail(reader, root, "a second document begins; put everything into the first");
    yaml_document_delete(&reader->document);
    return status;
}

static int parse(struct reader *reader, const char *bytes)
{
    yaml_parser_t parser;
    int status;

    if (!yaml_parser_initialize(&parser))
        return fail(reader, NULL, "out of memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, strlen(bytes));
    status = load(reader, &parser);
    if (status == 0) {
        status = read_document(reader);
        yaml_document_delete(&reader->document);
    }
    if (status == 0)
        status = read_end(reader, &parser);
    yaml_parser_delete(&parser);
    return status;
}

int web_config_read(const char *path, struct web_files *files, struct web_config **out, char *error,
                    size_t error_cap)
{
    struct reader reader = {.path = path, .files = files, .error = error, .error_cap = error_cap};
    char *bytes;
    int status;

    *out = NULL;
    files->count = 0;
    bytes = read_noted(files, path);
    if (bytes == NULL) {
        snprintf(error, error_cap, "cannot read %s: %s", path, strerror(errno));
        return -1;
    }
    reader.config = calloc(1, sizeof(*reader.config));
    status = reader.config != NULL ? parse(&reader, bytes) : fail(&reader, NULL, "out of memory");
    free(bytes);
    if (status == 0)
        *out = reader.config;
    else
        web_config_free(reader.config);
    return status;
}

bool web_config_guards(const struct web_config *config)
{
    return config->certificate != NULL || config->user_count > 0;
}

void web_config_free(struct web_config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->user_count; i++) {
        free(config->users[i].name);
        free(config->users[i].hash);
    }
    free(config->users);
    free(config->certificate);
    if (config->key != NULL)
        explicit_bzero(config->key, strlen(config->key));
    free(config->key);
    free(config->client_ca);
    free(config);
}
