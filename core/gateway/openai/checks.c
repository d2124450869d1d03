/* What vLLM refuses in a body before it looks at types: combinations of fields, in its order and words. */
#include "config.h"

#include "core/gateway/openai/fields.h"

#include "core/gateway/openai/coerce.h"
#include "core/gateway/openai/refusal.h"

#include <string.h>

static bool is_true(const struct json *value)
{
    bool on;
    return value != NULL && coerce_bool(value, "", &on, NULL) == PDK_OK && on;
}

static bool is_given(const struct json *value)
{
    return value != NULL && value->type != JSON_NULL;
}

/* -1 (the whole vocabulary) or more; `name` as vLLM quotes it. */
static pdk_status check_count(const struct json *body, const char *name, pdk_error *err)
{
    int64_t count;
    const struct json *value = json_get(body, name);
    if (!json_int64(value, &count) || count >= -1)
        return PDK_OK;
    return refuse(err, name, value->text, "`%s` must be a positive value or -1.", name);
}

static pdk_status check_completion(const struct json *body, pdk_error *err)
{
    const struct json *logprobs = json_get(body, "logprobs"), *prompt = json_get(body, "prompt");
    int64_t count;
    if (is_given(logprobs) && coerce_int(logprobs, "", &count, NULL) != PDK_OK)
        return refuse(err, "logprobs", logprobs->text, "`logprobs` must be an integer.");
    pdk_status status = check_count(body, "logprobs", err);
    if (status != PDK_OK)
        return status;
    if (!is_given(prompt) || (prompt->type == JSON_STRING && prompt->length == 0))
        return refuse(err, "prompt", NULL, "Either prompt or prompt_embeds must be provided and non-empty.");
    return PDK_OK;
}

static pdk_status check_opening(const struct json *body, pdk_error *err)
{
    if (is_true(json_get(body, "continue_final_message")) && is_true(json_get(body, "add_generation_prompt")))
        return refuse(err, NULL, NULL, "Cannot set both `continue_final_message` and `add_generation_prompt` to True.");
    return PDK_OK;
}

static pdk_status check_chat(const struct json *body, pdk_error *err)
{
    const struct json *tools = json_get(body, "tools"), *choice = json_get(body, "tool_choice");
    int64_t top;
    pdk_status status = check_count(body, "top_logprobs", err);
    if (status != PDK_OK)
        return status;
    if (json_int64(json_get(body, "top_logprobs"), &top) && top != 0 && !is_true(json_get(body, "logprobs")))
        return refuse(err, "top_logprobs", NULL, "when using `top_logprobs`, `logprobs` must be set to true.");
    if (tools != NULL && tools->type == JSON_ARRAY && tools->count == 0)
        return refuse(err, "tools", NULL,
            "`tools` must not be an empty array. Either provide at least one tool or omit the field entirely.");
    const char *word = "";
    json_string(choice, &word);
    if (is_given(choice) && strcmp(word, "none") != 0 && !is_given(tools))
        return refuse(err, "tool_choice", NULL, "When using `tool_choice`, `tools` must be set.");
    return check_opening(body, err);
}

static pdk_status check_generation(const struct json *body, pdk_error *err)
{
    int64_t count;
    const struct json *salt = json_get(body, "cache_salt");
    bool stream = is_true(json_get(body, "stream"));
    if (is_given(json_get(body, "stream_options")) && !stream)
        return refuse(err, "stream_options", NULL, "Stream options can only be defined when `stream=True`.");
    if (stream && json_int64(json_get(body, "prompt_logprobs"), &count) && (count > 0 || count == -1))
        return refuse(err, "prompt_logprobs", NULL, "`prompt_logprobs` are not available when `stream=True`.");
    pdk_status status = check_count(body, "prompt_logprobs", err);
    if (status != PDK_OK)
        return status;
    if (salt != NULL && salt->type == JSON_STRING && salt->length != 0 &&
        (salt->length > 128 || strcspn(salt->text, "@/\\") != salt->length))
        return refuse(err, "cache_salt", NULL,
            "Parameter 'cache_salt' must be at most 128 characters and must not contain '@', '/', '\\\\', or NUL.");
    return PDK_OK;
}

pdk_status fields_check(const struct json *body, enum endpoint endpoint, pdk_error *err)
{
    pdk_status status = PDK_OK;
    if (endpoint == ENDPOINT_COMPLETIONS || endpoint == ENDPOINT_CHAT)
        status = check_generation(body, err);
    if (status == PDK_OK && endpoint == ENDPOINT_COMPLETIONS)
        status = check_completion(body, err);
    if (status == PDK_OK && endpoint == ENDPOINT_CHAT)
        status = check_chat(body, err);
    if (status == PDK_OK && endpoint == ENDPOINT_TOKENIZE)
        status = check_opening(body, err);
    return status != PDK_OK ? status : fields_refuse(body, endpoint, err);
}
