/* auth.h - whether a name and password are a user's.
 *
 * Place on the route: http asks it before it answers, on its thread. bcrypt takes tens of milliseconds on
 * purpose; what it found is remembered for AUTH_REMEMBERED pairs by a keyed digest, so that a scraper pays
 * once. Comparisons take the same time wherever they differ, and an unknown name costs a hash too: neither
 * tells who exists.
 */
#ifndef AILIVE_SIDECAR_AUTH_H
#define AILIVE_SIDECAR_AUTH_H

#include "web_config.h"

#define AUTH_REMEMBERED 100u /* the oldest gives way */

struct auth;

/* config: its users; must live as long. NULL: out of memory, or no random numbers to be had. */
struct auth *auth_new(const struct web_config *config);
void auth_free(struct auth *auth); /* NULL is harmless */

/* name, password: NULL where the request has none. */
bool auth_check(struct auth *auth, const char *name, const char *password);

#endif
