/* runtimes/huggingface/model/safetensors.c: as strict as the reference reader. */
#include "config.h"

#include "check_main.h"
#include "gguf_write.h"
#include "runtimes/huggingface/model/safetensors.h"

#include <string.h>

#define A8 "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"

static const struct {
    const char *header;
    size_t data; /* bytes behind it */
    pdk_status status;
    const char *message; /* what the message holds */
} cases[] = {
    {"{" A8 "}", 8, PDK_OK, ""},
    {"{" A8 "}   ", 8, PDK_OK, ""},
    {"{\"__metadata__\":{\"format\":\"pt\"}," A8 "}", 8, PDK_OK, ""},
    {"{}", 0, PDK_OK, ""},
    {"{\"b\":{\"dtype\":\"I8\",\"shape\":[0,3],\"data_offsets\":[0,0]}," A8 "}", 8, PDK_OK, ""},
    {"{\"s\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]}}", 8, PDK_OK, ""},
    {"", 8, PDK_INVALID, "the header does not start with '{'"},
    {" {" A8 "}", 8, PDK_INVALID, "the header does not start with '{'"},
    {"[1]", 0, PDK_INVALID, "the header does not start with '{'"},
    {"{" A8, 8, PDK_INVALID, "unexpected end"},
    {"{" A8 "}x", 8, PDK_INVALID, "trailing characters"},
    {"{" A8 "," A8 "}", 8, PDK_INVALID, "duplicate key 'a'"},
    {"{\"\xff\":1}", 0, PDK_INVALID, "invalid UTF-8"},
    {"{\"a\":[[[[[[]]]]]]}", 0, PDK_INVALID, "nested deeper than 3 levels"},
    {"{\"__metadata__\":{\"n\":1}," A8 "}", 8, PDK_INVALID, "'n' must be a string, not number"},
    {"{\"__metadata__\":[]," A8 "}", 8, PDK_INVALID, "must be an object, not array"},
    {"{\"a\":3}", 0, PDK_INVALID, "'a': must be an object, not number"},
    {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, PDK_INVALID, "'dtype' must be a string"},
    {"{\"a\":{\"dtype\":\"Q9\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, PDK_INVALID,
        "dtype 'Q9' is not in the format"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, PDK_INVALID, "'shape' must be an array, not nothing"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}", 8, PDK_INVALID,
        "a field that the format does"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, PDK_INVALID,
        "dimension 1 is not a whole number"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,8]}}", 8, PDK_INVALID,
        "dimension 1 is not a whole number"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}", 8, PDK_INVALID,
        "9 dimensions; the limit is 8"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}", 8, PDK_INVALID,
        "the shape overflows 64 bits"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2305843009213693954],\"data_offsets\":[0,8]}}", 8, PDK_INVALID,
        "the size overflows 64 bits"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967298],\"data_offsets\":[0,8]}}", 8, PDK_INVALID,
        "4294967298 elements of F32 do not fill the 8 bytes given"},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, PDK_INVALID, "3 elements of F4 do not fill"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, PDK_INVALID,
        "'data_offsets' must be two whole"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, PDK_INVALID,
        "begins at 8 and ends before, at 0"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, PDK_INVALID,
        "past the end of the file's data (4"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[18446744073709551608,18446744073709551616]}}", 8,
        PDK_INVALID, "'data_offsets' must be two whole numbers"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12, PDK_INVALID,
        "the data of 'a' begins at 4; without a hole it begins at 0"},
    {"{\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}," A8 "}", 12, PDK_INVALID,
        "the data of 'b' begins at 4; without an overlap it begins at 8"},
    {"{" A8 "}", 9, PDK_INVALID, "the tensors end at 8, the file's data at 9"},
};

static pdk_status open_case(
    uint64_t length, const char *header, size_t data, struct safetensors **ret_file, pdk_error *err)
{
    struct buffer bytes = {0};
    put_u64(&bytes, length);
    buffer_puts(&bytes, header);
    put_zeros(&bytes, data);
    pdk_status status = safetensors_open(temporary_file("t.safetensors", bytes.data, bytes.length), ret_file, err);
    buffer_done(&bytes);
    return status;
}

START_TEST(reads_or_says_why)
{
    struct safetensors *file = NULL;
    pdk_error err = {0};
    ck_assert_int_eq(
        open_case(strlen(cases[_i].header), cases[_i].header, cases[_i].data, &file, &err), cases[_i].status);
    ck_assert_msg(strstr(err.message, cases[_i].message) != NULL, "'%s' lacks '%s'", err.message, cases[_i].message);
    ck_assert((file != NULL) == (cases[_i].status == PDK_OK));
    safetensors_close(file);
}
END_TEST

START_TEST(the_headers_length_is_checked)
{
    static const struct {
        uint64_t length;
        pdk_status status;
        const char *message;
    } lengths[] = {
        {100000001, PDK_TOO_LARGE, "a header of 100000001 bytes; the limit is 100000000"},
        {UINT64_MAX, PDK_TOO_LARGE, "a header of 18446744073709551615 bytes"},
        {1000, PDK_INVALID, "a header of 1000 bytes in a file that has 2 more"},
        {0, PDK_INVALID, "the header does not start with '{'"},
    };
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct safetensors *file = NULL;
        pdk_error err = {0};
        ck_assert_int_eq(open_case(lengths[i].length, "{}", 0, &file, &err), lengths[i].status);
        ck_assert_msg(strstr(err.message, lengths[i].message) != NULL, "%s", err.message);
    }
    struct safetensors *file = NULL;
    pdk_error err = {0};
    ck_assert_int_eq(safetensors_open(temporary_file("short.safetensors", "abc", 3), &file, &err), PDK_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "3 bytes are too few"));
    ck_assert_int_eq(safetensors_open("/nonexistent/x.safetensors", &file, &err), PDK_NOT_FOUND);
    ck_assert_int_eq(safetensors_open("/tmp", &file, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, "/tmp is not a regular file");
}
END_TEST

START_TEST(gives_tensors_in_the_order_of_their_data)
{
    struct safetensors *file = NULL;
    ck_assert_int_eq(open_case(strlen("{\"z\":{\"dtype\":\"U8\",\"shape\":[2,2],\"data_offsets\":[8,12]}," A8 "}"),
                         "{\"z\":{\"dtype\":\"U8\",\"shape\":[2,2],\"data_offsets\":[8,12]}," A8 "}", 12, &file, NULL),
        PDK_OK);
    ck_assert_uint_eq(safetensors_count(file), 2);
    ck_assert_str_eq(safetensors_at(file, 0)->name, "a");
    const struct safetensors_tensor *z = safetensors_at(file, 1);
    ck_assert(z->rank == 2 && z->shape[0] == 2 && z->bytes == 4 && strcmp(z->dtype, "U8") == 0);
    ck_assert_ptr_eq(z->data, (const uint8_t *)safetensors_at(file, 0)->data + 8);
    safetensors_close(file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *tests = tcase_create("safetensors");
    tcase_add_loop_test(tests, reads_or_says_why, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(tests, the_headers_length_is_checked);
    tcase_add_test(tests, gives_tensors_in_the_order_of_their_data);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
