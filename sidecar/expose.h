/* expose.h - families written in whichever form was asked for.
 *
 * Place on the route: snapshot and the sidecar's own numbers -> [expose] -> http, or replay's stdout. No
 * threads, no I/O, no clock. Between expose_begin() and expose_end(): expose_snapshot(), and for each family
 * that is no part of the aggregate one expose_head() and then its values. Every family once: a second head of
 * the same name would split it.
 */
#ifndef AILIVE_SIDECAR_EXPOSE_H
#define AILIVE_SIDECAR_EXPOSE_H

#include "aggregate.h"
#include "buffer.h"

enum expose_format {
    EXPOSE_TEXT,        /* text format 0.0.4 */
    EXPOSE_OPENMETRICS, /* OpenMetrics 1.0.0 */
    EXPOSE_PROTO,       /* protobuf; has native histograms too */
    EXPOSE_FORMATS
};

/* Its media type, as a Content-Type names it. */
const char *expose_content_type(enum expose_format format);

/* Pieces of a protobuf page under way, from the inside out. */
enum expose_scratch {
    EXPOSE_SCRATCH_VALUE,
    EXPOSE_SCRATCH_EXEMPLAR,
    EXPOSE_SCRATCH_PIECE,
    EXPOSE_SCRATCH_HISTOGRAM,
    EXPOSE_SCRATCH_METRIC,
    EXPOSE_SCRATCH_FAMILY,
    EXPOSE_SCRATCHES
};

struct expose {
    enum expose_format format;
    struct buffer *out;
    struct buffer scratch[EXPOSE_SCRATCHES];
    enum family_type type; /* of the last head */
    double created_s; /* OpenMetrics: counters and histograms have counted since then; 0: no `_created` */
};

void expose_begin(struct expose *expose, enum expose_format format, struct buffer *out);

/* An exemplar's label `event`: producer, ring and sequence number; returns its length. */
#define EXPOSE_EVENT_BYTES 80u
size_t expose_event(const struct exemplar_origin *origin, char out[EXPOSE_EVENT_BYTES]);
/* Its value, in the family's unit. */
double expose_exemplar_value(const struct exemplar *exemplar, enum histogram_unit unit);

/* All of these: false: out of memory, the page is of no use. name: as in the text format, counters with
 * `_total`. labels: as in snapshot_series. */
bool expose_head(struct expose *expose, const char *name, enum family_type type, const char *help);
bool expose_value(struct expose *expose, const char *name, const char *labels, double value);
bool expose_snapshot(struct expose *expose, const struct snapshot *snapshot);
bool expose_end(struct expose *expose); /* to be called in any case: frees what the page was made in */

#endif
