/* Text to tokens, in the format's order: added tokens as they stand, then in each gap the normalizers, the added tokens
 * that are looked for behind them, the words, the model. */
#include "config.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "runtimes/huggingface/tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1 << 30, KEPT_MAX = 1 << 20 /* of a buffer that waits for the next stretch */ };

struct encoder {
    const struct tokenizer *tokenizer;
    struct token_list *list;
    struct token_model_work work;
    struct word_run words;
    struct marked_text text, other;
    const struct text_run *runs; /* NULL: all is special */
    size_t *run_ends, run_count;
    size_t length; /* of the whole text */
};

static void encoder_done(struct encoder *encoder)
{
    token_model_work_done(&encoder->work);
    word_run_done(&encoder->words);
    marked_text_done(&encoder->text);
    marked_text_done(&encoder->other);
    free(encoder->run_ends);
}

static bool put(struct token_list *list, uint32_t id)
{
    if (!array_grow(&list->ids, &list->room, list->count + 1))
        return false;
    list->ids[list->count++] = id;
    return true;
}

/* The run that byte `at` is in. */
static size_t run_at(const struct encoder *encoder, size_t at)
{
    size_t low = 0, high = encoder->run_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (encoder->run_ends[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A stretch of the original text, whose runs say what a template wrote. */
struct original {
    const struct encoder *encoder;
    size_t offset;
};

static bool original_allows(const void *context, size_t start, size_t end)
{
    const struct original *original = context;
    const struct encoder *encoder = original->encoder;
    start += original->offset;
    end += original->offset;
    if (encoder->runs == NULL)
        return true;
    for (size_t run = run_at(encoder, start); run < encoder->run_count; run++) {
        if (!encoder->runs[run].special && encoder->runs[run].length != 0)
            return false;
        if (encoder->run_ends[run] >= end)
            return true;
    }
    return false;
}

static bool marks_allow(const void *context, size_t start, size_t end)
{
    const struct marked_text *text = context;
    return !text->tracked || memchr(text->marks.data + start, 1, end - start) == NULL;
}

static pdk_status encode_word(void *to, const char *text, size_t length, pdk_error *err)
{
    struct encoder *encoder = to;
    return token_model_encode(&encoder->tokenizer->model, &encoder->work, text, length, encoder->list, err);
}

/* Behind the normalizers: added tokens again, then words. */
static pdk_status encode_normalized(struct encoder *encoder, const char *text, size_t length, bool first,
    const struct added_filter *filter, pdk_error *err)
{
    size_t at = 0;
    while (at < length) {
        size_t start = length, end = length;
        const struct added_token *token =
            added_tokens_find(&encoder->tokenizer->normalized, text, length, at, filter, &start, &end);
        struct word word = {text + at, start - at, first && at == 0};
        pdk_status status = word_run_cut(&encoder->words, word, err);
        if (status != PDK_OK)
            return status;
        if (token != NULL && !put(encoder->list, token->id))
            return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
        at = end;
    }
    return PDK_OK;
}

static bool has_plain(const struct encoder *encoder)
{
    for (size_t i = 0; encoder->runs != NULL && i < encoder->run_count; i++) {
        if (!encoder->runs[i].special)
            return true;
    }
    return false;
}

static void mark_runs(struct encoder *encoder, const char *text, size_t offset, size_t length)
{
    size_t at = offset, end = offset + length;
    for (size_t run = run_at(encoder, offset); run < encoder->run_count && at < end; run++) {
        size_t stop = encoder->run_ends[run] < end ? encoder->run_ends[run] : end;
        marked_text_put(&encoder->text, text + (at - offset), stop - at, !encoder->runs[run].special);
        at = stop;
    }
}

/* A stretch between the added tokens of the original text. */
static pdk_status encode_gap(struct encoder *encoder, const char *text, size_t offset, size_t length, pdk_error *err)
{
    const struct tokenizer *tokenizer = encoder->tokenizer;
    if (length == 0)
        return PDK_OK;
    if (tokenizer->normalizers.count == 0) {
        struct original original = {encoder, offset};
        struct added_filter filter = {original_allows, &original};
        return encode_normalized(encoder, text, length, offset == 0, &filter, err);
    }
    buffer_clear(&encoder->text.text);
    buffer_clear(&encoder->text.marks);
    encoder->text.tracked = tokenizer->normalized.count != 0 && has_plain(encoder);
    if (encoder->text.tracked)
        mark_runs(encoder, text, offset, length);
    else
        marked_text_put(&encoder->text, text, length, 0);
    if (encoder->text.text.failed || encoder->text.marks.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
    pdk_status status =
        normalizers_apply(&tokenizer->normalizers, &encoder->text, &encoder->other, encoder->length, err);
    if (status != PDK_OK)
        return status;
    if (encoder->other.text.room > KEPT_MAX)
        marked_text_done(&encoder->other);
    struct added_filter filter = {marks_allow, &encoder->text};
    return encode_normalized(encoder, encoder->text.text.data, encoder->text.text.length, offset == 0, &filter, err);
}

static pdk_status encode_text(struct encoder *encoder, const char *text, size_t length, pdk_error *err)
{
    struct original whole = {encoder, 0};
    struct added_filter filter = {original_allows, &whole};
    size_t at = 0;
    while (at < length) {
        size_t start = length, end = length;
        const struct added_token *token =
            added_tokens_find(&encoder->tokenizer->raw, text, length, at, &filter, &start, &end);
        pdk_status status = encode_gap(encoder, text + at, at, start - at, err);
        if (status != PDK_OK)
            return status;
        if (token != NULL && !put(encoder->list, token->id))
            return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
        at = end;
    }
    return PDK_OK;
}

static pdk_status take_runs(
    struct encoder *encoder, const struct text_run *runs, size_t count, size_t length, pdk_error *err)
{
    if (runs == NULL)
        return PDK_OK;
    encoder->runs = runs;
    encoder->run_count = count;
    encoder->run_ends = calloc(count + 1, sizeof *encoder->run_ends);
    if (encoder->run_ends == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
    size_t end = 0;
    for (size_t i = 0; i < count; i++) {
        if (runs[i].length > length - end)
            return pdk_error_set(err, PDK_INTERNAL, "prompt", "runs pass the end of the text");
        end += runs[i].length;
        encoder->run_ends[i] = end;
    }
    return end == length ? PDK_OK : pdk_error_set(err, PDK_INTERNAL, "prompt", "runs end before the text");
}

static pdk_status encode_framed(
    struct encoder *encoder, const char *text, size_t length, bool add_special, pdk_error *err)
{
    const struct frame *frame = &encoder->tokenizer->frame;
    for (size_t i = 0; add_special && i < frame->before_count; i++) {
        if (!put(encoder->list, frame->before[i]))
            return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
    }
    pdk_status status = encode_text(encoder, text, length, err);
    if (status != PDK_OK)
        return status;
    for (size_t i = 0; add_special && i < frame->behind_count; i++) {
        if (!put(encoder->list, frame->behind[i]))
            return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
    }
    return PDK_OK;
}

pdk_status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length,
    const struct text_run *runs, size_t run_count, bool add_special, struct token_list *list, pdk_error *err)
{
    size_t bad = 0;
    if (length > TEXT_MAX)
        return pdk_error_set(err, PDK_TOO_LARGE, "prompt", "%zu bytes of text; the limit is %d", length, TEXT_MAX);
    if (!utf8_valid(text, length, &bad))
        return pdk_error_set(err, PDK_INVALID, "prompt", "not UTF-8 at byte %zu", bad);
    PDK_CLEANUP(encoder_done) struct encoder encoder = {.tokenizer = tokenizer, .list = list, .length = length};
    encoder.words.sink = encode_word;
    encoder.words.to = &encoder;
    size_t before = list->count;
    pdk_status status = word_run_init(&encoder.words, &tokenizer->words, length, err);
    if (status == PDK_OK)
        status = take_runs(&encoder, runs, run_count, length, err);
    if (status == PDK_OK)
        status = encode_framed(&encoder, text, length, add_special, err);
    if (status != PDK_OK)
        list->count = before;
    return status;
}
