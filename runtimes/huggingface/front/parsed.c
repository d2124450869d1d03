/* See the header. */
#include "config.h"

#include "runtimes/huggingface/front/parsed.h"

#include "core/base/array.h"
#include "core/base/cleanup.h"
#include "core/base/error.h"
#include "runtimes/huggingface/front/chat.h"

#include <stdlib.h>
#include <string.h>

static pdk_status no_memory(pdk_error *err)
{
    return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the answer");
}

pdk_status parsed_plan_make(const struct served *served, const pdk_request *request, pdk_string prompt,
    struct parsed_plan *ret_plan, pdk_error *err)
{
    const struct parsers *parsers = &served->parsers;
    bool reasoning = parsers->reasoning_format != NULL && request->messages != NULL;
    bool forced = request->tools == PDK_TOOLS_REQUIRED || request->tools == PDK_TOOLS_NAMED;
    bool automatic = request->tools == PDK_TOOLS_AUTO && parsers->tool_format != NULL;
    *ret_plan = (struct parsed_plan){
        .active = served->tokenizer != NULL && (reasoning || forced || automatic), .reasoning = RULES_NO_REASONING};
    if (!ret_plan->active)
        return PDK_OK;
    struct chat_switches switches;
    pdk_status status = chat_switches_read(served, request, &switches, err);
    if (status != PDK_OK)
        return status;
    enum reasoning_start start = REASONING_STARTS_OFF;
    if (reasoning)
        start = reasoning_start(parsers->reasoning_format, prompt, switches.thinking);
    /* A template shows that a model can reason, not that every answer begins so. */
    if (start == REASONING_STARTS_INSIDE && parsers->guessed && !reasoning_is_open(parsers->reasoning_format, prompt))
        start = REASONING_STARTS_EITHER;
    if (parsers->is_harmony && reasoning)
        start = REASONING_STARTS_INSIDE; /* until the final channel */
    if (start != REASONING_STARTS_OFF)
        ret_plan->reasoning = start == REASONING_STARTS_INSIDE ? RULES_REASONING_OPEN : RULES_REASONING_MAY_COME;
    ret_plan->spec = (struct reader_spec){
        .parsers = parsers,
        .start = start,
        .tools = request->tools,
        .tool_name = request->tool_name,
        .tools_json = request->tools_json,
        .reasoning = reasoning,
        .lone_reasoning = switches.force_content,
        .hide_reasoning = (request->flags & PDK_FLAG_NO_REASONING) != 0,
        .one_call = (request->flags & PDK_FLAG_ONE_TOOL_CALL) != 0,
        .keep_special = (request->flags & PDK_FLAG_KEEP_SPECIAL) != 0,
        .whole = (request->flags & PDK_FLAG_STREAM) == 0,
        .id_seed = request->id,
    };
    return PDK_OK;
}

pdk_status parsed_init(struct parsed *parsed, const struct parsed_plan *plan, uint32_t choice, pdk_error *err)
{
    if (!plan->active)
        return PDK_OK;
    struct reader_spec spec = plan->spec;
    spec.id_seed = spec.id_seed << 7 ^ choice;
    return reader_new(&spec, &parsed->reader, err);
}

void parsed_done(struct parsed *parsed)
{
    parsed->reader = reader_free(parsed->reader);
    free(parsed->marks);
    buffer_done(&parsed->text);
}

static pdk_status put_mark(struct parsed *parsed, uint64_t end, bool special, pdk_error *err)
{
    if (!array_grow(&parsed->marks, &parsed->mark_room, parsed->mark_first + parsed->mark_count + 1))
        return no_memory(err);
    parsed->marks[parsed->mark_first + parsed->mark_count++] = (struct parsed_mark){.end = end, .special = special};
    return PDK_OK;
}

pdk_status parsed_token(struct parsed *parsed, const struct tokenizer *tokenizer, const struct stop_text *text,
    uint32_t token, const char *added, size_t length, pdk_error *err)
{
    if (parsed->reader == NULL)
        return PDK_OK;
    uint64_t end = text->dropped + text->text.length;
    bool special = length > 0 && tokenizer_is_special(tokenizer, token);
    pdk_string piece = special ? tokenizer_piece(tokenizer, token) : (pdk_string){"", 0};
    special = special && length >= piece.length && memcmp(added + length - piece.length, piece.data, piece.length) == 0;
    /* Half a character may have waited for it: that is text. */
    if (special && length > piece.length) {
        pdk_status status = put_mark(parsed, end - piece.length, false, err);
        if (status != PDK_OK)
            return status;
    }
    return put_mark(parsed, end, special, err);
}

/* Reads the tokens of which all has been shown. */
static void read_shown(struct parsed *parsed)
{
    uint64_t shown = parsed->start + parsed->text.length;
    size_t at = 0;
    while (parsed->mark_count > 0 && parsed->marks[parsed->mark_first].end <= shown) {
        struct parsed_mark mark = parsed->marks[parsed->mark_first++];
        parsed->mark_count--;
        size_t length = (size_t)(mark.end - parsed->start) - at;
        reader_add(parsed->reader, text_of(&parsed->text).data + at, length, mark.special);
        at += length;
    }
    if (parsed->mark_count == 0)
        parsed->mark_first = 0;
    if (at == 0)
        return;
    memmove(parsed->text.data, parsed->text.data + at, parsed->text.length - at);
    parsed->text.length -= at;
    parsed->start += at;
}

pdk_status parsed_show(struct parsed *parsed, pdk_string shown, bool ended, pdk_error *err)
{
    if (parsed->reader == NULL)
        return PDK_OK;
    buffer_put(&parsed->text, shown.data, shown.length);
    if (parsed->text.failed)
        return no_memory(err);
    read_shown(parsed);
    if (ended) {
        /* A stop string may have cut a token. */
        if (parsed->text.length > 0)
            reader_add(parsed->reader, parsed->text.data, parsed->text.length, false);
        parsed->start += parsed->text.length;
        buffer_clear(&parsed->text);
        reader_end(parsed->reader);
    }
    return reader_failed(parsed->reader) ? no_memory(err) : PDK_OK;
}

bool parsed_inside(const struct parsed *parsed)
{
    return parsed->reader != NULL && reader_inside(parsed->reader);
}

pdk_status parsed_fill(struct parsed *parsed, pdk_part *part, pdk_error *err)
{
    if (parsed->reader == NULL)
        return PDK_OK;
    struct deltas *deltas = reader_deltas(parsed->reader);
    part->flags |= PDK_PART_PARSED;
    part->reasoning_tokens = reader_reasoning_tokens(parsed->reader);
    if (part->finish != PDK_FINISH_NONE && reader_called(parsed->reader))
        part->flags |= PDK_PART_CALLED;
    part->deltas = deltas_show(deltas);
    part->delta_count = deltas->count;
    return deltas_failed(deltas) ? no_memory(err) : PDK_OK;
}

void parsed_clear(struct parsed *parsed)
{
    if (parsed->reader != NULL)
        deltas_clear(reader_deltas(parsed->reader));
}
