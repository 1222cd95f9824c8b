/* expose_json.c - see expose_json.h. */
#include "expose_json.h"

#include "expose_text.h"

#include <inttypes.h>
#include <string.h>

/* One character of a label value, which is escaped for the text format, as JSON. Returns where the next one
 * begins, NULL: out of memory. */
static const char *put_character(struct buffer *out, const char *at)
{
    unsigned char c = (unsigned char)*at;

    if (c == '\\') /* \\, \" and \n mean the same in JSON */
        return buffer_add(out, at, 2) ? at + 2 : NULL;
    if (c < 0x20)
        return buffer_printf(out, "\\u%04x", c) ? at + 1 : NULL;
    return buffer_add(out, at, 1) ? at + 1 : NULL;
}

/* name="value",... to "name":"value",... */
static bool put_labels(struct buffer *out, const char *labels)
{
    const char *at = labels;

    if (!buffer_add_text(out, "{\"labels\":{"))
        return false;
    while (*at) {
        const char *equals = strchr(at, '=');

        if (!buffer_printf(out, "%s\"%.*s\":\"", at == labels ? "" : ",", (int)(equals - at), at))
            return false;
        at = equals + 2;
        while (at && *at != '"')
            at = put_character(out, at);
        if (!at || !buffer_add(out, "\"", 1))
            return false;
        at++;
        at += *at == ',';
    }
    return buffer_add_text(out, "},");
}

static bool put_number(struct buffer *out, const char *name, double value)
{
    char number[32];

    expose_number(value, number);
    return buffer_printf(out, "\"%s\":%s", name, number);
}

static bool put_histogram(struct buffer *out, const struct histogram *histogram, enum histogram_unit unit)
{
    uint64_t count = 0;

    if (!buffer_add_text(out, "\"buckets\":{"))
        return false;
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        count += histogram->buckets[i];
        if (!buffer_printf(out, "%s\"%s\":%" PRIu64, i ? "," : "", histogram_bound_text(unit, i), count))
            return false;
    }
    return buffer_add_text(out, "},") && put_number(out, "sum", histogram_sum(histogram, unit)) &&
           buffer_printf(out, ",\"count\":%" PRIu64, count);
}

static bool put_series(struct buffer *out, const struct snapshot_family *family,
                       const struct snapshot_series *series)
{
    if (!put_labels(out, series->labels))
        return false;
    switch (family->type) {
    case FAMILY_COUNTER:
        return buffer_printf(out, "\"value\":%" PRIu64 "}", series->count);
    case FAMILY_GAUGE:
        return put_number(out, "value", series->value) && buffer_add(out, "}", 1);
    case FAMILY_HISTOGRAM:
        break;
    }
    return put_histogram(out, series->histogram, family->unit) && buffer_add(out, "}", 1);
}

bool expose_json(const struct snapshot *snapshot, struct buffer *out)
{
    for (size_t f = 0; f < snapshot->family_count; f++) {
        const struct snapshot_family *family = &snapshot->families[f];

        if (!buffer_printf(out, "%s\"%s\":[", f ? ",\n" : "{", family->name))
            return false;
        for (size_t i = 0; i < family->series_count; i++)
            if ((i > 0 && !buffer_add(out, ",", 1)) || !put_series(out, family, &family->series[i]))
                return false;
        if (!buffer_add(out, "]", 1))
            return false;
    }
    return buffer_add_text(out, "}\n");
}
