/* The columns are those of KServe's CRD (additionalPrinterColumns) and of Kubernetes' pods. */
#include "config.h"

#include "core/gateway/resources/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct column {
    const char *name, *type, *format;
    int priority; /* 1: only with -o wide */
};

static const struct column service_columns[] = {{"Name", "string", "name", 0}, {"URL", "string", "", 0},
    {"Ready", "string", "", 0}, {"Prev", "integer", "", 0}, {"Latest", "integer", "", 0},
    {"PrevRolledoutRevision", "string", "", 0}, {"LatestReadyRevision", "string", "", 0}, {"Age", "date", "", 0}};
static const struct column pod_columns[] = {{"Name", "string", "name", 0}, {"Ready", "string", "", 0},
    {"Status", "string", "", 0}, {"Restarts", "string", "", 0}, {"Age", "string", "", 0}, {"IP", "string", "", 1},
    {"Node", "string", "", 1}, {"Nominated Node", "string", "", 1}, {"Readiness Gates", "string", "", 1}};
static const struct column plain_columns[] = {
    {"Name", "string", "name", 0}, {"Status", "string", "", 0}, {"Age", "string", "", 0}};

void table_age(int64_t seconds, char *text)
{
    enum { ROOM = 24 };
    int64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24, years = days / 365;
    int64_t first = seconds, second = 0;
    const char *unit = "s", *lower = "";
    if (seconds < 0)
        first = 0;
    else if (seconds >= 120 && minutes < 180)
        first = minutes, unit = "m", second = minutes < 10 ? seconds % 60 : 0, lower = "s";
    else if (minutes >= 180 && hours < 48)
        first = hours, unit = "h", second = hours < 8 ? minutes % 60 : 0, lower = "m";
    else if (hours >= 48 && years < 2)
        first = days, unit = "d", second = days < 8 ? hours % 24 : 0, lower = "h";
    else if (years >= 2)
        first = years, unit = "y", second = years < 8 ? days % 365 : 0, lower = "d";
    if (second != 0)
        snprintf(text, ROOM, "%" PRId64 "%s%" PRId64 "%s", first, unit, second, lower);
    else
        snprintf(text, ROOM, "%" PRId64 "%s", first, unit);
}

static void write_columns(struct json_writer *writer, const struct column *columns, size_t count)
{
    json_write_array(writer);
    for (size_t i = 0; i < count; i++) {
        json_write_object(writer);
        json_write_key(writer, "name");
        json_write_string(writer, columns[i].name);
        json_write_key(writer, "type");
        json_write_string(writer, columns[i].type);
        json_write_key(writer, "format");
        json_write_string(writer, columns[i].format);
        json_write_key(writer, "description");
        json_write_string(writer, "");
        json_write_key(writer, "priority");
        json_write_int(writer, columns[i].priority);
        json_write_end_object(writer);
    }
    json_write_end_array(writer);
}

void table_begin(struct json_writer *writer, enum resource_kind kind, const char *version)
{
    json_write_object(writer);
    json_write_key(writer, "kind");
    json_write_string(writer, "Table");
    json_write_key(writer, "apiVersion");
    json_write_string(writer, "meta.k8s.io/v1");
    json_write_key(writer, "metadata");
    json_write_object(writer);
    json_write_key(writer, "resourceVersion");
    json_write_string(writer, version);
    json_write_end_object(writer);
    json_write_key(writer, "columnDefinitions");
    if (kind == RESOURCE_SERVICE)
        write_columns(writer, service_columns, sizeof service_columns / sizeof service_columns[0]);
    else if (kind == RESOURCE_POD)
        write_columns(writer, pod_columns, sizeof pod_columns / sizeof pod_columns[0]);
    else
        write_columns(writer, plain_columns, sizeof plain_columns / sizeof plain_columns[0]);
    json_write_key(writer, "rows");
    json_write_array(writer);
}

void table_end(struct json_writer *writer)
{
    json_write_end_array(writer);
    json_write_end_object(writer);
}

/* A value as a cell; null where it is missing. */
static void write_cell(struct json_writer *writer, const struct json *value)
{
    int64_t number;
    const char *text;
    if (json_string(value, &text))
        json_write_string(writer, text);
    else if (value != NULL && json_int64(value, &number))
        json_write_int(writer, number);
    else
        json_write_null(writer);
}

static void write_age(struct json_writer *writer, const struct json *object, int64_t now)
{
    const char *created;
    struct tm at = {0};
    if (!json_string(json_path(object, "metadata.creationTimestamp"), &created) ||
        strptime(created, "%Y-%m-%dT%H:%M:%SZ", &at) == NULL) {
        json_write_null(writer);
        return;
    }
    char text[24];
    table_age(now - (int64_t)timegm(&at), text);
    json_write_string(writer, text);
}

/* The first element of `array` whose member `key` is the string `value`; NULL `value`: is true. */
static const struct json *find_element(const struct json *array, const char *key, const char *value)
{
    if (array == NULL || array->type != JSON_ARRAY)
        return NULL;
    for (const struct json *element = array->child; element != NULL; element = element->next) {
        const struct json *member = json_get(element, key);
        const char *text;
        if (value == NULL ? member != NULL && member->type == JSON_TRUE
                          : json_string(member, &text) && strcmp(text, value) == 0)
            return element;
    }
    return NULL;
}

static const struct json *member_of(const struct json *object, const char *key)
{
    return object != NULL ? json_get(object, key) : NULL;
}

static void service_cells(struct json_writer *writer, const struct json *object, int64_t now)
{
    const struct json *traffic = json_path(object, "status.components.predictor.traffic");
    const struct json *previous = find_element(traffic, "tag", "prev"),
                      *latest = find_element(traffic, "latestRevision", NULL);
    write_cell(writer, json_path(object, "metadata.name"));
    write_cell(writer, json_path(object, "status.url"));
    write_cell(writer, member_of(find_element(json_path(object, "status.conditions"), "type", "Ready"), "status"));
    write_cell(writer, member_of(previous, "percent"));
    write_cell(writer, member_of(latest, "percent"));
    write_cell(writer, member_of(previous, "revisionName"));
    write_cell(writer, member_of(latest, "revisionName"));
    write_age(writer, object, now);
}

static void pod_cells(struct json_writer *writer, const struct json *object, int64_t now)
{
    const struct json *containers = json_path(object, "spec.containers"),
                      *list = json_path(object, "status.containerStatuses");
    unsigned ready = 0, all = containers != NULL ? containers->count : 0;
    int64_t restarts = 0;
    const struct json *waiting = NULL;
    for (const struct json *one = list != NULL ? list->child : NULL; one != NULL; one = one->next) {
        const struct json *is_ready = json_get(one, "ready"), *count = json_get(one, "restartCount");
        int64_t number;
        ready += is_ready != NULL && is_ready->type == JSON_TRUE;
        restarts += count != NULL && json_int64(count, &number) ? number : 0;
        if (waiting == NULL)
            waiting = json_path(one, "state.waiting.reason");
    }
    char text[32];
    snprintf(text, sizeof text, "%u/%u", ready, all);
    write_cell(writer, json_path(object, "metadata.name"));
    json_write_string(writer, text);
    write_cell(writer, waiting != NULL ? waiting : json_path(object, "status.phase"));
    json_write_int(writer, restarts);
    write_age(writer, object, now);
    write_cell(writer, json_path(object, "status.podIP"));
    write_cell(writer, json_path(object, "spec.nodeName"));
    json_write_string(writer, "<none>");
    json_write_string(writer, "<none>");
}

void table_row(struct json_writer *writer, enum resource_kind kind, const struct json *object, bool whole, int64_t now)
{
    json_write_object(writer);
    json_write_key(writer, "cells");
    json_write_array(writer);
    if (kind == RESOURCE_SERVICE) {
        service_cells(writer, object, now);
    } else if (kind == RESOURCE_POD) {
        pod_cells(writer, object, now);
    } else {
        write_cell(writer, json_path(object, "metadata.name"));
        write_cell(writer, json_path(object, "status.phase"));
        write_age(writer, object, now);
    }
    json_write_end_array(writer);
    json_write_key(writer, "object");
    struct buffer text = {0};
    if (whole) {
        json_print(&text, object);
        json_write_raw(writer, text.data != NULL ? text.data : "null", text.data != NULL ? text.length : 4);
    } else {
        json_write_object(writer);
        json_write_key(writer, "kind");
        json_write_string(writer, "PartialObjectMetadata");
        json_write_key(writer, "apiVersion");
        json_write_string(writer, "meta.k8s.io/v1");
        json_write_key(writer, "metadata");
        json_print(&text, json_get(object, "metadata"));
        json_write_raw(writer, text.data != NULL ? text.data : "{}", text.data != NULL ? text.length : 2);
        json_write_end_object(writer);
    }
    buffer_done(&text);
    json_write_end_object(writer);
}
