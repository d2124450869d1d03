/* What follows a product while its sums are at hand: bias, activation, gate, scale, residual, soft cap. */
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/lanes_math.h"

LANES_INLINE lanes activate(int activation, lanes x)
{
    switch (activation) {
    case ACTIVATION_RELU: return lanes_max(x, lanes_set(0));
    case ACTIVATION_SILU: return lanes_mul(x, lanes_sigmoid(x));
    case ACTIVATION_GELU: return lanes_gelu(x);
    case ACTIVATION_GELU_TANH: return lanes_gelu_tanh(x);
    default: return x;
    }
}

/* g * sigmoid(alpha * g) * (u + 1), g at most the limit, u within it */
LANES_INLINE lanes clamped(const struct finish *task, lanes gate, lanes up)
{
    lanes limit = lanes_set(task->limit), g = lanes_min(gate, limit);
    lanes u = lanes_min(lanes_max(up, lanes_set(-task->limit)), limit);
    lanes glu = lanes_mul(g, lanes_sigmoid(lanes_mul(lanes_set(task->alpha), g)));
    return lanes_mul(lanes_add(u, lanes_set(1)), glu);
}

LANES_INLINE lanes load_width(const float *at, size_t width)
{
    return width == LANES ? lanes_load(at) : lanes_load_part(at, width);
}

LANES_INLINE void finish_rows(const struct finish *task, const int activation)
{
    size_t width = task->width;
    lanes bias = task->bias != NULL ? load_width(task->bias, width) : lanes_set(0);
    lanes second_bias = task->second_bias != NULL ? load_width(task->second_bias, width) : lanes_set(0);
    lanes scale = lanes_set(task->scale), cap = lanes_set(task->soft_cap);
    for (size_t r = 0; r < task->rows; r++) {
        lanes x = activate(activation, lanes_add(lanes_load(&task->sums[r * LANES]), bias));
        if (activation == ACTIVATION_CLAMPED)
            x = clamped(task, x, lanes_add(lanes_load(&task->second[r * LANES]), second_bias));
        else if (task->second != NULL)
            x = lanes_mul(x, lanes_add(lanes_load(&task->second[r * LANES]), second_bias));
        x = lanes_mul(x, scale);
        if (task->residual != NULL)
            x = lanes_add(x, load_width(&task->residual[r * task->residual_stride], width));
        if (task->soft_cap != 0)
            x = lanes_mul(cap, lanes_tanh(lanes_div(x, cap)));
        if (width == LANES)
            lanes_store(&task->out[r * task->out_stride], x);
        else
            lanes_store_part(&task->out[r * task->out_stride], x, width);
    }
}

void KERNEL(finish)(const struct finish *task)
{
    switch (task->activation) {
    case ACTIVATION_RELU: finish_rows(task, ACTIVATION_RELU); break;
    case ACTIVATION_SILU: finish_rows(task, ACTIVATION_SILU); break;
    case ACTIVATION_GELU: finish_rows(task, ACTIVATION_GELU); break;
    case ACTIVATION_GELU_TANH: finish_rows(task, ACTIVATION_GELU_TANH); break;
    case ACTIVATION_CLAMPED: finish_rows(task, ACTIVATION_CLAMPED); break;
    default: finish_rows(task, ACTIVATION_NONE); break;
    }
}
