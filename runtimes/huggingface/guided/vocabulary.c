/* Tokens sorted by their bytes are the tree's walk already; nodes are what neighbours do not share. */
#include "config.h"

#include "runtimes/huggingface/guided/vocabulary.h"

#include "core/base/array.h"
#include "core/base/error.h"

#include <stdlib.h>
#include <string.h>

static pdk_status no_memory(pdk_error *err)
{
    return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the vocabulary's tree");
}

static uint32_t length_of(const struct guide_vocabulary *vocabulary, uint32_t token)
{
    return vocabulary->offsets[token + 1] - vocabulary->offsets[token];
}

/* All tokens' bytes; what is no text, and what is too long, has none. */
static pdk_status read_bytes(struct guide_vocabulary *vocabulary, const struct tokenizer *tokenizer, pdk_error *err)
{
    struct buffer text = {0};
    for (uint32_t id = 0; id < vocabulary->size && !text.failed; id++) {
        size_t before = text.length;
        vocabulary->offsets[id] = (uint32_t)before;
        bool ends = false;
        for (uint32_t i = 0; i < vocabulary->eos_count; i++)
            ends |= vocabulary->eos_ids[i] == id;
        if (!ends && tokenizer_token_bytes(tokenizer, id, &text) && text.length - before > TOKEN_BYTES_MAX)
            text.length = before;
        if (text.length > UINT32_MAX / 2) {
            buffer_done(&text);
            return pdk_error_set(err, PDK_TOO_LARGE, NULL, "the vocabulary has more than 2 GiB of text");
        }
    }
    if (text.failed) {
        buffer_done(&text);
        return no_memory(err);
    }
    vocabulary->offsets[vocabulary->size] = (uint32_t)text.length;
    vocabulary->text = text.data;
    return PDK_OK;
}

static int by_text(const void *left, const void *right, void *argument)
{
    const struct guide_vocabulary *vocabulary = argument;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    uint32_t a_length = length_of(vocabulary, a), b_length = length_of(vocabulary, b);
    uint32_t same = a_length < b_length ? a_length : b_length;
    int order = memcmp(vocabulary->text + vocabulary->offsets[a], vocabulary->text + vocabulary->offsets[b], same);
    if (order != 0)
        return order;
    if (a_length != b_length)
        return a_length < b_length ? -1 : 1;
    return a < b ? -1 : a > b;
}

/* The tokens that have bytes, sorted; returns how many. */
static uint32_t sort_tokens(struct guide_vocabulary *vocabulary)
{
    uint32_t count = 0;
    for (uint32_t id = 0; id < vocabulary->size; id++)
        if (length_of(vocabulary, id) > 0)
            vocabulary->tokens[count++] = id;
    if (count > 1)
        qsort_r(vocabulary->tokens, count, sizeof *vocabulary->tokens, by_text, vocabulary);
    return count;
}

/* path[d]: the node at depth d of the token before, down to *depth, its length. */
static pdk_status add_nodes(
    struct guide_vocabulary *vocabulary, uint32_t place, uint32_t *path, uint32_t *depth, size_t *room, pdk_error *err)
{
    uint32_t token = vocabulary->tokens[place], length = length_of(vocabulary, token), same = 0;
    const uint8_t *bytes = (const uint8_t *)vocabulary->text + vocabulary->offsets[token];
    while (same < length && same < *depth && vocabulary->nodes[path[same + 1]].byte == bytes[same])
        same++;
    for (uint32_t d = same + 1; d <= *depth; d++)
        vocabulary->nodes[path[d]].end = vocabulary->node_count;
    for (uint32_t d = same + 1; d <= length; d++) {
        if (!array_grow(&vocabulary->nodes, room, (size_t)vocabulary->node_count + 2))
            return no_memory(err);
        path[d] = vocabulary->node_count;
        vocabulary->nodes[vocabulary->node_count++] =
            (struct vocabulary_node){.token = place, .parent = path[d - 1], .depth = (uint16_t)d, .byte = bytes[d - 1]};
    }
    *depth = length;
    vocabulary->longest = length > vocabulary->longest ? length : vocabulary->longest;
    return PDK_OK;
}

static pdk_status make_tree(struct guide_vocabulary *vocabulary, pdk_error *err)
{
    uint32_t path[TOKEN_BYTES_MAX + 1] = {0}, depth = 0;
    size_t room = 0;
    vocabulary->tokens = calloc((size_t)vocabulary->size + 1, sizeof *vocabulary->tokens);
    if (vocabulary->tokens == NULL || !array_grow(&vocabulary->nodes, &room, 2))
        return no_memory(err);
    vocabulary->nodes[vocabulary->node_count++] = (struct vocabulary_node){0};
    uint32_t count = sort_tokens(vocabulary);
    for (uint32_t i = 0; i < count; i++) {
        pdk_status status = add_nodes(vocabulary, i, path, &depth, &room, err);
        if (status != PDK_OK)
            return status;
    }
    for (uint32_t d = 0; d <= depth; d++)
        vocabulary->nodes[path[d]].end = vocabulary->node_count;
    vocabulary->nodes[vocabulary->node_count] = (struct vocabulary_node){.token = count};
    vocabulary->below = calloc(vocabulary->node_count, sizeof *vocabulary->below);
    if (vocabulary->below == NULL)
        return no_memory(err);
    for (uint32_t i = vocabulary->node_count; i-- > 1;) /* children come behind their parents */
        vocabulary->below[vocabulary->nodes[i].parent] |=
            vocabulary->below[i] | UINT64_C(1) << vocabulary_group(vocabulary->nodes[i].byte);
    return PDK_OK;
}

pdk_status guide_vocabulary_new(const struct tokenizer *tokenizer, uint32_t vocabulary, const uint32_t *eos_ids,
    uint32_t eos_count, struct guide_vocabulary **ret_vocabulary, pdk_error *err)
{
    struct guide_vocabulary *made = calloc(1, sizeof *made);
    if (made == NULL)
        return no_memory(err);
    made->tokenizer = tokenizer;
    made->size = vocabulary;
    made->words = vocabulary / 64 + (vocabulary % 64 != 0);
    made->offsets = calloc((size_t)vocabulary + 1, sizeof *made->offsets);
    made->eos_ids = calloc((size_t)eos_count + 1, sizeof *made->eos_ids);
    pdk_status status = made->offsets == NULL || made->eos_ids == NULL ? no_memory(err) : PDK_OK;
    for (uint32_t i = 0; i < eos_count && status == PDK_OK; i++)
        if (eos_ids[i] < vocabulary)
            made->eos_ids[made->eos_count++] = eos_ids[i];
    if (status == PDK_OK)
        status = read_bytes(made, tokenizer, err);
    if (status == PDK_OK)
        status = make_tree(made, err);
    if (status == PDK_OK)
        *ret_vocabulary = made;
    else
        guide_vocabulary_free(made);
    return status;
}

struct guide_vocabulary *guide_vocabulary_free(struct guide_vocabulary *vocabulary)
{
    if (vocabulary != NULL) {
        free(vocabulary->nodes);
        free(vocabulary->below);
        free(vocabulary->tokens);
        free(vocabulary->offsets);
        free(vocabulary->text);
        free(vocabulary->eos_ids);
        free(vocabulary);
    }
    return NULL;
}
