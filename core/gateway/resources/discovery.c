/* What there is to read, in both forms that clients ask for: the aggregated one (kubectl) and the old lists (`kubectl
 * auth`, Python's DynamicClient). All of it is fixed text. */
#include "config.h"

#include "core/gateway/resources/resources.h"

#include <string.h>

#define VERBS "\"verbs\":[\"get\",\"list\"]"
#define AGGREGATED(group, version, kind, plural, singular, scope, short_names)                      \
    "{\"resource\":\"" plural "\",\"responseKind\":{\"group\":\"" group "\",\"version\":\"" version \
    "\",\"kind\":\"" kind "\"},\"scope\":\"" scope "\",\"singularResource\":\"" singular "\"," short_names VERBS "}"
#define LISTED(kind, plural, singular, namespaced, short_names)                                                 \
    "{\"name\":\"" plural "\",\"singularName\":\"" singular "\",\"namespaced\":" namespaced ",\"kind\":\"" kind \
    "\"," short_names VERBS "}"
#define DISCOVERY(items)                                                                                              \
    "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/v2\",\"metadata\":{},\"items\":[" items \
    "]}"
#define GROUP                                                                             \
    "\"name\":\"serving.kserve.io\",\"versions\":[{\"groupVersion\":\"serving.kserve.io/" \
    "v1beta1\",\"version\":\"v1beta1\"}],"                                                \
    "\"preferredVersion\":{\"groupVersion\":\"serving.kserve.io/v1beta1\",\"version\":\"v1beta1\"}"

static const char aggregated_type[] = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

static void reply_text(struct exchange *exchange, const char *type, const char *text)
{
    exchange_reply(exchange, 200, type, text, strlen(text));
}

static bool wants_aggregated(const struct exchange *exchange)
{
    const char *accept = exchange_header(exchange, "Accept");
    return accept != NULL && strstr(accept, "v=v2;as=APIGroupDiscoveryList") != NULL;
}

static void reply_either(struct exchange *exchange, const char *aggregated, const char *old)
{
    if (wants_aggregated(exchange))
        reply_text(exchange, aggregated_type, aggregated);
    else
        reply_text(exchange, "application/json", old);
}

void resources_api(struct exchange *exchange)
{
    reply_either(exchange,
        DISCOVERY(
            "{\"metadata\":{},\"versions\":[{\"version\":\"v1\",\"freshness\":\"Current\",\"resources\":[" AGGREGATED(
                "", "v1", "Namespace", "namespaces", "namespace", "Cluster",
                "\"shortNames\":[\"ns\"],") "," AGGREGATED("", "v1", "Event", "events", "event", "Namespaced",
                "\"shortNames\":[\"ev\"],") ","
                                            "{\"resource\":\"pods\",\"responseKind\":{\"group\":\"\",\"version\":"
                                            "\"v1\",\"kind\":\"Pod\"},\"scope\":\"Namespaced\","
                                            "\"singularResource\":\"pod\",\"shortNames\":[\"po\"],\"categories\":["
                                            "\"all\"]," VERBS ",\"subresources\":[{\"subresource\":"
                                            "\"log\",\"responseKind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":"
                                            "\"Pod\"},\"verbs\":[\"get\"]}]}"
                                            "]}]}"),
        "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":[]}");
}

void resources_apis(struct exchange *exchange)
{
    reply_either(exchange,
        DISCOVERY("{\"metadata\":{\"name\":\"serving.kserve.io\"},\"versions\":[{\"version\":\"v1beta1\",\"freshness\":"
                  "\"Current\","
                  "\"resources\":[" AGGREGATED("serving.kserve.io", "v1beta1", "InferenceService", "inferenceservices",
                      "inferenceservice", "Namespaced", "\"shortNames\":[\"isvc\"],") "]}]}"),
        "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[{" GROUP "}]}");
}

void resources_group(struct exchange *exchange)
{
    reply_text(exchange, "application/json", "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\"," GROUP "}");
}

void resources_core_list(struct exchange *exchange)
{
    reply_text(exchange, "application/json",
        "{\"kind\":\"APIResourceList\",\"groupVersion\":\"v1\",\"resources\":[" LISTED(
            "Namespace", "namespaces", "namespace", "false", "\"shortNames\":[\"ns\"],") "," LISTED("Event", "events",
            "event", "true", "\"shortNames\":[\"ev\"],") "," LISTED("Pod", "pods", "pod", "true",
            "\"shortNames\":[\"po\"],\"categories\":[\"all\"],") ","
                                                                 "{\"name\":\"pods/"
                                                                 "log\",\"singularName\":\"\",\"namespaced\":true,"
                                                                 "\"kind\":\"Pod\",\"verbs\":[\"get\"]}]}");
}

void resources_serving_list(struct exchange *exchange)
{
    reply_text(exchange, "application/json",
        "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"serving.kserve.io/"
        "v1beta1\",\"resources\":[" LISTED(
            "InferenceService", "inferenceservices", "inferenceservice", "true", "\"shortNames\":[\"isvc\"],") "]}");
}

/* An empty protobuf document, and no /openapi/v3: kubectl then leaves validation to the server. */
void resources_openapi_v2(struct exchange *exchange)
{
    exchange_reply(exchange, 200, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf", "", 0);
}
