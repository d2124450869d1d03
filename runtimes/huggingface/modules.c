/* See the header. The list of modules is short and hostile like any file: paths stay inside the folder, and a module
 * that is not known would change every answer, so it is refused. */
#include "config.h"

#include "runtimes/huggingface/modules.h"

#include "core/base/buffer.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "runtimes/huggingface/model/printable.h"
#include "runtimes/huggingface/model/safetensors.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

static const size_t file_max = 1 << 20;
static const uint64_t length_max = 1 << 24;

PDK_DEFINE_CLEANUP(struct safetensors, safetensors_close)

bool modules_exist(const char *folder)
{
    PDK_CLEANUP(buffer_done) struct buffer path = {0};
    struct stat about;
    buffer_printf(&path, "%s/modules.json", folder);
    return !path.failed && stat(path.data, &about) == 0;
}

/* Reads folder/inner/name; *ret_document stays NULL where there is no such file. */
static pdk_status read_json(
    const char *folder, const char *inner, const char *name, struct json_document **ret_document, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer path = {0};
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    buffer_printf(&path, "%s/%s%s%s", folder, inner, inner[0] != '\0' ? "/" : "", name);
    if (path.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a path");
    pdk_error inner_error = {0};
    pdk_status status = file_read(path.data, file_max, &text, &inner_error);
    if (status == PDK_NOT_FOUND)
        return PDK_OK;
    if (status == PDK_OK)
        status = json_read(text.data, text.length, &json_limits_default, ret_document, &inner_error);
    if (status != PDK_OK && err != NULL)
        *err = inner_error;
    return status == PDK_OK ? PDK_OK : (pdk_error_wrap(err, "%s", name), status);
}

static bool is_on(const struct json *object, const char *name)
{
    bool value = false;
    return json_bool(json_get(object, name), &value) && value;
}

/* One mode of those that a text's vector may be made by; older files have a flag for each, newer ones a name. */
static pdk_status read_pooling(const char *folder, const char *inner, struct modules *modules, pdk_error *err)
{
    static const struct {
        const char *flag, *name;
        bool known;
        enum pool_rows rows;
    } modes[] = {{"pooling_mode_cls_token", "cls", true, POOL_FIRST},
        {"pooling_mode_mean_tokens", "mean", true, POOL_MEAN}, {"pooling_mode_lasttoken", "lasttoken", true, POOL_LAST},
        {"pooling_mode_max_tokens", "max", false, POOL_ALL},
        {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", false, POOL_ALL},
        {"pooling_mode_weightedmean_tokens", "weightedmean", false, POOL_ALL}};
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    pdk_status status = read_json(folder, inner, "config.json", &document, err);
    if (status != PDK_OK)
        return status;
    const struct json *root = document != NULL ? json_root(document) : NULL;
    const char *named = NULL;
    json_string(json_get(root, "pooling_mode"), &named);
    size_t count = 0, found = 0;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (!is_on(root, modes[i].flag) && (named == NULL || strcmp(named, modes[i].name) != 0))
            continue;
        found = i;
        count++;
    }
    if (count != 1 || !modes[found].known)
        return pdk_error_set(err, PDK_UNSUPPORTED, "pooling",
            "%s/config.json must choose one of the poolings cls, mean and lasttoken; %s", printable(inner).text,
            count == 0   ? "it chooses none that is known"
            : count == 1 ? modes[found].flag
                         : "it chooses several");
    modules->pools = true;
    modules->rows = modes[found].rows;
    return PDK_OK;
}

static pdk_status open_weights(const char *folder, const char *inner, struct safetensors **ret_file, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer path = {0};
    buffer_printf(&path, "%s/%s/model.safetensors", folder, inner);
    if (path.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a path");
    pdk_status status = safetensors_open(path.data, ret_file, err);
    return status == PDK_OK ? PDK_OK : (pdk_error_wrap(err, "dense layer %s", printable(inner).text), status);
}

static pdk_status add_dense(struct modules *modules, struct safetensors *file, uint32_t columns,
    enum value_activation activation, pdk_error *err)
{
    struct tensors tensors = {0};
    pdk_status status = tensors_of_files(&file, 1, &tensors, err);
    if (status != PDK_OK)
        return status;
    const struct value_tensors parts = {
        .weight = tensors_find(&tensors, "linear.weight"), .bias = tensors_find(&tensors, "linear.bias")};
    status = parts.weight == NULL
                 ? pdk_error_set(err, PDK_INVALID, "linear.weight", "a dense layer has no tensor linear.weight")
                 : value_head_add(&modules->projection, &parts, columns, activation, 0, err);
    tensors_done(&tensors);
    return status;
}

static pdk_status read_dense(
    const char *folder, const char *inner, uint32_t columns, struct modules *modules, pdk_error *err)
{
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    PDK_CLEANUP(safetensors_closep) struct safetensors *file = NULL;
    pdk_status status = read_json(folder, inner, "config.json", &document, err);
    if (status != PDK_OK)
        return status;
    const char *name = "torch.nn.modules.activation.Tanh";
    enum value_activation activation;
    if (document != NULL)
        json_string(json_get(json_root(document), "activation_function"), &name);
    if (!value_activation_named(name, &activation))
        return pdk_error_value(err, PDK_UNSUPPORTED, "activation_function", name,
            "dense layer %s: activation '%s' is not known", printable(inner).text, printable(name).text);
    status = open_weights(folder, inner, &file, err);
    if (status != PDK_OK)
        return status;
    return add_dense(modules, file, value_head_width(&modules->projection, columns), activation, err);
}

static bool leaves_folder(const char *path)
{
    return path[0] == '/' || strstr(path, "..") != NULL || strlen(path) > 200;
}

static pdk_status read_module(
    const char *folder, const struct json *module, uint32_t columns, struct modules *modules, pdk_error *err)
{
    const char *type = "", *path = "";
    json_string(json_get(module, "type"), &type);
    json_string(json_get(module, "path"), &path);
    const char *dot = strrchr(type, '.'), *kind = dot != NULL ? dot + 1 : type;
    if (leaves_folder(path))
        return pdk_error_value(
            err, PDK_INVALID, "modules.json", path, "modules.json: '%s' leaves the folder", printable(path).text);
    if (strcmp(kind, "Transformer") == 0)
        return PDK_OK;
    if (strcmp(kind, "Pooling") == 0)
        return read_pooling(folder, path, modules, err);
    if (strcmp(kind, "Dense") == 0)
        return read_dense(folder, path, columns, modules, err);
    if (strcmp(kind, "Normalize") != 0)
        return pdk_error_value(err, PDK_UNSUPPORTED, "modules.json", type,
            "modules.json: module '%s' is not known; known are Transformer, Pooling, Dense and Normalize",
            printable(type).text);
    modules->normalises = true;
    return PDK_OK;
}

static pdk_status read_list(const char *folder, uint32_t columns, struct modules *modules, pdk_error *err)
{
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    pdk_status status = read_json(folder, "", "modules.json", &document, err);
    if (status != PDK_OK || document == NULL)
        return status;
    const struct json *list = json_root(document);
    if (list->type != JSON_ARRAY)
        return pdk_error_set(err, PDK_INVALID, "modules.json", "modules.json must be a list");
    modules->found = true;
    for (const struct json *at = list->child; at != NULL && status == PDK_OK; at = at->next)
        status = read_module(folder, at, columns, modules, err);
    return status;
}

/* The file has had the name of each kind of model. */
static pdk_status read_texts(const char *folder, struct modules *modules, pdk_error *err)
{
    static const char *const names[] = {"sentence_bert_config.json", "sentence_roberta_config.json",
        "sentence_distilbert_config.json", "sentence_camembert_config.json", "sentence_albert_config.json",
        "sentence_xlm-roberta_config.json", "sentence_xlnet_config.json"};
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    pdk_status status = PDK_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && document == NULL && status == PDK_OK; i++)
        status = read_json(folder, "", names[i], &document, err);
    if (status != PDK_OK || document == NULL)
        return status;
    const struct json *root = json_root(document), *length = json_get(root, "max_seq_length");
    modules->lowercase = is_on(root, "do_lower_case");
    uint64_t value;
    if (length == NULL || length->type == JSON_NULL)
        return PDK_OK;
    if (!json_uint64(length, &value) || value < 2 || value > length_max)
        return pdk_error_set(err, PDK_INVALID, "max_seq_length", "max_seq_length must be 2 to %" PRIu64, length_max);
    modules->max_length = (uint32_t)value;
    return PDK_OK;
}

pdk_status modules_read(const char *folder, uint32_t columns, struct modules *ret_modules, pdk_error *err)
{
    pdk_status status = read_list(folder, columns, ret_modules, err);
    return status == PDK_OK ? read_texts(folder, ret_modules, err) : status;
}

void modules_done(struct modules *modules)
{
    value_head_done(&modules->projection);
    *modules = (struct modules){0};
}
