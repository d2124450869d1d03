/* core/gateway/pooling/pool_answer.h: the frame that the answers of pooling endpoints share. */
#pragma once

#include "core/base/json.h"
#include "core/gateway/openai/call.h"
#include "core/gateway/pooling/pool_run.h"

struct exchange;
struct service_view;

struct pool_head {
    char id[256];
    const char *model;
    int64_t created;
};

void pool_head_set(struct pool_head *head, struct exchange *exchange, const struct call *call,
    const struct service_view *service, const char *prefix);
uint64_t pool_tokens(const struct pooled_list *list);
/* id, object, created, model, and `data` opened. */
void pool_write_head(struct json_writer *writer, const struct pool_head *head);
/* `data` closed, usage, and the object closed. */
void pool_write_end(struct json_writer *writer, uint64_t tokens);
void pool_write_usage(struct json_writer *writer, uint64_t tokens);
void pool_write_numbers(struct json_writer *writer, const float *values, size_t count);
/* Sends `out` as JSON; PDK_NO_MEMORY when it failed. */
pdk_status pool_reply(struct exchange *exchange, const struct buffer *out, pdk_error *err);
