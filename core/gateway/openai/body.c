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

/* The one named check whose sentence vLLM leaves without the tail that exchange_fail puts behind it. */
static void fail_suffix(struct exchange *exchange, const pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    struct json_writer writer = {.out = &out};
    json_write_object(&writer);
    json_write_key(&writer, "error");
    json_write_object(&writer);
    json_write_key(&writer, "message");
    json_write_string(&writer, err->message);
    json_write_key(&writer, "type");
    json_write_string(&writer, "BadRequestError");
    json_write_key(&writer, "param");
    json_write_string(&writer, err->field);
    json_write_key(&writer, "code");
    json_write_int(&writer, 400);
    json_write_end_object(&writer);
    json_write_end_object(&writer);
    if (out.failed)
        exchange_fail(exchange, err);
    else
        exchange_reply(exchange, 400, "application/json", out.data, out.length);
}

void body_fail(struct exchange *exchange, const pdk_error *err, bool malformed)
{
    if (malformed)
        fail_malformed(exchange, err);
    else if (strcmp(err->field, "suffix") == 0)
        fail_suffix(exchange, err);
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

bool body_is_json(struct exchange *exchange)
{
    pdk_error err = {0};
    if (is_json(exchange_header(exchange, "Content-Type")))
        return true;
    pdk_error_set(
        &err, PDK_INVALID, NULL, "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed");
    body_fail(exchange, &err, true);
    return false;
}

struct call *body_open(struct exchange *exchange, enum endpoint endpoint, bool batch)
{
    pdk_error err = {0};
    PDK_CLEANUP(call_freep) struct call *call = call_new(endpoint);
    if (call == NULL) {
        pdk_error_set(&err, PDK_NO_MEMORY, NULL, "no memory for the request");
        exchange_fail(exchange, &err);
        return NULL;
    }
    call->batch = batch;
    if (!body_is_json(exchange))
        return NULL;
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
    body_fail(exchange, &err, malformed);
    return NULL;
}
