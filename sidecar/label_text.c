/* label_text.c - see label_text.h. */
#include "label_text.h"

#include <string.h>

/* Copies a quoted value behind its opening quote; out may be NULL. Returns what follows the closing one. */
static const char *copy_value(const char *at, char *out, size_t cap)
{
    size_t used = 0;

    for (; *at != '\0' && *at != '"'; at++) {
        char c = *at;

        if (c == '\\' && at[1] != '\0') {
            at++;
            c = *at == 'n' ? '\n' : *at;
        }
        if (out != NULL && used + 1 < cap)
            out[used++] = c;
    }
    if (out != NULL)
        out[used] = '\0';
    return *at == '"' ? at + 1 : at;
}

bool label_text(const char *labels, const char *name, char *out, size_t cap)
{
    size_t name_bytes = strlen(name);

    out[0] = '\0';
    while (*labels != '\0') {
        size_t len_bytes = strcspn(labels, "=");
        bool wanted = len_bytes == name_bytes && memcmp(labels, name, name_bytes) == 0;

        if (labels[len_bytes] == '\0')
            return false;
        labels = copy_value(labels + len_bytes + 2, wanted ? out : NULL, cap);
        if (wanted)
            return true;
        labels += *labels == ',';
    }
    return false;
}
