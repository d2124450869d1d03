/* APIs that clients know and that are not built here: each is refused in the shape that its own clients read. */
#include "config.h"

#include "core/gateway/openai/openai.h"

#include "core/base/error.h"
#include "core/gateway/exchange.h"

void openai_refuse_responses(struct exchange *exchange)
{
    pdk_error err = {0};
    pdk_error_set(&err, PDK_UNSUPPORTED, NULL,
        "The Responses API (/v1/responses) is known and not served here yet; use /v1/chat/completions");
    exchange_fail_as(exchange, 501, "NotImplementedError", &err);
}

void openai_refuse_messages(struct exchange *exchange)
{
    static const char body[] = "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"The Messages API "
                               "(/v1/messages) is known and not served here yet; use /v1/chat/completions\"}}";
    exchange_reply(exchange, 501, "application/json", body, sizeof body - 1);
}
