/* runtimes/huggingface/model/latent_config.h: multi-head latent attention by its configuration. */
#pragma once

#include <paddock/draft/ops.h>
#include <stdbool.h>
#include <stdint.h>

/* A head's query is `nope` numbers, then `rope` that turn; its value has `value` numbers. */
struct latent_config {
    uint32_t rank;       /* of what keys and values are made of; 0: attention is of the plain kind */
    uint32_t query_rank; /* 0: queries are made of the model's rows at once */
    uint32_t nope, rope, value;
    bool halves; /* config.json says that rope's pairs are not neighbours */
};

struct config_reader;
struct model_config;

/* Fills config->latent, and heads' sizes as they follow. For rows that have ROLE_KV_A. */
pdk_status latent_config_read(struct config_reader *reader, struct model_config *config, pdk_error *err);
/* When rope is known: its order, and what its scaling adds to attention's scale. */
void latent_config_finish(struct model_config *config);
