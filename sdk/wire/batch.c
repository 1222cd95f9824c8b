/* batch.c - packs and unpacks one message of the nng road and its reply; see batch.h for the schema.
 *
 * Place on the route: the shipper packs, the sidecar's nng source decodes. Owns nothing: the caller brings
 * every buffer; any thread. Packing is msgpack-c's inline packer into a fixed buffer. Decoding is a cursor
 * that is checked before every read: it never reads outside the message, never allocates, and cannot be made
 * to recurse deeper or loop longer than the message has bytes. */
#include "batch.h"

#include <msgpack/pack.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "columns are little-endian, as the host");

#define FIXED_REASONS 8u
#define NESTING_MAX   32u

/* Everything of a batch but rows and names takes less than 300 bytes (docs/wire.md); the rest is room for
 * keys of a later version. */
#define OVERHEAD_BYTES   512u
#define NAME_EXTRA_BYTES 8u

const uint8_t batch_column_bytes[BATCH_COLUMNS] = {8, 8, 2};

static const char *const column_names[BATCH_COLUMNS] = {"time", "latency", "shape"};

/* ---- packing ---- */

struct sink {
    unsigned char *out;
    size_t cap_bytes;
    size_t len_bytes;
    bool full;
};

/* Once full the sink is full for good, so that only the end result needs a check. */
static int sink_write(void *data, const char *bytes, size_t len_bytes)
{
    struct sink *sink = data;

    if (len_bytes > sink->cap_bytes - sink->len_bytes) {
        sink->full = true;
        return -1;
    }
    memcpy(sink->out + sink->len_bytes, bytes, len_bytes);
    sink->len_bytes += len_bytes;
    return 0;
}

static void pack_str(msgpack_packer *packer, const char *text, size_t len_bytes)
{
    msgpack_pack_str(packer, len_bytes);
    msgpack_pack_str_body(packer, text, len_bytes);
}

static void pack_key(msgpack_packer *packer, const char *key)
{
    pack_str(packer, key, strlen(key));
}

static void pack_uint(msgpack_packer *packer, const char *key, uint64_t value)
{
    pack_key(packer, key);
    msgpack_pack_uint64(packer, value);
}

static void pack_bin(msgpack_packer *packer, const char *key, const unsigned char *bytes, size_t len_bytes)
{
    pack_key(packer, key);
    msgpack_pack_bin(packer, len_bytes);
    msgpack_pack_bin_body(packer, bytes, len_bytes);
}

static void pack_words(msgpack_packer *packer, const char *key, const uint64_t *words, size_t count)
{
    pack_key(packer, key);
    msgpack_pack_array(packer, count);
    for (size_t i = 0; i < count; i++)
        msgpack_pack_uint64(packer, words[i]);
}

static void pack_names(msgpack_packer *packer, const struct batch *batch)
{
    pack_key(packer, "names");
    msgpack_pack_array(packer, batch->name_count);
    for (uint32_t i = 0; i < batch->name_count; i++) {
        const struct layout_name *name = &batch->names[i];
        msgpack_pack_array(packer, 3);
        msgpack_pack_uint16(packer, name->id);
        msgpack_pack_uint8(packer, name->kind);
        pack_str(packer, name->text, name->len_bytes);
    }
}

static void pack_columns(msgpack_packer *packer, const struct batch *batch)
{
    pack_bin(packer, "shapes", batch->shapes, (size_t)batch->shape_count * BATCH_SHAPE_BYTES);
    pack_key(packer, "cols");
    msgpack_pack_map(packer, BATCH_COLUMNS);
    for (size_t c = 0; c < BATCH_COLUMNS; c++)
        pack_bin(packer, column_names[c], batch->columns[c], (size_t)batch->count * batch_column_bytes[c]);
}

/* Producer, ring, first and count come first, so that a reply can name even a batch whose end is damaged. */
size_t batch_encode(const struct batch *batch, unsigned char *out, size_t cap_bytes)
{
    struct sink sink = {out, cap_bytes, 0, false};
    msgpack_packer packer;
    const uint64_t totals[] = {batch->totals.recorded, batch->totals.shipped, batch->totals.spooled,
                               batch->totals.dropped};

    msgpack_packer_init(&packer, &sink, sink_write);
    msgpack_pack_map(&packer, batch->count == 0 ? 9 : batch->drop >= 0 ? 10 : 11);
    pack_uint(&packer, "v", BATCH_VERSION);
    pack_bin(&packer, "p", batch->producer.bytes, EVENT_PRODUCER_BYTES);
    pack_uint(&packer, "r", batch->ring);
    pack_uint(&packer, "f", batch->first);
    pack_uint(&packer, "n", batch->count);
    pack_uint(&packer, "t", batch->tail);
    pack_names(&packer, batch);
    if (batch->count > 0 && batch->drop >= 0)
        pack_uint(&packer, "drop", (uint64_t)batch->drop);
    else if (batch->count > 0)
        pack_columns(&packer, batch);
    pack_words(&packer, "door", batch->door, LAYOUT_DOOR_WORDS);
    pack_words(&packer, "tot", totals, sizeof(totals) / sizeof(totals[0]));
    return sink.full ? 0 : sink.len_bytes;
}

uint32_t batch_rows_max(uint32_t name_count, size_t names_text_bytes, uint32_t shape_count)
{
    uint64_t room = BATCH_MAX_BYTES - OVERHEAD_BYTES;
    uint64_t taken = (uint64_t)name_count * NAME_EXTRA_BYTES + (uint64_t)shape_count * BATCH_SHAPE_BYTES;

    if (names_text_bytes > room || taken > room - names_text_bytes)
        return 0;
    return (uint32_t)((room - names_text_bytes - taken) / BATCH_ROW_BYTES);
}

void batch_shape_put(const uint64_t words[4], unsigned char out[BATCH_SHAPE_BYTES])
{
    uint64_t what = words[2] & ~((uint64_t)0xff << 24); /* the flags are the ring's own */

    memcpy(out, &what, 8);
    memcpy(out + 8, &words[3], 4);
}

size_t batch_reply_encode(const struct batch_reply *reply, unsigned char *out, size_t cap_bytes)
{
    struct sink sink = {out, cap_bytes, 0, false};
    msgpack_packer packer;

    msgpack_packer_init(&packer, &sink, sink_write);
    msgpack_pack_map(&packer, 8);
    pack_uint(&packer, "v", BATCH_VERSION);
    pack_bin(&packer, "e", reply->epoch, BATCH_EPOCH_BYTES);
    pack_bin(&packer, "p", reply->producer.bytes, EVENT_PRODUCER_BYTES);
    pack_uint(&packer, "r", reply->ring);
    pack_uint(&packer, "f", reply->first);
    pack_uint(&packer, "n", reply->count);
    pack_uint(&packer, "s", reply->status);
    pack_uint(&packer, "bad", reply->bad);
    return sink.full ? 0 : sink.len_bytes;
}

/* ---- the cursor ---- */

struct cursor {
    const unsigned char *at;
    const unsigned char *end;
};

enum token_type {
    TOKEN_OTHER, /* nil, booleans, floats, negative integers, ext: nothing this schema uses */
    TOKEN_UINT,
    TOKEN_STR,
    TOKEN_BIN,
    TOKEN_ARRAY,
    TOKEN_MAP
};

struct token {
    enum token_type type;
    uint64_t value;             /* TOKEN_UINT: the number; arrays: elements; maps: pairs; else body bytes */
    const unsigned char *bytes; /* body of str, bin and the fixed-size rest; inside the message */
};

static size_t left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

/* A big-endian number of width bytes. false: the message ends before it does. */
static bool take_number(struct cursor *cursor, unsigned width, uint64_t *out)
{
    uint64_t value = 0;

    if (left(cursor) < width)
        return false;
    for (unsigned i = 0; i < width; i++)
        value = value << 8 | cursor->at[i];
    cursor->at += width;
    *out = value;
    return true;
}

static bool take_body(struct cursor *cursor, struct token *token, enum token_type type, uint64_t len_bytes)
{
    if (len_bytes > left(cursor))
        return false;
    token->type = type;
    token->value = len_bytes;
    token->bytes = cursor->at;
    cursor->at += len_bytes;
    return true;
}

/* Each element takes a byte at least: a claim beyond the bytes present is refused before anyone counts. */
static bool take_elements(struct cursor *cursor, struct token *token, enum token_type type, uint64_t count)
{
    if (count > left(cursor) / (type == TOKEN_MAP ? 2 : 1))
        return false;
    token->type = type;
    token->value = count;
    return true;
}

/* A signed number that is not negative is a number of this schema: some languages pack all theirs so. */
static bool take_signed(struct cursor *cursor, struct token *token, unsigned width)
{
    uint64_t value;

    if (!take_number(cursor, width, &value))
        return false;
    token->type = value >> (8 * width - 1) ? TOKEN_OTHER : TOKEN_UINT;
    token->value = value;
    return true;
}

static bool take_long(struct cursor *cursor, struct token *token, enum token_type type, unsigned width,
                      unsigned extra_bytes)
{
    uint64_t size;

    if (!take_number(cursor, width, &size))
        return false;
    if (type == TOKEN_ARRAY || type == TOKEN_MAP)
        return take_elements(cursor, token, type, size);
    return take_body(cursor, token, type, size + extra_bytes);
}

/* First bytes 0xc0 to 0xdf. */
static bool take_headed(struct cursor *cursor, struct token *token, unsigned head)
{
    switch (head) {
    case 0xc0: /* nil */
    case 0xc2: /* false */
    case 0xc3: /* true */
        return take_body(cursor, token, TOKEN_OTHER, 0);
    case 0xc4: /* bin 8, 16, 32 */
    case 0xc5:
    case 0xc6:
        return take_long(cursor, token, TOKEN_BIN, 1u << (head - 0xc4), 0);
    case 0xc7: /* ext 8, 16, 32: a type byte before the body */
    case 0xc8:
    case 0xc9:
        return take_long(cursor, token, TOKEN_OTHER, 1u << (head - 0xc7), 1);
    case 0xca: /* float 32, 64 */
    case 0xcb:
        return take_body(cursor, token, TOKEN_OTHER, 4u << (head - 0xca));
    case 0xcc: /* uint 8, 16, 32, 64 */
    case 0xcd:
    case 0xce:
    case 0xcf:
        token->type = TOKEN_UINT;
        return take_number(cursor, 1u << (head - 0xcc), &token->value);
    case 0xd0: /* int 8, 16, 32, 64 */
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return take_signed(cursor, token, 1u << (head - 0xd0));
    case 0xd4: /* fixext 1, 2, 4, 8, 16 */
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return take_body(cursor, token, TOKEN_OTHER, 1 + (1u << (head - 0xd4)));
    case 0xd9: /* str 8, 16, 32 */
    case 0xda:
    case 0xdb:
        return take_long(cursor, token, TOKEN_STR, 1u << (head - 0xd9), 0);
    case 0xdc: /* array 16, 32 */
    case 0xdd:
        return take_long(cursor, token, TOKEN_ARRAY, 2u << (head - 0xdc), 0);
    case 0xde: /* map 16, 32 */
    case 0xdf:
        return take_long(cursor, token, TOKEN_MAP, 2u << (head - 0xde), 0);
    default: /* 0xc1 is never used */
        return false;
    }
}

/* Reads one token: a whole scalar, string or binary, or the head of an array or map. */
static bool take(struct cursor *cursor, struct token *token)
{
    unsigned head;

    memset(token, 0, sizeof(*token));
    if (left(cursor) == 0)
        return false;
    head = *cursor->at++;
    if (head <= 0x7f || head >= 0xe0) { /* positive and negative fixint */
        token->type = head <= 0x7f ? TOKEN_UINT : TOKEN_OTHER;
        token->value = head;
        return true;
    }
    if (head <= 0x8f)
        return take_elements(cursor, token, TOKEN_MAP, head & 0x0f);
    if (head <= 0x9f)
        return take_elements(cursor, token, TOKEN_ARRAY, head & 0x0f);
    if (head <= 0xbf)
        return take_body(cursor, token, TOKEN_STR, head & 0x1f);
    return take_headed(cursor, token, head);
}

/* Skips one whole value. Open arrays and maps are counted on a stack of fixed depth, not by recursion: what a
 * stranger sends must not decide how much of our stack is used. */
static bool skip(struct cursor *cursor)
{
    uint64_t pending[NESTING_MAX];
    size_t depth = 0;
    struct token token;

    for (;;) {
        if (!take(cursor, &token))
            return false;
        if ((token.type == TOKEN_ARRAY || token.type == TOKEN_MAP) && token.value > 0) {
            if (depth == NESTING_MAX)
                return false;
            pending[depth++] = token.type == TOKEN_MAP ? 2 * token.value : token.value;
            continue;
        }
        while (depth > 0 && --pending[depth - 1] == 0)
            depth--;
        if (depth == 0)
            return true;
    }
}

/* ---- decoding against the schema ---- */

static bool read_uint(struct cursor value, uint64_t max, uint64_t *out)
{
    struct token token;

    if (!take(&value, &token) || token.type != TOKEN_UINT || token.value > max)
        return false;
    *out = token.value;
    return true;
}

static bool read_u32(struct cursor value, uint32_t *out)
{
    uint64_t number;

    if (!read_uint(value, UINT32_MAX, &number))
        return false;
    *out = (uint32_t)number;
    return true;
}

static bool read_bin16(struct cursor value, unsigned char out[16])
{
    struct token token;

    if (!take(&value, &token) || token.type != TOKEN_BIN || token.value != 16)
        return false;
    memcpy(out, token.bytes, 16);
    return true;
}

/* An array of numbers, min to max of them. */
static bool read_words(struct cursor value, uint64_t *out, size_t min, size_t max)
{
    struct token array, word;

    if (!take(&value, &array) || array.type != TOKEN_ARRAY || array.value < min || array.value > max)
        return false;
    for (size_t i = 0; i < array.value; i++) {
        if (!take(&value, &word) || word.type != TOKEN_UINT)
            return false;
        out[i] = word.value;
    }
    return true;
}

static bool read_name(struct cursor *cursor, struct layout_name *out)
{
    struct token array, id, kind, text;

    if (!take(cursor, &array) || array.type != TOKEN_ARRAY || array.value != 3)
        return false;
    if (!take(cursor, &id) || id.type != TOKEN_UINT || id.value == 0 || id.value > UINT16_MAX)
        return false;
    if (!take(cursor, &kind) || kind.type != TOKEN_UINT || kind.value < AILIVE_NAME_REASON ||
        kind.value > AILIVE_NAME_RUN_ID)
        return false;
    if (!take(cursor, &text) || text.type != TOKEN_STR || text.value == 0 ||
        text.value > AILIVE_NAME_MAX_BYTES)
        return false;
    out->id = (ailive_name)id.value;
    out->kind = (uint8_t)kind.value;
    out->len_bytes = (uint8_t)text.value;
    out->text = (const char *)text.bytes;
    return true;
}

/* Walks a map: next_pair() hands out key and value until none is left. */
struct map_walk {
    struct cursor cursor;
    uint64_t pairs_left;
};

static bool walk_begin(struct cursor value, struct map_walk *walk)
{
    struct token map;

    walk->cursor = value;
    if (!take(&walk->cursor, &map) || map.type != TOKEN_MAP)
        return false;
    walk->pairs_left = map.value;
    return true;
}

/* The value is skipped here and handed out as a cursor of its own, so that a value of the wrong type costs
 * that value and not the keys behind it. */
static bool next_pair(struct map_walk *walk, struct token *key, struct cursor *value)
{
    if (!take(&walk->cursor, key) || key->type != TOKEN_STR)
        return false;
    value->at = walk->cursor.at;
    if (!skip(&walk->cursor))
        return false;
    value->end = walk->cursor.at;
    walk->pairs_left--;
    return true;
}

static int key_find(const struct token *key, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(names[i]) == key->value && memcmp(names[i], key->bytes, key->value) == 0)
            return (int)i;
    return -1;
}

enum request_key {
    KEY_VERSION,
    KEY_PRODUCER,
    KEY_RING,
    KEY_FIRST,
    KEY_COUNT,
    KEY_TAIL,
    KEY_NAMES,
    KEY_SHAPES,
    KEY_COLUMNS,
    KEY_DROP,
    KEY_DOOR,
    KEY_TOTALS,
    REQUEST_KEYS
};
static const char *const request_keys[REQUEST_KEYS] = {"v",     "p",      "r",    "f",    "n",    "t",
                                                       "names", "shapes", "cols", "drop", "door", "tot"};
#define BIT(key)  (1u << (key))
#define ADDRESSED (BIT(KEY_PRODUCER) | BIT(KEY_RING) | BIT(KEY_FIRST) | BIT(KEY_COUNT))

struct request {
    struct batch *batch;
    struct batch_storage *storage;
    size_t column_len_bytes[BATCH_COLUMNS];
    uint64_t version;
    unsigned seen; /* bits of keys met */
    unsigned good; /* bits of keys whose value was read */
    const char *why;
};

static bool read_names(struct cursor value, struct request *request)
{
    struct token array;

    if (!take(&value, &array) || array.type != TOKEN_ARRAY || array.value > BATCH_MAX_NAMES)
        return false;
    for (size_t i = 0; i < array.value; i++)
        if (!read_name(&value, &request->storage->names[i]))
            return false;
    request->batch->names = request->storage->names;
    request->batch->name_count = (uint32_t)array.value;
    return true;
}

/* Lengths are judged later: the count may stand behind the columns. */
static bool read_columns(struct cursor value, struct request *request)
{
    struct map_walk walk;
    struct token key, body;
    int column;

    if (!walk_begin(value, &walk))
        return false;
    while (walk.pairs_left > 0) {
        if (!next_pair(&walk, &key, &value))
            return false;
        column = key_find(&key, column_names, BATCH_COLUMNS);
        if (column < 0)
            continue;
        if (!take(&value, &body) || body.type != TOKEN_BIN || request->batch->columns[column])
            return false;
        request->batch->columns[column] = body.bytes;
        request->column_len_bytes[column] = (size_t)body.value;
    }
    return true;
}

static bool read_shapes(struct cursor value, struct request *request)
{
    struct token body;

    if (!take(&value, &body) || body.type != TOKEN_BIN || body.value % BATCH_SHAPE_BYTES != 0 ||
        body.value / BATCH_SHAPE_BYTES > BATCH_MAX_SHAPES)
        return false;
    request->batch->shapes = body.bytes;
    request->batch->shape_count = (uint32_t)(body.value / BATCH_SHAPE_BYTES);
    return true;
}

static bool read_drop(struct cursor value, int *out)
{
    uint64_t reason;

    if (!read_uint(value, EVENT_DROP_REASONS - 1, &reason) || reason < EVENT_DROP_DOORS)
        return false; /* door drops take no sequence numbers: they are never a range */
    *out = (int)reason;
    return true;
}

static bool read_totals(struct cursor value, struct batch_totals *out)
{
    uint64_t words[4];

    if (!read_words(value, words, 4, 4))
        return false;
    *out = (struct batch_totals){words[0], words[1], words[2], words[3]};
    return true;
}

static bool read_request_value(struct request *request, enum request_key key, struct cursor value)
{
    struct batch *batch = request->batch;

    switch (key) {
    case KEY_VERSION:
        return read_uint(value, UINT64_MAX, &request->version);
    case KEY_PRODUCER:
        return read_bin16(value, batch->producer.bytes);
    case KEY_RING:
        return read_u32(value, &batch->ring);
    case KEY_FIRST:
        return read_uint(value, UINT64_MAX, &batch->first);
    case KEY_COUNT:
        return read_u32(value, &batch->count);
    case KEY_TAIL:
        return read_uint(value, UINT64_MAX, &batch->tail);
    case KEY_NAMES:
        return read_names(value, request);
    case KEY_SHAPES:
        return read_shapes(value, request);
    case KEY_COLUMNS:
        return read_columns(value, request);
    case KEY_DROP:
        return read_drop(value, &batch->drop);
    case KEY_DOOR:
        return read_words(value, batch->door, 0, LAYOUT_DOOR_WORDS);
    case KEY_TOTALS:
        return read_totals(value, &batch->totals);
    case REQUEST_KEYS:
        break;
    }
    return false;
}

/* The first thing that is wrong is the one worth telling. */
static void complain(struct request *request, const char *why)
{
    if (!request->why)
        request->why = why;
}

static const char *const value_complaints[REQUEST_KEYS] = {
    "\"v\" is no number",
    "\"p\" is not 16 bytes of bin",
    "\"r\" is no number of 32 bits",
    "\"f\" is no number",
    "\"n\" is no number of 32 bits",
    "\"t\" is no number",
    "\"names\" is not an array of at most 1000 [id, kind, text]",
    "\"shapes\" is not a bin of 12 bytes each, at most 65536",
    "\"cols\" is not a map of bin, each column once",
    "\"drop\" is no reason of a range drop",
    "\"door\" is not an array of at most 8 numbers",
    "\"tot\" is not an array of 4 numbers"};

/* Goes through the whole map even after a bad value, so that the reply can name the batch it refuses. */
static void read_request(struct request *request, struct cursor message)
{
    struct map_walk walk;
    struct token key_text;
    struct cursor value;
    int key;

    if (!walk_begin(message, &walk)) {
        complain(request, "the message is not a msgpack map");
        return;
    }
    while (walk.pairs_left > 0) {
        if (!next_pair(&walk, &key_text, &value)) {
            complain(request, "the map is cut short, nested too deep, or a key is no string");
            return;
        }
        key = key_find(&key_text, request_keys, REQUEST_KEYS);
        if (key < 0 || key >= REQUEST_KEYS)
            continue;
        if (request->seen & BIT(key))
            complain(request, "a key stands twice in the map");
        else if (read_request_value(request, (enum request_key)key, value))
            request->good |= BIT(key);
        else
            complain(request, value_complaints[key]);
        request->seen |= BIT(key);
    }
    if (walk.cursor.at != walk.cursor.end)
        complain(request, "bytes follow the map");
}

static void judge_rows(struct request *request)
{
    const struct batch *batch = request->batch;
    bool columns = (request->seen & BIT(KEY_COLUMNS)) != 0;
    bool shapes = (request->seen & BIT(KEY_SHAPES)) != 0;
    bool drop = (request->seen & BIT(KEY_DROP)) != 0;

    if (batch->count == 0 && (columns || drop))
        complain(request, "\"n\" is 0, but there are \"cols\" or a \"drop\"");
    if (batch->count > 0 && columns == drop)
        complain(request, "not exactly one of \"cols\" and \"drop\"");
    if (columns != shapes)
        complain(request, "\"cols\" and \"shapes\" come together");
    if (batch->shape_count > batch->count)
        complain(request, "there are more \"shapes\" than rows");
    if (!columns)
        return;
    for (size_t c = 0; c < BATCH_COLUMNS; c++)
        if (!batch->columns[c] ||
            request->column_len_bytes[c] != (uint64_t)batch->count * batch_column_bytes[c])
            complain(request, "a column is missing or its length is not count times width");
}

static void judge_request(struct request *request)
{
    const struct batch *batch = request->batch;
    unsigned needed = ADDRESSED | BIT(KEY_VERSION) | BIT(KEY_TAIL);

    if ((request->good & needed) != needed)
        complain(request, "one of the keys v, p, r, f, n, t is missing");
    if (batch->ring >= LAYOUT_RINGS_MAX)
        complain(request, "\"r\" is not below 1024");
    if (batch->first > UINT64_MAX - batch->count)
        complain(request, "\"f\" plus \"n\" is beyond 64 bits");
    judge_rows(request);
}

static enum batch_verdict verdict_of(const struct request *request)
{
    if ((request->good & ADDRESSED) != ADDRESSED)
        return BATCH_UNADDRESSED;
    if ((request->good & BIT(KEY_VERSION)) && request->version != BATCH_VERSION)
        return BATCH_UNKNOWN_VERSION;
    return request->why ? BATCH_MALFORMED : BATCH_OK;
}

enum batch_verdict batch_decode(const void *data, size_t len_bytes, struct batch_storage *storage,
                                struct batch *out, const char **why)
{
    struct request request = {.batch = out, .storage = storage};
    const unsigned char *bytes = data;
    enum batch_verdict verdict;

    memset(out, 0, sizeof(*out));
    out->drop = -1;
    if (len_bytes == 0)
        complain(&request, "the message is empty");
    else if (len_bytes > BATCH_MAX_BYTES)
        complain(&request, "the message is longer than 131072 bytes");
    else
        read_request(&request, (struct cursor){bytes, bytes + len_bytes});
    judge_request(&request);
    verdict = verdict_of(&request);
    if (verdict == BATCH_UNKNOWN_VERSION)
        request.why = "\"v\" is not 1";
    if (why && verdict != BATCH_OK)
        *why = request.why;
    return verdict;
}

/* ---- rows ---- */

void batch_shape(const struct batch *batch, uint32_t shape, struct event_row *out)
{
    uint64_t words[4] = {0};
    int64_t time_ns = out->time_ns, latency_ns = out->latency_ns;

    if (shape < batch->shape_count) {
        memcpy(&words[2], batch->shapes + (size_t)shape * BATCH_SHAPE_BYTES, 8);
        memcpy(&words[3], batch->shapes + (size_t)shape * BATCH_SHAPE_BYTES + 8, 4);
    }
    (void)event_row_unpack(words, out);
    out->time_ns = time_ns;
    out->latency_ns = latency_ns;
}

void batch_row(const struct batch *batch, uint32_t i, struct event_row *out)
{
    uint16_t shape;

    /* memcpy, because a bin may begin at any address. */
    memcpy(&out->time_ns, batch->columns[BATCH_TIME] + (size_t)i * 8, 8);
    memcpy(&out->latency_ns, batch->columns[BATCH_LATENCY] + (size_t)i * 8, 8);
    memcpy(&shape, batch->columns[BATCH_SHAPE] + (size_t)i * 2, 2);
    batch_shape(batch, shape, out);
}

static bool declared(const struct layout_name *const *by_id, ailive_name id, enum ailive_name_kind kind)
{
    return by_id[id] && by_id[id]->kind == kind;
}

bool batch_row_valid(const struct event_row *row, const struct layout_name *const *by_id)
{
    if (!declared(by_id, row->component, AILIVE_NAME_COMPONENT) ||
        !declared(by_id, row->run_id, AILIVE_NAME_RUN_ID))
        return false;
    switch (row->kind) {
    case AILIVE_KIND_DECISION:
        return event_decision_name(row->decision) && event_action_name(row->action) &&
               (row->reason < FIXED_REASONS || declared(by_id, row->reason, AILIVE_NAME_REASON));
    case AILIVE_KIND_ACTION:
        return row->decision == 0 && row->action != AILIVE_ACTION_NONE && event_action_name(row->action);
    case AILIVE_KIND_STAGE:
        return row->decision == 0 && row->action == AILIVE_ACTION_NONE &&
               declared(by_id, row->stage, AILIVE_NAME_STAGE);
    default:
        return false;
    }
}

/* The reasons with a number of their own, at the index of that number. */
#define FIXED(id, text)                                                                                      \
    {                                                                                                        \
        id, AILIVE_NAME_REASON, sizeof(text) - 1, text                                                       \
    }
static const struct layout_name fixed_reasons[FIXED_REASONS] = {
    FIXED(AILIVE_REASON_NONE, "none"),
    FIXED(AILIVE_REASON_NO_SIGNAL, "no_signal"),
    FIXED(AILIVE_REASON_COOLDOWN, "cooldown"),
    FIXED(AILIVE_REASON_MARKET_CLOSED, "market_closed"),
    FIXED(AILIVE_REASON_RISK_LIMIT, "risk_limit"),
    FIXED(AILIVE_REASON_GOVERNANCE_NO_LIVE, "governance_no_live"),
    FIXED(AILIVE_REASON_INVALID_ORDER, "invalid_order"),
    FIXED(AILIVE_REASON_OTHER, "other"),
};

/* Stands for an id with two meanings until all names are seen: were it NULL at once, a third declaration
 * would look like the first. Its kind is 0, so that it is the same as no name. */
static const struct layout_name ambiguous;

static bool same_name(const struct layout_name *a, const struct layout_name *b)
{
    return a->kind == b->kind && a->len_bytes == b->len_bytes && memcmp(a->text, b->text, a->len_bytes) == 0;
}

void batch_index_names(const struct batch *batch, const struct layout_name **by_id)
{
    for (uint32_t i = 0; i < FIXED_REASONS; i++)
        by_id[i] = &fixed_reasons[i];
    for (uint32_t i = 0; i < batch->name_count; i++) {
        const struct layout_name *name = &batch->names[i];
        const struct layout_name *known = by_id[name->id];
        if (name->id < FIXED_REASONS)
            continue; /* nobody can give these another meaning */
        if (!known)
            by_id[name->id] = name;
        else if (!same_name(known, name))
            by_id[name->id] = &ambiguous;
    }
    for (uint32_t i = 0; i < batch->name_count; i++)
        if (by_id[batch->names[i].id] == &ambiguous)
            by_id[batch->names[i].id] = NULL;
}

void batch_unindex_names(const struct batch *batch, const struct layout_name **by_id)
{
    for (uint32_t i = 0; i < FIXED_REASONS; i++)
        by_id[i] = NULL;
    for (uint32_t i = 0; i < batch->name_count; i++)
        by_id[batch->names[i].id] = NULL;
}

/* ---- the reply ---- */

enum reply_key {
    REPLY_VERSION,
    REPLY_EPOCH,
    REPLY_PRODUCER,
    REPLY_RING,
    REPLY_FIRST,
    REPLY_COUNT,
    REPLY_STATUS,
    REPLY_BAD,
    REPLY_KEYS
};
static const char *const reply_keys[REPLY_KEYS] = {"v", "e", "p", "r", "f", "n", "s", "bad"};

static bool read_reply_value(struct batch_reply *reply, enum reply_key key, struct cursor value)
{
    uint64_t version;

    switch (key) {
    case REPLY_VERSION:
        return read_uint(value, BATCH_VERSION, &version) && version == BATCH_VERSION;
    case REPLY_EPOCH:
        return read_bin16(value, reply->epoch);
    case REPLY_PRODUCER:
        return read_bin16(value, reply->producer.bytes);
    case REPLY_RING:
        return read_u32(value, &reply->ring);
    case REPLY_FIRST:
        return read_uint(value, UINT64_MAX, &reply->first);
    case REPLY_COUNT:
        return read_u32(value, &reply->count);
    case REPLY_STATUS:
        return read_u32(value, &reply->status) && reply->status <= BATCH_NO_VERSION;
    case REPLY_BAD:
        return read_u32(value, &reply->bad);
    case REPLY_KEYS:
        break;
    }
    return false;
}

bool batch_reply_decode(const void *data, size_t len_bytes, struct batch_reply *out)
{
    const unsigned char *bytes = data;
    struct batch_reply reply = {0};
    struct map_walk walk;
    struct token key_text;
    struct cursor value;
    unsigned seen = 0;
    int key;

    if (len_bytes == 0 || !walk_begin((struct cursor){bytes, bytes + len_bytes}, &walk))
        return false;
    while (walk.pairs_left > 0) {
        if (!next_pair(&walk, &key_text, &value))
            return false;
        key = key_find(&key_text, reply_keys, REPLY_KEYS);
        if (key < 0)
            continue;
        if ((seen & BIT(key)) || !read_reply_value(&reply, (enum reply_key)key, value))
            return false;
        seen |= BIT(key);
    }
    if (walk.cursor.at != walk.cursor.end || seen != BIT(REPLY_KEYS) - 1)
        return false;
    *out = reply;
    return true;
}
