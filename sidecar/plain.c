/* plain.c - see plain.h.
 *
 * Two passes. The first looks at 64 bytes at a time and notes where quotes stand; a backslash, a control byte
 * or a byte beyond ASCII ends the attempt there. The second walks from quote to quote and checks every byte
 * between them against the grammar. The line ends with '}' outside a string (checked first), where every loop
 * of the second pass stops: that is why it asks for no bounds.
 */
#include "plain.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BLOCK_BYTES 64u

/* ---- keys ---- */

struct key_name {
    char name[16]; /* padded with zeros */
    uint8_t len_bytes;
    uint8_t key;
};

/* Found by KEY_HASH; no two names share a place. test_json finds every key by its name. */
#define KEY_HASH UINT64_C(0xe387d1b5405a6b61)
static const struct key_name key_names[64] = {
    [1] = {"latency_s", 9, JSON_LATENCY_S},
    [6] = {"schema", 6, JSON_SCHEMA},
    [7] = {"ts", 2, JSON_TS},
    [8] = {"decision", 8, JSON_DECISION},
    [9] = {"event", 5, JSON_EVENT},
    [11] = {"block_reason", 12, JSON_BLOCK_REASON},
    [15] = {"schema_version", 14, JSON_SCHEMA_VERSION},
    [17] = {"reason_code", 11, JSON_REASON_CODE},
    [18] = {"latency_ms", 10, JSON_LATENCY_MS},
    [23] = {"seq", 3, JSON_SEQ},
    [24] = {"gate_reason", 11, JSON_GATE_REASON},
    [30] = {"run_id", 6, JSON_RUN_ID},
    [32] = {"policy_reason", 13, JSON_POLICY_REASON},
    [33] = {"stage", 5, JSON_STAGE},
    [34] = {"reason", 6, JSON_REASON},
    [35] = {"type", 4, JSON_TYPE},
    [41] = {"no_ring", 7, JSON_NO_RING},
    [44] = {"action_type", 11, JSON_ACTION_TYPE},
    [46] = {"ts_ns", 5, JSON_TS_NS},
    [47] = {"ring_full", 9, JSON_RING_FULL},
    [48] = {"count", 5, JSON_COUNT},
    [50] = {"event_type", 10, JSON_EVENT_TYPE},
    [52] = {"component", 9, JSON_COMPONENT},
    [53] = {"sid", 3, JSON_SID},
    [54] = {"action", 6, JSON_ACTION},
    [56] = {"v", 1, JSON_V},
    [57] = {"ts_utc", 6, JSON_TS_UTC},
    [60] = {"latency_ns", 10, JSON_LATENCY_NS},
};

#define KEY_LONGEST 14u

/* Eight bytes as a number, the first the lowest. */
static inline uint64_t load_u64(const char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* The lowest n bytes of word, n <= 8. */
static inline uint64_t low_bytes(uint64_t word, size_t n)
{
    return n >= 8 ? word : word & ((UINT64_C(1) << (8 * n)) - 1);
}

static inline enum json_key key_of(uint64_t low, uint64_t high, size_t len_bytes)
{
    const struct key_name *found = &key_names[((low ^ high << 1) * KEY_HASH) >> 58];

    return found->len_bytes == len_bytes && load_u64(found->name) == low && load_u64(found->name + 8) == high
               ? (enum json_key)found->key
               : JSON_KEYS;
}

enum json_key plain_key(const char *name, size_t len_bytes)
{
    char padded[16] = {0};

    if (len_bytes == 0 || len_bytes > KEY_LONGEST)
        return JSON_KEYS;
    memcpy(padded, name, len_bytes);
    return key_of(load_u64(padded), load_u64(padded + 8), len_bytes);
}

/* The same where 16 bytes may be read, which is nearly everywhere. */
static inline enum json_key key_within(const char *name, size_t len_bytes, const char *end)
{
    if (end - name < 16)
        return plain_key(name, len_bytes);
    if (len_bytes == 0 || len_bytes > KEY_LONGEST)
        return JSON_KEYS;
    return key_of(low_bytes(load_u64(name), len_bytes),
                  len_bytes > 8 ? low_bytes(load_u64(name + 8), len_bytes - 8) : 0, len_bytes);
}

/* ---- first pass: quotes ---- */

/* Of 64 bytes: bit i of *quotes is set where a quote stands, of *odd where no plain line may go on. */
static inline void look(const char *bytes, uint64_t *quotes, uint64_t *odd)
{
    *quotes = *odd = 0;
#ifdef __SSE2__
    for (unsigned i = 0; i < BLOCK_BYTES; i += 16) {
        __m128i piece = _mm_loadu_si128((const __m128i *)(const void *)(bytes + i));
        __m128i quote = _mm_cmpeq_epi8(piece, _mm_set1_epi8('"'));
        /* Signed: bytes beyond ASCII are below the space too. */
        __m128i other = _mm_or_si128(_mm_cmplt_epi8(piece, _mm_set1_epi8(' ')),
                                     _mm_cmpeq_epi8(piece, _mm_set1_epi8('\\')));

        *quotes |= (uint64_t)(unsigned)_mm_movemask_epi8(quote) << i;
        *odd |= (uint64_t)(unsigned)_mm_movemask_epi8(other) << i;
    }
#else
    for (unsigned i = 0; i < BLOCK_BYTES; i++) {
        unsigned char byte = (unsigned char)bytes[i];

        *quotes |= (uint64_t)(byte == '"') << i;
        *odd |= (uint64_t)(byte < ' ' || byte >= 0x80 || byte == '\\') << i;
    }
#endif
}

struct quotes {
    size_t count;
    uint16_t at[PLAIN_LINE_MAX_BYTES + 1]; /* one more: written before it is known to be one */
};

static inline void note_quotes(struct quotes *quotes, uint64_t bits, size_t base)
{
    /* Eight at once, needed or not: a branch a quote would be guessed wrong once a block. */
    while (bits)
        for (int i = 0; i < 8; i++) {
            quotes->at[quotes->count] = (uint16_t)(base + (size_t)__builtin_ctzll(bits | UINT64_C(1) << 63));
            quotes->count += bits != 0;
            bits &= bits - 1;
        }
}

/* The last block, of 1 to 63 bytes, without reading behind it. */
static inline void look_at_rest(const char *bytes, size_t len_bytes, size_t base, uint64_t *found,
                                uint64_t *odd)
{
    char padded[BLOCK_BYTES];

    if (base > 0) { /* the 64 bytes that end with the line; those seen already go */
        look(bytes + len_bytes - BLOCK_BYTES, found, odd);
        *found >>= BLOCK_BYTES - (len_bytes - base);
        *odd >>= BLOCK_BYTES - (len_bytes - base);
        return;
    }
    memset(padded, ' ', sizeof(padded));
    memcpy(padded, bytes, len_bytes);
    look(padded, found, odd);
}

/* false: no plain line. */
static inline bool find_quotes(const char *bytes, size_t len_bytes, struct quotes *quotes)
{
    uint64_t found, odd;
    size_t base = 0;

    quotes->count = 0;
    for (; len_bytes - base >= BLOCK_BYTES; base += BLOCK_BYTES) {
        look(bytes + base, &found, &odd);
        if (odd)
            return false;
        note_quotes(quotes, found, base);
    }
    if (base == len_bytes)
        return quotes->count % 2 == 0;
    look_at_rest(bytes, len_bytes, base, &found, &odd);
    if (odd)
        return false;
    note_quotes(quotes, found, base);
    return quotes->count % 2 == 0;
}

/* ---- second pass: values ---- */

static inline const char *skip_spaces(const char *at)
{
    while (*at == ' ')
        at++;
    return at;
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline const char *take_digits(const char *at, uint64_t *value)
{
    for (; is_digit(*at); at++)
        *value = *value * 10 + (uint64_t)(*at - '0');
    return at;
}

static void set_integer(uint64_t magnitude, bool negative, struct json_value *out)
{
    int64_t integer = (int64_t)(negative ? 0 - magnitude : magnitude);

    *out = (struct json_value){.type = JSON_NUMBER,
                               .truthy = magnitude != 0,
                               .is_int = true,
                               .is_uint = integer >= 0,
                               .number = (double)integer,
                               .integer = integer,
                               .uinteger = integer >= 0 ? magnitude : 0};
}

static void set_decimal(uint64_t digits, size_t scale, bool negative, struct json_value *out)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                    1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
    double number = (double)digits / powers[scale]; /* both exact: rounded once, as the decimal itself */

    *out = (struct json_value){
        .type = JSON_NUMBER, .truthy = digits != 0, .number = negative ? -number : number};
}

/* NULL: not a number that can be had without a parser. An exponent stays behind, where nothing expects it. */
static inline const char *take_number(const char *at, struct json_value *out)
{
    bool negative = *at == '-';
    uint64_t digits = 0;
    const char *start = at + negative, *point;

    at = take_digits(start, &digits);
    if (at == start || (*start == '0' && at - start > 1) || at - start > 19)
        return NULL;
    if (*at != '.') {
        if (digits > (uint64_t)INT64_MAX)
            return NULL;
        set_integer(digits, negative, out);
        return at;
    }
    point = at++;
    at = take_digits(at, &digits);
    if (at == point + 1 || at - start > 19 || digits > UINT64_C(1) << 53)
        return NULL;
    set_decimal(digits, (size_t)(at - point - 1), negative, out);
    return at;
}

static inline const char *take_literal(const char *at, const char *end, struct json_value *out)
{
    if (end - at < 5) /* the longest, or the shorter and what must follow it */
        return NULL;
    *out = (struct json_value){.type = JSON_BOOLEAN};
    if (memcmp(at, "false", 5) == 0)
        return at + 5;
    out->truthy = true;
    if (memcmp(at, "true", 4) == 0)
        return at + 4;
    *out = (struct json_value){.type = JSON_NULL};
    return memcmp(at, "null", 4) == 0 ? at + 4 : NULL;
}

struct walk {
    const char *bytes, *end;
    const uint16_t *quote; /* the next one */
};

/* The string that begins at `at`; NULL: none does. */
static inline const char *take_string(struct walk *walk, const char *at, struct text *out)
{
    if (*at != '"')
        return NULL;
    /* `at` is outside every string, so that this quote is the next one, and their number is even. */
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): that much it cannot see */
    *out = (struct text){at + 1, (size_t)(walk->quote[1] - walk->quote[0]) - 1};
    walk->quote += 2;
    return out->bytes + out->len_bytes + 1;
}

/* The name of a member and its colon, up to the value. */
static inline const char *take_name(struct walk *walk, const char *at, struct text *out)
{
    at = take_string(walk, at, out);
    if (!at)
        return NULL;
    at = skip_spaces(at);
    return *at == ':' ? skip_spaces(at + 1) : NULL;
}

static const char *take_nested(struct walk *walk, const char *at, unsigned depth, struct json_value *out);

/* depth: how many more values may lie within one another. */
static inline const char *take_value(struct walk *walk, const char *at, unsigned depth,
                                     struct json_value *out)
{
    struct text text;

    if (*at == '"') {
        at = take_string(walk, at, &text);
        *out = (struct json_value){.type = JSON_STRING, .truthy = text.len_bytes > 0, .text = text};
        return at;
    }
    if (*at == '{' || *at == '[')
        return take_nested(walk, at, depth, out);
    return is_digit(*at) || *at == '-' ? take_number(at, out) : take_literal(at, walk->end, out);
}

/* What comes behind `close`; NULL where that is the line's end, which belongs to the outermost object. */
static const char *closed(const struct walk *walk, const char *close)
{
    return close + 1 == walk->end ? NULL : close + 1;
}

/* An array or object that nobody looks into; out says no more than whether it is empty. */
/* NOLINTNEXTLINE(misc-no-recursion): no deeper than depth */
static const char *take_nested(struct walk *walk, const char *at, unsigned depth, struct json_value *out)
{
    bool object = *at == '{';
    char close = object ? '}' : ']';
    struct json_value inner;
    struct text name;

    *out = (struct json_value){.type = object ? JSON_OBJECT : JSON_ARRAY};
    at = skip_spaces(at + 1);
    if (*at == close)
        return closed(walk, at);
    out->truthy = true;
    while (depth > 0) {
        if (object)
            at = take_name(walk, at, &name);
        at = at ? take_value(walk, at, depth - 1, &inner) : NULL;
        if (!at)
            return NULL;
        at = skip_spaces(at);
        if (*at == close)
            return closed(walk, at);
        if (*at != ',')
            return NULL;
        at = skip_spaces(at + 1);
    }
    return NULL;
}

/* "key": value; NULL: something else. */
static inline const char *take_member(struct walk *walk, const char *at, struct json_view *out)
{
    struct json_value passed_over;
    enum json_key key;
    struct text name;

    at = take_name(walk, at, &name);
    if (!at)
        return NULL;
    key = key_within(name.bytes, name.len_bytes, walk->end);
    if (key == JSON_KEYS)
        return take_value(walk, at, PLAIN_DEPTH_MAX, &passed_over);
    out->filled |= 1u << key;
    return take_value(walk, at, PLAIN_DEPTH_MAX, &out->values[key]);
}

static bool take_members(struct walk *walk, struct json_view *out)
{
    const char *at = skip_spaces(walk->bytes);

    if (*at != '{')
        return false;
    at = skip_spaces(at + 1);
    if (*at == '}')
        return at + 1 == walk->end;
    for (;;) {
        at = take_member(walk, at, out);
        if (!at)
            return false;
        at = skip_spaces(at);
        if (*at != ',')
            return *at == '}' && at + 1 == walk->end;
        at = skip_spaces(at + 1);
    }
}

static bool ends_with_space(const char *bytes, size_t len_bytes)
{
    char last = bytes[len_bytes - 1];

    return last == ' ' || last == '\t' || last == '\r';
}

bool plain_read(const char *bytes, size_t len_bytes, struct json_view *out)
{
    struct quotes quotes;
    struct walk walk;

    while (len_bytes > 0 && ends_with_space(bytes, len_bytes))
        len_bytes--;
    if (len_bytes < 2 || len_bytes > PLAIN_LINE_MAX_BYTES || bytes[len_bytes - 1] != '}')
        return false;
    if (!find_quotes(bytes, len_bytes, &quotes))
        return false;
    walk = (struct walk){bytes, bytes + len_bytes, quotes.at};
    return take_members(&walk, out);
}
