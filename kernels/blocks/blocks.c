/* Which reader a type has. */
#include "kernels/blocks/blocks.h"

void block_read(int type, const uint8_t *block, struct block_numbers *out)
{
    switch (type) {
    case WEIGHT_Q2_K:
    case WEIGHT_Q3_K:
    case WEIGHT_Q4_K:
    case WEIGHT_Q5_K:
    case WEIGHT_Q6_K: block_read_k(type, block, out); break;
    case WEIGHT_TQ1_0:
    case WEIGHT_TQ2_0: block_read_ternary(type, block, out); break;
    default: block_read_iq(type, block, out); break;
    }
}
