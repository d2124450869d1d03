/* A layer's latent attention: its tensors to weights, and its ops of a step. The cache holds what keys and values are
 * made of; each head has a matrix from its query to that (keys) and one from the weighted sum of it to its value. */
#include "config.h"

#include "runtimes/huggingface/model/planner.h"
#include "runtimes/huggingface/model/step.h"

#include <stdlib.h>

/* One tensor of [heads][nope + value] rows of `rank` columns; a head's keys are wanted the other way round. */
static pdk_status plan_together(struct planner *p, struct latent_layer *layer)
{
    const struct latent_config *latent = &p->config->latent;
    uint32_t head = latent->nope + latent->value;
    const struct tensor *tensor;
    struct planner_shape shape = {2, {(uint64_t)p->config->heads * head, latent->rank}};
    pdk_status status = planner_take_numbers(p, ROLE_KV_B, ".weight", shape, &tensor);
    for (uint32_t h = 0; h < p->config->heads && status == PDK_OK; h++) {
        const struct gather gather = {
            .kind = GATHER_TRANSPOSED, .first = (uint64_t)h * head, .width = latent->rank, .step = 1};
        struct planned_weight *weight = planner_weight(p, &layer->keys[h], PDK_WEIGHT_LINEAR);
        if (weight == NULL)
            return planner_no_memory(p);
        planner_gather(weight, tensor, &gather, latent->rank, latent->nope);
        weight = planner_weight(p, &layer->values[h], PDK_WEIGHT_LINEAR);
        if (weight == NULL)
            return planner_no_memory(p);
        planner_part(weight, tensor, (uint64_t)h * head + latent->nope, latent->value, latent->rank);
    }
    return status;
}

/* GGUF's newer form: [heads][rank][nope] and [heads][value][rank]. */
static pdk_status plan_apart(struct planner *p, struct latent_layer *layer)
{
    const struct latent_config *latent = &p->config->latent;
    struct planner_shape key = {3, {p->config->heads, latent->rank, latent->nope}},
                         value = {3, {p->config->heads, latent->value, latent->rank}};
    const struct tensor *keys, *values;
    pdk_status status = planner_take_numbers(p, ROLE_K_B, ".weight", key, &keys);
    if (status == PDK_OK)
        status = planner_take_numbers(p, ROLE_V_B, ".weight", value, &values);
    for (uint32_t h = 0; h < p->config->heads && status == PDK_OK; h++) {
        struct planned_weight *weight = planner_weight(p, &layer->keys[h], PDK_WEIGHT_LINEAR);
        if (weight == NULL)
            return planner_no_memory(p);
        planner_part(weight, keys, (uint64_t)h * latent->rank, latent->rank, latent->nope);
        weight = planner_weight(p, &layer->values[h], PDK_WEIGHT_LINEAR);
        if (weight == NULL)
            return planner_no_memory(p);
        planner_part(weight, values, (uint64_t)h * latent->value, latent->value, latent->rank);
    }
    return status;
}

static pdk_status plan_queries(struct planner *p, struct latent_layer *layer)
{
    const struct latent_config *latent = &p->config->latent;
    uint32_t columns = p->config->heads * (latent->nope + latent->rope), hidden = p->config->hidden;
    if (latent->query_rank == 0)
        return planner_linear(p, ROLE_Q, columns, hidden, PDK_WEIGHT_LINEAR, &layer->query);
    pdk_status status =
        planner_linear(p, ROLE_Q_A, latent->query_rank, hidden, PDK_WEIGHT_LINEAR, &layer->narrow_query);
    if (status == PDK_OK)
        status = planner_norm(p, ROLE_Q_A_NORM, latent->query_rank, &layer->query_norm);
    return status == PDK_OK ? planner_linear(p, ROLE_Q_B, columns, latent->query_rank, PDK_WEIGHT_LINEAR, &layer->query)
                            : status;
}

pdk_status plan_latent(struct planner *p, struct latent_layer *layer)
{
    const struct latent_config *latent = &p->config->latent;
    layer->keys = calloc(p->config->heads, sizeof(pdk_weight *));
    layer->values = calloc(p->config->heads, sizeof(pdk_weight *));
    if (layer->keys == NULL || layer->values == NULL)
        return planner_no_memory(p);
    pdk_status status = plan_queries(p, layer);
    if (status == PDK_OK)
        status = planner_linear(
            p, ROLE_KV_A, latent->rank + latent->rope, p->config->hidden, PDK_WEIGHT_LINEAR, &layer->latent);
    if (status == PDK_OK)
        status = planner_norm(p, ROLE_KV_A_NORM, latent->rank, &layer->latent_norm);
    if (status != PDK_OK)
        return status;
    /* Files of a short while have both forms; either will do. */
    struct tensor *both = planner_look(p, ROLE_KV_B, ".weight");
    if (planner_look(p, ROLE_K_B, ".weight") == NULL)
        return plan_together(p, layer);
    if (both != NULL)
        both->used = true;
    return plan_apart(p, layer);
}

/* The norms of narrow queries and of latent vectors, which leaves the part that turns alone. Their epsilon is the
 * family's, whatever the other norms have. */
static void record_narrow_norm(const struct step *s, pdk_rows *rows, const struct norm *norm)
{
    const pdk_norm op = {
        .in = rows,
        .out = rows,
        .weight = norm->weight,
        .kind = s->model->config.row->norm,
        .epsilon = (float)s->model->config.row->norm_epsilon,
        .group = norm->group,
        .count = norm->group,
    };
    s->model->ops->norm(s->queue, &op);
}

void record_latent(const struct step *s, const struct latent_layer *layer, uint32_t index, const pdk_rows *in)
{
    const struct model *model = s->model;
    const struct latent_config *latent = &model->config.latent;
    const struct activations *rows = &model->rows;
    if (layer->narrow_query.weight != NULL) {
        record_linear(s, in, &layer->narrow_query, rows->narrow_query, NULL, PDK_ACT_NONE, 1.0f, NULL);
        record_narrow_norm(s, rows->narrow_query, &layer->query_norm);
        record_linear(s, rows->narrow_query, &layer->query, rows->qkv, NULL, PDK_ACT_NONE, 1.0f, NULL);
    } else {
        record_linear(s, in, &layer->query, rows->qkv, NULL, PDK_ACT_NONE, 1.0f, NULL);
    }
    record_linear(s, in, &layer->latent, rows->latent, NULL, PDK_ACT_NONE, 1.0f, NULL);
    record_narrow_norm(s, rows->latent, &layer->latent_norm);
    const pdk_latent_kv kv = {
        .queries = rows->qkv,
        .latent = rows->latent,
        .kv = model->kv,
        .frequencies = model->decoder.rope.frequencies,
        .layer = index,
        .heads = model->config.heads,
        .nope_dims = latent->nope,
        .rope_dims = latent->rope,
        .rank = latent->rank,
        .order = model->config.rope_order,
        .magnitude = model->decoder.rope.magnitude,
    };
    model->ops->latent_kv(s->queue, &kv);
    const pdk_latent_attention attention = {
        .queries = rows->qkv,
        .kv = model->kv,
        .keys = (const pdk_weight *const *)layer->keys,
        .values = (const pdk_weight *const *)layer->values,
        .out = rows->heads,
        .layer = index,
        .heads = model->config.heads,
        .nope_dims = latent->nope,
        .rope_dims = latent->rope,
        .rank = latent->rank,
        .value_dims = latent->value,
        .scale = (float)model->config.attention_scale,
    };
    model->ops->latent_attention(s->queue, &attention);
}

void latent_free(const struct model *model, struct latent_layer *layer)
{
    const struct linear *linears[] = {&layer->narrow_query, &layer->query, &layer->latent};
    for (uint32_t h = 0; h < model->config.heads; h++) {
        if (layer->keys != NULL)
            model->ops->weight_free(model->compute, layer->keys[h]);
        if (layer->values != NULL)
            model->ops->weight_free(model->compute, layer->values[h]);
    }
    for (size_t i = 0; i < sizeof linears / sizeof linears[0]; i++) {
        model->ops->weight_free(model->compute, linears[i]->weight);
        model->ops->vector_free(model->compute, linears[i]->bias);
    }
    model->ops->vector_free(model->compute, layer->query_norm.weight);
    model->ops->vector_free(model->compute, layer->latent_norm.weight);
    free(layer->keys);
    free(layer->values);
}
