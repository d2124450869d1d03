/* runtimes/huggingface/template/template.h: chat templates, in the Jinja that models really use, under budgets. Own
 * interpreter: attributes reach dicts, lists and strings only, names starting with "__" are refused at load.
 * Immutable once loaded; renders may run on several threads at once. */
#pragma once

#include "core/base/buffer.h"
#include "core/base/json.h"
#include "runtimes/huggingface/tokenizer/tokenizer.h"

#include <paddock/abi.h>

struct template;

/* Budgets of a render: threats P14. */
struct template_budget {
    size_t steps;        /* 1,000,000 */
    size_t output_bytes; /* 4 MiB */
    size_t depth;        /* 64 */
    int64_t time_ms;     /* 1000 */
};
extern const struct template_budget template_budget_default;

/* Errors have line and column. */
pdk_status template_parse(const char *source, size_t length, struct template **ret_template, pdk_error *err);
struct template *template_free(struct template *template); /* takes NULL, returns NULL */
/* Whether it iterates over a message's content, so that parts stay a list (vLLM's "openai" content format). */
bool template_wants_parts(const struct template *template);

/* What a render gives: the text, and its runs: special where the template's own words stand, plain where a value of
 * `variables` came through, by whatever filters. */
struct template_output {
    struct buffer text;
    struct text_run *runs;
    size_t run_count, run_room;
};
void template_output_done(struct template_output *output);

/* `variables`: an object; its strings are plain text but those under the keys bos_token, eos_token, pad_token,
 * unk_token. `now` is what strftime_now sees, Unix seconds. PDK_INVALID: the template's raise_exception (message: its
 * text alone) or an error, with line and column. */
pdk_status template_render(const struct template *template, const struct json *variables, int64_t now,
    const struct template_budget *budget, struct template_output *output, pdk_error *err);
