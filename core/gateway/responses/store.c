/* See store.h. A list, the newest first: it is short, and looked through once a request. */
#include "config.h"

#include "core/gateway/responses/store.h"

#include "core/base/thread.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MAX = 1024, BYTES_MAX = 64 << 20 };

struct entry {
    struct entry *older;
    uint64_t tenant;
    char *id;
    struct buffer response, conversation;
};

struct response_store {
    struct mutex lock; /* all below */
    struct entry *newest;
    size_t count, bytes;
};

struct response_store *response_store_new(void)
{
    struct response_store *store = calloc(1, sizeof *store);
    if (store != NULL)
        mutex_init(&store->lock);
    return store;
}

static void entry_free(struct entry *entry)
{
    buffer_done(&entry->response);
    buffer_done(&entry->conversation);
    free(entry->id);
    free(entry);
}

struct response_store *response_store_free(struct response_store *store)
{
    while (store != NULL && store->newest != NULL) {
        struct entry *older = store->newest->older;
        entry_free(store->newest);
        store->newest = older;
    }
    if (store != NULL)
        mutex_done(&store->lock);
    free(store);
    return NULL;
}

static size_t entry_bytes(const struct entry *entry)
{
    return sizeof *entry + strlen(entry->id) + entry->response.length + entry->conversation.length;
}

/* Drops the oldest entries until the limits hold; the newest fits by itself. */
static void trim(struct response_store *store)
{
    size_t count = 0, bytes = 0;
    struct entry **link = &store->newest;
    for (; *link != NULL; link = &(*link)->older) {
        bytes += entry_bytes(*link);
        if (++count > ENTRIES_MAX || bytes > BYTES_MAX)
            break;
        store->count = count;
        store->bytes = bytes;
    }
    struct entry *old = *link;
    *link = NULL;
    while (old != NULL) {
        struct entry *older = old->older;
        entry_free(old);
        old = older;
    }
}

void response_store_put(struct response_store *store, uint64_t tenant, const char *id, const struct buffer *response,
    const struct buffer *conversation)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return;
    entry->tenant = tenant;
    entry->id = strdup(id);
    buffer_put(&entry->response, response->data, response->length);
    buffer_put(&entry->conversation, conversation->data, conversation->length);
    if (entry->id == NULL || entry->response.failed || entry->conversation.failed || entry_bytes(entry) > BYTES_MAX) {
        entry_free(entry);
        return;
    }
    mutex_lock(&store->lock);
    entry->older = store->newest;
    store->newest = entry;
    trim(store);
    mutex_unlock(&store->lock);
}

bool response_store_find(
    struct response_store *store, uint64_t tenant, const char *id, struct buffer *response, struct buffer *conversation)
{
    mutex_lock(&store->lock);
    const struct entry *entry = store->newest;
    while (entry != NULL && (entry->tenant != tenant || strcmp(entry->id, id) != 0))
        entry = entry->older;
    if (entry != NULL && response != NULL)
        buffer_put(response, entry->response.data, entry->response.length);
    if (entry != NULL && conversation != NULL)
        buffer_put(conversation, entry->conversation.data, entry->conversation.length);
    mutex_unlock(&store->lock);
    return entry != NULL;
}
