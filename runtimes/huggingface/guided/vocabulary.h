/* runtimes/huggingface/guided/vocabulary.h: the vocabulary as a tree of bytes, laid out in the order of a walk through
 * it: a node's subtree is the nodes after it up to its `end`. Constant. */
#pragma once

#include "runtimes/huggingface/guided/guide.h"

enum { TOKEN_BYTES_MAX = 512 }; /* longer ones are never allowed */

struct vocabulary_node {
    uint32_t end;    /* first node that is not below this one */
    uint32_t token;  /* first of its tokens in `tokens`; the next node's is where they end */
    uint32_t parent; /* 0: the root */
    uint16_t depth;  /* bytes from the root */
    uint8_t byte;    /* the last of these */
};

struct guide_vocabulary {
    const struct tokenizer *tokenizer;
    uint32_t size, words;          /* tokens; of a mask */
    uint32_t longest;              /* bytes of a token */
    struct vocabulary_node *nodes; /* [node_count + 1]; nodes[0] is the root, the last one ends the tokens' list */
    uint64_t *below;               /* by node: vocabulary_group of all bytes in its subtree, a bit each */
    uint32_t node_count;
    uint32_t *tokens;  /* by node */
    uint32_t *offsets; /* [size + 1] each token's bytes in `text` */
    char *text;
    uint32_t *eos_ids;
    uint32_t eos_count;
};

/* Bytes that mostly go together in texts have one number, below 64. */
static inline uint32_t vocabulary_group(uint8_t byte)
{
    enum { DIGITS = 48, CAPITALS, LETTERS, CONTROLS, CONTINUING, BEGINNING };
    if (byte >= 0x80)
        return byte < 0xC0 ? CONTINUING : BEGINNING;
    if (byte >= 'a' && byte <= 'z')
        return LETTERS;
    if (byte >= 'A' && byte <= 'Z')
        return CAPITALS;
    if (byte >= '0' && byte <= '9')
        return DIGITS;
    if (byte < 0x20)
        return CONTROLS;
    return byte < '0'   ? byte - 0x20u
           : byte < 'A' ? 16u + (byte - ':')
           : byte < 'a' ? 23u + (byte - '[')
                        : 29u + (byte - '{');
}
