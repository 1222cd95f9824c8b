/* source_file.h - the file roads: other programs' event files, and producers' spools.
 *
 * Place on the route: files -> [file source] -> contract -> ingest. One thread reads all of them: it waits
 * for inotify, and looks at everything at intervals too (a file system may not tell). Uses follow and
 * spool_reader; owns inotify and the thread.
 */
#ifndef AILIVE_SIDECAR_SOURCE_FILE_H
#define AILIVE_SIDECAR_SOURCE_FILE_H

#include "contract.h"
#include "ingest.h"

#define SOURCE_FILE_PATHS_MAX  256u
#define SOURCE_FILE_POLL_MS    500  /* where inotify cannot watch */
#define SOURCE_FILE_WATCHED_MS 1000 /* where it does */
#define SOURCE_FILE_REST_MS    5    /* between two looks, so that a busy file is read in larger pieces */
#define SOURCE_FILE_CLOSE_MS   600  /* most time spent on reading to the current end at the close */

struct source_file;
struct spool_reader;

struct source_file_options {
    const char *const *paths;
    size_t path_count;
    bool from_end;       /* files without a committed position begin at their end */
    const char *spool;   /* NULL: no spool folder */
    const char *runtime; /* where producers' folders are; NULL: unknown */
    struct contract_options contract;
};

/* Looks at every file once, then goes on in its thread. -1 with a line in error: a path is no regular file,
 * or memory, or the thread. */
int source_file_open(const struct source_file_options *options, struct ingest *ingest,
                     struct source_file **out, char *error, size_t error_cap);

/* Reads what has arrived, to the current end, and stops. NULL is harmless. */
void source_file_close(struct source_file *source);

/* Calls each once a file: its path and the bytes not yet committed, as of the last look. */
void source_file_lag(struct source_file *source,
                     void (*each)(void *context, const char *path, uint64_t bytes), void *context);

/* Packed files that could not be read to their end, since the start. */
uint64_t source_file_damaged_total(struct source_file *source);

/* For salvage and for forgetting: see spool_reader.h for what any thread may call. */
struct spool_reader *source_file_spools(struct source_file *source);

#endif
