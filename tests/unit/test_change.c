/* test_change.c - the list of keys and values of one transaction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "change.h"

#include <stdio.h>
#include <string.h>

static void pairs_come_out_as_they_went_in(void **state)
{
    struct change_list list;
    char key[16], value[300];

    (void)state;
    change_list_init(&list);
    for (int i = 0; i < 2000; i++) { /* past every growth of both arrays */
        int key_len = snprintf(key, sizeof(key), "s%d", i);

        memset(value, 'a' + i % 26, sizeof(value));
        assert_true(change_list_put(&list, key, (size_t)key_len, value, (size_t)(i % 300)));
    }
    assert_int_equal(list.count, 2000);
    for (int i = 0; i < 2000; i++) {
        const struct change *item = &list.items[i];
        int key_len = snprintf(key, sizeof(key), "s%d", i);

        memset(value, 'a' + i % 26, sizeof(value));
        assert_int_equal(item->key_len, key_len);
        assert_memory_equal(list.bytes + item->key_offset, key, item->key_len);
        assert_int_equal(item->value_len, i % 300);
        assert_memory_equal(list.bytes + item->value_offset, value, item->value_len);
    }
    change_list_fini(&list);
}

static void an_empty_value_means_delete(void **state)
{
    struct change_list list;

    (void)state;
    change_list_init(&list);
    assert_true(change_list_put(&list, "f1", 2, NULL, 0));
    assert_int_equal(list.items[0].value_len, 0);
    change_list_fini(&list);
}

static void clearing_forgets_the_pairs_and_keeps_the_memory(void **state)
{
    struct change_list list;
    unsigned char *bytes;

    (void)state;
    change_list_init(&list);
    assert_true(change_list_put(&list, "s1", 2, "value", 5));
    bytes = list.bytes;
    change_list_clear(&list);
    assert_int_equal(list.count, 0);
    assert_int_equal(list.used, 0);
    assert_true(change_list_put(&list, "s2", 2, "other", 5));
    assert_ptr_equal(list.bytes, bytes);
    assert_memory_equal(list.bytes + list.items[0].key_offset, "s2", 2);
    change_list_fini(&list);
}

static void a_key_of_the_limit_fits(void **state)
{
    struct change_list list;
    char key[511];

    (void)state;
    memset(key, 's', sizeof(key));
    change_list_init(&list);
    assert_true(change_list_put(&list, key, sizeof(key), "v", 1));
    change_list_fini(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_come_out_as_they_went_in),
        cmocka_unit_test(an_empty_value_means_delete),
        cmocka_unit_test(clearing_forgets_the_pairs_and_keeps_the_memory),
        cmocka_unit_test(a_key_of_the_limit_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
