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

enum { NAME_BYTES = 160 };

struct shape {
    uint32_t rank; /* 1 or 2 */
    uint64_t rows, columns;
};

static bool has(const struct planner *p, enum role role)
{
    return architecture_has(p->config->row, role) && p->names[role] != NULL &&
           (p->config->absent & ROLE_BIT(role)) == 0;
}

/* "a.%.b|c" and ".weight" of layer 3: "a.3.b.weight", and where `pattern` points behind it. A second '%' is the head,
 * '#' the expert. */
static void make_name(const struct planner *p, const char **pattern, const char *ending, char name[NAME_BYTES])
{
    const uint32_t numbers[] = {p->layer, p->head};
    size_t used = 0, count = 0;
    for (; **pattern != '\0' && **pattern != '|' && used < NAME_BYTES - 1; ++*pattern) {
        if (**pattern == '%' && count < 2)
            used += (size_t)snprintf(name + used, NAME_BYTES - used, "%" PRIu32, numbers[count++]);
        else if (**pattern == '#')
            used += (size_t)snprintf(name + used, NAME_BYTES - used, "%" PRIu32, p->expert);
        else
            name[used++] = **pattern;
    }
    *pattern += **pattern == '|';
    used = used < NAME_BYTES ? used : NAME_BYTES - 1;
    snprintf(name + used, NAME_BYTES - used, "%s", ending);
}

static struct tensor *look_for_one(const struct planner *p, const char *name)
{
    struct tensor *tensor = tensors_find(p->tensors, name);
    const char *prefix = p->config->prefix;
    if (tensor == NULL && prefix != NULL && strncmp(name, prefix, strlen(prefix)) == 0)
        tensor = tensors_find(p->tensors, name + strlen(prefix));
    return tensor;
}

/* "4 x 32 x 56" */
static void shape_text(uint32_t rank, const uint64_t *sizes, char *text, size_t room)
{
    size_t used = (size_t)snprintf(text, room, "%s", rank == 0 ? "a single number" : "");
    for (uint32_t i = 0; i < rank && used < room; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%" PRIu64, i == 0 ? "" : " x ", sizes[i]);
}

/* Or NULL. `name` gets the name that it was found by, or the first that it was looked for by. */
static struct tensor *look_for(const struct planner *p, enum role role, const char *ending, char name[NAME_BYTES])
{
    const char *pattern = p->names[role];
    name[0] = '\0';
    if (pattern == NULL) /* a table of names of a format need not have every role */
        return NULL;
    make_name(p, &pattern, ending, name);
    struct tensor *tensor = look_for_one(p, name);
    while (tensor == NULL && *pattern != '\0') {
        char other[NAME_BYTES];
        make_name(p, &pattern, ending, other);
        tensor = look_for_one(p, other);
        if (tensor != NULL)
            memcpy(name, other, NAME_BYTES);
    }
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

static enum layout layout_of(const struct planner *p, enum role role)
{
    const struct architecture *row = p->config->row;
    if (p->config->from_gguf) /* its converter has put them straight */
        return LAYOUT_ROWS;
    char name[NAME_BYTES];
    const struct tensor *tensor = look_for(p, role, ".weight", name);
    if ((row->transposed & ROLE_BIT(role)) != 0) /* codes that words hold are put straight when bound */
        return tensor != NULL && tensor->quantised != NULL ? LAYOUT_ROWS : LAYOUT_TRANSPOSED;
    return role == ROLE_QKV && row->grouped_qkv ? LAYOUT_BY_KEY_HEAD : LAYOUT_ROWS;
}

static pdk_status find_matrix(
    const struct planner *p, enum role role, uint64_t rows, uint64_t columns, const struct tensor **ret_tensor)
{
    bool transposed = layout_of(p, role) == LAYOUT_TRANSPOSED;
    struct shape want = {2, transposed ? columns : rows, transposed ? rows : columns};
    pdk_status status = find(p, role, ".weight", want, true, ret_tensor);
    if (status == PDK_OK && transposed && number_block((*ret_tensor)->type) != 1)
        return pdk_error_set(p->err, PDK_UNSUPPORTED, "tensors", "%.*s is transposed and of type %s; that is not read",
            (int)(*ret_tensor)->name.length, (*ret_tensor)->name.data, (*ret_tensor)->type_name);
    return status;
}

static pdk_status find_bias(const struct planner *p, enum role role, uint64_t count, const struct tensor **ret_tensor)
{
    const struct architecture *row = p->config->row;
    /* A file may hold together what another of the same family holds apart. */
    uint64_t bit =
        ROLE_BIT(role == ROLE_QKV && (row->biases | row->optional_biases) & ROLE_BIT(ROLE_Q) ? ROLE_Q : role);
    *ret_tensor = NULL;
    if (((row->biases | row->optional_biases) & ~p->config->without_biases & bit) == 0)
        return PDK_OK;
    return find(p, role, ".bias", (struct shape){1, count, 0}, (row->biases & bit) != 0, ret_tensor);
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

/* Copies `count` parts. */
static pdk_status add_vector(
    const struct planner *p, pdk_vector **slot, const struct vector_part *parts, uint32_t count, float plus)
{
    struct weight_plan *plan = p->plan;
    if (!array_grow(&plan->vectors, &plan->vector_room, plan->vector_count + 1))
        return no_memory(p);
    struct vector_part *copy = calloc(count, sizeof *copy);
    if (copy == NULL)
        return no_memory(p);
    memcpy(copy, parts, count * sizeof *copy);
    plan->vectors[plan->vector_count++] =
        (struct planned_vector){.slot = slot, .plus = plus, .part_count = count, .parts = copy};
    return PDK_OK;
}

static void add_part(
    struct planned_weight *weight, const struct tensor *tensor, enum layout layout, uint32_t first_row, uint32_t rows)
{
    uint32_t i = weight->part_count++;
    weight->parts[i].tensor = tensor;
    weight->parts[i].layout = layout;
    weight->parts[i].first_row = first_row;
    weight->parts[i].rows = rows;
    weight->parts[i].columns = (uint32_t)tensor->shape[layout == LAYOUT_TRANSPOSED ? 0 : 1];
}

/* One weight of several matrices, each of `rows[i]` outputs, and their biases as one vector (zeros where one has none).
 */
static pdk_status plan_matrices(struct planner *p, const enum role *roles, const uint32_t *rows, uint32_t count,
    uint32_t columns, int32_t use, struct linear *linear)
{
    struct planned_weight *weight = add_weight(p, &linear->weight, use);
    if (weight == NULL)
        return no_memory(p);
    struct vector_part biases[PLAN_PARTS_MAX] = {0};
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        const struct tensor *tensor;
        enum layout layout = layout_of(p, roles[i]);
        pdk_status status = find_matrix(p, roles[i], rows[i], columns, &tensor);
        if (status == PDK_OK)
            status = find_bias(p, roles[i], rows[i], &biases[i].tensor);
        if (status != PDK_OK)
            return status;
        add_part(weight, tensor, layout, 0, rows[i]);
        biases[i].count = rows[i];
        biases[i].layout = layout == LAYOUT_BY_KEY_HEAD ? layout : LAYOUT_ROWS;
        any |= biases[i].tensor != NULL;
    }
    return any ? add_vector(p, &linear->bias, biases, count, 0) : PDK_OK;
}

static pdk_status plan_linear(
    struct planner *p, enum role role, uint32_t rows, uint32_t columns, int32_t use, struct linear *linear)
{
    return plan_matrices(p, &role, &rows, 1, columns, use, linear);
}

static float norm_plus(const struct planner *p)
{
    return p->config->plain_norms || (p->config->row->norm_plus_one && !p->config->from_gguf) ? 1.0f : 0.0f;
}

/* `shape` is of the weight; `width` numbers are one row to the norm. */
static pdk_status plan_norm_of(struct planner *p, enum role role, struct shape shape, uint32_t width, struct norm *norm)
{
    struct vector_part weight = {.count = (uint32_t)(shape.rank == 1 ? shape.rows : shape.rows * shape.columns)};
    struct vector_part bias = {.count = weight.count};
    norm->group = width;
    norm->each_head = weight.count != width;
    pdk_status status = PDK_OK;
    if (!p->config->plain_norms)
        status = find(p, role, ".weight", shape, true, &weight.tensor);
    if (status == PDK_OK && !p->config->plain_norms)
        status = find_bias(p, role, bias.count, &bias.tensor);
    if (status == PDK_OK)
        status = add_vector(p, &norm->weight, &weight, 1, norm_plus(p));
    return status == PDK_OK && bias.tensor != NULL ? add_vector(p, &norm->bias, &bias, 1, 0) : status;
}

static pdk_status plan_norm(struct planner *p, enum role role, uint32_t width, struct norm *norm)
{
    /* An encoder's first layer may read the embedding's own norm. */
    bool bare = p->config->row->encoder && (p->config->row->optional & ROLE_BIT(role)) != 0 && p->layer == 0;
    return has(p, role) && !bare ? plan_norm_of(p, role, (struct shape){1, width, 0}, width, norm) : PDK_OK;
}

/* A tensor for each head: one vector of them all. */
static pdk_status plan_separate_norms(struct planner *p, enum role role, uint32_t heads, struct norm *norm)
{
    uint32_t dim = p->config->head_dim;
    PDK_AUTO_FREE struct vector_part *parts = calloc(heads, sizeof *parts);
    if (parts == NULL)
        return no_memory(p);
    for (p->head = 0; p->head < heads; p->head++) {
        struct vector_part *part = &parts[p->head];
        part->count = dim;
        pdk_status status = find(p, role, ".weight", (struct shape){1, dim, 0}, true, &part->tensor);
        if (status != PDK_OK)
            return status;
    }
    norm->group = dim;
    norm->each_head = heads > 1;
    return add_vector(p, &norm->weight, parts, heads, norm_plus(p));
}

/* Norms of queries and keys stand over one head, the same for all or each its own, or over all of them; the tensor's
 * shape tells. */
static pdk_status plan_head_norm(struct planner *p, enum role role, uint32_t heads, struct norm *norm)
{
    if (!has(p, role))
        return PDK_OK;
    char name[NAME_BYTES];
    const char *mark = strchr(p->names[role], '%');
    if (mark != NULL && strchr(mark + 1, '%') != NULL)
        return plan_separate_norms(p, role, heads, norm);
    const struct tensor *tensor = look_for(p, role, ".weight", name);
    uint32_t dim = p->config->head_dim, all = heads * dim;
    if (tensor != NULL && tensor->rank == 2)
        return plan_norm_of(p, role, (struct shape){2, heads, dim}, dim, norm);
    bool whole = tensor != NULL && tensor->rank == 1 && tensor->shape[0] == all;
    return plan_norm(p, role, whole ? all : dim, norm);
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
    if (status == PDK_OK && has(p, ROLE_SINKS))
        status = planner_vector(p, ROLE_SINKS, config->from_gguf ? ".weight" : "", config->heads, true, &layer->sinks);
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
    add_part(weight, tensor, LAYOUT_ROWS, 0, inner);
    add_part(weight, tensor, LAYOUT_ROWS, inner, inner);
    struct vector_part bias = {.count = 2 * inner};
    status = find_bias(p, ROLE_GATE_UP, bias.count, &bias.tensor);
    return status == PDK_OK && bias.tensor != NULL ? add_vector(p, &layer->up.bias, &bias, 1, 0) : status;
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

static pdk_status plan_latent_attention(struct planner *p, struct layer *layer)
{
    pdk_status status = plan_latent(p, &layer->latent);
    return status == PDK_OK ? plan_linear(p, ROLE_O, p->config->hidden, p->config->heads * p->config->latent.value,
                                  PDK_WEIGHT_LINEAR, &layer->o)
                            : status;
}

static pdk_status plan_layer(struct planner *p, struct layer *layer)
{
    uint32_t hidden = p->config->hidden;
    pdk_status status = plan_norm(p, ROLE_ATTENTION_NORM, hidden, &layer->attention_norm);
    if (status == PDK_OK)
        status = p->config->latent.rank != 0 ? plan_latent_attention(p, layer) : plan_attention(p, layer);
    if (status == PDK_OK)
        status = plan_norm(p, ROLE_ATTENTION_OUT_NORM, hidden, &layer->attention_out_norm);
    if (status == PDK_OK)
        status = plan_norm(p, ROLE_MLP_NORM, hidden, &layer->mlp_norm);
    if (status == PDK_OK)
        status = p->config->sparse[p->layer] ? plan_experts(p, &layer->experts) : plan_mlp(p, layer);
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

/* A head that is the embedding may have a bias of its own. */
static pdk_status plan_tied_bias(struct planner *p, struct linear *head)
{
    struct vector_part bias = {.count = p->config->vocabulary};
    pdk_status status = has(p, ROLE_HEAD) ? find_bias(p, ROLE_HEAD, bias.count, &bias.tensor) : PDK_OK;
    return status == PDK_OK && bias.tensor != NULL ? add_vector(p, &head->bias, &bias, 1, 0) : status;
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
        status = find(p, roles[i], ".weight", (struct shape){1, config->rope.dims / 2, 0}, false, &factors);
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
    pdk_status status = plan_linear(p, ROLE_EMBEDDING, config->vocabulary, narrow,
        config->tied && generates ? PDK_WEIGHT_TIED : PDK_WEIGHT_TABLE, &decoder->embedding);
    if (status == PDK_OK)
        status = plan_norm(p, ROLE_EMBEDDING_NORM, hidden, &decoder->embedding_norm);
    if (status == PDK_OK && config->positioning == POSITIONS_LEARNED)
        status = plan_linear(p, ROLE_POSITIONS, config->positions + config->position_offset, hidden, PDK_WEIGHT_TABLE,
            &decoder->positions);
    if (status == PDK_OK && has(p, ROLE_TYPES) && config->types != 0)
        status = plan_linear(p, ROLE_TYPES, config->types, hidden, PDK_WEIGHT_TABLE, &decoder->types);
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
    if (status == PDK_OK && generates)
        status = config->tied
                     ? plan_tied_bias(p, &decoder->head)
                     : plan_linear(p, ROLE_HEAD, config->vocabulary, narrow, PDK_WEIGHT_LINEAR, &decoder->head);
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
    char name[NAME_BYTES];
    return p->config->tied && p->names[ROLE_HEAD] != NULL && look_for(p, ROLE_HEAD, ".weight", name) == tensor;
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
        char name[NAME_BYTES];
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
    config->tied = !is_there(p, ROLE_HEAD);
    for (size_t i = 0; i < sizeof norms / sizeof norms[0]; i++)
        if ((config->row->optional & ROLE_BIT(norms[i])) != 0 && !is_there(p, norms[i]))
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

pdk_status planner_no_memory(const struct planner *p)
{
    return no_memory(p);
}

struct tensor *planner_look(const struct planner *p, enum role role, const char *ending)
{
    char name[NAME_BYTES];
    return p->names[role] != NULL ? look_for(p, role, ending, name) : NULL;
}

pdk_status planner_take(const struct planner *p, enum role role, const char *ending, struct planner_shape shape,
    const struct tensor **ret_tensor)
{
    char name[NAME_BYTES] = "";
    struct tensor *tensor = p->names[role] != NULL ? look_for(p, role, ending, name) : NULL;
    if (tensor == NULL)
        return pdk_error_set(p->err, PDK_INVALID, name, "layer %" PRIu32 ": the model has no tensor %s", p->layer,
            name[0] != '\0' ? name : "of experts that is known by name");
    tensor->used = true;
    *ret_tensor = tensor;
    if (tensor->rank == shape.rank && memcmp(tensor->shape, shape.sizes, shape.rank * sizeof shape.sizes[0]) == 0)
        return PDK_OK;
    char is[100], wanted[100];
    shape_text(tensor->rank, tensor->shape, is, sizeof is);
    shape_text(shape.rank, shape.sizes, wanted, sizeof wanted);
    return pdk_error_set(p->err, PDK_INVALID, name, "%s is %s; by the configuration it is %s", name, is, wanted);
}

pdk_status planner_take_numbers(const struct planner *p, enum role role, const char *ending, struct planner_shape shape,
    const struct tensor **ret_tensor)
{
    pdk_status status = planner_take(p, role, ending, shape, ret_tensor);
    if (status == PDK_OK && (*ret_tensor)->type == 0)
        return pdk_error_set(p->err, PDK_UNSUPPORTED, "tensors", "%.*s is of type %s, which is not computed with",
            (int)((*ret_tensor)->name.length < 100 ? (*ret_tensor)->name.length : 100), (*ret_tensor)->name.data,
            (*ret_tensor)->type_name);
    return status;
}

struct planned_weight *planner_weight(const struct planner *p, pdk_weight **slot, int32_t use)
{
    return add_weight(p, slot, use);
}

static void add_planned(struct planned_weight *weight, const struct tensor *tensor, uint32_t rows, uint32_t columns)
{
    uint32_t i = weight->part_count++;
    weight->parts[i].tensor = tensor;
    weight->parts[i].rows = rows;
    weight->parts[i].columns = columns;
}

void planner_part(
    struct planned_weight *weight, const struct tensor *tensor, uint64_t first_row, uint32_t rows, uint32_t columns)
{
    add_planned(weight, tensor, rows, columns);
    weight->parts[weight->part_count - 1].first_row = first_row;
}

void planner_gather(struct planned_weight *weight, const struct tensor *tensor, const struct gather *gather,
    uint32_t rows, uint32_t columns)
{
    add_planned(weight, tensor, rows, columns);
    weight->parts[weight->part_count - 1].gather = *gather;
}

pdk_status planner_linear(
    struct planner *p, enum role role, uint32_t rows, uint32_t columns, int32_t use, struct linear *linear)
{
    return plan_linear(p, role, rows, columns, use, linear);
}

pdk_status planner_gated(
    struct planner *p, enum role gate, enum role up, uint32_t rows, uint32_t columns, struct linear *linear)
{
    const enum role roles[] = {gate, up};
    const uint32_t both[] = {rows, rows};
    return plan_matrices(p, roles, both, 2, columns, PDK_WEIGHT_GATED, linear);
}

pdk_status planner_norm(struct planner *p, enum role role, uint32_t width, struct norm *norm)
{
    return plan_norm(p, role, width, norm);
}

pdk_status planner_vector(
    struct planner *p, enum role role, const char *ending, uint32_t count, bool required, pdk_vector **slot)
{
    const struct tensor *tensor;
    if (!required && planner_look(p, role, ending) == NULL)
        return PDK_OK;
    pdk_status status = planner_take_numbers(p, role, ending, (struct planner_shape){1, {count}}, &tensor);
    if (status != PDK_OK)
        return status;
    return add_vector(p, slot, &(struct vector_part){.tensor = tensor, .count = count}, 1, 0);
}

pdk_status planner_experts_bias(const struct planner *p, const struct planned_experts_bias *bias)
{
    struct weight_plan *plan = p->plan;
    if (!array_grow(&plan->biases, &plan->bias_room, plan->bias_count + 1))
        return no_memory(p);
    plan->biases[plan->bias_count++] = *bias;
    return PDK_OK;
}
