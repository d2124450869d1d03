/* See load.h. The key-value cache's size: --num-gpu-blocks-override; --kv-cache-memory-bytes; VLLM_CPU_KVCACHE_SPACE;
 * else the least of 4 GiB, half of what is free after the weights, and what the largest load could fill. */
#include "config.h"

#include "runtimes/huggingface/load.h"

#include "core/base/buffer.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Logits that a step may want beside one for each sequence: those of prompts being scored. */
enum { SCORE_OUTPUTS = 64 };
static const uint64_t kv_default_max = UINT64_C(4) << 30;

static double gib(uint64_t bytes)
{
    return (double)bytes / (1024.0 * 1024 * 1024);
}

/* What the kernel would give without swapping. */
static uint64_t machine_free(void)
{
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    static const char name[] = "MemAvailable:";
    if (file_read("/proc/meminfo", 1 << 16, &text, NULL) == PDK_OK) {
        const char *at = strstr(text.data, name);
        if (at != NULL)
            return strtoull(at + sizeof name - 1, NULL, 10) * 1024;
    }
    long pages = sysconf(_SC_AVPHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : kv_default_max;
}

/* Of the replica's memory, or the machine's, after weights and activations. */
static uint64_t free_bytes(const struct loaded *loaded, const pdk_host *host)
{
    uint64_t held = model_facts(loaded->model)->weight_bytes + loaded->activation_bytes;
    uint64_t machine = machine_free();
    if (host->memory_bytes == 0)
        return machine > loaded->activation_bytes ? machine - loaded->activation_bytes : 0;
    uint64_t left = host->memory_bytes > held ? host->memory_bytes - held : 0;
    return left < machine ? left : machine;
}

static pdk_status find_length(struct loaded *loaded, pdk_error *err)
{
    const struct settings *settings = &loaded->settings;
    uint32_t own = model_facts(loaded->model)->context_length;
    if (loaded->text_length != 0 && loaded->text_length < own)
        own = loaded->text_length;
    loaded->served.max_model_len = settings->max_model_len != 0 ? settings->max_model_len : own;
    if (loaded->served.max_model_len <= own || settings->long_model_len)
        return PDK_OK;
    return pdk_error_set(err, PDK_INVALID, "--max-model-len",
        "--max-model-len (%" PRIu32 ") is more than the %" PRIu32 " tokens that the model was made for; "
        "VLLM_ALLOW_LONG_MAX_MODEL_LEN=1 in the environment allows that",
        loaded->served.max_model_len, own);
}

static uint64_t default_kv_bytes(const struct loaded *loaded, const pdk_host *host, uint64_t block_bytes)
{
    uint64_t half = free_bytes(loaded, host) / 2, most = half < kv_default_max ? half : kv_default_max;
    uint64_t blocks = (uint64_t)blocks_of(loaded->served.max_model_len) * loaded->settings.max_sequences, all;
    if (__builtin_mul_overflow(blocks, block_bytes, &all))
        return most;
    return all < most ? all : most;
}

static pdk_status find_blocks(struct loaded *loaded, const pdk_host *host, pdk_error *err)
{
    const struct settings *settings = &loaded->settings;
    uint64_t block_bytes = model_kv_block_bytes(loaded->model, loaded->kv_type), blocks = settings->kv_blocks;
    if (blocks == 0) {
        uint64_t bytes = settings->kv_bytes != 0 ? settings->kv_bytes : default_kv_bytes(loaded, host, block_bytes);
        blocks = bytes / block_bytes;
        if (blocks == 0)
            return pdk_error_set(err, PDK_NO_MEMORY, "--kv-cache-memory-bytes",
                "the key-value cache would have %.3f GiB, which is less than one block (%" PRIu64 " bytes)", gib(bytes),
                block_bytes);
    }
    if (blocks > UINT32_MAX / BLOCK_TOKENS - 1)
        blocks = UINT32_MAX / BLOCK_TOKENS - 1;
    loaded->blocks = (uint32_t)blocks;
    if (__builtin_mul_overflow(blocks, block_bytes, &loaded->kv_bytes))
        return pdk_error_set(
            err, PDK_NO_MEMORY, "--num-gpu-blocks-override", "%" PRIu64 " blocks do not fit in memory", blocks);
    uint64_t need = model_facts(loaded->model)->weight_bytes + loaded->activation_bytes + loaded->kv_bytes;
    if (host->memory_bytes == 0 || need <= host->memory_bytes)
        return PDK_OK;
    return pdk_error_set(err, PDK_NO_MEMORY, "memory",
        "weights, key-value cache (%.2f GiB) and activations need %.2f GiB, limit %.2f GiB", gib(loaded->kv_bytes),
        gib(need), gib(host->memory_bytes));
}

/* A context that nobody asked for is cut to what the cache holds; one that was asked for stays, and requests that can
 * never fit are refused with the numbers. */
static void fit_length(struct loaded *loaded, const pdk_host *host)
{
    struct served *served = &loaded->served;
    uint64_t tokens = (uint64_t)loaded->blocks * BLOCK_TOKENS;
    served->pool_tokens = tokens < UINT32_MAX ? (uint32_t)tokens : UINT32_MAX;
    if (served->pool_tokens >= served->max_model_len)
        return;
    if (loaded->settings.max_model_len != 0) {
        load_log(host, PDK_LOG_WARNING,
            "--max-model-len is %" PRIu32 " and the key-value cache holds %" PRIu32
            " tokens: longer requests will be refused",
            served->max_model_len, served->pool_tokens);
        return;
    }
    load_log(host, PDK_LOG_NOTICE,
        "the longest request is %" PRIu32 " tokens, as many as the key-value cache holds; the model could %" PRIu32,
        served->pool_tokens, served->max_model_len);
    served->max_model_len = served->pool_tokens;
}

pdk_status load_sizes(struct loaded *loaded, const pdk_host *host, pdk_error *err)
{
    struct settings *settings = &loaded->settings;
    pdk_status status = find_length(loaded, err);
    if (status != PDK_OK)
        return status;
    bool encoder = model_facts(loaded->model)->encoder;
    if (encoder && settings->rows_given && settings->max_rows < loaded->served.max_model_len) {
        load_log(host, PDK_LOG_NOTICE,
            "the longest text is %" PRIu32 " tokens, by --max-num-batched-tokens; the model could %" PRIu32,
            settings->max_rows, loaded->served.max_model_len);
        loaded->served.max_model_len = settings->max_rows;
    }
    if ((!settings->chunked || encoder) && settings->max_rows < loaded->served.max_model_len)
        settings->max_rows = loaded->served.max_model_len;
    int32_t weights = model_facts(loaded->model)->weight_type;
    loaded->kv_type = encoder                   ? PDK_TYPE_F32
                      : settings->kv_type != 0  ? settings->kv_type
                      : weights == PDK_TYPE_F32 ? PDK_TYPE_F32
                                                : PDK_TYPE_BF16;
    if (settings->kv_rounded)
        load_log(host, PDK_LOG_NOTICE, "float16 was asked for: the key-value cache keeps bfloat16");
    loaded->max_outputs = settings->max_sequences + SCORE_OUTPUTS;
    if (encoder) /* what one step can hold, each sequence ending in the middle of a block */
        settings->kv_blocks = blocks_of(settings->max_rows) + settings->max_sequences;
    loaded->activation_bytes = model_activation_bytes(loaded->model, settings->max_rows, loaded->max_outputs);
    status = find_blocks(loaded, host, err);
    if (status != PDK_OK)
        return status;
    fit_length(loaded, host);
    return model_prepare(loaded->model, loaded->kv_type, loaded->blocks, settings->max_rows, loaded->max_outputs, err);
}
