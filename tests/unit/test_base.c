/* core/base: error.c, buffer.c, array.c, siphash.c, nearest.c, limits.c, utf8.h, span.h, file.c */
#include "config.h"

#include "core/base/array.h"
#include "core/base/buffer.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/limits.h"
#include "core/base/nearest.h"
#include "core/base/siphash.h"
#include "core/base/span.h"
#include "core/base/utf8.h"

#include "check_main.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

START_TEST(error_says_field_value_and_message)
{
    pdk_error err;
    memset(&err, 0xFF, sizeof err);
    ck_assert_int_eq(
        pdk_error_value(&err, PDK_INVALID, "max_tokens", "ab\nc", "max_tokens must be at least %d", 1), PDK_INVALID);
    ck_assert_str_eq(err.field, "max_tokens");
    ck_assert_str_eq(err.value, "ab?c");
    ck_assert_str_eq(err.message, "max_tokens must be at least 1");
    pdk_error_wrap(&err, "revision %s", "a-1");
    ck_assert_str_eq(err.message, "revision a-1: max_tokens must be at least 1");
    ck_assert_int_eq(pdk_error_errno(&err, ENOENT, "file", "cannot open %s", "x"), PDK_NOT_FOUND);
    ck_assert_str_eq(err.message, "cannot open x: No such file or directory");
    ck_assert_int_eq(pdk_error_set(NULL, PDK_BUSY, NULL, "x"), PDK_BUSY);
}
END_TEST

START_TEST(error_is_cut_at_a_character)
{
    char text[1200];
    for (size_t i = 0; i < sizeof text - 1; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[sizeof text - 2] = '\0';
    pdk_error err;
    size_t bad;
    pdk_error_value(&err, PDK_INVALID, text, text, "x%s", text);
    ck_assert(utf8_valid(err.message, strlen(err.message), &bad));
    ck_assert(utf8_valid(err.field, strlen(err.field), &bad));
    ck_assert(utf8_valid(err.value, strlen(err.value), &bad));
    ck_assert_uint_eq(strlen(err.value), 64);
    ck_assert_uint_ge(strlen(err.message), PDK_ERROR_MESSAGE_MAX - 3);
    pdk_error_wrap(&err, "y%s", text);
    ck_assert(utf8_valid(err.message, strlen(err.message), &bad));
}
END_TEST

START_TEST(words_of_others_are_made_plain)
{
    char text[] = "a\nb\x1b[31m \x7f\xff\xc3\xa9\xc2\x9b\xe2\x82";
    utf8_make_plain(text);
    ck_assert_str_eq(text, "a b [31m  ?\xc3\xa9  ??");
}
END_TEST

START_TEST(buffer_grows_and_ends_in_nul)
{
    PDK_CLEANUP(buffer_done) struct buffer b = {0};
    for (int i = 0; i < 1000; i++)
        buffer_printf(&b, "%d,", i);
    ck_assert_uint_eq(b.length, 3890);
    ck_assert_uint_eq(strlen(b.data), b.length);
    ck_assert_ptr_null(buffer_reserve(&b, SIZE_MAX - 10));
    ck_assert(b.failed);
    ck_assert_uint_eq(b.length, 3890);
    ck_assert_ptr_null(buffer_take(&b));
    char *empty = buffer_take(&b);
    ck_assert_str_eq(empty, "");
    free(empty);
}
END_TEST

START_TEST(array_checks_its_size)
{
    uint64_t *numbers = NULL;
    size_t room = 0;
    ck_assert(array_grow(&numbers, &room, 9) && room == 16);
    ck_assert(!array_grow(&numbers, &room, SIZE_MAX / 4) && room == 16);
    free(numbers);
}
END_TEST

/* The first vectors of the authors' reference: key 00..0f, message 00..n-1. */
START_TEST(siphash_equals_the_reference)
{
    struct siphash_key key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    uint8_t message[15];
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)i;
    ck_assert_uint_eq(siphash64(&key, message, 0), 0x726fdb47dd0e0e31u);
    ck_assert_uint_eq(siphash64(&key, message, 1), 0x74f839c593dc67fdu);
    ck_assert_uint_eq(siphash64(&key, message, 15), 0xa129ca6149be45e5u);
    struct siphash128 wide = siphash128(&key, message, 0);
    ck_assert_uint_eq(wide.low, 0xe6a825ba047f81a3u);
    ck_assert_uint_eq(wide.high, 0x930255c71472f66du);
}
END_TEST

static const struct {
    const char *wanted, *hint;
} names[] = {
    {"modle", "; did you mean 'model'?"},
    {"max-modle-len", "; did you mean 'max_model_len'?"},
    {"MODEL", "; did you mean 'model'?"},
    {"zzzzzz", ""},
    {"storageUrl", "; did you mean 'storageUri'?"},
};

START_TEST(nearest_name)
{
    struct nearest nearest = nearest_to(names[_i].wanted);
    nearest_offer(&nearest, "storageUri");
    nearest_offer(&nearest, "model");
    nearest_offer(&nearest, "max_model_len");
    ck_assert_str_eq(nearest_hint(&nearest), names[_i].hint);
}
END_TEST

START_TEST(limits_have_ranges)
{
    pdk_error err;
    ck_assert_uint_eq(limit_get(LIMIT_JSON_DEPTH), 64);
    ck_assert_int_eq(limit_set("json_depth", 32, &err), PDK_OK);
    ck_assert_uint_eq(limit_get(LIMIT_JSON_DEPTH), 32);
    ck_assert_int_eq(limit_set("json_depth", 7, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, "limits.json_depth is 7; it may be 8 to 256 ");
    ck_assert_int_eq(limit_set("json_dept", 7, &err), PDK_NOT_FOUND);
    ck_assert_str_eq(err.message, "no limit is called 'json_dept'; did you mean 'json_depth'?");
    struct limits_saved saved;
    limits_save(&saved);
    limits_reset();
    ck_assert_uint_eq(limit_get(LIMIT_JSON_DEPTH), 64);
    limits_restore(&saved);
    ck_assert_uint_eq(limit_get(LIMIT_JSON_DEPTH), 32);
    limits_reset();
    for (int i = 0; i < LIMIT_COUNT; i++) {
        const struct limit_row *row = limit_row((enum limit)i);
        ck_assert(
            row->name != NULL && row->doc != NULL && row->minimum <= row->standard && row->standard <= row->maximum);
    }
}
END_TEST

START_TEST(utf8_is_strict)
{
    size_t bad = 99;
    ck_assert(utf8_valid("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10, &bad));
    static const char *const wrong[] = {
        "\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80", "\xc3", "\xe2\x82"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(!utf8_valid(wrong[i], strlen(wrong[i]), &bad) && bad == 0, "case %zu", i);
    char out[4];
    uint32_t code;
    for (uint32_t c = 1; c < 0x110000; c += 61) {
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        size_t n = utf8_encode(c, out);
        ck_assert(utf8_decode(out, n, &code) == n && code == c);
    }
}
END_TEST

START_TEST(span_takes_what_is_there)
{
    struct span span = span_of("\x01\x02\x03\x04\x05", 5);
    uint32_t value = 7;
    uint64_t large = 9;
    ck_assert(span_u32(&span, &value) && value == 0x04030201);
    ck_assert(!span_u32(&span, &value) && value == 0x04030201 && span.left == 1);
    ck_assert(!span_u64(&span, &large) && large == 9);
}
END_TEST

START_TEST(files_are_read_and_replaced_whole)
{
    char folder[] = "/tmp/paddock-test-XXXXXX", path[128];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a/b/file", folder);
    pdk_error err;
    PDK_CLEANUP(buffer_done) struct buffer content = {0};
    ck_assert_int_eq(file_read(path, 10, &content, &err), PDK_NOT_FOUND);
    path[strlen(path) - 5] = '\0';
    ck_assert_int_eq(folder_make(path, 0700, &err), PDK_OK);
    path[strlen(path)] = '/';
    ck_assert_int_eq(file_replace(path, "hello", 5, 0600, &err), PDK_OK);
    ck_assert_int_eq(file_replace(path, "hello you", 9, 0600, &err), PDK_OK);
    ck_assert_int_eq(file_read(path, 8, &content, &err), PDK_TOO_LARGE);
    ck_assert_int_eq(file_read(path, 9, &content, &err), PDK_OK);
    ck_assert_str_eq(content.data, "hello you");
    ck_assert_int_eq(file_read("/dev/zero", 9, &content, &err), PDK_INVALID);
    folder_remove(AT_FDCWD, folder);
    struct stat info;
    ck_assert_int_ne(stat(folder, &info), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base");
    TCase *tests = tcase_create("base");
    tcase_add_test(tests, error_says_field_value_and_message);
    tcase_add_test(tests, error_is_cut_at_a_character);
    tcase_add_test(tests, words_of_others_are_made_plain);
    tcase_add_test(tests, buffer_grows_and_ends_in_nul);
    tcase_add_test(tests, array_checks_its_size);
    tcase_add_test(tests, siphash_equals_the_reference);
    tcase_add_loop_test(tests, nearest_name, 0, sizeof names / sizeof names[0]);
    tcase_add_test(tests, limits_have_ranges);
    tcase_add_test(tests, utf8_is_strict);
    tcase_add_test(tests, span_takes_what_is_there);
    tcase_add_test(tests, files_are_read_and_replaced_whole);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
