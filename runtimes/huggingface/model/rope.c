/* Frequencies as transformers' modeling_rope_utils defines them, in double, rounded once: the reference's own float32
 * differs by less than the rounding of its angles.
 *   default  theta^(-2i/dims)
 *   linear   that / factor
 *   dynamic  of a larger theta, where longer requests are to be served than the model was made for
 *   llama3   wavelengths beyond original/low are divided by factor, below original/high kept, between them blended
 *            (Llama 3.1's release)
 *   yarn     blended by how many turns a pair makes over the original context (Peng et al. 2023, section 3.2)
 *   longrope each divided by a factor of its own, one list for short and one for long contexts (Ding et al. 2024) */
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

/* The base that makes the longest wave as long for the wanted context as it was for the trained one. */
static double theta_of(const struct rope_config *rope)
{
    if (rope->type != ROPE_DYNAMIC || rope->wanted_context <= rope->trained_context || rope->dims <= 2)
        return rope->theta;
    double stretch = rope->factor * rope->wanted_context / rope->trained_context - (rope->factor - 1);
    return rope->theta * pow(stretch, rope->dims / (rope->dims - 2.0));
}

void rope_frequencies(const struct rope_config *rope, const float *divisors, float *ret_frequencies)
{
    double theta = theta_of(rope);
    if (divisors == NULL && rope->factor_count != 0)
        divisors = rope->factors;
    for (uint32_t i = 0; i < rope->dims / 2; i++) {
        double frequency = pow(theta, -2.0 * i / rope->dims);
        if (divisors != NULL)
            frequency /= (double)divisors[i];
        switch (rope->type) {
        case ROPE_DEFAULT:
        case ROPE_DYNAMIC:
        case ROPE_LONG: break;
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
    if (rope->type != ROPE_YARN && rope->type != ROPE_LONG)
        return 1;
    if (rope->attention_factor != 0)
        return (float)rope->attention_factor;
    if (rope->type == ROPE_LONG)
        return rope->factor <= 1 ? 1 : (float)sqrt(1 + log(rope->factor) / log(rope->original_context));
    if (rope->mscale != 0 && rope->mscale_all_dim != 0)
        return (float)(magnitude_of(rope->factor, rope->mscale) / magnitude_of(rope->factor, rope->mscale_all_dim));
    return (float)magnitude_of(rope->factor, 1);
}
