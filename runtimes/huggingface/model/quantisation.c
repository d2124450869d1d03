/* See the header. */
#include "config.h"

#include "runtimes/huggingface/model/quantisation.h"

#include "core/base/error.h"
#include "runtimes/huggingface/model/printable.h"

#include <inttypes.h>
#include <string.h>

#define KNOWN "awq, gptq, fp8, compressed-tensors, mxfp4"

static const struct {
    const char *name;
    enum quantisation_method method;
} methods[] = {{"awq", QUANTISATION_AWQ}, {"gptq", QUANTISATION_GPTQ}, {"fp8", QUANTISATION_FP8},
    {"fbgemm_fp8", QUANTISATION_FP8}, {"compressed-tensors", QUANTISATION_COMPRESSED},
    {"compressed_tensors", QUANTISATION_COMPRESSED}, {"mxfp4", QUANTISATION_MXFP4}};

const char *quantisation_name(enum quantisation_method method)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (methods[i].method == method)
            return methods[i].name;
    return NULL;
}

static pdk_status refuse(const char *field, const char *value, const char *known, pdk_error *err)
{
    return pdk_error_value(err, PDK_UNSUPPORTED, field, value, "quantization_config: %s '%s' is not read; known: %s",
        field, printable(value).text, known);
}

/* A string of the first name that is there, or `absent`. */
static const char *text_of(const struct json *config, const char *name, const char *other, const char *absent)
{
    const char *text = absent;
    if (!json_string(json_get(config, name), &text) && other != NULL)
        json_string(json_get(config, other), &text);
    return text;
}

static pdk_status whole_of(const struct json *config, const char *name, const char *other, int64_t least, int64_t most,
    int64_t absent, int64_t *ret_value, pdk_error *err)
{
    const struct json *value = json_get(config, name);
    if (value == NULL && other != NULL)
        value = json_get(config, other);
    *ret_value = absent;
    if (value == NULL || value->type == JSON_NULL)
        return PDK_OK;
    if (!json_int64(value, ret_value) || *ret_value < least || *ret_value > most)
        return pdk_error_set(err, PDK_INVALID, name,
            "quantization_config: %s must be a whole number from %" PRId64 " to %" PRId64, name, least, most);
    return PDK_OK;
}

static bool is_true(const struct json *config, const char *name)
{
    bool value = false;
    return json_bool(json_get(config, name), &value) && value;
}

/* Whether a member is there and says something. */
static bool is_given(const struct json *config, const char *name)
{
    const struct json *value = json_get(config, name);
    return value != NULL && value->type != JSON_NULL && value->type != JSON_FALSE &&
           !((value->type == JSON_OBJECT || value->type == JSON_ARRAY) && value->count == 0);
}

static pdk_status read_group(const struct json *config, struct quantisation *out, pdk_error *err)
{
    int64_t group;
    pdk_status status = whole_of(config, "group_size", "q_group_size", -1, 1 << 24, 128, &group, err);
    out->group = group > 0 ? (uint32_t)group : 0;
    return status;
}

static pdk_status read_awq(const struct json *config, struct quantisation *out, pdk_error *err)
{
    int64_t bits;
    const char *version = text_of(config, "version", NULL, "gemm");
    pdk_status status = whole_of(config, "bits", "w_bit", 1, 16, 4, &bits, err);
    if (status == PDK_OK)
        status = read_group(config, out, err);
    if (status != PDK_OK)
        return status;
    if (bits != 4)
        return pdk_error_set(
            err, PDK_UNSUPPORTED, "bits", "quantization_config: awq of %" PRId64 " bits is not read; known: 4", bits);
    if (strcmp(version, "gemm") != 0 && strcmp(version, "GEMM") != 0)
        return refuse("version", version, "gemm", err);
    const struct json *zero_point = json_get(config, "zero_point");
    if (zero_point != NULL && zero_point->type == JSON_FALSE)
        return refuse("zero_point", "false", "true", err);
    out->bits = 4;
    return PDK_OK;
}

static pdk_status read_gptq(const struct json *config, struct quantisation *out, pdk_error *err)
{
    int64_t bits;
    const char *format = text_of(config, "checkpoint_format", "format", "gptq");
    pdk_status status = whole_of(config, "bits", NULL, 1, 16, 4, &bits, err);
    if (status == PDK_OK)
        status = read_group(config, out, err);
    if (status != PDK_OK)
        return status;
    if (bits != 2 && bits != 4 && bits != 8)
        return pdk_error_set(err, PDK_UNSUPPORTED, "bits",
            "quantization_config: gptq of %" PRId64 " bits is not read; known: 2, 4, 8", bits);
    if (is_true(config, "is_marlin_format"))
        format = "marlin";
    if (strcmp(format, "gptq") != 0 && strcmp(format, "gptq_v2") != 0)
        return refuse("checkpoint_format", format, "gptq, gptq_v2", err);
    if (is_given(config, "dynamic"))
        return pdk_error_set(
            err, PDK_UNSUPPORTED, "dynamic", "quantization_config: 'dynamic', settings of single modules, is not read");
    out->bits = (uint32_t)bits;
    out->zeros_less_one = strcmp(format, "gptq") == 0;
    return PDK_OK;
}

static pdk_status read_fp8(const struct json *config, struct quantisation *out, pdk_error *err)
{
    const char *format = text_of(config, "fmt", NULL, "e4m3");
    const struct json *block = json_get(config, "weight_block_size");
    int64_t rows = 0, columns = 0;
    if (strcmp(format, "e4m3") != 0 && strcmp(format, "float8_e4m3fn") != 0)
        return refuse("fmt", format, "e4m3", err);
    if (block != NULL && block->type != JSON_NULL &&
        (block->type != JSON_ARRAY || block->count != 2 || !json_int64(block->child, &rows) ||
            !json_int64(block->child->next, &columns) || rows < 1 || columns < 1 || rows > 1 << 24 ||
            columns > 1 << 24))
        return pdk_error_set(err, PDK_INVALID, "weight_block_size",
            "quantization_config: weight_block_size must be two whole numbers from 1 to %d", 1 << 24);
    out->block_rows = (uint32_t)rows;
    out->block_cols = (uint32_t)columns;
    out->has_activations = true;
    return PDK_OK;
}

static pdk_status check_scheme(const struct json *scheme, pdk_error *err)
{
    static const char *const formats[] = {"int-quantized", "float-quantized", "pack-quantized", "naive-quantized"};
    const struct json *weights = json_get(scheme, "weights");
    const char *format = text_of(scheme, "format", NULL, formats[0]), *type = text_of(weights, "type", NULL, "int");
    int64_t bits;
    pdk_status status = whole_of(weights, "num_bits", NULL, 1, 32, 8, &bits, err);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (status == PDK_OK && strcmp(format, formats[i]) == 0) {
            if ((strcmp(type, "int") == 0 && (bits == 4 || bits == 8)) || (strcmp(type, "float") == 0 && bits == 8))
                return PDK_OK;
            return pdk_error_set(err, PDK_UNSUPPORTED, "config_groups",
                "quantization_config: weights of type %s with %" PRId64
                " bits are not read; known: int of 4 and 8, float of 8",
                printable(type).text, bits);
        }
    if (status != PDK_OK)
        return status;
    return refuse("format", format, "int-quantized, float-quantized, pack-quantized, naive-quantized", err);
}

static pdk_status read_compressed(const struct json *config, struct quantisation *out, pdk_error *err)
{
    const char *format = text_of(config, "format", NULL, "int-quantized");
    const char *sparsity = text_of(json_get(config, "sparsity_config"), "format", NULL, "dense");
    const struct json *groups = json_get(config, "config_groups");
    if (strcmp(sparsity, "dense") != 0)
        return refuse("sparsity_config.format", sparsity, "dense", err);
    if (is_given(config, "transform_config"))
        return pdk_error_set(
            err, PDK_UNSUPPORTED, "transform_config", "quantization_config: 'transform_config' is not read");
    if (strcmp(format, "dense") == 0)
        return PDK_OK;
    if (groups == NULL || groups->type != JSON_OBJECT)
        return pdk_error_set(err, PDK_INVALID, "config_groups", "quantization_config: config_groups is missing");
    pdk_status status = PDK_OK;
    if (strcmp(format, "mixed-precision") != 0 && groups->count != 0 && json_get(groups->child, "format") == NULL &&
        strcmp(format, "int-quantized") != 0 && strcmp(format, "float-quantized") != 0 &&
        strcmp(format, "pack-quantized") != 0 && strcmp(format, "naive-quantized") != 0)
        return refuse("format", format, "int-quantized, float-quantized, pack-quantized, naive-quantized", err);
    size_t schemes = 0;
    for (const struct json *scheme = groups->child; scheme != NULL && status == PDK_OK; scheme = scheme->next) {
        int64_t group = 0;
        status = check_scheme(scheme, err);
        if (status == PDK_OK)
            status = whole_of(json_get(scheme, "weights"), "group_size", NULL, -1, 1 << 24, 0, &group, err);
        if (status == PDK_OK && group > 0 && schemes == QUANTISATION_SCHEMES_MAX)
            return pdk_error_set(err, PDK_UNSUPPORTED, "config_groups",
                "quantization_config: more than %d config_groups with a group_size", QUANTISATION_SCHEMES_MAX);
        if (status == PDK_OK && group > 0)
            out->groups[schemes++] = (uint32_t)group;
        out->has_activations |= is_given(scheme, "input_activations") || is_given(scheme, "output_activations");
    }
    out->has_cache = is_given(config, "kv_cache_scheme");
    return status;
}

pdk_status quantisation_read(struct config_reader *reader, struct quantisation *ret_quantisation, pdk_error *err)
{
    struct quantisation out = {0};
    const struct json *config = config_find(reader, "quantization_config|compression_config");
    if (config == NULL) {
        *ret_quantisation = out;
        return PDK_OK;
    }
    if (config->type != JSON_OBJECT)
        return pdk_error_set(err, PDK_INVALID, "quantization_config", "quantization_config must be an object, not %s",
            json_type_name(config));
    /* Of compression_config, as older files call it, the method is known. */
    const char *name =
        text_of(config, "quant_method", NULL, is_given(config, "config_groups") ? "compressed-tensors" : "");
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(methods[i].name, name) == 0)
            out.method = methods[i].method;
    pdk_status status = PDK_OK;
    switch (out.method) {
    case QUANTISATION_AWQ: status = read_awq(config, &out, err); break;
    case QUANTISATION_GPTQ: status = read_gptq(config, &out, err); break;
    case QUANTISATION_FP8: status = read_fp8(config, &out, err); break;
    case QUANTISATION_COMPRESSED: status = read_compressed(config, &out, err); break;
    case QUANTISATION_MXFP4: break;
    default: return refuse("quant_method", name[0] != '\0' ? name : "none given", KNOWN, err);
    }
    if (status == PDK_OK)
        *ret_quantisation = out;
    return status;
}
