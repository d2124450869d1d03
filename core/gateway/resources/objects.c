/* Objects come as JSON from control's snapshot and leave as they are; only what a selector or a Table looks at is read.
 */
#include "config.h"

#include "core/gateway/resources/objects.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/gateway/request.h"
#include "core/gateway/resources/resources.h"
#include "core/gateway/resources/selector.h"
#include "core/gateway/resources/table.h"
#include "core/gateway/status_map.h"
#include "core/gateway/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char json_type[] = "application/json";

static const struct {
    const char *list_kind, *api_version, *group, *plural;
} kinds[] = {
    [RESOURCE_SERVICE] = {"InferenceServiceList", "serving.kserve.io/v1beta1", "serving.kserve.io",
        "inferenceservices"},
    [RESOURCE_POD] = {"PodList", "v1", "", "pods"},
    [RESOURCE_NAMESPACE] = {"NamespaceList", "v1", "", "namespaces"},
    [RESOURCE_EVENT] = {"EventList", "v1", "", "events"},
};

/* How the client wants its answer, and which objects. */
struct list_request {
    enum resource_kind kind;
    char labels[512], fields[512];
    const char *namespace_; /* NULL: all */
    bool table, whole;
    char version[24];
    int64_t now;
};

static void routes_unrefp(const struct routes **routes)
{
    routes_unref(*routes);
}

/* The first form of Accept that we know decides. */
static bool wants_table(const struct exchange *exchange)
{
    const char *accept = exchange_header(exchange, "Accept");
    return accept != NULL && strstr(accept, "as=Table") != NULL && strstr(accept, "g=meta.k8s.io") != NULL;
}

static void fail(struct exchange *exchange, pdk_status status, const char *field, const char *message)
{
    pdk_error err = {0};
    pdk_error_set(&err, status, field, "%s", message);
    exchange_fail(exchange, &err);
}

static void reply_missing(struct exchange *exchange, enum resource_kind kind, const char *name)
{
    char message[640];
    bool group = kinds[kind].group[0] != '\0';
    snprintf(message, sizeof message, "%s%s%s \"%.253s\" not found", kinds[kind].plural, group ? "." : "",
        kinds[kind].group, name);
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    const struct status_row *row = status_row(PDK_NOT_FOUND);
    status_kubernetes(&out, row->http, row->reason, message, name, kinds[kind].group, kinds[kind].plural);
    exchange_reply(exchange, row->http, json_type, out.data, out.length);
}

/* False: the query asks for what is not served; it was answered. */
static bool read_request(
    struct exchange *exchange, enum resource_kind kind, const struct routes *routes, struct list_request *request)
{
    char value[64];
    *request = (struct list_request){.kind = kind,
        .namespace_ = exchange_segment(exchange, "namespace"),
        .table = wants_table(exchange),
        .now = wall_seconds()};
    snprintf(request->version, sizeof request->version, "%" PRIu64, routes->version);
    if (exchange_parameter(exchange, "watch", value, sizeof value) && target_truth(value)) {
        fail(exchange, PDK_UNSUPPORTED, "watch", "watch is not served by this release; list again instead");
        return false;
    }
    if (exchange_parameter(exchange, "includeObject", value, sizeof value))
        request->whole = strcmp(value, "Object") == 0;
    bool labels = exchange_parameter(exchange, "labelSelector", request->labels, sizeof request->labels);
    bool fields = exchange_parameter(exchange, "fieldSelector", request->fields, sizeof request->fields);
    if ((!labels && strstr(exchange_query(exchange), "labelSelector=") != NULL) ||
        (!fields && strstr(exchange_query(exchange), "fieldSelector=") != NULL)) {
        fail(exchange, PDK_INVALID, "labelSelector", "labelSelector and fieldSelector may be 511 bytes of UTF-8");
        return false;
    }
    return true;
}

static void begin_list(struct json_writer *writer, const struct list_request *request)
{
    if (request->table) {
        table_begin(writer, request->kind, request->version);
        return;
    }
    json_write_object(writer);
    json_write_key(writer, "kind");
    json_write_string(writer, kinds[request->kind].list_kind);
    json_write_key(writer, "apiVersion");
    json_write_string(writer, kinds[request->kind].api_version);
    json_write_key(writer, "metadata");
    json_write_object(writer);
    json_write_key(writer, "resourceVersion");
    json_write_string(writer, request->version);
    json_write_end_object(writer);
    json_write_key(writer, "items");
    json_write_array(writer);
}

static void end_list(struct json_writer *writer, const struct list_request *request)
{
    if (request->table) {
        table_end(writer);
        return;
    }
    json_write_end_array(writer);
    json_write_end_object(writer);
}

/* Adds one object where the selectors let it pass. */
static pdk_status add_object(
    struct json_writer *writer, const struct list_request *request, const char *json, pdk_error *err)
{
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    pdk_status status = json_read(json, strlen(json), &json_limits_default, &document, err);
    bool matches = false;
    if (status == PDK_OK)
        status = selector_match(request->labels, request->fields, json_root(document), &matches, err);
    if (status != PDK_OK || !matches)
        return status;
    if (request->table)
        table_row(writer, request->kind, json_root(document), request->whole, request->now);
    else
        json_write_raw(writer, json, strlen(json));
    return PDK_OK;
}

static const char *object_json(enum resource_kind kind, const struct service_view *service)
{
    return kind == RESOURCE_POD ? service->pod_json : service->json;
}

static const char *object_name(enum resource_kind kind, const struct service_view *service)
{
    return kind == RESOURCE_POD ? service->pod_name : service->name;
}

static void finish(struct exchange *exchange, const struct buffer *out)
{
    if (out->failed)
        fail(exchange, PDK_NO_MEMORY, NULL, "out of memory");
    else
        exchange_reply(exchange, 200, json_type, out->data, out->length);
}

static void list_objects(struct exchange *exchange, enum resource_kind kind)
{
    PDK_CLEANUP(routes_unrefp) const struct routes *routes = control_routes(exchange_control(exchange));
    PDK_AUTO_FREE struct list_request *request = malloc(sizeof *request);
    if (request == NULL) {
        fail(exchange, PDK_NO_MEMORY, NULL, "out of memory");
        return;
    }
    if (!read_request(exchange, kind, routes, request))
        return;
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    struct json_writer writer = {.out = &out};
    begin_list(&writer, request);
    for (size_t i = 0; i < routes->count; i++) {
        const struct service_view *service = &routes->services[i];
        const char *json = object_json(kind, service);
        if (json == NULL || !exchange_may_use(exchange, service) ||
            (request->namespace_ != NULL && strcmp(request->namespace_, service->namespace_) != 0))
            continue;
        pdk_error err = {0};
        if (add_object(&writer, request, json, &err) != PDK_OK) {
            exchange_fail(exchange, &err);
            return;
        }
    }
    end_list(&writer, request);
    finish(exchange, &out);
}

static void get_object(struct exchange *exchange, enum resource_kind kind)
{
    PDK_CLEANUP(routes_unrefp) const struct routes *routes = control_routes(exchange_control(exchange));
    const char *namespace_ = exchange_segment(exchange, "namespace"), *name = exchange_segment(exchange, "name");
    const char *json = NULL;
    for (size_t i = 0; i < routes->count && json == NULL; i++) {
        const struct service_view *service = &routes->services[i];
        const char *own = object_name(kind, service);
        if (own != NULL && strcmp(own, name) == 0 && strcmp(service->namespace_, namespace_) == 0 &&
            exchange_may_use(exchange, service))
            json = object_json(kind, service);
    }
    if (json == NULL) {
        reply_missing(exchange, kind, name);
        return;
    }
    if (!wants_table(exchange)) {
        exchange_reply(exchange, 200, json_type, json, strlen(json));
        return;
    }
    PDK_AUTO_FREE struct list_request *request = malloc(sizeof *request);
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    struct json_writer writer = {.out = &out};
    pdk_error err = {0};
    if (request == NULL || !read_request(exchange, kind, routes, request))
        return;
    begin_list(&writer, request);
    if (add_object(&writer, request, json, &err) != PDK_OK) {
        exchange_fail(exchange, &err);
        return;
    }
    end_list(&writer, request);
    finish(exchange, &out);
}

void resources_services(struct exchange *exchange)
{
    list_objects(exchange, RESOURCE_SERVICE);
}

void resources_service(struct exchange *exchange)
{
    get_object(exchange, RESOURCE_SERVICE);
}

void resources_pods(struct exchange *exchange)
{
    list_objects(exchange, RESOURCE_POD);
}

void resources_pod(struct exchange *exchange)
{
    get_object(exchange, RESOURCE_POD);
}

/* Namespaces are where services are, and `default`. */
static bool is_new_namespace(const struct routes *routes, size_t index)
{
    const char *name = routes->services[index].namespace_;
    for (size_t i = 0; i < index; i++)
        if (strcmp(routes->services[i].namespace_, name) == 0)
            return false;
    return strcmp(name, "default") != 0;
}

static void namespace_json(const char *name, char *json, size_t room)
{
    snprintf(json, room,
        "{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%.253s\",\"labels\":"
        "{\"kubernetes.io/metadata.name\":\"%.253s\"}},\"spec\":{},\"status\":{\"phase\":\"Active\"}}",
        name, name);
}

void resources_namespaces(struct exchange *exchange)
{
    PDK_CLEANUP(routes_unrefp) const struct routes *routes = control_routes(exchange_control(exchange));
    PDK_AUTO_FREE struct list_request *request = malloc(sizeof *request);
    PDK_AUTO_FREE char *json = malloc(1024);
    if (request == NULL || json == NULL || !read_request(exchange, RESOURCE_NAMESPACE, routes, request))
        return;
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    struct json_writer writer = {.out = &out};
    pdk_error err = {0};
    begin_list(&writer, request);
    namespace_json("default", json, 1024);
    pdk_status status = add_object(&writer, request, json, &err);
    for (size_t i = 0; i < routes->count && status == PDK_OK; i++)
        if (is_new_namespace(routes, i)) {
            namespace_json(routes->services[i].namespace_, json, 1024);
            status = add_object(&writer, request, json, &err);
        }
    if (status != PDK_OK) {
        exchange_fail(exchange, &err);
        return;
    }
    end_list(&writer, request);
    finish(exchange, &out);
}

void resources_namespace(struct exchange *exchange)
{
    PDK_CLEANUP(routes_unrefp) const struct routes *routes = control_routes(exchange_control(exchange));
    const char *name = exchange_segment(exchange, "namespace");
    bool known = strcmp(name, "default") == 0;
    for (size_t i = 0; i < routes->count && !known; i++)
        known = strcmp(routes->services[i].namespace_, name) == 0;
    if (!known) {
        reply_missing(exchange, RESOURCE_NAMESPACE, name);
        return;
    }
    PDK_AUTO_FREE char *json = malloc(1024);
    if (json == NULL)
        return;
    namespace_json(name, json, 1024);
    exchange_reply(exchange, 200, json_type, json, strlen(json));
}

void resources_events(struct exchange *exchange)
{
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    struct json_writer writer = {.out = &out};
    struct list_request request = {.kind = RESOURCE_EVENT, .version = "0", .table = wants_table(exchange)};
    begin_list(&writer, &request);
    end_list(&writer, &request);
    finish(exchange, &out);
}

void resources_refuse_write(struct exchange *exchange)
{
    static const char message[] =
        "this release serves reads only: documents live in /etc/paddock/models.d and runtimes.d; edit "
        "them and run `paddock reload`";
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    exchange_add_header(exchange, "Allow", "GET");
    status_kubernetes(&out, 405, "MethodNotAllowed", message, exchange_segment(exchange, "name"), NULL, NULL);
    exchange_reply(exchange, 405, json_type, out.data, out.length);
}

void resources_unknown(struct exchange *exchange)
{
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    const struct status_row *row = status_row(PDK_NOT_FOUND);
    status_kubernetes(
        &out, row->http, row->reason, "the server could not find the requested resource", NULL, NULL, NULL);
    exchange_reply(exchange, row->http, json_type, out.data, out.length);
}
