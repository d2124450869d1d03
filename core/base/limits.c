/* See the header. */
#include "config.h"

#include "core/base/limits.h"

#include "core/base/error.h"
#include "core/base/nearest.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

static const struct limit_row rows[LIMIT_COUNT] = {
    [LIMIT_HEAD_BYTES] = {"head_bytes", "bytes", "request line and headers together", 16384, 1024, 65536},
    [LIMIT_HEADERS] = {"headers", "", "header lines of a request", 100, 8, 1000},
    [LIMIT_BODY_OPENAI_BYTES] = {"body_openai_bytes", "bytes", "body of an OpenAI request", 8u << 20, 1024, 1u << 30},
    [LIMIT_BODY_INFER_BYTES] = {"body_infer_bytes", "bytes", "body of a V1 or V2 request", 64u << 20, 1024, 1u << 30},
    [LIMIT_HEAD_MS] = {"head_ms", "ms", "until a request's head is there", 10000, 100, 600000},
    [LIMIT_BODY_IDLE_MS] = {"body_idle_ms", "ms", "between two pieces of a body", 30000, 100, 600000},
    [LIMIT_BODY_RATE] = {"body_rate", "bytes/s", "what a body must reach after its first 10 s", 1024, 0, 1u << 30},
    [LIMIT_WRITE_IDLE_MS] = {"write_idle_ms", "ms", "while a client takes nothing of its answer", 30000, 100, 600000},
    [LIMIT_KEEP_ALIVE_MS] = {"keep_alive_ms", "ms", "an idle connection is kept", 75000, 100, 3600000},
    [LIMIT_CONNECTIONS] = {"connections", "", "connections of listeners with a door", 16384, 16, 1000000},
    [LIMIT_PIPELINED] = {"pipelined", "", "requests a client may send ahead", 16, 1, 1000},
    [LIMIT_QUEUE] = {"queue", "", "requests of one service in flight or waiting", 1000, 1, 1000000},
    [LIMIT_QUEUE_MS] = {"queue_ms", "ms", "a request waits for its service to wake", 60000, 0, 3600000},
    [LIMIT_JSON_DEPTH] = {"json_depth", "", "levels of nesting in a JSON body", 64, 8, 256},
    [LIMIT_JSON_NODES] = {"json_nodes", "", "values in a JSON body", 1000000, 1000, 100000000},
    [LIMIT_N] = {"n", "", "choices of one request", 128, 1, 16384},
    [LIMIT_STOP_STRINGS] = {"stop_strings", "", "stop strings of one request", 16, 1, 1024},
    [LIMIT_STOP_BYTES] = {"stop_bytes", "bytes", "one stop string", 256, 1, 65536},
    [LIMIT_LOGIT_BIAS] = {"logit_bias", "", "entries of logit_bias", 1024, 1, 1000000},
    [LIMIT_PROMPTS] = {"prompts", "", "prompts of one completion request", 1024, 1, 65536},
    [LIMIT_POOL_INPUTS] = {"pool_inputs", "", "inputs of one embedding or scoring request", 4096, 1, 1u << 20},
};

static _Atomic uint64_t values[LIMIT_COUNT]; /* 0: the standard; stored as value + 1 */

const struct limit_row *limit_row(enum limit limit)
{
    return &rows[limit];
}

uint64_t limit_get(enum limit limit)
{
    uint64_t value = atomic_load_explicit(&values[limit], memory_order_relaxed);
    return value == 0 ? rows[limit].standard : value - 1;
}

pdk_status limit_set(const char *name, uint64_t value, pdk_error *err)
{
    struct nearest nearest = nearest_to(name);
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        nearest_offer(&nearest, rows[i].name);
        if (strcmp(name, rows[i].name) != 0)
            continue;
        if (value < rows[i].minimum || value > rows[i].maximum)
            return pdk_error_set(err, PDK_INVALID, rows[i].name,
                "limits.%s is %" PRIu64 "; it may be %" PRIu64 " to %" PRIu64 " %s", name, value, rows[i].minimum,
                rows[i].maximum, rows[i].unit);
        atomic_store_explicit(&values[i], value + 1, memory_order_relaxed);
        return PDK_OK;
    }
    return pdk_error_set(err, PDK_NOT_FOUND, name, "no limit is called '%.64s'%s", name, nearest_hint(&nearest));
}

void limits_reset(void)
{
    for (size_t i = 0; i < LIMIT_COUNT; i++)
        atomic_store_explicit(&values[i], 0, memory_order_relaxed);
}

void limits_save(struct limits_saved *saved)
{
    for (size_t i = 0; i < LIMIT_COUNT; i++)
        saved->values[i] = atomic_load_explicit(&values[i], memory_order_relaxed);
}

void limits_restore(const struct limits_saved *saved)
{
    for (size_t i = 0; i < LIMIT_COUNT; i++)
        atomic_store_explicit(&values[i], saved->values[i], memory_order_relaxed);
}
