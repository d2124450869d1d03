/* paddock.conf through the same reader as every other *.conf. One table of scalar settings; listeners and limits have
 * functions of their own. Everything goes into copies first, so that a bad line changes nothing. */
#include "config.h"

#include "core/spec/daemon_config.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/base/nearest.h"
#include "core/spec/conf.h"
#include "core/spec/schema_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FILE_BYTES_MAX = 1 << 20, CONNECTIONS_MIN = 8, CONNECTIONS_MAX = 4096, SECONDS_MAX = 86400 };

enum setting_kind { SETTING_NUMBER, SETTING_BOOLEAN, SETTING_TEXT, SETTING_LEVEL, SETTING_OTHER };

static const struct setting {
    const char *name;
    enum setting_kind kind;
    size_t offset, size;
    uint32_t minimum, maximum; /* of NUMBER */
    const char *choices;       /* of TEXT */
} settings[] = {
#define AT(member) offsetof(struct daemon_config, member), sizeof(((struct daemon_config *)0)->member)
    {"listen", SETTING_OTHER, 0, 0, 0, 0, NULL},
    {"limits", SETTING_OTHER, 0, 0, 0, 0, NULL},
    {"connections", SETTING_NUMBER, AT(connections), CONNECTIONS_MIN, CONNECTIONS_MAX, NULL},
    {"domain", SETTING_TEXT, AT(domain), 0, 0, NULL},
    {"sandbox", SETTING_TEXT, AT(sandbox), 0, 0, "on|strict|off"},
    {"log_level", SETTING_LEVEL, AT(log_level), 0, 0, NULL},
    {"access_log", SETTING_BOOLEAN, AT(access_log), 0, 0, NULL},
    {"load_deadline_s", SETTING_NUMBER, AT(load_deadline_s), 1, SECONDS_MAX, NULL},
    {"ping_deadline_s", SETTING_NUMBER, AT(ping_deadline_s), 1, SECONDS_MAX, NULL},
    {"step_deadline_s", SETTING_NUMBER, AT(step_deadline_s), 1, SECONDS_MAX, NULL},
    {"drain_s", SETTING_NUMBER, AT(drain_s), 0, SECONDS_MAX, NULL},
#undef AT
};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

void daemon_config_default(struct daemon_config *config)
{
    *config = (struct daemon_config){.connections = 512,
        .domain = "example.com",
        .sandbox = "on",
        .log_level = LOG_LEVEL_INFO,
        .access_log = true,
        .load_deadline_s = 600,
        .ping_deadline_s = 6,
        .step_deadline_s = 60,
        .drain_s = 60};
}

static pdk_status copy_text(const struct spec_source *source, const struct json *value, const char *field, char *to,
    size_t room, pdk_error *err)
{
    const char *text;
    if (!json_string(value, &text))
        return spec_fail(source, value, field, err, "wants a text, is %s", json_type_name(value));
    if (strlen(text) >= room)
        return spec_fail(source, value, field, err, "has %zu bytes; the limit is %zu", strlen(text), room - 1);
    snprintf(to, room, "%s", text);
    return PDK_OK;
}

static pdk_status read_number(
    const struct spec_source *source, const struct json *value, const struct setting *setting, void *to, pdk_error *err)
{
    uint64_t number;
    if (!json_uint64(value, &number))
        return spec_fail(source, value, setting->name, err, "wants a number from %u to %u, is %s", setting->minimum,
            setting->maximum, value->type == JSON_NUMBER ? value->text : json_type_name(value));
    if (number < setting->minimum || number > setting->maximum)
        return spec_fail(source, value, setting->name, err, "is %" PRIu64 "; it may be %u to %u", number,
            setting->minimum, setting->maximum);
    *(uint32_t *)to = (uint32_t)number;
    return PDK_OK;
}

static pdk_status read_level(const struct spec_source *source, const struct json *value, int *to, pdk_error *err)
{
    static const char *const names[] = {"error", "warning", "notice", "info", "debug"};
    const char *text = "";
    json_string(value, &text);
    for (int i = 0; i < 5; i++) {
        if (strcmp(text, names[i]) == 0) {
            *to = LOG_LEVEL_ERROR + i;
            return PDK_OK;
        }
    }
    return spec_fail(
        source, value, "log_level", err, "is '%.64s'; it may be error, warning, notice, info or debug", text);
}

static pdk_status read_setting(const struct spec_source *source, const struct json *value,
    const struct setting *setting, struct daemon_config *config, pdk_error *err)
{
    char *to = (char *)config + setting->offset;
    if (setting->kind == SETTING_NUMBER)
        return read_number(source, value, setting, to, err);
    if (setting->kind == SETTING_LEVEL)
        return read_level(source, value, &config->log_level, err);
    if (setting->kind == SETTING_BOOLEAN) {
        bool flag;
        if (!json_bool(value, &flag))
            return spec_fail(source, value, setting->name, err, "wants true or false, is %s", json_type_name(value));
        *(bool *)to = flag;
        return PDK_OK;
    }
    pdk_status status = copy_text(source, value, setting->name, to, setting->size, err);
    if (status != PDK_OK || setting->choices == NULL)
        return status;
    if (!schema_is_choice(setting->choices, to))
        return spec_fail(source, value, setting->name, err, "is '%.64s'; it may be %s", value->text, setting->choices);
    return PDK_OK;
}

static pdk_status read_listener(
    const struct spec_source *source, const struct json *row, struct daemon_config *config, pdk_error *err)
{
    size_t index = config->listener_count;
    char field[64];
    if (row->type != JSON_OBJECT)
        return spec_fail(source, row, "listen", err, "wants groups like { address = \"127.0.0.1:8080\"; }");
    for (const struct json *at = row->child; at != NULL; at = at->next) {
        snprintf(field, sizeof field, "listen[%zu].%.32s", index, at->key);
        pdk_status status = PDK_OK;
        if (strcmp(at->key, "address") == 0) {
            status = copy_text(
                source, at, field, config->listeners[index].address, sizeof config->listeners[index].address, err);
        } else if (strcmp(at->key, "certificate") == 0) {
            status = copy_text(source, at, field, config->listeners[index].certificate,
                sizeof config->listeners[index].certificate, err);
        } else if (strcmp(at->key, "door") == 0) {
            if (!json_bool(at, &config->listeners[index].door))
                status = spec_fail(source, at, field, err, "wants true or false, is %s", json_type_name(at));
        } else {
            struct nearest nearest = nearest_to(at->key);
            nearest_offer(&nearest, "address");
            nearest_offer(&nearest, "door");
            nearest_offer(&nearest, "certificate");
            status = spec_fail(source, at, field, err, "unknown setting%s", nearest_hint(&nearest));
        }
        if (status != PDK_OK)
            return status;
    }
    snprintf(field, sizeof field, "listen[%zu].address", index);
    if (config->listeners[index].address[0] == '\0')
        return spec_fail(source, row, field, err, "is missing: \"127.0.0.1:8080\", \"[::1]:8080\" or \"unix:/PATH\"");
    if (config->listeners[index].door && config->listeners[index].certificate[0] != '\0')
        return spec_fail(source, row, field, err, "a listener with a door takes no certificate; use one of the two");
    config->listener_count++;
    return PDK_OK;
}

static pdk_status read_listeners(
    const struct spec_source *source, const struct json *list, struct daemon_config *config, pdk_error *err)
{
    if (list->type != JSON_ARRAY)
        return spec_fail(source, list, "listen", err, "wants a list like ( { address = \"127.0.0.1:8080\"; } )");
    if (list->count > DAEMON_LISTENERS_MAX)
        return spec_fail(
            source, list, "listen", err, "has %u listeners; the limit is %d", list->count, DAEMON_LISTENERS_MAX);
    memset(config->listeners, 0, sizeof config->listeners);
    config->listener_count = 0;
    for (const struct json *at = list->child; at != NULL; at = at->next) {
        pdk_status status = read_listener(source, at, config, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

/* Limits are checked here and set by the caller, once the whole file is good. */
static pdk_status check_limits(const struct spec_source *source, const struct json *group, pdk_error *err)
{
    if (group->type != JSON_OBJECT)
        return spec_fail(source, group, "limits", err, "wants a group like { queue = 1000; }");
    for (const struct json *at = group->child; at != NULL; at = at->next) {
        char field[80];
        snprintf(field, sizeof field, "limits.%.64s", at->key);
        struct nearest nearest = nearest_to(at->key);
        const struct limit_row *row = NULL;
        for (int i = 0; i < LIMIT_COUNT; i++) {
            const struct limit_row *one = limit_row((enum limit)i);
            nearest_offer(&nearest, one->name);
            if (strcmp(one->name, at->key) == 0)
                row = one;
        }
        uint64_t value = 0;
        if (row == NULL)
            return spec_fail(source, at, field, err, "no such limit%s", nearest_hint(&nearest));
        if (!json_uint64(at, &value) || value < row->minimum || value > row->maximum)
            return spec_fail(source, at, field, err, "is %s; it may be %" PRIu64 " to %" PRIu64 " %s",
                at->type == JSON_NUMBER ? at->text : json_type_name(at), row->minimum, row->maximum, row->unit);
    }
    return PDK_OK;
}

static pdk_status read_root(
    const struct spec_source *source, const struct json *root, struct daemon_config *config, pdk_error *err)
{
    for (const struct json *at = root->child; at != NULL; at = at->next) {
        struct nearest nearest = nearest_to(at->key);
        const struct setting *setting = NULL;
        for (size_t i = 0; i < SETTINGS; i++) {
            nearest_offer(&nearest, settings[i].name);
            if (strcmp(settings[i].name, at->key) == 0)
                setting = &settings[i];
        }
        pdk_status status;
        if (setting == NULL)
            status = spec_fail(source, at, at->key, err, "unknown setting%s", nearest_hint(&nearest));
        else if (strcmp(at->key, "listen") == 0)
            status = read_listeners(source, at, config, err);
        else if (strcmp(at->key, "limits") == 0)
            status = check_limits(source, at, err);
        else
            status = read_setting(source, at, setting, config, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

pdk_status daemon_config_read_text(
    const char *path, const char *text, size_t length, struct daemon_config *config, pdk_error *err)
{
    PDK_CLEANUP(json_document_freep) struct json_document *tree = NULL;
    pdk_status status = conf_read(text, length, &tree, err);
    if (status != PDK_OK)
        return pdk_error_wrap(err, "%s", path);
    struct spec_source source = {.file = path};
    struct daemon_config read = *config;
    status = read_root(&source, json_root(tree), &read, err);
    if (status != PDK_OK)
        return status;
    const struct json *limits = json_get(json_root(tree), "limits");
    limits_reset();
    for (const struct json *at = limits != NULL ? limits->child : NULL; at != NULL; at = at->next) {
        uint64_t value = 0;
        json_uint64(at, &value);
        status = limit_set(at->key, value, err);
        if (status != PDK_OK)
            return status; /* our own mistake: check_limits let it pass */
    }
    *config = read;
    return PDK_OK;
}

pdk_status daemon_config_read(const char *path, struct daemon_config *config, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    pdk_status status = file_read(path, FILE_BYTES_MAX, &text, err);
    if (status == PDK_NOT_FOUND)
        return PDK_OK;
    if (status != PDK_OK)
        return status;
    return daemon_config_read_text(path, text.data != NULL ? text.data : "", text.length, config, err);
}
