/* See the header. */
#include "config.h"

#include "runtime_desk.h"

#include "core/base/array.h"
#include "core/base/clock.h"
#include "core/base/error.h"

#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void host_log(void *context, int32_t level, const char *message)
{
    struct desk *desk = context;
    mutex_lock(&desk->lock);
    buffer_printf(&desk->log, "%d %s\n", (int)level, message);
    mutex_unlock(&desk->lock);
}

static void host_progress(void *context, double fraction, const char *what)
{
    (void)context;
    ck_assert(fraction >= 0 && fraction <= 1 && what != NULL);
}

static pdk_status host_metric(void *context, const pdk_metric *metric, uint32_t *ret_id, pdk_error *err)
{
    struct desk *desk = context;
    (void)err;
    ck_assert_uint_lt(desk->metric_count, DESK_METRICS);
    snprintf(desk->metric_names[desk->metric_count], sizeof desk->metric_names[0], "%.60s%s%.30s", metric->name,
        metric->labels != NULL ? " " : "", metric->labels != NULL ? metric->labels : "");
    *ret_id = desk->metric_count++;
    return PDK_OK;
}

static void host_add(void *context, uint32_t id, double value)
{
    struct desk *desk = context;
    mutex_lock(&desk->lock);
    desk->metric_values[id] += value;
    mutex_unlock(&desk->lock);
}

static void host_set(void *context, uint32_t id, double value)
{
    struct desk *desk = context;
    mutex_lock(&desk->lock);
    desk->metric_values[id] = value;
    mutex_unlock(&desk->lock);
}

static void host_observe(void *context, uint32_t id, double value)
{
    (void)value;
    host_add(context, id, 1); /* how often */
}

static const void *host_extension(void *context, const char *id)
{
    struct desk *desk = context;
    return strcmp(id, PDK_HOST_COMPUTE) == 0 ? &desk->host_compute : NULL;
}

static void host_alive(void *context)
{
    (void)context;
}

static void take_ids(struct desk_choice *choice, const pdk_part *part)
{
    ck_assert(array_grow(&choice->ids, &choice->id_room, choice->id_count + part->token_count + 1));
    if (part->token_count > 0)
        memcpy(choice->ids + choice->id_count, part->token_ids, part->token_count * sizeof *choice->ids);
    choice->id_count += part->token_count;
    buffer_put(&choice->text, part->text.data != NULL ? part->text.data : "", part->text.length);
}

static void take_logprobs(struct desk_choice *choice, const pdk_part *part)
{
    const pdk_logprob *at = part->logprobs;
    for (size_t i = 0; i < part->position_count; i++) {
        for (uint32_t j = 0; j < part->logprob_counts[i]; j++, at++) {
            buffer_printf(&choice->logprobs, "%u:%d:", (unsigned)at->token, (int)at->rank);
            buffer_put(&choice->logprobs, at->text.data, at->text.length);
            buffer_putc(&choice->logprobs, ' ');
            if (j == 0)
                choice->logprob_sum += at->logprob;
        }
        buffer_putc(&choice->logprobs, '|');
    }
}

static void take_deltas(struct desk_choice *choice, const pdk_part *part)
{
    choice->parsed |= (part->flags & PDK_PART_PARSED) != 0;
    choice->called |= (part->flags & PDK_PART_CALLED) != 0;
    choice->reasoning_tokens = part->reasoning_tokens;
    for (size_t i = 0; i < part->delta_count; i++) {
        const pdk_delta *delta = &part->deltas[i];
        bool more = choice->seen.length > 0 && delta->kind == choice->seen_kind && delta->call == choice->seen_call &&
                    delta->kind != PDK_DELTA_CALL;
        if (!more && choice->seen.length > 0 && delta->kind != PDK_DELTA_ARGUMENTS)
            buffer_putc(&choice->seen, '|');
        if (delta->kind == PDK_DELTA_CALL)
            buffer_printf(&choice->seen, "%u ", (unsigned)delta->call);
        else if (!more)
            buffer_puts(&choice->seen, delta->kind == PDK_DELTA_CONTENT     ? "c:"
                                       : delta->kind == PDK_DELTA_REASONING ? "r:"
                                                                            : ":");
        buffer_put(&choice->seen, delta->text.data, delta->text.length);
        choice->seen_kind = delta->kind;
        choice->seen_call = delta->call;
    }
}

static void take_end(struct desk_choice *choice, const pdk_part *part)
{
    choice->completion_tokens = part->completion_tokens;
    if (part->finish == PDK_FINISH_NONE)
        return;
    choice->finish = part->finish;
    choice->stop_kind = part->stop_kind;
    choice->stop_token = part->stop_token;
    snprintf(choice->stop_string, sizeof choice->stop_string, "%.*s", (int)part->stop_string.length,
        part->stop_string.data != NULL ? part->stop_string.data : "");
}

static void take_values(struct desk_answer *answer, const pdk_part *part)
{
    size_t count = (size_t)part->value_rows * part->value_columns;
    if (count == 0)
        return;
    answer->broken |= answer->values != NULL;
    answer->values = calloc(count, sizeof *answer->values);
    ck_assert_ptr_nonnull(answer->values);
    memcpy(answer->values, part->values, count * sizeof *answer->values);
    answer->value_rows = part->value_rows;
    answer->value_columns = part->value_columns;
}

static pdk_status host_part_send(pdk_response *response, const pdk_part *part)
{
    struct desk_answer *answer = (struct desk_answer *)(void *)response;
    struct desk *desk = answer->desk;
    mutex_lock(&desk->lock);
    answer->parts++;
    answer->broken |= answer->finishes != 0 || answer->is_full;
    pdk_status status = PDK_OK;
    if (answer->parts == answer->cancel_at) {
        status = PDK_CANCELLED;
    } else {
        bool prompt = (part->flags & PDK_PART_PROMPT) != 0;
        answer->broken |= prompt && answer->parts != 1;
        struct desk_choice *choice = prompt ? &answer->prompt : &answer->choices[part->choice];
        answer->broken |= choice->finish != PDK_FINISH_NONE;
        take_ids(choice, part);
        take_logprobs(choice, part);
        take_deltas(choice, part);
        take_end(choice, part);
        take_values(answer, part);
        answer->prompt_tokens = part->prompt_tokens;
        answer->cached_tokens = part->cached_tokens;
        for (size_t i = 0; i < part->piece_count; i++, answer->pieces++)
            buffer_put(&answer->piece_text, part->pieces[i].data, part->pieces[i].length);
        answer->is_full = answer->parts == answer->full_at;
        status = answer->is_full ? PDK_FULL : PDK_OK;
    }
    condition_broadcast(&desk->changed);
    mutex_unlock(&desk->lock);
    return status;
}

static void host_finish(pdk_response *response, const pdk_error *err)
{
    struct desk_answer *answer = (struct desk_answer *)(void *)response;
    struct desk *desk = answer->desk;
    mutex_lock(&desk->lock);
    answer->finishes++;
    if (err != NULL)
        answer->error = *err;
    condition_broadcast(&desk->changed);
    mutex_unlock(&desk->lock);
}

static const char cpu_file[] = "plugins/cpu/.libs/cpu.so", runtime_file[] = "runtimes/huggingface/.libs/huggingface.so";

/* NULL: it cannot be opened; dlerror tells. Never closed, as in the worker. */
static void *open_plugin(const char *file)
{
    const char *top = getenv("top_builddir");
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", top != NULL ? top : ".", file);
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

void desk_need_plugins(void)
{
    if (open_plugin(cpu_file) != NULL && open_plugin(runtime_file) != NULL)
        return;
    fprintf(stderr, "skipped: %s\n", dlerror());
    exit(77);
}

static const void *plugin_entry(const char *file, const char *symbol)
{
    void *handle = open_plugin(file);
    ck_assert_ptr_nonnull(handle);
    const void *entry = dlsym(handle, symbol);
    ck_assert_ptr_nonnull(entry);
    return entry;
}

void desk_open(struct desk *desk)
{
    memset(desk, 0, sizeof *desk);
    mutex_init(&desk->lock);
    condition_init(&desk->changed);
    desk->compute = plugin_entry(cpu_file, "pdk_compute_entry");
    desk->runtime = plugin_entry(runtime_file, "pdk_runtime_entry");
    pdk_compute_config config = {.size = sizeof config, .threads = 2};
    ck_assert_int_eq(desk->compute->init(&config, &desk->compute_self, NULL), PDK_OK);
    desk->host_compute =
        (pdk_host_compute){.size = sizeof desk->host_compute, .compute = desk->compute, .self = desk->compute_self};
    desk->host = (pdk_host){.size = sizeof desk->host,
        .threads = 2,
        .context = desk,
        .log = host_log,
        .progress = host_progress,
        .metric = host_metric,
        .metric_add = host_add,
        .metric_set = host_set,
        .metric_observe = host_observe,
        .get_extension = host_extension,
        .part_send = host_part_send,
        .finish = host_finish,
        .alive = host_alive};
    ck_assert_int_eq(desk->runtime->init(&desk->host, &desk->self, NULL), PDK_OK);
    desk->model = desk->runtime->get_extension(desk->self, PDK_EXT_MODEL);
    desk->generate = desk->runtime->get_extension(desk->self, PDK_EXT_GENERATE);
    desk->tokenize = desk->runtime->get_extension(desk->self, PDK_EXT_TOKENIZE);
    desk->pool = desk->runtime->get_extension(desk->self, PDK_EXT_POOL);
}

pdk_status desk_load(
    struct desk *desk, const char *path, const char *const *arguments, const char *const *environment, pdk_error *err)
{
    pdk_model_spec spec = {
        .size = sizeof spec, .name = "service", .path = path, .arguments = arguments, .environment = environment};
    while (arguments != NULL && arguments[spec.argument_count] != NULL)
        spec.argument_count++;
    while (environment != NULL && environment[spec.environment_count] != NULL)
        spec.environment_count++;
    return desk->model->load(desk->self, &spec, err);
}

void desk_close(struct desk *desk)
{
    desk->model->unload(desk->self);
    desk->runtime->done(desk->self);
    desk->compute->done(desk->compute_self);
    buffer_done(&desk->log);
    condition_done(&desk->changed);
    mutex_done(&desk->lock);
}

void desk_submit(struct desk *desk, const pdk_request *request, struct desk_answer *answer)
{
    uint32_t full_at = answer->full_at, cancel_at = answer->cancel_at;
    memset(answer, 0, sizeof *answer);
    answer->desk = desk;
    answer->id = request->id;
    answer->full_at = full_at;
    answer->cancel_at = cancel_at;
    pdk_error err = {0};
    pdk_response *response = (pdk_response *)(void *)answer;
    pdk_status status = request->kind == PDK_KIND_GENERATE ? desk->generate->submit(desk->self, request, response, &err)
                        : request->kind == PDK_KIND_POOL   ? desk->pool->submit(desk->self, request, response, &err)
                                                         : desk->tokenize->submit(desk->self, request, response, &err);
    if (status != PDK_OK)
        host_finish(response, &err);
}

void desk_wait(struct desk_answer *answer)
{
    struct desk *desk = answer->desk;
    int64_t deadline = monotonic_ms() + 60000;
    mutex_lock(&desk->lock);
    while (answer->finishes == 0)
        ck_assert(condition_wait_until(&desk->changed, &desk->lock, deadline));
    ck_assert_uint_eq(answer->finishes, 1);
    ck_assert(!answer->broken);
    mutex_unlock(&desk->lock);
}

void desk_wait_parts(struct desk_answer *answer, uint32_t parts)
{
    struct desk *desk = answer->desk;
    int64_t deadline = monotonic_ms() + 60000;
    mutex_lock(&desk->lock);
    while (answer->parts < parts)
        ck_assert(condition_wait_until(&desk->changed, &desk->lock, deadline));
    mutex_unlock(&desk->lock);
}

void desk_answer_done(struct desk_answer *answer)
{
    for (int i = 0; i <= DESK_CHOICES; i++) {
        struct desk_choice *choice = i < DESK_CHOICES ? &answer->choices[i] : &answer->prompt;
        free(choice->ids);
        buffer_done(&choice->text);
        buffer_done(&choice->logprobs);
        buffer_done(&choice->seen);
    }
    buffer_done(&answer->piece_text);
    free(answer->values);
}

double desk_metric(struct desk *desk, const char *name)
{
    mutex_lock(&desk->lock);
    uint32_t at = 0;
    while (at < desk->metric_count && strcmp(desk->metric_names[at], name) != 0)
        at++;
    ck_assert_uint_lt(at, desk->metric_count);
    double value = desk->metric_values[at];
    mutex_unlock(&desk->lock);
    return value;
}

const char *desk_fixture(const char *name)
{
    static char path[4096];
    const char *top = getenv("PADDOCK_FIXTURES");
    snprintf(path, sizeof path, "%s/%s", top != NULL ? top : "tests/fixtures", name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "skipped: %s is missing\n", path);
        exit(77);
    }
    fclose(file);
    return path;
}
