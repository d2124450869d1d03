/* See the header. */
#include "config.h"

#include "core/cli/resources.h"

#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char services_path[] = "/apis/serving.kserve.io/v1beta1/inferenceservices";

static int failed(const pdk_error *err)
{
    fprintf(stderr, "paddock: %s\n", err->message);
    return EXIT_FAILURE;
}

static const char *text_at(const struct json *object, const char *path, const char *other)
{
    const char *text;
    return json_string(json_path(object, path), &text) ? text : other;
}

static const struct json *condition(const struct json *service, const char *type)
{
    const struct json *conditions = json_path(service, "status.conditions");
    for (const struct json *c = conditions != NULL ? conditions->child : NULL; c != NULL; c = c->next)
        if (strcmp(text_at(c, "type", ""), type) == 0)
            return c;
    return NULL;
}

static void print_row(const struct json *service)
{
    const struct json *ready = condition(service, "Ready"), *predictor = condition(service, "PredictorReady");
    const char *state = text_at(ready, "status", "Unknown");
    printf("%-24s %-8s %-28s %s\n", text_at(service, "metadata.name", "?"), state,
        text_at(service, "status.components.predictor.latestCreatedRevision", ""),
        strcmp(state, "True") == 0 ? text_at(service, "status.url", "")
                                   : text_at(predictor, "message", text_at(ready, "message", "")));
}

int resources_list(const struct client *client)
{
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    pdk_error err = {0};
    if (client_json(client, services_path, NULL, &document, &err) != PDK_OK)
        return failed(&err);
    const struct json *items = json_get(json_root(document), "items");
    if (items == NULL || items->count == 0) {
        fputs("no services; put one into models.d of the daemon's configuration folder\n", stderr);
        return EXIT_SUCCESS;
    }
    printf("%-24s %-8s %-28s %s\n", "NAME", "READY", "REVISION", "URL OR REASON");
    for (const struct json *service = items->child; service != NULL; service = service->next)
        print_row(service);
    return EXIT_SUCCESS;
}

/* Finds `name` or `namespace/name`. */
static pdk_status get_service(
    const struct client *client, const char *name, struct json_document **ret_document, pdk_error *err)
{
    char path[700], ns[254] = "default";
    const char *slash = strchr(name, '/');
    if (slash != NULL)
        snprintf(ns, sizeof ns, "%.*s", (int)(slash - name), name);
    const char *own = slash != NULL ? slash + 1 : name;
    if (strspn(own, "abcdefghijklmnopqrstuvwxyz0123456789-.") != strlen(own) ||
        strspn(ns, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(ns) || own[0] == '\0' || strlen(own) > 253)
        return pdk_error_value(err, PDK_INVALID, "name", name, "'%.64s' is no service's name", name);
    snprintf(path, sizeof path, "/apis/serving.kserve.io/v1beta1/namespaces/%s/inferenceservices/%s", ns, own);
    return client_json(client, path, NULL, ret_document, err);
}

int resources_status(const struct client *client, const char *name)
{
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    pdk_error err = {0};
    if (get_service(client, name, &document, &err) != PDK_OK)
        return failed(&err);
    const struct json *service = json_root(document);
    printf("name       %s/%s\n", text_at(service, "metadata.namespace", "default"),
        text_at(service, "metadata.name", "?"));
    printf("url        %s\n", text_at(service, "status.url", "-"));
    printf("revision   %s\n", text_at(service, "status.components.predictor.latestCreatedRevision", "-"));
    printf("model      %s, %s\n", text_at(service, "status.modelStatus.states.targetModelState", "-"),
        text_at(service, "status.modelStatus.transitionStatus", "-"));
    const char *why = text_at(service, "status.modelStatus.lastFailureInfo.message", "");
    if (why[0] != '\0')
        printf("failure    %s\n", why);
    const struct json *conditions = json_path(service, "status.conditions");
    for (const struct json *c = conditions != NULL ? conditions->child : NULL; c != NULL; c = c->next)
        printf("condition  %-32s %-8s %s%s%s\n", text_at(c, "type", "?"), text_at(c, "status", "?"),
            text_at(c, "reason", ""), text_at(c, "message", "")[0] != '\0' ? ": " : "", text_at(c, "message", ""));
    return strcmp(text_at(condition(service, "Ready"), "status", ""), "True") == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool print_piece(void *context, const char *data, size_t length)
{
    (void)context;
    return fwrite(data, 1, length, stdout) == length && fflush(stdout) == 0;
}

int resources_logs(const struct client *client, const char *name, bool follow, bool previous, const char *tail)
{
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL, *pods = NULL;
    pdk_error err = {0};
    if (get_service(client, name, &document, &err) != PDK_OK)
        return failed(&err);
    const char *ns = text_at(json_root(document), "metadata.namespace", "default"),
               *own = text_at(json_root(document), "metadata.name", "");
    char path[1024];
    snprintf(path, sizeof path, "/api/v1/namespaces/%s/pods?labelSelector=serving.kserve.io%%2Finferenceservice%%3D%s",
        ns, own);
    if (client_json(client, path, NULL, &pods, &err) != PDK_OK)
        return failed(&err);
    const struct json *items = json_get(json_root(pods), "items");
    if (items == NULL || items->child == NULL) {
        fprintf(stderr, "paddock: %s has no worker yet; `paddock status %s` says why\n", own, own);
        return EXIT_FAILURE;
    }
    snprintf(path, sizeof path, "/api/v1/namespaces/%s/pods/%s/log?follow=%s&previous=%s%s%s", ns,
        text_at(items->child, "metadata.name", ""), follow ? "true" : "false", previous ? "true" : "false",
        tail != NULL ? "&tailLines=" : "", tail != NULL ? tail : "");
    if (client_stream(client, path, NULL, print_piece, NULL, &err) != PDK_OK)
        return failed(&err);
    return EXIT_SUCCESS;
}

bool resources_serves(const struct client *client, const char *name)
{
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    if (client_json(client, "/v1/models", NULL, &document, NULL) != PDK_OK)
        return false;
    const struct json *data = json_get(json_root(document), "data");
    for (const struct json *model = data != NULL ? data->child : NULL; model != NULL; model = model->next)
        if (strcmp(text_at(model, "id", ""), name) == 0)
            return true;
    return false;
}
