/* runtimes/huggingface/tokenizer/parts.h: what a loaded tokenizer is made of. For this folder's files. */
#pragma once

#include "core/base/cleanup.h"
#include "runtimes/huggingface/tokenizer/added.h"
#include "runtimes/huggingface/tokenizer/decode.h"
#include "runtimes/huggingface/tokenizer/frame.h"
#include "runtimes/huggingface/tokenizer/model.h"
#include "runtimes/huggingface/tokenizer/normalize.h"
#include "runtimes/huggingface/tokenizer/tokenizer.h"
#include "runtimes/huggingface/tokenizer/words.h"

struct tokenizer {
    struct vocabulary vocabulary;
    struct added_tokens raw, normalized; /* looked for before and behind the normalizers */
    struct normalizers normalizers;
    struct word_steps words;
    struct token_model model;
    struct frame frame;
    struct decoders decoders;
    int64_t bos, eos;
    char *template;
};

struct tokenizer *tokenizer_new(void); /* empty; NULL: out of memory */
/* An added token: into the vocabulary, and to be found in texts. */
pdk_status tokenizer_add_token(struct tokenizer *tokenizer, int64_t id, const char *text, size_t length,
    const struct added_token *token, bool normalized, pdk_error *err);
PDK_DEFINE_CLEANUP(struct tokenizer, tokenizer_free)

/* The texts of the ids, `skip_special` leaving out, into `texts`, which another list helps with. */
pdk_status tokenizer_decode_with(const struct tokenizer *tokenizer, const uint32_t *ids, size_t count,
    bool skip_special, struct texts *texts, struct texts *other, pdk_error *err);
