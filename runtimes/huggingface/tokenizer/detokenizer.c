/* Text of a growing sequence. Kept are the last ids, of which the first `settled` have been given as text already
 * (`prefix` is what those decode to): a further id is decoded together with them, and what is more than the prefix is
 * new, unless it ends in U+FFFD, which may be half a character. It is the reference library's way, and so its texts. */
#include "config.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "runtimes/huggingface/tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>

enum {
    PROMPT_LEAST = 4,
    PROMPT_MOST = 24, /* of the prompt's tokens are looked at */
    WAITING_MAX = 64, /* ids without text, after which what there is goes out as it is */
    CONTEXT = 4,      /* ids before one, for its text alone */
};

struct detokenizer {
    const struct tokenizer *tokenizer;
    bool skip_special, spaces_between_special, last_added;
    uint32_t *ids;
    size_t count, room, settled;
    struct buffer prefix;
    struct texts texts, other;
    uint32_t seen[CONTEXT]; /* oldest first */
    size_t seen_count;
};

static bool is_broken(const struct buffer *text)
{
    return text->length >= 3 && memcmp(text->data + text->length - 3, "\xEF\xBF\xBD", 3) == 0;
}

/* Decodes ids into detokenizer->texts.bytes. */
static pdk_status decode(
    struct detokenizer *detokenizer, const uint32_t *ids, size_t count, bool skip_special, pdk_error *err)
{
    return tokenizer_decode_with(
        detokenizer->tokenizer, ids, count, skip_special, &detokenizer->texts, &detokenizer->other, err);
}

static pdk_status set_prefix(struct detokenizer *detokenizer, pdk_error *err)
{
    const struct buffer *text = &detokenizer->texts.bytes;
    buffer_clear(&detokenizer->prefix);
    buffer_put(&detokenizer->prefix, text->data != NULL ? text->data : "", text->length);
    return detokenizer->prefix.failed ? pdk_error_set(err, PDK_NO_MEMORY, "tokens", "out of memory") : PDK_OK;
}

static pdk_status keep_ids(struct detokenizer *detokenizer, const uint32_t *ids, size_t count, pdk_error *err)
{
    if (!array_grow(&detokenizer->ids, &detokenizer->room, count)) /* `ids` may be its own: then there is room */
        return pdk_error_set(err, PDK_NO_MEMORY, "tokens", "out of memory");
    if (count != 0)
        memmove(detokenizer->ids, ids, count * sizeof *ids);
    detokenizer->count = count;
    return PDK_OK;
}

/* Starts with as few of the prompt's last tokens as decode to whole characters. */
static pdk_status start(struct detokenizer *detokenizer, const uint32_t *prompt, size_t count, pdk_error *err)
{
    size_t most = count < PROMPT_MOST ? count : PROMPT_MOST, take = most;
    pdk_status status = PDK_OK;
    for (size_t n = PROMPT_LEAST; n <= most && status == PDK_OK; n++) {
        status = decode(detokenizer, prompt + count - n, n, detokenizer->skip_special, err);
        if (status == PDK_OK && !is_broken(&detokenizer->texts.bytes)) {
            take = n;
            break;
        }
    }
    if (status == PDK_OK)
        status = keep_ids(detokenizer, take == 0 ? NULL : prompt + count - take, take, err);
    if (status == PDK_OK)
        status = decode(detokenizer, detokenizer->ids, take, detokenizer->skip_special, err);
    if (status != PDK_OK || is_broken(&detokenizer->texts.bytes))
        return status;
    detokenizer->settled = take;
    return set_prefix(detokenizer, err);
}

pdk_status detokenizer_new(const struct tokenizer *tokenizer, const uint32_t *prompt, size_t prompt_count,
    bool skip_special, bool spaces_between_special, struct detokenizer **ret_detokenizer, pdk_error *err)
{
    struct detokenizer *detokenizer = calloc(1, sizeof *detokenizer);
    if (detokenizer == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "tokens", "out of memory");
    detokenizer->tokenizer = tokenizer;
    detokenizer->skip_special = skip_special;
    detokenizer->spaces_between_special = skip_special || spaces_between_special;
    pdk_status status = start(detokenizer, prompt, prompt_count, err);
    if (status == PDK_OK)
        *ret_detokenizer = detokenizer;
    else
        detokenizer_free(detokenizer);
    return status;
}

struct detokenizer *detokenizer_free(struct detokenizer *detokenizer)
{
    if (detokenizer != NULL) {
        free(detokenizer->ids);
        buffer_done(&detokenizer->prefix);
        texts_done(&detokenizer->texts);
        texts_done(&detokenizer->other);
        free(detokenizer);
    }
    return NULL;
}

/* What came since the last text is settled now: it becomes the context of what follows. */
static pdk_status settle(struct detokenizer *detokenizer, pdk_error *err)
{
    size_t fresh = detokenizer->count - detokenizer->settled;
    pdk_status status = keep_ids(detokenizer, detokenizer->ids + detokenizer->settled, fresh, err);
    if (status == PDK_OK)
        status = decode(detokenizer, detokenizer->ids, fresh, detokenizer->skip_special, err);
    if (status == PDK_OK)
        status = set_prefix(detokenizer, err);
    detokenizer->settled = fresh;
    return status;
}

static pdk_status step(struct detokenizer *detokenizer, uint32_t id, struct buffer *out, pdk_error *err)
{
    if (!array_grow(&detokenizer->ids, &detokenizer->room, detokenizer->count + 1))
        return pdk_error_set(err, PDK_NO_MEMORY, "tokens", "out of memory");
    detokenizer->ids[detokenizer->count++] = id;
    pdk_status status = decode(detokenizer, detokenizer->ids, detokenizer->count, detokenizer->skip_special, err);
    if (status != PDK_OK)
        return status;
    const struct buffer *text = &detokenizer->texts.bytes;
    const struct buffer *prefix = &detokenizer->prefix;
    bool overdue = detokenizer->count - detokenizer->settled >= WAITING_MAX;
    if (!overdue && (text->length <= prefix->length || is_broken(text)))
        return PDK_OK;
    size_t known = prefix->length;
    if (known > text->length || (known != 0 && memcmp(text->data, prefix->data, known) != 0)) {
        /* The context came out otherwise than before: from here on without it. */
        status = keep_ids(detokenizer, &id, 1, err);
        detokenizer->settled = 0;
        if (status == PDK_OK)
            status = decode(detokenizer, &id, 1, detokenizer->skip_special, err);
        if (status != PDK_OK || text->length == 0 || is_broken(text))
            return status;
        known = 0;
    }
    if (text->length > known)
        buffer_put(out, text->data + known, text->length - known);
    if (out->failed)
        return pdk_error_set(err, PDK_NO_MEMORY, "tokens", "out of memory");
    return settle(detokenizer, err);
}

static void see(struct detokenizer *detokenizer, uint32_t id)
{
    if (detokenizer->seen_count == CONTEXT)
        memmove(detokenizer->seen, detokenizer->seen + 1, (CONTEXT - 1) * sizeof *detokenizer->seen);
    else
        detokenizer->seen_count++;
    detokenizer->seen[detokenizer->seen_count - 1] = id;
}

pdk_status detokenizer_next(struct detokenizer *detokenizer, uint32_t id, struct buffer *out, pdk_error *err)
{
    const struct vocabulary *vocabulary = &detokenizer->tokenizer->vocabulary;
    bool added = id < vocabulary->size && (vocabulary->pieces[id].flags & PIECE_ADDED) != 0;
    bool joined = !detokenizer->spaces_between_special && added && detokenizer->last_added;
    detokenizer->last_added = added;
    see(detokenizer, id);
    /* One that is left out is no context either: it would push out the word before it. */
    if (detokenizer->skip_special && tokenizer_is_special(detokenizer->tokenizer, id))
        return PDK_OK;
    if (!joined)
        return step(detokenizer, id, out, err);
    struct buffer spaced = {0};
    pdk_status status = step(detokenizer, id, &spaced, err);
    buffer_done(&spaced);
    pdk_string piece = vocabulary_piece(vocabulary, id);
    if (status == PDK_OK)
        buffer_put(out, piece.data, piece.length);
    return status == PDK_OK && out->failed ? pdk_error_set(err, PDK_NO_MEMORY, "tokens", "out of memory") : status;
}

static pdk_status decode_alone(
    const struct tokenizer *tokenizer, const uint32_t *ids, size_t count, struct buffer *text, pdk_error *err)
{
    buffer_clear(text);
    return tokenizer_decode(tokenizer, ids, count, false, text, err);
}

/* Of the `count` ids before the last, how many do not belong to its unfinished character. */
static pdk_status clean_count(const struct tokenizer *tokenizer, const uint32_t *ids, size_t count, struct buffer *text,
    size_t *ret_clean, pdk_error *err)
{
    size_t clean = count;
    while (clean > 0) {
        pdk_status status = decode_alone(tokenizer, &ids[clean - 1], 1, text, err);
        if (status != PDK_OK)
            return status;
        if (!is_broken(text))
            break;
        clean--;
    }
    *ret_clean = clean;
    return PDK_OK;
}

static pdk_status peek_in_context(const struct detokenizer *detokenizer, uint32_t id, struct buffer *text,
    struct buffer *before, struct buffer *out, pdk_error *err)
{
    for (size_t n = 1; n <= detokenizer->seen_count; n++) {
        uint32_t ids[CONTEXT + 1];
        memcpy(ids, detokenizer->seen + detokenizer->seen_count - n, n * sizeof *ids);
        ids[n] = id;
        size_t clean = 0;
        pdk_status status = decode_alone(detokenizer->tokenizer, ids, n + 1, text, err);
        if (status != PDK_OK)
            return status;
        if (is_broken(text))
            continue;
        status = clean_count(detokenizer->tokenizer, ids, n, before, &clean, err);
        if (status == PDK_OK)
            status = decode_alone(detokenizer->tokenizer, ids, clean, before, err);
        if (status != PDK_OK)
            return status;
        size_t same = 0;
        while (same < before->length && same < text->length && before->data[same] == text->data[same])
            same++;
        while (same > 0 && same < text->length && ((unsigned char)text->data[same] & 0xC0) == 0x80)
            same--;
        buffer_put(out, text->data + same, text->length - same);
        return PDK_OK;
    }
    return PDK_OK;
}

pdk_status detokenizer_peek(const struct detokenizer *detokenizer, uint32_t id, struct buffer *out, pdk_error *err)
{
    struct buffer text = {0}, before = {0};
    pdk_status status = decode_alone(detokenizer->tokenizer, &id, 1, &text, err);
    if (status == PDK_OK && is_broken(&text))
        status = peek_in_context(detokenizer, id, &text, &before, out, err);
    else if (status == PDK_OK && text.length != 0)
        buffer_put(out, text.data, text.length);
    if (status == PDK_OK && (out->failed || text.failed || before.failed))
        status = pdk_error_set(err, PDK_NO_MEMORY, "tokens", "out of memory");
    buffer_done(&text);
    buffer_done(&before);
    return status;
}
