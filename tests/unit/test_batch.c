/* test_batch.c - claims about sdk/wire/batch: the golden bytes, what msgpack-c reads in them, and that no
 * other bytes do harm. */
#include "wire/batch.h"

#include "support/random.h"

#include "unit/golden/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <msgpack.h>

#define MAX_ROWS 64

static struct batch_storage storage;
static const struct layout_name *by_id[BATCH_IDS];

/* ---- what a batch holds, in memory of its own ---- */

struct sample {
    struct batch batch;
    struct event_row rows[MAX_ROWS];
    struct layout_name names[MAX_ROWS];
    char texts[MAX_ROWS][AILIVE_NAME_MAX_BYTES];
    unsigned char columns[BATCH_COLUMNS][MAX_ROWS * 8];
    unsigned char shapes[MAX_ROWS * BATCH_SHAPE_BYTES];
};

/* The number of a row's shape, put behind the others when it is new. */
static uint16_t sample_shape(struct sample *sample, const struct event_row *row)
{
    unsigned char shape[BATCH_SHAPE_BYTES];
    uint64_t words[4];
    uint32_t i = 0;

    event_row_pack_utc(row, words);
    batch_shape_put(words, shape);
    while (i < sample->batch.shape_count &&
           memcmp(sample->shapes + (size_t)i * BATCH_SHAPE_BYTES, shape, BATCH_SHAPE_BYTES) != 0)
        i++;
    memcpy(sample->shapes + (size_t)i * BATCH_SHAPE_BYTES, shape, BATCH_SHAPE_BYTES);
    if (i == sample->batch.shape_count)
        sample->batch.shape_count++;
    return (uint16_t)i;
}

static void sample_columns(struct sample *sample)
{
    sample->batch.shape_count = 0;
    sample->batch.shapes = sample->shapes;
    for (uint32_t i = 0; i < sample->batch.count; i++) {
        const struct event_row *row = &sample->rows[i];
        const uint16_t shape = sample_shape(sample, row);
        const void *cells[BATCH_COLUMNS] = {&row->time_ns, &row->latency_ns, &shape};

        for (size_t c = 0; c < BATCH_COLUMNS; c++)
            memcpy(sample->columns[c] + (size_t)i * batch_column_bytes[c], cells[c], batch_column_bytes[c]);
    }
    for (size_t c = 0; c < BATCH_COLUMNS; c++)
        sample->batch.columns[c] = sample->columns[c];
    sample->batch.names = sample->names;
}

static const struct event_producer golden_producer = {
    {0x18, 0x8d, 0xd4, 0x0e, 0xac, 0xfe, 0x65, 0x15, 1, 2, 3, 4, 5, 6, 7, 8}};

static void sample_golden(struct sample *sample)
{
    static const struct layout_name names[] = {{8, AILIVE_NAME_COMPONENT, 15, "execution_watch"},
                                               {9, AILIVE_NAME_RUN_ID, 4, "demo"},
                                               {10, AILIVE_NAME_STAGE, 10, "risk_check"},
                                               {11, AILIVE_NAME_REASON, 15, "spread_too_wide"}};
    const struct event_row rows[] = {
        {1769303388200000001, 85000000, AILIVE_KIND_DECISION, AILIVE_ACCEPT, AILIVE_SUBMIT, 0, 0, 8, 9},
        {1769303388200000002, 10000000, AILIVE_KIND_DECISION, AILIVE_REJECT, 0, 11, 0, 8, 9},
        {1769303388300000003, AILIVE_NO_LATENCY, AILIVE_KIND_ACTION, 0, AILIVE_FILL, 0, 0, 8, 9},
        {1769303388300000004, 1234, AILIVE_KIND_STAGE, 0, 0, 0, 10, 8, 9}};

    memset(sample, 0, sizeof(*sample));
    sample->batch = (struct batch){.producer = golden_producer,
                                   .ring = 3,
                                   .first = 70000,
                                   .count = 4,
                                   .tail = 69990,
                                   .drop = -1,
                                   .name_count = 4,
                                   .door = {2},
                                   .totals = {70010, 69000, 990, 10}};
    memcpy(sample->rows, rows, sizeof(rows));
    memcpy(sample->names, names, sizeof(names));
    sample_columns(sample);
}

static bool rows_equal(const struct event_row *a, const struct event_row *b)
{
    return a->time_ns == b->time_ns && a->latency_ns == b->latency_ns && a->kind == b->kind &&
           a->decision == b->decision && a->action == b->action && a->reason == b->reason &&
           a->stage == b->stage && a->component == b->component && a->run_id == b->run_id;
}

static void assert_same_batch(const struct batch *got, const struct sample *expected)
{
    const struct batch *want = &expected->batch;
    struct event_row row;

    assert_memory_equal(&got->producer, &want->producer, sizeof(got->producer));
    assert_int_equal(got->ring, want->ring);
    assert_true(got->first == want->first && got->count == want->count && got->tail == want->tail);
    assert_int_equal(got->drop, want->drop);
    assert_memory_equal(got->door, want->door, sizeof(got->door));
    assert_memory_equal(&got->totals, &want->totals, sizeof(got->totals));
    assert_int_equal(got->name_count, want->name_count);
    for (uint32_t i = 0; i < want->name_count; i++) {
        assert_int_equal(got->names[i].id, want->names[i].id);
        assert_int_equal(got->names[i].kind, want->names[i].kind);
        assert_int_equal(got->names[i].len_bytes, want->names[i].len_bytes);
        assert_memory_equal(got->names[i].text, want->names[i].text, want->names[i].len_bytes);
    }
    for (uint32_t i = 0; want->drop < 0 && i < want->count; i++) {
        batch_row(got, i, &row);
        assert_true(rows_equal(&row, &expected->rows[i]));
    }
}

/* Decodes a copy in memory of exactly its size, so that a read beyond it is seen by the sanitizer; goes
 * through all rows of what is accepted. The batch points into freed memory afterwards: numbers only. */
static enum batch_verdict decode_exact(const unsigned char *bytes, size_t len, struct batch *out,
                                       const char **why)
{
    unsigned char *exact = malloc(len ? len : 1);
    enum batch_verdict verdict;
    struct event_row row;

    assert_non_null(exact);
    memcpy(exact, bytes, len);
    *why = NULL;
    verdict = batch_decode(exact, len, &storage, out, why);
    if (verdict == BATCH_OK && out->drop < 0) {
        batch_index_names(out, by_id);
        for (uint32_t i = 0; i < out->count; i++) {
            batch_row(out, i, &row);
            (void)batch_row_valid(&row, by_id);
        }
        batch_unindex_names(out, by_id);
    }
    assert_true(verdict == BATCH_OK ? *why == NULL : *why != NULL);
    free(exact);
    return verdict;
}

/* ---- the golden bytes ---- */

static void batch_has_the_golden_bytes(void **state)
{
    unsigned char golden[1024], out[1024];
    size_t golden_len = golden_read("batch.hex", golden, sizeof(golden));
    struct sample sample;

    (void)state;
    sample_golden(&sample);
    assert_int_equal(batch_encode(&sample.batch, out, sizeof(out)), golden_len);
    assert_memory_equal(out, golden, golden_len);
}

static void golden_bytes_decode_to_the_batch(void **state)
{
    unsigned char golden[1024];
    size_t len = golden_read("batch.hex", golden, sizeof(golden));
    struct sample sample;
    struct batch out;

    (void)state;
    sample_golden(&sample);
    assert_int_equal(batch_decode(golden, len, &storage, &out, NULL), BATCH_OK);
    assert_same_batch(&out, &sample);
}

static struct batch_reply reply_golden(void)
{
    struct batch_reply reply = {.producer = golden_producer,
                                .ring = 3,
                                .first = 70000,
                                .count = 4,
                                .status = BATCH_BAD_ROWS,
                                .bad = 1};

    for (unsigned i = 0; i < BATCH_EPOCH_BYTES; i++)
        reply.epoch[i] = (unsigned char)(0xe0 + i);
    return reply;
}

static void reply_has_the_golden_bytes_and_decodes_from_them(void **state)
{
    unsigned char golden[BATCH_REPLY_MAX_BYTES], out[BATCH_REPLY_MAX_BYTES];
    size_t len = golden_read("reply.hex", golden, sizeof(golden));
    struct batch_reply reply = reply_golden(), again;

    (void)state;
    assert_int_equal(batch_reply_encode(&reply, out, sizeof(out)), len);
    assert_memory_equal(out, golden, len);
    memset(&again, 0xee, sizeof(again));
    assert_true(batch_reply_decode(golden, len, &again));
    assert_memory_equal(again.epoch, reply.epoch, sizeof(again.epoch));
    assert_memory_equal(&again.producer, &reply.producer, sizeof(again.producer));
    assert_true(again.ring == 3 && again.first == 70000 && again.count == 4);
    assert_true(again.status == BATCH_BAD_ROWS && again.bad == 1);
}

/* ---- msgpack-c as an independent witness ---- */

/* Small and large numbers alike, so that every width of integer is met. */
static uint64_t random_number(void)
{
    return random_u64() >> (random_u64() % 64);
}

static int seed_random(void **state)
{
    (void)state;
    random_seed();
    return 0;
}

static void sample_random(struct sample *sample)
{
    struct batch *batch = &sample->batch;

    memset(sample, 0, sizeof(*sample));
    for (size_t i = 0; i < EVENT_PRODUCER_BYTES; i++)
        batch->producer.bytes[i] = (unsigned char)random_u64();
    batch->ring = (uint32_t)(random_u64() % LAYOUT_RINGS_MAX);
    batch->count = (uint32_t)(random_u64() % MAX_ROWS);
    batch->first = random_number() & ~(uint64_t)MAX_ROWS;
    batch->tail = random_number();
    batch->drop = batch->count > 0 && random_u64() % 4 == 0 ? (int)(2 + random_u64() % 4) : -1;
    for (size_t i = 0; i < LAYOUT_DOOR_WORDS; i++)
        batch->door[i] = random_number();
    batch->totals = (struct batch_totals){random_number(), random_number(), random_number(), random_number()};
    batch->name_count = (uint32_t)(random_u64() % MAX_ROWS);
    for (uint32_t i = 0; i < batch->name_count; i++) {
        uint8_t len = (uint8_t)(1 + random_u64() % AILIVE_NAME_MAX_BYTES);
        memset(sample->texts[i], 'a' + (int)(random_u64() % 26), len);
        sample->names[i] = (struct layout_name){(ailive_name)(1 + random_number() % 65535),
                                                (uint8_t)(1 + random_u64() % 4), len, sample->texts[i]};
    }
    for (uint32_t i = 0; i < batch->count; i++)
        sample->rows[i] = (struct event_row){
            (int64_t)random_u64(),     (int64_t)random_u64(),     (uint8_t)random_u64(),
            (uint8_t)random_u64(),     (uint8_t)random_u64(),     (ailive_name)random_u64(),
            (ailive_name)random_u64(), (ailive_name)random_u64(), (ailive_name)random_u64()};
    sample_columns(sample);
    for (size_t c = 0; c < BATCH_COLUMNS && (batch->count == 0 || batch->drop >= 0); c++)
        batch->columns[c] = NULL;
    if (batch->count == 0 || batch->drop >= 0)
        batch->shape_count = 0;
}

static const msgpack_object *value_of(const msgpack_object *map, const char *key)
{
    const msgpack_object *found = NULL;

    assert_int_equal(map->type, MSGPACK_OBJECT_MAP);
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *pair = &map->via.map.ptr[i];
        assert_int_equal(pair->key.type, MSGPACK_OBJECT_STR);
        if (pair->key.via.str.size == strlen(key) &&
            memcmp(pair->key.via.str.ptr, key, pair->key.via.str.size) == 0) {
            assert_null(found);
            found = &pair->val;
        }
    }
    return found;
}

static void assert_number(const msgpack_object *object, uint64_t expected)
{
    assert_non_null(object);
    assert_int_equal(object->type, MSGPACK_OBJECT_POSITIVE_INTEGER);
    assert_true(object->via.u64 == expected);
}

static void assert_bin(const msgpack_object *object, const void *bytes, size_t len)
{
    assert_non_null(object);
    assert_int_equal(object->type, MSGPACK_OBJECT_BIN);
    assert_int_equal(object->via.bin.size, len);
    assert_memory_equal(object->via.bin.ptr, bytes, len);
}

static void assert_numbers(const msgpack_object *object, const uint64_t *expected, uint32_t count)
{
    assert_non_null(object);
    assert_int_equal(object->type, MSGPACK_OBJECT_ARRAY);
    assert_int_equal(object->via.array.size, count);
    for (uint32_t i = 0; i < count; i++)
        assert_number(&object->via.array.ptr[i], expected[i]);
}

static void witness_names(const msgpack_object *names, const struct sample *sample)
{
    assert_non_null(names);
    assert_int_equal(names->type, MSGPACK_OBJECT_ARRAY);
    assert_int_equal(names->via.array.size, sample->batch.name_count);
    for (uint32_t i = 0; i < sample->batch.name_count; i++) {
        const msgpack_object *entry = &names->via.array.ptr[i];
        const msgpack_object *text = &entry->via.array.ptr[2];
        assert_int_equal(entry->type, MSGPACK_OBJECT_ARRAY);
        assert_int_equal(entry->via.array.size, 3);
        assert_number(&entry->via.array.ptr[0], sample->names[i].id);
        assert_number(&entry->via.array.ptr[1], sample->names[i].kind);
        assert_int_equal(text->type, MSGPACK_OBJECT_STR);
        assert_int_equal(text->via.str.size, sample->names[i].len_bytes);
        assert_memory_equal(text->via.str.ptr, sample->names[i].text, text->via.str.size);
    }
}

static void witness_columns(const msgpack_object *columns, const struct sample *sample)
{
    static const char *const keys[BATCH_COLUMNS] = {"time", "latency", "shape"};

    if (sample->batch.count == 0 || sample->batch.drop >= 0) {
        assert_null(columns);
        return;
    }
    assert_non_null(columns);
    assert_int_equal(columns->via.map.size, BATCH_COLUMNS);
    for (size_t c = 0; c < BATCH_COLUMNS; c++)
        assert_bin(value_of(columns, keys[c]), sample->columns[c],
                   (size_t)sample->batch.count * batch_column_bytes[c]);
}

static void witness(const unsigned char *bytes, size_t len, const struct sample *sample)
{
    const struct batch *batch = &sample->batch;
    const uint64_t totals[] = {batch->totals.recorded, batch->totals.shipped, batch->totals.spooled,
                               batch->totals.dropped};
    msgpack_unpacked unpacked;
    const msgpack_object *map;
    size_t offset = 0;

    msgpack_unpacked_init(&unpacked);
    assert_int_equal(msgpack_unpack_next(&unpacked, (const char *)bytes, len, &offset),
                     MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(offset, len);
    map = &unpacked.data;
    assert_number(value_of(map, "v"), BATCH_VERSION);
    assert_bin(value_of(map, "p"), batch->producer.bytes, EVENT_PRODUCER_BYTES);
    assert_number(value_of(map, "r"), batch->ring);
    assert_number(value_of(map, "f"), batch->first);
    assert_number(value_of(map, "n"), batch->count);
    assert_number(value_of(map, "t"), batch->tail);
    witness_names(value_of(map, "names"), sample);
    witness_columns(value_of(map, "cols"), sample);
    if (value_of(map, "cols"))
        assert_bin(value_of(map, "shapes"), sample->shapes, (size_t)batch->shape_count * BATCH_SHAPE_BYTES);
    if (batch->drop >= 0)
        assert_number(value_of(map, "drop"), (uint64_t)batch->drop);
    else
        assert_null(value_of(map, "drop"));
    assert_numbers(value_of(map, "door"), batch->door, LAYOUT_DOOR_WORDS);
    assert_numbers(value_of(map, "tot"), totals, 4);
    msgpack_unpacked_destroy(&unpacked);
}

static void msgpack_c_and_our_cursor_read_the_same_in_any_batch(void **state)
{
    static unsigned char out[BATCH_MAX_BYTES];
    static struct sample sample;
    struct batch again;
    size_t len;

    (void)state;
    for (int round = 0; round < 500; round++) {
        sample_random(&sample);
        len = batch_encode(&sample.batch, out, sizeof(out));
        assert_true(len > 0);
        witness(out, len, &sample);
        assert_int_equal(batch_decode(out, len, &storage, &again, NULL), BATCH_OK);
        assert_same_batch(&again, &sample);
    }
}

static void greeting_carries_door_words_and_no_rows(void **state)
{
    struct batch greeting = {.producer = golden_producer, .drop = -1, .door = {9, 8}, .totals = {1, 2, 3, 4}};
    unsigned char out[256];
    struct batch again;
    size_t len = batch_encode(&greeting, out, sizeof(out));

    (void)state;
    assert_true(len > 0);
    assert_int_equal(batch_decode(out, len, &storage, &again, NULL), BATCH_OK);
    assert_int_equal(again.count, 0);
    assert_int_equal(again.drop, -1);
    assert_null(again.columns[BATCH_TIME]);
    assert_int_equal(again.door[1], 8);
    assert_int_equal(again.totals.dropped, 4);
}

/* ---- sizes ---- */

static void batch_that_does_not_fit_gives_0_and_stays_in_its_buffer(void **state)
{
    unsigned char golden[1024];
    size_t len = golden_read("batch.hex", golden, sizeof(golden));
    struct batch_reply reply = reply_golden();
    struct sample sample;

    (void)state;
    sample_golden(&sample);
    for (size_t cap = 0; cap < len; cap++) {
        unsigned char *exact = malloc(cap ? cap : 1);
        assert_non_null(exact);
        assert_int_equal(batch_encode(&sample.batch, exact, cap), 0);
        if (cap < golden_read("reply.hex", golden, sizeof(golden)))
            assert_int_equal(batch_reply_encode(&reply, exact, cap), 0);
        free(exact);
    }
}

static void longest_reply_fits_its_limit(void **state)
{
    unsigned char out[BATCH_REPLY_MAX_BYTES];
    struct batch_reply reply;

    (void)state;
    memset(&reply, 0xff, sizeof(reply));
    assert_in_range(batch_reply_encode(&reply, out, sizeof(out)), 80, BATCH_REPLY_MAX_BYTES);
}

/* The largest numbers everywhere and as many rows as batch_rows_max() allows. */
static void check_rows_max(uint32_t name_count, uint8_t text_bytes, uint32_t shape_count)
{
    static unsigned char zeros[BATCH_MAX_BYTES], out[BATCH_MAX_BYTES];
    static struct layout_name names[BATCH_MAX_NAMES];
    static char text[AILIVE_NAME_MAX_BYTES];
    struct batch batch = {.ring = LAYOUT_RINGS_MAX - 1, .tail = UINT64_MAX, .drop = -1, .names = names};
    struct batch again;
    size_t len;

    for (uint32_t i = 0; i < name_count; i++)
        names[i] = (struct layout_name){(ailive_name)(65535 - i), AILIVE_NAME_RUN_ID, text_bytes, text};
    batch.name_count = name_count;
    batch.shapes = zeros;
    batch.shape_count = shape_count;
    batch.count = batch_rows_max(name_count, (size_t)name_count * text_bytes, shape_count);
    batch.first = UINT64_MAX - batch.count;
    memset(batch.door, 0xff, sizeof(batch.door));
    memset(&batch.totals, 0xff, sizeof(batch.totals));
    for (size_t c = 0; c < BATCH_COLUMNS; c++)
        batch.columns[c] = zeros;
    assert_true(batch.count > 900);
    len = batch_encode(&batch, out, sizeof(out));
    assert_true(len > 0);
    assert_true(len <= 300 + (size_t)name_count * (8 + text_bytes) + (size_t)batch.count * BATCH_ROW_BYTES +
                           (size_t)shape_count * BATCH_SHAPE_BYTES);
    assert_int_equal(batch_decode(out, len, &storage, &again, NULL), BATCH_OK);
    assert_int_equal(again.count, batch.count);
}

static void batch_of_the_most_rows_fits_its_limit(void **state)
{
    (void)state;
    check_rows_max(0, 0, 1);
    check_rows_max(BATCH_MAX_NAMES, AILIVE_NAME_MAX_BYTES, 1);
    check_rows_max(BATCH_MAX_NAMES, 1, 1);
    check_rows_max(4, 10, 4000);
    assert_int_equal(batch_rows_max(1000, 131072, 0), 0);
    assert_int_equal(batch_rows_max(UINT32_MAX, 0, 0), 0);
    assert_int_equal(batch_rows_max(0, SIZE_MAX, 0), 0);
    assert_int_equal(batch_rows_max(0, 0, UINT32_MAX), 0);
}

/* ---- damage ---- */

static void batch_cut_at_any_byte_is_refused(void **state)
{
    unsigned char golden[1024];
    size_t len = golden_read("batch.hex", golden, sizeof(golden));
    struct batch out;
    const char *why;

    (void)state;
    for (size_t cut = 0; cut < len; cut++) {
        enum batch_verdict verdict = decode_exact(golden, cut, &out, &why);
        /* 37 bytes hold version, producer, ring, first and count: a reply can name the batch */
        assert_int_equal(verdict, cut < 37 ? BATCH_UNADDRESSED : BATCH_MALFORMED);
        if (verdict == BATCH_MALFORMED)
            assert_true(out.ring == 3 && out.first == 70000 && out.count == 4);
    }
    golden[len] = 0xc0;
    assert_int_equal(decode_exact(golden, len + 1, &out, &why), BATCH_MALFORMED);
    assert_non_null(strstr(why, "follow"));
}

static void any_value_of_any_byte_does_no_harm(void **state)
{
    unsigned char golden[1024], bytes[1024];
    size_t len = golden_read("batch.hex", golden, sizeof(golden));
    struct batch out;
    const char *why;

    (void)state;
    memcpy(bytes, golden, len);
    for (size_t at = 0; at < len; at++) {
        for (unsigned value = 0; value < 256; value++) {
            bytes[at] = (unsigned char)value;
            if (decode_exact(bytes, len, &out, &why) == BATCH_OK) {
                assert_true(out.ring < LAYOUT_RINGS_MAX);
                assert_true(out.first + out.count >= out.first);
            }
        }
        bytes[at] = golden[at];
    }
}

static void reply_cut_or_changed_anywhere_does_no_harm(void **state)
{
    unsigned char golden[BATCH_REPLY_MAX_BYTES], *exact;
    size_t len = golden_read("reply.hex", golden, sizeof(golden));
    struct batch_reply out;

    (void)state;
    for (size_t cut = 0; cut < len; cut++) {
        exact = malloc(cut ? cut : 1);
        assert_non_null(exact);
        memcpy(exact, golden, cut);
        assert_false(batch_reply_decode(exact, cut, &out));
        free(exact);
    }
    exact = malloc(len);
    assert_non_null(exact);
    memcpy(exact, golden, len);
    for (size_t at = 0; at < len; at++) {
        for (unsigned value = 0; value < 256; value++) {
            exact[at] = (unsigned char)value;
            if (batch_reply_decode(exact, len, &out))
                assert_in_range(out.status, BATCH_COUNTED, BATCH_NO_VERSION);
        }
        exact[at] = golden[at];
    }
    free(exact);
}

/* ---- messages no encoder of ours would make ---- */

/* A message under construction; the head is one byte, so at most 15 pairs. */
struct message {
    msgpack_sbuffer buffer;
    msgpack_packer packer;
};

static void message_begin(struct message *message, unsigned pairs)
{
    msgpack_sbuffer_init(&message->buffer);
    msgpack_packer_init(&message->packer, &message->buffer, msgpack_sbuffer_write);
    msgpack_pack_map(&message->packer, pairs);
}

static void add_key(struct message *message, const char *key)
{
    msgpack_pack_str(&message->packer, strlen(key));
    msgpack_pack_str_body(&message->packer, key, strlen(key));
}

static void add_number(struct message *message, const char *key, uint64_t value)
{
    add_key(message, key);
    msgpack_pack_uint64(&message->packer, value);
}

static void add_bin(struct message *message, const char *key, const void *bytes, size_t len)
{
    add_key(message, key);
    msgpack_pack_bin(&message->packer, len);
    msgpack_pack_bin_body(&message->packer, bytes, len);
}

static void add_bytes(struct message *message, const void *bytes, size_t len)
{
    msgpack_sbuffer_write(&message->buffer, bytes, len);
}

/* The six keys every batch needs. */
static void add_address(struct message *message, uint64_t version, uint64_t ring, uint64_t first,
                        uint64_t count)
{
    add_number(message, "v", version);
    add_bin(message, "p", golden_producer.bytes, EVENT_PRODUCER_BYTES);
    add_number(message, "r", ring);
    add_number(message, "f", first);
    add_number(message, "n", count);
    add_number(message, "t", 0);
}

static void add_columns(struct message *message, uint32_t rows)
{
    static const char *const keys[BATCH_COLUMNS] = {"time", "latency", "shape"};
    static const unsigned char zeros[MAX_ROWS * 8];

    add_bin(message, "shapes", zeros, rows > 0 ? BATCH_SHAPE_BYTES : 0);
    add_key(message, "cols");
    msgpack_pack_map(&message->packer, BATCH_COLUMNS);
    for (size_t c = 0; c < BATCH_COLUMNS; c++)
        add_bin(message, keys[c], zeros, (size_t)rows * batch_column_bytes[c]);
}

/* Ends a message, decodes it and says so when the verdict or the complaint is another. */
static void assert_verdict(struct message *message, enum batch_verdict expected, const char *complaint)
{
    struct batch out;
    const char *why;
    enum batch_verdict verdict =
        decode_exact((const unsigned char *)message->buffer.data, message->buffer.size, &out, &why);

    if (verdict != expected || (complaint && !strstr(why, complaint)))
        fail_msg("verdict %d, %s; expected %d, %s", (int)verdict, why ? why : "-", (int)expected,
                 complaint ? complaint : "-");
    msgpack_sbuffer_destroy(&message->buffer);
}

static void required_keys_alone_are_a_batch(void **state)
{
    struct message message;

    (void)state;
    message_begin(&message, 6);
    add_address(&message, 1, 0, 0, 0);
    assert_verdict(&message, BATCH_OK, NULL);
    message_begin(&message, 8);
    add_address(&message, 1, 5, 7, 2);
    add_columns(&message, 2);
    assert_verdict(&message, BATCH_OK, NULL);
}

static void each_required_key_is_missed(void **state)
{
    static const char *const keys[] = {"v", "r", "f", "n", "t"};
    struct message message;

    (void)state;
    for (size_t missing = 0; missing < 6; missing++) {
        message_begin(&message, 5);
        for (size_t i = 0; i < 5; i++)
            if (i != missing)
                add_number(&message, keys[i], i == 0);
        if (missing < 5)
            add_bin(&message, "p", golden_producer.bytes, EVENT_PRODUCER_BYTES);
        assert_verdict(&message, missing == 0 || missing == 4 ? BATCH_MALFORMED : BATCH_UNADDRESSED, NULL);
    }
}

static void numbers_out_of_range_are_refused(void **state)
{
    struct message message;

    (void)state;
    message_begin(&message, 6);
    add_address(&message, 1, LAYOUT_RINGS_MAX, 0, 0);
    assert_verdict(&message, BATCH_MALFORMED, "1024");
    message_begin(&message, 8);
    add_address(&message, 1, 1, UINT64_MAX - 1, 2);
    add_columns(&message, 2);
    assert_verdict(&message, BATCH_MALFORMED, "beyond 64 bits");
    message_begin(&message, 8);
    add_address(&message, 1, 1, UINT64_MAX - 2, 2);
    add_columns(&message, 2);
    assert_verdict(&message, BATCH_OK, NULL);
    message_begin(&message, 6);
    add_address(&message, 1, 1, 0, (uint64_t)UINT32_MAX + 1);
    assert_verdict(&message, BATCH_UNADDRESSED, "\"n\"");
}

static void rows_must_be_there_once_and_of_their_length(void **state)
{
    struct message message;

    (void)state;
    message_begin(&message, 8);
    add_address(&message, 1, 1, 0, 3);
    add_columns(&message, 2);
    assert_verdict(&message, BATCH_MALFORMED, "count times width");
    message_begin(&message, 6);
    add_address(&message, 1, 1, 0, 3);
    assert_verdict(&message, BATCH_MALFORMED, "exactly one");
    message_begin(&message, 9);
    add_address(&message, 1, 1, 0, 2);
    add_columns(&message, 2);
    add_number(&message, "drop", EVENT_DROP_SPOOL_FULL);
    assert_verdict(&message, BATCH_MALFORMED, "exactly one");
    message_begin(&message, 8);
    add_address(&message, 1, 1, 0, 0);
    add_columns(&message, 0);
    assert_verdict(&message, BATCH_MALFORMED, "\"n\" is 0");
    message_begin(&message, 7);
    add_address(&message, 1, 1, 0, 2);
    add_key(&message, "cols");
    msgpack_pack_map(&message.packer, 1);
    add_bin(&message, "time", "0123456789abcdef", 16);
    assert_verdict(&message, BATCH_MALFORMED, "come together");
    message_begin(&message, 8);
    add_address(&message, 1, 1, 0, 2);
    add_bin(&message, "shapes", "0123456789ab", 12);
    add_key(&message, "cols");
    msgpack_pack_map(&message.packer, 1);
    add_bin(&message, "time", "0123456789abcdef", 16);
    assert_verdict(&message, BATCH_MALFORMED, "a column is missing");
    message_begin(&message, 8);
    add_address(&message, 1, 1, 0, 2);
    add_bin(&message, "shapes", "0123456789abc", 13);
    add_key(&message, "cols");
    msgpack_pack_map(&message.packer, 0);
    assert_verdict(&message, BATCH_MALFORMED, "12 bytes each");
    message_begin(&message, 8);
    add_address(&message, 1, 1, 0, 1);
    add_bin(&message, "shapes", "0123456789ab0123456789ab", 24);
    add_key(&message, "cols");
    msgpack_pack_map(&message.packer, 0);
    assert_verdict(&message, BATCH_MALFORMED, "more \"shapes\" than rows");
    message_begin(&message, 7);
    add_address(&message, 1, 1, 0, 2);
    add_key(&message, "cols");
    msgpack_pack_map(&message.packer, 2);
    add_bin(&message, "shape", "0101", 4);
    add_bin(&message, "shape", "0101", 4);
    assert_verdict(&message, BATCH_MALFORMED, "each column once");
}

static void a_row_whose_shape_is_not_there_is_of_no_kind(void **state)
{
    static const uint64_t words[4] = {0, 0, AILIVE_KIND_ACTION | AILIVE_FILL << 16, 8 | 9 << 16};
    static const uint16_t shapes[3] = {0, 1, 65535};
    static const int64_t zeros[3];
    unsigned char shape[BATCH_SHAPE_BYTES];
    struct batch batch = {.drop = -1,
                          .count = 3,
                          .shapes = shape,
                          .shape_count = 1,
                          .columns = {(const unsigned char *)zeros, (const unsigned char *)zeros,
                                      (const unsigned char *)shapes}};
    struct event_row row;

    (void)state;
    batch_shape_put(words, shape);
    batch_row(&batch, 0, &row);
    assert_int_equal(row.kind, AILIVE_KIND_ACTION);
    assert_int_equal(row.action, AILIVE_FILL);
    assert_int_equal(row.run_id, 9);
    for (uint32_t i = 1; i < 3; i++) {
        batch_row(&batch, i, &row);
        assert_int_equal(row.kind, 0);
    }
}

static void only_reasons_of_ranges_are_drops(void **state)
{
    struct message message;

    (void)state;
    for (unsigned reason = 0; reason <= EVENT_DROP_REASONS; reason++) {
        bool range = reason >= EVENT_DROP_DOORS && reason < EVENT_DROP_REASONS;
        message_begin(&message, 7);
        add_address(&message, 1, 1, 0, UINT32_MAX);
        add_number(&message, "drop", reason);
        assert_verdict(&message, range ? BATCH_OK : BATCH_MALFORMED, NULL);
    }
}

static void key_that_stands_twice_is_refused(void **state)
{
    struct message message;

    (void)state;
    message_begin(&message, 7);
    add_address(&message, 1, 1, 0, 0);
    add_number(&message, "t", 0);
    assert_verdict(&message, BATCH_MALFORMED, "twice");
    message_begin(&message, 7);
    add_address(&message, 1, 1, 0, 0);
    msgpack_pack_uint8(&message.packer, 7); /* a key that is no string */
    msgpack_pack_uint8(&message.packer, 7);
    assert_verdict(&message, BATCH_MALFORMED, "no string");
}

static void unknown_keys_of_every_type_are_skipped(void **state)
{
    static const unsigned char values[] = {
        0x8e, 0xa1, 'a',  0xc0, 0xa1, 'b',  0xc2, 0xa1, 'c',  0xca, 0,    0,    0,    0,    0xa1,
        'd',  0xcb, 0,    0,    0,    0,    0,    0,    0,    0,    0xa1, 'e',  0xd0, 0x80, 0xa1,
        'f',  0xd3, 0x80, 0,    0,    0,    0,    0,    0,    0,    0xa1, 'g',  0xc7, 1,    5,
        9,    0xa1, 'h',  0xd4, 5,    9,    0xa1, 'i',  0xd8, 5,    0,    1,    2,    3,    4,
        5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,   0xa1, 'j',  0xda, 0,
        1,    'x',  0xa1, 'k',  0xdc, 0,    2,    0x90, 0x80, 0xa1, 'l',  0xdf, 0,    0,    0,
        1,    1,    0xff, 0xa1, 'm',  0xc5, 0,    2,    0xc1, 0xc1, 0xa1, 'o',  0xd9, 0};
    struct message message;

    (void)state;
    message_begin(&message, 7);
    add_key(&message, "x");
    add_bytes(&message, values, sizeof(values));
    add_address(&message, 1, 1, 0, 0);
    assert_verdict(&message, BATCH_OK, NULL);
}

static void nesting_is_followed_to_32_and_no_deeper(void **state)
{
    struct message message;
    static unsigned char deep[100000];

    (void)state;
    memset(deep, 0x91, sizeof(deep));
    for (unsigned depth = 32; depth <= 33; depth++) {
        message_begin(&message, 7);
        add_address(&message, 1, 1, 0, 0);
        add_key(&message, "x");
        add_bytes(&message, deep, depth);
        msgpack_pack_nil(&message.packer);
        assert_verdict(&message, depth == 32 ? BATCH_OK : BATCH_MALFORMED, NULL);
    }
    message_begin(&message, 7);
    add_address(&message, 1, 1, 0, 0);
    add_key(&message, "x");
    add_bytes(&message, deep, sizeof(deep));
    assert_verdict(&message, BATCH_MALFORMED, "too deep");
}

static void claims_beyond_the_bytes_present_are_refused(void **state)
{
    static const unsigned char claims[][6] = {
        {0xdd, 0xff, 0xff, 0xff, 0xff, 0}, {0xdf, 0x80, 0, 0, 0, 0},
        {0xc6, 0xff, 0xff, 0xff, 0xff, 0}, {0xdb, 0xff, 0xff, 0xff, 0xff, 0},
        {0xc9, 0xff, 0xff, 0xff, 0xff, 0}, {0xc1, 0, 0, 0, 0, 0}};
    static const char *const keys[] = {"x", "names", "cols", "door"};
    struct message message;

    (void)state;
    for (size_t c = 0; c < 6; c++)
        for (size_t k = 0; k < 4; k++) {
            message_begin(&message, 7);
            add_address(&message, 1, 1, 0, 0);
            add_key(&message, keys[k]);
            add_bytes(&message, claims[c], 6);
            assert_verdict(&message, BATCH_MALFORMED, "cut short");
        }
}

static void names_out_of_their_limits_are_refused(void **state)
{
    const struct {
        uint64_t id, kind;
        size_t len;
        enum batch_verdict verdict;
    } cases[] = {{1, 1, 1, BATCH_OK},        {65535, 4, 96, BATCH_OK},
                 {0, 1, 1, BATCH_MALFORMED}, {65536, 1, 1, BATCH_MALFORMED},
                 {9, 0, 1, BATCH_MALFORMED}, {9, 5, 1, BATCH_MALFORMED},
                 {9, 1, 0, BATCH_MALFORMED}, {9, 1, 97, BATCH_MALFORMED}};
    static const char text[97];
    struct message message;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        message_begin(&message, 7);
        add_address(&message, 1, 1, 0, 0);
        add_key(&message, "names");
        msgpack_pack_array(&message.packer, 1);
        msgpack_pack_array(&message.packer, 3);
        msgpack_pack_uint64(&message.packer, cases[i].id);
        msgpack_pack_uint64(&message.packer, cases[i].kind);
        msgpack_pack_str(&message.packer, cases[i].len);
        msgpack_pack_str_body(&message.packer, text, cases[i].len);
        assert_verdict(&message, cases[i].verdict, cases[i].verdict == BATCH_OK ? NULL : "names");
    }
}

static void more_than_1000_names_are_refused(void **state)
{
    static const unsigned char name[] = {0x93, 10, 1, 0xa1, 'a'};
    struct message message;

    (void)state;
    for (unsigned count = BATCH_MAX_NAMES; count <= BATCH_MAX_NAMES + 1; count++) {
        message_begin(&message, 7);
        add_address(&message, 1, 1, 0, 0);
        add_key(&message, "names");
        msgpack_pack_array(&message.packer, count);
        for (unsigned i = 0; i < count; i++)
            add_bytes(&message, name, sizeof(name));
        assert_verdict(&message, count == BATCH_MAX_NAMES ? BATCH_OK : BATCH_MALFORMED, NULL);
    }
}

static void door_and_totals_have_their_lengths(void **state)
{
    struct message message;

    (void)state;
    for (unsigned count = 0; count <= 9; count++) {
        message_begin(&message, 7);
        add_address(&message, 1, 1, 0, 0);
        add_key(&message, "door");
        msgpack_pack_array(&message.packer, count);
        for (unsigned i = 0; i < count; i++)
            msgpack_pack_uint64(&message.packer, UINT64_MAX);
        assert_verdict(&message, count <= LAYOUT_DOOR_WORDS ? BATCH_OK : BATCH_MALFORMED, NULL);
        message_begin(&message, 7);
        add_address(&message, 1, 1, 0, 0);
        add_key(&message, "tot");
        msgpack_pack_array(&message.packer, count);
        for (unsigned i = 0; i < count; i++)
            msgpack_pack_uint64(&message.packer, UINT64_MAX);
        assert_verdict(&message, count == 4 ? BATCH_OK : BATCH_MALFORMED, NULL);
    }
}

static void numbers_packed_as_signed_are_numbers_when_not_negative(void **state)
{
    static const unsigned char forms[][9] = {{0xd0, 5},
                                             {0xd1, 0, 5},
                                             {0xd2, 0, 0, 0, 5},
                                             {0xd3, 0, 0, 0, 0, 0, 0, 0, 5},
                                             {0xcf, 0, 0, 0, 0, 0, 0, 0, 5}};
    static const size_t lens[] = {2, 3, 5, 9, 9};
    unsigned char negative[9];
    struct message message;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        message_begin(&message, 7);
        add_address(&message, 1, 1, 0, 0);
        add_key(&message, "door");
        msgpack_pack_array(&message.packer, 1);
        add_bytes(&message, forms[i], lens[i]);
        assert_verdict(&message, BATCH_OK, NULL);
        memcpy(negative, forms[i], 9);
        negative[1] |= 0x80;
        message_begin(&message, 7);
        add_address(&message, 1, 1, 0, 0);
        add_key(&message, "door");
        msgpack_pack_array(&message.packer, 1);
        add_bytes(&message, negative, lens[i]);
        assert_verdict(&message, i < 4 ? BATCH_MALFORMED : BATCH_OK, i < 4 ? "door" : NULL);
    }
}

static void another_version_is_told_apart_from_damage(void **state)
{
    struct message message;

    (void)state;
    message_begin(&message, 7);
    add_key(&message, "cols"); /* of a type this version does not know */
    msgpack_pack_nil(&message.packer);
    add_address(&message, 2, 1, 0, 3);
    assert_verdict(&message, BATCH_UNKNOWN_VERSION, "\"v\" is not 1");
    message_begin(&message, 1);
    add_number(&message, "v", 2);
    assert_verdict(&message, BATCH_UNADDRESSED, NULL);
}

static void damage_before_the_address_leaves_it_readable(void **state)
{
    struct message message;
    struct batch out;
    const char *why;

    (void)state;
    message_begin(&message, 8);
    add_number(&message, "names", 3);
    add_number(&message, "tot", 3);
    add_address(&message, 1, 7, 1000, 50);
    assert_int_equal(
        decode_exact((const unsigned char *)message.buffer.data, message.buffer.size, &out, &why),
        BATCH_MALFORMED);
    assert_non_null(strstr(why, "names")); /* the first thing that is wrong */
    assert_true(out.ring == 7 && out.first == 1000 && out.count == 50);
    msgpack_sbuffer_destroy(&message.buffer);
}

static void what_is_no_map_or_too_long_is_refused(void **state)
{
    unsigned char *bytes = calloc(1, BATCH_MAX_BYTES + 1);
    struct batch out;
    const char *why;

    (void)state;
    assert_non_null(bytes);
    assert_int_equal(batch_decode(NULL, 0, &storage, &out, &why), BATCH_UNADDRESSED);
    assert_int_equal(batch_decode(bytes, 1, &storage, &out, &why), BATCH_UNADDRESSED);
    assert_non_null(strstr(why, "not a msgpack map"));
    assert_int_equal(batch_decode(bytes, BATCH_MAX_BYTES + 1, &storage, &out, &why), BATCH_UNADDRESSED);
    assert_non_null(strstr(why, "131072"));
    free(bytes);
}

static void reply_needs_every_key_once_and_a_known_status(void **state)
{
    unsigned char bytes[2 * BATCH_REPLY_MAX_BYTES];
    size_t len = golden_read("reply.hex", bytes, sizeof(bytes));
    static const unsigned char unknown[] = {0xa1, 'x', 0x91, 0xc0}, again[] = {0xa1, 's', 0};
    struct batch_reply reply = reply_golden(), out;

    (void)state;
    bytes[0] = 0x89;
    memcpy(bytes + len, unknown, sizeof(unknown));
    assert_true(batch_reply_decode(bytes, len + sizeof(unknown), &out));
    memcpy(bytes + len, again, sizeof(again));
    assert_false(batch_reply_decode(bytes, len + sizeof(again), &out));
    bytes[0] = 0x88;
    assert_false(batch_reply_decode(bytes, len + sizeof(again), &out)); /* bytes follow */
    bytes[0] = 0x87;
    assert_false(batch_reply_decode(bytes, len - 5, &out)); /* "bad" is missing */
    reply.status = BATCH_NO_VERSION + 1;
    assert_false(batch_reply_decode(bytes, batch_reply_encode(&reply, bytes, sizeof(bytes)), &out));
    assert_false(batch_reply_decode(NULL, 0, &out));
}

/* ---- rows and names ---- */

static const struct layout_name row_names[] = {{8, AILIVE_NAME_COMPONENT, 1, "c"},
                                               {9, AILIVE_NAME_RUN_ID, 1, "r"},
                                               {10, AILIVE_NAME_STAGE, 1, "s"},
                                               {11, AILIVE_NAME_REASON, 1, "w"}};

static void row_is_valid_only_with_what_its_kind_needs(void **state)
{
    const struct {
        struct event_row row;
        bool valid;
    } cases[] = {
        {{0, 0, AILIVE_KIND_DECISION, AILIVE_ACCEPT, AILIVE_FILL, 0, 0, 8, 9}, true},
        {{0, 0, AILIVE_KIND_DECISION, AILIVE_NOOP, AILIVE_ACTION_NONE, 7, 0, 8, 9}, true},
        {{0, 0, AILIVE_KIND_DECISION, AILIVE_REJECT, 0, 11, 0, 8, 9}, true},
        {{0, 0, AILIVE_KIND_DECISION, 0, 0, 0, 0, 8, 9}, false},
        {{0, 0, AILIVE_KIND_DECISION, 4, 0, 0, 0, 8, 9}, false},
        {{0, 0, AILIVE_KIND_DECISION, 1, 6, 0, 0, 8, 9}, false},
        {{0, 0, AILIVE_KIND_DECISION, 1, 0, 10, 0, 8, 9}, false}, /* a stage for a reason */
        {{0, 0, AILIVE_KIND_DECISION, 1, 0, 12, 0, 8, 9}, false}, /* undeclared */
        {{0, 0, AILIVE_KIND_DECISION, 1, 0, 0, 0, 9, 9}, false},  /* a run id for a component */
        {{0, 0, AILIVE_KIND_DECISION, 1, 0, 0, 0, 8, 8}, false},
        {{0, 0, AILIVE_KIND_DECISION, 1, 0, 0, 0, 0, 9}, false},
        {{0, 0, AILIVE_KIND_DECISION, 1, 0, 0, 0, 8, 65535}, false},
        {{0, 0, AILIVE_KIND_ACTION, 0, AILIVE_CANCEL, 0, 0, 8, 9}, true},
        {{0, 0, AILIVE_KIND_ACTION, 0, AILIVE_ACTION_NONE, 0, 0, 8, 9}, false},
        {{0, 0, AILIVE_KIND_ACTION, 0, 6, 0, 0, 8, 9}, false},
        {{0, 0, AILIVE_KIND_ACTION, 1, AILIVE_CANCEL, 0, 0, 8, 9}, false},
        {{0, 0, AILIVE_KIND_STAGE, 0, 0, 0, 10, 8, 9}, true},
        {{0, 0, AILIVE_KIND_STAGE, 0, 0, 0, 0, 8, 9}, false},
        {{0, 0, AILIVE_KIND_STAGE, 0, 0, 0, 11, 8, 9}, false},
        {{0, 0, AILIVE_KIND_STAGE, 0, 1, 0, 10, 8, 9}, false},
        {{0, 0, 0, 1, 0, 0, 0, 8, 9}, false},
        {{0, 0, 4, 1, 0, 0, 0, 8, 9}, false},
    };
    const struct batch batch = {.names = row_names, .name_count = 4};

    (void)state;
    batch_index_names(&batch, by_id);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (batch_row_valid(&cases[i].row, by_id) != cases[i].valid)
            fail_msg("row %zu should be %s", i, cases[i].valid ? "valid" : "invalid");
    batch_unindex_names(&batch, by_id);
}

static void assert_index_empty(void)
{
    for (size_t i = 0; i < BATCH_IDS; i++)
        assert_null(by_id[i]);
}

static void name_with_two_meanings_stands_for_nothing(void **state)
{
    const struct layout_name names[] = {{20, AILIVE_NAME_REASON, 1, "a"},   {20, AILIVE_NAME_REASON, 1, "b"},
                                        {20, AILIVE_NAME_REASON, 1, "a"}, /* a third does not revive it */
                                        {21, AILIVE_NAME_REASON, 1, "a"},   {21, AILIVE_NAME_STAGE, 1, "a"},
                                        {22, AILIVE_NAME_REASON, 1, "a"},   {22, AILIVE_NAME_REASON, 1, "a"},
                                        {23, AILIVE_NAME_REASON, 1, "a"},   {23, AILIVE_NAME_REASON, 2, "aa"},
                                        {65535, AILIVE_NAME_RUN_ID, 1, "z"}};
    const struct batch batch = {.names = names, .name_count = sizeof(names) / sizeof(names[0])};

    (void)state;
    assert_index_empty();
    batch_index_names(&batch, by_id);
    assert_null(by_id[20]);
    assert_null(by_id[21]);
    assert_ptr_equal(by_id[22], &names[5]); /* said twice, meant once */
    assert_null(by_id[23]);
    assert_ptr_equal(by_id[65535], &names[9]);
    batch_unindex_names(&batch, by_id);
    assert_index_empty();
}

static void fixed_reasons_cannot_be_given_another_meaning(void **state)
{
    const struct layout_name names[] = {{3, AILIVE_NAME_REASON, 4, "mine"},
                                        {7, AILIVE_NAME_STAGE, 4, "mine"}};
    const struct batch batch = {.names = names, .name_count = 2};

    (void)state;
    batch_index_names(&batch, by_id);
    for (unsigned id = 0; id < 8; id++) {
        const char *text = event_reason_name(id);
        assert_int_equal(by_id[id]->kind, AILIVE_NAME_REASON);
        assert_int_equal(by_id[id]->len_bytes, strlen(text));
        assert_memory_equal(by_id[id]->text, text, strlen(text));
    }
    batch_unindex_names(&batch, by_id);
    assert_index_empty();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_has_the_golden_bytes),
        cmocka_unit_test(golden_bytes_decode_to_the_batch),
        cmocka_unit_test(reply_has_the_golden_bytes_and_decodes_from_them),
        cmocka_unit_test_setup(msgpack_c_and_our_cursor_read_the_same_in_any_batch, seed_random),
        cmocka_unit_test(greeting_carries_door_words_and_no_rows),
        cmocka_unit_test(batch_that_does_not_fit_gives_0_and_stays_in_its_buffer),
        cmocka_unit_test(longest_reply_fits_its_limit),
        cmocka_unit_test(batch_of_the_most_rows_fits_its_limit),
        cmocka_unit_test(batch_cut_at_any_byte_is_refused),
        cmocka_unit_test(any_value_of_any_byte_does_no_harm),
        cmocka_unit_test(reply_cut_or_changed_anywhere_does_no_harm),
        cmocka_unit_test(required_keys_alone_are_a_batch),
        cmocka_unit_test(each_required_key_is_missed),
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(rows_must_be_there_once_and_of_their_length),
        cmocka_unit_test(a_row_whose_shape_is_not_there_is_of_no_kind),
        cmocka_unit_test(only_reasons_of_ranges_are_drops),
        cmocka_unit_test(key_that_stands_twice_is_refused),
        cmocka_unit_test(unknown_keys_of_every_type_are_skipped),
        cmocka_unit_test(nesting_is_followed_to_32_and_no_deeper),
        cmocka_unit_test(claims_beyond_the_bytes_present_are_refused),
        cmocka_unit_test(names_out_of_their_limits_are_refused),
        cmocka_unit_test(more_than_1000_names_are_refused),
        cmocka_unit_test(door_and_totals_have_their_lengths),
        cmocka_unit_test(numbers_packed_as_signed_are_numbers_when_not_negative),
        cmocka_unit_test(another_version_is_told_apart_from_damage),
        cmocka_unit_test(damage_before_the_address_leaves_it_readable),
        cmocka_unit_test(what_is_no_map_or_too_long_is_refused),
        cmocka_unit_test(reply_needs_every_key_once_and_a_known_status),
        cmocka_unit_test(row_is_valid_only_with_what_its_kind_needs),
        cmocka_unit_test(name_with_two_meanings_stands_for_nothing),
        cmocka_unit_test(fixed_reasons_cannot_be_given_another_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
