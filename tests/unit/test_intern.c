/* test_intern.c - equal labels, one struct. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "intern.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct intern *intern;

static int begin(void **state)
{
    (void)state;
    intern = intern_new();
    return intern ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    intern_free(intern);
    return 0;
}

static struct labels sample(void)
{
    return (struct labels){.source = SOURCE_SAMPLE_V1,
                           .decision = TEXT_OF("accept"),
                           .reason = TEXT_OF("none"),
                           .action = TEXT_OF("submit"),
                           .stage = TEXT_OF("stage"),
                           .component = TEXT_OF("c"),
                           .run_id = TEXT_OF("r")};
}

static void equal_labels_are_one_struct(void **state)
{
    struct labels a = sample(), b = sample(), other = sample();
    char component[] = "c";

    (void)state;
    b.component = (struct text){component, 1}; /* equal bytes elsewhere */
    b.route = &b;
    b.generation = 9;
    other.run_id = TEXT_OF("s");
    assert_ptr_equal(intern_labels(intern, &a), intern_labels(intern, &b));
    assert_ptr_not_equal(intern_labels(intern, &a), intern_labels(intern, &other));
    assert_ptr_equal(intern_labels(intern, &a), intern_labels(intern, &b));
}

static void labels_that_differ_anywhere_are_two(void **state)
{
    struct labels variants[9];
    struct labels *made[9];

    (void)state;
    for (int i = 0; i < 9; i++)
        variants[i] = sample();
    variants[1].source = SOURCE_SDK_V1;
    variants[2].drop = CONTRACT_OTHER;
    variants[3].decision = TEXT_OF("reject");
    variants[4].reason = TEXT_OF("");
    variants[5].action = TEXT_OF("fill");
    variants[6].stage = TEXT_OF("");
    variants[7].component = TEXT_OF("cr");
    variants[7].run_id = TEXT_OF("");
    variants[8].component = TEXT_OF("");
    variants[8].run_id = TEXT_OF("cr");
    for (int i = 0; i < 9; i++) {
        made[i] = intern_labels(intern, &variants[i]);
        for (int j = 0; j < i; j++)
            assert_ptr_not_equal(made[i], made[j]);
    }
}

static void texts_are_copied_and_the_cache_begins_empty(void **state)
{
    char component[] = "component";
    struct labels wanted = sample();
    struct labels *made;

    (void)state;
    wanted.component = text_of(component);
    wanted.route = component;
    wanted.generation = 7;
    made = intern_labels(intern, &wanted);
    memset(component, 'x', sizeof(component) - 1);
    assert_true(text_is(made->component, "component"));
    assert_true(text_is(made->decision, "accept"));
    assert_null(made->route);
    assert_int_equal(made->generation, 0);
}

static void many_labels_keep_their_structs_while_it_grows(void **state)
{
    enum {
        MANY = 5000
    };
    static struct labels *made[MANY];
    struct labels wanted = sample();
    char run_id[32];

    (void)state;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < MANY; i++) {
            struct labels *got;

            snprintf(run_id, sizeof(run_id), "run-%d", i);
            wanted.run_id = text_of(run_id);
            got = intern_labels(intern, &wanted);
            if (pass == 0)
                made[i] = got;
            assert_ptr_equal(got, made[i]);
            assert_true(text_is(got->run_id, run_id));
        }
}

static void clearing_keeps_a_few_labels_and_forgets_too_many(void **state)
{
    struct labels wanted = sample();
    struct labels *first = intern_labels(intern, &wanted);
    char run_id[32];

    (void)state;
    first->generation = 42;
    intern_clear(intern);
    assert_int_equal(intern_labels(intern, &wanted)->generation, 42); /* its route cache lives on */
    for (unsigned i = 0; i <= INTERN_KEEP_LABELS; i++) {
        snprintf(run_id, sizeof(run_id), "run-%u", i);
        wanted.run_id = text_of(run_id);
        intern_labels(intern, &wanted);
    }
    intern_clear(intern);
    wanted = sample();
    assert_int_equal(intern_labels(intern, &wanted)->generation, 0);
}

static void clearing_forgets_too_many_bytes(void **state)
{
    struct labels wanted = sample();
    char *component = malloc(INTERN_KEEP_BYTES);

    (void)state;
    assert_non_null(component);
    memset(component, 'c', INTERN_KEEP_BYTES);
    intern_labels(intern, &wanted)->generation = 42;
    wanted.component = (struct text){component, INTERN_KEEP_BYTES};
    assert_int_equal(intern_labels(intern, &wanted)->component.len_bytes, INTERN_KEEP_BYTES);
    intern_clear(intern);
    wanted = sample();
    assert_int_equal(intern_labels(intern, &wanted)->generation, 0);
    free(component);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(equal_labels_are_one_struct),
        TEST(labels_that_differ_anywhere_are_two),
        TEST(texts_are_copied_and_the_cache_begins_empty),
        TEST(many_labels_keep_their_structs_while_it_grows),
        TEST(clearing_keeps_a_few_labels_and_forgets_too_many),
        TEST(clearing_forgets_too_many_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
