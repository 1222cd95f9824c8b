/* expose_text.c - see expose_text.h. */
#include "expose_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fewest digits that read back as the same double. */
static int shortest(double value, char *out)
{
    int len = 0;

    for (int digits = 15; digits <= 17; digits++) {
        len = snprintf(out, 32, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            break;
    }
    return len;
}

size_t expose_number(double value, char *out)
{
    int len;

    if (isnan(value))
        return (size_t)snprintf(out, 32, "NaN");
    if (isinf(value))
        return (size_t)snprintf(out, 32, "%s", value > 0 ? "+Inf" : "-Inf");
    /* Whole numbers below 1e16 in full, with ".0", as the original printed them. */
    if (fabs(value) < 1e16 && value == floor(value))
        return (size_t)snprintf(out, 32, "%.1f", value);
    /* So are fractions from 1e-4: %g writes them in full as long as its digits reach. */
    len = shortest(value, out);
    return (size_t)len;
}

static const char *type_name(enum family_type type)
{
    switch (type) {
    case FAMILY_COUNTER:
        return "counter";
    case FAMILY_GAUGE:
        return "gauge";
    case FAMILY_HISTOGRAM:
        break;
    }
    return "histogram";
}

bool expose_text_head(struct buffer *out, const char *name, enum family_type type, const char *help)
{
    return buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type_name(type));
}

/* name, suffix, and the labels in braces when there are any. */
static bool put_series(struct buffer *out, const char *name, const char *suffix, const char *labels)
{
    return buffer_add_text(out, name) && buffer_add_text(out, suffix) &&
           (labels[0] == '\0' ||
            (buffer_add(out, "{", 1) && buffer_add_text(out, labels) && buffer_add(out, "}", 1)));
}

static bool put_value(struct buffer *out, double value)
{
    char number[32];
    size_t len = expose_number(value, number);

    return buffer_add(out, " ", 1) && buffer_add(out, number, len) && buffer_add(out, "\n", 1);
}

/* A count, exact beyond 2^53 too. */
static bool put_count(struct buffer *out, uint64_t count)
{
    char number[32];
    int len = snprintf(number, sizeof(number), " %" PRIu64 ".0\n", count);

    return buffer_add(out, number, (size_t)len);
}

bool expose_text_value(struct buffer *out, const char *name, const char *labels, double value)
{
    return put_series(out, name, "", labels) && put_value(out, value);
}

bool expose_text_escape(struct buffer *out, struct text value)
{
    size_t from = 0;

    for (size_t i = 0; i < value.len_bytes; i++) {
        char c = value.bytes[i];
        char escaped[2] = {'\\', c == '\n' ? 'n' : c};

        if (c != '\\' && c != '"' && c != '\n')
            continue;
        if (!buffer_add(out, value.bytes + from, i - from) || !buffer_add(out, escaped, 2))
            return false;
        from = i + 1;
    }
    return buffer_add(out, value.bytes + from, value.len_bytes - from);
}

/* Where le belongs among labels sorted by name: the offset of the first label behind it. */
static size_t le_offset(const char *labels)
{
    const char *at = labels;

    while (*at && strncmp(at, "le", 2) < 0) {
        at = strchr(at, '"') + 1;
        while (*at != '"')
            at += *at == '\\' ? 2 : 1;
        at++;
        at += *at == ',';
    }
    return (size_t)(at - labels);
}

static bool put_bucket(struct buffer *out, const char *name, const char *labels, size_t le, const char *bound,
                       uint64_t count)
{
    const char *behind = labels + le;

    /* labels before le end with their comma unless they are the last. */
    return buffer_add_text(out, name) && buffer_add_text(out, "_bucket{") && buffer_add(out, labels, le) &&
           (le == 0 || labels[le - 1] == ',' || buffer_add(out, ",", 1)) && buffer_add_text(out, "le=\"") &&
           buffer_add_text(out, bound) && buffer_add_text(out, *behind ? "\"," : "\"") &&
           buffer_add_text(out, behind) && buffer_add(out, "}", 1) && put_count(out, count);
}

static bool put_histogram(struct buffer *out, const struct snapshot_family *family,
                          const struct snapshot_series *series)
{
    const struct histogram *histogram = &series->histogram;
    size_t le = le_offset(series->labels);
    uint64_t count = 0;

    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        count += histogram->buckets[i];
        if (!put_bucket(out, family->name, series->labels, le, histogram_bound_text(family->unit, i), count))
            return false;
    }
    return put_series(out, family->name, "_sum", series->labels) &&
           put_value(out, histogram_sum(histogram, family->unit)) &&
           put_series(out, family->name, "_count", series->labels) && put_count(out, count);
}

static bool put_one(struct buffer *out, const struct snapshot_family *family,
                    const struct snapshot_series *series)
{
    switch (family->type) {
    case FAMILY_COUNTER:
        return put_series(out, family->name, "", series->labels) && put_count(out, series->count);
    case FAMILY_GAUGE:
        return expose_text_value(out, family->name, series->labels, series->value);
    case FAMILY_HISTOGRAM:
        break;
    }
    return put_histogram(out, family, series);
}

bool expose_text(const struct snapshot *snapshot, struct buffer *out)
{
    for (size_t f = 0; f < snapshot->family_count; f++) {
        const struct snapshot_family *family = &snapshot->families[f];

        if (!expose_text_head(out, family->name, family->type, family->help))
            return false;
        for (size_t i = 0; i < family->series_count; i++)
            if (!put_one(out, family, &family->series[i]))
                return false;
    }
    return true;
}
