/* Which kernel each instruction set has: one row each, walked by nobody but whoever starts. */
#include "kernels/cpu/kernels.h"

#define KERNELS_ROW(isa)                                                                                        \
    {                                                                                                           \
        .name = #isa,                                                                                           \
        .linear =                                                                                               \
            {                                                                                                   \
                [WEIGHT_F32] = linear_f32_##isa,                                                                \
                [WEIGHT_F16] = linear_f16_##isa,                                                                \
                [WEIGHT_BF16] = linear_bf16_##isa,                                                              \
                [WEIGHT_Q8_0] = linear_q8_0_##isa,                                                              \
                [WEIGHT_Q4_0] = linear_q4_0_##isa,                                                              \
                [WEIGHT_Q4_1] = linear_q4_1_##isa,                                                              \
            },                                                                                                  \
        .finish = finish_##isa, .norm_rms = norm_rms_##isa, .norm_layer = norm_layer_##isa, .rope = rope_##isa, \
        .attend_f32 = attend_f32_##isa, .attend_bf16 = attend_bf16_##isa,                                       \
        .attend_latent_f32 = attend_latent_f32_##isa, .attend_latent_bf16 = attend_latent_bf16_##isa,           \
        .route = route_##isa, .largest = largest_##isa, .mass = mass_##isa, .mass_from = mass_from_##isa,       \
        .count_above = count_above_##isa, .collect = collect_##isa, .draw = draw_##isa,                         \
    }

static const struct kernels table[KERNEL_ISA_COUNT] = {
    [KERNEL_ISA_GENERIC] = KERNELS_ROW(generic),
#if defined(__x86_64__)
    [KERNEL_ISA_AVX2] = KERNELS_ROW(avx2),
    [KERNEL_ISA_AVX512] = KERNELS_ROW(avx512),
#endif
};

const struct kernels *kernels_of(enum kernel_isa isa)
{
    while (table[isa].name == NULL)
        isa--;
    return &table[isa];
}

bool kernels_isa_named(const char *name, enum kernel_isa *ret_isa)
{
    for (int isa = 0; isa < KERNEL_ISA_COUNT; isa++)
        if (table[isa].name != NULL && strcmp(table[isa].name, name) == 0) {
            *ret_isa = (enum kernel_isa)isa;
            return true;
        }
    return false;
}
