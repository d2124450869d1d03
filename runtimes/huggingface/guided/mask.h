/* runtimes/huggingface/guided/mask.h: which tokens may follow a state: a walk of the vocabulary's tree with the
 * automaton. What a state's likeness allows is found once and shared by all that are like it; left to each is what lies
 * behind the end of the rules at hand. */
#pragma once

#include "runtimes/huggingface/guided/automaton.h"
#include "runtimes/huggingface/guided/vocabulary.h"

struct masks {
    const struct guide_vocabulary *vocabulary;
    struct automaton *automaton;
    state_id *states; /* [TOKEN_BYTES_MAX + 1] of the walk, by depth */
    size_t bytes;     /* of masks held */
};

pdk_status masks_init(
    struct masks *masks, const struct guide_vocabulary *vocabulary, struct automaton *automaton, pdk_error *err);
void masks_done(struct masks *masks); /* before the automaton goes; of a zeroed one too */
/* The mask of `state`; borrowed until the next call. NULL: the automaton has failed. */
const uint64_t *masks_of(struct masks *masks, state_id state);
/* The same if it is known already, else NULL. */
const uint64_t *masks_known(const struct masks *masks, state_id state);
/* Makes room when more than three quarters of the memory are taken; keeps what the states `keep` need. */
void masks_tidy(struct masks *masks, const state_id *keep, size_t count);
