/* Code points as UTF-8: a range is cut where the length of its encoding changes and where a continuation byte does not
 * run through all its values; each piece is then a sequence of byte ranges. */
#include "config.h"

#include "core/base/utf8.h"
#include "runtimes/huggingface/guided/grammar.h"

#include <stdlib.h>
#include <string.h>

/* The alternatives found so far. */
struct pieces {
    struct grammar *grammar;
    grammar_node *nodes;
    size_t count, room;
};

static void put(struct pieces *pieces, grammar_node node)
{
    if (pieces->count == pieces->room) {
        /* A node of its own, so that the list stays short whatever the number of ranges. */
        grammar_node together = grammar_either(pieces->grammar, pieces->nodes, pieces->count);
        pieces->nodes[0] = together;
        pieces->count = 1;
    }
    pieces->nodes[pieces->count++] = node;
}

/* [first, last], whose encodings have the same length and whose bytes vary independently. */
static void put_block(struct pieces *pieces, uint32_t first, uint32_t last)
{
    char low[4], high[4];
    grammar_node bytes[4];
    size_t length = utf8_encode(first, low);
    utf8_encode(last, high);
    for (size_t i = 0; i < length; i++)
        bytes[i] = grammar_bytes(pieces->grammar, (uint8_t)low[i], (uint8_t)high[i]);
    put(pieces, grammar_sequence(pieces->grammar, bytes, length));
}

/* Where to cut [first, last] next: the end of the piece that starts at `first`. */
static uint32_t block_end(uint32_t first, uint32_t last)
{
    static const uint32_t ends[] = {0x7F, 0x7FF, 0xD7FF, 0xFFFF, 0x10FFFF};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (first <= ends[i]) {
            last = last < ends[i] ? last : ends[i];
            break;
        }
    }
    for (uint32_t bits = 6; bits <= 18 && first >= 0x80; bits += 6) {
        uint32_t mask = (1u << bits) - 1;
        if ((first & ~mask) == (last & ~mask))
            break;
        if ((first & mask) != 0)
            return first | mask;
        if ((last & mask) != mask)
            last = (last & ~mask) - 1;
    }
    return last;
}

static void put_range(struct pieces *pieces, uint32_t first, uint32_t last)
{
    while (first <= last) {
        if (first >= 0xD800 && first <= 0xDFFF) {
            first = 0xE000;
            continue;
        }
        uint32_t end = block_end(first, last);
        put_block(pieces, first, end);
        first = end + 1;
    }
}

static int by_first(const void *left, const void *right)
{
    const struct code_range *a = left, *b = right;
    return a->first < b->first ? -1 : a->first > b->first;
}

grammar_node grammar_characters(struct grammar *grammar, const struct code_range *ranges, size_t count)
{
    enum { TOGETHER = 64 };
    grammar_node nodes[TOGETHER];
    struct pieces pieces = {.grammar = grammar, .nodes = nodes, .room = TOGETHER};
    if (count == 0)
        return grammar_nothing(grammar);
    struct code_range *sorted = calloc(count, sizeof *sorted);
    if (sorted == NULL)
        return GRAMMAR_FAILED;
    memcpy(sorted, ranges, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_first);
    uint32_t done = 0; /* code points below were taken */
    for (size_t i = 0; i < count; i++) {
        uint32_t first = sorted[i].first < done ? done : sorted[i].first;
        uint32_t last = sorted[i].last > 0x10FFFF ? 0x10FFFF : sorted[i].last;
        if (first > last)
            continue;
        put_range(&pieces, first, last);
        done = last + 1;
    }
    free(sorted);
    return grammar_either(grammar, nodes, pieces.count);
}
