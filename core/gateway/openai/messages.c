/* The conversation of a chat: each message as its role, its plain text and its own JSON; and what else a template sees.
 * Which of text and JSON a template gets is the runtime's to know. */
#include "config.h"

#include "core/gateway/openai/call.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/gateway/openai/coerce.h"
#include "core/gateway/openai/refusal.h"
#include "core/gateway/openai/tools.h"

#include <stdio.h>
#include <string.h>

enum { LOCATION_MAX = 96 };

static pdk_status no_memory(pdk_error *err)
{
    return pdk_error_set(err, PDK_NO_MEMORY, "messages", "no memory for the messages");
}

/* Types of parts that carry no text; the model's name and the refusal come later, in call_check_messages. */
static bool is_media(const char *type)
{
    static const char *const types[] = {"image_url", "image_pil", "image_embeds", "input_image", "input_audio",
        "audio_url", "audio_embeds", "video_url", "file"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

/* Adds a part's text to `out`. */
static pdk_status read_part(
    struct call *call, const struct json *part, const char *location, struct buffer *out, pdk_error *err)
{
    const struct json *text = part;
    const char *type = "text";
    if (part->type != JSON_STRING) {
        const struct json *given = json_get(part, "type");
        if (part->type != JSON_OBJECT)
            return refuse_type(err, location, "dict_type", "Input should be a valid dictionary");
        if (given != NULL && !json_string(given, &type))
            return refuse_type(err, location, "string_type", "Input should be a valid string");
        if (is_media(type)) {
            call->part_type = type;
            return PDK_OK;
        }
        bool refusal = strcmp(type, "refusal") == 0;
        if (!refusal && strcmp(type, "text") != 0 && strcmp(type, "input_text") != 0 &&
            strcmp(type, "output_text") != 0)
            return refuse_type(err, location, "literal_error", "Input should be a text part; no other part is known");
        text = json_get(part, refusal ? "refusal" : "text");
        if (text == NULL)
            return refuse_type(err, location, "missing", refusal ? "Field required: refusal" : "Field required: text");
        if (text->type != JSON_STRING)
            return refuse_type(err, location, "string_type", "Input should be a valid string");
    }
    if (out->length != 0)
        buffer_putc(out, '\n');
    buffer_put(out, text->text, text->length);
    return PDK_OK;
}

static pdk_status read_parts(
    struct call *call, const struct json *parts, const char *location, pdk_message *to, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    char place[LOCATION_MAX + 24];
    size_t at = 0;
    for (const struct json *part = parts->child; part != NULL; part = part->next) {
        snprintf(place, sizeof place, "%s.%zu", location, at++);
        pdk_status status = read_part(call, part, place, &out, err);
        if (status != PDK_OK)
            return status;
    }
    return call_keep(call, &out, &to->content, err);
}

static pdk_status read_message(
    struct call *call, const struct json *message, size_t at, pdk_message *to, pdk_error *err)
{
    char location[LOCATION_MAX];
    const char *role_text;
    snprintf(location, sizeof location, "body.messages.%zu", at);
    if (message->type != JSON_OBJECT)
        return refuse_type(err, location, "dict_type", "Input should be a valid dictionary");
    const struct json *role = json_get(message, "role"), *content = json_get(message, "content");
    snprintf(location, sizeof location, "body.messages.%zu.role", at);
    if (role == NULL)
        return refuse_type(err, location, "missing", "Field required");
    if (!json_string(role, &role_text))
        return refuse_type(err, location, "string_type", "Input should be a valid string");
    to->role = (pdk_string){role->text, role->length};

    /* vLLM tries one form of message after the other, and names the first that it tried. */
    snprintf(location, sizeof location, "body.messages.%zu.ChatCompletionDeveloperMessageParam.content", at);
    pdk_status status = PDK_OK;
    if (content == NULL || content->type == JSON_NULL)
        to->content = (pdk_string){NULL, 0};
    else if (content->type == JSON_STRING)
        to->content = (pdk_string){content->text, content->length};
    else if (content->type == JSON_ARRAY)
        status = read_parts(call, content, location, to, err);
    else
        status = coerce_type(content, JSON_STRING, location, err);
    if (status != PDK_OK)
        return status;

    struct buffer out = {0};
    json_print(&out, message);
    return call_keep(call, &out, &to->json, err);
}

static pdk_status read_documents(const struct json *documents, pdk_error *err)
{
    char location[LOCATION_MAX];
    size_t at = 0;
    for (const struct json *one = documents == NULL ? NULL : documents->child; one != NULL; one = one->next) {
        snprintf(location, sizeof location, "body.documents.%zu", at++);
        pdk_status status = coerce_type(one, JSON_OBJECT, location, err);
        if (status != PDK_OK)
            return status;
    }
    return PDK_OK;
}

/* A conversation, as the prompt of request number `at`. */
static pdk_status read_conversation(struct call *call, const struct json *list, size_t at, pdk_error *err)
{
    size_t count = 0;
    pdk_status status = coerce_type(list, JSON_ARRAY, "body.messages", err);
    if (status != PDK_OK)
        return status;
    pdk_message *messages = call_alloc(call, list->count, sizeof *messages);
    if (messages == NULL)
        return no_memory(err);
    for (const struct json *message = list->child; message != NULL && status == PDK_OK; message = message->next) {
        status = read_message(call, message, count, &messages[count], err);
        count++;
    }
    call->requests[at].messages = messages;
    call->requests[at].message_count = count;
    return status;
}

/* A batch is a list of conversations. */
static pdk_status read_batch(struct call *call, const struct json *list, pdk_error *err)
{
    size_t most = limit_get(LIMIT_PROMPTS), at = 0;
    pdk_status status = coerce_type(list, JSON_ARRAY, "body.messages", err);
    if (status != PDK_OK)
        return status;
    if (call->stream)
        return refuse_type(err, "body.stream", "value_error", "Value error, a batch of chats cannot be streamed");
    if (call->fields.tools != NULL)
        return refuse_type(err, "body.tools", "value_error", "Value error, a batch of chats takes no tools");
    if (call->fields.n.set && call->fields.n.value != 1)
        return refuse_type(err, "body.n", "value_error", "Value error, n must be 1 in a batch of chats");
    if (list->count == 0 || list->count > most)
        return refuse_type(err, "body.messages", list->count == 0 ? "too_short" : "too_long",
            "List should have at least 1 conversation, and at most as many as limits.prompts says");
    call->requests = call_alloc(call, list->count, sizeof *call->requests);
    if (call->requests == NULL)
        return no_memory(err);
    for (const struct json *one = list->child; one != NULL && status == PDK_OK; one = one->next)
        status = read_conversation(call, one, at++, err);
    call->request_count = at;
    return status;
}

pdk_status call_read_messages(struct call *call, pdk_error *err)
{
    pdk_status status;
    if (call->batch) {
        status = read_batch(call, call->fields.messages, err);
    } else {
        call->requests = call_alloc(call, 1, sizeof *call->requests);
        call->request_count = 1;
        status = call->requests == NULL ? no_memory(err) : read_conversation(call, call->fields.messages, 0, err);
    }
    if (status == PDK_OK)
        status = tools_read(call->fields.tools, err);
    return status == PDK_OK ? read_documents(call->fields.documents, err) : status;
}

pdk_status call_check_template(const struct call *call, const struct ready_info *ready, pdk_error *err)
{
    const struct fields *fields = &call->fields;
    bool brought =
        fields->chat_template != NULL ||
        (fields->chat_template_kwargs != NULL && json_get(fields->chat_template_kwargs, "chat_template") != NULL);
    if (brought && (ready->api_flags & PDK_API_REQUEST_TEMPLATE) == 0)
        return refuse(err, NULL, NULL,
            "Chat template is passed with request, but --trust-request-chat-template is not set. Refused request with "
            "untrusted chat template.");
    return PDK_OK;
}

pdk_status call_check_messages(struct call *call, const struct ready_info *ready, const char *model, pdk_error *err)
{
    pdk_status status = call_check_template(call, ready, err);
    if (status != PDK_OK)
        return status;
    if (call->part_type != NULL)
        return refuse(err, NULL, NULL, "%s is not a multimodal model", model);
    for (size_t i = 0; i < call->request_count; i++)
        if (call->requests[i].message_count == 0)
            return refuse(
                err, NULL, NULL, "Cannot apply chat template to an empty conversation. Provide at least one message.");
    if (!ready->has_tokenizer || (!ready->has_template && call->fields.chat_template == NULL))
        return refuse(err, "messages", NULL, "This model has no %s, so it takes no messages; use /v1/completions.",
            ready->has_tokenizer ? "chat template" : "tokenizer");
    return PDK_OK;
}

/* chat_template_kwargs, and beside them what reasoning_effort means to a template; the client's own keys win. */
static void write_variables(struct buffer *out, const struct fields *fields)
{
    const struct json *given = fields->chat_template_kwargs, *effort = fields->reasoning_effort;
    struct json_writer writer = {.out = out};
    json_write_object(&writer);
    if (effort != NULL && json_get(given, "reasoning_effort") == NULL) {
        json_write_key(&writer, "reasoning_effort");
        json_write_text(&writer, effort->text, effort->length);
    }
    if (effort != NULL && json_get(given, "enable_thinking") == NULL) {
        json_write_key(&writer, "enable_thinking");
        json_write_bool(&writer, strcmp(effort->text, "none") != 0);
    }
    if (fields->instruction != NULL && json_get(given, "instruction") == NULL) {
        json_write_key(&writer, "instruction");
        json_write_text(&writer, fields->instruction->text, fields->instruction->length);
    }
    for (const struct json *member = given == NULL ? NULL : given->child; member != NULL; member = member->next) {
        PDK_CLEANUP(buffer_done) struct buffer value = {0};
        json_print(&value, member);
        json_write_key(&writer, member->key);
        json_write_raw(&writer, value.failed ? "null" : value.data, value.failed ? 4 : value.length);
        out->failed |= value.failed;
    }
    json_write_end_object(&writer);
}

static pdk_status print_into(struct call *call, const struct json *value, pdk_string *to, pdk_error *err)
{
    struct buffer out = {0};
    json_print(&out, value);
    return call_keep(call, &out, to, err);
}

pdk_status call_set_template(struct call *call, pdk_request *request, pdk_error *err)
{
    const struct fields *fields = &call->fields;
    const struct json *own = fields->chat_template;
    pdk_status status = PDK_OK;
    if (own != NULL)
        request->template_text = (pdk_string){own->text, own->length};
    if (fields->tools != NULL)
        status = print_into(call, fields->tools, &request->tools_json, err);
    if (status == PDK_OK && fields->documents != NULL)
        status = print_into(call, fields->documents, &request->documents_json, err);
    bool variables =
        fields->chat_template_kwargs != NULL || fields->reasoning_effort != NULL || fields->instruction != NULL;
    if (status == PDK_OK && variables) {
        struct buffer out = {0};
        write_variables(&out, fields);
        status = call_keep(call, &out, &request->template_vars_json, err);
    }
    return status;
}
