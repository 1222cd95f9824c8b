/* test_accept.c - which form and encoding a request's headers ask for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "accept.h"

static void what_prometheus_sends_is_understood(void **state)
{
    (void)state;
    assert_int_equal(accept_format("application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
                                   "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
                     EXPOSE_OPENMETRICS);
    assert_int_equal(accept_format("text/plain;version=0.0.4;q=1,*/*;q=0.1"), EXPOSE_TEXT);
    assert_int_equal(accept_format("application/openmetrics-text; version=1.0.0; charset=utf-8"),
                     EXPOSE_OPENMETRICS);
}

static void protobuf_is_given_to_who_names_it_whole(void **state)
{
    (void)state;
    assert_int_equal(accept_format("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                                   "encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,"
                                   "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
                     EXPOSE_PROTO);
    assert_int_equal(accept_format("application/vnd.google.protobuf"), EXPOSE_TEXT);
    assert_int_equal(accept_format("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                                   "encoding=text"),
                     EXPOSE_TEXT);
}

static void the_greatest_q_wins_and_the_first_of_equals(void **state)
{
    (void)state;
    assert_int_equal(accept_format("application/openmetrics-text;q=0.4,text/plain;q=0.5"), EXPOSE_TEXT);
    assert_int_equal(accept_format("text/plain;q=0.5,application/openmetrics-text;q=0.501"),
                     EXPOSE_OPENMETRICS);
    assert_int_equal(accept_format("text/plain,application/openmetrics-text"), EXPOSE_TEXT);
    assert_int_equal(accept_format("application/openmetrics-text,text/plain"), EXPOSE_OPENMETRICS);
    assert_int_equal(accept_format("application/openmetrics-text;q=0,text/html"), EXPOSE_TEXT);
    assert_int_equal(accept_format("application/openmetrics-text ; version=\"1.0.0\" ; q=1.0 , */*"),
                     EXPOSE_OPENMETRICS);
}

static void what_is_not_ours_gets_the_text_format(void **state)
{
    static const char *const headers[] = {"",
                                          "*/*",
                                          "text/html",
                                          ",,;;==,",
                                          "application/openmetrics-text;version=0.0.1",
                                          ";q=1",
                                          "q",
                                          "application/openmetrics-text;q=2",
                                          "application/openmetrics-text;q=0.0000",
                                          "text/*;q=0.1"};

    (void)state;
    assert_int_equal(accept_format(NULL), EXPOSE_TEXT);
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        assert_int_equal(accept_format(headers[i]), EXPOSE_TEXT);
}

static void gzip_is_taken_when_wanted(void **state)
{
    static const char *const yes[] = {
        "gzip", "gzip, deflate", "deflate, GZIP;q=0.5", "x-gzip", "*", "gzip;q=1.0, identity;q=0.5"};
    static const char *const no[] = {
        "", "deflate", "gzip;q=0", "identity", "*;q=0", "gzip;q=0.3, identity", "gzip;q=0, *", "gzipped"};

    (void)state;
    assert_false(accept_gzip(NULL));
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        assert_true(accept_gzip(yes[i]));
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        assert_false(accept_gzip(no[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_prometheus_sends_is_understood),
        cmocka_unit_test(protobuf_is_given_to_who_names_it_whole),
        cmocka_unit_test(the_greatest_q_wins_and_the_first_of_equals),
        cmocka_unit_test(what_is_not_ours_gets_the_text_format),
        cmocka_unit_test(gzip_is_taken_when_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
