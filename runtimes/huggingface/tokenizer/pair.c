/* Prompts of one text or two: cut to a length, then framed by what the post-processor says. */
#include "config.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "runtimes/huggingface/tokenizer/parts.h"

#include <string.h>

static void cut(struct token_list *list, size_t keep, bool right)
{
    if (list->count <= keep)
        return;
    if (!right)
        memmove(list->ids, list->ids + (list->count - keep), keep * sizeof *list->ids);
    list->count = keep;
}

void token_lists_cut(struct token_list *first, struct token_list *second, size_t keep, bool right)
{
    if (second == NULL) {
        cut(first, keep, right);
        return;
    }
    if (first->count <= keep && second->count <= keep - first->count)
        return;
    bool first_longer = first->count > second->count;
    size_t shorter = first_longer ? second->count : first->count, longer = shorter;
    if (shorter <= keep && keep - shorter > shorter)
        longer = keep - shorter;
    if (shorter > keep || longer > keep - shorter) {
        shorter = keep / 2;
        longer = shorter + keep % 2;
    }
    cut(first, first_longer ? longer : shorter, right);
    cut(second, first_longer ? shorter : longer, right);
}

static bool put(struct token_list *list, uint32_t id)
{
    if (!array_grow(&list->ids, &list->room, list->count + 1))
        return false;
    list->ids[list->count++] = id;
    return true;
}

static bool put_framed(struct token_list *list, struct buffer *types, const struct token_list *text, uint8_t type)
{
    for (size_t i = 0; i < text->count; i++) {
        if (!put(list, text->ids[i]))
            return false;
        buffer_putc(types, (char)type);
    }
    return true;
}

static bool frame_pair(const struct frame *frame, const struct token_list *first, const struct token_list *second,
    bool special, struct token_list *list, struct buffer *types)
{
    static const struct frame_item plain[] = {{FRAME_FIRST, 0, 0}, {FRAME_SECOND, 0, 1}};
    const struct frame_item *items = frame->pair_count > 0 ? frame->pair : plain;
    size_t count = frame->pair_count > 0 ? frame->pair_count : sizeof plain / sizeof plain[0];
    bool room = true;
    for (size_t i = 0; i < count && room; i++) {
        if (items[i].kind != FRAME_TOKEN) {
            room = put_framed(list, types, items[i].kind == FRAME_FIRST ? first : second, items[i].type);
        } else if (special) {
            room = put(list, items[i].id);
            buffer_putc(types, (char)items[i].type);
        }
    }
    return room;
}

pdk_status tokenizer_frame(const struct tokenizer *tokenizer, const struct token_list *first,
    const struct token_list *second, bool special, struct token_list *list, struct buffer *types, pdk_error *err)
{
    const struct frame *frame = &tokenizer->frame;
    bool room = true;
    list->count = 0;
    buffer_clear(types);
    if (second != NULL) {
        room = frame_pair(frame, first, second, special, list, types);
    } else {
        for (size_t i = 0; special && i < frame->before_count && room; i++)
            room = put(list, frame->before[i]);
        for (size_t i = 0; i < first->count && room; i++)
            room = put(list, first->ids[i]);
        for (size_t i = 0; special && i < frame->behind_count && room; i++)
            room = put(list, frame->behind[i]);
    }
    return room && !types->failed ? PDK_OK : pdk_error_set(err, PDK_NO_MEMORY, "prompt", "out of memory");
}

size_t tokenizer_frame_size(const struct tokenizer *tokenizer, bool pair)
{
    const struct frame *frame = &tokenizer->frame;
    if (!pair)
        return frame->before_count + frame->behind_count;
    return frame->pair_count > 2 ? frame->pair_count - 2 : 0;
}
