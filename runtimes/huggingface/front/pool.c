/* A pair is one prompt for a cross-encoder, and two for an embedding model. Texts are cut between the special tokens,
 * as the reference's tokenizers cut them: what the post-processor adds always stays. */
#include "config.h"

#include "runtimes/huggingface/front/pool.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/front/prompt.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A text's tokens, without and with the special ones. */
struct pool_text {
    struct token_list plain, framed;
    struct buffer types;
};

static void pool_text_done(struct pool_text *text)
{
    token_list_done(&text->plain);
    token_list_done(&text->framed);
    buffer_done(&text->types);
}

static bool has_text(const pdk_request *request)
{
    return request->token_ids == NULL && request->text.data != NULL;
}

static bool has_pair(const pdk_request *request)
{
    return request->pair_text.data != NULL || request->pair_ids != NULL;
}

static pdk_status take_ids(const uint32_t *ids, size_t count, struct token_list *list, pdk_error *err)
{
    if (count > 0 && !array_grow(&list->ids, &list->room, count))
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for %zu tokens", count);
    if (count > 0)
        memcpy(list->ids, ids, count * sizeof *ids);
    list->count = count;
    return PDK_OK;
}

/* One half of a pair, or a single text: ids as they are, or the text's tokens without special ones. */
static pdk_status read_half(const struct served *served, const uint32_t *ids, size_t id_count, pdk_string text,
    uint32_t most, struct pool_text *to, pdk_error *err)
{
    pdk_status status;
    if (ids != NULL)
        status = take_ids(ids, id_count, &to->plain, err);
    else if (served->tokenizer == NULL)
        return pdk_error_set(err, PDK_INVALID, NULL, "this model has no tokenizer: the prompt must be token ids");
    else
        status = tokenizer_encode(served->tokenizer, text.data, text.length, NULL, 0, false, &to->plain, err);
    if (status == PDK_OK && most != 0 && to->plain.count > most)
        to->plain.count = most;
    return status;
}

/* Puts special tokens around what was read, after cutting it so that all of it keeps to the request's limit. */
static pdk_status frame(const struct served *served, const pdk_request *request, struct pool_text *first,
    struct pool_text *second, bool special, pdk_error *err)
{
    bool right = (request->flags & PDK_FLAG_TRUNCATE_RIGHT) != 0;
    size_t keep = SIZE_MAX;
    pdk_status status = prompt_keep(served, request, &keep, err);
    if (status != PDK_OK)
        return status;
    size_t added = special && served->tokenizer != NULL ? tokenizer_frame_size(served->tokenizer, second != NULL) : 0;
    token_lists_cut(&first->plain, second != NULL ? &second->plain : NULL, keep > added ? keep - added : 0, right);
    if (served->tokenizer != NULL)
        return tokenizer_frame(served->tokenizer, &first->plain, second != NULL ? &second->plain : NULL, special,
            &first->framed, &first->types, err);
    return take_ids(first->plain.ids, first->plain.count, &first->framed, err);
}

static pdk_status check(const struct served *served, const struct pool_text *text, pdk_error *err)
{
    const struct pooling *pooling = served->pooling;
    for (size_t i = 0; pooling->types > 1 && i < text->types.length; i++)
        if ((uint8_t)text->types.data[i] >= pooling->types)
            return pdk_error_set(err, PDK_INVALID, "types",
                "the tokenizer gives a pair's tokens type %u, and the model tells %" PRIu32 " apart",
                (unsigned)(uint8_t)text->types.data[i], pooling->types);
    pdk_status status = prompt_check_ids(served, &text->framed, err);
    return status == PDK_OK ? prompt_check_length(served, text->framed.count, err) : status;
}

/* Ids are what the client wants computed; texts and messages get what the model's texts have around them. */
static bool wants_special(const struct served *served, const pdk_request *request)
{
    return served->pooling->special_tokens && (request->flags & PDK_FLAG_NO_SPECIAL_TOKENS) == 0;
}

static pdk_status read_single(
    const struct served *served, const pdk_request *request, struct pool_text *text, pdk_error *err)
{
    if (!has_text(request) && request->token_ids == NULL) {
        PDK_CLEANUP(prompt_done) struct prompt prompt = {0};
        pdk_status status = prompt_read(served, request, &prompt, err);
        if (status == PDK_OK)
            status = take_ids(prompt.tokens.ids, prompt.tokens.count, &text->plain, err);
        return status == PDK_OK ? frame(served, request, text, NULL, false, err) : status;
    }
    pdk_status status = read_half(
        served, request->token_ids, request->token_count, request->text, request->pooling.max_query_tokens, text, err);
    bool special = has_text(request) && wants_special(served, request);
    return status == PDK_OK ? frame(served, request, text, NULL, special, err) : status;
}

static pdk_status read_pair(
    const struct served *served, const pdk_request *request, struct pool_text texts[2], pdk_error *err)
{
    bool together = !served->pooling->pairs_by_cosine, special = wants_special(served, request);
    const pdk_pooling *pooling = &request->pooling;
    if (request->token_ids == NULL && request->text.data == NULL)
        return pdk_error_set(err, PDK_INVALID, NULL, "a pair is of two texts or two lists of token ids");
    pdk_status status = read_half(
        served, request->token_ids, request->token_count, request->text, pooling->max_query_tokens, &texts[0], err);
    if (status == PDK_OK)
        status = read_half(served, request->pair_ids, request->pair_count, request->pair_text, pooling->max_pair_tokens,
            &texts[1], err);
    if (status == PDK_OK && together && served->tokenizer == NULL)
        return pdk_error_set(
            err, PDK_INVALID, NULL, "this model has no tokenizer, which would say how a pair is put together");
    if (status == PDK_OK && together)
        return frame(served, request, &texts[0], &texts[1], special, err);
    if (status == PDK_OK)
        status = frame(served, request, &texts[0], NULL, special && request->token_ids == NULL, err);
    return status == PDK_OK ? frame(served, request, &texts[1], NULL, special && request->pair_ids == NULL, err)
                            : status;
}

static pdk_status make(const struct served *served, const pdk_request *request, const struct pooling_task *task,
    struct pool_text *texts, uint32_t count, struct generation *generation, pdk_error *err)
{
    const struct pooling *pooling = served->pooling;
    struct pooling_spec spec = {.prompt_count = count,
        .rows = pooling_task_by_token(task) ? POOL_ALL : pooling->rows,
        .columns = pooling->columns,
        .tenant = request->tenant,
        .priority = request->priority,
        .salt = engine_salt(served->engine, request->tenant, request->adapter, request->cache_salt)};
    for (uint32_t i = 0; i < count; i++) {
        pdk_status status = check(served, &texts[i], err);
        if (status == PDK_OK) /* all of its tokens are computed, unlike those of an answer */
            status = engine_fits(served->engine, (uint32_t)texts[i].framed.count + 1, err);
        if (status != PDK_OK)
            return status;
        bool typed = pooling->types > 1 && texts[i].types.length == texts[i].framed.count;
        spec.prompts[i] = (struct pooled_prompt){.tokens = texts[i].framed.ids,
            .count = (uint32_t)texts[i].framed.count,
            .types = typed ? (const uint8_t *)texts[i].types.data : NULL};
    }
    return generation_init_pooling(generation, &spec, err);
}

pdk_status pool_prepare(const struct served *served, const pdk_request *request, struct generation *generation,
    struct pooling_task *ret_task, pdk_error *err)
{
    struct pool_text texts[2] = {0};
    pdk_status status = pooling_task_resolve(served->pooling, &request->pooling, served->model_name, ret_task, err);
    bool pair = has_pair(request);
    if (status == PDK_OK && ret_task->task == PDK_POOL_SCORE && !pair && served->pooling->pairs_by_cosine)
        status = pdk_error_set(err, PDK_INVALID, NULL, "a score is of two texts");
    if (status == PDK_OK && pair && served->pooling->pairs_by_cosine && ret_task->task != PDK_POOL_SCORE)
        status = pdk_error_set(err, PDK_INVALID, NULL, "this model embeds one text at a time; a pair can be scored");
    if (status == PDK_OK)
        status = pair ? read_pair(served, request, texts, err) : read_single(served, request, &texts[0], err);
    if (status == PDK_OK)
        status =
            make(served, request, ret_task, texts, pair && served->pooling->pairs_by_cosine ? 2 : 1, generation, err);
    pool_text_done(&texts[0]);
    pool_text_done(&texts[1]);
    return status;
}

bool pool_computed(const struct generation *generation)
{
    for (uint32_t i = 0; i < generation->choice_count; i++) /* with the engine's store in end_choice */
        if (!atomic_load_explicit(&generation->choices[i].ended, memory_order_acquire))
            return false;
    return true;
}

pdk_status pool_values(const struct served *served, const struct generation *generation,
    const struct pooling_task *task, float **ret_values, uint32_t *ret_rows, uint32_t *ret_columns, pdk_error *err)
{
    const struct pooling *pooling = served->pooling;
    uint32_t width = pooling_task_width(pooling, task), rows = 0, at = 0;
    size_t wide = width > pooling->class_count ? width : pooling->class_count;
    for (uint32_t i = 0; i < generation->choice_count; i++)
        rows += generation->choices[i].pooled.row_count;
    PDK_AUTO_FREE float *values = calloc((size_t)rows * wide, sizeof *values);
    if (values == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the values of %" PRIu32 " rows", rows);
    for (uint32_t i = 0; i < generation->choice_count; i++) {
        const struct pooled *pooled = &generation->choices[i].pooled;
        assert(pooled->taken == (pooled->rows == POOL_FIRST ? 1 : pooled->tokens));
        for (uint32_t r = 0; r < pooled->row_count; r++, at++) {
            const float *hidden = pooled->values + (size_t)r * pooled->columns;
            pdk_status status = pooling_apply(pooling, task, hidden, values + (size_t)at * width, err);
            if (status != PDK_OK)
                return status;
        }
    }
    *ret_rows = rows;
    *ret_columns = width;
    if (task->task == PDK_POOL_SCORE && pooling->pairs_by_cosine) {
        values[0] = pooling_cosine(values, values + width, width);
        *ret_rows = *ret_columns = 1;
    }
    *ret_values = PDK_STEAL(values);
    return PDK_OK;
}
