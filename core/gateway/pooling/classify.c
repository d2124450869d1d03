/* /classify: the probability of each class, and the likeliest one's name. */
#include "config.h"

#include "core/gateway/pooling/pooling.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/body.h"
#include "core/gateway/pooling/pool_answer.h"
#include "core/gateway/pooling/pool_call.h"

static size_t likeliest(const struct pooled *item)
{
    size_t best = 0;
    for (size_t i = 1; i < item->columns; i++)
        if (item->values[i] > item->values[best])
            best = i;
    return best;
}

static void write_item(
    struct json_writer *writer, const struct ready_info *ready, const struct pooled *item, size_t index)
{
    size_t best = likeliest(item);
    bool named = ready->class_labels != NULL && best < ready->class_count;
    json_write_object(writer);
    json_write_key(writer, "index");
    json_write_uint(writer, index);
    json_write_key(writer, "label");
    json_write_string(writer, named ? ready->class_labels[best] : NULL);
    json_write_key(writer, "probs");
    pool_write_numbers(writer, item->values, item->columns);
    json_write_key(writer, "num_classes");
    json_write_uint(writer, item->columns);
    json_write_end_object(writer);
}

static pdk_status answer(struct exchange *exchange, struct call *call, pdk_error *err)
{
    const struct service_view *service = NULL;
    PDK_CLEANUP(pooled_list_done) struct pooled_list list = {0};
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    struct json_writer writer = {.out = &out};
    struct pool_head head;
    pdk_status status = pool_route(exchange, call, 1u << PDK_POOL_CLASSIFY, "Classification", &service, err);
    if (status == PDK_OK)
        status = pool_check(call, service->ready, PDK_POOL_CLASSIFY, err);
    if (status != PDK_OK)
        return status;
    pool_head_set(&head, exchange, call, service, "classify-");
    status = pool_run(exchange, service, call->requests, call->request_count, &list, err);
    if (status != PDK_OK)
        return status;
    pool_write_head(&writer, &head);
    for (size_t i = 0; i < list.count; i++)
        write_item(&writer, service->ready, &list.items[i], i);
    pool_write_end(&writer, pool_tokens(&list));
    return pool_reply(exchange, &out, err);
}

void pooling_classify(struct exchange *exchange)
{
    pdk_error err = {0};
    PDK_CLEANUP(call_freep) struct call *call = body_open(exchange, ENDPOINT_CLASSIFY, false);
    if (call != NULL && answer(exchange, call, &err) != PDK_OK)
        pool_fail(exchange, &err);
}
