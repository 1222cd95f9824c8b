/* expose.c - see expose.h. Chooses the writer; the forms themselves are expose_text.c's and expose_proto.c's.
 */
#include "expose.h"

#include "expose_proto.h"
#include "expose_text.h"

#include <inttypes.h>
#include <stdio.h>

const char *expose_content_type(enum expose_format format)
{
    static const char *const types[EXPOSE_FORMATS] = {
        [EXPOSE_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
        [EXPOSE_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
        [EXPOSE_PROTO] = ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
                          "encoding=delimited"),
    };

    return types[format];
}

void expose_begin(struct expose *expose, enum expose_format format, struct buffer *out)
{
    *expose = (struct expose){.format = format, .out = out};
}

size_t expose_event(const struct exemplar_origin *origin, char out[EXPOSE_EVENT_BYTES])
{
    event_producer_format(&origin->producer, out);
    return EVENT_PRODUCER_HEX + (size_t)snprintf(out + EVENT_PRODUCER_HEX,
                                                 EXPOSE_EVENT_BYTES - EVENT_PRODUCER_HEX,
                                                 ".%" PRIu32 ":%" PRIu64, origin->ring, origin->seq);
}

double expose_exemplar_value(const struct exemplar *exemplar, enum histogram_unit unit)
{
    return (double)exemplar->latency_ns / (unit == HISTOGRAM_MS ? 1e6 : 1e9);
}

bool expose_head(struct expose *expose, const char *name, enum family_type type, const char *help)
{
    return expose->format == EXPOSE_PROTO ? expose_proto_head(expose, name, type, help)
                                          : expose_text_head(expose, name, type, help);
}

bool expose_value(struct expose *expose, const char *name, const char *labels, double value)
{
    return expose->format == EXPOSE_PROTO ? expose_proto_value(expose, labels, value)
                                          : expose_text_value(expose, name, labels, value);
}

bool expose_snapshot(struct expose *expose, const struct snapshot *snapshot)
{
    return expose->format == EXPOSE_PROTO ? expose_proto_snapshot(expose, snapshot)
                                          : expose_text_snapshot(expose, snapshot);
}

bool expose_end(struct expose *expose)
{
    bool fine = true;

    if (expose->format == EXPOSE_PROTO)
        fine = expose_proto_end(expose);
    if (expose->format == EXPOSE_OPENMETRICS)
        fine = buffer_add_text(expose->out, "# EOF\n");
    for (unsigned i = 0; i < EXPOSE_SCRATCHES; i++)
        buffer_fini(&expose->scratch[i]);
    return fine;
}
