/* client.h - an open instance as Python sees it: ailive._native.Client.
 *
 * Any thread, under the GIL, which flush and close release while they wait. The log callback comes from the
 * library's threads, which know nothing of the GIL: its lines wait in `log` until Python asks. */
#ifndef AILIVE_PYTHON_CLIENT_H
#define AILIVE_PYTHON_CLIENT_H

#include "intern.h"
#include "module.h"

#include <pthread.h>

#define CLIENT_LOG_LINES 8u /* what comes while they are all taken is lost */
#define CLIENT_LOG_BYTES 320u

struct client_log {
    pthread_mutex_t lock; /* only ever tried: a fork may have left it locked in the child */
    unsigned count;
    int levels[CLIENT_LOG_LINES];
    char lines[CLIENT_LOG_LINES][CLIENT_LOG_BYTES];
};

struct client {
    PyObject_HEAD struct ailive *instance; /* NULL before _open(), and when opening failed: counted no-ops */
    struct intern names[AILIVE_NAME_RUN_ID + 1]; /* by enum ailive_name_kind */
    struct client_log log;
};

#endif
