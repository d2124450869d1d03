/* See body.h. */
#include "config.h"

#include "core/gateway/openai/body.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/gateway/exchange.h"

#include <string.h>
#include <strings.h>

/* What Python's validator finds has a type of its own; whatever else fails goes by its status. */
static void fail_malformed(struct exchange *exchange, const pdk_error *err)
{
    if (err->status == PDK_INVALID)
        exchange_fail_as(exchange, 400, "Bad Request", err);
    else
        exchange_fail(exchange, err);
}

static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    size_t length = sizeof json - 1;
    return type != NULL && strncasecmp(type, json, length) == 0 &&
        (type[length] == '\0' || type[length] == ';' || type[length] == ' ' || type[length] == '\t');
}

struct call *body_open(struct exchange *exchange, enum endpoint endpoint)
{
    pdk_error err = {0};
    PDK_CLEANUP(call_freep) struct call *call = call_new(endpoint);
    if (call == NULL) {
        pdk_error_set(&err, PDK_NO_MEMORY, NULL, "no memory for the request");
        exchange_fail(exchange, &err);
        return NULL;
    }
    if (!is_json(exchange_header(exchange, "Content-Type"))) {
        pdk_error_set(&err, PDK_INVALID, NULL, "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed");
        fail_malformed(exchange, &err);
        return NULL;
    }
    size_t length = 0;
    bool malformed = false;
    const char *text = exchange_body(exchange, &length);
    pdk_status status = call_open(call, text, length, &malformed, &err);
    if (status == PDK_OK) {
        malformed = true;
        status = call_read(call, &err);
    }
    if (status == PDK_OK)
        return PDK_STEAL(call);
    if (malformed)
        fail_malformed(exchange, &err);
    else
        exchange_fail(exchange, &err);
    return NULL;
}
