/* runtimes/huggingface/engine/block_pool.h: the blocks of the key-value cache, by number: who holds them, which are
 * free, and which full ones can be found again by what they hold. Nothing is allocated after block_pool_new.
 *
 * Invariants, which block_pool_check tests:
 * - a block is on the free list exactly when nobody holds it (its count is 0);
 * - a block has a hash exactly when the map finds it under that hash; no two blocks have the same;
 * - the free list runs from the block to be reused first to the one to be reused last: empty ones, then cached ones by
 * age. */
#pragma once

#include "core/base/siphash.h"

#include <paddock/draft/ops.h>
#include <stdbool.h>

enum { BLOCK_TOKENS = PDK_KV_BLOCK_TOKENS };
#define BLOCK_NONE UINT32_MAX

struct block_pool;

/* `caching`: full blocks are findable. `key` is secret and fresh for each process, so that nobody can make two prompts
 * meet in one hash. */
pdk_status block_pool_new(
    uint32_t blocks, bool caching, const struct siphash_key *key, struct block_pool **ret_pool, pdk_error *err);
struct block_pool *block_pool_free(struct block_pool *pool); /* takes NULL, returns NULL */

uint32_t block_pool_size(const struct block_pool *pool);
/* Blocks that nobody holds, cached ones included. */
uint32_t block_pool_left(const struct block_pool *pool);
bool block_pool_caching(const struct block_pool *pool);

/* Takes a free block for one holder; its old content can no longer be found. The one behind `after` (BLOCK_NONE: none)
 * if that is free and caches nothing, so that a sequence lies in runs; else the first of the list. `owner` is the
 * tenant on whose behalf: one that caches more than its share reuses its own blocks before those of others. False: none
 * is left. */
bool block_pool_take(struct block_pool *pool, uint32_t after, uint64_t owner, uint32_t *ret_block);
void block_pool_ref(struct block_pool *pool, uint32_t block); /* one holder more of a block that is held */
/* One holder less. Release a table's last block first, so that a prefix outlives its continuations. */
void block_pool_unref(struct block_pool *pool, uint32_t block);
/* Whether its only holder may write into it: nobody else reads it, and nobody can find it. */
bool block_pool_writable(const struct block_pool *pool, uint32_t block);

/* The hash of a block that holds `tokens` behind the blocks whose hash is `before`; a chain starts with the salt. */
struct siphash128 block_pool_hash(const struct block_pool *pool, struct siphash128 before, const uint32_t *tokens);
/* The salt of requests that may share blocks: same tenant, adapter and cache_salt. */
struct siphash128 block_pool_salt(const struct block_pool *pool, uint64_t tenant, const char *adapter,
    size_t adapter_length, const char *cache_salt, size_t cache_salt_length);
/* Finds the block of that hash whose tokens are equal, and holds it. */
bool block_pool_find(struct block_pool *pool, struct siphash128 hash, const uint32_t *tokens, uint32_t *ret_block);
/* Makes a full, held block findable, and gives it back. Where another block holds the same already, gives that one,
 * held in its place: equal sequences so share what they computed apart, and the memory that is ever touched stays
 * small. */
uint32_t block_pool_publish(
    struct block_pool *pool, uint32_t block, struct siphash128 hash, const uint32_t *tokens, uint64_t owner);
/* Forgets everything that is cached. */
void block_pool_forget(struct block_pool *pool);

/* Whether all invariants hold and the counts of holders add up to `held`; if not, *ret_what says which does not. Slow.
 */
bool block_pool_check(const struct block_pool *pool, uint64_t held, const char **ret_what);
