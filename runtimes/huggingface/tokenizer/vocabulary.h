/* runtimes/huggingface/tokenizer/vocabulary.h: pieces by id and ids by piece.
 * Invariant: no two ids share a piece, and every id with a piece is below `size`. */
#pragma once

#include "core/base/buffer.h"
#include "core/base/siphash.h"

#include <stdbool.h>
#include <stdint.h>

enum { VOCABULARY_SIZE_MAX = 4 << 20, VOCABULARY_PIECE_MAX = 64 << 10 };

enum piece_flag {
    PIECE_SET = 1,
    PIECE_ADDED = 2,   /* in added_tokens; control and user-defined ones of GGUF */
    PIECE_SPECIAL = 4, /* left out by skip_special */
};

struct piece {
    size_t offset;
    uint32_t length;
    uint8_t flags;
};

struct vocabulary {
    struct buffer text; /* all pieces, one after the other */
    struct piece *pieces;
    size_t size, room;
    uint32_t *table; /* open addressing: id + 1, 0 is free */
    size_t table_room, used;
    struct siphash_key key;
};

void vocabulary_init(struct vocabulary *vocabulary);
void vocabulary_done(struct vocabulary *vocabulary);
/* PDK_INVALID: the id has another piece, the piece has another id (both are named), or a limit is passed. */
pdk_status vocabulary_add(struct vocabulary *vocabulary, int64_t id, const char *piece, size_t length, pdk_error *err);
int64_t vocabulary_find(const struct vocabulary *vocabulary, const char *piece, size_t length); /* -1: none */
pdk_string vocabulary_piece(const struct vocabulary *vocabulary, uint32_t id);
