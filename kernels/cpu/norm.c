/* Norms of a row or group. Sums run in 16 lanes over the row, then by lanes_sum's tree: the order depends on n alone.
 */
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/lanes.h"

#include <math.h>

LANES_INLINE lanes load_at(const float *at, size_t i, size_t n)
{
    return n - i >= LANES ? lanes_load(at + i) : lanes_load_part(at + i, n - i);
}

LANES_INLINE void store_at(float *at, size_t i, size_t n, lanes x)
{
    if (n - i >= LANES)
        lanes_store(at + i, x);
    else
        lanes_store_part(at + i, x, n - i);
}

/* in += add; the sum of what is in it then, and of its squares */
LANES_INLINE void add_and_sum(float *in, const float *add, size_t n, lanes *ret_sum, lanes *ret_squares)
{
    lanes sum = lanes_set(0), squares = lanes_set(0);
    for (size_t i = 0; i < n; i += LANES) {
        lanes x = load_at(in, i, n);
        if (add != NULL) {
            x = lanes_add(x, load_at(add, i, n));
            store_at(in, i, n, x);
        }
        sum = lanes_add(sum, x);
        squares = lanes_fma(x, x, squares);
    }
    *ret_sum = sum;
    *ret_squares = squares;
}

/* out = (in - mean) * factor * weight + bias */
LANES_INLINE void write_out(
    const float *in, float mean, float factor, const float *weight, const float *bias, size_t n, float *out)
{
    for (size_t i = 0; i < n; i += LANES) {
        lanes x = lanes_mul(lanes_sub(load_at(in, i, n), lanes_set(mean)), lanes_set(factor));
        if (weight != NULL)
            x = lanes_mul(x, load_at(weight, i, n));
        if (bias != NULL)
            x = lanes_add(x, load_at(bias, i, n));
        store_at(out, i, n, x);
    }
}

void KERNEL(norm_rms)(
    float *in, const float *add, const float *weight, const float *bias, size_t n, float epsilon, float *out)
{
    lanes sum, squares;
    add_and_sum(in, add, n, &sum, &squares);
    write_out(in, 0, 1 / sqrtf(lanes_sum(squares) / (float)n + epsilon), weight, bias, n, out);
}

/* The variance is summed in a second pass, around the mean: the difference of two sums would cancel. */
void KERNEL(norm_layer)(
    float *in, const float *add, const float *weight, const float *bias, size_t n, float epsilon, float *out)
{
    lanes sum, squares;
    add_and_sum(in, add, n, &sum, &squares);
    float mean = lanes_sum(sum) / (float)n;
    squares = lanes_set(0);
    for (size_t i = 0; i < n; i += LANES) {
        lanes x = lanes_sub(load_at(in, i, n), lanes_set(mean));
        if (n - i < LANES) {
            float rest[LANES];
            lanes_store(rest, x);
            x = lanes_load_part(rest, n - i); /* the lanes past the row hold -mean */
        }
        squares = lanes_fma(x, x, squares);
    }
    write_out(in, mean, 1 / sqrtf(lanes_sum(squares) / (float)n + epsilon), weight, bias, n, out);
}
