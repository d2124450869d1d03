/* runtimes/huggingface/guided/guide.h: a request's constraint, compiled; and how far one choice has come in it. A guide
 * is built by the front, shared by the request's choices, and gives for each step the set of tokens that may come.
 *
 * Masks are computed lazily and kept: by state of the automaton, over a trie of the vocabulary's bytes. Compiling and
 * all masks of a guide stay inside its budget (1 s, 64 MiB); a text that leaves it ends that request alone. */
#pragma once

#include "runtimes/huggingface/tokenizer/tokenizer.h"

#include <paddock/draft/request.h>
#include <stdbool.h>
#include <stdint.h>

/* The bytes of every token, sorted for walking. Built once at load, constant. */
struct guide_vocabulary;
pdk_status guide_vocabulary_new(const struct tokenizer *tokenizer, uint32_t vocabulary, const uint32_t *eos_ids,
    uint32_t eos_count, struct guide_vocabulary **ret_vocabulary, pdk_error *err);
struct guide_vocabulary *guide_vocabulary_free(struct guide_vocabulary *vocabulary); /* takes NULL, returns NULL */

struct guide;
/* PDK_INVALID, PDK_UNSUPPORTED or PDK_TOO_LARGE with the client's words. [front-thread] */
pdk_status guide_new(
    const struct guide_vocabulary *vocabulary, const pdk_guide *what, struct guide **ret_guide, pdk_error *err);
/* Each choice's walker holds one count. Takes NULL, returns NULL. */
struct guide *guide_release(struct guide *guide);

/* Where one choice stands. Deterministic: it depends on the tokens alone. */
struct guide_walker;
pdk_status guide_walker_new(struct guide *guide, struct guide_walker **ret_walker, pdk_error *err);
struct guide_walker *guide_walker_free(struct guide_walker *walker); /* takes NULL, returns NULL */
/* The tokens that may come next: bit t of [vocabulary / 64 rounded up]; end-of-sequence tokens are among them where the
 * text may end. Borrowed until the walker's next use. PDK_TOO_LARGE: the budget is gone. */
pdk_status guide_walker_mask(struct guide_walker *walker, const uint64_t **ret_mask, pdk_error *err);
/* Takes a token that the mask had. PDK_INVALID for one that it had not. */
pdk_status guide_walker_add(struct guide_walker *walker, uint32_t token, pdk_error *err);
/* Takes the token and gives the mask behind it, if neither needs computing or waiting: it allocates nothing then.
 * False: nothing was done. */
bool guide_walker_add_quick(struct guide_walker *walker, uint32_t token, const uint64_t **ret_mask);
/* The text may end here. */
bool guide_walker_may_end(const struct guide_walker *walker);
/* Nothing but the end may come. */
bool guide_walker_complete(const struct guide_walker *walker);
/* The end has come: a token that ends a text was taken. */
bool guide_walker_ended(const struct guide_walker *walker);
