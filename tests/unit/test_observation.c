/* test_observation.c - names that stand in labels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "observation.h"

static void sources_have_the_names_of_the_contract(void **state)
{
    (void)state;
    assert_string_equal(source_name(SOURCE_SAMPLE_V1), "sample_v1");
    assert_string_equal(source_name(SOURCE_BETA_EXEC_V1), "beta_exec_v1");
    assert_string_equal(source_name(SOURCE_EXEC_EVENT_V0), "exec_event_v0");
    assert_string_equal(source_name(SOURCE_UNKNOWN), "unknown");
    assert_string_equal(source_name(SOURCE_SDK_V1), "sdk_v1");
}

static void drops_have_the_names_of_the_contract(void **state)
{
    (void)state;
    assert_string_equal(contract_drop_name(CONTRACT_BAD_JSON), "bad_json");
    assert_string_equal(contract_drop_name(CONTRACT_UNKNOWN_SCHEMA), "unknown_schema");
    assert_string_equal(contract_drop_name(CONTRACT_MISSING_FIELDS), "missing_fields");
    assert_string_equal(contract_drop_name(CONTRACT_OTHER), "other");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources_have_the_names_of_the_contract),
        cmocka_unit_test(drops_have_the_names_of_the_contract),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
