/* http_get.c - GET one URL.
 *
 * Place on the route: Prometheus, an exporter or Grafana -> [http_get] -> proof, activity. Owns its curl
 * handle. Never sends anything but GET.
 */
#include "http_get.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECT_MS 2000L

struct http_get {
    CURL *curl;
    char error[CURL_ERROR_SIZE];
    bool too_long; /* the answer is over HTTP_GET_MAX_BYTES, or memory is out */
    struct buffer *body;
};

struct http_get *http_get_new(void)
{
    struct http_get *get = calloc(1, sizeof(*get));

    if (get == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(get);
        return NULL;
    }
    get->curl = curl_easy_init();
    if (get->curl == NULL) {
        free(get);
        curl_global_cleanup();
        return NULL;
    }
    return get;
}

void http_get_free(struct http_get *get)
{
    if (get == NULL)
        return;
    curl_easy_cleanup(get->curl);
    curl_global_cleanup();
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

static bool prepare(struct http_get *get, const char *url)
{
    CURL *curl = get->curl;

    curl_easy_reset(curl);
    return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK && /* not the environment's either */
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, HTTP_GET_MS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, get->error) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, get) == CURLE_OK;
}

/* One try: the HTTP status, or 0. */
static int try_once(struct http_get *get, const char *url, char *error, size_t error_cap)
{
    char shown[256];
    CURLcode code;
    long status = 0;

    get->body->used = 0;
    get->too_long = false;
    get->error[0] = '\0';
    code = prepare(get, url) ? curl_easy_perform(get->curl) : CURLE_OUT_OF_MEMORY;
    if (code == CURLE_OK && curl_easy_getinfo(get->curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
        status > 0)
        return (int)status;
    http_get_shown(url, shown, sizeof(shown));
    snprintf(error, error_cap, "%.200s: %s", shown,
             get->too_long           ? "the answer is too long"
             : get->error[0] != '\0' ? get->error
                                     : curl_easy_strerror(code));
    return 0;
}

int http_get(struct http_get *get, const char *url, struct buffer *body, char *error, size_t error_cap)
{
    const struct timespec pause = {.tv_nsec = HTTP_GET_PAUSE_MS * 1000000L};
    int status = 0;

    get->body = body;
    for (unsigned i = 0; i < HTTP_GET_TRIES; i++) {
        if (i > 0)
            nanosleep(&pause, NULL);
        status = try_once(get, url, error, error_cap);
        if ((status > 0 && status < 500) || get->too_long)
            break;
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
        escaped = curl_easy_escape(get->curl, expression, 0);
        fine = escaped != NULL && buffer_add_text(out, "?query=") && buffer_add_text(out, escaped);
        curl_free(escaped);
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
