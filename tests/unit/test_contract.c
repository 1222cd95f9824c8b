/* test_contract.c - every rule of the contract that concerns lines, one claim each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "contract.h"
#include "intern.h"
#include "random.h"
#include "text.h"

#include <wire/spool.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOW INT64_C(1800000000000000000)
#define S   (__int128)1000000000

static struct contract *contract;
static struct observation seen;

static int begin(void **state)
{
    (void)state;
    contract = contract_new(NULL);
    return contract ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    contract_free(contract);
    return 0;
}

static size_t take_bytes(const char *bytes, size_t len)
{
    char *exact = malloc(len ? len : 1);
    size_t n;

    assert_non_null(exact);
    memcpy(exact, bytes, len);
    memset(&seen, 0x5a, sizeof(seen));
    n = contract_line(contract, exact, len, NOW, &seen);
    free(exact); /* what was observed must not lie in the line */
    return n;
}

static const struct labels *take(const char *line)
{
    if (take_bytes(line, strlen(line)) != 1)
        fail_msg("no observation: %s", line);
    return seen.labels;
}

static void assert_text(const char *line, const char *what, struct text got, const char *wanted)
{
    if (!text_is(got, wanted))
        fail_msg("%s: %s is '%.*s', wanted '%s'", line, what, (int)got.len_bytes, got.bytes, wanted);
}

/* A line that is dropped and does nothing else. */
static void assert_dropped(const char *line, enum source source, enum contract_drop drop)
{
    const struct labels *labels = take(line);

    if (labels->source != source || labels->drop != drop)
        fail_msg("%s: %s %s", line, source_name(labels->source), contract_drop_name(labels->drop));
    assert_text(line, "decision", labels->decision, "");
    assert_text(line, "action", labels->action, "");
    assert_false(seen.has_time || seen.seconds.present || seen.ms.present);
    assert_int_equal(seen.fault, LATENCY_FINE);
}

static void assert_decision(const char *line, const char *decision, const char *reason, const char *action)
{
    const struct labels *labels = take(line);

    assert_text(line, "decision", labels->decision, decision);
    assert_text(line, "reason", labels->reason, reason);
    assert_text(line, "action", labels->action, action);
}

static void assert_scope(const char *line, const char *component, const char *run_id)
{
    const struct labels *labels = take(line);

    assert_text(line, "component", labels->component, component);
    assert_text(line, "run_id", labels->run_id, run_id);
}

/* ---- lines ---- */

static void a_blank_line_is_skipped_without_a_count(void **state)
{
    static const char *const lines[] = {"", " ", "\t", "   \r", "\x0c", "\xc2\xa0", "\xe2\x80\xa8"};

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_int_equal(take_bytes(lines[i], strlen(lines[i])), 0);
}

static void what_is_not_json_is_bad_json_of_an_unknown_source(void **state)
{
    (void)state;
    assert_dropped("not json", SOURCE_UNKNOWN, CONTRACT_BAD_JSON);
    assert_dropped("{\"v\":1,\"decision\":\"accept\"", SOURCE_UNKNOWN, CONTRACT_BAD_JSON);
    assert_dropped("{\"v\":1,\"decision\":\"accept\",\"latency_ms\":NaN}", SOURCE_UNKNOWN, CONTRACT_BAD_JSON);
    assert_dropped("{\"v\":1,\"decision\":\"accept\",\"latency_ms\":1e400}", SOURCE_UNKNOWN,
                   CONTRACT_BAD_JSON);
    assert_dropped("{\"v\":1,\"decision\":\"accept\",\"n\":123456789012345678901234567890}", SOURCE_UNKNOWN,
                   CONTRACT_BAD_JSON);
    assert_dropped("{\"v\":1,\"decision\":\"accept\",\"s\":\"\\ud800\"}", SOURCE_UNKNOWN, CONTRACT_BAD_JSON);
    assert_dropped("{\"v\":1,\"decision\":\"accept\",\"s\":\"\xff\"}", SOURCE_UNKNOWN, CONTRACT_BAD_JSON);
    assert_int_equal(take_bytes("\0", 1), 1);
    assert_int_equal(seen.labels->drop, CONTRACT_BAD_JSON);
}

static void an_over_long_line_is_bad_json(void **state)
{
    (void)state;
    contract_long_line(contract, NOW, &seen);
    assert_int_equal(seen.labels->source, SOURCE_UNKNOWN);
    assert_int_equal(seen.labels->drop, CONTRACT_BAD_JSON);
    assert_false(seen.has_time);
}

static void json_that_is_no_object_is_dropped_as_other(void **state)
{
    (void)state;
    assert_dropped("42", SOURCE_UNKNOWN, CONTRACT_OTHER);
    assert_dropped("null", SOURCE_UNKNOWN, CONTRACT_OTHER);
    assert_dropped("[1,2]", SOURCE_UNKNOWN, CONTRACT_OTHER);
    assert_dropped(" \"accept\" ", SOURCE_UNKNOWN, CONTRACT_OTHER);
}

static void the_last_of_duplicate_keys_counts(void **state)
{
    (void)state;
    assert_decision("{\"v\":1,\"decision\":\"accept\",\"decision\":\"reject\"}", "reject", "none", "");
    assert_dropped("{\"v\":1,\"decision\":\"accept\",\"v\":2}", SOURCE_SAMPLE_V1, CONTRACT_UNKNOWN_SCHEMA);
}

static void a_line_may_end_in_carriage_return(void **state)
{
    (void)state;
    assert_decision("{\"v\":1,\"decision\":\"accept\"}\r", "accept", "none", "");
}

static void the_source_is_decided_in_the_contracts_order(void **state)
{
    (void)state;
    assert_int_equal(take("{\"v\":null,\"schema_version\":\"BETA_EXEC_V1\"}")->source, SOURCE_SAMPLE_V1);
    assert_int_equal(
        take("{\"schema\":\"execution_event_v0\",\"schema_version\":\"BETA_EXEC_V1\",\"event_type\":\"x\"}")
            ->source,
        SOURCE_BETA_EXEC_V1);
    assert_int_equal(take("{\"schema\":\"execution_event_v0\",\"schema_version\":\"2\"}")->source,
                     SOURCE_EXEC_EVENT_V0);
    assert_int_equal(take("{\"schema\":\"execution_event_v1\"}")->source, SOURCE_UNKNOWN);
    assert_int_equal(take("{\"schema_version\":\"beta_exec_v1\"}")->source, SOURCE_UNKNOWN);
    assert_int_equal(take("{\"schema_version\":\" BETA_EXEC_V1\"}")->source, SOURCE_UNKNOWN);
    assert_int_equal(take("{\"schema_version\":[\"BETA_EXEC_V1\"]}")->source, SOURCE_UNKNOWN);
    assert_int_equal(take("{}")->source, SOURCE_UNKNOWN);
}

/* ---- sample_v1 ---- */

static void a_v_that_is_not_numerically_1_is_an_unknown_schema(void **state)
{
    static const char *const values[] = {"2",    "0",     "-1",    "1.5", "null",
                                         "true", "false", "\"1\"", "[1]", "{}"};
    char line[128];

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        snprintf(line, sizeof(line), "{\"v\":%s,\"decision\":\"accept\",\"ts_utc\":\"2026-01-01T00:00:00Z\"}",
                 values[i]);
        assert_dropped(line, SOURCE_SAMPLE_V1, CONTRACT_UNKNOWN_SCHEMA);
    }
    assert_decision("{\"v\":1.0,\"decision\":\"accept\"}", "accept", "none", "");
    assert_decision("{\"v\":1e0,\"decision\":\"accept\"}", "accept", "none", "");
}

static void every_decision_alias_has_its_meaning(void **state)
{
    static const char *const aliases[][2] = {
        {"accept", "accept"},  {"approve", "accept"}, {"approved", "accept"},   {"allow", "accept"},
        {"allowed", "accept"}, {"reject", "reject"},  {"deny", "reject"},       {"denied", "reject"},
        {"block", "reject"},   {"blocked", "reject"}, {"noop", "noop"},         {"no_op", "noop"},
        {"skip", "noop"},      {"ignored", "noop"},   {" Accept\\t", "accept"}, {"NOOP", "noop"},
    };
    char line[128];

    (void)state;
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        snprintf(line, sizeof(line), "{\"v\":1,\"decision\":\"%s\"}", aliases[i][0]);
        assert_decision(line, aliases[i][1], "none", "");
    }
}

static void a_decision_that_is_none_of_them_is_missing(void **state)
{
    static const char *const values[] = {"\"maybe\"", "\"accepted\"", "\"\"",         "\" \"", "null",
                                         "1",         "true",         "[\"accept\"]", "{}",    "\"acc ept\""};
    char line[128];

    (void)state;
    assert_dropped("{\"v\":1,\"ts_utc\":\"2026-01-01T00:00:00Z\",\"action\":\"submit\",\"latency_ms\":1}",
                   SOURCE_SAMPLE_V1, CONTRACT_MISSING_FIELDS);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        snprintf(line, sizeof(line), "{\"v\":1,\"decision\":%s,\"action\":\"fill\"}", values[i]);
        assert_dropped(line, SOURCE_SAMPLE_V1, CONTRACT_MISSING_FIELDS);
    }
}

static void the_eight_reasons_stay_and_others_are_other(void **state)
{
    static const char *const reasons[][2] = {
        {"\"none\"", "none"},
        {"\"no_signal\"", "no_signal"},
        {"\"cooldown\"", "cooldown"},
        {"\"market_closed\"", "market_closed"},
        {"\"risk_limit\"", "risk_limit"},
        {"\"governance_no_live\"", "governance_no_live"},
        {"\"invalid_order\"", "invalid_order"},
        {"\"other\"", "other"},
        {"\" RISK_Limit \"", "risk_limit"},
        {"\"brand_new\"", "other"},
        {"\"none of these\"", "other"},
        {"7", "other"},
        {"1.5", "other"},
        {"true", "other"},
        {"[\"cooldown\"]", "other"},
        {"{\"a\":1}", "other"},
    };
    char line[128];

    (void)state;
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        snprintf(line, sizeof(line), "{\"v\":1,\"decision\":\"reject\",\"reason\":%s}", reasons[i][0]);
        assert_decision(line, "reject", reasons[i][1], "");
    }
}

static void a_falsy_reason_is_none(void **state)
{
    static const char *const values[] = {"null", "\"\"", "\"  \"", "0", "0.0", "false", "[]", "{}"};
    char line[128];

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        snprintf(line, sizeof(line), "{\"v\":1,\"decision\":\"reject\",\"reason\":%s}", values[i]);
        assert_decision(line, "reject", "none", "");
    }
}

static void the_five_actions_count_and_anything_else_does_not(void **state)
{
    static const char *const actions[][2] = {
        {"\"order_intent\"", "order_intent"},
        {"\"order_request\"", "order_request"},
        {"\"submit\"", "submit"},
        {"\"cancel\"", "cancel"},
        {"\"fill\"", "fill"},
        {"\" SUBMIT \"", "submit"},
        {"\"none\"", ""},
        {"\"teleport\"", ""},
        {"\"\"", ""},
        {"null", ""},
        {"7", ""},
        {"[\"fill\"]", ""},
    };
    char line[128];

    (void)state;
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        snprintf(line, sizeof(line), "{\"v\":1,\"decision\":\"accept\",\"action\":%s}", actions[i][0]);
        assert_decision(line, "accept", "none", actions[i][1]);
    }
}

static void the_component_is_trimmed_or_the_default(void **state)
{
    (void)state;
    assert_scope("{\"v\":1,\"decision\":\"accept\",\"component\":\" Risk Gate \"}", "Risk Gate", "na");
    assert_scope("{\"v\":1,\"decision\":\"accept\",\"component\":\"  \"}", "execution_watch", "na");
    assert_scope("{\"v\":1,\"decision\":\"accept\",\"component\":7}", "execution_watch", "na");
    assert_scope("{\"v\":1,\"decision\":\"accept\"}", "execution_watch", "na");
}

static void the_run_id_is_cleaned_and_then_cut_to_32(void **state)
{
    (void)state;
    assert_scope("{\"v\":1,\"decision\":\"accept\",\"run_id\":\" Run // 7 \"}", "execution_watch", "Run_7");
    assert_scope("{\"v\":1,\"decision\":\"accept\",\"run_id\":\"0123456789012345678901234567890123\"}",
                 "execution_watch", "01234567890123456789012345678901");
    assert_scope("{\"v\":1,\"decision\":\"accept\",\"run_id\":\"\"}", "execution_watch", "na");
    assert_scope("{\"v\":1,\"decision\":\"accept\",\"run_id\":[]}", "execution_watch", "na");
}

static void given_defaults_stand_in_for_what_a_line_does_not_name(void **state)
{
    const struct contract_options options = {" Watch Two ", "my run/1"};

    (void)state;
    contract_free(contract);
    contract = contract_new(&options);
    assert_non_null(contract);
    assert_scope("{\"v\":1,\"decision\":\"accept\"}", "Watch Two", "my_run_1");
    assert_scope("{\"v\":1,\"decision\":\"accept\",\"component\":\"c\",\"run_id\":\"r\"}", "c", "r");
}

static void assert_latency(const char *fields, bool seconds, __int128 seconds_ps, bool ms, __int128 ms_ps,
                           enum latency_fault fault)
{
    char line[256];

    snprintf(line, sizeof(line), "{\"v\":1,\"decision\":\"accept\",%s}", fields);
    assert_decision(line, "accept", "none", "");
    if (seen.seconds.present != seconds || seen.ms.present != ms || seen.fault != fault)
        fail_msg("%s: seconds %d, ms %d, fault %d", fields, seen.seconds.present, seen.ms.present,
                 (int)seen.fault);
    if ((seconds && seen.seconds.picoseconds != seconds_ps) || (ms && seen.ms.picoseconds != ms_ps))
        fail_msg("%s: not the latency", fields);
}

static void latency_s_or_else_latency_ms_feeds_the_seconds(void **state)
{
    (void)state;
    assert_latency("\"latency_ms\":85.0", true, 85000000000, true, 85000000000, LATENCY_FINE);
    assert_latency("\"latency_s\":0.5", true, 500000000000, false, 0, LATENCY_FINE);
    assert_latency("\"latency_s\":2,\"latency_ms\":7", true, 2000000000000, true, 7000000000, LATENCY_FINE);
    assert_latency("\"latency_s\":0", true, 0, false, 0, LATENCY_FINE);
}

static void a_latency_that_is_no_number_falls_through(void **state)
{
    (void)state;
    assert_latency("\"latency_s\":\"1\",\"latency_ms\":7", true, 7000000000, true, 7000000000, LATENCY_FINE);
    assert_latency("\"latency_s\":true,\"latency_ms\":7", true, 7000000000, true, 7000000000, LATENCY_FINE);
    assert_latency("\"latency_s\":null,\"latency_ms\":true", false, 0, false, 0, LATENCY_FINE);
    assert_latency("\"latency_ms\":\"85\"", false, 0, false, 0, LATENCY_FINE);
    assert_latency("\"latency_ms\":[85]", false, 0, false, 0, LATENCY_FINE);
}

static void a_latency_that_cannot_be_is_not_observed_and_the_event_counts(void **state)
{
    (void)state;
    assert_latency("\"latency_ms\":-1", false, 0, false, 0, LATENCY_NEGATIVE);
    assert_latency("\"latency_s\":-0.5,\"latency_ms\":3", false, 0, true, 3000000000, LATENCY_NEGATIVE);
    assert_latency("\"latency_s\":1,\"latency_ms\":-3", true, 1000000000000, false, 0, LATENCY_NEGATIVE);
    assert_latency("\"latency_s\":1e300", false, 0, false, 0, LATENCY_TOO_LARGE);
}

static void the_time_sets_freshness(void **state)
{
    (void)state;
    take("{\"v\":1,\"decision\":\"accept\",\"ts_utc\":\"2026-01-25T01:09:48.123Z\"}");
    assert_true(seen.has_time);
    assert_true(seen.time_ns == 1769303388 * S + 123000000);
    take("{\"v\":1,\"decision\":\"accept\",\"ts_utc\":\"0001-01-01T00:00:00Z\"}");
    assert_true(seen.has_time);
    assert_true(seen.time_ns == -62135596800 * S);
}

static void a_missing_or_invalid_time_is_never_invented(void **state)
{
    static const char *const values[] = {"null",
                                         "\"\"",
                                         "\"not a time\"",
                                         "1769303388",
                                         "1769303388.5",
                                         "true",
                                         "[\"2026-01-25T01:09:48Z\"]",
                                         "\"2026-W04-7\""};
    char line[128];

    (void)state;
    take("{\"v\":1,\"decision\":\"accept\",\"ts\":\"2026-01-25T01:09:48Z\"}");
    assert_false(seen.has_time);
    assert_true(seen.time_ns == NOW);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        snprintf(line, sizeof(line), "{\"v\":1,\"decision\":\"accept\",\"ts_utc\":%s}", values[i]);
        take(line);
        assert_false(seen.has_time);
        assert_true(seen.time_ns == NOW); /* for the last-decision gauge */
    }
}

static void escaped_keys_and_values_are_what_they_mean(void **state)
{
    (void)state;
    assert_decision("{\"\\u0076\":1,\"d\\u0065cision\":\"\\u0061ccept\"}", "accept", "none", "");
}

/* ---- beta_exec_v1 ---- */

#define BETA                                                                                                 \
    "{\"schema_version\":\"BETA_EXEC_V1\",\"ts_utc\":\"2026-01-01T00:00:00Z\",\"component\":\"mine\","

static void every_beta_event_type_has_its_action_and_decision(void **state)
{
    static const char *const types[][4] = {
        {"INTENT", "", "", "order_intent"},
        {"SUBMIT", "accept", "none", "submit"},
        {"FILL", "", "", "fill"},
        {"REJECT", "reject", "risk_limit", "order_request"},
        {"VALIDATION_REJECT", "reject", "risk_limit", ""},
        {"RISK_REJECT", "reject", "risk_limit", ""},
        {"ERROR", "reject", "risk_limit", ""},
        {" Fill ", "", "", "fill"},
        {"submit", "accept", "none", "submit"},
    };
    char line[256];

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        snprintf(line, sizeof(line),
                 BETA "\"event_type\":\"%s\",\"reason_code\":\"RISK_X\",\"run_id\":\"r 1\"}", types[i][0]);
        assert_decision(line, types[i][1], types[i][2], types[i][3]);
        assert_int_equal(seen.labels->source, SOURCE_BETA_EXEC_V1);
        assert_int_equal(seen.labels->drop, CONTRACT_KEPT);
        assert_true(seen.has_time);
        assert_scope(line, "execution_watch", "r_1"); /* the component is always the default */
    }
}

static void beta_reason_codes_are_mapped_by_their_prefix(void **state)
{
    static const char *const codes[][2] = {
        {"\"VALIDATION_QTY\"", "invalid_order"},
        {"\"ADAPTER_DOWN\"", "invalid_order"},
        {"\"RISK_MAX_POS\"", "risk_limit"},
        {"\"POLICY_NO_LIVE\"", "governance_no_live"},
        {"\" risk_lower \"", "risk_limit"},
        {"\"RISK\"", "other"},
        {"\"SOMETHING\"", "other"},
        {"\"\"", "other"},
        {"null", "other"},
        {"7", "other"},
        {"[\"RISK_X\"]", "other"},
    };
    char line[256];

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        snprintf(line, sizeof(line), BETA "\"event_type\":\"ERROR\",\"reason_code\":%s}", codes[i][0]);
        assert_decision(line, "reject", codes[i][1], "");
    }
    assert_decision(BETA "\"event_type\":\"ERROR\",\"reason\":\"RISK_X\"}", "reject", "other", "");
}

static void a_beta_line_without_event_type_misses_a_field(void **state)
{
    static const char *const values[] = {"\"\"", "\"  \"", "null", "0", "false", "[]", "{}"};
    char line[256];

    (void)state;
    assert_dropped("{\"schema_version\":\"BETA_EXEC_V1\"}", SOURCE_BETA_EXEC_V1, CONTRACT_MISSING_FIELDS);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        snprintf(line, sizeof(line), BETA "\"event_type\":%s}", values[i]);
        assert_dropped(line, SOURCE_BETA_EXEC_V1, CONTRACT_MISSING_FIELDS);
    }
}

static void a_beta_event_type_that_is_not_handled_is_an_unknown_schema(void **state)
{
    static const char *const values[] = {"\"ACK\"", "\"NEW_THING\"", "7", "true", "[\"FILL\"]", "{\"a\":1}"};
    char line[256];

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        snprintf(line, sizeof(line), BETA "\"event_type\":%s}", values[i]);
        assert_dropped(line, SOURCE_BETA_EXEC_V1, CONTRACT_UNKNOWN_SCHEMA); /* no freshness either */
    }
}

/* ---- exec_event_v0 ---- */

#define EXEC "{\"schema\":\"execution_event_v0\",\"ts\":\"2026-01-01T00:00:00Z\","

static void every_exec_event_type_has_its_action_and_decision(void **state)
{
    static const char *const types[][4] = {
        {"created", "", "", "order_intent"}, {"submitted", "accept", "none", "submit"},
        {"filled", "", "", "fill"},          {"canceled", "", "", "cancel"},
        {"failed", "reject", "other", ""},   {" FILLED", "", "", "fill"},
    };
    char line[256];

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        snprintf(line, sizeof(line),
                 EXEC "\"event_type\":\"%s\",\"component\":\"mine\",\"run_id\":\"v0.run\"}", types[i][0]);
        assert_decision(line, types[i][1], types[i][2], types[i][3]);
        assert_int_equal(seen.labels->source, SOURCE_EXEC_EVENT_V0);
        assert_int_equal(seen.labels->drop, CONTRACT_KEPT);
        assert_true(seen.has_time);
        assert_scope(line, "execution_watch", "v0.run");
    }
}

static void exec_lines_take_their_time_from_ts(void **state)
{
    (void)state;
    take("{\"schema\":\"execution_event_v0\",\"ts_utc\":\"2026-01-01T00:00:00Z\",\"event_type\":\"filled\"}");
    assert_false(seen.has_time);
}

static void other_exec_event_types_are_dropped(void **state)
{
    (void)state;
    assert_dropped(EXEC "\"event_type\":\"cancelled\"}", SOURCE_EXEC_EVENT_V0, CONTRACT_UNKNOWN_SCHEMA);
    assert_dropped(EXEC "\"event_type\":7}", SOURCE_EXEC_EVENT_V0, CONTRACT_UNKNOWN_SCHEMA);
    assert_dropped(EXEC "\"event_type\":\"\"}", SOURCE_EXEC_EVENT_V0, CONTRACT_MISSING_FIELDS);
    assert_dropped(EXEC "\"x\":1}", SOURCE_EXEC_EVENT_V0, CONTRACT_MISSING_FIELDS);
}

/* ---- unknown ---- */

static void assert_unknown(const char *line, const char *decision, const char *reason, const char *action)
{
    assert_decision(line, decision, reason, action);
    assert_int_equal(seen.labels->source, SOURCE_UNKNOWN);
    assert_int_equal(seen.labels->drop, CONTRACT_UNKNOWN_SCHEMA);
    assert_false(seen.has_time);
    assert_true(seen.time_ns == NOW);
    assert_false(seen.ms.present);
}

static void an_unknown_line_is_dropped_whatever_else_it_does(void **state)
{
    (void)state;
    assert_unknown("{}", "", "", "");
    assert_unknown("{\"ts_utc\":\"2026-01-01T00:00:00Z\",\"decision\":\"deny\"}", "reject", "none", "");
}

static void an_unknown_decision_is_an_alias_or_stays_as_it_is(void **state)
{
    (void)state;
    assert_unknown("{\"decision\":\"Approved\"}", "accept", "none", "");
    assert_unknown("{\"decision\":\" order_rejected \"}", "order_rejected", "none", "");
    assert_unknown("{\"decision\":\"heartbeat\",\"type\":\"reject\"}", "heartbeat", "none", "");
}

static void without_a_decision_the_type_decides_by_what_it_contains(void **state)
{
    static const char *const types[][2] = {
        {"order_rejected", "reject"},
        {"ORDER_BLOCKED", "reject"},
        {"deny", "reject"},
        {"accept", "accept"},
        {"Approved", "accept"},
        {"allow_all", "accept"},
        {"noop", "noop"},
        {"skip_bar", "noop"},
        {"heartbeat", ""},
        {"accept_then_reject", "reject"},
        {"skip_then_allow", "accept"},
        {"denied", ""},
    };
    char line[128];

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        for (int j = 0; j < 2; j++) {
            snprintf(line, sizeof(line), "{\"%s\":\"%s\"}", j ? "event_type" : "type", types[i][0]);
            assert_unknown(line, types[i][1], types[i][1][0] ? "none" : "", "");
        }
    assert_unknown("{\"decision\":\"\",\"type\":\"accept\"}", "accept", "none", "");
    assert_unknown("{\"decision\":\"  \",\"type\":\"accept\"}", "accept", "none", "");
    assert_unknown("{\"decision\":7,\"type\":\"accept\"}", "accept", "none", "");
}

static void a_truthy_type_hides_event_type(void **state)
{
    static const char *const hiding[] = {"7", "-0.5", "\" \"", "\"heartbeat\"", "true", "[0]", "{\"a\":0}"};
    static const char *const showing[] = {"0", "0.0", "\"\"", "null", "false", "[]", "{}"};
    char line[128];

    (void)state;
    for (size_t i = 0; i < sizeof(hiding) / sizeof(hiding[0]); i++) {
        snprintf(line, sizeof(line), "{\"type\":%s,\"event_type\":\"reject\"}", hiding[i]);
        assert_unknown(line, "", "", "");
    }
    for (size_t i = 0; i < sizeof(showing) / sizeof(showing[0]); i++) {
        snprintf(line, sizeof(line), "{\"type\":%s,\"event_type\":\"reject\"}", showing[i]);
        assert_unknown(line, "reject", "none", "");
    }
    assert_unknown("{\"event_type\":[\"reject\"]}", "", "", "");
}

static void an_unknown_reason_is_the_first_string_there_is(void **state)
{
    (void)state;
    assert_unknown(
        "{\"decision\":\"deny\",\"policy_reason\":\"d\",\"gate_reason\":\"c\",\"block_reason\":\"b\","
        "\"reason\":\"a\"}",
        "reject", "a", "");
    assert_unknown(
        "{\"decision\":\"deny\",\"policy_reason\":\"d\",\"gate_reason\":\"c\",\"block_reason\":\"b\","
        "\"reason\":\" \"}",
        "reject", "b", "");
    assert_unknown("{\"decision\":\"deny\",\"policy_reason\":\"d\",\"gate_reason\":\"c\",\"block_reason\":7}",
                   "reject", "c", "");
    assert_unknown("{\"decision\":\"deny\",\"policy_reason\":\" max loss \"}", "reject", "max loss", "");
    assert_unknown("{\"reason\":\"a\",\"action\":\"fill\"}", "", "", "fill"); /* kept only with a decision */
}

static void an_unknown_action_is_the_first_string_there_is(void **state)
{
    (void)state;
    assert_unknown("{\"action\":\" place order \",\"action_type\":\"x\"}", "", "", "place order");
    assert_unknown("{\"action\":\"\",\"action_type\":\"x\"}", "", "", "x");
    assert_unknown("{\"action\":7,\"action_type\":\"none\"}", "", "", "none"); /* counted here */
    assert_unknown("{\"action\":null,\"action_type\":[]}", "", "", "");
}

static void unknown_lines_name_component_and_run_id_as_samples_do(void **state)
{
    (void)state;
    assert_scope("{\"decision\":\"deny\",\"component\":\" C \",\"run_id\":\"a b\"}", "C", "a_b");
    assert_scope("{\"action\":\"x\",\"component\":\"\",\"run_id\":7}", "execution_watch", "na");
}

static void unknown_latency_feeds_seconds_only_and_only_with_a_decision(void **state)
{
    (void)state;
    take("{\"decision\":\"deny\",\"latency_ms\":12.5}");
    assert_true(seen.seconds.present);
    assert_true(seen.seconds.picoseconds == 12500000000);
    assert_false(seen.ms.present);
    take("{\"action\":\"x\",\"latency_ms\":12.5}");
    assert_false(seen.seconds.present);
    take("{\"action\":\"x\",\"latency_ms\":-12.5}");
    assert_int_equal(seen.fault, LATENCY_FINE);
    take("{\"decision\":\"deny\",\"latency_s\":-1}");
    assert_int_equal(seen.fault, LATENCY_NEGATIVE);
}

/* ---- storage ---- */

static void equal_lines_share_their_labels_until_the_unit_is_cleared(void **state)
{
    struct labels *first;

    (void)state;
    take("{\"v\":1,\"decision\":\"accept\",\"run_id\":\"a\",\"latency_ms\":1}");
    first = seen.labels;
    take("{\"v\":1,\"decision\":\"accept\",\"run_id\":\"b\"}");
    assert_ptr_not_equal(seen.labels, first);
    take("{\"run_id\":\"a\",\"decision\":\"approve\",\"v\":1,\"latency_ms\":2}");
    assert_ptr_equal(seen.labels, first);
    assert_text("first", "run id", first->run_id, "a"); /* later lines left it alone */
    contract_clear(contract);
    take("{\"v\":1,\"decision\":\"accept\",\"run_id\":\"a\"}");
}

/* ---- spool lines ---- */

static const struct event_producer producer = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
#define SID "\"sid\":\"0102030405060708090a0b0c0d0e0f10.3\""

static struct spool_line spooled;

static enum spool_line_kind take_spool_bytes(const char *bytes, size_t len)
{
    char *exact = malloc(len ? len : 1);

    assert_non_null(exact);
    memcpy(exact, bytes, len);
    memset(&spooled, 0x5a, sizeof(spooled));
    contract_spool_line(contract, exact, len, NOW, &spooled);
    free(exact);
    return spooled.kind;
}

static void assert_spool(const char *line, enum spool_line_kind wanted)
{
    enum spool_line_kind got = take_spool_bytes(line, strlen(line));

    if (got != wanted)
        fail_msg("kind %d, wanted %d: %s", (int)got, (int)wanted, line);
}

static struct spool_record record_of(uint8_t kind)
{
    return (struct spool_record){
        .producer = producer,
        .ring = 3,
        .seq = UINT64_C(18446744073709551614),
        .row = {.kind = kind, .time_ns = 1769303388123456789, .latency_ns = 85000001},
        .component = {"Risk \"Gate\"\n", 12},
        .run_id = {"r/../etc", 8},
    };
}

static void assert_record(const struct spool_record *record)
{
    char line[SPOOL_LINE_MAX_BYTES];
    size_t len = spool_format_record(record, line);

    assert_int_equal(take_spool_bytes(line, len - 1), SPOOL_LINE_RECORD);
    assert_memory_equal(&spooled.producer, &producer, sizeof(producer));
    assert_int_equal(spooled.ring, 3);
    assert_true(spooled.seq == record->seq);
    assert_true(spooled.observation.time_ns == record->row.time_ns);
    assert_true(spooled.observation.has_time);
    assert_int_equal(spooled.observation.labels->source, SOURCE_SDK_V1);
    assert_int_equal(spooled.observation.labels->drop, CONTRACT_KEPT);
    assert_text(line, "component", spooled.observation.labels->component, "Risk \"Gate\"\n");
    assert_text(line, "run_id", spooled.observation.labels->run_id, "r/../etc");
}

static void a_spooled_decision_is_the_record_the_shipper_wrote(void **state)
{
    struct spool_record record = record_of(AILIVE_KIND_DECISION);

    (void)state;
    record.row.decision = AILIVE_REJECT;
    record.row.action = AILIVE_CANCEL;
    record.reason = (struct spool_text){"Own Reason", 10};
    assert_record(&record);
    assert_text("line", "decision", spooled.observation.labels->decision, "reject");
    assert_text("line", "reason", spooled.observation.labels->reason, "Own Reason");
    assert_text("line", "action", spooled.observation.labels->action, "cancel");
    assert_true(spooled.observation.seconds.picoseconds == 85000001000);
    assert_true(spooled.observation.ms.picoseconds == 85000001000);
    record.row.latency_ns = AILIVE_NO_LATENCY;
    record.row.action = AILIVE_ACTION_NONE;
    assert_record(&record);
    assert_text("line", "action", spooled.observation.labels->action, "");
    assert_false(spooled.observation.seconds.present || spooled.observation.ms.present);
    record.row.latency_ns = -5;
    assert_record(&record);
    assert_false(spooled.observation.seconds.present || spooled.observation.ms.present);
    assert_int_equal(spooled.observation.fault, LATENCY_NEGATIVE);
}

static void a_spooled_action_and_stage_are_the_records_the_shipper_wrote(void **state)
{
    struct spool_record record = record_of(AILIVE_KIND_ACTION);

    (void)state;
    record.row.action = AILIVE_FILL;
    assert_record(&record);
    assert_text("line", "action", spooled.observation.labels->action, "fill");
    assert_text("line", "decision", spooled.observation.labels->decision, "");
    assert_false(spooled.observation.seconds.present);
    record = record_of(AILIVE_KIND_STAGE);
    record.stage = (struct spool_text){"risk_check", 10};
    assert_record(&record);
    assert_text("line", "stage", spooled.observation.labels->stage, "risk_check");
    assert_text("line", "action", spooled.observation.labels->action, "");
    assert_true(spooled.observation.seconds.present);
    assert_false(spooled.observation.ms.present);
}

static void spooled_drops_and_door_words_are_read_back(void **state)
{
    uint64_t door[LAYOUT_DOOR_WORDS] = {UINT64_MAX, 7};
    char line[SPOOL_LINE_MAX_BYTES];
    size_t len = spool_format_drop(&producer, 3, 5, 9, EVENT_DROP_SPOOL_FULL, line);

    (void)state;
    assert_int_equal(take_spool_bytes(line, len), SPOOL_LINE_DROP);
    assert_true(spooled.seq == 5 && spooled.count == 9 && spooled.drop == EVENT_DROP_SPOOL_FULL);
    len = spool_format_door(&producer, 3, door, line);
    assert_int_equal(take_spool_bytes(line, len), SPOOL_LINE_DOOR);
    assert_true(spooled.door[0] == UINT64_MAX && spooled.door[1] == 7);
    assert_int_equal(spooled.ring, 3);
    len = spool_format_invalid(&producer, 3, 77, 5, line);
    assert_int_equal(take_spool_bytes(line, len), SPOOL_LINE_INVALID);
    assert_true(spooled.seq == 77);
    assert_spool("  ", SPOOL_LINE_BLANK);
}

static void a_spool_record_with_a_bad_field_keeps_its_number_as_invalid(void **state)
{
    static const char *const fields[] = {
        "\"event\":\"decision\",\"decision\":\"maybe\",\"reason\":\"none\",\"action\":\"none\",\"ts_ns\":1",
        "\"event\":\"decision\",\"decision\":\"accept\",\"reason\":\"none\",\"action\":\"jump\",\"ts_ns\":1",
        "\"event\":\"decision\",\"decision\":\"accept\",\"reason\":7,\"action\":\"none\",\"ts_ns\":1",
        "\"event\":\"decision\",\"decision\":\"accept\",\"reason\":\"none\",\"action\":\"none\"",
        "\"event\":\"decision\",\"decision\":\"accept\",\"reason\":\"none\",\"action\":\"none\",\"ts_ns\":1."
        "5",
        "\"event\":\"decision\",\"decision\":\"accept\",\"reason\":\"none\",\"action\":\"none\",\"ts_ns\":1,"
        "\"latency_ns\":1.5",
        "\"event\":\"action\",\"action\":\"none\",\"ts_ns\":1",
        "\"event\":\"stage\",\"ts_ns\":1,\"latency_ns\":1",
    };
    char line[512];

    (void)state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        snprintf(line, sizeof(line), "{\"v\":1,%s,\"component\":\"c\",\"run_id\":\"r\"," SID ",\"seq\":4}",
                 fields[i]);
        assert_spool(line, SPOOL_LINE_INVALID);
        assert_true(spooled.seq == 4);
        assert_non_null(spooled.observation.labels);
    }
    assert_spool("{\"v\":1,\"event\":\"action\",\"action\":\"fill\",\"ts_ns\":1,\"run_id\":\"r\"," SID
                 ",\"seq\":4}",
                 SPOOL_LINE_INVALID);
}

static void a_line_that_is_not_of_the_spool_counts_without_a_sequence(void **state)
{
    static const char *const lines[] = {
        "{\"v\":1,\"decision\":\"accept\"}",
        "{}",
        "{\"v\":1,\"event\":\"action\",\"action\":\"fill\",\"ts_ns\":1,\"seq\":4}",
        "{\"v\":1,\"event\":\"action\"," SID "}",
        "{\"v\":1,\"event\":\"action\"," SID ",\"seq\":-4}",
        "{\"v\":1,\"event\":\"dance\"," SID ",\"seq\":4}",
        "{\"v\":1,\"event\":\"invalid\"," SID ",\"seq\":18446744073709551615}",
        "{\"v\":2,\"event\":\"invalid\"," SID ",\"seq\":4}",
        "{\"v\":1,\"event\":\"invalid\",\"sid\":\"xyz.3\",\"seq\":4}",
        "{\"v\":1,\"event\":\"drop\",\"reason\":\"spool_full\",\"count\":0," SID ",\"seq\":4}",
        "{\"v\":1,\"event\":\"drop\",\"reason\":\"because\",\"count\":1," SID ",\"seq\":4}",
        "{\"v\":1,\"event\":\"drop\",\"reason\":\"ring_full\",\"count\":1," SID ",\"seq\":4}",
        "{\"v\":1,\"event\":\"drop\",\"reason\":\"spool_full\",\"count\":2," SID
        ",\"seq\":18446744073709551615}",
        "{\"v\":1,\"event\":\"door\",\"ring_full\":3," SID "}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_spool(lines[i], SPOOL_LINE_BAD);
        assert_int_equal(spooled.observation.labels->source, SOURCE_UNKNOWN);
        assert_int_equal(spooled.observation.labels->drop, CONTRACT_UNKNOWN_SCHEMA);
        assert_false(spooled.observation.has_time);
    }
    assert_spool("{\"v\":1,\"event\":\"inva", SPOOL_LINE_BAD);
    assert_int_equal(spooled.observation.labels->drop, CONTRACT_BAD_JSON);
    assert_spool("[1]", SPOOL_LINE_BAD);
    assert_int_equal(spooled.observation.labels->drop, CONTRACT_OTHER);
}

static void sid_and_seq_mean_nothing_outside_the_spool(void **state)
{
    (void)state;
    assert_decision("{\"v\":1,\"event\":\"drop\",\"decision\":\"accept\",\"count\":9," SID ",\"seq\":4}",
                    "accept", "none", "");
    assert_int_equal(seen.labels->source, SOURCE_SAMPLE_V1);
}

/* ---- records of the SDK ---- */

static void an_sdk_row_fills_only_what_its_kind_has(void **state)
{
    struct event_row row = {.kind = AILIVE_KIND_DECISION,
                            .decision = AILIVE_NOOP,
                            .action = AILIVE_SUBMIT,
                            .time_ns = -5,
                            .latency_ns = 2000000};
    struct text reason = TEXT_OF("mine"), stage = TEXT_OF("s"), component = TEXT_OF("c"),
                run_id = TEXT_OF("r");
    struct labels labels;

    (void)state;
    memset(&labels, 0x5a, sizeof(labels));
    contract_sdk_labels(&row, reason, stage, component, run_id, &labels);
    contract_sdk_record(&row, &labels, &seen);
    assert_text("decision", "decision", labels.decision, "noop");
    assert_text("decision", "reason", labels.reason, "mine");
    assert_text("decision", "action", labels.action, "submit");
    assert_text("decision", "stage", labels.stage, "");
    assert_int_equal(labels.source, SOURCE_SDK_V1);
    assert_null(labels.route);
    assert_true(seen.has_time && seen.time_ns == -5 && seen.seconds.present && seen.ms.present);
    row.kind = AILIVE_KIND_STAGE;
    contract_sdk_labels(&row, reason, stage, component, run_id, &labels);
    contract_sdk_record(&row, &labels, &seen);
    assert_text("stage", "decision", labels.decision, "");
    assert_text("stage", "action", labels.action, "");
    assert_text("stage", "stage", labels.stage, "s");
    assert_true(seen.seconds.present && !seen.ms.present);
    row.kind = AILIVE_KIND_ACTION;
    contract_sdk_labels(&row, reason, stage, component, run_id, &labels);
    contract_sdk_record(&row, &labels, &seen);
    assert_text("action", "decision", labels.decision, "");
    assert_text("action", "action", labels.action, "submit");
    assert_true(!seen.seconds.present && !seen.ms.present);
}

static size_t random_line(char *line)
{
    static const char *const names[] = {
        "v",          "v",         "schema_version", "schema",      "ts_utc",
        "ts",         "component", "run_id",         "event_type",  "decision",
        "decision",   "reason",    "reason_code",    "action",      "latency_s",
        "latency_ms", "type",      "block_reason",   "gate_reason", "action_type"};
    static const char *const values[] = {"1",
                                         "1",
                                         "1.0",
                                         "2",
                                         "0",
                                         "null",
                                         "true",
                                         "false",
                                         "\"\"",
                                         "\" \"",
                                         "\"accept\"",
                                         "\"Deny \"",
                                         "\"none\"",
                                         "\"RISK_x\"",
                                         "\"submit\"",
                                         "\"fill\"",
                                         "\"BETA_EXEC_V1\"",
                                         "\"execution_event_v0\"",
                                         "\"created\"",
                                         "\"a b\"",
                                         "\"2026-01-25T01:09:48.123Z\"",
                                         "-1",
                                         "85.5",
                                         "[]",
                                         "[1]",
                                         "{}",
                                         "\"gate_rejected\"",
                                         "\"\\u00e9\""};
    char *at = line;

    *at++ = '{';
    for (size_t n = 1 + random_below(5); n > 0; n--)
        at +=
            sprintf(at, "\"%s\":%s%s", names[random_below(20)], values[random_below(28)], n > 1 ? "," : "}");
    return (size_t)(at - line);
}

static void assert_same(const char *line, const struct observation *a, const struct observation *b)
{
    if (!labels_equal(a->labels, b->labels) || a->has_time != b->has_time || a->time_ns != b->time_ns ||
        a->fault != b->fault || a->seconds.present != b->seconds.present ||
        a->seconds.picoseconds != b->seconds.picoseconds || a->ms.present != b->ms.present ||
        a->ms.picoseconds != b->ms.picoseconds)
        fail_msg("another line of its kind changes what it says: %s", line);
}

/* What a contract remembers of earlier lines must not show: each line says what it says to a new one. */
static void what_came_before_changes_nothing(void **state)
{
    char line[1024];

    (void)state;
    random_seed();
    for (int n = 0; n < 20000; n++) {
        struct contract *fresh = contract_new(NULL);
        size_t len = random_line(line);
        struct observation anew;

        assert_non_null(fresh);
        assert_int_equal(take_bytes(line, len), contract_line(fresh, line, len, NOW, &anew));
        assert_same(line, &seen, &anew);
        contract_free(fresh);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_blank_line_is_skipped_without_a_count),
        TEST(what_is_not_json_is_bad_json_of_an_unknown_source),
        TEST(an_over_long_line_is_bad_json),
        TEST(json_that_is_no_object_is_dropped_as_other),
        TEST(the_last_of_duplicate_keys_counts),
        TEST(a_line_may_end_in_carriage_return),
        TEST(the_source_is_decided_in_the_contracts_order),
        TEST(a_v_that_is_not_numerically_1_is_an_unknown_schema),
        TEST(every_decision_alias_has_its_meaning),
        TEST(a_decision_that_is_none_of_them_is_missing),
        TEST(the_eight_reasons_stay_and_others_are_other),
        TEST(a_falsy_reason_is_none),
        TEST(the_five_actions_count_and_anything_else_does_not),
        TEST(the_component_is_trimmed_or_the_default),
        TEST(the_run_id_is_cleaned_and_then_cut_to_32),
        TEST(given_defaults_stand_in_for_what_a_line_does_not_name),
        TEST(latency_s_or_else_latency_ms_feeds_the_seconds),
        TEST(a_latency_that_is_no_number_falls_through),
        TEST(a_latency_that_cannot_be_is_not_observed_and_the_event_counts),
        TEST(the_time_sets_freshness),
        TEST(a_missing_or_invalid_time_is_never_invented),
        TEST(escaped_keys_and_values_are_what_they_mean),
        TEST(every_beta_event_type_has_its_action_and_decision),
        TEST(beta_reason_codes_are_mapped_by_their_prefix),
        TEST(a_beta_line_without_event_type_misses_a_field),
        TEST(a_beta_event_type_that_is_not_handled_is_an_unknown_schema),
        TEST(every_exec_event_type_has_its_action_and_decision),
        TEST(exec_lines_take_their_time_from_ts),
        TEST(other_exec_event_types_are_dropped),
        TEST(an_unknown_line_is_dropped_whatever_else_it_does),
        TEST(an_unknown_decision_is_an_alias_or_stays_as_it_is),
        TEST(without_a_decision_the_type_decides_by_what_it_contains),
        TEST(a_truthy_type_hides_event_type),
        TEST(an_unknown_reason_is_the_first_string_there_is),
        TEST(an_unknown_action_is_the_first_string_there_is),
        TEST(unknown_lines_name_component_and_run_id_as_samples_do),
        TEST(unknown_latency_feeds_seconds_only_and_only_with_a_decision),
        TEST(equal_lines_share_their_labels_until_the_unit_is_cleared),
        TEST(a_spooled_decision_is_the_record_the_shipper_wrote),
        TEST(a_spooled_action_and_stage_are_the_records_the_shipper_wrote),
        TEST(spooled_drops_and_door_words_are_read_back),
        TEST(a_spool_record_with_a_bad_field_keeps_its_number_as_invalid),
        TEST(a_line_that_is_not_of_the_spool_counts_without_a_sequence),
        TEST(sid_and_seq_mean_nothing_outside_the_spool),
        TEST(an_sdk_row_fills_only_what_its_kind_has),
        TEST(what_came_before_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
