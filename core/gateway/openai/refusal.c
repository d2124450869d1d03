/* See refusal.h. */
#include "config.h"

#include "core/gateway/openai/refusal.h"

#include "core/base/error.h"
#include "core/base/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

pdk_status refuse(pdk_error *err, const char *field, const char *value, const char *format, ...)
{
    char sentence[PDK_ERROR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    if (value == NULL)
        return pdk_error_set(err, PDK_INVALID, field, "%s", sentence);
    return pdk_error_value(err, PDK_INVALID, field, value, "%s", sentence);
}

pdk_status refuse_type(pdk_error *err, const char *location, const char *kind, const char *should)
{
    return pdk_error_set(err, PDK_INVALID, location, "1 validation error:\n  {'type': '%s', 'loc': '%s', 'msg': '%s'}",
        kind, location, should);
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
