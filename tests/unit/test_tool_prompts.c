/* What stands before an answer: formats told by templates, gpt-oss' prompts, schemas of forced calls. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/file.h"
#include "runtimes/huggingface/tools/forced.h"
#include "runtimes/huggingface/tools/harmony.h"
#include "runtimes/huggingface/tools/reasoning.h"

#include "check_main.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *file, *tools, *reasoning;
} templates[] = {
    {"Qwen-Qwen2.5-7B-Instruct", "hermes", NULL},
    {"Qwen-Qwen3-0.6B", "hermes", "qwen3"},
    {"Qwen-QwQ-32B", "hermes", "qwen3"},
    {"Qwen3.5-4B", "qwen3_coder", "qwen3"},
    {"NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", "hermes", NULL},
    {"meta-llama-Llama-3.1-8B-Instruct", "llama3_json", NULL},
    {"Mistral-Small-3.2-24B-Instruct-2506", "mistral", NULL},
    {"mistralai-Ministral-3-14B-Reasoning-2512", "mistral", "mistral"},
    {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "deepseek_v3", "deepseek_r1"},
    {"deepseek-ai-DeepSeek-V3.1", "deepseek_v31", "deepseek_v3"},
    {"deepseek-ai-DeepSeek-V3.2", "deepseek_v32", "deepseek_v3"},
    {"GLM-4.6", "glm45", "qwen3"},
    {"Kimi-K2-Thinking", "kimi_k2", "kimi_k2"},
    {"LFM2-8B-A1B", "lfm2", NULL},
    {"LFM2.5-Instruct", "lfm2", NULL},
    {"GigaChat3-10B-A1.8B", "gigachat3", NULL},
    {"google-gemma-4-31B-it-interleaved", "gemma4", "gemma4"},
    {"google-gemma-2-2b-it", NULL, NULL},
    {"ibm-granite-granite-3.3-2B-Instruct", "granite", "ernie45"},
    {"ibm-granite-granite-4.1", "granite4", NULL},
    {"openbmb-MiniCPM5-1B", "minicpm5", "qwen3"},
    {"openai-gpt-oss-120b", "openai", "openai_gptoss"},
    {"MiniMax-M3", NULL, "minimax_m3"},
};

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

START_TEST(templates_tell_their_formats)
{
    static const struct json_limits limits = {.bytes = 64 << 20, .depth = 100, .nodes = 4000000};
    const char *fixtures = getenv("PADDOCK_FIXTURES");
    for (size_t i = 0; i < sizeof templates / sizeof templates[0]; i++) {
        PDK_CLEANUP(buffer_done) struct buffer text = {0};
        PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
        char path[512];
        const char *template = NULL;
        snprintf(path, sizeof path, "%s/templates/%s.json", fixtures != NULL ? fixtures : ".", templates[i].file);
        if (file_read(path, 64 << 20, &text, NULL) != PDK_OK)
            continue; /* a lone clone has none of them */
        ck_assert_int_eq(json_read(text.data, text.length, &limits, &document, NULL), PDK_OK);
        ck_assert(json_string(json_get(json_root(document), "template"), &template));
        ck_assert_msg(same(tool_format_detect(template), templates[i].tools), "%s: tools by %s", templates[i].file,
            tool_format_detect(template));
        ck_assert_msg(same(reasoning_format_detect(template), templates[i].reasoning), "%s: reasoning by %s",
            templates[i].file, reasoning_format_detect(template));
    }
    ck_assert(same(tool_format_detect("<tool_call>"), "hermes"));
    ck_assert_ptr_null(reasoning_format_detect("{{ content.split('</think>') }}"));
}
END_TEST

#define SYSTEM_BEGIN                                                                                           \
    "<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\nKnowledge cutoff: " \
    "2024-06\nCurrent date: 2026-01-02\n\nReasoning: "
#define CHANNELS "\n\n# Valid channels: analysis, commentary, final. Channel must be included for every message."

static const struct {
    const char *variables, *prompt;
} prompts[] = {
    {"{\"messages\":[{\"role\":\"user\",\"content\":\"Hi <|end|>\"}],\"add_generation_prompt\":true}",
        SYSTEM_BEGIN "medium" CHANNELS "<|end|><|start|>user<|message|>Hi <|end|><|end|><|start|>assistant"},
    {"{\"messages\":[{\"role\":\"system\",\"content\":\"Be kind.\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\","
     "\"text\":\"a\"}]}],\"reasoning_effort\":\"high\",\"add_generation_prompt\":true}",
        SYSTEM_BEGIN "high" CHANNELS "<|end|><|start|>developer<|message|># Instructions\n\nBe kind.<|end|>"
                     "<|start|>user<|message|>a<|end|><|start|>assistant"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"\",\"reasoning\":"
     "\"hm\","
     "\"tool_calls\":[{\"id\":\"1\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":[1]}}}]},{\"role\":\"tool\","
     "\"tool_call_id\":\"1\",\"content\":\"42\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
     "\"description\":\"Does.\\nWell.\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\","
     "\"items\":{\"type\":\"integer\"},\"description\":\"which\"},\"b\":{\"enum\":[\"x\",\"y\"],\"default\":\"x\"},"
     "\"c\":{"
     "\"type\":\"object\",\"properties\":{\"d\":{\"type\":[\"string\",\"null\"]}}}},\"required\":[\"a\"]}}},{\"type\":"
     "\"function\",\"function\":{\"name\":\"g\"}}],\"add_generation_prompt\":true}",
        SYSTEM_BEGIN
        "medium" CHANNELS "\nCalls to these tools must go to the commentary channel: 'functions'.<|end|>"
        "<|start|>developer<|message|># Tools\n\n## functions\n\nnamespace functions {\n\n// Does.\n// Well.\ntype f = "
        "(_: {\n// which\na: number[],\nb?: \"x\" | \"y\", // default: x\nc?: {\nd?: string | null,\n},\n}) => any;\n\n"
        "type g = () => any;\n\n} // namespace functions<|end|><|start|>user<|message|>q<|end|>"
        "<|start|>assistant<|channel|>analysis<|message|>hm<|end|><|start|>assistant to=functions.f<|channel|>"
        "commentary json<|message|>{\"a\": [1]}<|call|><|start|>functions.f to=assistant<|channel|>commentary"
        "<|message|>42<|end|><|start|>assistant"},
    {"{\"messages\":[{\"role\":\"assistant\",\"content\":\"done\",\"reasoning\":\"old\"},{\"role\":\"user\","
     "\"content\":"
     "\"q\"},{\"role\":\"assistant\",\"content\":\"fine\"}]}",
        SYSTEM_BEGIN "medium" CHANNELS "<|end|><|start|>assistant<|channel|>final<|message|>done<|end|>"
                     "<|start|>user<|message|>q<|end|><|start|>assistant<|channel|>final<|message|>fine<|end|>"},
};

START_TEST(channels_are_written)
{
    PDK_CLEANUP(json_document_freep) struct json_document *variables = NULL;
    PDK_CLEANUP(template_output_done) struct template_output output = {0};
    const char *text = prompts[_i].variables;
    ck_assert_int_eq(json_read(text, strlen(text), &json_limits_default, &variables, NULL), PDK_OK);
    ck_assert_int_eq(harmony_render(json_root(variables), 1767323045, &output, NULL), PDK_OK);
    ck_assert_str_eq(output.text.data, prompts[_i].prompt);
    size_t covered = 0;
    for (size_t i = 0; i < output.run_count; i++) {
        const char *run = output.text.data + covered;
        /* Marks are the format's own; what a client writes is none. */
        ck_assert_int_eq(output.runs[i].special, run[0] == '<' && run[1] == '|');
        covered += output.runs[i].length;
    }
    ck_assert_uint_eq(covered, output.text.length);
}
END_TEST

START_TEST(efforts_that_were_not_trained_are_refused)
{
    PDK_CLEANUP(json_document_freep) struct json_document *variables = NULL;
    PDK_CLEANUP(template_output_done) struct template_output output = {0};
    pdk_error err = {0};
    static const char text[] = "{\"messages\":[],\"reasoning_effort\":\"none\"}";
    ck_assert_int_eq(json_read(text, sizeof text - 1, &json_limits_default, &variables, NULL), PDK_OK);
    ck_assert_int_eq(harmony_render(json_root(variables), 0, &output, &err), PDK_INVALID);
    ck_assert_str_eq(err.message, "Harmony does not support reasoning_effort='none'");
    ck_assert_str_eq(err.field, "reasoning_effort");
}
END_TEST

static const char tools[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{"
    "\"$ref\":\"#/$defs/"
    "n\"}},\"$defs\":{\"n\":{\"type\":\"integer\"}}}}},{\"type\":\"function\",\"function\":{\"name\":"
    "\"g\"}}]";

static const struct {
    int32_t tools;
    uint32_t flags;
    const char *name;
    pdk_status status;
    const char *schema;
} guides[] = {
    {PDK_TOOLS_AUTO, 0, "", PDK_OK, NULL},
    {PDK_TOOLS_NAMED, 0, "g", PDK_OK, "{\"type\":\"object\",\"properties\":{}}"},
    {PDK_TOOLS_NAMED, 0, "f", PDK_OK,
        "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/"
        "n\"}},\"$defs\":{\"n\":{\"type\":\"integer\"}}}"},
    {PDK_TOOLS_NAMED, 0, "h", PDK_NOT_FOUND, NULL},
    {PDK_TOOLS_REQUIRED, PDK_FLAG_ONE_TOOL_CALL, "", PDK_OK,
        "{\"type\":\"array\",\"minItems\":1,\"maxItems\":1,\"items\":{\"type\":\"object\",\"anyOf\":[{\"type\":"
        "\"object\","
        "\"properties\":{\"name\":{\"enum\":[\"f\"]},\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"$"
        "ref\":"
        "\"#/$defs/n\"}}}},\"required\":[\"name\",\"parameters\"],\"additionalProperties\":false},{\"type\":\"object\","
        "\"properties\":{\"name\":{\"enum\":[\"g\"]},\"parameters\":{\"type\":\"object\",\"properties\":{}}},"
        "\"required\":["
        "\"name\",\"parameters\"],\"additionalProperties\":false}]},\"$defs\":{\"n\":{\"type\":\"integer\"}}}"},
};

START_TEST(forced_calls_have_a_schema)
{
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    pdk_request request = {.size = sizeof request,
        .tools = guides[_i].tools,
        .flags = guides[_i].flags,
        .tool_name = {guides[_i].name, strlen(guides[_i].name)},
        .tools_json = {tools, sizeof tools - 1}};
    pdk_guide guide = {0};
    ck_assert_int_eq(forced_guide(&request, &text, &guide, NULL), guides[_i].status);
    ck_assert_int_eq(guide.kind, guides[_i].schema != NULL ? PDK_GUIDE_JSON_SCHEMA : PDK_GUIDE_NONE);
    if (guides[_i].schema != NULL)
        ck_assert_str_eq(guide.text.data, guides[_i].schema);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tool prompts");
    TCase *tcase = tcase_create("tool prompts");
    tcase_add_test(tcase, templates_tell_their_formats);
    tcase_add_loop_test(tcase, channels_are_written, 0, sizeof prompts / sizeof prompts[0]);
    tcase_add_test(tcase, efforts_that_were_not_trained_are_refused);
    tcase_add_loop_test(tcase, forced_calls_have_a_schema, 0, sizeof guides / sizeof guides[0]);
    suite_add_tcase(suite, tcase);
    return check_main(suite);
}
