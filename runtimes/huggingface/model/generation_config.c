/* See the header. Ranges are those of the request's fields. do_sample is not looked at: temperature says it. */
#include "config.h"

#include "runtimes/huggingface/model/generation_config.h"

#include "core/base/error.h"
#include "runtimes/huggingface/model/config_reader.h"

#include <math.h>
#include <stddef.h>

static const struct {
    struct config_field field;
    size_t offset;
    uint32_t has;
    bool whole; /* an int32_t, else a double */
} fields[] = {
    {{"temperature", NULL, 0, 2}, offsetof(pdk_sampling, temperature), PDK_HAS_TEMPERATURE, false},
    {{"top_p", NULL, 1e-9, 1}, offsetof(pdk_sampling, top_p), PDK_HAS_TOP_P, false},
    {{"min_p", NULL, 0, 1}, offsetof(pdk_sampling, min_p), PDK_HAS_MIN_P, false},
    {{"repetition_penalty", NULL, 1e-9, 100}, offsetof(pdk_sampling, repetition_penalty), PDK_HAS_REPETITION_PENALTY,
        false},
    {{"top_k", NULL, -1, INT32_MAX}, offsetof(pdk_sampling, top_k), PDK_HAS_TOP_K, true},
    {{"max_new_tokens", NULL, 1, INT32_MAX}, offsetof(pdk_sampling, max_tokens), PDK_HAS_MAX_TOKENS, true},
};

pdk_status generation_config_read(
    const struct json *object, const char *context, pdk_sampling *sampling, pdk_error *err)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        double value;
        bool found;
        pdk_status status = json_real(object, context, &fields[i].field, &value, &found, err);
        if (status != PDK_OK)
            return status;
        if (!found)
            continue;
        if (fields[i].whole && value != trunc(value))
            return pdk_error_set(
                err, PDK_INVALID, fields[i].field.names, "%s%s must be a whole number", context, fields[i].field.names);
        void *to = (char *)sampling + fields[i].offset;
        if (fields[i].whole)
            *(int32_t *)to = (int32_t)value;
        else
            *(double *)to = value;
        sampling->has |= fields[i].has;
    }
    return PDK_OK;
}
