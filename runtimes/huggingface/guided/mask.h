/* runtimes/huggingface/guided/mask.h: which tokens may follow a state: a walk of the vocabulary's tree with the
 * automaton. What a state's likeness allows is found once and shared by all that are like it; left to each is what lies
 * behind the end of the rules at hand. */
#pragma once

#include "runtimes/huggingface/guided/automaton.h"
#include "runtimes/huggingface/guided/vocabulary.h"

/* A special token that counts as the text that it is written as. */
struct special_token {
    uint32_t token;
    pdk_string text;
};

struct masks {
    const struct guide_vocabulary *vocabulary;
    struct automaton *automaton;
    state_id *states; /* [TOKEN_BYTES_MAX + 1] of the walk, by depth */
    size_t bytes;     /* of masks held */
    struct special_token *specials;
    size_t special_count;
};

pdk_status masks_init(
    struct masks *masks, const struct guide_vocabulary *vocabulary, struct automaton *automaton, pdk_error *err);
void masks_done(struct masks *masks); /* before the automaton goes; of a zeroed one too */
/* Has special tokens whose text occurs in `text` count as that text. */
pdk_status masks_take_specials(struct masks *masks, const char *text, size_t length, pdk_error *err);
/* The bytes that `token` adds: none if it is no text. */
pdk_string masks_token_text(const struct masks *masks, uint32_t token);
/* The mask of `state`; borrowed until the next call. NULL: the automaton has failed. */
const uint64_t *masks_of(struct masks *masks, state_id state);
/* The same if it is known already, else NULL. */
const uint64_t *masks_known(const struct masks *masks, state_id state);
/* Makes room when more than three quarters of the memory are taken, or when too much was: then it may be tried once
 * more. Keeps what the states `keep` need. */
void masks_tidy(struct masks *masks, const state_id *keep, size_t count);
