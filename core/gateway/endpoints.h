/* core/gateway/endpoints.h: the one table of what can be asked for. Routes, limits, checks, metrics' labels and the
 * list of what needs no key all come from its rows. */
#pragma once

#include "core/gateway/exchange.h"

#include <stdbool.h>
#include <stddef.h>

/* In whose words errors are. */
enum endpoint_shape { SHAPE_OPENAI, SHAPE_ANTHROPIC, SHAPE_KUBERNETES, SHAPE_PLAIN };

enum endpoint_body {
    BODY_NONE, /* none is expected; a small one is read and dropped */
    BODY_JSON, /* Content-Type must be application/json */
    BODY_ANY
};

enum { ENDPOINT_SEGMENTS_MAX = 4, ENDPOINT_NAME_MAX = 254, ENDPOINT_ALLOW_MAX = 128 };

struct endpoint {
    const char *method; /* "*": every one */
    const char *path;   /* "{name}" takes a segment, "{name*}" at the end takes all that is left */
    void (*handle)(struct exchange *exchange);
    const char *name; /* label `handler` of the metrics: the path as KServe and vLLM write it */
    enum endpoint_body body;
    enum endpoint_shape shape;
    bool open;   /* needs no key */
    bool direct; /* answered even when the server is full or drains */
};

/* The names that a path gave. */
struct endpoint_segments {
    size_t count;
    const char *names[ENDPOINT_SEGMENTS_MAX]; /* of the row, without braces */
    size_t name_lengths[ENDPOINT_SEGMENTS_MAX];
    char values[ENDPOINT_SEGMENTS_MAX][ENDPOINT_NAME_MAX];
};

size_t endpoints_count(void);
const struct endpoint *endpoint_row(size_t index);
/* The row for `method` and the decoded `path`. NULL: `allow` (room for ENDPOINT_ALLOW_MAX) lists the methods that the
 * path has, "" if the path is unknown; `*ret_shape` is in whose words to say so. */
const struct endpoint *endpoint_find(const char *method, const char *path, struct endpoint_segments *segments,
    char *allow, enum endpoint_shape *ret_shape);
/* Takes the prefix "/serving/NAMESPACE/NAME" off `path`, by which KServe's ingress reaches a service without a host
 * name. Gives the rest, or `path` itself. */
const char *endpoint_service_prefix(const char *path, char *namespace_, char *name, size_t room);
