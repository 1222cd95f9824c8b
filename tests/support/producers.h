/* producers.h - producers' folders as they lie below a runtime folder. For the SDK's unit tests. */
#ifndef AILIVE_TESTS_PRODUCERS_H
#define AILIVE_TESTS_PRODUCERS_H

#include <stdbool.h>

#define PRODUCERS_PATH_BYTES 512

/* How many there are; the last one's path in out. A runtime folder that is not there has none. */
int producers_count(const char *runtime_dir, char out[PRODUCERS_PATH_BYTES]);

/* Whether a folder's lock is free, that is: its owner dead. */
bool producers_lock_is_free(const char *folder);

#endif
