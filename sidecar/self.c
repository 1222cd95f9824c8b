/* self.c - the sidecar's own gauges and counters.
 *
 * Place on the route: beside the aggregate's families -> http. Owns nothing.
 */
#include "self.h"

#include "expose_text.h"
#include "proc.h"
#include "spool_reader.h"

#include <string.h>

/* One family with one series without labels. */
static bool single(struct expose *out, const char *name, enum family_type type, const char *help,
                   double value)
{
    return expose_head(out, name, type, help) && expose_value(out, name, "", value);
}

static bool labelled(struct expose *out, const char *name, const char *label, const char *value,
                     double number)
{
    struct buffer labels;
    bool fine;

    buffer_init(&labels);
    fine = buffer_printf(&labels, "%s=\"", label) &&
           expose_text_escape(&labels, (struct text){value, strlen(value)}) &&
           buffer_add(&labels, "\"", 2) && /* with its NUL */
           expose_value(out, name, labels.bytes, number);
    buffer_fini(&labels);
    return fine;
}

static bool expose_state(const struct ingest_health *health, struct expose *out)
{
    return single(out, "ailive_ready", FAMILY_GAUGE, "1 while what arrives is counted and committed.",
                  health->committing ? 1 : 0) &&
           single(out, "ailive_state_commits_total", FAMILY_COUNTER,
                  "Transactions committed since the sidecar started.", (double)health->commits) &&
           single(out, "ailive_state_errors_total", FAMILY_COUNTER,
                  "Commits, syncs and recoveries of the state that failed since the sidecar started.",
                  (double)health->commit_errors) &&
           single(out, "ailive_state_commit_seconds", FAMILY_GAUGE, "How long the last commit took.",
                  (double)health->last_commit_ns / 1e9) &&
           single(out, "ailive_state_bytes", FAMILY_GAUGE, "Size of the state's data file.",
                  (double)health->state_bytes);
}

static bool expose_nng(struct source_nng *nng, struct expose *out)
{
    static const char name[] = "ailive_ipc_errors_total";
    struct source_nng_counters counters;

    source_nng_counters(nng, &counters);
    if (!single(out, "ailive_producers_connected", FAMILY_GAUGE,
                "Connected producers that have sent a batch.", counters.producers) ||
        !single(out, "ailive_producers_recorded", FAMILY_GAUGE,
                "Records that the connected producers say they have made, as of their last batches.",
                (double)counters.recorded) ||
        !expose_head(out, name, FAMILY_COUNTER,
                     "Input on the IPC socket that was not taken, since the sidecar started."))
        return false;
    for (unsigned i = 0; i < IPC_ERRORS; i++)
        if (!labelled(out, name, "reason", source_nng_error_name(i), (double)counters.errors[i]))
            return false;
    return true;
}

struct lag {
    struct expose *out;
    bool fine;
};

static const char lag_name[] = "ailive_source_lag_bytes";

static void lag_each(void *context, const char *path, uint64_t bytes)
{
    struct lag *lag = context;

    lag->fine = lag->fine && labelled(lag->out, lag_name, "path", path, (double)bytes);
}

static bool expose_files(struct source_file *files, struct expose *out)
{
    struct lag lag = {out, true};
    const char *spool = spool_reader_folder(source_file_spools(files), 0);

    if (!expose_head(out, lag_name, FAMILY_GAUGE,
                     "Bytes of a followed file (or of all spool files) that wait to be taken in."))
        return false;
    source_file_lag(files, lag_each, &lag);
    if (spool != NULL)
        lag_each(&lag, spool, spool_reader_lag_bytes(source_file_spools(files)));
    return lag.fine &&
           single(out, "ailive_spooled_bytes", FAMILY_GAUGE,
                  "Bytes of producers' spool files, in all folders, that wait to be taken in.",
                  (double)spool_reader_lag_bytes(source_file_spools(files))) &&
           single(out, "ailive_source_damaged_files_total", FAMILY_COUNTER,
                  "Compressed event files that could not be read to their end since the sidecar "
                  "started.",
                  (double)source_file_damaged_total(files));
}

static bool expose_rings(struct source_ring *rings, struct expose *out)
{
    return single(out, "ailive_salvaged_folders_total", FAMILY_COUNTER,
                  "Dead producers' folders taken in and removed since the sidecar started.",
                  (double)source_ring_salvaged_total(rings)) &&
           single(out, "ailive_unacknowledged_records", FAMILY_GAUGE,
                  "Records in living producers' rings that are neither acknowledged nor spooled.",
                  (double)source_ring_pending(rings));
}

bool self_expose(const struct self *self, struct expose *out)
{
    struct ingest_health health;

    ingest_health(self->ingest, &health);
    return expose_head(out, "ailive_build_info", FAMILY_GAUGE, "Always 1; which version this is.") &&
           labelled(out, "ailive_build_info", "version", AILIVE_VERSION_STRING, 1) &&
           expose_state(&health, out) && (self->nng == NULL || expose_nng(self->nng, out)) &&
           (self->files == NULL || expose_files(self->files, out)) &&
           (self->rings == NULL || expose_rings(self->rings, out)) && proc_expose(out);
}
