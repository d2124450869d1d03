/* runtimes/huggingface/engine/guiding.h: which tokens a choice may draw next where that hangs on what it has drawn: its
 * guide, which begins behind its reasoning, and the end of reasoning when that has become too long.
 *
 * Made by the front with the first draw's tokens ready. After each token the engine asks for the next one's; what is
 * not known yet is computed on another thread (guide_desk.h), which has the choice's guiding and sampler to itself
 * while `pending`. Depends on the tokens alone. */
#pragma once

#include "runtimes/huggingface/guided/guide.h"
#include "runtimes/huggingface/sampling/sampler.h"

#include <stdatomic.h>

struct guiding {
    struct guide_walker *walker; /* NULL: no guide */
    uint64_t *allowed;           /* NULL: nothing is ever limited here */
    uint32_t words;
    bool limits;          /* `allowed` holds for the next draw */
    bool waits;           /* the guide begins behind the end of reasoning */
    bool may_think;       /* nothing was drawn yet, and reasoning may begin in the guide's place */
    bool thinking;        /* inside reasoning */
    uint32_t thought;     /* tokens of it so far */
    uint32_t seen;        /* tokens looked at for marks */
    uint32_t walked;      /* tokens that the guide has taken, or needs not */
    const uint64_t *mask; /* the walker's, behind `walked` tokens; NULL: not asked for */
    pdk_error error;
    /* See guide_desk.h. */
    int result;       /* enum guiding_result, of what was asked for */
    uint32_t cost_us; /* of the thread's time, what finding out takes at worst; fades */
    bool asked;       /* and the result was not looked at yet: the engine's */
    _Atomic bool pending;
    struct choice *next_pending; /* under the desk's lock, as is: */
    uint64_t round;
};

enum { GUIDING_SLOW_US = 4000 };

enum guiding_result {
    GUIDING_READY,  /* the next token may be drawn */
    GUIDING_LATER,  /* not known yet: ask again with time to compute */
    GUIDING_OVER,   /* nothing more may come, and no token says so */
    GUIDING_FAILED, /* `error` says why */
};

/* Gets the first draw ready. `guide` may be NULL; a count of it is taken. `tokens`: the prompt, then what was produced
 * elsewhere. PDK_INVALID: the guide did not allow that, or allows nothing. */
pdk_status guiding_init(struct guiding *guiding, struct guide *guide, struct sampler *sampler, const uint32_t *tokens,
    uint32_t prompt_count, uint32_t total, pdk_error *err);
void guiding_done(struct guiding *guiding); /* of a zeroed one too */
/* What its guide asks for takes so long that others should not wait behind it. */
static inline bool guiding_is_slow(const struct guiding *guiding)
{
    return guiding->cost_us > GUIDING_SLOW_US;
}
static inline bool guiding_is_on(const struct guiding *guiding)
{
    return guiding->allowed != NULL;
}
/* tokens[total - 1] was drawn. `quick`: only as far as needs no computing. */
enum guiding_result guiding_add(
    struct guiding *guiding, struct sampler *sampler, const uint32_t *tokens, uint32_t total, bool quick);
/* Limits the row of the next draw, which sampler_draw has filled. */
void guiding_limit(const struct guiding *guiding, pdk_sample_row *row);
