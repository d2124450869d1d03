/* A body gives requests within every limit, or one refusal; and the handlers answer once, with JSON. The first byte
 * chooses the endpoint: c(ompletions), h (chat), t(okenize), d(etokenize). */
#include "config.h"

#include "core/base/limits.h"
#include "core/gateway/openai/call.h"
#include "core/gateway/openai/openai.h"
#include "fake_exchange.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct exchange exchange;
    if (size == 0)
        return 0;
    char *text = malloc(size); /* exactly as long, so that a byte too far is seen */
    assert(text != NULL);
    memcpy(text, data + 1, size - 1);
    fake_init(&exchange, "/", NULL);
    exchange.body = text;
    exchange.body_length = size - 1;
    switch (data[0]) {
    case 'c':
        read_call(ENDPOINT_COMPLETIONS, text, size - 1, &exchange.ready);
        openai_completions(&exchange);
        break;
    case 'h':
        read_call(ENDPOINT_CHAT, text, size - 1, &exchange.ready);
        openai_chat_completions(&exchange);
        break;
    case 't': openai_tokenize(&exchange); break;
    case 'd': openai_detokenize(&exchange); break;
    default: exchange.replies = 1; break;
    }
    assert(exchange.replies == 1);
    if (exchange.status != 0) {
        struct json_document *answer = NULL;
        pdk_status status = json_read(exchange.reply.data, exchange.reply.length, &json_limits_default, &answer, NULL);
        assert(status == PDK_OK && (exchange.status == 200 || json_path(json_root(answer), "error.message") != NULL));
        json_document_free(answer);
    }
    fake_done(&exchange);
    free(text);
    return 0;
}
