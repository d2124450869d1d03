/* Which waiting sequence starts next, and with what of its prompt already in the cache. */
#include "config.h"

#include "runtimes/huggingface/engine/scheduler_state.h"

/* Whether it cannot start yet: its leader will have its prompt in the cache soon. */
bool scheduler_deferred(const struct sequence *sequence)
{
    const struct sequence *leader = sequence->leader;
    if (sequence->held)
        return true;
    return leader != NULL && !sequence->admitted && !leader->held &&
           (leader->state == SEQUENCE_WAITING ||
               (leader->state == SEQUENCE_RUNNING && leader->computed + 1 < leader->prompt_count));
}

static struct sequence *first_ready(const struct tenant *tenant)
{
    struct sequence *sequence = tenant->first;
    while (sequence != NULL && scheduler_deferred(sequence))
        sequence = sequence->next;
    return sequence;
}

/* Deficit round robin over the tenants whose first sequence is of the best class: the one with the most to its credit,
 * from the cursor on, so that a tenant that comes to a long queue of another's is served at once, not after a quantum.
 */
static struct sequence *next_to_admit(struct scheduler *s)
{
    int32_t best = INT32_MAX;
    int64_t richest = INT64_MIN;
    bool any = false;
    for (uint32_t i = 0; i < TENANTS_MAX; i++) {
        const struct sequence *ready = first_ready(&s->tenants[i]);
        if (ready == NULL || (any && ready->priority > best))
            continue;
        if (!any || ready->priority < best)
            richest = INT64_MIN;
        any = true;
        best = ready->priority;
        richest = s->tenants[i].deficit > richest ? s->tenants[i].deficit : richest;
    }
    if (!any)
        return NULL;
    int64_t top_up = richest > 0 ? 0 : (-richest / QUANTUM + 1) * QUANTUM;
    struct sequence *chosen = NULL;
    for (uint32_t i = 0; i < TENANTS_MAX; i++) {
        uint32_t at = (s->cursor + i) % TENANTS_MAX;
        struct sequence *ready = first_ready(&s->tenants[at]);
        if (ready == NULL || ready->priority != best)
            continue;
        s->tenants[at].deficit += top_up;
        if (s->tenants[at].deficit > QUANTUM)
            s->tenants[at].deficit = QUANTUM;
        if (chosen == NULL || s->tenants[at].deficit > s->tenants[chosen->tenant_slot].deficit)
            chosen = ready;
    }
    s->cursor = (chosen->tenant_slot + 1u) % TENANTS_MAX;
    return chosen;
}

/* Holds what the cache has of it, at most all but the last token, and at most up to what is still to be scored. */
static void adopt_cached(struct scheduler *s, struct sequence *sequence)
{
    uint32_t most = sequence_goal(sequence) - 1;
    if (sequence->scores && sequence->scored < sequence->prompt_count - 1 && sequence->scored < most)
        most = sequence->scored;
    if (sequence->whole)
        most = 0;
    uint32_t *table = scheduler_slot_table(s, sequence);
    while ((sequence->blocks + 1) * BLOCK_TOKENS <= most) {
        const uint32_t *tokens = sequence->tokens + (size_t)sequence->blocks * BLOCK_TOKENS;
        struct siphash128 hash = block_pool_hash(s->pool, sequence->chain, tokens);
        uint32_t block;
        if (!block_pool_find(s->pool, hash, tokens, &block))
            break;
        table[sequence->blocks++] = block;
        sequence->chain = hash;
    }
    sequence->published = sequence->blocks;
    sequence->computed = sequence->blocks * BLOCK_TOKENS;
}

/* Shares its leader's prompt, but for the last token, whose logits it needs. */
static bool adopt_leader(struct scheduler *s, struct sequence *sequence)
{
    const struct sequence *leader = sequence->leader;
    uint32_t shared = sequence->prompt_count - 1;
    if (leader == NULL || sequence->scores || leader->state != SEQUENCE_RUNNING || leader->computed < shared ||
        shared == 0)
        return false;
    uint32_t *table = scheduler_slot_table(s, sequence);
    const uint32_t *from = scheduler_slot_table(s, leader);
    for (uint32_t i = 0; i < blocks_of(shared); i++) {
        block_pool_ref(s->pool, from[i]);
        table[i] = from[i];
    }
    sequence->blocks = blocks_of(shared);
    sequence->computed = shared;
    return true;
}

static bool enough_blocks(const struct scheduler *s, const struct sequence *sequence, uint32_t end)
{
    uint32_t spare = (uint32_t)(s->config.watermark * block_pool_size(s->pool));
    uint32_t need = blocks_of(s->config.reserve_prompt ? sequence_goal(sequence) : end);
    need -= sequence->blocks < need ? sequence->blocks : need;
    need += sequence->computed % BLOCK_TOKENS != 0; /* the copy of a shared block */
    return (uint64_t)need + (s->running > 0 ? spare : 0) <= block_pool_left(s->pool);
}

/* Counts are of the first admission: what a preempted sequence finds again is its own. */
static void count_admission(struct scheduler *s, struct sequence *sequence)
{
    if (sequence->admitted)
        return;
    sequence->admitted = true;
    sequence->cached = sequence->computed < sequence->prompt_count ? sequence->computed : sequence->prompt_count;
    if (block_pool_caching(s->pool)) {
        s->counts.cache_queries += sequence->prompt_count;
        s->counts.cache_hits += sequence->cached;
    }
}

/* False: it does not fit now, and nothing behind it may overtake it. */
static bool admit(struct scheduler *s, struct sequence *sequence, struct allowance *left)
{
    struct tenant *tenant = &s->tenants[sequence->tenant_slot];
    sequence->slot = s->slots[s->slot_count - 1];
    sequence->blocks = 0;
    if (!adopt_leader(s, sequence))
        adopt_cached(s, sequence);
    uint32_t end = scheduler_chunk_end(s, sequence, scheduler_rows_allowed(sequence, left));
    if (end <= sequence->computed || !enough_blocks(s, sequence, end) || !scheduler_grow(s, sequence, end)) {
        scheduler_drop_copies(&s->plan, sequence);
        scheduler_release(s, sequence);
        return false;
    }
    s->slot_count--;
    sequence_list_remove(&tenant->first, &tenant->last, sequence);
    s->waiting--;
    sequence->state = SEQUENCE_RUNNING;
    sequence_list_insert(&s->first, &s->last, sequence);
    s->running++;
    count_admission(s, sequence);
    sequence->chunk = end - sequence->computed;
    uint32_t outputs = plan_outputs(sequence, sequence->computed, sequence->chunk);
    left->rows -= sequence->chunk;
    left->outputs -= outputs < left->outputs ? outputs : left->outputs;
    scheduler_enter(s, sequence);
    return true;
}

void scheduler_admit(struct scheduler *s, struct allowance *left)
{
    while (left->rows > 0 && left->outputs > 0 && s->slot_count > 0 && s->waiting > 0) {
        struct sequence *sequence = next_to_admit(s);
        if (sequence == NULL || !admit(s, sequence, left))
            return;
    }
}
