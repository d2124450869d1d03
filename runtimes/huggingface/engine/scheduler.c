/* Lists: the running one is sorted by (priority, arrival); each tenant has a waiting one sorted the same way, so that a
 * preempted sequence comes back to its old place. A step first settles whose blocks there are (which may preempt), and
 * only then writes the plan, so that nothing planned is taken back. */
#include "config.h"

#include "runtimes/huggingface/engine/scheduler_state.h"

#include "core/base/error.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { DEBT_MAX = 4 * QUANTUM, PREEMPTIONS_FAIR = 2 };

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

bool sequence_runs_before(const struct sequence *a, const struct sequence *b)
{
    return a->priority != b->priority ? a->priority < b->priority : a->arrival < b->arrival;
}

/* Puts it at its place, which is nearly always the end. */
void sequence_list_insert(struct sequence **first, struct sequence **last, struct sequence *sequence)
{
    struct sequence *before = *last;
    while (before != NULL && sequence_runs_before(sequence, before))
        before = before->previous;
    sequence->previous = before;
    sequence->next = before != NULL ? before->next : *first;
    *(sequence->next != NULL ? &sequence->next->previous : last) = sequence;
    *(before != NULL ? &before->next : first) = sequence;
}

void sequence_list_remove(struct sequence **first, struct sequence **last, struct sequence *sequence)
{
    *(sequence->next != NULL ? &sequence->next->previous : last) = sequence->previous;
    *(sequence->previous != NULL ? &sequence->previous->next : first) = sequence->next;
    sequence->previous = sequence->next = NULL;
}

static void wait(struct scheduler *s, struct sequence *sequence)
{
    struct tenant *tenant = &s->tenants[sequence->tenant_slot];
    sequence->state = SEQUENCE_WAITING;
    sequence_list_insert(&tenant->first, &tenant->last, sequence);
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
    assert(sequence->limit <= s->config.max_length && scheduler_fits(s->pool, sequence_most(sequence), NULL) == PDK_OK);
    sequence->arrival = s->arrivals++;
    sequence->chain = sequence->salt;
    sequence->tenant_slot = tenant_slot(s, sequence->tenant);
    s->tenants[sequence->tenant_slot].sequences++;
    wait(s, sequence);
}

uint32_t *scheduler_slot_table(const struct scheduler *s, const struct sequence *sequence)
{
    return s->tables + (size_t)sequence->slot * s->stride;
}

/* Tail first, so that a prefix is found longer than its continuations. */
void scheduler_release(struct scheduler *s, struct sequence *sequence)
{
    uint32_t *table = scheduler_slot_table(s, sequence);
    while (sequence->blocks > 0)
        block_pool_unref(s->pool, table[--sequence->blocks]);
    sequence->computed = 0;
    sequence->published = 0;
    sequence->chain = sequence->salt;
    sequence->chunk = 0;
}

void scheduler_drop_copies(struct plan *plan, const struct sequence *sequence)
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
    scheduler_release(s, sequence);
    sequence_list_remove(&s->first, &s->last, sequence);
    s->slots[s->slot_count++] = sequence->slot;
    s->running--;
}

void scheduler_remove(struct scheduler *s, struct sequence *sequence)
{
    struct tenant *tenant = &s->tenants[sequence->tenant_slot];
    if (sequence->state == SEQUENCE_RUNNING) {
        stop_running(s, sequence);
    } else if (sequence->state == SEQUENCE_WAITING) {
        sequence_list_remove(&tenant->first, &tenant->last, sequence);
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
    scheduler_drop_copies(&s->plan, sequence);
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
    return sequence_runs_before(b, a);
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
    const uint32_t *table = scheduler_slot_table(s, sequence);
    uint32_t after = sequence->blocks > 0 ? table[sequence->blocks - 1] : BLOCK_NONE;
    return block_pool_take(s->pool, after, sequence->tenant, ret_block);
}

/* The block that its next token goes to is its own to write: a shared one is copied first. */
static bool own_partial(struct scheduler *s, struct sequence *sequence)
{
    uint32_t place = sequence->computed / BLOCK_TOKENS, *table = scheduler_slot_table(s, sequence), block;
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
bool scheduler_grow(struct scheduler *s, struct sequence *sequence, uint32_t end)
{
    if (!own_partial(s, sequence))
        return false;
    uint32_t *table = scheduler_slot_table(s, sequence);
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
    while (!scheduler_grow(s, sequence, end)) {
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
uint32_t scheduler_chunk_end(const struct scheduler *s, const struct sequence *sequence, uint32_t rows)
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

void scheduler_enter(struct scheduler *s, struct sequence *sequence)
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

/* Cuts what a chunk may have by the logits that it wants. */
uint32_t scheduler_rows_allowed(const struct sequence *sequence, const struct allowance *left)
{
    return sequence->scores && left->outputs < left->rows ? left->outputs : left->rows;
}

static void give_prompt(struct scheduler *s, struct sequence *sequence, uint32_t rows, struct allowance *left)
{
    uint32_t end = scheduler_chunk_end(s, sequence, rows);
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
        uint32_t rows = scheduler_rows_allowed(sequence, left), others = (prompts - 1 - i) * BLOCK_TOKENS;
        uint32_t least = rows < BLOCK_TOKENS ? rows : BLOCK_TOKENS;
        if (s->config.chunked)
            rows = rows > others + least ? rows - others : least;
        give_prompt(s, sequence, rows, left);
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
            scheduler_enter(s, at);
    if (left.rows > 0)
        scheduler_admit(s, &left);
    return plan;
}

/* Makes the blocks that became full findable, or puts their equals in their place. */
static void publish(struct scheduler *s, struct sequence *sequence)
{
    uint32_t *table = scheduler_slot_table(s, sequence);
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
    return scheduler_slot_table(s, sequence);
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
            counts.deferred += scheduler_deferred(at);
    return counts;
}

bool scheduler_idle(const struct scheduler *s)
{
    return s->running == 0 && s->waiting == 0;
}
