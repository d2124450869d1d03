/* core/gateway/gateway.h: HTTP in front of control. */
#pragma once

#include "core/control/control.h"

#include <paddock/abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GATEWAY_LISTENERS_MAX = 16 };

struct gateway_listener {
    char address[256];     /* "127.0.0.1:8080", "[::1]:8080", "unix:/run/paddock/paddock.sock" */
    bool door;             /* many idle clients: accepted by the door's thread */
    char certificate[256]; /* PEM with key and chain; refused by this release; "": plain HTTP */
};

/* From paddock.conf (core/spec/daemon_config.h). Borrowed until gateway_stop. */
struct gateway_config {
    struct gateway_listener listeners[GATEWAY_LISTENERS_MAX];
    size_t listener_count;
    unsigned connections; /* threads of the direct listeners, default 512 */
    const char *keys;     /* folder of API keys, or NULL */
    bool access_log;
    /* Reads the daemon's configuration again, all or nothing, for POST /-/reload. [gateway-thread] */
    pdk_status (*reload)(void *context, pdk_error *err);
    void *reload_context;
};

struct gateway;

/* Binds and serves. Refuses to listen off loopback without a key. [init] */
pdk_status gateway_start(const struct gateway_config *config, struct control *control, struct channel_loop *loop,
    struct gateway **ret_gateway, pdk_error *err);
/* Reads the keys again; all or nothing. [any-thread] */
pdk_status gateway_reload(struct gateway *gateway, pdk_error *err);
/* The port of the first TCP listener (tests listen on port 0). */
int gateway_port(const struct gateway *gateway);
/* Turns new requests away (503; health still answers), waits at most `drain_ms` for those in flight, then cancels them
 * and waits 5 s more. After it nothing calls into control or the loop; CivetWeb's threads end with the process.
 * [main-thread] */
struct gateway *gateway_stop(struct gateway *gateway, int64_t drain_ms);
