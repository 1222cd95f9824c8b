/* expose_text.c - see expose_text.h.
 *
 * Why it writes into reserved room: a page has 10,000 lines and more; each asks for its room once, knowing
 * what it can need at most, and puts its pieces there.
 */
#include "expose_text.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_BYTES 22u /* 2^64 - 1 with ".0" */

/* Copies and gives where the copy ends. */
static char *put(char *at, const char *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

/* ---- numbers ---- */

/* Digits of a whole number. Returns where they end. */
static char *put_whole(char *out, uint64_t value)
{
    char digits[20];
    size_t used = sizeof(digits);

    do
        digits[--used] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    memcpy(out, digits + used, sizeof(digits) - used);
    return out + (sizeof(digits) - used);
}

static char *put_whole_number(char *out, uint64_t value)
{
    return put(put_whole(out, value), ".0", 2);
}

/* value as units / scale, if that quotient is exactly this double: most times and sums are a whole number of
 * micro- or nanoseconds. Units and scale are exact, so that the division rounds as strtod() would; below 2^52
 * neighbouring doubles are closer than one unit, so that no shorter text reads back. Returns NULL when it is
 * no such number. */
static char *put_scaled(char *out, double value, uint64_t scale, int digits)
{
    double units = rint(value * (double)scale);
    uint64_t whole, part;

    if (!(units < 0x1p52) || units / (double)scale != value)
        return NULL;
    whole = (uint64_t)units / scale;
    part = (uint64_t)units % scale;
    out = put_whole(out, whole);
    *out = '.';
    for (int i = digits; i > 0; i--, part /= 10)
        out[i] = (char)('0' + part % 10);
    while (out[digits] == '0' && digits > 1)
        digits--;
    return out + digits + 1;
}

/* Fewest of 15 to 17 digits that read back as the same double. */
static size_t put_any(double value, char *out)
{
    int len = 0;

    for (int digits = 15; digits <= 17; digits++) {
        len = snprintf(out, EXPOSE_NUMBER_BYTES, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            break;
    }
    return (size_t)len;
}

size_t expose_number(double value, char *out)
{
    char *end = out;
    double size = fabs(value);

    if (isnan(value) || isinf(value)) {
        memcpy(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf", 5 - (size_t)isnan(value));
        return isnan(value) ? 3 : 4;
    }
    if (signbit(value))
        *end++ = '-';
    /* Whole numbers below 1e16 in full, with ".0", as the original printed them. */
    if (size < 1e16 && size == floor(size)) {
        end = put_whole_number(end, (uint64_t)size);
    } else {
        /* So are fractions from 1e-4: %g writes them in full as long as its digits reach. */
        char *done = size >= 1e-4 ? put_scaled(end, size, 1000000, 6) : NULL;

        if (!done && size >= 1e-4)
            done = put_scaled(end, size, 1000000000, 9);
        if (!done)
            return put_any(value, out);
        end = done;
    }
    *end = '\0';
    return (size_t)(end - out);
}

/* ---- lines ---- */

struct name {
    const char *bytes;
    size_t len;
};

static char *put_text(char *at, const char *text)
{
    return put(at, text, strlen(text));
}

/* What one line can need: name, suffix, le and braces, labels, number. */
static char *line_room(struct buffer *out, struct name name, size_t labels_len)
{
    return buffer_room(out, name.len + labels_len + 64 + EXPOSE_NUMBER_BYTES);
}

static bool line_done(struct buffer *out, char *at)
{
    *at++ = '\n';
    out->used = (size_t)(at - out->bytes);
    return true;
}

/* name, suffix, and the labels in braces when there are any, and the space before the value. */
static char *put_series(char *at, struct name name, const char *suffix, const char *labels, size_t labels_len)
{
    at = put(at, name.bytes, name.len);
    at = put_text(at, suffix);
    if (labels_len > 0) {
        *at++ = '{';
        at = put(at, labels, labels_len);
        *at++ = '}';
    }
    *at++ = ' ';
    return at;
}

static bool line_number(struct buffer *out, struct name name, const char *suffix, const char *labels,
                        double value)
{
    size_t len = strlen(labels);
    char *at = line_room(out, name, len);

    if (!at)
        return false;
    at = put_series(at, name, suffix, labels, len);
    return line_done(out, at + expose_number(value, at));
}

/* A count, exact beyond 2^53 too. */
static bool line_count(struct buffer *out, struct name name, const char *suffix, const char *labels,
                       uint64_t count)
{
    size_t len = strlen(labels);
    char *at = line_room(out, name, len);

    if (!at)
        return false;
    at = put_series(at, name, suffix, labels, len);
    return line_done(out, put_whole_number(at, count));
}

/* ---- families ---- */

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

/* OpenMetrics names a counter's family without the `_total` of its samples. */
static struct name family_name(const struct expose *expose, const char *name, enum family_type type)
{
    struct name family = {name, strlen(name)};

    if (type == FAMILY_COUNTER && expose->format == EXPOSE_OPENMETRICS) {
        assert(family.len > 6 && strcmp(name + family.len - 6, "_total") == 0);
        family.len -= 6;
    }
    return family;
}

bool expose_text_head(struct expose *expose, const char *name, enum family_type type, const char *help)
{
    struct name family = family_name(expose, name, type);

    return buffer_printf(expose->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)family.len, family.bytes, help,
                         (int)family.len, family.bytes, type_name(type));
}

bool expose_text_value(struct expose *expose, const char *name, const char *labels, double value)
{
    return line_number(expose->out, (struct name){name, strlen(name)}, "", labels, value);
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

#define EXEMPLAR_BYTES 256u

/* ` # {labels} value time`: which record it was, in fewer than OpenMetrics' 128 characters. */
static char *put_exemplar(char *at, const struct exemplar *exemplar, enum histogram_unit unit)
{
    at = put_text(at, " # {event=\"");
    at += expose_event(&exemplar->origin, at);
    at = put_text(at, "\",run_id=\"");
    at = put_text(at, exemplar->run_id);
    at = put_text(at, "\"} ");
    at += expose_number(expose_exemplar_value(exemplar, unit), at);
    *at++ = ' ';
    return at + expose_number((double)exemplar->time_ns / 1e9, at);
}

struct bucket {
    const char *labels;
    size_t le; /* where le belongs in them */
    const char *bound;
    uint64_t count;
    const struct exemplar *exemplar; /* NULL: none */
};

static bool line_bucket(struct buffer *out, struct name name, enum histogram_unit unit,
                        const struct bucket *bucket)
{
    const char *behind = bucket->labels + bucket->le;
    size_t le = bucket->le, behind_len = strlen(behind);
    char *at = buffer_room(out, name.len + le + behind_len + 64 + EXPOSE_NUMBER_BYTES + EXEMPLAR_BYTES);

    if (!at)
        return false;
    at = put(at, name.bytes, name.len);
    at = put_text(at, "_bucket{");
    at = put(at, bucket->labels, le);
    if (le > 0 && at[-1] != ',') /* labels before le end with their comma unless they are the last */
        *at++ = ',';
    at = put_text(at, "le=\"");
    at = put_text(at, bucket->bound);
    *at++ = '"';
    if (behind_len > 0)
        *at++ = ',';
    at = put(at, behind, behind_len);
    at = put_text(at, "} ");
    at = put_whole_number(at, bucket->count);
    if (bucket->exemplar && bucket->exemplar->latency_ns > 0)
        at = put_exemplar(at, bucket->exemplar, unit);
    return line_done(out, at);
}

static bool put_histogram(const struct expose *expose, struct name name, enum histogram_unit unit,
                          const struct snapshot_series *series)
{
    const struct histogram *histogram = series->histogram;
    bool exemplars = series->exemplars && expose->format == EXPOSE_OPENMETRICS;
    struct bucket bucket = {.labels = series->labels, .le = le_offset(series->labels)};

    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        bucket.bound = histogram_bound_text(unit, i);
        bucket.count += histogram->buckets[i];
        bucket.exemplar = exemplars ? &series->exemplars[i] : NULL;
        if (!line_bucket(expose->out, name, unit, &bucket))
            return false;
    }
    return line_number(expose->out, name, "_sum", series->labels, histogram_sum(histogram, unit)) &&
           line_count(expose->out, name, "_count", series->labels, bucket.count);
}

static bool put_created(const struct expose *expose, const struct snapshot_family *family, const char *labels)
{
    return expose->format != EXPOSE_OPENMETRICS || !(expose->created_s > 0) ||
           line_number(expose->out, family_name(expose, family->name, family->type), "_created", labels,
                       expose->created_s);
}

static bool put_one(struct expose *expose, const struct snapshot_family *family, struct name name,
                    const struct snapshot_series *series)
{
    switch (family->type) {
    case FAMILY_COUNTER:
        return line_count(expose->out, name, "", series->labels, series->count) &&
               put_created(expose, family, series->labels);
    case FAMILY_GAUGE:
        return line_number(expose->out, name, "", series->labels, series->value);
    case FAMILY_HISTOGRAM:
        break;
    }
    return put_histogram(expose, name, family->unit, series) && put_created(expose, family, series->labels);
}

bool expose_text_snapshot(struct expose *expose, const struct snapshot *snapshot)
{
    for (size_t f = 0; f < snapshot->family_count; f++) {
        const struct snapshot_family *family = &snapshot->families[f];
        struct name name = {family->name, strlen(family->name)};

        if (!expose_text_head(expose, family->name, family->type, family->help))
            return false;
        for (size_t i = 0; i < family->series_count; i++)
            if (!put_one(expose, family, name, &family->series[i]))
                return false;
    }
    return true;
}

bool expose_text(const struct snapshot *snapshot, struct buffer *out)
{
    struct expose expose;

    expose_begin(&expose, EXPOSE_TEXT, out);
    return expose_text_snapshot(&expose, snapshot);
}
