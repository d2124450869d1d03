/* core/gateway/routing.h: which service a request is for; the deciding part is pure. */
#pragma once

#include "core/control/control.h"

#include <stdbool.h>
#include <stddef.h>

struct exchange;

/* Whether `host` (lower case, without port) reaches `service`: NAME.NAMESPACE.DOMAIN, the same with NAME-predictor or
 * NAME-predictor-default, NAME.NAMESPACE, and the cluster's inner names, NAME.NAMESPACE.svc[.cluster.local]. */
bool routing_host_is(const struct service_view *service, const char *host);
/* Whether a service is served under `model`. */
bool routing_serves(const struct service_view *service, const char *model);
bool routing_knows_host(struct control *control, const char *host);
/* Whether the path begins with the --root-path of a service that is ready, the oldest such: then it is named, and
 * exchange->rest is what stands behind. */
bool routing_take_root_path(struct exchange *exchange);
/* The service that the request's path or Host names, or NULL. */
const struct service_view *routing_named(const struct exchange *exchange, const struct routes *routes);
