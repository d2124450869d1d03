/* API keys: what a file may say, who is let in, and what an error must not tell. */
#include "config.h"

#include "check_main.h"

#include "core/base/cleanup.h"
#include "core/gateway/keys.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/paddock-keys-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
    static const char *const names[] = {"alice", "bob", "bad"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void write_key(const char *name, const char *text, mode_t mode)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    ck_assert_int_eq(chmod(path, mode), 0);
}

#define DIGEST "sha256:4ef12a3dbd3ed9ce8dfba3f3bcf0b9cee53a2a0ef6bca69a8cc5cc4c4a2ff4ff"

static const struct {
    const char *text, *words; /* NULL: fine */
} files[] = {
    {"12345678", NULL},
    {"12345678\n", NULL},
    {"12345678  \r\n\n# a comment\ntenant=x\nservices=a,ns/b\n", NULL},
    {DIGEST "\n", NULL},
    {"", "empty"},
    {"\n", "8 to 512"},
    {"1234567\n", "8 to 512"},
    {"1234 5678\n", "visible ASCII"},
    {"sha256:abc\n", "64 hex"},
    {"12345678\nsekret-on-the-wrong-line\n", "only tenant="},
    {"12345678\ntenant=\n", "1 to 253"},
    {"12345678\nservices=\n", "names no service"},
    {"12345678\nservices=a b\n", "no blanks"},
    {"12345678\nservices=a\nservices=b\n", "twice"},
};

START_TEST(files_are_read)
{
    struct key *key = NULL;
    pdk_error err = {0};
    pdk_status status = key_read("name", files[_i].text, strlen(files[_i].text), &key, &err);
    if (files[_i].words == NULL) {
        ck_assert_msg(status == PDK_OK, "%s", err.message);
        ck_assert_uint_ne(key_tenant(key), 0);
        key_free(key);
        return;
    }
    ck_assert_int_eq(status, PDK_INVALID);
    ck_assert_msg(
        strstr(err.message, files[_i].words) != NULL, "'%s' does not tell of '%s'", err.message, files[_i].words);
    ck_assert_ptr_null(strstr(err.message, "sekret"));
}
END_TEST

START_TEST(keys_are_found)
{
    struct keys *keys = NULL;
    pdk_error err = {0};
    write_key("alice", "alice-key\ntenant=t\n", 0600);
    write_key("bob", "bobbobbob\ntenant=t\nservices=iris,ns/opt\n", 0640);
    ck_assert_int_eq(keys_load(folder, &keys, &err), PDK_OK);
    ck_assert_uint_eq(keys_count(keys), 2);
    const struct key *alice = keys_find(keys, "alice-key", 9), *bob = keys_find(keys, "bobbobbob", 9);
    ck_assert_ptr_nonnull(alice);
    ck_assert_ptr_nonnull(bob);
    ck_assert_ptr_ne(alice, bob);
    ck_assert_uint_eq(key_tenant(alice), key_tenant(bob));
    ck_assert_ptr_null(keys_find(keys, "alice-ke", 8));
    ck_assert_ptr_null(keys_find(keys, "alice-key2", 10));
    ck_assert_ptr_null(keys_find(keys, "", 0));
    ck_assert(key_allows(alice, "default", "any"));
    ck_assert(key_allows(bob, "default", "iris") && key_allows(bob, "ns", "opt"));
    ck_assert(
        !key_allows(bob, "ns", "iris") && !key_allows(bob, "default", "opt") && !key_allows(bob, "default", "iri"));
    keys_unref(keys);
}
END_TEST

START_TEST(digest_stands_for_the_key)
{
    struct keys *keys = NULL;
    pdk_error err = {0};
    /* SHA-256 of "abc", from FIPS 180-2. */
    write_key("alice", "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n", 0600);
    ck_assert_int_eq(keys_load(folder, &keys, &err), PDK_OK);
    ck_assert_ptr_nonnull(keys_find(keys, "abc", 3));
    keys_unref(keys);
}
END_TEST

START_TEST(wide_files_are_refused)
{
    struct keys *keys = NULL;
    pdk_error err = {0};
    write_key("alice", "alice-key\n", 0600);
    write_key("bad", "bad-bad-bad\n", 0644);
    ck_assert_int_eq(keys_load(folder, &keys, &err), PDK_DENIED);
    ck_assert_ptr_null(keys);
    ck_assert_msg(strstr(err.message, "0644") != NULL && strstr(err.message, "/bad") != NULL, "%s", err.message);
}
END_TEST

START_TEST(no_folder_is_no_key)
{
    struct keys *keys = NULL;
    ck_assert_int_eq(keys_load("/nonexistent/keys", &keys, NULL), PDK_OK);
    ck_assert_uint_eq(keys_count(keys), 0);
    keys_unref(keys);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keys");
    TCase *tests = tcase_create("keys");
    tcase_add_checked_fixture(tests, make_folder, remove_folder);
    tcase_add_loop_test(tests, files_are_read, 0, sizeof files / sizeof files[0]);
    tcase_add_test(tests, keys_are_found);
    tcase_add_test(tests, digest_stands_for_the_key);
    tcase_add_test(tests, wide_files_are_refused);
    tcase_add_test(tests, no_folder_is_no_key);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
