/* core/base/limits.h: every limit that an administrator may set, in one table: the code, the man page and the error
 * texts read it. Set at start and at reload; read from any thread. */
#pragma once

#include <paddock/abi.h>
#include <stdint.h>

enum limit {
    LIMIT_HEAD_BYTES, /* of a request's head */
    LIMIT_HEADERS,    /* header lines */
    LIMIT_BODY_OPENAI_BYTES,
    LIMIT_BODY_INFER_BYTES,
    LIMIT_HEAD_MS,      /* until the head is there */
    LIMIT_BODY_IDLE_MS, /* between two pieces of a body */
    LIMIT_BODY_RATE,    /* bytes a second that a body must reach after its first 10 s */
    LIMIT_WRITE_IDLE_MS,
    LIMIT_KEEP_ALIVE_MS,
    LIMIT_CONNECTIONS, /* of the door */
    LIMIT_PIPELINED,
    LIMIT_QUEUE,    /* requests in flight or waiting, a service */
    LIMIT_QUEUE_MS, /* wait for a service to wake */
    LIMIT_JSON_DEPTH,
    LIMIT_JSON_NODES,
    LIMIT_N, /* choices of a request */
    LIMIT_STOP_STRINGS,
    LIMIT_STOP_BYTES,
    LIMIT_LOGIT_BIAS,
    LIMIT_PROMPTS,     /* prompts of one completion request */
    LIMIT_POOL_INPUTS, /* inputs of one embedding, score, rerank, classify or pooling request */
    LIMIT_COUNT
};

struct limit_row {
    const char *name; /* as in paddock.conf: limits = { NAME = value; }; */
    const char *unit; /* "bytes", "ms", "" */
    const char *doc;  /* one line */
    uint64_t standard, minimum, maximum;
};

const struct limit_row *limit_row(enum limit limit);
uint64_t limit_get(enum limit limit);
/* PDK_NOT_FOUND: no such name, the nearest is told. PDK_INVALID: out of range. */
pdk_status limit_set(const char *name, uint64_t value, pdk_error *err);
void limits_reset(void);

/* All values, to be put back when a reload fails half way. */
struct limits_saved {
    uint64_t values[LIMIT_COUNT];
};
void limits_save(struct limits_saved *saved);
void limits_restore(const struct limits_saved *saved);
