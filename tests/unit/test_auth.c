/* test_auth.c - names and passwords against bcrypt hashes, and what is remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth.h"

#include <crypt.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Counts the real work, and holds it while the gate is shut. */
char *__real_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
static _Atomic unsigned hashed;
static _Atomic bool gate_shut;
static sem_t at_gate, gate;
char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
    hashed++;
    if (gate_shut) {
        sem_post(&at_gate);
        sem_wait(&gate);
    }
    return __real_crypt_r(phrase, setting, data);
}

static char hash[64];
static struct web_user users[] = {{(char[]){"alice"}, hash}};
static const struct web_config config = {.users = users, .user_count = 1};
static struct auth *auth;

static int begin(void **state)
{
    struct crypt_data data = {0};
    const char *made = __real_crypt_r("open sesame", "$2b$04$abcdefghijklmnopqrstuu", &data);

    (void)state;
    assert_non_null(made);
    snprintf(hash, sizeof(hash), "%s", made);
    auth = auth_new(&config);
    assert_non_null(auth);
    hashed = 0;
    gate_shut = false;
    sem_init(&at_gate, 0, 0);
    sem_init(&gate, 0, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    auth_free(auth);
    return 0;
}

static void told(void *context)
{
    sem_post(context);
}

/* As http asks: from memory, else it waits for the thread. */
static bool passes(const char *name, const char *password)
{
    enum auth_verdict verdict = auth_check(auth, name, password);
    struct auth_question *question;
    sem_t done;

    if (verdict != AUTH_UNKNOWN)
        return verdict == AUTH_GRANTED;
    sem_init(&done, 0, 0);
    question = auth_question_new(auth, name, password, told, &done);
    assert_non_null(question);
    auth_ask(auth, question);
    sem_wait(&done);
    verdict = auth_question_verdict(question);
    assert_int_not_equal(verdict, AUTH_UNKNOWN);
    auth_question_free(question);
    return verdict == AUTH_GRANTED;
}

static void the_right_pair_passes_and_no_other(void **state)
{
    char long_password[1000];

    (void)state;
    memset(long_password, 'x', sizeof(long_password) - 1);
    long_password[sizeof(long_password) - 1] = '\0';
    for (unsigned round = 0; round < 2; round++) { /* the second from memory */
        assert_true(passes("alice", "open sesame"));
        assert_false(passes("alice", "open sesam"));
        assert_false(passes("alice", ""));
        assert_false(passes("bob", "open sesame"));
        assert_false(passes("", "open sesame"));
        assert_false(passes(NULL, NULL));
        assert_false(passes("alice", NULL));
        assert_false(passes("alice", long_password));
    }
}

static void a_pair_is_hashed_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        assert_true(passes("alice", "open sesame"));
        assert_false(passes("alice", "wrong"));
    }
    assert_int_equal(hashed, 2);
}

static void an_unknown_name_costs_a_hash_too(void **state)
{
    (void)state;
    assert_false(passes("nobody", "open sesame"));
    assert_int_equal(hashed, 1);
}

static void guesses_push_out_older_guesses_and_never_a_right_password(void **state)
{
    char guess[32];

    (void)state;
    assert_true(passes("alice", "open sesame"));
    for (unsigned i = 0; i <= AUTH_REMEMBERED; i++) {
        snprintf(guess, sizeof(guess), "guess %u", i);
        assert_false(passes("alice", guess));
    }
    hashed = 0;
    assert_int_equal(auth_check(auth, "alice", "open sesame"), AUTH_GRANTED);
    assert_int_equal(auth_check(auth, "alice", "guess 0"), AUTH_UNKNOWN);
    assert_int_equal(auth_check(auth, "alice", "guess 1"), AUTH_REFUSED);
    assert_int_equal(hashed, 0);
}

static void who_is_known_passes_while_a_guess_is_hashed(void **state)
{
    struct auth_question *question;
    sem_t done;

    (void)state;
    assert_true(passes("alice", "open sesame"));
    gate_shut = true;
    sem_init(&done, 0, 0);
    question = auth_question_new(auth, "alice", "guess", told, &done);
    assert_non_null(question);
    auth_ask(auth, question);
    sem_wait(&at_gate);
    assert_int_equal(auth_check(auth, "alice", "open sesame"), AUTH_GRANTED);
    assert_int_equal(auth_question_verdict(question), AUTH_UNKNOWN);
    sem_post(&gate);
    sem_wait(&done);
    assert_int_equal(auth_question_verdict(question), AUTH_REFUSED);
    auth_question_free(question);
}

static void few_wait_and_a_stop_answers_them_unhashed(void **state)
{
    struct auth_question *questions[AUTH_WAITING_MAX];
    char guess[32];
    sem_t done;

    (void)state;
    gate_shut = true;
    sem_init(&done, 0, 0);
    for (unsigned i = 0; i < AUTH_WAITING_MAX; i++) {
        snprintf(guess, sizeof(guess), "guess %u", i);
        questions[i] = auth_question_new(auth, "alice", guess, told, &done);
        assert_non_null(questions[i]);
        auth_ask(auth, questions[i]);
    }
    assert_null(auth_question_new(auth, "alice", "one more", told, &done));
    sem_wait(&at_gate);
    gate_shut = false;
    sem_post(&gate);
    auth_stop(auth);
    for (unsigned i = 0; i < AUTH_WAITING_MAX; i++) {
        sem_wait(&done);
        auth_question_free(questions[i]);
    }
    questions[0] = auth_question_new(auth, "alice", "late", told, &done);
    assert_non_null(questions[0]);
    auth_ask(auth, questions[0]);
    sem_wait(&done);
    assert_int_equal(auth_question_verdict(questions[0]), AUTH_UNKNOWN);
    auth_question_free(questions[0]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_right_pair_passes_and_no_other),
        TEST(a_pair_is_hashed_once),
        TEST(an_unknown_name_costs_a_hash_too),
        TEST(guesses_push_out_older_guesses_and_never_a_right_password),
        TEST(who_is_known_passes_while_a_guess_is_hashed),
        TEST(few_wait_and_a_stop_answers_them_unhashed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
