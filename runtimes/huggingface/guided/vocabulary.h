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
    struct vocabulary_node *nodes; /* [node_count + 1]; nodes[0] is the root, the last one ends the tokens' list */
    uint32_t node_count;
    uint32_t *tokens;  /* by node */
    uint32_t *offsets; /* [size + 1] each token's bytes in `text` */
    char *text;
    uint32_t *eos_ids;
    uint32_t eos_count;
};
