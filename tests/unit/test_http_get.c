/* test_http_get.c - claims of http_get.h about the library that it loads; what it asks and gets is seen by
 * the integration tests of verify and activity. */
#include "http_get.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *present; /* the only library that there is; NULL: both are */

void *__real_dlopen(const char *name, int how);
void *__wrap_dlopen(const char *name, int how);
void *__wrap_dlopen(const char *name, int how)
{
    return present == NULL || strcmp(name, present) == 0 ? __real_dlopen(name, how) : NULL;
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
