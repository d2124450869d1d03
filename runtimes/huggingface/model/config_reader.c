/* See the header. */
#include "config.h"

#include "runtimes/huggingface/model/config_reader.h"

#include "core/base/error.h"
#include "runtimes/huggingface/model/printable.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 96 };

/* Takes the next of "a|b|c". False at the end. */
static bool next_name(const char **names, char name[NAME_MAX_BYTES])
{
    if (**names == '\0')
        return false;
    size_t length = strcspn(*names, "|");
    snprintf(name, NAME_MAX_BYTES, "%.*s", (int)length, *names);
    *names += length + ((*names)[length] == '|');
    return true;
}

static void first_name(const char *names, char name[NAME_MAX_BYTES])
{
    next_name(&names, name);
}

pdk_status config_reader_init(struct config_reader *reader, const struct json *config, const struct gguf *gguf,
    const struct json *overrides, pdk_error *err)
{
    *reader = (struct config_reader){.file = config, .gguf = gguf, .overrides = overrides};
    if (overrides != NULL && overrides->count > OVERRIDES_MAX)
        return pdk_error_set(err, PDK_TOO_LARGE, "hf-overrides", "--hf-overrides has %" PRIu32 " keys; the limit is %d",
            overrides->count, OVERRIDES_MAX);
    return PDK_OK;
}

pdk_status config_reader_finish(const struct config_reader *reader, pdk_error *err)
{
    size_t i = 0;
    for (const struct json *at = reader->overrides != NULL ? reader->overrides->child : NULL; at != NULL;
         at = at->next, i++)
        if (!reader->used[i])
            return pdk_error_value(err, PDK_INVALID, "hf-overrides", at->key,
                "--hf-overrides: '%s' has no effect on this model", printable(at->key).text);
    return PDK_OK;
}

static const struct json *find_override(struct config_reader *reader, const char *name)
{
    size_t i = 0;
    for (const struct json *at = reader->overrides != NULL ? reader->overrides->child : NULL; at != NULL;
         at = at->next, i++) {
        if (strcmp(at->key, name) != 0)
            continue;
        reader->used[i] = true;
        return at;
    }
    return NULL;
}

const struct json *config_override(struct config_reader *reader, const char *names)
{
    char name[NAME_MAX_BYTES];
    while (next_name(&names, name)) {
        const struct json *value = find_override(reader, name);
        if (value != NULL)
            return value;
    }
    return NULL;
}

const struct json *config_find(struct config_reader *reader, const char *names)
{
    const struct json *value = config_override(reader, names);
    char name[NAME_MAX_BYTES];
    while (value == NULL && next_name(&names, name)) {
        value = json_get(reader->file, name);
        if (value == NULL)
            value = json_get(reader->outer, name);
        if (value != NULL && value->type == JSON_NULL)
            value = NULL;
    }
    return value != NULL && value->type != JSON_NULL ? value : NULL;
}

/* "hidden_size is 0; it may be 1 to 262144" */
static pdk_status out_of_range(const char *name, double value, const struct config_field *field, pdk_error *err)
{
    return pdk_error_set(
        err, PDK_INVALID, name, "%s is %.17g; it may be %.17g to %.17g", name, value, field->minimum, field->maximum);
}

static pdk_status not_a_number(const char *name, const char *what, const char *is, pdk_error *err)
{
    return pdk_error_set(err, PDK_INVALID, name, "%s must be %s, not %s", name, what, is);
}

static bool in_range(double value, const struct config_field *field)
{
    return value >= field->minimum && value <= field->maximum; /* false for NaN */
}

static void gguf_key(const struct config_reader *reader, const struct config_field *field, char key[NAME_MAX_BYTES * 2])
{
    if (field->gguf[0] == '.')
        snprintf(key, NAME_MAX_BYTES * 2, "%s", field->gguf + 1);
    else
        snprintf(key, NAME_MAX_BYTES * 2, "%s.%s", reader->prefix, field->gguf);
}

static pdk_status gguf_number(struct config_reader *reader, const struct config_field *field, bool whole, double *value,
    bool *ret_found, pdk_error *err)
{
    char key[NAME_MAX_BYTES * 2];
    gguf_key(reader, field, key);
    *ret_found = gguf_has(reader->gguf, key);
    if (!*ret_found)
        return PDK_OK;
    double number;
    uint64_t integer;
    if (whole && !gguf_uint(reader->gguf, key, &integer))
        return not_a_number(key, "a whole number", "that", err);
    if (!gguf_double(reader->gguf, key, &number))
        return not_a_number(key, "a number", "that", err);
    if (!in_range(number, field))
        return out_of_range(key, number, field, err);
    *value = number;
    return PDK_OK;
}

static pdk_status read_number(const char *name, const struct json *json, const struct config_field *field, bool whole,
    double *value, pdk_error *err)
{
    double number;
    if (!json_double(json, &number))
        return not_a_number(name, whole ? "a whole number" : "a number", json_type_name(json), err);
    if (!in_range(number, field))
        return out_of_range(name, number, field, err);
    if (whole && number != trunc(number))
        return pdk_error_set(err, PDK_INVALID, name, "%s is %.17g; it must be a whole number", name, number);
    *value = number;
    return PDK_OK;
}

static pdk_status config_number(struct config_reader *reader, const struct config_field *field, bool whole,
    double *value, bool *ret_found, pdk_error *err)
{
    char name[NAME_MAX_BYTES];
    first_name(field->names, name);
    const struct json *json = config_find(reader, field->names);
    *ret_found = json != NULL;
    if (json != NULL)
        return read_number(json->key != NULL ? json->key : name, json, field, whole, value, err);
    if (reader->gguf != NULL && field->gguf != NULL)
        return gguf_number(reader, field, whole, value, ret_found, err);
    return PDK_OK;
}

pdk_status config_uint(
    struct config_reader *reader, const struct config_field *field, uint32_t *value, bool *ret_found, pdk_error *err)
{
    double number = 0;
    bool found;
    pdk_status status = config_number(reader, field, true, &number, &found, err);
    if (status != PDK_OK)
        return status;
    if (found)
        *value = (uint32_t)number; /* ranges end below 2^32 */
    if (ret_found != NULL)
        *ret_found = found;
    return PDK_OK;
}

pdk_status config_real(
    struct config_reader *reader, const struct config_field *field, double *value, bool *ret_found, pdk_error *err)
{
    bool found;
    pdk_status status = config_number(reader, field, false, value, &found, err);
    if (status == PDK_OK && ret_found != NULL)
        *ret_found = found;
    return status;
}

pdk_status config_flag(struct config_reader *reader, const char *names, bool *value, pdk_error *err)
{
    const struct json *json = config_find(reader, names);
    if (json != NULL && !json_bool(json, value))
        return not_a_number(json->key, "true or false", json_type_name(json), err);
    return PDK_OK;
}

pdk_status config_flag_or_key(
    struct config_reader *reader, const char *names, const char *gguf, bool *value, pdk_error *err)
{
    const struct config_field field = {names, gguf, 0, 1};
    char key[NAME_MAX_BYTES * 2];
    if (config_find(reader, names) != NULL || reader->gguf == NULL)
        return config_flag(reader, names, value, err);
    gguf_key(reader, &field, key);
    if (gguf_has(reader->gguf, key) && !gguf_bool(reader->gguf, key, value))
        return not_a_number(key, "true or false", "that", err);
    return PDK_OK;
}

pdk_status config_text(struct config_reader *reader, const char *names, const char **value, pdk_error *err)
{
    const struct json *json = config_find(reader, names);
    if (json != NULL && !json_string(json, value))
        return not_a_number(json->key, "a string", json_type_name(json), err);
    return PDK_OK;
}

pdk_status json_real(const struct json *object, const char *context, const struct config_field *field, double *value,
    bool *ret_found, pdk_error *err)
{
    const struct json *json = json_get(object, field->names);
    bool found = json != NULL && json->type != JSON_NULL;
    if (ret_found != NULL)
        *ret_found = found;
    if (!found)
        return PDK_OK;
    char name[NAME_MAX_BYTES * 2];
    snprintf(name, sizeof name, "%s%s", context, field->names);
    return read_number(name, json, field, false, value, err);
}
