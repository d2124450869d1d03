/* See the header. Chunk extensions and trailers are refused: nobody sends them, and readers disagree about them. */
#include "config.h"

#include "core/gateway/framing.h"

enum { SMALL_CHUNKS_MAX = 4096, SMALL_CHUNK_BYTES = 16, SIZE_DIGITS_MAX = 15 };

struct framing framing_of(const struct head *head)
{
    struct framing framing = {.state = FRAMING_DONE};
    if (head->body == HEAD_BODY_LENGTH) {
        framing.state = FRAMING_DATA;
        framing.left = head->content_length;
    } else if (head->body == HEAD_BODY_CHUNKED) {
        framing.state = FRAMING_SIZE;
        framing.chunked = true;
    }
    return framing;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool take_size(struct framing *framing, char c)
{
    int value = hex_value(c);
    if (value >= 0 && framing->digits < SIZE_DIGITS_MAX) {
        framing->left = framing->left << 4 | (unsigned)value;
        framing->digits++;
        return true;
    }
    if (c != '\r' || framing->digits == 0)
        return false;
    framing->state = FRAMING_SIZE_LF;
    return true;
}

/* A byte that is none of the body's data. */
static bool take_mark(struct framing *framing, char c)
{
    switch (framing->state) {
    case FRAMING_DATA_CR: framing->state = FRAMING_DATA_LF; return c == '\r';
    case FRAMING_DATA_LF:
        framing->state = FRAMING_SIZE;
        framing->digits = 0;
        framing->left = 0;
        return c == '\n';
    case FRAMING_SIZE: return take_size(framing, c);
    case FRAMING_SIZE_LF:
        framing->state = framing->left == 0 ? FRAMING_LAST_CR : FRAMING_DATA;
        framing->chunks++;
        return c == '\n' &&
               (framing->chunks <= SMALL_CHUNKS_MAX || framing->bytes / SMALL_CHUNK_BYTES >= framing->chunks);
    case FRAMING_LAST_CR: framing->state = FRAMING_LAST_LF; return c == '\r';
    case FRAMING_LAST_LF: framing->state = FRAMING_DONE; return c == '\n';
    default: return false;
    }
}

bool framing_take(struct framing *framing, const char *data, size_t length, size_t *ret_used)
{
    size_t at = 0;
    while (at < length && framing->state != FRAMING_DONE) {
        if (framing->state != FRAMING_DATA) {
            if (!take_mark(framing, data[at++]))
                return false;
            continue;
        }
        size_t step = length - at < framing->left ? length - at : (size_t)framing->left;
        at += step;
        framing->left -= step;
        framing->bytes += step;
        if (framing->left == 0)
            framing->state = framing->chunked ? FRAMING_DATA_CR : FRAMING_DONE;
    }
    *ret_used = at;
    return true;
}
