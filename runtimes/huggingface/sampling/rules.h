/* runtimes/huggingface/sampling/rules.h: how a request's tokens are chosen and when they end: what it asked for, the
 * model's defaults and the field's own, resolved once. Owns its lists; shared by the request's choices, constant. */
#pragma once

#include <paddock/abi.h>
#include <paddock/draft/ops.h>
#include <stdbool.h>

enum { BAD_WORDS_MAX = 128, BAD_WORD_TOKENS_MAX = 1024 };

/* Which numbers log probabilities are: --logprobs-mode. */
enum logprobs_mode { LOGPROBS_RAW, LOGITS_RAW, LOGPROBS_PROCESSED, LOGITS_PROCESSED };

/* What holds for every request of a model. */
struct sampling_model {
    uint32_t vocabulary;
    const uint32_t *eos_ids; /* "the" end of sequence first */
    uint32_t eos_count;
    pdk_sampling defaults;
    enum logprobs_mode mode;
    uint32_t max_logprobs; /* UINT32_MAX: the whole vocabulary */
    /* The tokens that begin and end reasoning, where a parser for it runs; none: an answer has no reasoning. */
    const uint32_t *think_start, *think_end;
    uint32_t think_start_count, think_end_count;
    bool think_open; /* an answer begins inside, though no token says so */
};

/* Where a choice's guide begins and its reasoning is counted. */
enum rules_reasoning {
    RULES_REASONING_BY_PROMPT, /* the prompt's marks say whether an answer begins in reasoning */
    RULES_NO_REASONING,
    RULES_REASONING_MAY_COME, /* if the first token begins it */
    RULES_REASONING_OPEN,
};

struct sampling_rules {
    uint32_t vocabulary;
    float temperature, top_p, min_p, repetition_penalty, frequency_penalty, presence_penalty;
    int32_t top_k;
    bool seeded;
    uint64_t seed;
    bool wants_logprobs, wants_prompt_logprobs;
    uint32_t top_wanted, prompt_top_wanted; /* alternatives beside the chosen one */
    uint32_t row_flags, score_flags;        /* PDK_SAMPLE_… */
    uint32_t min_tokens;

    int64_t eos;     /* ends a choice without a stop reason; -1: none */
    uint32_t *stops; /* ids that end a choice, by name */
    size_t stop_count;
    uint32_t *withheld; /* ids that may not come before min_tokens: every end */
    size_t withheld_count;
    pdk_bias *biases;
    size_t bias_count;
    uint64_t *allowed; /* bit set, or NULL: all */
    uint32_t *report;  /* ids to report on as well */
    size_t report_count;
    uint32_t *bad_tokens; /* bad words' ids, one sequence after the other */
    uint32_t *bad_ends;   /* [bad_count] where each ends */
    size_t bad_count;

    const struct sampling_model *model; /* borrowed */
    enum rules_reasoning reasoning;     /* set by those who know the conversation */
    int64_t thinking_budget;            /* tokens of reasoning; -1: no limit */
    /* A tail of so many tokens, so many times, ends a choice; most 0: off. */
    uint32_t repeat_least, repeat_most, repeat_times;
};

/* Checks the request's lists against the vocabulary and resolves its fields. `rules` is zeroed before; rules_done frees
 * it, after a failure too. PDK_INVALID names the field where the client's own checks name one. */
pdk_status rules_resolve(
    struct sampling_rules *rules, const pdk_request *request, const struct sampling_model *model, pdk_error *err);
/* Adds a sequence of tokens that may not be completed. */
pdk_status rules_ban(struct sampling_rules *rules, const uint32_t *tokens, size_t count, pdk_error *err);
void rules_done(struct sampling_rules *rules);

/* Whether the last of `produced` tokens ends a repetition that ends the choice. */
bool rules_repeats(const struct sampling_rules *rules, const uint32_t *produced, uint32_t count);
/* Whether `token`, the last of `produced` ones, ends the choice: end of sequence, then stop tokens. */
bool rules_end(const struct sampling_rules *rules, uint32_t token, uint32_t produced, int32_t *ret_stop_kind);
