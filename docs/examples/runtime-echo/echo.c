/* A whole runtime: answers a prompt with its own words, one part a word. */
#include <paddock/draft/generate.h>
#include <paddock/draft/host.h>
#include <paddock/draft/model.h>
#include <paddock/runtime.h>

#include <stdio.h>
#include <string.h>

static pdk_status init(const pdk_host *host, void **ret_self, pdk_error *err)
{
    (void)err;
    *ret_self = (void *)host; /* all the state there is */
    return PDK_OK;
}

static void done(void *self)
{
    (void)self;
}

static pdk_status load(void *self, const pdk_model_spec *spec, pdk_error *err)
{
    const pdk_host *host = self;
    (void)spec, (void)err; /* a real runtime reads spec->path here, and calls host->progress */
    host->log(host->context, PDK_LOG_INFO, "echo is loaded");
    return PDK_OK;
}

static pdk_status describe(void *self, pdk_model_info *ret_info, pdk_error *err)
{
    (void)self, (void)err;
    *ret_info = (pdk_model_info){.size = sizeof *ret_info, .max_model_len = 4096, .has_tokenizer = 1};
    return PDK_OK;
}

/* Answers at once, on the caller's thread. A real runtime notes the request and answers from a thread of its own. */
static pdk_status submit(void *self, const pdk_request *request, pdk_response *response, pdk_error *err)
{
    const pdk_host *host = self;
    const char *at = request->text.data, *end = at != NULL ? at + request->text.length : NULL;
    int32_t limit = request->sampling.has & PDK_HAS_MAX_TOKENS ? request->sampling.max_tokens : INT32_MAX;
    if (at == NULL || request->text.length > 4096) {
        *err = (pdk_error){.status = PDK_INVALID, .field = "prompt"};
        snprintf(err->message, sizeof err->message, "echo takes a text prompt of at most 4096 bytes");
        return err->status; /* the response stays the host's */
    }
    pdk_part part = {.size = sizeof part};
    pdk_status status = PDK_OK;
    while (part.finish == PDK_FINISH_NONE && status != PDK_CANCELLED) {
        const char *space = at < end ? memchr(at + 1, ' ', (size_t)(end - at - 1)) : NULL;
        part.text = (pdk_string){at, (size_t)((space != NULL ? space : end) - at)};
        part.completion_tokens++;
        at += part.text.length;
        part.finish = at == end                                   ? PDK_FINISH_STOP
                      : part.completion_tokens >= (uint32_t)limit ? PDK_FINISH_LENGTH
                                                                  : PDK_FINISH_NONE;
        status = host->part_send(response, &part);
    }
    host->alive(host->context);
    host->finish(response, status == PDK_CANCELLED ? &(pdk_error){.status = PDK_CANCELLED} : NULL);
    return PDK_OK;
}

static void cancel(void *self, uint64_t request_id)
{
    (void)self, (void)request_id; /* part_send says PDK_CANCELLED from now on */
}

static const void *get_extension(void *self, const char *id)
{
    static const pdk_model model = {.size = sizeof model, .load = load, .describe = describe};
    static const pdk_generate generate = {.size = sizeof generate, .submit = submit, .cancel = cancel};
    (void)self;
    return strcmp(id, PDK_EXT_MODEL) == 0 ? (const void *)&model : strcmp(id, PDK_EXT_GENERATE) == 0 ? &generate : NULL;
}

const pdk_runtime pdk_runtime_entry = {.size = sizeof pdk_runtime_entry,
    .abi_major = PDK_RUNTIME_ABI_MAJOR,
    .abi_minor = PDK_RUNTIME_ABI_MINOR,
    .name = "echo",
    .description = "says back what it was told",
    .init = init,
    .get_extension = get_extension,
    .done = done};
