/* The runtime's entry: what the worker calls, handed on. */
#include "config.h"

#include "core/base/error.h"
#include "runtimes/huggingface/load.h"
#include "runtimes/huggingface/options.h"

#include <paddock/draft/generate.h>
#include <paddock/draft/model.h>
#include <paddock/runtime.h>
#include <stdlib.h>
#include <string.h>

struct runtime {
    const pdk_host *host;
    struct loaded loaded;
    bool is_loaded;
};

static pdk_status load(void *self, const pdk_model_spec *spec, pdk_error *err)
{
    struct runtime *runtime = self;
    if (runtime->is_loaded)
        return pdk_error_set(err, PDK_CONFLICT, NULL, "a model is loaded already");
    pdk_status status = load_all(&runtime->loaded, runtime->host, spec, err);
    runtime->is_loaded = status == PDK_OK;
    if (status != PDK_OK) {
        loaded_done(&runtime->loaded);
        memset(&runtime->loaded, 0, sizeof runtime->loaded);
    }
    return status;
}

/* A model either draws tokens or gives values. */
static void describe_pooling(const struct served *served, pdk_model_info *info)
{
    const struct pooling *pooling = served->pooling;
    if (pooling == NULL)
        return;
    info->pooling_only = 1;
    info->pooling_tasks = pooling->tasks;
    info->scores_pairs_by_cosine = pooling->pairs_by_cosine;
    info->pooled_size = pooling->width;
    info->class_count = pooling->class_count;
    info->class_labels = pooling->class_labels;
    info->matryoshka = pooling->matryoshka;
    info->dimension_count = pooling->allowed_count;
    info->dimensions = pooling->allowed;
}

static pdk_status describe(void *self, pdk_model_info *ret_info, pdk_error *err)
{
    struct runtime *runtime = self;
    const struct loaded *loaded = &runtime->loaded;
    if (!runtime->is_loaded)
        return pdk_error_set(err, PDK_CONFLICT, NULL, "no model is loaded");
    const struct model_facts *facts = model_facts(loaded->model);
    pdk_model_info info = {
        .size = sizeof info,
        .vocabulary_size = facts->vocabulary_size,
        .max_model_len = loaded->served.max_model_len,
        .max_logprobs = loaded->settings.max_logprobs,
        .served_name_count = loaded->settings.name_count,
        .eos_id_count = loaded->eos_count,
        .has_tokenizer = loaded->tokenizer != NULL,
        .has_template = loaded->template != NULL || loaded->served.harmony_prompts,
        .served_names = loaded->settings.names,
        .root = loaded->settings.root,
        .eos_ids = loaded->eos_ids,
        .defaults = loaded->served.sampling.defaults,
        .memory_bytes = facts->weight_bytes + loaded->kv_bytes + loaded->activation_bytes,
        .fingerprint = loaded->fingerprint,
        .auto_tools = loaded->auto_tools,
        .forced_tools = loaded->guide_vocabulary != NULL && loaded->served.parsers.tool_format != NULL,
        .parses_reasoning = loaded->served.parsers.reasoning_format != NULL,
        .api_flags = loaded->settings.api_flags,
        .fingerprint_mode = loaded->settings.fingerprint_mode,
        .fingerprint_text = loaded->settings.fingerprint_text,
        .response_role = loaded->settings.response_role,
        .root_path = loaded->settings.root_path,
        .keep_alive_s = loaded->settings.keep_alive_s,
    };
    describe_pooling(&loaded->served, &info);
    size_t room = ret_info->size < sizeof info ? ret_info->size : sizeof info;
    info.size = (uint32_t)room;
    memcpy(ret_info, &info, room);
    return PDK_OK;
}

static void unload(void *self)
{
    struct runtime *runtime = self;
    loaded_done(&runtime->loaded);
    memset(&runtime->loaded, 0, sizeof runtime->loaded);
    runtime->is_loaded = false;
}

static pdk_status submit(void *self, const pdk_request *request, pdk_response *response, pdk_error *err)
{
    struct runtime *runtime = self;
    if (!runtime->is_loaded)
        return pdk_error_set(err, PDK_CONFLICT, NULL, "no model is loaded");
    bool pools = runtime->loaded.served.pooling != NULL;
    if (request->kind != (pools ? PDK_KIND_POOL : PDK_KIND_GENERATE) && request->kind != PDK_KIND_TOKENIZE &&
        request->kind != PDK_KIND_DETOKENIZE && request->kind != PDK_KIND_TOKENIZER_INFO)
        return pdk_error_set(err, PDK_UNSUPPORTED, "kind", "this model %s; it has no answer to requests of kind %d",
            pools ? "gives embeddings or classes" : "generates text", (int)request->kind);
    return front_submit(runtime->loaded.front, request, response, err);
}

static void cancel(void *self, uint64_t request_id)
{
    struct runtime *runtime = self;
    if (runtime->is_loaded)
        front_cancel(runtime->loaded.front, request_id);
}

static void writable(void *self, uint64_t request_id)
{
    struct runtime *runtime = self;
    if (runtime->is_loaded)
        front_writable(runtime->loaded.front, request_id);
}

static const pdk_model model_table = {.size = sizeof model_table, .load = load, .describe = describe, .unload = unload};
static const pdk_generate generate_table = {
    .size = sizeof generate_table, .submit = submit, .cancel = cancel, .writable = writable};
static const pdk_pool pool_table = {.size = sizeof pool_table, .submit = submit, .cancel = cancel};
static const pdk_tokenize tokenize_table = {.size = sizeof tokenize_table, .submit = submit};

static pdk_status init(const pdk_host *host, void **ret_self, pdk_error *err)
{
    struct runtime *runtime = calloc(1, sizeof *runtime);
    if (runtime == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the runtime");
    runtime->host = host;
    *ret_self = runtime;
    return PDK_OK;
}

static const void *get_extension(void *self, const char *id)
{
    if (strcmp(id, PDK_EXT_OPTIONS) == 0)
        return &huggingface_options;
    if (self == NULL)
        return NULL;
    if (strcmp(id, PDK_EXT_MODEL) == 0)
        return &model_table;
    if (strcmp(id, PDK_EXT_GENERATE) == 0)
        return &generate_table;
    if (strcmp(id, PDK_EXT_POOL) == 0)
        return &pool_table;
    return strcmp(id, PDK_EXT_TOKENIZE) == 0 ? &tokenize_table : NULL;
}

static void done(void *self)
{
    struct runtime *runtime = self;
    if (runtime->is_loaded)
        unload(runtime);
    free(runtime);
}

PDK_EXPORT const pdk_runtime pdk_runtime_entry = {
    .size = sizeof(pdk_runtime),
    .abi_major = PDK_RUNTIME_ABI_MAJOR,
    .abi_minor = PDK_RUNTIME_ABI_MINOR,
    .flags = PDK_RUNTIME_NEEDS_COMPUTE,
    .name = "huggingface",
    .description = "serves language models from safetensors and GGUF files",
    .init = init,
    .get_extension = get_extension,
    .done = done,
};
