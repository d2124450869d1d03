/* See the header. */
#include "config.h"

#include "runtimes/huggingface/load.h"

#include "core/base/buffer.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/siphash.h"
#include "runtimes/huggingface/front/metrics.h"
#include "runtimes/huggingface/model/generation_config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void load_log(const pdk_host *host, int32_t level, const char *format, ...)
{
    struct buffer line = {0};
    va_list arguments;
    va_start(arguments, format);
    buffer_vprintf(&line, format, arguments);
    va_end(arguments);
    if (!line.failed)
        host->log(host->context, level, line.data);
    buffer_done(&line);
}

static void tell_progress(void *context, double fraction)
{
    const pdk_host *host = context;
    host->progress(host->context, fraction, "Loading weights");
}

static void tell_note(void *context, const char *text)
{
    load_log(context, PDK_LOG_NOTICE, "%s", text);
}

static pdk_status load_weights(struct loaded *loaded, const pdk_host *host, const char *path, pdk_error *err)
{
    const pdk_host_compute *compute = host->get_extension(host->context, PDK_HOST_COMPUTE);
    if (compute == NULL || compute->compute == NULL)
        return pdk_error_set(err, PDK_UNAVAILABLE, "compute", "no compute plugin was found");
    const pdk_ops *ops = compute->compute->get_extension(compute->self, PDK_EXT_OPS);
    if (ops == NULL)
        return pdk_error_set(
            err, PDK_UNSUPPORTED, "compute", "compute plugin '%s' has no %s", compute->compute->name, PDK_EXT_OPS);
    /* Some embedding models keep the class of the decoder that they were made from. */
    if (!loaded->settings.purpose_given && modules_exist(path))
        loaded->settings.purpose = MODEL_FOR_VALUES;
    struct model_request request = {
        .path = path,
        .purpose = loaded->settings.purpose,
        .overrides = loaded->settings.hf_overrides,
        .use_generation_config = loaded->settings.model_generation_config,
        .context_length = loaded->settings.max_model_len,
        .ops = ops,
        .compute = compute->self,
        .progress = tell_progress,
        .progress_context = (void *)host,
        .note = tell_note,
        .memory_bytes = host->memory_bytes,
    };
    return model_load(&request, &loaded->model, err);
}

/* Whether the method that was asked for, by its name or that of a kernel for it, is the file's. */
static bool is_stored_so(const char *asked, const char *stored)
{
    size_t length = stored != NULL ? strlen(stored) : 0;
    return stored != NULL && strncmp(asked, stored, length) == 0 &&
           (asked[length] == '\0' || strcmp(asked + length, "_marlin") == 0);
}

/* --load-format and --quantization say what the files should be; they do not change how they are read. */
static pdk_status check_formats(const struct loaded *loaded, pdk_error *err)
{
    const struct options *options = loaded->settings.options;
    const char *is = model_gguf(loaded->model) != NULL ? "gguf" : "safetensors";
    const char *format = options_text(options, "load-format");
    if (strcmp(format, "auto") != 0 && strcmp(format, is) != 0)
        return pdk_error_value(err, PDK_INVALID, "--load-format", format,
            "--load-format: %s was asked for, and the model is %s", format, is);
    const char *quantization = options_text(options, options_given(options, "q") ? "q" : "quantization");
    const char *stored = model_gguf(loaded->model) != NULL ? "gguf" : model_facts(loaded->model)->quantisation;
    if (quantization == NULL || strcmp(quantization, "none") == 0 || is_stored_so(quantization, stored))
        return PDK_OK;
    return pdk_error_value(err, PDK_UNSUPPORTED, "--quantization", quantization,
        "--quantization: '%.64s' is not how this model (%s) is stored; supported: awq, gptq, fp8, compressed-tensors, "
        "mxfp4, gguf, none",
        quantization, stored != NULL ? stored : "not quantized");
}

/* Puts what `json` sets over the defaults, and its max_new_tokens over the server's cap: unlike the model's own file,
 * which only proposes, these are what a person has set. */
static pdk_status set_defaults(
    struct served *served, const char *json, size_t length, const char *context, pdk_error *err)
{
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    pdk_status status = json_read(json, length, &json_limits_default, &document, err);
    if (status != PDK_OK)
        return pdk_error_wrap(err, "%s", context);
    const struct json *root = json_root(document);
    if (root->type != JSON_OBJECT)
        return pdk_error_set(err, PDK_INVALID, context, "%s: not a JSON object", context);
    pdk_sampling *defaults = &served->sampling.defaults;
    status = generation_config_read(root, "generation config: ", defaults, err);
    if (status == PDK_OK && json_get(root, "max_new_tokens") != NULL && (defaults->has & PDK_HAS_MAX_TOKENS) != 0)
        served->max_new_tokens = (uint32_t)defaults->max_tokens;
    return status;
}

static pdk_status set_folder_defaults(struct served *served, const char *folder, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer path = {0};
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    buffer_printf(&path, "%s/generation_config.json", folder);
    if (path.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for a path");
    pdk_status status = file_read(path.data, 1 << 20, &text, err);
    if (status != PDK_OK)
        return pdk_error_wrap(err, "--generation-config");
    return set_defaults(served, text.data, text.length, "--generation-config", err);
}

static pdk_status find_defaults(struct loaded *loaded, pdk_error *err)
{
    const struct settings *settings = &loaded->settings;
    struct served *served = &loaded->served;
    if (settings->model_generation_config)
        served->sampling.defaults = model_facts(loaded->model)->defaults;
    served->sampling.defaults.size = sizeof served->sampling.defaults;
    if (settings->generation_folder != NULL) {
        pdk_status status = set_folder_defaults(served, settings->generation_folder, err);
        if (status != PDK_OK)
            return status;
    }
    const char *over = settings->override_generation_config;
    return set_defaults(served, over, strlen(over), "--override-generation-config", err);
}

static void add_eos(struct loaded *loaded, int64_t id)
{
    bool known = id < 0 || id >= (int64_t)model_facts(loaded->model)->vocabulary_size ||
                 loaded->eos_count == sizeof loaded->eos_ids / sizeof loaded->eos_ids[0];
    for (uint32_t i = 0; i < loaded->eos_count && !known; i++)
        known = loaded->eos_ids[i] == (uint32_t)id;
    if (!known)
        loaded->eos_ids[loaded->eos_count++] = (uint32_t)id;
}

/* The tokenizer's end of sequence is "the" one; the model's others end a choice by name. */
static void find_eos(struct loaded *loaded)
{
    const struct model_facts *facts = model_facts(loaded->model);
    int64_t own = loaded->tokenizer != NULL ? tokenizer_eos(loaded->tokenizer) : -1;
    if (own >= 0 && own < (int64_t)facts->vocabulary_size)
        loaded->eos_ids[loaded->eos_count++] = (uint32_t)own;
    for (uint32_t i = 0; i < facts->eos_count; i++)
        if ((int64_t)facts->eos_ids[i] != own && facts->eos_ids[i] < facts->vocabulary_size)
            loaded->eos_ids[loaded->eos_count++] = facts->eos_ids[i];
    /* The ends of an answer and of a call, where the format has its own. */
    for (size_t i = HARMONY_RETURN; loaded->served.parsers.is_harmony && i <= HARMONY_CALL; i++)
        add_eos(loaded, tokenizer_id(loaded->tokenizer, harmony_texts[i], strlen(harmony_texts[i])));
}

static void fill_served(struct loaded *loaded, const pdk_host *host)
{
    const struct settings *settings = &loaded->settings;
    struct served *served = &loaded->served;
    served->host = host;
    served->model_name = settings->names[0];
    served->pooling = loaded->pooling.tasks != 0 ? &loaded->pooling : NULL;
    served->tokenizer = loaded->tokenizer;
    served->template = loaded->template;
    served->wants_parts = settings->wants_parts;
    if (!settings->wants_parts_given && loaded->template != NULL)
        served->wants_parts = template_wants_parts(loaded->template);
    served->guide_vocabulary = loaded->guide_vocabulary;
    served->template_vars = settings->template_vars;
    served->sampling.vocabulary = model_facts(loaded->model)->vocabulary_size;
    served->sampling.eos_ids = loaded->eos_ids;
    served->sampling.eos_count = loaded->eos_count;
    served->sampling.think_start = loaded->think_start.ids;
    served->sampling.think_start_count = (uint32_t)loaded->think_start.count;
    served->sampling.think_end = loaded->think_end.ids;
    served->sampling.think_end_count = (uint32_t)loaded->think_end.count;
    served->sampling.mode = settings->logprobs_mode;
    served->sampling.max_logprobs = settings->max_logprobs;
    served->stream_interval = settings->stream_interval;
    served->priorities = settings->priorities;
    served->caching = settings->caching;
    served->queued_requests_max = settings->queued_requests_max;
    served->queued_tokens_max = settings->queued_tokens_max;
    served->seed = settings->seed;
}

/* Changes with the model and with all that may change an answer. */
static void find_fingerprint(struct loaded *loaded, const pdk_model_spec *spec)
{
    static const struct siphash_key key = {0x7061646f636b, 1};
    struct buffer text = {0};
    buffer_printf(
        &text, "%s %016" PRIx64 " %d", PACKAGE_VERSION, model_facts(loaded->model)->content_hash, (int)loaded->kv_type);
    for (uint32_t i = 0; i < spec->argument_count; i++)
        buffer_printf(&text, "\n%s", spec->arguments[i]);
    uint64_t hash = siphash64(&key, text.data != NULL ? text.data : "", text.length);
    snprintf(loaded->fingerprint, sizeof loaded->fingerprint, "%08" PRIx32, (uint32_t)(hash ^ hash >> 32));
    buffer_done(&text);
}

static pdk_status step(void *context, const pdk_batch *batch, const uint32_t (*copies)[2], size_t copy_count,
    pdk_sample_row *samples, uint32_t sample_count, pdk_error *err)
{
    struct loaded *loaded = context;
    return model_step(loaded->model, batch, copies, copy_count, samples, sample_count, err);
}

static void hidden(void *context, uint32_t first, uint32_t count, float *out)
{
    struct loaded *loaded = context;
    model_hidden(loaded->model, first, count, out);
}

static void news(void *context, struct generation *first)
{
    struct loaded *loaded = context;
    front_news(loaded->front, first);
}

static void figures(void *context, const struct engine_figures *now)
{
    struct loaded *loaded = context;
    metrics_step(loaded->served.metrics, now);
}

static void alive(void *context)
{
    const struct loaded *loaded = context;
    loaded->served.host->alive(loaded->served.host->context);
}

static pdk_status start_engine(struct loaded *loaded, const pdk_host *host, pdk_error *err)
{
    const struct settings *settings = &loaded->settings;
    struct served *served = &loaded->served;
    bool encoder = model_facts(loaded->model)->encoder; /* sees a whole text at once, and keeps nothing of it */
    struct metrics_about about = {.max_model_len = served->max_model_len,
        .blocks = loaded->blocks,
        .caching = settings->caching,
        .cache_type = loaded->kv_type == PDK_TYPE_F32 ? "float32" : "bfloat16"};
    pdk_status status = metrics_new(host, &about, &served->metrics, err);
    if (status != PDK_OK)
        return status;
    struct engine_config config = {
        .scheduler = {.max_sequences = settings->max_sequences,
            .max_rows = settings->max_rows,
            .max_outputs = loaded->max_outputs,
            .max_length = served->max_model_len,
            .long_prefill = encoder ? 0 : settings->long_prefill,
            .prefill_interval = settings->prefill_interval,
            .watermark = settings->watermark,
            .reserve_prompt = settings->reserve_prompt,
            .chunked = settings->chunked && !encoder},
        .blocks = loaded->blocks,
        .caching = settings->caching && !encoder,
        .context = loaded,
        .step = step,
        .hidden = served->pooling != NULL ? hidden : NULL,
        .hidden_columns = loaded->pooling.columns,
        .news = news,
        .figures = figures,
        .alive = alive,
    };
    /* One thread for answers, one for new requests, one for schemas; more where there are cores to spare. */
    status = front_start(served, 3 + host->threads / 8, &loaded->front, err);
    return status == PDK_OK ? engine_start(&config, &served->engine, err) : status;
}

pdk_status load_all(struct loaded *loaded, const pdk_host *host, const pdk_model_spec *spec, pdk_error *err)
{
    pdk_status status = settings_read(&loaded->settings, spec, err);
    if (status != PDK_OK)
        return status;
    const char *noted;
    for (size_t i = 0; (noted = options_noted(loaded->settings.options, i)) != NULL; i++)
        load_log(host, PDK_LOG_NOTICE, "%s", noted);
    status = load_weights(loaded, host, spec->path, err);
    if (status == PDK_OK)
        status = check_formats(loaded, err);
    if (status == PDK_OK)
        status = load_tokenizer(loaded, host, err);
    if (status == PDK_OK)
        status = load_template(loaded, host, err);
    if (status == PDK_OK)
        status = load_pooling(loaded, host, err);
    if (status == PDK_OK)
        status = load_parsers(loaded, host, err);
    if (status == PDK_OK)
        status = find_defaults(loaded, err);
    if (status == PDK_OK)
        status = load_sizes(loaded, host, err);
    if (status != PDK_OK)
        return status;
    find_eos(loaded);
    if (loaded->tokenizer != NULL)
        status = guide_vocabulary_new(loaded->tokenizer, model_facts(loaded->model)->vocabulary_size, loaded->eos_ids,
            loaded->eos_count, &loaded->guide_vocabulary, err);
    if (status != PDK_OK)
        return status;
    fill_served(loaded, host);
    status = load_info(loaded, err);
    if (status != PDK_OK)
        return status;
    find_fingerprint(loaded, spec);
    status = start_engine(loaded, host, err);
    if (status == PDK_OK)
        load_log(host, PDK_LOG_INFO,
            "%s, %" PRIu32 " blocks of the key-value cache (%.1f MiB), longest request %" PRIu32 " tokens",
            model_facts(loaded->model)->architecture, loaded->blocks, (double)loaded->kv_bytes / (1 << 20),
            loaded->served.max_model_len);
    return status;
}

void loaded_done(struct loaded *loaded)
{
    /* The front's jobs wait for the engine to let go of them, so it outlives them; it brings no news after the last. */
    front_drain(loaded->front);
    loaded->served.engine = engine_stop(loaded->served.engine);
    loaded->front = front_stop(loaded->front);
    loaded->served.metrics = metrics_free(loaded->served.metrics);
    buffer_done(&loaded->tokenizer_info);
    buffer_done(&loaded->template_text);
    parsers_done(&loaded->served.parsers);
    token_list_done(&loaded->think_start);
    token_list_done(&loaded->think_end);
    loaded->guide_vocabulary = guide_vocabulary_free(loaded->guide_vocabulary);
    loaded->template = template_free(loaded->template);
    loaded->tokenizer = tokenizer_free(loaded->tokenizer);
    pooling_done(loaded);
    loaded->model = model_free(loaded->model);
    settings_done(&loaded->settings);
}
