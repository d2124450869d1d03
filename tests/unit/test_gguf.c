/* runtimes/huggingface/model/gguf.c, gguf_values.c: what is read right, and how every wrong count, length, offset,
 * type, alignment and name is refused. */
#include "config.h"

#include "check_main.h"
#include "gguf_write.h"
#include "runtimes/huggingface/model/gguf.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const uint64_t square[] = {32, 2};

static void good(struct buffer *out)
{
    put_head(out, 3, 2, 3);
    put_value_string(out, "general.architecture", "llama");
    put_value_u32(out, "llama.block_count", 2);
    put_value_f32(out, "llama.rope.freq_base", 10000.0f);
    put_tensor(out, "a", 2, square, 0, 0);
    put_tensor(out, "b", 2, square, 2, 256);
    put_padding(out, 32);
    put_zeros(out, 256 + 36);
}

static void empty(struct buffer *out)
{
    (void)out;
}

static void no_magic(struct buffer *out)
{
    buffer_puts(out, "GGML and more bytes after it");
}

static void only_magic(struct buffer *out)
{
    buffer_puts(out, "GGUF");
}

static void old_version(struct buffer *out)
{
    put_head(out, 1, 0, 0);
}

static void big_endian(struct buffer *out)
{
    put_head(out, 0x03000000, 0, 0);
}

static void many_tensors(struct buffer *out)
{
    put_head(out, 3, UINT64_MAX, 0);
    put_zeros(out, 64);
}

static void many_values(struct buffer *out)
{
    put_head(out, 3, 0, UINT64_MAX / 2);
    put_zeros(out, 64);
}

static void endless_key(struct buffer *out)
{
    put_head(out, 3, 0, 1);
    put_u64(out, UINT64_MAX);
    put_zeros(out, 64);
}

static void endless_string(struct buffer *out)
{
    put_head(out, 3, 0, 1);
    put_string(out, "k");
    put_u32(out, 8);
    put_u64(out, UINT64_MAX - 7);
    put_zeros(out, 32);
}

static void binary_key(struct buffer *out)
{
    put_head(out, 3, 0, 1);
    put_value_u32(out, "k\n", 1);
}

static void unknown_value_type(struct buffer *out)
{
    put_head(out, 3, 0, 1);
    put_string(out, "key");
    put_u32(out, 13);
    put_zeros(out, 16);
}

static void array_in_array(struct buffer *out)
{
    put_head(out, 3, 0, 1);
    put_string(out, "key");
    put_u32(out, 9);
    put_u32(out, 9);
    put_u64(out, 1);
    put_zeros(out, 32);
}

static void long_array(struct buffer *out)
{
    put_head(out, 3, 0, 1);
    put_string(out, "key");
    put_u32(out, 9);
    put_u32(out, 10);
    put_u64(out, UINT64_MAX / 8 + 2); /* times 8 wraps to 8 */
    put_zeros(out, 32);
}

static void long_string_array(struct buffer *out)
{
    put_head(out, 3, 0, 1);
    put_string(out, "key");
    put_u32(out, 9);
    put_u32(out, 8);
    put_u64(out, 2);
    put_string(out, "one");
    put_u64(out, 1000);
}

static void same_key_twice(struct buffer *out)
{
    put_head(out, 3, 0, 2);
    put_value_u32(out, "key", 1);
    put_value_u32(out, "key", 2);
}

static void one_tensor(struct buffer *out, uint32_t rank, const uint64_t *shape, uint32_t type, uint64_t offset)
{
    put_head(out, 3, 1, 0);
    put_tensor(out, "t", rank, shape, type, offset);
    put_padding(out, 32);
    put_zeros(out, 256);
}

static void no_dimension(struct buffer *out)
{
    one_tensor(out, 0, square, 0, 0);
}

static void five_dimensions(struct buffer *out)
{
    static const uint64_t shape[5] = {1, 1, 1, 1, 1};
    one_tensor(out, 5, shape, 0, 0);
}

static void zero_dimension(struct buffer *out)
{
    static const uint64_t shape[2] = {0, 4};
    one_tensor(out, 2, shape, 0, 0);
}

static void overflowing_shape(struct buffer *out)
{
    static const uint64_t shape[4] = {1ull << 32, 1ull << 32, 2, 1};
    one_tensor(out, 4, shape, 0, 0);
}

static void overflowing_bytes(struct buffer *out)
{
    static const uint64_t shape[2] = {1ull << 62, 1};
    one_tensor(out, 2, shape, 0, 0);
}

static void shape_cut_to_32_bits(struct buffer *out)
{
    static const uint64_t shape[2] = {(1ull << 32) + 32, 2};
    one_tensor(out, 2, shape, 0, 0);
}

static void unknown_type(struct buffer *out)
{
    one_tensor(out, 2, square, 99, 0);
}

static void removed_type(struct buffer *out)
{
    one_tensor(out, 2, square, 4, 0);
}

static void broken_block(struct buffer *out)
{
    static const uint64_t shape[2] = {33, 2};
    one_tensor(out, 2, shape, 2, 0);
}

static void crooked_offset(struct buffer *out)
{
    one_tensor(out, 2, square, 2, 4);
}

static void offset_past_end(struct buffer *out)
{
    one_tensor(out, 2, square, 0, 32);
}

static void offset_that_wraps(struct buffer *out)
{
    one_tensor(out, 2, square, 0, UINT64_MAX - 31);
}

static void overlap(struct buffer *out)
{
    put_head(out, 3, 2, 0);
    put_tensor(out, "a", 2, square, 0, 0);
    put_tensor(out, "b", 2, square, 0, 224);
    put_padding(out, 32);
    put_zeros(out, 1024);
}

static void same_tensor_twice(struct buffer *out)
{
    put_head(out, 3, 2, 0);
    put_tensor(out, "a", 2, square, 0, 0);
    put_tensor(out, "a", 2, square, 0, 256);
    put_padding(out, 32);
    put_zeros(out, 512);
}

static void aligned(struct buffer *out, uint32_t alignment)
{
    put_head(out, 3, 1, 1);
    put_value_u32(out, "general.alignment", alignment);
    put_tensor(out, "t", 2, square, 2, 0);
    put_padding(out, 32);
    put_zeros(out, 256);
}

static void alignment_zero(struct buffer *out)
{
    aligned(out, 0);
}

static void alignment_three(struct buffer *out)
{
    aligned(out, 24);
}

static void alignment_huge(struct buffer *out)
{
    aligned(out, 1u << 31);
}

static void alignment_text(struct buffer *out)
{
    put_head(out, 3, 0, 1);
    put_value_string(out, "general.alignment", "32");
}

static void unnamed_part(struct buffer *out)
{
    put_head(out, 3, 0, 2);
    put_value_u32(out, "split.count", 2);
    put_value_u32(out, "split.no", 0);
}

static void many_parts(struct buffer *out)
{
    put_head(out, 3, 0, 1);
    put_value_u32(out, "split.count", 4000000);
}

static const struct {
    void (*write)(struct buffer *out);
    pdk_status status;
    const char *message; /* what the message holds */
} cases[] = {
    {good, PDK_OK, ""},
    {empty, PDK_INVALID, "is empty"},
    {no_magic, PDK_INVALID, "not a GGUF file"},
    {only_magic, PDK_INVALID, "the file ends inside the header"},
    {old_version, PDK_UNSUPPORTED, "GGUF version 1; versions 2 and 3 are read"},
    {big_endian, PDK_UNSUPPORTED, "a big-endian GGUF file"},
    {many_tensors, PDK_INVALID, "18446744073709551615 tensors; the 64 bytes left cannot hold them"},
    {many_values, PDK_INVALID, "metadata values; the 64 bytes left cannot hold them"},
    {endless_key, PDK_INVALID, "the file ends inside metadata"},
    {endless_string, PDK_INVALID, "the file ends inside metadata"},
    {binary_key, PDK_INVALID, "a name with byte 0x0a at 1"},
    {unknown_value_type, PDK_INVALID, "key has type 13; types are 0 to 12"},
    {array_in_array, PDK_UNSUPPORTED, "key is an array of arrays"},
    {long_array, PDK_INVALID, "more than the file holds"},
    {long_string_array, PDK_INVALID, "the file ends inside string 1 of key"},
    {same_key_twice, PDK_INVALID, "key is there twice"},
    {no_dimension, PDK_INVALID, "t has 0 dimensions; it may have 1 to 4"},
    {five_dimensions, PDK_INVALID, "t has 5 dimensions; it may have 1 to 4"},
    {zero_dimension, PDK_INVALID, "t has a dimension of 0"},
    {overflowing_shape, PDK_INVALID, "the shape of t overflows 64 bits"},
    {overflowing_bytes, PDK_INVALID, "the size of t overflows 64 bits"},
    {shape_cut_to_32_bits, PDK_INVALID, "passes the end of the file's data (256 bytes)"},
    {unknown_type, PDK_INVALID, "t has type 99, which is not in the format"},
    {removed_type, PDK_INVALID, "t has type 4, which is not in the format"},
    {broken_block, PDK_INVALID, "t has 33 columns, not a multiple of the 32 that Q4_0 packs together"},
    {crooked_offset, PDK_INVALID, "t begins at 4, not a multiple of the alignment (32)"},
    {offset_past_end, PDK_INVALID, "t (256 bytes at 32) passes the end of the file's data (256 bytes)"},
    {offset_that_wraps, PDK_INVALID, "passes the end of the file's data"},
    {overlap, PDK_INVALID, "a and b lie on each other"},
    {same_tensor_twice, PDK_INVALID, "a is there twice"},
    {alignment_zero, PDK_INVALID, "general.alignment is 0; it may be a power of two up to 1048576"},
    {alignment_three, PDK_INVALID, "general.alignment is 24;"},
    {alignment_huge, PDK_INVALID, "general.alignment is 2147483648;"},
    {alignment_text, PDK_INVALID, "general.alignment is not a whole number"},
    {unnamed_part, PDK_INVALID, "its name must end in -00001-of-00002.gguf"},
    {many_parts, PDK_INVALID, "split.count is 4000000; the limit is 1000"},
};

static pdk_status open_bytes(const char *name, const struct buffer *bytes, struct gguf **ret_gguf, pdk_error *err)
{
    return gguf_open(temporary_file(name, bytes->data != NULL ? bytes->data : "", bytes->length), ret_gguf, err);
}

START_TEST(reads_or_says_why)
{
    struct buffer bytes = {0};
    struct gguf *gguf = NULL;
    pdk_error err = {0};
    cases[_i].write(&bytes);
    ck_assert_int_eq(open_bytes("t.gguf", &bytes, &gguf, &err), cases[_i].status);
    ck_assert_msg(strstr(err.message, cases[_i].message) != NULL, "'%s' lacks '%s'", err.message, cases[_i].message);
    ck_assert((gguf != NULL) == (cases[_i].status == PDK_OK));
    gguf_close(gguf);
    buffer_done(&bytes);
}
END_TEST

/* A file cut anywhere is refused, never read past its end. */
START_TEST(every_cut_is_refused)
{
    struct buffer bytes = {0};
    good(&bytes);
    for (size_t length = 1; length < bytes.length; length++) {
        struct buffer cut = {.data = bytes.data, .length = length};
        struct gguf *gguf = NULL;
        pdk_error err = {0};
        ck_assert_msg(open_bytes("cut.gguf", &cut, &gguf, &err) != PDK_OK, "%zu bytes of %zu", length, bytes.length);
        ck_assert_str_ne(err.message, "");
    }
    buffer_done(&bytes);
}
END_TEST

START_TEST(values_are_read_by_kind)
{
    struct buffer bytes = {0};
    put_head(&bytes, 2, 0, 5);
    put_value_u32(&bytes, "u32", 7);
    put_value_f32(&bytes, "f32", 0.5f);
    put_string(&bytes, "i8");
    put_u32(&bytes, 1);
    buffer_putc(&bytes, (char)-3);
    put_string(&bytes, "ints");
    put_u32(&bytes, 9);
    put_u32(&bytes, 3); /* i16 */
    put_u64(&bytes, 2);
    buffer_put(&bytes, "\xff\xff\x02\x00", 4);
    put_string(&bytes, "words");
    put_u32(&bytes, 9);
    put_u32(&bytes, 8);
    put_u64(&bytes, 2);
    put_string(&bytes, "");
    put_string(&bytes, "two");
    struct gguf *gguf = NULL;
    ck_assert_int_eq(open_bytes("values.gguf", &bytes, &gguf, NULL), PDK_OK);
    uint64_t number;
    double real;
    size_t count;
    ck_assert(gguf_uint(gguf, "u32", &number) && number == 7);
    ck_assert(!gguf_uint(gguf, "i8", &number)); /* negative */
    ck_assert(!gguf_uint(gguf, "f32", &number) && !gguf_uint(gguf, "none", &number));
    ck_assert(gguf_double(gguf, "f32", &real) && real == 0.5);
    ck_assert(gguf_double(gguf, "i8", &real) && real == -3);
    const struct gguf_array *ints = gguf_array(gguf, "ints", GGUF_I32, &count);
    ck_assert(ints != NULL && count == 2 && gguf_array_int(ints, 0) == -1 && gguf_array_int(ints, 1) == 2);
    ck_assert_ptr_null(gguf_array(gguf, "ints", GGUF_STRING, &count));
    const struct gguf_array *words = gguf_array(gguf, "words", GGUF_STRING, &count);
    ck_assert(words != NULL && gguf_array_string(words, 1).length == 3);
    ck_assert_int_eq(memcmp(gguf_array_string(words, 1).data, "two", 3), 0);
    gguf_close(gguf);
    buffer_done(&bytes);
}
END_TEST

static void write_part(uint32_t number, uint32_t says, const char *tensor, const char *name)
{
    struct buffer bytes = {0};
    put_head(&bytes, 3, 1, 2);
    put_value_u32(&bytes, "split.count", 2);
    put_value_u32(&bytes, "split.no", says);
    put_tensor(&bytes, tensor, 2, square, 0, 0);
    put_padding(&bytes, 32);
    put_zeros(&bytes, 256);
    memset(bytes.data + bytes.length - 256, (int)number, 256);
    temporary_file(name, bytes.data, bytes.length);
    buffer_done(&bytes);
}

START_TEST(parts_open_as_one)
{
    char path[400];
    write_part(1, 0, "x", "m-00001-of-00002.gguf");
    write_part(2, 1, "y", "m-00002-of-00002.gguf");
    snprintf(path, sizeof path, "%s/m-00001-of-00002.gguf", temporary_folder());
    struct gguf *gguf = NULL;
    pdk_error err = {0};
    ck_assert_msg(gguf_open(path, &gguf, &err) == PDK_OK, "%s", err.message);
    ck_assert_uint_eq(gguf_tensor_count(gguf), 2);
    ck_assert_int_eq(*(const uint8_t *)gguf_tensor(gguf, "x")->data, 1);
    ck_assert_int_eq(*(const uint8_t *)gguf_tensor(gguf, "y")->data, 2);
    ck_assert_ptr_null(gguf_tensor(gguf, "z"));
    gguf_close(gguf);
    gguf = NULL;
    write_part(2, 1, "x", "m-00002-of-00002.gguf"); /* the other part's tensor */
    ck_assert_int_eq(gguf_open(path, &gguf, &err), PDK_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "x is there twice"));
    write_part(2, 0, "y", "m-00002-of-00002.gguf"); /* the wrong part */
    ck_assert_int_eq(gguf_open(path, &gguf, &err), PDK_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "this is part 1 of 2, and part 2 is wanted"));
    unlink(temporary_file("m-00002-of-00002.gguf", "", 0));
    ck_assert_int_eq(gguf_open(path, &gguf, &err), PDK_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "m-00002-of-00002.gguf"));
}
END_TEST

/* llama.cpp's own vocabularies, which hold no tensors. */
START_TEST(real_vocabularies_open)
{
    static const char *const names[] = {"bert-bge", "deepseek-coder", "falcon", "gpt-2", "llama-spm", "phi-3", "qwen2"};
    const char *fixtures = getenv("PADDOCK_FIXTURES");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/gguf-vocab/ggml-vocab-%s.gguf", fixtures != NULL ? fixtures : "", names[i]);
        if (access(path, R_OK) != 0)
            continue; /* a lone clone has none */
        struct gguf *gguf = NULL;
        pdk_error err = {0};
        size_t count = 0;
        ck_assert_msg(gguf_open(path, &gguf, &err) == PDK_OK, "%s", err.message);
        const struct gguf_array *tokens = gguf_array(gguf, "tokenizer.ggml.tokens", GGUF_STRING, &count);
        ck_assert(tokens != NULL && count > 10000 && gguf_array_string(tokens, count - 1).length > 0);
        ck_assert_ptr_nonnull(gguf_array(gguf, "tokenizer.ggml.token_type", GGUF_I32, &count));
        gguf_close(gguf);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gguf");
    TCase *tests = tcase_create("gguf");
    tcase_add_loop_test(tests, reads_or_says_why, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(tests, every_cut_is_refused);
    tcase_add_test(tests, values_are_read_by_kind);
    tcase_add_test(tests, parts_open_as_one);
    tcase_add_test(tests, real_vocabularies_open);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
