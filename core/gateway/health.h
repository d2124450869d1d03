/* core/gateway/health.h: whether the daemon lives and takes work; never whether a model does. [gateway-thread] */
#pragma once

#include "core/gateway/exchange.h"

void health_live(struct exchange *exchange);    /* GET /healthz, /livez */
void health_ready(struct exchange *exchange);   /* GET /readyz */
void health_version(struct exchange *exchange); /* GET /version: for kubectl and vLLM's clients in one object */
