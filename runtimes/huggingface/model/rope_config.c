/* How rotary positions are scaled: rope_parameters (transformers 5), or rope_scaling with rope_theta beside it
 * (before), or a GGUF's rope.* keys. A type or key that is not known would change every answer, so it is refused. */
#include "config.h"

#include "runtimes/huggingface/model/model_config.h"

#include "core/base/error.h"
#include "runtimes/huggingface/model/printable.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *const type_names[] = {
    [ROPE_DEFAULT] = "default", [ROPE_LINEAR] = "linear", [ROPE_LLAMA3] = "llama3", [ROPE_YARN] = "yarn"};

static const struct config_field theta_field = {"rope_theta|rotary_emb_base", "rope.freq_base", 2, 1e12};
static const struct config_field partial_field = {"partial_rotary_factor|rotary_pct", NULL, 1e-3, 1};
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
    {{"attention_factor", NULL, 1e-3, 1e3}, offsetof(struct rope_config, attention_factor)},
    {{"mscale", NULL, 0, 1e3}, offsetof(struct rope_config, mscale)},
    {{"mscale_all_dim", NULL, 0, 1e3}, offsetof(struct rope_config, mscale_all_dim)},
    {{"rope_theta", NULL, 2, 1e12}, offsetof(struct rope_config, theta)},
};

enum { MEMBER_COUNT = sizeof members / sizeof members[0] };

static pdk_status find_type(const char *name, enum rope_type *ret_type, pdk_error *err)
{
    for (size_t i = 0; i < sizeof type_names / sizeof type_names[0]; i++) {
        if (strcmp(type_names[i], name) != 0)
            continue;
        *ret_type = (enum rope_type)i;
        return PDK_OK;
    }
    return pdk_error_value(err, PDK_UNSUPPORTED, "rope_type", name,
        "rope type '%s' is not known; known are default, linear, llama3 and yarn", printable(name).text);
}

static pdk_status check_members(const struct json *object, pdk_error *err)
{
    static const char *const others[] = {"rope_type", "type", "truncate", "partial_rotary_factor", "finetuned"};
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

static pdk_status read_gguf(struct config_reader *reader, struct rope_config *rope, pdk_error *err)
{
    static const char *const refused[] = {"attn_factor", "yarn_log_multiplier", "yarn_ext_factor", "yarn_attn_factor"};
    char key[128];
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        snprintf(key, sizeof key, "%s.rope.scaling.%s", reader->prefix, refused[i]);
        if (gguf_has(reader->gguf, key))
            return pdk_error_set(err, PDK_UNSUPPORTED, key, "%s is not supported", key);
    }
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
    return status;
}

/* rope_theta stands beside the object or inside it; an override beside it wins over both. */
static pdk_status read_theta(struct config_reader *reader, const struct json *object, double *theta, pdk_error *err)
{
    pdk_status status = config_real(reader, &theta_field, theta, NULL, err);
    if (status != PDK_OK || config_override(reader, theta_field.names) != NULL)
        return status;
    static const struct config_field inside = {"rope_theta", NULL, 2, 1e12};
    const struct json *in_file = json_get(reader->file, "rope_parameters");
    status = json_real(in_file, "rope.", &inside, theta, NULL, err);
    return status == PDK_OK ? json_real(object, "rope.", &inside, theta, NULL, err) : status;
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
    return PDK_OK;
}

pdk_status rope_config_read(struct config_reader *reader, struct model_config *config, pdk_error *err)
{
    struct rope_config rope = {
        .theta = config->row->rope_theta, .factor = 1, .beta_fast = 32, .beta_slow = 1, .truncate = true};
    double partial = 1;
    const struct json *object = config_find(reader, "rope_parameters|rope_scaling");
    pdk_status status = config_real(reader, &partial_field, &partial, NULL, err);
    if (status == PDK_OK && reader->gguf != NULL)
        status = read_gguf(reader, &rope, err);
    if (status == PDK_OK && object != NULL)
        status = read_object(object, &rope, &partial, err);
    if (status == PDK_OK)
        status = read_theta(reader, object, &rope.theta, err);
    if (status != PDK_OK)
        return status;
    uint32_t head = config->latent.rank != 0 ? config->latent.rope : config->head_dim;
    rope.dims = (uint32_t)(head * partial);
    status = config_uint(reader, &dims_field, &rope.dims, NULL, err);
    if (status != PDK_OK)
        return status;
    if (rope.dims < 2 || rope.dims % 2 != 0 || rope.dims > head)
        return pdk_error_set(err, PDK_INVALID, "rope",
            "%" PRIu32 " of a head's %" PRIu32 " numbers are turned; it must be an even share of them", rope.dims,
            head);
    if (rope.original_context == 0 && rope.type == ROPE_YARN)
        rope.original_context = config->context;
    status = check(&rope, err);
    if (status != PDK_OK)
        return status;
    config->rope = rope;
    double context = rope.type == ROPE_LINEAR ? config->context * rope.factor
                     : rope.type == ROPE_YARN ? rope.original_context * rope.factor
                                              : config->context;
    config->context = context < UINT32_MAX ? (uint32_t)context : UINT32_MAX;
    return PDK_OK;
}
