/* The variables of a render are written as one JSON object and read back, so that a client's values enter the
 * template's world through the same checks as everything else. Messages are adapted on the way: content as the template
 * wants it (a text, or a list of parts), a tool call's arguments as an object. */
#include "config.h"

#include "runtimes/huggingface/front/chat.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/clock.h"
#include "core/base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What templates may hold is bounded again by their own budgets. */
static const struct json_limits variable_limits = {.bytes = (size_t)64 << 20, .depth = 72, .nodes = 2000000};

enum { MISTRAL_ID_BYTES = 9 };

/* Variables that the runtime sets; a request may not. */
static const char *const own_names[] = {"messages", "tools", "documents", "add_generation_prompt",
    "continue_final_message", "bos_token", "eos_token", "chat_template", "tokenize", "tokenizer", "raise_exception",
    "strftime_now", "namespace"};

static void put_json(struct json_writer *out, const char *key, const struct json *value)
{
    struct buffer printed = {0};
    json_print(&printed, value);
    if (key != NULL)
        json_write_key(out, key);
    json_write_raw(out, printed.data != NULL ? printed.data : "null", printed.data != NULL ? printed.length : 4);
    out->out->failed |= printed.failed;
    buffer_done(&printed);
}

static pdk_status not_text(const struct json *part, pdk_error *err)
{
    const char *type = "";
    (void)json_string(json_get(part, "type"), &type);
    return pdk_error_set(err, PDK_INVALID, NULL, "this model takes text only, not content parts of type '%.40s'", type);
}

/* The text of a part: {"type": "text", "text": …}, or a plain string. */
static pdk_status part_text(const struct json *part, const struct json **ret_text, pdk_error *err)
{
    if (part->type == JSON_STRING) {
        *ret_text = part;
        return PDK_OK;
    }
    const struct json *text = part->type == JSON_OBJECT ? json_get(part, "text") : NULL;
    if (text == NULL || text->type != JSON_STRING)
        return not_text(part, err);
    *ret_text = text;
    return PDK_OK;
}

/* Parts joined to one text, a line each. */
static pdk_status put_joined(struct json_writer *out, const struct json *content, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer joined = {0};
    for (const struct json *part = content->child; part != NULL; part = part->next) {
        const struct json *text;
        pdk_status status = part_text(part, &text, err);
        if (status != PDK_OK)
            return status;
        if (part != content->child)
            buffer_putc(&joined, '\n');
        buffer_put(&joined, text->text, text->length);
    }
    json_write_text(out, joined.data != NULL ? joined.data : "", joined.length);
    out->out->failed |= joined.failed;
    return PDK_OK;
}

static pdk_status put_parts(struct json_writer *out, const struct json *content, pdk_error *err)
{
    json_write_array(out);
    const struct json *first = content->type == JSON_ARRAY ? content->child : content;
    for (const struct json *part = first; part != NULL; part = content->type == JSON_ARRAY ? part->next : NULL) {
        const struct json *text;
        pdk_status status = part_text(part, &text, err);
        if (status != PDK_OK)
            return status;
        json_write_object(out);
        json_write_key(out, "type");
        json_write_string(out, "text");
        json_write_key(out, "text");
        json_write_text(out, text->text, text->length);
        json_write_end_object(out);
    }
    json_write_end_array(out);
    return PDK_OK;
}

/* No content, as beside calls, is empty content: few templates ask whether there is any. */
static pdk_status put_content(
    const struct served *served, struct json_writer *out, const struct json *content, pdk_error *err)
{
    json_write_key(out, "content");
    if (content == NULL || content->type == JSON_NULL)
        json_write_raw(out, served->wants_parts ? "[]" : "\"\"", 2);
    else if (content->type == JSON_STRING && !served->wants_parts)
        json_write_text(out, content->text, content->length);
    else if ((content->type == JSON_STRING || content->type == JSON_ARRAY) && served->wants_parts)
        return put_parts(out, content, err);
    else if (content->type == JSON_ARRAY)
        return put_joined(out, content, err);
    else
        put_json(out, NULL, content);
    return PDK_OK;
}

/* {"name": …, "arguments": "{…}"}: templates expect the object that the text holds. */
static void put_function(struct json_writer *out, const struct json *function)
{
    json_write_key(out, "function");
    json_write_object(out);
    for (const struct json *member = function->child; member != NULL; member = member->next) {
        struct json_document *parsed = NULL;
        bool arguments = strcmp(member->key, "arguments") == 0;
        if (arguments && (member->type == JSON_NULL || (member->type == JSON_STRING && member->length == 0))) {
            json_write_key(out, member->key); /* no arguments */
            json_write_object(out);
            json_write_end_object(out);
        } else if (arguments && member->type == JSON_STRING &&
                   json_read(member->text, member->length, &json_limits_default, &parsed, NULL) == PDK_OK) {
            put_json(out, member->key, json_root(parsed));
        } else {
            put_json(out, member->key, member);
        }
        json_document_free(parsed);
    }
    json_write_end_object(out);
}

/* Some templates refuse ids that are longer than the ones their model makes. */
static void put_id(const struct served *served, struct json_writer *out, const struct json *id)
{
    const struct tool_format *format = served->parsers.tool_format;
    bool cuts = format != NULL && (format->flags & FORMAT_MISTRAL_IDS) != 0 && id->type == JSON_STRING;
    size_t drop = cuts && id->length > MISTRAL_ID_BYTES ? id->length - MISTRAL_ID_BYTES : 0;
    if (drop == 0) {
        put_json(out, id->key, id);
        return;
    }
    json_write_key(out, id->key);
    json_write_text(out, id->text + drop, id->length - drop);
}

static void put_tool_calls(const struct served *served, struct json_writer *out, const struct json *calls)
{
    json_write_key(out, "tool_calls");
    json_write_array(out);
    for (const struct json *call = calls->child; call != NULL; call = call->next) {
        if (call->type != JSON_OBJECT) {
            put_json(out, NULL, call);
            continue;
        }
        json_write_object(out);
        for (const struct json *member = call->child; member != NULL; member = member->next) {
            if (strcmp(member->key, "function") == 0 && member->type == JSON_OBJECT)
                put_function(out, member);
            else if (strcmp(member->key, "id") == 0)
                put_id(served, out, member);
            else
                put_json(out, member->key, member);
        }
        json_write_end_object(out);
    }
    json_write_end_array(out);
}

/* Clients know it by either name, and so do templates. */
static void put_reasoning(struct json_writer *out, const struct json *message)
{
    const struct json *reasoning = json_get(message, "reasoning");
    if (reasoning == NULL || reasoning->type == JSON_NULL)
        reasoning = json_get(message, "reasoning_content");
    if (reasoning == NULL || reasoning->type == JSON_NULL)
        return;
    put_json(out, "reasoning", reasoning);
    put_json(out, "reasoning_content", reasoning);
}

static pdk_status put_message(
    const struct served *served, struct json_writer *out, const pdk_message *message, pdk_error *err)
{
    struct json_document *document = NULL;
    pdk_status status = json_read(message->json.data, message->json.length, &variable_limits, &document, err);
    if (status != PDK_OK)
        return status;
    const struct json *root = json_root(document);
    if (root->type != JSON_OBJECT) {
        json_document_free(document);
        return pdk_error_set(err, PDK_INVALID, "messages", "a message must be an object");
    }
    json_write_object(out);
    for (const struct json *member = root->child; member != NULL && status == PDK_OK; member = member->next) {
        const char *key = member->key;
        if (strcmp(key, "content") == 0)
            status = put_content(served, out, member, err);
        else if (strcmp(key, "tool_calls") == 0 && member->type == JSON_ARRAY)
            put_tool_calls(served, out, member);
        else if (strcmp(key, "tool_call_id") == 0)
            put_id(served, out, member);
        else if (strcmp(key, "reasoning") != 0 && strcmp(key, "reasoning_content") != 0)
            put_json(out, key, member);
    }
    if (status == PDK_OK && json_get(root, "content") == NULL)
        status = put_content(served, out, NULL, err);
    put_reasoning(out, root);
    json_write_end_object(out);
    json_document_free(document);
    return status;
}

static pdk_status put_messages(
    const struct served *served, struct json_writer *out, const pdk_request *request, pdk_error *err)
{
    json_write_key(out, "messages");
    json_write_array(out);
    for (size_t i = 0; i < request->message_count; i++) {
        pdk_status status = put_message(served, out, &request->messages[i], err);
        if (status != PDK_OK)
            return status;
    }
    json_write_end_array(out);
    return PDK_OK;
}

/* A template may know efforts by other names than clients do. */
static void put_effort(const struct json *map, struct json_writer *out, const struct json *effort)
{
    const char *name = NULL;
    const struct json *other = map != NULL && json_string(effort, &name) ? json_get(map, name) : NULL;
    put_json(out, effort->key, other != NULL ? other : effort);
}

/* The service's variables, then the request's over them. */
static pdk_status put_variables(struct json_writer *out, const struct json *map, const struct json *service,
    const struct json *request, pdk_error *err)
{
    for (const struct json *member = request != NULL ? request->child : NULL; member != NULL; member = member->next) {
        for (size_t i = 0; i < sizeof own_names / sizeof own_names[0]; i++)
            if (strcmp(member->key, own_names[i]) == 0)
                return pdk_error_set(err, PDK_INVALID, NULL, "chat_template_kwargs cannot set '%s'", own_names[i]);
        if (strcmp(member->key, "reasoning_effort") == 0)
            put_effort(map, out, member);
        else
            put_json(out, member->key, member);
    }
    for (const struct json *member = service != NULL ? service->child : NULL; member != NULL; member = member->next)
        if (request == NULL || json_get(request, member->key) == NULL)
            put_json(out, member->key, member);
    return PDK_OK;
}

static void put_special(const struct served *served, struct json_writer *out, const char *key, int64_t id)
{
    pdk_string piece = id >= 0 ? tokenizer_piece(served->tokenizer, (uint32_t)id) : (pdk_string){"", 0};
    json_write_key(out, key);
    json_write_text(out, piece.data != NULL ? piece.data : "", piece.length);
}

static void put_raw(struct json_writer *out, const char *key, pdk_string json)
{
    if (json.length == 0)
        return;
    json_write_key(out, key);
    json_write_raw(out, json.data, json.length);
}

static bool hides_tools(const struct served *served, const pdk_request *request)
{
    bool none = request->kind == PDK_KIND_GENERATE && request->tools == PDK_TOOLS_NONE;
    return (request->flags & PDK_FLAG_TOOLS_UNSEEN) != 0 || (served->parsers.hide_tools && none);
}

static pdk_status read_object(pdk_string text, struct json_document **ret_document, pdk_error *err)
{
    if (text.length == 0)
        return PDK_OK;
    pdk_status status = json_read(text.data, text.length, &variable_limits, ret_document, err);
    if (status == PDK_OK && json_root(*ret_document)->type != JSON_OBJECT)
        return pdk_error_set(err, PDK_INVALID, "chat_template_kwargs", "chat_template_kwargs must be an object");
    return status;
}

static const struct json *root_of(const struct json_document *document)
{
    return document != NULL ? json_root(document) : NULL;
}

static pdk_string string_of(const char *text)
{
    return (pdk_string){text, text != NULL ? strlen(text) : 0};
}

static pdk_status write_variables(
    const struct served *served, const pdk_request *request, struct buffer *text, pdk_error *err)
{
    struct json_writer out = {.out = text};
    bool continues = (request->flags & PDK_FLAG_CONTINUE_FINAL) != 0;
    bool opens = (request->flags & PDK_FLAG_NO_GENERATION_PROMPT) == 0 && !continues;
    json_write_object(&out);
    pdk_status status = put_messages(served, &out, request, err);
    if (status != PDK_OK)
        return status;
    if (!hides_tools(served, request))
        put_raw(&out, "tools", request->tools_json);
    put_raw(&out, "documents", request->documents_json);
    json_write_key(&out, "add_generation_prompt");
    json_write_bool(&out, opens);
    json_write_key(&out, "continue_final_message");
    json_write_bool(&out, continues);
    put_special(served, &out, "bos_token", tokenizer_bos(served->tokenizer));
    put_special(served, &out, "eos_token", tokenizer_eos(served->tokenizer));

    PDK_CLEANUP(json_document_freep) struct json_document *own = NULL, *given = NULL, *efforts = NULL;
    status = read_object(string_of(served->template_vars), &own, err);
    if (status == PDK_OK)
        status = read_object(request->template_vars_json, &given, err);
    if (status == PDK_OK)
        status = read_object(string_of(served->effort_map), &efforts, err);
    if (status == PDK_OK)
        status = put_variables(&out, root_of(efforts), root_of(own), root_of(given), err);
    json_write_end_object(&out);
    return status == PDK_OK && text->failed ? pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the messages")
                                            : status;
}

/* Cuts a rendered text to `length`. */
static void cut(struct template_output *output, size_t length)
{
    size_t before = 0;
    for (size_t i = 0; i < output->run_count; i++) {
        if (before + output->runs[i].length >= length) {
            output->runs[i].length = length - before;
            output->run_count = i + 1;
            break;
        }
        before += output->runs[i].length;
    }
    output->text.length = length;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* Leaves the last message open: what the template wrote behind its content is cut off. */
static pdk_status reopen(const struct json *variables, struct template_output *output, pdk_error *err)
{
    const struct json *last = json_get(variables, "messages")->child;
    while (last != NULL && last->next != NULL)
        last = last->next;
    const struct json *content = last != NULL ? json_get(last, "content") : NULL;
    if (content != NULL && content->type == JSON_ARRAY) {
        const struct json *part = content->child;
        while (part != NULL && part->next != NULL)
            part = part->next;
        content = part != NULL ? json_get(part, "text") : NULL;
    }
    if (content == NULL || content->type != JSON_STRING)
        return pdk_error_set(err, PDK_INVALID, NULL, "continue_final_message is set but the last message has no text");
    size_t start = 0, end = content->length;
    while (end > start && is_space(content->text[end - 1]))
        end--;
    while (start < end && is_space(content->text[start]))
        start++;
    size_t length = end - start;
    for (size_t at = output->text.length; at >= length && length > 0; at--) {
        if (memcmp(output->text.data + at - length, content->text + start, length) != 0)
            continue;
        /* Spaces behind it belong to the message where the template kept them. */
        while (end < content->length && at < output->text.length && output->text.data[at] == content->text[end]) {
            at++;
            end++;
        }
        cut(output, at);
        return PDK_OK;
    }
    if (length == 0)
        return PDK_OK;
    return pdk_error_set(err, PDK_INVALID, NULL,
        "continue_final_message is set but the final message does not appear in the chat after applying the chat "
        "template!");
}

/* The request's own template, parsed for this once. */
static pdk_status render(const struct served *served, const pdk_request *request, const struct json *variables,
    struct template_output *output, pdk_error *err)
{
    pdk_string own = request->template_text;
    if (served->harmony_prompts && own.length == 0)
        return harmony_render(variables, wall_seconds(), output, err);
    if (own.length == 0)
        return template_render(served->template, variables, wall_seconds(), &template_budget_default, output, err);
    struct template *template = NULL;
    pdk_status status = template_parse(own.data, own.length, &template, err);
    if (status == PDK_OK)
        status = template_render(template, variables, wall_seconds(), &template_budget_default, output, err);
    template_free(template);
    return status;
}

pdk_status chat_render(
    const struct served *served, const pdk_request *request, struct template_output *output, pdk_error *err)
{
    PDK_CLEANUP(buffer_done) struct buffer text = {0};
    pdk_status status = write_variables(served, request, &text, err);
    if (status != PDK_OK)
        return status;
    PDK_CLEANUP(json_document_freep) struct json_document *variables = NULL;
    status = json_read(text.data, text.length, &variable_limits, &variables, err);
    if (status != PDK_OK)
        return status;
    status = render(served, request, json_root(variables), output, err);
    if (status == PDK_OK && (request->flags & PDK_FLAG_CONTINUE_FINAL) != 0)
        status = reopen(json_root(variables), output, err);
    return status;
}

/* What a variable says, the request's before the service's. False: neither does. */
static bool find_switch(const struct json *service, const struct json *request, const char *name, bool *ret_value)
{
    const struct json *value = request != NULL ? json_get(request, name) : NULL;
    if (value == NULL && service != NULL)
        value = json_get(service, name);
    return value != NULL && json_bool(value, ret_value);
}

pdk_status chat_switches_read(
    const struct served *served, const pdk_request *request, struct chat_switches *ret_switches, pdk_error *err)
{
    PDK_CLEANUP(json_document_freep) struct json_document *own = NULL, *given = NULL;
    pdk_status status = read_object(string_of(served->template_vars), &own, err);
    if (status == PDK_OK)
        status = read_object(request->template_vars_json, &given, err);
    if (status != PDK_OK)
        return status;
    const struct json *service = own != NULL ? json_root(own) : NULL, *asked = given != NULL ? json_root(given) : NULL;
    bool value = false;
    ret_switches->thinking = -1;
    ret_switches->force_content = false;
    if (find_switch(service, asked, "enable_thinking", &value) || find_switch(service, asked, "thinking", &value))
        ret_switches->thinking = value;
    if (find_switch(service, asked, "force_nonempty_content", &value))
        ret_switches->force_content = value;
    return PDK_OK;
}
