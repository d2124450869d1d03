/* Errors travel as JSON, as they are rare and may grow fields. */
#include "config.h"

#include "core/ipc/wire.h"

#include "core/base/error.h"
#include "core/base/json.h"

#include <string.h>

void wire_error_encode(struct buffer *out, const pdk_error *error)
{
    struct json_writer writer = {.out = out};
    json_write_object(&writer);
    json_write_key(&writer, "status");
    json_write_int(&writer, error->status);
    json_write_key(&writer, "field");
    json_write_text(&writer, error->field, strnlen(error->field, sizeof error->field));
    json_write_key(&writer, "value");
    json_write_text(&writer, error->value, strnlen(error->value, sizeof error->value));
    json_write_key(&writer, "message");
    json_write_text(&writer, error->message, strnlen(error->message, sizeof error->message));
    json_write_end_object(&writer);
}

pdk_status wire_error_decode(const void *body, size_t length, pdk_error *ret_error, pdk_error *err)
{
    static const struct json_limits limits = {.bytes = 16384, .depth = 2, .nodes = 16};
    struct json_document *document = NULL;
    pdk_status status = json_read(body, length, &limits, &document, err);
    if (status != PDK_OK)
        return status;
    const struct json *root = json_root(document);
    int64_t number;
    const char *field, *value, *message;
    bool ok = json_int64(json_get(root, "status"), &number) && json_string(json_get(root, "field"), &field) &&
              json_string(json_get(root, "value"), &value) && json_string(json_get(root, "message"), &message);
    if (ok) {
        pdk_status known = number > PDK_OK && number < PDK_STATUS_COUNT ? (pdk_status)number : PDK_INTERNAL;
        pdk_error_value(ret_error, known, field, value, "%s", message);
    }
    json_document_free(document);
    return ok ? PDK_OK
              : pdk_error_set(err, PDK_INVALID, "error", "an error frame lacks status, field, value or message");
}
