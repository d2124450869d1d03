/* See tool_format.h. */
#include "config.h"

#include "runtimes/huggingface/tools/tool_format.h"

#include "core/base/error.h"
#include "runtimes/huggingface/tools/window.h"

#include <string.h>

/* How long the special token is that `text` begins with, or 0. Marks hold a few tokens of this length at most. */
static size_t special_at(const struct tokenizer *tokenizer, const char *text)
{
    size_t length = strlen(text);
    for (; tokenizer != NULL && length > 1; length--) {
        int64_t id = tokenizer_id(tokenizer, text, length);
        if (id >= 0 && tokenizer_is_special(tokenizer, (uint32_t)id))
            return length;
    }
    return 0;
}

void marker_put(struct buffer *out, const struct tokenizer *tokenizer, const char *text)
{
    while (*text != '\0') {
        size_t special = special_at(tokenizer, text);
        if (special > 0) {
            buffer_putc(out, MARK_OPEN);
            buffer_put(out, text, special);
            buffer_putc(out, MARK_CLOSE);
            text += special;
        } else {
            buffer_putc(out, *text++);
        }
    }
}

pdk_status tool_parser_init(
    struct tool_parser *parser, const struct tool_format *format, const struct tokenizer *tokenizer, pdk_error *err)
{
    size_t begins[FORMAT_BEGINS + 1] = {0}, words[WORD_COUNT + 1] = {0};
    parser->format = format;
    for (size_t i = 0; i < FORMAT_BEGINS && format->begins[i] != NULL; i++) {
        const char *begin = format->begins[i];
        parser->bare[i] = strcmp(begin, "{") == 0 || strcmp(begin, "[") == 0;
        marker_put(&parser->memory, tokenizer, begin);
        begins[++parser->begin_count] = parser->memory.length;
    }
    words[0] = parser->memory.length;
    for (size_t i = 0; i < WORD_COUNT; i++) {
        if (format->words[i] != NULL)
            marker_put(&parser->memory, tokenizer, format->words[i]);
        words[i + 1] = parser->memory.length;
    }
    if (parser->memory.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a tool call parser");
    const char *memory = parser->memory.data != NULL ? parser->memory.data : "";
    for (size_t i = 0; i < parser->begin_count; i++)
        parser->begins[i] = (pdk_string){memory + begins[i], begins[i + 1] - begins[i]};
    for (size_t i = 0; i < WORD_COUNT; i++)
        parser->words[i] = (pdk_string){memory + words[i], words[i + 1] - words[i]};
    return PDK_OK;
}

void tool_parser_done(struct tool_parser *parser)
{
    buffer_done(&parser->memory);
    *parser = (struct tool_parser){0};
}
