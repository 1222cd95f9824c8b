/* url.c - the URLs at which producers and sidecar meet; see url.h for their forms.
 *
 * Place on the route: before its start, on both sides. Owns nothing; any thread; never resolves a name. */
#include "url.h"

#include <string.h>

#define HOST_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

static bool is(const char *text, size_t len_bytes, const char *word)
{
    return strlen(word) == len_bytes && memcmp(text, word, len_bytes) == 0;
}

static bool host_is_loopback(const char *host, size_t len_bytes)
{
    if (is(host, len_bytes, "localhost") || is(host, len_bytes, "[::1]"))
        return true;
    /* "127.evil.example" is a name. */
    return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len_bytes;
}

/* Length of the host at the start of text; 0: there is none. */
static size_t host_bytes(const char *text)
{
    size_t n;

    if (*text != '[')
        return strspn(text, HOST_CHARACTERS);
    n = strspn(text + 1, "0123456789abcdefABCDEF:.");
    return n > 0 && text[1 + n] == ']' ? n + 2 : 0;
}

/* ":PORT" and what may follow. */
static bool port_holds(const char *text, bool path_allowed)
{
    unsigned long port = 0;
    size_t digits;

    if (*text++ != ':')
        return false;
    digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5)
        return false;
    for (size_t i = 0; i < digits; i++)
        port = port * 10 + (unsigned long)(text[i] - '0');
    text += digits;
    return port > 0 && port <= 65535 && (*text == '\0' || (path_allowed && *text == '/'));
}

static const char *network_read(const char *rest, bool remote_plaintext, struct url *out)
{
    size_t host = host_bytes(rest);

    if (host == 0)
        return "the URL names no host; write HOST:PORT behind the scheme, [ADDRESS]:PORT for IPv6";
    if (!port_holds(rest + host, out->road == URL_WS))
        return "the URL names no port from 1 to 65535 behind its host";
    out->loopback = host_is_loopback(rest, host);
    if (out->road != URL_TLS && !out->loopback && !remote_plaintext)
        return "plaintext beyond loopback is refused: use tls+tcp://, or ask for it by name "
               "(--allow-remote-plaintext; in a host AILIVE_REMOTE_PLAINTEXT=1)";
    return NULL;
}

const char *url_read(const char *text, bool remote_plaintext, struct url *out)
{
    static const struct {
        const char *scheme;
        enum url_road road;
    } roads[] = {{"tcp://", URL_TCP}, {"tls+tcp://", URL_TLS}, {"ws://", URL_WS}};

    memset(out, 0, sizeof(*out));
    if (strncmp(text, "ipc://", 6) == 0)
        return paths_socket(text, out->path);
    for (size_t i = 0; i < sizeof(roads) / sizeof(roads[0]); i++) {
        size_t scheme_bytes = strlen(roads[i].scheme);
        if (strncmp(text, roads[i].scheme, scheme_bytes) != 0)
            continue;
        out->road = roads[i].road;
        if (strlen(text) >= URL_MAX_BYTES)
            return "the URL is longer than 255 bytes";
        return network_read(text + scheme_bytes, remote_plaintext, out);
    }
    return "the URL does not begin with ipc://, tcp://, tls+tcp:// or ws://";
}
