/* runtimes/huggingface/guided/regular_set.h: the automaton inside a regular set, for those who build one.
 *
 * Invariant: state 0 is the start; each state leads to an accepting one (none at all: the empty set); a state's edges
 * are in order of code points, do not overlap and hold no surrogates. */
#pragma once

#include "runtimes/huggingface/guided/regular.h"

enum { CODE_LAST = 0x10FFFF, SURROGATE_FIRST = 0xD800, SURROGATE_LAST = 0xDFFF };
enum { REGULAR_NONE = 0xFFFFFFFF }; /* no state: nothing more can match */
enum { REGULAR_STATES_DEFAULT = 20000, REGULAR_EDGES_MAX = 1 << 20 };

struct regular_edge {
    uint32_t first, last, target;
};

struct regular_state {
    uint32_t edge, edges;
    bool accepts;
};

struct regular {
    /* All strings of least to most characters; then there are no states until somebody combines it. */
    bool lengths;
    uint32_t least, most;
    uint32_t count;
    uint32_t edge_count;
    struct regular_state *states;
    struct regular_edge *edges;
};

/* Building one: states in order, each followed by its edges in order. A failed allocation or a full budget is kept. */
struct regular_builder {
    struct regular_state *states;
    struct regular_edge *edges;
    size_t state_room, edge_room;
    uint32_t count, edge_count;
    uint32_t states_max;
    pdk_status status;
};

void regular_builder_state(struct regular_builder *builder, bool accepts);
void regular_builder_edge(struct regular_builder *builder, uint32_t first, uint32_t last, uint32_t target);
/* The same for a range that may hold surrogates, which are left out. */
void regular_builder_range(struct regular_builder *builder, uint32_t first, uint32_t last, uint32_t target);
void regular_builder_done(struct regular_builder *builder);
/* Gives the set, without dead states and minimal where that is cheap; empties the builder in any case. */
pdk_status regular_builder_finish(struct regular_builder *builder, struct regular **ret_set, pdk_error *err);
/* Merges states that no string tells apart. Keeps `set` as it is where that would take long. */
pdk_status regular_minimise(struct regular *set, pdk_error *err);

/* `set` with states: itself, or a copy in *ret_copy that the caller frees. */
pdk_status regular_with_states(const struct regular *set, const struct regular_budget *budget,
    const struct regular **ret_set, struct regular **ret_copy, pdk_error *err);
/* Where `code` leads, or REGULAR_NONE. */
uint32_t regular_step(const struct regular *set, uint32_t state, uint32_t code);
/* Whether everything matches from `state` on. */
bool regular_accepts_all(const struct regular *set, uint32_t state);
pdk_status regular_too_large(const struct regular_budget *budget, pdk_error *err);
