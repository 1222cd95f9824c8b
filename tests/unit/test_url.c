/* test_url.c - which URLs are roads, and that plaintext stays on loopback unless asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <wire/url.h>

#include <stdio.h>
#include <string.h>

static struct url url;

static void a_road_is_told_by_its_scheme(void **state)
{
    (void)state;
    assert_null(url_read("ipc:///run/a.sock", false, &url));
    assert_int_equal(url.road, URL_IPC);
    assert_string_equal(url.path, "/run/a.sock");
    assert_null(url_read("tcp://127.0.0.1:9120", false, &url));
    assert_int_equal(url.road, URL_TCP);
    assert_string_equal(url.path, "");
    assert_null(url_read("tls+tcp://example.org:9120", false, &url));
    assert_int_equal(url.road, URL_TLS);
    assert_false(url.loopback);
    assert_null(url_read("ws://localhost:80/ailive", false, &url));
    assert_int_equal(url.road, URL_WS);
    assert_non_null(strstr(url_read("http://127.0.0.1:1", false, &url), "tls+tcp://"));
    assert_non_null(url_read("", false, &url));
    assert_non_null(url_read("ipc://", false, &url));
}

static void plaintext_stays_on_loopback_unless_asked_for(void **state)
{
    static const char *const near[] = {"tcp://127.0.0.1:1", "tcp://127.9.8.7:1", "tcp://localhost:1",
                                       "tcp://[::1]:1",     "ws://[::1]:1/",     "ws://127.0.0.1:1"};
    static const char *const far[] = {
        "tcp://10.0.0.1:1",       "tcp://0.0.0.0:1",          "tcp://[::]:1",       "ws://example.org:1/",
        "tcp://localhost.evil:1", "tcp://127.evil.example:1", "tcp://1270.0.0.1:1", "tcp://[::1:1]:1"};

    (void)state;
    for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
        assert_null(url_read(near[i], false, &url));
        assert_true(url.loopback);
    }
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
        const char *wrong = url_read(far[i], false, &url);
        assert_non_null(wrong);
        assert_non_null(strstr(wrong, "--allow-remote-plaintext"));
        assert_null(url_read(far[i], true, &url));
        assert_false(url.loopback);
    }
}

static void a_host_and_a_port_are_needed(void **state)
{
    static const char *const wrong[] = {"tcp://",         "tcp://:1",    "tcp://*:1",     "tcp://h",
                                        "tcp://h:",       "tcp://h:0",   "tcp://h:65536", "tcp://h:1x",
                                        "tcp://h:1/path", "tcp://[::1]", "tcp://[::1:1",  "tcp://[]:1",
                                        "tcp://u@h:1",    "tls+tcp://h", "ws:///path",    "ws://h/path",
                                        "tcp://h:000001", "tcp://h h:1", "ws://h:1?q"};
    char longest[URL_MAX_BYTES + 8];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (url_read(wrong[i], true, &url) == NULL)
            fail_msg("%s is taken", wrong[i]);
    assert_null(url_read("tcp://h:65535", true, &url));
    snprintf(longest, sizeof(longest), "ws://h:1/%0*d", (int)URL_MAX_BYTES - 10, 0);
    assert_null(url_read(longest, true, &url));
    strcat(longest, "0");
    assert_non_null(strstr(url_read(longest, true, &url), "255"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_road_is_told_by_its_scheme),
        cmocka_unit_test(plaintext_stays_on_loopback_unless_asked_for),
        cmocka_unit_test(a_host_and_a_port_are_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
