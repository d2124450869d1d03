/* runtimes/huggingface/tokenizer/gguf_words.h: what GGUF's names of pre-tokenizers stand for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { GGUF_WORDS_MAX = 6 };

struct gguf_words {
    const char *name;
    const char *const *patterns; /* NULL behind the last; each isolates what it matches */
    bool whole_words;            /* a word that is a token is that token, whatever the merges say */
    bool compose;                /* text is brought to NFC first */
    bool spelled_digits;         /* see word_steps_spelled_digits */
    bool bos;                    /* begins with BOS where the file does not say */
};

const struct gguf_words *gguf_words_find(const char *name, size_t length); /* or NULL */
