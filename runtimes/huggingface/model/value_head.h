/* runtimes/huggingface/model/value_head.h: a few dense layers over one hidden state: what makes classes or a score of
 * it, or an embedding of another width. Constant once loaded; any thread may apply it. */
#pragma once

#include "runtimes/huggingface/model/tensors.h"

enum value_activation { VALUE_NONE, VALUE_TANH, VALUE_RELU, VALUE_SILU, VALUE_GELU, VALUE_GELU_TANH, VALUE_SIGMOID };
enum { VALUE_LAYERS_MAX = 8 };

/* out = norm(activation(weight * in + bias)) */
struct value_layer {
    uint32_t rows, columns;
    float *weight;       /* [rows][columns] */
    float *bias;         /* [rows], or NULL */
    float *norm, *shift; /* [rows] of a layer norm's weight and bias, or NULL: there is none */
    double epsilon;      /* of that norm */
    enum value_activation activation;
};

struct value_head {
    struct value_layer layers[VALUE_LAYERS_MAX];
    uint32_t count;
};

/* The tensors of a layer still in their files, their shapes not yet looked at. */
struct value_tensors {
    const struct tensor *weight, *bias, *norm, *shift; /* all but `weight` may be NULL */
};

/* Appends a layer that takes `columns` numbers; copies the tensors' values. PDK_INVALID names a tensor of wrong shape.
 */
pdk_status value_head_add(struct value_head *head, const struct value_tensors *tensors, uint32_t columns,
    enum value_activation activation, double epsilon, pdk_error *err);
void value_head_done(struct value_head *head);

/* What the last layer gives; `width`, that of a hidden state, where there is none. */
static inline uint32_t value_head_width(const struct value_head *head, uint32_t width)
{
    return head->count > 0 ? head->layers[head->count - 1].rows : width;
}
uint64_t value_head_bytes(const struct value_head *head);
/* out[value_head_width] of in[width]. */
pdk_status value_head_apply(const struct value_head *head, const float *in, uint32_t width, float *out, pdk_error *err);
/* "gelu", "torch.nn.modules.activation.Tanh", …; false: not known. */
bool value_activation_named(const char *name, enum value_activation *ret_activation);
