/* core/fetch: source.c, address.c, hub.c */
#include "config.h"

#include "core/base/json.h"
#include "core/fetch/address.h"
#include "core/fetch/hub.h"
#include "core/fetch/source.h"

#include "check_main.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static const struct {
    const char *uri;
    pdk_status status;
    enum source_kind kind;
    const char *owner, *name, *revision, *file;
} uris[] = {
    {"hf://a/b", PDK_OK, SOURCE_HUB, "a", "b", "main", ""},
    {"hf://HuggingFaceTB/SmolLM2-135M:refs+pr/x.gguf", PDK_OK, SOURCE_HUB, "HuggingFaceTB", "SmolLM2-135M", "refs+pr",
        "x.gguf"},
    {"hf://a/b/sub/c.gguf", PDK_OK, SOURCE_HUB, "a", "b", "main", "sub/c.gguf"},
    {"https://host/x/model.gguf?download=1", PDK_OK, SOURCE_HTTP, "", "", "", "model.gguf"},
    {"file:///x/y z", PDK_INVALID, 0, "", "", "", ""},
    {"file:///x/y", PDK_OK, SOURCE_FILE, "", "", "", ""},
    {"hf://a", PDK_INVALID, 0, "", "", "", ""},
    {"hf://a/", PDK_INVALID, 0, "", "", "", ""},
    {"hf://a/b:", PDK_INVALID, 0, "", "", "", ""},
    {"hf://../b", PDK_INVALID, 0, "", "", "", ""},
    {"hf://a/b/../c", PDK_INVALID, 0, "", "", "", ""},
    {"hf://a/b#sha256=0000000000000000000000000000000000000000000000000000000000000000", PDK_INVALID, 0, "", "", "",
        ""},
    {"https://host", PDK_INVALID, 0, "", "", "", ""},
    {"https://host/", PDK_INVALID, 0, "", "", "", ""},
    {"https://host/a#sha256=zz", PDK_INVALID, 0, "", "", "", ""},
    {"ftp://host/a", PDK_INVALID, 0, "", "", "", ""},
};

START_TEST(uris_name_sources)
{
    struct source source;
    memset(&source, 0x5A, sizeof source);
    pdk_error err = {0};
    ck_assert_int_eq(source_parse(uris[_i].uri, &source, &err), uris[_i].status);
    if (uris[_i].status != PDK_OK) {
        ck_assert_int_eq(source.owner[0], 0x5A);
        ck_assert_str_eq(err.field, "uri");
        return;
    }
    ck_assert_int_eq(source.kind, uris[_i].kind);
    ck_assert_str_eq(source.owner, uris[_i].owner);
    ck_assert_str_eq(source.name, uris[_i].name);
    ck_assert_str_eq(source.revision, uris[_i].revision);
    ck_assert_str_eq(source.file, uris[_i].file);
}
END_TEST

static const struct {
    const char *address;
    bool is_private;
} addresses[] = {
    {"127.0.0.1", true},
    {"10.1.2.3", true},
    {"172.31.255.255", true},
    {"172.32.0.1", false},
    {"192.168.1.1", true},
    {"169.254.169.254", true},
    {"100.64.0.1", true},
    {"0.0.0.0", true},
    {"224.0.0.1", true},
    {"8.8.8.8", false},
    {"::1", true},
    {"::", true},
    {"fe80::1", true},
    {"fd00::1", true},
    {"::ffff:127.0.0.1", true},
    {"::ffff:8.8.8.8", false},
    {"64:ff9b::7f00:1", true},
    {"2606:4700::1", false},
    {"ff02::1", true},
};

START_TEST(private_addresses)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_in *four = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&storage;
    if (strchr(addresses[_i].address, ':') != NULL) {
        six->sin6_family = AF_INET6;
        ck_assert_int_eq(inet_pton(AF_INET6, addresses[_i].address, &six->sin6_addr), 1);
    } else {
        four->sin_family = AF_INET;
        ck_assert_int_eq(inet_pton(AF_INET, addresses[_i].address, &four->sin_addr), 1);
    }
    ck_assert_msg(
        address_is_private((struct sockaddr *)&storage) == addresses[_i].is_private, "%s", addresses[_i].address);
}
END_TEST

static const struct {
    const char *tree, *only, *files, *message;
} trees[] = {
    {"[{\"type\":\"file\",\"path\":\"config.json\"},{\"type\":\"file\",\"path\":\"a.safetensors\",\"size\":5},{"
     "\"type\":\"file\",\"path\":\"x.bin\"},"
     "{\"type\":\"file\",\"path\":\"onnx/a.safetensors\"}]",
        "", "config.json a.safetensors ", ""},
    {"[{\"type\":\"file\",\"path\":\"a.gguf\"},{\"type\":\"file\",\"path\":\"config.json\"}]", "", "a.gguf ", ""},
    {"[{\"type\":\"file\",\"path\":\"a.gguf\"},{\"type\":\"file\",\"path\":\"b.gguf\"}]", "b.gguf", "b.gguf ", ""},
    {"[{\"type\":\"file\",\"path\":\"a.gguf\"},{\"type\":\"file\",\"path\":\"b.gguf\"}]", "", "",
        "the repository has 2 GGUF files; name one behind it, as hf://OWNER/NAME/FILE: a.gguf, b.gguf"},
    {"[{\"type\":\"file\",\"path\":\"a.bin\"}]", "", "",
        "the repository has neither safetensors nor a GGUF file (pickled weights are never read): a.bin"},
    {"[{\"type\":\"file\",\"path\":\"../a.safetensors\"}]", "../a.safetensors", "",
        "the hub lists a file called '../a.safetensors', which is no safe name"},
    {"{}", "", "", "the hub answers with no list of files"},
    {"[]", "x", "", "the repository has no file 'x'"},
};

START_TEST(hub_files_are_picked)
{
    struct json_document *document = NULL;
    pdk_error err = {0};
    ck_assert_int_eq(json_read(trees[_i].tree, strlen(trees[_i].tree), &json_limits_default, &document, NULL), PDK_OK);
    struct hub_listing listing = {0};
    pdk_status status = hub_pick(json_root(document), trees[_i].only, &listing, &err);
    struct buffer files = {0};
    buffer_puts(&files, "");
    for (size_t i = 0; i < listing.count; i++)
        buffer_printf(&files, "%s ", listing.files[i].name);
    ck_assert_str_eq(files.data, trees[_i].files);
    ck_assert_str_eq(err.message, trees[_i].message);
    ck_assert_int_eq(status == PDK_OK, trees[_i].message[0] == '\0');
    buffer_done(&files);
    hub_listing_done(&listing);
    json_document_free(document);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fetch");
    TCase *tests = tcase_create("fetch");
    tcase_add_loop_test(tests, uris_name_sources, 0, sizeof uris / sizeof uris[0]);
    tcase_add_loop_test(tests, private_addresses, 0, sizeof addresses / sizeof addresses[0]);
    tcase_add_loop_test(tests, hub_files_are_picked, 0, sizeof trees / sizeof trees[0]);
    suite_add_tcase(suite, tests);
    return check_main(suite);
}
