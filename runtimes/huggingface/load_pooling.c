/* See load.h. Who says how a model pools, the first that does: --pooler-config, sentence-transformers' files, the
 * model's own configuration, --task (KServe's embeddings are means), its architecture. */
#include "config.h"

#include "runtimes/huggingface/load.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "runtimes/huggingface/model/printable.h"

#include <inttypes.h>
#include <string.h>

static bool rows_named(const char *name, enum pool_rows *ret_rows)
{
    static const struct {
        const char *name;
        enum pool_rows rows;
    } known[] = {{"CLS", POOL_FIRST}, {"LAST", POOL_LAST}, {"MEAN", POOL_MEAN}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) != 0)
            continue;
        *ret_rows = known[i].rows;
        return true;
    }
    return false;
}

/* Which hidden state counts where neither argument nor sentence-transformers' files say it. */
static enum pool_rows own_rows(const struct loaded *loaded)
{
    const struct model_facts *facts = model_facts(loaded->model);
    const char *task = loaded->settings.task;
    bool said = facts->use == USE_CLASSIFY || model_gguf(loaded->model) != NULL;
    switch (said ? model_pooling(loaded->model)->kind : POOLING_UNSAID) {
    case POOLING_UNSAID: break;
    case POOLING_MEAN: return POOL_MEAN;
    case POOLING_LAST: return POOL_LAST;
    case POOLING_CLS:
    case POOLING_RANK: return POOL_FIRST;
    }
    if (task != NULL && strcmp(task, "text_embedding") == 0)
        return POOL_MEAN;
    return facts->encoder ? POOL_FIRST : POOL_LAST;
}

static enum class_activation own_activation(const struct pooling_config *config, uint32_t classes)
{
    if (config->activation_said)
        return config->activation_is_sigmoid ? CLASS_SIGMOID : CLASS_RAW;
    switch (config->problem) {
    case PROBLEM_REGRESSION: return CLASS_RAW;
    case PROBLEM_LABELS: return CLASS_SIGMOID;
    case PROBLEM_UNSAID:
    case PROBLEM_ONE_LABEL: break;
    }
    return classes > 1 ? CLASS_SOFTMAX : CLASS_SIGMOID;
}

static pdk_status unknown_value(const char *key, const char *what, pdk_error *err)
{
    return pdk_error_set(err, PDK_INVALID, "--pooler-config", "--pooler-config: %s must be %s", key, what);
}

static pdk_status set_rows(struct pooling *pooling, const struct json *at, pdk_error *err)
{
    const char *name = "";
    json_string(at, &name);
    if (strcmp(name, "ALL") == 0 || rows_named(name, &pooling->rows))
        return PDK_OK; /* ALL is what tasks by token always are */
    return pdk_error_value(err, PDK_UNSUPPORTED, "--pooler-config", name,
        "--pooler-config: %s '%s' is not known; known are CLS, LAST, MEAN and ALL", at->key, printable(name).text);
}

static pdk_status set_number(struct pooling *pooling, const struct json *at, pdk_error *err)
{
    double value;
    if (!json_double(at, &value) || !(value > -1e9 && value < 1e9))
        return unknown_value(at->key, "a number", err);
    bool mean = strcmp(at->key, "logit_mean") == 0 || strcmp(at->key, "logit_bias") == 0;
    if (!mean && value == 0)
        return unknown_value(at->key, "another number than 0", err);
    if (mean)
        pooling->logit_mean = value;
    else /* the older name is of its reciprocal */
        pooling->logit_sigma = strcmp(at->key, "logit_sigma") == 0 ? value : 1 / value;
    return PDK_OK;
}

/* True where it is for vectors, classes or both. */
static pdk_status set_flag(struct pooling *pooling, const struct json *at, pdk_error *err)
{
    bool value;
    if (!json_bool(at, &value))
        return unknown_value(at->key, "true or false", err);
    bool both = strcmp(at->key, "use_activation") == 0;
    if (both || strcmp(at->key, "normalize") == 0)
        pooling->normalise = value;
    if (both || strcmp(at->key, "normalize") != 0)
        pooling->activate = value;
    return PDK_OK;
}

static pdk_status set_dimensions(struct pooling *pooling, const struct json *at, pdk_error *err)
{
    uint64_t value;
    if (!json_uint64(at, &value) || value == 0 || value > pooling->width)
        return pdk_error_set(err, PDK_INVALID, "--pooler-config",
            "--pooler-config: dimensions must be 1 to %" PRIu32 ", the length of the model's embeddings",
            pooling->width);
    pooling->dimensions = (uint32_t)value;
    return PDK_OK;
}

static pdk_status set_task(struct pooling *pooling, const struct json *at, pdk_error *err)
{
    static const struct {
        const char *name;
        int32_t task;
    } known[] = {{"embed", PDK_POOL_EMBED}, {"classify", PDK_POOL_CLASSIFY}, {"token_embed", PDK_POOL_TOKEN_EMBED},
        {"token_classify", PDK_POOL_TOKEN_CLASSIFY}};
    const char *name = "";
    json_string(at, &name);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) != 0 || (pooling->tasks & 1u << known[i].task) == 0)
            continue;
        pooling->default_task = known[i].task;
        return PDK_OK;
    }
    return pdk_error_value(err, PDK_UNSUPPORTED, "--pooler-config", name,
        "--pooler-config: this model has no task '%s'", printable(name).text);
}

static const struct {
    const char *key;
    pdk_status (*set)(struct pooling *pooling, const struct json *at, pdk_error *err);
} pooler_keys[] = {
    {"pooling_type", set_rows},
    {"seq_pooling_type", set_rows},
    {"tok_pooling_type", set_rows},
    {"use_activation", set_flag},
    {"normalize", set_flag},
    {"softmax", set_flag},
    {"activation", set_flag},
    {"dimensions", set_dimensions},
    {"logit_mean", set_number},
    {"logit_sigma", set_number},
    {"logit_bias", set_number},
    {"logit_scale", set_number},
    {"task", set_task},
};

/* What a person has set, over all else. */
static pdk_status apply_pooler_config(struct pooling *pooling, const char *text, pdk_error *err)
{
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    pdk_status status = json_read(text, strlen(text), &json_limits_default, &document, err);
    if (status != PDK_OK)
        return pdk_error_wrap(err, "--pooler-config"), status;
    const struct json *root = json_root(document);
    if (root->type != JSON_OBJECT)
        return pdk_error_set(err, PDK_INVALID, "--pooler-config", "--pooler-config must be a JSON object");
    for (const struct json *at = root->child; at != NULL && status == PDK_OK; at = at->next) {
        size_t i = 0, count = sizeof pooler_keys / sizeof pooler_keys[0];
        while (i < count && strcmp(pooler_keys[i].key, at->key) != 0)
            i++;
        if (at->type == JSON_NULL || (at->type == JSON_FALSE && i == count))
            continue; /* as good as not there */
        if (i == count)
            return pdk_error_value(err, PDK_UNSUPPORTED, "--pooler-config", at->key,
                "--pooler-config: '%s' is not supported", printable(at->key).text);
        status = pooler_keys[i].set(pooling, at, err);
    }
    return status;
}

static void fill_tasks(struct pooling *pooling, enum model_use use)
{
    bool tokens = use == USE_CLASSIFY_TOKENS;
    pooling->default_task = use == USE_EMBED ? PDK_POOL_EMBED : tokens ? PDK_POOL_TOKEN_CLASSIFY : PDK_POOL_CLASSIFY;
    pooling->tasks = 1u << pooling->default_task;
    pooling->tasks |= 1u << (use == USE_EMBED ? PDK_POOL_TOKEN_EMBED : PDK_POOL_TOKEN_CLASSIFY);
    pooling->pairs_by_cosine = use == USE_EMBED;
    if (use == USE_EMBED || (!tokens && pooling->class_count == 1))
        pooling->tasks |= 1u << PDK_POOL_SCORE;
}

static pdk_status check_labels(struct pooling *pooling, const struct pooling_config *config, pdk_error *err)
{
    if (config->label_count > pooling->class_count)
        return pdk_error_set(err, PDK_INVALID, "id2label",
            "id2label names %" PRIu32 " classes, and the model has %" PRIu32, config->label_count,
            pooling->class_count);
    pooling->class_labels = config->label_count == pooling->class_count ? (const char *const *)config->labels : NULL;
    return PDK_OK;
}

static pdk_status fill_classes(struct loaded *loaded, pdk_error *err)
{
    struct pooling *pooling = &loaded->pooling;
    const struct pooling_config *config = model_pooling(loaded->model);
    pooling->classes = model_classes(loaded->model);
    pooling->class_count = value_head_width(pooling->classes, 0);
    pooling->activation = own_activation(config, pooling->class_count);
    return check_labels(pooling, config, err);
}

static void fill_embeddings(struct loaded *loaded, struct modules *modules)
{
    struct pooling *pooling = &loaded->pooling;
    const struct pooling_config *config = model_pooling(loaded->model);
    pooling->projection = modules->projection;
    modules->projection = (struct value_head){0};
    pooling->width = value_head_width(&pooling->projection, pooling->columns);
    pooling->normalise = !modules->found || modules->normalises;
    pooling->matryoshka = config->matryoshka;
    pooling->allowed = config->dimensions;
    pooling->allowed_count = config->dimension_count;
}

static pdk_status check_task(const struct loaded *loaded, enum model_use use, pdk_error *err)
{
    const char *task = loaded->settings.task;
    bool tokens = task != NULL && strcmp(task, "token_classification") == 0;
    bool texts = task != NULL && strcmp(task, "sequence_classification") == 0;
    if ((!tokens || use == USE_CLASSIFY_TOKENS) && (!texts || use == USE_CLASSIFY))
        return PDK_OK;
    return pdk_error_value(err, PDK_INVALID, "--task", task, "--task: %s is not what this model (%s) is made for", task,
        model_facts(loaded->model)->architecture);
}

static pdk_status fill(struct loaded *loaded, struct modules *modules, pdk_error *err)
{
    const struct model_facts *facts = model_facts(loaded->model);
    struct pooling *pooling = &loaded->pooling;
    *pooling = (struct pooling){.columns = facts->hidden_columns,
        .rows = modules->pools && facts->use == USE_EMBED ? modules->rows : own_rows(loaded),
        .special_tokens = loaded->settings.special_tokens,
        .types = facts->types,
        .activate = true,
        .normalise = true,
        .logit_sigma = 1};
    pdk_status status = PDK_OK;
    if (facts->use == USE_EMBED)
        fill_embeddings(loaded, modules);
    else
        status = fill_classes(loaded, err);
    if (status != PDK_OK)
        return status;
    fill_tasks(pooling, facts->use);
    loaded->text_length = modules->max_length;
    return apply_pooler_config(pooling, loaded->settings.pooler_config, err);
}

pdk_status load_pooling(struct loaded *loaded, const pdk_host *host, pdk_error *err)
{
    const struct model_facts *facts = model_facts(loaded->model);
    if (facts->use == USE_GENERATE)
        return PDK_OK;
    struct modules modules = {0};
    pdk_status status = check_task(loaded, facts->use, err);
    if (status == PDK_OK)
        status = modules_read(model_folder(loaded->model), facts->hidden_columns, &modules, err);
    if (status == PDK_OK && modules.lowercase && loaded->tokenizer != NULL)
        status = tokenizer_lower(loaded->tokenizer, err);
    if (status == PDK_OK)
        status = fill(loaded, &modules, err);
    modules_done(&modules);
    if (status == PDK_OK)
        load_log(host, PDK_LOG_INFO, "the model gives %s, of %s", facts->use == USE_EMBED ? "embeddings" : "classes",
            loaded->pooling.rows == POOL_MEAN    ? "the mean of its tokens"
            : loaded->pooling.rows == POOL_FIRST ? "its first token"
                                                 : "its last token");
    return status;
}

void pooling_done(struct loaded *loaded)
{
    value_head_done(&loaded->pooling.projection);
    loaded->pooling = (struct pooling){0};
}
