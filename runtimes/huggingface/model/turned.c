/* The backend multiplies the matrix by ones: row k of the unit matrix gives column k, to the bit, as all other products
 * are zeros. So the runtime needs to know no more of a type than how long its rows are. */
#include "config.h"

#include "runtimes/huggingface/model/turned.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <stdlib.h>

/* What the multiplication takes, on the backend. */
struct turning_ops {
    pdk_weight *weight;
    pdk_rows *in, *out;
    pdk_queue *queue;
};

static void turning_done(const struct model *model, struct turning_ops *t)
{
    model->ops->weight_free(model->compute, t->weight);
    model->ops->rows_free(model->compute, t->in);
    model->ops->rows_free(model->compute, t->out);
    if (t->queue != NULL)
        model->ops->queue_free(model->compute, t->queue);
}

/* Rows of the tensor as they are. */
static pdk_status load_plain(
    struct model *model, const struct weight_part *turned, pdk_weight **ret_weight, pdk_error *err)
{
    const struct weight_part plain = {.tensor = turned->tensor,
        .first_row = turned->gather.first,
        .rows = turned->columns,
        .columns = turned->rows,
        .type = turned->tensor->type};
    PDK_AUTO_FREE void *buffer = NULL;
    pdk_matrix matrix;
    pdk_status status = weight_part_read(&model->config, &plain, &matrix, &buffer, err);
    return status == PDK_OK ? model->ops->weight_load(model->compute, &matrix, 1, PDK_WEIGHT_LINEAR, ret_weight, err)
                            : status;
}

/* values: [columns][rows] of the plain matrix; `unit` is [columns][columns] zeros. */
static pdk_status multiply(struct model *model, struct turning_ops *t, uint32_t rows, uint32_t columns, float *unit,
    float *values, pdk_error *err)
{
    const pdk_ops *ops = model->ops;
    const pdk_batch batch = {.row_count = columns};
    pdk_status status = ops->rows_new(model->compute, columns, columns, &t->in, err);
    if (status == PDK_OK)
        status = ops->rows_new(model->compute, columns, rows, &t->out, err);
    if (status == PDK_OK)
        status = ops->queue_new(model->compute, columns, 1, &t->queue, err);
    if (status != PDK_OK)
        return status;
    for (size_t k = 0; k < columns; k++)
        unit[k * columns + k] = 1;
    ops->rows_write(model->compute, t->in, 0, columns, unit);
    ops->queue_begin(t->queue, &batch);
    ops->linear(t->queue, &(pdk_linear){.in = t->in, .weight = t->weight, .out = t->out, .scale = 1});
    status = ops->queue_submit(t->queue, err);
    if (status == PDK_OK)
        status = ops->queue_wait(t->queue, err);
    if (status == PDK_OK)
        ops->rows_read(model->compute, t->out, 0, columns, values);
    return status;
}

pdk_status turned_load(struct model *model, const struct planned_weight *weight, pdk_error *err)
{
    uint32_t rows = weight->parts[0].columns, columns = weight->parts[0].rows;
    struct turning_ops t = {0};
    PDK_AUTO_FREE float *unit = calloc((size_t)columns * columns, sizeof *unit);
    PDK_AUTO_FREE float *values = calloc((size_t)columns * rows, sizeof *values);
    if (unit == NULL || values == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model", "no memory to turn %u x %u weights", rows, columns);
    pdk_status status = load_plain(model, &weight->parts[0], &t.weight, err);
    if (status == PDK_OK)
        status = multiply(model, &t, rows, columns, unit, values, err);
    turning_done(model, &t);
    const pdk_matrix turned = {.type = PDK_TYPE_F32, .rows = columns, .columns = rows, .data = values};
    return status == PDK_OK ? model->ops->weight_load(model->compute, &turned, 1, PDK_WEIGHT_LINEAR, weight->slot, err)
                            : status;
}
