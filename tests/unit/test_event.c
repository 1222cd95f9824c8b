/* test_event.c - claims about sdk/wire/event: texts, producer ids and slot words. */
#include "wire/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef const char *(*name_fn)(unsigned);
typedef int (*find_fn)(const char *, size_t);

static void check_names(name_fn name, find_fn find, unsigned from, const char *const *texts, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_string_equal(name(from + i), texts[i]);
        if (find)
            assert_int_equal(find(texts[i], strlen(texts[i])), from + i);
    }
    assert_null(name(from + count));
    assert_null(name(~0u));
    if (from > 0)
        assert_null(name(0));
}

static void texts_are_the_contracts_and_found_again(void **state)
{
    static const char *const drops[] = {"ring_full", "no_ring", "spool_full", "refused", "invalid", "lost"};
    static const char *const decisions[] = {"accept", "reject", "noop"};
    static const char *const actions[] = {"none",   "order_intent", "order_request",
                                          "submit", "cancel",       "fill"};
    static const char *const kinds[] = {"decision", "action", "stage"};
    static const char *const reasons[] = {"none",          "no_signal",  "cooldown",
                                          "market_closed", "risk_limit", "governance_no_live",
                                          "invalid_order", "other"};

    (void)state;
    check_names(event_drop_name, event_drop_find, 0, drops, 6);
    check_names(event_decision_name, event_decision_find, AILIVE_ACCEPT, decisions, 3);
    check_names(event_action_name, event_action_find, AILIVE_ACTION_NONE, actions, 6);
    check_names(event_kind_name, event_kind_find, AILIVE_KIND_DECISION, kinds, 3);
    check_names(event_reason_name, NULL, 0, reasons, 8);
}

static void only_the_exact_text_is_found(void **state)
{
    (void)state;
    assert_int_equal(event_decision_find("acceptx", 6), AILIVE_ACCEPT); /* the length decides, not a NUL */
    assert_int_equal(event_decision_find("acceptx", 7), -1);
    assert_int_equal(event_decision_find("accept", 5), -1);
    assert_int_equal(event_decision_find("Accept", 6), -1);
    assert_int_equal(event_decision_find("", 0), -1);
    assert_int_equal(event_kind_find("", 0), -1);
    assert_int_equal(event_action_find("sell", 4), -1);
    assert_int_equal(event_drop_find("bad_json", 8), -1);
}

static void producer_id_survives_its_text(void **state)
{
    struct event_producer producer, again;
    char text[EVENT_PRODUCER_HEX + 1];

    (void)state;
    for (unsigned i = 0; i < EVENT_PRODUCER_BYTES; i++)
        producer.bytes[i] = (unsigned char)(0x0f + 0x11 * i);
    event_producer_format(&producer, text);
    assert_string_equal(text, "0f2031425364758697a8b9cadbecfd0e");
    assert_true(event_producer_parse(text, EVENT_PRODUCER_HEX, &again));
    assert_memory_equal(&producer, &again, sizeof(producer));
}

static void text_that_is_no_producer_id_is_refused_and_changes_nothing(void **state)
{
    static const char *const wrong[] = {
        "",
        "0f2031425364758697a8b9cadbecfd0",
        "0f2031425364758697a8b9cadbecfd0ee",
        "0F2031425364758697a8b9cadbecfd0e",
        "0f2031425364758697a8b9cadbecfd0g",
        " f2031425364758697a8b9cadbecfd0e",
        "0f2031425364758697a8b9cadbecfd0/",
        "0f2031425364758697a8b9cadbecfd0:",
        "0f2031425364758697a8b9cadbecfd0`",
    };
    struct event_producer before, out;

    (void)state;
    memset(&before, 0xa5, sizeof(before));
    out = before;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(event_producer_parse(wrong[i], strlen(wrong[i]), &out));
    assert_memory_equal(&before, &out, sizeof(out));
}

static void slot_words_carry_every_field_at_its_place(void **state)
{
    const uint64_t words[4] = {0x1122334455667788u, 0x8000000000000000u, 0xaaaabbbb01030201u,
                               0x00000000ddddccccu};
    struct event_row row;

    (void)state;
    assert_true(event_row_unpack(words, &row));
    assert_int_equal(row.time_ns, 0x1122334455667788);
    assert_true(row.latency_ns == AILIVE_NO_LATENCY);
    assert_int_equal(row.kind, 1);
    assert_int_equal(row.decision, 2);
    assert_int_equal(row.action, 3);
    assert_int_equal(row.reason, 0xbbbb);
    assert_int_equal(row.stage, 0xaaaa);
    assert_int_equal(row.component, 0xcccc);
    assert_int_equal(row.run_id, 0xdddd);
}

static void words_of_a_recording_call_unpack_to_its_arguments(void **state)
{
    struct ailive_scope scope = {700, 65535};
    uint64_t words[4] = {12345, 77, ailive_what(AILIVE_KIND_DECISION, AILIVE_NOOP, AILIVE_FILL, 999, 0),
                         ailive_scope_word(scope)};
    struct event_row row;

    (void)state;
    assert_false(event_row_unpack(words, &row)); /* without the flag the time is counter ticks */
    assert_int_equal(row.kind, AILIVE_KIND_DECISION);
    assert_int_equal(row.decision, AILIVE_NOOP);
    assert_int_equal(row.action, AILIVE_FILL);
    assert_int_equal(row.reason, 999);
    assert_int_equal(row.stage, 0);
    assert_int_equal(row.component, 700);
    assert_int_equal(row.run_id, 65535);
}

static void packed_rows_unpack_to_themselves(void **state)
{
    const struct event_row row = {
        .time_ns = -1,
        .latency_ns = -7,
        .kind = AILIVE_KIND_STAGE,
        .decision = 255,
        .action = 254,
        .reason = 65535,
        .stage = 65534,
        .component = 8,
        .run_id = 9,
    };
    struct event_row again;
    uint64_t words[4];

    (void)state;
    memset(&again, 0, sizeof(again));
    event_row_pack_utc(&row, words);
    assert_true(event_row_unpack(words, &again));
    assert_true(again.time_ns == row.time_ns && again.latency_ns == row.latency_ns);
    assert_true(again.kind == row.kind && again.decision == row.decision && again.action == row.action);
    assert_true(again.reason == row.reason && again.stage == row.stage);
    assert_true(again.component == row.component && again.run_id == row.run_id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_the_contracts_and_found_again),
        cmocka_unit_test(only_the_exact_text_is_found),
        cmocka_unit_test(producer_id_survives_its_text),
        cmocka_unit_test(text_that_is_no_producer_id_is_refused_and_changes_nothing),
        cmocka_unit_test(slot_words_carry_every_field_at_its_place),
        cmocka_unit_test(words_of_a_recording_call_unpack_to_its_arguments),
        cmocka_unit_test(packed_rows_unpack_to_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
