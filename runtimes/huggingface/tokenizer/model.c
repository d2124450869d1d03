/* The table of models, and their vocabularies. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/model.h"

#include "core/base/error.h"

#include <string.h>

static pdk_status load_words(struct vocabulary *vocabulary, const struct json *json, pdk_error *err)
{
    const struct json *words = json_get(json, "vocab");
    if (words == NULL || words->type != JSON_OBJECT)
        return pdk_error_set(err, PDK_INVALID, "model.vocab", "must be an object of ids by piece");
    for (const struct json *at = words->child; at != NULL; at = at->next) {
        int64_t id;
        if (!json_int64(at, &id))
            return pdk_error_value(
                err, PDK_INVALID, "model.vocab", at->key, "the id of '%.64s' is no integer", at->key);
        pdk_status status = vocabulary_add(vocabulary, id, at->key, at->key_length, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

static pdk_status load_bpe(
    struct token_model *model, struct vocabulary *vocabulary, const struct json *json, bool spelled, pdk_error *err)
{
    pdk_status status = load_words(vocabulary, json, err);
    return status != PDK_OK ? status : bpe_load(&model->bpe, vocabulary, json, spelled, err);
}

static pdk_status load_unigram(
    struct token_model *model, struct vocabulary *vocabulary, const struct json *json, bool spelled, pdk_error *err)
{
    if (spelled)
        return pdk_error_set(err, PDK_UNSUPPORTED, "pre_tokenizer", "ByteLevel before Unigram is not supported");
    return unigram_load(&model->unigram, vocabulary, json, err);
}

static pdk_status load_wordpiece(
    struct token_model *model, struct vocabulary *vocabulary, const struct json *json, bool spelled, pdk_error *err)
{
    if (spelled)
        return pdk_error_set(err, PDK_UNSUPPORTED, "pre_tokenizer", "ByteLevel before WordPiece is not supported");
    pdk_status status = load_words(vocabulary, json, err);
    return status != PDK_OK ? status : wordpiece_load(&model->wordpiece, vocabulary, json, err);
}

static const struct {
    const char *type;
    pdk_status (*load)(struct token_model *model, struct vocabulary *vocabulary, const struct json *json, bool spelled,
        pdk_error *err);
} kinds[] = {
    [MODEL_BPE] = {"BPE", load_bpe},
    [MODEL_UNIGRAM] = {"Unigram", load_unigram},
    [MODEL_WORDPIECE] = {"WordPiece", load_wordpiece},
};

pdk_status token_model_load(
    struct token_model *model, struct vocabulary *vocabulary, const struct json *json, bool spelled, pdk_error *err)
{
    const char *type = "";
    if (!json_string(json_get(json, "type"), &type) && json_get(json, "merges") != NULL)
        type = "BPE"; /* files of old have no type */
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].type, type) == 0) {
            model->kind = (enum model_kind)i;
            return kinds[i].load(model, vocabulary, json, spelled, err);
        }
    }
    return pdk_error_value(err, PDK_UNSUPPORTED, "model.type", type, "model '%s' is not supported", type);
}

void token_model_done(struct token_model *model)
{
    bpe_done(&model->bpe);
    unigram_done(&model->unigram);
}

void token_model_work_done(struct token_model_work *work)
{
    bpe_work_done(&work->bpe);
    unigram_work_done(&work->unigram);
}

pdk_status token_model_encode(const struct token_model *model, struct token_model_work *work, const char *word,
    size_t length, struct token_list *list, pdk_error *err)
{
    switch (model->kind) {
    case MODEL_UNIGRAM: return unigram_encode(&model->unigram, &work->unigram, word, length, list, err);
    case MODEL_WORDPIECE: return wordpiece_encode(&model->wordpiece, word, length, list, err);
    default: return bpe_encode(&model->bpe, &work->bpe, word, length, list, err);
    }
}
