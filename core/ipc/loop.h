/* core/ipc/loop.h: the [channel-thread], and what channel.c and answers.c share of it. Not for other folders.
 *
 * Locks, in the order in which they may be held together: channel.lock or loop.lock, then answers.lock. */
#pragma once

#include "core/base/thread.h"
#include "core/ipc/channel.h"
#include "core/ipc/frame.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Something for a client that waits: a part, or the end of a request. */
struct answer_node {
    struct answer_node *next;
    uint32_t index; /* of the request in its answers */
    bool end;       /* then it lies in a struct flight */
};

/* A request that a worker has, until it says finish. It is also the node that carries the end, so that ending one needs
 * no memory. Guarded by its channel's lock; once pushed it is its answers'. */
struct flight {
    struct answer_node node;
    struct flight *next; /* in its bucket */
    uint64_t id;
    struct answers *answers; /* NULL: nobody waits any more */
    uint64_t received;       /* bytes of parts */
    uint64_t returned;       /* of them given back as credit */
    bool lost;               /* memory ran out for a part: the answer is void */
    pdk_error error;         /* status PDK_OK: it ended well */
};

/* loop.c */
enum { LOOP_NO_WATCH = 0xFFFFFFFFu };
uint64_t channel_loop_next_id(struct channel_loop *loop);
/* Adds a channel's socket, or changes what it waits for. */
pdk_status channel_loop_add(struct channel_loop *loop, struct channel *channel, int fd, pdk_error *err);
void channel_loop_wait_write(struct channel_loop *loop, struct channel *channel, int fd, bool wait);
void channel_loop_remove(struct channel_loop *loop, int fd);
/* Calls answers_cancel when the peer of `fd` leaves. LOOP_NO_WATCH when it cannot be watched. */
uint32_t channel_loop_watch(struct channel_loop *loop, int fd, struct answers *answers);
void channel_loop_unwatch(struct channel_loop *loop, uint32_t watch);

/* channel.c */
void channel_wake(struct channel *channel, uint32_t events); /* [channel-thread] */
/* Takes the frames in `encoded`, a request with the id that stands there. */
pdk_status channel_submit(struct channel *channel, uint64_t id, struct answers *answers, uint32_t index,
    struct frame_writer *encoded, uint32_t queue_limit, pdk_error *err);
/* Nobody waits for `id` any more: no node is pushed after this. Cancels it if it is still in flight. */
void channel_abandon(struct channel *channel, uint64_t id);
/* `bytes` of the parts of `id` were read. */
void channel_return_credit(struct channel *channel, uint64_t id, uint64_t bytes);

/* answers.c */
/* Makes the node of a part from its frame, whose mapping it takes. */
pdk_status answers_part_new(struct frame *frame, struct answer_node **ret_node, pdk_error *err);
void answers_node_free(struct answer_node *node);
void answers_push(struct answers *answers, struct answer_node *node_take);
