/* See the header. Each byte is looked at once for every marker, however the text arrives. */
#include "config.h"

#include "runtimes/huggingface/tools/window.h"

#include <string.h>

/* What is gone is moved out when it has grown to this and to half of all. */
enum { MOVE_BYTES = 4096 };

void window_done(struct window *window)
{
    buffer_done(&window->text);
}

static void make_room(struct window *window)
{
    if (window->at < MOVE_BYTES || window->at < window->text.length / 2)
        return;
    size_t drop = window->at;
    memmove(window->text.data, window->text.data + drop, window->text.length - drop);
    window->text.length -= drop;
    window->at = 0;
    window->cursor -= drop;
    window->searched = window->searched > drop ? window->searched - drop : 0;
    window->base += drop;
}

void window_add(struct window *window, const char *text, size_t length, bool special)
{
    make_room(window);
    if (special)
        buffer_putc(&window->text, MARK_OPEN);
    for (size_t i = 0; i < length;) {
        size_t run = i;
        while (run < length && text[run] != MARK_OPEN && text[run] != MARK_CLOSE)
            run++;
        buffer_put(&window->text, text + i, run - i);
        if (run < length)
            buffer_putc(&window->text, '?');
        i = run + 1;
    }
    if (special)
        buffer_putc(&window->text, MARK_CLOSE);
}

void window_pass(struct window *window, const char *text, size_t length)
{
    make_room(window);
    buffer_put(&window->text, text, length);
}

void window_skip(struct window *window, size_t count)
{
    window->cursor += count;
}

void window_drop(struct window *window)
{
    window->at = window->cursor;
}

bool window_blank(struct window *window)
{
    const char *at = window_at(window);
    size_t left = window_left(window), count = 0;
    while (count < left && (at[count] == ' ' || at[count] == '\n' || at[count] == '\t' || at[count] == '\r'))
        count++;
    window_skip(window, count);
    return count < left;
}

enum match window_match(struct window *window, pdk_string marker)
{
    size_t left = window_left(window), same = left < marker.length ? left : marker.length;
    if (marker.length == 0 || memcmp(window_at(window), marker.data, same) != 0)
        return MATCH_NONE;
    if (same < marker.length)
        return window->final ? MATCH_NONE : MATCH_MORE;
    window_skip(window, marker.length);
    return MATCH_FULL;
}

/* How long the end of the text is that may be the beginning of `marker`. */
static size_t held(const char *text, size_t length, pdk_string marker)
{
    size_t most = length < marker.length - 1 ? length : marker.length - 1;
    for (size_t count = most; count > 0; count--)
        if (text[length - count] == marker.data[0] && memcmp(text + length - count, marker.data, count) == 0)
            return count;
    return 0;
}

size_t window_find(struct window *window, const pdk_string *markers, size_t count, int *ret_which)
{
    const char *text = window->text.data != NULL ? window->text.data : "";
    size_t from = window->searched > window->cursor ? window->searched : window->cursor;
    size_t length = window->text.length, best = length;
    *ret_which = -1;
    for (size_t i = 0; i < count; i++) {
        const char *found = markers[i].length != 0 && best > from
                                ? memmem(text + from, length - from, markers[i].data, markers[i].length)
                                : NULL;
        if (found != NULL && (size_t)(found - text) < best) {
            best = (size_t)(found - text);
            *ret_which = (int)i;
        }
    }
    size_t safe = length;
    for (size_t i = 0; i < count && !window->final; i++) {
        size_t hold = markers[i].length != 0 ? held(text + from, length - from, markers[i]) : 0;
        safe = length - hold < safe ? length - hold : safe;
    }
    /* A marker that may begin before the found one is waited for. */
    if (*ret_which >= 0 && safe < best)
        *ret_which = -1;
    window->searched = *ret_which >= 0 ? best : safe;
    return window->searched - window->cursor;
}

void window_plain(struct buffer *out, const char *text, size_t length, bool keep_special)
{
    bool special = false;
    size_t from = 0;
    for (size_t i = 0; i <= length; i++) {
        bool mark = i < length && (text[i] == MARK_OPEN || text[i] == MARK_CLOSE);
        if (i < length && !mark)
            continue;
        if (i > from && (!special || keep_special))
            buffer_put(out, text + from, i - from);
        special = i < length && text[i] == MARK_OPEN;
        from = i + 1;
    }
}
