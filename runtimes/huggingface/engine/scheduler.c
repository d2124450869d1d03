/* Lists: the running one is sorted by (priority, arrival); each tenant has a waiting one sorted the same way, so that a
 * preempted sequence comes back to its old place. A step first settles whose blocks there are (which may preempt), and
 * only then writes the plan, so that nothing planned is taken back. */
#include "config.h"

#include "runtimes/huggingface/engine/scheduler.h"

#include "core/base/error.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TENANTS_MAX = 64, QUANTUM = 2048, DEBT_MAX = 4 * QUANTUM, PREEMPTIONS_FAIR = 2 };

struct tenant {
    uint64_t id;
    uint32_t sequences;            /* waiting and running; 0: the slot is free */
    int64_t deficit;               /* tokens that it may still have computed before the others' turn */
    struct sequence *first, *last; /* waiting */
};

struct scheduler {
    struct scheduler_config config;
    struct block_pool *pool;
    struct cost_model cost;
    struct plan plan;
    uint64_t arrivals, steps;
    struct sequence *first, *last; /* running */
    uint32_t running, waiting;
    uint32_t *slots; /* free ones, a stack */
    uint32_t slot_count;
    uint32_t *tables; /* [max_sequences][stride] */
    uint32_t stride;
    struct sequence **order; /* scratch: the running ones when a plan begins */
    uint32_t cursor;         /* slot of the tenant that is asked first */
    struct scheduler_counts counts;
    struct tenant tenants[TENANTS_MAX];
};

pdk_status scheduler_new(
    const struct scheduler_config *config, struct block_pool *pool, struct scheduler **ret_scheduler, pdk_error *err)
{
    assert(config->max_sequences > 0 && config->max_rows >= config->max_sequences && config->max_rows >= BLOCK_TOKENS);
    assert(config->max_outputs >= config->max_sequences + BLOCK_TOKENS && config->max_length > 0);
    struct scheduler *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the scheduler");
    s->config = *config;
    s->pool = pool;
    s->stride = blocks_of(config->max_length);
    cost_model_init(&s->cost);
    uint32_t n = config->max_sequences;
    size_t entries;
    if (__builtin_mul_overflow((size_t)n, (size_t)s->stride, &entries)) {
        free(s);
        return pdk_error_set(err, PDK_NO_MEMORY, "max_num_seqs",
            "%" PRIu32 " block tables of %" PRIu32 " do not fit in memory", n, config->max_length);
    }
    s->slots = calloc(n, sizeof *s->slots);
    s->tables = calloc(entries, sizeof *s->tables);
    s->order = calloc(n, sizeof(struct sequence *));
    s->plan.entries = calloc(n, sizeof *s->plan.entries);
    s->plan.copies = calloc(n, sizeof *s->plan.copies);
    s->plan.copy_owners = calloc(n, sizeof(struct sequence *));
    if (s->slots == NULL || s->tables == NULL || s->order == NULL || s->plan.entries == NULL ||
        s->plan.copies == NULL || s->plan.copy_owners == NULL) {
        scheduler_free(s);
        return pdk_error_set(err, PDK_NO_MEMORY, "max_num_seqs", "no memory for %" PRIu32 " sequences", n);
    }
    s->slot_count = n;
    for (uint32_t i = 0; i < n; i++)
        s->slots[i] = n - 1 - i;
    *ret_scheduler = s;
    return PDK_OK;
}

struct scheduler *scheduler_free(struct scheduler *s)
{
    if (s == NULL)
        return NULL;
    free(s->slots);
    free(s->tables);
    free(s->order);
    free(s->plan.entries);
    free(s->plan.copies);
    free(s->plan.copy_owners);
    free(s);
    return NULL;
}

pdk_status scheduler_fits(const struct block_pool *pool, uint32_t limit, pdk_error *err)
{
    /* The last token is never computed. */
    uint32_t need = blocks_of(limit > 1 ? limit - 1 : 1);
    if (need <= block_pool_size(pool))
        return PDK_OK;
    return pdk_error_set(err, PDK_INVALID, NULL,
        "prompt and answer of up to %" PRIu32 " tokens need %" PRIu32
        " blocks of the key-value cache, which has %" PRIu32 " (%" PRIu32
        " tokens). Please reduce the length of the prompt or max_tokens.",
        limit, need, block_pool_size(pool), block_pool_size(pool) * BLOCK_TOKENS);
}

static bool runs_before(const struct sequence *a, const struct sequence *b)
{
    return a->priority != b->priority ? a->priority < b->priority : a->arrival < b->arrival;
}

/* Puts it at its place, which is nearly always the end. */
static void list_insert(struct sequence **first, struct sequence **last, struct sequence *sequence)
{
    struct sequence *before = *last;
    while (before != NULL && runs_before(sequence, before))
        before = before->previous;
    sequence->previous = before;
    sequence->next = before != NULL ? before->next : *first;
    *(sequence->next != NULL ? &sequence->next->previous : last) = sequence;
    *(before != NULL ? &before->next : first) = sequence;
}

static void list_remove(struct sequence **first, struct sequence **last, struct sequence *sequence)
{
    *(sequence->next != NULL ? &sequence->next->previous : last) = sequence->previous;
    *(sequence->previous != NULL ? &sequence->previous->next : first) = sequence->next;
    sequence->previous = sequence->next = NULL;
}

static void wait(struct scheduler *s, struct sequence *sequence)
{
    struct tenant *tenant = &s->tenants[sequence->tenant_slot];
    sequence->state = SEQUENCE_WAITING;
    list_insert(&tenant->first, &tenant->last, sequence);
    s->waiting++;
}

/* More tenants than slots share the one that their number falls on: fairness is then between groups. */
static uint8_t tenant_slot(struct scheduler *s, uint64_t id)
{
    uint32_t home = (uint32_t)((id ^ id >> 32) % TENANTS_MAX), free_slot = TENANTS_MAX;
    for (uint32_t i = 0; i < TENANTS_MAX; i++) {
        uint32_t at = (home + i) % TENANTS_MAX;
        if (s->tenants[at].sequences != 0 && s->tenants[at].id == id)
            return (uint8_t)at;
        if (s->tenants[at].sequences == 0 && free_slot == TENANTS_MAX)
            free_slot = at;
    }
    if (free_slot == TENANTS_MAX)
        return (uint8_t)home;
    s->tenants[free_slot] = (struct tenant){.id = id, .deficit = QUANTUM};
    return (uint8_t)free_slot;
}

void scheduler_add(struct scheduler *s, struct sequence *sequence)
{
    assert(sequence->state == SEQUENCE_NEW && sequence->total > 0 && sequence->total <= sequence->limit);
    assert(sequence->limit <= s->config.max_length && scheduler_fits(s->pool, sequence->limit, NULL) == PDK_OK);
    sequence->arrival = s->arrivals++;
    sequence->chain = sequence->salt;
    sequence->tenant_slot = tenant_slot(s, sequence->tenant);
    s->tenants[sequence->tenant_slot].sequences++;
    wait(s, sequence);
}

static uint32_t *table_of(const struct scheduler *s, const struct sequence *sequence)
{
    return s->tables + (size_t)sequence->slot * s->stride;
}

/* Tail first, so that a prefix is found longer than its continuations. */
static void release_blocks(struct scheduler *s, struct sequence *sequence)
{
    uint32_t *table = table_of(s, sequence);
    while (sequence->blocks > 0)
        block_pool_unref(s->pool, table[--sequence->blocks]);
    sequence->computed = 0;
    sequence->published = 0;
    sequence->chain = sequence->salt;
    sequence->chunk = 0;
}

static void drop_copies(struct plan *plan, const struct sequence *sequence)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < plan->copy_count; i++) {
        if (plan->copy_owners[i] == sequence)
            continue;
        plan->copy_owners[kept] = plan->copy_owners[i];
        plan->copies[kept][0] = plan->copies[i][0];
        plan->copies[kept++][1] = plan->copies[i][1];
    }
    plan->copy_count = kept;
}

static void stop_running(struct scheduler *s, struct sequence *sequence)
{
    release_blocks(s, sequence);
    list_remove(&s->first, &s->last, sequence);
    s->slots[s->slot_count++] = sequence->slot;
    s->running--;
}

void scheduler_remove(struct scheduler *s, struct sequence *sequence)
{
    struct tenant *tenant = &s->tenants[sequence->tenant_slot];
    if (sequence->state == SEQUENCE_RUNNING) {
        stop_running(s, sequence);
    } else if (sequence->state == SEQUENCE_WAITING) {
        list_remove(&tenant->first, &tenant->last, sequence);
        s->waiting--;
    } else {
        sequence->state = SEQUENCE_ENDED;
        return;
    }
    sequence->state = SEQUENCE_ENDED;
    tenant->sequences--;
}

static void preempt(struct scheduler *s, struct sequence *sequence)
{
    drop_copies(&s->plan, sequence);
    stop_running(s, sequence);
    sequence->preemptions++;
    s->counts.preemptions++;
    wait(s, sequence);
}

/* Whether `a` should give up its blocks rather than `b`: one whose client does not read; one not yet preempted twice;
 * the lower priority; the newer. */
static bool yields_before(const struct sequence *a, const struct sequence *b)
{
    bool fair_a = a->preemptions < PREEMPTIONS_FAIR, fair_b = b->preemptions < PREEMPTIONS_FAIR;
    if (a->held != b->held)
        return a->held;
    if (fair_a != fair_b)
        return fair_a;
    return runs_before(b, a);
}

static struct sequence *victim(const struct scheduler *s)
{
    struct sequence *worst = NULL;
    for (struct sequence *at = s->last; at != NULL; at = at->previous)
        if (at->blocks > 0 && (worst == NULL || yields_before(at, worst)))
            worst = at;
    return worst;
}

static bool take_block(struct scheduler *s, struct sequence *sequence, uint32_t *ret_block)
{
    const uint32_t *table = table_of(s, sequence);
    uint32_t after = sequence->blocks > 0 ? table[sequence->blocks - 1] : BLOCK_NONE;
    return block_pool_take(s->pool, after, sequence->tenant, ret_block);
}

/* The block that its next token goes to is its own to write: a shared one is copied first. */
static bool own_partial(struct scheduler *s, struct sequence *sequence)
{
    uint32_t place = sequence->computed / BLOCK_TOKENS, *table = table_of(s, sequence), block;
    if (place >= sequence->blocks || block_pool_writable(s->pool, table[place]))
        return true;
    if (!take_block(s, sequence, &block))
        return false;
    struct plan *plan = &s->plan;
    plan->copies[plan->copy_count][0] = table[place];
    plan->copies[plan->copy_count][1] = block;
    plan->copy_owners[plan->copy_count++] = sequence;
    block_pool_unref(s->pool, table[place]);
    table[place] = block;
    return true;
}

/* Takes blocks for the tokens up to `end`, without preempting. */
static bool grow(struct scheduler *s, struct sequence *sequence, uint32_t end)
{
    if (!own_partial(s, sequence))
        return false;
    uint32_t *table = table_of(s, sequence);
    while (sequence->blocks < blocks_of(end)) {
        uint32_t block;
        if (!take_block(s, sequence, &block))
            return false;
        table[sequence->blocks++] = block;
    }
    return true;
}

/* A prompt that is scored is cut in any case: a step has only so many logits. */
static bool cuttable(const struct scheduler *s, const struct sequence *sequence)
{
    return s->config.chunked || sequence->scores;
}

/* Gives `sequence` the rows up to `end`, preempting others for them. It may lose by it: a decoding sequence its own
 * blocks, when it is itself the one to yield; a prompt waits with those it has. */
static void grant(struct scheduler *s, struct sequence *sequence, uint32_t end)
{
    while (!grow(s, sequence, end)) {
        struct sequence *yields = victim(s);
        if (yields != sequence) {
            preempt(s, yields);
            continue;
        }
        uint32_t room = sequence->blocks * BLOCK_TOKENS;
        if (end - sequence->computed == 1)
            preempt(s, sequence);
        else if (room > sequence->computed && cuttable(s, sequence) && own_partial(s, sequence))
            sequence->chunk = room - sequence->computed;
        return;
    }
    sequence->chunk = end - sequence->computed;
}

/* The end of a chunk of at most `rows` more tokens: a block's border, or the goal. At least one block where `rows`
 * allows that; else, and where prompts may not be cut, nothing. */
static uint32_t chunk_end(const struct scheduler *s, const struct sequence *sequence, uint32_t rows)
{
    uint32_t goal = sequence_goal(sequence), from = sequence->computed, left = goal - from;
    if (s->config.long_prefill != 0 && rows > s->config.long_prefill)
        rows = s->config.long_prefill > BLOCK_TOKENS ? s->config.long_prefill : BLOCK_TOKENS;
    if (rows >= left)
        return goal;
    if (!cuttable(s, sequence))
        return from;
    uint32_t end = (from + rows) / BLOCK_TOKENS * BLOCK_TOKENS;
    return end > from ? end : from;
}

uint32_t plan_outputs(const struct sequence *sequence, uint32_t first, uint32_t count)
{
    uint32_t end = first + count, outputs = 0;
    if (sequence->scores) {
        uint32_t from = first > sequence->scored ? first : sequence->scored;
        uint32_t to = end < sequence->prompt_count - 1 ? end : sequence->prompt_count - 1;
        outputs = to > from ? to - from : 0;
    }
    return outputs + (end == sequence->total && sequence->total < sequence->limit);
}

static void charge(struct scheduler *s, const struct sequence *sequence, uint32_t rows)
{
    struct tenant *tenant = &s->tenants[sequence->tenant_slot];
    tenant->deficit -= rows;
    if (tenant->deficit < -DEBT_MAX)
        tenant->deficit = -DEBT_MAX;
}

static void enter(struct scheduler *s, struct sequence *sequence)
{
    struct plan *plan = &s->plan;
    uint32_t first = sequence->computed, count = sequence->chunk;
    plan->entries[plan->entry_count++] = (struct plan_entry){sequence, first, count};
    plan->rows += count;
    plan->outputs += plan_outputs(sequence, first, count);
    plan->context += first + count;
    if (first < sequence->prompt_count)
        plan->prompt_rows += (first + count < sequence->prompt_count ? first + count : sequence->prompt_count) - first;
    charge(s, sequence, count);
}

static bool decodes(const struct sequence *sequence)
{
    return sequence_goal(sequence) - sequence->computed == 1;
}

static bool wants_rows(const struct sequence *sequence)
{
    return sequence->state == SEQUENCE_RUNNING && !sequence->held && sequence_goal(sequence) > sequence->computed;
}

/* What is left of a step for prompts. */
struct allowance {
    uint32_t rows, outputs;
};

/* Cuts what a chunk may have by the logits that it wants. */
static uint32_t rows_allowed(const struct sequence *sequence, const struct allowance *left)
{
    return sequence->scores && left->outputs < left->rows ? left->outputs : left->rows;
}

static void give_prompt(struct scheduler *s, struct sequence *sequence, uint32_t rows, struct allowance *left)
{
    uint32_t end = chunk_end(s, sequence, rows);
    if (end <= sequence->computed)
        return;
    grant(s, sequence, end);
    uint32_t outputs = plan_outputs(sequence, sequence->computed, sequence->chunk);
    left->rows -= sequence->chunk;
    left->outputs -= outputs < left->outputs ? outputs : left->outputs;
}

/* Whose prompt should have more rows first. */
static bool fills_before(const struct scheduler *s, const struct sequence *a, const struct sequence *b)
{
    if (a->priority != b->priority)
        return a->priority < b->priority;
    int64_t deficit_a = s->tenants[a->tenant_slot].deficit, deficit_b = s->tenants[b->tenant_slot].deficit;
    return a->tenant_slot != b->tenant_slot && deficit_a != deficit_b ? deficit_a > deficit_b : a->arrival < b->arrival;
}

/* Admitted prompts: the first in order gets what there is but a block for each of the others, and so on down. */
static void give_prompts(struct scheduler *s, uint32_t count, struct allowance *left)
{
    uint32_t prompts = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct sequence *sequence = s->order[i];
        if (!wants_rows(sequence) || decodes(sequence))
            continue;
        uint32_t at = prompts++;
        for (; at > 0 && fills_before(s, sequence, s->order[at - 1]); at--)
            s->order[at] = s->order[at - 1];
        s->order[at] = sequence;
    }
    for (uint32_t i = 0; i < prompts; i++) {
        struct sequence *sequence = s->order[i];
        if (!wants_rows(sequence))
            continue; /* preempted meanwhile */
        uint32_t rows = rows_allowed(sequence, left), others = (prompts - 1 - i) * BLOCK_TOKENS;
        uint32_t least = rows < BLOCK_TOKENS ? rows : BLOCK_TOKENS;
        if (s->config.chunked)
            rows = rows > others + least ? rows - others : least;
        give_prompt(s, sequence, rows, left);
    }
}

/* Whether it cannot start yet: its leader will have its prompt in the cache soon. */
static bool deferred(const struct sequence *sequence)
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
    while (sequence != NULL && deferred(sequence))
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
    uint32_t *table = table_of(s, sequence);
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
    uint32_t *table = table_of(s, sequence);
    const uint32_t *from = table_of(s, leader);
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
    uint32_t end = chunk_end(s, sequence, rows_allowed(sequence, left));
    if (end <= sequence->computed || !enough_blocks(s, sequence, end) || !grow(s, sequence, end)) {
        drop_copies(&s->plan, sequence);
        release_blocks(s, sequence);
        return false;
    }
    s->slot_count--;
    list_remove(&tenant->first, &tenant->last, sequence);
    s->waiting--;
    sequence->state = SEQUENCE_RUNNING;
    list_insert(&s->first, &s->last, sequence);
    s->running++;
    count_admission(s, sequence);
    sequence->chunk = end - sequence->computed;
    uint32_t outputs = plan_outputs(sequence, sequence->computed, sequence->chunk);
    left->rows -= sequence->chunk;
    left->outputs -= outputs < left->outputs ? outputs : left->outputs;
    enter(s, sequence);
    return true;
}

static void admit_all(struct scheduler *s, struct allowance *left)
{
    while (left->rows > 0 && left->outputs > 0 && s->slot_count > 0 && s->waiting > 0) {
        struct sequence *sequence = next_to_admit(s);
        if (sequence == NULL || !admit(s, sequence, left))
            return;
    }
}

/* Decode rows, and what they leave for prompts. */
static struct allowance give_decodes(struct scheduler *s, uint32_t count)
{
    uint32_t rows = 0;
    uint64_t context = 0;
    for (uint32_t i = 0; i < count; i++)
        if (wants_rows(s->order[i]) && decodes(s->order[i]))
            grant(s, s->order[i], s->order[i]->computed + 1);
    for (struct sequence *at = s->first; at != NULL; at = at->next) {
        rows += at->chunk;
        context += at->chunk != 0 ? at->computed + 1 : 0;
    }
    s->plan.decode_rows = rows;
    bool now = rows == 0 || s->config.prefill_interval <= 1 || s->steps % s->config.prefill_interval == 0;
    uint32_t most = s->config.max_rows - rows;
    uint32_t prompt_rows = s->config.chunked ? cost_model_budget(&s->cost, rows, context, BLOCK_TOKENS, most) : most;
    return (struct allowance){.rows = now ? prompt_rows : 0, .outputs = s->config.max_outputs - rows};
}

const struct plan *scheduler_plan(struct scheduler *s)
{
    struct plan *plan = &s->plan;
    plan->entry_count = plan->copy_count = plan->rows = plan->outputs = plan->decode_rows = plan->prompt_rows = 0;
    plan->context = 0;
    s->steps++;
    uint32_t count = 0;
    for (struct sequence *at = s->first; at != NULL; at = at->next) {
        at->chunk = 0;
        s->order[count++] = at;
    }
    struct allowance left = give_decodes(s, count);
    if (left.rows > 0)
        give_prompts(s, count, &left);
    for (struct sequence *at = s->first; at != NULL; at = at->next)
        if (at->chunk != 0)
            enter(s, at);
    if (left.rows > 0)
        admit_all(s, &left);
    return plan;
}

/* Makes the blocks that became full findable, or puts their equals in their place. */
static void publish(struct scheduler *s, struct sequence *sequence)
{
    uint32_t *table = table_of(s, sequence);
    for (; (sequence->published + 1) * BLOCK_TOKENS <= sequence->computed; sequence->published++) {
        const uint32_t *tokens = sequence->tokens + (size_t)sequence->published * BLOCK_TOKENS;
        sequence->chain = block_pool_hash(s->pool, sequence->chain, tokens);
        uint32_t *block = &table[sequence->published];
        *block = block_pool_publish(s->pool, *block, sequence->chain, tokens, sequence->tenant);
    }
}

void scheduler_commit(struct scheduler *s)
{
    for (uint32_t i = 0; i < s->plan.entry_count; i++) {
        const struct plan_entry *entry = &s->plan.entries[i];
        assert(entry->sequence->state == SEQUENCE_RUNNING && entry->sequence->computed == entry->first);
        entry->sequence->computed += entry->count;
        entry->sequence->chunk = 0;
        if (block_pool_caching(s->pool))
            publish(s, entry->sequence);
    }
}

void scheduler_observe(struct scheduler *s, double seconds)
{
    cost_model_observe(&s->cost, s->plan.rows, s->plan.context, seconds);
}

const uint32_t *scheduler_table(const struct scheduler *s, const struct sequence *sequence)
{
    assert(sequence->state == SEQUENCE_RUNNING);
    return table_of(s, sequence);
}

uint32_t scheduler_table_stride(const struct scheduler *s)
{
    return s->stride;
}

struct scheduler_counts scheduler_counts(const struct scheduler *s)
{
    struct scheduler_counts counts = s->counts;
    counts.running = s->running;
    counts.waiting = s->waiting;
    for (uint32_t i = 0; i < TENANTS_MAX; i++)
        for (const struct sequence *at = s->tenants[i].first; at != NULL; at = at->next)
            counts.deferred += deferred(at);
    return counts;
}

bool scheduler_idle(const struct scheduler *s)
{
    return s->running == 0 && s->waiting == 0;
}

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
    if (at->next != NULL && !runs_before(at, at->next))
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
