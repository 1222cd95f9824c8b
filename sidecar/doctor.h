/* doctor.h - whether a host is fit for producers and a sidecar, check by check.
 *
 * Place on the route: beside it: this host -> [doctor] -> one line a check. One thread. Looks, and mends
 * nothing; leaves nothing behind. Limits: a line of DOCTOR_LINE_BYTES; every question to another program is
 * bounded as http_get.h says.
 */
#ifndef AILIVE_SIDECAR_DOCTOR_H
#define AILIVE_SIDECAR_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

#define DOCTOR_LINE_BYTES 1024u

enum doctor_verdict {
    DOCTOR_OK,
    DOCTOR_WARN, /* works, less well than it could, or: not now */
    DOCTOR_FAIL  /* does not work */
};

/* What a check finds is told here. mend: what to do, "" with DOCTOR_OK. Prints to stdout. */
struct doctor {
    bool failed; /* any DOCTOR_FAIL so far */
};
void doctor_say(struct doctor *doctor, enum doctor_verdict verdict, const char *check, const char *mend,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Each NULL or "": the default of wire/paths.h, proof.h or the contract. */
struct doctor_options {
    const char *runtime, *spool, *state, *ipc, *jsonl, *prom_url, *exporter_url;
};

/* doctor_host.c: the kernel, the clocks, the folders, the socket, the event file. */
void doctor_host(struct doctor *doctor, const struct doctor_options *options);

/* doctor_peers.c: the contract's environment, the exporter, Prometheus. */
void doctor_peers(struct doctor *doctor, const struct doctor_options *options);

#endif
