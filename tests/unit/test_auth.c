/* test_auth.c - names and passwords against bcrypt hashes, and what is remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth.h"

#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Counts the real work. */
char *__real_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
static unsigned hashed;
char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
    hashed++;
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
    return 0;
}

static int end(void **state)
{
    (void)state;
    auth_free(auth);
    return 0;
}

static void the_right_pair_passes_and_no_other(void **state)
{
    char long_password[1000];

    (void)state;
    memset(long_password, 'x', sizeof(long_password) - 1);
    long_password[sizeof(long_password) - 1] = '\0';
    for (unsigned round = 0; round < 2; round++) { /* the second from memory */
        assert_true(auth_check(auth, "alice", "open sesame"));
        assert_false(auth_check(auth, "alice", "open sesam"));
        assert_false(auth_check(auth, "alice", ""));
        assert_false(auth_check(auth, "bob", "open sesame"));
        assert_false(auth_check(auth, "", "open sesame"));
        assert_false(auth_check(auth, NULL, NULL));
        assert_false(auth_check(auth, "alice", NULL));
        assert_false(auth_check(auth, "alice", long_password));
    }
}

static void a_pair_is_hashed_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        assert_true(auth_check(auth, "alice", "open sesame"));
        assert_false(auth_check(auth, "alice", "wrong"));
    }
    assert_int_equal(hashed, 2);
}

static void an_unknown_name_costs_a_hash_too(void **state)
{
    (void)state;
    assert_false(auth_check(auth, "nobody", "open sesame"));
    assert_int_equal(hashed, 1);
}

static void many_guesses_push_out_the_oldest_and_change_no_answer(void **state)
{
    char guess[32];

    (void)state;
    assert_true(auth_check(auth, "alice", "open sesame"));
    for (unsigned i = 0; i < AUTH_REMEMBERED; i++) {
        snprintf(guess, sizeof(guess), "guess %u", i);
        assert_false(auth_check(auth, "alice", guess));
    }
    hashed = 0;
    assert_true(auth_check(auth, "alice", "open sesame"));
    assert_int_equal(hashed, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_right_pair_passes_and_no_other),
        TEST(a_pair_is_hashed_once),
        TEST(an_unknown_name_costs_a_hash_too),
        TEST(many_guesses_push_out_the_oldest_and_change_no_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
