/* runtimes/huggingface/tokenizer/tokenizer.h: text to tokens and back, from tokenizer.json or a GGUF's vocabulary.
 * Immutable once loaded; every function may run on several threads at once. */
#pragma once

#include "core/base/buffer.h"
#include "runtimes/huggingface/model/gguf.h"

#include <paddock/abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tokenizer;

/* `json`: the content of tokenizer.json. `config`: that of tokenizer_config.json, or NULL. */
pdk_status tokenizer_from_json(const char *json, size_t length, const char *config, size_t config_length,
    struct tokenizer **ret_tokenizer, pdk_error *err);
pdk_status tokenizer_from_gguf(const struct gguf *gguf, struct tokenizer **ret_tokenizer, pdk_error *err);
struct tokenizer *tokenizer_free(struct tokenizer *tokenizer); /* takes NULL, returns NULL */

/* Growing list of ids. */
struct token_list {
    uint32_t *ids;
    size_t count, room;
};
void token_list_done(struct token_list *list);

/* A run of text and whether special tokens written in it are tokens (a template's own words) or plain text (a user's).
 */
struct text_run {
    size_t length;
    bool special;
};

/* Appends the tokens of `text`, cut into runs whose lengths add up to it (NULL: one run, special). Pre-tokenisation
 * sees the text as a whole: a border of runs is none for it. `add_special`: BOS and so on by the post-processor. Work
 * is O(n log n), memory at most 16 times the text plus 1 MiB. */
pdk_status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length,
    const struct text_run *runs, size_t run_count, bool add_special, struct token_list *list, pdk_error *err);
/* Cuts one list, or a pair of them, to `keep` tokens in all: their first ones (`right`) or their last. Of a pair the
 * longer one is cut down to the other, then both alike, the second keeping the odd token. */
void token_lists_cut(struct token_list *first, struct token_list *second, size_t keep, bool right);
/* Makes a prompt of texts already encoded without special tokens: `first`, or `first` and `second` as a pair (NULL:
 * none), with what the post-processor puts around and between them unless `special` is false. Sets `list`, which is
 * neither of them, and for a pair `types` to the type of each token. */
pdk_status tokenizer_frame(const struct tokenizer *tokenizer, const struct token_list *first,
    const struct token_list *second, bool special, struct token_list *list, struct buffer *types, pdk_error *err);
/* How many special tokens that adds. */
size_t tokenizer_frame_size(const struct tokenizer *tokenizer, bool pair);
/* From now on texts are lower-cased behind the normalizers. Before the first text. */
pdk_status tokenizer_lower(struct tokenizer *tokenizer, pdk_error *err);

/* Appends the text of a whole sequence; ids outside the vocabulary give nothing. */
pdk_status tokenizer_decode(const struct tokenizer *tokenizer, const uint32_t *ids, size_t count, bool skip_special,
    struct buffer *out, pdk_error *err);

size_t tokenizer_size(const struct tokenizer *tokenizer); /* largest id + 1 */
/* The vocabulary's own piece ("Ġworld"), or an empty string. Borrowed. */
pdk_string tokenizer_piece(const struct tokenizer *tokenizer, uint32_t id);
/* Appends the bytes that a token adds to a text that has begun. False, and nothing, for special tokens and ids without
 * a piece: these are no text. */
bool tokenizer_token_bytes(const struct tokenizer *tokenizer, uint32_t id, struct buffer *out);
bool tokenizer_is_special(const struct tokenizer *tokenizer, uint32_t id);
/* -1: none such. */
int64_t tokenizer_id(const struct tokenizer *tokenizer, const char *piece, size_t length);
int64_t tokenizer_bos(const struct tokenizer *tokenizer);
int64_t tokenizer_eos(const struct tokenizer *tokenizer);
/* The chat template that came with it (tokenizer_config.json, tokenizer.chat_template), or NULL. Borrowed. */
const char *tokenizer_template(const struct tokenizer *tokenizer);

/* Incremental decoding: one for each sequence. Gives text as soon as it can no longer change, never half a character.
 */
struct detokenizer;
/* `prompt`: the last tokens before the first one, for the space of SentencePiece words. PDK_NO_MEMORY */
pdk_status detokenizer_new(const struct tokenizer *tokenizer, const uint32_t *prompt, size_t prompt_count,
    bool skip_special, bool spaces_between_special, struct detokenizer **ret_detokenizer, pdk_error *err);
struct detokenizer *detokenizer_free(struct detokenizer *detokenizer);
/* Appends the text that `id` completes to `out` ("" while a character is incomplete). */
pdk_status detokenizer_next(struct detokenizer *detokenizer, uint32_t id, struct buffer *out, pdk_error *err);
/* The text of `id` alone, for log probabilities, after the tokens that detokenizer has seen last (up to 4), by vLLM's
 * rule:
 * "" while a character is incomplete. Changes nothing. */
pdk_status detokenizer_peek(const struct detokenizer *detokenizer, uint32_t id, struct buffer *out, pdk_error *err);
