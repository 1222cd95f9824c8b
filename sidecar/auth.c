/* auth.c - see auth.h. One mutex holds the memory and the queue; it is never held while a hash is made. */
#include "auth.h"

#include <crypt.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define DIGEST_BYTES   32u
#define PASSWORD_BYTES 512u /* longer ones are nobody's: bcrypt itself looks at 72 */

/* A bcrypt hash that no password is known to have, of the cost that is usual. */
static const char nobody[] = "$2b$10$abcdefghijklmnopqrstuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu";

struct remembered {
    unsigned char digest[DIGEST_BYTES];
    bool used;
};

/* A name and password on the way to an answer. */
struct pair {
    const struct web_user *user; /* NULL: nobody's name */
    char password[PASSWORD_BYTES];
    unsigned char digest[DIGEST_BYTES];
};

struct auth_question {
    struct auth_question *next;
    struct pair pair;
    enum auth_verdict verdict;
    void (*told)(void *context);
    void *context;
};

struct auth {
    const struct web_config *config;
    unsigned char key[DIGEST_BYTES]; /* random: the digests are of no use outside this process */
    pthread_mutex_t lock;            /* of all below */
    pthread_cond_t changed;
    struct remembered *granted; /* one for each user */
    struct remembered refused[AUTH_REMEMBERED];
    unsigned next_refused; /* where the next one is put */
    struct auth_question *first, *last;
    unsigned waiting; /* in the queue, or being hashed */
    bool stopping;
    pthread_t thread;
    bool running;
    struct crypt_data work; /* the thread's */
};

/* ---- memory ---- */

/* Of hash and password: the hash stands for the user. false: it cannot be made, or is nobody's. */
static bool pair_make(const struct auth *auth, const char *name, const char *password, struct pair *out)
{
    char both[64 + PASSWORD_BYTES];
    const char *hash = nobody;
    size_t hash_len, len;
    bool made;

    out->user = NULL;
    if (name == NULL || password == NULL || strlen(password) >= PASSWORD_BYTES)
        return false;
    for (size_t i = 0; i < auth->config->user_count && out->user == NULL; i++)
        if (strcmp(auth->config->users[i].name, name) == 0)
            out->user = &auth->config->users[i];
    if (out->user != NULL)
        hash = out->user->hash;
    hash_len = strlen(hash);
    len = strlen(password);
    memcpy(out->password, password, len + 1);
    memcpy(both, hash, hash_len);
    memcpy(both + hash_len, password, len);
    made = gnutls_hmac_fast(GNUTLS_MAC_SHA256, auth->key, sizeof(auth->key), both, hash_len + len,
                            out->digest) == 0;
    explicit_bzero(both, sizeof(both));
    return made;
}

static bool is_same(const struct remembered *slot, const struct pair *pair)
{
    return slot->used && gnutls_memcmp(slot->digest, pair->digest, DIGEST_BYTES) == 0;
}

/* Lock held. */
static enum auth_verdict recall(const struct auth *auth, const struct pair *pair)
{
    if (pair->user != NULL && is_same(&auth->granted[pair->user - auth->config->users], pair))
        return AUTH_GRANTED;
    for (unsigned i = 0; i < AUTH_REMEMBERED; i++)
        if (is_same(&auth->refused[i], pair))
            return AUTH_REFUSED;
    return AUTH_UNKNOWN;
}

/* Right and wrong ones apart: guesses must not push out what a scraper needs. Lock held. */
static void remember(struct auth *auth, const struct pair *pair, enum auth_verdict verdict)
{
    struct remembered *slot = verdict == AUTH_GRANTED
                                  ? &auth->granted[pair->user - auth->config->users]
                                  : &auth->refused[auth->next_refused++ % AUTH_REMEMBERED];

    memcpy(slot->digest, pair->digest, DIGEST_BYTES);
    slot->used = true;
}

enum auth_verdict auth_check(struct auth *auth, const char *name, const char *password)
{
    enum auth_verdict verdict = AUTH_REFUSED;
    struct pair pair;

    if (pair_make(auth, name, password, &pair)) {
        pthread_mutex_lock(&auth->lock);
        verdict = recall(auth, &pair);
        pthread_mutex_unlock(&auth->lock);
    }
    explicit_bzero(&pair, sizeof(pair));
    return verdict;
}

/* ---- questions ---- */

struct auth_question *auth_question_new(struct auth *auth, const char *name, const char *password,
                                        void (*told)(void *context), void *context)
{
    struct auth_question *question;
    bool full;

    pthread_mutex_lock(&auth->lock);
    full = auth->waiting >= AUTH_WAITING_MAX;
    pthread_mutex_unlock(&auth->lock);
    question = full ? NULL : calloc(1, sizeof(*question));
    if (question == NULL)
        return NULL;
    question->told = told;
    question->context = context;
    if (pair_make(auth, name, password, &question->pair))
        return question;
    auth_question_free(question);
    return NULL;
}

void auth_question_free(struct auth_question *question)
{
    if (question == NULL)
        return;
    explicit_bzero(&question->pair, sizeof(question->pair));
    free(question);
}

enum auth_verdict auth_question_verdict(const struct auth_question *question)
{
    return question->verdict;
}

void auth_ask(struct auth *auth, struct auth_question *question)
{
    bool stopping;

    pthread_mutex_lock(&auth->lock);
    stopping = auth->stopping;
    if (!stopping) {
        if (auth->first == NULL)
            auth->first = question;
        else
            auth->last->next = question;
        auth->last = question;
        auth->waiting++;
        pthread_cond_signal(&auth->changed);
    }
    pthread_mutex_unlock(&auth->lock);
    if (stopping)
        question->told(question->context);
}

/* ---- the thread ---- */

static enum auth_verdict hashed(struct auth *auth, const struct pair *pair)
{
    const char *hash = pair->user != NULL ? pair->user->hash : nobody;
    const char *made = crypt_r(pair->password, hash, &auth->work);
    size_t len = strlen(hash);
    bool same = made != NULL && strlen(made) == len && gnutls_memcmp(made, hash, len) == 0;

    return same && pair->user != NULL ? AUTH_GRANTED : AUTH_REFUSED;
}

static struct auth_question *take_first(struct auth *auth)
{
    struct auth_question *question = auth->first;

    auth->first = question->next;
    return question;
}

/* Lock held, and let go meanwhile. The question is its asker's from told() on. */
static void answer(struct auth *auth, struct auth_question *question, bool hash)
{
    question->verdict = recall(auth, &question->pair); /* another may have asked the same before it */
    if (question->verdict == AUTH_UNKNOWN && hash) {
        pthread_mutex_unlock(&auth->lock);
        question->verdict = hashed(auth, &question->pair);
        pthread_mutex_lock(&auth->lock);
        remember(auth, &question->pair, question->verdict);
    }
    auth->waiting--;
    pthread_mutex_unlock(&auth->lock);
    question->told(question->context);
    pthread_mutex_lock(&auth->lock);
}

static void *run(void *context)
{
    struct auth *auth = context;

    pthread_mutex_lock(&auth->lock);
    while (!auth->stopping || auth->first != NULL) {
        if (auth->first == NULL)
            pthread_cond_wait(&auth->changed, &auth->lock);
        else
            answer(auth, take_first(auth), !auth->stopping);
    }
    pthread_mutex_unlock(&auth->lock);
    return NULL;
}

/* ---- opening and closing ---- */

static bool start(struct auth *auth)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    auth->running = pthread_create(&auth->thread, NULL, run, auth) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return auth->running;
}

struct auth *auth_new(const struct web_config *config)
{
    struct auth *auth = calloc(1, sizeof(*auth));

    if (auth == NULL)
        return NULL;
    auth->config = config;
    pthread_mutex_init(&auth->lock, NULL);
    pthread_cond_init(&auth->changed, NULL);
    auth->granted = calloc(config->user_count > 0 ? config->user_count : 1, sizeof(*auth->granted));
    if (auth->granted != NULL && gnutls_rnd(GNUTLS_RND_RANDOM, auth->key, sizeof(auth->key)) == 0 &&
        start(auth))
        return auth;
    auth_free(auth);
    return NULL;
}

void auth_stop(struct auth *auth)
{
    pthread_mutex_lock(&auth->lock);
    auth->stopping = true;
    pthread_cond_signal(&auth->changed);
    pthread_mutex_unlock(&auth->lock);
    if (auth->running)
        pthread_join(auth->thread, NULL);
    auth->running = false;
}

void auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    auth_stop(auth);
    pthread_cond_destroy(&auth->changed);
    pthread_mutex_destroy(&auth->lock);
    free(auth->granted);
    explicit_bzero(auth, sizeof(*auth));
    free(auth);
}
