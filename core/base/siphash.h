/* core/base/siphash.h: keyed hashes for tables that outsiders fill (SipHash-2-4, Aumasson and Bernstein 2012; the
 * 128-bit variant is the authors' own). */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t a, b;
};

struct siphash128 {
    uint64_t low, high;
};

struct siphash_key siphash_random_key(void);
uint64_t siphash64(const struct siphash_key *key, const void *data, size_t length);
struct siphash128 siphash128(const struct siphash_key *key, const void *data, size_t length);
