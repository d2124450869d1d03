/* Frequencies as transformers' modeling_rope_utils defines them, in double, rounded once: the reference's own float32
 * differs by less than the rounding of its angles. default  theta^(-2i/dims) linear   that / factor llama3 wavelengths
 * beyond original/low are divided by factor, below original/high kept, between them blended (Llama 3.1's release) yarn
 * blended by how many turns a pair makes over the original context (Peng et al. 2023, section 3.2) */
#include "config.h"

#include "runtimes/huggingface/model/rope.h"

#include <math.h>

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

static double llama3(const struct rope_config *rope, double frequency)
{
    double turns = rope->original_context * frequency / (2 * M_PI);
    double low = rope->low_frequency_factor, high = rope->high_frequency_factor;
    double kept = clamp((turns - low) / (high - low), 0, 1);
    return kept * frequency + (1 - kept) * frequency / rope->factor;
}

/* The pair that makes so many turns over the original context, as a real number. */
static double yarn_pair(const struct rope_config *rope, double turns)
{
    return rope->dims * log(rope->original_context / (turns * 2 * M_PI)) / (2 * log(rope->theta));
}

static double yarn(const struct rope_config *rope, double frequency, uint32_t pair)
{
    double low = yarn_pair(rope, rope->beta_fast), high = yarn_pair(rope, rope->beta_slow);
    if (rope->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = low < 0 ? 0 : low;
    high = high > rope->dims - 1.0 ? rope->dims - 1.0 : high;
    if (low == high)
        high += 0.001;
    double scaled = clamp((pair - low) / (high - low), 0, 1);
    return scaled * frequency / rope->factor + (1 - scaled) * frequency;
}

void rope_frequencies(const struct rope_config *rope, const float *divisors, float *ret_frequencies)
{
    for (uint32_t i = 0; i < rope->dims / 2; i++) {
        double frequency = pow(rope->theta, -2.0 * i / rope->dims);
        if (divisors != NULL)
            frequency /= (double)divisors[i];
        switch (rope->type) {
        case ROPE_DEFAULT: break;
        case ROPE_LINEAR: frequency /= rope->factor; break;
        case ROPE_LLAMA3: frequency = llama3(rope, frequency); break;
        case ROPE_YARN: frequency = yarn(rope, frequency, i); break;
        }
        ret_frequencies[i] = (float)frequency;
    }
}

static double magnitude_of(double factor, double scale)
{
    return factor <= 1 ? 1 : 0.1 * scale * log(factor) + 1;
}

float rope_magnitude(const struct rope_config *rope)
{
    if (rope->type != ROPE_YARN)
        return 1;
    if (rope->attention_factor != 0)
        return (float)rope->attention_factor;
    if (rope->mscale != 0 && rope->mscale_all_dim != 0)
        return (float)(magnitude_of(rope->factor, rope->mscale) / magnitude_of(rope->factor, rope->mscale_all_dim));
    return (float)magnitude_of(rope->factor, 1);
}
