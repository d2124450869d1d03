/* See the header. */
#include "config.h"

#include "core/base/siphash.h"

#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void rounds(struct state *s, int count)
{
    for (int i = 0; i < count; i++) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 = rotate(s->v2, 32);
    }
}

static void absorb(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    rounds(s, 2);
    s->v0 ^= word;
}

static struct siphash128 hash(const struct siphash_key *key, const uint8_t *data, size_t length, bool wide)
{
    struct state s = {key->a ^ 0x736f6d6570736575u, key->b ^ 0x646f72616e646f6du, key->a ^ 0x6c7967656e657261u,
        key->b ^ 0x7465646279746573u};
    if (wide)
        s.v1 ^= 0xEE;
    size_t whole = length & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, sizeof word);
        absorb(&s, word);
    }
    uint64_t last = (uint64_t)length << 56;
    for (size_t i = whole; i < length; i++)
        last |= (uint64_t)data[i] << 8 * (i - whole);
    absorb(&s, last);
    s.v2 ^= wide ? 0xEE : 0xFF;
    rounds(&s, 4);
    struct siphash128 out = {.low = s.v0 ^ s.v1 ^ s.v2 ^ s.v3};
    if (wide) {
        s.v1 ^= 0xDD;
        rounds(&s, 4);
        out.high = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    }
    return out;
}

struct siphash_key siphash_random_key(void)
{
    struct siphash_key key;
    if (getrandom(&key, sizeof key, 0) != (ssize_t)sizeof key) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        key = (struct siphash_key){(uint64_t)now.tv_nsec * 0x9E3779B97F4A7C15u, (uint64_t)(uintptr_t)&key};
    }
    return key;
}

uint64_t siphash64(const struct siphash_key *key, const void *data, size_t length)
{
    return hash(key, data, length, false).low;
}

struct siphash128 siphash128(const struct siphash_key *key, const void *data, size_t length)
{
    return hash(key, data, length, true);
}
