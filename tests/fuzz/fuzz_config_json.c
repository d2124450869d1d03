/* A configuration that is accepted keeps the promises that the forward relies on. The input is config.json; the same
 * bytes also stand for generation_config.json. */
#include "config.h"

#include "runtimes/huggingface/model/generation_config.h"
#include "runtimes/huggingface/model/model_config.h"
#include "runtimes/huggingface/model/pooling_config.h"
#include "runtimes/huggingface/model/rope.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_rope(const struct model_config *config, const struct rope_config *rope)
{
    assert(rope->dims >= 2 && rope->dims % 2 == 0 && rope->dims <= config->head_dim);
    float *frequencies = calloc(rope->dims / 2, sizeof *frequencies);
    assert(frequencies != NULL);
    rope_frequencies(rope, NULL, frequencies);
    for (uint32_t i = 0; i < rope->dims / 2; i++)
        assert(isfinite(frequencies[i]) && frequencies[i] >= 0);
    assert(isfinite(rope_magnitude(rope)));
    free(frequencies);
}

static void check_experts(const struct model_config *config)
{
    const struct experts_config *experts = &config->experts;
    uint32_t each = experts->groups != 0 ? experts->count / experts->groups : experts->count;
    assert(experts->count <= PDK_EXPERTS_MAX && experts->inner >= 1 && experts->inner <= 1u << 20);
    assert(experts->chosen >= 1 && experts->chosen <= (experts->groups != 0 ? each * experts->groups_chosen : each));
    assert(
        experts->groups == 0 || (experts->count % experts->groups == 0 && experts->groups_chosen <= experts->groups));
    assert(experts->group_score != PDK_GROUP_TOP_TWO || experts->groups == 0 || each >= 2);
    assert(isfinite(experts->scale) && isfinite(experts->alpha) && experts->limit > 0);
}

static void check(const struct model_config *config)
{
    assert(config->layers >= 1 && config->layers <= MODEL_LAYERS_MAX && config->hidden >= 1 && config->inner >= 1);
    assert(
        config->heads >= 1 && config->kv_heads >= 1 && config->heads % config->kv_heads == 0 && config->head_dim >= 1);
    assert((uint64_t)config->heads * config->head_dim <= 1u << 20 && config->eos_count <= MODEL_STOPS_MAX);
    assert(isfinite(config->attention_scale) && config->attention_scale > 0 && isfinite(config->logit_scale));
    if (config->experts.count != 0)
        check_experts(config);
    assert(config->latent.rank == 0 || (config->latent.nope != 0 && config->latent.rope % 2 == 0 &&
                                           config->latent.value != 0 && config->kv_heads == config->heads));
    for (uint32_t i = 0; i < config->layers; i++)
        assert(!config->sparse[i] || config->experts.count != 0);
    for (uint32_t i = 0; i < config->layers; i++)
        assert(!config->windowed[i] || config->window > 0);
    assert(config->positions + config->position_offset >= config->positions && config->types <= 256);
    if (config->positioning == POSITIONS_ROPE)
        check_rope(config, &config->rope);
    if (config->positioning == POSITIONS_ROPE && config->local_rope.dims != 0)
        check_rope(config, &config->local_rope);
}

static void check_pooling(struct config_reader *reader)
{
    struct pooling_config pooling = {0};
    pdk_error err = {0};
    pdk_status status = pooling_config_read(reader, &pooling, &err);
    assert(status == PDK_OK || (err.status == status && err.message[0] != '\0'));
    if (status == PDK_OK) {
        assert(pooling.label_count <= POOLING_LABELS_MAX && pooling.dimension_count <= POOLING_DIMENSIONS_MAX);
        for (uint32_t i = 0; i < pooling.dimension_count; i++)
            assert(pooling.dimensions[i] > 0 && pooling.matryoshka);
    }
    pooling_config_done(&pooling);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct json_limits limits = {.bytes = 1 << 20, .depth = 64, .nodes = 20000, .allow_nan = true};
    struct json_document *document = NULL;
    if (json_read((const char *)data, size, &limits, &document, NULL) != PDK_OK)
        return 0;
    if (json_root(document)->type == JSON_OBJECT) {
        static struct model_config config;
        struct config_reader reader;
        pdk_sampling sampling = {0};
        pdk_error err = {0};
        pdk_status status = config_reader_init(&reader, json_root(document), NULL, NULL, &err);
        reader.wanted_context = size % 2 == 0 ? 0 : 1u << (size % 29);
        if (status == PDK_OK)
            status = model_config_read(&reader, &config, &err);
        if (status == PDK_OK)
            check(&config);
        assert(status == PDK_OK || (err.status == status && err.message[0] != '\0'));
        check_pooling(&reader);
        status = generation_config_read(json_root(document), "", &sampling, &err);
        assert(status != PDK_OK || !(sampling.has & PDK_HAS_TOP_P) || (sampling.top_p > 0 && sampling.top_p <= 1));
    }
    json_document_free(document);
    return 0;
}
