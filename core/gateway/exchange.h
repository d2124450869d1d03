/* core/gateway/exchange.h: one HTTP request and its answer, as handlers see it. By then the head has been checked, the
 * key accepted and the body read. A handler answers exactly once: a reply, or a stream. [gateway-thread] */
#pragma once

#include "core/base/buffer.h"
#include "core/control/control.h"

#include <paddock/abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange; /* its own fields are the HTTP layer's: core/gateway/http.c */

const char *exchange_method(const struct exchange *exchange);
/* Decoded path without query, and the query as sent ("" if none). */
const char *exchange_path(const struct exchange *exchange);
const char *exchange_query(const struct exchange *exchange);
/* Value of query parameter `name`, decoded into `value`; false when it is not there or longer than room - 1. */
bool exchange_parameter(const struct exchange *exchange, const char *name, char *value, size_t room);
/* The path's segment that the row of endpoints.c names `{name}`. NULL: the row has none. */
const char *exchange_segment(const struct exchange *exchange, const char *name);
/* A header's value by name in any case, or NULL. */
const char *exchange_header(const struct exchange *exchange, const char *name);
/* [A-Za-z0-9._-]{1,128}: the client's X-Request-Id, or 16 random hex digits. */
const char *exchange_request_id(const struct exchange *exchange);
bool exchange_request_id_given(const struct exchange *exchange);
const char *exchange_body(const struct exchange *exchange, size_t *ret_length);
/* Whether the request's key may use `service` (a key file's services=); true without keys. */
bool exchange_may_use(const struct exchange *exchange, const struct service_view *service);
uint64_t exchange_tenant(const struct exchange *exchange); /* hash of the key's tenant; 0 without keys */
/* The client's socket, to be watched; -1 when it cannot be found. */
int exchange_client_fd(const struct exchange *exchange);
struct control *exchange_control(const struct exchange *exchange);
struct channel_loop *exchange_loop(const struct exchange *exchange);
struct response_store *exchange_responses(const struct exchange *exchange); /* core/gateway/responses/store.h */
int64_t exchange_started_ms(const struct exchange *exchange);

/* The service this request goes to, waiting for it to wake: chosen by Host or path where one of them names a service,
 * else by `model` (a served name; NULL or "": the only or oldest service that has `extension`, READY_…). When Host or
 * path chose a service with one model and `model` is another name, it answers and a Warning says so. Gives a snapshot
 * that exchange_end releases. PDK_NOT_FOUND: no such model, err->message is vLLM's sentence with the valid names and
 * err->field "model". PDK_UNSUPPORTED: the model lacks the extension. */
pdk_status exchange_route(struct exchange *exchange, const char *model, uint32_t extension,
    const struct service_view **ret_service, pdk_error *err);

/* Adds a `Warning: 299 - "text"` header to the answer; before it begins. At most 8. */
void exchange_warn(struct exchange *exchange, const char *format, ...) PDK_PRINTF(2, 3);
/* Adds a header of the answer; before it begins. Name and value are ours, never the client's. */
void exchange_add_header(struct exchange *exchange, const char *name, const char *value);

/* The whole answer. */
void exchange_reply(struct exchange *exchange, int status, const char *content_type, const void *body, size_t length);
/* The error in the shape of the endpoint's protocol (OpenAI's object, Kubernetes' Status), by status_map.c. */
void exchange_fail(struct exchange *exchange, const pdk_error *err);
/* Only for what the table cannot say: OpenAI's object with this status and type; field and value of `err` are used. */
void exchange_fail_as(struct exchange *exchange, int status, const char *type, const pdk_error *err);
/* The OpenAI error object alone, for an event in a stream. */
void exchange_error_object(struct buffer *out, int status, const char *type, const pdk_error *err);

/* A chunked answer. `write` sends at once; false: the client is gone, stop. */
bool exchange_stream_begin(struct exchange *exchange, int status, const char *content_type);
bool exchange_stream_write(struct exchange *exchange, const void *bytes, size_t length);
void exchange_stream_end(struct exchange *exchange);
