/* http_get.c - GET one URL.
 *
 * Place on the route: Prometheus, an exporter or Grafana -> [http_get] -> proof, activity. Owns its curl
 * handle. Never sends anything but GET. libcurl is loaded by the first handle: a sidecar, which asks nobody,
 * would pay 3 MiB of resident memory for being linked to it.
 */
#include "http_get.h"

#include "now.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Macros of curl.h that would hide the calls below. */
#undef curl_easy_setopt
#undef curl_easy_getinfo

#define CONNECT_MS 2000L

/* What is used of libcurl. __typeof__: its header stays the only place where a call's type stands. */
struct curl {
    void *library;
    __typeof__(curl_global_init) *global_init;
    __typeof__(curl_global_cleanup) *global_cleanup;
    __typeof__(curl_easy_init) *init;
    __typeof__(curl_easy_cleanup) *cleanup;
    __typeof__(curl_easy_reset) *reset;
    __typeof__(curl_easy_setopt) *setopt;
    __typeof__(curl_easy_perform) *perform;
    __typeof__(curl_easy_getinfo) *getinfo;
    __typeof__(curl_easy_strerror) *strerror;
    __typeof__(curl_easy_escape) *escape;
    __typeof__(curl_free) *free;
};

struct http_get {
    struct curl api;
    CURL *curl;
    char error[CURL_ERROR_SIZE];
    bool too_long; /* the answer is over HTTP_GET_MAX_BYTES, or memory is out */
    struct buffer *body;
};

static bool find(void *library, const char *name, void *out)
{
    void *symbol = dlsym(library, name);

    memcpy(out, &symbol, sizeof(symbol)); /* ISO C has no cast from an object's to a function's pointer */
    return symbol != NULL;
}

/* Either of Debian's builds. It stays loaded: what it leaves with its TLS library must find it again. */
static void *open_library(void)
{
    const int how = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;
    void *library = dlopen("libcurl-gnutls.so.4", how);

    return library != NULL ? library : dlopen("libcurl.so.4", how);
}

static bool load(struct curl *api)
{
    void *library = api->library = open_library();

    return library != NULL && find(library, "curl_global_init", &api->global_init) &&
           find(library, "curl_global_cleanup", &api->global_cleanup) &&
           find(library, "curl_easy_init", &api->init) && find(library, "curl_easy_cleanup", &api->cleanup) &&
           find(library, "curl_easy_reset", &api->reset) && find(library, "curl_easy_setopt", &api->setopt) &&
           find(library, "curl_easy_perform", &api->perform) &&
           find(library, "curl_easy_getinfo", &api->getinfo) &&
           find(library, "curl_easy_strerror", &api->strerror) &&
           find(library, "curl_easy_escape", &api->escape) && find(library, "curl_free", &api->free);
}

struct http_get *http_get_new(char *error, size_t error_cap)
{
    struct http_get *get = calloc(1, sizeof(*get));

    snprintf(error, error_cap, "out of memory");
    if (get == NULL)
        return NULL;
    if (!load(&get->api)) {
        snprintf(error, error_cap, "libcurl is not there: apt-get install libcurl3-gnutls");
        goto no_library;
    }
    if (get->api.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        goto no_library;
    get->curl = get->api.init();
    if (get->curl != NULL)
        return get;
    get->api.global_cleanup();
no_library:
    if (get->api.library != NULL)
        dlclose(get->api.library);
    free(get);
    return NULL;
}

void http_get_free(struct http_get *get)
{
    if (get == NULL)
        return;
    get->api.cleanup(get->curl);
    get->api.global_cleanup();
    dlclose(get->api.library);
    free(get);
}

/* curl's: more of the answer. Anything but the length ends the transfer. */
static size_t take(char *bytes, size_t one, size_t len_bytes, void *context)
{
    struct http_get *get = context;

    (void)one; /* always 1 */
    if (get->body->used + len_bytes > HTTP_GET_MAX_BYTES || !buffer_add(get->body, bytes, len_bytes)) {
        get->too_long = true;
        return 0;
    }
    return len_bytes;
}

static bool prepare(struct http_get *get, const char *url, int64_t limit_ms)
{
    __typeof__(curl_easy_setopt) *setopt = get->api.setopt;
    CURL *curl = get->curl;

    get->api.reset(curl);
    return setopt(curl, CURLOPT_URL, url) == CURLE_OK && setopt(curl, CURLOPT_HTTPGET, 1L) == CURLE_OK &&
           setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           setopt(curl, CURLOPT_PROXY, "") == CURLE_OK && /* not the environment's either */
           setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) == CURLE_OK &&
           setopt(curl, CURLOPT_TIMEOUT_MS, (long)limit_ms) == CURLE_OK &&
           setopt(curl, CURLOPT_ERRORBUFFER, get->error) == CURLE_OK &&
           setopt(curl, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
           setopt(curl, CURLOPT_WRITEDATA, get) == CURLE_OK;
}

/* One try: the HTTP status, or 0. */
static int try_once(struct http_get *get, const char *url, int64_t limit_ms, char *error, size_t error_cap)
{
    char shown[256];
    CURLcode code;
    long status = 0;

    get->body->used = 0;
    get->too_long = false;
    get->error[0] = '\0';
    code = prepare(get, url, limit_ms) ? get->api.perform(get->curl) : CURLE_OUT_OF_MEMORY;
    if (code == CURLE_OK && get->api.getinfo(get->curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
        status > 0)
        return (int)status;
    http_get_shown(url, shown, sizeof(shown));
    snprintf(error, error_cap, "%.200s: %s", shown,
             get->too_long           ? "the answer is too long"
             : get->error[0] != '\0' ? get->error
                                     : get->api.strerror(code));
    return 0;
}

int http_get(struct http_get *get, const char *url, struct buffer *body, char *error, size_t error_cap)
{
    const struct timespec pause = {.tv_nsec = HTTP_GET_PAUSE_MS * 1000000L};
    int64_t end_ms = now_monotonic_ms() + HTTP_GET_MS, left_ms = HTTP_GET_MS;
    int status = 0;

    get->body = body;
    for (unsigned i = 0; i < HTTP_GET_TRIES && left_ms > 0; i++) {
        status = try_once(get, url, left_ms, error, error_cap);
        if ((status > 0 && status < 500) || get->too_long)
            break;
        if (i + 1 < HTTP_GET_TRIES)
            nanosleep(&pause, NULL);
        left_ms = end_ms - now_monotonic_ms();
    }
    return status;
}

bool http_get_url(struct http_get *get, struct buffer *out, const char *base, const char *path,
                  const char *expression)
{
    size_t base_len = strlen(base);
    char *escaped = NULL;
    bool fine;

    while (base_len > 0 && base[base_len - 1] == '/')
        base_len--;
    fine = buffer_add(out, base, base_len) && buffer_add_text(out, path);
    if (fine && expression != NULL) {
        escaped = get->api.escape(get->curl, expression, 0);
        fine = escaped != NULL && buffer_add_text(out, "?query=") && buffer_add_text(out, escaped);
        get->api.free(escaped);
    }
    return fine && buffer_add(out, "", 1);
}

void http_get_shown(const char *url, char *out, size_t cap)
{
    const char *scheme = strstr(url, "://");
    const char *host = scheme != NULL ? scheme + 3 : url;
    const char *end = host + strcspn(host, "/?#"), *at = end;

    while (at > host && at[-1] != '@')
        at--;
    snprintf(out, cap, "%.*s%s", (int)(host - url), url, at);
}
