/* /v1/embeddings and /pooling: vectors as JSON numbers, base64 or plain bytes. */
#include "config.h"

#include "core/gateway/pooling/pooling.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/body.h"
#include "core/gateway/openai/refusal.h"
#include "core/gateway/pooling/pool_answer.h"
#include "core/gateway/pooling/pool_call.h"
#include "core/gateway/pooling/vectors.h"

#include <string.h>

/* What a header may hold that tells where each vector lies. */
enum { METADATA_MAX = 16384 };

/* One value; tasks by token have a list of rows. */
static void write_vector(
    struct json_writer *writer, const struct vector_form *form, const struct pooled *item, bool by_token)
{
    if (form->encoding == VECTOR_FLOAT && by_token) {
        json_write_array(writer);
        for (uint32_t row = 0; row < item->rows; row++)
            pool_write_numbers(writer, item->values + (size_t)row * item->columns, item->columns);
        json_write_end_array(writer);
    } else if (form->encoding == VECTOR_FLOAT) {
        pool_write_numbers(writer, item->values, item->count);
    } else {
        PDK_CLEANUP(buffer_done) struct buffer bytes = {0}, text = {0};
        vector_put_bytes(&bytes, form, item->values, item->count);
        buffer_putc(&text, '"');
        vector_put_base64(&text, bytes.data, bytes.length);
        buffer_putc(&text, '"');
        json_write_raw(writer, text.failed ? "null" : text.data, text.failed ? 4 : text.length);
        writer->out->failed |= bytes.failed || text.failed;
    }
}

static pdk_status reply_json(struct exchange *exchange, const struct pool_head *head, const struct vector_form *form,
    const struct pooled_list *list, bool pooling, bool by_token, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    struct json_writer writer = {.out = &out};
    pool_write_head(&writer, head);
    for (size_t i = 0; i < list->count; i++) {
        json_write_object(&writer);
        json_write_key(&writer, "index");
        json_write_uint(&writer, i);
        json_write_key(&writer, "object");
        json_write_string(&writer, pooling ? "pooling" : "embedding");
        json_write_key(&writer, pooling ? "data" : "embedding");
        write_vector(&writer, form, &list->items[i], by_token);
        json_write_end_object(&writer);
    }
    pool_write_end(&writer, pool_tokens(list));
    return pool_reply(exchange, &out, err);
}

/* Where each vector lies in the body, and what it is. */
static void write_metadata(struct json_writer *writer, const struct pool_head *head, const struct vector_form *form,
    const struct pooled_list *list, bool by_token)
{
    size_t at = 0, width = vector_number_bytes(form);
    pool_write_head(writer, head);
    for (size_t i = 0; i < list->count; i++) {
        const struct pooled *item = &list->items[i];
        json_write_object(writer);
        json_write_key(writer, "index");
        json_write_uint(writer, i);
        json_write_key(writer, "embed_dtype");
        json_write_string(writer, form->type_name);
        json_write_key(writer, "endianness");
        json_write_string(writer, form->endianness);
        json_write_key(writer, "start");
        json_write_uint(writer, at);
        json_write_key(writer, "end");
        json_write_uint(writer, at += item->count * width);
        json_write_key(writer, "shape");
        json_write_array(writer);
        if (by_token)
            json_write_uint(writer, item->rows);
        json_write_uint(writer, by_token ? item->columns : item->count);
        json_write_end_array(writer);
        json_write_end_object(writer);
    }
    pool_write_end(writer, pool_tokens(list));
}

static pdk_status reply_bytes(struct exchange *exchange, const struct pool_head *head, const struct vector_form *form,
    const struct pooled_list *list, bool by_token, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer out = {0}, metadata = {0};
    struct json_writer writer = {.out = &metadata};
    for (size_t i = 0; i < list->count; i++)
        vector_put_bytes(&out, form, list->items[i].values, list->items[i].count);
    write_metadata(&writer, head, form, list, by_token);
    if (out.failed || metadata.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the answer");
    if (form->encoding == VECTOR_BYTES && metadata.length > METADATA_MAX)
        return refuse(err, "encoding_format", "bytes",
            "a header that tells of %zu vectors has over %d bytes; use bytes_only, or ask for less", list->count,
            METADATA_MAX);
    if (form->encoding == VECTOR_BYTES)
        exchange_add_header(exchange, "metadata", metadata.data);
    exchange_reply(exchange, 200, "application/octet-stream", out.data == NULL ? "" : out.data, out.length);
    return PDK_OK;
}

/* `task` of /pooling. */
static pdk_status read_task(const struct json *given, int32_t *ret_task, pdk_error *err)
{
    static const struct {
        const char *name;
        int32_t task;
    } tasks[] = {{"embed", PDK_POOL_EMBED}, {"classify", PDK_POOL_CLASSIFY}, {"token_embed", PDK_POOL_TOKEN_EMBED},
        {"token_classify", PDK_POOL_TOKEN_CLASSIFY}};
    *ret_task = PDK_POOL_DEFAULT;
    if (given == NULL)
        return PDK_OK;
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
        if (strcmp(given->text, tasks[i].name) == 0) {
            *ret_task = tasks[i].task;
            return PDK_OK;
        }
    if (strcmp(given->text, "score") == 0)
        return refuse(err, "task", "score", "task score is not served here; use /score, or task classify.");
    if (strcmp(given->text, "encode") == 0)
        return refuse(err, "task", "encode", "task encode was removed; use token_embed or token_classify.");
    if (strcmp(given->text, "plugin") == 0)
        return refuse(err, "task", "plugin", "task plugin is not served here: no plugin reads inputs.");
    return refuse_type(err, "body.task", "literal_error",
        "Input should be \"embed\", \"classify\", \"token_embed\" or \"token_classify\"");
}

/* Whether what comes is a list of rows: by the task, or by what the model is for. */
static bool is_by_token(int32_t task, const struct ready_info *ready)
{
    uint32_t pooled = 1u << PDK_POOL_EMBED | 1u << PDK_POOL_CLASSIFY | 1u << PDK_POOL_SCORE;
    if (task == PDK_POOL_DEFAULT)
        return (ready->pooling_tasks & pooled) == 0 && !ready->scores_pairs_by_cosine;
    return task == PDK_POOL_TOKEN_EMBED || task == PDK_POOL_TOKEN_CLASSIFY;
}

static pdk_status answer(
    struct exchange *exchange, struct call *call, const struct vector_form *form, int32_t task, pdk_error *err)
{
    const struct service_view *service = NULL;
    PDK_CLEANUP(pooled_list_done) struct pooled_list list = {0};
    bool pooling = call->endpoint == ENDPOINT_POOLING;
    struct pool_head head;
    pdk_status status = pool_route(
        exchange, call, task == PDK_POOL_DEFAULT ? 0 : 1u << task, pooling ? "Pooling" : "Embeddings", &service, err);
    if (status == PDK_OK)
        status = pool_check(call, service->ready, task, err);
    if (status != PDK_OK)
        return status;
    pool_head_set(&head, exchange, call, service, pooling ? "pooling-" : "embd-");
    status = pool_run(exchange, service, call->requests, call->request_count, &list, err);
    if (status != PDK_OK)
        return status;
    bool by_token = is_by_token(task, service->ready);
    return form->encoding == VECTOR_FLOAT || form->encoding == VECTOR_BASE64
               ? reply_json(exchange, &head, form, &list, pooling, by_token, err)
               : reply_bytes(exchange, &head, form, &list, by_token, err);
}

static void handle(struct exchange *exchange, enum endpoint endpoint)
{
    pdk_error err = {0};
    struct vector_form form;
    int32_t task = PDK_POOL_EMBED;
    PDK_CLEANUP(call_freep) struct call *call = body_open(exchange, endpoint, false);
    if (call == NULL)
        return;
    if (vector_form_read(&call->fields, &form, &err) != PDK_OK) {
        body_fail(exchange, &err, true);
        return;
    }
    if (endpoint == ENDPOINT_POOLING && read_task(call->fields.task, &task, &err) != PDK_OK) {
        body_fail(exchange, &err, strcmp(err.field, "body.task") == 0);
        return;
    }
    if (answer(exchange, call, &form, task, &err) != PDK_OK)
        pool_fail(exchange, &err);
}

void pooling_embeddings(struct exchange *exchange)
{
    handle(exchange, ENDPOINT_EMBEDDINGS);
}

void pooling_pool(struct exchange *exchange)
{
    handle(exchange, ENDPOINT_POOLING);
}
