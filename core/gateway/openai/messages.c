/* The conversation of a chat: each message as its role, its plain text and its own JSON; and what else a template sees.
 * Which of text and JSON a template gets is the runtime's to know. */
#include "config.h"

#include "core/gateway/openai/call.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/gateway/openai/coerce.h"
#include "core/gateway/openai/refusal.h"

#include <stdio.h>
#include <string.h>

enum { LOCATION_MAX = 96 };

/* Keeps what `out` holds until call_free; empties it. NULL: out of memory. */
static const char *keep(struct call *call, struct buffer *out, size_t *ret_length)
{
    char *kept = out->failed ? NULL : call_alloc(call, out->length + 1, 1);
    if (kept != NULL && out->length != 0)
        memcpy(kept, out->data, out->length);
    *ret_length = out->length;
    buffer_done(out);
    return kept;
}

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
    to->content.data = keep(call, &out, &to->content.length);
    return to->content.data == NULL ? no_memory(err) : PDK_OK;
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

    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    json_print(&out, message);
    to->json.data = keep(call, &out, &to->json.length);
    return to->json.data == NULL ? no_memory(err) : PDK_OK;
}

/* tools: [{"type": "function", "function": {"name": …}}, …]. */
static pdk_status read_tools(const struct json *tools, pdk_error *err)
{
    char location[LOCATION_MAX];
    size_t at = 0;
    for (const struct json *tool = tools == NULL ? NULL : tools->child; tool != NULL; tool = tool->next, at++) {
        const struct json *function = tool->type == JSON_OBJECT ? json_get(tool, "function") : NULL;
        const char *name;
        snprintf(location, sizeof location, "body.tools.%zu%s", at, function == NULL ? "" : ".function");
        if (tool->type != JSON_OBJECT || (function != NULL && function->type != JSON_OBJECT))
            return refuse_type(err, location, "dict_type", "Input should be a valid dictionary");
        snprintf(location, sizeof location, "body.tools.%zu.function%s", at, function == NULL ? "" : ".name");
        if (function == NULL || json_get(function, "name") == NULL)
            return refuse_type(err, location, "missing", "Field required");
        if (!json_string(json_get(function, "name"), &name))
            return refuse_type(err, location, "string_type", "Input should be a valid string");
    }
    return PDK_OK;
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

pdk_status call_read_messages(struct call *call, pdk_error *err)
{
    const struct json *messages = call->fields.messages;
    pdk_status status = coerce_type(messages, JSON_ARRAY, "body.messages", err);
    if (status != PDK_OK)
        return status;
    call->messages = call_alloc(call, messages->count, sizeof *call->messages);
    call->requests = call_alloc(call, 1, sizeof *call->requests);
    if (call->messages == NULL || call->requests == NULL)
        return no_memory(err);
    call->request_count = 1;
    for (const struct json *message = messages->child; message != NULL && status == PDK_OK; message = message->next) {
        status = read_message(call, message, call->message_count, &call->messages[call->message_count], err);
        call->message_count++;
    }
    if (status == PDK_OK)
        status = read_tools(call->fields.tools, err);
    return status == PDK_OK ? read_documents(call->fields.documents, err) : status;
}

/* Tool calls need a parser for what the model writes, which is not built: only "none" passes, in vLLM's words. */
static pdk_status check_tools(const struct call *call, pdk_error *err)
{
    const struct json *choice = call->fields.tool_choice;
    const char *text, *name;
    if (call->fields.tools == NULL || call->endpoint == ENDPOINT_TOKENIZE)
        return PDK_OK;
    if (choice != NULL && choice->type == JSON_OBJECT) {
        if (!json_string(json_get(json_get(choice, "function"), "name"), &name))
            return refuse(err, "tool_choice", NULL, "`tool_choice` must be none, auto, required or name a function.");
        return refuse(err, NULL, NULL, "tool_choice=function \"%.128s\" requires --tool-call-parser to be set", name);
    }
    if (choice == NULL)
        text = "auto";
    else if (!json_string(choice, &text))
        text = "";
    if (strcmp(text, "none") == 0)
        return PDK_OK;
    if (strcmp(text, "auto") == 0)
        return refuse(err, NULL, NULL,
            "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set");
    if (strcmp(text, "required") == 0)
        return refuse(err, NULL, NULL, "tool_choice=\"required\" requires --tool-call-parser to be set");
    return refuse(err, "tool_choice", NULL, "`tool_choice` must be none, auto, required or name a function.");
}

pdk_status call_check_messages(struct call *call, const struct ready_info *ready, const char *model, pdk_error *err)
{
    const struct fields *fields = &call->fields;
    pdk_status status = check_tools(call, err);
    if (status != PDK_OK)
        return status;
    if (fields->chat_template != NULL || json_get(fields->chat_template_kwargs, "chat_template") != NULL)
        return refuse(err, NULL, NULL,
            "Chat template is passed with request, but --trust-request-chat-template is not set. Refused request with "
            "untrusted chat template.");
    if (call->part_type != NULL)
        return refuse(err, NULL, NULL, "%s is not a multimodal model", model);
    if (call->message_count == 0)
        return refuse(
            err, NULL, NULL, "Cannot apply chat template to an empty conversation. Provide at least one message.");
    if (!ready->has_tokenizer || !ready->has_template)
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
    for (const struct json *member = given == NULL ? NULL : given->child; member != NULL; member = member->next) {
        PDK_CLEANUP(buffer_done) struct buffer value = {0};
        json_print(&value, member);
        json_write_key(&writer, member->key);
        json_write_raw(&writer, value.failed ? "null" : value.data, value.failed ? 4 : value.length);
        out->failed |= value.failed;
    }
    json_write_end_object(&writer);
}

pdk_status call_set_template(struct call *call, pdk_request *request, pdk_error *err)
{
    const struct fields *fields = &call->fields;
    PDK_CLEANUP(buffer_done) struct buffer out = {0};
    if (fields->tools != NULL) {
        json_print(&out, fields->tools);
        request->tools_json.data = keep(call, &out, &request->tools_json.length);
        if (request->tools_json.data == NULL)
            return no_memory(err);
    }
    if (fields->documents != NULL) {
        json_print(&out, fields->documents);
        request->documents_json.data = keep(call, &out, &request->documents_json.length);
        if (request->documents_json.data == NULL)
            return no_memory(err);
    }
    if (fields->chat_template_kwargs != NULL || fields->reasoning_effort != NULL) {
        write_variables(&out, fields);
        request->template_vars_json.data = keep(call, &out, &request->template_vars_json.length);
        if (request->template_vars_json.data == NULL)
            return no_memory(err);
    }
    return PDK_OK;
}
