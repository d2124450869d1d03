/* Each step reads a list of texts and writes another; the last list, put together, is the text. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/decode.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "runtimes/huggingface/tokenizer/bytes.h"

#include <stdlib.h>
#include <string.h>

static const char replacement_char[] = "\xEF\xBF\xBD";

void texts_done(struct texts *texts)
{
    buffer_done(&texts->bytes);
    free(texts->ends);
    *texts = (struct texts){0};
}

void texts_clear(struct texts *texts)
{
    buffer_clear(&texts->bytes);
    texts->count = 0;
}

pdk_string texts_at(const struct texts *texts, size_t index)
{
    size_t start = index == 0 ? 0 : texts->ends[index - 1];
    return (pdk_string){texts->bytes.data == NULL ? "" : texts->bytes.data + start, texts->ends[index] - start};
}

bool texts_end(struct texts *texts)
{
    if (texts->bytes.failed || !array_grow(&texts->ends, &texts->room, texts->count + 1))
        return false;
    texts->ends[texts->count++] = texts->bytes.length;
    return true;
}

bool decode_byte_level(const struct decoder *decoder, const struct texts *in, struct texts *out)
{
    (void)decoder;
    struct buffer bytes = {0};
    for (size_t i = 0; i < in->count; i++) {
        pdk_string text = texts_at(in, i);
        if (!bytes_unspell(&bytes, text.data, text.length))
            buffer_put(&bytes, text.data, text.length); /* an added token with letters beyond the alphabet */
    }
    bytes_to_text(&out->bytes, bytes.data, bytes.length);
    bool done = !bytes.failed && texts_end(out);
    buffer_done(&bytes);
    return done;
}

static void put_replaced(
    struct buffer *out, pdk_string text, const char *from, size_t from_length, const char *to, size_t to_length)
{
    const char *at = text.data, *end = text.data + text.length;
    for (;;) {
        const char *found = memmem(at, (size_t)(end - at), from, from_length);
        if (found == NULL)
            break;
        buffer_put(out, at, (size_t)(found - at));
        buffer_put(out, to, to_length);
        at = found + from_length;
    }
    buffer_put(out, at, (size_t)(end - at));
}

bool decode_replace(const struct decoder *decoder, const struct texts *in, struct texts *out)
{
    for (size_t i = 0; i < in->count; i++) {
        put_replaced(
            &out->bytes, texts_at(in, i), decoder->from, decoder->from_length, decoder->to, decoder->to_length);
        if (!texts_end(out))
            return false;
    }
    return true;
}

/* Bytes in a row are text if they are UTF-8 as a whole, else each becomes U+FFFD. */
static bool put_byte_run(const struct buffer *run, struct texts *out)
{
    size_t bad;
    if (run->length == 0)
        return true;
    if (utf8_valid(run->data, run->length, &bad)) {
        buffer_put(&out->bytes, run->data, run->length);
        return texts_end(out);
    }
    for (size_t i = 0; i < run->length; i++) {
        buffer_puts(&out->bytes, replacement_char);
        if (!texts_end(out))
            return false;
    }
    return true;
}

bool decode_byte_fallback(const struct decoder *decoder, const struct texts *in, struct texts *out)
{
    (void)decoder;
    struct buffer run = {0};
    bool done = true;
    for (size_t i = 0; i < in->count && done; i++) {
        pdk_string text = texts_at(in, i);
        int byte = byte_of_piece(text.data, text.length);
        if (byte >= 0) {
            buffer_putc(&run, (char)byte);
            continue;
        }
        done = put_byte_run(&run, out);
        buffer_clear(&run);
        buffer_put(&out->bytes, text.data, text.length);
        done = done && texts_end(out);
    }
    done = done && !run.failed && put_byte_run(&run, out);
    buffer_done(&run);
    return done;
}

bool decode_fuse(const struct decoder *decoder, const struct texts *in, struct texts *out)
{
    (void)decoder;
    if (in->bytes.length != 0)
        buffer_put(&out->bytes, in->bytes.data, in->bytes.length);
    return texts_end(out);
}

bool decode_strip(const struct decoder *decoder, const struct texts *in, struct texts *out)
{
    size_t size = decoder->from_length;
    for (size_t i = 0; i < in->count; i++) {
        pdk_string text = texts_at(in, i);
        for (size_t n = 0; n < decoder->left && text.length >= size && memcmp(text.data, decoder->from, size) == 0;
             n++) {
            text.data += size;
            text.length -= size;
        }
        for (size_t n = 0; n < decoder->right && text.length >= size &&
                           memcmp(text.data + text.length - size, decoder->from, size) == 0;
             n++)
            text.length -= size;
        buffer_put(&out->bytes, text.data, text.length);
        if (!texts_end(out))
            return false;
    }
    return true;
}

bool decode_metaspace(const struct decoder *decoder, const struct texts *in, struct texts *out)
{
    for (size_t i = 0; i < in->count; i++) {
        bool skip = i == 0 && decoder->skip_first;
        put_replaced(&out->bytes, texts_at(in, i), decoder->from, decoder->from_length, " ", skip ? 0 : 1);
        if (!texts_end(out))
            return false;
    }
    return true;
}

static const struct {
    const char *from, *to;
} clean_ups[] = {
    {" .", "."},
    {" ?", "?"},
    {" !", "!"},
    {" ,", ","},
    {" ' ", "'"},
    {" n't", "n't"},
    {" 'm", "'m"},
    {" do not", " don't"},
    {" 's", "'s"},
    {" 've", "'ve"},
    {" 're", "'re"},
};

static void clean_up(struct buffer *text, struct buffer *work)
{
    for (size_t i = 0; i < sizeof clean_ups / sizeof clean_ups[0]; i++) {
        buffer_clear(work);
        put_replaced(work, (pdk_string){text->data, text->length}, clean_ups[i].from, strlen(clean_ups[i].from),
            clean_ups[i].to, strlen(clean_ups[i].to));
        struct buffer before = *text;
        *text = *work;
        *work = before;
    }
}

bool decode_wordpiece(const struct decoder *decoder, const struct texts *in, struct texts *out)
{
    struct buffer text = {0}, work = {0};
    bool done = true;
    for (size_t i = 0; i < in->count && done; i++) {
        pdk_string piece = texts_at(in, i);
        buffer_clear(&text);
        bool goes_on =
            piece.length >= decoder->from_length && memcmp(piece.data, decoder->from, decoder->from_length) == 0;
        if (i > 0 && goes_on)
            buffer_put(&text, piece.data + decoder->from_length, piece.length - decoder->from_length);
        else {
            if (i > 0)
                buffer_putc(&text, ' ');
            buffer_put(&text, piece.data, piece.length);
        }
        if (decoder->clean_up && text.length != 0)
            clean_up(&text, &work);
        if (text.length != 0)
            buffer_put(&out->bytes, text.data, text.length);
        done = !text.failed && !work.failed && texts_end(out);
    }
    buffer_done(&text);
    buffer_done(&work);
    return done;
}

bool decode_bpe(const struct decoder *decoder, const struct texts *in, struct texts *out)
{
    for (size_t i = 0; i < in->count; i++) {
        put_replaced(
            &out->bytes, texts_at(in, i), decoder->from, decoder->from_length, " ", i + 1 == in->count ? 0 : 1);
        if (!texts_end(out))
            return false;
    }
    return true;
}

pdk_status decoders_apply(const struct decoders *decoders, struct texts *texts, struct texts *other, pdk_error *err)
{
    for (size_t i = 0; i < decoders->count; i++) {
        texts_clear(other);
        if (!decoders->steps[i].apply(&decoders->steps[i], texts, other))
            return pdk_error_set(err, PDK_NO_MEMORY, "decoder", "out of memory");
        struct texts before = *texts;
        *texts = *other;
        *other = before;
    }
    return PDK_OK;
}
