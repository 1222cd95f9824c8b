/* test_unpack.c - the bytes of a compressed file are those that went in, and damage is told from an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pack_check.h"
#include "unpack.h"

#include <errno.h>

#define BYTES 300000u

static unsigned char bytes[BYTES];
static struct unpack *unpack;

static int begin(void **context)
{
    unsigned value = 7;

    (void)context;
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (unsigned char)((value = value * 1664525u + 1013904223u) >> 28);
    unpack = unpack_new();
    return unpack != NULL ? folder_make() : -1;
}

static int end(void **context)
{
    (void)context;
    unpack_free(unpack);
    return folder_remove_all();
}

static void put(const void *content, size_t len_bytes)
{
    file_put("f", O_CREAT | O_APPEND, content, len_bytes);
}

static void put_packed(bool zstd, size_t from, size_t len_bytes)
{
    size_t packed_len;
    unsigned char *packed = pack(zstd, bytes + from, len_bytes, &packed_len);

    put(packed, packed_len);
    free(packed);
}

/* Reads on in pieces of at most cap bytes until something else than bytes comes; compares. */
static enum unpack_status expect(size_t from, size_t len_bytes, size_t cap)
{
    static unsigned char got[BYTES];
    enum unpack_status status;
    size_t total = 0, n;

    do {
        status = unpack_read(unpack, got + total, cap < BYTES - total ? cap : BYTES - total, &n);
        total += n;
    } while (status == UNPACK_BYTES && total < BYTES);
    assert_int_equal(total, len_bytes);
    assert_memory_equal(got, bytes + from, len_bytes);
    if (status == UNPACK_BYTES)
        status = unpack_read(unpack, got, 1, &n);
    return status;
}

static int opened(bool packed)
{
    int fd = open(in_folder("f"), O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    unpack_begin(unpack, fd, packed);
    return fd;
}

static enum unpack_status whole(bool packed, size_t len_bytes, size_t cap)
{
    int fd = opened(packed);
    enum unpack_status status = expect(0, len_bytes, cap);

    close(fd);
    return status;
}

static void gzip_zstd_and_plain_give_the_same_bytes(void **context)
{
    static const size_t caps[] = {1, 1000, BYTES};

    (void)context;
    for (int form = 0; form < 3; form++) {
        if (form < 2)
            put_packed(form == 1, 0, BYTES);
        else
            put(bytes, BYTES);
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(whole(form < 2, BYTES, caps[i]), UNPACK_END);
        assert_int_equal(unlink(in_folder("f")), 0);
    }
}

static void several_members_or_frames_are_one_run_of_bytes(void **context)
{
    (void)context;
    for (int zstd = 0; zstd < 2; zstd++) {
        for (size_t at = 0; at < BYTES; at += BYTES / 10)
            put_packed(zstd, at, BYTES / 10);
        assert_int_equal(whole(true, BYTES, 4096), UNPACK_END);
        assert_int_equal(unlink(in_folder("f")), 0);
    }
}

static void nothing_compressed_and_an_empty_plain_file_are_an_end(void **context)
{
    (void)context;
    put("", 0);
    assert_int_equal(whole(false, 0, 10), UNPACK_END);
    assert_int_equal(whole(true, 0, 10), UNPACK_CUT); /* no compressor leaves it so */
    put_packed(false, 0, 0);
    assert_int_equal(whole(true, 0, 10), UNPACK_END);
}

static void what_is_not_compressed_is_damage_only_where_it_should_be(void **context)
{
    (void)context;
    put("plain text\n", 11);
    assert_int_equal(whole(true, 0, 10), UNPACK_DAMAGED);
    assert_string_equal(unpack_reason(unpack), "it is neither gzip nor zstd");
}

/* A compressor writes it still, piece by piece. */
static void a_file_that_grows_goes_on_where_it_was_cut(void **context)
{
    (void)context;
    for (int zstd = 0; zstd < 2; zstd++) {
        size_t packed_len, total = 0;
        unsigned char *packed = pack(zstd, bytes, BYTES, &packed_len);
        static unsigned char got[BYTES];
        int fd;

        put("", 0);
        fd = opened(true);
        for (size_t at = 0; at <= packed_len; at += 777) {
            size_t n, piece = packed_len - at < 777 ? packed_len - at : 777;
            enum unpack_status status;

            while ((status = unpack_read(unpack, got + total, BYTES - total + 1, &n)) == UNPACK_BYTES)
                total += n;
            assert_int_equal(status, UNPACK_CUT);
            put(packed + at, piece);
        }
        assert_int_equal(expect(total, BYTES - total, 5000), UNPACK_END);
        assert_memory_equal(got, bytes, total);
        close(fd);
        free(packed);
        assert_int_equal(unlink(in_folder("f")), 0);
    }
}

static void damage_is_told_wherever_it_lies(void **context)
{
    (void)context;
    for (int zstd = 0; zstd < 2; zstd++) {
        size_t packed_len;
        unsigned char *packed = pack(zstd, bytes, BYTES, &packed_len);

        for (size_t at = 20; at < packed_len; at += packed_len / 23) {
            unsigned char piece[4096];
            enum unpack_status status;
            size_t n;
            int fd;

            packed[at] ^= 0x55;
            file_put("f", O_CREAT | O_TRUNC, (const char *)packed, packed_len);
            fd = opened(true);
            while ((status = unpack_read(unpack, piece, sizeof(piece), &n)) == UNPACK_BYTES)
                ;
            /* Some bits of the block headers make the block longer than the file; zstd has no checksum here.
             */
            assert_true(zstd || status == UNPACK_DAMAGED || status == UNPACK_CUT);
            assert_true(status != UNPACK_ERROR);
            close(fd);
            packed[at] ^= 0x55;
        }
        free(packed);
    }
}

static void what_lies_behind_the_compressed_data_is_damage_but_zeros_are_padding(void **context)
{
    (void)context;
    put_packed(false, 0, BYTES);
    put("\0\0\0\0", 4);
    assert_int_equal(whole(true, BYTES, 4096), UNPACK_END);
    put("x", 1);
    assert_int_equal(whole(true, BYTES, 4096), UNPACK_DAMAGED);
    assert_int_equal(unlink(in_folder("f")), 0);
    for (int zstd = 0; zstd < 2; zstd++) {
        put_packed(zstd, 0, BYTES);
        put("{\"v\":1}\n", 8);
        assert_int_equal(whole(false, BYTES, 4096), UNPACK_DAMAGED);
        assert_int_equal(unlink(in_folder("f")), 0);
    }
}

/* A frame may ask for 2 GiB. */
static void a_window_over_the_limit_is_refused(void **context)
{
    ZSTD_CCtx *packer = ZSTD_createCCtx();
    static unsigned char packed[BYTES + 1000];
    ZSTD_outBuffer out = {packed, sizeof(packed), 0};
    ZSTD_inBuffer in = {bytes, BYTES, 0};

    (void)context;
    ZSTD_CCtx_setParameter(packer, ZSTD_c_windowLog, 27);
    assert_int_equal(ZSTD_compressStream2(packer, &out, &in, ZSTD_e_flush), 0); /* the size stays unknown */
    assert_int_equal(ZSTD_compressStream2(packer, &out, &in, ZSTD_e_end), 0);
    ZSTD_freeCCtx(packer);
    put(packed, out.pos);
    assert_int_equal(whole(true, 0, 4096), UNPACK_DAMAGED);
    assert_non_null(strstr(unpack_reason(unpack), "window"));
}

static void a_pipe_is_read_as_it_comes(void **context)
{
    int ends[2];
    size_t packed_len;
    unsigned char *packed = pack(false, bytes, 20000, &packed_len);

    (void)context;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], packed, packed_len), packed_len);
    close(ends[1]);
    unpack_begin(unpack, ends[0], false);
    assert_int_equal(expect(0, 20000, 4096), UNPACK_END);
    close(ends[0]);
    free(packed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gzip_zstd_and_plain_give_the_same_bytes),
        TEST(several_members_or_frames_are_one_run_of_bytes),
        TEST(nothing_compressed_and_an_empty_plain_file_are_an_end),
        TEST(what_is_not_compressed_is_damage_only_where_it_should_be),
        TEST(a_file_that_grows_goes_on_where_it_was_cut),
        TEST(damage_is_told_wherever_it_lies),
        TEST(what_lies_behind_the_compressed_data_is_damage_but_zeros_are_padding),
        TEST(a_window_over_the_limit_is_refused),
        TEST(a_pipe_is_read_as_it_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
