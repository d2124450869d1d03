/* Chunks double up to a size, so that small templates stay small. */
#include "config.h"

#include "runtimes/huggingface/template/arena.h"

#include <stdint.h>
#include <stdlib.h>

enum { CHUNK_LEAST = 4096, CHUNK_MOST = 1 << 20, ALIGN = 16 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, room;
    _Alignas(ALIGN) char data[];
};

static struct arena_chunk *chunk_add(struct arena *arena, size_t bytes)
{
    size_t room = arena->chunks == NULL ? CHUNK_LEAST : arena->chunks->room * 2;
    room = room > CHUNK_MOST ? CHUNK_MOST : room;
    room = room < bytes ? bytes : room;
    if (room > arena->limit || arena->bytes > arena->limit - room)
        return NULL;
    struct arena_chunk *chunk = calloc(1, sizeof *chunk + room);
    if (chunk == NULL)
        return NULL;
    chunk->room = room;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->bytes += room;
    return chunk;
}

void *arena_take(struct arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    struct arena_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->room - chunk->used < bytes)
        chunk = chunk_add(arena, bytes);
    if (chunk == NULL)
        return NULL;
    void *piece = chunk->data + chunk->used;
    chunk->used += bytes;
    return piece;
}

void arena_done(struct arena *arena)
{
    while (arena->chunks != NULL) {
        struct arena_chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
    arena->bytes = 0;
}
