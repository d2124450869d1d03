/* core/gateway/responses/store.h: answers that may be asked for again, or gone on from, while the daemon runs: the
 * newest ones, within a number and a size. Each is its tenant's alone. Has a lock of its own; [any-thread]. */
#pragma once

#include "core/base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

struct response_store;

struct response_store *response_store_new(void);                          /* NULL: out of memory */
struct response_store *response_store_free(struct response_store *store); /* takes NULL, returns NULL */
/* Keeps an answer and its conversation, both JSON, in place of the oldest ones; what is too large, or finds no memory,
 * is not kept. */
void response_store_put(struct response_store *store, uint64_t tenant, const char *id, const struct buffer *response,
    const struct buffer *conversation);
/* Appends what is kept under `id`; either may be NULL. False: nothing of that tenant's is. */
bool response_store_find(struct response_store *store, uint64_t tenant, const char *id, struct buffer *response,
    struct buffer *conversation);
