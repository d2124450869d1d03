/* runtimes/huggingface/tokenizer/words.h: cutting text into the words that the model sees: pre-tokenizers.
 *
 * The file's steps, flattened into one row; text streams through them, each step handing its pieces to the next, so
 * that no list of pieces is kept. The depth is the number of steps, not the text's. */
#pragma once

#include "core/base/buffer.h"
#include "core/base/json.h"
#include "runtimes/huggingface/tokenizer/regex.h"

#include <stdbool.h>

enum { WORD_STEPS_MAX = 32 };

enum split_behavior { SPLIT_REMOVED, SPLIT_ISOLATED, SPLIT_WITH_PREVIOUS, SPLIT_WITH_NEXT, SPLIT_CONTIGUOUS };

struct word_step {
    enum { WORD_SPLIT, WORD_PREFIX, WORD_METASPACE } kind;
    /* SPLIT: what matches (one of three), and what becomes of it. */
    struct regex *regex;
    char *literal;
    bool (*class)(uint32_t code);
    bool spelled; /* the class is asked of each byte's character in GPT-2's alphabet */
    enum split_behavior behavior;
    bool invert;
    /* PREFIX: a space before a piece without one; METASPACE: `literal` for each space. */
    enum { PREFIX_NEVER, PREFIX_FIRST, PREFIX_ALWAYS } prefix;
};

struct word_steps {
    struct word_step *steps;
    size_t count, room;
    bool bytes; /* the model is given bytes, each a character of GPT-2's alphabet */
};

/* `json`: the pre_tokenizer of a tokenizer.json, or NULL. */
pdk_status word_steps_load(struct word_steps *steps, const struct json *json, pdk_error *err);
/* One more step: what matches stands alone. */
pdk_status word_steps_isolate(struct word_steps *steps, const char *pattern, pdk_error *err);
/* The last step of words that are bytes: runs of digits stand alone, among them the bytes that are spelled ² ³ ¹ ¼ ½ ¾,
 * as in Falcon, which looks for digits behind the spelling. */
pdk_status word_steps_spelled_digits(struct word_steps *steps, pdk_error *err);
void word_steps_done(struct word_steps *steps);

struct word {
    const char *text;
    size_t length;
    bool first; /* starts where the whole text does */
};

/* What one encoding needs beside the steps. */
struct word_run {
    const struct word_steps *steps;
    struct regex_state *states[WORD_STEPS_MAX];
    struct buffer texts[WORD_STEPS_MAX];
    int64_t started_ns, budget_ns; /* of this thread's processor time, for expressions that are slow again and again */
    pdk_status (*sink)(void *to, const char *text, size_t length, pdk_error *err);
    void *to;
};

pdk_status word_run_init(struct word_run *run, const struct word_steps *steps, size_t length, pdk_error *err);
void word_run_done(struct word_run *run);
pdk_status word_run_cut(struct word_run *run, struct word text, pdk_error *err);
