/* A token alone, as the bytes that it adds to a text that has begun: the decoders step by step, less what they do at a
 * text's two ends. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/bytes.h"
#include "runtimes/huggingface/tokenizer/parts.h"

#include <string.h>

static void put_replaced(struct buffer *out, pdk_string text, const char *from, size_t from_length, pdk_string to)
{
    const char *at = text.data, *end = text.data + text.length;
    for (const char *found; at < end; at = found + from_length) {
        found = memmem(at, (size_t)(end - at), from, from_length);
        if (found == NULL)
            break;
        buffer_put(out, at, (size_t)(found - at));
        buffer_put(out, to.data, to.length);
    }
    buffer_put(out, at, (size_t)(end - at));
}

static void apply(const struct decoder *step, pdk_string text, struct buffer *out)
{
    static const pdk_string space = {" ", 1};
    if (step->apply == decode_byte_level) {
        if (!bytes_unspell(out, text.data, text.length))
            buffer_put(out, text.data, text.length);
    } else if (step->apply == decode_replace) {
        put_replaced(out, text, step->from, step->from_length, (pdk_string){step->to, step->to_length});
    } else if (step->apply == decode_metaspace || step->apply == decode_bpe) {
        put_replaced(out, text, step->from, step->from_length, space);
    } else if (step->apply == decode_byte_fallback && byte_of_piece(text.data, text.length) >= 0) {
        buffer_putc(out, (char)byte_of_piece(text.data, text.length));
    } else if (step->apply == decode_wordpiece) {
        bool goes_on = text.length >= step->from_length && memcmp(text.data, step->from, step->from_length) == 0;
        size_t skip = goes_on ? step->from_length : 0;
        buffer_put(out, " ", !goes_on);
        buffer_put(out, text.data + skip, text.length - skip);
    } else {
        buffer_put(out, text.data, text.length);
    }
}

bool tokenizer_token_bytes(const struct tokenizer *tokenizer, uint32_t id, struct buffer *out)
{
    const struct vocabulary *vocabulary = &tokenizer->vocabulary;
    if (id >= vocabulary->size || (vocabulary->pieces[id].flags & PIECE_SET) == 0 ||
        (vocabulary->pieces[id].flags & PIECE_SPECIAL) != 0)
        return false;
    pdk_string piece = vocabulary_piece(vocabulary, id);
    struct buffer text = {0}, next = {0};
    buffer_put(&text, " ", tokenizer->decoders.count == 0); /* without a decoder pieces are words */
    buffer_put(&text, piece.data, piece.length);
    for (size_t i = 0; i < tokenizer->decoders.count && !text.failed; i++) {
        buffer_clear(&next);
        apply(&tokenizer->decoders.steps[i], (pdk_string){text.data != NULL ? text.data : "", text.length}, &next);
        struct buffer before = text;
        text = next;
        next = before;
    }
    if (text.length != 0)
        buffer_put(out, text.data, text.length);
    out->failed |= text.failed || next.failed;
    buffer_done(&text);
    buffer_done(&next);
    return true;
}
