/* fuzz_batch.c - any bytes as the payload of an SP frame: backtrace, batch with its rows and names, reply.
 *
 * What is accepted must lie inside the input, keep the limits of wire/batch.h, and survive being encoded and
 * decoded again. */
#include "fuzz/fuzz.h"

#include "unit/golden/golden.h"

#include "wire/batch.h"
#include "wire/sp.h"

#include <string.h>

static struct batch_storage storage, storage_again;
static const struct layout_name *by_id[BATCH_IDS];
static unsigned char encoded[BATCH_MAX_BYTES];

static bool inside(const void *piece, size_t piece_bytes, const uint8_t *data, size_t len_bytes)
{
    const uint8_t *at = piece;

    return at >= data && piece_bytes <= len_bytes && (size_t)(at - data) <= len_bytes - piece_bytes;
}

static void check_pieces(const struct batch *batch, const uint8_t *data, size_t len_bytes)
{
    for (uint32_t i = 0; i < batch->name_count; i++) {
        FUZZ_CHECK(batch->names[i].len_bytes >= 1 && batch->names[i].len_bytes <= AILIVE_NAME_MAX_BYTES);
        FUZZ_CHECK(inside(batch->names[i].text, batch->names[i].len_bytes, data, len_bytes));
    }
    FUZZ_CHECK(inside(batch->shapes, (size_t)batch->shape_count * BATCH_SHAPE_BYTES, data, len_bytes) ||
               batch->shape_count == 0);
    for (size_t c = 0; c < BATCH_COLUMNS; c++) {
        FUZZ_CHECK((batch->columns[c] != NULL) == (batch->count > 0 && batch->drop < 0));
        if (batch->columns[c])
            FUZZ_CHECK(
                inside(batch->columns[c], (size_t)batch->count * batch_column_bytes[c], data, len_bytes));
    }
}

static void check_rows(const struct batch *batch)
{
    struct event_row row;

    batch_index_names(batch, by_id);
    for (uint32_t i = 0; batch->drop < 0 && i < batch->count; i++) {
        batch_row(batch, i, &row);
        if (batch_row_valid(&row, by_id))
            FUZZ_CHECK(by_id[row.component] && by_id[row.run_id] && event_kind_name(row.kind));
    }
    batch_unindex_names(batch, by_id);
    for (uint32_t i = 0; i < batch->name_count; i++)
        FUZZ_CHECK(!by_id[batch->names[i].id]);
}

static void check_round_trip(const struct batch *batch)
{
    struct batch again;
    size_t len = batch_encode(batch, encoded, sizeof(encoded));

    if (len == 0)
        return; /* the input left out what we always send, and was as long as the limit allows */
    FUZZ_CHECK(batch_decode(encoded, len, &storage_again, &again, NULL) == BATCH_OK);
    FUZZ_CHECK(memcmp(&again.producer, &batch->producer, sizeof(again.producer)) == 0);
    FUZZ_CHECK(again.ring == batch->ring && again.first == batch->first && again.count == batch->count);
    FUZZ_CHECK(again.tail == batch->tail && again.drop == batch->drop);
    FUZZ_CHECK(again.name_count == batch->name_count);
    FUZZ_CHECK(memcmp(again.door, batch->door, sizeof(again.door)) == 0);
    FUZZ_CHECK(memcmp(&again.totals, &batch->totals, sizeof(again.totals)) == 0);
    FUZZ_CHECK(again.shape_count == batch->shape_count);
    FUZZ_CHECK(batch->shape_count == 0 ||
               memcmp(again.shapes, batch->shapes, (size_t)batch->shape_count * BATCH_SHAPE_BYTES) == 0);
    for (size_t c = 0; c < BATCH_COLUMNS && batch->columns[c]; c++)
        FUZZ_CHECK(
            memcmp(again.columns[c], batch->columns[c], (size_t)batch->count * batch_column_bytes[c]) == 0);
}

static void take_batch(const uint8_t *data, size_t len_bytes)
{
    struct batch batch;
    const char *why = NULL;
    enum batch_verdict verdict = batch_decode(data, len_bytes, &storage, &batch, &why);

    FUZZ_CHECK((verdict == BATCH_OK) == (why == NULL));
    if (verdict != BATCH_OK)
        return;
    FUZZ_CHECK(batch.ring < LAYOUT_RINGS_MAX && batch.first + batch.count >= batch.first);
    check_pieces(&batch, data, len_bytes);
    check_rows(&batch);
    check_round_trip(&batch);
}

static void take_reply(const uint8_t *data, size_t len_bytes)
{
    struct batch_reply reply, again;
    size_t len;

    if (!batch_reply_decode(data, len_bytes, &reply))
        return;
    FUZZ_CHECK(reply.status <= BATCH_NO_VERSION);
    len = batch_reply_encode(&reply, encoded, BATCH_REPLY_MAX_BYTES);
    FUZZ_CHECK(len > 0 && batch_reply_decode(encoded, len, &again));
    FUZZ_CHECK(memcmp(again.epoch, reply.epoch, sizeof(again.epoch)) == 0);
    FUZZ_CHECK(memcmp(&again.producer, &reply.producer, sizeof(again.producer)) == 0);
    FUZZ_CHECK(again.ring == reply.ring && again.first == reply.first && again.count == reply.count);
    FUZZ_CHECK(again.status == reply.status && again.bad == reply.bad);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    size_t backtrace = sp_backtrace_bytes(data, len_bytes);

    FUZZ_CHECK(backtrace <= len_bytes && backtrace % 4 == 0);
    take_batch(data, len_bytes);
    take_reply(data, len_bytes);
    if (backtrace > 0) {
        take_batch(data + backtrace, len_bytes - backtrace);
        take_reply(data + backtrace, len_bytes - backtrace);
    }
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *out, size_t cap_bytes)
{
    const struct batch drop = {.ring = 1, .first = 5, .count = 9, .drop = EVENT_DROP_SPOOL_FULL};
    const struct batch greeting = {.drop = -1, .door = {1, 2}};
    const struct batch_reply reply = {.status = BATCH_REFUSED, .count = UINT32_MAX, .first = UINT64_MAX};

    switch (n % 6) {
    case 0:
        return batch_encode(&drop, out, cap_bytes);
    case 1:
        return batch_encode(&greeting, out, cap_bytes);
    case 2:
        return batch_reply_encode(&reply, out, cap_bytes);
    case 3:
        return golden_read("reply.hex", out, cap_bytes);
    case 4: /* behind a request id */
        if (cap_bytes < SP_REQUEST_ID_BYTES)
            return 0;
        sp_request_id(n, out);
        return SP_REQUEST_ID_BYTES +
               golden_read("batch.hex", out + SP_REQUEST_ID_BYTES, cap_bytes - SP_REQUEST_ID_BYTES);
    default:
        return golden_read("batch.hex", out, cap_bytes);
    }
}
