/* runtimes/huggingface/front/beam.h: beam search over one prompt. Each round asks the engine for one token of every
 * living beam, as one generation whose choices are the beams, and keeps the best `width` of their continuations.
 *
 * The rule is vLLM's: the candidates of a beam are its 2 * width likeliest tokens and the one drawn; an end of sequence
 * completes a beam, which competes no longer; after the last round all are ordered by the sum of their log
 * probabilities divided by their tokens (the end's included) to the power of the length penalty. Penalties, filters,
 * biases and stops do not take part. */
#pragma once

#include "runtimes/huggingface/engine/generation.h"
#include "runtimes/huggingface/front/answer.h"

struct beam_search;

struct beam_spec {
    const uint32_t *prompt; /* borrowed */
    uint32_t prompt_count;
    uint32_t width;  /* beams kept, and answers; at least 1 */
    uint32_t rounds; /* most tokens of an answer */
    uint32_t top;    /* alternatives to report for each token, at most 2 * width are known */
    double length_penalty;
    const uint32_t *ends; /* tokens that complete a beam, borrowed; none with ignore_eos */
    uint32_t end_count;
};

/* PDK_NO_MEMORY */
pdk_status beam_new(const struct beam_spec *spec, struct beam_search **ret_beam, pdk_error *err);
struct beam_search *beam_free(struct beam_search *beam); /* takes NULL, returns NULL */

/* Alternatives that a round has to report on each token. */
uint32_t beam_wanted(const struct beam_search *beam);
/* The living beams' tokens for the next round, each of *ret_length, borrowed until the next call; none: it is over. */
uint32_t beam_round(struct beam_search *beam, const uint32_t *const **ret_tokens, uint32_t *ret_length);
/* Takes what a round gave: choice i's drawn token and report belong to beam i. */
pdk_status beam_take(struct beam_search *beam, const uint32_t *tokens, const struct drawn *drawn, pdk_error *err);

/* Orders the answers; after the last round. Returns how many there are. */
uint32_t beam_finish(struct beam_search *beam);
/* The tokens of answer `index`, without the end; borrowed until the next call. */
struct beam_answer {
    const uint32_t *tokens;
    uint32_t count;
    int64_t end;  /* the token that completed it; -1: the rounds were over */
    double total; /* sum of its log probabilities */
};
struct beam_answer beam_answer(struct beam_search *beam, uint32_t index);
/* The report on token `at` of the answer that beam_answer gave last. */
struct drawn beam_report(const struct beam_search *beam, uint32_t at);
