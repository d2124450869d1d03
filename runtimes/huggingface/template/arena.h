/* runtimes/huggingface/template/arena.h: memory that is freed as a whole: a template's tree, a render's values. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct arena {
    struct arena_chunk *chunks;
    size_t bytes, limit; /* taken from the system, and how many may be */
};

void *arena_take(struct arena *arena, size_t bytes); /* zeroed; NULL: over the limit or out of memory */
void arena_done(struct arena *arena);
