/* runtimes/huggingface/tokenizer/model.h: the part that turns one word into tokens: BPE, Unigram or WordPiece. */
#pragma once

#include "core/base/json.h"
#include "runtimes/huggingface/tokenizer/bpe.h"
#include "runtimes/huggingface/tokenizer/tokenizer.h"
#include "runtimes/huggingface/tokenizer/unigram.h"
#include "runtimes/huggingface/tokenizer/vocabulary.h"
#include "runtimes/huggingface/tokenizer/wordpiece.h"

enum model_kind { MODEL_BPE, MODEL_UNIGRAM, MODEL_WORDPIECE };

struct token_model {
    enum model_kind kind;
    struct bpe bpe;
    struct unigram unigram;
    struct wordpiece wordpiece;
};

struct token_model_work {
    struct bpe_work bpe;
    struct unigram_work unigram;
};

/* Reads the model of a tokenizer.json; its words go into the empty `vocabulary`, which the model borrows. */
pdk_status token_model_load(
    struct token_model *model, struct vocabulary *vocabulary, const struct json *json, bool spelled, pdk_error *err);
void token_model_done(struct token_model *model);
void token_model_work_done(struct token_model_work *work);
/* Appends the tokens of one word. */
pdk_status token_model_encode(const struct token_model *model, struct token_model_work *work, const char *word,
    size_t length, struct token_list *list, pdk_error *err);
