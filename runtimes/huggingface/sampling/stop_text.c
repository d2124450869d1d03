/* UTF-8 never has one character inside another, so bytes are searched; only the hold-back counts characters. */
#include "config.h"

#include "runtimes/huggingface/sampling/stop_text.h"

#include <string.h>

/* Shown text is dropped when it has grown to this, less what a match may reach back into. */
enum { KEEP_BYTES = 4096 };

static size_t code_points(pdk_string text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++)
        count += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return count;
}

void stop_text_init(struct stop_text *text, const pdk_string *stops, size_t stop_count, bool include)
{
    *text = (struct stop_text){.stops = stops, .stop_count = stop_count, .include = include};
    for (size_t i = 0; i < stop_count; i++) {
        size_t hold = code_points(stops[i]);
        if (!include && hold > text->hold + 1)
            text->hold = hold - 1;
        if (stops[i].length > text->longest)
            text->longest = stops[i].length;
    }
}

void stop_text_done(struct stop_text *text)
{
    buffer_done(&text->text);
}

/* The end of the first place of `stop` that ends behind `old`, or 0. */
static size_t find_end(const struct stop_text *text, pdk_string stop, size_t old)
{
    size_t from = old >= stop.length - 1 ? old - (stop.length - 1) : 0;
    const char *at = memmem(text->text.data + from, text->text.length - from, stop.data, stop.length);
    return at == NULL ? 0 : (size_t)(at - text->text.data) + stop.length;
}

int stop_text_add(struct stop_text *text, const char *bytes, size_t length, bool search)
{
    size_t old = text->text.length, best_end = 0;
    int best = -1;
    if (length == 0)
        return -1;
    buffer_put(&text->text, bytes, length);
    for (size_t i = 0; search && !text->text.failed && i < text->stop_count; i++) {
        if (text->stops[i].length == 0)
            continue;
        size_t end = find_end(text, text->stops[i], old);
        if (end != 0 && (best < 0 || end < best_end)) {
            best = (int)i;
            best_end = end;
        }
    }
    if (best >= 0)
        text->text.length = text->include ? best_end : best_end - text->stops[best].length;
    return best;
}

static size_t showable(const struct stop_text *text, bool ended)
{
    size_t end = text->text.length;
    if (ended)
        return end;
    for (size_t left = text->hold; left > 0 && end > 0; left--) {
        end--;
        while (end > 0 && ((unsigned char)text->text.data[end] & 0xC0) == 0x80)
            end--;
    }
    return end;
}

/* Forgets shown text that no match can reach any more. */
static void trim(struct stop_text *text)
{
    if (text->shown < KEEP_BYTES + text->longest)
        return;
    size_t drop = text->shown - text->longest;
    memmove(text->text.data, text->text.data + drop, text->text.length - drop);
    text->text.length -= drop;
    text->shown -= drop;
    text->dropped += drop;
}

pdk_string stop_text_show(struct stop_text *text, bool ended)
{
    trim(text);
    size_t end = showable(text, ended);
    if (end <= text->shown)
        return (pdk_string){"", 0};
    pdk_string more = {text->text.data + text->shown, end - text->shown};
    text->shown = end;
    return more;
}
