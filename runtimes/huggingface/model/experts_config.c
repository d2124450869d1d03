/* Fields of a mixture of experts, as the families name them, and which layers have one. */
#include "config.h"

#include "runtimes/huggingface/model/experts_config.h"

#include "core/base/error.h"
#include "runtimes/huggingface/model/model_config.h"
#include "runtimes/huggingface/model/printable.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define AT(member) offsetof(struct experts_config, member)

static const struct {
    struct config_field field;
    size_t offset;
} uints[] = {
    {{"num_local_experts|num_experts|n_routed_experts", "expert_count", 0, PDK_EXPERTS_MAX}, AT(count)},
    {{"num_experts_per_tok|experts_per_token", "expert_used_count", 1, PDK_EXPERTS_MAX}, AT(chosen)},
    {{"moe_intermediate_size", "expert_feed_forward_length", 1, 1 << 20}, AT(inner)},
    {{"n_group", "expert_group_count", 0, PDK_EXPERTS_MAX}, AT(groups)},
    {{"topk_group", "expert_group_used_count", 0, PDK_EXPERTS_MAX}, AT(groups_chosen)},
    {{"num_nextn_predict_layers", "nextn_predict_layers", 0, 64}, AT(extra_layers)},
};

static const struct {
    struct config_field field;
    size_t offset;
} reals[] = {
    {{"routed_scaling_factor", "expert_weights_scale", 0, 1e6}, AT(scale)},
    {{"swiglu_alpha", NULL, 0, 1e3}, AT(alpha)},
    {{"swiglu_limit", NULL, 1e-3, 1e6}, AT(limit)},
};

static pdk_status read_numbers(struct config_reader *reader, struct experts_config *experts, pdk_error *err)
{
    pdk_status status = PDK_OK;
    for (size_t i = 0; i < sizeof uints / sizeof uints[0] && status == PDK_OK; i++)
        status =
            config_uint(reader, &uints[i].field, (uint32_t *)(void *)((char *)experts + uints[i].offset), NULL, err);
    for (size_t i = 0; i < sizeof reals / sizeof reals[0] && status == PDK_OK; i++)
        status = config_real(reader, &reals[i].field, (double *)(void *)((char *)experts + reals[i].offset), NULL, err);
    return status;
}

/* The width of all shared experts together, which is said as such or as a number of experts. */
static pdk_status read_shared(struct config_reader *reader, struct experts_config *experts, pdk_error *err)
{
    static const struct config_field count_field = {"n_shared_experts", "expert_shared_count", 0, 1024};
    static const struct config_field width_field = {
        "shared_expert_intermediate_size", "expert_shared_feed_forward_length", 0, 1 << 20};
    uint32_t count = 0;
    pdk_status status = config_uint(reader, &count_field, &count, NULL, err);
    if (status != PDK_OK)
        return status;
    experts->shared_inner = count * experts->inner;
    return config_uint(reader, &width_field, &experts->shared_inner, NULL, err);
}

static pdk_status read_score(
    struct config_reader *reader, const struct expert_rules *rules, struct experts_config *experts, pdk_error *err)
{
    static const struct {
        const char *name;
        uint32_t gguf;
        int32_t score;
    } known[] = {{"softmax", 1, PDK_SCORE_SOFTMAX}, {"sigmoid", 2, PDK_SCORE_SIGMOID}, {NULL, 3, PDK_SCORE_CHOSEN}};
    static const struct config_field field = {"", "expert_gating_func", 0, 3};
    uint32_t number = 0;
    const char *name = NULL;
    pdk_status status = reader->gguf != NULL ? config_uint(reader, &field, &number, NULL, err)
                                             : config_text(reader, "scoring_func", &name, err);
    experts->score = rules->score;
    if (status != PDK_OK || (name == NULL && number == 0))
        return status;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (number != known[i].gguf && (name == NULL || known[i].name == NULL || strcmp(name, known[i].name) != 0))
            continue;
        experts->score = known[i].score;
        return PDK_OK;
    }
    return pdk_error_value(err, PDK_UNSUPPORTED, "scoring_func", name,
        "scoring_func '%s' is not known; known are softmax and sigmoid", printable(name).text);
}

/* How groups are scored, if experts are chosen by groups at all. */
static pdk_status read_method(
    struct config_reader *reader, const struct expert_rules *rules, struct experts_config *experts, pdk_error *err)
{
    const char *method = rules->method;
    pdk_status status = config_text(reader, "topk_method", &method, err);
    if (status != PDK_OK)
        return status;
    if (reader->gguf != NULL && method != NULL)
        method = experts->score == PDK_SCORE_SIGMOID ? "noaux_tc"
                 : experts->groups > 1               ? "group_limited_greedy"
                                                     : "greedy";
    if (method == NULL || strcmp(method, "greedy") == 0)
        experts->groups = 0;
    else if (strcmp(method, "noaux_tc") == 0)
        experts->group_score = PDK_GROUP_TOP_TWO;
    else if (strcmp(method, "group_limited_greedy") == 0)
        experts->group_score = PDK_GROUP_LARGEST;
    else
        return pdk_error_value(err, PDK_UNSUPPORTED, "topk_method", method,
            "topk_method '%s' is not known; known are greedy, group_limited_greedy and noaux_tc",
            printable(method).text);
    return PDK_OK;
}

static pdk_status read_normalise(
    struct config_reader *reader, const struct expert_rules *rules, struct experts_config *experts, pdk_error *err)
{
    experts->normalise = rules->normalise == NORMALISE_ALWAYS;
    if (rules->normalise == NORMALISE_ALWAYS || (reader->gguf == NULL && rules->normalise == NORMALISE_NEVER))
        return PDK_OK;
    experts->normalise = reader->gguf != NULL ? rules->gguf_normalises : rules->normalise_default;
    return config_flag_or_key(reader, "norm_topk_prob", "expert_weights_norm", &experts->normalise, err);
}

static pdk_status check(const struct experts_config *experts, pdk_error *err)
{
    if (experts->chosen == 0 || experts->chosen > experts->count)
        return pdk_error_set(err, PDK_INVALID, "num_experts_per_tok",
            "num_experts_per_tok is %" PRIu32 "; it may be 1 to the number of experts, %" PRIu32, experts->chosen,
            experts->count);
    if (experts->groups == 0)
        return PDK_OK;
    if (experts->count % experts->groups != 0)
        return pdk_error_set(err, PDK_INVALID, "n_group",
            "n_group is %" PRIu32 "; it must divide the %" PRIu32 " experts", experts->groups, experts->count);
    uint32_t each = experts->count / experts->groups;
    if (experts->group_score == PDK_GROUP_TOP_TWO && each < 2)
        return pdk_error_set(err, PDK_INVALID, "n_group",
            "n_group is %" PRIu32 "; groups chosen by their two best experts need two of the %" PRIu32 " each",
            experts->groups, experts->count);
    if (experts->groups_chosen == 0 || experts->groups_chosen > experts->groups ||
        experts->groups_chosen * each < experts->chosen)
        return pdk_error_set(err, PDK_INVALID, "topk_group",
            "topk_group is %" PRIu32 "; so many of the %" PRIu32 " groups of %" PRIu32 " experts must hold the %" PRIu32
            " that are chosen",
            experts->groups_chosen, experts->groups, each, experts->chosen);
    return PDK_OK;
}

/* Which layers have experts: from the first sparse one on, each `step`-th, those without that are listed as dense. */
static pdk_status read_layers(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    static const struct config_field first_field = {"first_k_dense_replace", "leading_dense_block_count", 0, 1 << 20};
    static const struct config_field step_field = {"decoder_sparse_step", NULL, 1, 1 << 20};
    static const struct config_field each_field = {"moe_layer_freq", NULL, 1, 1 << 20};
    uint32_t first = 0, step = 1, each = 1;
    pdk_status status = config_uint(reader, &first_field, &first, NULL, err);
    if (status == PDK_OK)
        status = config_uint(reader, &step_field, &step, NULL, err);
    if (status == PDK_OK)
        status = config_uint(reader, &each_field, &each, NULL, err);
    for (uint32_t i = 0; i < config->layers; i++)
        config->sparse[i] = i >= first && (i + 1) % step == 0 && i % each == 0;
    const struct json *dense = status == PDK_OK ? config_find(reader, "mlp_only_layers") : NULL;
    if (dense == NULL)
        return status;
    if (dense->type != JSON_ARRAY)
        return pdk_error_set(err, PDK_INVALID, "mlp_only_layers", "mlp_only_layers must be a list of layers");
    for (const struct json *at = dense->child; at != NULL; at = at->next) {
        uint64_t layer;
        if (!json_uint64(at, &layer))
            return pdk_error_set(err, PDK_INVALID, "mlp_only_layers", "mlp_only_layers must be a list of layers");
        if (layer < config->layers)
            config->sparse[layer] = 0;
    }
    return PDK_OK;
}

pdk_status experts_config_read(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    const struct expert_rules *rules = config->row->experts;
    if (rules == NULL)
        return PDK_OK;
    struct experts_config *experts = &config->experts;
    *experts = (struct experts_config){.inner = config->inner, .scale = 1, .alpha = 1.702, .limit = 7};
    pdk_status status = read_numbers(reader, experts, err);
    if (status != PDK_OK || experts->count == 0)
        return status;
    status = read_shared(reader, experts, err);
    if (status == PDK_OK)
        status = read_score(reader, rules, experts, err);
    if (status == PDK_OK)
        status = read_method(reader, rules, experts, err);
    if (status == PDK_OK)
        status = read_normalise(reader, rules, experts, err);
    if (status == PDK_OK)
        status = check(experts, err);
    return status == PDK_OK ? read_layers(reader, config, err) : status;
}
