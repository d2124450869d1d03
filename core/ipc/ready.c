/* Reading keeps its first failure and goes on without effect, so that a payload reads as a list of fields. */
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
    {"generate", READY_GENERATE},
    {"tokenize", READY_TOKENIZE},
    {"infer", READY_INFER},
    {"pool", READY_POOL},
};

/* The sampling defaults by type; one list for reading and writing. */
struct default_field {
    const char *name;
    uint32_t has;
    size_t offset;
};

static const struct default_field doubles[] = {
    {"temperature", PDK_HAS_TEMPERATURE, offsetof(pdk_sampling, temperature)},
    {"top_p", PDK_HAS_TOP_P, offsetof(pdk_sampling, top_p)},
    {"min_p", PDK_HAS_MIN_P, offsetof(pdk_sampling, min_p)},
    {"repetition_penalty", PDK_HAS_REPETITION_PENALTY, offsetof(pdk_sampling, repetition_penalty)},
    {"frequency_penalty", PDK_HAS_FREQUENCY_PENALTY, offsetof(pdk_sampling, frequency_penalty)},
    {"presence_penalty", PDK_HAS_PRESENCE_PENALTY, offsetof(pdk_sampling, presence_penalty)},
};

static const struct default_field wides[] = {
    {"seed", PDK_HAS_SEED, offsetof(pdk_sampling, seed)},
    {"truncate_prompt", PDK_HAS_TRUNCATE_PROMPT, offsetof(pdk_sampling, truncate_prompt)},
};

static const struct default_field narrows[] = {
    {"top_k", PDK_HAS_TOP_K, offsetof(pdk_sampling, top_k)},
    {"max_tokens", PDK_HAS_MAX_TOKENS, offsetof(pdk_sampling, max_tokens)},
    {"min_tokens", PDK_HAS_MIN_TOKENS, offsetof(pdk_sampling, min_tokens)},
    {"logprobs", PDK_HAS_LOGPROBS, offsetof(pdk_sampling, logprobs)},
    {"prompt_logprobs", PDK_HAS_PROMPT_LOGPROBS, offsetof(pdk_sampling, prompt_logprobs)},
};

static const struct {
    const char *name;
    size_t offset;
} switches[] = {
    {"has_tokenizer", offsetof(struct ready_info, has_tokenizer)},
    {"has_template", offsetof(struct ready_info, has_template)},
    {"auto_tools", offsetof(struct ready_info, auto_tools)},
    {"forced_tools", offsetof(struct ready_info, forced_tools)},
    {"parses_reasoning", offsetof(struct ready_info, parses_reasoning)},
    {"scores_pairs_by_cosine", offsetof(struct ready_info, scores_pairs_by_cosine)},
    {"matryoshka", offsetof(struct ready_info, matryoshka)},
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

struct ready_info *ready_info_free(struct ready_info *info)
{
    if (info == NULL)
        return NULL;
    for (size_t i = 0; i < READY_NAMES_MAX; i++)
        free(info->names[i]);
    for (size_t i = 0; info->class_labels != NULL && i < info->class_count; i++)
        free(info->class_labels[i]);
    free(info->class_labels);
    free(info->root);
    free(info->fingerprint_text);
    free(info->response_role);
    free(info->root_path);
    free(info->fingerprint);
    free(info->runtime);
    free(info->sandbox);
    free(info);
    return NULL;
}

/* A payload being read, and the first thing that is wrong with it. */
struct reading {
    const struct json *payload;
    pdk_error *err;
    pdk_status status;
};

static void wrong(struct reading *reading, const char *field, const struct json *value, const char *wanted)
{
    if (reading->status == PDK_OK)
        reading->status = pdk_error_set(
            reading->err, PDK_INVALID, field, "ready: %s is %s, not %s", field, json_type_name(value), wanted);
}

static char *copy(struct reading *reading, const char *field, const char *text)
{
    char *made = strdup(text);
    if (made == NULL && reading->status == PDK_OK)
        reading->status = pdk_error_set(reading->err, PDK_NO_MEMORY, field, "ready: no memory for %s", field);
    return made;
}

static void read_string(struct reading *reading, const char *field, char **ret_text)
{
    const struct json *value = json_get(reading->payload, field);
    const char *text = "";
    if (value != NULL && (!json_string(value, &text) || value->length > STRING_MAX))
        wrong(reading, field, value, "a string of at most 4096 bytes");
    else
        *ret_text = copy(reading, field, text);
}

static void read_u32(struct reading *reading, const char *field, uint32_t *ret_number)
{
    const struct json *value = json_get(reading->payload, field);
    uint64_t number = 0;
    if (value != NULL && (!json_uint64(value, &number) || number > UINT32_MAX))
        wrong(reading, field, value, "an integer of 0 to 4294967295");
    *ret_number = (uint32_t)number;
}

static void read_u64(struct reading *reading, const char *field, uint64_t *ret_number)
{
    const struct json *value = json_get(reading->payload, field);
    if (value != NULL && !json_uint64(value, ret_number))
        wrong(reading, field, value, "an integer of 0 to 18446744073709551615");
}

static void read_bool(struct reading *reading, const char *field, bool *ret_value)
{
    const struct json *value = json_get(reading->payload, field);
    if (value != NULL && !json_bool(value, ret_value))
        wrong(reading, field, value, "true or false");
}

/* Names that are not known are those of a newer worker. */
static void read_extensions(struct reading *reading, struct ready_info *info)
{
    const struct json *list = json_get(reading->payload, "extensions");
    if (list == NULL || list->type != JSON_ARRAY) {
        wrong(reading, "extensions", list, "a list");
        return;
    }
    for (const struct json *item = list->child; item != NULL; item = item->next) {
        const char *name = "";
        if (!json_string(item, &name))
            wrong(reading, "extensions", item, "a name");
        for (size_t i = 0; i < COUNT(extensions); i++)
            if (strcmp(name, extensions[i].name) == 0)
                info->extensions |= extensions[i].bit;
    }
}

static void read_names(struct reading *reading, struct ready_info *info)
{
    const struct json *list = json_get(reading->payload, "names");
    if (list == NULL || list->type != JSON_ARRAY || list->count == 0 || list->count > READY_NAMES_MAX) {
        wrong(reading, "names", list, "a list of 1 to 64 names");
        return;
    }
    for (const struct json *item = list->child; item != NULL; item = item->next) {
        const char *name = "";
        if (!json_string(item, &name) || item->length == 0 || item->length > STRING_MAX)
            wrong(reading, "names", item, "a name");
        info->names[info->name_count++] = copy(reading, "names", name);
    }
}

static void read_ids(struct reading *reading, const char *field, uint32_t most, uint32_t *ret_ids, uint32_t *ret_count)
{
    const struct json *list = json_get(reading->payload, field);
    if (list == NULL)
        return;
    if (list->type != JSON_ARRAY || list->count > most) {
        wrong(reading, field, list, "a list of at most 64 numbers");
        return;
    }
    for (const struct json *item = list->child; item != NULL; item = item->next) {
        uint64_t id = 0;
        if (!json_uint64(item, &id) || id > UINT32_MAX)
            wrong(reading, field, item, "an integer of 0 to 4294967295");
        ret_ids[(*ret_count)++] = (uint32_t)id;
    }
}

static void read_labels(struct reading *reading, struct ready_info *info)
{
    const struct json *list = json_get(reading->payload, "class_labels");
    if (list == NULL)
        return;
    if (list->type != JSON_ARRAY || list->count != info->class_count || list->count > READY_CLASSES_MAX) {
        wrong(reading, "class_labels", list, "a list of class_count names, at most 4096");
        return;
    }
    info->class_labels = calloc(list->count + 1u, sizeof *info->class_labels);
    if (info->class_labels == NULL) {
        if (reading->status == PDK_OK)
            reading->status = pdk_error_set(reading->err, PDK_NO_MEMORY, "class_labels", "ready: no memory");
        return;
    }
    uint32_t at = 0;
    for (const struct json *item = list->child; item != NULL; item = item->next) {
        const char *name = "";
        if (!json_string(item, &name) || item->length > STRING_MAX)
            wrong(reading, "class_labels", item, "a name");
        info->class_labels[at++] = copy(reading, "class_labels", name);
    }
}

static void read_defaults(struct reading *reading, pdk_sampling *sampling)
{
    const struct json *object = json_get(reading->payload, "defaults");
    char *base = (char *)sampling;
    for (size_t i = 0; i < COUNT(doubles); i++) {
        const struct json *value = json_get(object, doubles[i].name);
        if (value == NULL)
            continue;
        if (!json_double(value, (double *)(void *)(base + doubles[i].offset)))
            wrong(reading, doubles[i].name, value, "a number");
        sampling->has |= doubles[i].has;
    }
    for (size_t i = 0; i < COUNT(wides); i++) {
        const struct json *value = json_get(object, wides[i].name);
        if (value == NULL)
            continue;
        if (!json_int64(value, (int64_t *)(void *)(base + wides[i].offset)))
            wrong(reading, wides[i].name, value, "an integer");
        sampling->has |= wides[i].has;
    }
    for (size_t i = 0; i < COUNT(narrows); i++) {
        const struct json *value = json_get(object, narrows[i].name);
        int64_t number = 0;
        if (value == NULL)
            continue;
        if (!json_int64(value, &number) || number < INT32_MIN || number > INT32_MAX)
            wrong(reading, narrows[i].name, value, "an integer of 32 bits");
        *(int32_t *)(void *)(base + narrows[i].offset) = (int32_t)number;
        sampling->has |= narrows[i].has;
    }
}

pdk_status ready_info_read(const struct json *payload, struct ready_info **ret_info, pdk_error *err)
{
    struct reading reading = {.payload = payload, .err = err, .status = PDK_OK};
    PDK_CLEANUP(ready_info_freep) struct ready_info *info = calloc(1, sizeof *info);
    if (info == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, "ready", "ready: no memory");
    info->defaults.size = sizeof info->defaults;
    info->defaults.n = 1;
    read_extensions(&reading, info);
    read_names(&reading, info);
    read_ids(&reading, "eos_ids", READY_EOS_MAX, info->eos_ids, &info->eos_count);
    read_u32(&reading, "vocabulary_size", &info->vocabulary_size);
    read_u32(&reading, "max_model_len", &info->max_model_len);
    read_u32(&reading, "max_logprobs", &info->max_logprobs);
    read_u64(&reading, "memory_bytes", &info->memory_bytes);
    for (size_t i = 0; i < COUNT(switches); i++)
        read_bool(&reading, switches[i].name, (bool *)((char *)info + switches[i].offset));
    read_u32(&reading, "api_flags", &info->api_flags);
    read_u32(&reading, "fingerprint_mode", &info->fingerprint_mode);
    read_u32(&reading, "keep_alive_ms", &info->keep_alive_ms);
    read_string(&reading, "fingerprint_text", &info->fingerprint_text);
    read_string(&reading, "response_role", &info->response_role);
    read_string(&reading, "root_path", &info->root_path);
    read_u32(&reading, "pooling_tasks", &info->pooling_tasks);
    read_u32(&reading, "pooled_size", &info->pooled_size);
    read_u32(&reading, "class_count", &info->class_count);
    read_ids(&reading, "dimensions", READY_DIMENSIONS_MAX, info->dimensions, &info->dimension_count);
    read_labels(&reading, info);
    read_string(&reading, "root", &info->root);
    read_string(&reading, "fingerprint", &info->fingerprint);
    read_string(&reading, "runtime", &info->runtime);
    read_string(&reading, "sandbox", &info->sandbox);
    read_defaults(&reading, &info->defaults);
    if (reading.status != PDK_OK)
        return reading.status;
    *ret_info = PDK_STEAL(info);
    return PDK_OK;
}

static void write_defaults(struct json_writer *writer, const pdk_sampling *sampling)
{
    const char *base = (const char *)sampling;
    json_write_key(writer, "defaults");
    json_write_object(writer);
    for (size_t i = 0; i < COUNT(doubles); i++) {
        if ((sampling->has & doubles[i].has) == 0)
            continue;
        json_write_key(writer, doubles[i].name);
        json_write_double(writer, *(const double *)(const void *)(base + doubles[i].offset));
    }
    for (size_t i = 0; i < COUNT(wides); i++) {
        if ((sampling->has & wides[i].has) == 0)
            continue;
        json_write_key(writer, wides[i].name);
        json_write_int(writer, *(const int64_t *)(const void *)(base + wides[i].offset));
    }
    for (size_t i = 0; i < COUNT(narrows); i++) {
        if ((sampling->has & narrows[i].has) == 0)
            continue;
        json_write_key(writer, narrows[i].name);
        json_write_int(writer, *(const int32_t *)(const void *)(base + narrows[i].offset));
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

static void write_ids(struct json_writer *writer, const char *key, const uint32_t *ids, uint32_t count)
{
    json_write_key(writer, key);
    json_write_array(writer);
    for (size_t i = 0; i < count; i++)
        json_write_uint(writer, ids[i]);
    json_write_end_array(writer);
}

void ready_info_write(struct buffer *out, const struct ready_info *info)
{
    struct json_writer writer = {.out = out};
    json_write_object(&writer);
    json_write_key(&writer, "extensions");
    json_write_array(&writer);
    for (size_t i = 0; i < COUNT(extensions); i++)
        if ((info->extensions & extensions[i].bit) != 0)
            json_write_string(&writer, extensions[i].name);
    json_write_end_array(&writer);
    json_write_key(&writer, "names");
    json_write_array(&writer);
    for (size_t i = 0; i < info->name_count; i++)
        json_write_text(&writer, info->names[i], strlen(info->names[i]));
    json_write_end_array(&writer);
    write_ids(&writer, "eos_ids", info->eos_ids, info->eos_count);
    write_ids(&writer, "dimensions", info->dimensions, info->dimension_count);
    write_uint(&writer, "api_flags", info->api_flags);
    write_uint(&writer, "fingerprint_mode", info->fingerprint_mode);
    write_uint(&writer, "keep_alive_ms", info->keep_alive_ms);
    write_string(&writer, "fingerprint_text", info->fingerprint_text);
    write_string(&writer, "response_role", info->response_role);
    write_string(&writer, "root_path", info->root_path);
    write_uint(&writer, "pooling_tasks", info->pooling_tasks);
    write_uint(&writer, "pooled_size", info->pooled_size);
    write_uint(&writer, "class_count", info->class_count);
    if (info->class_labels != NULL) {
        json_write_key(&writer, "class_labels");
        json_write_array(&writer);
        for (size_t i = 0; i < info->class_count; i++)
            json_write_text(&writer, info->class_labels[i], strlen(info->class_labels[i]));
        json_write_end_array(&writer);
    }
    write_uint(&writer, "vocabulary_size", info->vocabulary_size);
    write_uint(&writer, "max_model_len", info->max_model_len);
    write_uint(&writer, "max_logprobs", info->max_logprobs);
    write_uint(&writer, "memory_bytes", info->memory_bytes);
    for (size_t i = 0; i < COUNT(switches); i++) {
        json_write_key(&writer, switches[i].name);
        json_write_bool(&writer, *(const bool *)((const char *)info + switches[i].offset));
    }
    write_string(&writer, "root", info->root);
    write_string(&writer, "fingerprint", info->fingerprint);
    write_string(&writer, "runtime", info->runtime);
    write_string(&writer, "sandbox", info->sandbox);
    write_defaults(&writer, &info->defaults);
    json_write_end_object(&writer);
}
