/* core/worker/responses.h: the requests that the runtime has, and the handles it answers them by.
 *
 * A handle goes back to a queue when its response is finished and is used again late, so that a runtime that finishes
 * twice or sends after the end is caught. */
#pragma once

#include "core/ipc/link.h"

#include <paddock/draft/request.h>
#include <stdbool.h>
#include <stdint.h>

struct responses;

struct responses *responses_new(struct link *link);
struct responses *responses_free(struct responses *responses);

/* Reads a request frame, whose mapping it takes. Gives the handle and the request, which lives until the finish.
 * PDK_INVALID: no request, or an id in use. [main-thread] */
pdk_status responses_open(struct responses *responses, struct frame *frame, pdk_response **ret_response,
    const pdk_request **ret_request, pdk_error *err);
/* The three that the host offers the runtime. [any-thread] */
pdk_status response_send(pdk_response *response, const pdk_part *part);
void response_finish(pdk_response *response, const pdk_error *err);

/* Marks `id` cancelled. Its kind, or 0 when it is not (any more) there. [main-thread] */
int32_t responses_cancel(struct responses *responses, uint64_t id);
/* The daemon read `bytes` of `id`. Its kind when it takes parts again, else 0. [main-thread] */
int32_t responses_credit(struct responses *responses, uint64_t id, uint64_t bytes);
uint32_t responses_count(struct responses *responses);
/* The id of a request that was cancelled before `before_ms` and is not finished, or 0. [main-thread] */
uint64_t responses_overdue(struct responses *responses, int64_t before_ms);
