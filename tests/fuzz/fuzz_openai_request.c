/* A body gives requests within every limit, or one refusal; and the handlers answer once, with JSON or events. The
 * first byte chooses the endpoint: see the table. */
#include "config.h"

#include "core/base/limits.h"
#include "core/gateway/anthropic/anthropic.h"
#include "core/gateway/openai/call.h"
#include "core/gateway/openai/openai.h"
#include "core/gateway/pooling/pooling.h"
#include "core/gateway/responses/responses.h"
#include "core/gateway/responses/store.h"
#include "fake_exchange.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    char letter;
    void (*handle)(struct exchange *exchange);
    bool pools;
} endpoints[] = {
    {'c', openai_completions, false},
    {'h', openai_chat_completions, false},
    {'b', openai_chat_batch, false},
    {'t', openai_tokenize, false},
    {'d', openai_detokenize, false},
    {'i', openai_invocations, false},
    {'o', responses_create, false},
    {'m', anthropic_messages, false},
    {'n', anthropic_count_tokens, false},
    {'e', pooling_embeddings, true},
    {'k', pooling_classify, true},
    {'p', pooling_pool, true},
    {'s', pooling_score, true},
    {'r', pooling_rerank, true},
};

/* What a runtime answers first; then it is gone. */
static const pdk_delta deltas[] = {{.kind = PDK_DELTA_REASONING, .text = {"hm", 2}},
    {.kind = PDK_DELTA_CALL, .text = {"f", 1}}, {.kind = PDK_DELTA_ARGUMENTS, .text = {"{}", 2}}};
static const float numbers[] = {0.5f, -1};
static const struct fake_event words[] = {
    {.is_part = true,
        .part = {.size = sizeof(pdk_part), .text = {"Hi", 2}, .prompt_tokens = 2, .completion_tokens = 1}},
    {.is_part = true,
        .part = {.size = sizeof(pdk_part),
            .flags = PDK_PART_PARSED | PDK_PART_CALLED,
            .deltas = deltas,
            .delta_count = 3,
            .finish = PDK_FINISH_STOP}},
    {.index = 0}};
static const struct fake_event vectors[] = {
    {.is_part = true, .part = {.size = sizeof(pdk_part), .values = numbers, .value_rows = 1, .value_columns = 2}},
    {.index = 0}};

static void check_request(const pdk_request *request, const struct ready_info *ready)
{
    const pdk_sampling *sampling = &request->sampling;
    bool prompt = request->text.data != NULL || request->token_count != 0 || request->message_count != 0;
    assert(request->size == sizeof *request && request->kind == PDK_KIND_GENERATE && prompt);
    for (size_t i = 0; i < request->token_count; i++)
        assert(request->token_ids[i] < ready->vocabulary_size);
    for (size_t i = 0; i < request->stop_count; i++)
        assert(request->stop[i].length != 0 && request->stop[i].length <= limit_get(LIMIT_STOP_BYTES));
    for (size_t i = 0; i < request->bias_count; i++)
        assert(request->biases[i].token < ready->vocabulary_size && fabsf(request->biases[i].value) <= 100);
    for (size_t i = 0; i < request->stop_token_count; i++)
        assert(request->stop_token_ids[i] < ready->vocabulary_size);
    for (size_t i = 0; i < request->message_count; i++)
        assert(request->messages[i].role.data != NULL && request->messages[i].json.length != 0);
    assert(request->stop_count <= limit_get(LIMIT_STOP_STRINGS) && request->bias_count <= limit_get(LIMIT_LOGIT_BIAS));
    assert(sampling->n >= 1 && sampling->n <= limit_get(LIMIT_N));
    assert(sampling->temperature >= 0 && sampling->temperature <= 2);
    assert(sampling->max_tokens >= 0 && (uint32_t)sampling->max_tokens <= ready->max_model_len);
    assert(request->guide.kind >= PDK_GUIDE_NONE && request->guide.kind <= PDK_GUIDE_STRUCTURAL_TAG);
    assert((request->tools == PDK_TOOLS_NAMED) == (request->tool_name.data != NULL));
    assert(sampling->thinking_budget >= 0 && sampling->repetition_min_pattern <= sampling->repetition_max_pattern);
    assert(sampling->logprobs >= 0 && (uint32_t)sampling->logprobs <= ready->max_logprobs);
}

static void read_call(enum endpoint endpoint, const char *text, size_t length, const struct ready_info *ready)
{
    struct call *call = call_new(endpoint);
    pdk_error err = {0};
    bool malformed;
    assert(call != NULL);
    pdk_status status = call_open(call, text, length, &malformed, &err);
    if (status == PDK_OK)
        status = call_read(call, &err);
    if (status == PDK_OK)
        status = call_check(call, ready, "m", &err);
    if (status != PDK_OK)
        assert(err.status == status && err.message[0] != '\0');
    for (size_t i = 0; status == PDK_OK && i < call->request_count; i++)
        check_request(&call->requests[i], ready);
    assert(status != PDK_OK || call->request_count >= 1);
    call_free(call);
}

/* A plain answer is JSON, and an error has a message in every protocol. */
static void check_answer(const struct exchange *exchange)
{
    struct json_document *answer = NULL;
    assert(exchange->replies == 1);
    if (exchange->streamed || strcmp(exchange->type, "application/octet-stream") == 0)
        return;
    pdk_status status = json_read(exchange->reply.data, exchange->reply.length, &json_limits_default, &answer, NULL);
    assert(status == PDK_OK && (exchange->status == 200 || json_path(json_root(answer), "error.message") != NULL));
    json_document_free(answer);
}

static void handle(size_t at, const char *text, size_t length)
{
    struct exchange exchange;
    bool pools = endpoints[at].pools;
    fake_init(&exchange, "/v1/messages", NULL); /* so that errors come in Anthropic's shape too */
    exchange.path = endpoints[at].letter == 'm' ? exchange.path : "/";
    exchange.body = text;
    exchange.body_length = length;
    exchange.responses = response_store_new();
    assert(exchange.responses != NULL);
    exchange.ready.extensions |= READY_POOL;
    exchange.ready.auto_tools = exchange.ready.forced_tools = exchange.ready.parses_reasoning = true;
    exchange.ready.matryoshka = true;
    exchange.ready.pooled_size = 2;
    exchange.ready.pooling_tasks = 0x3F;
    exchange.ready.api_flags = PDK_API_STORE | PDK_API_REQUEST_TEMPLATE | PDK_API_PROMPT_DETAILS;
    exchange.events = pools ? vectors : words;
    exchange.event_count = pools ? 2 : 3;
    if (endpoints[at].letter == 'c' || endpoints[at].letter == 'h')
        read_call(endpoints[at].letter == 'c' ? ENDPOINT_COMPLETIONS : ENDPOINT_CHAT, text, length, &exchange.ready);
    endpoints[at].handle(&exchange);
    check_answer(&exchange);
    response_store_free(exchange.responses);
    fake_done(&exchange);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *text = malloc(size); /* exactly as long, so that a byte too far is seen */
    assert(text != NULL);
    memcpy(text, data + 1, size - 1);
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++)
        if (endpoints[i].letter == data[0])
            handle(i, text, size - 1);
    free(text);
    return 0;
}
