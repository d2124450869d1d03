/* /v1/models: what is served under which names, oldest service first. Reads a snapshot; no model is woken. */
#include "config.h"

#include "core/gateway/openai/openai.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/siphash.h"
#include "core/gateway/exchange.h"
#include "core/gateway/routing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

PDK_DEFINE_CLEANUP(const struct routes, routes_unref)

/* Whether the client is told of a service: `only` is the one that path or Host names, or NULL. One that another shadows
 * is reached by its own name alone, so it is listed there alone. */
static bool is_listed(
    const struct exchange *exchange, const struct service_view *service, const struct service_view *only)
{
    if (!exchange_may_use(exchange, service))
        return false;
    if (only != NULL)
        return service == only;
    return service->phase != SERVICE_REFUSED && !service->name_conflict;
}

/* Before a model was ever loaded, its document's name is all that is known. */
static size_t name_count(const struct service_view *service)
{
    return service->ready != NULL ? service->ready->name_count : service->model_name != NULL;
}

static const char *name_at(const struct service_view *service, size_t index)
{
    return service->ready != NULL ? service->ready->names[index] : service->model_name;
}

static void write_permission(struct json_writer *writer, const struct service_view *service, const char *name)
{
    static const struct {
        const char *key;
        bool value;
    } rights[] = {{"allow_create_engine", false}, {"allow_sampling", true}, {"allow_logprobs", true},
        {"allow_search_indices", false}, {"allow_view", true}, {"allow_fine_tuning", false}};
    const struct siphash_key key = {1, 2}; /* an id that stays the same; nothing is kept by it */
    char id[40];
    snprintf(id, sizeof id, "modelperm-%016" PRIx64, siphash64(&key, name, strlen(name)));
    json_write_object(writer);
    json_write_key(writer, "id");
    json_write_string(writer, id);
    json_write_key(writer, "object");
    json_write_string(writer, "model_permission");
    json_write_key(writer, "created");
    json_write_int(writer, service->created);
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
        json_write_key(writer, rights[i].key);
        json_write_bool(writer, rights[i].value);
    }
    json_write_key(writer, "organization");
    json_write_string(writer, "*");
    json_write_key(writer, "group");
    json_write_null(writer);
    json_write_key(writer, "is_blocking");
    json_write_bool(writer, false);
    json_write_end_object(writer);
}

static void write_card(struct json_writer *writer, const struct service_view *service, const char *name)
{
    const struct ready_info *ready = service->ready;
    json_write_object(writer);
    json_write_key(writer, "id");
    json_write_string(writer, name);
    json_write_key(writer, "object");
    json_write_string(writer, "model");
    json_write_key(writer, "created");
    json_write_int(writer, service->created);
    json_write_key(writer, "owned_by");
    json_write_string(writer, "paddock");
    json_write_key(writer, "root");
    json_write_string(writer, ready != NULL && ready->root != NULL ? ready->root : name);
    json_write_key(writer, "parent");
    json_write_null(writer);
    json_write_key(writer, "max_model_len");
    if (ready != NULL && ready->max_model_len != 0)
        json_write_uint(writer, ready->max_model_len);
    else
        json_write_null(writer);
    json_write_key(writer, "permission");
    json_write_array(writer);
    write_permission(writer, service, name);
    json_write_end_array(writer);
    json_write_end_object(writer);
}

static void reply(struct exchange *exchange, const struct buffer *out)
{
    pdk_error err = {0};
    if (!out->failed) {
        exchange_reply(exchange, 200, "application/json", out->data, out->length);
        return;
    }
    pdk_error_set(&err, PDK_NO_MEMORY, NULL, "no memory for the answer");
    exchange_fail(exchange, &err);
}

void openai_models(struct exchange *exchange)
{
    PDK_CLEANUP(routes_unrefp) const struct routes *routes = control_routes(exchange_control(exchange));
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    const struct service_view *only = routing_named(exchange, routes);
    struct json_writer writer = {.out = &out};
    json_write_object(&writer);
    json_write_key(&writer, "object");
    json_write_string(&writer, "list");
    json_write_key(&writer, "data");
    json_write_array(&writer);
    for (size_t i = 0; i < routes->count; i++) {
        const struct service_view *service = &routes->services[i];
        for (size_t j = 0; is_listed(exchange, service, only) && j < name_count(service); j++)
            write_card(&writer, service, name_at(service, j));
    }
    json_write_end_array(&writer);
    json_write_end_object(&writer);
    reply(exchange, &out);
}

/* vLLM's sentence for a model that is not there. */
static void fail_unknown(
    struct exchange *exchange, const struct routes *routes, const struct service_view *only, const char *name)
{
    PDK_CLEANUP(buffer_done) struct buffer names = {0};
    pdk_error err = {0};
    for (size_t i = 0; i < routes->count; i++) {
        const struct service_view *service = &routes->services[i];
        for (size_t j = 0; is_listed(exchange, service, only) && j < name_count(service); j++)
            buffer_printf(&names, "%s%s", names.length == 0 ? "" : ", ", name_at(service, j));
    }
    pdk_error_set(&err, PDK_NOT_FOUND, "model", "The model `%.253s` does not exist. Valid aliases: %s.", name,
        names.length == 0 ? "none" : names.data);
    exchange_fail(exchange, &err);
}

void openai_model(struct exchange *exchange)
{
    static const char before[] = "/models/";
    PDK_CLEANUP(routes_unrefp) const struct routes *routes = control_routes(exchange_control(exchange));
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    const struct service_view *only = routing_named(exchange, routes);
    const char *found = strstr(exchange_path(exchange), before); /* all behind it, as a name may hold slashes */
    const char *name = found == NULL ? "" : found + sizeof before - 1;
    for (size_t i = 0; i < routes->count; i++) {
        const struct service_view *service = &routes->services[i];
        for (size_t j = 0; is_listed(exchange, service, only) && j < name_count(service); j++) {
            if (strcmp(name_at(service, j), name) != 0)
                continue;
            struct json_writer writer = {.out = &out};
            write_card(&writer, service, name);
            reply(exchange, &out);
            return;
        }
    }
    fail_unknown(exchange, routes, only, name);
}
