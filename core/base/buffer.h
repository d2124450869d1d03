/* core/base/buffer.h: bytes that grow. Invariant: data[length] is NUL once anything was put in, so that text can be
 * read as a string. A failed allocation sets `failed` and leaves the content as it was; checking it once at the end is
 * enough. */
#pragma once

#include <paddock/abi.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buffer {
    char *data;
    size_t length;
    size_t room;
    bool failed;
};

void buffer_done(struct buffer *buffer);  /* frees and empties; for PDK_CLEANUP too */
void buffer_clear(struct buffer *buffer); /* keeps the memory */
/* Room for `more` bytes behind the content; NULL when out of memory. buffer->length is for the caller to raise. */
char *buffer_reserve(struct buffer *buffer, size_t more);
void buffer_put(struct buffer *buffer, const void *bytes, size_t length);
void buffer_puts(struct buffer *buffer, const char *text);
void buffer_putc(struct buffer *buffer, char c);
void buffer_printf(struct buffer *buffer, const char *format, ...) PDK_PRINTF(2, 3);
void buffer_vprintf(struct buffer *buffer, const char *format, va_list arguments);
/* Gives the content (free() it) and empties the buffer; NULL after a failure. */
char *buffer_take(struct buffer *buffer);
