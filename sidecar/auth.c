/* auth.c - see auth.h. */
#include "auth.h"

#include <crypt.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>

#define DIGEST_BYTES   32u
#define PASSWORD_BYTES 512u /* longer ones are nobody's: bcrypt itself looks at 72 */

/* A bcrypt hash that no password is known to have, of the cost that is usual. */
static const char nobody[] = "$2b$10$abcdefghijklmnopqrstuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu";

struct remembered {
    unsigned char digest[DIGEST_BYTES];
    bool used, fine;
};

struct auth {
    const struct web_config *config;
    unsigned char key[DIGEST_BYTES]; /* random: the digests are of no use outside this process */
    struct remembered remembered[AUTH_REMEMBERED];
    unsigned next; /* where the next one is put */
    struct crypt_data work;
};

struct auth *auth_new(const struct web_config *config)
{
    struct auth *auth = calloc(1, sizeof(*auth));

    if (auth == NULL)
        return NULL;
    auth->config = config;
    if (gnutls_rnd(GNUTLS_RND_RANDOM, auth->key, sizeof(auth->key)) == 0)
        return auth;
    auth_free(auth);
    return NULL;
}

void auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    explicit_bzero(auth, sizeof(*auth));
    free(auth);
}

static const char *hash_of(const struct auth *auth, const char *name)
{
    for (size_t i = 0; i < auth->config->user_count; i++)
        if (strcmp(auth->config->users[i].name, name) == 0)
            return auth->config->users[i].hash;
    return NULL;
}

/* Of hash and password: the hash stands for the user. false: it cannot be made. */
static bool digest_of(const struct auth *auth, const char *hash, const char *password,
                      unsigned char digest[DIGEST_BYTES])
{
    char both[64 + PASSWORD_BYTES];
    size_t hash_len = strlen(hash), len = strlen(password);
    bool made;

    memcpy(both, hash, hash_len);
    memcpy(both + hash_len, password, len);
    made =
        gnutls_hmac_fast(GNUTLS_MAC_SHA256, auth->key, sizeof(auth->key), both, hash_len + len, digest) == 0;
    explicit_bzero(both, sizeof(both));
    return made;
}

static const struct remembered *recall(const struct auth *auth, const unsigned char digest[DIGEST_BYTES])
{
    for (unsigned i = 0; i < AUTH_REMEMBERED; i++)
        if (auth->remembered[i].used && gnutls_memcmp(auth->remembered[i].digest, digest, DIGEST_BYTES) == 0)
            return &auth->remembered[i];
    return NULL;
}

static void remember(struct auth *auth, const unsigned char digest[DIGEST_BYTES], bool fine)
{
    struct remembered *slot = &auth->remembered[auth->next++ % AUTH_REMEMBERED];

    memcpy(slot->digest, digest, DIGEST_BYTES);
    slot->used = true;
    slot->fine = fine;
}

static bool hash_matches(struct auth *auth, const char *hash, const char *password)
{
    const char *made = crypt_r(password, hash, &auth->work);
    size_t len = strlen(hash);

    return made != NULL && strlen(made) == len && gnutls_memcmp(made, hash, len) == 0;
}

bool auth_check(struct auth *auth, const char *name, const char *password)
{
    unsigned char digest[DIGEST_BYTES];
    const struct remembered *known;
    const char *hash;
    bool fine;

    if (name == NULL || password == NULL || strlen(password) >= PASSWORD_BYTES)
        return false;
    hash = hash_of(auth, name);
    if (!digest_of(auth, hash != NULL ? hash : nobody, password, digest))
        return false;
    known = recall(auth, digest);
    if (known != NULL)
        return known->fine && hash != NULL;
    fine = hash_matches(auth, hash != NULL ? hash : nobody, password) && hash != NULL;
    remember(auth, digest, fine);
    return fine;
}
