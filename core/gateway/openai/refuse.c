/* Operations that vLLM's clients know and that are not built here: each is refused by name. */
#include "config.h"

#include "core/gateway/openai/openai.h"

#include "core/base/error.h"
#include "core/gateway/exchange.h"

void openai_refuse_operation(struct exchange *exchange)
{
    pdk_error err = {0};
    pdk_error_set(&err, PDK_UNSUPPORTED, NULL, "%.64s is known and not served here", exchange_path(exchange));
    exchange_fail(exchange, &err);
}
