/* The memory of a queue's threads. It only grows. */
#include "config.h"

#include "plugins/cpu/queue.h"

#include "core/base/error.h"

#include <stdlib.h>

/* Gives room for `need` numbers in place of `*numbers`, whose content is lost; false: out of memory, all as it was. */
static bool regrow(void *numbers_address, size_t need)
{
    enum { LINE = 64, NUMBER = 4 };
    size_t bytes;
    void **numbers = numbers_address;
    if (need > SIZE_MAX - LINE || __builtin_mul_overflow((need + LINE - 1) / LINE * LINE, NUMBER, &bytes))
        return false;
    void *grown = aligned_alloc(LINE, bytes);
    if (grown == NULL)
        return false;
    free(*numbers);
    *numbers = grown;
    return true;
}

static bool grow_threads(pdk_queue *queue, const struct room *need)
{
    for (unsigned i = 0; i < team_threads(queue->backend->team); i++) {
        struct scratch *scratch = &queue->scratch[i];
        if (need->unpacked > queue->room.unpacked && !regrow(&scratch->unpacked, need->unpacked))
            return false;
        if (need->sums > queue->room.sums && !regrow(&scratch->sums, need->sums))
            return false;
        if (need->inputs > queue->room.inputs && !regrow(&scratch->inputs, need->inputs))
            return false;
        if (need->vocabulary > queue->room.vocabulary &&
            (!regrow(&scratch->values, need->vocabulary) || !regrow(&scratch->ids, need->vocabulary)))
            return false;
    }
    return true;
}

static bool grow_turns(pdk_queue *queue, const struct room *need)
{
    for (int i = 0; need->turns > queue->room.turns && i < TURNS_MAX; i++)
        if (!regrow(&queue->turns[i].values, need->turns))
            return false;
    return true;
}

static bool grow_grouping(pdk_queue *queue, const struct room *need)
{
    if (need->entries > queue->room.entries && !regrow(&queue->entries, need->entries))
        return false;
    return need->experts <= queue->room.experts ||
           (regrow(&queue->expert_starts, need->experts) && regrow(&queue->active, need->experts));
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

pdk_status scratch_reserve(pdk_queue *queue, const struct room *need, pdk_error *err)
{
    struct room *room = &queue->room;
    bool grown = grow_threads(queue, need) && grow_turns(queue, need) && grow_grouping(queue, need) &&
                 (need->gathered <= room->gathered || regrow(&queue->gathered, need->gathered));
    if (!grown)
        return pdk_error_set(
            err, PDK_NO_MEMORY, "queue", "no memory for the work of a step of up to %u rows", queue->max_rows);
    *room = (struct room){
        .unpacked = larger(room->unpacked, need->unpacked),
        .sums = larger(room->sums, need->sums),
        .inputs = larger(room->inputs, need->inputs),
        .vocabulary = larger(room->vocabulary, need->vocabulary),
        .gathered = larger(room->gathered, need->gathered),
        .turns = larger(room->turns, need->turns),
        .entries = larger(room->entries, need->entries),
        .experts = larger(room->experts, need->experts),
    };
    return PDK_OK;
}

void scratch_free(pdk_queue *queue)
{
    for (unsigned i = 0; queue->scratch != NULL && i < team_threads(queue->backend->team); i++) {
        free(queue->scratch[i].unpacked);
        free(queue->scratch[i].sums);
        free(queue->scratch[i].inputs);
        free(queue->scratch[i].values);
        free(queue->scratch[i].ids);
    }
    free(queue->scratch);
    free(queue->gathered);
    free(queue->entries);
    free(queue->expert_starts);
    free(queue->active);
    for (int i = 0; i < TURNS_MAX; i++)
        free(queue->turns[i].values);
}
