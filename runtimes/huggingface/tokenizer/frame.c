/* A post-processor's work on a single text is two lists of ids, known when it is loaded; on a pair it is a list of ids
 * and the places of both texts. */
#include "config.h"

#include "runtimes/huggingface/tokenizer/frame.h"

#include "core/base/error.h"

#include <inttypes.h>
#include <string.h>

pdk_status frame_add(struct frame *frame, const uint32_t *before, size_t before_count, const uint32_t *behind,
    size_t behind_count, pdk_error *err)
{
    if (before_count > FRAME_MAX - frame->before_count || behind_count > FRAME_MAX - frame->behind_count)
        return pdk_error_set(err, PDK_INVALID, "post_processor", "adds more than %d tokens", FRAME_MAX);
    memmove(frame->before + before_count, frame->before, frame->before_count * sizeof *before);
    memcpy(frame->before, before, before_count * sizeof *before);
    memcpy(frame->behind + frame->behind_count, behind, behind_count * sizeof *behind);
    frame->before_count += before_count;
    frame->behind_count += behind_count;
    return PDK_OK;
}

void frame_set_pair(struct frame *frame, int64_t before, int64_t behind, bool twice, uint8_t type)
{
    const struct {
        enum frame_kind kind;
        int64_t id;
        uint8_t type;
    } items[] = {{FRAME_TOKEN, before, 0}, {FRAME_FIRST, 0, 0}, {FRAME_TOKEN, behind, 0},
        {FRAME_TOKEN, twice ? behind : -1, type}, {FRAME_SECOND, 0, type}, {FRAME_TOKEN, behind, type}};
    frame->pair_count = 0;
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++)
        if (items[i].kind != FRAME_TOKEN || items[i].id >= 0)
            frame->pair[frame->pair_count++] =
                (struct frame_item){items[i].kind, (uint32_t)(items[i].id < 0 ? 0 : items[i].id), items[i].type};
}

static pdk_status read_id(const struct json *value, size_t size, uint32_t *ret_id, pdk_error *err)
{
    uint64_t id;
    if (!json_uint64(value, &id) || id >= size)
        return pdk_error_set(
            err, PDK_INVALID, "post_processor", "the id of a special token is no token (%zu tokens)", size);
    *ret_id = (uint32_t)id;
    return PDK_OK;
}

/* The ids of one template item, at most FRAME_MAX. */
static pdk_status special_ids(
    const struct json *json, const struct json *item, size_t size, uint32_t *ids, size_t *count, pdk_error *err)
{
    const char *name = "";
    const struct json *found = NULL, *known = json_get(json, "special_tokens");
    if (json_string(json_get(item, "id"), &name) && known != NULL)
        found = json_get(json_get(known, name), "ids");
    if (found == NULL || found->type != JSON_ARRAY)
        return pdk_error_value(err, PDK_INVALID, "post_processor.special_tokens", name, "'%s' has no ids", name);
    for (const struct json *at = found->child; at != NULL; at = at->next) {
        if (*count == FRAME_MAX)
            return pdk_error_set(err, PDK_INVALID, "post_processor", "adds more than %d tokens", FRAME_MAX);
        pdk_status status = read_id(at, size, &ids[*count], err);
        if (status != PDK_OK)
            return status;
        ++*count;
    }
    return PDK_OK;
}

static pdk_status put_pair(struct frame *frame, struct frame_item item, pdk_error *err)
{
    if (frame->pair_count == FRAME_MAX)
        return pdk_error_set(err, PDK_INVALID, "post_processor.pair", "has more than %d tokens", FRAME_MAX);
    frame->pair[frame->pair_count++] = item;
    return PDK_OK;
}

static pdk_status read_type(const struct json *item, uint8_t *ret_type, pdk_error *err)
{
    uint64_t type = 0;
    const struct json *json = json_get(item, "type_id");
    if (json != NULL && (!json_uint64(json, &type) || type > 255))
        return pdk_error_set(err, PDK_INVALID, "post_processor.pair", "a type_id must be 0 to 255");
    *ret_type = (uint8_t)type;
    return PDK_OK;
}

/* One text's place, or a special token's. */
static pdk_status load_pair_item(
    struct frame *frame, const struct json *json, const struct json *item, size_t size, pdk_error *err)
{
    const struct json *special = json_get(item, "SpecialToken"), *sequence = json_get(item, "Sequence");
    struct frame_item made = {.kind = FRAME_TOKEN};
    pdk_status status = read_type(special != NULL ? special : sequence, &made.type, err);
    if (status != PDK_OK)
        return status;
    if (special == NULL) {
        const char *name = "";
        json_string(json_get(sequence, "id"), &name);
        if (strcmp(name, "A") != 0 && strcmp(name, "B") != 0)
            return pdk_error_set(err, PDK_INVALID, "post_processor.pair", "has neither A nor B nor a special token");
        made.kind = name[0] == 'A' ? FRAME_FIRST : FRAME_SECOND;
        return put_pair(frame, made, err);
    }
    uint32_t ids[FRAME_MAX];
    size_t count = 0;
    status = special_ids(json, special, size, ids, &count, err);
    for (size_t i = 0; i < count && status == PDK_OK; i++) {
        made.id = ids[i];
        status = put_pair(frame, made, err);
    }
    return status;
}

static pdk_status load_pair_template(struct frame *frame, const struct json *json, size_t size, pdk_error *err)
{
    const struct json *items = json_get(json, "pair");
    if (items == NULL || items->type != JSON_ARRAY)
        return PDK_OK;
    frame->pair_count = 0;
    size_t seen[FRAME_SECOND + 1] = {0};
    for (const struct json *at = items->child; at != NULL; at = at->next) {
        size_t before = frame->pair_count;
        pdk_status status = load_pair_item(frame, json, at, size, err);
        if (status != PDK_OK)
            return status;
        if (frame->pair_count > before)
            seen[frame->pair[frame->pair_count - 1].kind]++;
    }
    if (seen[FRAME_FIRST] != 1 || seen[FRAME_SECOND] != 1)
        return pdk_error_set(err, PDK_INVALID, "post_processor.pair", "must have the sequences A and B once each");
    return PDK_OK;
}

static pdk_status load_template(struct frame *frame, const struct json *json, size_t size, pdk_error *err)
{
    uint32_t ids[2][FRAME_MAX];
    size_t counts[2] = {0, 0};
    unsigned side = 0;
    const struct json *items = json_get(json, "single");
    if (items == NULL || items->type != JSON_ARRAY)
        return pdk_error_set(err, PDK_INVALID, "post_processor.single", "TemplateProcessing needs a list");
    for (const struct json *at = items->child; at != NULL; at = at->next) {
        const struct json *special = json_get(at, "SpecialToken"), *sequence = json_get(at, "Sequence");
        if (special == NULL && (sequence == NULL || side == 1))
            return pdk_error_set(err, PDK_INVALID, "post_processor.single", "must have the sequence A once");
        if (special == NULL) {
            side = 1;
            continue;
        }
        pdk_status status = special_ids(json, special, size, ids[side], &counts[side], err);
        if (status != PDK_OK)
            return status;
    }
    pdk_status status = frame_add(frame, ids[0], counts[0], ids[1], counts[1], err);
    return status == PDK_OK ? load_pair_template(frame, json, size, err) : status;
}

/* RobertaProcessing and BertProcessing: "cls": [text, id], "sep": [text, id]. */
static pdk_status load_ends(struct frame *frame, const struct json *json, size_t size, uint32_t ids[2], pdk_error *err)
{
    static const char *const names[] = {"cls", "sep"};
    for (unsigned i = 0; i < 2; i++) {
        const struct json *pair = json_get(json, names[i]);
        if (pair == NULL || pair->type != JSON_ARRAY || pair->count != 2)
            return pdk_error_set(err, PDK_INVALID, "post_processor", "'%s' must be a token and its id", names[i]);
        pdk_status status = read_id(pair->child->next, size, &ids[i], err);
        if (status != PDK_OK)
            return status;
    }
    return frame_add(frame, &ids[0], 1, &ids[1], 1, err);
}

static pdk_status load_bert(struct frame *frame, const struct json *json, size_t size, pdk_error *err)
{
    uint32_t ids[2];
    pdk_status status = load_ends(frame, json, size, ids, err);
    if (status == PDK_OK)
        frame_set_pair(frame, ids[0], ids[1], false, 1);
    return status;
}

static pdk_status load_roberta(struct frame *frame, const struct json *json, size_t size, pdk_error *err)
{
    uint32_t ids[2];
    pdk_status status = load_ends(frame, json, size, ids, err);
    if (status == PDK_OK)
        frame_set_pair(frame, ids[0], ids[1], true, 0);
    return status;
}

static pdk_status load_nothing(struct frame *frame, const struct json *json, size_t size, pdk_error *err)
{
    (void)frame;
    (void)json;
    (void)size;
    (void)err;
    return PDK_OK;
}

static const struct {
    const char *type;
    pdk_status (*load)(struct frame *frame, const struct json *json, size_t size, pdk_error *err);
} kinds[] = {
    {"BertProcessing", load_bert},
    {"ByteLevel", load_nothing}, /* moves offsets only, of which there are none here */
    {"RobertaProcessing", load_roberta},
    {"TemplateProcessing", load_template},
};

pdk_status frame_load(struct frame *frame, const struct json *json, size_t size, pdk_error *err)
{
    if (json == NULL || json->type == JSON_NULL)
        return PDK_OK;
    const char *type = "";
    json_string(json_get(json, "type"), &type);
    const struct json *inner = json_get(json, "processors");
    if (strcmp(type, "Sequence") == 0 && inner != NULL && inner->type == JSON_ARRAY) {
        pdk_status status = PDK_OK; /* nested at most as deep as JSON may be */
        for (const struct json *at = inner->child; at != NULL && status == PDK_OK; at = at->next)
            status = frame_load(frame, at, size, err);
        return status;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].type, type) == 0)
            return kinds[i].load(frame, json, size, err);
    }
    return pdk_error_value(err, PDK_UNSUPPORTED, "post_processor", type, "post-processor '%s' is not supported", type);
}
