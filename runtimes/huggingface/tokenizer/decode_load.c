/* One row for each decoder of the format. */
#include "config.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "runtimes/huggingface/tokenizer/decode.h"

#include <stdlib.h>
#include <string.h>

static pdk_status take_text(
    const struct json *value, const char *key, char **ret_text, size_t *ret_length, pdk_error *err)
{
    if (value == NULL || value->type != JSON_STRING)
        return pdk_error_set(err, PDK_INVALID, "decoder", "'%s' is missing or no string", key);
    *ret_text = strndup(value->text, value->length);
    *ret_length = value->length;
    return *ret_text != NULL ? PDK_OK : pdk_error_set(err, PDK_NO_MEMORY, "decoder", "out of memory");
}

static pdk_status load_nothing(struct decoder *step, const struct json *json, pdk_error *err)
{
    (void)step;
    (void)json;
    (void)err;
    return PDK_OK;
}

static pdk_status load_replace(struct decoder *step, const struct json *json, pdk_error *err)
{
    pdk_status status = take_text(json_get(json, "content"), "content", &step->to, &step->to_length, err);
    const struct json *regex = json_path(json, "pattern.Regex");
    if (status == PDK_OK && regex != NULL)
        return pdk_error_set(
            err, PDK_UNSUPPORTED, "decoder.pattern", "Replace by a regular expression is not supported");
    if (status == PDK_OK)
        status = take_text(json_path(json, "pattern.String"), "pattern", &step->from, &step->from_length, err);
    if (status == PDK_OK && step->from_length == 0)
        status = pdk_error_set(err, PDK_INVALID, "decoder.pattern", "Replace of an empty text");
    return status;
}

static pdk_status load_strip(struct decoder *step, const struct json *json, pdk_error *err)
{
    uint64_t left = 0, right = 0;
    json_uint64(json_get(json, "start"), &left);
    json_uint64(json_get(json, "stop"), &right);
    step->left = (size_t)left;
    step->right = (size_t)right;
    pdk_status status = take_text(json_get(json, "content"), "content", &step->from, &step->from_length, err);
    if (status == PDK_OK && step->from_length == 0)
        status = pdk_error_set(err, PDK_INVALID, "decoder.content", "Strip of an empty text");
    return status;
}

static pdk_status load_metaspace(struct decoder *step, const struct json *json, pdk_error *err)
{
    const char *scheme = "always";
    bool old_prefix = true;
    if (json_bool(json_get(json, "add_prefix_space"), &old_prefix) && !old_prefix) /* before prepend_scheme came */
        scheme = "never";
    json_string(json_get(json, "prepend_scheme"), &scheme);
    step->skip_first = strcmp(scheme, "never") != 0;
    pdk_status status = take_text(json_get(json, "replacement"), "replacement", &step->from, &step->from_length, err);
    if (status == PDK_OK && step->from_length == 0)
        status = pdk_error_set(err, PDK_INVALID, "decoder.replacement", "must not be empty");
    return status;
}

static pdk_status load_wordpiece(struct decoder *step, const struct json *json, pdk_error *err)
{
    step->clean_up = true;
    json_bool(json_get(json, "cleanup"), &step->clean_up);
    return take_text(json_get(json, "prefix"), "prefix", &step->from, &step->from_length, err);
}

static pdk_status load_bpe(struct decoder *step, const struct json *json, pdk_error *err)
{
    pdk_status status = take_text(json_get(json, "suffix"), "suffix", &step->from, &step->from_length, err);
    if (status == PDK_OK && step->from_length == 0)
        status = pdk_error_set(err, PDK_INVALID, "decoder.suffix", "must not be empty");
    return status;
}

static const struct {
    const char *type;
    decoder_apply *apply;
    pdk_status (*load)(struct decoder *step, const struct json *json, pdk_error *err);
} kinds[] = {
    {"BPEDecoder", decode_bpe, load_bpe},
    {"ByteFallback", decode_byte_fallback, load_nothing},
    {"ByteLevel", decode_byte_level, load_nothing},
    {"Fuse", decode_fuse, load_nothing},
    {"Metaspace", decode_metaspace, load_metaspace},
    {"Replace", decode_replace, load_replace},
    {"Strip", decode_strip, load_strip},
    {"WordPiece", decode_wordpiece, load_wordpiece},
};

pdk_status decoders_load(struct decoders *decoders, const struct json *json, pdk_error *err)
{
    if (json == NULL || json->type == JSON_NULL)
        return PDK_OK;
    const char *type = "";
    json_string(json_get(json, "type"), &type);
    const struct json *inner = json_get(json, "decoders");
    if (strcmp(type, "Sequence") == 0 && inner != NULL && inner->type == JSON_ARRAY) {
        pdk_status status = PDK_OK; /* nested at most as deep as JSON may be */
        for (const struct json *at = inner->child; at != NULL && status == PDK_OK; at = at->next)
            status = decoders_load(decoders, at, err);
        return status;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].type, type) != 0)
            continue;
        if (decoders->count == DECODERS_MAX)
            return pdk_error_set(err, PDK_INVALID, "decoder", "more than %d steps", DECODERS_MAX);
        if (!array_grow(&decoders->steps, &decoders->room, decoders->count + 1))
            return pdk_error_set(err, PDK_NO_MEMORY, "decoder", "out of memory");
        struct decoder *step = &decoders->steps[decoders->count++];
        *step = (struct decoder){.apply = kinds[i].apply};
        return kinds[i].load(step, json, err);
    }
    return pdk_error_value(err, PDK_UNSUPPORTED, "decoder", type, "decoder '%s' is not supported", type);
}

void decoders_done(struct decoders *decoders)
{
    for (size_t i = 0; i < decoders->count; i++) {
        free(decoders->steps[i].from);
        free(decoders->steps[i].to);
    }
    free(decoders->steps);
    *decoders = (struct decoders){0};
}
