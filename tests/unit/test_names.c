/* test_names.c - the claims of ailive_register() and of the names file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/names.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct names names;
static struct layout_names file;

static int setup(void **state)
{
    (void)state;
    memset(&names, 0, sizeof(names));
    memset(&file, 0, sizeof(file));
    return 0;
}

static void the_same_kind_and_text_give_the_same_handle(void **state)
{
    ailive_name a, b, c;

    (void)state;
    assert_int_equal(names_add(&names, AILIVE_NAME_STAGE, "risk_check", &a), AILIVE_OK);
    assert_int_equal(names_add(&names, AILIVE_NAME_STAGE, "risk_check", &b), AILIVE_OK);
    assert_int_equal(names_add(&names, AILIVE_NAME_COMPONENT, "risk_check", &c), AILIVE_OK);
    assert_int_equal(a, b);
    assert_int_not_equal(a, c);
    assert_int_equal(names.count, 2);
    assert_string_equal(names_text(&names, AILIVE_NAME_STAGE, a), "risk_check");
    assert_null(names_text(&names, AILIVE_NAME_RUN_ID, a));
}

static void the_contracts_reasons_have_their_fixed_handles(void **state)
{
    ailive_name id = 99;

    (void)state;
    assert_int_equal(names_add(&names, AILIVE_NAME_REASON, "risk_limit", &id), AILIVE_OK);
    assert_int_equal(id, AILIVE_REASON_RISK_LIMIT);
    assert_int_equal(names.count, 0);
    assert_string_equal(names_text(&names, AILIVE_NAME_REASON, AILIVE_REASON_NONE), "none");
    assert_null(names_text(&names, AILIVE_NAME_STAGE, AILIVE_REASON_OTHER));
    assert_int_equal(names_add(&names, AILIVE_NAME_STAGE, "risk_limit", &id), AILIVE_OK);
    assert_int_equal(id, NAMES_FIRST);
}

static void wrong_names_change_nothing(void **state)
{
    char text[AILIVE_NAME_MAX_BYTES + 2];
    ailive_name id = 77;

    (void)state;
    memset(text, 'x', sizeof(text));
    text[AILIVE_NAME_MAX_BYTES + 1] = '\0';
    assert_int_equal(names_add(&names, AILIVE_NAME_STAGE, text, &id), AILIVE_ETOOLONG);
    assert_int_equal(names_add(&names, AILIVE_NAME_STAGE, "", &id), AILIVE_EINVAL);
    assert_int_equal(names_add(&names, AILIVE_NAME_STAGE, NULL, &id), AILIVE_EINVAL);
    assert_int_equal(names_add(&names, 0, "x", &id), AILIVE_EINVAL);
    assert_int_equal(names_add(&names, 5, "x", &id), AILIVE_EINVAL);
    assert_int_equal(names_add(&names, AILIVE_NAME_STAGE, "x", NULL), AILIVE_EINVAL);
    assert_int_equal(id, 77);
    assert_int_equal(names.count, 0);
    text[AILIVE_NAME_MAX_BYTES] = '\0';
    assert_int_equal(names_add(&names, AILIVE_NAME_STAGE, text, &id), AILIVE_OK);
}

static void the_limit_is_stated_and_held(void **state)
{
    char text[32];
    ailive_name id = 0, last = 0;

    (void)state;
    for (unsigned i = 0; i < NAMES_CAPACITY; i++) {
        snprintf(text, sizeof(text), "name-%u", i);
        assert_int_equal(names_add(&names, AILIVE_NAME_REASON, text, &last), AILIVE_OK);
    }
    assert_int_equal(last, NAMES_IDS - 1);
    assert_int_equal(names_add(&names, AILIVE_NAME_REASON, "one more", &id), AILIVE_ELIMIT);
    assert_int_equal(id, 0);
    assert_int_equal(names_add(&names, AILIVE_NAME_REASON, "name-500", &id), AILIVE_OK);
    assert_string_equal(names_text(&names, AILIVE_NAME_REASON, id), "name-500");
    assert_null(names_get(&names, NAMES_IDS));
    assert_null(names_get(&names, 65535));
}

static void the_file_holds_every_name_in_order_even_the_longest(void **state)
{
    char text[AILIVE_NAME_MAX_BYTES + 1];
    struct layout_name name;
    size_t offset = 0;
    ailive_name id;

    (void)state;
    memset(text, 'y', sizeof(text));
    text[AILIVE_NAME_MAX_BYTES] = '\0';
    for (unsigned i = 0; i < NAMES_CAPACITY; i++) {
        uint32_t before = names.count;
        int len = snprintf(text, 8, "%u", i);
        text[len] = '-';
        assert_int_equal(names_add(&names, 1 + i % 4, text, &id), AILIVE_OK);
        names_publish(&names, before, &file);
    }
    for (unsigned i = 0; i < NAMES_CAPACITY; i++) {
        assert_int_equal(layout_name_read(file.entries, file.used, &offset, &name), 1);
        assert_int_equal(name.id, NAMES_FIRST + i);
        assert_int_equal(name.kind, 1 + i % 4);
        assert_int_equal(name.len_bytes, AILIVE_NAME_MAX_BYTES);
        assert_memory_equal(name.text, names_get(&names, name.id)->text, name.len_bytes);
    }
    assert_int_equal(layout_name_read(file.entries, file.used, &offset, &name), 0);
}

static struct event_row row_of(uint8_t kind, uint8_t decision, uint8_t action, ailive_name reason,
                               ailive_name stage)
{
    struct event_row row = {
        .kind = kind, .decision = decision, .action = action, .reason = reason, .stage = stage};

    row.component = AILIVE_COMPONENT_DEFAULT;
    row.run_id = AILIVE_RUN_ID_DEFAULT;
    return row;
}

static void a_row_resolves_only_with_known_numbers_of_the_right_kind(void **state)
{
    struct names_of_row texts;
    struct event_row row;
    ailive_name id, stage;

    (void)state;
    names_add(&names, AILIVE_NAME_COMPONENT, "c", &id);
    names_add(&names, AILIVE_NAME_RUN_ID, "r", &id);
    names_add(&names, AILIVE_NAME_STAGE, "s", &stage);
    row = row_of(AILIVE_KIND_DECISION, AILIVE_REJECT, 0, AILIVE_REASON_COOLDOWN, 0);
    assert_true(names_resolve(&names, &row, &texts));
    assert_string_equal(texts.reason, "cooldown");
    assert_string_equal(texts.component, "c");
    assert_string_equal(texts.run_id, "r");
    assert_null(texts.stage);
    row = row_of(AILIVE_KIND_DECISION, AILIVE_REJECT, 0, stage, 0); /* a stage is no reason */
    assert_false(names_resolve(&names, &row, &texts));
    row = row_of(AILIVE_KIND_DECISION, 4, 0, 0, 0);
    assert_false(names_resolve(&names, &row, &texts));
    row = row_of(AILIVE_KIND_DECISION, AILIVE_ACCEPT, 6, 0, 0);
    assert_false(names_resolve(&names, &row, &texts));
    row = row_of(AILIVE_KIND_ACTION, 0, AILIVE_FILL, 0, 0);
    assert_true(names_resolve(&names, &row, &texts));
    row = row_of(AILIVE_KIND_ACTION, 0, AILIVE_ACTION_NONE, 0, 0);
    assert_false(names_resolve(&names, &row, &texts));
    row = row_of(AILIVE_KIND_STAGE, 0, 0, 0, stage);
    assert_true(names_resolve(&names, &row, &texts));
    assert_string_equal(texts.stage, "s");
    row = row_of(AILIVE_KIND_STAGE, 0, 0, 0, 4000);
    assert_false(names_resolve(&names, &row, &texts));
    row = row_of(4, 0, 0, 0, 0);
    assert_false(names_resolve(&names, &row, &texts));
    row = row_of(AILIVE_KIND_ACTION, 0, AILIVE_FILL, 0, 0);
    row.run_id = AILIVE_COMPONENT_DEFAULT;
    assert_false(names_resolve(&names, &row, &texts));
}

static void *read_while_growing(void *context)
{
    (void)context;
    for (unsigned seen = 0; seen < NAMES_CAPACITY;) {
        const struct names_entry *entry = names_get(&names, (ailive_name)(NAMES_FIRST + seen));
        if (!entry)
            continue;
        assert_int_equal(entry->len_bytes, strlen(entry->text));
        assert_int_equal(strtoul(entry->text, NULL, 10), seen);
        seen++;
    }
    return NULL;
}

static void a_reader_without_a_lock_sees_whole_entries(void **state)
{
    pthread_t thread;
    char text[16];
    ailive_name id;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, read_while_growing, NULL), 0);
    for (unsigned i = 0; i < NAMES_CAPACITY; i++) {
        snprintf(text, sizeof(text), "%u", i);
        assert_int_equal(names_add(&names, AILIVE_NAME_STAGE, text, &id), AILIVE_OK);
    }
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_same_kind_and_text_give_the_same_handle, setup),
        cmocka_unit_test_setup(the_contracts_reasons_have_their_fixed_handles, setup),
        cmocka_unit_test_setup(wrong_names_change_nothing, setup),
        cmocka_unit_test_setup(the_limit_is_stated_and_held, setup),
        cmocka_unit_test_setup(the_file_holds_every_name_in_order_even_the_longest, setup),
        cmocka_unit_test_setup(a_row_resolves_only_with_known_numbers_of_the_right_kind, setup),
        cmocka_unit_test_setup(a_reader_without_a_lock_sees_whole_entries, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
