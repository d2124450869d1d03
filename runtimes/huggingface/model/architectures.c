/* The table: the families_*.c files one after the other. */
#include "config.h"

#include "runtimes/huggingface/model/architectures.h"

#include <stdio.h>
#include <string.h>

const char *const gguf_names[ROLE_COUNT] = {
    [ROLE_EMBEDDING] = "token_embd",
    [ROLE_EMBEDDING_NORM] = "token_embd_norm",
    [ROLE_TYPES] = "token_types",
    [ROLE_POSITIONS] = "position_embd",
    [ROLE_FINAL_NORM] = "output_norm",
    [ROLE_HEAD] = "output",
    [ROLE_ROPE_FACTORS] = "rope_freqs",
    [ROLE_ROPE_LONG] = "rope_factors_long",
    [ROLE_ROPE_SHORT] = "rope_factors_short",
    [ROLE_ATTENTION_NORM] = "blk.%.attn_norm",
    [ROLE_Q] = "blk.%.attn_q",
    [ROLE_K] = "blk.%.attn_k",
    [ROLE_V] = "blk.%.attn_v",
    [ROLE_QKV] = "blk.%.attn_qkv",
    [ROLE_Q_NORM] = "blk.%.attn_q_norm",
    [ROLE_K_NORM] = "blk.%.attn_k_norm",
    [ROLE_O] = "blk.%.attn_output",
    [ROLE_ATTENTION_OUT_NORM] = "blk.%.post_attention_norm",
    [ROLE_MLP_NORM] = "blk.%.ffn_norm",
    [ROLE_GATE] = "blk.%.ffn_gate",
    [ROLE_UP] = "blk.%.ffn_up",
    [ROLE_GATE_UP] = "blk.%.ffn_up",
    [ROLE_DOWN] = "blk.%.ffn_down",
    [ROLE_MLP_OUT_NORM] = "blk.%.post_ffw_norm",
    [ROLE_SINKS] = "blk.%.attn_sinks",
    [ROLE_ROUTER] = "blk.%.ffn_gate_inp",
    [ROLE_CORRECTION] = "blk.%.exp_probs_b",
    [ROLE_EXPERT_GATE] = "blk.%.ffn_gate.#",
    [ROLE_EXPERT_UP] = "blk.%.ffn_up.#",
    [ROLE_EXPERT_DOWN] = "blk.%.ffn_down.#",
    [ROLE_EXPERTS_GATE] = "blk.%.ffn_gate_exps",
    [ROLE_EXPERTS_UP] = "blk.%.ffn_up_exps",
    [ROLE_EXPERTS_GATE_UP] = "blk.%.ffn_gate_up_exps",
    [ROLE_EXPERTS_DOWN] = "blk.%.ffn_down_exps",
    [ROLE_SHARED_GATE] = "blk.%.ffn_gate_shexp",
    [ROLE_SHARED_UP] = "blk.%.ffn_up_shexp",
    [ROLE_SHARED_DOWN] = "blk.%.ffn_down_shexp",
    [ROLE_SHARED_ROUTER] = "blk.%.ffn_gate_inp_shexp",
    [ROLE_Q_A] = "blk.%.attn_q_a",
    [ROLE_Q_A_NORM] = "blk.%.attn_q_a_norm",
    [ROLE_Q_B] = "blk.%.attn_q_b",
    [ROLE_KV_A] = "blk.%.attn_kv_a_mqa",
    [ROLE_KV_A_NORM] = "blk.%.attn_kv_a_norm",
    [ROLE_KV_B] = "blk.%.attn_kv_b",
    [ROLE_K_B] = "blk.%.attn_k_b",
    [ROLE_V_B] = "blk.%.attn_v_b",
};

static const struct {
    const struct architecture *rows;
    const size_t *count;
} groups[] = {
    {families_rope, &families_rope_count},
    {families_moe, &families_moe_count},
    {families_gpt, &families_gpt_count},
    {families_encoder, &families_encoder_count},
};

/* NULL: there are no more. */
static const struct architecture *row_at(size_t index)
{
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        if (index < *groups[i].count)
            return &groups[i].rows[index];
        index -= *groups[i].count;
    }
    return NULL;
}

/* Endings of class names, longer ones before those that they end in. */
static const struct {
    const char *text;
    enum model_use use;
} endings[] = {
    {"ForCausalLM", USE_GENERATE},
    {"LMHeadModel", USE_GENERATE},
    {"ForSequenceClassification", USE_CLASSIFY},
    {"ForTokenClassification", USE_CLASSIFY_TOKENS},
    {"ForMaskedLM", USE_EMBED},
    {"ForPreTraining", USE_EMBED},
    {"Model", USE_EMBED},
};

/* The family's word in front of the ending; its length, or 0: no such ending. */
static size_t family_length(const char *class_name, enum model_use *ret_use)
{
    size_t length = strlen(class_name);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t tail = strlen(endings[i].text);
        if (length <= tail || strcmp(class_name + length - tail, endings[i].text) != 0)
            continue;
        *ret_use = endings[i].use;
        return length - tail;
    }
    return 0;
}

static const struct architecture *find_family(const char *class_name, enum model_use *ret_use)
{
    enum model_use own;
    size_t length = family_length(class_name, ret_use);
    for (size_t i = 0; length > 0 && row_at(i) != NULL; i++) {
        const struct architecture *row = row_at(i);
        if (family_length(row->class_name, &own) == length && strncmp(row->class_name, class_name, length) == 0)
            return row->encoder && *ret_use == USE_GENERATE ? NULL : row;
    }
    return NULL;
}

const struct architecture *architecture_find(const char *class_name, const char *model_type, enum model_use *ret_use)
{
    const char *wanted = class_name != NULL ? class_name : model_type;
    for (size_t i = 0; wanted != NULL && row_at(i) != NULL; i++) {
        const struct architecture *row = row_at(i);
        if (strcmp(wanted, class_name != NULL ? row->class_name : row->model_type) != 0)
            continue;
        *ret_use = row->encoder ? USE_EMBED : USE_GENERATE;
        return row;
    }
    return class_name != NULL ? find_family(class_name, ret_use) : NULL;
}

const struct architecture *architecture_find_gguf(const char *name, bool experts)
{
    const struct architecture *found = NULL;
    for (size_t i = 0; row_at(i) != NULL; i++)
        if (row_at(i)->gguf_name != NULL && strcmp(row_at(i)->gguf_name, name) == 0 &&
            (found == NULL || (row_at(i)->experts != NULL) == experts))
            found = row_at(i);
    return found;
}

void architectures_list(bool gguf, char *text, size_t room)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; row_at(i) != NULL && used < room; i++) {
        const char *name = gguf ? row_at(i)->gguf_name : row_at(i)->class_name;
        if (name != NULL && (!gguf || architecture_find_gguf(name, false) == row_at(i)))
            used += (size_t)snprintf(text + used, room - used, "%s%s", used == 0 ? "" : ", ", name);
    }
}
