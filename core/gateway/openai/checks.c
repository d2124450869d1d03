/* What vLLM refuses in a body before it looks at types: combinations of fields, in its order and words. */
#include "config.h"

#include "core/gateway/openai/fields.h"

#include "core/gateway/openai/coerce.h"
#include "core/gateway/openai/guide.h"
#include "core/gateway/openai/refusal.h"
#include "core/gateway/openai/tools.h"

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
    if (is_true(json_get(body, "use_beam_search")) && is_true(json_get(body, "stream")))
        return refuse(err, NULL, NULL, "Streaming is not currently supported with beam search");
    return guide_check_body(body, false, err);
}

static pdk_status check_salt(const struct json *body, pdk_error *err)
{
    const struct json *salt = json_get(body, "cache_salt");
    if (salt != NULL && salt->type == JSON_STRING && salt->length != 0 &&
        (salt->length > 128 || strcspn(salt->text, "@/\\") != salt->length))
        return refuse(err, "cache_salt", NULL,
            "Parameter 'cache_salt' must be at most 128 characters and must not contain '@', '/', '\\\\', or NUL.");
    return PDK_OK;
}

/* A search keeps no logprobs of the prompt, and chooses its tokens itself. */
static pdk_status check_beams(const struct json *body, pdk_error *err)
{
    const struct json *logprobs = json_get(body, "logprobs");
    if (!is_true(json_get(body, "use_beam_search")))
        return PDK_OK;
    if (is_true(json_get(body, "echo")) && is_given(logprobs) && logprobs->type != JSON_FALSE)
        return refuse(err, NULL, NULL,
            "`echo` with `logprobs` is not supported with beam search because beam search does not compute prompt "
            "logprobs.");
    if (is_given(json_get(body, "logprob_token_ids")))
        return refuse(err, "logprob_token_ids", NULL, "`logprob_token_ids` is not supported with beam search.");
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
    int64_t top;
    pdk_status status = check_count(body, "top_logprobs", err);
    if (status != PDK_OK)
        return status;
    if (json_int64(json_get(body, "top_logprobs"), &top) && top != 0 && !is_true(json_get(body, "logprobs")))
        return refuse(err, "top_logprobs", NULL, "when using `top_logprobs`, `logprobs` must be set to true.");
    status = tools_check_body(body, err);
    if (status == PDK_OK)
        status = guide_check_body(body, true, err);
    return status == PDK_OK ? check_opening(body, err) : status;
}

/* `task` and the like that the model's own answer to a field's absence replaces. */
static pdk_status check_pooling(const struct json *body, enum endpoint endpoint, pdk_error *err)
{
    if (is_given(json_get(body, "normalize")))
        return refuse(err, NULL, NULL, "Parameter `normalize` was removed; use `use_activation` instead.");
    if (is_given(json_get(body, "softmax")) || is_given(json_get(body, "activation")))
        return refuse(err, NULL, NULL, "Parameter `%s` was removed; use `use_activation` instead.",
            is_given(json_get(body, "softmax")) ? "softmax" : "activation");
    if (endpoint == ENDPOINT_POOLING && is_given(json_get(body, "dimensions")))
        return refuse(err, "dimensions", NULL, "dimensions is currently not supported");
    pdk_status status = check_salt(body, err);
    return status == PDK_OK ? check_opening(body, err) : status;
}

static pdk_status check_generation(const struct json *body, pdk_error *err)
{
    int64_t count;
    bool stream = is_true(json_get(body, "stream"));
    if (is_given(json_get(body, "stream_options")) && !stream)
        return refuse(err, "stream_options", NULL, "Stream options can only be defined when `stream=True`.");
    if (stream && json_int64(json_get(body, "prompt_logprobs"), &count) && (count > 0 || count == -1))
        return refuse(err, "prompt_logprobs", NULL, "`prompt_logprobs` are not available when `stream=True`.");
    pdk_status status = check_count(body, "prompt_logprobs", err);
    if (status != PDK_OK)
        return status;
    status = check_salt(body, err);
    return status == PDK_OK ? check_beams(body, err) : status;
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
    if (status == PDK_OK && ((int)endpoint & ENDPOINTS_POOLING) != 0)
        status = check_pooling(body, endpoint, err);
    return status != PDK_OK ? status : fields_refuse(body, endpoint, err);
}
