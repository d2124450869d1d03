/* How rotary positions are scaled: rope_parameters (transformers 5), or rope_scaling with rope_theta beside it
 * (before), or a GGUF's rope.* keys. A type or key that is not known would change every answer, so it is refused. */
#include "config.h"

#include "runtimes/huggingface/model/model_config.h"

#include "core/base/error.h"
#include "runtimes/huggingface/model/printable.h"
#include "runtimes/huggingface/model/rope.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *const type_names[] = {[ROPE_DEFAULT] = "default",
    [ROPE_LINEAR] = "linear",
    [ROPE_DYNAMIC] = "dynamic",
    [ROPE_LLAMA3] = "llama3",
    [ROPE_YARN] = "yarn",
    [ROPE_LONG] = "longrope"};

static const struct config_field theta_field = {
    "rope_theta|rotary_emb_base|global_rope_theta", "rope.freq_base", 2, 1e12};
static const struct config_field partial_field = {"partial_rotary_factor|rotary_pct|rope_pct", NULL, 1e-3, 1};
static const struct config_field dims_field = {"rotary_dim", "rope.dimension_count", 2, 4096};

/* Members of the object, with where they go. */
static const struct {
    struct config_field field;
    size_t offset;
} members[] = {
    {{"factor", "rope.scaling.factor", 1, 1e6}, offsetof(struct rope_config, factor)},
    {{"original_max_position_embeddings", "rope.scaling.original_context_length", 1, 1e9},
        offsetof(struct rope_config, original_context)},
    {{"low_freq_factor", NULL, 1e-3, 1e6}, offsetof(struct rope_config, low_frequency_factor)},
    {{"high_freq_factor", NULL, 1e-3, 1e6}, offsetof(struct rope_config, high_frequency_factor)},
    {{"beta_fast", "rope.scaling.yarn_beta_fast", 1e-3, 1e6}, offsetof(struct rope_config, beta_fast)},
    {{"beta_slow", "rope.scaling.yarn_beta_slow", 1e-3, 1e6}, offsetof(struct rope_config, beta_slow)},
    {{"attention_factor", "rope.scaling.yarn_attn_factor", 1e-3, 1e3}, offsetof(struct rope_config, attention_factor)},
    {{"mscale", NULL, 0, 1e3}, offsetof(struct rope_config, mscale)},
    {{"mscale_all_dim", NULL, 0, 1e3}, offsetof(struct rope_config, mscale_all_dim)},
    {{"rope_theta", NULL, 2, 1e12}, offsetof(struct rope_config, theta)},
};

enum { MEMBER_COUNT = sizeof members / sizeof members[0] };

static pdk_status find_type(const char *name, enum rope_type *ret_type, pdk_error *err)
{
    if (strcmp(name, "su") == 0) /* what the first release called it */
        name = type_names[ROPE_LONG];
    for (size_t i = 0; i < sizeof type_names / sizeof type_names[0]; i++) {
        if (strcmp(type_names[i], name) != 0)
            continue;
        *ret_type = (enum rope_type)i;
        return PDK_OK;
    }
    return pdk_error_value(err, PDK_UNSUPPORTED, "rope_type", name,
        "rope type '%s' is not known; known are default, linear, dynamic, llama3, yarn and longrope",
        printable(name).text);
}

static pdk_status check_members(const struct json *object, pdk_error *err)
{
    static const char *const others[] = {"rope_type", "type", "truncate", "partial_rotary_factor", "finetuned",
        "short_factor", "long_factor", "short_mscale", "long_mscale"};
    for (const struct json *at = object->child; at != NULL; at = at->next) {
        bool known = false;
        for (size_t i = 0; i < MEMBER_COUNT; i++)
            known |= strcmp(members[i].field.names, at->key) == 0;
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
            known |= strcmp(others[i], at->key) == 0;
        if (!known)
            return pdk_error_value(
                err, PDK_UNSUPPORTED, object->key, at->key, "%s.%s is not known", object->key, printable(at->key).text);
    }
    return PDK_OK;
}

/* One of longrope's two lists, as long as there are frequencies; which one depends on the contexts, which are known by
 * then. */
static pdk_status read_factors(const struct json *object, struct rope_config *rope, pdk_error *err)
{
    bool is_long = rope->wanted_context > rope->original_context;
    const char *name = is_long ? "long_factor" : "short_factor";
    const struct json *list = json_get(object, name);
    if (rope->dims / 2 > ROPE_FACTORS_MAX)
        return pdk_error_set(err, PDK_TOO_LARGE, name, "rope.%s has more than %d numbers", name, ROPE_FACTORS_MAX);
    if (list == NULL || list->type != JSON_ARRAY || list->count != rope->dims / 2)
        return pdk_error_set(
            err, PDK_INVALID, name, "rope.%s must be a list of %" PRIu32 " numbers", name, rope->dims / 2);
    const struct config_field scale = {is_long ? "long_mscale" : "short_mscale", NULL, 1e-3, 1e3};
    pdk_status status = json_real(object, "rope.", &scale, &rope->attention_factor, NULL, err);
    if (status != PDK_OK)
        return status;
    rope->factor_count = 0;
    for (const struct json *at = list->child; at != NULL; at = at->next) {
        double value;
        if (!json_double(at, &value) || !(value >= 1e-3) || value > 1e6)
            return pdk_error_set(err, PDK_INVALID, name, "rope.%s[%" PRIu32 "] must be a number from 0.001 to 1e6",
                name, rope->factor_count);
        rope->factors[rope->factor_count++] = (float)value;
    }
    return PDK_OK;
}

static pdk_status read_object(const struct json *object, struct rope_config *rope, double *partial, pdk_error *err)
{
    if (object->type != JSON_OBJECT)
        return pdk_error_set(
            err, PDK_INVALID, object->key, "%s must be an object, not %s", object->key, json_type_name(object));
    pdk_status status = check_members(object, err);
    if (status != PDK_OK)
        return status;
    const char *type = "default";
    const struct json *named = json_get(object, "rope_type");
    if (named == NULL)
        named = json_get(object, "type");
    if (named != NULL && !json_string(named, &type))
        return pdk_error_set(
            err, PDK_INVALID, "rope_type", "rope_type must be a string, not %s", json_type_name(named));
    status = find_type(type, &rope->type, err);
    for (size_t i = 0; i < MEMBER_COUNT && status == PDK_OK; i++)
        status = json_real(
            object, "rope.", &members[i].field, (double *)(void *)((char *)rope + members[i].offset), NULL, err);
    static const struct config_field share = {"partial_rotary_factor", NULL, 1e-3, 1};
    if (status == PDK_OK)
        status = json_real(object, "rope.", &share, partial, NULL, err);
    const struct json *truncated = json_get(object, "truncate");
    if (status == PDK_OK && truncated != NULL && !json_bool(truncated, &rope->truncate))
        return pdk_error_set(err, PDK_INVALID, "truncate", "rope.truncate must be true or false");
    return status;
}

/* `attn_factor` multiplies what the type gives of itself; of yarn's extrapolation there is all or nothing here. */
static pdk_status read_gguf_factors(struct config_reader *reader, struct rope_config *rope, pdk_error *err)
{
    static const struct config_field whole = {"attn_factor", "rope.scaling.attn_factor", 1e-3, 1e3};
    static const struct config_field outside = {"extrapolation_factor", "rope.scaling.yarn_ext_factor", 1, 1};
    double factor = 1, one = 1;
    bool found;
    pdk_status status = config_real(reader, &outside, &one, NULL, err);
    if (status == PDK_OK)
        status = config_real(reader, &whole, &factor, &found, err);
    if (status == PDK_OK && found && factor != 1)
        rope->attention_factor = factor * (rope->type == ROPE_YARN ? (double)rope_magnitude(rope) : 1);
    return status;
}

/* Of latent attention: a tenth of mscale_all_dim. Yarn then leaves turned numbers as large as they were. */
static pdk_status read_gguf_latent(
    struct config_reader *reader, const struct model_config *config, struct rope_config *rope, pdk_error *err)
{
    static const struct config_field field = {"yarn_log_multiplier", "rope.scaling.yarn_log_multiplier", 0, 100};
    double multiplier = 0;
    bool found;
    pdk_status status = config_real(reader, &field, &multiplier, &found, err);
    if (status == PDK_OK && found && config->latent.rank == 0)
        return pdk_error_set(err, PDK_UNSUPPORTED, field.gguf, "%s.%s is not supported", reader->prefix, field.gguf);
    if (config->latent.rank != 0 && rope->attention_factor == 0)
        rope->attention_factor = 1;
    rope->mscale_all_dim = 10 * multiplier;
    return status;
}

static pdk_status read_gguf(
    struct config_reader *reader, const struct model_config *config, struct rope_config *rope, pdk_error *err)
{
    char key[128];
    snprintf(key, sizeof key, "%s.rope.scaling.type", reader->prefix);
    pdk_string name;
    pdk_status status = PDK_OK;
    if (gguf_string(reader->gguf, key, &name)) {
        char text[33] = "";
        memcpy(text, name.data, name.length < sizeof text ? name.length : sizeof text - 1);
        if (strcmp(text, "none") != 0)
            status = find_type(text, &rope->type, err);
    }
    bool typed = gguf_has(reader->gguf, key);
    for (size_t i = 0; i < MEMBER_COUNT && status == PDK_OK; i++)
        if (members[i].field.gguf != NULL)
            status =
                config_real(reader, &members[i].field, (double *)(void *)((char *)rope + members[i].offset), NULL, err);
    if (!typed && rope->factor != 1)
        rope->type = ROPE_LINEAR; /* what llama.cpp takes a factor without a type for */
    if (!typed && gguf_tensor(reader->gguf, "rope_factors_long.weight") != NULL)
        rope->type = ROPE_LONG; /* its tensors are all that says so */
    if (status == PDK_OK)
        status = read_gguf_factors(reader, rope, err);
    return status == PDK_OK ? read_gguf_latent(reader, config, rope, err) : status;
}

/* rope_theta stands beside the object or inside it; an override beside it wins over both. */
static pdk_status read_theta(struct config_reader *reader, const struct config_field *field, const struct json *object,
    double *theta, pdk_error *err)
{
    pdk_status status = config_real(reader, field, theta, NULL, err);
    if (status != PDK_OK || config_override(reader, field->names) != NULL)
        return status;
    static const struct config_field inside = {"rope_theta", NULL, 2, 1e12};
    return json_real(object, "rope.", &inside, theta, NULL, err);
}

/* What an object that was given by an override leaves to the file's own. */
static pdk_status read_base(const struct config_reader *reader, double *theta, double *partial, pdk_error *err)
{
    static const struct config_field fields[] = {
        {"rope_theta", NULL, 2, 1e12}, {"partial_rotary_factor", NULL, 1e-3, 1}};
    const struct json *object = json_get(reader->file, "rope_parameters");
    if (json_get(object, "full_attention") != NULL)
        object = json_get(object, "full_attention");
    pdk_status status = json_real(object, "rope.", &fields[0], theta, NULL, err);
    return status == PDK_OK ? json_real(object, "rope.", &fields[1], partial, NULL, err) : status;
}

static pdk_status check(const struct rope_config *rope, pdk_error *err)
{
    if (rope->type == ROPE_LLAMA3 && (rope->original_context == 0 || rope->low_frequency_factor == 0 ||
                                         rope->high_frequency_factor <= rope->low_frequency_factor))
        return pdk_error_set(err, PDK_INVALID, "rope",
            "rope type llama3 needs original_max_position_embeddings and low_freq_factor below high_freq_factor");
    if (rope->type == ROPE_YARN && (rope->original_context == 0 || rope->beta_fast <= rope->beta_slow))
        return pdk_error_set(err, PDK_INVALID, "rope",
            "rope type yarn needs original_max_position_embeddings and beta_slow below beta_fast");
    if (rope->type == ROPE_LONG && rope->original_context < 2)
        return pdk_error_set(
            err, PDK_INVALID, "rope", "rope type longrope needs original_max_position_embeddings of 2 or more");
    return PDK_OK;
}

static pdk_status find_dims(
    struct config_reader *reader, const struct model_config *config, double partial, uint32_t *ret_dims, pdk_error *err)
{
    uint32_t head = config->latent.rank != 0 ? config->latent.rope : config->head_dim;
    uint32_t dims = (uint32_t)(head * partial);
    pdk_status status = config_uint(reader, &dims_field, &dims, NULL, err);
    if (status != PDK_OK)
        return status;
    if (dims < 2 || dims % 2 != 0 || dims > head)
        return pdk_error_set(err, PDK_INVALID, "rope",
            "%" PRIu32 " of a head's %" PRIu32 " numbers are turned; it must be an even share of them", dims, head);
    *ret_dims = dims;
    return PDK_OK;
}

/* The contexts that a scaled rope needs, and what follows from them. */
static pdk_status read_contexts(struct config_reader *reader, const struct model_config *config,
    const struct json *object, struct rope_config *rope, pdk_error *err)
{
    static const struct config_field original = {"original_max_position_embeddings", NULL, 1, 1e9};
    bool inside = json_get(object, "factor") != NULL;
    pdk_status status = config_real(reader, &original, &rope->original_context, NULL, err);
    if (status != PDK_OK)
        return status;
    if (rope->original_context == 0)
        rope->original_context = config->context;
    rope->trained_context = config->context;
    rope->wanted_context = reader->wanted_context != 0 ? reader->wanted_context : config->context;
    if (rope->type == ROPE_LONG && !inside)
        rope->factor = config->context / rope->original_context;
    status = check(rope, err);
    return status == PDK_OK && rope->type == ROPE_LONG && reader->gguf == NULL ? read_factors(object, rope, err)
                                                                               : status;
}

/* The rope of all layers, or of those that see everything where the configuration tells two kinds apart. */
static pdk_status read_main(struct config_reader *reader, const struct model_config *config, const struct json *object,
    struct rope_config *rope, pdk_error *err)
{
    const struct architecture_defaults *defaults = &config->row->defaults;
    double partial = reader->gguf == NULL && defaults->rope_share != 0 ? defaults->rope_share : 1;
    pdk_status status = read_base(reader, &rope->theta, &partial, err);
    if (status == PDK_OK)
        status = config_real(reader, &partial_field, &partial, NULL, err);
    if (status == PDK_OK && reader->gguf != NULL)
        status = read_gguf(reader, config, rope, err);
    if (status == PDK_OK && object != NULL)
        status = read_object(object, rope, &partial, err);
    if (status == PDK_OK)
        status = read_theta(reader, &theta_field, object, &rope->theta, err);
    if (status == PDK_OK)
        status = find_dims(reader, config, partial, &rope->dims, err);
    return status == PDK_OK ? read_contexts(reader, config, object, rope, err) : status;
}

/* The rope of layers with a window: a base of its own, and no scaling unless its object says so. */
static pdk_status read_local(
    struct config_reader *reader, struct model_config *config, const struct json *object, pdk_error *err)
{
    static const struct config_field local_field = {
        "rope_local_base_freq|local_rope_theta", "rope.freq_base_swa", 2, 1e12};
    struct rope_config rope = {.theta = config->row->local_theta != 0 ? config->row->local_theta : config->rope.theta,
        .dims = config->rope.dims,
        .factor = 1,
        .beta_fast = 32,
        .beta_slow = 1,
        .truncate = true};
    double partial = 1;
    pdk_status status = object != NULL ? read_object(object, &rope, &partial, err) : PDK_OK;
    if (status == PDK_OK)
        status = read_theta(reader, &local_field, object, &rope.theta, err);
    if (status == PDK_OK)
        status = read_contexts(reader, config, object, &rope, err);
    config->local_rope = rope;
    return status;
}

pdk_status rope_config_read(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    const struct json *object = config_find(reader, "rope_parameters|rope_scaling"), *local = NULL;
    if (json_get(object, "full_attention") != NULL) {
        local = json_get(object, "sliding_attention");
        object = json_get(object, "full_attention");
    }
    struct rope_config rope = {
        .theta = config->row->defaults.rope_theta, .factor = 1, .beta_fast = 32, .beta_slow = 1, .truncate = true};
    if (reader->gguf != NULL && config->row->gguf_unrounded)
        rope.truncate = false;
    pdk_status status = read_main(reader, config, object, &rope, err);
    if (status != PDK_OK)
        return status;
    config->rope = rope;
    if (config->row->local_theta != 0 || local != NULL)
        status = read_local(reader, config, local, err);
    /* Gemma 3's linear scaling is part of how it was trained: its context says all. */
    double context = rope.type == ROPE_LINEAR && config->local_rope.dims == 0 ? config->context * rope.factor
                     : rope.type == ROPE_YARN                                 ? rope.original_context * rope.factor
                                                                              : config->context;
    if (rope.type == ROPE_DYNAMIC && rope.wanted_context > rope.trained_context)
        context = rope.trained_context * rope.factor;
    config->context = context < UINT32_MAX ? (uint32_t)context : UINT32_MAX;
    return status;
}
