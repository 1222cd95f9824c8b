/* test_buffer.c - a growing run of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "buffer.h"

#include <stdint.h>
#include <string.h>

static void what_is_added_stands_in_order_however_it_grows(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer);
    for (unsigned i = 0; i < 5000; i++) {
        assert_true(buffer_add(&buffer, "ab", 2));
        assert_true(buffer_add_text(&buffer, "c"));
        assert_true(buffer_printf(&buffer, "%04u", i));
    }
    assert_int_equal(buffer.used, 5000 * 7);
    assert_memory_equal(buffer.bytes, "abc0000abc0001", 14);
    assert_memory_equal(buffer.bytes + 4999 * 7, "abc4999", 7);
    buffer_fini(&buffer);
    assert_null(buffer.bytes);
}

static void adding_nothing_changes_nothing(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer);
    assert_true(buffer_add(&buffer, NULL, 0));
    assert_true(buffer_add_text(&buffer, ""));
    assert_true(buffer_printf(&buffer, "%s", ""));
    assert_int_equal(buffer.used, 0);
    buffer_fini(&buffer);
}

static void a_length_beyond_memory_is_refused_and_the_buffer_unchanged(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer);
    assert_true(buffer_add_text(&buffer, "kept"));
    assert_false(buffer_add(&buffer, "x", SIZE_MAX));
    assert_int_equal(buffer.used, 4);
    assert_memory_equal(buffer.bytes, "kept", 4);
    buffer_fini(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_stands_in_order_however_it_grows),
        cmocka_unit_test(adding_nothing_changes_nothing),
        cmocka_unit_test(a_length_beyond_memory_is_refused_and_the_buffer_unchanged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
