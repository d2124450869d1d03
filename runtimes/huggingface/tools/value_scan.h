/* runtimes/huggingface/tools/value_scan.h: one value of JSON, or one literal of Python, read byte by byte and written
 * as JSON with ", " and ": " between. What is written depends on the bytes alone, not on how they arrive; what was
 * written stays when the value turns out to be broken. */
#pragma once

#include "core/base/buffer.h"

#include <stdint.h>

enum { VALUE_DEPTH_MAX = 64, VALUE_WORD_MAX = 512 };

enum value_form {
    VALUE_JSON,   /* strict, written again */
    VALUE_RAW,    /* strict, its own text */
    VALUE_PYTHON, /* strings in either quote, True, None, commas before a closing bracket; JSON's words too */
};

enum value_end { VALUE_MORE, VALUE_DONE, VALUE_BAD };

struct value_scan {
    enum value_form form;
    int state;
    uint64_t objects; /* bit d: at depth d it is an object */
    uint32_t depth;
    bool filled;  /* the innermost has a member */
    bool key;     /* the string is a key */
    bool special; /* inside a special token, which is left out */
    char quote;
    uint32_t code, digits, high; /* of an escape; the first half of a pair */
    char word[VALUE_WORD_MAX];   /* a number or a name */
    size_t word_length;
};

void value_scan_init(struct value_scan *scan, enum value_form form);
/* Reads up to `length` bytes, adds what they come to to `out`, and says how many it took: fewer when the value is done
 * or broken. `final`: nothing follows them. */
enum value_end value_scan_read(
    struct value_scan *scan, const char *text, size_t length, bool final, size_t *ret_taken, struct buffer *out);
/* The value that is all of `text`, white space around it aside. False: it is none; `out` is as it was. */
bool value_scan_all(enum value_form form, const char *text, size_t length, struct buffer *out);
