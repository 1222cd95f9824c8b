/* test_lines.c - where a line ends, however its bytes arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct lines lines;

static int begin(void **state)
{
    (void)state;
    lines_init(&lines, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    lines_fini(&lines);
    return 0;
}

static void expect_line(const char *wanted, size_t len, uint64_t wanted_end)
{
    struct text line;
    uint64_t at;

    assert_int_equal(lines_next(&lines, &line, &at), LINES_LINE);
    assert_int_equal(line.len_bytes, len);
    assert_memory_equal(line.bytes, wanted, len);
    assert_int_equal(at, wanted_end);
}

static void expect_none(void)
{
    struct text line;
    uint64_t at;

    assert_int_equal(lines_next(&lines, &line, &at), LINES_NONE);
}

static void feed(const char *text)
{
    lines_feed(&lines, text, strlen(text));
}

static void only_a_newline_ends_a_line(void **state)
{
    /* CR, vertical tab, form feed, FS, NEL, U+2028 and U+2029, NUL */
    static const char odd[] = "a\rb\vc\fd\x1c"
                              "e\xc2\x85"
                              "f\xe2\x80\xa8g\xe2\x80\xa9h\0i\n";

    (void)state;
    lines_feed(&lines, odd, sizeof(odd) - 1);
    expect_line(odd, sizeof(odd) - 2, sizeof(odd) - 1);
    expect_none();
}

static void empty_lines_are_lines(void **state)
{
    (void)state;
    feed("\n\na\n");
    expect_line("", 0, 1);
    expect_line("", 0, 2);
    expect_line("a", 1, 4);
    expect_none();
}

static void a_partial_line_waits_for_its_newline(void **state)
{
    (void)state;
    feed("one\ntw");
    expect_line("one", 3, 4);
    expect_none();
    assert_int_equal(lines_pending_bytes(&lines), 2);
    feed("o");
    expect_none();
    assert_int_equal(lines_pending_bytes(&lines), 3);
    feed("\nthree\n");
    expect_line("two", 3, 8);
    expect_line("three", 5, 14);
    expect_none();
    assert_int_equal(lines_pending_bytes(&lines), 0);
}

static void the_last_line_needs_no_newline_at_the_end_of_a_file(void **state)
{
    struct text line;
    uint64_t at;

    (void)state;
    feed("one\ntwo");
    expect_line("one", 3, 4);
    expect_none();
    assert_int_equal(lines_last(&lines, &line, &at), LINES_LINE);
    assert_int_equal(line.len_bytes, 3);
    assert_memory_equal(line.bytes, "two", 3);
    assert_int_equal(at, 7);
    assert_int_equal(lines_last(&lines, &line, &at), LINES_NONE);
}

static void a_file_that_ends_with_a_newline_has_no_last_line(void **state)
{
    struct text line;
    uint64_t at;

    (void)state;
    assert_int_equal(lines_last(&lines, &line, &at), LINES_NONE);
    feed("one\n");
    expect_line("one", 3, 4);
    expect_none();
    assert_int_equal(lines_last(&lines, &line, &at), LINES_NONE);
}

static void a_byte_order_mark_is_skipped_at_the_start_of_a_file_only(void **state)
{
    (void)state;
    feed("\xef\xbb\xbf{}\n\xef\xbb\xbf{}\n");
    expect_line("{}", 2, 6);
    expect_line("\xef\xbb\xbf{}", 5, 12);
    lines_restart(&lines, 100);
    feed("\xef\xbb\xbf{}\n");
    expect_line("\xef\xbb\xbf{}", 5, 106);
}

static void a_byte_order_mark_may_arrive_in_pieces(void **state)
{
    (void)state;
    feed("\xef");
    expect_none();
    feed("\xbb");
    expect_none();
    feed("\xbf{}\n");
    expect_line("{}", 2, 6);
}

static void a_file_of_nothing_but_a_mark_has_one_blank_line(void **state)
{
    struct text line;
    uint64_t at;

    (void)state;
    feed("\xef\xbb\xbf");
    expect_none();
    assert_int_equal(lines_last(&lines, &line, &at), LINES_LINE);
    assert_int_equal(line.len_bytes, 0);
}

/* A line of len bytes in runs of step bytes, then its newline and a short line. */
static void feed_long(size_t len, size_t step, enum lines_kind wanted)
{
    char *run = malloc(step);
    struct text line;
    uint64_t at;

    assert_non_null(run);
    memset(run, 'x', step);
    for (size_t fed = 0; fed < len; fed += step) {
        lines_feed(&lines, run, len - fed < step ? len - fed : step);
        assert_int_equal(lines_next(&lines, &line, &at), LINES_NONE);
        assert_true(lines.tail.used <= LINES_MAX_BYTES);
    }
    feed("\nnext\n");
    assert_int_equal(lines_next(&lines, &line, &at), wanted);
    assert_int_equal(at, len + 1);
    assert_int_equal(line.len_bytes, wanted == LINES_LINE ? len : 0);
    expect_line("next", 4, len + 6);
    expect_none();
    free(run);
}

static void a_line_of_the_limit_is_kept(void **state)
{
    (void)state;
    feed_long(LINES_MAX_BYTES, 4096, LINES_LINE);
}

static void a_line_over_the_limit_is_reported_once_and_the_next_is_read(void **state)
{
    (void)state;
    feed_long(LINES_MAX_BYTES + 1, 4096, LINES_LONG);
    lines_restart(&lines, 0);
    feed_long(LINES_MAX_BYTES + 1, LINES_MAX_BYTES + 1, LINES_LONG);
    lines_restart(&lines, 0);
    feed_long(5 * (size_t)LINES_MAX_BYTES + 7, 100000, LINES_LONG);
}

static void a_line_over_the_limit_within_one_run_is_reported_too(void **state)
{
    size_t len = LINES_MAX_BYTES + 7;
    char *run = malloc(len);
    struct text line;
    uint64_t at;

    (void)state;
    assert_non_null(run);
    memset(run, 'x', len);
    run[LINES_MAX_BYTES + 1] = '\n';
    memcpy(run + len - 5, "next\n", 5);
    lines_feed(&lines, run, len);
    assert_int_equal(lines_next(&lines, &line, &at), LINES_LONG);
    assert_int_equal(at, LINES_MAX_BYTES + 2);
    expect_line("next", 4, len);
    free(run);
}

static void an_unterminated_last_line_over_the_limit_is_reported(void **state)
{
    size_t len = LINES_MAX_BYTES + 1;
    char *run = malloc(len);
    struct text line;
    uint64_t at;

    (void)state;
    assert_non_null(run);
    memset(run, 'x', len);
    lines_feed(&lines, run, len);
    expect_none();
    assert_int_equal(lines_last(&lines, &line, &at), LINES_LONG);
    assert_int_equal(at, len);
    free(run);
}

static void restarting_forgets_the_partial_line(void **state)
{
    (void)state;
    feed("half");
    expect_none();
    lines_restart(&lines, 40);
    feed("whole\n");
    expect_line("whole", 5, 46);
}

static void lines_do_not_depend_on_how_their_bytes_arrive(void **state)
{
    const char *seed = getenv("AILIVE_SEED");
    unsigned random = seed ? (unsigned)strtoul(seed, NULL, 0) : (unsigned)time(NULL);
    char text[512];
    size_t ends[64];

    (void)state;
    printf("AILIVE_SEED=%u\n", random);
    srand(random);
    for (int round = 0; round < 300; round++) {
        size_t len = 0, line_count = 0, line = 0, start = 0;

        while (len < sizeof(text) && line_count < 64) {
            bool newline = rand() % 20 == 0;

            text[len++] = (char)(newline ? '\n' : 'a' + rand() % 26);
            if (newline)
                ends[line_count++] = len;
        }
        lines_restart(&lines, 0);
        for (size_t fed = 0; fed < len;) {
            size_t step = 1 + (size_t)rand() % 40;
            struct text found;
            uint64_t at;

            step = step < len - fed ? step : len - fed;
            lines_feed(&lines, text + fed, step);
            while (lines_next(&lines, &found, &at) == LINES_LINE) {
                assert_true(line < line_count);
                assert_int_equal(at, ends[line]);
                assert_int_equal(found.len_bytes, ends[line] - start - 1);
                assert_memory_equal(found.bytes, text + start, found.len_bytes);
                start = ends[line++];
            }
            fed += step;
        }
        assert_int_equal(line, line_count);
        assert_int_equal(lines_pending_bytes(&lines), len - start);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_a_newline_ends_a_line),
        TEST(empty_lines_are_lines),
        TEST(a_partial_line_waits_for_its_newline),
        TEST(the_last_line_needs_no_newline_at_the_end_of_a_file),
        TEST(a_file_that_ends_with_a_newline_has_no_last_line),
        TEST(a_byte_order_mark_is_skipped_at_the_start_of_a_file_only),
        TEST(a_byte_order_mark_may_arrive_in_pieces),
        TEST(a_file_of_nothing_but_a_mark_has_one_blank_line),
        TEST(a_line_of_the_limit_is_kept),
        TEST(a_line_over_the_limit_is_reported_once_and_the_next_is_read),
        TEST(a_line_over_the_limit_within_one_run_is_reported_too),
        TEST(an_unterminated_last_line_over_the_limit_is_reported),
        TEST(restarting_forgets_the_partial_line),
        TEST(lines_do_not_depend_on_how_their_bytes_arrive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
