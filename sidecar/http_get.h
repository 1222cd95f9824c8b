/* http_get.h - GET one URL: the only thing the proof and the activity demo ask of other programs.
 *
 * Place on the route: beside it: Prometheus, an exporter or Grafana -> [http_get] -> proof, activity. The
 * only file that names libcurl. One thread a handle. Never sends anything but GET, follows no redirect, asks
 * no proxy.
 *
 * Limits: HTTP_GET_TRIES tries, HTTP_GET_PAUSE_MS apart, while nobody answers or the answer is 5xx;
 * HTTP_GET_MS for all of them together, so that one who accepts and says nothing is asked once;
 * HTTP_GET_MAX_BYTES an answer.
 */
#ifndef AILIVE_SIDECAR_HTTP_GET_H
#define AILIVE_SIDECAR_HTTP_GET_H

#include "buffer.h"

#define HTTP_GET_TRIES     3u
#define HTTP_GET_PAUSE_MS  200u
#define HTTP_GET_MS        10000L
#define HTTP_GET_MAX_BYTES (64u << 20)

struct http_get;

/* Loads libcurl. NULL, with a line in error: libcurl is not installed, or out of memory. */
struct http_get *http_get_new(char *error, size_t error_cap);
void http_get_free(struct http_get *get); /* NULL is harmless */

/* The answer's bytes replace what body holds. Returns its HTTP status, whatever
 * that is; 0 when there was no whole answer: error holds one line, without the user and password of the URL.
 */
int http_get(struct http_get *get, const char *url, struct buffer *body, char *error, size_t error_cap);

/* Appends base, path and, unless it is NULL, "?query=" with the escaped expression, and a NUL. false: out of
 * memory. */
bool http_get_url(struct http_get *get, struct buffer *out, const char *base, const char *path,
                  const char *expression);

/* url as it may be shown and stored: without user and password. */
void http_get_shown(const char *url, char *out, size_t cap);

#endif
