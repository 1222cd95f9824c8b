/* test_top_view.c - a status as lines: nothing in them speaks to the terminal, none is too wide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json_tree.h"
#include "top_view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct json_tree *tree;
static struct top_view *view;

static int begin(void **context)
{
    (void)context;
    tree = json_tree_new();
    view = calloc(1, sizeof(*view));
    assert_non_null(tree);
    assert_non_null(view);
    view->width = 80;
    return 0;
}

static int end(void **context)
{
    (void)context;
    json_tree_free(tree);
    free(view);
    return 0;
}

static void written(const char *json)
{
    char error[128];

    if (!json_tree_read(tree, json, strlen(json), error, sizeof(error)))
        fail_msg("%s", error);
    top_view_write(view, tree);
}

static const char *line_with(const char *part)
{
    for (size_t i = 0; i < view->count; i++)
        if (strstr(view->lines[i].text, part) != NULL)
            return view->lines[i].text;
    return NULL;
}

static void a_path_that_leads_nowhere_is_empty(void **context)
{
    char text[8], error[128];
    double numbers[4];

    (void)context;
    written("{\"a\":{\"b\":[1,\"x\",{\"c\":2.5}]},\"t\":\"12345\\u00e9789\"}");
    assert_true(json_tree_number(tree, "/a/b/2/c") == 2.5);
    assert_true(isnan(json_tree_number(tree, "/a/b/1")));
    assert_true(isnan(json_tree_number(tree, "/a/b/7")));
    assert_true(isnan(json_tree_number(tree, "/z/y")));
    assert_int_equal(json_tree_count(tree, "/a/b"), 3);
    assert_int_equal(json_tree_count(tree, "/a"), 0);
    assert_int_equal(json_tree_numbers(tree, "/a/b", numbers, 2), 2);
    assert_true(isnan(numbers[1]));
    json_tree_text(tree, "/t", text, 7); /* the character that would be split goes */
    assert_string_equal(text, "12345");
    json_tree_text(tree, "/a", text, sizeof(text));
    assert_string_equal(text, "");
    assert_false(json_tree_read(tree, "{", 1, error, sizeof(error)));
    assert_false(json_tree_read(tree, NULL, 0, error, sizeof(error)));
}

static void an_empty_object_is_a_screen_too(void **context)
{
    (void)context;
    written("{}");
    assert_true(view->count > 5);
    assert_non_null(line_with("none connected"));
}

static void no_name_speaks_to_the_terminal(void **context)
{
    (void)context;
    written("{\"component\":\"a\\u001b]0;x\\u0007\\u009b2J\\u007f\",\"health\":{\"text\":\"\\u001b["
            "31m\\r\\n\"}}");
    for (size_t i = 0; i < view->count; i++)
        for (const char *c = view->lines[i].text; *c != '\0'; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7f || (unsigned char)*c == 0x9b)
                fail_msg("line %zu: %s", i, view->lines[i].text);
    assert_non_null(line_with("a<U+001B>]0;x<U+0007><U+009B>2J<U+007F>"));
}

static void what_turns_or_hides_text_is_shown_as_its_number(void **context)
{
    (void)context;
    written("{\"component\":\"a\\u202eb\\u2066c\\u200bd\\ufeffe\\u00adf\\udb40\\udc41g\\u2028h\"}");
    assert_non_null(line_with("a<U+202E>b<U+2066>c<U+200B>d<U+FEFF>e<U+00AD>f<U+E0041>g<U+2028>h"));
    view->ascii = true;
    written("{\"component\":\"a\\u202eb\\u00e9\"}");
    assert_non_null(line_with("a<U+202E>b?"));
    view->ascii = false;
}

static void ascii_means_ascii(void **context)
{
    (void)context;
    view->ascii = true;
    written("{\"component\":\"\\u00e9\\u4e2d\",\"history\":{\"accept\":[1,2,3,4],\"reject\":[0,0,0,9]}}");
    for (size_t i = 0; i < view->count; i++)
        for (const char *c = view->lines[i].text; *c != '\0'; c++)
            assert_true((unsigned char)*c < 0x80);
    assert_non_null(line_with("#"));
}

static void no_line_is_wider_than_the_screen(void **context)
{
    static const unsigned widths[] = {1, 48, 79, 200, 5000};
    static char json[4096];

    (void)context;
    strcpy(json, "{\"rejects\":{\"more\":3,\"rows\":[{\"component\":\"");
    memset(json + strlen(json), 'c', 1000);
    strcat(json, "\",\"reason\":\"r\",\"recent\":123456789012345,\"count\":123456789012345}]},"
                 "\"files\":{\"rows\":[{\"path\":\"/\u00e9\u00e9\",\"lag_bytes\":5}]}}");
    for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++) {
        view->width = widths[w];
        written(json);
        assert_in_range(view->width, TOP_VIEW_WIDTH_MIN, TOP_VIEW_WIDTH_MAX);
        for (size_t i = 0; i < view->count; i++) {
            size_t columns = 0;

            for (const char *c = view->lines[i].text; *c != '\0'; c++)
                columns += ((unsigned char)*c & 0xc0) != 0x80;
            assert_true(columns <= view->width);
        }
    }
    assert_non_null(line_with("3 more"));
}

static void long_advice_goes_on_in_the_next_line(void **context)
{
    (void)context;
    view->width = 48;
    written("{\"health\":{\"text\":\"one\",\"problems\":[{\"advice\":"
            "\"aaaaaaaaaa bbbbbbbbbb cccccccccc dddddddddd eeeeeeeeee "
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\"}]}}");
    assert_string_equal(line_with("aaa"), "  aaaaaaaaaa bbbbbbbbbb cccccccccc dddddddddd");
    assert_string_equal(line_with("eee"), "    eeeeeeeeee");
    assert_string_equal(line_with("fff"), "    ffffffffffffffffffffffffffffffffffffffffffff");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_path_that_leads_nowhere_is_empty),
        TEST(an_empty_object_is_a_screen_too),
        TEST(no_name_speaks_to_the_terminal),
        TEST(what_turns_or_hides_text_is_shown_as_its_number),
        TEST(ascii_means_ascii),
        TEST(no_line_is_wider_than_the_screen),
        TEST(long_advice_goes_on_in_the_next_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
