/* Merges as a table from a pair of ids to the rank and the id of what they make. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/bpe.h"

#include "core/base/error.h"
#include "core/base/utf8.h"
#include "runtimes/huggingface/tokenizer/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MERGES_MAX = 16 << 20 };

static void find_bytes(struct bpe *bpe)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[8];
        size_t length = bpe->spelled ? utf8_encode(byte_to_char((uint8_t)byte), text)
                                     : (size_t)snprintf(text, sizeof text, "<0x%02X>", byte);
        int64_t id = vocabulary_find(bpe->vocabulary, text, length);
        bpe->bytes[byte] = id < 0 ? BPE_NONE : (uint32_t)id;
    }
}

/* An empty table in place of the one that is there, which stays the caller's. */
static bool table_make(struct bpe *bpe, size_t room)
{
    struct merge *merges = calloc(room, sizeof *merges);
    if (merges == NULL)
        return false;
    for (size_t i = 0; i < room; i++)
        merges[i].id = BPE_NONE;
    bpe->merges = merges;
    bpe->room = room;
    bpe->count = 0;
    return true;
}

pdk_status bpe_init(struct bpe *bpe, const struct vocabulary *vocabulary, size_t merges, bool spelled, pdk_error *err)
{
    if (merges > MERGES_MAX)
        return pdk_error_set(err, PDK_INVALID, "merges", "%zu merges; the limit is %d", merges, MERGES_MAX);
    struct siphash_key key = siphash_random_key();
    size_t room = 64;
    while (room < merges * 2)
        room *= 2;
    *bpe = (struct bpe){.vocabulary = vocabulary, .spelled = spelled, .unknown = BPE_NONE, .seed = key.a | 1};
    if (!table_make(bpe, room))
        return pdk_error_set(err, PDK_NO_MEMORY, "merges", "out of memory for %zu merges", merges);
    find_bytes(bpe);
    return PDK_OK;
}

void bpe_done(struct bpe *bpe)
{
    free(bpe->merges);
    bpe->merges = NULL;
    buffer_done(&bpe->whole);
}

static pdk_status part_find(
    const struct bpe *bpe, uint32_t rank, const char *text, size_t length, uint32_t *ret_id, pdk_error *err)
{
    int64_t id = vocabulary_find(bpe->vocabulary, text, length);
    if (id < 0)
        return pdk_error_value(err, PDK_INVALID, "merges", text, "merge %" PRIu32 " names '%.*s', which is no token",
            rank, (int)(length < 64 ? length : 64), text);
    *ret_id = (uint32_t)id;
    return PDK_OK;
}

static void table_put(struct bpe *bpe, const struct merge *merge)
{
    size_t slot = bpe_slot(bpe, merge->pair);
    while (bpe->merges[slot].id != BPE_NONE && bpe->merges[slot].pair != merge->pair)
        slot = (slot + 1) & (bpe->room - 1);
    bpe->count += bpe->merges[slot].id == BPE_NONE;
    bpe->merges[slot] = *merge;
}

pdk_status bpe_put_merge(struct bpe *bpe, uint32_t rank, uint32_t left, uint32_t right, uint32_t id, pdk_error *err)
{
    struct merge merge = {.pair = (uint64_t)left << 32 | right, .rank = rank, .id = id};
    if (bpe->count * 2 >= bpe->room) {
        struct merge *old = bpe->merges;
        size_t old_room = bpe->room;
        if (bpe->count >= MERGES_MAX)
            return pdk_error_set(err, PDK_INVALID, "merges", "more than %d merges", MERGES_MAX);
        if (!table_make(bpe, bpe->room * 2))
            return pdk_error_set(err, PDK_NO_MEMORY, "merges", "out of memory for %zu merges", bpe->count);
        for (size_t i = 0; i < old_room; i++) {
            if (old[i].id != BPE_NONE)
                table_put(bpe, &old[i]);
        }
        free(old);
    }
    table_put(bpe, &merge);
    return PDK_OK;
}

pdk_status bpe_add_merge(struct bpe *bpe, uint32_t rank, const char *left, size_t left_length, const char *right,
    size_t right_length, pdk_error *err)
{
    uint32_t left_id = 0, right_id = 0, id = 0;
    pdk_status status = part_find(bpe, rank, left, left_length, &left_id, err);
    if (status == PDK_OK)
        status = part_find(bpe, rank, right, right_length, &right_id, err);
    if (status != PDK_OK)
        return status;
    buffer_clear(&bpe->whole);
    buffer_put(&bpe->whole, left, left_length);
    buffer_put(&bpe->whole, right, right_length);
    if (bpe->whole.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, "merges", "out of memory");
    status = part_find(bpe, rank, bpe->whole.data, bpe->whole.length, &id, err);
    if (status != PDK_OK)
        return status;
    return bpe_put_merge(bpe, rank, left_id, right_id, id, err);
}

pdk_status bpe_add_merge_line(struct bpe *bpe, uint32_t rank, const char *line, size_t length, pdk_error *err)
{
    /* A piece may start with a space only where it is one, so the border is looked for behind the first byte. */
    const char *space = length < 3 ? NULL : memchr(line + 1, ' ', length - 2);
    if (space == NULL)
        return pdk_error_set(
            err, PDK_INVALID, "merges", "merge %" PRIu32 " is not two tokens and a space between", rank);
    size_t left = (size_t)(space - line);
    return bpe_add_merge(bpe, rank, line, left, space + 1, length - left - 1, err);
}

static pdk_status load_merge(struct bpe *bpe, uint32_t rank, const struct json *merge, pdk_error *err)
{
    if (merge->type == JSON_STRING)
        return bpe_add_merge_line(bpe, rank, merge->text, merge->length, err);
    const struct json *left = merge->type == JSON_ARRAY && merge->count == 2 ? merge->child : NULL;
    if (left == NULL || left->type != JSON_STRING || left->next->type != JSON_STRING)
        return pdk_error_set(err, PDK_INVALID, "model.merges", "merge %" PRIu32 " is not two tokens", rank);
    return bpe_add_merge(bpe, rank, left->text, left->length, left->next->text, left->next->length, err);
}

/* What changes the words of a vocabulary in ways that are not built. */
static pdk_status check_unsupported(const struct json *json, pdk_error *err)
{
    static const char *const fields[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const struct json *value = json_get(json, fields[i]);
        if (value != NULL && value->type == JSON_STRING && value->length != 0)
            return pdk_error_value(
                err, PDK_UNSUPPORTED, fields[i], value->text, "BPE with %s is not supported", fields[i]);
    }
    double dropout = 0;
    if (json_double(json_get(json, "dropout"), &dropout) && dropout != 0)
        return pdk_error_set(err, PDK_UNSUPPORTED, "dropout", "BPE with dropout is not supported");
    return PDK_OK;
}

pdk_status bpe_load(
    struct bpe *bpe, const struct vocabulary *vocabulary, const struct json *json, bool spelled, pdk_error *err)
{
    pdk_status status = check_unsupported(json, err);
    const struct json *merges = json_get(json, "merges");
    if (status == PDK_OK && (merges == NULL || merges->type != JSON_ARRAY))
        status = pdk_error_set(err, PDK_INVALID, "model.merges", "BPE needs a list of merges");
    if (status == PDK_OK)
        status = bpe_init(bpe, vocabulary, merges->count, spelled, err);
    if (status != PDK_OK)
        return status;
    json_bool(json_get(json, "byte_fallback"), &bpe->byte_fallback);
    json_bool(json_get(json, "fuse_unk"), &bpe->fuse_unknown);
    json_bool(json_get(json, "ignore_merges"), &bpe->whole_words);
    const struct json *unknown = json_get(json, "unk_token");
    if (unknown != NULL && unknown->type == JSON_STRING) {
        int64_t id = vocabulary_find(vocabulary, unknown->text, unknown->length);
        if (id < 0)
            return pdk_error_value(
                err, PDK_INVALID, "model.unk_token", unknown->text, "unk_token '%s' is no token", unknown->text);
        bpe->unknown = (uint32_t)id;
    }
    uint32_t rank = 0;
    for (const struct json *at = merges->child; at != NULL && status == PDK_OK; at = at->next)
        status = load_merge(bpe, rank++, at, err);
    return status;
}
