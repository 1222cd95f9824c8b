/* test_config.c - what a person types, and what is said when it is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config.h"

#include <stdlib.h>
#include <string.h>

static char error[512];

static int clean_environment(void **state)
{
    (void)state;
    unsetenv("PEAK_TRADE_AI_EXPORTER_PORT");
    unsetenv("PEAK_TRADE_AI_COMPONENT");
    unsetenv("PEAK_TRADE_AI_RUN_ID");
    error[0] = '\0';
    return 0;
}

static void assert_listen(const char *text, const char *address, uint16_t port)
{
    struct config_listen listen;

    if (!config_listen(text, &listen, error, sizeof(error)))
        fail_msg("%s: %s", text ? text : "NULL", error);
    assert_string_equal(listen.address, address);
    assert_int_equal(listen.port, port);
}

static void assert_no_listen(const char *text, const char *in_error)
{
    struct config_listen listen;

    assert_false(config_listen(text, &listen, error, sizeof(error)));
    if (!strstr(error, in_error) || strchr(error, '\n'))
        fail_msg("'%s' is not in '%s'", in_error, error);
}

static void the_default_is_loopback_and_9110(void **state)
{
    (void)state;
    assert_listen(NULL, "127.0.0.1", 9110);
    setenv("PEAK_TRADE_AI_EXPORTER_PORT", " \t", 1);
    assert_listen(NULL, "127.0.0.1", 9110); /* blank means default */
}

static void the_environment_names_the_port(void **state)
{
    (void)state;
    setenv("PEAK_TRADE_AI_EXPORTER_PORT", " 9200 ", 1);
    assert_listen(NULL, "127.0.0.1", 9200);
    assert_listen(":9300", "127.0.0.1", 9300); /* what is typed wins */
}

static void a_bad_port_in_the_environment_is_an_error_that_names_it(void **state)
{
    static const char *const ports[] = {"abc",   "-1",  "65536", "9110x",
                                        "9 110", "1e3", "+9110", "99999999999999999999"};

    (void)state;
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        setenv("PEAK_TRADE_AI_EXPORTER_PORT", ports[i], 1);
        assert_no_listen(NULL, "PEAK_TRADE_AI_EXPORTER_PORT");
        assert_no_listen(NULL, ports[i]);
    }
}

static void every_form_of_address_is_read(void **state)
{
    (void)state;
    assert_listen("0.0.0.0:9110", "0.0.0.0", 9110);
    assert_listen("[::1]:80", "::1", 80);
    assert_listen("[::]:65535", "::", 65535);
    assert_listen(":0", "127.0.0.1", 0);
}

static void a_wrong_address_is_an_error_that_says_what_and_how(void **state)
{
    static const char *const texts[] = {"",
                                        "9110",
                                        "localhost:9110",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        ":",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:x",
                                        "::1:9110",
                                        "[::1]",
                                        "[]:80",
                                        "[::1:80",
                                        "127.0.0.1: 80",
                                        "[127.0.0.1]:80",
                                        "1.2.3:80",
                                        "[::1]x:80"};
    char long_text[400];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_no_listen(texts[i], texts[i]);
        assert_no_listen(texts[i], "127.0.0.1:9110");
    }
    memset(long_text, '1', sizeof(long_text));
    memcpy(long_text + sizeof(long_text) - 6, ":9110", 6);
    assert_no_listen(long_text, "too long");
}

static void a_number_is_whole_decimal_and_in_range(void **state)
{
    uint64_t value = 7;

    (void)state;
    assert_true(config_number("--n", "0", 0, 10, &value, error, sizeof(error)));
    assert_int_equal(value, 0);
    assert_true(config_number("--n", "18446744073709551615", 0, UINT64_MAX, &value, error, sizeof(error)));
    assert_true(value == UINT64_MAX);
    assert_false(config_number("--n", "18446744073709551616", 0, UINT64_MAX, &value, error, sizeof(error)));
    assert_true(value == UINT64_MAX);
    assert_false(config_number("--n", "11", 0, 10, &value, error, sizeof(error)));
    assert_string_equal(error, "--n is '11': give a whole number from 0 to 10");
    assert_false(config_number("--n", "1", 2, 10, &value, error, sizeof(error)));
    assert_false(config_number("--n", "", 0, 10, &value, error, sizeof(error)));
    assert_false(config_number("--n", " 1", 0, 10, &value, error, sizeof(error)));
    assert_false(config_number("--n", "1.0", 0, 10, &value, error, sizeof(error)));
    assert_false(config_number("--n", "0x1", 0, 10, &value, error, sizeof(error)));
}

static void component_and_run_id_are_given_or_from_the_environment_or_default(void **state)
{
    char out[256];

    (void)state;
    assert_true(config_component(NULL, out, error, sizeof(error)));
    assert_string_equal(out, "execution_watch");
    assert_true(config_run_id(NULL, out, error, sizeof(error)));
    assert_string_equal(out, "na");
    setenv("PEAK_TRADE_AI_COMPONENT", " gate ", 1);
    setenv("PEAK_TRADE_AI_RUN_ID", "  ", 1);
    assert_true(config_component(NULL, out, error, sizeof(error)));
    assert_string_equal(out, "gate");
    assert_true(config_component(" ", out, error, sizeof(error)));
    assert_string_equal(out, "gate");
    assert_true(config_run_id(NULL, out, error, sizeof(error)));
    assert_string_equal(out, "na");
    setenv("PEAK_TRADE_AI_RUN_ID", "env", 1);
    assert_true(config_run_id("given", out, error, sizeof(error)));
    assert_string_equal(out, "given");
}

static void a_name_that_is_too_long_is_an_error(void **state)
{
    char text[257], out[256];

    (void)state;
    memset(text, 'x', 256);
    text[256] = '\0';
    assert_false(config_component(text, out, error, sizeof(error)));
    assert_non_null(strstr(error, "component"));
    setenv("PEAK_TRADE_AI_RUN_ID", text, 1);
    assert_false(config_run_id(NULL, out, error, sizeof(error)));
    assert_non_null(strstr(error, "PEAK_TRADE_AI_RUN_ID"));
    assert_true(config_run_id(text + 1, out, error, sizeof(error)));
}

#define TEST(f) cmocka_unit_test_setup(f, clean_environment)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_default_is_loopback_and_9110),
        TEST(the_environment_names_the_port),
        TEST(a_bad_port_in_the_environment_is_an_error_that_names_it),
        TEST(every_form_of_address_is_read),
        TEST(a_wrong_address_is_an_error_that_says_what_and_how),
        TEST(a_number_is_whole_decimal_and_in_range),
        TEST(component_and_run_id_are_given_or_from_the_environment_or_default),
        TEST(a_name_that_is_too_long_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
