/* tests/unit/gguf_write.h: writing GGUF bytes for tests, right ones and wrong ones. */
#pragma once

#include "core/base/buffer.h"

#include <stddef.h>
#include <stdint.h>

void put_u32(struct buffer *out, uint32_t value);
void put_u64(struct buffer *out, uint64_t value);
void put_string(struct buffer *out, const char *text); /* with its length before it */
/* "GGUF", version, counts. */
void put_head(struct buffer *out, uint32_t version, uint64_t tensors, uint64_t values);
/* Metadata values. */
void put_value_u32(struct buffer *out, const char *key, uint32_t value);
void put_value_f32(struct buffer *out, const char *key, float value);
void put_value_string(struct buffer *out, const char *key, const char *value);
/* A tensor's entry; shape[0] is the fastest. */
void put_tensor(
    struct buffer *out, const char *name, uint32_t rank, const uint64_t *shape, uint32_t type, uint64_t offset);
void put_zeros(struct buffer *out, size_t count);
void put_padding(struct buffer *out, size_t alignment);

/* The half below `value` in size; what is too small becomes 0. */
uint16_t half_of(float value);

/* Writes a file in a folder of the test's own, made at the first call and removed at exit; returns its path (static).
 */
const char *temporary_file(const char *name, const void *bytes, size_t length);
const char *temporary_folder(void);
