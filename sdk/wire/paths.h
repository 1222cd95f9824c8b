/* paths.h - where host and sidecar meet when nobody names a folder: one place for each rule.
 *
 * Place on the route: asked by ailive_open() and by every subcommand. Reads the environment and asks the file
 * system whether a folder is there and writable; makes nothing. The exception to sdk/wire's "no I/O", because
 * both sides must come to the same answer.
 *
 * A blank environment variable (empty, or white space only) counts as unset.
 */
#ifndef AILIVE_WIRE_PATHS_H
#define AILIVE_WIRE_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#define PATHS_MAX_BYTES    4096u
#define PATHS_SOCKET_BYTES 108u /* sun_path with its NUL */
#define PATHS_SOCKET_NAME  "sidecar.sock"

/* The variable's value without white space around it, copied to out; fallback when blank or unset. false:
 * longer than cap. fallback may be NULL: out becomes "". */
bool paths_env(const char *name, const char *fallback, char *out, size_t cap);

/* Each writes a NUL-terminated path. given: the caller's own choice, NULL or "" for the default. A relative
 * one, given or of the variable, is taken from the working folder of this moment and made absolute. false:
 * longer than cap, or no rule gives a folder (no HOME); out is "" then.
 *   runtime  given, $AILIVE_RUNTIME_DIR, /run/ailive if writable, $XDG_RUNTIME_DIR/ailive,
 *            /dev/shm/ailive-<uid>
 *   spool    given, $AILIVE_SPOOL_DIR, /var/spool/ailive if writable, $XDG_STATE_HOME/ailive/spool,
 *            $HOME/.local/state/ailive/spool
 *   state    given, $AILIVE_STATE_DIR, /var/lib/ailive if writable, $XDG_STATE_HOME/ailive/state,
 *            $HOME/.local/state/ailive/state */
bool paths_runtime(const char *given, char *out, size_t cap);
bool paths_spool(const char *given, char *out, size_t cap);
bool paths_state(const char *given, char *out, size_t cap);

/* The sidecar's URL: given, $AILIVE_IPC_URL, else "ipc://<runtime>/sidecar.sock". */
bool paths_ipc_url(const char *given, const char *runtime, char *out, size_t cap);

/* The path of an "ipc://" URL. NULL: out holds it; otherwise a constant text that says what is wrong (not
 * ipc://, empty, longer than 107 bytes). */
const char *paths_socket(const char *url, char out[PATHS_SOCKET_BYTES]);

/* mkdir -p with mode 0700 for what is missing. 0 or errno. The last exception: used at open only. */
int paths_make(const char *path);

#endif
