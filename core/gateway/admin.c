/* Unlike SIGHUP it has an answer, which is what `systemctl reload` and scripts need. */
#include "config.h"

#include "core/gateway/admin.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/gateway/request.h"
#include "core/gateway/status_map.h"

/* Which file and line is what the administrator needs, so this message keeps its paths, as no other answer does. */
static void answer_failure(struct exchange *exchange, const pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    struct json_writer writer = {.out = &out};
    json_write_object(&writer);
    json_write_key(&writer, "message");
    json_write_string(&writer, err->message);
    json_write_end_object(&writer);
    exchange_reply(exchange, status_row(err->status)->http, "application/json", out.data, out.length);
}

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
        answer_failure(exchange, &err);
}
