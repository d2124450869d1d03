/* See pool_call.h. */
#include "config.h"

#include "core/gateway/pooling/pool_call.h"

#include "core/base/error.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/generate.h"
#include "core/gateway/openai/refusal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

pdk_status pool_route(struct exchange *exchange, struct call *call, uint32_t tasks, const char *api,
    const struct service_view **ret_service, pdk_error *err)
{
    const struct service_view *service = NULL;
    const char *model = call->fields.model == NULL ? NULL : call->fields.model->text;
    generate_take_priority(call, exchange);
    pdk_status status = exchange_route(exchange, model, READY_POOL, &service, err);
    if (status == PDK_OK) {
        uint32_t can = service->ready->pooling_tasks;
        can |= service->ready->scores_pairs_by_cosine ? 1u << PDK_POOL_SCORE : 0;
        if (tasks != 0 && (can & tasks) == 0)
            status = PDK_UNSUPPORTED;
    }
    if (status == PDK_UNSUPPORTED)
        return pdk_error_set(err, status, NULL, "The model does not support %s API", api);
    if (status != PDK_OK)
        return status;
    fields_warn(call->body, call->endpoint, exchange, service->name);
    *ret_service = service;
    return PDK_OK;
}

void pool_fail(struct exchange *exchange, const pdk_error *err)
{
    if (err->status == PDK_UNSUPPORTED)
        exchange_fail_as(exchange, 404, "NotFoundError", err);
    else
        exchange_fail(exchange, err);
}

static void put_dimensions(struct buffer *out, const struct ready_info *ready)
{
    for (uint32_t i = 0; i < ready->dimension_count; i++)
        buffer_printf(out, "%s%" PRIu32, i == 0 ? "" : ", ", ready->dimensions[i]);
}

static pdk_status check_dimensions(
    const struct fields *fields, const struct ready_info *ready, uint32_t *to, pdk_error *err)
{
    int64_t asked = fields->dimensions.value;
    char value[24];
    bool listed = ready->dimension_count == 0;
    snprintf(value, sizeof value, "%" PRId64, asked);
    if (!fields->dimensions.set)
        return PDK_OK;
    if (!ready->matryoshka)
        return refuse(err, "dimensions", value,
            "Model '%s' does not support Matryoshka embeddings; dimensions must be unset (received dimensions=%s).",
            ready->names[0], value);
    if (asked < 1 || asked > ready->pooled_size)
        return refuse(
            err, "dimensions", value, "dimensions must be in [1, %" PRIu32 "], got %s.", ready->pooled_size, value);
    for (uint32_t i = 0; i < ready->dimension_count; i++)
        listed |= ready->dimensions[i] == asked;
    if (!listed) {
        struct buffer all = {0};
        put_dimensions(&all, ready);
        refuse(err, "dimensions", value, "Model '%s' only supports [%.200s] matryoshka dimensions, got dimensions=%s.",
            ready->names[0], all.data == NULL ? "" : all.data, value);
        buffer_done(&all);
        return PDK_INVALID;
    }
    *to = (uint32_t)asked;
    return PDK_OK;
}

/* A prompt that is too long keeps its first tokens here, where a generated answer would keep the last. */
static uint32_t pool_flags(const struct call *call)
{
    const struct fields *fields = &call->fields;
    struct given_bool special = fields->add_special_tokens, opening = fields->add_generation_prompt;
    bool left = fields->truncation_side != NULL && strcmp(fields->truncation_side->text, "left") == 0;
    uint32_t flags = left ? 0 : PDK_FLAG_TRUNCATE_RIGHT;
    if (fields->messages == NULL)
        return flags | (special.set && !special.value ? PDK_FLAG_NO_SPECIAL_TOKENS : 0);
    flags |= special.value ? PDK_FLAG_ADD_SPECIAL_TOKENS : 0;
    flags |= fields->continue_final_message.value ? PDK_FLAG_CONTINUE_FINAL : 0;
    if (!opening.value || fields->continue_final_message.value)
        flags |= PDK_FLAG_NO_GENERATION_PROMPT;
    return flags;
}

pdk_status pool_fill(
    struct call *call, const struct ready_info *ready, int32_t task, pdk_request *ret_shared, pdk_error *err)
{
    const struct fields *fields = &call->fields;
    pdk_request shared = {.size = sizeof shared,
        .kind = PDK_KIND_POOL,
        .flags = pool_flags(call),
        .sampling = {.size = sizeof shared.sampling, .n = 1},
        .pooling = {.task = task, .use_activation = -1}};
    if (fields->use_activation.set)
        shared.pooling.use_activation = fields->use_activation.value;
    call_set_common(call, &shared);
    pdk_status status = call_check_template(call, ready, err);
    if (status == PDK_OK)
        status = call_check_truncation(fields, ready, &shared.sampling, err);
    if (status == PDK_OK)
        status = check_dimensions(fields, ready, &shared.pooling.dimensions, err);
    if (status == PDK_OK)
        status = call_set_template(call, &shared, err);
    if (status == PDK_OK)
        *ret_shared = shared;
    return status;
}

pdk_status pool_check(struct call *call, const struct ready_info *ready, int32_t task, pdk_error *err)
{
    pdk_request shared;
    pdk_status status = call->fields.messages != NULL ? call_check_messages(call, ready, ready->names[0], err)
                                                      : call_check_prompts(call, ready, err);
    if (status == PDK_OK)
        status = pool_fill(call, ready, task, &shared, err);
    if (status != PDK_OK)
        return status;
    for (size_t i = 0; i < call->request_count; i++) {
        const pdk_request prompt = call->requests[i];
        pdk_request *request = &call->requests[i];
        *request = shared;
        request->token_ids = prompt.token_ids;
        request->token_count = prompt.token_count;
        request->text = prompt.text;
        request->messages = prompt.messages;
        request->message_count = prompt.message_count;
    }
    return PDK_OK;
}
