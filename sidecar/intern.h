/* intern.h - equal labels become one struct labels, so that the aggregate's route cache hits.
 *
 * Place on the route: inside contract; the sources of SDK records may use one too. Owns copies of the texts.
 * One thread. No I/O, no clock.
 */
#ifndef AILIVE_SIDECAR_INTERN_H
#define AILIVE_SIDECAR_INTERN_H

#include "observation.h"

/* What is kept over intern_clear(): beyond either limit it forgets everything. */
#define INTERN_KEEP_LABELS 16384u
#define INTERN_KEEP_BYTES  (8u << 20)

struct intern;

struct intern *intern_new(void); /* NULL: out of memory */
void intern_free(struct intern *intern);

/* The one struct with these labels; texts are copied at first sight. route and generation of wanted are not
 * looked at. Lives until intern_clear(). NULL: out of memory. */
struct labels *intern_labels(struct intern *intern, const struct labels *wanted);

/* From here on earlier results are invalid, unless it returns false: then nothing was forgotten, and they
 * still hold. */
bool intern_clear(struct intern *intern);

/* Equal in everything but route and generation, and a hash that agrees with it. */
bool labels_equal(const struct labels *a, const struct labels *b);
uint64_t labels_hash(const struct labels *labels);

#endif
