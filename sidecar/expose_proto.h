/* expose_proto.h - the protobuf exposition format: io.prometheus.client.MetricFamily, each with its length in
 * front.
 *
 * Place on the route: behind expose.h, whose contracts these keep. The only form that can carry native
 * histograms: a family with a native name is shown under that name too, with those buckets alone; where it is
 * the family's own name, they stand for the classic ones, because Prometheus takes one kind or the other. No
 * threads, no I/O, no clock.
 */
#ifndef AILIVE_SIDECAR_EXPOSE_PROTO_H
#define AILIVE_SIDECAR_EXPOSE_PROTO_H

#include "expose.h"

bool expose_proto_head(struct expose *expose, const char *name, enum family_type type, const char *help);
bool expose_proto_value(struct expose *expose, const char *labels, double value);
bool expose_proto_snapshot(struct expose *expose, const struct snapshot *snapshot);
bool expose_proto_end(struct expose *expose);

#endif
