/* One table of the sampling defaults, so that reading and writing cannot differ. */
#include "config.h"

#include "core/ipc/ready.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <stddef.h>
#include <string.h>

PDK_DEFINE_CLEANUP(struct ready_info, ready_info_free)

enum { STRING_MAX = 4096 };

static const struct {
    const char *name;
    enum ready_extension bit;
} extensions[] = {
    {"generate", READY_GENERATE}, {"tokenize", READY_TOKENIZE}, {"infer", READY_INFER}, {"embed", READY_EMBED},
    {"score", READY_SCORE},
};

enum default_type { DOUBLE, INT64, INT32 };

static const struct {
    const char *name;
    uint32_t has;
    enum default_type type;
    size_t offset;
} defaults[] = {
    {"temperature", PDK_HAS_TEMPERATURE, DOUBLE, offsetof(pdk_sampling, temperature)},
    {"top_p", PDK_HAS_TOP_P, DOUBLE, offsetof(pdk_sampling, top_p)},
    {"top_k", PDK_HAS_TOP_K, INT32, offsetof(pdk_sampling, top_k)},
    {"min_p", PDK_HAS_MIN_P, DOUBLE, offsetof(pdk_sampling, min_p)},
    {"repetition_penalty", PDK_HAS_REPETITION_PENALTY, DOUBLE, offsetof(pdk_sampling, repetition_penalty)},
    {"frequency_penalty", PDK_HAS_FREQUENCY_PENALTY, DOUBLE, offsetof(pdk_sampling, frequency_penalty)},
    {"presence_penalty", PDK_HAS_PRESENCE_PENALTY, DOUBLE, offsetof(pdk_sampling, presence_penalty)},
    {"seed", PDK_HAS_SEED, INT64, offsetof(pdk_sampling, seed)},
    {"max_tokens", PDK_HAS_MAX_TOKENS, INT32, offsetof(pdk_sampling, max_tokens)},
    {"min_tokens", PDK_HAS_MIN_TOKENS, INT32, offsetof(pdk_sampling, min_tokens)},
    {"logprobs", PDK_HAS_LOGPROBS, INT32, offsetof(pdk_sampling, logprobs)},
    {"prompt_logprobs", PDK_HAS_PROMPT_LOGPROBS, INT32, offsetof(pdk_sampling, prompt_logprobs)},
    {"truncate_prompt", PDK_HAS_TRUNCATE_PROMPT, INT64, offsetof(pdk_sampling, truncate_prompt)},
};

struct ready_info *ready_info_free(struct ready_info *info)
{
    if (info == NULL)
        return NULL;
    for (size_t i = 0; i < READY_NAMES_MAX; i++)
        free(info->names[i]);
    free(info->root);
    free(info->fingerprint);
    free(info->runtime);
    free(info->sandbox);
    free(info);
    return NULL;
}

static pdk_status wrong(pdk_error *err, const char *field, const struct json *value, const char *wanted)
{
    return pdk_error_set(err, PDK_INVALID, field, "ready: %s is %s, not %s", field, json_type_name(value), wanted);
}

static pdk_status read_string(const struct json *payload, const char *field, char **ret_text, pdk_error *err)
{
    const struct json *value = json_get(payload, field);
    const char *text = "";
    if (value != NULL && (!json_string(value, &text) || value->length > STRING_MAX))
        return wrong(err, field, value, "a string of at most 4096 bytes");
    char *copy = strdup(text);
    if (copy == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, field, "ready: no memory for %s", field);
    *ret_text = copy;
    return PDK_OK;
}

static pdk_status read_u32(const struct json *payload, const char *field, uint32_t *ret_number, pdk_error *err)
{
    const struct json *value = json_get(payload, field);
    uint64_t number = 0;
    if (value != NULL && (!json_uint64(value, &number) || number > UINT32_MAX))
        return wrong(err, field, value, "an integer of 0 to 4294967295");
    *ret_number = (uint32_t)number;
    return PDK_OK;
}

static pdk_status read_bool(const struct json *payload, const char *field, bool *ret_value, pdk_error *err)
{
    const struct json *value = json_get(payload, field);
    *ret_value = false;
    return value == NULL || json_bool(value, ret_value) ? PDK_OK : wrong(err, field, value, "true or false");
}

static pdk_status read_extensions(const struct json *payload, struct ready_info *info, pdk_error *err)
{
    const struct json *list = json_get(payload, "extensions");
    if (list == NULL || list->type != JSON_ARRAY)
        return wrong(err, "extensions", list, "a list");
    for (const struct json *item = list->child; item != NULL; item = item->next) {
        const char *name;
        if (!json_string(item, &name))
            return wrong(err, "extensions", item, "a list of names");
        for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++)
            if (strcmp(name, extensions[i].name) == 0)
                info->extensions |= extensions[i].bit;
    }
    return PDK_OK;
}

static pdk_status read_names(const struct json *payload, struct ready_info *info, pdk_error *err)
{
    const struct json *list = json_get(payload, "names");
    if (list == NULL || list->type != JSON_ARRAY || list->count == 0)
        return wrong(err, "names", list, "a list of at least one name");
    if (list->count > READY_NAMES_MAX)
        return pdk_error_set(err, PDK_INVALID, "names", "ready: %u names; the limit is %d", list->count, (int)READY_NAMES_MAX);
    for (const struct json *item = list->child; item != NULL; item = item->next) {
        const char *name;
        if (!json_string(item, &name) || item->length == 0 || item->length > STRING_MAX)
            return wrong(err, "names", item, "a list of names");
        info->names[info->name_count] = strdup(name);
        if (info->names[info->name_count++] == NULL)
            return pdk_error_set(err, PDK_NO_MEMORY, "names", "ready: no memory for names");
    }
    return PDK_OK;
}

static pdk_status read_eos(const struct json *payload, struct ready_info *info, pdk_error *err)
{
    const struct json *list = json_get(payload, "eos_ids");
    if (list == NULL)
        return PDK_OK;
    if (list->type != JSON_ARRAY || list->count > READY_EOS_MAX)
        return wrong(err, "eos_ids", list, "a list of at most 64 ids");
    for (const struct json *item = list->child; item != NULL; item = item->next) {
        uint64_t id;
        if (!json_uint64(item, &id) || id > UINT32_MAX)
            return wrong(err, "eos_ids", item, "a list of ids");
        info->eos_ids[info->eos_count++] = (uint32_t)id;
    }
    return PDK_OK;
}

static bool read_default(const struct json *value, size_t row, pdk_sampling *sampling)
{
    char *to = (char *)sampling + defaults[row].offset;
    int64_t integer = 0;
    double number = 0;
    if (defaults[row].type == DOUBLE) {
        if (!json_double(value, &number))
            return false;
        memcpy(to, &number, sizeof number);
        return true;
    }
    if (!json_int64(value, &integer))
        return false;
    if (defaults[row].type == INT64) {
        memcpy(to, &integer, sizeof integer);
        return true;
    }
    int32_t narrow = (int32_t)integer;
    memcpy(to, &narrow, sizeof narrow);
    return integer >= INT32_MIN && integer <= INT32_MAX;
}

static pdk_status read_defaults(const struct json *payload, struct ready_info *info, pdk_error *err)
{
    const struct json *object = json_get(payload, "defaults");
    info->defaults.size = sizeof info->defaults;
    info->defaults.n = 1;
    if (object == NULL)
        return PDK_OK;
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
        const struct json *value = json_get(object, defaults[i].name);
        if (value == NULL)
            continue;
        if (!read_default(value, i, &info->defaults))
            return wrong(err, defaults[i].name, value, "a number in range");
        info->defaults.has |= defaults[i].has;
    }
    return PDK_OK;
}

pdk_status ready_info_read(const struct json *payload, struct ready_info **ret_info, pdk_error *err)
{
    PDK_CLEANUP(ready_info_freep) struct ready_info *info = calloc(1, sizeof *info);
    if (info == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "ready", "ready: no memory");
    if (payload == NULL || payload->type != JSON_OBJECT)
        return wrong(err, "ready", payload, "an object");
    const struct json *memory = json_get(payload, "memory_bytes");
    if (memory != NULL && !json_uint64(memory, &info->memory_bytes))
        return wrong(err, "memory_bytes", memory, "a count of bytes");
    pdk_status status;
    if ((status = read_extensions(payload, info, err)) != PDK_OK || (status = read_names(payload, info, err)) != PDK_OK ||
        (status = read_eos(payload, info, err)) != PDK_OK || (status = read_defaults(payload, info, err)) != PDK_OK ||
        (status = read_u32(payload, "vocabulary_size", &info->vocabulary_size, err)) != PDK_OK ||
        (status = read_u32(payload, "max_model_len", &info->max_model_len, err)) != PDK_OK ||
        (status = read_u32(payload, "max_logprobs", &info->max_logprobs, err)) != PDK_OK ||
        (status = read_bool(payload, "has_tokenizer", &info->has_tokenizer, err)) != PDK_OK ||
        (status = read_bool(payload, "has_template", &info->has_template, err)) != PDK_OK ||
        (status = read_string(payload, "root", &info->root, err)) != PDK_OK ||
        (status = read_string(payload, "fingerprint", &info->fingerprint, err)) != PDK_OK ||
        (status = read_string(payload, "runtime", &info->runtime, err)) != PDK_OK ||
        (status = read_string(payload, "sandbox", &info->sandbox, err)) != PDK_OK)
        return status;
    *ret_info = PDK_STEAL(info);
    return PDK_OK;
}

static void write_defaults(struct json_writer *writer, const pdk_sampling *sampling)
{
    json_write_key(writer, "defaults");
    json_write_object(writer);
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
        if ((sampling->has & defaults[i].has) == 0)
            continue;
        const char *from = (const char *)sampling + defaults[i].offset;
        double number;
        int64_t wide;
        int32_t narrow;
        json_write_key(writer, defaults[i].name);
        switch (defaults[i].type) {
        case DOUBLE: memcpy(&number, from, sizeof number); json_write_double(writer, number); break;
        case INT64: memcpy(&wide, from, sizeof wide); json_write_int(writer, wide); break;
        case INT32: memcpy(&narrow, from, sizeof narrow); json_write_int(writer, narrow); break;
        }
    }
    json_write_end_object(writer);
}

static void write_string(struct json_writer *writer, const char *key, const char *text)
{
    if (text == NULL)
        return;
    json_write_key(writer, key);
    json_write_text(writer, text, strlen(text));
}

static void write_uint(struct json_writer *writer, const char *key, uint64_t number)
{
    json_write_key(writer, key);
    json_write_uint(writer, number);
}

void ready_info_write(struct buffer *out, const struct ready_info *info)
{
    struct json_writer writer = {.out = out};
    json_write_object(&writer);
    json_write_key(&writer, "extensions");
    json_write_array(&writer);
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++)
        if ((info->extensions & extensions[i].bit) != 0)
            json_write_string(&writer, extensions[i].name);
    json_write_end_array(&writer);
    json_write_key(&writer, "names");
    json_write_array(&writer);
    for (size_t i = 0; i < info->name_count; i++)
        json_write_text(&writer, info->names[i], strlen(info->names[i]));
    json_write_end_array(&writer);
    json_write_key(&writer, "eos_ids");
    json_write_array(&writer);
    for (size_t i = 0; i < info->eos_count; i++)
        json_write_uint(&writer, info->eos_ids[i]);
    json_write_end_array(&writer);
    write_uint(&writer, "vocabulary_size", info->vocabulary_size);
    write_uint(&writer, "max_model_len", info->max_model_len);
    write_uint(&writer, "max_logprobs", info->max_logprobs);
    write_uint(&writer, "memory_bytes", info->memory_bytes);
    json_write_key(&writer, "has_tokenizer");
    json_write_bool(&writer, info->has_tokenizer);
    json_write_key(&writer, "has_template");
    json_write_bool(&writer, info->has_template);
    write_string(&writer, "root", info->root);
    write_string(&writer, "fingerprint", info->fingerprint);
    write_string(&writer, "runtime", info->runtime);
    write_string(&writer, "sandbox", info->sandbox);
    write_defaults(&writer, &info->defaults);
    json_write_end_object(&writer);
}
