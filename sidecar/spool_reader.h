/* spool_reader.h - what producers wrote while the sidecar was away.
 *
 * Place on the route: inside the file source: [spool reader] -> contract -> ingest (ROAD_SPOOL). The file
 * source's thread, but for spool_reader_settled() and spool_reader_add(), which any thread may call.
 *
 * Reads each producer's files in the order of their numbers. Removes a file once all of it is committed and
 * nobody writes it any more: a newer file of that producer exists, or its owner is dead. A folder that
 * another sidecar reads is left to it, and nothing is settled meanwhile. Limits: SPOOL_READER_FOLDERS_MAX
 * folders; one open file a producer.
 */
#ifndef AILIVE_SIDECAR_SPOOL_READER_H
#define AILIVE_SIDECAR_SPOOL_READER_H

#include "contract.h"
#include "ingest.h"

#define SPOOL_READER_FOLDERS_MAX 16u
#define SPOOL_READER_GONE_MS     5000 /* a file of a producer without a folder is left alone for so long */
#define SPOOL_READER_UNIT_LINES  4096u

struct spool_reader;

/* runtime: where producers' folders are, NULL when unknown. NULL: out of memory. */
struct spool_reader *spool_reader_new(struct ingest *ingest, struct contract *contract, const char *runtime);
void spool_reader_free(struct spool_reader *reader);

/* One more folder to read (the sidecar's own, or one that a producer's lock file names). Known ones and those
 * beyond the limit are passed over. */
void spool_reader_add(struct spool_reader *reader, const char *folder);
/* Folder number i, NULL when there are no more; valid while the reader lives. */
const char *spool_reader_folder(struct spool_reader *reader, size_t i);

/* Looks for files and reads what is new. Returns whether there is more to read at once. */
bool spool_reader_tick(struct spool_reader *reader);

/* For salvage: a number to ask with, and whether, by now, everything has been read that the producer's spool
 * files held when the number was taken. */
uint64_t spool_reader_now(struct spool_reader *reader);
bool spool_reader_settled(struct spool_reader *reader, const struct event_producer *producer, uint64_t since);

/* Whether any spool file of the producer is there. */
bool spool_reader_has(struct spool_reader *reader, const struct event_producer *producer);

uint64_t spool_reader_lag_bytes(struct spool_reader *reader); /* as of the last tick */

#endif
