/* See guide.h. response_format comes before structured_outputs, and that before guided_*: the first that asks for
 * something is the guide. */
#include "config.h"

#include "core/gateway/openai/guide.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/gateway/openai/coerce.h"
#include "core/gateway/openai/refusal.h"

#include <stdio.h>
#include <string.h>

/* What a request may ask for, by vLLM's names; NULL: not given. */
struct kinds {
    const struct json *json, *regex, *choice, *grammar, *json_object, *structural_tag;
};

static const struct json *given(const struct json *object, const char *name)
{
    const struct json *value = object != NULL && object->type == JSON_OBJECT ? json_get(object, name) : NULL;
    return value == NULL || value->type == JSON_NULL ? NULL : value;
}

static bool is_word(const struct json *value, const char *word)
{
    const char *text;
    return json_string(value, &text) && strcmp(text, word) == 0;
}

pdk_status guide_check_body(const struct json *body, bool chat, pdk_error *err)
{
    const struct json *outputs = given(body, "structured_outputs"), *format = given(body, "response_format");
    bool guided = outputs == NULL;
    unsigned count = (given(guided ? body : outputs, guided ? "guided_json" : "json") != NULL) +
                     (given(guided ? body : outputs, guided ? "guided_regex" : "regex") != NULL) +
                     (given(guided ? body : outputs, guided ? "guided_choice" : "choice") != NULL);
    const struct json *choice = given(body, "tool_choice");
    if (count > 1)
        return refuse(err, NULL, NULL,
            "You can only use one kind of constraints for structured outputs ('json', 'regex' or 'choice').");
    if (chat && count == 1 && choice != NULL && choice->type == JSON_OBJECT)
        return refuse(
            err, NULL, NULL, "You can only either use constraints for structured outputs or tools, not both.");
    if (is_word(given(format, "type"), "json_schema") && given(format, "json_schema") == NULL)
        return refuse(err, "response_format", NULL,
            "When response_format type is 'json_schema', the 'json_schema' field must be provided.");
    return PDK_OK;
}

static pdk_status read_format(const struct json *format, pdk_error *err)
{
    static const char *const types[] = {"text", "json_object", "json_schema", "structural_tag"};
    const struct json *type = json_get(format, "type"), *schema = given(format, "json_schema");
    bool known = false;
    if (type == NULL)
        return refuse_type(err, "body.response_format.type", "missing", "Field required");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        known |= is_word(type, types[i]);
    if (!known)
        return refuse_type(err, "body.response_format.type", "literal_error",
            "Input should be \"text\", \"json_object\", \"json_schema\" or \"structural_tag\"");
    if (schema == NULL)
        return PDK_OK;
    pdk_status status = coerce_type(schema, JSON_OBJECT, "body.response_format.json_schema", err);
    if (status == PDK_OK && given(schema, "schema") != NULL)
        status = coerce_type(given(schema, "schema"), JSON_OBJECT, "body.response_format.json_schema.schema", err);
    return status;
}

static pdk_status read_choices(const struct json *list, const char *location, pdk_error *err)
{
    char place[80];
    size_t at = 0;
    pdk_status status = coerce_type(list, JSON_ARRAY, location, err);
    for (const struct json *one = list->child; one != NULL && status == PDK_OK; one = one->next) {
        snprintf(place, sizeof place, "%s.%zu", location, at++);
        status = coerce_type(one, JSON_STRING, place, err);
    }
    return status;
}

static pdk_status read_outputs(const struct json *outputs, pdk_error *err)
{
    static const struct {
        const char *name, *location;
        enum json_type type;
    } texts[] = {{"regex", "body.structured_outputs.regex", JSON_STRING},
        {"grammar", "body.structured_outputs.grammar", JSON_STRING},
        {"structural_tag", "body.structured_outputs.structural_tag", JSON_STRING},
        {"whitespace_pattern", "body.structured_outputs.whitespace_pattern", JSON_STRING}};
    static const struct {
        const char *name, *location;
    } flags[] = {{"json_object", "body.structured_outputs.json_object"},
        {"disable_any_whitespace", "body.structured_outputs.disable_any_whitespace"},
        {"disable_additional_properties", "body.structured_outputs.disable_additional_properties"}};
    const struct json *choice = given(outputs, "choice"), *schema = given(outputs, "json");
    pdk_status status = PDK_OK;
    if (schema != NULL && schema->type != JSON_STRING)
        status = coerce_type(schema, JSON_OBJECT, "body.structured_outputs.json", err);
    for (size_t i = 0; i < sizeof texts / sizeof *texts && status == PDK_OK; i++)
        if (given(outputs, texts[i].name) != NULL)
            status = coerce_type(given(outputs, texts[i].name), texts[i].type, texts[i].location, err);
    for (size_t i = 0; i < sizeof flags / sizeof *flags && status == PDK_OK; i++) {
        bool ignored;
        if (given(outputs, flags[i].name) != NULL)
            status = coerce_bool(given(outputs, flags[i].name), flags[i].location, &ignored, err);
    }
    if (status == PDK_OK && choice != NULL)
        status = read_choices(choice, "body.structured_outputs.choice", err);
    return status;
}

pdk_status guide_read(const struct call *call, pdk_error *err)
{
    const struct fields *fields = &call->fields;
    pdk_status status = PDK_OK;
    if (fields->response_format != NULL)
        status = read_format(fields->response_format, err);
    if (status == PDK_OK && fields->structured_outputs != NULL)
        status = read_outputs(fields->structured_outputs, err);
    if (status == PDK_OK && fields->guided_json != NULL && fields->guided_json->type != JSON_STRING)
        status = coerce_type(fields->guided_json, JSON_OBJECT, "body.guided_json", err);
    return status;
}

static pdk_status print_into(struct call *call, const struct json *value, pdk_string *to, pdk_error *err)
{
    struct buffer out = {0};
    json_print(&out, value);
    return call_keep(call, &out, to, err);
}

/* A schema comes as an object, or as the text of one. */
static pdk_status set_schema(struct call *call, const struct json *schema, pdk_guide *guide, pdk_error *err)
{
    guide->kind = PDK_GUIDE_JSON_SCHEMA;
    if (schema->type != JSON_STRING)
        return print_into(call, schema, &guide->text, err);
    if (schema->length == 0)
        return refuse(err, NULL, NULL, "structured_outputs.json cannot be an empty string");
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    const struct json_limits limits = {
        .bytes = schema->length, .depth = limit_get(LIMIT_JSON_DEPTH), .nodes = limit_get(LIMIT_JSON_NODES)};
    pdk_error cause = {0};
    pdk_status status = json_read(schema->text, schema->length, &limits, &document, &cause);
    if (status != PDK_OK && status != PDK_INVALID)
        return pdk_error_set(err, status, "structured_outputs", "%s", cause.message);
    if (status != PDK_OK)
        return refuse(err, NULL, NULL, "Failed to transform json schema into a grammar: %.300s", cause.message);
    guide->text = (pdk_string){schema->text, schema->length};
    return PDK_OK;
}

static pdk_status set_text(
    const struct json *text, const char *name, int32_t kind, bool may_be_empty, pdk_guide *guide, pdk_error *err)
{
    if (!may_be_empty && text->length == 0)
        return refuse(err, NULL, NULL, "structured_outputs.%s cannot be an empty string", name);
    guide->kind = kind;
    guide->text = (pdk_string){text->text, text->length};
    return PDK_OK;
}

static void put_names(struct buffer *out, const struct kinds *kinds)
{
    const struct {
        const char *name;
        const struct json *value;
    } all[] = {{"json", kinds->json}, {"regex", kinds->regex}, {"choice", kinds->choice}, {"grammar", kinds->grammar},
        {"json_object", kinds->json_object}, {"structural_tag", kinds->structural_tag}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].value != NULL)
            buffer_printf(out, "%s'%s'", out->length == 0 ? "" : ", ", all[i].name);
}

static pdk_status set_one(struct call *call, const struct kinds *kinds, pdk_guide *guide, pdk_error *err)
{
    unsigned count = (kinds->json != NULL) + (kinds->regex != NULL) + (kinds->choice != NULL) +
                     (kinds->grammar != NULL) + (kinds->json_object != NULL) + (kinds->structural_tag != NULL);
    bool on = false;
    if (count != 1) {
        PDK_CLEANUP(buffer_done) struct buffer names = {0};
        put_names(&names, kinds);
        return refuse(err, NULL, NULL,
            count == 0 ? "You must use one kind of structured outputs constraint but none are specified: {%s}"
                       : "You can only use one kind of structured outputs constraint but multiple are specified: {%s}",
            names.data == NULL ? "" : names.data);
    }
    if (kinds->json != NULL)
        return set_schema(call, kinds->json, guide, err);
    if (kinds->regex != NULL)
        return set_text(kinds->regex, "regex", PDK_GUIDE_REGEX, true, guide, err);
    if (kinds->grammar != NULL)
        return set_text(kinds->grammar, "grammar", PDK_GUIDE_GRAMMAR, false, guide, err);
    if (kinds->structural_tag != NULL)
        return set_text(kinds->structural_tag, "structural_tag", PDK_GUIDE_STRUCTURAL_TAG, false, guide, err);
    if (kinds->choice != NULL) {
        if (kinds->choice->count == 0)
            return refuse(err, NULL, NULL, "Choice '[]' cannot be an empty list");
        guide->kind = PDK_GUIDE_CHOICE;
        return print_into(call, kinds->choice, &guide->text, err);
    }
    if (coerce_bool(kinds->json_object, "", &on, NULL) != PDK_OK || !on)
        return refuse(err, NULL, NULL,
            "structured_outputs.json_object must be True if set; omit structured_outputs to disable structured "
            "outputs");
    guide->kind = PDK_GUIDE_JSON_OBJECT;
    return PDK_OK;
}

static bool is_on(const struct json *value)
{
    bool on;
    return value != NULL && coerce_bool(value, "", &on, NULL) == PDK_OK && on;
}

static pdk_status set_outputs(struct call *call, const struct json *outputs, pdk_guide *guide, pdk_error *err)
{
    const struct kinds kinds = {.json = given(outputs, "json"),
        .regex = given(outputs, "regex"),
        .choice = given(outputs, "choice"),
        .grammar = given(outputs, "grammar"),
        .json_object = given(outputs, "json_object"),
        .structural_tag = given(outputs, "structural_tag")};
    const struct json *whitespace = given(outputs, "whitespace_pattern");
    guide->flags = (is_on(given(outputs, "disable_any_whitespace")) ? PDK_GUIDE_NO_WHITESPACE : 0) |
                   (is_on(given(outputs, "disable_additional_properties")) ? PDK_GUIDE_CLOSED_OBJECTS : 0);
    if (whitespace != NULL)
        guide->whitespace = (pdk_string){whitespace->text, whitespace->length};
    return set_one(call, &kinds, guide, err);
}

static pdk_status set_format(struct call *call, const struct json *format, pdk_guide *guide, pdk_error *err)
{
    if (is_word(json_get(format, "type"), "json_object")) {
        guide->kind = PDK_GUIDE_JSON_OBJECT;
        return PDK_OK;
    }
    if (is_word(json_get(format, "type"), "structural_tag")) {
        guide->kind = PDK_GUIDE_STRUCTURAL_TAG;
        return print_into(call, format, &guide->text, err);
    }
    const struct kinds kinds = {.json = given(given(format, "json_schema"), "schema")};
    return set_one(call, &kinds, guide, err);
}

pdk_status guide_set(struct call *call, pdk_request *request, pdk_error *err)
{
    const struct fields *fields = &call->fields;
    const struct json *format = fields->response_format;
    pdk_guide *guide = &request->guide;
    if (format != NULL && !is_word(json_get(format, "type"), "text"))
        return set_format(call, format, guide, err);
    if (fields->structured_outputs != NULL)
        return set_outputs(call, fields->structured_outputs, guide, err);
    const struct kinds kinds = {.json = fields->guided_json,
        .regex = fields->guided_regex,
        .choice = fields->guided_choice,
        .grammar = fields->guided_grammar};
    if (kinds.json == NULL && kinds.regex == NULL && kinds.choice == NULL && kinds.grammar == NULL)
        return PDK_OK;
    if (fields->guided_whitespace_pattern != NULL)
        guide->whitespace =
            (pdk_string){fields->guided_whitespace_pattern->text, fields->guided_whitespace_pattern->length};
    return set_one(call, &kinds, guide, err);
}
