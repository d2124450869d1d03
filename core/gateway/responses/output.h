/* core/gateway/responses/output.h: what a model has said, as the items of a response: reasoning, words and calls, in
 * the order in which they came. */
#pragma once

#include "core/base/json.h"
#include "core/gateway/openai/answer.h"

enum output_kind { OUTPUT_MESSAGE, OUTPUT_REASONING, OUTPUT_CALL };

struct output_item {
    enum output_kind kind;
    struct id_text id;  /* msg_…, rs_…, fc_… */
    struct buffer text; /* of a call its arguments */
    struct buffer name;
    char call_id[64];
    struct buffer logprobs; /* entries without their brackets */
};

struct output {
    struct output_item *items;
    size_t count, room;
    bool failed;
};

void output_done(struct output *output);
/* A new item at the end, or NULL, and `failed` is set. */
struct output_item *output_add(struct output *output, enum output_kind kind);
/* The items of a choice that has ended. */
void output_of_choice(struct output *output, const struct choice_answer *choice);

/* One item; not `whole`: as it begins. `logprobs`: they were asked for. */
void output_write_item(struct json_writer *writer, const struct output_item *item, bool whole, bool logprobs);
/* The content part of a message or of reasoning. */
void output_write_part(struct json_writer *writer, const struct output_item *item, bool whole, bool logprobs);
/* The turn as a message of a chat, to be gone on from. */
void output_write_turn(struct json_writer *writer, const struct output *output);
