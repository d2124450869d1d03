/* Aho and Corasick's automaton over the strings, a rule for each of its states. Calls at the ends of rules keep no
 * trail, so that text of any length is one state after the other. */
#include "config.h"

#include "runtimes/huggingface/guided/free_text.h"

#include "core/base/error.h"

#include <stdlib.h>
#include <string.h>

struct place {
    uint32_t next[256]; /* 0: the root, or not yet known */
    uint32_t fall;      /* longest suffix that is a place too */
    uint32_t stop;      /* index + 1 of the string that ends here; 0: none */
};

struct places {
    struct place *list;
    uint32_t count;
    uint32_t *queue; /* in the order of their depth */
};

static void add_stop(struct places *places, const struct free_text_stop *stop, uint32_t index)
{
    uint32_t at = 0;
    for (size_t i = 0; i < stop->length; i++) {
        uint32_t *next = &places->list[at].next[(uint8_t)stop->bytes[i]];
        if (*next == 0)
            *next = places->count++;
        at = *next;
    }
    if (places->list[at].stop == 0)
        places->list[at].stop = index + 1;
}

/* Fills in where each byte leads from each place, those of less depth first. */
static void link_places(struct places *places)
{
    uint32_t first = 0, last = 0;
    places->queue[last++] = 0;
    while (first < last) {
        uint32_t at = places->queue[first++];
        struct place *place = &places->list[at];
        if (place->stop == 0)
            place->stop = at == 0 ? 0 : places->list[place->fall].stop;
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t fallen = at == 0 ? 0 : places->list[place->fall].next[byte];
            if (place->next[byte] != 0) {
                places->list[place->next[byte]].fall = fallen;
                places->queue[last++] = place->next[byte];
            } else {
                place->next[byte] = fallen;
            }
        }
    }
}

/* Where a place's bytes lead: to other places' rules, or past a string to what is after it. */
static grammar_node place_node(struct grammar *grammar, const struct places *places, uint32_t at,
    const grammar_node *rules, const struct free_text_stop *stops, bool may_end)
{
    grammar_node nodes[257];
    size_t count = 0;
    const struct place *place = &places->list[at];
    for (uint32_t byte = 0, first = 0; byte < 256; byte++) {
        if (byte < 255 && place->next[byte + 1] == place->next[byte])
            continue;
        uint32_t to = place->next[byte], stop = places->list[to].stop;
        grammar_node pair[2] = {
            grammar_bytes(grammar, (uint8_t)first, (uint8_t)byte), stop != 0 ? stops[stop - 1].after : rules[to]};
        nodes[count++] = grammar_sequence(grammar, pair, 2);
        first = byte + 1;
    }
    if (may_end)
        nodes[count++] = grammar_empty(grammar);
    return grammar_either(grammar, nodes, count);
}

pdk_status free_text_node(struct grammar *grammar, const struct free_text_stop *stops, size_t count, bool may_end,
    grammar_node *ret_node, pdk_error *err)
{
    size_t bytes = 1;
    for (size_t i = 0; i < count; i++) {
        if (stops[i].length > FREE_TEXT_BYTES_MAX || bytes + stops[i].length > FREE_TEXT_BYTES_MAX)
            return pdk_error_set(err, PDK_INVALID, NULL, "strings that end free text are longer than %d bytes in all",
                FREE_TEXT_BYTES_MAX);
        bytes += stops[i].length;
    }
    struct places places = {.list = calloc(bytes, sizeof *places.list), .count = 1};
    grammar_node *rules = calloc(bytes, sizeof *rules);
    places.queue = calloc(bytes, sizeof *places.queue);
    bool done = places.list != NULL && rules != NULL && places.queue != NULL;
    for (size_t i = 0; i < count && done; i++)
        add_stop(&places, &stops[i], (uint32_t)i);
    if (done) {
        link_places(&places);
        for (uint32_t i = 0; i < places.count; i++)
            rules[i] = grammar_rule(grammar);
        for (uint32_t i = 0; i < places.count && grammar_status(grammar, NULL) == PDK_OK; i++)
            if (places.list[i].stop == 0)
                grammar_define(grammar, rules[i], place_node(grammar, &places, i, rules, stops, may_end));
        *ret_node = rules[0];
    }
    free(places.list);
    free(places.queue);
    free(rules);
    return done ? grammar_status(grammar, err) : pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for free text");
}
