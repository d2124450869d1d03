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
                [WEIGHT_Q5_0] = linear_q5_0_##isa,                                                              \
                [WEIGHT_Q5_1] = linear_q5_1_##isa,                                                              \
                [WEIGHT_Q2_K] = linear_q2_k_##isa,                                                              \
                [WEIGHT_Q3_K] = linear_q3_k_##isa,                                                              \
                [WEIGHT_Q4_K] = linear_q4_k_##isa,                                                              \
                [WEIGHT_Q5_K] = linear_q5_k_##isa,                                                              \
                [WEIGHT_Q6_K] = linear_q6_k_##isa,                                                              \
                [WEIGHT_IQ1_S] = linear_iq1_##isa,                                                              \
                [WEIGHT_IQ1_M] = linear_iq1_m_##isa,                                                            \
                [WEIGHT_IQ2_XXS] = linear_iq2_xxs_##isa,                                                        \
                [WEIGHT_IQ2_XS] = linear_iq2_##isa,                                                             \
                [WEIGHT_IQ2_S] = linear_iq2_##isa,                                                              \
                [WEIGHT_IQ3_XXS] = linear_iq3_xxs_##isa,                                                        \
                [WEIGHT_IQ3_S] = linear_iq3_s_##isa,                                                            \
                [WEIGHT_IQ4_NL] = linear_iq4_nl_##isa,                                                          \
                [WEIGHT_IQ4_XS] = linear_iq4_xs_##isa,                                                          \
                [WEIGHT_TQ1_0] = linear_q2_k_##isa,                                                             \
                [WEIGHT_TQ2_0] = linear_q2_k_##isa,                                                             \
                [WEIGHT_MXFP4] = linear_mxfp4_##isa,                                                            \
                [WEIGHT_NVFP4] = linear_nvfp4_##isa,                                                            \
                [WEIGHT_U4] = linear_u4_##isa,                                                                  \
                [WEIGHT_S8] = linear_s8_##isa,                                                                  \
                [WEIGHT_F8] = linear_f8_##isa,                                                                  \
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
