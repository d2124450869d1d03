/* The path must be the one on the command line: Landlock was set up for that one. */
#include "config.h"

#include "core/worker/load.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/ipc/ready.h"

#include <stdlib.h>
#include <string.h>

/* A list of strings that live in the document. Gives `ret_list`. */
static pdk_status read_list(
    const struct json *root, const char *key, const char ***ret_list, uint32_t *ret_count, pdk_error *err)
{
    const struct json *list = json_get(root, key);
    uint32_t count = list != NULL && list->type == JSON_ARRAY ? list->count : 0;
    if (list != NULL && list->type != JSON_ARRAY)
        return pdk_error_set(err, PDK_INVALID, key, "load: %s is %s, not a list", key, json_type_name(list));
    const char **texts = calloc(count + 1u, sizeof *texts);
    if (texts == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, key, "load: no memory");
    const struct json *item = list != NULL ? list->child : NULL;
    for (uint32_t i = 0; i < count; i++, item = item->next) {
        if (!json_string(item, &texts[i])) {
            free(texts);
            return pdk_error_set(
                err, PDK_INVALID, key, "load: %s[%u] is %s, not a string", key, i, json_type_name(item));
        }
    }
    *ret_list = texts;
    *ret_count = count;
    return PDK_OK;
}

static pdk_status read_names(struct worker *worker, const struct json *root, pdk_model_spec *spec, pdk_error *err)
{
    if (!json_string(json_get(root, "name"), &spec->name) || !json_string(json_get(root, "path"), &spec->path))
        return pdk_error_set(err, PDK_INVALID, "load", "load: name or path is missing");
    if (strcmp(spec->path, worker->arguments->model) != 0)
        return pdk_error_value(err, PDK_INVALID, "path", spec->path,
            "load: the path is %s, but this worker was started for %s", spec->path, worker->arguments->model);
    return PDK_OK;
}

static void describe_model(struct worker *worker, const pdk_model_info *model, const char *name)
{
    struct ready_info info = {
        .extensions = (worker->generate != NULL && model->pooling_only == 0 ? READY_GENERATE : 0) |
                      (worker->tokenize != NULL ? READY_TOKENIZE : 0) |
                      (worker->pool != NULL && model->pooling_tasks != 0 ? READY_POOL : 0),
        .vocabulary_size = model->vocabulary_size,
        .max_model_len = model->max_model_len,
        .max_logprobs = model->max_logprobs,
        .has_tokenizer = model->has_tokenizer != 0,
        .has_template = model->has_template != 0,
        .auto_tools = model->auto_tools != 0,
        .forced_tools = model->forced_tools != 0,
        .parses_reasoning = model->parses_reasoning != 0,
        .scores_pairs_by_cosine = model->scores_pairs_by_cosine != 0,
        .matryoshka = model->matryoshka != 0,
        .api_flags = model->api_flags,
        .fingerprint_mode = (uint32_t)model->fingerprint_mode,
        .keep_alive_ms =
            model->keep_alive_s > 0 && model->keep_alive_s < 86400 ? (uint32_t)(1000 * model->keep_alive_s) : 0,
        .fingerprint_text = (char *)model->fingerprint_text,
        .response_role = (char *)model->response_role,
        .root_path = (char *)model->root_path,
        .pooling_tasks = model->pooling_tasks,
        .pooled_size = model->pooled_size,
        .class_count = model->class_count,
        .class_labels = model->class_count <= READY_CLASSES_MAX ? (char **)model->class_labels : NULL,
        .root = (char *)(model->root != NULL ? model->root : name),
        .fingerprint = (char *)(model->fingerprint != NULL ? model->fingerprint : "00000000"),
        .runtime = (char *)worker->runtime->name,
        .sandbox = worker->sandbox,
        .memory_bytes = model->memory_bytes,
        .defaults = model->defaults,
    };
    for (uint32_t i = 0; i < model->served_name_count && i < READY_NAMES_MAX; i++)
        info.names[info.name_count++] = (char *)model->served_names[i];
    if (info.name_count == 0)
        info.names[info.name_count++] = (char *)name;
    for (uint32_t i = 0; i < model->eos_id_count && i < READY_EOS_MAX; i++)
        info.eos_ids[info.eos_count++] = model->eos_ids[i];
    for (uint32_t i = 0; i < model->dimension_count && i < READY_DIMENSIONS_MAX; i++)
        info.dimensions[info.dimension_count++] = model->dimensions[i];
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    ready_info_write(&text, &info);
    if (text.failed || link_put(&worker->link, WIRE_READY, 0, text.data, text.length, NULL) != PDK_OK)
        worker_blame_runtime("no memory to tell that the model is ready");
}

static pdk_status find_tables(struct worker *worker, pdk_error *err)
{
    worker->model = worker->runtime->get_extension(worker->self, PDK_EXT_MODEL);
    worker->generate = worker->runtime->get_extension(worker->self, PDK_EXT_GENERATE);
    worker->tokenize = worker->runtime->get_extension(worker->self, PDK_EXT_TOKENIZE);
    worker->pool = worker->runtime->get_extension(worker->self, PDK_EXT_POOL);
    if (worker->model != NULL && (!PDK_HAS(worker->model, load) || !PDK_HAS(worker->model, describe)))
        return pdk_error_set(err, PDK_INVALID, PDK_EXT_MODEL, "runtime %s: its %s lacks load or describe",
            worker->runtime->name, PDK_EXT_MODEL);
    if (worker->generate != NULL && (!PDK_HAS(worker->generate, submit) || !PDK_HAS(worker->generate, cancel)))
        return pdk_error_set(err, PDK_INVALID, PDK_EXT_GENERATE, "runtime %s: its %s lacks submit or cancel",
            worker->runtime->name, PDK_EXT_GENERATE);
    if (worker->tokenize != NULL && !PDK_HAS(worker->tokenize, submit))
        return pdk_error_set(err, PDK_INVALID, PDK_EXT_TOKENIZE, "runtime %s: its %s lacks submit",
            worker->runtime->name, PDK_EXT_TOKENIZE);
    if (worker->pool != NULL && (!PDK_HAS(worker->pool, submit) || !PDK_HAS(worker->pool, cancel)))
        return pdk_error_set(err, PDK_INVALID, PDK_EXT_POOL, "runtime %s: its %s lacks submit or cancel",
            worker->runtime->name, PDK_EXT_POOL);
    return PDK_OK;
}

static pdk_status load_spec(struct worker *worker, const pdk_model_spec *spec, pdk_error *err)
{
    pdk_model_info info = {.size = sizeof info};
    pdk_status status = find_tables(worker, err);
    if (status == PDK_OK && worker->model != NULL)
        status = worker->model->load(worker->self, spec, err);
    if (status == PDK_OK && worker->model != NULL)
        status = worker->model->describe(worker->self, &info, err);
    if (status == PDK_OK)
        describe_model(worker, &info, spec->name);
    return status;
}

pdk_status load_model(struct worker *worker, const struct frame *frame, pdk_error *err)
{
    static const struct json_limits limits = {.bytes = 4 << 20, .depth = 4, .nodes = 20000};
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    PDK_AUTO_FREE const char **arguments = NULL;
    PDK_AUTO_FREE const char **environment = NULL;
    pdk_model_spec spec = {.size = sizeof spec};
    pdk_status status = json_read((const char *)frame->body, frame->length, &limits, &document, err);
    if (status == PDK_OK)
        status = read_names(worker, json_root(document), &spec, err);
    if (status == PDK_OK)
        status = read_list(json_root(document), "arguments", &arguments, &spec.argument_count, err);
    if (status == PDK_OK)
        status = read_list(json_root(document), "environment", &environment, &spec.environment_count, err);
    if (status != PDK_OK)
        return status;
    spec.arguments = arguments;
    spec.environment = environment;
    return load_spec(worker, &spec, err);
}
