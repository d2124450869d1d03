/* The sizes of latent attention. In GGUF, files of the newer kind say them beside key_length and value_length, which
 * there are the cache's. */
#include "config.h"

#include "runtimes/huggingface/model/latent_config.h"

#include "core/base/error.h"
#include "runtimes/huggingface/model/model_config.h"

#include <inttypes.h>
#include <math.h>

enum { HEAD_COLUMNS_MAX = 1 << 20 };

static pdk_status read_json(struct config_reader *reader, struct latent_config *latent, pdk_error *err)
{
    static const struct config_field nope = {"qk_nope_head_dim", NULL, 1, 4096};
    static const struct config_field rope = {"qk_rope_head_dim", NULL, 2, 4096};
    static const struct config_field value = {"v_head_dim", NULL, 1, 4096};
    pdk_status status = config_uint(reader, &nope, &latent->nope, NULL, err);
    if (status == PDK_OK)
        status = config_uint(reader, &rope, &latent->rope, NULL, err);
    return status == PDK_OK ? config_uint(reader, &value, &latent->value, NULL, err) : status;
}

static pdk_status read_gguf(struct config_reader *reader, struct latent_config *latent, pdk_error *err)
{
    static const struct config_field rope = {"", "rope.dimension_count", 2, 4096};
    static const struct config_field keys = {"", "attention.key_length_mla", 1, 8192};
    static const struct config_field values = {"", "attention.value_length_mla", 1, 4096};
    static const struct config_field old_keys = {"", "attention.key_length", 1, 8192};
    static const struct config_field old_values = {"", "attention.value_length", 1, 4096};
    uint32_t key = 0;
    bool newer = false;
    pdk_status status = config_uint(reader, &rope, &latent->rope, NULL, err);
    if (status == PDK_OK)
        status = config_uint(reader, &keys, &key, &newer, err);
    if (status == PDK_OK && !newer)
        status = config_uint(reader, &old_keys, &key, NULL, err);
    if (status == PDK_OK)
        status = config_uint(reader, newer ? &values : &old_values, &latent->value, NULL, err);
    if (status == PDK_OK && key <= latent->rope)
        return pdk_error_set(err, PDK_INVALID, "attention.key_length",
            "heads of %" PRIu32 " numbers cannot hold the %" PRIu32 " that turn", key, latent->rope);
    latent->nope = key - latent->rope;
    return status;
}

pdk_status latent_config_read(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    static const struct config_field rank = {"kv_lora_rank", "attention.kv_lora_rank", 1, 2048};
    static const struct config_field query_rank = {"q_lora_rank", "attention.q_lora_rank", 0, 65536};
    struct latent_config latent = {0};
    pdk_status status = config_uint(reader, &rank, &latent.rank, NULL, err);
    if (status == PDK_OK)
        status = config_uint(reader, &query_rank, &latent.query_rank, NULL, err);
    if (status == PDK_OK)
        status = reader->gguf != NULL ? read_gguf(reader, &latent, err) : read_json(reader, &latent, err);
    bool interleaved = true;
    if (status == PDK_OK)
        status = config_flag(reader, "rope_interleave", &interleaved, err);
    if (status != PDK_OK)
        return status;
    latent.halves = !interleaved;
    if (latent.rank == 0 || latent.nope == 0 || latent.rope == 0 || latent.value == 0)
        return pdk_error_set(err, PDK_INVALID, "kv_lora_rank",
            "the configuration needs kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim and v_head_dim");
    if (latent.rope % 2 != 0)
        return pdk_error_set(err, PDK_INVALID, "qk_rope_head_dim",
            "qk_rope_head_dim is %" PRIu32 "; numbers turn in pairs", latent.rope);
    uint64_t widest = latent.nope + latent.rope > latent.value ? latent.nope + latent.rope : latent.value;
    if (config->heads * widest > HEAD_COLUMNS_MAX)
        return pdk_error_set(err, PDK_INVALID, "qk_nope_head_dim",
            "%" PRIu32 " heads of %" PRIu64 " are too wide; the limit is %d", config->heads, widest, HEAD_COLUMNS_MAX);
    config->latent = latent;
    config->head_dim = latent.nope + latent.rope;
    config->kv_heads = config->heads;
    return PDK_OK;
}

void latent_config_finish(struct model_config *config)
{
    const struct rope_config *rope = &config->rope;
    if (config->latent.halves)
        config->rope_order = PDK_ROPE_HALVES;
    if (config->latent.rank == 0 || rope->type != ROPE_YARN || rope->mscale_all_dim == 0 || rope->factor <= 1)
        return;
    double magnitude = 0.1 * rope->mscale_all_dim * log(rope->factor) + 1;
    config->attention_scale *= magnitude * magnitude;
}
