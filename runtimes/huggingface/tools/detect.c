/* The formats that a chat template asks for, by the marks in its text: the more telling ones first. */
#include "config.h"

#include "runtimes/huggingface/tools/reasoning.h"
#include "runtimes/huggingface/tools/tool_format.h"

#include <string.h>

/* All of the texts are in the template. */
struct sign {
    const char *texts[3];
    const char *name; /* NULL: one that is not read here */
};

static const struct sign tool_signs[] = {
    {{"<|channel|>", "<|message|>", "<|call|>"}, "openai"},
    {{"[TOOL_CALLS]"}, "mistral"},
    {{"\\uFF5CDSML\\uFF5C", "function_calls"}, "deepseek_v32"},
    {{"｜DSML｜", "function_calls"}, "deepseek_v32"},
    {{"｜DSML｜", "tool_calls>"}, "deepseek_v4"},
    {{"<｜tool▁calls▁begin｜>", "```json"}, "deepseek_v3"},
    {{"<｜tool▁calls▁begin｜>"}, "deepseek_v31"},
    {{"<|tool_calls_section_begin|>"}, "kimi_k2"},
    {{"<minimax:tool_call>"}, "minimax_m2"},
    {{"<seed:tool_call>"}, "seed_oss"},
    {{"<steptml:"}, "step3"},
    {{"<dots_function_call>"}, "dots"},
    {{"<|tool_call_start|>"}, "lfm2"},
    {{"<|tool_list_start|>"}, "lfm2"},
    {{"List of tools: [", "keep_past_thinking"}, "lfm2"},
    {{"<start_function_call>"}, "functiongemma"},
    {{"<|tool_call>"}, "gemma4"},
    {{"<|action_start|>", "<|plugin|>"}, "internlm"},
    {{"<|tools_prefix|>"}, "apertus"},
    {{"<longcat_tool_call>"}, "longcat"},
    {{"<ifm|tool_call>"}, "k2_horizon"},
    {{"<|role_sep|>", "<|message_sep|>", "function"}, "gigachat3"},
    {{"<tool_sep>", "<arg_key>"}, "hy_v3"},
    {{"<arg_key>"}, "glm45"},
    {{"<function=", "<parameter="}, "qwen3_coder"},
    {{"<function name=", "<param name="}, "minicpm5"},
    {{"functools["}, "phi4_mini_json"},
    {{"<function_calls>"}, "olmo3"},
    {{"<|tool_call|>"}, "granite"},
    {{"<tool_calls>"}, "jamba"},
    {{"<function_call>"}, "granite-20b-fc"},
    {{"]<]minimax[>["}, NULL},
    {{"<tool_call>", "<response>", "</think>"}, "ernie45"},
    {{"<tool_call>", "<|start_of_role|>"}, "granite4"},
    {{"<tool_call>"}, "hermes"},
    {{"<|python_start|>"}, "llama4_pythonic"},
    {{"<|python_tag|>"}, "llama3_json"},
};

static const struct sign reasoning_signs[] = {
    {{"<|channel|>", "<|message|>", "analysis"}, "openai_gptoss"},
    {{"[THINK]"}, "mistral"},
    {{"<seed:think>"}, "seed_oss"},
    {{"<mm:think>"}, "minimax_m3"},
    {{"<|channel>", "enable_thinking"}, "gemma4"},
    {{"<|START_THINKING|>"}, "cohere_command3"},
    {{"</think>", "<response>"}, "ernie45"},
    {{"</think>", "<minimax:tool_call>"}, "minimax_m2"},
    {{"</think>", "<|tool_calls_section_begin|>"}, "kimi_k2"},
    {{"</think>", "｜Assistant｜", "thinking"}, "deepseek_v3"},
    {{"</think>", "<think>", "enable_thinking"}, "qwen3"},
    {{"</think>", "<think>", "add_generation_prompt"}, "deepseek_r1"},
};

static const char *find(const struct sign *signs, size_t count, const char *template)
{
    for (size_t i = 0; i < count; i++) {
        bool all = true;
        for (size_t j = 0; j < 3 && signs[i].texts[j] != NULL; j++)
            all &= strstr(template, signs[i].texts[j]) != NULL;
        if (all)
            return signs[i].name;
    }
    return NULL;
}

const char *tool_format_detect(const char *template)
{
    return find(tool_signs, sizeof tool_signs / sizeof tool_signs[0], template);
}

const char *reasoning_format_detect(const char *template)
{
    return find(reasoning_signs, sizeof reasoning_signs / sizeof reasoning_signs[0], template);
}
