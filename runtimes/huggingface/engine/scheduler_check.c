/* The scheduler's invariants, looked at from outside its logic. */
#include "config.h"

#include "runtimes/huggingface/engine/scheduler_state.h"

static const char *sequence_wrong(const struct scheduler *s, const struct sequence *at)
{
    if (at->state != SEQUENCE_RUNNING)
        return "a sequence that does not run is on the running list";
    if (at->computed > at->total || at->total > at->limit)
        return "computed, total and limit are out of order";
    if (at->blocks < blocks_of(at->computed))
        return "a sequence lacks a block for what it has computed";
    if (at->blocks > s->stride || at->blocks > blocks_of(at->limit))
        return "a sequence has more blocks than tokens";
    if (at->next != NULL && !sequence_runs_before(at, at->next))
        return "the running list is out of order";
    return NULL;
}

bool scheduler_check(const struct scheduler *s, const char **ret_what)
{
    uint64_t held = 0;
    uint32_t running = 0, waiting = 0, sequences = 0;
    for (const struct sequence *at = s->first; at != NULL; at = at->next) {
        *ret_what = sequence_wrong(s, at);
        if (*ret_what != NULL)
            return false;
        held += at->blocks;
        running++;
    }
    for (uint32_t i = 0; i < TENANTS_MAX; i++) {
        for (const struct sequence *at = s->tenants[i].first; at != NULL; at = at->next) {
            *ret_what = "a waiting sequence holds blocks";
            if (at->blocks != 0 || at->state != SEQUENCE_WAITING)
                return false;
            waiting++;
        }
        sequences += s->tenants[i].sequences;
    }
    *ret_what = "lists and counts disagree";
    if (running != s->running || waiting != s->waiting || sequences != running + waiting ||
        s->slot_count + running != s->config.max_sequences)
        return false;
    return block_pool_check(s->pool, held, ret_what);
}
