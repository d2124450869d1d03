/* One row through the experts that it was given to. */
#include "kernels/reference/reference.h"

#include <math.h>

static float clamped(const struct reference_experts *task, float gate, float up)
{
    double g = fmin(gate, task->limit), u = fmin(fmax(up, -task->limit), task->limit);
    return (float)(g / (1 + exp(-task->alpha * g)) * (u + 1));
}

void reference_expert_up(const struct reference_experts *task, size_t expert, const float *x, float *out)
{
    const struct reference_matrix *gate = &task->gates[expert], *up = &task->ups[expert];
    const float *bias = task->bias != NULL ? &task->bias[expert * 2 * gate->rows] : NULL;
    if (!task->clamped) {
        reference_gated(gate, up, x, bias, task->activation, 1, NULL, out);
        return;
    }
    for (size_t n = 0; n < gate->rows; n++) {
        double g = reference_dot(gate, n, x) + (bias != NULL ? bias[n] : 0);
        double u = reference_dot(up, n, x) + (bias != NULL ? bias[gate->rows + n] : 0);
        out[n] = clamped(task, (float)g, (float)u);
    }
}

void reference_experts_down(const struct reference_matrix *downs, const float *bias, size_t chosen, const float *route,
    const float *x, float *out)
{
    size_t columns = downs[0].columns, rows = downs[0].rows;
    for (size_t n = 0; n < rows; n++) {
        double sum = 0;
        for (size_t c = 0; c < chosen; c++) {
            size_t expert = (size_t)route[c];
            double value =
                reference_dot(&downs[expert], n, &x[c * columns]) + (bias != NULL ? bias[expert * rows + n] : 0);
            sum += (double)route[chosen + c] * value;
        }
        out[n] = (float)sum;
    }
}
