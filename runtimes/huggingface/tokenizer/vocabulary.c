/* One text for all pieces and a table of ids keyed at random, as the words come from a file. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/vocabulary.h"

#include "core/base/array.h"
#include "core/base/error.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void vocabulary_init(struct vocabulary *vocabulary)
{
    *vocabulary = (struct vocabulary){.key = siphash_random_key()};
}

void vocabulary_done(struct vocabulary *vocabulary)
{
    buffer_done(&vocabulary->text);
    free(vocabulary->pieces);
    free(vocabulary->table);
    *vocabulary = (struct vocabulary){0};
}

pdk_string vocabulary_piece(const struct vocabulary *vocabulary, uint32_t id)
{
    if (id >= vocabulary->size || (vocabulary->pieces[id].flags & PIECE_SET) == 0)
        return (pdk_string){"", 0};
    const struct piece *piece = &vocabulary->pieces[id];
    return (pdk_string){vocabulary->text.data + piece->offset, piece->length};
}

/* The slot that holds the piece, or the free one where it belongs. */
static size_t slot_of(const struct vocabulary *vocabulary, const char *text, size_t length)
{
    size_t slot = siphash64(&vocabulary->key, text, length) & (vocabulary->table_room - 1);
    for (;; slot = (slot + 1) & (vocabulary->table_room - 1)) {
        if (vocabulary->table[slot] == 0)
            return slot;
        pdk_string piece = vocabulary_piece(vocabulary, vocabulary->table[slot] - 1);
        if (piece.length == length && memcmp(piece.data, text, length) == 0)
            return slot;
    }
}

int64_t vocabulary_find(const struct vocabulary *vocabulary, const char *piece, size_t length)
{
    if (vocabulary->table_room == 0)
        return -1;
    return (int64_t)vocabulary->table[slot_of(vocabulary, piece, length)] - 1;
}

static bool table_grow(struct vocabulary *vocabulary)
{
    size_t room = vocabulary->table_room == 0 ? 1024 : vocabulary->table_room * 2;
    uint32_t *old = vocabulary->table, *grown = calloc(room, sizeof *grown);
    if (grown == NULL)
        return false;
    size_t old_room = vocabulary->table_room;
    vocabulary->table = grown;
    vocabulary->table_room = room;
    for (size_t i = 0; i < old_room; i++) {
        if (old[i] == 0)
            continue;
        pdk_string piece = vocabulary_piece(vocabulary, old[i] - 1);
        grown[slot_of(vocabulary, piece.data, piece.length)] = old[i];
    }
    free(old);
    return true;
}

static bool pieces_grow(struct vocabulary *vocabulary, size_t size)
{
    if (!array_grow(&vocabulary->pieces, &vocabulary->room, size))
        return false;
    memset(vocabulary->pieces + vocabulary->size, 0, (size - vocabulary->size) * sizeof *vocabulary->pieces);
    vocabulary->size = size;
    return true;
}

pdk_status vocabulary_add(struct vocabulary *vocabulary, int64_t id, const char *piece, size_t length, pdk_error *err)
{
    if (id < 0 || id >= VOCABULARY_SIZE_MAX)
        return pdk_error_set(
            err, PDK_INVALID, "vocab", "id %" PRId64 " of a token is outside 0 to %d", id, VOCABULARY_SIZE_MAX - 1);
    if (length > VOCABULARY_PIECE_MAX)
        return pdk_error_set(err, PDK_INVALID, "vocab", "token %" PRId64 " has %zu bytes; the limit is %d", id, length,
            VOCABULARY_PIECE_MAX);
    int64_t other = vocabulary_find(vocabulary, piece, length);
    if (other == id)
        return PDK_OK;
    if (other >= 0)
        return pdk_error_value(err, PDK_INVALID, "vocab", piece, "tokens %" PRId64 " and %" PRId64 " are equal: '%.*s'",
            other, id, (int)(length < 64 ? length : 64), piece);
    if ((size_t)id < vocabulary->size && (vocabulary->pieces[id].flags & PIECE_SET) != 0) {
        pdk_string first = vocabulary_piece(vocabulary, (uint32_t)id);
        return pdk_error_set(err, PDK_INVALID, "vocab", "id %" PRId64 " belongs to two tokens: '%.*s' and '%.*s'", id,
            (int)(first.length < 64 ? first.length : 64), first.data, (int)(length < 64 ? length : 64), piece);
    }
    if ((size_t)id >= vocabulary->size && !pieces_grow(vocabulary, (size_t)id + 1))
        return pdk_error_set(err, PDK_NO_MEMORY, "vocab", "out of memory at token %" PRId64, id);
    if ((vocabulary->used + 1) * 2 > vocabulary->table_room && !table_grow(vocabulary))
        return pdk_error_set(err, PDK_NO_MEMORY, "vocab", "out of memory at token %" PRId64, id);
    size_t offset = vocabulary->text.length;
    buffer_put(&vocabulary->text, piece, length);
    if (vocabulary->text.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, "vocab", "out of memory at token %" PRId64, id);
    size_t slot = slot_of(vocabulary, piece, length);
    vocabulary->pieces[id] = (struct piece){.offset = offset, .length = (uint32_t)length, .flags = PIECE_SET};
    vocabulary->table[slot] = (uint32_t)id + 1;
    vocabulary->used++;
    return PDK_OK;
}
