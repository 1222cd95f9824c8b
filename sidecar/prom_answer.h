/* prom_answer.h - what Prometheus' HTTP API answered.
 *
 * Place on the route: beside it: http_get's bytes -> json_tree -> [prom_answer] -> proof, doctor. No
 * threads, no I/O, no clock. An answer is another program's bytes: every field is checked, a missing one is
 * as if it were empty.
 */
#ifndef AILIVE_SIDECAR_PROM_ANSWER_H
#define AILIVE_SIDECAR_PROM_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#define PROM_ANSWER_VALUE_BYTES 64u

struct prom_answer;

struct prom_answer *prom_answer_new(void); /* NULL: out of memory */
void prom_answer_free(struct prom_answer *answer);

/* Reads one whole answer; the functions below then speak of it. false: no JSON, none of
 * Prometheus', or its status is not "success"; error holds one line. */
bool prom_answer_read(struct prom_answer *answer, const char *bytes, size_t len_bytes, char *error,
                      size_t error_cap);

/* After a read that was false: whether it was Prometheus who said so, and not another program. */
bool prom_answer_is_refusal(const struct prom_answer *answer);

/* Of /api/v1/query: how many series the result has. value: the first one's, as Prometheus prints it; "" when
 * there is none. */
size_t prom_answer_results(const struct prom_answer *answer, char value[PROM_ANSWER_VALUE_BYTES]);

/* Of /api/v1/targets: whether an active target of this job is up. detail: "up", its last error, or that there
 * is none. */
bool prom_answer_target_up(const struct prom_answer *answer, const char *job, char *detail, size_t cap);

/* Of /api/v1/rules: whether an alerting rule of this name is loaded. */
bool prom_answer_has_alert(const struct prom_answer *answer, const char *name);

#endif
