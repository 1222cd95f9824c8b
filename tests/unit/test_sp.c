/* test_sp.c - claims about sdk/wire/sp: the bytes of SP over ipc://, as libnng sends them. */
#include "wire/sp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void greeting_has_the_bytes_of_the_mapping(void **state)
{
    const unsigned char req[] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
    const unsigned char any[] = {0, 'S', 'P', 0, 0x12, 0x34, 0, 0};
    unsigned char out[SP_GREETING_BYTES];

    (void)state;
    sp_greeting(SP_PROTO_REQ, out);
    assert_memory_equal(out, req, sizeof(req));
    sp_greeting(0x1234, out);
    assert_memory_equal(out, any, sizeof(any));
}

static void greeting_with_any_bit_changed_is_none(void **state)
{
    unsigned char bytes[SP_GREETING_BYTES];

    (void)state;
    sp_greeting(SP_PROTO_REP, bytes);
    assert_true(sp_greeting_is(bytes, SP_PROTO_REP));
    assert_false(sp_greeting_is(bytes, SP_PROTO_REQ));
    for (unsigned bit = 0; bit < 8 * SP_GREETING_BYTES; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_false(sp_greeting_is(bytes, SP_PROTO_REP));
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
}

static void frame_head_is_one_and_a_big_endian_length(void **state)
{
    const unsigned char expected[SP_FRAME_BYTES] = {1, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    unsigned char head[SP_FRAME_BYTES];
    uint64_t length = 0;

    (void)state;
    sp_frame(0x0123456789abcdefu, head);
    assert_memory_equal(head, expected, sizeof(expected));
    assert_true(sp_frame_read(head, UINT64_MAX, &length));
    assert_true(length == 0x0123456789abcdefu);
}

static void frame_beyond_the_limit_or_of_another_type_is_refused(void **state)
{
    unsigned char head[SP_FRAME_BYTES];
    uint64_t length = 7;

    (void)state;
    sp_frame(1001, head);
    assert_false(sp_frame_read(head, 1000, &length));
    assert_int_equal(length, 7);
    assert_true(sp_frame_read(head, 1001, &length));
    assert_int_equal(length, 1001);
    sp_frame(UINT64_MAX, head);
    assert_false(sp_frame_read(head, 131072, &length));
    for (unsigned type = 0; type < 256; type++) {
        sp_frame(5, head);
        head[0] = (unsigned char)type;
        assert_int_equal(sp_frame_read(head, 1000, &length), type == 1);
    }
}

static void request_id_has_its_high_bit_set(void **state)
{
    const unsigned char five[] = {0x80, 0, 0, 5}, last[] = {0xff, 0xff, 0xff, 0xff};
    unsigned char id[SP_REQUEST_ID_BYTES];

    (void)state;
    sp_request_id(5, id);
    assert_memory_equal(id, five, sizeof(five));
    sp_request_id(UINT32_MAX, id);
    assert_memory_equal(id, last, sizeof(last));
    sp_request_id(0x7fffffff, id);
    assert_memory_equal(id, last, sizeof(last));
}

static void backtrace_ends_with_the_word_that_has_its_high_bit_set(void **state)
{
    unsigned char payload[4 * (SP_BACKTRACE_WORDS + 2)];

    (void)state;
    for (size_t words = 1; words <= SP_BACKTRACE_WORDS + 1; words++) {
        memset(payload, 0x7f, sizeof(payload));
        payload[4 * (words - 1)] = 0x80;
        assert_int_equal(sp_backtrace_bytes(payload, sizeof(payload)),
                         words <= SP_BACKTRACE_WORDS ? 4 * words : 0);
        /* cut within the backtrace there is none; cut right behind it there is */
        if (words <= SP_BACKTRACE_WORDS) {
            assert_int_equal(sp_backtrace_bytes(payload, 4 * words), 4 * words);
            assert_int_equal(sp_backtrace_bytes(payload, 4 * words - 1), 0);
        }
    }
    assert_int_equal(sp_backtrace_bytes(payload, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greeting_has_the_bytes_of_the_mapping),
        cmocka_unit_test(greeting_with_any_bit_changed_is_none),
        cmocka_unit_test(frame_head_is_one_and_a_big_endian_length),
        cmocka_unit_test(frame_beyond_the_limit_or_of_another_type_is_refused),
        cmocka_unit_test(request_id_has_its_high_bit_set),
        cmocka_unit_test(backtrace_ends_with_the_word_that_has_its_high_bit_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
