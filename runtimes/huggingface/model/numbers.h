/* runtimes/huggingface/model/numbers.h: how the weights' types lie in a file, and their values as float32. */
#pragma once

#include <paddock/draft/ops.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* PDK_TYPE_… of a name ("F32", "BF16", "Q4_1", …), or 0: no type that is computed with. */
int32_t number_type(const char *name);
const char *number_type_name(int32_t type);
/* Weights in a block, and bytes of a block. */
uint32_t number_block(int32_t type);
uint32_t number_block_bytes(int32_t type);
/* Whether numbers_to_floats reads it: the float types and those of 32 weights that are met most. */
bool number_is_plain(int32_t type);
/* `count` values of a plain type, a multiple of the type's block. `data` needs no alignment. */
void numbers_to_floats(int32_t type, const void *data, size_t count, float *out);
