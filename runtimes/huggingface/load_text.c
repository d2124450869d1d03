/* See load.h. A GGUF's tokenizer and template are its own metadata, a folder's lie in its files; --tokenizer and
 * --chat-template go before both. */
#include "config.h"

#include "runtimes/huggingface/load.h"

#include "core/base/buffer.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/file.h"

#include <string.h>
#include <sys/stat.h>

static const size_t tokenizer_bytes_max = (size_t)128 << 20, template_bytes_max = (size_t)1 << 20;

static void join(struct buffer *path, const char *folder, const char *name)
{
    buffer_clear(path);
    buffer_printf(path, "%s/%s", folder, name);
}

static bool is_folder(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* Reads folder/name; PDK_OK with an empty buffer where it is not there. */
static pdk_status read_beside(
    const char *folder, const char *name, size_t max_bytes, struct buffer *content, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer path = {0};
    join(&path, folder, name);
    if (path.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a path");
    pdk_error inner;
    pdk_status status = file_read(path.data, max_bytes, content, &inner);
    if (status == PDK_OK || status == PDK_NOT_FOUND)
        return PDK_OK;
    if (err != NULL)
        *err = inner;
    return status;
}

/* `path`: a folder with tokenizer.json in it, or the file itself. */
static pdk_status tokenizer_from(struct loaded *loaded, const char *path, bool must, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer json = {0};
    PDK_CLEANUP(buffer_done) struct buffer config = {0};
    pdk_status status;
    if (!is_folder(path)) {
        status = file_read(path, tokenizer_bytes_max, &json, err);
    } else {
        status = read_beside(path, "tokenizer.json", tokenizer_bytes_max, &json, err);
        if (status == PDK_OK)
            status = read_beside(path, "tokenizer_config.json", tokenizer_bytes_max, &config, err);
    }
    if (status == PDK_OK && json.length == 0 && must)
        return pdk_error_set(err, PDK_NOT_FOUND, "--tokenizer", "--tokenizer: there is no tokenizer.json in %s", path);
    if (status != PDK_OK || json.length == 0)
        return status;
    return tokenizer_from_json(json.data, json.length, config.data, config.length, &loaded->tokenizer, err);
}

pdk_status load_tokenizer(struct loaded *loaded, const pdk_host *host, pdk_error *err)
{
    if (loaded->settings.skip_tokenizer)
        return PDK_OK;
    const struct gguf *gguf = model_gguf(loaded->model);
    pdk_status status;
    if (loaded->settings.tokenizer != NULL)
        status = tokenizer_from(loaded, loaded->settings.tokenizer, true, err);
    else if (gguf != NULL)
        status = tokenizer_from_gguf(gguf, &loaded->tokenizer, err);
    else
        status = tokenizer_from(loaded, model_folder(loaded->model), false, err);
    if (status != PDK_OK) {
        pdk_error_wrap(err, "tokenizer");
        return status;
    }
    if (loaded->tokenizer == NULL)
        load_log(host, PDK_LOG_WARNING, "there is no tokenizer.json beside the model: prompts must be token ids");
    return PDK_OK;
}

/* --chat-template: the path of a file, or the text itself. */
static pdk_status given_template(const char *given, struct buffer *text, pdk_error *err)
{
    struct stat about;
    if (strchr(given, '\n') == NULL && stat(given, &about) == 0)
        return file_read(given, template_bytes_max, text, err);
    if (strstr(given, "{{") == NULL && strstr(given, "{%") == NULL)
        return pdk_error_value(err, PDK_NOT_FOUND, "--chat-template", given,
            "--chat-template: '%.64s' is neither a file that can be read nor a template", given);
    buffer_puts(text, given);
    return PDK_OK;
}

static pdk_status model_template(const struct loaded *loaded, struct buffer *text, pdk_error *err)
{
    pdk_status status = PDK_OK;
    if (model_gguf(loaded->model) == NULL)
        status = read_beside(model_folder(loaded->model), "chat_template.jinja", template_bytes_max, text, err);
    const char *own = tokenizer_template(loaded->tokenizer);
    if (status == PDK_OK && text->length == 0 && own != NULL)
        buffer_puts(text, own);
    return status;
}

pdk_status load_template(struct loaded *loaded, const pdk_host *host, pdk_error *err)
{
    const struct settings *settings = &loaded->settings;
    if (loaded->tokenizer == NULL)
        return PDK_OK;
    struct buffer *text = &loaded->template_text;
    bool given = settings->chat_template != NULL;
    pdk_status status = given ? given_template(settings->chat_template, text, err) : model_template(loaded, text, err);
    if (status == PDK_OK && text->failed)
        status = pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the chat template");
    if (status != PDK_OK || text->length == 0)
        return status;
    pdk_error inner = {0};
    status = template_parse(text->data, text->length, &loaded->template, &inner);
    if (status == PDK_OK)
        return PDK_OK;
    if (given) {
        if (err != NULL)
            *err = inner;
        pdk_error_wrap(err, "chat template");
        return status;
    }
    /* The model answers prompts all the same. */
    load_log(
        host, PDK_LOG_WARNING, "the model's chat template cannot be used, so it takes no messages: %s", inner.message);
    return PDK_OK;
}
