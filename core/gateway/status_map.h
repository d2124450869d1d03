/* core/gateway/status_map.h: what a pdk_status is to a client: the one table. */
#pragma once

#include "core/base/buffer.h"

#include <paddock/abi.h>
#include <stdbool.h>

struct status_row {
    int http;
    const char *type;   /* of OpenAI's error object */
    const char *reason; /* of Kubernetes' Status */
    bool retry;         /* Retry-After goes with it */
};

/* A row for every status; one for PDK_INTERNAL where it is unknown. */
const struct status_row *status_row(pdk_status status);
/* "Not Found" for 404. */
const char *status_phrase(int http);
/* OpenAI's word for a status that the table of pdk_status has not. */
const char *status_type(int http);

/* {"error":{"message","type","param","code"}}. Paths of this machine and addresses in the message are blotted out. */
void status_openai(struct buffer *out, int http, const char *type, const pdk_error *err);
/* {"type":"error","error":{"type","message"}}, the type by the status. */
void status_anthropic(struct buffer *out, int http, const pdk_error *err);
/* Kubernetes' Status; `name`, `group` and `kind` (the plural) of the object may be NULL. */
void status_kubernetes(struct buffer *out, int http, const char *reason, const char *message, const char *name,
    const char *group, const char *kind);
/* Writes `text` with absolute paths of the system's folders as <path> and 0x… as <address>. */
void status_blot(struct buffer *out, const char *text);
