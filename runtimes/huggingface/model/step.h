/* runtimes/huggingface/model/step.h: what the files that record parts of a layer share with forward.c. */
#pragma once

#include "runtimes/huggingface/model/decoder.h"

/* What a step carries from op to op. */
struct step {
    const struct model *model;
    pdk_queue *queue;
    pdk_rows *residual, *normed; /* a norm behind the residual trades them */
    const pdk_rows *pending;     /* a normed output that has yet to join the residual, or NULL */
};

/* forward.c */
void record_linear(const struct step *s, const pdk_rows *in, const struct linear *linear, pdk_rows *out,
    const pdk_rows *residual, int32_t activation, float scale, const pdk_weight *next);
void record_norm(const struct step *s, pdk_rows *in, const pdk_rows *add, const struct norm *norm, pdk_rows *out,
    const pdk_weight *next);

/* experts.c: from the block's input to the residual. */
void record_experts(const struct step *s, const struct expert_layer *layer, const pdk_rows *in);
/* latent.c: from the block's input to the attended values of all heads. */
void record_latent(const struct step *s, const struct latent_layer *layer, uint32_t index, const pdk_rows *in);
