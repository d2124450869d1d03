/* A queue under a lock, filled by the channel thread and emptied by the one thread that waits. */
#include "config.h"

#include "core/ipc/channel.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/ipc/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* One request of the answers, used by their thread only. */
struct entry {
    struct channel *channel; /* a reference */
    uint64_t id;
    uint64_t unreturned; /* bytes read that the worker has no credit for yet */
    bool ended;
};

struct part_node {
    struct answer_node node;
    pdk_part part;
    void *memory;        /* what decoding built */
    struct frame mapped; /* a body that came as a memfd */
    uint64_t bytes;
    _Alignas(8) uint8_t body[];
};

struct answers {
    struct channel_loop *loop;
    uint32_t watch;
    struct entry *entries;
    size_t entry_count, entry_room, open_count;
    struct answer_node *current; /* what the last answers_next lent out */

    struct mutex lock; /* all below */
    struct condition changed;
    struct answer_node *first, **last;
    bool cancelled, waiting;
};

pdk_status answers_part_new(struct frame *frame, struct answer_node **ret_node, pdk_error *err)
{
    size_t copied = frame->mapping != NULL ? 0 : frame->length;
    struct part_node *part = malloc(sizeof *part + copied);
    if (part == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a part of %zu bytes", frame->length);
    part->node = (struct answer_node){0};
    part->memory = NULL;
    part->mapped = (struct frame){0};
    part->bytes = frame->length;
    const void *body = frame->body;
    if (frame->mapping == NULL)
        body = memcpy(part->body, frame->body, copied);
    pdk_status status = wire_part_decode(body, frame->length, &part->part, &part->memory, err);
    if (status != PDK_OK) {
        free(part);
        return status;
    }
    part->mapped = *frame;
    frame->mapping = NULL;
    *ret_node = &part->node;
    return PDK_OK;
}

void answers_node_free(struct answer_node *node)
{
    if (node != NULL && !node->end) {
        struct part_node *part = (struct part_node *)node;
        frame_done(&part->mapped);
        free(part->memory);
    }
    free(node); /* the first member of what was allocated */
}

void answers_push(struct answers *answers, struct answer_node *node_take)
{
    node_take->next = NULL;
    mutex_lock(&answers->lock);
    *answers->last = node_take;
    answers->last = &node_take->next;
    if (answers->waiting)
        condition_signal(&answers->changed);
    mutex_unlock(&answers->lock);
}

pdk_status answers_new(struct channel_loop *loop, int client_fd, struct answers **ret_answers, pdk_error *err)
{
    struct answers *answers = calloc(1, sizeof *answers);
    if (answers == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for an answer");
    answers->loop = loop;
    answers->last = &answers->first;
    mutex_init(&answers->lock);
    condition_init(&answers->changed);
    answers->watch = client_fd >= 0 ? channel_loop_watch(loop, client_fd, answers) : LOOP_NO_WATCH;
    *ret_answers = answers;
    return PDK_OK;
}

struct answers *answers_free(struct answers *answers)
{
    if (answers == NULL)
        return NULL;
    channel_loop_unwatch(answers->loop, answers->watch);
    for (size_t i = 0; i < answers->entry_count; i++) {
        struct entry *entry = &answers->entries[i];
        if (!entry->ended)
            channel_abandon(entry->channel, entry->id);
        channel_unref(entry->channel);
    }
    answers_node_free(answers->current);
    while (answers->first != NULL) {
        struct answer_node *node = answers->first;
        answers->first = node->next;
        answers_node_free(node);
    }
    free(answers->entries);
    condition_done(&answers->changed);
    mutex_done(&answers->lock);
    free(answers);
    return NULL;
}

pdk_status answers_add(
    struct answers *answers, struct channel *channel, const pdk_request *request, uint32_t queue_limit, pdk_error *err)
{
    if (!array_grow(&answers->entries, &answers->entry_room, answers->entry_count + 1))
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a request");
    PDK_CLEANUP(frame_writer_done) struct frame_writer encoded = {0};
    uint64_t id = channel_loop_next_id(answers->loop);
    size_t start = frame_begin(&encoded, WIRE_REQUEST, id);
    pdk_status status = wire_request_encode(&encoded.bytes, request, err);
    if (status == PDK_OK)
        status = frame_end(&encoded, start, err);
    if (status == PDK_OK)
        status = channel_submit(channel, id, answers, (uint32_t)answers->entry_count, &encoded, queue_limit, err);
    if (status != PDK_OK)
        return status;
    answers->entries[answers->entry_count++] = (struct entry){.channel = channel_ref(channel), .id = id};
    answers->open_count++;
    return PDK_OK;
}

void answers_cancel(struct answers *answers)
{
    mutex_lock(&answers->lock);
    answers->cancelled = true;
    condition_signal(&answers->changed);
    mutex_unlock(&answers->lock);
}

/* Waits for a node. NULL: cancelled, or the deadline passed. */
static struct answer_node *take_node(struct answers *answers, int64_t deadline_ms, bool *ret_cancelled)
{
    struct answer_node *node = NULL;
    mutex_lock(&answers->lock);
    answers->waiting = true;
    while (!answers->cancelled && answers->first == NULL && answers->open_count != 0)
        if (!condition_wait_until(&answers->changed, &answers->lock, deadline_ms))
            break;
    answers->waiting = false;
    *ret_cancelled = answers->cancelled;
    if (!answers->cancelled && answers->first != NULL) {
        node = answers->first;
        answers->first = node->next;
        if (answers->first == NULL)
            answers->last = &answers->first;
    }
    mutex_unlock(&answers->lock);
    return node;
}

/* The part before was read: gives its bytes back in steps, as most answers never need it. */
static void release_current(struct answers *answers)
{
    struct answer_node *node = answers->current;
    answers->current = NULL;
    if (node != NULL && !node->end) {
        struct entry *entry = &answers->entries[node->index];
        entry->unreturned += ((struct part_node *)node)->bytes;
        if (entry->unreturned >= WIRE_CREDIT_STEP && !entry->ended) {
            channel_return_credit(entry->channel, entry->id, entry->unreturned);
            entry->unreturned = 0;
        }
    }
    answers_node_free(node);
}

pdk_status answers_next(
    struct answers *answers, int64_t deadline_ms, uint32_t *ret_index, const pdk_part **ret_part, pdk_error *err)
{
    bool cancelled;
    release_current(answers);
    struct answer_node *node = take_node(answers, deadline_ms, &cancelled);
    *ret_part = NULL;
    if (node == NULL) {
        *ret_index = UINT32_MAX;
        return cancelled ? pdk_error_set(err, PDK_CANCELLED, NULL, "the client left")
                         : pdk_error_set(err, PDK_TIMEOUT, NULL, "no answer until the deadline");
    }
    *ret_index = node->index;
    answers->current = node;
    if (!node->end) {
        *ret_part = &((struct part_node *)node)->part;
        return PDK_OK;
    }
    struct flight *flight = (struct flight *)node;
    answers->entries[node->index].ended = true;
    answers->open_count--;
    if (flight->error.status != PDK_OK && err != NULL)
        *err = flight->error;
    return flight->error.status;
}
