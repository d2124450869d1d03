/* Arrays indexed by block number. The free list is doubly linked by index, so that any block leaves it in constant
 * time; the map is open addressing with backward-shift deletion, at most half full. */
#include "config.h"

#include "runtimes/huggingface/engine/block_pool.h"

#include "core/base/error.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { OWNERS_MAX = 64, OWN_SCAN = 32 };

/* How many blocks a tenant's cached prefixes keep. Tenants whose slots collide share one: the quota is then theirs
 * together. */
struct owner {
    uint64_t id;
    uint32_t cached;
};

struct block_pool {
    uint32_t size, left;
    uint32_t map_mask;
    bool caching;
    struct siphash_key key;
    uint32_t *holders;         /* [size] */
    uint32_t *previous, *next; /* [size + 1]; entry `size` is the list's head: next = reuse first */
    bool *hashed;              /* [size] */
    struct siphash128 *hashes; /* [size] */
    uint32_t (*tokens)[BLOCK_TOKENS];
    uint8_t *owner_of; /* [size] index into owners, of hashed blocks */
    uint32_t *map;     /* [map_mask + 1] block or BLOCK_NONE */
    uint32_t cached, owners_active;
    struct owner owners[OWNERS_MAX];
};

static bool hash_equal(struct siphash128 a, struct siphash128 b)
{
    return a.low == b.low && a.high == b.high;
}

pdk_status block_pool_new(
    uint32_t blocks, bool caching, const struct siphash_key *key, struct block_pool **ret_pool, pdk_error *err)
{
    if (blocks == 0 || blocks > UINT32_MAX / BLOCK_TOKENS - 1)
        return pdk_error_set(err, PDK_INVALID, "num_gpu_blocks", "%" PRIu32 " blocks; must be 1 to %" PRIu32, blocks,
            UINT32_MAX / BLOCK_TOKENS - 1);
    size_t map_size = 16;
    while (map_size < 2 * (size_t)blocks)
        map_size *= 2;
    struct block_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the block pool");
    *pool = (struct block_pool){.size = blocks, .map_mask = (uint32_t)(map_size - 1), .caching = caching, .key = *key};
    pool->holders = calloc(blocks, sizeof *pool->holders);
    pool->previous = calloc((size_t)blocks + 1, sizeof *pool->previous);
    pool->next = calloc((size_t)blocks + 1, sizeof *pool->next);
    pool->hashed = calloc(blocks, sizeof *pool->hashed);
    pool->hashes = calloc(blocks, sizeof *pool->hashes);
    pool->tokens = calloc(blocks, sizeof *pool->tokens);
    pool->owner_of = calloc(blocks, sizeof *pool->owner_of);
    pool->map = calloc(map_size, sizeof *pool->map);
    if (pool->holders == NULL || pool->previous == NULL || pool->next == NULL || pool->hashed == NULL ||
        pool->hashes == NULL || pool->tokens == NULL || pool->owner_of == NULL || pool->map == NULL) {
        block_pool_free(pool);
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a pool of %" PRIu32 " blocks", blocks);
    }
    memset(pool->map, 0xFF, map_size * sizeof *pool->map);
    for (uint32_t i = 0; i <= blocks; i++) {
        pool->next[i] = i == blocks ? 0 : i + 1;
        pool->previous[i] = i == 0 ? blocks : i - 1;
    }
    pool->left = blocks;
    *ret_pool = pool;
    return PDK_OK;
}

struct block_pool *block_pool_free(struct block_pool *pool)
{
    if (pool == NULL)
        return NULL;
    free(pool->holders);
    free(pool->previous);
    free(pool->next);
    free(pool->hashed);
    free(pool->hashes);
    free(pool->tokens);
    free(pool->owner_of);
    free(pool->map);
    free(pool);
    return NULL;
}

uint32_t block_pool_size(const struct block_pool *pool)
{
    return pool->size;
}

uint32_t block_pool_left(const struct block_pool *pool)
{
    return pool->left;
}

bool block_pool_caching(const struct block_pool *pool)
{
    return pool->caching;
}

bool block_pool_writable(const struct block_pool *pool, uint32_t block)
{
    return pool->holders[block] == 1 && !pool->hashed[block];
}

static void list_remove(struct block_pool *pool, uint32_t block)
{
    pool->next[pool->previous[block]] = pool->next[block];
    pool->previous[pool->next[block]] = pool->previous[block];
    pool->left--;
}

static void list_insert_behind(struct block_pool *pool, uint32_t block, uint32_t place)
{
    uint32_t behind = pool->next[place];
    pool->previous[block] = place;
    pool->next[block] = behind;
    pool->next[place] = block;
    pool->previous[behind] = block;
    pool->left++;
}

static uint32_t map_find(const struct block_pool *pool, struct siphash128 hash)
{
    uint32_t at = (uint32_t)hash.low & pool->map_mask;
    while (pool->map[at] != BLOCK_NONE && !hash_equal(pool->hashes[pool->map[at]], hash))
        at = (at + 1) & pool->map_mask;
    return at;
}

static void map_remove(struct block_pool *pool, uint32_t block)
{
    uint32_t hole = map_find(pool, pool->hashes[block]);
    assert(pool->map[hole] == block);
    for (uint32_t at = (hole + 1) & pool->map_mask; pool->map[at] != BLOCK_NONE; at = (at + 1) & pool->map_mask) {
        uint32_t home = (uint32_t)pool->hashes[pool->map[at]].low & pool->map_mask;
        /* It may move into the hole unless its home lies cyclically behind the hole. */
        if (((at - home) & pool->map_mask) >= ((at - hole) & pool->map_mask)) {
            pool->map[hole] = pool->map[at];
            hole = at;
        }
    }
    pool->map[hole] = BLOCK_NONE;
}

/* The slot of a tenant: its own, a free one, or the one that its number falls on. */
static uint8_t owner_slot(struct block_pool *pool, uint64_t id)
{
    uint32_t home = (uint32_t)((id ^ id >> 32) % OWNERS_MAX), free_slot = OWNERS_MAX;
    for (uint32_t i = 0; i < OWNERS_MAX; i++) {
        uint32_t at = (home + i) % OWNERS_MAX;
        if (pool->owners[at].cached != 0 && pool->owners[at].id == id)
            return (uint8_t)at;
        if (pool->owners[at].cached == 0 && free_slot == OWNERS_MAX)
            free_slot = at;
    }
    if (free_slot == OWNERS_MAX)
        return (uint8_t)home;
    pool->owners[free_slot].id = id;
    return (uint8_t)free_slot;
}

static void forget_block(struct block_pool *pool, uint32_t block)
{
    if (!pool->hashed[block])
        return;
    map_remove(pool, block);
    pool->hashed[block] = false;
    struct owner *owner = &pool->owners[pool->owner_of[block]];
    assert(owner->cached > 0);
    if (--owner->cached == 0)
        pool->owners_active--;
    pool->cached--;
}

/* The block to reuse: the list's first, unless that is another tenant's cached one while `owner` caches more than its
 * share; then the oldest of its own among the next few. */
static uint32_t pick(struct block_pool *pool, uint64_t owner)
{
    uint32_t first = pool->next[pool->size];
    if (!pool->hashed[first] || pool->owners_active < 2)
        return first;
    uint8_t slot = owner_slot(pool, owner);
    if (pool->owners[slot].cached <= pool->cached / pool->owners_active || pool->owner_of[first] == slot)
        return first;
    uint32_t at = first;
    for (int i = 0; i < OWN_SCAN && at != pool->size; i++, at = pool->next[at])
        if (pool->hashed[at] && pool->owner_of[at] == slot)
            return at;
    return first;
}

bool block_pool_take(struct block_pool *pool, uint32_t after, uint64_t owner, uint32_t *ret_block)
{
    if (pool->left == 0)
        return false;
    uint32_t block;
    if (after != BLOCK_NONE && after + 1 < pool->size && pool->holders[after + 1] == 0 && !pool->hashed[after + 1])
        block = after + 1;
    else
        block = pick(pool, owner);
    list_remove(pool, block);
    forget_block(pool, block);
    pool->holders[block] = 1;
    *ret_block = block;
    return true;
}

void block_pool_ref(struct block_pool *pool, uint32_t block)
{
    assert(pool->holders[block] > 0 && pool->holders[block] < UINT32_MAX);
    pool->holders[block]++;
}

void block_pool_unref(struct block_pool *pool, uint32_t block)
{
    assert(pool->holders[block] > 0);
    if (--pool->holders[block] == 0)
        list_insert_behind(pool, block, pool->hashed[block] ? pool->previous[pool->size] : pool->size);
}

struct siphash128 block_pool_hash(const struct block_pool *pool, struct siphash128 before, const uint32_t *tokens)
{
    struct {
        struct siphash128 before;
        uint32_t tokens[BLOCK_TOKENS];
    } input = {.before = before};
    memcpy(input.tokens, tokens, sizeof input.tokens);
    return siphash128(&pool->key, &input, sizeof input);
}

struct siphash128 block_pool_salt(const struct block_pool *pool, uint64_t tenant, const char *adapter,
    size_t adapter_length, const char *cache_salt, size_t cache_salt_length)
{
    /* Each text is hashed by itself first, so that no two pairs of texts give the same bytes. */
    uint64_t input[5] = {tenant};
    struct siphash128 part = siphash128(&pool->key, adapter != NULL ? adapter : "", adapter_length);
    input[1] = part.low;
    input[2] = part.high;
    part = siphash128(&pool->key, cache_salt != NULL ? cache_salt : "", cache_salt_length);
    input[3] = part.low;
    input[4] = part.high;
    return siphash128(&pool->key, input, sizeof input);
}

bool block_pool_find(struct block_pool *pool, struct siphash128 hash, const uint32_t *tokens, uint32_t *ret_block)
{
    if (!pool->caching)
        return false;
    uint32_t block = pool->map[map_find(pool, hash)];
    if (block == BLOCK_NONE || memcmp(pool->tokens[block], tokens, sizeof pool->tokens[block]) != 0)
        return false;
    if (pool->holders[block]++ == 0)
        list_remove(pool, block);
    *ret_block = block;
    return true;
}

uint32_t block_pool_publish(
    struct block_pool *pool, uint32_t block, struct siphash128 hash, const uint32_t *tokens, uint64_t owner)
{
    assert(pool->holders[block] > 0);
    if (!pool->caching || pool->hashed[block])
        return block;
    uint32_t at = map_find(pool, hash), other;
    if (pool->map[at] != BLOCK_NONE) {
        if (!block_pool_find(pool, hash, tokens, &other))
            return block;
        block_pool_unref(pool, block);
        return other;
    }
    uint8_t slot = owner_slot(pool, owner);
    pool->map[at] = block;
    pool->hashes[block] = hash;
    pool->hashed[block] = true;
    memcpy(pool->tokens[block], tokens, sizeof pool->tokens[block]);
    pool->owner_of[block] = slot;
    if (pool->owners[slot].cached++ == 0)
        pool->owners_active++;
    pool->cached++;
    return block;
}

void block_pool_forget(struct block_pool *pool)
{
    for (uint32_t block = 0; block < pool->size; block++)
        forget_block(pool, block);
}

static bool check_list(const struct block_pool *pool, const char **ret_what)
{
    uint32_t count = 0;
    for (uint32_t at = pool->next[pool->size]; at != pool->size; at = pool->next[at], count++) {
        if (count > pool->size) {
            *ret_what = "the free list runs in a circle";
            return false;
        }
        if (pool->holders[at] != 0) {
            *ret_what = "a held block is on the free list";
            return false;
        }
        if (pool->previous[pool->next[at]] != at) {
            *ret_what = "the free list's links disagree";
            return false;
        }
    }
    *ret_what = "the free list and its count disagree";
    return count == pool->left;
}

static bool check_blocks(const struct block_pool *pool, uint64_t held, const char **ret_what)
{
    uint64_t sum = 0;
    uint32_t hashed = 0, free_blocks = 0;
    for (uint32_t block = 0; block < pool->size; block++) {
        sum += pool->holders[block];
        free_blocks += pool->holders[block] == 0;
        hashed += pool->hashed[block];
        if (pool->hashed[block] && pool->map[map_find(pool, pool->hashes[block])] != block) {
            *ret_what = "a hashed block is not what the map finds";
            return false;
        }
    }
    uint32_t mapped = 0;
    for (size_t at = 0; at <= pool->map_mask; at++)
        mapped += pool->map[at] != BLOCK_NONE;
    *ret_what = "free blocks and the free list disagree";
    if (free_blocks != pool->left)
        return false;
    *ret_what = "hashed blocks and the map disagree";
    if (mapped != hashed || hashed != pool->cached)
        return false;
    *ret_what = "holders and tables disagree";
    return sum == held;
}

bool block_pool_check(const struct block_pool *pool, uint64_t held, const char **ret_what)
{
    return check_list(pool, ret_what) && check_blocks(pool, held, ret_what);
}
