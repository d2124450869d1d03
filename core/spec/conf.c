/* libconfig's own tree is walked once into ours; depth is bounded by the scan before. */
#include "config.h"

#include "core/spec/conf.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "core/spec/conf_scan.h"

#include <inttypes.h>
#include <libconfig.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static pdk_status out_of_memory(pdk_error *err)
{
    return pdk_error_set(err, PDK_NO_MEMORY, "conf", "no memory for the document");
}

/* The value of a leaf as JSON writes it. */
static pdk_status leaf_text(config_setting_t *setting, char *number, size_t room, enum json_type *ret_type,
    const char **ret_text, pdk_error *err)
{
    *ret_text = number;
    *ret_type = JSON_NUMBER;
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_INT: snprintf(number, room, "%d", config_setting_get_int(setting)); return PDK_OK;
    case CONFIG_TYPE_INT64: snprintf(number, room, "%lld", config_setting_get_int64(setting)); return PDK_OK;
    case CONFIG_TYPE_FLOAT: {
        double value = config_setting_get_float(setting);
        if (!isfinite(value))
            return pdk_error_set(
                err, PDK_INVALID, "conf", "a number out of range at line %u", config_setting_source_line(setting));
        snprintf(number, room, "%.17g", value);
        return PDK_OK;
    }
    case CONFIG_TYPE_BOOL:
        *ret_text = NULL;
        *ret_type = config_setting_get_bool(setting) ? JSON_TRUE : JSON_FALSE;
        return PDK_OK;
    default: break;
    }
    const char *text = config_setting_get_string(setting);
    *ret_type = JSON_STRING;
    *ret_text = text != NULL ? text : "";
    size_t bad;
    if (!utf8_valid(*ret_text, strlen(*ret_text), &bad))
        return pdk_error_set(
            err, PDK_INVALID, "conf", "invalid UTF-8 in a text at line %u", config_setting_source_line(setting));
    return PDK_OK;
}

static pdk_status copy_setting(
    struct json_document *document, struct json *parent, config_setting_t *setting, pdk_error *err)
{
    const char *name = parent != NULL ? config_setting_name(setting) : NULL;
    size_t name_length = name != NULL ? strlen(name) : 0;
    bool group = config_setting_is_group(setting), aggregate = config_setting_is_aggregate(setting);
    char number[40];
    const char *text = NULL;
    enum json_type type = group ? JSON_OBJECT : JSON_ARRAY;
    if (!aggregate) {
        pdk_status status = leaf_text(setting, number, sizeof number, &type, &text, err);
        if (status != PDK_OK)
            return status;
    }
    struct json *node = json_add(document, parent, type, name, name_length, text, text != NULL ? strlen(text) : 0);
    if (node == NULL)
        return out_of_memory(err);
    node->line = config_setting_source_line(setting);
    for (int i = 0; aggregate && i < config_setting_length(setting); i++) {
        config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
        pdk_status status = copy_setting(document, node, element, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

pdk_status conf_read(const char *text, size_t length, struct json_document **ret_document, pdk_error *err)
{
    pdk_status status = conf_scan(text, length, err);
    if (status != PDK_OK)
        return status;
    PDK_AUTO_FREE char *copy = strndup(text, length);
    PDK_CLEANUP(json_document_freep) struct json_document *document = json_document_new();
    if (copy == NULL || document == NULL)
        return out_of_memory(err);
    config_t config;
    config_init(&config);
    if (config_read_string(&config, copy) != CONFIG_TRUE)
        status = pdk_error_set(
            err, PDK_INVALID, "conf", "%s at line %d", config_error_text(&config), config_error_line(&config));
    else
        status = copy_setting(document, NULL, config_root_setting(&config), err);
    config_destroy(&config);
    if (status == PDK_OK)
        *ret_document = PDK_STEAL(document);
    return status;
}
