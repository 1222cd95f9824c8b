/* ranking.h - rows that are found by their names, added up, and sorted by their first number.
 *
 * Place on the route: snapshot -> [ranking] -> status. No threads, no I/O, no clock. As many rows as there
 * are series; what is shown of them is RANKING_SHOWN.
 */
#ifndef AILIVE_SIDECAR_RANKING_H
#define AILIVE_SIDECAR_RANKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RANKING_NAMES 3u
#define RANKING_SUMS  6u
#define RANKING_SHOWN 50u

struct ranking_row {
    const char *names[RANKING_NAMES]; /* "" where there is none */
    double value;                     /* the ranking's order, greatest first */
    uint64_t sums[RANKING_SUMS];
};

struct ranking {
    struct ranking_row *rows;
    size_t count;
    uint32_t *slots; /* row number + 1; open addressing, at most half full */
    size_t slot_count;
};

void ranking_init(struct ranking *ranking);
void ranking_fini(struct ranking *ranking);

/* The row of these names, made with zeros when missing; valid until the next call. NULL: out of memory. */
struct ranking_row *ranking_row(struct ranking *ranking, const char *const names[RANKING_NAMES]);

/* NULL: there is none. */
const struct ranking_row *ranking_find(const struct ranking *ranking, const char *const names[RANKING_NAMES]);

/* By value, then by the first sum, greatest first; then by their names. After it rows cannot be found. */
void ranking_sort(struct ranking *ranking);

/* Keeps the first `most` rows of that order. The rows can be found again. */
void ranking_cut(struct ranking *ranking, size_t most);

#endif
