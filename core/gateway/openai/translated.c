/* See translated.h. */
#include "config.h"

#include "core/gateway/openai/translated.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/gateway/exchange.h"
#include "core/gateway/openai/body.h"

#include <string.h>

struct call *translated_open(struct exchange *exchange, enum endpoint endpoint, const struct buffer *text)
{
    pdk_error err = {0};
    bool malformed = false;
    PDK_CLEANUP(call_freep) struct call *call = call_new(endpoint);
    if (call == NULL) {
        pdk_error_set(&err, PDK_NO_MEMORY, NULL, "no memory for the request");
        exchange_fail(exchange, &err);
        return NULL;
    }
    call->translated = true;
    pdk_status status = call_open(call, text->data, text->length, &malformed, &err);
    if (status == PDK_OK) {
        malformed = true;
        status = call_read(call, &err);
    }
    if (status == PDK_OK)
        return PDK_STEAL(call);
    body_fail(exchange, &err, malformed);
    return NULL;
}

void translated_fail(struct exchange *exchange, const pdk_error *err, const char *type)
{
    if (err->status != PDK_INVALID)
        exchange_fail(exchange, err);
    else if (strncmp(err->field, "body.", 5) == 0)
        body_fail(exchange, err, true);
    else
        exchange_fail_as(exchange, 400, type, err);
}
