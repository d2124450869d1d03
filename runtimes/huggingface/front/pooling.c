/* See the header. Sums run in double over columns in order. */
#include "config.h"

#include "runtimes/huggingface/front/pooling.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const task_names[] = {[PDK_POOL_DEFAULT] = "default",
    [PDK_POOL_EMBED] = "embed",
    [PDK_POOL_CLASSIFY] = "classify",
    [PDK_POOL_SCORE] = "score",
    [PDK_POOL_TOKEN_EMBED] = "token_embed",
    [PDK_POOL_TOKEN_CLASSIFY] = "token_classify"};

enum { TASKS = sizeof task_names / sizeof task_names[0] };

static pdk_status refuse_task(const struct pooling *pooling, int32_t task, pdk_error *err)
{
    char known[96] = "";
    size_t used = 0;
    for (size_t i = 1; i < TASKS; i++)
        if ((pooling->tasks & 1u << i) != 0 && used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s'%s'", used == 0 ? "" : ", ", task_names[i]);
    const char *name = task > 0 && task < TASKS ? task_names[task] : "unknown";
    return pdk_error_value(
        err, PDK_UNSUPPORTED, "task", name, "Unsupported task: '%s' Supported tasks: {%s}", name, known);
}

static pdk_status check_dimensions(
    const struct pooling *pooling, uint32_t dimensions, const char *name, uint32_t *ret_dimensions, pdk_error *err)
{
    char value[16];
    bool allowed = pooling->allowed_count == 0;
    *ret_dimensions = dimensions;
    if (dimensions == 0) {
        *ret_dimensions = pooling->dimensions != 0 ? pooling->dimensions : pooling->width;
        return PDK_OK;
    }
    snprintf(value, sizeof value, "%" PRIu32, dimensions);
    if (!pooling->matryoshka)
        return pdk_error_value(err, PDK_INVALID, "dimensions", value,
            "Model '%s' does not support Matryoshka embeddings; dimensions must be unset (received dimensions=%s).",
            name, value);
    for (uint32_t i = 0; i < pooling->allowed_count; i++)
        allowed |= pooling->allowed[i] == dimensions;
    if (!allowed)
        return pdk_error_value(err, PDK_INVALID, "dimensions", value,
            "Model '%s' does not support %s dimensions: it is not among its matryoshka_dimensions", name, value);
    if (dimensions > pooling->width)
        return pdk_error_value(err, PDK_INVALID, "dimensions", value,
            "dimensions is %s; embeddings of model '%s' have %" PRIu32, value, name, pooling->width);
    return PDK_OK;
}

static bool embeds(int32_t task)
{
    return task == PDK_POOL_EMBED || task == PDK_POOL_TOKEN_EMBED;
}

pdk_status pooling_task_resolve(const struct pooling *pooling, const pdk_pooling *asked, const char *name,
    struct pooling_task *ret_task, pdk_error *err)
{
    int32_t task = asked->task == PDK_POOL_DEFAULT ? pooling->default_task : asked->task;
    if (task < 1 || task >= TASKS || (pooling->tasks & 1u << task) == 0)
        return refuse_task(pooling, task, err);
    bool vectors = embeds(task) || (task == PDK_POOL_SCORE && pooling->pairs_by_cosine);
    struct pooling_task made = {.task = task, .dimensions = pooling->width};
    if (asked->dimensions != 0 && !vectors)
        return pdk_error_set(
            err, PDK_INVALID, "dimensions", "dimensions is for embeddings; the task is %s", task_names[task]);
    pdk_status status = vectors ? check_dimensions(pooling, asked->dimensions, name, &made.dimensions, err) : PDK_OK;
    made.activate = asked->use_activation >= 0 ? asked->use_activation != 0
                    : vectors                  ? pooling->normalise
                                               : pooling->activate;
    if (status == PDK_OK)
        *ret_task = made;
    return status;
}

bool pooling_task_by_token(const struct pooling_task *task)
{
    return task->task == PDK_POOL_TOKEN_EMBED || task->task == PDK_POOL_TOKEN_CLASSIFY;
}

uint32_t pooling_task_width(const struct pooling *pooling, const struct pooling_task *task)
{
    bool vectors = embeds(task->task) || (task->task == PDK_POOL_SCORE && pooling->pairs_by_cosine);
    return vectors ? task->dimensions : task->task == PDK_POOL_SCORE ? 1 : pooling->class_count;
}

static void normalise(float *vector, uint32_t width)
{
    double length = 0;
    for (uint32_t i = 0; i < width; i++)
        length += (double)vector[i] * (double)vector[i];
    length = fmax(sqrt(length), 1e-12);
    for (uint32_t i = 0; i < width; i++)
        vector[i] = (float)((double)vector[i] / length);
}

static pdk_status embed(
    const struct pooling *pooling, const struct pooling_task *task, const float *hidden, float *out, pdk_error *err)
{
    PDK_AUTO_FREE float *whole = calloc(pooling->width, sizeof *whole);
    if (whole == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for an embedding");
    pdk_status status = value_head_apply(&pooling->projection, hidden, pooling->columns, whole, err);
    if (status != PDK_OK)
        return status;
    memcpy(out, whole, task->dimensions * sizeof *out);
    if (task->activate)
        normalise(out, task->dimensions);
    return PDK_OK;
}

static void activate(enum class_activation activation, float *values, uint32_t count)
{
    double largest = -INFINITY, total = 0;
    for (uint32_t i = 0; i < count; i++)
        largest = fmax(largest, (double)values[i]);
    for (uint32_t i = 0; i < count; i++)
        total += exp((double)values[i] - largest);
    for (uint32_t i = 0; i < count; i++) {
        double value = (double)values[i];
        if (activation == CLASS_SIGMOID)
            values[i] = (float)(1 / (1 + exp(-value)));
        else if (activation == CLASS_SOFTMAX)
            values[i] = (float)(exp(value - largest) / total);
    }
}

pdk_status pooling_apply(
    const struct pooling *pooling, const struct pooling_task *task, const float *hidden, float *out, pdk_error *err)
{
    if (embeds(task->task) || (task->task == PDK_POOL_SCORE && pooling->pairs_by_cosine))
        return embed(pooling, task, hidden, out, err);
    pdk_status status = value_head_apply(pooling->classes, hidden, pooling->columns, out, err);
    if (status != PDK_OK)
        return status;
    for (uint32_t i = 0; i < pooling->class_count; i++)
        out[i] = (float)(((double)out[i] - pooling->logit_mean) / pooling->logit_sigma);
    if (task->activate)
        activate(pooling->activation, out, pooling->class_count);
    return PDK_OK;
}

float pooling_cosine(const float *a, const float *b, uint32_t width)
{
    double dot = 0, length_a = 0, length_b = 0;
    for (uint32_t i = 0; i < width; i++) {
        dot += (double)a[i] * (double)b[i];
        length_a += (double)a[i] * (double)a[i];
        length_b += (double)b[i] * (double)b[i];
    }
    return (float)(dot / fmax(sqrt(length_a) * sqrt(length_b), 1e-8));
}
