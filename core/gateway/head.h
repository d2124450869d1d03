/* core/gateway/head.h: a request's head, checked by RFC 9112 before anything believes it.
 *
 * One reader serves every way in: the door hands it the bytes as they came, and http.c puts CivetWeb's pieces back
 * together first. What two readers of HTTP could take in two ways is refused, so that no request hides inside another.
 */
#pragma once

#include "core/base/buffer.h"
#include "core/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum head_body { HEAD_BODY_NONE, HEAD_BODY_LENGTH, HEAD_BODY_CHUNKED };

/* Why a head or a body was refused. */
struct head_fault {
    int status; /* of HTTP */
    const char *message;
    bool over; /* it is over `limit`, which the answer names with its value */
    enum limit limit;
};

/* The fault's sentence. */
void head_fault_text(const struct head_fault *fault, char *text, size_t room);

extern const struct head_fault head_fault_malformed, head_fault_too_large, head_fault_too_many, head_fault_timeout,
    head_fault_version;

struct head_field {
    const char *name;
    const char *value; /* without the blanks around it */
};

/* Invariant after head_read succeeded: one Host at most, one way of framing, every name a token, no control byte. */
struct head {
    char *text; /* owns what the pointers below point into */
    const char *method;
    const char *target; /* as sent, without the query */
    const char *query;  /* behind the '?', or "" */
    struct head_field *fields;
    size_t count, room;
    const char *host; /* NULL: HTTP/1.0 without one */
    uint64_t content_length;
    enum head_body body;
    unsigned minor; /* of HTTP/1.x: 0 or 1 */
    bool keep_alive;
    bool expect_continue;
};

/* Reads `text`, which ends in the empty line, or is cut off where a reader gave up. NULL: it is fine, and head_done
 * frees it; else the fault, and `head` holds nothing. */
const struct head_fault *head_read(struct head *head, const char *text, size_t length);
void head_done(struct head *head);
/* The first field called `name`, in any case, or NULL. */
const char *head_field(const struct head *head, const char *name);
/* Length of the head at the start of `text`, its empty line included; 0: not all there yet. `from` is where an earlier
 * look ended. */
size_t head_end(const char *text, size_t length, size_t from);
