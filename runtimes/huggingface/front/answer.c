/* A token's end is decided here again, by the same rules as in the engine, so that nothing waits for the engine to say
 * so: an end token's text is not shown, and what follows a stop string is dropped. */
#include "config.h"

#include "runtimes/huggingface/front/answer.h"

#include "core/base/array.h"
#include "core/base/error.h"

#include <stdlib.h>
#include <string.h>

/* A part that nobody waits for goes out when it has grown to this. */
enum { PART_TOKENS = 256, PART_BYTES = 32 << 10 };

void pending_clear(struct pending *pending)
{
    pending->id_count = pending->entry_count = pending->count_count = 0;
    buffer_clear(&pending->text);
    buffer_clear(&pending->texts);
}

void pending_done(struct pending *pending)
{
    free(pending->ids);
    free(pending->entries);
    free(pending->counts);
    buffer_done(&pending->text);
    buffer_done(&pending->texts);
    memset(pending, 0, sizeof *pending);
}

void pending_fill(struct pending *pending, pdk_part *part)
{
    size_t at = 0;
    for (size_t i = 0; i < pending->entry_count; i++) {
        pending->entries[i].text.data = pending->texts.data != NULL ? pending->texts.data + at : "";
        at += pending->entries[i].text.length;
    }
    part->token_ids = pending->ids;
    part->token_count = pending->id_count;
    part->text = (pdk_string){pending->text.data != NULL ? pending->text.data : "", pending->text.length};
    part->logprobs = pending->entries;
    part->logprob_count = pending->entry_count;
    part->logprob_counts = pending->counts;
    part->position_count = pending->count_count;
}

static pdk_status no_memory(pdk_error *err)
{
    return pdk_error_set(err, PDK_NO_MEMORY, NULL, "no memory for the answer");
}

static pdk_status put_id(struct pending *pending, uint32_t id, pdk_error *err)
{
    if (!array_grow(&pending->ids, &pending->id_room, pending->id_count + 1))
        return no_memory(err);
    pending->ids[pending->id_count++] = id;
    return PDK_OK;
}

static pdk_status put_entry(struct pending *pending, const struct detokenizer *detokenizer, uint32_t token,
    int32_t rank, float logprob, pdk_error *err)
{
    if (!array_grow(&pending->entries, &pending->entry_room, pending->entry_count + 1))
        return no_memory(err);
    size_t before = pending->texts.length;
    pdk_status status = detokenizer != NULL ? detokenizer_peek(detokenizer, token, &pending->texts, err) : PDK_OK;
    if (status != PDK_OK)
        return status;
    pending->entries[pending->entry_count++] = (pdk_logprob){
        .token = token, .rank = rank, .logprob = logprob, .text = {.length = pending->texts.length - before}};
    return pending->texts.failed ? no_memory(err) : PDK_OK;
}

static pdk_status put_count(struct pending *pending, size_t entries, pdk_error *err)
{
    if (!array_grow(&pending->counts, &pending->count_room, pending->count_count + 1))
        return no_memory(err);
    pending->counts[pending->count_count++] = (uint32_t)entries;
    return PDK_OK;
}

/* The chosen token, then the best others, then those asked for by id; none twice. */
static pdk_status put_position(struct pending *pending, const struct detokenizer *detokenizer, uint32_t token,
    const struct drawn *drawn, const uint32_t *report, size_t report_count, pdk_error *err)
{
    size_t before = pending->entry_count;
    pdk_status status = put_entry(pending, detokenizer, token, drawn->rank, drawn->logprob, err);
    int32_t rank = 0;
    for (uint32_t i = 0; i < drawn->top_count && status == PDK_OK; i++) {
        /* Equal values share the better rank. */
        if (i == 0 || drawn->top_logprobs[i] != drawn->top_logprobs[i - 1])
            rank = (int32_t)i + 1;
        if (drawn->top_tokens[i] != token)
            status = put_entry(pending, detokenizer, drawn->top_tokens[i], rank, drawn->top_logprobs[i], err);
    }
    for (size_t i = 0; i < report_count && status == PDK_OK; i++) {
        bool known = false;
        for (size_t j = before; j < pending->entry_count; j++)
            known |= pending->entries[j].token == report[i];
        if (!known)
            status = put_entry(pending, detokenizer, report[i], drawn->report_ranks[i], drawn->report_logprobs[i], err);
    }
    return status == PDK_OK ? put_count(pending, pending->entry_count - before, err) : status;
}

pdk_status pending_token(struct pending *pending, const struct detokenizer *detokenizer, uint32_t token,
    const struct drawn *drawn, pdk_error *err)
{
    pdk_status status = put_id(pending, token, err);
    return status == PDK_OK && drawn != NULL ? put_position(pending, detokenizer, token, drawn, NULL, 0, err) : status;
}

static pdk_status open_detokenizer(struct answer *answer, pdk_error *err)
{
    const struct sequence *sequence = &answer->choice->sequence;
    if (answer->served->tokenizer == NULL)
        return PDK_OK;
    /* A reader needs the special tokens, and leaves them out itself. */
    bool reads = answer->parsed.reader != NULL;
    bool skip = (answer->request->flags & PDK_FLAG_KEEP_SPECIAL) == 0 && !reads;
    bool spaces = (answer->request->flags & PDK_FLAG_NO_SPACES_BETWEEN) == 0 && !reads;
    return detokenizer_new(
        answer->served->tokenizer, sequence->tokens, sequence->prompt_count, skip, spaces, &answer->detokenizer, err);
}

/* Adds the text of a token. Returns the index of the stop string that it completes, or -1, through `ret_stop`. */
static pdk_status add_text(struct answer *answer, uint32_t token, uint32_t produced, int *ret_stop, pdk_error *err)
{
    *ret_stop = -1;
    if (answer->detokenizer == NULL)
        return PDK_OK;
    struct buffer text = {0};
    pdk_status status = detokenizer_next(answer->detokenizer, token, &text, err);
    /* One completed within the first min_tokens tokens is passed over, and not found later. */
    bool search = produced > answer->choice->generation->rules.min_tokens;
    if (status == PDK_OK && text.length > 0)
        *ret_stop = stop_text_add(&answer->text, text.data, text.length, search);
    if (status == PDK_OK)
        status =
            parsed_token(&answer->parsed, answer->served->tokenizer, &answer->text, token, text.data, text.length, err);
    buffer_done(&text);
    return status == PDK_OK && answer->text.text.failed ? no_memory(err) : status;
}

static pdk_status replay(struct answer *answer, uint32_t total, pdk_error *err)
{
    const struct sequence *sequence = &answer->choice->sequence;
    pdk_status status = PDK_OK;
    int stop;
    for (uint32_t at = sequence->prompt_count; at < total && status == PDK_OK; at++)
        status = add_text(answer, sequence->tokens[at], at + 1 - sequence->prompt_count, &stop, err);
    pdk_string shown = stop_text_show(&answer->text, false);
    answer->taken = total;
    if (status == PDK_OK)
        status = parsed_show(&answer->parsed, shown, false, err);
    parsed_clear(&answer->parsed);
    return status;
}

pdk_status answer_init(struct answer *answer, const struct served *served, const pdk_request *request,
    const struct parsed_plan *plan, struct choice *choice, uint32_t index, pdk_error *err)
{
    *answer =
        (struct answer){.served = served, .request = request, .choice = choice, .index = index, .stop_string = -1};
    stop_text_init(&answer->text, request->stop, request->stop_count, (request->flags & PDK_FLAG_INCLUDE_STOP) != 0);
    pdk_status status = parsed_init(&answer->parsed, plan, index, err);
    if (status == PDK_OK)
        status = open_detokenizer(answer, err);
    return status == PDK_OK ? replay(answer, choice->sequence.total, err) : status;
}

void answer_done(struct answer *answer)
{
    detokenizer_free(answer->detokenizer);
    stop_text_done(&answer->text);
    parsed_done(&answer->parsed);
    pending_done(&answer->pending);
}

static pdk_status take_token(struct answer *answer, uint32_t at, pdk_error *err)
{
    struct choice *choice = answer->choice;
    const struct sampling_rules *rules = &choice->generation->rules;
    uint32_t token = choice->sequence.tokens[at], produced = at + 1 - choice->sequence.prompt_count;
    pdk_status status = put_id(&answer->pending, token, err);
    if (status == PDK_OK && rules->wants_logprobs)
        status = put_position(&answer->pending, answer->detokenizer, token, &choice->results[at % RESULTS_HELD],
            rules->report, rules->report_count, err);
    if (status != PDK_OK)
        return status;
    int stop = -1;
    bool ends = rules_end(rules, token, produced, &answer->stop_kind);
    if (!ends || (answer->request->flags & PDK_FLAG_INCLUDE_STOP) != 0)
        status = add_text(answer, token, produced, &stop, err);
    answer->taken = at + 1;
    if (stop >= 0) {
        answer->finish = PDK_FINISH_STOP;
        answer->stop_kind = PDK_STOP_STRING;
        answer->stop_string = stop;
    } else if (ends) {
        answer->finish = PDK_FINISH_STOP;
        answer->stop_token = token;
    } else if (at + 1 == choice->sequence.limit) {
        answer->finish = PDK_FINISH_LENGTH;
    }
    return status;
}

/* Moves on what may be shown by now. */
static pdk_status show(struct answer *answer, pdk_error *err)
{
    bool ended = answer->finish != PDK_FINISH_NONE;
    pdk_string shown = stop_text_show(&answer->text, ended);
    buffer_put(&answer->pending.text, shown.data, shown.length);
    return parsed_show(&answer->parsed, shown, ended, err);
}

/* A token of reasoning that the client does not want to see. */
static void take_back(struct pending *pending, const struct pending *before)
{
    pending->id_count = before->id_count;
    pending->entry_count = before->entry_count;
    pending->count_count = before->count_count;
    pending->text.length = before->text.length;
    pending->texts.length = before->texts.length;
}

pdk_status answer_take(struct answer *answer, pdk_error *err)
{
    struct choice *choice = answer->choice;
    if (answer->finish != PDK_FINISH_NONE)
        return PDK_OK;
    /* In this order: once it has ended, `published` is final. Partners: the engine's stores. */
    bool ended = atomic_load_explicit(&choice->ended, memory_order_acquire);
    uint32_t published = atomic_load_explicit(&choice->published, memory_order_acquire);
    pdk_status status = PDK_OK;
    while (answer->taken < published && answer->finish == PDK_FINISH_NONE && status == PDK_OK) {
        struct pending before = answer->pending;
        bool inside = parsed_inside(&answer->parsed);
        status = take_token(answer, answer->taken, err);
        if (status == PDK_OK && answer->parsed.reader != NULL)
            status = show(answer, err);
        if ((answer->request->flags & PDK_FLAG_NO_REASONING) != 0 && (inside || parsed_inside(&answer->parsed)))
            take_back(&answer->pending, &before);
    }
    if (status == PDK_OK && ended && answer->finish == PDK_FINISH_NONE)
        answer->finish = choice->finish;
    if (status == PDK_OK)
        status = show(answer, err);
    atomic_store_explicit(&choice->consumed, published, memory_order_release); /* with the engine's load */
    return status == PDK_OK && answer->pending.text.failed ? no_memory(err) : status;
}

bool answer_wants_part(const struct answer *answer)
{
    if (answer->sent_finish)
        return false;
    if (answer->finish != PDK_FINISH_NONE)
        return true;
    size_t least = (answer->request->flags & PDK_FLAG_STREAM) != 0 ? answer->served->stream_interval : PART_TOKENS;
    return answer->pending.id_count >= least ||
           answer->pending.text.length + answer->pending.texts.length >= PART_BYTES;
}

pdk_status answer_part(struct answer *answer, pdk_part *part, pdk_error *err)
{
    const struct sequence *sequence = &answer->choice->sequence;
    *part = (pdk_part){
        .size = sizeof *part,
        .choice = answer->index,
        .finish = answer->finish,
        .prompt_tokens = sequence->prompt_count,
        .cached_tokens = atomic_load_explicit(&answer->choice->cached, memory_order_relaxed),
        .completion_tokens = answer->taken - sequence->prompt_count,
    };
    if (answer->finish != PDK_FINISH_NONE) {
        part->stop_kind = answer->stop_kind;
        part->stop_token = answer->stop_kind == PDK_STOP_TOKEN ? answer->stop_token : 0;
        if (answer->stop_string >= 0)
            part->stop_string = answer->request->stop[answer->stop_string];
    }
    pending_fill(&answer->pending, part);
    return parsed_fill(&answer->parsed, part, err);
}

void answer_sent(struct answer *answer)
{
    answer->sent_finish = answer->finish != PDK_FINISH_NONE;
    pending_clear(&answer->pending);
    parsed_clear(&answer->parsed);
}

static pdk_status put_scores(
    const struct generation *generation, struct pending *pending, struct detokenizer *detokenizer, pdk_error *err)
{
    const uint32_t *tokens = generation->choices[0].sequence.tokens;
    struct buffer unused = {0};
    pdk_status status = put_count(pending, 0, err);
    if (status == PDK_OK && detokenizer != NULL)
        status = detokenizer_next(detokenizer, tokens[0], &unused, err);
    for (uint32_t i = 1; i < generation->prompt_count && status == PDK_OK; i++) {
        status = put_position(pending, detokenizer, tokens[i], &generation->scores[i - 1], NULL, 0, err);
        if (status == PDK_OK && detokenizer != NULL)
            status = detokenizer_next(detokenizer, tokens[i], &unused, err);
        buffer_clear(&unused);
    }
    buffer_done(&unused);
    return status;
}

pdk_status answer_prompt(
    const struct served *served, const struct generation *generation, struct pending *pending, pdk_error *err)
{
    const uint32_t *tokens = generation->choices[0].sequence.tokens;
    pdk_status status = PDK_OK;
    for (uint32_t i = 0; i < generation->prompt_count && status == PDK_OK; i++)
        status = put_id(pending, tokens[i], err);
    if (status != PDK_OK || !generation->rules.wants_prompt_logprobs)
        return status;
    struct detokenizer *detokenizer = NULL;
    if (served->tokenizer != NULL)
        status = detokenizer_new(served->tokenizer, NULL, 0, false, true, &detokenizer, err);
    if (status == PDK_OK)
        status = put_scores(generation, pending, detokenizer, err);
    detokenizer_free(detokenizer);
    return status;
}
