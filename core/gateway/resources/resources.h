/* core/gateway/resources/resources.h: the Kubernetes API as far as reading goes; rows of core/gateway/endpoints.c.
 * [gateway-thread] */
#pragma once

#include "core/gateway/exchange.h"

void resources_api(struct exchange *exchange);          /* GET /api */
void resources_apis(struct exchange *exchange);         /* GET /apis */
void resources_group(struct exchange *exchange);        /* GET /apis/serving.kserve.io */
void resources_core_list(struct exchange *exchange);    /* GET /api/v1 */
void resources_serving_list(struct exchange *exchange); /* GET /apis/serving.kserve.io/v1beta1 */
void resources_openapi_v2(struct exchange *exchange);   /* GET /openapi/v2 */
void resources_services(struct exchange *exchange);     /* GET …/inferenceservices */
void resources_service(struct exchange *exchange);      /* GET …/inferenceservices/NAME */
void resources_pods(struct exchange *exchange);         /* GET …/pods */
void resources_pod(struct exchange *exchange);          /* GET …/pods/NAME */
void resources_pod_log(struct exchange *exchange);      /* GET …/pods/NAME/log */
void resources_namespaces(struct exchange *exchange);   /* GET /api/v1/namespaces */
void resources_namespace(struct exchange *exchange);    /* GET /api/v1/namespaces/NAME */
void resources_events(struct exchange *exchange);       /* GET …/events: none are kept yet, an empty list */
void resources_refuse_write(struct exchange *exchange); /* POST, PUT, PATCH, DELETE */
void resources_unknown(struct exchange *exchange);      /* any other path below /api and /apis */
