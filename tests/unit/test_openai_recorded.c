/* Our answers against those recorded from vLLM: each request again, with parts that make the recorded words. */
#include "config.h"

#include "check_main.h"
#include "recorded.h"

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/gateway/anthropic/anthropic.h"
#include "core/gateway/openai/openai.h"
#include "core/gateway/responses/responses.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *path;
    void (*handle)(struct exchange *exchange);
} handlers[] = {
    {"/v1/models", openai_models},
    {"/version", openai_version},
    {"/health", openai_health},
    {"/ping", openai_ping},
    {"/load", openai_load},
    {"/v1/completions", openai_completions},
    {"/v1/chat/completions", openai_chat_completions},
    {"/tokenize", openai_tokenize},
    {"/detokenize", openai_detokenize},
    {"/v1/responses", responses_create},
    {"/v1/messages", anthropic_messages},
};

/* Paths and methods that are not this protocol's: the gateway's table answers them. */
static const char *const elsewhere[] = {
    "unknown-path", "wrong-method", "embeddings-unsupported", "score-unsupported", "metrics"};

/* The two runs of vLLM: without a tool parser, and with one and --enable-prompt-tokens-details. */
static struct run {
    const char *file;
    size_t rows;
    bool tools;
    struct json_document *document;
    struct buffer text;
} runs[] = {{.file = "vllm-0.32.json", .rows = 114}, {.file = "vllm-0.32-tools.json", .rows = 15, .tools = true}};

static void setup(struct run *run)
{
    const char *folder = getenv("PADDOCK_FIXTURES");
    char path[512];
    pdk_error err = {0};
    struct json_limits limits = json_limits_default;
    snprintf(path, sizeof path, "%s/api/%s", folder == NULL ? "." : folder, run->file);
    if (file_read(path, limits.bytes, &run->text, &err) != PDK_OK)
        return;
    if (json_read(run->text.data, run->text.length, &limits, &run->document, &err) != PDK_OK)
        fprintf(stderr, "%s: %s\n", path, err.message);
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static const char *field(const struct json *row, const char *key)
{
    const char *value = "";
    json_string(json_get(row, key), &value);
    return value;
}

/* What a tokenizer would say. */
static void tokenizer_parts(const char *name, struct recording *recording)
{
    static const uint32_t ids[] = {19556, 905};
    static const pdk_string pieces[] = {{"Hello", 5}, {"\xC4\xA0world", 7}};
    static const uint32_t chat[] = {1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018,
        411, 407, 19712, 8182, 2, 198, 1, 4093, 198, 6004, 2, 198, 1, 520, 9531, 198};
    recording->events = calloc(2, sizeof *recording->events);
    ck_assert_ptr_nonnull(recording->events);
    recording->count = 2;
    pdk_part *part = &recording->events[0].part;
    recording->events[0].is_part = true;
    part->size = sizeof *part;
    bool of_chat = strcmp(name, "tokenize-chat") == 0, back = strcmp(name, "detokenize") == 0;
    part->token_ids = back ? NULL : of_chat ? chat : ids;
    part->token_count = back ? 0 : of_chat ? sizeof chat / sizeof *chat : 2;
    part->text = back ? (pdk_string){"Hello world", 11} : (pdk_string){NULL, 0};
    if (strcmp(name, "tokenize-strings") == 0) {
        part->pieces = pieces;
        part->piece_count = 2;
    }
}

/* An error of Python's validator need name only the field and the cause. */
static void compare_dump(const char *name, const struct json *got, const struct json *want, struct buffer *differences)
{
    const char *param = field(json_get(want, "error"), "param");
    const char *message = field(json_get(got, "error"), "message");
    static const char *const same[] = {"type", "param", "code"};
    for (size_t i = 0; i < 3; i++)
        recording_compare(same[i], json_get(json_get(got, "error"), same[i]),
            json_get(json_get(want, "error"), same[i]), differences);
    if (strncmp(message, "1 validation error:\n  ", 22) != 0 || strstr(message, param) == NULL)
        buffer_printf(differences, "  %s: the message is '%s'\n", name, message);
}

static void compare_texts(const char *name, const char *got, const char *want, struct buffer *differences)
{
    struct json_document *a = NULL, *b = NULL;
    pdk_error err = {0};
    struct json_limits limits = json_limits_default;
    if (json_read(got, strlen(got), &limits, &a, &err) != PDK_OK ||
        json_read(want, strlen(want), &limits, &b, &err) != PDK_OK)
        buffer_printf(differences, "  not JSON: %s\n%s\n", err.message, got);
    else if (strcmp(field(json_get(json_root(b), "error"), "type"), "Bad Request") == 0)
        compare_dump(name, json_root(a), json_root(b), differences);
    else
        recording_compare("$", json_root(a), json_root(b), differences);
    json_document_free(a);
    json_document_free(b);
}

/* Takes an event's "event: NAME" line off both. */
static void take_name(const char *name, const char **got, const char **want, struct buffer *differences)
{
    if (strncmp(*want, "event: ", 7) != 0)
        return;
    size_t length = strcspn(*want, "\n");
    if (strncmp(*got, *want, length + 1) != 0)
        buffer_printf(differences, "  %s: an event is '%.40s', not '%.*s'\n", name, *got, (int)length, *want);
    *got += strcspn(*got, "\n") + 1;
    *want += length + 1;
}

/* Event by event. */
static void compare_streams(const char *name, const char *got, const char *want, struct buffer *differences)
{
    while (*got != '\0' && *want != '\0') {
        take_name(name, &got, &want, differences);
        const char *got_end = strstr(got, "\n\n"), *want_end = strstr(want, "\n\n");
        if (got_end == NULL || want_end == NULL || strncmp(got, "data: ", 6) != 0)
            break;
        char *a = strndup(got + 6, (size_t)(got_end - got) - 6), *b = strndup(want + 6, (size_t)(want_end - want) - 6);
        if (strcmp(a, "[DONE]") != 0 && strcmp(b, "[DONE]") != 0)
            compare_texts(name, a, b, differences);
        else if (strcmp(a, b) != 0)
            buffer_printf(differences, "  '%s', not '%s'\n", a, b);
        free(a);
        free(b);
        got = got_end + 2;
        want = want_end + 2;
    }
    want += strspn(want, "\n"); /* Anthropic's stream ends in one more */
    if (*got != '\0' || *want != '\0')
        buffer_printf(differences, "  the stream ends in '%.200s', not '%.200s'\n", got, want);
}

static void compare_answer(
    const struct exchange *exchange, const struct json *row, bool stream, struct buffer *differences)
{
    const char *name = field(row, "name"), *answer = field(row, "answer"),
               *got = exchange->reply.length == 0 ? "" : exchange->reply.data;
    int64_t status = 0;
    json_int64(json_get(row, "status"), &status);
    if (exchange->status != status)
        buffer_printf(differences, "  status %d, not %d: %s\n", exchange->status, (int)status, got);
    else if (strcmp(exchange->type, field(row, "type")) != 0)
        buffer_printf(differences, "  type '%s', not '%s'\n", exchange->type, field(row, "type"));
    else if (stream)
        compare_streams(name, got, answer, differences);
    else if (*answer != '\0')
        compare_texts(name, got, answer, differences);
    else if (*got != '\0')
        buffer_printf(differences, "  '%s', not an empty body\n", got);
}

/* What a runtime would do with a row. */
static void script(const struct json *row, bool stream, struct recording *recording)
{
    /* The only row that the runtime refuses, and not the gateway. */
    static const struct fake_event refusal = {
        .status = PDK_INVALID, .message = "Grammar error: Invalid type: nonsense"};
    const char *name = field(row, "name"), *path = field(row, "path");
    const struct json *body = json_get(row, "body");
    if (strcmp(name, "error-schema") == 0) {
        recording->events = calloc(1, sizeof *recording->events);
        ck_assert_ptr_nonnull(recording->events);
        recording->events[recording->count++] = refusal;
    } else if (strstr(name, "tokenize") != NULL) {
        tokenizer_parts(name, recording);
    } else if (strstr(path, "completions") != NULL && body->type == JSON_OBJECT) {
        recording_read(body, field(row, "answer"), stream, recording);
    } else if (strstr(path, "/responses") != NULL || strstr(path, "/messages") != NULL) {
        recording_read_other(field(row, "answer"), stream, recording);
    }
}

static void run_row(const struct run *run, const struct json *row, struct buffer *differences)
{
    const char *path = field(row, "path");
    const struct json *body = json_get(row, "body");
    struct buffer sent = {0};
    struct recording recording = {0};
    struct exchange exchange;
    bool stream = strstr(field(row, "type"), "event-stream") != NULL;
    if (body->type == JSON_STRING)
        buffer_put(&sent, body->text, body->length);
    else if (body->type == JSON_OBJECT)
        json_print(&sent, body);
    fake_init(&exchange, path, sent.data);
    exchange.body_length = sent.length;
    const char *type = field(json_get(row, "headers"), "content-type");
    exchange.content_type = *type == '\0' ? NULL : type;
    exchange.ready.auto_tools = exchange.ready.forced_tools = run->tools;
    exchange.ready.api_flags = run->tools ? PDK_API_PROMPT_DETAILS : 0;
    script(row, stream, &recording);
    exchange.events = recording.events;
    exchange.event_count = recording.count;
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
        if (strcmp(handlers[i].path, path) == 0)
            handlers[i].handle(&exchange);
    if (exchange.replies != 1 || (exchange.streamed && !exchange.ended))
        buffer_printf(differences, "  %u answers\n", exchange.replies);
    else
        compare_answer(&exchange, row, stream, differences);
    fake_done(&exchange);
    recording_done(&recording);
    buffer_done(&sent);
}

START_TEST(answers_are_as_recorded)
{
    const struct run *run = &runs[_i];
    size_t rows = 0, failed = 0;
    struct buffer all = {0};
    for (const struct json *row = json_root(run->document)->child; row != NULL; row = row->next) {
        struct buffer differences = {0};
        rows++;
        if (is_one_of(field(row, "name"), elsewhere, sizeof elsewhere / sizeof *elsewhere))
            continue;
        run_row(run, row, &differences);
        failed += differences.length != 0;
        if (differences.length != 0)
            buffer_printf(&all, "%s:\n%s", field(row, "name"), differences.data);
        buffer_done(&differences);
    }
    ck_assert_uint_eq(rows, run->rows);
    ck_assert_msg(failed == 0, "%zu of %zu differ:\n%s", failed, rows, all.data);
    buffer_done(&all);
}
END_TEST

int main(void)
{
    size_t count = sizeof runs / sizeof *runs;
    for (size_t i = 0; i < count; i++) {
        setup(&runs[i]);
        if (runs[i].document == NULL) {
            printf("skipped: no api/%s in PADDOCK_FIXTURES\n", runs[i].file);
            return 77;
        }
    }
    Suite *suite = suite_create("openai_recorded");
    TCase *tests = tcase_create("recorded");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, answers_are_as_recorded, 0, (int)count);
    suite_add_tcase(suite, tests);
    int result = check_main(suite);
    for (size_t i = 0; i < count; i++) {
        json_document_free(runs[i].document);
        buffer_done(&runs[i].text);
    }
    return result;
}
