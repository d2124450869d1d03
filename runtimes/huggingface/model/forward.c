/* One step of a model, whatever its family. A layer reads top to bottom: norm, q k v, positions and cache, attention,
 * output added to the residual; norm, MLP or experts, added to the residual. What differs between families is which
 * norms there are (a weight that is NULL is a norm that is not) and what the configuration says of their places.
 *
 * The backend fuses neighbours: a layer is qkv | rope, cache and attention | o and residual | norm and gate-up | down
 * and residual. Nothing here allocates; ops are recorded, then run as one. */
#include "config.h"

#include "runtimes/huggingface/model/step.h"

#include <assert.h>
#include <stddef.h>

void record_linear(const struct step *s, const pdk_rows *in, const struct linear *linear, pdk_rows *out,
    const pdk_rows *residual, int32_t activation, float scale, const pdk_weight *next)
{
    const pdk_linear op = {
        .in = in,
        .weight = linear->weight,
        .bias = linear->bias,
        .residual = residual,
        .out = out,
        .next = next,
        .activation = activation,
        .scale = scale,
    };
    s->model->ops->linear(s->queue, &op);
}

void record_norm(const struct step *s, pdk_rows *in, const pdk_rows *add, const struct norm *norm, pdk_rows *out,
    const pdk_weight *next)
{
    const pdk_norm op = {
        .in = in,
        .add = add,
        .out = out,
        .weight = norm->weight,
        .bias = norm->bias,
        .next = next,
        .kind = s->model->config.row->norm,
        .epsilon = (float)s->model->config.epsilon,
    };
    s->model->ops->norm(s->queue, &op);
}

/* Makes a norm's output the residual. */
static void swap_rows(struct step *s)
{
    pdk_rows *before = s->residual;
    s->residual = s->normed;
    s->normed = before;
}

/* What a block reads: the residual, normed where the family norms before. What was pending joins the residual here. */
static const pdk_rows *block_input(struct step *s, const struct norm *norm, const pdk_weight *next)
{
    bool before = norm->weight != NULL && !s->model->config.norm_after;
    if (before || s->pending != NULL)
        record_norm(s, s->residual, s->pending, before ? norm : &(struct norm){0}, s->normed, next);
    s->pending = NULL;
    return before ? s->normed : s->residual;
}

/* Multiplies a block's result by its output weight and adds that to the residual. */
static void block_output(struct step *s, const pdk_rows *in, const struct linear *linear, const struct norm *out_norm,
    const struct norm *norm_behind)
{
    float scale = (float)s->model->config.residual_scale;
    const pdk_rows *joined = s->model->config.residual_of_norm ? s->normed : s->residual;
    if (out_norm->weight != NULL) {
        record_linear(s, in, linear, s->normed, NULL, PDK_ACT_NONE, scale, NULL);
        record_norm(s, s->normed, NULL, out_norm, s->model->rows.side, NULL);
        s->pending = s->model->rows.side;
        return;
    }
    record_linear(s, in, linear, s->residual, joined, PDK_ACT_NONE, scale, NULL);
    if (s->model->config.norm_after && norm_behind->weight != NULL) {
        record_norm(s, s->residual, NULL, norm_behind, s->normed, NULL);
        swap_rows(s);
    }
}

static void record_head_norm(const struct step *s, const struct norm *norm, uint32_t first, uint32_t count)
{
    if (norm->weight == NULL)
        return;
    const pdk_norm op = {
        .in = s->model->rows.qkv,
        .out = s->model->rows.qkv,
        .weight = norm->weight,
        .bias = norm->bias,
        .kind = s->model->config.row->norm,
        .epsilon = (float)s->model->config.epsilon,
        .group = norm->group,
        .each_group = norm->each_head,
        .first = first,
        .count = count,
    };
    s->model->ops->norm(s->queue, &op);
}

/* From the block's input to the attended values of all heads. */
static void record_attention(const struct step *s, const struct layer *layer, uint32_t index, const pdk_rows *in)
{
    const struct model *model = s->model;
    const struct model_config *config = &model->config;
    uint32_t kept = config->row->encoder ? 0 : index; /* an encoder's keys and values last as long as a layer */
    uint32_t queries = config->heads * config->head_dim, keys = config->kv_heads * config->head_dim;
    bool local = config->windowed[index] && model->decoder.local_rope.frequencies != NULL;
    const struct turning *turning = local ? &model->decoder.local_rope : &model->decoder.rope;
    bool turned = config->turned[index] && turning->frequencies != NULL;
    record_linear(s, in, &layer->qkv, model->rows.qkv, NULL, PDK_ACT_NONE, 1.0f, NULL);
    record_head_norm(s, &layer->q_norm, 0, queries);
    record_head_norm(s, &layer->k_norm, queries, keys);
    const pdk_rope_kv rope = {
        .qkv = model->rows.qkv,
        .kv = model->kv,
        .frequencies = turned ? turning->frequencies : NULL,
        .layer = kept,
        .heads = config->heads,
        .kv_heads = config->kv_heads,
        .head_dim = config->head_dim,
        .rope_dims = turned ? config->rope.dims : 0,
        .order = config->rope_order,
        .magnitude = turning->magnitude,
    };
    model->ops->rope_kv(s->queue, &rope);
    const pdk_attention attention = {
        .qkv = model->rows.qkv,
        .kv = model->kv,
        .out = model->rows.heads,
        .next = layer->o.weight,
        .sinks = layer->sinks,
        .slopes = model->decoder.slopes,
        .layer = kept,
        .heads = config->heads,
        .kv_heads = config->kv_heads,
        .head_dim = config->head_dim,
        .window = config->windowed[index] ? config->window : 0,
        .scale = (float)(config->attention_scale / (config->scale_by_depth ? index + 1 : 1)),
        .soft_cap = (float)config->attention_cap,
        .bidirectional = config->row->encoder,
    };
    model->ops->attention(s->queue, &attention);
}

static void record_layer(struct step *s, uint32_t index)
{
    const struct model *model = s->model;
    const struct layer *layer = &model->decoder.layers[index];
    const pdk_rows *in = block_input(s, &layer->attention_norm, layer->qkv.weight);
    if (model->config.latent.rank != 0)
        record_latent(s, &layer->latent, index, in);
    else
        record_attention(s, layer, index, in);
    /* A parallel MLP reads what the attention read, or a norm of its own of the same residual. */
    if (model->config.parallel && layer->mlp_norm.weight != NULL)
        in = block_input(s, &layer->mlp_norm, layer->up.weight);
    block_output(s, model->rows.heads, &layer->o, &layer->attention_out_norm, &layer->attention_norm);
    if (!model->config.parallel)
        in = block_input(s, &layer->mlp_norm, layer->up.weight);
    if (model->config.sparse[index]) {
        record_experts(s, &layer->experts, in);
        return;
    }
    record_linear(s, in, &layer->up, model->rows.inner, NULL, model->config.activation, 1.0f, layer->down.weight);
    block_output(s, model->rows.inner, &layer->down, &layer->mlp_out_norm, &layer->mlp_norm);
}

/* Table rows, then positions, each where the family has them. */
static void record_lookup(const struct step *s)
{
    const struct model *model = s->model;
    const struct decoder *decoder = &model->decoder;
    pdk_embed embed = {
        .out = s->residual,
        .table = decoder->embedding.weight,
        .positions = decoder->positions.weight,
        .position_offset = model->config.position_offset,
        .scale = (float)model->config.embedding_scale,
        .types = decoder->types.weight,
    };
    if (model->rows.narrow == NULL) {
        model->ops->embed(s->queue, &embed);
        return;
    }
    /* A narrow embedding is widened, then joins the positions, which have the model's width. */
    pdk_embed narrow = {.out = model->rows.narrow, .table = decoder->embedding.weight, .scale = embed.scale};
    embed.table = NULL;
    model->ops->embed(s->queue, &narrow);
    model->ops->embed(s->queue, &embed);
    record_linear(s, model->rows.narrow, &decoder->project_in, s->residual, s->residual, PDK_ACT_NONE, 1.0f, NULL);
}

static void record_embedding(struct step *s)
{
    const struct norm *norm = &s->model->decoder.embedding_norm;
    record_lookup(s);
    if (norm->weight == NULL)
        return;
    record_norm(s, s->residual, NULL, norm, s->normed, NULL);
    swap_rows(s);
}

static void record_head(struct step *s)
{
    const struct model *model = s->model;
    const struct decoder *decoder = &model->decoder;
    const pdk_weight *head = model->config.tied ? decoder->embedding.weight : decoder->head.weight;
    const pdk_weight *next = decoder->project_out.weight != NULL ? decoder->project_out.weight : head;
    const pdk_rows *in = block_input(s, &decoder->final_norm, next);
    if (decoder->project_out.weight != NULL) {
        record_linear(s, in, &decoder->project_out, model->rows.narrow, NULL, PDK_ACT_NONE, 1.0f, head);
        in = model->rows.narrow;
    }
    const pdk_head op = {
        .in = in,
        .weight = head,
        .bias = decoder->head.bias,
        .logits = model->rows.logits,
        .scale = (float)model->config.logit_scale,
        .soft_cap = (float)model->config.logit_cap,
    };
    model->ops->head(s->queue, &op);
}

/* The last norm, and where a model's outside is narrower than its inside the way there; without a head of tokens. */
static void record_hidden(struct step *s, struct activations *rows)
{
    const struct model *model = s->model;
    const struct decoder *decoder = &model->decoder;
    rows->hidden = block_input(s, &decoder->final_norm, decoder->project_out.weight);
    if (decoder->project_out.weight == NULL)
        return;
    record_linear(s, rows->hidden, &decoder->project_out, model->rows.narrow, NULL, PDK_ACT_NONE, 1.0f, NULL);
    rows->hidden = rows->narrow;
}

pdk_status model_step(struct model *model, const pdk_batch *batch, const uint32_t (*copies)[2], size_t copy_count,
    pdk_sample_row *samples, uint32_t sample_count, pdk_error *err)
{
    assert(batch->row_count > 0 && batch->row_count <= model->max_rows);
    assert(batch->output_count <= model->max_outputs && copy_count <= model->max_copies);
    struct step step = {
        .model = model, .queue = model->queue, .residual = model->rows.residual, .normed = model->rows.normed};
    model->ops->queue_begin(model->queue, batch);
    for (size_t i = 0; i < copy_count; i++)
        model->ops->kv_copy(model->queue, model->kv, copies[i][0], copies[i][1]);
    record_embedding(&step);
    for (uint32_t layer = 0; layer < model->config.layers; layer++)
        record_layer(&step, layer);
    if (model->config.use != USE_GENERATE)
        record_hidden(&step, &model->rows);
    else if (batch->output_count > 0)
        record_head(&step);
    if (sample_count > 0)
        model->ops->sample(
            model->queue, &(pdk_sample){.logits = model->rows.logits, .rows = samples, .row_count = sample_count});
    pdk_status status = model->ops->queue_submit(model->queue, err);
    return status == PDK_OK ? model->ops->queue_wait(model->queue, err) : status;
}

void model_logits(struct model *model, uint32_t first, uint32_t count, float *out)
{
    model->ops->rows_read(model->compute, model->rows.logits, first, count, out);
}

void model_hidden(const struct model *model, uint32_t first, uint32_t count, float *out)
{
    model->ops->rows_read(model->compute, model->rows.hidden, first, count, out);
}
