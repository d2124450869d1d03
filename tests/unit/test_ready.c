/* The ready frame's payload. */
#include "config.h"

#include "core/ipc/ready.h"

#include "check_main.h"
#include "core/base/error.h"

#include <stdio.h>
#include <string.h>

static pdk_status read_text(const char *text, struct ready_info **ret_info, pdk_error *err)
{
    struct json_document *document = NULL;
    ck_assert_int_eq(json_read(text, strlen(text), &json_limits_default, &document, err), PDK_OK);
    pdk_status status = ready_info_read(json_root(document), ret_info, err);
    json_document_free(document);
    return status;
}

START_TEST(test_round_trip)
{
    char *one = (char *)"opt", *two = (char *)"facebook/opt";
    struct ready_info sent = {
        .extensions = READY_GENERATE | READY_TOKENIZE,
        .vocabulary_size = 50272,
        .max_model_len = 2048,
        .max_logprobs = UINT32_MAX,
        .name_count = 2,
        .eos_count = 2,
        .has_tokenizer = true,
        .forced_tools = true,
        .pooling_tasks = 1u << PDK_POOL_EMBED,
        .pooled_size = 384,
        .class_count = 2,
        .class_labels = (char *[]){one, two},
        .dimension_count = 1,
        .dimensions = {64},
        .names = {one, two},
        .eos_ids = {2, 3},
        .root = two,
        .fingerprint = (char *)"0badcafe",
        .runtime = (char *)"huggingface",
        .sandbox = (char *)"landlock 6, seccomp",
        .memory_bytes = UINT64_C(1) << 40,
        .defaults = {.has = PDK_HAS_TEMPERATURE | PDK_HAS_TOP_K | PDK_HAS_SEED,
            .temperature = 0.6,
            .top_k = 20,
            .seed = -7},
    };
    struct buffer text = {0};
    struct ready_info *got = NULL;
    pdk_error err;
    ready_info_write(&text, &sent);
    ck_assert_int_eq(read_text(text.data, &got, &err), PDK_OK);
    ck_assert_uint_eq(got->extensions, sent.extensions);
    ck_assert_uint_eq(got->vocabulary_size, 50272);
    ck_assert_uint_eq(got->max_model_len, 2048);
    ck_assert_uint_eq(got->max_logprobs, UINT32_MAX);
    ck_assert(got->has_tokenizer && !got->has_template);
    ck_assert(got->forced_tools && !got->auto_tools);
    ck_assert_uint_eq(got->pooling_tasks, 1u << PDK_POOL_EMBED);
    ck_assert_uint_eq(got->pooled_size, 384);
    ck_assert_str_eq(got->class_labels[1], two);
    ck_assert_uint_eq(got->dimensions[0], 64);
    ck_assert_uint_eq(got->name_count, 2);
    ck_assert_str_eq(got->names[1], two);
    ck_assert_uint_eq(got->eos_count, 2);
    ck_assert_uint_eq(got->eos_ids[1], 3);
    ck_assert_str_eq(got->root, two);
    ck_assert_str_eq(got->fingerprint, "0badcafe");
    ck_assert_str_eq(got->runtime, "huggingface");
    ck_assert_str_eq(got->sandbox, "landlock 6, seccomp");
    ck_assert_uint_eq(got->memory_bytes, UINT64_C(1) << 40);
    ck_assert_uint_eq(got->defaults.has, sent.defaults.has);
    ck_assert(got->defaults.temperature == 0.6 && got->defaults.top_k == 20 && got->defaults.seed == -7);
    ck_assert_uint_eq(got->defaults.n, 1);
    ready_info_free(got);
    buffer_done(&text);
}
END_TEST

START_TEST(test_least)
{
    struct ready_info *got = NULL;
    pdk_error err;
    ck_assert_int_eq(read_text("{\"extensions\":[\"of.tomorrow\"],\"names\":[\"x\"],\"more\":{}}", &got, &err), PDK_OK);
    ck_assert_uint_eq(got->extensions, 0);
    ck_assert_str_eq(got->sandbox, "");
    ck_assert_uint_eq(got->max_model_len, 0);
    ready_info_free(got);
}
END_TEST

static const struct {
    const char *text, *message;
} wrong[] = {
    {"[]", "ready: extensions is nothing, not a list"},
    {"{\"extensions\":[],\"names\":[]}", "ready: names is array, not a list of 1 to 64 names"},
    {"{\"extensions\":[],\"names\":[\"\"]}", "ready: names is string, not a name"},
    {"{\"extensions\":[],\"names\":[1]}", "ready: names is number, not a name"},
    {"{\"extensions\":[1],\"names\":[\"x\"]}", "ready: extensions is number, not a name"},
    {"{\"extensions\":[],\"names\":[\"x\"],\"vocabulary_size\":-1}",
        "ready: vocabulary_size is number, not an integer of 0 to 4294967295"},
    {"{\"extensions\":[],\"names\":[\"x\"],\"max_model_len\":4294967296}",
        "ready: max_model_len is number, not an integer of 0 to 4294967295"},
    {"{\"extensions\":[],\"names\":[\"x\"],\"eos_ids\":[1.5]}",
        "ready: eos_ids is number, not an integer of 0 to 4294967295"},
    {"{\"extensions\":[],\"names\":[\"x\"],\"has_template\":1}", "ready: has_template is number, not true or false"},
    {"{\"extensions\":[],\"names\":[\"x\"],\"root\":[]}", "ready: root is array, not a string of at most 4096 bytes"},
    {"{\"extensions\":[],\"names\":[\"x\"],\"defaults\":{\"top_k\":3000000000}}",
        "ready: top_k is number, not an integer of 32 bits"},
    {"{\"extensions\":[],\"names\":[\"x\"],\"defaults\":{\"temperature\":\"hot\"}}",
        "ready: temperature is string, not a number"},
};

START_TEST(test_wrong)
{
    struct ready_info *got = NULL;
    pdk_error err;
    ck_assert_int_eq(read_text(wrong[_i].text, &got, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, wrong[_i].message);
    ck_assert_ptr_null(got);
}
END_TEST

START_TEST(test_too_many)
{
    struct buffer text = {0};
    struct ready_info *got = NULL;
    pdk_error err;
    buffer_puts(&text, "{\"extensions\":[],\"names\":[\"x\"],\"eos_ids\":[0");
    for (int i = 1; i < 65; i++)
        buffer_printf(&text, ",%d", i);
    buffer_puts(&text, "]}");
    ck_assert_int_eq(read_text(text.data, &got, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, "ready: eos_ids is array, not a list of at most 64 numbers");
    buffer_done(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ready");
    TCase *tcase = tcase_create("ready");
    tcase_add_test(tcase, test_round_trip);
    tcase_add_test(tcase, test_least);
    tcase_add_loop_test(tcase, test_wrong, 0, sizeof wrong / sizeof wrong[0]);
    tcase_add_test(tcase, test_too_many);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
