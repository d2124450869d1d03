/* /invocations, the one path of some platforms: the body's own fields tell which API it is for. */
#include "config.h"

#include "core/gateway/openai/openai.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/body.h"
#include "core/gateway/pooling/pooling.h"

/* Tried in this order: a field that only bodies of that kind have. */
static const struct {
    const char *field;
    void (*handle)(struct exchange *exchange);
} kinds[] = {
    {"messages", openai_chat_completions},
    {"prompt", openai_completions},
    {"task", pooling_pool},
    {"input", pooling_embeddings},
    {"text_1", pooling_score},
    {"data_1", pooling_score},
    {"queries", pooling_score},
    {"query", pooling_rerank},
};

void openai_invocations(struct exchange *exchange)
{
    size_t length;
    const char *text = exchange_body(exchange, &length);
    pdk_error err = {0};
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    const struct json_limits limits = {.bytes = limit_get(LIMIT_BODY_OPENAI_BYTES),
        .depth = limit_get(LIMIT_JSON_DEPTH),
        .nodes = limit_get(LIMIT_JSON_NODES)};
    if (!body_is_json(exchange))
        return;
    pdk_status status = json_read(text, length, &limits, &document, &err);
    for (size_t i = 0; status == PDK_OK && i < sizeof kinds / sizeof *kinds; i++)
        if (json_get(json_root(document), kinds[i].field) != NULL) {
            kinds[i].handle(exchange);
            return;
        }
    if (status != PDK_OK && status != PDK_INVALID) {
        exchange_fail(exchange, &err);
        return;
    }
    pdk_error_set(&err, PDK_INVALID, NULL,
        "Cannot find suitable handler for request. Expected one of: a chat (messages), a completion (prompt), an "
        "embedding (input), a pooling (task), a score (text_1) or a rerank (query)");
    exchange_fail(exchange, &err);
}
