/* A whole runtime: answers a prompt with its own words, one part a word. */
#include <paddock/draft/generate.h>
#include <paddock/draft/host.h>
#include <paddock/draft/model.h>
#include <paddock/runtime.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct echo {
    const pdk_host *host;
    char name[128]; /* what the model is served as */
    const char *names[1];
};

static pdk_status fail(pdk_error *err, pdk_status status, const char *field, const char *message)
{
    *err = (pdk_error){.status = status};
    snprintf(err->field, sizeof err->field, "%s", field);
    snprintf(err->message, sizeof err->message, "%s", message);
    return status;
}

static pdk_status echo_init(const pdk_host *host, void **ret_self, pdk_error *err)
{
    struct echo *echo = calloc(1, sizeof *echo);
    if (echo == NULL)
        return fail(err, PDK_NO_MEMORY, "", "echo has no memory");
    echo->host = host;
    *ret_self = echo;
    return PDK_OK;
}

static pdk_status echo_load(void *self, const pdk_model_spec *spec, pdk_error *err)
{
    struct echo *echo = self;
    (void)err;
    snprintf(echo->name, sizeof echo->name, "%s", spec->name);
    echo->names[0] = echo->name;
    echo->host->log(echo->host->context, PDK_LOG_INFO, "echo is loaded");
    return PDK_OK;
}

static pdk_status echo_describe(void *self, pdk_model_info *ret_info, pdk_error *err)
{
    struct echo *echo = self;
    (void)err;
    *ret_info = (pdk_model_info){.size = sizeof *ret_info, .max_model_len = 4096, .served_name_count = 1,
        .has_tokenizer = 1, .served_names = echo->names, .root = echo->name, .fingerprint = "00000000"};
    return PDK_OK;
}

/* Answers at once, on the caller's thread. A real runtime notes the request and answers from a thread of its own. */
static pdk_status echo_submit(void *self, const pdk_request *request, pdk_response *response, pdk_error *err)
{
    const pdk_host *host = ((struct echo *)self)->host;
    const char *at = request->text.data, *end = at != NULL ? at + request->text.length : NULL;
    int32_t limit = request->sampling.has & PDK_HAS_MAX_TOKENS ? request->sampling.max_tokens : INT32_MAX;
    if (at == NULL || request->text.length > 4096)
        return fail(err, PDK_INVALID, "prompt", "echo takes a text prompt of at most 4096 bytes");
    pdk_part part = {.size = sizeof part};
    pdk_status status = PDK_OK;
    for (int32_t words = 0; at < end && words < limit && status != PDK_CANCELLED; words++) {
        const char *space = memchr(at + 1, ' ', (size_t)(end - at - 1)), *next = space != NULL ? space : end;
        part.text = (pdk_string){at, (size_t)(next - at)};
        part.completion_tokens = (uint32_t)words + 1;
        part.finish = next == end ? PDK_FINISH_STOP : words + 1 == limit ? PDK_FINISH_LENGTH : PDK_FINISH_NONE;
        status = host->part_send(response, &part);
        at = next;
    }
    host->alive(host->context);
    host->finish(response, status == PDK_CANCELLED ? &(pdk_error){.status = PDK_CANCELLED} : NULL);
    return PDK_OK;
}

static void echo_cancel(void *self, uint64_t request_id)
{
    (void)self, (void)request_id; /* part_send says PDK_CANCELLED from now on */
}

static const pdk_model model = {.size = sizeof model, .load = echo_load, .describe = echo_describe};
static const pdk_generate generate = {.size = sizeof generate, .submit = echo_submit, .cancel = echo_cancel};

static const void *echo_get_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, PDK_EXT_MODEL) == 0 ? (const void *)&model : strcmp(id, PDK_EXT_GENERATE) == 0 ? &generate : NULL;
}

const pdk_runtime pdk_runtime_entry = {
    .size = sizeof pdk_runtime_entry, .abi_major = PDK_RUNTIME_ABI_MAJOR, .abi_minor = PDK_RUNTIME_ABI_MINOR,
    .name = "echo", .description = "says back what it was told",
    .init = echo_init, .get_extension = echo_get_extension, .done = free,
};
