/* test_text.c - trimming, comparing and normalising as the contract says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "text.h"

#include <string.h>

static void assert_text(struct text got, const char *wanted)
{
    if (got.len_bytes != strlen(wanted) || memcmp(got.bytes, wanted, got.len_bytes) != 0)
        fail_msg("got '%.*s', wanted '%s'", (int)got.len_bytes, got.bytes, wanted);
}

static void assert_normal(const char *text, size_t max_bytes, const char *wanted)
{
    char out[512], again[512];
    struct text made = {out, text_normalise(text_of(text), max_bytes, out)};

    assert_text(made, wanted);
    assert_text((struct text){again, text_normalise(made, max_bytes, again)}, wanted);
}

static void assert_run_id(const char *text, const char *wanted)
{
    char out[32], again[32];
    struct text made = {out, text_run_id(text_of(text), 32, out)};

    assert_text(made, wanted);
    assert_text((struct text){again, text_run_id(made, 32, again)}, wanted);
}

static void assert_clean(const char *text, size_t len, size_t max_bytes, const char *wanted)
{
    char out[512];

    assert_text((struct text){out, text_clean((struct text){text, len}, max_bytes, out)}, wanted);
}

static void trimming_takes_white_space_off_both_ends_only(void **state)
{
    (void)state;
    assert_text(text_trim(text_of("  a b \t\r\n")), "a b");
    assert_text(text_trim(text_of("\x0b\x0c\x1c\x1f"
                                  "a\x85")),
                "a\x85"); /* 85 alone is no character */
    assert_text(text_trim(text_of("\xc2\xa0\xe2\x80\xa8\xe3\x80\x80"
                                  "a\xc2\x85\xe2\x81\x9f\xe1\x9a\x80\xe2\x80\x8a")),
                "a");
    assert_text(text_trim(text_of("\xe2\x80\x8b"
                                  "a")),
                "\xe2\x80\x8b"
                "a"); /* zero width space is none */
    assert_text(text_trim(text_of("   ")), "");
    assert_text(text_trim(text_of("")), "");
    assert_int_equal(text_trim((struct text){NULL, 0}).len_bytes, 0);
}

static void comparing_folds_ascii_case_only(void **state)
{
    (void)state;
    assert_true(text_is_folded(text_of("ACCept"), "accept"));
    assert_false(text_is_folded(text_of("accepted"), "accept"));
    assert_false(text_is_folded(text_of("accep"), "accept"));
    assert_false(text_is_folded(text_of("\xe2\x84\xaa"), "k")); /* the Kelvin sign */
    assert_false(text_is(text_of("Accept"), "accept"));
    assert_true(text_contains_folded(text_of("ORDER_REJECTED"), "reject"));
    assert_false(text_contains_folded(text_of("rejec"), "reject"));
    assert_true(text_starts_folded(text_of("RISK_x"), "risk_"));
    assert_false(text_starts_folded(text_of("xRISK_"), "risk_"));
}

static void normalising_follows_the_contract(void **state)
{
    (void)state;
    assert_normal("Risk Gate", 48, "risk_gate");
    assert_normal("  a.b-c_d ", 48, "ab-c_d");
    assert_normal("r/../etc", 48, "retc");
    assert_normal("A\tB", 48, "ab");
    assert_normal("a  b", 48, "a__b");
    assert_normal("123", 48, "123");
    assert_normal("abcdef", 3, "abc");
    assert_normal("!a!b!c!", 3, "abc");
}

static void normalising_the_empty_gives_na(void **state)
{
    (void)state;
    assert_normal("", 48, "na");
    assert_normal("   ", 48, "na");
    assert_normal("!?./", 48, "na");
    assert_normal("\t\n", 2, "na");
}

static void normalising_keeps_other_utf8_and_never_splits_a_character(void **state)
{
    (void)state;
    assert_normal("\xc3\x9cn\xc3\xaf", 48, "\xc3\x9cn\xc3\xaf"); /* no lower-casing beyond ASCII */
    assert_normal("a\xe2\x82\xac"
                  "b",
                  4, "a\xe2\x82\xac");
    assert_normal("a\xe2\x82\xac"
                  "b",
                  3, "a");
    assert_normal("ab\xf0\x9f\x98\x80", 5, "ab");
    assert_normal("a\xff", 48, "a\xef\xbf\xbd");
}

static void normalising_twice_changes_nothing_even_where_white_space_is_laid_bare(void **state)
{
    (void)state;
    assert_normal("!\xc2\xa0"
                  "a",
                  48, "a");
    assert_normal("ab\xc2\xa0"
                  "cd",
                  4, "ab");
    assert_normal("a\xc2\xa0"
                  "b",
                  48,
                  "a\xc2\xa0"
                  "b");
}

static void a_run_id_gets_one_underscore_for_a_run_of_other_characters(void **state)
{
    (void)state;
    assert_run_id("demo", "demo");
    assert_run_id(" Run 7 ", "Run_7");
    assert_run_id("r/../etc", "r_.._etc");
    assert_run_id("a / b", "a_b");
    assert_run_id("\xc3\xbcn\xc3\xaf"
                  "code",
                  "_n_code");
    assert_run_id("a__b", "a__b");
    assert_run_id("a.B-c_9", "a.B-c_9");
}

static void a_run_id_is_cut_to_32_after_that(void **state)
{
    (void)state;
    assert_run_id("RRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRR", "RRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRR");
    assert_run_id("////////////////////////////////////////x", "_x");
}

static void cleaning_keeps_what_is_utf8_and_cuts_between_characters(void **state)
{
    (void)state;
    assert_clean(" Risk \"Gate\"\n ", 14, 200, "Risk \"Gate\"");
    assert_clean("ab\xc3\xa9", 4, 3, "ab");
    assert_clean("a\xff\xc3", 3, 200, "a\xef\xbf\xbd\xef\xbf\xbd");
    assert_clean("a\0b", 3, 200,
                 "a\xef\xbf\xbd"
                 "b");
}

static void only_valid_utf8_counts_as_a_character(void **state)
{
    (void)state;
    assert_int_equal(text_character_bytes("a", 1), 1);
    assert_int_equal(text_character_bytes("\xc3\xa9", 2), 2);
    assert_int_equal(text_character_bytes("\xe2\x82\xac", 3), 3);
    assert_int_equal(text_character_bytes("\xf4\x8f\xbf\xbf", 4), 4);
    assert_int_equal(text_character_bytes("", 0), 0);
    assert_int_equal(text_character_bytes("\xc3", 1), 0);
    assert_int_equal(text_character_bytes("\xc1\x81", 2), 0);
    assert_int_equal(text_character_bytes("\xe0\x9f\xbf", 3), 0);
    assert_int_equal(text_character_bytes("\xed\xa0\x80", 3), 0);
    assert_int_equal(text_character_bytes("\xf0\x8f\xbf\xbf", 4), 0);
    assert_int_equal(text_character_bytes("\xf4\x90\x80\x80", 4), 0);
    assert_int_equal(text_character_bytes("\xf5\x80\x80\x80", 4), 0);
    assert_int_equal(text_character_bytes("\x80", 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trimming_takes_white_space_off_both_ends_only),
        cmocka_unit_test(comparing_folds_ascii_case_only),
        cmocka_unit_test(normalising_follows_the_contract),
        cmocka_unit_test(normalising_the_empty_gives_na),
        cmocka_unit_test(normalising_keeps_other_utf8_and_never_splits_a_character),
        cmocka_unit_test(normalising_twice_changes_nothing_even_where_white_space_is_laid_bare),
        cmocka_unit_test(a_run_id_gets_one_underscore_for_a_run_of_other_characters),
        cmocka_unit_test(a_run_id_is_cut_to_32_after_that),
        cmocka_unit_test(cleaning_keeps_what_is_utf8_and_cuts_between_characters),
        cmocka_unit_test(only_valid_utf8_counts_as_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
