/* Loading in the order of what can go wrong: the configuration is read and checked, then the backend's ops, then every
 * tensor, then the budget; only then is anything packed. */
#include "config.h"

#include "runtimes/huggingface/model/decoder.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/siphash.h"
#include "runtimes/huggingface/model/generation_config.h"
#include "runtimes/huggingface/model/quantised.h"
#include "runtimes/huggingface/model/rope.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPS_A_LAYER = 24, OPS_BESIDE_LAYERS = 8, OVERRIDES_BYTES_MAX = 1 << 20 };

static pdk_status require_ops(const pdk_ops *ops, const struct model_config *config, pdk_error *err)
{
    bool latent = config->latent.rank != 0, experts = config->experts.count != 0;
    const struct {
        const char *name;
        bool there;
    } needed[] = {
        {"weight_load", PDK_HAS(ops, weight_bytes) && PDK_HAS(ops, weight_load) && PDK_HAS(ops, weight_free)},
        {"vector_load", PDK_HAS(ops, vector_load) && PDK_HAS(ops, vector_free)},
        {"rows_new",
            PDK_HAS(ops, rows_new) && PDK_HAS(ops, rows_free) && PDK_HAS(ops, rows_read) && PDK_HAS(ops, rows_write)},
        {"kv_new", PDK_HAS(ops, kv_block_bytes) && PDK_HAS(ops, kv_new) && PDK_HAS(ops, kv_free)},
        {"queue_new", PDK_HAS(ops, queue_new) && PDK_HAS(ops, queue_free) && PDK_HAS(ops, queue_begin) &&
                          PDK_HAS(ops, queue_submit) && PDK_HAS(ops, queue_wait)},
        {"embed", PDK_HAS(ops, embed)},
        {"norm", PDK_HAS(ops, norm)},
        {"linear", PDK_HAS(ops, linear)},
        {"rope_kv", latent || PDK_HAS(ops, rope_kv)},
        {"attention", latent || PDK_HAS(ops, attention)},
        {"latent_kv", !latent || PDK_HAS(ops, latent_kv)},
        {"latent_attention", !latent || PDK_HAS(ops, latent_attention)},
        {"route", !experts || PDK_HAS(ops, route)},
        {"experts_up", !experts || (PDK_HAS(ops, experts_up) && PDK_HAS(ops, experts_down))},
        {"head", config->use != USE_GENERATE || PDK_HAS(ops, head)},
        {"sample", config->use != USE_GENERATE || PDK_HAS(ops, sample)},
        {"kv_copy", PDK_HAS(ops, kv_copy)},
    };
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!needed[i].there)
            return pdk_error_value(err, PDK_UNSUPPORTED, "compute", needed[i].name,
                "the compute plugin lacks '%s', which %s needs", needed[i].name, config->row->class_name);
    return PDK_OK;
}

static void note(const struct model_request *request, const char *text)
{
    if (request->note != NULL)
        request->note(request->progress_context, text);
}

static pdk_status read_overrides(const char *text, struct json_document **ret_document, pdk_error *err)
{
    const struct json_limits limits = {.bytes = OVERRIDES_BYTES_MAX, .depth = 16, .nodes = 100000};
    pdk_status status = json_read(text, strlen(text), &limits, ret_document, err);
    if (status != PDK_OK)
        return pdk_error_wrap(err, "--hf-overrides");
    if (json_root(*ret_document)->type != JSON_OBJECT)
        return pdk_error_set(err, PDK_INVALID, "hf-overrides", "--hf-overrides must be a JSON object, not %s",
            json_type_name(json_root(*ret_document)));
    return PDK_OK;
}

static pdk_status read_generation(struct model *model, bool use, pdk_error *err)
{
    if (model->source.generation == NULL)
        return PDK_OK;
    const struct json *root = json_root(model->source.generation);
    pdk_status status = model_config_add_eos(
        &model->config, "generation_config.json: eos_token_id", json_get(root, "eos_token_id"), err);
    if (status == PDK_OK && use)
        status = generation_config_read(root, "generation_config.json: ", &model->facts.defaults, err);
    return status;
}

/* What the model is run for, by its class and by what was asked for. */
static pdk_status choose_use(struct model *model, enum model_purpose purpose, pdk_error *err)
{
    struct model_config *config = &model->config;
    if (config->from_gguf && config->row->encoder && model->pooling.kind == POOLING_RANK)
        config->use = USE_CLASSIFY;
    switch (purpose) {
    case MODEL_BY_CLASS: break;
    case MODEL_FOR_TOKENS:
        if (config->use != USE_GENERATE)
            return pdk_error_set(err, PDK_INVALID, "--runner",
                "--runner: generate was asked for, and this model (%s) generates no text; it can be run with pooling",
                config->row->class_name);
        break;
    case MODEL_FOR_VALUES: config->use = config->use == USE_GENERATE ? USE_EMBED : config->use; break;
    case MODEL_FOR_EMBEDDINGS: config->use = USE_EMBED; break;
    case MODEL_FOR_CLASSES: config->use = config->use == USE_CLASSIFY_TOKENS ? config->use : USE_CLASSIFY; break;
    }
    return PDK_OK;
}

static pdk_status read_config(struct model *model, const struct model_request *request, pdk_error *err)
{
    PDK_CLEANUP(json_document_freep) struct json_document *overrides = NULL;
    pdk_status status = request->overrides != NULL ? read_overrides(request->overrides, &overrides, err) : PDK_OK;
    if (status != PDK_OK)
        return status;
    const struct json *config = model->source.config != NULL ? json_root(model->source.config) : NULL;
    struct config_reader reader;
    status =
        config_reader_init(&reader, config, model->source.gguf, overrides != NULL ? json_root(overrides) : NULL, err);
    reader.wanted_context = request->context_length;
    if (status == PDK_OK)
        status = model_config_read(&reader, &model->config, err);
    if (status == PDK_OK)
        status = pooling_config_read(&reader, &model->pooling, err);
    if (status == PDK_OK)
        status = config_reader_finish(&reader, err);
    if (status == PDK_OK)
        status = choose_use(model, request->purpose, err);
    if (status == PDK_OK)
        status = read_generation(model, request->use_generation_config, err);
    if (status == PDK_OK && (json_get(config, "auto_map") != NULL || json_get(config, "trust_remote_code") != NULL))
        note(request, "config.json's auto_map has no effect: no checkpoint code is ever run");
    return status;
}

static int64_t id_or_none(int64_t id, uint32_t vocabulary)
{
    return id < (int64_t)vocabulary ? id : -1;
}

static void fill_facts(struct model *model, const struct model_request *request)
{
    const struct model_config *config = &model->config;
    struct model_facts *facts = &model->facts;
    snprintf(facts->architecture, sizeof facts->architecture, "%s", config->row->class_name);
    facts->vocabulary_size = config->vocabulary;
    facts->context_length = config->context;
    facts->layers = config->layers;
    facts->heads = config->heads;
    facts->kv_heads = config->kv_heads;
    facts->head_dim = config->head_dim;
    facts->hidden = config->hidden;
    facts->quantisation = quantisation_name(config->quantisation.method);
    facts->use = config->use;
    facts->encoder = config->row->encoder;
    facts->types = config->types;
    facts->hidden_columns = config->embedding_width;
    facts->bos_id = id_or_none(config->bos_id, config->vocabulary);
    facts->pad_id = id_or_none(config->pad_id, config->vocabulary);
    for (uint32_t i = 0; i < config->eos_count; i++) {
        if (config->eos_ids[i] < config->vocabulary)
            facts->eos_ids[facts->eos_count++] = config->eos_ids[i];
        else
            note(request, "an eos_token_id past the vocabulary was left out");
    }
}

/* Of what the answers depend on, sampled: a whole read of the weights would double the time to load. */
static void hash_content(struct model *model)
{
    enum { SAMPLE = 64 };
    struct siphash_key key = {0x7061646c6f636b21, model->config.layers};
    const struct tensors *tensors = &model->source.tensors;
    for (size_t i = 0; i < tensors->count; i++) {
        const struct tensor *tensor = &tensors->items[i];
        size_t bytes = (size_t)tensor->bytes, piece = bytes < SAMPLE ? bytes : SAMPLE;
        key.a ^= siphash64(&key, tensor->name.data, tensor->name.length);
        key.b ^= siphash64(&key, tensor->shape, tensor->rank * sizeof tensor->shape[0]);
        key.a ^= siphash64(&key, tensor->data, piece);
        key.b ^= siphash64(&key, tensor->data + (bytes - piece) / 2, piece);
        key.a ^= siphash64(&key, tensor->data + (bytes - piece), piece);
    }
    const struct model_config *config = &model->config;
    const double numbers[] = {config->epsilon, config->embedding_scale, config->residual_scale, config->attention_scale,
        config->logit_scale, config->attention_cap, config->logit_cap, config->rope.theta, config->rope.factor,
        config->window, config->rope.type, config->rope.dims, config->rope.original_context,
        (double)rope_magnitude(&config->rope), config->rope.wanted_context, config->local_rope.theta,
        config->positioning, config->parallel, config->scale_by_depth, config->residual_of_norm, config->experts.chosen,
        config->experts.groups_chosen, config->experts.score, config->experts.normalise, config->experts.scale,
        config->experts.limit};
    model->facts.content_hash = siphash64(&key, numbers, sizeof numbers);
}

static pdk_status load(struct model *model, const struct model_request *request, pdk_error *err)
{
    model->facts.defaults.size = sizeof model->facts.defaults;
    pdk_status status = source_open(request->path, &model->source, err);
    if (status == PDK_OK)
        status = read_config(model, request, err);
    if (status == PDK_OK)
        status = require_ops(model->ops, &model->config, err);
    if (status != PDK_OK)
        return status;
    status = quantised_bind(
        &model->source.tensors, &model->config.quantisation, request->note, request->progress_context, err);
    if (status != PDK_OK)
        return status;
    hash_content(model);
    status = weights_load(model, request, err);
    if (status != PDK_OK)
        return status;
    fill_facts(model, request);
    source_drop_weights(&model->source);
    return PDK_OK;
}

pdk_status model_load(const struct model_request *request, struct model **ret_model, pdk_error *err)
{
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory for the model");
    model->ops = request->ops;
    model->compute = request->compute;
    pdk_status status = load(model, request, err);
    if (status != PDK_OK) {
        model_free(model);
        return status;
    }
    *ret_model = model;
    return PDK_OK;
}

static void free_rows(struct model *model)
{
    struct activations *rows = &model->rows;
    pdk_rows *all[] = {rows->residual, rows->normed, rows->side, rows->qkv, rows->heads, rows->inner, rows->narrow,
        rows->products, rows->route, rows->expert_inner, rows->shared, rows->shared_product, rows->shared_route,
        rows->latent, rows->narrow_query, rows->logits};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i] != NULL)
            model->ops->rows_free(model->compute, all[i]);
    *rows = (struct activations){0};
}

struct model *model_free(struct model *model)
{
    if (model == NULL)
        return NULL;
    free_rows(model);
    if (model->queue != NULL)
        model->ops->queue_free(model->compute, model->queue);
    if (model->kv != NULL)
        model->ops->kv_free(model->compute, model->kv);
    weights_free(model);
    value_head_done(&model->classes);
    pooling_config_done(&model->pooling);
    source_done(&model->source);
    free(model);
    return NULL;
}

const struct model_facts *model_facts(const struct model *model)
{
    return &model->facts;
}

const struct gguf *model_gguf(const struct model *model)
{
    return model->source.gguf;
}

const char *model_folder(const struct model *model)
{
    return model->source.folder;
}

const struct pooling_config *model_pooling(const struct model *model)
{
    return &model->pooling;
}

const struct value_head *model_classes(const struct model *model)
{
    return &model->classes;
}

static pdk_kv_shape kv_shape(const struct model *model, int32_t type)
{
    /* An encoder's keys and values are read in the layer that wrote them, and then no more. */
    return (pdk_kv_shape){.layers = model->config.row->encoder ? 1 : model->config.layers,
        .kv_heads = model->config.kv_heads,
        .head_dim = model->config.head_dim,
        .type = type,
        .latent = model->config.latent.rank != 0 ? model->config.latent.rank + model->config.latent.rope : 0,
        .latent_rank = model->config.latent.rank};
}

uint64_t model_kv_block_bytes(const struct model *model, int32_t kv_type)
{
    pdk_kv_shape shape = kv_shape(model, kv_type);
    return model->ops->kv_block_bytes(model->compute, &shape);
}

/* The rows of a step, by what they need: {columns, rows, slot}. */
struct planned_rows {
    pdk_rows **slot;
    uint32_t columns; /* 0: not needed */
    uint32_t rows;
};

enum { ROWS_COUNT = 16 };

static void plan_rows(const struct model *model, uint32_t max_rows, uint32_t max_outputs, struct activations *to,
    struct planned_rows *plan)
{
    const struct model_config *config = &model->config;
    bool narrow = config->embedding_width != config->hidden;
    bool side =
        architecture_has(config->row, ROLE_ATTENTION_OUT_NORM) || architecture_has(config->row, ROLE_MLP_OUT_NORM);
    const struct experts_config *experts = &config->experts;
    const struct latent_config *latent = &config->latent;
    bool dense = memchr(config->sparse, 0, config->layers) != NULL;
    uint32_t queries = config->heads * config->head_dim, keys = config->kv_heads * config->head_dim;
    const struct planned_rows all[ROWS_COUNT] = {
        {&to->residual, config->hidden, max_rows},
        {&to->normed, config->hidden, max_rows},
        {&to->side, side ? config->hidden : 0, max_rows},
        {&to->qkv, latent->rank != 0 ? queries : queries + 2 * keys, max_rows},
        {&to->heads, latent->rank != 0 ? config->heads * latent->value : queries, max_rows},
        {&to->inner, dense ? config->inner : 0, max_rows},
        {&to->products, experts->count, max_rows},
        {&to->route, 2 * experts->chosen, max_rows},
        {&to->expert_inner, experts->count != 0 ? experts->inner : 0, max_rows * experts->chosen},
        {&to->shared, experts->shared_inner, max_rows},
        {&to->shared_product, experts->shared_inner != 0 ? 1 : 0, max_rows},
        {&to->shared_route, experts->shared_inner != 0 ? 2 : 0, max_rows},
        {&to->latent, latent->rank != 0 ? latent->rank + latent->rope : 0, max_rows},
        {&to->narrow_query, latent->query_rank, max_rows},
        {&to->narrow, narrow ? config->embedding_width : 0, max_rows},
        {&to->logits, config->use == USE_GENERATE ? config->vocabulary : 0, max_outputs},
    };
    memcpy(plan, all, sizeof all);
}

uint64_t model_activation_bytes(const struct model *model, uint32_t max_rows, uint32_t max_outputs)
{
    struct activations none;
    struct planned_rows plan[ROWS_COUNT];
    plan_rows(model, max_rows, max_outputs, &none, plan);
    uint64_t total = 0;
    for (size_t i = 0; i < ROWS_COUNT; i++)
        total += (uint64_t)plan[i].columns * plan[i].rows * sizeof(float);
    return total + total / 2; /* beside float32, a backend keeps rows in the form that its products read */
}

pdk_status model_prepare(
    struct model *model, int32_t kv_type, uint32_t blocks, uint32_t max_rows, uint32_t max_outputs, pdk_error *err)
{
    struct planned_rows plan[ROWS_COUNT];
    uint32_t chosen = model->config.experts.chosen;
    if (chosen != 0 && max_rows > UINT32_MAX / chosen)
        return pdk_error_set(err, PDK_TOO_LARGE, "max_rows",
            "steps of %" PRIu32 " rows that go to %" PRIu32 " experts each are too large", max_rows, chosen);
    plan_rows(model, max_rows, max_outputs, &model->rows, plan);
    pdk_status status = PDK_OK;
    for (size_t i = 0; i < ROWS_COUNT && status == PDK_OK; i++)
        if (plan[i].columns != 0)
            status = model->ops->rows_new(model->compute, plan[i].rows, plan[i].columns, plan[i].slot, err);
    pdk_kv_shape shape = kv_shape(model, kv_type);
    if (status == PDK_OK)
        status = model->ops->kv_new(model->compute, &shape, blocks, &model->kv, err);
    model->max_rows = max_rows;
    model->max_outputs = max_outputs;
    model->max_copies = max_rows; /* each row writes into one block at most */
    uint32_t ops = model->config.layers * OPS_A_LAYER + OPS_BESIDE_LAYERS + model->max_copies;
    if (status == PDK_OK)
        status = model->ops->queue_new(model->compute, max_rows, ops, &model->queue, err);
    return status;
}
