/* See pool_answer.h. */
#include "config.h"

#include "core/gateway/pooling/pool_answer.h"

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/answer.h"

void pool_head_set(struct pool_head *head, struct exchange *exchange, const struct call *call,
    const struct service_view *service, const char *prefix)
{
    answer_id(call->fields.request_id, exchange, prefix, head->id, sizeof head->id);
    head->model = service->ready->names[0];
    head->created = wall_seconds();
}

uint64_t pool_tokens(const struct pooled_list *list)
{
    uint64_t tokens = 0;
    for (size_t i = 0; i < list->count; i++)
        tokens += list->items[i].tokens;
    return tokens;
}

void pool_write_head(struct json_writer *writer, const struct pool_head *head)
{
    json_write_object(writer);
    json_write_key(writer, "id");
    json_write_string(writer, head->id);
    json_write_key(writer, "object");
    json_write_string(writer, "list");
    json_write_key(writer, "created");
    json_write_int(writer, head->created);
    json_write_key(writer, "model");
    json_write_string(writer, head->model);
    json_write_key(writer, "data");
    json_write_array(writer);
}

void pool_write_usage(struct json_writer *writer, uint64_t tokens)
{
    json_write_object(writer);
    json_write_key(writer, "prompt_tokens");
    json_write_uint(writer, tokens);
    json_write_key(writer, "total_tokens");
    json_write_uint(writer, tokens);
    json_write_key(writer, "completion_tokens");
    json_write_uint(writer, 0);
    json_write_key(writer, "prompt_tokens_details");
    json_write_null(writer);
    json_write_key(writer, "completion_tokens_details");
    json_write_null(writer);
    json_write_end_object(writer);
}

void pool_write_end(struct json_writer *writer, uint64_t tokens)
{
    json_write_end_array(writer);
    json_write_key(writer, "usage");
    pool_write_usage(writer, tokens);
    json_write_end_object(writer);
}

void pool_write_numbers(struct json_writer *writer, const float *values, size_t count)
{
    json_write_array(writer);
    for (size_t i = 0; i < count; i++)
        json_write_float(writer, values[i]);
    json_write_end_array(writer);
}

pdk_status pool_reply(struct exchange *exchange, const struct buffer *out, pdk_error *err)
{
    if (out->failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the answer");
    exchange_reply(exchange, 200, "application/json", out->data, out->length);
    return PDK_OK;
}
