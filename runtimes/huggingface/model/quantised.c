/* Finding the tensors that make a linear, and checking their shapes against each other. See the header. */
#include "config.h"

#include "runtimes/huggingface/model/quantised.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "runtimes/huggingface/model/numbers.h"
#include "runtimes/huggingface/model/printable.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 256, CODES_MAX = 1 << 30 };

struct binder {
    struct tensors *tensors;
    const struct quantisation *config;
    bool saw_input_scales, saw_cache_scales;
    pdk_error *err;
};

/* Whether the name ends so; the length of what stands before. */
static bool ends(const struct tensor *tensor, const char *ending, size_t *ret_length)
{
    size_t length = strlen(ending);
    if (tensor->name.length <= length || memcmp(tensor->name.data + tensor->name.length - length, ending, length) != 0)
        return false;
    *ret_length = tensor->name.length - length;
    return true;
}

/* The tensor beside `tensor` with another ending, marked as used; or NULL. */
static struct tensor *beside(const struct binder *b, const struct tensor *tensor, size_t stem, const char *ending)
{
    char name[NAME_BYTES];
    if (stem + strlen(ending) >= sizeof name)
        return NULL;
    snprintf(name, sizeof name, "%.*s%s", (int)stem, tensor->name.data, ending);
    struct tensor *found = tensors_find(b->tensors, name);
    if (found != NULL)
        found->used = true;
    return found;
}

static pdk_status lacks(const struct binder *b, const struct tensor *tensor, const char *what)
{
    return pdk_error_value(b->err, PDK_INVALID, "tensors", tensor->name.data, "%s has no %s beside it",
        printable(tensor->name.data).text, what);
}

static pdk_status misshapen(const struct binder *b, const struct tensor *tensor)
{
    char shape[96] = "";
    for (uint32_t i = 0, used = 0; i < tensor->rank && used < sizeof shape; i++)
        used +=
            (uint32_t)snprintf(shape + used, sizeof shape - used, "%s%" PRIu64, i == 0 ? "" : " x ", tensor->shape[i]);
    return pdk_error_value(b->err, PDK_INVALID, "tensors", tensor->name.data,
        "%s (%s, %s) does not fit the codes it belongs to", printable(tensor->name.data).text, tensor->type_name,
        shape);
}

static bool is_words(const struct tensor *tensor, uint64_t rows, uint64_t columns)
{
    return strcmp(tensor->type_name, "I32") == 0 && tensor->rank == 2 && tensor->shape[0] == rows &&
           tensor->shape[1] == columns;
}

static bool is_float(const struct tensor *tensor)
{
    return tensor->type == PDK_TYPE_F32 || tensor->type == PDK_TYPE_F16 || tensor->type == PDK_TYPE_BF16;
}

static uint64_t over(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

/* Columns with the order that makes groups contiguous, where the file's g_idx has another. */
static pdk_status order_columns(const struct binder *b, const struct tensor *index, struct quantised *q)
{
    bool regular = true;
    if (strcmp(index->type_name, "I32") != 0 || index->rank != 1 || index->shape[0] != q->columns)
        return misshapen(b, index);
    uint32_t *next = calloc(q->groups, sizeof *next), *inputs = calloc(q->columns, sizeof *inputs);
    pdk_status status = PDK_OK;
    if (next == NULL || inputs == NULL)
        status = pdk_error_set(b->err, PDK_NO_MEMORY, "model", "no memory for the order of columns");
    for (uint32_t g = 0; g < q->groups && status == PDK_OK; g++)
        next[g] = g * q->group;
    for (uint32_t k = 0; k < q->columns && status == PDK_OK; k++) {
        uint32_t g;
        memcpy(&g, index->data + 4 * (size_t)k, 4);
        uint64_t end = ((uint64_t)g + 1) * q->group;
        if (g >= q->groups || next[g] >= (end < q->columns ? end : q->columns))
            status = pdk_error_value(b->err, PDK_INVALID, "g_idx", index->name.data,
                "%s: group %" PRIu32 " at %" PRIu32 "; each of %" PRIu32 " groups has %" PRIu32 " columns",
                printable(index->name.data).text, g, k, q->groups, q->group);
        else
            inputs[next[g]++] = k;
        regular &= g == k / q->group;
    }
    free(next);
    if (status != PDK_OK || regular) {
        free(inputs);
        return status;
    }
    q->inputs = inputs;
    return PDK_OK;
}

/* Makes `tensor` the linear that its codes stand for, called "STEM.weight". */
static pdk_status become(
    const struct binder *b, struct tensor *tensor, size_t stem, int32_t type, const struct quantised *from)
{
    static const char ending[] = ".weight";
    struct quantised *q = malloc(sizeof *q);
    char *name = NULL;
    if (q != NULL && (name = malloc(stem + sizeof ending)) != NULL) {
        memcpy(name, tensor->name.data, stem);
        memcpy(name + stem, ending, sizeof ending);
    }
    if (name == NULL) {
        free(q);
        free(from->inputs);
        return pdk_error_set(b->err, PDK_NO_MEMORY, "model", "no memory for a quantised weight");
    }
    *q = *from;
    tensor->quantised = q;
    tensor->own_name = name;
    tensor->name = (pdk_string){name, stem + sizeof ending - 1};
    tensor->type = type;
    tensor->rank = 2;
    tensor->shape[0] = q->rows;
    tensor->shape[1] = q->columns;
    return PDK_OK;
}

static int32_t code_type(uint32_t bits)
{
    return bits == 8 ? PDK_TYPE_S8 : PDK_TYPE_U4;
}

/* AutoAWQ and GPTQ: X.qweight, X.qzeros, X.scales, and GPTQ's X.g_idx. */
static pdk_status bind_words(const struct binder *b, struct tensor *codes, size_t stem)
{
    bool awq = b->config->method == QUANTISATION_AWQ;
    uint32_t each = 32 / b->config->bits;
    const struct tensor *scales = beside(b, codes, stem, ".scales"), *zeros = beside(b, codes, stem, ".qzeros"),
                        *index = beside(b, codes, stem, ".g_idx");
    if (scales == NULL || zeros == NULL)
        return lacks(b, codes, scales == NULL ? "scales" : "qzeros");
    if (strcmp(codes->type_name, "I32") != 0 || codes->rank != 2 || codes->shape[0] > CODES_MAX / each ||
        codes->shape[1] > CODES_MAX / each || codes->shape[0] == 0 || codes->shape[1] == 0)
        return misshapen(b, codes);
    uint64_t columns = codes->shape[0] * (awq ? 1 : each), rows = codes->shape[1] * (awq ? each : 1);
    uint64_t group = b->config->group == 0 || b->config->group > columns ? columns : b->config->group;
    struct quantised q = {.layout = awq ? CODES_AWQ : CODES_GPTQ,
        .bits = b->config->bits,
        .rows = (uint32_t)rows,
        .columns = (uint32_t)columns,
        .group = (uint32_t)group,
        .groups = (uint32_t)over(columns, group),
        .scale_rows = 1,
        .scales_by_column = true,
        .scales = *scales,
        .zeros = *zeros,
        .zero_offset = b->config->zeros_less_one};
    if (!is_float(scales) || scales->rank != 2 || scales->shape[0] != q.groups || scales->shape[1] != rows)
        return misshapen(b, scales);
    if (!is_words(zeros, q.groups, over(rows, each)) || columns % 2 != 0)
        return misshapen(b, zeros);
    pdk_status status = index != NULL && !awq ? order_columns(b, index, &q) : PDK_OK;
    return status == PDK_OK ? become(b, codes, stem, code_type(q.bits), &q) : status;
}

/* Columns of each of `count` groups: a size that the configuration names, as the last may be short; 0: it cannot be. */
static uint32_t group_of(const struct quantisation *config, uint32_t columns, uint32_t count)
{
    for (size_t i = 0; i < QUANTISATION_SCHEMES_MAX && config->groups[i] != 0; i++)
        if (over(columns, config->groups[i]) == count)
            return config->groups[i] < columns ? config->groups[i] : columns;
    return columns % count == 0 ? columns / count : 0;
}

/* Scales of a tensor, of rows, of groups of a row's columns, or of blocks: which, their shape tells. */
static pdk_status fit_scales(const struct binder *b, const struct tensor *scales, struct quantised *q)
{
    uint64_t count = 1, last = scales->rank == 2 ? scales->shape[1] : 1;
    for (uint32_t i = 0; i < scales->rank; i++)
        count = scales->rank <= 2 && scales->shape[i] <= CODES_MAX ? count * scales->shape[i] : 0;
    q->scales = *scales;
    q->scale_rows = 1;
    q->groups = 1;
    q->group = q->columns;
    if (!is_float(scales) || count == 0)
        return misshapen(b, scales);
    uint32_t block_rows = b->config->block_rows, block_cols = b->config->block_cols;
    if (block_rows != 0 && scales->rank == 2 && scales->shape[0] == over(q->rows, block_rows) &&
        scales->shape[1] == over(q->columns, block_cols)) {
        q->scale_rows = block_rows;
        q->group = block_cols < q->columns ? block_cols : q->columns;
        q->groups = (uint32_t)scales->shape[1];
    } else if (count == 1) {
        q->scale_rows = q->rows;
    } else if (scales->shape[0] != q->rows || last > q->columns) {
        return misshapen(b, scales);
    } else {
        q->groups = (uint32_t)last;
        q->group = group_of(b->config, q->columns, (uint32_t)last);
    }
    return q->group != 0 ? PDK_OK : misshapen(b, scales);
}

static pdk_status fit_zeros(const struct binder *b, const struct tensor *zeros, struct quantised *q)
{
    if (zeros == NULL)
        return PDK_OK;
    q->zeros = *zeros;
    if (q->layout == CODES_PACKED_ROWS)
        return is_words(zeros, over(q->rows, 32 / q->bits), q->groups) ? PDK_OK : misshapen(b, zeros);
    uint64_t last = zeros->rank == 2 ? zeros->shape[1] : 1, first = zeros->rank != 0 ? zeros->shape[0] : 1;
    bool fits = strcmp(zeros->type_name, "I8") == 0 && zeros->rank <= 2 && last == q->groups &&
                first == over(q->rows, q->scale_rows);
    return fits ? PDK_OK : misshapen(b, zeros);
}

/* X.weight itself holds bytes. */
static pdk_status bind_bytes(const struct binder *b, struct tensor *codes, size_t stem)
{
    bool is_f8 = strcmp(codes->type_name, "F8_E4M3") == 0;
    const struct tensor *scales = beside(b, codes, stem, ".weight_scale");
    if (scales == NULL)
        scales = beside(b, codes, stem, ".weight_scale_inv");
    if (scales == NULL)
        return lacks(b, codes, "weight_scale");
    if (codes->rank != 2 || codes->shape[0] > CODES_MAX || codes->shape[1] > CODES_MAX || codes->shape[0] == 0 ||
        codes->shape[1] == 0)
        return misshapen(b, codes);
    struct quantised q = {
        .layout = CODES_ROWS, .bits = 8, .rows = (uint32_t)codes->shape[0], .columns = (uint32_t)codes->shape[1]};
    pdk_status status = fit_scales(b, scales, &q);
    const struct tensor *zeros = is_f8 ? NULL : beside(b, codes, stem, ".weight_zero_point");
    if (is_f8) /* always 0 where it is there */
        beside(b, codes, stem, ".weight_zero_point");
    if (status == PDK_OK)
        status = fit_zeros(b, zeros, &q);
    return status == PDK_OK ? become(b, codes, stem, is_f8 ? PDK_TYPE_F8 : PDK_TYPE_S8, &q) : status;
}

/* compressed-tensors' X.weight_packed, X.weight_shape, X.weight_scale, X.weight_zero_point, X.weight_g_idx. */
static pdk_status bind_packed(const struct binder *b, struct tensor *codes, size_t stem)
{
    const struct tensor *shape = beside(b, codes, stem, ".weight_shape"),
                        *scales = beside(b, codes, stem, ".weight_scale"),
                        *zeros = beside(b, codes, stem, ".weight_zero_point"),
                        *index = beside(b, codes, stem, ".weight_g_idx");
    if (shape == NULL || scales == NULL)
        return lacks(b, codes, shape == NULL ? "weight_shape" : "weight_scale");
    uint64_t size[2] = {0};
    bool wide = strcmp(shape->type_name, "I64") == 0;
    if ((!wide && strcmp(shape->type_name, "I32") != 0) || shape->rank != 1 || shape->shape[0] != 2)
        return misshapen(b, shape);
    for (size_t i = 0; i < 2; i++)
        memcpy(&size[i], shape->data + i * (wide ? 8 : 4), wide ? 8 : 4);
    if (size[0] == 0 || size[0] > CODES_MAX || size[1] == 0 || size[1] > CODES_MAX || size[1] % 2 != 0)
        return misshapen(b, shape);
    uint32_t bits = is_words(codes, size[0], over(size[1], 8)) ? 4 : is_words(codes, size[0], over(size[1], 4)) ? 8 : 0;
    if (bits == 0)
        return misshapen(b, codes);
    struct quantised q = {
        .layout = CODES_PACKED_ROWS, .bits = bits, .rows = (uint32_t)size[0], .columns = (uint32_t)size[1]};
    pdk_status status = fit_scales(b, scales, &q);
    if (status == PDK_OK)
        status = fit_zeros(b, zeros, &q);
    if (status == PDK_OK && index != NULL)
        status = order_columns(b, index, &q);
    return status == PDK_OK ? become(b, codes, stem, code_type(bits), &q) : status;
}

static bool is_zero(const struct tensor *tensor)
{
    for (uint64_t i = 0; i < tensor->bytes; i++)
        if ((tensor->data[i] & 0x7f) != 0)
            return false;
    return true;
}

/* Tensors that tell how to round what stays float here, and biases of nothing, which some writers add. */
static void mark_others(struct binder *b, struct tensor *tensor)
{
    static const char *const inputs[] = {".input_scale", ".input_zero_point", ".output_scale", ".output_zero_point",
        ".input_scale_ub", ".input_global_scale"},
                             *const cache[] = {".k_scale", ".v_scale", ".q_scale", ".k_zero_point", ".v_zero_point",
                                 ".prob_scale", ".k_proj.output_scale", ".v_proj.output_scale"};
    size_t stem;
    for (size_t i = 0; i < sizeof cache / sizeof cache[0]; i++)
        if (ends(tensor, cache[i], &stem)) {
            tensor->used = b->saw_cache_scales = true;
            return;
        }
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++)
        if (ends(tensor, inputs[i], &stem))
            tensor->used = b->saw_input_scales = true;
    if (b->config->method == QUANTISATION_GPTQ && ends(tensor, ".bias", &stem) &&
        beside(b, tensor, stem, ".qweight") != NULL && is_zero(tensor))
        tensor->used = true;
}

static pdk_status bind_one(struct binder *b, struct tensor *tensor)
{
    size_t stem;
    bool words = b->config->method == QUANTISATION_AWQ || b->config->method == QUANTISATION_GPTQ;
    if (words && ends(tensor, ".qweight", &stem))
        return bind_words(b, tensor, stem);
    if (words)
        return PDK_OK;
    if (b->config->method == QUANTISATION_COMPRESSED && ends(tensor, ".weight_packed", &stem))
        return bind_packed(b, tensor, stem);
    if (ends(tensor, ".weight", &stem) &&
        (strcmp(tensor->type_name, "F8_E4M3") == 0 ||
            (b->config->method == QUANTISATION_COMPRESSED && strcmp(tensor->type_name, "I8") == 0)))
        return bind_bytes(b, tensor, stem);
    return PDK_OK;
}

pdk_status quantised_bind(struct tensors *tensors, const struct quantisation *config,
    void (*note)(void *context, const char *text), void *note_context, pdk_error *err)
{
    struct binder b = {.tensors = tensors, .config = config, .err = err};
    if (config->method == QUANTISATION_NONE || config->method == QUANTISATION_MXFP4)
        return PDK_OK;
    for (size_t i = 0; i < tensors->count; i++)
        mark_others(&b, &tensors->items[i]);
    /* Names change, and with them the order: what is bound stands in a list of its own until all is. */
    struct tensor *bound = calloc(tensors->count + 1, sizeof *bound);
    if (bound == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "tensors", "no memory for %zu tensors", tensors->count);
    memcpy(bound, tensors->items, tensors->count * sizeof *bound);
    pdk_status status = PDK_OK;
    for (size_t i = 0; i < tensors->count && status == PDK_OK; i++)
        status = bind_one(&b, &bound[i]);
    for (size_t i = 0; i < tensors->count; i++)
        bound[i].used = bound[i].quantised == NULL && tensors->items[i].used;
    free(tensors->items);
    tensors->items = bound;
    if (status == PDK_OK)
        status = tensors_sort(tensors, err);
    if (status != PDK_OK || note == NULL)
        return status;
    if (config->has_activations || b.saw_input_scales)
        note(note_context,
            "quantization_config: activations stay float; rounding them as the model was tuned for has no effect");
    if (config->has_cache || b.saw_cache_scales)
        note(
            note_context, "quantization_config: kv_cache_scheme has no effect: the cache's type is --kv-cache-dtype's");
    return PDK_OK;
}

void quantised_free(struct quantised *quantised)
{
    if (quantised != NULL)
        free(quantised->inputs);
    free(quantised);
}
