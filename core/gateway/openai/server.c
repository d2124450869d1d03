/* The small endpoints that tell of the server itself. */
#include "config.h"

#include "core/gateway/openai/openai.h"

#include "core/base/cleanup.h"
#include "core/gateway/exchange.h"
#include "core/gateway/routing.h"

#include <inttypes.h>

PDK_DEFINE_CLEANUP(const struct routes, routes_unref)

void openai_version(struct exchange *exchange)
{
    static const char body[] = "{\"version\":\"" PACKAGE_VERSION "\"}";
    exchange_reply(exchange, 200, "application/json", body, sizeof body - 1);
}

/* vLLM listens once its model is loaded, and scripts wait for this: so not before one of the services is ready, if
 * there are any. /healthz and /readyz tell of the daemon alone. */
void openai_health(struct exchange *exchange)
{
    struct control *control = exchange_control(exchange);
    PDK_CLEANUP(routes_unrefp) const struct routes *routes = control_routes(control);
    const struct service_view *only = routing_named(exchange, routes);
    bool ready = routes->count == 0;
    for (size_t i = 0; i < routes->count; i++)
        ready |= routes->services[i].phase == SERVICE_READY && (only == NULL || only == &routes->services[i]);
    ready &= !control_is_draining(control);
    exchange_reply(exchange, ready ? 200 : 503, NULL, "", 0);
}

void openai_ping(struct exchange *exchange)
{
    openai_health(exchange);
}

void openai_load(struct exchange *exchange)
{
    PDK_CLEANUP(routes_unrefp) const struct routes *routes = control_routes(exchange_control(exchange));
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    uint64_t in_flight = 0;
    for (size_t i = 0; i < routes->count; i++) {
        struct channel_health health = {0};
        if (routes->services[i].channel == NULL)
            continue;
        channel_health(routes->services[i].channel, &health);
        in_flight += health.in_flight;
    }
    buffer_printf(&out, "{\"server_load\":%" PRIu64 "}", in_flight);
    exchange_reply(exchange, 200, "application/json", out.failed ? "{}" : out.data, out.failed ? 2 : out.length);
}
