/* See load.h. A folder's tokenizer_config.json is shown as it is, less what names files; a GGUF has no such document,
 * so it is put together from what the vocabulary says. */
#include "config.h"

#include "runtimes/huggingface/load.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/json.h"

#include <string.h>

static const size_t config_bytes_max = (size_t)16 << 20;

static bool names_a_file(const char *key)
{
    static const char *const keys[] = {"name_or_path", "vocab_file", "merges_file", "tokenizer_file", "spm_file",
        "special_tokens_map_file", "added_tokens_file", "tokenizer_config_file"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

static void put_text(struct json_writer *writer, const char *key, const char *text, size_t length)
{
    json_write_key(writer, key);
    json_write_text(writer, text, length);
}

static void put_token(struct json_writer *writer, const struct tokenizer *tokenizer, const struct json *config,
    const char *key, int64_t id)
{
    if (id < 0 || json_get(config, key) != NULL)
        return;
    pdk_string piece = tokenizer_piece(tokenizer, (uint32_t)id);
    put_text(writer, key, piece.data, piece.length);
}

static void put_config(struct json_writer *writer, const struct json *config)
{
    const struct json *member = config != NULL && config->type == JSON_OBJECT ? config->child : NULL;
    for (; member != NULL; member = member->next) {
        if (names_a_file(member->key) || strcmp(member->key, "chat_template") == 0 ||
            strcmp(member->key, "tokenizer_class") == 0)
            continue;
        struct buffer value = {0};
        json_print(&value, member);
        json_write_key(writer, member->key);
        json_write_raw(writer, value.data != NULL ? value.data : "null", value.data != NULL ? value.length : 4);
        buffer_done(&value);
    }
}

static void put_info(const struct loaded *loaded, const struct json *config, struct buffer *out)
{
    struct json_writer writer = {.out = out};
    const struct tokenizer *tokenizer = loaded->tokenizer;
    const char *class = NULL;
    json_write_object(&writer);
    put_config(&writer, config);
    put_token(&writer, tokenizer, config, "bos_token", tokenizer_bos(tokenizer));
    put_token(&writer, tokenizer, config, "eos_token", tokenizer_eos(tokenizer));
    if (json_get(config, "model_max_length") == NULL) {
        json_write_key(&writer, "model_max_length");
        json_write_uint(&writer, loaded->served.max_model_len);
    }
    if (!json_string(json_get(config, "tokenizer_class"), &class))
        class = "PreTrainedTokenizerFast";
    put_text(&writer, "tokenizer_class", class, strlen(class));
    const char *template = tokenizer_template(tokenizer);
    if (template != NULL)
        put_text(&writer, "chat_template", template, strlen(template));
    json_write_end_object(&writer);
}

pdk_status load_info(struct loaded *loaded, pdk_error *err)
{
    if (loaded->tokenizer == NULL || (loaded->settings.api_flags & PDK_API_TOKENIZER_INFO) == 0)
        return PDK_OK;
    PDK_CLEANUP(buffer_done) struct buffer path = {0};
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    buffer_printf(&path, "%s/tokenizer_config.json", model_folder(loaded->model));
    if (path.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a path");
    pdk_error inner;
    pdk_status status = PDK_NOT_FOUND;
    if (model_gguf(loaded->model) == NULL)
        status = file_read(path.data, config_bytes_max, &text, &inner);
    static const struct json_limits limits = {.bytes = 16 << 20, .depth = 64, .nodes = 4000000, .allow_nul = true};
    if (status == PDK_OK)
        status = json_read(text.data, text.length, &limits, &document, &inner);
    if (status != PDK_OK && status != PDK_NOT_FOUND) {
        if (err != NULL)
            *err = inner;
        pdk_error_wrap(err, "tokenizer_config.json");
        return status;
    }
    put_info(loaded, document != NULL ? json_root(document) : NULL, &loaded->tokenizer_info);
    if (loaded->tokenizer_info.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the tokenizer's description");
    loaded->served.tokenizer_info = (pdk_string){loaded->tokenizer_info.data, loaded->tokenizer_info.length};
    return PDK_OK;
}
