/* Order: a path that names the service, then Host, then the model's name, then the oldest service that can do it. */
#include "config.h"

#include "core/gateway/routing.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/gateway/request.h"
#include "core/gateway/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

PDK_DEFINE_CLEANUP(const struct routes, routes_unref)

/* How many requests wait for each service that is not ready; rows stay, as services are few. */
struct waiting {
    struct waiting *next;
    uint32_t count;
    char uid[64];
};

struct waiting *waiting_free(struct waiting *waiting)
{
    while (waiting != NULL) {
        struct waiting *next = waiting->next;
        free(waiting);
        waiting = next;
    }
    return NULL;
}

/* Counts one more waiter of `uid`; NULL: the queue is full, or out of memory. */
static struct waiting *waiting_join(struct gateway *gateway, const char *uid)
{
    mutex_lock(&gateway->lock);
    struct waiting *row = gateway->waiting;
    while (row != NULL && strncmp(row->uid, uid, sizeof row->uid - 1) != 0)
        row = row->next;
    if (row == NULL) {
        row = calloc(1, sizeof *row);
        if (row != NULL) {
            snprintf(row->uid, sizeof row->uid, "%s", uid);
            row->next = gateway->waiting;
            gateway->waiting = row;
        }
    }
    if (row != NULL && row->count >= limit_get(LIMIT_QUEUE))
        row = NULL;
    if (row != NULL)
        row->count++;
    mutex_unlock(&gateway->lock);
    return row;
}

static void waiting_leave(struct gateway *gateway, struct waiting *row)
{
    mutex_lock(&gateway->lock);
    row->count--;
    mutex_unlock(&gateway->lock);
}

/* Takes `prefix` off the start of *text. */
static bool skip(const char **text, const char *prefix)
{
    size_t length = strlen(prefix);
    if (strncmp(*text, prefix, length) != 0)
        return false;
    *text += length;
    return true;
}

bool routing_host_is(const struct service_view *service, const char *host)
{
    if (service->host != NULL && strcmp(service->host, host) == 0)
        return true;
    const char *at = host;
    if (!skip(&at, service->name))
        return false;
    if (skip(&at, "-predictor"))
        skip(&at, "-default");
    if (!skip(&at, ".") || !skip(&at, service->namespace_))
        return false;
    if (*at == '\0' || strcmp(at, ".svc") == 0 || strcmp(at, ".svc.cluster.local") == 0)
        return true;
    /* The rest is the domain, which the service's own host ends in. */
    size_t front = strlen(service->name) + 1 + strlen(service->namespace_);
    return service->host != NULL && strlen(service->host) > front && strcmp(at, service->host + front) == 0;
}

bool routing_serves(const struct service_view *service, const char *model)
{
    if (service->ready == NULL)
        return service->model_name != NULL && strcmp(service->model_name, model) == 0;
    for (uint32_t i = 0; i < service->ready->name_count; i++)
        if (strcmp(service->ready->names[i], model) == 0)
            return true;
    return false;
}

static bool is_below(const char *path, const char *root)
{
    size_t length = root == NULL ? 0 : strlen(root);
    return length != 0 && strncmp(path, root, length) == 0 && path[length] == '/';
}

bool routing_take_root_path(struct exchange *exchange)
{
    PDK_CLEANUP(routes_unrefp) const struct routes *routes = control_routes(exchange->gateway->control);
    for (size_t i = 0; i < routes->count && exchange->service_name[0] == '\0'; i++) {
        const struct service_view *service = &routes->services[i];
        if (service->ready == NULL || !is_below(exchange->path, service->ready->root_path))
            continue;
        snprintf(exchange->service_namespace, sizeof exchange->service_namespace, "%s", service->namespace_);
        snprintf(exchange->service_name, sizeof exchange->service_name, "%s", service->name);
        exchange->rest = exchange->path + strlen(service->ready->root_path);
        return true;
    }
    return false;
}

bool routing_knows_host(struct control *control, const char *host)
{
    const struct routes *routes = control_routes(control);
    bool known = false;
    for (size_t i = 0; i < routes->count && !known; i++)
        known = routing_host_is(&routes->services[i], host);
    routes_unref(routes);
    return known;
}

const struct service_view *routing_named(const struct exchange *exchange, const struct routes *routes)
{
    char host[ENDPOINT_NAME_MAX];
    bool by_host = exchange->head.host != NULL && target_host(exchange->head.host, host, sizeof host);
    for (size_t i = 0; i < routes->count; i++) {
        const struct service_view *service = &routes->services[i];
        if (exchange->service_name[0] != '\0') {
            if (strcmp(service->name, exchange->service_name) == 0 &&
                strcmp(service->namespace_, exchange->service_namespace) == 0)
                return service;
        } else if (by_host && routing_host_is(service, host)) {
            return service;
        }
    }
    return NULL;
}

static const struct service_view *find_by_model(
    const struct exchange *exchange, const struct routes *routes, const char *model, uint32_t extension)
{
    const struct service_view *fallback = NULL;
    for (size_t i = 0; i < routes->count; i++) {
        const struct service_view *service = &routes->services[i];
        if (service->name_conflict || !exchange_may_use(exchange, service))
            continue;
        if (model != NULL && *model != '\0') {
            if (routing_serves(service, model))
                return service;
        } else if (service->ready != NULL && (service->ready->extensions & extension) == extension) {
            return service;
        } else if (service->ready == NULL && fallback == NULL) {
            fallback = service; /* may turn out to have it once it is awake */
        }
    }
    return fallback;
}

/* vLLM's sentence, with the names that there are. */
static pdk_status no_model(
    const struct exchange *exchange, const struct routes *routes, const char *model, pdk_error *err)
{
    if (model == NULL || *model == '\0')
        return pdk_error_set(err, PDK_NOT_FOUND, "model", "no model is served here");
    char names[320] = "";
    size_t length = 0;
    for (size_t i = 0; i < routes->count; i++) {
        const struct service_view *service = &routes->services[i];
        if (service->name_conflict || !exchange_may_use(exchange, service))
            continue;
        uint32_t count = service->ready != NULL ? service->ready->name_count : service->model_name != NULL;
        for (uint32_t n = 0; n < count; n++) {
            int written = snprintf(names + length, sizeof names - length, "%s%s", length != 0 ? ", " : "",
                service->ready != NULL ? service->ready->names[n] : service->model_name);
            if (written < 0 || (size_t)written >= sizeof names - length) {
                names[length] = '\0';
                break;
            }
            length += (size_t)written;
        }
    }
    if (length == 0)
        return pdk_error_set(err, PDK_NOT_FOUND, "model", "The model `%.64s` does not exist.", model);
    return pdk_error_set(
        err, PDK_NOT_FOUND, "model", "The model `%.64s` does not exist. Valid aliases: %s.", model, names);
}

/* Keeps `routes`' reference until the exchange ends. */
static bool keep_routes(struct exchange *exchange, const struct routes *routes)
{
    if (exchange->route_count == EXCHANGE_ROUTES_MAX) {
        routes_unref(routes);
        return false;
    }
    exchange->routes[exchange->route_count++] = routes;
    return true;
}

static pdk_status wait_ready(struct exchange *exchange, const struct service_view **service, pdk_error *err)
{
    struct gateway *gateway = exchange->gateway;
    struct waiting *row = waiting_join(gateway, (*service)->uid);
    if (row == NULL)
        return pdk_error_set(err, PDK_BUSY, NULL,
            "The engine is currently busy and cannot accept new requests. Please try again later or on a different "
            "instance.");
    const struct routes *routes = NULL;
    const struct service_view *ready = NULL;
    int64_t deadline_ms = exchange->started_ms + (int64_t)limit_get(LIMIT_QUEUE_MS);
    pdk_status status = control_wait_ready(
        gateway->control, (*service)->namespace_, (*service)->name, deadline_ms, &routes, &ready, err);
    waiting_leave(gateway, row);
    if (routes != NULL && !keep_routes(exchange, routes))
        return pdk_error_set(err, PDK_INTERNAL, NULL, "the request asked for a service too often");
    if (status == PDK_OK)
        *service = ready;
    return status;
}

static bool has_extension(const struct service_view *service, uint32_t extension)
{
    return (service->ready->extensions & extension) == extension;
}

static pdk_status lacks_extension(uint32_t extension, pdk_error *err)
{
    static const struct {
        uint32_t extension;
        const char *what;
    } words[] = {{READY_GENERATE, "text generation"}, {READY_TOKENIZE, "tokenizing"},
        {READY_INFER, "inference on tensors"}, {READY_POOL, "Embeddings API"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if ((extension & words[i].extension) != 0)
            return pdk_error_set(err, PDK_UNSUPPORTED, NULL, "The model does not support %s", words[i].what);
    return pdk_error_set(err, PDK_UNSUPPORTED, NULL, "The model does not support this request");
}

pdk_status exchange_route(struct exchange *exchange, const char *model, uint32_t extension,
    const struct service_view **ret_service, pdk_error *err)
{
    const struct routes *routes = control_routes(exchange->gateway->control);
    if (!keep_routes(exchange, routes))
        return pdk_error_set(err, PDK_INTERNAL, NULL, "the request asked for a service too often");
    const struct service_view *service = routing_named(exchange, routes);
    bool named = service != NULL;
    if (!named && exchange->service_name[0] != '\0')
        return pdk_error_set(err, PDK_NOT_FOUND, NULL, "no service %s in namespace %s", exchange->service_name,
            exchange->service_namespace);
    if (!named)
        service = find_by_model(exchange, routes, model, extension);
    if (service == NULL)
        return no_model(exchange, routes, model, err);
    if (!exchange_may_use(exchange, service))
        return pdk_error_set(err, PDK_DENIED, NULL, "this API key may not use the service that the request names");
    if (service->phase != SERVICE_READY) {
        pdk_status status = wait_ready(exchange, &service, err);
        if (status != PDK_OK)
            return status;
    }
    if (!has_extension(service, extension))
        return lacks_extension(extension, err);
    if (named && model != NULL && *model != '\0' && !routing_serves(service, model))
        exchange_warn(exchange, "model '%.64s' is not served here, '%s' answered", model, service->ready->names[0]);
    *ret_service = service;
    return PDK_OK;
}
