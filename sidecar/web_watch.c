/* web_watch.c - see web_watch.h. */
#include "web_watch.h"

#include "failure.h"
#include "log.h"
#include "tls.h"

#define ERROR_BYTES 768u

/* ctime too: a file that has become readable is as good as a changed one. */
static bool is_same(const struct web_file *a, const struct web_file *b)
{
    const struct stat *x = &a->found, *y = &b->found;

    if (!a->there || !b->there)
        return a->there == b->there;
    return x->st_dev == y->st_dev && x->st_ino == y->st_ino && x->st_size == y->st_size &&
           x->st_mtim.tv_sec == y->st_mtim.tv_sec && x->st_mtim.tv_nsec == y->st_mtim.tv_nsec &&
           x->st_ctim.tv_sec == y->st_ctim.tv_sec && x->st_ctim.tv_nsec == y->st_ctim.tv_nsec;
}

static bool are_same(const struct web_files *a, const struct web_files *b)
{
    for (size_t i = 0; i < a->count; i++)
        if (!is_same(&a->of[i], &b->of[i]))
            return false;
    return true;
}

/* Looks at the files of `seen` again. Returns whether that is what the look before found. */
static bool look_again(struct web_files *seen)
{
    bool same = true;

    for (size_t i = 0; i < seen->count; i++) {
        struct web_file *file = &seen->of[i], before = *file;

        file->there = stat(file->path, &file->found) == 0;
        same = same && is_same(&before, file);
    }
    return same;
}

static int read_usable(struct web_watch *watch, struct web_config **out, char *error, size_t error_cap)
{
    int status = web_config_read(watch->path, &watch->taken, out, error, error_cap);

    watch->seen = watch->taken;
    if (status == 0 && (*out)->certificate != NULL && tls_check(*out, error, error_cap) != 0) {
        web_config_free(*out);
        *out = NULL;
        status = -1;
    }
    return status;
}

static void warn_unguarded(const struct web_watch *watch, const struct web_config *config)
{
    if (!web_config_guards(config))
        log_warning("%s configures neither TLS nor users: whoever reaches the port is answered", watch->path);
}

int web_watch_open(struct web_watch *watch, const char *path, struct web_config **out, char *error,
                   size_t error_cap)
{
    watch->path = path;
    if (read_usable(watch, out, error, error_cap) != 0)
        return -1;
    warn_unguarded(watch, *out);
    return 0;
}

/* The new one, or -1 with why the old one stays. */
static int take_up(struct web_watch *watch, const struct web_config *now, struct web_config **out,
                   char *error, size_t error_cap)
{
    if (read_usable(watch, out, error, error_cap) != 0)
        return -1;
    if (!web_config_guards(now) || watch->taken.of[0].found.st_size > 0)
        return 0;
    web_config_free(*out);
    *out = NULL;
    return failure_say(error, error_cap, "%s is empty; if neither TLS nor users are wanted, write {} into it",
                       watch->path);
}

struct web_config *web_watch_look(struct web_watch *watch, const struct web_config *now)
{
    struct web_config *fresh;
    char error[ERROR_BYTES];

    if (!look_again(&watch->seen) || are_same(&watch->taken, &watch->seen))
        return NULL;
    if (take_up(watch, now, &fresh, error, sizeof(error)) != 0) {
        log_warning("the changed web configuration is not used, the one before stays in force: %s", error);
        return NULL;
    }
    warn_unguarded(watch, fresh);
    return fresh;
}
