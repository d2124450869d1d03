/* Which listener is whose: IPv4 without `door` is CivetWeb's own; IPv6, unix sockets, what systemd hands over and
 * `door` come through the door, which needs CivetWeb's loopback end. */
#include "config.h"

#include "core/gateway/gateway.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/gateway/listener.h"
#include "core/gateway/request.h"
#include "core/gateway/responses/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { CONNECTIONS_DEFAULT = 512, DRAIN_STEP_MS = 10, CUT_MS = 5000 };

bool gateway_is_draining(const struct gateway *gateway)
{
    return atomic_load_explicit(&gateway->draining, memory_order_relaxed);
}

struct keys *gateway_keys(struct gateway *gateway)
{
    mutex_lock(&gateway->lock);
    struct keys *keys = keys_ref(gateway->keys);
    mutex_unlock(&gateway->lock);
    return keys;
}

static unsigned connection_count(const struct gateway *gateway)
{
    return gateway->config->connections != 0 ? gateway->config->connections : CONNECTIONS_DEFAULT;
}

/* Servers are stopped before what their handlers use. mg_stop waits up to 2 s for idle threads. */
static struct gateway *gateway_free(struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->server_count; i++)
        if (gateway->servers[i].context != NULL)
            mg_stop(gateway->servers[i].context);
    door_stop(gateway->door);
    watch_stop(gateway->watch);
    metrics_free(gateway->metrics);
    response_store_free(gateway->responses);
    keys_unref(gateway->keys);
    waiting_free(gateway->waiting);
    mutex_done(&gateway->lock);
    free(gateway);
    return NULL;
}

PDK_DEFINE_CLEANUP(struct gateway, gateway_free)

static pdk_status start_server(
    struct gateway *gateway, const char *ports, bool inner, struct server **ret_server, pdk_error *err)
{
    struct server *server = &gateway->servers[gateway->server_count];
    server->gateway = gateway;
    server->inner = inner;
    pdk_status status = http_start(server, ports, connection_count(gateway), err);
    if (status != PDK_OK)
        return status;
    gateway->server_count++;
    *ret_server = server;
    return PDK_OK;
}

static pdk_status start_door(struct gateway *gateway, pdk_error *err)
{
    struct server *inner;
    pdk_status status = start_server(gateway, "127.0.0.1:0", true, &inner, err);
    if (status != PDK_OK)
        return status;
    struct door *door;
    status = door_start((uint16_t)http_port(inner), connection_count(gateway), &door, err);
    if (status == PDK_OK)
        atomic_store(&gateway->door, door);
    return status;
}

/* One of the configured listeners. */
static pdk_status open_listener(struct gateway *gateway, const struct gateway_listener *listener, pdk_error *err)
{
    struct listener_address address;
    pdk_status status = listener_parse(listener->address, &address, err);
    if (status != PDK_OK)
        return status;
    bool door = listener->door || address.kind != LISTENER_IPV4;
    /* Debian's CivetWeb 1.15 looks SSL_get_peer_certificate up in libssl at run time; OpenSSL 3 has no such symbol, and
     * the first TLS connection calls NULL. */
    if (listener->certificate[0] != '\0')
        return pdk_error_value(err, PDK_UNSUPPORTED, "listen", listener->address,
            "%s: TLS is not served by this release (CivetWeb 1.15 crashes with OpenSSL 3): leave out `certificate` and "
            "put a "
            "proxy in front",
            listener->address);
    if (!address.local && keys_count(gateway->keys) == 0)
        return pdk_error_value(err, PDK_DENIED, "listen", listener->address,
            "%s is not a loopback address and there is no API key: put one into %s, or listen on 127.0.0.1",
            listener->address, gateway->config->keys != NULL ? gateway->config->keys : "the folder of keys");
    gateway->public_address = gateway->public_address || !address.local;
    int port = 0;
    if (door) {
        if (gateway->door == NULL)
            status = start_door(gateway, err);
        int fd = -1;
        if (status == PDK_OK)
            status = listener_open(&address, &fd, &port, err);
        if (status == PDK_OK)
            status = door_listen_take(gateway->door, fd, address.kind == LISTENER_UNIX, err);
    } else {
        char ports[300];
        snprintf(ports, sizeof ports, "%s:%u", address.host, address.port);
        struct server *server;
        status = start_server(gateway, ports, false, &server, err);
        if (status == PDK_OK)
            port = http_port(server);
    }
    if (status != PDK_OK)
        return status;
    if (gateway->port == 0)
        gateway->port = port;
    log_event(LOG_LEVEL_NOTICE, NULL, "listening on %s%s, port %d", listener->address, door ? " (door)" : "", port);
    return PDK_OK;
}

/* Sockets that systemd opened for us. */
static pdk_status take_inherited(struct gateway *gateway, pdk_error *err)
{
    int fds[GATEWAY_LISTENERS_MAX];
    size_t count = 0;
    pdk_status status = listener_inherited(fds, GATEWAY_LISTENERS_MAX, &count, err);
    for (size_t i = 0; i < count && status == PDK_OK; i++) {
        bool is_unix, local;
        int port;
        status = listener_describe(fds[i], &is_unix, &local, &port, err);
        if (status == PDK_OK && !local && keys_count(gateway->keys) == 0)
            status = pdk_error_set(
                err, PDK_DENIED, "listen", "systemd hands over a socket that is not loopback and there is no API key");
        if (status == PDK_OK && gateway->door == NULL)
            status = start_door(gateway, err);
        if (status == PDK_OK)
            status = door_listen_take(gateway->door, fds[i], is_unix, err);
        if (status == PDK_OK && gateway->port == 0)
            gateway->port = port;
        gateway->public_address = gateway->public_address || !local;
    }
    return status;
}

pdk_status gateway_start(const struct gateway_config *config, struct control *control, struct channel_loop *loop,
    struct gateway **ret_gateway, pdk_error *err)
{
    PDK_CLEANUP(gateway_freep) struct gateway *gateway = calloc(1, sizeof *gateway);
    if (gateway == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "gateway", "out of memory");
    gateway->config = config;
    gateway->control = control;
    gateway->loop = loop;
    mutex_init(&gateway->lock);
    gateway->metrics = metrics_new();
    gateway->responses = response_store_new();
    if (gateway->metrics == NULL || gateway->responses == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "gateway", "out of memory");
    pdk_status status = keys_load(config->keys, &gateway->keys, err);
    if (status == PDK_OK)
        status = watch_start(&gateway->watch, err);
    mg_init_library(MG_FEATURES_DEFAULT);
    if (status == PDK_OK)
        status = take_inherited(gateway, err);
    for (size_t i = 0; i < config->listener_count && status == PDK_OK; i++)
        status = open_listener(gateway, &config->listeners[i], err);
    if (status == PDK_OK && gateway->server_count == 0)
        status = pdk_error_set(err, PDK_INVALID, "listen", "there is nothing to listen on");
    if (status != PDK_OK)
        return status;
    *ret_gateway = PDK_STEAL(gateway);
    return PDK_OK;
}

pdk_status gateway_reload(struct gateway *gateway, pdk_error *err)
{
    struct keys *keys = NULL;
    pdk_status status = keys_load(gateway->config->keys, &keys, err);
    if (status != PDK_OK)
        return status;
    if (gateway->public_address && keys_count(keys) == 0) {
        keys_unref(keys);
        return pdk_error_set(err, PDK_DENIED, "keys",
            "the last API key is gone and a listener is not loopback: the old keys stay in force");
    }
    mutex_lock(&gateway->lock);
    struct keys *old = gateway->keys;
    gateway->keys = keys;
    mutex_unlock(&gateway->lock);
    keys_unref(old);
    return PDK_OK;
}

int gateway_port(const struct gateway *gateway)
{
    return gateway->port;
}

static bool wait_idle(const struct gateway *gateway, int64_t deadline_ms)
{
    while (atomic_load(&gateway->in_flight) != 0) {
        if (monotonic_ms() >= deadline_ms)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = DRAIN_STEP_MS * 1000000L}, NULL);
    }
    return true;
}

/* To those who wait for an answer it looks as if the client had left, so they cancel it and come to an end. */
static void cut(struct gateway *gateway)
{
    mutex_lock(&gateway->lock);
    for (struct exchange *exchange = gateway->exchanges; exchange != NULL; exchange = exchange->next)
        if (exchange->client_fd >= 0)
            shutdown(exchange->client_fd, SHUT_RD);
    mutex_unlock(&gateway->lock);
}

/* CivetWeb's threads are left to the end of the process: it has no way to stop listening alone, and mg_stop takes 2 s.
 * They find `closed` and touch nothing but the gateway itself, which therefore stays. */
struct gateway *gateway_stop(struct gateway *gateway, int64_t drain_ms)
{
    if (gateway == NULL)
        return NULL;
    atomic_store(&gateway->draining, true);
    if (gateway->door != NULL)
        door_drain(gateway->door);
    if (!wait_idle(gateway, monotonic_ms() + drain_ms)) {
        log_event(LOG_LEVEL_WARNING, NULL, "%u requests are cut off: they did not end within %" PRId64 " ms",
            atomic_load(&gateway->in_flight), drain_ms);
        cut(gateway);
    }
    atomic_store(&gateway->closed, true);
    if (!wait_idle(gateway, monotonic_ms() + CUT_MS)) {
        log_event(LOG_LEVEL_ERROR, NULL, "%u requests do not end", atomic_load(&gateway->in_flight));
        return NULL;
    }
    gateway->door = door_stop(gateway->door);
    gateway->watch = watch_stop(gateway->watch);
    return NULL;
}
