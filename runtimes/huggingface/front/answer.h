/* runtimes/huggingface/front/answer.h: the answer of one choice as the client gets it: tokens become text, stop strings
 * are looked for, log probabilities get their texts, and what has come together goes out as a part. */
#pragma once

#include "runtimes/huggingface/front/parsed.h"
#include "runtimes/huggingface/front/served.h"
#include "runtimes/huggingface/sampling/stop_text.h"

#include <paddock/draft/request.h>

/* What goes into one part. The entries' texts lie in `texts` one after the other; `texts` may move while it grows, so
 * they are pointed at when the part is sent. */
struct pending {
    uint32_t *ids;
    size_t id_count, id_room;
    struct buffer text;
    pdk_logprob *entries;
    size_t entry_count, entry_room;
    uint32_t *counts; /* entries of each position */
    size_t count_count, count_room;
    struct buffer texts;
};

void pending_clear(struct pending *pending);
void pending_done(struct pending *pending);
/* Points the entries at their texts and puts all of it into `part`. */
void pending_fill(struct pending *pending, pdk_part *part);

struct answer {
    const struct served *served;
    const pdk_request *request;
    struct choice *choice;
    uint32_t index;
    struct detokenizer *detokenizer; /* NULL: no text */
    struct stop_text text;
    struct parsed parsed;
    struct pending pending;
    uint32_t taken; /* tokens of the sequence dealt with, the prompt included */
    int32_t finish; /* PDK_FINISH_…, NONE while it goes on */
    int32_t stop_kind;
    uint32_t stop_token;
    int stop_string; /* index, or -1 */
    bool sent_finish;
};

/* Starts behind the prompt; tokens produced elsewhere are gone through without being shown. */
pdk_status answer_init(struct answer *answer, const struct served *served, const pdk_request *request,
    const struct parsed_plan *plan, struct choice *choice, uint32_t index, pdk_error *err);
void answer_done(struct answer *answer);
/* Takes in the tokens published so far; stops at the end of the choice. */
pdk_status answer_take(struct answer *answer, pdk_error *err);
/* Whether there is something that should go out now. */
bool answer_wants_part(const struct answer *answer);
/* Fills a part with what is pending; answer_sent when it is gone. */
pdk_status answer_part(struct answer *answer, pdk_part *part, pdk_error *err);
void answer_sent(struct answer *answer);

/* Adds a token's id and, with `drawn`, the report on it, as `detokenizer` (may be NULL) stands before it. */
pdk_status pending_token(struct pending *pending, const struct detokenizer *detokenizer, uint32_t token,
    const struct drawn *drawn, pdk_error *err);
/* The prompt's own part: ids, text, log probabilities, by what was asked for. `text` is the prompt's. */
pdk_status answer_prompt(
    const struct served *served, const struct generation *generation, struct pending *pending, pdk_error *err);
