/* The roles of the architecture's row, with the shapes that the configuration asks for, found in the model's tensors.
 * Query, key and value become one weight, gate and up another, whether a file holds them apart or together. */
#include "config.h"

#include "runtimes/huggingface/model/weight_plan.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "runtimes/huggingface/model/numbers.h"
#include "runtimes/huggingface/model/printable.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 160 };

struct planner {
    struct weight_plan *plan;
    const struct model_config *config;
    const struct tensors *tensors;
    const char *const *names;
    uint32_t layer;
    pdk_error *err;
};

struct shape {
    uint32_t rank; /* 1 or 2 */
    uint64_t rows, columns;
};

static bool has(const struct planner *p, enum role role)
{
    return architecture_has(p->config->row, role) && p->names[role] != NULL;
}

/* "model.layers.%.mlp.up_proj" and ".weight" of layer 3: "model.layers.3.mlp.up_proj.weight" */
static void make_name(const struct planner *p, enum role role, const char *ending, char name[NAME_BYTES])
{
    const char *pattern = p->names[role], *mark = strchr(pattern, '%');
    if (mark == NULL)
        snprintf(name, NAME_BYTES, "%s%s", pattern, ending);
    else
        snprintf(name, NAME_BYTES, "%.*s%" PRIu32 "%s%s", (int)(mark - pattern), pattern, p->layer, mark + 1, ending);
}

/* Or NULL. `name` gets the name that it was looked for by. */
static struct tensor *look_for(const struct planner *p, enum role role, const char *ending, char name[NAME_BYTES])
{
    make_name(p, role, ending, name);
    struct tensor *tensor = tensors_find(p->tensors, name);
    const char *prefix = p->config->row->prefix;
    if (tensor == NULL && prefix != NULL && strncmp(name, prefix, strlen(prefix)) == 0)
        tensor = tensors_find(p->tensors, name + strlen(prefix));
    return tensor;
}

static pdk_status check_shape(const struct planner *p, const struct tensor *tensor, struct shape want, const char *name)
{
    if (tensor->rank == want.rank && tensor->shape[0] == want.rows &&
        (want.rank == 1 || tensor->shape[1] == want.columns))
        return PDK_OK;
    char is[160] = "", wanted[64];
    for (uint32_t i = 0, used = 0; i < tensor->rank && used < sizeof is; i++)
        used += (uint32_t)snprintf(is + used, sizeof is - used, "%s%" PRIu64, i == 0 ? "" : " x ", tensor->shape[i]);
    if (want.rank == 1)
        snprintf(wanted, sizeof wanted, "%" PRIu64, want.rows);
    else
        snprintf(wanted, sizeof wanted, "%" PRIu64 " x %" PRIu64, want.rows, want.columns);
    return pdk_error_set(p->err, PDK_INVALID, name, "%s is %s; by the configuration it is %s", name,
        tensor->rank == 0 ? "a single number" : is, wanted);
}

static pdk_status find(const struct planner *p, enum role role, const char *ending, struct shape want, bool required,
    const struct tensor **ret_tensor)
{
    char name[NAME_BYTES];
    struct tensor *tensor = look_for(p, role, ending, name);
    if (tensor == NULL) {
        if (required)
            return pdk_error_set(p->err, PDK_INVALID, name, "the model has no tensor %s", name);
        *ret_tensor = NULL;
        return PDK_OK;
    }
    tensor->used = true;
    if (tensor->type == 0)
        return pdk_error_set(p->err, PDK_UNSUPPORTED, name,
            "%s is of type %s; known are F32, F16, BF16 and GGUF's block types", name, tensor->type_name);
    *ret_tensor = tensor;
    return check_shape(p, tensor, want, name);
}

static pdk_status find_matrix(
    const struct planner *p, enum role role, uint64_t rows, uint64_t columns, const struct tensor **ret_tensor)
{
    return find(p, role, ".weight", (struct shape){2, rows, columns}, true, ret_tensor);
}

static pdk_status find_bias(const struct planner *p, enum role role, uint64_t count, const struct tensor **ret_tensor)
{
    const struct architecture *row = p->config->row;
    *ret_tensor = NULL;
    if (((row->biases | row->optional_biases) & ROLE_BIT(role)) == 0)
        return PDK_OK;
    return find(p, role, ".bias", (struct shape){1, count, 0}, (row->biases & ROLE_BIT(role)) != 0, ret_tensor);
}

static pdk_status no_memory(const struct planner *p)
{
    return pdk_error_set(p->err, PDK_NO_MEMORY, "model", "no memory for the plan of the weights");
}

static struct planned_weight *add_weight(const struct planner *p, pdk_weight **slot, int32_t use)
{
    struct weight_plan *plan = p->plan;
    if (!array_grow(&plan->weights, &plan->weight_room, plan->weight_count + 1))
        return NULL;
    struct planned_weight *weight = &plan->weights[plan->weight_count++];
    *weight = (struct planned_weight){.slot = slot, .use = use};
    return weight;
}

static struct planned_vector *add_vector(const struct planner *p, pdk_vector **slot)
{
    struct weight_plan *plan = p->plan;
    if (!array_grow(&plan->vectors, &plan->vector_room, plan->vector_count + 1))
        return NULL;
    struct planned_vector *vector = &plan->vectors[plan->vector_count++];
    *vector = (struct planned_vector){.slot = slot};
    return vector;
}

static void add_part(struct planned_weight *weight, const struct tensor *tensor, uint32_t first_row, uint32_t rows)
{
    uint32_t i = weight->part_count++;
    weight->parts[i].tensor = tensor;
    weight->parts[i].first_row = first_row;
    weight->parts[i].rows = rows;
    weight->parts[i].columns = (uint32_t)tensor->shape[1];
}

/* One weight of several matrices, each of `rows[i]` outputs, and their biases as one vector (zeros where one has none).
 */
static pdk_status plan_matrices(struct planner *p, const enum role *roles, const uint32_t *rows, uint32_t count,
    uint32_t columns, int32_t use, struct linear *linear)
{
    struct planned_weight *weight = add_weight(p, &linear->weight, use);
    if (weight == NULL)
        return no_memory(p);
    struct planned_vector bias = {.slot = &linear->bias, .part_count = count};
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        const struct tensor *tensor;
        pdk_status status = find_matrix(p, roles[i], rows[i], columns, &tensor);
        if (status == PDK_OK)
            status = find_bias(p, roles[i], rows[i], &bias.parts[i].tensor);
        if (status != PDK_OK)
            return status;
        add_part(weight, tensor, 0, rows[i]);
        bias.parts[i].count = rows[i];
        any |= bias.parts[i].tensor != NULL;
    }
    if (!any)
        return PDK_OK;
    struct planned_vector *vector = add_vector(p, &linear->bias);
    if (vector == NULL)
        return no_memory(p);
    *vector = bias;
    return PDK_OK;
}

static pdk_status plan_linear(
    struct planner *p, enum role role, uint32_t rows, uint32_t columns, int32_t use, struct linear *linear)
{
    return plan_matrices(p, &role, &rows, 1, columns, use, linear);
}

static pdk_status plan_norm(struct planner *p, enum role role, uint32_t width, struct norm *norm)
{
    if (!has(p, role))
        return PDK_OK;
    const struct tensor *weight, *bias;
    pdk_status status = find(p, role, ".weight", (struct shape){1, width, 0}, true, &weight);
    if (status == PDK_OK)
        status = find_bias(p, role, width, &bias);
    if (status != PDK_OK)
        return status;
    struct planned_vector *vector = add_vector(p, &norm->weight);
    if (vector == NULL)
        return no_memory(p);
    vector->part_count = 1;
    vector->parts[0].tensor = weight;
    vector->parts[0].count = width;
    vector->plus = p->config->row->norm_plus_one && !p->config->from_gguf ? 1.0f : 0.0f;
    norm->group = width;
    if (bias == NULL)
        return PDK_OK;
    vector = add_vector(p, &norm->bias);
    if (vector == NULL)
        return no_memory(p);
    vector->part_count = 1;
    vector->parts[0].tensor = bias;
    vector->parts[0].count = width;
    return PDK_OK;
}

/* Norms of queries and keys stand over one head or over all; the tensor's length tells. */
static pdk_status plan_head_norm(struct planner *p, enum role role, uint32_t heads, struct norm *norm)
{
    if (!has(p, role))
        return PDK_OK;
    char name[NAME_BYTES];
    const struct tensor *tensor = look_for(p, role, ".weight", name);
    uint32_t all = heads * p->config->head_dim;
    bool whole = tensor != NULL && tensor->rank == 1 && tensor->shape[0] == all;
    return plan_norm(p, role, whole ? all : p->config->head_dim, norm);
}

static bool is_there(const struct planner *p, enum role role)
{
    char name[NAME_BYTES];
    return p->names[role] != NULL && look_for(p, role, ".weight", name) != NULL;
}

static pdk_status plan_attention(struct planner *p, struct layer *layer)
{
    static const enum role roles[] = {ROLE_Q, ROLE_K, ROLE_V};
    const struct model_config *config = p->config;
    uint32_t queries = config->heads * config->head_dim, keys = config->kv_heads * config->head_dim;
    const uint32_t rows[] = {queries, keys, keys};
    bool together = !has(p, ROLE_Q) || (!is_there(p, ROLE_Q) && is_there(p, ROLE_QKV));
    pdk_status status =
        together ? plan_linear(p, ROLE_QKV, queries + 2 * keys, config->hidden, PDK_WEIGHT_LINEAR, &layer->qkv)
                 : plan_matrices(p, roles, rows, 3, config->hidden, PDK_WEIGHT_LINEAR, &layer->qkv);
    if (status == PDK_OK)
        status = plan_head_norm(p, ROLE_Q_NORM, config->heads, &layer->q_norm);
    if (status == PDK_OK)
        status = plan_head_norm(p, ROLE_K_NORM, config->kv_heads, &layer->k_norm);
    return status == PDK_OK ? plan_linear(p, ROLE_O, config->hidden, queries, PDK_WEIGHT_LINEAR, &layer->o) : status;
}

/* Gate and up in one tensor, gate first: two matrices of it. */
static pdk_status plan_gate_up(struct planner *p, struct layer *layer)
{
    uint32_t inner = p->config->inner;
    const struct tensor *tensor;
    pdk_status status = find_matrix(p, ROLE_GATE_UP, 2 * (uint64_t)inner, p->config->hidden, &tensor);
    if (status != PDK_OK)
        return status;
    struct planned_weight *weight = add_weight(p, &layer->up.weight, PDK_WEIGHT_GATED);
    if (weight == NULL)
        return no_memory(p);
    add_part(weight, tensor, 0, inner);
    add_part(weight, tensor, inner, inner);
    return PDK_OK;
}

static pdk_status plan_mlp(struct planner *p, struct layer *layer)
{
    static const enum role roles[] = {ROLE_GATE, ROLE_UP};
    const struct model_config *config = p->config;
    const uint32_t rows[] = {config->inner, config->inner};
    pdk_status status = has(p, ROLE_GATE_UP) ? plan_gate_up(p, layer)
                        : config->row->gated
                            ? plan_matrices(p, roles, rows, 2, config->hidden, PDK_WEIGHT_GATED, &layer->up)
                            : plan_linear(p, ROLE_UP, config->inner, config->hidden, PDK_WEIGHT_LINEAR, &layer->up);
    return status == PDK_OK ? plan_linear(p, ROLE_DOWN, config->hidden, config->inner, PDK_WEIGHT_LINEAR, &layer->down)
                            : status;
}

static pdk_status plan_layer(struct planner *p, struct layer *layer)
{
    uint32_t hidden = p->config->hidden;
    pdk_status status = plan_norm(p, ROLE_ATTENTION_NORM, hidden, &layer->attention_norm);
    if (status == PDK_OK)
        status = plan_attention(p, layer);
    if (status == PDK_OK)
        status = plan_norm(p, ROLE_ATTENTION_OUT_NORM, hidden, &layer->attention_out_norm);
    if (status == PDK_OK)
        status = plan_norm(p, ROLE_MLP_NORM, hidden, &layer->mlp_norm);
    if (status == PDK_OK)
        status = plan_mlp(p, layer);
    if (status == PDK_OK)
        status = plan_norm(p, ROLE_MLP_OUT_NORM, hidden, &layer->mlp_out_norm);
    return status;
}

/* The vocabulary is the embedding's rows where the file does not say. */
static pdk_status learn_vocabulary(struct planner *p, struct model_config *config)
{
    char name[NAME_BYTES];
    const struct tensor *table = look_for(p, ROLE_EMBEDDING, ".weight", name);
    if (config->vocabulary == 0 && table != NULL && table->rank == 2 && table->shape[0] <= 1 << 24)
        config->vocabulary = (uint32_t)table->shape[0];
    if (config->vocabulary == 0)
        return pdk_error_set(p->err, PDK_INVALID, "vocab_size", "the configuration has no vocab_size");
    return PDK_OK;
}

static pdk_status plan_ends(struct planner *p, struct decoder *decoder)
{
    const struct model_config *config = p->config;
    uint32_t narrow = config->embedding_width, hidden = config->hidden;
    pdk_status status = plan_linear(p, ROLE_EMBEDDING, config->vocabulary, narrow,
        config->tied ? PDK_WEIGHT_TIED : PDK_WEIGHT_TABLE, &decoder->embedding);
    if (status == PDK_OK && config->row->positions == POSITIONS_LEARNED)
        status = plan_linear(p, ROLE_POSITIONS, config->positions + config->row->position_offset, hidden,
            PDK_WEIGHT_TABLE, &decoder->positions);
    if (status == PDK_OK && narrow != hidden && !has(p, ROLE_PROJECT_IN))
        return pdk_error_set(p->err, PDK_UNSUPPORTED, "word_embed_proj_dim",
            "embeddings of %" PRIu32 " columns in a model of %" PRIu32 " are not supported for this architecture",
            narrow, hidden);
    if (status == PDK_OK && narrow != hidden)
        status = plan_linear(p, ROLE_PROJECT_IN, hidden, narrow, PDK_WEIGHT_LINEAR, &decoder->project_in);
    if (status == PDK_OK && narrow != hidden)
        status = plan_linear(p, ROLE_PROJECT_OUT, narrow, hidden, PDK_WEIGHT_LINEAR, &decoder->project_out);
    if (status == PDK_OK && config->final_norm)
        status = plan_norm(p, ROLE_FINAL_NORM, hidden, &decoder->final_norm);
    if (status == PDK_OK && !config->tied)
        status = plan_linear(p, ROLE_HEAD, config->vocabulary, narrow, PDK_WEIGHT_LINEAR, &decoder->head);
    if (status == PDK_OK && config->from_gguf && config->row->positions == POSITIONS_ROPE)
        status = find(p, ROLE_ROPE_FACTORS, ".weight", (struct shape){1, config->rope.dims / 2, 0}, false,
            &p->plan->rope_factors);
    return status;
}

/* Tensors that old exporters wrote and that are computed here. */
static bool is_redundant(const struct planner *p, const struct tensor *tensor)
{
    static const char *const endings[] = {"rotary_emb.inv_freq", "attn.bias", "attn.masked_bias"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t length = strlen(endings[i]);
        if (tensor->name.length >= length &&
            memcmp(tensor->name.data + tensor->name.length - length, endings[i], length) == 0)
            return true;
    }
    char name[NAME_BYTES];
    return p->config->tied && p->names[ROLE_HEAD] != NULL && look_for(p, ROLE_HEAD, ".weight", name) == tensor;
}

static pdk_status refuse_unused(const struct planner *p)
{
    for (size_t i = 0; i < p->tensors->count; i++) {
        const struct tensor *tensor = &p->tensors->items[i];
        if (tensor->used || is_redundant(p, tensor))
            continue;
        char name[NAME_BYTES];
        snprintf(
            name, sizeof name, "%.*s", (int)(tensor->name.length < 150 ? tensor->name.length : 150), tensor->name.data);
        return pdk_error_value(p->err, PDK_UNSUPPORTED, "tensors", name,
            "the model has a tensor that %s has no use for: %s", p->config->row->class_name, printable(name).text);
    }
    return PDK_OK;
}

pdk_status weight_plan_make(struct model *model, struct weight_plan *ret_plan, pdk_error *err)
{
    struct model_config *config = &model->config;
    struct planner planner = {.plan = ret_plan,
        .config = config,
        .tensors = &model->source.tensors,
        .err = err,
        .names = config->from_gguf ? gguf_names : config->row->names};
    if (config->from_gguf)
        config->tied = !is_there(&planner, ROLE_HEAD);
    pdk_status status = learn_vocabulary(&planner, config);
    if (status == PDK_OK)
        status = plan_ends(&planner, &model->decoder);
    for (; planner.layer < config->layers && status == PDK_OK; planner.layer++)
        status = plan_layer(&planner, &model->decoder.layers[planner.layer]);
    return status == PDK_OK ? refuse_unused(&planner) : status;
}

void weight_plan_done(struct weight_plan *plan)
{
    free(plan->weights);
    free(plan->vectors);
    *plan = (struct weight_plan){0};
}
