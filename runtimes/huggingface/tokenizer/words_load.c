/* One row for each pre-tokenizer of the format. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/words.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "runtimes/huggingface/tokenizer/unicode.h"

#include <stdlib.h>
#include <string.h>

/* GPT-2's expression, which ByteLevel holds in itself. */
static const char gpt2_pattern[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
static const char word_pattern[] = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]+|[^\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\s]+";

static const struct {
    const char *name;
    enum split_behavior behavior;
} behaviors[] = {
    {"Removed", SPLIT_REMOVED},
    {"Isolated", SPLIT_ISOLATED},
    {"MergedWithPrevious", SPLIT_WITH_PREVIOUS},
    {"MergedWithNext", SPLIT_WITH_NEXT},
    {"Contiguous", SPLIT_CONTIGUOUS},
};

static pdk_status step_add(struct word_steps *steps, struct word_step **ret_step, pdk_error *err)
{
    if (steps->count == WORD_STEPS_MAX)
        return pdk_error_set(err, PDK_INVALID, "pre_tokenizer", "more than %d steps", WORD_STEPS_MAX);
    if (!array_grow(&steps->steps, &steps->room, steps->count + 1))
        return pdk_error_set(err, PDK_NO_MEMORY, "pre_tokenizer", "out of memory");
    *ret_step = &steps->steps[steps->count++];
    **ret_step = (struct word_step){0};
    return PDK_OK;
}

static pdk_status text_copy(const char *text, size_t length, char **ret_copy, pdk_error *err)
{
    if (length == 0)
        return pdk_error_set(err, PDK_INVALID, "pre_tokenizer", "an empty pattern");
    *ret_copy = strndup(text, length);
    return *ret_copy != NULL ? PDK_OK : pdk_error_set(err, PDK_NO_MEMORY, "pre_tokenizer", "out of memory");
}

static pdk_status behavior_read(const struct json *json, enum split_behavior *ret_behavior, pdk_error *err)
{
    const char *name = "";
    json_string(json_get(json, "behavior"), &name);
    for (size_t i = 0; i < sizeof behaviors / sizeof behaviors[0]; i++) {
        if (strcmp(behaviors[i].name, name) == 0) {
            *ret_behavior = behaviors[i].behavior;
            return PDK_OK;
        }
    }
    return pdk_error_value(
        err, PDK_UNSUPPORTED, "pre_tokenizer.behavior", name, "behavior '%s' is not supported", name);
}

static pdk_status add_regex(struct word_steps *steps, const char *pattern, size_t length, enum split_behavior behavior,
    bool invert, pdk_error *err)
{
    struct word_step *step;
    pdk_status status = step_add(steps, &step, err);
    if (status != PDK_OK)
        return status;
    step->kind = WORD_SPLIT;
    step->behavior = behavior;
    step->invert = invert;
    return regex_new(pattern, length, &step->regex, err);
}

pdk_status word_steps_isolate(struct word_steps *steps, const char *pattern, pdk_error *err)
{
    return add_regex(steps, pattern, strlen(pattern), SPLIT_ISOLATED, false, err);
}

static pdk_status add_class(
    struct word_steps *steps, bool (*class)(uint32_t), enum split_behavior behavior, pdk_error *err)
{
    struct word_step *step;
    pdk_status status = step_add(steps, &step, err);
    if (status != PDK_OK)
        return status;
    step->kind = WORD_SPLIT;
    step->class = class;
    step->behavior = behavior;
    return PDK_OK;
}

pdk_status word_steps_spelled_digits(struct word_steps *steps, pdk_error *err)
{
    pdk_status status = add_class(steps, char_is_number, SPLIT_CONTIGUOUS, err);
    if (status == PDK_OK)
        steps->steps[steps->count - 1].spelled = true;
    return status;
}

static pdk_status load_split(struct word_steps *steps, const struct json *json, pdk_error *err)
{
    enum split_behavior behavior;
    pdk_status status = behavior_read(json, &behavior, err);
    if (status != PDK_OK)
        return status;
    bool invert = false;
    json_bool(json_get(json, "invert"), &invert);
    const struct json *regex = json_path(json, "pattern.Regex"), *literal = json_path(json, "pattern.String");
    if (regex != NULL && regex->type == JSON_STRING)
        return add_regex(steps, regex->text, regex->length, behavior, invert, err);
    if (literal == NULL || literal->type != JSON_STRING)
        return pdk_error_set(err, PDK_INVALID, "pre_tokenizer.pattern", "Split needs a pattern, a Regex or a String");
    struct word_step *step;
    status = step_add(steps, &step, err);
    if (status != PDK_OK)
        return status;
    step->kind = WORD_SPLIT;
    step->behavior = behavior;
    step->invert = invert;
    return text_copy(literal->text, literal->length, &step->literal, err);
}

static pdk_status load_byte_level(struct word_steps *steps, const struct json *json, pdk_error *err)
{
    bool prefix = true, regex = true;
    json_bool(json_get(json, "add_prefix_space"), &prefix);
    json_bool(json_get(json, "use_regex"), &regex);
    if (prefix) {
        struct word_step *step;
        pdk_status status = step_add(steps, &step, err);
        if (status != PDK_OK)
            return status;
        step->kind = WORD_PREFIX;
    }
    steps->bytes = true;
    return regex ? add_regex(steps, gpt2_pattern, strlen(gpt2_pattern), SPLIT_ISOLATED, false, err) : PDK_OK;
}

static pdk_status load_metaspace(struct word_steps *steps, const struct json *json, pdk_error *err)
{
    const struct json *replacement = json_get(json, "replacement");
    const char *text = "\xE2\x96\x81", *scheme = "always";
    size_t length = 3;
    if (replacement != NULL && replacement->type == JSON_STRING) {
        text = replacement->text;
        length = replacement->length;
    }
    bool split = true, old_prefix = true;
    json_bool(json_get(json, "split"), &split);
    if (json_bool(json_get(json, "add_prefix_space"), &old_prefix) && !old_prefix) /* before prepend_scheme came */
        scheme = "never";
    json_string(json_get(json, "prepend_scheme"), &scheme);
    struct word_step *step;
    pdk_status status = step_add(steps, &step, err);
    if (status != PDK_OK)
        return status;
    step->kind = WORD_METASPACE;
    if (strcmp(scheme, "always") != 0 && strcmp(scheme, "first") != 0 && strcmp(scheme, "never") != 0)
        return pdk_error_value(
            err, PDK_INVALID, "pre_tokenizer.prepend_scheme", scheme, "unknown prepend_scheme '%s'", scheme);
    step->prefix = scheme[0] == 'a' ? PREFIX_ALWAYS : scheme[0] == 'f' ? PREFIX_FIRST : PREFIX_NEVER;
    status = text_copy(text, length, &step->literal, err);
    if (status != PDK_OK || !split)
        return status;
    status = step_add(steps, &step, err);
    if (status != PDK_OK)
        return status;
    step->kind = WORD_SPLIT;
    step->behavior = SPLIT_WITH_NEXT;
    return text_copy(text, length, &step->literal, err);
}

static pdk_status load_digits(struct word_steps *steps, const struct json *json, pdk_error *err)
{
    bool individual = false;
    json_bool(json_get(json, "individual_digits"), &individual);
    return add_class(steps, char_is_number, individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS, err);
}

static pdk_status load_punctuation(struct word_steps *steps, const struct json *json, pdk_error *err)
{
    enum split_behavior behavior = SPLIT_ISOLATED;
    pdk_status status = json_get(json, "behavior") == NULL ? PDK_OK : behavior_read(json, &behavior, err);
    return status != PDK_OK ? status : add_class(steps, char_is_punctuation, behavior, err);
}

static pdk_status load_bert(struct word_steps *steps, const struct json *json, pdk_error *err)
{
    (void)json;
    pdk_status status = add_class(steps, char_is_white, SPLIT_REMOVED, err);
    return status != PDK_OK ? status : add_class(steps, char_is_punctuation, SPLIT_ISOLATED, err);
}

static pdk_status load_whitespace_split(struct word_steps *steps, const struct json *json, pdk_error *err)
{
    (void)json;
    return add_class(steps, char_is_white, SPLIT_REMOVED, err);
}

static pdk_status load_whitespace(struct word_steps *steps, const struct json *json, pdk_error *err)
{
    (void)json;
    return add_regex(steps, word_pattern, strlen(word_pattern), SPLIT_REMOVED, true, err);
}

static pdk_status load_delimiter(struct word_steps *steps, const struct json *json, pdk_error *err)
{
    const struct json *delimiter = json_get(json, "delimiter");
    if (delimiter == NULL || delimiter->type != JSON_STRING)
        return pdk_error_set(err, PDK_INVALID, "pre_tokenizer.delimiter", "CharDelimiterSplit needs a delimiter");
    struct word_step *step;
    pdk_status status = step_add(steps, &step, err);
    if (status != PDK_OK)
        return status;
    step->kind = WORD_SPLIT;
    step->behavior = SPLIT_REMOVED;
    return text_copy(delimiter->text, delimiter->length, &step->literal, err);
}

static const struct {
    const char *type;
    pdk_status (*load)(struct word_steps *steps, const struct json *json, pdk_error *err);
} kinds[] = {
    {"BertPreTokenizer", load_bert},
    {"ByteLevel", load_byte_level},
    {"CharDelimiterSplit", load_delimiter},
    {"Digits", load_digits},
    {"Metaspace", load_metaspace},
    {"Punctuation", load_punctuation},
    {"Split", load_split},
    {"Whitespace", load_whitespace},
    {"WhitespaceSplit", load_whitespace_split},
};

pdk_status word_steps_load(struct word_steps *steps, const struct json *json, pdk_error *err)
{
    if (json == NULL || json->type == JSON_NULL)
        return PDK_OK;
    const char *type = "";
    json_string(json_get(json, "type"), &type);
    const struct json *inner = json_get(json, "pretokenizers");
    if (strcmp(type, "Sequence") == 0 && inner != NULL && inner->type == JSON_ARRAY) {
        pdk_status status = PDK_OK; /* nested at most as deep as JSON may be */
        for (const struct json *at = inner->child; at != NULL && status == PDK_OK; at = at->next)
            status = word_steps_load(steps, at, err);
        return status;
    }
    if (steps->bytes)
        return pdk_error_value(
            err, PDK_UNSUPPORTED, "pre_tokenizer", type, "%s behind ByteLevel is not supported", type);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].type, type) == 0)
            return kinds[i].load(steps, json, err);
    }
    return pdk_error_value(err, PDK_UNSUPPORTED, "pre_tokenizer", type, "pre-tokenizer '%s' is not supported", type);
}

void word_steps_done(struct word_steps *steps)
{
    for (size_t i = 0; i < steps->count; i++) {
        regex_free(steps->steps[i].regex);
        free(steps->steps[i].literal);
    }
    free(steps->steps);
    *steps = (struct word_steps){0};
}
