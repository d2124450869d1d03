/* See reasoning.h. */
#include "config.h"

#include "runtimes/huggingface/tools/reasoning.h"

#include <string.h>

static const struct reasoning_format rows[] = {
    {.names = {"deepseek_r1", "step3", "step5", "minimax_m2", "mimo", "minicpmv"},
        .flags = REASONING_OPEN,
        .begins = {"<think>"},
        .ends = {"</think>"}},
    {.names = {"qwen3", "holo2", "glm45", "glm47", "ling3", "poolside_v1"},
        .flags = REASONING_OPEN | REASONING_OPT_OUT,
        .begins = {"<think>"},
        .ends = {"</think>"}},
    {.names = {"olmo3"}, .flags = REASONING_OPEN, .begins = {"<think>"}, .ends = {"</think>"}},
    {.names = {"deepseek_v3", "deepseek_v4"},
        .flags = REASONING_OPEN | REASONING_OPT_IN,
        .begins = {"<think>"},
        .ends = {"</think>"}},
    {.names = {"kimi_k2"},
        .flags = REASONING_OPEN | REASONING_OPT_OUT,
        .begins = {"<think>"},
        .ends = {"</think>"},
        .stopper = "<|tool_calls_section_begin|>"},
    {.names = {"granite_thinking_parser", "nemotron_v3"},
        .flags = REASONING_OPEN | REASONING_OPT_OUT | REASONING_NEWLINE | REASONING_LONE,
        .begins = {"<think>"},
        .ends = {"</think>"}},
    {.names = {"step3p5"},
        .flags = REASONING_OPEN | REASONING_NEWLINE | REASONING_TRIM,
        .begins = {"<think>"},
        .ends = {"</think>"}},
    {.names = {"ernie45"},
        .flags = REASONING_OPEN,
        .begins = {"<think>"},
        .ends = {"</think>"},
        .content_begin = "<response>",
        .content_end = "</response>"},
    {.names = {"granite"},
        .flags = REASONING_BOTH,
        .begins = {"Here is my thought process:", "Here's my thought process:"},
        .ends = {"Here is my response:", "Here's my response:"}},
    {.names = {"mistral"},
        .begins = {"[THINK]", "<think>"},
        .ends = {"[/THINK]", "</think>"},
        .stopper = "[TOOL_CALLS]"},
    {.names = {"hunyuan_a13b"},
        .flags = REASONING_BOTH | REASONING_TRIM,
        .begins = {"<think>"},
        .ends = {"</think>"},
        .opening = "\n",
        .content_begin = "<answer>",
        .content_end = "</answer>"},
    {.names = {"seed_oss"}, .flags = REASONING_OPEN, .begins = {"<seed:think>"}, .ends = {"</seed:think>"}},
    {.names = {"minimax_m3"}, .flags = REASONING_OPEN, .begins = {"<mm:think>"}, .ends = {"</mm:think>"}},
    {.names = {"minimax_m2_append_think"}, .flags = REASONING_SHOWN, .begins = {"<think>"}, .ends = {"</think>"}},
    {.names = {"gemma4"},
        .flags = REASONING_OPT_IN | REASONING_AGAIN,
        .begins = {"<|channel>"},
        .ends = {"<channel|>"},
        .opening = "thought\n"},
    {.names = {"cohere_command3", "cohere_command4"},
        .begins = {"<|START_THINKING|>"},
        .ends = {"<|END_THINKING|>"},
        .content_begin = "<|START_RESPONSE|>",
        .content_end = "<|END_RESPONSE|>"},
    {.names = {"openai_gptoss"}, .flags = REASONING_HARMONY},
};

const struct reasoning_format *reasoning_format_find(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t j = 0; j < REASONING_NAMES && rows[i].names[j] != NULL; j++)
            if (strcmp(rows[i].names[j], name) == 0)
                return &rows[i];
    return NULL;
}

void reasoning_format_list(struct buffer *out)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t j = 0; j < REASONING_NAMES && rows[i].names[j] != NULL; j++)
            buffer_printf(out, "%s%s", i + j > 0 ? "," : "", rows[i].names[j]);
}
