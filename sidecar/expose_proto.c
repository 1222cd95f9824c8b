/* expose_proto.c - see expose_proto.h.
 *
 * The messages, field by field (Prometheus' metrics.proto):
 *   MetricFamily  1 name, 2 help, 3 type (0 counter, 1 gauge, 4 histogram), 4 metric
 *   Metric        1 label (1 name, 2 value), 2 gauge (1 value), 3 counter (1 value), 7 histogram
 *   Histogram     1 sample_count, 2 sample_sum, 3 bucket (1 cumulative_count, 2 upper_bound, 3 exemplar),
 *                 5 schema, 6 zero_threshold, 7 zero_count, 12 positive_span (1 offset, 2 length),
 *                 13 positive_delta (packed)
 *   Exemplar      1 label, 2 value, 3 timestamp (1 seconds, 2 nanoseconds)
 *
 * A message inside another stands behind its length: each is made in a buffer of its own first.
 */
#include "expose_proto.h"

#include "ratio.h"

#include <string.h>

enum wire {
    WIRE_VARINT = 0,
    WIRE_DOUBLE = 1,
    WIRE_BYTES = 2
};

/* ---- wire format ---- */

static bool put_varint(struct buffer *out, uint64_t value)
{
    unsigned char bytes[10];
    size_t used = 0;

    for (; value >= 128; value >>= 7)
        bytes[used++] = (unsigned char)(value | 128);
    bytes[used++] = (unsigned char)value;
    return buffer_add(out, bytes, used);
}

static bool put_tag(struct buffer *out, unsigned field, enum wire wire)
{
    return put_varint(out, field << 3 | (unsigned)wire);
}

static bool put_number(struct buffer *out, unsigned field, uint64_t value)
{
    return put_tag(out, field, WIRE_VARINT) && put_varint(out, value);
}

/* Small numbers of either sign in few bytes. */
static uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static bool put_double(struct buffer *out, unsigned field, double value)
{
    uint64_t bits;
    unsigned char bytes[8];

    memcpy(&bits, &value, sizeof(bits));
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(bits >> (8 * i));
    return put_tag(out, field, WIRE_DOUBLE) && buffer_add(out, bytes, sizeof(bytes));
}

static bool put_bytes(struct buffer *out, unsigned field, const char *bytes, size_t len)
{
    return put_tag(out, field, WIRE_BYTES) && put_varint(out, len) && buffer_add(out, bytes, len);
}

static bool put_text(struct buffer *out, unsigned field, const char *text)
{
    return put_bytes(out, field, text, strlen(text));
}

/* A message that was made in `message`, which is empty afterwards. */
static bool put_message(struct buffer *out, unsigned field, struct buffer *message)
{
    bool fine = put_bytes(out, field, message->bytes, message->used);

    message->used = 0;
    return fine;
}

/* ---- labels ---- */

/* The text up to the closing quote, without the escapes of the text format. Returns where the quote stands;
 * NULL: out of memory. */
static const char *unescape(struct buffer *out, const char *at)
{
    for (; *at != '"'; at++) {
        bool escaped = *at == '\\';
        char c = escaped ? *++at : *at;

        if (escaped && c == 'n')
            c = '\n';
        if (!buffer_add(out, &c, 1))
            return NULL;
    }
    return at;
}

/* name="value",... as label messages. */
static bool put_labels(struct expose *expose, const char *labels)
{
    struct buffer *pair = &expose->scratch[EXPOSE_SCRATCH_PIECE],
                  *value = &expose->scratch[EXPOSE_SCRATCH_VALUE];

    while (*labels != '\0') {
        const char *equals = strchr(labels, '=');

        if (!put_bytes(pair, 1, labels, (size_t)(equals - labels)))
            return false;
        labels = unescape(value, equals + 2);
        if (labels == NULL || !put_message(pair, 2, value) ||
            !put_message(&expose->scratch[EXPOSE_SCRATCH_METRIC], 1, pair))
            return false;
        labels++;
        labels += *labels == ',';
    }
    return true;
}

/* ---- families ---- */

/* Writes the family under way, if there is one, behind its length. */
static bool flush(struct expose *expose)
{
    struct buffer *family = &expose->scratch[EXPOSE_SCRATCH_FAMILY];
    bool fine = family->used == 0 || (put_varint(expose->out, family->used) &&
                                      buffer_add(expose->out, family->bytes, family->used));

    family->used = 0;
    return fine;
}

bool expose_proto_head(struct expose *expose, const char *name, enum family_type type, const char *help)
{
    static const uint8_t types[] = {[FAMILY_COUNTER] = 0, [FAMILY_GAUGE] = 1, [FAMILY_HISTOGRAM] = 4};
    struct buffer *family = &expose->scratch[EXPOSE_SCRATCH_FAMILY];

    if (!flush(expose))
        return false;
    expose->type = type;
    return put_text(family, 1, name) && put_text(family, 2, help) && put_number(family, 3, types[type]);
}

static bool metric_done(struct expose *expose)
{
    return put_message(&expose->scratch[EXPOSE_SCRATCH_FAMILY], 4, &expose->scratch[EXPOSE_SCRATCH_METRIC]);
}

bool expose_proto_value(struct expose *expose, const char *labels, double value)
{
    struct buffer *piece = &expose->scratch[EXPOSE_SCRATCH_PIECE];

    return put_labels(expose, labels) && put_double(piece, 1, value) &&
           put_message(&expose->scratch[EXPOSE_SCRATCH_METRIC], expose->type == FAMILY_COUNTER ? 3 : 2,
                       piece) &&
           metric_done(expose);
}

bool expose_proto_end(struct expose *expose)
{
    return flush(expose);
}

static bool put_exemplar_label(struct expose *expose, const char *name, const char *value, size_t len)
{
    struct buffer *pair = &expose->scratch[EXPOSE_SCRATCH_VALUE];

    return put_text(pair, 1, name) && put_bytes(pair, 2, value, len) &&
           put_message(&expose->scratch[EXPOSE_SCRATCH_EXEMPLAR], 1, pair);
}

/* Into the bucket under way. Records have a time since 1970. */
static bool put_exemplar(struct expose *expose, enum histogram_unit unit, const struct exemplar *exemplar)
{
    struct buffer *out = &expose->scratch[EXPOSE_SCRATCH_EXEMPLAR],
                  *time = &expose->scratch[EXPOSE_SCRATCH_VALUE];
    uint64_t time_ns = exemplar->time_ns > 0 ? (uint64_t)exemplar->time_ns : 0;
    char event[EXPOSE_EVENT_BYTES];
    size_t len = expose_event(&exemplar->origin, event);

    return put_exemplar_label(expose, "event", event, len) &&
           put_exemplar_label(expose, "run_id", exemplar->run_id, strlen(exemplar->run_id)) &&
           put_double(out, 2, expose_exemplar_value(exemplar, unit)) &&
           put_number(time, 1, time_ns / 1000000000) && put_number(time, 2, time_ns % 1000000000) &&
           put_message(out, 3, time) && put_message(&expose->scratch[EXPOSE_SCRATCH_PIECE], 3, out);
}

static bool put_classic(struct expose *expose, enum histogram_unit unit, const struct snapshot_series *series)
{
    struct buffer *out = &expose->scratch[EXPOSE_SCRATCH_HISTOGRAM],
                  *bucket = &expose->scratch[EXPOSE_SCRATCH_PIECE];
    uint64_t count = 0;

    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        count += series->histogram->buckets[i];
        if (!put_number(bucket, 1, count) || !put_double(bucket, 2, histogram_bound(unit, i)) ||
            (series->exemplars != NULL && series->exemplars[i].latency_ns > 0 &&
             !put_exemplar(expose, unit, &series->exemplars[i])) ||
            !put_message(out, 3, bucket))
            return false;
    }
    return put_number(out, 1, count) && put_double(out, 2, histogram_sum(series->histogram, unit));
}

/* ---- native buckets ---- */

#define GAP_MAX 2 /* empty buckets that cost less than a span of their own */

/* The count of a slot, which need not be held. */
static uint64_t count_at(const struct snapshot_native *native, unsigned slot)
{
    return slot >= native->first && slot - native->first < native->count
               ? native->counts[slot - native->first]
               : 0;
}

/* The next slot from `slot` on that holds something; NATIVE_SLOTS: none. */
static unsigned next_filled(const struct snapshot_native *native, unsigned slot)
{
    while (slot < NATIVE_SLOTS && count_at(native, slot) == 0)
        slot++;
    return slot;
}

/* Where the span that begins at a filled slot ends. */
static unsigned span_end(const struct snapshot_native *native, unsigned slot)
{
    for (;;) {
        unsigned next = next_filled(native, slot + 1);

        if (next == NATIVE_SLOTS || next - slot - 1 > GAP_MAX)
            return slot + 1;
        slot = next;
    }
}

static bool put_span(struct expose *expose, int offset, unsigned length)
{
    struct buffer *span = &expose->scratch[EXPOSE_SCRATCH_PIECE];

    return put_number(span, 1, zigzag(offset)) && put_number(span, 2, length) &&
           put_message(&expose->scratch[EXPOSE_SCRATCH_HISTOGRAM], 12, span);
}

/* Spans say which buckets there are, deltas what is in them: each against the one before. */
static bool put_spans(struct expose *expose, const struct snapshot_native *native)
{
    struct buffer *deltas = &expose->scratch[EXPOSE_SCRATCH_VALUE];
    uint64_t before = 0;
    int next_bucket = 0;

    for (unsigned at = next_filled(native, 1); at < NATIVE_SLOTS;) {
        unsigned end = span_end(native, at);
        int bucket = NATIVE_FIRST_BUCKET + (int)at - 1;

        if (!put_span(expose, bucket - next_bucket, end - at))
            return false;
        next_bucket = bucket + (int)(end - at);
        for (; at < end; at++) {
            uint64_t count = count_at(native, at);

            if (!put_varint(deltas, zigzag((int64_t)(count - before))))
                return false;
            before = count;
        }
        at = next_filled(native, end);
    }
    return deltas->used == 0 || put_message(&expose->scratch[EXPOSE_SCRATCH_HISTOGRAM], 13, deltas);
}

static bool put_native(struct expose *expose, const struct snapshot_native *native)
{
    struct buffer *out = &expose->scratch[EXPOSE_SCRATCH_HISTOGRAM];
    uint64_t total = 0;

    for (unsigned i = 0; i < native->count; i++)
        total += native->counts[i];
    return put_number(out, 1, total) &&
           put_double(out, 2, ratio_double(native->sum_picoseconds, 1000000000000)) &&
           put_number(out, 5, zigzag(NATIVE_SCHEMA)) && put_double(out, 6, NATIVE_ZERO_SECONDS) &&
           put_number(out, 7, count_at(native, 0)) && put_spans(expose, native);
}

static bool put_histogram(struct expose *expose, const struct snapshot_family *family, bool native,
                          const struct snapshot_series *series)
{
    return put_labels(expose, series->labels) &&
           (native ? put_native(expose, series->native) : put_classic(expose, family->unit, series)) &&
           put_message(&expose->scratch[EXPOSE_SCRATCH_METRIC], 7,
                       &expose->scratch[EXPOSE_SCRATCH_HISTOGRAM]) &&
           metric_done(expose);
}

static bool put_native_family(struct expose *expose, const struct snapshot_family *family)
{
    if (!expose_proto_head(expose, family->native_name, FAMILY_HISTOGRAM, family->help))
        return false;
    for (size_t i = 0; i < family->series_count; i++)
        if (family->series[i].native != NULL && !put_histogram(expose, family, true, &family->series[i]))
            return false;
    return true;
}

static bool put_one(struct expose *expose, const struct snapshot_family *family,
                    const struct snapshot_series *series)
{
    switch (family->type) {
    case FAMILY_COUNTER:
        return expose_proto_value(expose, series->labels, (double)series->count);
    case FAMILY_GAUGE:
        return expose_proto_value(expose, series->labels, series->value);
    case FAMILY_HISTOGRAM:
        break;
    }
    return put_histogram(expose, family, false, series);
}

static bool put_family(struct expose *expose, const struct snapshot_family *family)
{
    if (!expose_proto_head(expose, family->name, family->type, family->help))
        return false;
    for (size_t i = 0; i < family->series_count; i++)
        if (!put_one(expose, family, &family->series[i]))
            return false;
    return true;
}

bool expose_proto_snapshot(struct expose *expose, const struct snapshot *snapshot)
{
    for (size_t f = 0; f < snapshot->family_count; f++) {
        const struct snapshot_family *family = &snapshot->families[f];
        bool same_name = family->native_name != NULL && strcmp(family->native_name, family->name) == 0;

        if ((!same_name && !put_family(expose, family)) ||
            (family->native_name != NULL && !put_native_family(expose, family)))
            return false;
    }
    return true;
}
