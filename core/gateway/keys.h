/* core/gateway/keys.h: the API keys of a folder, one file each.
 *
 *   sha256:HEX  or the key itself     who shows this key …
 *   tenant=NAME                       … is this tenant (default: the file's name),
 *   services=A,NAMESPACE/B            … and may use these services alone (default: all).
 *
 * Only digests are kept. Immutable once loaded; counted references, so that a reload swaps all of it at once. */
#pragma once

#include <paddock/abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEYS_MAX = 4096, KEY_BYTES_MAX = 512 };

struct keys;
struct key;

/* Reads every file of `folder` (NULL or not there: no keys). A file wider than 0640, or one that says nothing sensible,
 * fails all of it; the error names the file. */
pdk_status keys_load(const char *folder, struct keys **ret_keys, pdk_error *err);
struct keys *keys_ref(struct keys *keys);
struct keys *keys_unref(struct keys *keys); /* takes NULL, returns NULL */
size_t keys_count(const struct keys *keys);
/* The key whose digest is that of `shown`, or NULL. Takes as long for any that is wrong. */
const struct key *keys_find(const struct keys *keys, const char *shown, size_t length);

uint64_t key_tenant(const struct key *key); /* a hash, never 0 */
bool key_allows(const struct key *key, const char *namespace_, const char *service);
bool key_is_limited(const struct key *key); /* to some services */

/* Reads one file's text; for keys_load, tests and fuzzing. `name` is the default tenant. */
pdk_status key_read(const char *name, const char *text, size_t length, struct key **ret_key, pdk_error *err);
struct key *key_free(struct key *key); /* takes NULL, returns NULL */
