/* core/cli/client.h: talking to a paddockd over HTTP. */
#pragma once

#include "core/base/buffer.h"
#include "core/base/json.h"

#include <paddock/abi.h>
#include <stdbool.h>

struct client {
    char server[512]; /* "http://127.0.0.1:8080", or "unix:/run/paddock/paddock.sock" */
    const char *key;  /* API key, or NULL */
};

/* The server of --server, PADDOCK_SERVER, else http://127.0.0.1:8080; the key of PADDOCK_API_KEY. */
void client_init(struct client *client, const char *server);

/* Asks; *ret_status is the HTTP status, and the body is given whatever it is. `body` NULL: GET, else POST of JSON.
 * PDK_UNAVAILABLE: nobody listens there. */
pdk_status client_ask(const struct client *client, const char *path, const char *body, long *ret_status,
    struct buffer *ret_body, pdk_error *err);
/* As client_ask, and reads the body as JSON. A status of 400 and above is an error with the server's message. */
pdk_status client_json(const struct client *client, const char *path, const char *body,
    struct json_document **ret_document, pdk_error *err);

/* Streams an answer; each piece goes to `take` as it comes; false from it ends the request. */
pdk_status client_stream(const struct client *client, const char *path, const char *body,
    bool (*take)(void *context, const char *data, size_t length), void *context, pdk_error *err);
