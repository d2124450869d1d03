/* See the header. The whole conversation is sent each time; the server's prefix cache makes that cheap. */
#include "config.h"

#include "core/cli/chat.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

volatile sig_atomic_t chat_interrupted;

/* Takes a stream apart into events, writes their text and keeps it. */
struct reader {
    struct buffer line, answer;
    bool failed;
    pdk_error *err;
};

static void take_event(struct reader *reader, const char *data)
{
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    const char *text;
    if (json_read(data, strlen(data), &json_limits_default, &document, NULL) != PDK_OK)
        return;
    const struct json *root = json_root(document), *choices = json_get(root, "choices");
    if (json_string(json_path(root, "error.message"), &text)) {
        pdk_error_set(reader->err, PDK_UNAVAILABLE, NULL, "%.400s", text);
        reader->failed = true;
        return;
    }
    const struct json *choice = choices != NULL ? choices->child : NULL;
    if (!json_string(json_path(choice, "delta.content"), &text) && !json_string(json_get(choice, "text"), &text))
        return;
    fputs(text, stdout);
    fflush(stdout);
    buffer_puts(&reader->answer, text);
}

static bool take_piece(void *context, const char *data, size_t length)
{
    struct reader *reader = context;
    for (size_t i = 0; i < length; i++) {
        if (data[i] != '\n') {
            buffer_putc(&reader->line, data[i]);
            continue;
        }
        if (reader->line.length > 6 && strncmp(reader->line.data, "data: {", 7) == 0)
            take_event(reader, reader->line.data + 6);
        buffer_clear(&reader->line);
    }
    return !chat_interrupted && !reader->line.failed && !reader->failed;
}

static void put_message(struct json_writer *w, const char *role, const char *content)
{
    json_write_object(w);
    json_write_key(w, "role");
    json_write_string(w, role);
    json_write_key(w, "content");
    json_write_string(w, content);
    json_write_end_object(w);
}

static bool is_number(const char *text)
{
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    double value;
    return json_read(text, strlen(text), &json_limits_default, &document, NULL) == PDK_OK &&
           json_double(json_root(document), &value);
}

pdk_status chat_settings_check(const struct chat_settings *settings, pdk_error *err)
{
    if (settings->temperature != NULL && !is_number(settings->temperature))
        return pdk_error_value(err, PDK_INVALID, "--temperature", settings->temperature,
            "--temperature wants a number, not '%.40s'", settings->temperature);
    if (settings->max_tokens != NULL && !is_number(settings->max_tokens))
        return pdk_error_value(err, PDK_INVALID, "--max-tokens", settings->max_tokens,
            "--max-tokens wants a number, not '%.40s'", settings->max_tokens);
    return PDK_OK;
}

static void put_settings(struct json_writer *w, const struct chat_settings *settings)
{
    if (settings->temperature != NULL) {
        json_write_key(w, "temperature");
        json_write_raw(w, settings->temperature, strlen(settings->temperature));
    }
    json_write_key(w, "max_tokens");
    if (settings->max_tokens != NULL)
        json_write_raw(w, settings->max_tokens, strlen(settings->max_tokens));
    else
        json_write_int(w, 1024);
}

/* `messages`: objects separated by commas, or NULL: `prompt` for the completions endpoint. */
static pdk_status ask(const struct client *client, const char *model, const struct chat_settings *settings,
    const struct buffer *messages, const char *prompt, struct reader *reader, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer body = {0};
    struct json_writer w = {.out = &body};
    json_write_object(&w);
    json_write_key(&w, "model");
    json_write_string(&w, model);
    json_write_key(&w, "stream");
    json_write_bool(&w, true);
    put_settings(&w, settings);
    if (messages != NULL) {
        json_write_key(&w, "messages");
        json_write_array(&w);
        json_write_raw(&w, messages->data, messages->length);
        json_write_end_array(&w);
    } else {
        json_write_key(&w, "prompt");
        json_write_string(&w, prompt);
    }
    json_write_end_object(&w);
    if (body.failed)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the request");
    reader->err = err;
    reader->failed = false;
    buffer_clear(&reader->answer);
    buffer_clear(&reader->line);
    pdk_status status = client_stream(
        client, messages != NULL ? "/v1/chat/completions" : "/v1/completions", body.data, take_piece, reader, err);
    if (status == PDK_OK && reader->failed)
        status = PDK_UNAVAILABLE;
    if (reader->answer.length > 0)
        putchar('\n');
    return status;
}

/* A base model has no template: vLLM's message says so, and then the prompt is continued as it stands. */
static bool lacks_template(const pdk_error *err)
{
    return strstr(err->message, "chat template") != NULL;
}

pdk_status chat_once(const struct client *client, const char *model, const struct chat_settings *settings,
    const char *prompt, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer messages = {0};
    struct json_writer w = {.out = &messages};
    put_message(&w, "user", prompt);
    struct reader reader = {0};
    pdk_error first = {0};
    pdk_status status = ask(client, model, settings, &messages, NULL, &reader, &first);
    if (status != PDK_OK && lacks_template(&first))
        status = ask(client, model, settings, NULL, prompt, &reader, &first);
    if (status != PDK_OK && err != NULL)
        *err = first;
    buffer_done(&reader.answer);
    buffer_done(&reader.line);
    return status;
}

pdk_status chat_loop(
    const struct client *client, const char *model, const struct chat_settings *settings, pdk_error *err)
{
    bool terminal = isatty(STDIN_FILENO) == 1;
    PDK_CLEANUP(buffer_done) struct buffer messages = {0};
    struct json_writer w = {.out = &messages};
    struct reader reader = {0};
    char *line = NULL;
    size_t room = 0;
    pdk_status status = PDK_OK;
    if (terminal)
        fprintf(stderr, "%s. End with /bye or ^D; ^C stops an answer.\n", model);
    while (status == PDK_OK) {
        if (terminal)
            fputs("> ", stderr);
        ssize_t length = getline(&line, &room, stdin);
        if (length < 0 && errno == EINTR && terminal) {
            clearerr(stdin);
            break;
        }
        if (length < 0)
            break;
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            line[--length] = '\0';
        if (strcmp(line, "/bye") == 0)
            break;
        if (length == 0)
            continue;
        size_t before = messages.length;
        struct json_writer writer_before = w;
        put_message(&w, "user", line);
        chat_interrupted = 0;
        status = ask(client, model, settings, &messages, NULL, &reader, err);
        if (status == PDK_INVALID) {
            /* This turn was refused, the conversation goes on without it. */
            fprintf(stderr, "%s\n", err->message);
            messages.length = before;
            w = writer_before;
            status = PDK_OK;
            continue;
        }
        put_message(&w, "assistant", reader.answer.data != NULL ? reader.answer.data : "");
    }
    free(line);
    buffer_done(&reader.answer);
    buffer_done(&reader.line);
    return status;
}
