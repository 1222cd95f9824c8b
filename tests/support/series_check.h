/* series_check.h - asks an aggregate for one of its shown values. For the sidecar's unit tests. */
#ifndef AILIVE_TESTS_SERIES_CHECK_H
#define AILIVE_TESTS_SERIES_CHECK_H

#include "aggregate.h"

#include <stdint.h>
#include <string.h>

/* Sum of a counter's shown values over all series whose labels contain `part` ("" for all). */
static inline uint64_t series_total(struct aggregate *aggregate, const char *name, const char *part)
{
    struct snapshot snapshot;
    uint64_t total = 0;

    if (aggregate_snapshot(aggregate, &snapshot) != 0)
        return UINT64_MAX;
    for (size_t i = 0; i < snapshot.family_count; i++) {
        const struct snapshot_family *family = &snapshot.families[i];

        if (strcmp(family->name, name) != 0)
            continue;
        for (size_t j = 0; j < family->series_count; j++)
            if (strstr(family->series[j].labels, part) != NULL)
                total += family->series[j].count;
    }
    snapshot_free(&snapshot);
    return total;
}

#endif
