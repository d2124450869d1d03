/* runtimes/huggingface/front/parsed.h: an answer's text on its way to a reader of reasoning and calls. The reader wants
 * it token by token and with special tokens marked; what may be shown comes later and in other pieces, by the stop
 * strings. */
#pragma once

#include "runtimes/huggingface/front/served.h"
#include "runtimes/huggingface/sampling/rules.h"
#include "runtimes/huggingface/sampling/stop_text.h"
#include "runtimes/huggingface/tools/reader.h"

struct parsed_mark {
    uint64_t end; /* of a token's text, as an offset of the answer's */
    bool special;
};

struct parsed {
    struct reader *reader; /* NULL: the text is shown as it is */
    struct parsed_mark *marks;
    size_t mark_first, mark_count, mark_room;
    struct buffer text; /* shown, and not read yet */
    uint64_t start;     /* offset of `text` */
};

/* Whether and how a request's answers are read. */
struct parsed_plan {
    bool active;
    enum rules_reasoning reasoning; /* where a guide begins */
    struct reader_spec spec;
};

/* `prompt`: the rendered prompt's text. Borrows the request. */
pdk_status parsed_plan_make(const struct served *served, const pdk_request *request, pdk_string prompt,
    struct parsed_plan *ret_plan, pdk_error *err);

/* `parsed` is zeroed before; parsed_done frees it, after a failure too. */
pdk_status parsed_init(struct parsed *parsed, const struct parsed_plan *plan, uint32_t choice, pdk_error *err);
void parsed_done(struct parsed *parsed);
/* A token added text, the last `length` bytes of what stop_text has now seen. */
pdk_status parsed_token(struct parsed *parsed, const struct tokenizer *tokenizer, const struct stop_text *text,
    uint32_t token, const char *added, size_t length, pdk_error *err);
/* Some of it may be shown now; `ended`: no more comes. */
pdk_status parsed_show(struct parsed *parsed, pdk_string shown, bool ended, pdk_error *err);
/* Whether reasoning is being read. */
bool parsed_inside(const struct parsed *parsed);
/* Puts what the client sees into a part. */
pdk_status parsed_fill(struct parsed *parsed, pdk_part *part, pdk_error *err);
void parsed_clear(struct parsed *parsed);
