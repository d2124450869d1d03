/* See refusal.h. */
#include "config.h"

#include "core/gateway/openai/refusal.h"

#include "core/base/error.h"
#include "core/base/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

pdk_status refuse(pdk_error *err, const char *field, const char *value, const char *format, ...)
{
    char sentence[PDK_ERROR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    if (field == NULL)
        return pdk_error_set(err, PDK_INVALID, NULL, "%s", sentence);
    if (value == NULL)
        return pdk_error_set(err, PDK_INVALID, field, "%s (parameter=%s)", sentence, field);
    return pdk_error_set(err, PDK_INVALID, field, "%s (parameter=%s, value=%s)", sentence, field, value);
}

pdk_status refuse_type(pdk_error *err, const char *location, const char *kind, const char *should)
{
    return pdk_error_set(err, PDK_INVALID, location, "1 validation error:\n  {'type': '%s', 'loc': '%s', 'msg': '%s'}", kind,
        location, should);
}

void refusal_complete(pdk_error *err)
{
    if (err->status != PDK_INVALID || err->field[0] == '\0' || err->value[0] == '\0' ||
        strstr(err->message, "(parameter=") != NULL)
        return;
    size_t length = strlen(err->message);
    int more = snprintf(err->message + length, sizeof err->message - length, " (parameter=%s, value=%s)", err->field, err->value);
    if (more < 0 || (size_t)more >= sizeof err->message - length)
        err->message[length] = '\0'; /* no half tail */
}

struct real_text real_text(double value)
{
    struct real_text real = {{0}};
    if (!isfinite(value)) {
        snprintf(real.text, sizeof real.text, "%s", isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
        return real;
    }
    struct buffer out = {0};
    struct json_writer writer = {.out = &out};
    json_write_double(&writer, value);
    snprintf(real.text, sizeof real.text, "%s", out.failed ? "?" : out.data);
    buffer_done(&out);
    return real;
}
