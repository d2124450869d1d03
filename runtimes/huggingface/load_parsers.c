/* See load.h. Arguments come first; where they are silent the chat template shows what it asks the model for. */
#include "config.h"

#include "runtimes/huggingface/load.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/json.h"

#include <ctype.h>
#include <string.h>

/* Its prompts have a writer of their own, and its answers end by marks that nothing else uses. */
static bool is_gpt_oss(const struct loaded *loaded)
{
    static const char wanted[] = "gptoss";
    size_t same = 0;
    for (const char *at = model_facts(loaded->model)->architecture; *at != '\0' && wanted[same] != '\0'; at++)
        if (isalnum((unsigned char)*at))
            same = tolower((unsigned char)*at) == wanted[same] ? same + 1 : 0;
    return wanted[same] == '\0';
}

static pdk_status find_tools(struct loaded *loaded, bool *ret_guessed, pdk_error *err)
{
    const struct options *options = loaded->settings.options;
    struct parsers *parsers = &loaded->served.parsers;
    const char *name = options_text(options, "tool-call-parser"), *template = loaded->template_text.data;
    *ret_guessed = name == NULL;
    if (name == NULL && template != NULL && loaded->tokenizer != NULL)
        name = tool_format_detect(template);
    if (name == NULL && loaded->tokenizer != NULL && is_gpt_oss(loaded))
        name = "openai";
    if (name == NULL && options_flag(options, "enable-auto-tool-choice"))
        return pdk_error_set(err, PDK_INVALID, "--enable-auto-tool-choice",
            "Error: --enable-auto-tool-choice requires --tool-call-parser");
    if (name == NULL)
        return PDK_OK;
    parsers->tool_format = tool_format_find(name);
    if (parsers->tool_format != NULL)
        return PDK_OK;
    PDK_CLEANUP(buffer_done) struct buffer names = {0};
    tool_format_list(&names);
    return pdk_error_value(err, PDK_INVALID, "--tool-call-parser", name,
        "invalid tool call parser: %.64s (chose from { %s })", name, names.data != NULL ? names.data : "");
}

static pdk_status find_reasoning(struct loaded *loaded, pdk_error *err)
{
    const struct options *options = loaded->settings.options;
    struct parsers *parsers = &loaded->served.parsers;
    bool given = options_given(options, "reasoning-parser");
    const char *name = given ? options_text(options, "reasoning-parser") : NULL;
    const char *template = loaded->template_text.data;
    if (!given && template != NULL && loaded->tokenizer != NULL)
        name = reasoning_format_detect(template);
    if (!given && name == NULL && loaded->tokenizer != NULL && is_gpt_oss(loaded))
        name = "openai_gptoss";
    parsers->guessed = !given;
    if (name == NULL || name[0] == '\0')
        return PDK_OK;
    parsers->reasoning_format = reasoning_format_find(name);
    if (parsers->reasoning_format != NULL)
        return PDK_OK;
    PDK_CLEANUP(buffer_done) struct buffer names = {0};
    reasoning_format_list(&names);
    return pdk_error_value(err, PDK_INVALID, "--reasoning-parser", name,
        "invalid reasoning parser: %.64s (chose from { %s })", name, names.data != NULL ? names.data : "");
}

/* A mark as tokens: of several the first that is one token of the vocabulary, else the first. */
static pdk_status put_mark(
    const struct loaded *loaded, const char *const *marks, size_t count, struct token_list *list, pdk_error *err)
{
    const char *best = marks[0];
    for (size_t i = count; i > 0; i--)
        if (marks[i - 1] != NULL && tokenizer_id(loaded->tokenizer, marks[i - 1], strlen(marks[i - 1])) >= 0)
            best = marks[i - 1];
    if (best == NULL)
        return PDK_OK;
    return tokenizer_encode(loaded->tokenizer, best, strlen(best), NULL, 0, false, list, err);
}

/* --reasoning-config and --reasoning-effort-map. */
static pdk_status read_map(
    const struct loaded *loaded, const char *option, struct json_document **ret_document, pdk_error *err)
{
    const char *text = options_text(loaded->settings.options, option);
    pdk_status status = json_read(text, strlen(text), &json_limits_default, ret_document, err);
    if (status == PDK_OK && json_root(*ret_document)->type != JSON_OBJECT)
        status = pdk_error_set(err, PDK_INVALID, option, "not an object");
    if (status == PDK_OK)
        return PDK_OK;
    pdk_error_wrap(err, "--%s", option);
    return status;
}

static pdk_status put_given_mark(const struct loaded *loaded, const struct json *config, const char *name,
    const char *older, struct token_list *list, pdk_error *err)
{
    const struct json *value = json_get(config, name) != NULL ? json_get(config, name) : json_get(config, older);
    const char *text = NULL;
    if (value == NULL || value->type == JSON_NULL)
        return PDK_OK;
    if (!json_string(value, &text) || text[0] == '\0')
        return pdk_error_set(err, PDK_INVALID, "--reasoning-config", "--reasoning-config: %s must be a text", name);
    list->count = 0;
    return put_mark(loaded, &text, 1, list, err);
}

static pdk_status find_given_marks(struct loaded *loaded, pdk_error *err)
{
    PDK_CLEANUP(json_document_freep) struct json_document *config = NULL, *efforts = NULL;
    pdk_status status = read_map(loaded, "reasoning-config", &config, err);
    if (status == PDK_OK)
        status = read_map(loaded, "reasoning-effort-map", &efforts, err);
    loaded->served.effort_map = options_text(loaded->settings.options, "reasoning-effort-map");
    if (status != PDK_OK || loaded->tokenizer == NULL)
        return status;
    const struct json *root = json_root(config);
    status = put_given_mark(loaded, root, "reasoning_start_str", "think_start_str", &loaded->think_start, err);
    return status == PDK_OK
               ? put_given_mark(loaded, root, "reasoning_end_str", "think_end_str", &loaded->think_end, err)
               : status;
}

/* Where a guide begins: behind the end of reasoning; in channels, with the last one. */
static pdk_status find_marks(struct loaded *loaded, pdk_error *err)
{
    static const char *const channel[] = {"<|channel|>final<|message|>"};
    const struct reasoning_format *format = loaded->served.parsers.reasoning_format;
    if (format == NULL || loaded->tokenizer == NULL || (format->flags & REASONING_SHOWN) != 0)
        return PDK_OK;
    if (loaded->served.parsers.is_harmony)
        return put_mark(loaded, channel, 1, &loaded->think_end, err);
    pdk_status status = put_mark(loaded, format->begins, REASONING_MARKS, &loaded->think_start, err);
    return status == PDK_OK ? put_mark(loaded, format->ends, REASONING_MARKS, &loaded->think_end, err) : status;
}

pdk_status load_parsers(struct loaded *loaded, const pdk_host *host, pdk_error *err)
{
    const struct options *options = loaded->settings.options;
    struct parsers *parsers = &loaded->served.parsers;
    bool guessed = false;
    pdk_status status = find_tools(loaded, &guessed, err);
    if (status == PDK_OK)
        status = find_reasoning(loaded, err);
    if (status == PDK_OK)
        status = parsers_init(parsers, loaded->tokenizer, err);
    if (status == PDK_OK)
        status = find_marks(loaded, err);
    if (status == PDK_OK)
        status = find_given_marks(loaded, err);
    if (status != PDK_OK)
        return status;
    bool wanted =
        options_given(options, "enable-auto-tool-choice") ? options_flag(options, "enable-auto-tool-choice") : guessed;
    loaded->auto_tools = wanted && parsers->tool_format != NULL && loaded->tokenizer != NULL;
    loaded->served.harmony_prompts =
        is_gpt_oss(loaded) && loaded->tokenizer != NULL && loaded->settings.chat_template == NULL;
    parsers->hide_tools = options_flag(options, "exclude-tools-when-tool-choice-none");
    if (parsers->tool_format != NULL || parsers->reasoning_format != NULL)
        load_log(host, PDK_LOG_INFO, "tool calls are read as %s, reasoning as %s",
            parsers->tool_format != NULL ? parsers->tool_format->names[0] : "text",
            parsers->reasoning_format != NULL ? parsers->reasoning_format->names[0] : "text");
    return PDK_OK;
}
