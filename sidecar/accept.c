/* accept.c - see accept.h. */
#include "accept.h"

#include "observation.h"

#include <string.h>
#include <strings.h>

/* One element of a list: a name and its parameters. */
struct element {
    struct text name;
    struct text parameters; /* behind the first semicolon */
    int quality;            /* thousandths; 1000 when none is given */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static struct text trim(const char *from, const char *end)
{
    while (from < end && is_space(*from))
        from++;
    while (end > from && is_space(end[-1]))
        end--;
    return (struct text){from, (size_t)(end - from)};
}

static bool same(struct text text, const char *name)
{
    return text.len_bytes == strlen(name) && strncasecmp(text.bytes, name, text.len_bytes) == 0;
}

/* Takes the piece up to `separator` off the front of *rest. */
static struct text split(struct text *rest, char separator)
{
    const char *end = rest->bytes + rest->len_bytes;
    const char *at = rest->len_bytes > 0 ? memchr(rest->bytes, separator, rest->len_bytes) : NULL;
    struct text piece = trim(rest->bytes, at ? at : end);

    *rest = at ? (struct text){at + 1, (size_t)(end - at - 1)} : (struct text){end, 0};
    return piece;
}

/* A q value, 0 to 1 with up to three digits, as thousandths. Anything else is 0: not wanted. */
static int quality_parse(struct text value)
{
    int thousandths = 0, weight = 100;

    if (value.len_bytes == 0 || value.len_bytes > 5 || (value.bytes[0] != '0' && value.bytes[0] != '1') ||
        (value.len_bytes > 1 && value.bytes[1] != '.'))
        return 0;
    for (size_t i = 2; i < value.len_bytes; i++, weight /= 10) {
        if (value.bytes[i] < '0' || value.bytes[i] > '9')
            return 0;
        thousandths += weight * (value.bytes[i] - '0');
    }
    if (value.bytes[0] == '1')
        return thousandths == 0 ? 1000 : 0;
    return thousandths;
}

/* The value of a parameter, "" when it is not there; quotes around it are taken off. */
static struct text parameter(const struct element *element, const char *name)
{
    struct text rest = element->parameters;

    while (rest.len_bytes > 0) {
        struct text value = split(&rest, ';'), key = split(&value, '=');

        if (!same(key, name))
            continue;
        value = trim(value.bytes, value.bytes + value.len_bytes);
        if (value.len_bytes >= 2 && value.bytes[0] == '"' && value.bytes[value.len_bytes - 1] == '"')
            value = (struct text){value.bytes + 1, value.len_bytes - 2};
        return value;
    }
    return (struct text){"", 0};
}

/* false: the list has ended. */
static bool next_element(struct text *rest, struct element *out)
{
    struct text quality;

    if (rest->len_bytes == 0)
        return false;
    out->parameters = split(rest, ',');
    out->name = split(&out->parameters, ';');
    quality = parameter(out, "q");
    out->quality = quality.len_bytes > 0 ? quality_parse(quality) : 1000;
    return true;
}

/* false: none of ours. */
static bool element_format(const struct element *element, enum expose_format *format)
{
    struct text version = parameter(element, "version");

    if (same(element->name, "application/openmetrics-text")) {
        *format = EXPOSE_OPENMETRICS;
        return version.len_bytes == 0 || same(version, "1.0.0");
    }
    if (same(element->name, "application/vnd.google.protobuf")) {
        *format = EXPOSE_PROTO;
        return same(parameter(element, "proto"), "io.prometheus.client.MetricFamily") &&
               same(parameter(element, "encoding"), "delimited");
    }
    *format = EXPOSE_TEXT;
    if (same(element->name, "text/plain"))
        return version.len_bytes == 0 || same(version, "0.0.4");
    return same(element->name, "text/*") || same(element->name, "*/*");
}

enum expose_format accept_format(const char *header)
{
    struct text rest = {header, header ? strlen(header) : 0};
    enum expose_format best = EXPOSE_TEXT, format;
    struct element element;
    int quality = 0;

    while (next_element(&rest, &element))
        if (element.quality > quality && element_format(&element, &format)) {
            best = format;
            quality = element.quality;
        }
    return best;
}

bool accept_gzip(const char *header)
{
    struct text rest = {header, header ? strlen(header) : 0};
    int gzip = -1, identity = 0, any = -1;
    struct element element;

    while (next_element(&rest, &element)) {
        if (same(element.name, "gzip") || same(element.name, "x-gzip"))
            gzip = element.quality;
        else if (same(element.name, "identity"))
            identity = element.quality;
        else if (same(element.name, "*"))
            any = element.quality;
    }
    gzip = gzip >= 0 ? gzip : any;
    return gzip > 0 && gzip >= identity;
}
