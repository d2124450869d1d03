/* The roles of the architecture's row, with the shapes that the configuration asks for, found in the model's tensors.
 * Query, key and value become one weight, gate and up another, whether a file holds them apart or together. */
#include "config.h"

#include "runtimes/huggingface/model/planner.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/model/numbers.h"
#include "runtimes/huggingface/model/printable.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float norm_plus(const struct planner *p)
{
    return p->config->plain_norms || (p->config->row->norm_plus_one && !p->config->from_gguf) ? 1.0f : 0.0f;
}

/* `shape` is of the weight; `width` numbers are one row to the norm. */
static pdk_status plan_norm_of(
    struct planner *p, enum role role, struct planner_shape shape, uint32_t width, struct norm *norm)
{
    struct vector_part weight = {.count = (uint32_t)(shape.sizes[0] * (shape.rank == 1 ? 1 : shape.sizes[1]))};
    struct vector_part bias = {.count = weight.count};
    norm->group = width;
    norm->each_head = weight.count != width;
    pdk_status status = PDK_OK;
    if (!p->config->plain_norms)
        status = planner_take_numbers(p, role, ".weight", shape, &weight.tensor);
    if (status == PDK_OK && !p->config->plain_norms)
        status = planner_bias(p, role, bias.count, &bias.tensor);
    if (status == PDK_OK)
        status = planner_add_vector(p, &norm->weight, &weight, 1, norm_plus(p));
    return status == PDK_OK && bias.tensor != NULL ? planner_add_vector(p, &norm->bias, &bias, 1, 0) : status;
}

pdk_status planner_norm(struct planner *p, enum role role, uint32_t width, struct norm *norm)
{
    /* An encoder's first layer may read the embedding's own norm. */
    bool bare = p->config->row->encoder && (p->config->row->optional & ROLE_BIT(role)) != 0 && p->layer == 0;
    return planner_has(p, role) && !bare ? plan_norm_of(p, role, (struct planner_shape){1, {width}}, width, norm)
                                         : PDK_OK;
}

/* A tensor for each head: one vector of them all. */
static pdk_status plan_separate_norms(struct planner *p, enum role role, uint32_t heads, struct norm *norm)
{
    uint32_t dim = p->config->head_dim;
    PDK_AUTO_FREE struct vector_part *parts = calloc(heads, sizeof *parts);
    if (parts == NULL)
        return planner_no_memory(p);
    for (p->head = 0; p->head < heads; p->head++) {
        struct vector_part *part = &parts[p->head];
        part->count = dim;
        pdk_status status = planner_take_numbers(p, role, ".weight", (struct planner_shape){1, {dim}}, &part->tensor);
        if (status != PDK_OK)
            return status;
    }
    norm->group = dim;
    norm->each_head = heads > 1;
    return planner_add_vector(p, &norm->weight, parts, heads, norm_plus(p));
}

/* Norms of queries and keys stand over one head, the same for all or each its own, or over all of them; the tensor's
 * shape tells. */
static pdk_status plan_head_norm(struct planner *p, enum role role, uint32_t heads, struct norm *norm)
{
    if (!planner_has(p, role))
        return PDK_OK;
    const char *mark = strchr(p->names[role], '%');
    if (mark != NULL && strchr(mark + 1, '%') != NULL)
        return plan_separate_norms(p, role, heads, norm);
    const struct tensor *tensor = planner_look(p, role, ".weight");
    uint32_t dim = p->config->head_dim, all = heads * dim;
    if (tensor != NULL && tensor->rank == 2)
        return plan_norm_of(p, role, (struct planner_shape){2, {heads, dim}}, dim, norm);
    bool whole = tensor != NULL && tensor->rank == 1 && tensor->shape[0] == all;
    return planner_norm(p, role, whole ? all : dim, norm);
}

static pdk_status plan_attention(struct planner *p, struct layer *layer)
{
    static const enum role roles[] = {ROLE_Q, ROLE_K, ROLE_V};
    const struct model_config *config = p->config;
    uint32_t queries = config->heads * config->head_dim, keys = config->kv_heads * config->head_dim;
    const uint32_t rows[] = {queries, keys, keys};
    bool together = !planner_has(p, ROLE_Q) ||
                    (planner_look(p, ROLE_Q, ".weight") == NULL && planner_look(p, ROLE_QKV, ".weight") != NULL);
    pdk_status status =
        together ? planner_linear(p, ROLE_QKV, queries + 2 * keys, config->hidden, PDK_WEIGHT_LINEAR, &layer->qkv)
                 : planner_matrices(p, roles, rows, 3, config->hidden, PDK_WEIGHT_LINEAR, &layer->qkv);
    if (status == PDK_OK)
        status = plan_head_norm(p, ROLE_Q_NORM, config->heads, &layer->q_norm);
    if (status == PDK_OK)
        status = plan_head_norm(p, ROLE_K_NORM, config->kv_heads, &layer->k_norm);
    if (status == PDK_OK && planner_has(p, ROLE_SINKS))
        status = planner_vector(p, ROLE_SINKS, config->from_gguf ? ".weight" : "", config->heads, true, &layer->sinks);
    return status == PDK_OK ? planner_linear(p, ROLE_O, config->hidden, queries, PDK_WEIGHT_LINEAR, &layer->o) : status;
}

/* Gate and up in one tensor, gate first: two matrices of it. */
static pdk_status plan_gate_up(struct planner *p, struct layer *layer)
{
    uint32_t inner = p->config->inner;
    const struct tensor *tensor;
    pdk_status status = planner_matrix(p, ROLE_GATE_UP, 2 * (uint64_t)inner, p->config->hidden, &tensor);
    if (status != PDK_OK)
        return status;
    struct planned_weight *weight = planner_weight(p, &layer->up.weight, PDK_WEIGHT_GATED);
    if (weight == NULL)
        return planner_no_memory(p);
    planner_part(weight, tensor, 0, inner, p->config->hidden);
    planner_part(weight, tensor, inner, inner, p->config->hidden);
    struct vector_part bias = {.count = 2 * inner};
    status = planner_bias(p, ROLE_GATE_UP, bias.count, &bias.tensor);
    return status == PDK_OK && bias.tensor != NULL ? planner_add_vector(p, &layer->up.bias, &bias, 1, 0) : status;
}

static pdk_status plan_mlp(struct planner *p, struct layer *layer)
{
    static const enum role roles[] = {ROLE_GATE, ROLE_UP};
    const struct model_config *config = p->config;
    const uint32_t rows[] = {config->inner, config->inner};
    pdk_status status = planner_has(p, ROLE_GATE_UP) ? plan_gate_up(p, layer)
                        : config->row->gated
                            ? planner_matrices(p, roles, rows, 2, config->hidden, PDK_WEIGHT_GATED, &layer->up)
                            : planner_linear(p, ROLE_UP, config->inner, config->hidden, PDK_WEIGHT_LINEAR, &layer->up);
    return status == PDK_OK
               ? planner_linear(p, ROLE_DOWN, config->hidden, config->inner, PDK_WEIGHT_LINEAR, &layer->down)
               : status;
}

static pdk_status plan_latent_attention(struct planner *p, struct layer *layer)
{
    pdk_status status = plan_latent(p, &layer->latent);
    return status == PDK_OK ? planner_linear(p, ROLE_O, p->config->hidden, p->config->heads * p->config->latent.value,
                                  PDK_WEIGHT_LINEAR, &layer->o)
                            : status;
}

static pdk_status plan_layer(struct planner *p, struct layer *layer)
{
    uint32_t hidden = p->config->hidden;
    pdk_status status = planner_norm(p, ROLE_ATTENTION_NORM, hidden, &layer->attention_norm);
    if (status == PDK_OK)
        status = p->config->latent.rank != 0 ? plan_latent_attention(p, layer) : plan_attention(p, layer);
    if (status == PDK_OK)
        status = planner_norm(p, ROLE_ATTENTION_OUT_NORM, hidden, &layer->attention_out_norm);
    if (status == PDK_OK)
        status = planner_norm(p, ROLE_MLP_NORM, hidden, &layer->mlp_norm);
    if (status == PDK_OK)
        status = p->config->sparse[p->layer] ? plan_experts(p, &layer->experts) : plan_mlp(p, layer);
    if (status == PDK_OK)
        status = planner_norm(p, ROLE_MLP_OUT_NORM, hidden, &layer->mlp_out_norm);
    return status;
}

/* The vocabulary is the embedding's rows where the file does not say. */
static pdk_status learn_vocabulary(struct planner *p, struct model_config *config)
{
    const struct tensor *table = planner_look(p, ROLE_EMBEDDING, ".weight");
    if (config->vocabulary == 0 && table != NULL && table->rank == 2 && table->shape[0] <= 1 << 24)
        config->vocabulary = (uint32_t)table->shape[0];
    if (config->vocabulary == 0)
        return pdk_error_set(p->err, PDK_INVALID, "vocab_size", "the configuration has no vocab_size");
    return PDK_OK;
}

/* A head that is the embedding may have a bias of its own. */
static pdk_status plan_tied_bias(struct planner *p, struct linear *head)
{
    struct vector_part bias = {.count = p->config->vocabulary};
    pdk_status status = planner_has(p, ROLE_HEAD) ? planner_bias(p, ROLE_HEAD, bias.count, &bias.tensor) : PDK_OK;
    return status == PDK_OK && bias.tensor != NULL ? planner_add_vector(p, &head->bias, &bias, 1, 0) : status;
}

/* GGUF: what frequencies are divided by: one list, or two of which the context chooses. */
static pdk_status find_rope_factors(const struct planner *p)
{
    static const enum role roles[] = {ROLE_ROPE_FACTORS, ROLE_ROPE_LONG, ROLE_ROPE_SHORT};
    const struct model_config *config = p->config;
    if (!config->from_gguf || config->positioning != POSITIONS_ROPE)
        return PDK_OK;
    enum role chosen = config->rope.wanted_context > config->rope.original_context ? ROLE_ROPE_LONG : ROLE_ROPE_SHORT;
    pdk_status status = PDK_OK;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0] && status == PDK_OK; i++) {
        const struct tensor *factors;
        status = planner_find(p, roles[i], ".weight", (struct planner_shape){1, {config->rope.dims / 2}}, &factors);
        if (status == PDK_OK && factors != NULL && (i == 0 || roles[i] == chosen))
            p->plan->rope_factors = factors;
    }
    return status;
}

static pdk_status plan_ends(struct planner *p, struct decoder *decoder)
{
    const struct model_config *config = p->config;
    uint32_t narrow = config->embedding_width, hidden = config->hidden;
    bool generates = config->use == USE_GENERATE;
    pdk_status status = planner_linear(p, ROLE_EMBEDDING, config->vocabulary, narrow,
        config->tied && generates ? PDK_WEIGHT_TIED : PDK_WEIGHT_TABLE, &decoder->embedding);
    if (status == PDK_OK)
        status = planner_norm(p, ROLE_EMBEDDING_NORM, hidden, &decoder->embedding_norm);
    if (status == PDK_OK && config->positioning == POSITIONS_LEARNED)
        status = planner_linear(p, ROLE_POSITIONS, config->positions + config->position_offset, hidden,
            PDK_WEIGHT_TABLE, &decoder->positions);
    if (status == PDK_OK && planner_has(p, ROLE_TYPES) && config->types != 0)
        status = planner_linear(p, ROLE_TYPES, config->types, hidden, PDK_WEIGHT_TABLE, &decoder->types);
    if (status == PDK_OK && narrow != hidden && !planner_has(p, ROLE_PROJECT_IN))
        return pdk_error_set(p->err, PDK_UNSUPPORTED, "word_embed_proj_dim",
            "embeddings of %" PRIu32 " columns in a model of %" PRIu32 " are not supported for this architecture",
            narrow, hidden);
    if (status == PDK_OK && narrow != hidden)
        status = planner_linear(p, ROLE_PROJECT_IN, hidden, narrow, PDK_WEIGHT_LINEAR, &decoder->project_in);
    if (status == PDK_OK && narrow != hidden)
        status = planner_linear(p, ROLE_PROJECT_OUT, narrow, hidden, PDK_WEIGHT_LINEAR, &decoder->project_out);
    if (status == PDK_OK && config->final_norm)
        status = planner_norm(p, ROLE_FINAL_NORM, hidden, &decoder->final_norm);
    if (status == PDK_OK && generates)
        status = config->tied
                     ? plan_tied_bias(p, &decoder->head)
                     : planner_linear(p, ROLE_HEAD, config->vocabulary, narrow, PDK_WEIGHT_LINEAR, &decoder->head);
    return status == PDK_OK ? find_rope_factors(p) : status;
}

/* Of a layer behind the last one, "model.layers.61.…": it predicts further tokens. */
static bool is_extra_layer(const struct planner *p, const struct tensor *tensor)
{
    static const char start[] = "model.layers.";
    if (tensor->name.length < sizeof start || memcmp(tensor->name.data, start, sizeof start - 1) != 0)
        return false;
    uint64_t layer = 0;
    for (size_t i = sizeof start - 1; i < tensor->name.length && tensor->name.data[i] != '.'; i++) {
        if (tensor->name.data[i] < '0' || tensor->name.data[i] > '9' || layer > MODEL_LAYERS_MAX)
            return false;
        layer = layer * 10 + (uint64_t)(tensor->name.data[i] - '0');
    }
    return layer >= p->config->layers && layer < p->config->layers + p->config->experts.extra_layers;
}

/* Tensors that old exporters wrote and that are computed here. */
static bool is_redundant(const struct planner *p, const struct tensor *tensor)
{
    static const char *const endings[] = {"rotary_emb.inv_freq", "attn.bias", "attn.masked_bias", "attention.bias",
        "attention.masked_bias", "embeddings.position_ids", "embeddings.token_type_ids"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t length = strlen(endings[i]);
        if (tensor->name.length >= length &&
            memcmp(tensor->name.data + tensor->name.length - length, endings[i], length) == 0)
            return true;
    }
    return p->config->tied && planner_look(p, ROLE_HEAD, ".weight") == tensor;
}

static bool is_ignored(const struct planner *p, const struct tensor *tensor)
{
    const char *head = p->config->use != USE_GENERATE ? p->names[ROLE_HEAD] : NULL;
    if (head != NULL && tensor->name.length > strlen(head) && memcmp(tensor->name.data, head, strlen(head)) == 0)
        return true;
    if (p->config->use != USE_GENERATE && classes_name(p->config, tensor->name))
        return true;
    for (const char *at = p->config->row->ignored; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, "|");
        if (tensor->name.length >= length && memcmp(tensor->name.data, at, length) == 0)
            return true;
        at += length + (at[length] == '|');
    }
    return false;
}

static pdk_status refuse_unused(const struct planner *p)
{
    for (size_t i = 0; i < p->tensors->count; i++) {
        const struct tensor *tensor = &p->tensors->items[i];
        if (tensor->used || is_redundant(p, tensor))
            continue;
        if (is_extra_layer(p, tensor)) {
            p->plan->has_extra_layer = true;
            continue;
        }
        if (is_ignored(p, tensor)) {
            p->plan->ignored++;
            continue;
        }
        char name[160];
        snprintf(
            name, sizeof name, "%.*s", (int)(tensor->name.length < 150 ? tensor->name.length : 150), tensor->name.data);
        return pdk_error_value(p->err, PDK_UNSUPPORTED, "tensors", name,
            "the model has a tensor that %s has no use for: %s", p->config->row->class_name, printable(name).text);
    }
    return PDK_OK;
}

/* What only a GGUF's tensors tell: which optional norms there are, and whether the head is the embedding. A block that
 * lacks the norm between attention and MLP is a parallel one. */
static void learn_from_gguf(struct planner *p, struct model_config *config)
{
    static const enum role norms[] = {ROLE_Q_NORM, ROLE_K_NORM, ROLE_MLP_NORM};
    config->tied = planner_look(p, ROLE_HEAD, ".weight") == NULL;
    for (size_t i = 0; i < sizeof norms / sizeof norms[0]; i++)
        if ((config->row->optional & ROLE_BIT(norms[i])) != 0 && planner_look(p, norms[i], ".weight") == NULL)
            config->absent |= ROLE_BIT(norms[i]);
    if ((config->row->optional & ROLE_BIT(ROLE_MLP_NORM)) != 0)
        config->parallel = config->row->parallel || (config->absent & ROLE_BIT(ROLE_MLP_NORM)) != 0;
}

pdk_status weight_plan_make(struct model *model, struct weight_plan *ret_plan, pdk_error *err)
{
    struct model_config *config = &model->config;
    struct planner planner = {.plan = ret_plan,
        .config = config,
        .tensors = &model->source.tensors,
        .err = err,
        .names = !config->from_gguf                ? config->row->names
                 : config->row->gguf_names != NULL ? config->row->gguf_names
                                                   : gguf_names};
    if (config->from_gguf)
        learn_from_gguf(&planner, config);
    pdk_status status = learn_vocabulary(&planner, config);
    if (status == PDK_OK)
        status = plan_ends(&planner, &model->decoder);
    for (; planner.layer < config->layers && status == PDK_OK; planner.layer++)
        status = plan_layer(&planner, &model->decoder.layers[planner.layer]);
    return status == PDK_OK ? refuse_unused(&planner) : status;
}

void weight_plan_done(struct weight_plan *plan)
{
    for (size_t i = 0; i < plan->vector_count; i++)
        free(plan->vectors[i].parts);
    free(plan->weights);
    free(plan->vectors);
    free(plan->biases);
    *plan = (struct weight_plan){0};
}
