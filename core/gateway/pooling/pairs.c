/* See pairs.h. A text that stands in several pairs is embedded once. */
#include "config.h"

#include "core/gateway/pooling/pairs.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/refusal.h"
#include "core/gateway/pooling/pool_call.h"
#include "core/gateway/pooling/pool_run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pdk_status no_memory(pdk_error *err)
{
    return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the texts");
}

static pdk_status read_side(
    struct call *call, const struct json *given, pdk_string **ret_texts, size_t *ret_count, pdk_error *err)
{
    char location[64];
    bool list = given->type == JSON_ARRAY;
    size_t room = list ? given->count : 1, count = 0, most = limit_get(LIMIT_POOL_INPUTS);
    if (room > most)
        return refuse(err, given->key, NULL, "%s has %zu texts; the limit is %zu", given->key, room, most);
    pdk_string *texts = call_alloc(call, room, sizeof *texts);
    if (texts == NULL)
        return no_memory(err);
    for (const struct json *one = list ? given->child : given; one != NULL && count < room; one = one->next) {
        if (one->type != JSON_STRING) {
            snprintf(location, sizeof location, list ? "body.%.40s.%zu" : "body.%.40s", given->key, count);
            return refuse_type(err, location, "string_type", "Input should be a valid string");
        }
        texts[count++] = (pdk_string){one->text, one->length};
    }
    *ret_texts = texts;
    *ret_count = count;
    return PDK_OK;
}

pdk_status pairs_read(struct call *call, struct pairs *ret_pairs, pdk_error *err)
{
    struct pairs pairs = {0};
    const struct json *query = call->fields.first;
    if (call->endpoint == ENDPOINT_RERANK && query->type != JSON_STRING)
        return refuse_type(err, "body.query", "string_type", "Input should be a valid string");
    pdk_status status = read_side(call, query, &pairs.first, &pairs.first_count, err);
    if (status == PDK_OK)
        status = read_side(call, call->fields.second, &pairs.second, &pairs.second_count, err);
    if (status == PDK_OK)
        *ret_pairs = pairs;
    return status;
}

pdk_status pairs_check(struct pairs *pairs, pdk_error *err)
{
    if (pairs->first_count > 1 && pairs->first_count != pairs->second_count)
        return refuse(err, NULL, NULL, "Input lengths must be either 1:1, 1:N or N:N");
    if (pairs->first_count == 0)
        return refuse(err, NULL, NULL, "At least one text element must be given");
    if (pairs->second_count == 0)
        return refuse(err, NULL, NULL, "At least one text_pair element must be given");
    pairs->count = pairs->second_count;
    return PDK_OK;
}

static pdk_status score_crossed(struct exchange *exchange, struct call *call, const struct service_view *service,
    const pdk_request *shared, struct pairs *pairs, pdk_error *err)
{
    PDK_CLEANUP(pooled_list_done) struct pooled_list list = {0};
    pdk_request *requests = call_alloc(call, pairs->count, sizeof *requests);
    if (requests == NULL)
        return no_memory(err);
    for (size_t i = 0; i < pairs->count; i++) {
        requests[i] = *shared;
        requests[i].text = pairs->first[pairs->first_count == 1 ? 0 : i];
        requests[i].pair_text = pairs->second[i];
        requests[i].pooling.max_query_tokens = (uint32_t)call->fields.max_tokens_per_query.value;
        requests[i].pooling.max_pair_tokens = (uint32_t)call->fields.max_tokens_per_doc.value;
    }
    pdk_status status = pool_run(exchange, service, requests, pairs->count, &list, err);
    for (size_t i = 0; status == PDK_OK && i < pairs->count; i++) {
        pairs->scores[i] = list.items[i].values[0];
        pairs->tokens += list.items[i].tokens;
    }
    return status;
}

/* A text of one side, and which embedding is its. */
struct place {
    pdk_string text;
    uint32_t limit; /* tokens that are kept; 0: all */
    size_t request;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *x = *(const struct place *const *)a, *y = *(const struct place *const *)b;
    if (x->limit != y->limit)
        return x->limit < y->limit ? -1 : 1;
    if (x->text.length != y->text.length)
        return x->text.length < y->text.length ? -1 : 1;
    return x->text.length == 0 ? 0 : memcmp(x->text.data, y->text.data, x->text.length);
}

/* Gives equal texts one request; returns how many there are. */
static size_t share_requests(struct place **order, size_t count, const pdk_request *shared, pdk_request *requests)
{
    size_t made = 0;
    qsort(order, count, sizeof *order, compare_places);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || compare_places(&order[i - 1], &order[i]) != 0) {
            pdk_request *request = &requests[made++];
            *request = *shared;
            request->text = order[i]->text;
            if (order[i]->limit != 0) {
                request->sampling.truncate_prompt = order[i]->limit;
                request->sampling.has |= PDK_HAS_TRUNCATE_PROMPT;
            }
        }
        order[i]->request = made - 1;
    }
    return made;
}

static float cosine(const struct pooled *a, const struct pooled *b)
{
    double dot = 0, left = 0, right = 0;
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        dot += (double)a->values[i] * b->values[i];
        left += (double)a->values[i] * a->values[i];
        right += (double)b->values[i] * b->values[i];
    }
    return (float)(dot / fmax(sqrt(left) * sqrt(right), 1e-8));
}

static pdk_status score_embedded(struct exchange *exchange, struct call *call, const struct service_view *service,
    const pdk_request *shared, struct pairs *pairs, pdk_error *err)
{
    PDK_CLEANUP(pooled_list_done) struct pooled_list list = {0};
    size_t all = pairs->first_count + pairs->second_count;
    struct place *places = call_alloc(call, all, sizeof *places), **order = call_alloc(call, all, sizeof *order);
    pdk_request *requests = call_alloc(call, all, sizeof *requests);
    if (places == NULL || order == NULL || requests == NULL)
        return no_memory(err);
    for (size_t i = 0; i < all; i++) {
        bool first = i < pairs->first_count;
        places[i].text = first ? pairs->first[i] : pairs->second[i - pairs->first_count];
        places[i].limit =
            (uint32_t)(first ? call->fields.max_tokens_per_query.value : call->fields.max_tokens_per_doc.value);
        order[i] = &places[i];
    }
    size_t count = share_requests(order, all, shared, requests);
    pdk_status status = pool_run(exchange, service, requests, count, &list, err);
    for (size_t i = 0; status == PDK_OK && i < pairs->count; i++) {
        const struct pooled *a = &list.items[places[pairs->first_count == 1 ? 0 : i].request];
        const struct pooled *b = &list.items[places[pairs->first_count + i].request];
        pairs->scores[i] = cosine(a, b);
        pairs->tokens += (uint64_t)a->tokens + b->tokens;
    }
    return status;
}

static pdk_status check_counts(const struct fields *fields, const struct ready_info *ready, pdk_error *err)
{
    uint32_t most = ready->max_model_len == 0 ? INT32_MAX : ready->max_model_len;
    if (fields->max_tokens_per_query.value > most)
        return refuse(err, "max_tokens_per_query", NULL,
            "max_tokens_per_query=%" PRId64 " cannot be greater than max_model_len=%" PRIu32 ".",
            fields->max_tokens_per_query.value, most);
    if (fields->max_tokens_per_doc.value > most)
        return refuse(err, "max_tokens_per_doc", NULL,
            "max_tokens_per_doc=%" PRId64 " cannot be greater than max_model_len=%" PRIu32 ".",
            fields->max_tokens_per_doc.value, most);
    return PDK_OK;
}

pdk_status pairs_score(struct exchange *exchange, struct call *call, const struct service_view *service,
    struct pairs *pairs, pdk_error *err)
{
    const struct ready_info *ready = service->ready;
    pdk_request shared;
    bool embedded = ready->scores_pairs_by_cosine;
    pdk_status status = check_counts(&call->fields, ready, err);
    if (status == PDK_OK && !ready->has_tokenizer)
        status = refuse(err, NULL, NULL, "This model has no tokenizer, so it takes no texts.");
    if (status == PDK_OK)
        status = pool_fill(call, ready, embedded ? PDK_POOL_EMBED : PDK_POOL_SCORE, &shared, err);
    pairs->scores = call_alloc(call, pairs->count, sizeof *pairs->scores);
    if (status == PDK_OK && pairs->scores == NULL)
        status = no_memory(err);
    if (status != PDK_OK)
        return status;
    return embedded ? score_embedded(exchange, call, service, &shared, pairs, err)
                    : score_crossed(exchange, call, service, &shared, pairs, err);
}
