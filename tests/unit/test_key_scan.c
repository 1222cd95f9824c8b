/* test_key_scan.c - key material in evidence: what is found, and that it is never repeated. */
#include <key_scan.h>

#include <digest.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/ailive-key-scan-XXXXXX";

static void write_file(const void *bytes, size_t len_bytes)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(len_bytes, fwrite(bytes, 1, len_bytes, file));
    assert_int_equal(0, fclose(file));
}

/* The hits in a file of these bytes. */
static const char *hits_in(const void *bytes, size_t len_bytes)
{
    static char text[4096];
    struct key_scan *scan = key_scan_new();
    struct buffer hits;

    buffer_init(&hits);
    assert_non_null(scan);
    write_file(bytes, len_bytes);
    assert_int_equal(0, key_scan_file(scan, path, &hits));
    snprintf(text, sizeof(text), "%.*s", (int)hits.used, hits.used > 0 ? hits.bytes : "");
    buffer_fini(&hits);
    key_scan_free(scan);
    return text;
}

static const char *hits_of(const char *text)
{
    return hits_in(text, strlen(text));
}

static void each_kind_is_found_and_only_its_first_four_bytes_are_shown(void **state)
{
    /* The secrets are put together here, so that no scanner takes this file for one. */
    static const struct {
        const char *before, *secret, *kind;
    } cases[] = {
        {"-----BEGIN RSA PRIVATE", " KEY-----", "private key: ----****"},
        {"-----BEGIN PRIVATE", " KEY-----", "private key: ----****"},
        {"key=AKIA", "IOSFODNN7EXAMPLE", "cloud token (AWS): AKIA****"},
        {"AIza", "0123456789012345678901234567890abcd", "cloud token (Google): AIza****"},
        {"AccountKey=", "0123456789012345678901234567890123456789==", "cloud token (Azure): Acco****"},
        {"ghp_", "012345678901234567890123456789012345", "GitHub token: ghp_****"},
        {"github_pat_", "0123456789012345678901", "GitHub token: gith****"},
        {"Authorization: Bearer ", "abcdef0123456789", "bearer header: Bear****"},
        {"\"passWord\": ", "\"hunter2\"", "word: pass****"},
    };
    char text[256], expected[256];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *hits;

        snprintf(text, sizeof(text), "fine\n%s%s", cases[i].before, cases[i].secret);
        snprintf(expected, sizeof(expected), "%s:2: %s\n", path, cases[i].kind);
        hits = hits_of(text);
        assert_string_equal(expected, hits);
        assert_null(strstr(hits, cases[i].secret));
    }
}

static void ordinary_evidence_has_no_hits(void **state)
{
    (void)state;
    assert_string_equal("",
                        hits_of("peaktrade_ai_decisions_total{run_id=\"akia\",reason=\"none\"} 3\nbearer\n"));
    assert_string_equal("", hits_of("-----BEGIN CERTIFICATE-----\n-----BEGIN PUBLIC KEY-----\n"));
    assert_string_equal("", hits_of(""));
}

static void words_count_only_in_the_first_4_kib(void **state)
{
    char text[KEY_SCAN_WORDS_BYTES + 64];

    (void)state;
    memset(text, '\n', sizeof(text));
    memcpy(text + KEY_SCAN_WORDS_BYTES, "secret", 6);
    assert_string_equal("", hits_in(text, sizeof(text)));
    memcpy(text + KEY_SCAN_WORDS_BYTES - 1, "secret", 6);
    assert_non_null(strstr(hits_in(text, sizeof(text)), ":4096: word: secr****\n"));
}

static void a_secret_anywhere_in_a_long_line_with_nuls_is_found(void **state)
{
    static const char token[] = "AKIAIOSFODNN7EXAMPLE";
    const size_t len = 300000;
    char *text = malloc(len);

    (void)state;
    assert_non_null(text);
    for (size_t at = 65400; at < 65700; at += 7) { /* over the edge of a piece */
        memset(text, 0, len);
        memcpy(text + at, token, sizeof(token) - 1);
        assert_non_null(strstr(hits_in(text, len), "cloud token (AWS)"));
    }
    free(text);
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
    struct key_scan *scan = key_scan_new();
    char digest[DIGEST_TEXT_BYTES];
    struct buffer hits;

    (void)state;
    buffer_init(&hits);
    assert_int_not_equal(0, key_scan_file(scan, "/nowhere/at/all", &hits));
    assert_int_not_equal(0, digest_file("/nowhere/at/all", digest));
    key_scan_free(scan);
}

static void the_digest_is_sha_256(void **state)
{
    char digest[DIGEST_TEXT_BYTES];

    (void)state;
    write_file("abc", 3); /* FIPS 180-4's example */
    assert_int_equal(0, digest_file(path, digest));
    assert_string_equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", digest);
}

static int make_path(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 || close(fd) != 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_found_and_only_its_first_four_bytes_are_shown),
        cmocka_unit_test(ordinary_evidence_has_no_hits),
        cmocka_unit_test(words_count_only_in_the_first_4_kib),
        cmocka_unit_test(a_secret_anywhere_in_a_long_line_with_nuls_is_found),
        cmocka_unit_test(a_file_that_cannot_be_read_is_an_error),
        cmocka_unit_test(the_digest_is_sha_256),
    };

    return cmocka_run_group_tests(tests, make_path, remove_path);
}
