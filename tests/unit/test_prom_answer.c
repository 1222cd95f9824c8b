/* test_prom_answer.c - what Prometheus answered, and what merely looks like it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prom_answer.h"

#include <string.h>

static struct prom_answer *answer;
static char error[512], value[PROM_ANSWER_VALUE_BYTES];

static bool reads(const char *text)
{
    return prom_answer_read(answer, text, strlen(text), error, sizeof(error));
}

static void a_result_is_counted_and_its_first_value_told(void **state)
{
    (void)state;
    assert_true(reads("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":["
                      "{\"metric\":{},\"value\":[1,\"2.5\"]},{\"metric\":{},\"value\":[1,\"3\"]}]}}"));
    assert_int_equal(prom_answer_results(answer, value), 2);
    assert_string_equal(value, "2.5");
    assert_true(reads("{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1,\"7\"]}}"));
    assert_int_equal(prom_answer_results(answer, value), 1);
    assert_string_equal(value, "7");
    assert_true(reads("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[]}}"));
    assert_int_equal(prom_answer_results(answer, value), 0);
    assert_string_equal(value, "");
}

static void one_target_of_the_job_that_is_up_is_enough(void **state)
{
    char detail[64];

    (void)state;
    assert_true(reads("{\"status\":\"success\",\"data\":{\"activeTargets\":[1,"
                      "{\"labels\":{\"job\":\"a\"},\"health\":\"down\",\"lastError\":\"refused\"},"
                      "{\"labels\":{\"job\":\"b\"},\"health\":\"up\"},"
                      "{\"labels\":{\"job\":\"c\"},\"health\":\"unknown\",\"lastError\":\"\"},"
                      "{\"labels\":{\"job\":\"d\"},\"health\":\"down\",\"lastError\":\"x\"},"
                      "{\"labels\":{\"job\":\"d\"},\"health\":\"up\"}]}}"));
    assert_false(prom_answer_target_up(answer, "a", detail, sizeof(detail)));
    assert_string_equal(detail, "refused");
    assert_true(prom_answer_target_up(answer, "b", detail, sizeof(detail)));
    assert_false(prom_answer_target_up(answer, "c", detail, sizeof(detail)));
    assert_string_equal(detail, "not scraped yet");
    assert_true(prom_answer_target_up(answer, "d", detail, sizeof(detail)));
    assert_string_equal(detail, "up");
    assert_false(prom_answer_target_up(answer, "e", detail, sizeof(detail)));
    assert_string_equal(detail, "there is no target of job e");
}

static void an_alert_is_an_alerting_rule_of_any_group(void **state)
{
    (void)state;
    assert_true(reads("{\"status\":\"success\",\"data\":{\"groups\":[{\"rules\":3},{\"rules\":["
                      "{\"type\":\"recording\",\"name\":\"a\"},{\"type\":\"alerting\",\"name\":\"b\"}]}]}}"));
    assert_false(prom_answer_has_alert(answer, "a"));
    assert_true(prom_answer_has_alert(answer, "b"));
    assert_false(prom_answer_has_alert(answer, ""));
}

static void what_failed_is_told(void **state)
{
    (void)state;
    assert_false(reads("{\"status\":\"error\",\"error\":\"no such function\"}"));
    assert_string_equal(error, "Prometheus says: no such function");
    assert_true(prom_answer_is_refusal(answer));
    assert_false(reads("<html>"));
    assert_non_null(strstr(error, "no JSON"));
    assert_false(prom_answer_is_refusal(answer));
    assert_false(reads(""));
    assert_false(reads("{\"status\":\"success\"}"));
    assert_false(reads("{\"database\":\"ok\"}"));
    assert_string_equal(error, "the answer is JSON, but none of Prometheus'");
    assert_false(prom_answer_is_refusal(answer));
}

static int begin(void **state)
{
    (void)state;
    answer = prom_answer_new();
    return answer != NULL ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    prom_answer_free(answer);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_is_counted_and_its_first_value_told),
        cmocka_unit_test(one_target_of_the_job_that_is_up_is_enough),
        cmocka_unit_test(an_alert_is_an_alerting_rule_of_any_group),
        cmocka_unit_test(what_failed_is_told),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
