/* core/gateway/pooling/pool_run.h: pooling requests to the runtime, and the vectors that come back. */
#pragma once

#include <paddock/draft/request.h>
#include <stddef.h>

struct exchange;
struct service_view;

/* What one request gave: [rows][columns]. */
struct pooled {
    float *values;
    size_t count, room; /* numbers */
    uint32_t rows, columns;
    uint32_t tokens; /* of its prompt */
};

struct pooled_list {
    struct pooled *items;
    size_t count;
};
void pooled_list_done(struct pooled_list *list);

/* Sends `count` requests, some of them at a time, and waits for all. Each has given one row at least. `ret_list` is
 * the caller's to free, also after a failure. [gateway-thread] */
pdk_status pool_run(struct exchange *exchange, const struct service_view *service, pdk_request *requests, size_t count,
    struct pooled_list *ret_list, pdk_error *err);
