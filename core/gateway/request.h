/* core/gateway/request.h: what stands behind exchange.h and gateway.h, for the files of this folder alone. */
#pragma once

#include "core/base/buffer.h"
#include "core/base/thread.h"
#include "core/gateway/door.h"
#include "core/gateway/endpoints.h"
#include "core/gateway/exchange.h"
#include "core/gateway/gateway.h"
#include "core/gateway/head.h"
#include "core/gateway/keys.h"
#include "core/gateway/metrics.h"
#include "core/gateway/watch.h"

#include <civetweb.h>
#include <stdatomic.h>

enum { GATEWAY_SERVERS_MAX = GATEWAY_LISTENERS_MAX + 2, EXCHANGE_ROUTES_MAX = 4, EXCHANGE_WARNINGS_MAX = 8 };

/* A started mg_context and what its connections have in common; its address is the context's user data. */
struct server {
    struct gateway *gateway;
    struct mg_context *context;
    bool inner; /* the door's loopback end */
    unsigned threads;
    atomic_uint connections; /* open ones */
};

struct gateway {
    const struct gateway_config *config;
    struct control *control;
    struct channel_loop *loop;
    struct server servers[GATEWAY_SERVERS_MAX];
    /* Requests may come while later listeners still start. */
    atomic_size_t server_count;
    _Atomic(struct door *) door; /* NULL: no listener needs one */
    struct watch *watch;
    struct metrics *metrics;
    struct response_store *responses; /* has a lock of its own */
    int port;
    bool public_address;  /* a listener that strangers reach: keys must stay */
    atomic_bool draining; /* what comes new is turned away */
    atomic_bool closed;   /* nothing behind the gateway may be touched any more */
    atomic_uint in_flight;
    atomic_size_t body_bytes; /* of all requests in flight */
    struct mutex lock;        /* keys, waiting, exchanges and their links */
    struct keys *keys;
    struct exchange *exchanges;
    struct waiting *waiting; /* core/gateway/routing.c: requests that wait for a service to wake */
};

bool gateway_is_draining(const struct gateway *gateway);
/* A reference. [gateway-thread] */
struct keys *gateway_keys(struct gateway *gateway);

/* A connection of CivetWeb's, from accept to close. */
struct connection {
    struct server *server;
    int fd; /* -1: not found */
    bool searched;
    int64_t since_ms;  /* CivetWeb waits for a head since then */
    uint64_t consumed; /* bytes received by the end of the request before */
};

struct exchange {
    struct exchange *previous, *next; /* in gateway->exchanges */
    struct gateway *gateway;
    struct server *server;
    struct connection *connection;
    struct mg_connection *http;
    const struct endpoint *endpoint; /* NULL: none was found */
    enum endpoint_shape shape;
    struct endpoint_segments segments;
    struct head head;
    char *path;       /* decoded, whole */
    const char *rest; /* without a service's prefix */
    struct buffer body;
    struct keys *keys;
    const struct key *key;                                                      /* NULL: none is needed */
    char service_namespace[ENDPOINT_NAME_MAX], service_name[ENDPOINT_NAME_MAX]; /* by path, else "" */
    char request_id[129];
    bool request_id_given;
    int client_fd; /* behind the door a duplicate, ours to close */
    bool client_fd_owned;
    bool from_unix;
    struct door_client door_client;
    int64_t started_ms, started_us;

    const struct routes *routes[EXCHANGE_ROUTES_MAX];
    size_t route_count;

    struct buffer headers; /* lines of the answer, ready to send */
    unsigned warnings;
    bool begun, finished; /* the answer's head was sent; the answer is whole */
    bool streaming, chunked;
    bool close;  /* this connection ends with this answer */
    bool broken; /* the client is gone */
    int status;
    uint64_t sent; /* bytes of the answer's body */
};

static inline unsigned server_connections(const struct server *server)
{
    return atomic_load_explicit(&server->connections, memory_order_relaxed);
}

struct exchange *exchange_new(struct server *server, struct mg_connection *http);
/* Ends what the handler left open, gives the door its word, releases everything. */
struct exchange *exchange_free(struct exchange *exchange);
/* Answers with a fault found before any handler; the connection ends. */
void exchange_fault(struct exchange *exchange, const struct head_fault *fault);
/* Writes all of it within the limits of time; false: the client is gone. */
bool exchange_write(struct exchange *exchange, const void *bytes, size_t length);

/* core/gateway/body.c: reads the body within its endpoint's limits of size and time. NULL, or the fault. */
const struct head_fault *body_read(struct exchange *exchange);

/* core/gateway/auth.c: whether this request may go on. False: it was answered. */
bool auth_admit(struct exchange *exchange);

/* core/gateway/routing.c */
struct waiting *waiting_free(struct waiting *waiting);

/* core/gateway/access_log.c: one line for a finished request. */
void access_log(const struct exchange *exchange, int64_t took_us);

/* core/gateway/http.c: starts CivetWeb on `ports` with `threads`. */
pdk_status http_start(struct server *server, const char *ports, unsigned threads, pdk_error *err);
/* The port of its first socket. */
int http_port(const struct server *server);
