/* test_chunks.c - a file in pieces: nothing lost, nothing twice, no line cut; packed or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chunks.h"
#include "random.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

static int begin(void **state)
{
    (void)state;
    random_seed();
    return 0;
}

/* A file in memory at its start. */
static int file_of(const void *bytes, size_t len)
{
    int fd = memfd_create("chunks", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* Lines of random lengths, most short, some around a read's and the limit's; no newline at the end. */
static struct buffer random_text(size_t len)
{
    struct buffer text;

    buffer_init(&text);
    while (text.used < len) {
        size_t line = random_below(50)  ? random_below(200)
                      : random_below(4) ? CHUNKS_READ_BYTES - 100 + random_below(200)
                                        : LINES_MAX_BYTES - random_below(200);

        for (size_t i = 0; i < line && i < 16; i++)
            assert_true(buffer_add(&text, &"abcdefghijklmnop"[random_below(16)], 1));
        while (line-- > 16)
            assert_true(buffer_add(&text, "x", 1));
        assert_true(buffer_add(&text, "\n", 1));
    }
    text.used--;
    return text;
}

/* Chunks of fd put together are the text. */
static void assert_chunks(int fd, const struct buffer *wanted)
{
    struct chunks *chunks = chunks_open(fd, 7);
    struct buffer got;
    struct chunk chunk;
    uint64_t number = 7;
    bool last = false;

    assert_non_null(chunks);
    assert_true(chunk_init(&chunk));
    buffer_init(&got);
    while (chunks_next(chunks, &chunk) == CHUNKS_ONE) {
        assert_false(last);
        last = chunk.last;
        assert_int_equal(chunk.number, number++);
        assert_int_equal(chunk.offset, got.used);
        assert_true(last || (chunk.len_bytes > 0 && chunk.bytes[chunk.len_bytes - 1] == '\n'));
        assert_true(buffer_add(&got, chunk.bytes, chunk.len_bytes));
    }
    assert_true(last);
    assert_null(chunks_error(chunks));
    assert_int_equal(chunks_number(chunks), number);
    assert_int_equal(got.used, wanted->used);
    assert_memory_equal(got.bytes, wanted->bytes, got.used);
    buffer_fini(&got);
    chunk_fini(&chunk);
    chunks_close(chunks);
}

static void chunks_put_together_are_the_file(void **state)
{
    (void)state;
    for (int n = 0; n < 12; n++) {
        struct buffer text = random_text(n < 2 ? 1 : random_below(3u << 20) + 1);

        assert_chunks(file_of(text.bytes, text.used), &text);
        buffer_fini(&text);
    }
}

/* How many lines of each kind the chunks hold, and whether each came whole. */
static void a_line_over_the_limit_is_seen_as_such_and_the_next_whole(void **state)
{
    (void)state;
    for (size_t len = LINES_MAX_BYTES - 1; len <= 4u * LINES_MAX_BYTES;
         len += len < LINES_MAX_BYTES + 2 ? 1 : 777777) {
        char *text = malloc(len + 16);
        struct lines lines;
        struct chunks *chunks;
        struct chunk chunk;
        struct text line;
        enum lines_kind kind;
        uint64_t end;
        size_t seen = 0;

        assert_non_null(text);
        memcpy(text, "first\n", 6);
        memset(text + 6, 'x', len);
        memcpy(text + 6 + len, "\nlast", 5);
        chunks = chunks_open(file_of(text, len + 11), 1);
        assert_non_null(chunks);
        assert_true(chunk_init(&chunk));
        lines_init(&lines, 0);
        while (chunks_next(chunks, &chunk) == CHUNKS_ONE) {
            lines_restart(&lines, chunk.offset);
            lines_feed(&lines, chunk.bytes, chunk.len_bytes);
            while ((kind = lines_next(&lines, &line, &end)) != LINES_NONE ||
                   (chunk.last && (kind = lines_last(&lines, &line, &end)) != LINES_NONE)) {
                assert_int_equal(kind, seen == 1 && len > LINES_MAX_BYTES ? LINES_LONG : LINES_LINE);
                if (kind == LINES_LINE)
                    assert_int_equal(line.len_bytes, seen == 0 ? 5 : seen == 1 ? len : 4);
                seen++;
            }
        }
        assert_int_equal(seen, 3);
        lines_fini(&lines);
        chunk_fini(&chunk);
        chunks_close(chunks);
        free(text);
    }
}

static size_t gzip(const void *bytes, size_t len, unsigned char *out, size_t cap)
{
    z_stream stream = {0};

    assert_int_equal(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (unsigned char *)(uintptr_t)bytes;
    stream.avail_in = (uInt)len;
    stream.next_out = out;
    stream.avail_out = (uInt)cap;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return cap - stream.avail_out;
}

static size_t zstd(const void *bytes, size_t len, unsigned char *out, size_t cap)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    size_t n;

    assert_non_null(context);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    n = ZSTD_compress2(context, out, cap, bytes, len);
    ZSTD_freeCCtx(context);
    assert_false(ZSTD_isError(n));
    return n;
}

typedef size_t pack_fn(const void *bytes, size_t len, unsigned char *out, size_t cap);

static void packed_files_are_unpacked_member_by_member(void **state)
{
    static pack_fn *const packs[] = {gzip, zstd};
    struct buffer text = random_text(700000);
    size_t cap = 2 * text.used + 4096, half = text.used / 3;
    unsigned char *packed = malloc(cap);

    (void)state;
    assert_non_null(packed);
    for (size_t i = 0; i < 2; i++) {
        size_t n = packs[i](text.bytes, text.used, packed, cap);

        assert_chunks(file_of(packed, n), &text);
        n = packs[i](text.bytes, half, packed, cap);
        n += packs[i]("", 0, packed + n, cap - n);
        n += packs[i](text.bytes + half, text.used - half, packed + n, cap - n);
        assert_chunks(file_of(packed, n), &text);
        if (i == 0) { /* what follows the last member is passed over */
            memset(packed + n, 0, 600);
            assert_chunks(file_of(packed, n + 600), &text);
        }
    }
    free(packed);
    buffer_fini(&text);
}

static enum chunks_status last_status(int fd, char *error, size_t error_cap)
{
    struct chunks *chunks = chunks_open(fd, 1);
    struct chunk chunk;
    enum chunks_status status;

    assert_non_null(chunks);
    assert_true(chunk_init(&chunk));
    while ((status = chunks_next(chunks, &chunk)) == CHUNKS_ONE)
        ;
    assert_int_equal(chunks_next(chunks, &chunk), status); /* it stays so */
    snprintf(error, error_cap, "%s", status == CHUNKS_FAILED ? chunks_error(chunks) : "");
    chunk_fini(&chunk);
    chunks_close(chunks);
    return status;
}

static void damaged_or_cut_packed_files_are_errors(void **state)
{
    static pack_fn *const packs[] = {gzip, zstd};
    struct buffer text = random_text(300000);
    size_t cap = 2 * text.used + 4096;
    unsigned char *packed = malloc(cap);
    char error[200];

    (void)state;
    assert_non_null(packed);
    for (size_t i = 0; i < 2; i++) {
        size_t n = packs[i](text.bytes, text.used, packed, cap);

        for (size_t cut = 1; cut < n - 4; cut += n / 7) {
            assert_int_equal(last_status(file_of(packed, n - cut), error, sizeof(error)), CHUNKS_FAILED);
            assert_non_null(strstr(error, "too early"));
        }
        packed[n / 2] = (unsigned char)~packed[n / 2];
        packed[n - 1] = (unsigned char)~packed[n - 1];
        assert_int_equal(last_status(file_of(packed, n), error, sizeof(error)), CHUNKS_FAILED);
        assert_true(error[0] != '\0');
    }
    free(packed);
    buffer_fini(&text);
}

static void files_too_short_for_a_magic_are_plain(void **state)
{
    static const char *const texts[] = {"", "a", "\n", "\x1f", "\x28\xb5\x2f", "ab\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct buffer text;

        buffer_init(&text);
        assert_true(buffer_add(&text, texts[i], strlen(texts[i])));
        assert_chunks(file_of(texts[i], strlen(texts[i])), &text);
        buffer_fini(&text);
    }
}

/* ---- several workers ---- */

struct reader {
    struct chunks *chunks;
    uint64_t lines, bytes;
};

static void *read_all(void *context)
{
    struct reader *reader = context;
    struct chunk chunk;

    if (!chunk_init(&chunk))
        return NULL;
    while (chunks_next(reader->chunks, &chunk) == CHUNKS_ONE) {
        reader->bytes += chunk.len_bytes;
        for (size_t i = 0; i < chunk.len_bytes; i++)
            reader->lines += chunk.bytes[i] == '\n';
    }
    chunk_fini(&chunk);
    return reader;
}

static void several_workers_share_a_file_without_loss(void **state)
{
    static char line[] = "a line of some length, as there are many\n";
    struct reader readers[4] = {{0}};
    pthread_t threads[4];
    struct buffer text;
    uint64_t lines = 0, bytes = 0;

    (void)state;
    buffer_init(&text);
    for (int i = 0; i < 100000; i++)
        assert_true(buffer_add(&text, line, sizeof(line) - 1));
    readers[0].chunks = chunks_open(file_of(text.bytes, text.used), 1);
    assert_non_null(readers[0].chunks);
    for (int i = 0; i < 4; i++) {
        readers[i].chunks = readers[0].chunks;
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *done;

        assert_int_equal(pthread_join(threads[i], &done), 0);
        assert_non_null(done);
        lines += readers[i].lines;
        bytes += readers[i].bytes;
    }
    assert_int_equal(lines, 100000);
    assert_int_equal(bytes, text.used);
    chunks_close(readers[0].chunks);
    buffer_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_put_together_are_the_file),
        cmocka_unit_test(a_line_over_the_limit_is_seen_as_such_and_the_next_whole),
        cmocka_unit_test(packed_files_are_unpacked_member_by_member),
        cmocka_unit_test(damaged_or_cut_packed_files_are_errors),
        cmocka_unit_test(files_too_short_for_a_magic_are_plain),
        cmocka_unit_test(several_workers_share_a_file_without_loss),
    };

    return cmocka_run_group_tests(tests, begin, NULL);
}
