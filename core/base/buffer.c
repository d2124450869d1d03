/* Growth doubles, so that n appends cost n. */
#include "config.h"

#include "core/base/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_done(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
    buffer->failed = false;
    if (buffer->data != NULL)
        buffer->data[0] = '\0';
}

char *buffer_reserve(struct buffer *buffer, size_t more)
{
    size_t need;
    if (__builtin_add_overflow(buffer->length, more, &need) || __builtin_add_overflow(need, 1, &need)) {
        buffer->failed = true;
        return NULL;
    }
    if (need > buffer->room) {
        size_t room = buffer->room < 64 ? 64 : buffer->room;
        while (room < need && room <= SIZE_MAX / 2)
            room *= 2;
        char *grown = room < need ? NULL : realloc(buffer->data, room);
        if (grown == NULL) {
            buffer->failed = true;
            return NULL;
        }
        buffer->data = grown;
        buffer->room = room;
    }
    return buffer->data + buffer->length;
}

void buffer_put(struct buffer *buffer, const void *bytes, size_t length)
{
    char *to = buffer_reserve(buffer, length);
    if (to == NULL)
        return;
    if (length != 0)
        memcpy(to, bytes, length);
    to[length] = '\0';
    buffer->length += length;
}

void buffer_puts(struct buffer *buffer, const char *text)
{
    buffer_put(buffer, text, strlen(text));
}

void buffer_putc(struct buffer *buffer, char c)
{
    buffer_put(buffer, &c, 1);
}

void buffer_vprintf(struct buffer *buffer, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *to = length < 0 ? NULL : buffer_reserve(buffer, (size_t)length);
    if (to != NULL) {
        vsnprintf(to, (size_t)length + 1, format, again);
        buffer->length += (size_t)length;
    } else {
        buffer->failed = true;
    }
    va_end(again);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    buffer_vprintf(buffer, format, arguments);
    va_end(arguments);
}

char *buffer_take(struct buffer *buffer)
{
    char *data = buffer->failed ? NULL : buffer->data;
    if (data == NULL && !buffer->failed)
        data = calloc(1, 1);
    else if (buffer->failed)
        free(buffer->data);
    *buffer = (struct buffer){0};
    return data;
}
