/* Text with parts of a given form in it. Each form is read together with the strings that end what it stands in
 * (`ends`), and its node takes in that end: so a free text knows where to stop, and what is bounded just has it
 * behind. */
#include "config.h"

#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/guided/free_text.h"
#include "runtimes/huggingface/guided/json_schema.h"
#include "runtimes/huggingface/guided/readers.h"
#include "runtimes/huggingface/guided/rule_names.h"

#include <string.h>

enum { TAGS_MAX = 1024, ENDS_MAX = 64 };

struct tags {
    struct grammar *grammar;
    struct json_style style;
};

/* Strings, one of which ends what is read; none: the end of the text. */
struct ends {
    const struct json *list[ENDS_MAX]; /* strings, none empty */
    size_t count;
};

static const struct ends no_ends = {.count = 0};

static pdk_status read_format(
    struct tags *tags, const struct json *format, const struct ends *ends, grammar_node *ret_node, pdk_error *err);

static pdk_status wrong(const struct json *value, const char *what, pdk_error *err)
{
    return pdk_error_set(err, PDK_INVALID, NULL, "%s (line %u, column %u)", what,
        value != NULL ? (unsigned)value->line : 1, value != NULL ? (unsigned)value->column : 1);
}

static const struct json *string_of(const struct json *object, const char *key)
{
    const struct json *value = json_get(object, key);
    return value != NULL && value->type == JSON_STRING ? value : NULL;
}

static grammar_node literal(struct tags *tags, const struct json *string)
{
    return grammar_literal(tags->grammar, string->text, string->length);
}

static grammar_node ends_node(struct tags *tags, const struct ends *ends)
{
    grammar_node nodes[ENDS_MAX];
    for (size_t i = 0; i < ends->count; i++)
        nodes[i] = literal(tags, ends->list[i]);
    return ends->count == 0 ? grammar_empty(tags->grammar) : grammar_either(tags->grammar, nodes, ends->count);
}

/* A bounded node and the end behind it. */
static grammar_node before_ends(struct tags *tags, grammar_node node, const struct ends *ends)
{
    return grammar_sequence(tags->grammar, (const grammar_node[]){node, ends_node(tags, ends)}, 2);
}

/* A string or a list of some; empty ones say nothing. */
static pdk_status read_ends(const struct json *value, struct ends *ends, pdk_error *err)
{
    ends->count = 0;
    if (value == NULL || (value->type != JSON_STRING && value->type != JSON_ARRAY))
        return wrong(value, "a tag wants an 'end', a string or a list of strings", err);
    for (const struct json *at = value->type == JSON_ARRAY ? value->child : value; at != NULL;
         at = value->type == JSON_ARRAY ? at->next : NULL) {
        if (at->type != JSON_STRING)
            return wrong(at, "an 'end' is no string", err);
        if (ends->count == ENDS_MAX)
            return wrong(at, "a tag has more than 64 ends", err);
        if (at->length > 0)
            ends->list[ends->count++] = at;
    }
    return PDK_OK;
}

/* A tag's content and end, without its first `skip` bytes. */
static pdk_status read_tag(struct tags *tags, const struct json *tag, size_t skip, const struct ends *outer,
    grammar_node *ret_node, pdk_error *err)
{
    const struct json *begin = string_of(tag, "begin"), *content = json_get(tag, "content");
    struct ends ends;
    if (begin == NULL)
        return wrong(tag, "a tag wants a 'begin', a string", err);
    if (content == NULL || content->type != JSON_OBJECT)
        return wrong(tag, "a tag wants a 'content', a format", err);
    pdk_status status = read_ends(json_get(tag, "end"), &ends, err);
    grammar_node inner = GRAMMAR_FAILED;
    if (status == PDK_OK)
        status = read_format(tags, content, ends.count > 0 ? &ends : outer, &inner, err);
    if (status != PDK_OK)
        return status;
    grammar_node nodes[3] = {grammar_literal(tags->grammar, begin->text + skip, begin->length - skip), inner,
        ends_node(tags, ends.count > 0 ? outer : &no_ends)};
    *ret_node = grammar_sequence(tags->grammar, nodes, 3);
    return PDK_OK;
}

static pdk_status format_const(
    struct tags *tags, const struct json *format, const struct ends *ends, grammar_node *ret_node, pdk_error *err)
{
    const struct json *value = string_of(format, "value");
    if (value == NULL)
        return wrong(format, "const_string wants a 'value', a string", err);
    *ret_node = before_ends(tags, literal(tags, value), ends);
    return PDK_OK;
}

static pdk_status format_schema(
    struct tags *tags, const struct json *format, const struct ends *ends, grammar_node *ret_node, pdk_error *err)
{
    const struct json *schema = json_get(format, "json_schema"), *style = json_get(format, "style");
    const char *name = "json";
    grammar_node node = GRAMMAR_FAILED;
    if (schema == NULL)
        return wrong(format, "json_schema wants a 'json_schema'", err);
    if (style != NULL && (!json_string(style, &name) || strcmp(name, "json") != 0))
        return wrong(style, "json_schema is supported in the style 'json' only", err);
    pdk_status status = json_schema_node(tags->grammar, schema, &tags->style, &node, err);
    *ret_node = status == PDK_OK ? before_ends(tags, node, ends) : GRAMMAR_FAILED;
    return status;
}

static pdk_status format_any_text(
    struct tags *tags, const struct json *format, const struct ends *ends, grammar_node *ret_node, pdk_error *err)
{
    struct free_text_stop stops[ENDS_MAX];
    const struct json *excludes = json_get(format, "excludes");
    if (excludes != NULL && (excludes->type != JSON_ARRAY || excludes->count != 0))
        return wrong(excludes, "'excludes' is not supported", err);
    for (size_t i = 0; i < ends->count; i++)
        stops[i] = (struct free_text_stop){ends->list[i]->text, ends->list[i]->length, grammar_empty(tags->grammar)};
    return free_text_node(tags->grammar, stops, ends->count, ends->count == 0, ret_node, err);
}

static pdk_status format_sequence(
    struct tags *tags, const struct json *format, const struct ends *ends, grammar_node *ret_node, pdk_error *err)
{
    const struct json *elements = json_get(format, "elements");
    PDK_CLEANUP(node_list_done) struct node_list nodes = {0};
    if (elements == NULL || elements->type != JSON_ARRAY || elements->count == 0)
        return wrong(format, "sequence wants 'elements', a list of formats", err);
    for (const struct json *at = elements->child; at != NULL; at = at->next) {
        grammar_node node = GRAMMAR_FAILED;
        pdk_status status = read_format(tags, at, at->next == NULL ? ends : &no_ends, &node, err);
        if (status == PDK_OK)
            status = node_list_add(&nodes, node, err);
        if (status != PDK_OK)
            return status;
    }
    *ret_node = grammar_sequence(tags->grammar, nodes.nodes, nodes.count);
    return PDK_OK;
}

static pdk_status format_or(
    struct tags *tags, const struct json *format, const struct ends *ends, grammar_node *ret_node, pdk_error *err)
{
    const struct json *elements = json_get(format, "elements");
    PDK_CLEANUP(node_list_done) struct node_list nodes = {0};
    if (elements == NULL || elements->type != JSON_ARRAY || elements->count == 0)
        return wrong(format, "or wants 'elements', a list of formats", err);
    for (const struct json *at = elements->child; at != NULL; at = at->next) {
        grammar_node node = GRAMMAR_FAILED;
        pdk_status status = read_format(tags, at, ends, &node, err);
        if (status == PDK_OK)
            status = node_list_add(&nodes, node, err);
        if (status != PDK_OK)
            return status;
    }
    *ret_node = grammar_either(tags->grammar, nodes.nodes, nodes.count);
    return PDK_OK;
}

static pdk_status format_tag(
    struct tags *tags, const struct json *format, const struct ends *ends, grammar_node *ret_node, pdk_error *err)
{
    return read_tag(tags, format, 0, ends, ret_node, err);
}

static pdk_status read_flag(const struct json *format, const char *key, bool *ret_flag, pdk_error *err)
{
    const struct json *value = json_get(format, key);
    *ret_flag = false;
    if (value == NULL || value->type == JSON_NULL || json_bool(value, ret_flag))
        return PDK_OK;
    return pdk_error_set(err, PDK_INVALID, NULL, "'%s' is no boolean (line %u)", key, (unsigned)value->line);
}

static pdk_status read_tag_list(const struct json *format, const struct json **ret_tags, pdk_error *err)
{
    const struct json *list = json_get(format, "tags");
    if (list == NULL || list->type != JSON_ARRAY || list->count == 0)
        return wrong(format, "a list of 'tags' is wanted", err);
    if (list->count > TAGS_MAX)
        return wrong(list, "more than 1024 tags", err);
    *ret_tags = list;
    return PDK_OK;
}

/* Reads one tag of the list, without its first `skip` bytes, for whichever form the list is written in. */
typedef pdk_status tag_reader(
    struct tags *tags, const struct json *tag, size_t skip, grammar_node *ret_node, pdk_error *err);

static pdk_status new_tag(
    struct tags *tags, const struct json *tag, size_t skip, grammar_node *ret_node, pdk_error *err)
{
    return read_tag(tags, tag, skip, &no_ends, ret_node, err);
}

/* {"begin", "schema", "end"} */
static pdk_status old_tag(
    struct tags *tags, const struct json *tag, size_t skip, grammar_node *ret_node, pdk_error *err)
{
    const struct json *begin = string_of(tag, "begin"), *schema = json_get(tag, "schema");
    const struct json *end = string_of(tag, "end");
    grammar_node node = GRAMMAR_FAILED;
    if (begin == NULL || end == NULL || schema == NULL)
        return wrong(tag, "a structure wants 'begin', 'schema' and 'end'", err);
    pdk_status status = json_schema_node(tags->grammar, schema, &tags->style, &node, err);
    grammar_node nodes[3] = {
        grammar_literal(tags->grammar, begin->text + skip, begin->length - skip), node, literal(tags, end)};
    *ret_node = grammar_sequence(tags->grammar, nodes, 3);
    return status;
}

/* What may follow a trigger: the rest of one of the tags that begin with it. */
static pdk_status after_trigger(struct tags *tags, const struct json *trigger, const struct json *list,
    tag_reader *read, bool *used, grammar_node *ret_node, pdk_error *err)
{
    PDK_CLEANUP(node_list_done) struct node_list nodes = {0};
    size_t index = 0;
    for (const struct json *at = list->child; at != NULL; at = at->next, index++) {
        const struct json *begin = string_of(at, "begin");
        grammar_node node = GRAMMAR_FAILED;
        if (begin == NULL)
            return wrong(at, "a tag wants a 'begin', a string", err);
        if (begin->length < trigger->length || memcmp(begin->text, trigger->text, trigger->length) != 0)
            continue;
        pdk_status status = read(tags, at, trigger->length, &node, err);
        if (status == PDK_OK)
            status = node_list_add(&nodes, node, err);
        if (status != PDK_OK)
            return status;
        used[index] = true;
    }
    if (nodes.count == 0)
        return wrong(trigger, "no tag begins with this trigger", err);
    *ret_node = grammar_either(tags->grammar, nodes.nodes, nodes.count);
    return PDK_OK;
}

struct triggered {
    const struct json *triggers, *tags;
    tag_reader *read;
    bool at_least_one, stop_after_first;
};

/* Free text up to a trigger, the tag, and again. Before the first tag stands a text of its own where one has to come.
 */
static pdk_status triggered_node(
    struct tags *tags, const struct triggered *what, const struct ends *ends, grammar_node *ret_node, pdk_error *err)
{
    size_t count = 0;
    PDK_AUTO_FREE bool *used = calloc(what->tags->count, sizeof *used);
    PDK_AUTO_FREE struct free_text_stop *stops = calloc(what->triggers->count + ends->count, sizeof *stops);
    if (used == NULL || stops == NULL)
        return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the tags");
    grammar_node again = grammar_rule(tags->grammar), text = GRAMMAR_FAILED;
    grammar_node behind = what->stop_after_first ? ends_node(tags, ends) : again;
    for (const struct json *at = what->triggers->child; at != NULL; at = at->next) {
        grammar_node node = GRAMMAR_FAILED;
        if (at->type != JSON_STRING || at->length == 0)
            return wrong(at, "a trigger is a string that is not empty", err);
        pdk_status status = after_trigger(tags, at, what->tags, what->read, used, &node, err);
        if (status != PDK_OK)
            return status;
        grammar_node then = grammar_sequence(tags->grammar, (const grammar_node[]){node, behind}, 2);
        stops[count++] = (struct free_text_stop){at->text, at->length, then};
    }
    for (size_t i = 0; i < what->tags->count; i++)
        if (!used[i])
            return wrong(what->tags, "a tag begins with none of the triggers", err);
    size_t triggers = count;
    for (size_t i = 0; i < ends->count; i++)
        stops[count++] =
            (struct free_text_stop){ends->list[i]->text, ends->list[i]->length, grammar_empty(tags->grammar)};
    bool open = ends->count == 0;
    pdk_status status = free_text_node(tags->grammar, stops, count, open, &text, err);
    grammar_define(tags->grammar, again, text);
    *ret_node = again;
    if (status == PDK_OK && what->at_least_one)
        status = free_text_node(tags->grammar, stops, triggers, false, ret_node, err);
    return status;
}

static pdk_status format_triggered(
    struct tags *tags, const struct json *format, const struct ends *ends, grammar_node *ret_node, pdk_error *err)
{
    struct triggered what = {.triggers = json_get(format, "triggers"), .read = new_tag};
    const struct json *excludes = json_get(format, "excludes");
    if (what.triggers == NULL || what.triggers->type != JSON_ARRAY || what.triggers->count == 0)
        return wrong(format, "triggered_tags wants 'triggers', a list of strings", err);
    if (excludes != NULL && (excludes->type != JSON_ARRAY || excludes->count != 0))
        return wrong(excludes, "'excludes' is not supported", err);
    pdk_status status = read_tag_list(format, &what.tags, err);
    if (status == PDK_OK)
        status = read_flag(format, "at_least_one", &what.at_least_one, err);
    if (status == PDK_OK)
        status = read_flag(format, "stop_after_first", &what.stop_after_first, err);
    return status == PDK_OK ? triggered_node(tags, &what, ends, ret_node, err) : status;
}

static pdk_status format_separated(
    struct tags *tags, const struct json *format, const struct ends *ends, grammar_node *ret_node, pdk_error *err)
{
    PDK_CLEANUP(node_list_done) struct node_list nodes = {0};
    const struct json *separator = string_of(format, "separator"), *list = NULL;
    bool at_least_one, stop_after_first;
    if (separator == NULL)
        return wrong(format, "tags_with_separator wants a 'separator', a string", err);
    pdk_status status = read_tag_list(format, &list, err);
    if (status == PDK_OK)
        status = read_flag(format, "at_least_one", &at_least_one, err);
    if (status == PDK_OK)
        status = read_flag(format, "stop_after_first", &stop_after_first, err);
    for (const struct json *at = status == PDK_OK ? list->child : NULL; at != NULL && status == PDK_OK; at = at->next) {
        grammar_node node = GRAMMAR_FAILED;
        status = read_tag(tags, at, 0, &no_ends, &node, err);
        if (status == PDK_OK)
            status = node_list_add(&nodes, node, err);
    }
    if (status != PDK_OK)
        return status;
    struct grammar *grammar = tags->grammar;
    grammar_node tag = grammar_either(grammar, nodes.nodes, nodes.count);
    grammar_node more = grammar_sequence(grammar, (const grammar_node[]){literal(tags, separator), tag}, 2);
    grammar_node rest = grammar_repeat(grammar, more, 0, stop_after_first ? 0 : GRAMMAR_UNBOUNDED);
    grammar_node all = grammar_sequence(grammar, (const grammar_node[]){tag, rest}, 2);
    *ret_node = before_ends(tags, grammar_repeat(grammar, all, at_least_one, 1), ends);
    return PDK_OK;
}

static pdk_status format_regex(
    struct tags *tags, const struct json *format, const struct ends *ends, grammar_node *ret_node, pdk_error *err)
{
    const struct json *pattern = string_of(format, "pattern");
    grammar_node node = GRAMMAR_FAILED;
    if (pattern == NULL)
        return wrong(format, "regex wants a 'pattern', a string", err);
    pdk_status status = read_pattern(tags->grammar, pattern->text, pattern->length, &node, err);
    *ret_node = status == PDK_OK ? before_ends(tags, node, ends) : GRAMMAR_FAILED;
    return status;
}

static pdk_status format_grammar(
    struct tags *tags, const struct json *format, const struct ends *ends, grammar_node *ret_node, pdk_error *err)
{
    const struct json *text = string_of(format, "grammar");
    grammar_node node = GRAMMAR_FAILED;
    if (text == NULL)
        return wrong(format, "grammar wants a 'grammar', a string", err);
    pdk_guide what = {.text = {text->text, text->length}};
    pdk_status status = read_grammar(tags->grammar, &what, &node, err);
    *ret_node = status == PDK_OK ? before_ends(tags, node, ends) : GRAMMAR_FAILED;
    return status;
}

static const struct {
    const char *type;
    pdk_status (*read)(
        struct tags *tags, const struct json *format, const struct ends *ends, grammar_node *ret_node, pdk_error *err);
} formats[] = {
    {"any_text", format_any_text},
    {"const_string", format_const},
    {"grammar", format_grammar},
    {"json_schema", format_schema},
    {"or", format_or},
    {"regex", format_regex},
    {"sequence", format_sequence},
    {"tag", format_tag},
    {"tags_with_separator", format_separated},
    {"triggered_tags", format_triggered},
};

/* JSON is at most 64 deep, and so is this function in itself. */
static pdk_status read_format(
    struct tags *tags, const struct json *format, const struct ends *ends, grammar_node *ret_node, pdk_error *err)
{
    const struct json *type = format->type == JSON_OBJECT ? string_of(format, "type") : NULL;
    if (type == NULL)
        return wrong(format, "a format is an object with a 'type'", err);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(formats[i].type, type->text) == 0)
            return formats[i].read(tags, format, ends, ret_node, err);
    return pdk_error_value(err, PDK_UNSUPPORTED, NULL, type->text, "format '%.64s' is not supported (line %u)",
        type->text, (unsigned)type->line);
}

/* {"structures": …, "triggers": …}, the older form. */
static pdk_status read_structures(struct tags *tags, const struct json *root, grammar_node *ret_node, pdk_error *err)
{
    struct triggered what = {
        .triggers = json_get(root, "triggers"), .tags = json_get(root, "structures"), .read = old_tag};
    if (what.triggers == NULL || what.triggers->type != JSON_ARRAY || what.triggers->count == 0)
        return wrong(root, "'triggers' is no list of strings, or an empty one", err);
    if (what.tags->type != JSON_ARRAY || what.tags->count == 0 || what.tags->count > TAGS_MAX)
        return wrong(what.tags, "'structures' is no list of 1 to 1024 structures", err);
    return triggered_node(tags, &what, &no_ends, ret_node, err);
}

pdk_status read_structural_tag(struct grammar *grammar, const pdk_guide *what, grammar_node *ret_node, pdk_error *err)
{
    struct json_limits limits = json_limits_default;
    limits.allow_nul = true;
    PDK_CLEANUP(json_document_freep) struct json_document *document = NULL;
    struct tags tags = {.grammar = grammar, .style = json_style_of(what)};
    pdk_status status = json_read(what->text.data, what->text.length, &limits, &document, err);
    if (status != PDK_OK)
        return status;
    const struct json *root = json_root(document);
    if (root->type != JSON_OBJECT)
        return wrong(root, "it is no object", err);
    if (json_get(root, "format") != NULL)
        return read_format(&tags, json_get(root, "format"), &no_ends, ret_node, err);
    if (json_get(root, "structures") != NULL)
        return read_structures(&tags, root, ret_node, err);
    return wrong(root, "it has neither 'format' nor 'structures'", err);
}
