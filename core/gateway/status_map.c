/* See the header. */
#include "config.h"

#include "core/gateway/status_map.h"

#include "core/base/cleanup.h"
#include "core/base/json.h"

#include <string.h>

static const struct status_row rows[PDK_STATUS_COUNT] = {
    [PDK_OK] = {200, "", "", false},
    [PDK_INVALID] = {400, "BadRequestError", "BadRequest", false},
    [PDK_NOT_FOUND] = {404, "NotFoundError", "NotFound", false},
    [PDK_UNSUPPORTED] = {501, "NotImplementedError", "NotImplemented", false},
    [PDK_BUSY] = {429, "RateLimitError", "TooManyRequests", true},
    [PDK_FULL] = {429, "RateLimitError", "TooManyRequests", true},
    [PDK_CANCELLED] = {499, "ClientClosedRequest", "ClientClosedRequest", false},
    [PDK_UNAVAILABLE] = {503, "ServiceUnavailableError", "ServiceUnavailable", true},
    [PDK_TIMEOUT] = {503, "ServiceUnavailableError", "Timeout", true},
    [PDK_NO_MEMORY] = {503, "ServiceUnavailableError", "ServiceUnavailable", true},
    [PDK_TOO_LARGE] = {413, "RequestEntityTooLargeError", "RequestEntityTooLarge", false},
    [PDK_DENIED] = {403, "PermissionDeniedError", "Forbidden", false},
    [PDK_UNAUTHENTICATED] = {401, "AuthenticationError", "Unauthorized", false},
    [PDK_CONFLICT] = {409, "ConflictError", "Conflict", false},
    [PDK_IO] = {500, "InternalServerError", "InternalError", false},
    [PDK_INTERNAL] = {500, "InternalServerError", "InternalError", false},
};

static const struct {
    int http;
    const char *phrase, *type;
} phrases[] = {
    {200, "OK", ""},
    {201, "Created", ""},
    {400, "Bad Request", "BadRequestError"},
    {401, "Unauthorized", "AuthenticationError"},
    {403, "Forbidden", "PermissionDeniedError"},
    {404, "Not Found", "NotFoundError"},
    {405, "Method Not Allowed", "MethodNotAllowedError"},
    {408, "Request Timeout", "RequestTimeoutError"},
    {409, "Conflict", "ConflictError"},
    {411, "Length Required", "BadRequestError"},
    {413, "Content Too Large", "RequestEntityTooLargeError"},
    {415, "Unsupported Media Type", "UnsupportedMediaTypeError"},
    {417, "Expectation Failed", "BadRequestError"},
    {422, "Unprocessable Entity", "UnprocessableEntityError"},
    {429, "Too Many Requests", "RateLimitError"},
    {431, "Request Header Fields Too Large", "BadRequestError"},
    {499, "Client Closed Request", "ClientClosedRequest"},
    {500, "Internal Server Error", "InternalServerError"},
    {501, "Not Implemented", "NotImplementedError"},
    {503, "Service Unavailable", "ServiceUnavailableError"},
    {505, "HTTP Version Not Supported", "BadRequestError"},
};

const struct status_row *status_row(pdk_status status)
{
    return &rows[status >= 0 && status < PDK_STATUS_COUNT ? status : PDK_INTERNAL];
}

const char *status_phrase(int http)
{
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
        if (phrases[i].http == http)
            return phrases[i].phrase;
    return "Unknown";
}

const char *status_type(int http)
{
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
        if (phrases[i].http == http)
            return phrases[i].type;
    return "InternalServerError";
}

/* Length of the absolute path of a system's folder that starts at `text`, or 0. */
static size_t path_length(const char *text)
{
    static const char *const folders[] = {
        "usr", "var", "etc", "home", "root", "tmp", "run", "opt", "srv", "mnt", "media", "proc", "sys", "dev", "lib"};
    size_t name = text[0] == '/' ? strcspn(text + 1, "/") : 0;
    if (name == 0 || text[1 + name] != '/')
        return 0;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (strlen(folders[i]) == name && strncmp(text + 1, folders[i], name) == 0)
            return strcspn(text, " \t\n\"'`,;:()<>");
    return 0;
}

static size_t address_length(const char *text)
{
    if (strncmp(text, "0x", 2) != 0)
        return 0;
    size_t digits = strspn(text + 2, "0123456789abcdefABCDEF");
    return digits >= 6 ? digits + 2 : 0;
}

void status_blot(struct buffer *out, const char *text)
{
    while (*text != '\0') {
        size_t path = path_length(text), address = address_length(text);
        if (path != 0 || address != 0) {
            buffer_puts(out, path != 0 ? "<path>" : "<address>");
            text += path != 0 ? path : address;
        } else {
            buffer_putc(out, *text++);
        }
    }
}

/* vLLM tells the parameter of its named checks once more in the sentence itself, and of those alone. */
static void put_sentence(struct buffer *out, const pdk_error *err, bool named)
{
    status_blot(out, err->message);
    if (err->field[0] == '\0' || !named)
        return;
    buffer_printf(out, " (parameter=%s", err->field);
    if (err->value[0] != '\0')
        buffer_printf(out, ", value=%s", err->value);
    buffer_putc(out, ')');
}

void status_anthropic(struct buffer *out, int http, const pdk_error *err)
{
    static const struct {
        int http;
        const char *type;
    } types[] = {{400, "invalid_request_error"}, {401, "authentication_error"}, {403, "permission_error"},
        {404, "not_found_error"}, {413, "request_too_large"}, {429, "rate_limit_error"}, {503, "overloaded_error"}};
    const char *type = http >= 500 ? "api_error" : "invalid_request_error";
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].http == http)
            type = types[i].type;
    PDK_CLEANUP(buffer_done) struct buffer message = {0};
    put_sentence(&message, err, http == 400);
    struct json_writer writer = {.out = out};
    json_write_object(&writer);
    json_write_key(&writer, "type");
    json_write_string(&writer, "error");
    json_write_key(&writer, "error");
    json_write_object(&writer);
    json_write_key(&writer, "type");
    json_write_string(&writer, type);
    json_write_key(&writer, "message");
    json_write_text(&writer, message.data != NULL ? message.data : "", message.length);
    json_write_end_object(&writer);
    json_write_end_object(&writer);
}

void status_openai(struct buffer *out, int http, const char *type, const pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer message = {0};
    put_sentence(&message, err, strcmp(type, "BadRequestError") == 0);
    struct json_writer writer = {.out = out};
    json_write_object(&writer);
    json_write_key(&writer, "error");
    json_write_object(&writer);
    json_write_key(&writer, "message");
    json_write_text(&writer, message.data != NULL ? message.data : "", message.length);
    json_write_key(&writer, "type");
    json_write_string(&writer, type);
    json_write_key(&writer, "param");
    json_write_string(&writer, err->field[0] != '\0' ? err->field : NULL);
    json_write_key(&writer, "code");
    json_write_int(&writer, http);
    json_write_end_object(&writer);
    json_write_end_object(&writer);
}

void status_kubernetes(struct buffer *out, int http, const char *reason, const char *message, const char *name,
    const char *group, const char *kind)
{
    struct json_writer writer = {.out = out};
    json_write_object(&writer);
    json_write_key(&writer, "kind");
    json_write_string(&writer, "Status");
    json_write_key(&writer, "apiVersion");
    json_write_string(&writer, "v1");
    json_write_key(&writer, "metadata");
    json_write_raw(&writer, "{}", 2);
    json_write_key(&writer, "status");
    json_write_string(&writer, "Failure");
    json_write_key(&writer, "message");
    json_write_string(&writer, message);
    json_write_key(&writer, "reason");
    json_write_string(&writer, reason);
    if (kind != NULL) {
        json_write_key(&writer, "details");
        json_write_object(&writer);
        if (name != NULL) {
            json_write_key(&writer, "name");
            json_write_string(&writer, name);
        }
        if (group != NULL && *group != '\0') {
            json_write_key(&writer, "group");
            json_write_string(&writer, group);
        }
        json_write_key(&writer, "kind");
        json_write_string(&writer, kind);
        json_write_end_object(&writer);
    }
    json_write_key(&writer, "code");
    json_write_int(&writer, http);
    json_write_end_object(&writer);
}
