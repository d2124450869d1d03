/* A stream of operations on a scheduler: after each, every invariant of scheduler and block pool holds, and what runs
 * is never written to a block that another reads. */
#include "config.h"

#include "runtimes/huggingface/engine/scheduler.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { LIVE = 24, LENGTH = 160 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct game {
    struct block_pool *pool;
    struct scheduler *scheduler;
    struct sequence live[LIVE]; /* state SEQUENCE_NEW: free */
    uint32_t tokens[LIVE][LENGTH];
};

static void must_hold(const struct game *game)
{
    const char *what = NULL;
    bool holds = scheduler_check(game->scheduler, &what);
    (void)what;
    assert(holds);
}

static void end(struct game *game, uint32_t i)
{
    scheduler_remove(game->scheduler, &game->live[i]);
    for (uint32_t k = 0; k < LIVE; k++)
        if (game->live[k].leader == &game->live[i])
            game->live[k].leader = NULL;
    memset(&game->live[i], 0, sizeof game->live[i]);
}

static void add(struct game *game, uint32_t i, uint8_t a, uint8_t b)
{
    struct sequence *sequence = &game->live[i];
    if (sequence->state != SEQUENCE_NEW)
        return;
    uint32_t prompt = 1 + a % 100, limit = prompt + b % 60;
    struct sequence *leader = &game->live[b % LIVE];
    bool follows = a % 3 == 0 && leader != sequence && leader->state != SEQUENCE_NEW && leader->leader == NULL;
    if (follows) {
        prompt = leader->prompt_count;
        limit = prompt + 1 + b % 50;
    }
    if (limit == prompt && prompt == 1)
        limit++;
    *sequence = (struct sequence){.tokens = game->tokens[i],
        .prompt_count = prompt,
        .limit = limit,
        .total = prompt,
        .tenant = a % 5,
        .priority = follows ? leader->priority : b % 2,
        .scores = limit == prompt || b % 7 == 0,
        .leader = follows ? leader : NULL};
    for (uint32_t k = 0; k < prompt; k++)
        game->tokens[i][k] = follows ? leader->tokens[k] : a % 4 * 1000 + k;
    scheduler_add(game->scheduler, sequence);
}

/* No row of a step goes to a block that a second sequence has in its table. */
static void check_writes(const struct game *game, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        const struct plan_entry *entry = &plan->entries[i];
        const uint32_t *table = scheduler_table(game->scheduler, entry->sequence);
        for (uint32_t at = entry->first; at < entry->first + entry->count; at++)
            assert(block_pool_writable(game->pool, table[at / BLOCK_TOKENS]));
    }
}

static void step(struct game *game)
{
    const struct plan *plan = scheduler_plan(game->scheduler);
    must_hold(game);
    check_writes(game, plan);
    scheduler_commit(game->scheduler);
    bool ends[LIVE] = {false};
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        struct sequence *sequence = plan->entries[i].sequence;
        uint32_t done = plan->entries[i].first + plan->entries[i].count;
        if (sequence->scores && done > sequence->scored)
            sequence->scored = done < sequence->prompt_count - 1 ? done : sequence->prompt_count - 1;
        if (done == sequence->total && sequence->total < sequence->limit)
            sequence->tokens[sequence->total++] = 5;
        bool answered = sequence->total == sequence->limit && sequence->limit > sequence->prompt_count;
        ends[sequence - game->live] = answered || sequence_goal(sequence) == sequence->computed;
    }
    for (uint32_t i = 0; i < LIVE; i++)
        if (ends[i])
            end(game, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct siphash_key key = {3, 4};
    if (size < 4)
        return 0;
    struct game *game = calloc(1, sizeof *game);
    assert(game != NULL);
    struct scheduler_config config = {.max_sequences = 1 + data[0] % 8,
        .max_rows = 16 + data[1] % 100,
        .max_length = LENGTH,
        .prefill_interval = 1 + data[2] % 3,
        .watermark = data[2] % 4 * 0.1,
        .reserve_prompt = data[3] % 2 == 0,
        .long_prefill = data[3] % 3 * 16,
        .chunked = true};
    config.max_outputs = config.max_sequences + BLOCK_TOKENS;
    bool made = block_pool_new(11 + data[1] % 20, data[0] % 5 != 0, &key, &game->pool, NULL) == PDK_OK &&
                scheduler_new(&config, game->pool, &game->scheduler, NULL) == PDK_OK;
    assert(made);
    for (size_t at = 4; at + 3 <= size && at < 3000; at += 3) {
        uint32_t i = data[at + 1] % LIVE;
        switch (data[at] % 8) {
        case 0:
        case 1: add(game, i, data[at + 1], data[at + 2]); break;
        case 2:
            if (game->live[i].state != SEQUENCE_NEW)
                end(game, i);
            break;
        case 3: game->live[i].held = game->live[i].state != SEQUENCE_NEW && !game->live[i].held; break;
        default: step(game); break;
        }
        must_hold(game);
    }
    for (uint32_t i = 0; i < LIVE; i++)
        game->live[i].held = false;
    for (int steps = 0; !scheduler_idle(game->scheduler); steps++) {
        assert(steps < 20000); /* everything ends */
        step(game);
    }
    assert(block_pool_left(game->pool) == block_pool_size(game->pool));
    scheduler_free(game->scheduler);
    block_pool_free(game->pool);
    free(game);
    return 0;
}
