/* test_web_config.c - the file of TLS and users: what is understood, and where each fault is said to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "web_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SALTED "abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"
#define HASH   "$2b$10$" SALTED

static char folder[] = "/tmp/ailive-web-config.XXXXXX";
static char path[128], error[512];
static struct web_config *config;
static struct web_files files;

static void put_file(const char *name, const char *text)
{
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int read_text(const char *text)
{
    web_config_free(config);
    config = NULL;
    put_file("web.yml", text);
    return web_config_read(path, &files, &config, error, sizeof(error));
}

static int begin(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    put_file("c.pem", "certificate");
    put_file("k.pem", "key");
    put_file("ca.pem", "authority");
    return 0;
}

static int end(void **state)
{
    static const char *const names[] = {"c.pem", "k.pem", "ca.pem", "web.yml"};

    (void)state;
    web_config_free(config);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static void tls_and_users_are_read(void **state)
{
    (void)state;
    assert_int_equal(read_text("# comment\ntls_server_config:\n  cert_file: c.pem\n  key_file: k.pem\n"
                               "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n"
                               "  min_version: TLS13\nhttp_server_config:\n  http2: true\n"
                               "basic_auth_users:\n  alice: " HASH "\n  'bob x': \"" HASH "\"\n"),
                     0);
    assert_string_equal(config->certificate, "certificate");
    assert_string_equal(config->key, "key");
    assert_string_equal(config->client_ca, "authority");
    assert_int_equal(config->client_auth, WEB_CLIENT_REQUIRED);
    assert_true(config->tls13_only);
    assert_int_equal(config->user_count, 2);
    assert_string_equal(config->users[0].name, "alice");
    assert_string_equal(config->users[1].name, "bob x");
    assert_string_equal(config->users[1].hash, HASH);
}

static void an_empty_file_asks_for_nothing(void **state)
{
    (void)state;
    assert_int_equal(read_text(""), 0);
    assert_null(config->certificate);
    assert_int_equal(config->user_count, 0);
    assert_int_equal(read_text("---\n# nothing\n"), 0);
    assert_null(config->certificate);
}

static void each_fault_names_its_line(void **state)
{
    static const struct {
        const char *text, *line, *words;
    } cases[] = {
        {"basic_auth_user:\n  a: b\n", ":1:", "'basic_auth_user' is not understood"},
        {"tls_server_config:\n  cert_file: c.pem\n  key: k.pem\n", ":3:", "'key' is not understood"},
        {"tls_server_config:\n  cert_file: c.pem\n", ":2:", "both cert_file and key_file"},
        {"tls_server_config:\n  cert_file: c.pem\n  key_file: none.pem\n", ":3:", "none.pem"},
        {"tls_server_config:\n  cert_file: c.pem\n  cert_file: c.pem\n", ":3:", "stands twice"},
        {"tls_server_config:\n  cert_file: c.pem\n  key_file: k.pem\n  min_version: TLS10\n",
         ":4:", "give TLS12 or TLS13"},
        {"tls_server_config:\n  cert_file: c.pem\n  key_file: k.pem\n  client_auth_type: Maybe\n",
         ":4:", "give NoClientCert"},
        {"tls_server_config:\n  cert_file: c.pem\n  key_file: k.pem\n  client_ca_file: ca.pem\n",
         ":2:", "need each other"},
        {"tls_server_config:\n  cert_file: c.pem\n  key_file: k.pem\n"
         "  client_auth_type: RequireAndVerifyClientCert\n",
         ":2:", "need each other"},
        {"tls_server_config:\n  cert_file: [c.pem]\n", ":2:", "needs a text"},
        {"basic_auth_users:\n  a: " HASH "\n  b: secret\n", ":3:", "no bcrypt hash"},
        {"basic_auth_users:\n  a: $2y$03$" SALTED "\n", ":2:", "no bcrypt hash"},
        {"basic_auth_users:\n  a: $2y$32$" SALTED "\n", ":2:", "no bcrypt hash"},
        {"basic_auth_users:\n  a: $2y$17$" SALTED "\n", ":2:", "cost of 'a' is 17; above 16"},
        {"http_server_config:\n  http2: true\n---\nbasic_auth_users:\n  a: " HASH "\n",
         ":4:", "a second document"},
        {"basic_auth_users:\n  a:b: " HASH "\n", ":2:", "colon"},
        {"basic_auth_users:\n  - a\n", ":2:", "`key: value`"},
        {"http_server_config:\n  headers: {}\n", ":2:", "'headers' is not understood"},
        {"a: b: c\n", ":1:", "no YAML"},
        {"just text\n", ":1:", "`key: value`"},
        {"? [a]\n: b\n", ":1:", "no text"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(read_text(cases[i].text), -1);
        assert_null(config);
        if (strstr(error, cases[i].line) == NULL || strstr(error, cases[i].words) == NULL)
            fail_msg("case %zu: %s", i, error);
    }
}

/* As a crash of the host can leave a file: its bytes are zero, its users gone. */
static void a_file_with_a_nul_is_not_taken_for_an_empty_one(void **state)
{
    static const char zeroed[] = "\0\0\0\0basic_auth_users:\n  a: b\n";
    FILE *file;

    (void)state;
    assert_int_equal(read_text(""), 0);
    web_config_free(config);
    config = NULL;
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(zeroed, sizeof(zeroed) - 1, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(web_config_read(path, &files, &config, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "cannot read"));
}

static void a_file_that_is_not_there_is_said(void **state)
{
    (void)state;
    assert_int_equal(web_config_read("/nonexistent/web.yml", &files, &config, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "/nonexistent/web.yml"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_and_users_are_read),
        cmocka_unit_test(an_empty_file_asks_for_nothing),
        cmocka_unit_test(each_fault_names_its_line),
        cmocka_unit_test(a_file_with_a_nul_is_not_taken_for_an_empty_one),
        cmocka_unit_test(a_file_that_is_not_there_is_said),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
