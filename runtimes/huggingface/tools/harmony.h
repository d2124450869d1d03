/* runtimes/huggingface/tools/harmony.h: the message format of gpt-oss: each message has a header that names a channel,
 * and perhaps whom it is for. One reader for reasoning and calls, and the writer of prompts, which stands in for a chat
 * template. */
#pragma once

#include "core/base/json.h"
#include "runtimes/huggingface/template/template.h"
#include "runtimes/huggingface/tools/deltas.h"
#include "runtimes/huggingface/tools/tool_format.h"
#include "runtimes/huggingface/tools/window.h"

enum harmony_mark {
    HARMONY_MESSAGE,
    HARMONY_END,
    HARMONY_RETURN,
    HARMONY_CALL,
    HARMONY_START,
    HARMONY_CHANNEL,
    HARMONY_MARKS
};
extern const char *const harmony_texts[HARMONY_MARKS];

/* Constant once made. */
struct harmony_parser {
    pdk_string marks[HARMONY_MARKS];
    struct buffer memory;
};

pdk_status harmony_parser_init(struct harmony_parser *parser, const struct tokenizer *tokenizer, pdk_error *err);
void harmony_parser_done(struct harmony_parser *parser);

struct harmony_reader {
    const struct harmony_parser *parser;
    struct deltas *out;
    struct buffer *content; /* gets content with its marks, in the place of `out`; or NULL */
    struct window window;
    struct buffer scratch;
    bool calls_read, one_call, keep_special, hidden;
    bool in_message, is_call;
    int32_t kind; /* PDK_DELTA_… of the message */
    uint32_t calls;
    bool inside;                       /* in reasoning now */
    uint64_t begun, settled, reasoned; /* as of reasoning_reader */
};

void harmony_reader_init(struct harmony_reader *reader, const struct harmony_parser *parser, struct deltas *out);
void harmony_reader_done(struct harmony_reader *reader);
bool harmony_reader_read(struct harmony_reader *reader); /* as reasoning_reader_read */

/* Writes a conversation: `variables` as a chat template gets them. PDK_INVALID: reasoning_effort none, or a message
 * that has no place in it. `now`: Unix seconds. `output` is zeroed before. */
pdk_status harmony_render(const struct json *variables, int64_t now, struct template_output *output, pdk_error *err);
