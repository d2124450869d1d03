/* tokenizer.json, part by part, and what tokenizer_config.json adds. */
#include "config.h"

#include "core/base/error.h"
#include "runtimes/huggingface/tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>

static const struct json_limits file_limits = {.bytes = 128u << 20, .depth = 64, .nodes = 8000000, .allow_nul = true};

static pdk_status load_added(struct tokenizer *tokenizer, const struct json *list, pdk_error *err)
{
    if (list == NULL || list->type == JSON_NULL)
        return PDK_OK;
    if (list->type != JSON_ARRAY)
        return pdk_error_set(err, PDK_INVALID, "added_tokens", "must be a list");
    for (const struct json *at = list->child; at != NULL; at = at->next) {
        const struct json *content = json_get(at, "content");
        int64_t id;
        if (content == NULL || content->type != JSON_STRING || !json_int64(json_get(at, "id"), &id))
            return pdk_error_set(
                err, PDK_INVALID, "added_tokens", "an entry without a content and an id (line %u)", at->line);
        struct added_token token = {0};
        bool special = false, normalized;
        json_bool(json_get(at, "special"), &special);
        token.special = special;
        normalized = !special;
        json_bool(json_get(at, "normalized"), &normalized);
        json_bool(json_get(at, "single_word"), &token.single_word);
        json_bool(json_get(at, "lstrip"), &token.left);
        json_bool(json_get(at, "rstrip"), &token.right);
        pdk_status status = tokenizer_add_token(tokenizer, id, content->text, content->length, &token, normalized, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

static pdk_status load_parts(struct tokenizer *tokenizer, const struct json *root, pdk_error *err)
{
    const struct json *model = json_get(root, "model");
    if (root->type != JSON_OBJECT || model == NULL || model->type != JSON_OBJECT)
        return pdk_error_set(err, PDK_INVALID, "tokenizer.json", "has no model");
    pdk_status status = word_steps_load(&tokenizer->words, json_get(root, "pre_tokenizer"), err);
    if (status == PDK_OK)
        status = normalizers_load(&tokenizer->normalizers, json_get(root, "normalizer"), err);
    if (status == PDK_OK)
        status = token_model_load(&tokenizer->model, &tokenizer->vocabulary, model, tokenizer->words.bytes, err);
    if (status == PDK_OK)
        status = load_added(tokenizer, json_get(root, "added_tokens"), err);
    if (status == PDK_OK)
        status = frame_load(&tokenizer->frame, json_get(root, "post_processor"), tokenizer->vocabulary.size, err);
    if (status == PDK_OK)
        status = decoders_load(&tokenizer->decoders, json_get(root, "decoder"), err);
    added_tokens_ready(&tokenizer->raw);
    added_tokens_ready(&tokenizer->normalized);
    return status;
}

/* A token of the config: its text, or an object with the text as `content`. */
static int64_t config_token(const struct tokenizer *tokenizer, const struct json *root, const char *key)
{
    const struct json *value = json_get(root, key);
    if (value != NULL && value->type == JSON_OBJECT)
        value = json_get(value, "content");
    return value == NULL || value->type != JSON_STRING ? -1 : tokenizer_id(tokenizer, value->text, value->length);
}

/* One template, or several with names, of which "default" counts. */
static const struct json *config_template(const struct json *root)
{
    const struct json *value = json_get(root, "chat_template");
    if (value == NULL || value->type != JSON_ARRAY)
        return value;
    for (const struct json *at = value->child; at != NULL; at = at->next) {
        const char *name = "";
        if (json_string(json_get(at, "name"), &name) && strcmp(name, "default") == 0)
            return json_get(at, "template");
    }
    return NULL;
}

static pdk_status load_config(struct tokenizer *tokenizer, const char *config, size_t length, pdk_error *err)
{
    struct json_limits limits = json_limits_default;
    limits.allow_nan = true;
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    pdk_status status = json_read(config, length, &limits, &document, err);
    if (status != PDK_OK)
        return pdk_error_wrap(err, "tokenizer_config.json"), status;
    const struct json *root = json_root(document);
    tokenizer->bos = config_token(tokenizer, root, "bos_token");
    tokenizer->eos = config_token(tokenizer, root, "eos_token");
    const struct json *template = config_template(root);
    if (template != NULL && template->type == JSON_STRING) {
        tokenizer->template = strndup(template->text, template->length);
        if (tokenizer->template == NULL)
            return pdk_error_set(err, PDK_NO_MEMORY, "chat_template", "out of memory");
    }
    return PDK_OK;
}

pdk_status tokenizer_from_json(const char *json, size_t length, const char *config, size_t config_length,
    struct tokenizer **ret_tokenizer, pdk_error *err)
{
    PDK_CLEANUP(tokenizer_freep) struct tokenizer *tokenizer = tokenizer_new();
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    if (tokenizer == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "tokenizer.json", "out of memory");
    pdk_status status = json_read(json, length, &file_limits, &document, err);
    if (status == PDK_OK)
        status = load_parts(tokenizer, json_root(document), err);
    if (status != PDK_OK)
        return pdk_error_wrap(err, "tokenizer.json"), status;
    if (config != NULL)
        status = load_config(tokenizer, config, config_length, err);
    if (status == PDK_OK)
        *ret_tokenizer = PDK_STEAL(tokenizer);
    return status;
}

pdk_status tokenizer_lower(struct tokenizer *tokenizer, pdk_error *err)
{
    static const char step[] = "{\"type\":\"Lowercase\"}";
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    pdk_status status = json_read(step, sizeof step - 1, &json_limits_default, &document, err);
    return status == PDK_OK ? normalizers_load(&tokenizer->normalizers, json_root(document), err) : status;
}
