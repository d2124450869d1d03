/* Unlike SIGHUP it has an answer, which is what `systemctl reload` and scripts need. */
#include "config.h"

#include "core/gateway/admin.h"

#include "core/base/error.h"
#include "core/gateway/request.h"

void admin_reload(struct exchange *exchange)
{
    static const char done[] = "{\"message\":\"configuration read again\"}";
    const struct gateway_config *config = exchange->gateway->config;
    pdk_error err = {0};
    pdk_status status = PDK_OK;
    if (exchange->key != NULL && key_is_limited(exchange->key))
        status = pdk_error_set(&err, PDK_DENIED, NULL, "this key is limited to some services");
    else if (config->reload == NULL)
        status = pdk_error_set(&err, PDK_UNSUPPORTED, NULL, "this daemon has no configuration to read again");
    else
        status = config->reload(config->reload_context, &err);
    if (status == PDK_OK)
        exchange_reply(exchange, 200, "application/json", done, sizeof done - 1);
    else
        exchange_fail(exchange, &err);
}
