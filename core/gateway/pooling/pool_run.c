/* See pool_run.h. A long list must not fill the service's queue, so it goes out through a window: as some end, others
 * are sent. */
#include "config.h"

#include "core/gateway/pooling/pool_run.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/deliver.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    WINDOW = 128,                               /* requests of one exchange in flight */
    HELD_MAX = (256 << 20) / (int)sizeof(float) /* numbers of one answer */
};

void pooled_list_done(struct pooled_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].values);
    free(list->items);
    *list = (struct pooled_list){0};
}

/* Rows may come in several parts. */
static pdk_status take_part(struct pooled *to, const pdk_part *part, size_t *held, pdk_error *err)
{
    size_t more = (size_t)part->value_rows * part->value_columns; /* both of 32 bits */
    if (part->prompt_tokens != 0)
        to->tokens = part->prompt_tokens;
    if (more == 0)
        return PDK_OK;
    if (to->rows != 0 && to->columns != part->value_columns)
        return pdk_error_set(err, PDK_INTERNAL, NULL, "a vector of %" PRIu32 " numbers after one of %" PRIu32,
            part->value_columns, to->columns);
    if (more > HELD_MAX - *held)
        return pdk_error_set(err, PDK_TOO_LARGE, NULL, "the answer has over %d numbers; ask for less", HELD_MAX);
    if (!array_grow(&to->values, &to->room, to->count + more))
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for %zu numbers", to->count + more);
    memcpy(to->values + to->count, part->values, more * sizeof *to->values);
    to->count += more;
    to->rows += part->value_rows;
    to->columns = part->value_columns;
    *held += more;
    return PDK_OK;
}

/* Sends as many as the window and the service's queue have room for. */
static pdk_status send_some(struct answers *answers, const struct service_view *service, const pdk_request *requests,
    size_t count, size_t ended, size_t *sent, pdk_error *err)
{
    uint32_t queue = (uint32_t)limit_get(LIMIT_QUEUE);
    while (*sent < count && *sent - ended < WINDOW) {
        pdk_status status = answers_add(answers, service->channel, &requests[*sent], queue, err);
        if (status == PDK_BUSY && *sent > ended)
            return PDK_OK; /* one of ours will make room */
        if (status == PDK_BUSY)
            return pdk_error_set(err, PDK_BUSY, NULL,
                "The engine is currently busy and cannot accept new requests. Please try again later or on a different "
                "instance.");
        if (status != PDK_OK)
            return status;
        ++*sent;
    }
    return PDK_OK;
}

static pdk_status check_all(const struct pooled_list *list, pdk_error *err)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].rows == 0)
            return pdk_error_set(err, PDK_INTERNAL, NULL, "the runtime gave no vector for input %zu", i);
    return PDK_OK;
}

pdk_status pool_run(struct exchange *exchange, const struct service_view *service, pdk_request *requests, size_t count,
    struct pooled_list *ret_list, pdk_error *err)
{
    PDK_CLEANUP(answers_freep) struct answers *answers = NULL;
    size_t sent = 0, held = 0;
    ret_list->items = calloc(count, sizeof *ret_list->items);
    if (ret_list->items == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for %zu answers", count);
    ret_list->count = count;
    for (size_t i = 0; i < count; i++)
        requests[i].tenant = exchange_tenant(exchange);
    pdk_status status = answers_new(exchange_loop(exchange), exchange_client_fd(exchange), &answers, err);
    for (size_t ended = 0; ended < count && status == PDK_OK;) {
        const pdk_part *part = NULL;
        uint32_t index = 0;
        status = send_some(answers, service, requests, count, ended, &sent, err);
        if (status == PDK_OK)
            status = deliver_next(answers, &index, &part, err);
        if (status == PDK_OK && part == NULL)
            ended++;
        else if (status == PDK_OK && index < count)
            status = take_part(&ret_list->items[index], part, &held, err);
    }
    return status == PDK_OK ? check_all(ret_list, err) : status;
}
