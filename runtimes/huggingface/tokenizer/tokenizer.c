/* A tokenizer's small questions, and decoding. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/tokenizer.h"

#include "core/base/error.h"
#include "runtimes/huggingface/tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>

void token_list_done(struct token_list *list)
{
    free(list->ids);
    *list = (struct token_list){0};
}

struct tokenizer *tokenizer_new(void)
{
    struct tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
    if (tokenizer == NULL)
        return NULL;
    vocabulary_init(&tokenizer->vocabulary);
    tokenizer->bos = tokenizer->eos = -1;
    return tokenizer;
}

struct tokenizer *tokenizer_free(struct tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return NULL;
    vocabulary_done(&tokenizer->vocabulary);
    added_tokens_done(&tokenizer->raw);
    added_tokens_done(&tokenizer->normalized);
    normalizers_done(&tokenizer->normalizers);
    word_steps_done(&tokenizer->words);
    token_model_done(&tokenizer->model);
    decoders_done(&tokenizer->decoders);
    free(tokenizer->template);
    free(tokenizer);
    return NULL;
}

pdk_status tokenizer_add_token(struct tokenizer *tokenizer, int64_t id, const char *text, size_t length,
    const struct added_token *token, bool normalized, pdk_error *err)
{
    struct added_token added = *token;
    pdk_status status = vocabulary_add(&tokenizer->vocabulary, id, text, length, err);
    if (status != PDK_OK)
        return pdk_error_wrap(err, "added token"), status;
    added.id = (uint32_t)id;
    tokenizer->vocabulary.pieces[id].flags |= PIECE_ADDED | (token->special ? PIECE_SPECIAL : 0);
    return added_tokens_add(normalized ? &tokenizer->normalized : &tokenizer->raw, text, length, &added, err);
}

size_t tokenizer_size(const struct tokenizer *tokenizer)
{
    return tokenizer->vocabulary.size;
}

pdk_string tokenizer_piece(const struct tokenizer *tokenizer, uint32_t id)
{
    return vocabulary_piece(&tokenizer->vocabulary, id);
}

bool tokenizer_is_special(const struct tokenizer *tokenizer, uint32_t id)
{
    return id < tokenizer->vocabulary.size && (tokenizer->vocabulary.pieces[id].flags & PIECE_SPECIAL) != 0;
}

int64_t tokenizer_id(const struct tokenizer *tokenizer, const char *piece, size_t length)
{
    return vocabulary_find(&tokenizer->vocabulary, piece, length);
}

int64_t tokenizer_bos(const struct tokenizer *tokenizer)
{
    return tokenizer->bos;
}

int64_t tokenizer_eos(const struct tokenizer *tokenizer)
{
    return tokenizer->eos;
}

const char *tokenizer_template(const struct tokenizer *tokenizer)
{
    return tokenizer->template;
}

pdk_status tokenizer_decode_with(const struct tokenizer *tokenizer, const uint32_t *ids, size_t count,
    bool skip_special, struct texts *texts, struct texts *other, pdk_error *err)
{
    bool spaced = tokenizer->decoders.count == 0; /* without a decoder pieces are words */
    texts_clear(texts);
    for (size_t i = 0; i < count; i++) {
        const struct vocabulary *vocabulary = &tokenizer->vocabulary;
        if (ids[i] >= vocabulary->size || (vocabulary->pieces[ids[i]].flags & PIECE_SET) == 0)
            continue;
        if (skip_special && tokenizer_is_special(tokenizer, ids[i]))
            continue;
        pdk_string piece = vocabulary_piece(vocabulary, ids[i]);
        if (spaced && texts->count > 0)
            buffer_putc(&texts->bytes, ' ');
        buffer_put(&texts->bytes, piece.data, piece.length);
        if (!texts_end(texts))
            return pdk_error_set(err, PDK_NO_MEMORY, "tokens", "out of memory");
    }
    return decoders_apply(&tokenizer->decoders, texts, other, err);
}

pdk_status tokenizer_decode(const struct tokenizer *tokenizer, const uint32_t *ids, size_t count, bool skip_special,
    struct buffer *out, pdk_error *err)
{
    struct texts texts = {0}, other = {0};
    pdk_status status = tokenizer_decode_with(tokenizer, ids, count, skip_special, &texts, &other, err);
    if (status == PDK_OK)
        buffer_put(out, texts.bytes.data != NULL ? texts.bytes.data : "", texts.bytes.length);
    if (status == PDK_OK && out->failed)
        status = pdk_error_set(err, PDK_NO_MEMORY, "tokens", "out of memory");
    texts_done(&texts);
    texts_done(&other);
    return status;
}
