/* runtimes/huggingface/guided/regex_symbols.h: code points that a program never tells apart, as one symbol. */
#pragma once

#include "runtimes/huggingface/guided/regex_program.h"

struct regex_interval {
    uint32_t first, last, symbol;
};

struct regex_symbols {
    struct regex_interval *intervals; /* all code points, in order */
    size_t interval_room;
    uint32_t interval_count;
    uint32_t *codes; /* a code point of each symbol */
    size_t code_room;
    uint32_t count;
    uint32_t *members; /* of the classes, one after the other */
    size_t member_room, member_count;
    uint32_t *begins; /* of each class in `members`, and the end */
};

/* PDK_NO_MEMORY or PDK_TOO_LARGE; regex_symbols_done is for the caller in any case. */
pdk_status regex_symbols_init(
    struct regex_symbols *symbols, const struct regex_program *program, const struct regular_budget *budget);
void regex_symbols_done(struct regex_symbols *symbols);
/* The symbols that a class holds. */
const uint32_t *regex_symbols_of(const struct regex_symbols *symbols, uint32_t class_number, uint32_t *ret_count);
