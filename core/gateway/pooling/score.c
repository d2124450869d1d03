/* /score and /rerank: how well texts fit together. */
#include "config.h"

#include "core/gateway/pooling/pooling.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/body.h"
#include "core/gateway/pooling/pairs.h"
#include "core/gateway/pooling/pool_answer.h"
#include "core/gateway/pooling/pool_call.h"

#include <stdlib.h>
#include <string.h>

static void write_scores(struct json_writer *writer, const struct pool_head *head, const struct pairs *pairs)
{
    pool_write_head(writer, head);
    for (size_t i = 0; i < pairs->count; i++) {
        json_write_object(writer);
        json_write_key(writer, "index");
        json_write_uint(writer, i);
        json_write_key(writer, "object");
        json_write_string(writer, "score");
        json_write_key(writer, "score");
        json_write_float(writer, pairs->scores[i]);
        json_write_end_object(writer);
    }
    pool_write_end(writer, pairs->tokens);
}

struct ranked {
    size_t index;
    float score;
};

/* The best first; of equal ones the earlier. */
static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score > y->score || x->score < y->score)
        return x->score > y->score ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void write_result(struct json_writer *writer, const struct pairs *pairs, const struct ranked *ranked)
{
    pdk_string text = pairs->second[ranked->index];
    json_write_object(writer);
    json_write_key(writer, "index");
    json_write_uint(writer, ranked->index);
    json_write_key(writer, "document");
    json_write_object(writer);
    json_write_key(writer, "text");
    json_write_text(writer, text.data, text.length);
    json_write_key(writer, "multi_modal");
    json_write_null(writer);
    json_write_end_object(writer);
    json_write_key(writer, "relevance_score");
    json_write_float(writer, ranked->score);
    json_write_end_object(writer);
}

static void write_ranking(struct json_writer *writer, const struct pool_head *head, const struct pairs *pairs,
    const struct ranked *ranked, size_t count)
{
    json_write_object(writer);
    json_write_key(writer, "id");
    json_write_string(writer, head->id);
    json_write_key(writer, "model");
    json_write_string(writer, head->model);
    json_write_key(writer, "usage");
    json_write_object(writer);
    json_write_key(writer, "prompt_tokens");
    json_write_uint(writer, pairs->tokens);
    json_write_key(writer, "total_tokens");
    json_write_uint(writer, pairs->tokens);
    json_write_end_object(writer);
    json_write_key(writer, "results");
    json_write_array(writer);
    for (size_t i = 0; i < count; i++)
        write_result(writer, pairs, &ranked[i]);
    json_write_end_array(writer);
    json_write_end_object(writer);
}

static pdk_status rank(struct json_writer *writer, struct call *call, const struct pool_head *head,
    const struct pairs *pairs, pdk_error *err)
{
    struct given_int top = call->fields.top_n;
    struct ranked *ranked = call_alloc(call, pairs->count, sizeof *ranked);
    if (ranked == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the ranking");
    for (size_t i = 0; i < pairs->count; i++)
        ranked[i] = (struct ranked){i, pairs->scores[i]};
    qsort(ranked, pairs->count, sizeof *ranked, compare_ranked);
    bool all = top.value == 0 || (uint64_t)top.value > pairs->count;
    write_ranking(writer, head, pairs, ranked, all ? pairs->count : (size_t)top.value);
    return PDK_OK;
}

static pdk_status answer(struct exchange *exchange, struct call *call, struct pairs *pairs, pdk_error *err)
{
    const struct service_view *service = NULL;
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    struct json_writer writer = {.out = &out};
    struct pool_head head;
    bool ranking = call->endpoint == ENDPOINT_RERANK;
    pdk_status status =
        pool_route(exchange, call, 1u << PDK_POOL_SCORE, ranking ? "Rerank (Score)" : "Score", &service, err);
    if (status == PDK_OK)
        status = pairs_check(pairs, err);
    if (status != PDK_OK)
        return status;
    pool_head_set(&head, exchange, call, service, "score-");
    status = pairs_score(exchange, call, service, pairs, err);
    if (status == PDK_OK && ranking)
        status = rank(&writer, call, &head, pairs, err);
    else if (status == PDK_OK)
        write_scores(&writer, &head, pairs);
    return status == PDK_OK ? pool_reply(exchange, &out, err) : status;
}

static void handle(struct exchange *exchange, enum endpoint endpoint)
{
    pdk_error err = {0};
    struct pairs pairs;
    PDK_CLEANUP(call_freep) struct call *call = body_open(exchange, endpoint, false);
    if (call == NULL)
        return;
    if (pairs_read(call, &pairs, &err) != PDK_OK)
        body_fail(exchange, &err, strncmp(err.field, "body.", 5) == 0);
    else if (answer(exchange, call, &pairs, &err) != PDK_OK)
        pool_fail(exchange, &err);
}

void pooling_score(struct exchange *exchange)
{
    handle(exchange, ENDPOINT_SCORE);
}

void pooling_rerank(struct exchange *exchange)
{
    handle(exchange, ENDPOINT_RERANK);
}
