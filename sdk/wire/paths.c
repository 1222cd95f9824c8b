/* paths.c - default folders and the sidecar's URL; see paths.h for the rules.
 *
 * Place on the route: before it, while host and sidecar open. Owns nothing; any thread that may read the
 * environment; makes nothing except in paths_make(). */
#include "paths.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IPC_SCHEME "ipc://"

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The variable's value without white space around it; NULL when blank or unset. */
static const char *env_trimmed(const char *name, size_t *len_bytes)
{
    const char *value = getenv(name);
    size_t len;

    if (!value)
        return NULL;
    while (is_space(*value))
        value++;
    len = strlen(value);
    while (len > 0 && is_space(value[len - 1]))
        len--;
    *len_bytes = len;
    return len > 0 ? value : NULL;
}

static bool copy(const char *text, size_t len_bytes, char *out, size_t cap)
{
    if (cap == 0)
        return false;
    out[0] = '\0';
    if (len_bytes >= cap)
        return false;
    memcpy(out, text, len_bytes);
    out[len_bytes] = '\0';
    return true;
}

static bool print(char *out, size_t cap, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool print(char *out, size_t cap, const char *format, ...)
{
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(out, cap, format, arguments);
    va_end(arguments);
    if (len >= 0 && (size_t)len < cap)
        return true;
    if (cap > 0)
        out[0] = '\0'; /* never hand out a path that was cut short */
    return false;
}

bool paths_env(const char *name, const char *fallback, char *out, size_t cap)
{
    size_t len_bytes;
    const char *value = env_trimmed(name, &len_bytes);

    if (value)
        return copy(value, len_bytes, out, cap);
    if (!fallback)
        fallback = "";
    return copy(fallback, strlen(fallback), out, cap);
}

static bool writable_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && access(path, W_OK | X_OK) == 0;
}

/* The first two rules every folder shares. Returns 1 when out is decided, 0 when neither rule gives a folder,
 * -1 when the one they give is too long. */
static int chosen(const char *given, const char *variable, char *out, size_t cap)
{
    size_t len_bytes;
    const char *value = given;

    if (value && *value)
        len_bytes = strlen(value);
    else
        value = env_trimmed(variable, &len_bytes);
    if (!value)
        return 0;
    return copy(value, len_bytes, out, cap) ? 1 : -1;
}

/* chosen(), and whole: a host that daemonises goes to another folder, and its children's rings and spool must
 * not go with it. */
static int chosen_folder(const char *given, const char *variable, char *out, size_t cap)
{
    char value[PATHS_MAX_BYTES], here[PATHS_MAX_BYTES];
    int decided = chosen(given, variable, out, cap);

    if (decided <= 0 || out[0] == '/' || getcwd(here, sizeof(here)) == NULL)
        return decided;
    if (!print(value, sizeof(value), "%s/%s", strcmp(here, "/") == 0 ? "" : here, out))
        return -1;
    return copy(value, strlen(value), out, cap) ? 1 : -1;
}

bool paths_runtime(const char *given, char *out, size_t cap)
{
    size_t len_bytes;
    const char *xdg;
    int decided = chosen_folder(given, "AILIVE_RUNTIME_DIR", out, cap);

    if (decided != 0)
        return decided > 0;
    if (writable_folder("/run/ailive"))
        return print(out, cap, "/run/ailive");
    xdg = env_trimmed("XDG_RUNTIME_DIR", &len_bytes);
    if (xdg)
        return print(out, cap, "%.*s/ailive", (int)len_bytes, xdg);
    return print(out, cap, "/dev/shm/ailive-%lu", (unsigned long)geteuid());
}

/* Folders that outlive a boot: the package's, else below $XDG_STATE_HOME, else below $HOME. */
static bool lasting(const char *given, const char *variable, const char *packaged, const char *last,
                    char *out, size_t cap)
{
    size_t len_bytes;
    const char *base;
    int decided = chosen_folder(given, variable, out, cap);

    if (decided != 0)
        return decided > 0;
    if (writable_folder(packaged))
        return print(out, cap, "%s", packaged);
    base = env_trimmed("XDG_STATE_HOME", &len_bytes);
    if (base)
        return print(out, cap, "%.*s/ailive/%s", (int)len_bytes, base, last);
    base = env_trimmed("HOME", &len_bytes);
    if (base)
        return print(out, cap, "%.*s/.local/state/ailive/%s", (int)len_bytes, base, last);
    copy("", 0, out, cap);
    return false;
}

bool paths_spool(const char *given, char *out, size_t cap)
{
    return lasting(given, "AILIVE_SPOOL_DIR", "/var/spool/ailive", "spool", out, cap);
}

bool paths_state(const char *given, char *out, size_t cap)
{
    return lasting(given, "AILIVE_STATE_DIR", "/var/lib/ailive", "state", out, cap);
}

bool paths_ipc_url(const char *given, const char *runtime, char *out, size_t cap)
{
    int decided = chosen(given, "AILIVE_IPC_URL", out, cap);

    if (decided != 0)
        return decided > 0;
    return print(out, cap, IPC_SCHEME "%s/" PATHS_SOCKET_NAME, runtime);
}

const char *paths_socket(const char *url, char out[PATHS_SOCKET_BYTES])
{
    size_t scheme_bytes = strlen(IPC_SCHEME);

    if (strncmp(url, IPC_SCHEME, scheme_bytes) != 0)
        return "the URL does not begin with ipc://";
    url += scheme_bytes;
    if (*url == '\0')
        return "the URL names no path after ipc://";
    if (!copy(url, strlen(url), out, PATHS_SOCKET_BYTES))
        return "the socket's path is longer than 107 bytes; choose a shorter runtime folder or URL";
    return NULL;
}

/* Another process may make the same folder at the same time: that is success. */
static int make_one(const char *path)
{
    struct stat st;

    if (mkdir(path, 0700) == 0)
        return 0;
    if (errno != EEXIST && errno != EROFS && errno != EACCES)
        return errno;
    int mkdir_errno = errno;
    if (stat(path, &st) != 0)
        return mkdir_errno;
    return S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
}

int paths_make(const char *path)
{
    char part[PATHS_MAX_BYTES];
    size_t len = strlen(path);
    int error;

    if (len == 0)
        return ENOENT;
    if (len >= sizeof(part))
        return ENAMETOOLONG;
    for (size_t i = 1; i < len; i++) {
        if (path[i] != '/' || path[i - 1] == '/')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        error = make_one(part);
        if (error)
            return error;
    }
    return make_one(path);
}
