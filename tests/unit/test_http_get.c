/* test_http_get.c - claims of http_get.h about the library that it loads; what it asks and gets is seen by
 * the integration tests of verify and activity. */
#include "http_get.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const char *present; /* the only library that there is; NULL: both are */

void *__real_dlopen(const char *name, int how);
void *__wrap_dlopen(const char *name, int how);
void *__wrap_dlopen(const char *name, int how)
{
    return present == NULL || strcmp(name, present) == 0 ? __real_dlopen(name, how) : NULL;
}

/* Pauses are counted and take as long as the test says. */
static unsigned pauses;
static int64_t passed_ms, pause_ms;

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int status = __real_clock_gettime(clock, now);

    now->tv_sec += passed_ms / 1000;
    return status;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    (void)time;
    (void)left;
    pauses++;
    passed_ms += pause_ms;
    return 0;
}

static void all_tries_together_have_one_limit(void **state)
{
    char error[512];
    struct http_get *get = http_get_new(error, sizeof(error));
    struct buffer body;

    (void)state;
    assert_non_null(get);
    buffer_init(&body);
    assert_int_equal(http_get(get, "http://127.0.0.1:1/", &body, error, sizeof(error)), 0);
    assert_int_equal(pauses, HTTP_GET_TRIES - 1);
    pauses = 0;
    pause_ms = HTTP_GET_MS; /* the first try has used all the time there was */
    assert_int_equal(http_get(get, "http://127.0.0.1:1/", &body, error, sizeof(error)), 0);
    assert_int_equal(pauses, 1);
    buffer_fini(&body);
    http_get_free(get);
}

static void without_libcurl_the_error_names_its_package(void **state)
{
    char error[128];

    (void)state;
    present = "neither";
    assert_null(http_get_new(error, sizeof(error)));
    assert_non_null(strstr(error, "apt-get install libcurl3-gnutls"));
}

static void one_build_of_libcurl_is_enough(void **state)
{
    static const char *const others[] = {"libcurl-gnutls.so.4", "libcurl.so.4"};
    char error[128];

    (void)state;
    for (size_t i = 0; i < 2; i++) { /* either build alone is enough; the second may not be installed */
        present = others[i];
        struct http_get *get = http_get_new(error, sizeof(error));

        if (i == 0)
            assert_non_null(get);
        else if (get == NULL)
            assert_non_null(strstr(error, "libcurl"));
        http_get_free(get);
    }
    present = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_libcurl_the_error_names_its_package),
        cmocka_unit_test(one_build_of_libcurl_is_enough),
        cmocka_unit_test(all_tries_together_have_one_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
