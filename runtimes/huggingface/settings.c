/* See the header. */
#include "config.h"

#include "runtimes/huggingface/settings.h"

#include "core/base/error.h"
#include "runtimes/huggingface/engine/sequence.h"
#include "runtimes/huggingface/options.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The last one of a name wins, as in a shell. NULL: not set. */
static const char *environment(const pdk_model_spec *spec, const char *name)
{
    size_t length = strlen(name);
    for (uint32_t i = spec->environment_count; i > 0; i--) {
        const char *at = spec->environment[i - 1];
        if (strncmp(at, name, length) == 0 && at[length] == '=')
            return at + length + 1;
    }
    return NULL;
}

static void read_names(struct settings *settings, const pdk_model_spec *spec)
{
    const struct options *options = settings->options;
    size_t count = 0;
    const char *const *words = options_words(options, "served-model-name", &count);
    for (size_t i = 0; i < count && settings->name_count < SETTINGS_NAMES_MAX; i++)
        settings->names[settings->name_count++] = words[i];
    if (settings->name_count == 0) {
        const char *name = options_text(options, "model-name");
        settings->names[settings->name_count++] = name != NULL ? name : spec->name;
    }
    static const char *const roots[] = {"model-id", "model", "model-dir"};
    settings->root = spec->path;
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        const char *root = options_text(options, roots[i]);
        if (root != NULL) {
            settings->root = root;
            break;
        }
    }
}

static pdk_status read_kv_type(struct settings *settings, pdk_error *err)
{
    (void)err;
    const char *cache = options_text(settings->options, "kv-cache-dtype"),
               *type = options_text(settings->options, "dtype");
    const char *wanted = strcmp(cache, "auto") != 0 ? cache : type;
    if (strcmp(wanted, "float32") == 0 || strcmp(wanted, "float") == 0)
        settings->kv_type = PDK_TYPE_F32;
    else if (strcmp(wanted, "auto") != 0)
        settings->kv_type = PDK_TYPE_BF16;
    settings->kv_rounded = strcmp(wanted, "half") == 0 || strcmp(wanted, "float16") == 0;
    return PDK_OK;
}

/* VLLM_CPU_KVCACHE_SPACE is a whole number of GiB; "0" and nothing are the same. */
static pdk_status read_kv_size(struct settings *settings, const pdk_model_spec *spec, pdk_error *err)
{
    const char *text = environment(spec, "VLLM_CPU_KVCACHE_SPACE");
    if (text != NULL && text[0] != '\0') {
        size_t digits = strspn(text, "0123456789");
        if (text[digits] != '\0' || digits > 6)
            return pdk_error_value(err, PDK_INVALID, "VLLM_CPU_KVCACHE_SPACE", text,
                "VLLM_CPU_KVCACHE_SPACE: '%.64s' is not a whole number of GiB up to 999999", text);
        settings->kv_bytes = strtoull(text, NULL, 10) << 30;
    }
    if (options_given(settings->options, "kv-cache-memory-bytes"))
        settings->kv_bytes = (uint64_t)options_integer(settings->options, "kv-cache-memory-bytes");
    if (options_given(settings->options, "num-gpu-blocks-override"))
        settings->kv_blocks = (uint32_t)options_integer(settings->options, "num-gpu-blocks-override");
    return PDK_OK;
}

static pdk_status read_model_len(struct settings *settings, const pdk_model_spec *spec, pdk_error *err)
{
    const char *field = options_given(settings->options, "max-model-len") ? "max-model-len" : "max-length";
    const char *text = options_text(settings->options, field),
               *longer = environment(spec, "VLLM_ALLOW_LONG_MAX_MODEL_LEN");
    settings->long_model_len = longer != NULL && strcmp(longer, "1") == 0;
    if (text == NULL)
        return PDK_OK;
    double value;
    if (strcmp(text, "auto") == 0 || strcmp(text, "-1") == 0) {
        settings->fit_model_len = true;
        return PDK_OK;
    }
    if (!options_read_number(text, &value) || value != floor(value) || value < 2 || value > 16777216)
        return pdk_error_value(err, PDK_INVALID, "--max-model-len", text,
            "--max-model-len: '%.64s' is not a number of tokens from 2 to 16777216 (such as 2048 or 32K), auto or -1",
            text);
    settings->max_model_len = (uint32_t)value;
    return PDK_OK;
}

static uint32_t lower(const struct options *options, const char *name, const char *other)
{
    int64_t value = options_integer(options, name);
    if (options_given(options, other) && options_integer(options, other) < value)
        value = options_integer(options, other);
    return (uint32_t)value;
}

static pdk_status read_scheduler(struct settings *settings, pdk_error *err)
{
    const struct options *options = settings->options;
    settings->max_sequences = lower(options, "max-num-seqs", "max-num-active-seqs");
    settings->max_rows = lower(options, "max-num-batched-tokens", "max-num-scheduled-tokens");
    settings->rows_given =
        options_given(options, "max-num-batched-tokens") || options_given(options, "max-num-scheduled-tokens");
    settings->long_prefill = (uint32_t)options_integer(options, "long-prefill-token-threshold");
    settings->prefill_interval = (uint32_t)options_integer(options, "prefill-schedule-interval");
    settings->stream_interval = (uint32_t)options_integer(options, "stream-interval");
    settings->chunked = options_flag(options, "enable-chunked-prefill");
    settings->reserve_prompt = options_flag(options, "scheduler-reserve-full-isl");
    settings->caching = options_flag(options, "enable-prefix-caching");
    settings->priorities = strcmp(options_text(options, "scheduling-policy"), "priority") == 0;
    settings->watermark = options_number(options, "watermark");
    settings->queued_requests_max =
        options_given(options, "max-num-queued-reqs") ? options_integer(options, "max-num-queued-reqs") : -1;
    settings->queued_tokens_max =
        options_given(options, "max-num-queued-tokens") ? options_integer(options, "max-num-queued-tokens") : -1;
    if (settings->max_rows < settings->max_sequences && !options_given(options, "max-num-seqs") &&
        !options_given(options, "max-num-active-seqs"))
        settings->max_sequences = settings->max_rows;
    if (settings->max_rows < settings->max_sequences)
        return pdk_error_set(err, PDK_INVALID, "--max-num-batched-tokens",
            "--max-num-batched-tokens (%" PRIu32 ") must be at least --max-num-seqs (%" PRIu32 ")", settings->max_rows,
            settings->max_sequences);
    if (settings->max_rows < BLOCK_TOKENS)
        return pdk_error_set(err, PDK_INVALID, "--max-num-batched-tokens",
            "--max-num-batched-tokens (%" PRIu32 ") must be at least %d", settings->max_rows, BLOCK_TOKENS);
    return PDK_OK;
}

static void read_logprobs(struct settings *settings)
{
    static const char *const modes[] = {
        [LOGPROBS_RAW] = "raw_logprobs",
        [LOGITS_RAW] = "raw_logits",
        [LOGPROBS_PROCESSED] = "processed_logprobs",
        [LOGITS_PROCESSED] = "processed_logits",
    };
    int64_t most = options_integer(settings->options, "max-logprobs");
    settings->max_logprobs = most < 0 ? UINT32_MAX : (uint32_t)most;
    const char *mode = options_text(settings->options, "logprobs-mode");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(mode, modes[i]) == 0)
            settings->logprobs_mode = (enum logprobs_mode)i;
}

static void read_texts(struct settings *settings)
{
    const struct options *options = settings->options;
    settings->tokenizer = options_text(options, "tokenizer");
    settings->chat_template = options_text(options, "chat-template");
    settings->template_vars = options_text(options, "default-chat-template-kwargs");
    settings->hf_overrides = options_text(options, "hf-overrides");
    settings->override_generation_config = options_text(options, "override-generation-config");
    settings->skip_tokenizer = options_flag(options, "skip-tokenizer-init");
    const char *generation = options_text(options, "generation-config");
    settings->model_generation_config = strcmp(generation, "auto") == 0;
    if (!settings->model_generation_config && strcmp(generation, "vllm") != 0)
        settings->generation_folder = generation;
    const char *format = options_text(options, "chat-template-content-format");
    settings->wants_parts_given = strcmp(format, "auto") != 0;
    settings->wants_parts = strcmp(format, "openai") == 0;
    settings->seed = (uint64_t)options_integer(options, "seed");
}

/* What the model is to be run for. A task is the whole answer; --convert says it too; --runner leaves it to the model.
 */
static pdk_status read_purpose(struct settings *settings, pdk_error *err)
{
    static const struct {
        const char *name;
        enum model_purpose purpose;
    } tasks[] = {{"text_generation", MODEL_FOR_TOKENS}, {"text_embedding", MODEL_FOR_EMBEDDINGS},
        {"sequence_classification", MODEL_FOR_CLASSES}, {"token_classification", MODEL_FOR_VALUES}};
    const struct options *options = settings->options;
    const char *runner = options_text(options, "runner"), *convert = options_text(options, "convert");
    bool embed = strcmp(convert, "embed") == 0, classify = strcmp(convert, "classify") == 0;
    settings->pooler_config = options_text(options, "pooler-config");
    settings->special_tokens = !options_flag(options, "disable-special-tokens");
    settings->task = options_given(options, "task") ? options_text(options, "task") : NULL;
    settings->purpose = embed                             ? MODEL_FOR_EMBEDDINGS
                        : classify                        ? MODEL_FOR_CLASSES
                        : strcmp(runner, "pooling") == 0  ? MODEL_FOR_VALUES
                        : strcmp(runner, "generate") == 0 ? MODEL_FOR_TOKENS
                                                          : MODEL_BY_CLASS;
    settings->purpose_given = settings->purpose != MODEL_BY_CLASS || settings->task != NULL;
    if ((embed || classify) && strcmp(runner, "generate") == 0)
        return pdk_error_value(err, PDK_INVALID, "--convert", convert,
            "--convert: %s makes a pooling model, and --runner is generate", convert);
    for (size_t i = 0; settings->task != NULL && i < sizeof tasks / sizeof tasks[0]; i++) {
        if (strcmp(tasks[i].name, settings->task) != 0)
            continue;
        settings->purpose = tasks[i].purpose;
        return PDK_OK;
    }
    if (settings->task == NULL)
        return PDK_OK;
    return pdk_error_value(err, PDK_UNSUPPORTED, "--task", settings->task,
        "--task: Unsupported task: %.64s. Currently supported tasks are: text_generation, text_embedding, "
        "sequence_classification, token_classification",
        settings->task);
}

/* What shapes the answers in the host's protocols. */
static pdk_status read_api(struct settings *settings, const pdk_model_spec *spec, pdk_error *err)
{
    static const struct {
        const char *name;
        uint32_t flag;
    } flags[] = {
        {"enable-prompt-tokens-details", PDK_API_PROMPT_DETAILS},
        {"enable-force-include-usage", PDK_API_FORCE_USAGE},
        {"return-tokens-as-token-ids", PDK_API_TOKENS_AS_IDS},
        {"trust-request-chat-template", PDK_API_REQUEST_TEMPLATE},
        {"enable-tokenizer-info-endpoint", PDK_API_TOKENIZER_INFO},
        {"enable-per-request-metrics", PDK_API_REQUEST_METRICS},
    };
    static const char *const modes[] = {
        [PDK_FINGERPRINT_FULL] = "full",
        [PDK_FINGERPRINT_HASH] = "hash",
        [PDK_FINGERPRINT_CUSTOM] = "custom",
        [PDK_FINGERPRINT_NONE] = "none",
    };
    const struct options *options = settings->options;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        settings->api_flags |= options_flag(options, flags[i].name) ? flags[i].flag : 0;
    const char *store = environment(spec, "VLLM_ENABLE_RESPONSES_API_STORE");
    settings->api_flags |= store != NULL && strcmp(store, "1") == 0 ? PDK_API_STORE : 0;
    const char *mode = options_text(options, "fingerprint-mode");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(mode, modes[i]) == 0)
            settings->fingerprint_mode = (int32_t)i;
    settings->fingerprint_text = options_text(options, "fingerprint-value");
    settings->response_role = options_text(options, "response-role");
    settings->keep_alive_s = options_number(options, "sse-keep-alive-interval");
    if ((settings->fingerprint_mode == PDK_FINGERPRINT_CUSTOM) != (settings->fingerprint_text != NULL))
        return pdk_error_set(err, PDK_INVALID, "--fingerprint-value",
            "--fingerprint-value and --fingerprint-mode=custom belong together");
    return PDK_OK;
}

pdk_status settings_read(struct settings *settings, const pdk_model_spec *spec, pdk_error *err)
{
    pdk_status status =
        options_parse(&huggingface_options, spec->arguments, spec->argument_count, &settings->options, err);
    if (status != PDK_OK)
        return status;
    const char *scope = environment(spec, "VLLM_USE_MODELSCOPE");
    if (scope != NULL && strcmp(scope, "1") == 0)
        return pdk_error_set(err, PDK_UNSUPPORTED, "VLLM_USE_MODELSCOPE",
            "VLLM_USE_MODELSCOPE=1: models come from Hugging Face's hub only");
    read_names(settings, spec);
    read_texts(settings);
    read_logprobs(settings);
    status = read_purpose(settings, err);
    if (status == PDK_OK)
        status = read_api(settings, spec, err);
    if (status == PDK_OK)
        status = read_kv_type(settings, err);
    if (status == PDK_OK)
        status = read_kv_size(settings, spec, err);
    if (status == PDK_OK)
        status = read_model_len(settings, spec, err);
    return status == PDK_OK ? read_scheduler(settings, err) : status;
}

void settings_done(struct settings *settings)
{
    settings->options = options_free(settings->options);
}
