/* config.h - numbers and addresses a person types, checked; errors say what was wrong, where, and what to do.
 *
 * Folders and URLs: wire/paths.h. A blank environment variable means its default. */
#ifndef AILIVE_SIDECAR_CONFIG_H
#define AILIVE_SIDECAR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_listen {
    char address[64]; /* "127.0.0.1", "::1" */
    uint16_t port;
};

/* "ADDR:PORT", "[V6]:PORT" or ":PORT" (loopback). text NULL: 127.0.0.1 and $PEAK_TRADE_AI_EXPORTER_PORT, else
 * 9110. false: error holds one line. Port 0 asks the kernel for a free one (tests). */
bool config_listen(const char *text, struct config_listen *out, char *error, size_t error_cap);

/* A whole decimal number between min and max; false: error holds one line that names `what`. */
bool config_number(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *out, char *error,
                   size_t error_cap);

#define CONFIG_COMPONENT_DEFAULT "execution_watch"
#define CONFIG_RUN_ID_DEFAULT    "na"
/* given, else the contract's environment variable, else its default. out: 256 bytes. false: too long. */
bool config_component(const char *given, char *out, char *error, size_t error_cap);
bool config_run_id(const char *given, char *out, char *error, size_t error_cap);

#endif
