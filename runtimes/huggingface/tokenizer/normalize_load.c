/* One row for each normalizer of the format. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/normalize.h"

#include "core/base/array.h"
#include "core/base/error.h"
#include "runtimes/huggingface/tokenizer/unicode.h"

#include <stdlib.h>
#include <string.h>

static pdk_status step_add(
    struct normalizers *steps, normalizer_apply *apply, struct normalizer **ret_step, pdk_error *err)
{
    if (steps->count == NORMALIZERS_MAX)
        return pdk_error_set(err, PDK_INVALID, "normalizer", "more than %d steps", NORMALIZERS_MAX);
    if (!array_grow(&steps->steps, &steps->room, steps->count + 1))
        return pdk_error_set(err, PDK_NO_MEMORY, "normalizer", "out of memory");
    *ret_step = &steps->steps[steps->count++];
    **ret_step = (struct normalizer){.apply = apply};
    return PDK_OK;
}

static pdk_status take_text(
    const struct json *json, const char *key, char **ret_text, size_t *ret_length, pdk_error *err)
{
    const struct json *value = json_path(json, key);
    if (value == NULL || value->type != JSON_STRING)
        return pdk_error_set(err, PDK_INVALID, "normalizer", "'%s' is missing or no string", key);
    *ret_text = strndup(value->text, value->length);
    *ret_length = value->length;
    return *ret_text != NULL ? PDK_OK : pdk_error_set(err, PDK_NO_MEMORY, "normalizer", "out of memory");
}

static pdk_status add_form(struct normalizers *steps, int form, pdk_error *err)
{
    struct normalizer *step;
    pdk_status status = step_add(steps, normalize_form, &step, err);
    if (status == PDK_OK)
        step->form = form;
    return status;
}

static pdk_status load_nfc(struct normalizers *steps, const struct json *json, pdk_error *err)
{
    (void)json;
    return add_form(steps, UTF8PROC_COMPOSE, err);
}

static pdk_status load_nfd(struct normalizers *steps, const struct json *json, pdk_error *err)
{
    (void)json;
    return add_form(steps, UTF8PROC_DECOMPOSE, err);
}

static pdk_status load_nfkc(struct normalizers *steps, const struct json *json, pdk_error *err)
{
    (void)json;
    return add_form(steps, UTF8PROC_COMPOSE | UTF8PROC_COMPAT, err);
}

static pdk_status load_nfkd(struct normalizers *steps, const struct json *json, pdk_error *err)
{
    (void)json;
    return add_form(steps, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, err);
}

static pdk_status add_chars(struct normalizers *steps, bool (*drop)(uint32_t), uint32_t (*map)(uint32_t),
    bool spaced_ideographs, pdk_error *err)
{
    struct normalizer *step;
    pdk_status status = step_add(steps, normalize_chars, &step, err);
    if (status != PDK_OK)
        return status;
    step->drop = drop;
    step->map = map;
    step->spaced_ideographs = spaced_ideographs;
    return PDK_OK;
}

static pdk_status load_lowercase(struct normalizers *steps, const struct json *json, pdk_error *err)
{
    (void)json;
    struct normalizer *step;
    return step_add(steps, normalize_lowercase, &step, err);
}

static pdk_status load_strip_accents(struct normalizers *steps, const struct json *json, pdk_error *err)
{
    (void)json;
    return add_chars(steps, char_is_mark, NULL, false, err);
}

static pdk_status load_strip(struct normalizers *steps, const struct json *json, pdk_error *err)
{
    struct normalizer *step;
    pdk_status status = step_add(steps, normalize_strip, &step, err);
    if (status != PDK_OK)
        return status;
    step->left = step->right = true;
    json_bool(json_get(json, "strip_left"), &step->left);
    json_bool(json_get(json, "strip_right"), &step->right);
    return PDK_OK;
}

static pdk_status load_prepend(struct normalizers *steps, const struct json *json, pdk_error *err)
{
    struct normalizer *step;
    pdk_status status = step_add(steps, normalize_prepend, &step, err);
    return status != PDK_OK ? status : take_text(json, "prepend", &step->to, &step->to_length, err);
}

static pdk_status load_replace(struct normalizers *steps, const struct json *json, pdk_error *err)
{
    struct normalizer *step;
    pdk_status status = step_add(steps, normalize_replace, &step, err);
    if (status == PDK_OK)
        status = take_text(json, "content", &step->to, &step->to_length, err);
    if (status != PDK_OK)
        return status;
    const struct json *regex = json_path(json, "pattern.Regex");
    if (regex != NULL && regex->type == JSON_STRING)
        return regex_new(regex->text, regex->length, &step->regex, err);
    status = take_text(json, "pattern.String", &step->from, &step->from_length, err);
    if (status == PDK_OK && step->from_length == 0)
        status = pdk_error_set(err, PDK_INVALID, "normalizer.pattern", "Replace of an empty text");
    return status;
}

static bool nmt_drops(uint32_t c)
{
    return (c >= 1 && c <= 8) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
}

static uint32_t nmt_maps(uint32_t c)
{
    bool space = c == 9 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                 c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
    return space ? ' ' : c;
}

static pdk_status load_nmt(struct normalizers *steps, const struct json *json, pdk_error *err)
{
    (void)json;
    return add_chars(steps, nmt_drops, nmt_maps, false, err);
}

static bool bert_drops(uint32_t c)
{
    if (c == '\t' || c == '\n' || c == '\r')
        return false;
    return c == 0 || c == 0xFFFD || char_is_other(c);
}

static uint32_t bert_maps(uint32_t c)
{
    return char_is_white(c) ? ' ' : c;
}

static bool is_nonspacing(uint32_t c)
{
    return char_category(c) == UTF8PROC_CATEGORY_MN;
}

static pdk_status load_bert(struct normalizers *steps, const struct json *json, pdk_error *err)
{
    bool clean = true, ideographs = true, lowercase = true;
    json_bool(json_get(json, "clean_text"), &clean);
    json_bool(json_get(json, "handle_chinese_chars"), &ideographs);
    json_bool(json_get(json, "lowercase"), &lowercase);
    bool accents = lowercase; /* null: as `lowercase` says */
    json_bool(json_get(json, "strip_accents"), &accents);
    pdk_status status = clean ? add_chars(steps, bert_drops, bert_maps, false, err) : PDK_OK;
    if (status == PDK_OK && ideographs)
        status = add_chars(steps, NULL, NULL, true, err);
    if (status == PDK_OK && accents)
        status = add_form(steps, UTF8PROC_DECOMPOSE, err);
    if (status == PDK_OK && accents)
        status = add_chars(steps, is_nonspacing, NULL, false, err);
    return status == PDK_OK && lowercase ? load_lowercase(steps, NULL, err) : status;
}

static pdk_status load_precompiled(struct normalizers *steps, const struct json *json, pdk_error *err)
{
    const struct json *map = json_get(json, "precompiled_charsmap");
    if (map == NULL || map->type == JSON_NULL)
        return PDK_OK;
    if (map->type != JSON_STRING)
        return pdk_error_set(err, PDK_INVALID, "precompiled_charsmap", "must be base64 text");
    struct normalizer *step;
    pdk_status status = step_add(steps, normalize_charsmap, &step, err);
    return status != PDK_OK ? status : charsmap_load(map->text, map->length, &step->charsmap, err);
}

static const struct {
    const char *type;
    pdk_status (*load)(struct normalizers *steps, const struct json *json, pdk_error *err);
} kinds[] = {
    {"BertNormalizer", load_bert},
    {"Lowercase", load_lowercase},
    {"NFC", load_nfc},
    {"NFD", load_nfd},
    {"NFKC", load_nfkc},
    {"NFKD", load_nfkd},
    {"Nmt", load_nmt},
    {"Precompiled", load_precompiled},
    {"Prepend", load_prepend},
    {"Replace", load_replace},
    {"Strip", load_strip},
    {"StripAccents", load_strip_accents},
};

pdk_status normalizers_load(struct normalizers *steps, const struct json *json, pdk_error *err)
{
    if (json == NULL || json->type == JSON_NULL)
        return PDK_OK;
    const char *type = "";
    json_string(json_get(json, "type"), &type);
    const struct json *inner = json_get(json, "normalizers");
    if (strcmp(type, "Sequence") == 0 && inner != NULL && inner->type == JSON_ARRAY) {
        pdk_status status = PDK_OK; /* nested at most as deep as JSON may be */
        for (const struct json *at = inner->child; at != NULL && status == PDK_OK; at = at->next)
            status = normalizers_load(steps, at, err);
        return status;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].type, type) == 0)
            return kinds[i].load(steps, json, err);
    }
    return pdk_error_value(err, PDK_UNSUPPORTED, "normalizer", type, "normalizer '%s' is not supported", type);
}

void normalizers_done(struct normalizers *steps)
{
    for (size_t i = 0; i < steps->count; i++) {
        regex_free(steps->steps[i].regex);
        free(steps->steps[i].from);
        free(steps->steps[i].to);
        charsmap_free(steps->steps[i].charsmap);
    }
    free(steps->steps);
    *steps = (struct normalizers){0};
}
