/* auth.h - whether a name and password are a user's.
 *
 * Place on the route: http asks it before it answers. bcrypt takes tens of milliseconds on purpose: a thread
 * of auth's own does it, one question after the other, while http goes on answering those who are known. What
 * it found is remembered by a keyed digest: of each user the last right password, which no guess pushes out,
 * and the last AUTH_REMEMBERED wrong pairs. So a scraper waits once, and behind AUTH_WAITING_MAX others at
 * most. Comparisons take the same time wherever they differ, and an unknown name costs a hash too: neither
 * tells who exists.
 */
#ifndef AILIVE_SIDECAR_AUTH_H
#define AILIVE_SIDECAR_AUTH_H

#include "web_config.h"

#define AUTH_REMEMBERED  100u /* wrong pairs; the oldest gives way */
#define AUTH_WAITING_MAX 32u  /* questions that wait: one more is turned away */

enum auth_verdict {
    AUTH_UNKNOWN, /* it must be hashed first */
    AUTH_REFUSED,
    AUTH_GRANTED
};

struct auth;
struct auth_question;

/* config: its users; must live as long. Starts the thread. NULL: out of memory, or no random numbers to be
 * had. */
struct auth *auth_new(const struct web_config *config);

/* Answers the questions that wait with AUTH_UNKNOWN, and all that come later; waits for the hash that is
 * being made. */
void auth_stop(struct auth *auth);
void auth_free(struct auth *auth); /* stops it; NULL is harmless */

/* From memory, at once. name, password: NULL where the request has none. */
enum auth_verdict auth_check(struct auth *auth, const char *name, const char *password);

/* For a pair that auth_check() does not know; told(context) is called once the verdict is there, on auth's
 * thread, or within auth_ask(). NULL: out of memory, or too many wait. */
struct auth_question *auth_question_new(struct auth *auth, const char *name, const char *password,
                                        void (*told)(void *context), void *context);
void auth_ask(struct auth *auth, struct auth_question *question);

/* After told(): AUTH_UNKNOWN when auth was stopped first. */
enum auth_verdict auth_question_verdict(const struct auth_question *question);
void auth_question_free(struct auth_question *question); /* not before told() */

#endif
