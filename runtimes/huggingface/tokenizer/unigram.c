/* Viterbi from left to right: at each character the pieces that start there are found by narrowing a range of the
 * sorted pieces, byte by byte. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/unigram.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "runtimes/huggingface/tokenizer/unicode.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the reference gives an unknown character below the worst piece. */
static const double unknown_penalty = 10;

/* In unigram_work.last: no way leads here; a character that is no piece does. */
#define NO_WAY       (UINT32_MAX - 1)
#define UNKNOWN_CHAR UINT32_MAX

struct sort_by {
    const struct vocabulary *vocabulary;
};

static int compare_pieces(const void *a, const void *b, void *context)
{
    const struct vocabulary *vocabulary = ((const struct sort_by *)context)->vocabulary;
    pdk_string left = vocabulary_piece(vocabulary, *(const uint32_t *)a);
    pdk_string right = vocabulary_piece(vocabulary, *(const uint32_t *)b);
    size_t least = left.length < right.length ? left.length : right.length;
    int order = least == 0 ? 0 : memcmp(left.data, right.data, least);
    return order != 0 ? order : (left.length > right.length) - (left.length < right.length);
}

/* A score as the reference library reads it: the digits as one integer, then one division or multiplication. That may
 * be a last bit away from the nearest double, and decides between ways that add up to the same. */
static bool score_read(const struct json *number, double *ret_score)
{
    double nearest;
    if (!json_double(number, &nearest))
        return false;
    uint64_t digits = 0;
    long power = 0;
    bool point = false;
    const char *at = number->text;
    for (at += *at == '-'; (*at >= '0' && *at <= '9') || *at == '.'; at++) {
        if (*at == '.') {
            point = true;
        } else if (digits > (UINT64_MAX - 9) / 10) {
            power += !point;
        } else {
            digits = digits * 10 + (uint64_t)(*at - '0');
            power -= point;
        }
    }
    long exponent = 0;
    bool negative = false;
    if (*at == 'e' || *at == 'E') {
        for (at++; *at != '\0' && exponent < 10000; at++) { /* json_double has checked the grammar */
            negative = negative || *at == '-';
            exponent = *at >= '0' && *at <= '9' ? exponent * 10 + (*at - '0') : exponent;
        }
    }
    power += negative ? -exponent : exponent;
    if (power < -300 || power > 300) {
        *ret_score = nearest;
        return true;
    }
    char text[16];
    snprintf(text, sizeof text, "1e%ld", power < 0 ? -power : power);
    double scale = strtod(text, NULL), value = power < 0 ? (double)digits / scale : (double)digits * scale;
    *ret_score = number->text[0] == '-' ? -value : value;
    return true;
}

static pdk_status load_pieces(
    struct unigram *model, struct vocabulary *vocabulary, const struct json *pieces, pdk_error *err)
{
    double worst = 0;
    for (const struct json *at = pieces->child; at != NULL; at = at->next) {
        const struct json *piece = at->type == JSON_ARRAY && at->count == 2 ? at->child : NULL;
        if (piece == NULL || piece->type != JSON_STRING || !score_read(piece->next, &model->scores[model->count]))
            return pdk_error_set(
                err, PDK_INVALID, "model.vocab", "entry %zu is not a piece and its score", model->count);
        pdk_status status = vocabulary_add(vocabulary, (int64_t)model->count, piece->text, piece->length, err);
        if (status != PDK_OK)
            return status;
        if (model->scores[model->count] < worst)
            worst = model->scores[model->count];
        model->longest = piece->length > model->longest ? piece->length : model->longest;
        model->sorted[model->count] = (uint32_t)model->count;
        model->count++;
    }
    model->unknown_score = worst - unknown_penalty;
    return PDK_OK;
}

static void sort_pieces(struct unigram *model)
{
    struct sort_by by = {model->vocabulary};
    qsort_r(model->sorted, model->count, sizeof *model->sorted, compare_pieces, &by);
    size_t at = 0;
    while (at < model->count && vocabulary_piece(model->vocabulary, model->sorted[at]).length == 0)
        at++;
    for (unsigned byte = 0; byte < 256; byte++) {
        model->starts[byte] = at;
        while (at < model->count && (uint8_t)vocabulary_piece(model->vocabulary, model->sorted[at]).data[0] == byte)
            at++;
    }
    model->starts[256] = at;
}

pdk_status unigram_load(struct unigram *model, struct vocabulary *vocabulary, const struct json *json, pdk_error *err)
{
    *model = (struct unigram){.vocabulary = vocabulary, .unknown = UINT32_MAX};
    const struct json *pieces = json_get(json, "vocab"), *unknown = json_get(json, "unk_id");
    if (pieces == NULL || pieces->type != JSON_ARRAY || pieces->count == 0)
        return pdk_error_set(err, PDK_INVALID, "model.vocab", "Unigram needs a list of pieces and scores");
    model->scores = calloc(pieces->count, sizeof *model->scores);
    model->sorted = calloc(pieces->count, sizeof *model->sorted);
    if (model->scores == NULL || model->sorted == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "model.vocab", "out of memory for %u pieces", pieces->count);
    pdk_status status = load_pieces(model, vocabulary, pieces, err);
    if (status != PDK_OK)
        return status;
    uint64_t id = 0;
    if (unknown != NULL && unknown->type != JSON_NULL) {
        if (!json_uint64(unknown, &id) || id >= model->count)
            return pdk_error_set(err, PDK_INVALID, "model.unk_id", "must be an id below %zu", model->count);
        model->unknown = (uint32_t)id;
    }
    json_bool(json_get(json, "byte_fallback"), &model->byte_fallback);
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[8];
        int64_t found = vocabulary_find(vocabulary, text, (size_t)snprintf(text, sizeof text, "<0x%02X>", byte));
        model->bytes[byte] = found < 0 ? UINT32_MAX : (uint32_t)found;
        model->byte_fallback = model->byte_fallback && found >= 0;
    }
    sort_pieces(model);
    return PDK_OK;
}

void unigram_done(struct unigram *model)
{
    free(model->scores);
    free(model->sorted);
    model->scores = NULL;
    model->sorted = NULL;
}

void unigram_work_done(struct unigram_work *work)
{
    free(work->last);
    free(work->scores);
}

/* Narrows [*low, *high), whose pieces share `depth` bytes, to those whose next byte is `byte`. */
static void narrow(const struct unigram *model, size_t *low, size_t *high, size_t depth, uint8_t byte)
{
    for (int side = 0; side < 2; side++) {
        size_t from = *low, to = *high;
        while (from < to) {
            size_t middle = from + (to - from) / 2;
            pdk_string piece = vocabulary_piece(model->vocabulary, model->sorted[middle]);
            int next = piece.length <= depth ? -1 : (uint8_t)piece.data[depth];
            if (next < byte + side)
                from = middle + 1;
            else
                to = middle;
        }
        *(side == 0 ? low : high) = from;
    }
}

static void offer(struct unigram_work *work, size_t at, double score, uint32_t id)
{
    double *best = &work->scores[at & (work->ring - 1)];
    if (work->last[at] == NO_WAY || score > *best) {
        work->last[at] = id;
        *best = score;
    }
}

/* Offers every piece that starts at `at`, and the unknown character. */
static void extend(const struct unigram *model, struct unigram_work *work, const char *word, size_t length, size_t at)
{
    uint32_t code;
    size_t first = utf8_decode(word + at, length - at, &code);
    bool single = false;
    double before = at == 0 ? 0 : work->scores[at & (work->ring - 1)];
    size_t low = model->starts[(uint8_t)word[at]], high = model->starts[(uint8_t)word[at] + 1];
    for (size_t depth = 1; low < high; depth++) {
        pdk_string piece = vocabulary_piece(model->vocabulary, model->sorted[low]);
        if (piece.length == depth) {
            uint32_t id = model->sorted[low];
            single = single || depth == first;
            offer(work, at + depth, before + model->scores[id], id);
        }
        if (at + depth == length)
            break;
        narrow(model, &low, &high, depth, (uint8_t)word[at + depth]);
    }
    if (!single)
        offer(work, at + first, before + model->unknown_score, UNKNOWN_CHAR);
}

/* Appends the pieces that end at `end`, last first; unknown neighbours are one. */
static bool put_backwards(
    const struct unigram *model, const uint32_t *last, const char *word, size_t end, struct token_list *list)
{
    bool was_unknown = false;
    for (size_t at = end; at > 0;) {
        uint32_t code, id = last[at] == UNKNOWN_CHAR ? model->unknown : last[at];
        size_t length =
            last[at] == UNKNOWN_CHAR ? utf8_before(word, at, &code) : vocabulary_piece(model->vocabulary, id).length;
        bool unknown = id == model->unknown, bytes = unknown && model->byte_fallback;
        size_t count = bytes ? length : unknown && (was_unknown || id == UINT32_MAX) ? 0 : 1;
        if (!array_grow(&list->ids, &list->room, list->count + count))
            return false;
        for (size_t i = 0; i < count; i++)
            list->ids[list->count++] = bytes ? model->bytes[(uint8_t)word[at - 1 - i]] : id;
        was_unknown = unknown;
        at -= length;
    }
    return true;
}

static bool work_grow(struct unigram_work *work, size_t length, size_t longest)
{
    size_t ring = 8;
    while (ring <= longest + 4) /* an unknown character has up to 4 bytes */
        ring *= 2;
    if (work->ring < ring) {
        free(work->scores);
        work->scores = calloc(ring, sizeof *work->scores);
        work->ring = work->scores == NULL ? 0 : ring;
    }
    if (length + 1 > work->room) { /* exact, not doubled: see bpe.c */
        free(work->last);
        work->last = calloc(length + 1, sizeof *work->last);
        work->room = work->last == NULL ? 0 : length + 1;
    }
    return work->ring >= ring && work->room > length;
}

pdk_status unigram_encode(const struct unigram *model, struct unigram_work *work, const char *word, size_t length,
    struct token_list *list, pdk_error *err)
{
    if (!work_grow(work, length < 64 ? 64 : length, model->longest))
        return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory for a word of %zu bytes", length);
    for (size_t i = 0; i <= length; i++)
        work->last[i] = NO_WAY;
    for (size_t at = 0; at < length;) {
        uint32_t code;
        if (at == 0 || work->last[at] != NO_WAY)
            extend(model, work, word, length, at);
        at += utf8_decode(word + at, length - at, &code);
    }
    size_t before = list->count;
    if (!put_backwards(model, work->last, word, length, list))
        return pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
    for (size_t low = before, high = list->count; low + 1 < high; low++, high--) {
        uint32_t id = list->ids[low];
        list->ids[low] = list->ids[high - 1];
        list->ids[high - 1] = id;
    }
    return PDK_OK;
}
