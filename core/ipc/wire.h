/* core/ipc/wire.h: what stands on a worker's socket, byte for byte. Both ends are of one build on one machine, little
 * endian; layouts are asserted all the same, since a mistake here is silent.
 *
 * A frame is a header and a body. A body is JSON (load, progress, ready, load_failed, finish, stats), or a fixed struct
 * followed by runs whose counts stand in it (request, part): first all runs of 4-byte numbers, so that they are aligned
 * where they lie, then the bytes of all strings, one after the other. Nothing may be left over. */
#pragma once

#include "core/base/buffer.h"

#include <paddock/draft/request.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_MAGIC = 0x314B4450,            /* "PDK1" */
    WIRE_FRAME_MAX = 16 << 20,          /* bytes of a body inside the stream */
    WIRE_INLINE_MAX = 256 << 10,        /* a larger request or part is sent as a sealed memfd */
    WIRE_BODY_MAX = 1 << 30,            /* bytes of a memfd */
    WIRE_CREDIT = 256 << 10,            /* bytes of one response on their way before part_send answers PDK_FULL */
    WIRE_CREDIT_STEP = 64 << 10,        /* the reader gives back that much at a time */
    WIRE_CREDIT_LIMIT = 4 * WIRE_CREDIT /* a part that comes with so much unread is a violation */
};

enum wire_type {
    /* daemon to worker */
    WIRE_LOAD = 1,     /* JSON: {"name", "path", "arguments": […], "environment": ["NAME=value"]} */
    WIRE_REQUEST = 2,  /* wire_request */
    WIRE_CANCEL = 3,   /* of id */
    WIRE_WRITABLE = 4, /* wire_credit: so many bytes of id were read */
    WIRE_ASK_STATS = 5,
    WIRE_PING = 6,
    WIRE_DRAIN = 7,
    /* worker to daemon */
    WIRE_PROGRESS = 33,    /* JSON: {"fraction", "what"} */
    WIRE_READY = 34,       /* JSON: core/ipc/ready.h */
    WIRE_LOAD_FAILED = 35, /* JSON: an error */
    WIRE_PART = 36,        /* wire_part */
    WIRE_FINISH = 37,      /* of id: empty, or JSON: an error */
    WIRE_STATS = 38,       /* JSON: see README.md */
    WIRE_PONG = 39,        /* wire_pong */
    WIRE_BYE = 40          /* the last frame of a worker that leaves in good order */
};

struct wire_header {
    uint32_t magic;
    uint16_t type;
    uint16_t flags; /* 0 */
    uint64_t id;    /* the request's, or 0 */
    uint32_t length;
    uint32_t descriptors; /* 1: the body is a memfd, sent with this header's first byte, and length is 0 */
};

struct wire_credit {
    uint64_t bytes;
};

struct wire_pong {
    int64_t alive_ms; /* CLOCK_MONOTONIC of the last pdk_host.alive; 0: never */
    uint32_t in_flight;
    uint32_t reserved;
};

enum { WIRE_NONE = 0x7FFFFFFF }; /* a string's length: there is none (data NULL), where that differs from "" */

/* Runs of numbers: token_ids, stop_token_ids, biases, allowed_token_ids, logprob_token_ids, produced_ids, pair_ids;
 * lengths of messages (role, content, json), stop, bad_words. Strings: adapter, cache_salt, text, tools, documents,
 * template variables, template, tool_name, guide, whitespace, pair_text, messages, stop, bad_words. */
struct wire_request {
    int32_t kind, priority;
    uint32_t flags;
    int32_t tools_mode;
    uint64_t tenant;
    int64_t deadline_ms;
    pdk_sampling sampling;
    int32_t guide_kind;
    uint32_t guide_flags;
    pdk_pooling pooling;
    uint32_t tokens, stop_tokens, biases, allowed_tokens, logprob_tokens, produced, pair_tokens;
    uint32_t messages, stops, bad_words;
    uint32_t adapter, cache_salt, text, tools, documents, template_vars; /* bytes */
    uint32_t template, tool_name, guide, whitespace, pair_text;          /* bytes */
};

/* Runs of numbers: token_ids, logprob_counts, wire_logprob, values, wire_delta, lengths of pieces. Strings:
 * stop_string, text, those of the logprobs, those of the deltas (text, call_id), pieces. */
struct wire_part {
    uint32_t flags, choice;
    int32_t finish, stop_kind;
    uint32_t stop_token, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens;
    uint32_t tokens, positions, logprobs, deltas, pieces;
    uint32_t value_rows, value_columns;
    uint32_t stop_string, text; /* bytes */
    uint64_t queued_us, first_token_us, generated_us;
};

struct wire_delta {
    int32_t kind;
    uint32_t call;
    uint32_t text, call_id; /* bytes */
};

struct wire_logprob {
    uint32_t token;
    int32_t rank;
    float logprob;
    uint32_t text; /* bytes */
};

_Static_assert(sizeof(struct wire_header) == 24 && offsetof(struct wire_header, id) == 8 &&
                   offsetof(struct wire_header, length) == 16,
    "header");
_Static_assert(sizeof(struct wire_credit) == 8 && sizeof(struct wire_pong) == 16, "credit, pong");
_Static_assert(sizeof(pdk_sampling) == 128 && sizeof(pdk_pooling) == 20, "sampling, pooling: no padding");
_Static_assert(sizeof(struct wire_request) == 272 && offsetof(struct wire_request, sampling) == 32 &&
                   offsetof(struct wire_request, guide_kind) == 160 && offsetof(struct wire_request, tokens) == 188 &&
                   offsetof(struct wire_request, adapter) == 228,
    "request");
_Static_assert(sizeof(struct wire_part) == 96 && offsetof(struct wire_part, tokens) == 36 &&
                   offsetof(struct wire_part, stop_string) == 64 && sizeof(struct wire_delta) == 16,
    "part");
_Static_assert(sizeof(struct wire_logprob) == 16 && sizeof(pdk_bias) == 8, "logprob, bias");

/* Appends the body of a request or part. PDK_TOO_LARGE: a count or length over its limit; PDK_INVALID: counts that do
 * not fit each other. `out` may hold a piece of it after a failure. Lack of memory shows in out->failed. */
pdk_status wire_request_encode(struct buffer *out, const pdk_request *request, pdk_error *err);
pdk_status wire_part_encode(struct buffer *out, const pdk_part *part, pdk_error *err);

/* Reads a body, which must be aligned to 4 bytes and outlive the result: strings and numbers stay where they are. What
 * has to be built lies in *ret_memory (free() it; may be NULL). PDK_INVALID says what does not fit. The request's id is
 * 0. */
pdk_status wire_request_decode(
    const void *body, size_t length, pdk_request *ret_request, void **ret_memory, pdk_error *err);
pdk_status wire_part_decode(const void *body, size_t length, pdk_part *ret_part, void **ret_memory, pdk_error *err);

/* An error as JSON, and back: {"status", "field", "value", "message"}. Reading gives PDK_INTERNAL for an unknown
 * status. */
void wire_error_encode(struct buffer *out, const pdk_error *error);
pdk_status wire_error_decode(const void *body, size_t length, pdk_error *ret_error, pdk_error *err);
